//! Squarified treemaps: rectangles whose areas are in the proportion of numbers, and as square as
//! that allows. Bruls, Huizing and van Wijk, *Squarified treemaps*, 2000.

/// A rectangle. Its corner is the upper left one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rect {
    /// From the left.
    pub(super) x: f64,
    /// From above.
    pub(super) y: f64,
    /// To the right.
    pub(super) width: f64,
    /// Downwards.
    pub(super) height: f64,
}

impl Rect {
    /// Its area.
    pub(super) fn area(self) -> f64 {
        self.width * self.height
    }

    /// What is left of it when so much goes on each side; nothing where that is all of it.
    pub(super) fn shrink(self, left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self {
            x: self.x + left,
            y: self.y + top,
            width: (self.width - left - right).max(0.0),
            height: (self.height - top - bottom).max(0.0),
        }
    }
}

/// A rectangle for each of `sizes`, all of them together `within`. They come out most square where
/// the largest is first.
pub(super) fn squarify(sizes: &[u64], within: Rect) -> Vec<Rect> {
    let total: f64 = sizes.iter().map(|size| *size as f64).sum();
    let mut rects = Vec::with_capacity(sizes.len());
    if total > 0.0 && within.area() > 0.0 {
        let scale = within.area() / total;
        let areas: Vec<f64> = sizes.iter().map(|size| *size as f64 * scale).collect();
        let mut rest = within;
        let mut todo = &areas[..];
        while !todo.is_empty() {
            let (row, after) = todo.split_at(row_len(todo, rest.width.min(rest.height)));
            let is_last = after.iter().all(|area| *area == 0.0);
            rest = lay(row, is_last, rest, &mut rects);
            todo = after;
        }
    }
    // What has no size, or no room, has a place.
    let corner = Rect { x: within.x, y: within.y, ..Rect::default() };
    rects.resize(sizes.len(), corner);
    rects
}

/// How many of the next areas are in one row along a side: as long as the worst of them comes
/// closer to a square.
fn row_len(areas: &[f64], side: f64) -> usize {
    let (mut sum, mut least, mut most) = (0.0, f64::INFINITY, 0.0_f64);
    let mut worst = f64::INFINITY;
    for (len, area) in areas.iter().enumerate() {
        (sum, least, most) = (sum + area, least.min(*area), most.max(*area));
        let (side, square) = (side * side, sum * sum);
        let ratio = (side * most / square).max(square / (side * least));
        // What is not a number comes of zeros: those are at the end of a row.
        if len > 0 && ratio > worst {
            return len;
        }
        worst = ratio;
    }
    areas.len()
}

/// Lays a row along the shorter side, and tells what is left.
fn lay(row: &[f64], is_last: bool, rest: Rect, rects: &mut Vec<Rect>) -> Rect {
    let sum: f64 = row.iter().sum();
    let is_column = rest.width >= rest.height;
    let (side, depth) =
        if is_column { (rest.height, rest.width) } else { (rest.width, rest.height) };
    // Rounding leaves no gap at the end.
    let thick = if is_last { depth } else { (sum / side).clamp(0.0, depth) };
    let thick = if thick.is_finite() { thick } else { 0.0 };
    let last = row.iter().rposition(|area| *area > 0.0);
    let mut at = 0.0;
    for (index, area) in row.iter().enumerate() {
        let left = side - at;
        let long = if Some(index) == last { left } else { (area / thick).clamp(0.0, left) };
        let long = if long.is_finite() { long } else { 0.0 };
        rects.push(if is_column {
            Rect { x: rest.x, y: rest.y + at, width: thick, height: long }
        } else {
            Rect { x: rest.x + at, y: rest.y, width: long, height: thick }
        });
        at += long;
    }
    if is_column { rest.shrink(thick, 0.0, 0.0, 0.0) } else { rest.shrink(0.0, thick, 0.0, 0.0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WITHIN: Rect = Rect { x: 10.0, y: 20.0, width: 600.0, height: 400.0 };

    /// The example of the paper: 6, 6, 4, 3, 2, 2, 1 in a rectangle of 6 by 4.
    #[test]
    fn the_example_of_the_paper() {
        let within = Rect { x: 0.0, y: 0.0, width: 6.0, height: 4.0 };
        let rects = squarify(&[6, 6, 4, 3, 2, 2, 1], within);
        let rounded = |value: f64| (value * 100.0).round() / 100.0;
        let found: Vec<_> =
            rects.iter().map(|r| [r.x, r.y, r.width, r.height].map(rounded)).collect();
        let expected = [
            [0.0, 0.0, 3.0, 2.0],
            [0.0, 2.0, 3.0, 2.0],
            [3.0, 0.0, 1.71, 2.33],
            [4.71, 0.0, 1.29, 2.33],
            [3.0, 2.33, 1.2, 1.67],
            [4.2, 2.33, 1.2, 1.67],
            [5.4, 2.33, 0.6, 1.67],
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_has_no_size_has_a_place() {
        assert_eq!(squarify(&[], WITHIN), []);
        for rect in squarify(&[0, 0], WITHIN) {
            assert_eq!((rect.x, rect.y, rect.area()), (10.0, 20.0, 0.0));
        }
        let rects = squarify(&[5, 0], WITHIN);
        assert_eq!((rects[0], rects[1].area()), (WITHIN, 0.0));
        let nowhere = Rect { width: 0.0, ..WITHIN };
        assert_eq!(squarify(&[5, 3], nowhere).len(), 2);
    }

    /// How much of two rectangles is both.
    fn shared(a: Rect, b: Rect) -> f64 {
        let along = |a: f64, len: f64, b: f64, other: f64| (a + len).min(b + other) - a.max(b);
        let width = along(a.x, a.width, b.x, b.width).max(0.0);
        width * along(a.y, a.height, b.y, b.height).max(0.0)
    }

    proptest! {
        #[test]
        fn areas_are_true_and_nothing_overlaps(
            mut sizes in prop::collection::vec(prop_oneof![0..4_u64, 0..1_u64 << 20, any::<u64>()], 1..60),
            width in 1.0..2000.0_f64,
            height in 1.0..2000.0_f64,
        ) {
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            let within = Rect { width, height, ..WITHIN };
            let rects = squarify(&sizes, within);
            let total: f64 = sizes.iter().map(|size| *size as f64).sum();
            let slack = within.area() * 1e-9;
            prop_assert_eq!(rects.len(), sizes.len());
            for (size, rect) in sizes.iter().zip(&rects) {
                let due = if total > 0.0 { *size as f64 / total * within.area() } else { 0.0 };
                prop_assert!((rect.area() - due).abs() <= slack, "{rect:?} for {size}, {due}");
                prop_assert!((shared(*rect, within) - rect.area()).abs() <= slack, "{rect:?}");
            }
            for (index, rect) in rects.iter().enumerate() {
                for other in &rects[..index] {
                    prop_assert!(shared(*rect, *other) <= slack, "{rect:?} and {other:?}");
                }
            }
        }
    }
}
