//! A treemap of sizes as SVG: one file without scripts and without anything from elsewhere.
//!
//! Areas are in proportion within each frame. A frame has a line for its name, which is why two
//! frames may differ a little in how many bytes a point is. What is too small to be seen is drawn
//! together. Colors follow from names, so a package has the same one in every image.

mod text;

use std::fmt::Write as _;

use super::{
    EntryId, Kind, Sizes,
    treemap::{Rect, squarify},
};
pub(crate) use text::human;
use text::{Fitted, escape, fit};

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 760.0;
/// The line above the map.
const HEAD: f64 = 34.0;
/// The line of a frame, and what is left free inside of it.
const LINE: f64 = 18.0;
const INSIDE: f64 = 2.0;
/// What is drawn inside of has at least so much room.
const FRAME_WIDTH: f64 = 56.0;
const FRAME_HEIGHT: f64 = 44.0;
/// What is smaller than so many points is drawn together with others.
const LEAST_AREA: f64 = 40.0;
/// How many rectangles there are at most: few enough for a page, and more than anybody looks at.
const MAX_RECTS: usize = 6000;
/// How long a name of several directories becomes.
const MAX_NAME: usize = 400;
/// How deep frames are in each other.
const MAX_DEPTH: usize = 12;

/// Colors of the same lightness all around, in OKLCH: of a rectangle and of a frame by day, with
/// black text, and by night, with white text.
const COLORS: [[&str; 4]; 12] = [
    ["#ffcecc", "#f5a5a4", "#683738", "#4a2323"],
    ["#ffd2b8", "#f0ac86", "#663c23", "#482612"],
    ["#f5daae", "#deb775", "#5b4315", "#402c05"],
    ["#e0e2b1", "#c1c37a", "#4a4b19", "#323308"],
    ["#c8e9c1", "#9dcd93", "#32512c", "#1f3819"],
    ["#b4edd7", "#7bd2b4", "#145442", "#023a2c"],
    ["#abecef", "#6bd0d6", "#005356", "#00393c"],
    ["#b2e7ff", "#7ac9ef", "#144e66", "#033549"],
    ["#c5e0ff", "#9abffb", "#31486d", "#1e304e"],
    ["#ddd7ff", "#bcb4f7", "#47416b", "#302a4c"],
    ["#f2d1f9", "#d9aae4", "#583b5f", "#3e2643"],
    ["#ffcde4", "#eda5c6", "#64374d", "#472335"],
];

/// A rectangle that is to be drawn.
struct Todo {
    what: What,
    rect: Rect,
    depth: usize,
    /// The color of what it is in.
    color: Option<usize>,
}

enum What {
    Entry(EntryId),
    /// So many that are too small, and their bytes.
    Small(usize, u64),
}

/// The treemap of an image; `about` is a line about it.
pub fn svg(sizes: &Sizes, about: &str) -> String {
    let root = sizes.entry(Sizes::ROOT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"sizes\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n<title>{}</title>\n",
        escape(&root.name)
    );
    let _ = writeln!(svg, "<style>\n{}</style>", style());
    let _ = writeln!(svg, "<rect class=\"back\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>");
    let name = fit(&root.name, WIDTH * 0.6, 16.0);
    if let Some(Fitted { text, width }) = name {
        let _ = writeln!(
            svg,
            "<text class=\"name\" x=\"8\" y=\"23\">{}</text>\n\
             <text class=\"about\" x=\"{:.0}\" y=\"23\">{}</text>",
            escape(&text),
            24.0 + width,
            escape(about)
        );
    }
    let whole = Rect { x: 0.0, y: 0.0, width: WIDTH, height: HEIGHT };
    let mut todo = Vec::new();
    let mut drawn = 0;
    let map = Todo {
        what: What::Entry(Sizes::ROOT),
        rect: whole.shrink(8.0, HEAD, 8.0, 8.0),
        depth: 0,
        color: None,
    };
    divide(sizes, Sizes::ROOT, &map, MAX_RECTS, &mut todo);
    while let Some(next) = todo.pop() {
        drawn += 1;
        let room = MAX_RECTS.saturating_sub(drawn + todo.len());
        draw(sizes, &next, room, &mut svg, &mut todo);
    }
    svg.push_str("</svg>\n");
    svg
}

