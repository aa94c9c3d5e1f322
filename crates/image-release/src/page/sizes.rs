//! The treemap of an image within a page.
//!
//! It comes from a file beside the image, so it is read as if anybody had written it: what is a
//! rectangle, a name or a line of text is drawn again, and nothing else gets into the page. The
//! smallest rectangles are left out where a page would become too large.

use maud::{Markup, html};
use roxmltree::{Document, Node, ParsingOptions};

use super::text::Shown;

/// The most that is read. A treemap of 6000 rectangles has 2 MiB.
const MAX_BYTES: usize = 8 << 20;
/// The most elements, attributes and texts.
const MAX_NODES: u32 = 400_000;

/// What rectangles and texts may be called.
const CLASSES: &[&str] = &["back", "name", "about", "size", "line", "f", "big", "rest", "free"];

/// A treemap that can be drawn.
pub(super) struct Treemap<'a> {
    width: f64,
    height: f64,
    /// What is behind and above all of it.
    head: Vec<Shape<'a>>,
    rects: Vec<Rect<'a>>,
}

struct Rect<'a> {
    title: &'a str,
    area: f64,
    shapes: Vec<Shape<'a>>,
}

struct Shape<'a> {
    class: &'a str,
    x: f64,
    y: f64,
    what: What<'a>,
}

enum What<'a> {
    Rect(f64, f64),
    Text(&'a str),
}

/// Reads `svg` and does something with what is in it; `None` where there is no treemap in it.
pub(super) fn read<T>(svg: &str, then: impl FnOnce(&Treemap<'_>) -> T) -> Option<T> {
    if svg.len() > MAX_BYTES {
        return None;
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..Default::default() };
    let document = Document::parse_with_options(svg, options).ok()?;
    let root = document.root_element();
    let (width, height) = (number(root, "width")?, number(root, "height")?);
    let is_map = root.has_tag_name(("http://www.w3.org/2000/svg", "svg"));
    if !is_map || width < 1.0 || height < 1.0 {
        return None;
    }
    let mut map = Treemap { width, height, head: Vec::new(), rects: Vec::new() };
    for child in root.children().filter(Node::is_element) {
        if child.tag_name().name() == "g" {
            map.rects.extend(rect(child));
        } else {
            map.head.extend(shape(child));
        }
    }
    (!map.rects.is_empty()).then(|| then(&map))
}

fn rect<'a>(group: Node<'a, '_>) -> Option<Rect<'a>> {
    let title = group.children().find(|node| node.tag_name().name() == "title");
    let shapes: Vec<_> = group.children().filter_map(shape).collect();
    let area = shapes.iter().find_map(|shape| match shape.what {
        What::Rect(width, height) => Some(width * height),
        What::Text(_) => None,
    })?;
    Some(Rect { title: title.and_then(|title| title.text()).unwrap_or_default(), area, shapes })
}

fn shape<'a>(node: Node<'a, '_>) -> Option<Shape<'a>> {
    let class = node.attribute("class").unwrap_or_default();
    let known = class.split(' ').all(|class| CLASSES.contains(&class) || is_color(class));
    let what = match node.tag_name().name() {
        "rect" => What::Rect(number(node, "width")?, number(node, "height")?),
        "text" => What::Text(node.text()?),
        _ => return None,
    };
    let place = |name| number(node, name).unwrap_or(0.0);
    Some(Shape { class: if known { class } else { "" }, x: place("x"), y: place("y"), what })
}

/// `c0` to `c99`.
fn is_color(class: &str) -> bool {
    let digits = class.strip_prefix('c').unwrap_or_default();
    matches!(digits.len(), 1 | 2) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(node: Node<'_, '_>, name: &str) -> Option<f64> {
    let number: f64 = node.attribute(name)?.parse().ok()?;
    (0.0..1e6).contains(&number).then_some(number)
}

impl Treemap<'_> {
    /// The drawing with the `most` largest rectangles; `id` is of its title.
    pub(super) fn draw(&self, id: &str, title: &str, most: usize) -> Markup {
        let mut seen: Vec<(usize, &Rect<'_>)> = self.rects.iter().enumerate().collect();
        seen.sort_by(|(_, a), (_, b)| b.area.total_cmp(&a.area));
        seen.truncate(most);
        // What is in a frame is drawn after it.
        seen.sort_by_key(|(index, _)| *index);
        html! {
            svg.sizes viewBox=(format!("0 0 {} {}", self.width, self.height)) role="img"
                aria-labelledby=(id) {
                title id=(id) { (Shown(title).to_string()) }
                @for shape in &self.head { (shape.draw()) }
                @for (_, rect) in seen {
                    g {
                        title { (Shown(rect.title).to_string()) }
                        @for shape in &rect.shapes { (shape.draw()) }
                    }
                }
            }
        }
    }
}

impl Shape<'_> {
    fn draw(&self) -> Markup {
        let Self { class, x, y, .. } = self;
        let class = (!class.is_empty()).then_some(class);
        match self.what {
            What::Rect(width, height) => html! {
                rect class=[class] x=(x) y=(y) width=(width) height=(height) {}
            },
            What::Text(text) => html! {
                text class=[class] x=(x) y=(y) { (Shown(text).to_string()) }
            },
        }
    }
}

/// The style that all of them need, in a page that has one.
pub(super) fn style() -> String {
    let wide = ".wide .sizes{display:block;max-width:none;width:100%;min-width:58rem}\n";
    image_factory::sizes::style() + wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_rectangles_and_text_is_drawn() {
        let svg = r##"<svg xmlns="http://www.w3.org/2000/svg" width="10" height="9" onload="x()">
            <script>alert(1)</script><style>*{display:none}</style>
            <rect class="back" width="10" height="9" onclick="x()"/>
            <image href="https://example.org/x"/><foreignObject><p>no</p></foreignObject>
            <g id="a"><title>a&lt;b&gt;</title><rect class="c1 skip" x="1" y="1" width="3" height="3"/>
            <text class="size" x="1" y="2">&lt;/svg&gt;&#x202e;</text><a href="javascript:x()">no</a></g>
            <g><title>tiny</title><rect class="c2" x="5" y="5" width="1" height="1"/></g></svg>"##;
        let drawn = read(svg, |map| map.draw("m", "Sizes", 1).into_string()).unwrap();
        assert_eq!(
            drawn,
            "<svg class=\"sizes\" viewBox=\"0 0 10 9\" role=\"img\" aria-labelledby=\"m\">\
             <title id=\"m\">Sizes</title>\
             <rect class=\"back\" x=\"0\" y=\"0\" width=\"10\" height=\"9\"></rect>\
             <g><title>a&lt;b&gt;</title><rect x=\"1\" y=\"1\" width=\"3\" height=\"3\"></rect>\
             <text class=\"size\" x=\"1\" y=\"2\">&lt;/svg&gt;\\u{202e}</text></g></svg>"
        );
        // Of some that are as large as each other, too.
        let alike = r#"<g><title>x</title><rect width="2" height="2"/></g>"#.repeat(5);
        let svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{alike}</svg>"#
        );
        let drawn = read(&svg, |map| map.draw("m", "Sizes", 3).into_string()).unwrap();
        assert_eq!(drawn.matches("<rect").count(), 3);
        for wrong in ["", "<svg/>", "<p>", "<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>"] {
            assert!(read(wrong, |_| ()).is_none(), "{wrong}");
        }
    }
}
