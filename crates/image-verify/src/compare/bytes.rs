//! The bytes of two images of the same size: which differ, and what they are.

use std::collections::{BTreeMap, BTreeSet};

use image_formats::bytes::{ReadError, Region};
use image_model::{ByteTotals, ImageSpace, Level, Place};

use super::{
    kinds::*,
    map::{Map, Meaning},
    out::{AROUND, MAX_DIFFERENCES_PER_ID, Out, Told, VolumeNumber},
};
use crate::tree::{NodeId, Tree, display};

/// How much of both is read at once.
const PIECE: usize = 1 << 20;
/// What is equal in steps of so many bytes is not looked at closer.
const STEP: usize = 4 << 10;
/// How many places of one kind are named.
const EXAMPLES: usize = 4;

/// The file tree of the first image in a pair of file systems, and the files that both have, sorted.
pub(super) type Trees<'t> = BTreeMap<VolumeNumber, (&'t Tree, Vec<(NodeId, NodeId)>)>;

/// What all bytes of a kind have in common.
struct Same {
    kind: &'static Kind,
    /// What it is where no file is known to differ so.
    other: &'static Kind,
    place: String,
    first: u64,
    bytes: u64,
    /// How many structures they are in.
    elements: u64,
    last_element: Option<u64>,
    examples: Vec<u64>,
}

/// Bytes that nothing accounts for.
struct Unknown {
    place: String,
    start: u64,
    end: u64,
    bytes: u64,
}

/// What is known about the file systems of both images.
pub(super) struct Known<'k> {
    pub(super) trees: &'k Trees<'k>,
    /// The files of the first image whose contents differ.
    pub(super) contents: &'k BTreeSet<(VolumeNumber, NodeId)>,
    /// What the file systems are called.
    pub(super) names: &'k BTreeMap<VolumeNumber, &'k str>,
    /// The file systems that start at another byte.
    pub(super) moved: &'k BTreeSet<VolumeNumber>,
}

/// Compares the bytes of two images, and says of each that differs what it is. `out` has what is
/// already known to differ.
pub(super) fn compare(
    (a, map_a): (&Region, &Map),
    (b, map_b): (&Region, &Map),
    known: &Known<'_>,
    progress: &dyn Fn(u64),
    out: &mut Out,
) -> Result<ByteTotals, ReadError> {
    let mut found = Found::new(map_a, map_b, known);
    let (mut of_a, mut of_b) = (map_a.cursor(), map_b.cursor());
    let (mut piece_a, mut piece_b) = (vec![0; PIECE], vec![0; PIECE]);
    let len = a.len().min(b.len());
    let mut at = 0;
    while at < len {
        let size = (len - at).min(PIECE as u64) as usize;
        let (piece_a, piece_b) = (&mut piece_a[..size], &mut piece_b[..size]);
        a.fill("image", at, piece_a)?;
        b.fill("image", at, piece_b)?;
        if piece_a != piece_b {
            let steps = piece_a.chunks(STEP).zip(piece_b.chunks(STEP));
            for (index, (step_a, step_b)) in steps.enumerate().filter(|(_, (a, b))| a != b) {
                let start = at + (index * STEP) as u64;
                let end = start + step_a.len() as u64;
                let mut from = start;
                while from < end {
                    let (meaning_a, end_a) = of_a.look(from);
                    let (meaning_b, end_b) = of_b.look(from);
                    let to = end_a.min(end_b).min(end).max(from + 1);
                    let range = (from - start) as usize..(to - start) as usize;
                    let pairs = step_a[range.clone()].iter().zip(&step_b[range]);
                    let differ = pairs.clone().filter(|(a, b)| a != b).count() as u64;
                    if differ > 0 {
                        let first = pairs.clone().position(|(a, b)| a != b).unwrap_or(0) as u64;
                        let last = pairs.clone().rposition(|(a, b)| a != b).unwrap_or(0) as u64;
                        let range = (from + first, from + last + 1);
                        found.add(meaning_a, meaning_b, range, differ);
                    }
                    from = to;
                }
            }
        }
        at += size as u64;
        progress(at);
    }
    Ok(found.tell(len, out))
}