/// The style of all treemaps: nothing in it is for other parts of a page. A page that has several
/// needs it once.
pub fn style() -> String {
    let night = COLORS.iter().enumerate().map(|(index, [_, _, part, frame])| {
        format!(".sizes .c{index}{{fill:{part}}}.sizes .f.c{index}{{fill:{frame}}}\n")
    });
    let day = COLORS.iter().enumerate().map(|(index, [part, frame, _, _])| {
        format!(".sizes .c{index}{{fill:{part}}}.sizes .f.c{index}{{fill:{frame}}}\n")
    });
    format!(
        ".sizes{{max-width:100%;height:auto;font-family:system-ui,-apple-system,\"Segoe UI\",\
         \"DejaVu Sans\",sans-serif}}\n\
         .sizes text{{fill:#1b1f24;font-size:11px;pointer-events:none}}\n\
         .sizes .name{{font-size:16px;font-weight:600}}\n\
         .sizes .about{{font-size:13px;fill-opacity:.75}}\n\
         .sizes .size{{font-size:10px;fill-opacity:.75}}\n\
         .sizes .line{{font-weight:600}}\n\
         .sizes rect{{stroke:#fff;stroke-width:1}}\n\
         .sizes .back{{fill:#fff;stroke:none}}\n\
         .sizes .big{{fill:#eceff2;stroke:#c9d0d8}}\n\
         .sizes .rest{{fill:#d9dee4}}\n\
         .sizes .free{{fill:#f4f6f8;stroke:#c9d0d8;stroke-dasharray:3 3}}\n\
         {}\
         @media(prefers-color-scheme:dark){{\n\
         .sizes text{{fill:#f0f3f6}}\n\
         .sizes rect{{stroke:#0d1117}}\n\
         .sizes .back{{fill:#0d1117}}\n\
         .sizes .big{{fill:#1c2128;stroke:#444c56}}\n\
         .sizes .rest{{fill:#373e47}}\n\
         .sizes .free{{fill:#161b22;stroke:#444c56}}\n\
         {}}}\n",
        day.collect::<String>(),
        night.collect::<String>()
    )
}

/// Divides a rectangle among the parts of what it stands for. Those that cannot be seen are one
/// part.
fn divide(sizes: &Sizes, of: EntryId, frame: &Todo, room: usize, todo: &mut Vec<Todo>) {
    let Todo { rect, depth, color, .. } = *frame;
    let children = sizes.children(of);
    let bytes = |id: &EntryId| sizes.entry(*id).bytes;
    let total: f64 = children.iter().map(|id| bytes(id) as f64).sum();
    let is_seen = |id: &&EntryId| bytes(id) as f64 / total * rect.area() >= LEAST_AREA;
    let mut seen = children.iter().take(room).take_while(is_seen).count();
    // One alone is not called small.
    if children.len() == seen + 1 {
        seen += 1;
    }
    let (seen, small) = children.split_at(seen);
    let mut parts: Vec<(What, u64)> = seen.iter().map(|id| (What::Entry(*id), bytes(id))).collect();
    let rest = small.iter().map(bytes).fold(0, u64::saturating_add);
    if !small.is_empty() {
        parts.push((What::Small(small.len(), rest), rest));
    }
    let rects = squarify(&parts.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>(), rect);
    let parts = parts.into_iter().zip(rects).rev();
    todo.extend(parts.filter(|(_, rect)| rect.area() > 0.0).map(|((what, _), rect)| Todo {
        what,
        rect,
        depth,
        color,
    }));
}

