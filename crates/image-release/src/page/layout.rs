//! The partition map: a drawing of what lies where, and the same as a table.

use image_model::{Layout, LayoutPart};
use maud::{Markup, html};

use super::text::{Shown, count, grouped, human};

/// How many parts are shown: a GPT has 128 entries.
const MAX_PARTS: usize = 200;
/// How wide the drawing is, in its own units: it is as wide as there is room.
const WIDTH: f64 = 1000.0;
/// How high a lane is, in points.
const LANE: usize = 34;
/// How many lanes there are; what lies deeper in others is in the last one.
const MAX_LANES: usize = 4;
/// What is seen of the smallest part.
const LEAST: f64 = 3.0;
/// How many colors there are.
const COLORS: usize = 6;

/// The map of `layout`; ids begin with `id`.
pub(super) fn map(layout: &Layout, id: &str) -> Markup {
    let parts = &layout.parts[..layout.parts.len().min(MAX_PARTS)];
    let lanes = lanes(parts);
    let height = LANE * (lanes.iter().max().copied().unwrap_or(0) + 1);
    let table = match layout.table.as_deref() {
        Some("mbr") => "an MBR partition table".to_owned(),
        Some("gpt") => "a GPT partition table".to_owned(),
        Some(other) => format!("a partition table of the kind {other}"),
        None => "no partition table".to_owned(),
    };
    let omitted = layout.omitted.saturating_add((layout.parts.len() - parts.len()) as u64);
    let what = count(parts.len(), "part");
    let (title, about) = (format!("{id}-map-title"), format!("{id}-map-about"));
    html! {
        figure {
            figcaption {
                (human(layout.size)) " with " (Shown(&table)) "; the colors are those of the table."
            }
            svg.map viewBox=(format!("0 0 {WIDTH} {height}")) height=(height)
                preserveAspectRatio="none" role="img" aria-labelledby={ (title) " " (about) } {
                title id=(title) { "Partition map" }
                desc id=(about) { (what) " in the order of the bytes; the table has the same." }
                @for (index, (part, lane)) in parts.iter().zip(&lanes).enumerate() {
                    @let (x, width) = place(part, layout.size);
                    g {
                        title { (Shown(&format!("{}: {}, {}", part.name, part.content, human(part.len))).to_string()) }
                        rect class=(format!("p{}", index % COLORS)) x=(format!("{x:.2}"))
                            y=(lane * LANE) width=(format!("{width:.2}")) height=(LANE) {}
                    }
                }
            }
            .wide tabindex="0" role="group" aria-labelledby={ (id) "-map-caption" } {
                table {
                    caption id={ (id) "-map-caption" } { "What lies where, in the order of the bytes" }
                    thead {
                        tr {
                            th scope="col" { "Part" }
                            th.number scope="col" { "Size" }
                            th scope="col" { "Content" }
                            th scope="col" { "Label" }
                            th.number scope="col" { "Begins at byte" }
                        }
                    }
                    tbody {
                        @for (index, part) in parts.iter().enumerate() {
                            tr {
                                th.name scope="row" { (dot(index)) (Shown(&part.name)) }
                                td.number { (human(part.len)) }
                                td { (Shown(&part.content)) }
                                td {
                                    @match &part.label {
                                        Some(label) => { (Shown(label)) }
                                        None => { span.soft { "none" } }
                                    }
                                }
                                td.number { (grouped(part.start)) }
                            }
                        }
                    }
                }
            }
            @if omitted != 0 {
                p.soft { (grouped(omitted)) " more are not shown." }
            }
        }
    }
}

/// The color of a part, in the table.
fn dot(index: usize) -> Markup {
    html! {
        svg.dot viewBox="0 0 8 8" aria-hidden="true" {
            rect class=(format!("p{}", index % COLORS)) width="8" height="8" rx="2" {}
        }
    }
}

/// Where a part is drawn: its left side and its width. A part that is outside of the image, or
/// longer than it, stays within the drawing.
fn place(part: &LayoutPart, size: u64) -> (f64, f64) {
    let scale = |bytes: u64| (bytes as f64 / size.max(1) as f64 * WIDTH).min(WIDTH);
    let start = scale(part.start).min(WIDTH - LEAST);
    let end = scale(part.start.saturating_add(part.len)).max(start + LEAST);
    (start, end - start)
}

/// The lane of each part: the first in which nothing lies at its place.
fn lanes(parts: &[LayoutPart]) -> Vec<usize> {
    let mut ends = [0_u64; MAX_LANES];
    let mut free = |part: &LayoutPart| {
        let lane = ends.iter().position(|end| *end <= part.start).unwrap_or(MAX_LANES - 1);
        ends[lane] = ends[lane].max(part.start.saturating_add(part.len));
        lane
    };
    parts.iter().map(&mut free).collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn part(start: u64, len: u64) -> LayoutPart {
        let content = Cow::Borrowed("ext4");
        LayoutPart { name: "partition 1".to_owned(), start, len, content, label: None }
    }

    #[test]
    fn parts_in_parts_lie_below_them() {
        let parts = [part(0, 100), part(10, 20), part(12, 1), part(40, 5), part(100, 1)];
        assert_eq!(lanes(&parts), [0, 1, 2, 1, 0]);
        assert_eq!(lanes(&vec![part(0, 9); 6]), [0, 1, 2, 3, 3, 3]);
    }

    #[test]
    fn whatever_a_table_says_is_drawn_within() {
        for (start, len) in [(0, 0), (0, u64::MAX), (u64::MAX, u64::MAX), (99, 1), (7, 0)] {
            for size in [0, 1, 100, u64::MAX] {
                let (x, width) = place(&part(start, len), size);
                assert!(x >= 0.0 && width >= LEAST - 1e-9 && x + width <= WIDTH + 1e-9);
            }
        }
    }
}