struct Found<'f> {
    map_a: &'f Map,
    map_b: &'f Map,
    known: &'f Known<'f>,
    same: BTreeMap<(VolumeNumber, &'static str), Same>,
    unknown: Vec<Unknown>,
    unknown_omitted: u64,
    differ: u64,
    unexplained: u64,
    /// The last two files that were looked up, and whether they have the same path.
    last_pair: Option<(VolumeNumber, NodeId, NodeId, bool)>,
}

impl<'f> Found<'f> {
    fn new(map_a: &'f Map, map_b: &'f Map, known: &'f Known<'f>) -> Self {
        Self {
            map_a,
            map_b,
            known,
            same: BTreeMap::new(),
            unknown: Vec::new(),
            unknown_omitted: 0,
            differ: 0,
            unexplained: 0,
            last_pair: None,
        }
    }

    fn add(&mut self, a: Meaning, b: Meaning, range: (u64, u64), bytes: u64) {
        self.differ += bytes;
        let moved = |meaning: Meaning| meaning.volume().filter(|v| self.known.moved.contains(v));
        if let Some(volume) = moved(a).or_else(|| moved(b)) {
            self.moved(volume, range.0, bytes);
            return;
        }
        match (a, b) {
            (
                Meaning::Content { volume, node: a, origin: origin_a },
                Meaning::Content { volume: other, node: b, origin: origin_b },
            ) if volume == other && origin_a == origin_b && self.is_pair(volume, a, b) => {
                if !self.known.contents.contains(&(volume, a)) {
                    let path = self.known.trees.get(&volume).map(|(tree, _)| tree.path(a));
                    let path = display(&path.unwrap_or_default());
                    self.unknown(format!("content of {path}"), range, bytes);
                }
            }
            (Meaning::Content { volume, .. }, _) | (_, Meaning::Content { volume, .. }) => {
                self.moved(volume, range.0, bytes);
            }
            (
                Meaning::Kind { volume, node: Some(a), .. },
                Meaning::Kind { volume: other, node: Some(b), .. },
            ) if volume != other || !self.is_pair(volume, a, b) => {
                self.moved(volume, range.0, bytes);
            }
            (Meaning::Kind { volume, kind: of_a, .. }, Meaning::Kind { kind: of_b, .. })
                if !a.is_vague() && !b.is_vague() && of_a.id() != of_b.id() =>
            {
                self.moved(volume, range.0, bytes);
            }
            (a, b) => {
                // The one that knows more counts.
                let (meaning, map) =
                    if a.is_vague() && !b.is_vague() { (b, self.map_b) } else { (a, self.map_a) };
                match meaning {
                    Meaning::Kind { kind, place, .. } if kind.id() == BYTES.id() => {
                        self.unknown(map.place(place).to_owned(), range, bytes);
                    }
                    Meaning::Kind { volume, kind, place, element, other, .. } => {
                        let key = (volume, kind.id());
                        let kinds = (kind, other);
                        self.same(key, kinds, map.place(place), range.0, element, bytes);
                    }
                    _ => self.unknown("image".to_owned(), range, bytes),
                }
            }
        }
    }

    fn moved(&mut self, volume: VolumeNumber, first: u64, bytes: u64) {
        let key = (volume, FILE_MOVED.id());
        let name = self.known.names.get(&volume).copied().unwrap_or("image");
        let place = format!("{name}, contents and structures");
        self.same(key, (&FILE_MOVED, &FILE_MOVED), &place, first, None, bytes);
    }