/// Draws a rectangle with its name, and divides it where there is room for that.
fn draw(sizes: &Sizes, next: &Todo, room: usize, svg: &mut String, todo: &mut Vec<Todo>) {
    let Todo { what, rect, depth, color } = next;
    let all = sizes.entry(Sizes::ROOT).bytes.max(1);
    let percent = |bytes: u64| format!("{:.1} %", bytes as f64 / all as f64 * 100.0);
    let id = match what {
        What::Entry(id) => *id,
        What::Small(count, bytes) => {
            let name = format!("{count} smaller");
            let title = format!("{name}: {}, {}", human(*bytes), percent(*bytes));
            let class = color.map_or("rest".to_owned(), |color| format!("c{color}"));
            return leaf(svg, *rect, &class, &title, &name, *bytes);
        }
    };
    let entry = sizes.entry(id);
    let Only { last, name, path } = only(sizes, id);
    let mut title = format!("{path}: {}, {}", human(entry.bytes), percent(entry.bytes));
    if let Some(stored) = entry.stored {
        let _ = write!(title, "; takes {}", human(stored));
    }
    if let Some(all) = entry.with_references {
        let _ = write!(title, "; {} with references", human(all));
    }
    let short = short(entry.kind, &entry.name);
    let own = match entry.kind {
        Kind::StorePath => Some(hue(package(short))),
        // What has much of the image in it would give most of it one color.
        Kind::Directory if color.is_none() && entry.bytes > all / 3 => None,
        Kind::Directory | Kind::File => color.or_else(|| Some(hue(short))),
        Kind::Image | Kind::Partition | Kind::FileSystem | Kind::Store => None,
        Kind::Free | Kind::Rest => *color,
    };
    let class = match (entry.kind, own) {
        (Kind::Free, _) => "free".to_owned(),
        (Kind::Rest, _) => "rest".to_owned(),
        (_, Some(hue)) => format!("c{hue}"),
        (_, None) => "big".to_owned(),
    };
    let may_divide =
        room > 0 && *depth < MAX_DEPTH && rect.width >= FRAME_WIDTH && rect.height >= FRAME_HEIGHT;
    if !may_divide || sizes.children(last).is_empty() {
        return leaf(svg, *rect, &class, &title, &name, entry.bytes);
    }
    let width = rect.width - 10.0;
    let mut label = format!("{name}  {}", human(entry.bytes));
    if let Some(stored) = entry.stored {
        let _ = write!(label, ", takes {}", human(stored));
    }
    let whole = fit(&label, width, 11.5).filter(|fitted| fitted.text == label);
    let label = whole.or_else(|| fit(&name, width, 11.5));
    open(svg, *rect, &format!("f {class}"), &title);
    if let Some(Fitted { text, .. }) = label {
        text_at(svg, "line", rect.x + 5.0, rect.y + 13.0, &text);
    }
    svg.push_str("</g>\n");
    let frame = Todo {
        what: What::Entry(id),
        rect: rect.shrink(INSIDE, LINE, INSIDE, INSIDE),
        depth: depth + 1,
        color: own,
    };
    divide(sizes, last, &frame, room, todo);
}

/// What has nothing but one directory or file in it, with that.
struct Only {
    /// Where that leads to.
    last: EntryId,
    /// What all of it is called in the drawing.
    name: String,
    /// All of it.
    path: String,
}

/// Goes into what has nothing but one directory or file in it. What is alone in a store path is
/// called like that.
fn only(sizes: &Sizes, id: EntryId) -> Only {
    let entry = sizes.entry(id);
    let mut last = id;
    let mut path = entry.name.to_string();
    while matches!(sizes.entry(last).kind, Kind::StorePath | Kind::Directory)
        && let [first, others @ ..] = sizes.children(last)
        && matches!(sizes.entry(*first).kind, Kind::Directory | Kind::File)
        && others.first().is_none_or(|other| sizes.entry(*other).bytes == 0)
    {
        last = *first;
        // Nobody reads a longer one.
        if path.len() < MAX_NAME {
            path = format!("{path}/{}", sizes.entry(last).name);
        }
    }
    let name = match entry.kind {
        Kind::StorePath => short(entry.kind, &entry.name).to_owned(),
        _ => path.clone(),
    };
    Only { last, name, path }
}