    fn same(
        &mut self,
        key: (VolumeNumber, &'static str),
        (kind, other): (&'static Kind, &'static Kind),
        place: &str,
        first: u64,
        element: Option<u64>,
        bytes: u64,
    ) {
        let same = self.same.entry(key).or_insert_with(|| Same {
            kind,
            other,
            place: place.to_owned(),
            first,
            bytes: 0,
            elements: 0,
            last_element: None,
            examples: Vec::new(),
        });
        same.bytes += bytes;
        if element.is_some() && element != same.last_element {
            same.last_element = element;
            same.elements += 1;
            if same.examples.len() < EXAMPLES {
                same.examples.extend(element);
            }
        }
    }

    /// Notes bytes that nothing accounts for, with those before them where they are near.
    fn unknown(&mut self, place: String, (start, end): (u64, u64), bytes: u64) {
        self.unexplained += bytes;
        if let Some(last) = self.unknown.last_mut()
            && last.place == place
            && start.saturating_sub(last.end) <= STEP as u64
            && self.unknown_omitted == 0
        {
            last.end = end;
            last.bytes += bytes;
        } else if (self.unknown.len() as u64) < MAX_DIFFERENCES_PER_ID {
            self.unknown.push(Unknown { place, start, end, bytes });
        } else {
            self.unknown_omitted += 1;
        }
    }

    /// True if something else that is told means the same of a file system, or of a table.
    fn is_told(&self, volume: VolumeNumber, kind: &Kind, out: &Out) -> bool {
        let has = |kind: &Kind| out.has(AROUND, kind);
        if kind.id() == FILE_MOVED.id() {
            return self.known.moved.contains(&volume) && has(&PARTITION_MOVED);
        }
        let of_partition = [&GPT_PARTITION_GUID, &GPT_PARTITION_NAME];
        let is_partition = kind.id().starts_with("partition-")
            || of_partition.iter().any(|other| other.id() == kind.id());
        kind.public.level == Level::Table
            && !kind.is_vague()
            && (has(&TABLE_KIND)
                || is_partition && (has(&PARTITION_ADDED) || has(&PARTITION_REMOVED)))
    }

    /// True if both are the file of the same path.
    fn is_pair(&mut self, volume: VolumeNumber, a: NodeId, b: NodeId) -> bool {
        if let Some((of, last_a, last_b, is_pair)) = self.last_pair
            && (of, last_a, last_b) == (volume, a, b)
        {
            return is_pair;
        }
        let trees = self.known.trees.get(&volume);
        let is_pair = trees.is_some_and(|(_, common)| common.binary_search(&(a, b)).is_ok());
        self.last_pair = Some((volume, a, b, is_pair));
        is_pair
    }

    /// Tells of what is not told yet, and how much each accounts for.
    fn tell(mut self, compared: u64, out: &mut Out) -> ByteTotals {
        let explained = self.differ - self.unexplained;
        // Those of which files are known first: the others may be of the same kind as one of them.
        let (mut known, other): (Vec<_>, Vec<_>) = std::mem::take(&mut self.same)
            .into_iter()
            .partition(|((volume, _), same)| out.has(*volume, same.kind));
        known.extend(other.into_iter().map(|(key, same)| {
            let is_file = same.kind.public.level == Level::Files;
            (key, Same { kind: if is_file { same.other } else { same.kind }, ..same })
        }));
        for ((volume, _), same) in known {
            if !out.has(volume, same.kind) && self.is_told(volume, same.kind, out) {
                continue;
            }
            if !out.has(volume, same.kind) {
                let told = Told { volume, place: &same.place };
                let mut difference = told.difference(same.kind, &same.place);
                difference.at.space = Some(ImageSpace::Raw);
                difference.at.a = Some(same.first);
                difference.at.b = Some(same.first);
                let trees = self.known.trees.get(&volume);
                let named = trees.map(|(tree, _)| names(tree, &same.examples)).unwrap_or_default();
                if same.elements > 1 {
                    difference.at.structure = format!("{} ({} of them)", same.place, same.elements);
                }
                difference.at.path = named.first().cloned();
                out.push(volume, same.kind, difference);
            }
            out.count_bytes(volume, same.kind, same.bytes);
        }
        for Unknown { place, start, end, bytes } in std::mem::take(&mut self.unknown) {
            let told = Told { volume: 0, place: &place };
            let mut difference = told.difference(&BYTES, &place);
            difference.at = Place {
                space: Some(ImageSpace::Raw),
                a: Some(start),
                b: Some(start),
                ..difference.at
            };
            let len = end - start;
            difference.sizes = Some(image_model::Sizes { a: Some(len), b: Some(len) });
            difference.bytes = Some(bytes);
            out.push(0, &BYTES, difference);
        }
        out.omit(0, &BYTES, self.unknown_omitted);
        ByteTotals { compared, differ: self.differ, explained }
    }
}

/// The paths of the files that are described at these places.
fn names(tree: &Tree, places: &[u64]) -> Vec<String> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for id in std::iter::once(Tree::ROOT).chain(tree.below(Tree::ROOT)) {
        let at = tree.node(id).offset;
        if let Some(index) = places.iter().position(|place| Some(*place) == at) {
            found.push((index, display(&tree.path(id))));
        }
        if found.len() == places.len() {
            break;
        }
    }
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}