/// A rectangle that nothing is drawn in.
fn leaf(svg: &mut String, rect: Rect, class: &str, title: &str, name: &str, bytes: u64) {
    open(svg, rect, class, title);
    if rect.height >= 15.0
        && let Some(Fitted { text, .. }) = fit_path(name, rect.width - 8.0)
    {
        text_at(svg, "", rect.x + 4.0, rect.y + 12.0, &text);
        let size = human(bytes);
        if rect.height >= 28.0
            && let Some(Fitted { text, .. }) =
                fit(&size, rect.width - 8.0, 10.0).filter(|fitted| fitted.text == size)
        {
            text_at(svg, "size", rect.x + 4.0, rect.y + 24.0, &text);
        }
    }
    svg.push_str("</g>\n");
}

/// As much of a path as there is room for: all of it, or else its last name.
fn fit_path(path: &str, room: f64) -> Option<Fitted> {
    let whole = fit(path, room, 11.0).filter(|fitted| fitted.text == path);
    whole.or_else(|| fit(path.rsplit('/').next().unwrap_or(path), room, 11.0))
}

fn open(svg: &mut String, rect: Rect, class: &str, title: &str) {
    let Rect { x, y, width, height } = rect;
    let _ = write!(
        svg,
        "<g><title>{}</title><rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" \
         width=\"{width:.2}\" height=\"{height:.2}\"/>",
        escape(title)
    );
}

fn text_at(svg: &mut String, class: &str, x: f64, y: f64, text: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let _ = write!(svg, "<text{class} x=\"{x:.2}\" y=\"{y:.2}\">{}</text>", escape(text));
}

/// A name without what nobody reads: the hash of a store path.
fn short(kind: Kind, name: &str) -> &str {
    match kind {
        Kind::StorePath => name.split_once('-').map_or(name, |(_, name)| name),
        _ => name,
    }
}

/// The name of a package without its version.
fn package(name: &str) -> &str {
    crate::sbom::parse_drv_name(name).0
}

/// The color of a name: FNV-1a, which is the same everywhere.
fn hue(name: &str) -> usize {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Its bits are not well mixed: those of names that differ at their ends.
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 32) % COLORS.len() as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.1, relative luminance.
    fn luminance(color: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    /// WCAG 2.1, success criterion 1.4.6: seven to one.
    #[test]
    fn text_can_be_read_on_every_color() {
        for [day, day_frame, night, night_frame] in COLORS {
            for (text, color) in [
                ("#1b1f24", day),
                ("#1b1f24", day_frame),
                ("#f0f3f6", night),
                ("#f0f3f6", night_frame),
            ] {
                let (a, b) = (luminance(text) + 0.05, luminance(color) + 0.05);
                assert!(a.max(b) / a.min(b) >= 7.0, "{text} on {color}");
            }
        }
    }

    #[test]
    fn names_without_room_are_told_by_their_end() {
        let text = |room| fit_path("boot/grub/kernel", room).map(|fitted| fitted.text);
        assert_eq!(text(200.0).as_deref(), Some("boot/grub/kernel"));
        assert_eq!(text(60.0).as_deref(), Some("kernel"));
        assert_eq!(text(20.0), None);
    }

    /// The same package has the same color in another version, and packages have different ones.
    #[test]
    fn colors_follow_from_names() {
        assert_eq!(hue(package("glibc-2.40-66")), hue(package("glibc-2.41")));
        let names = ["glibc", "systemd", "linux", "python3", "gcc", "perl", "openssl", "coreutils"];
        let hues: std::collections::BTreeSet<_> = names.map(hue).into_iter().collect();
        assert!(hues.len() >= 5, "{hues:?}");
    }
}
