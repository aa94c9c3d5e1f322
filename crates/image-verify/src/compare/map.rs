//! Which structure each byte of an image belongs to.

use super::{fields::Field, kinds::Kind, out::VolumeNumber};
use crate::tree::NodeId;

/// The fields of a structure, and what the bytes between them are.
#[derive(Debug)]
pub(super) struct Table {
    /// In the order of their offsets.
    pub(super) fields: &'static [Field],
    pub(super) rest: &'static Kind,
    /// What differs where a field does, and no file with it: another file is described there.
    pub(super) other: &'static Kind,
}

/// What a part of an image is.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// A structure of which no fields are told apart.
    Kind(&'static Kind),
    /// Structures of `stride` bytes, one after the other.
    Fields { table: &'static Table, stride: u32, node: Option<NodeId> },
    /// The content of a file, from this byte of it on.
    Content { node: NodeId, from: u64 },
}

/// A part of an image.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: u64,
    end: u64,
    what: What,
    place: u32,
}

/// The parts of one structure that holds others: a disk, a file system.
#[derive(Debug)]
pub(super) struct Layer {
    volume: VolumeNumber,
    parts: Vec<Part>,
}

/// All parts of an image: what is in a part is in a layer that comes later.
#[derive(Debug, Default)]
pub(super) struct Map {
    layers: Vec<Layer>,
    places: Vec<String>,
}

impl Map {
    /// Starts a layer.
    pub(super) fn layer(&mut self, volume: VolumeNumber) -> Builder<'_> {
        Builder { map: self, layer: Layer { volume, parts: Vec::new() } }
    }

    pub(super) fn place(&self, place: u32) -> &str {
        self.places.get(place as usize).map_or("", String::as_str)
    }

    /// A reader that goes from the first byte to the last.
    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor { map: self, at: vec![0; self.layers.len()] }
    }
}

/// Adds parts to a layer.
pub(super) struct Builder<'m> {
    map: &'m mut Map,
    layer: Layer,
}

impl Builder<'_> {
    /// Gives a structure a name.
    pub(super) fn name(&mut self, name: String) -> u32 {
        self.map.places.push(name);
        u32::try_from(self.map.places.len() - 1).unwrap_or(u32::MAX)
    }

    /// Adds a part. Where two share bytes, the one that starts first has them.
    pub(super) fn add(&mut self, start: u64, len: u64, what: What, place: u32) {
        if len > 0 {
            let end = start.saturating_add(len);
            self.layer.parts.push(Part { start, end, what, place });
        }
    }

    /// Adds one structure with fields.
    pub(super) fn fields(&mut self, start: u64, stride: u32, table: &'static Table, place: u32) {
        let what = What::Fields { table, stride, node: None };
        self.add(start, stride.into(), what, place);
    }

    pub(super) fn finish(mut self) {
        let parts = &mut self.layer.parts;
        parts.sort_by_key(|part| (part.start, std::cmp::Reverse(part.end)));
        let mut end = 0;
        for part in parts.iter_mut() {
            if part.start < end {
                // What of a repeated structure or of a file is cut off at the front counts on.
                if let What::Content { from, .. } = &mut part.what {
                    *from = from.saturating_add(end.min(part.end) - part.start);
                }
                part.start = end.min(part.end);
            }
            end = end.max(part.end);
        }
        parts.retain(|part| part.start < part.end);
        self.map.layers.push(self.layer);
    }
}

/// What a stretch of bytes is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meaning {
    /// Of a structure. `element`: where that starts, of several alike.
    Kind {
        volume: VolumeNumber,
        kind: &'static Kind,
        place: u32,
        element: Option<u64>,
        node: Option<NodeId>,
        /// [`Table::other`].
        other: &'static Kind,
    },
    /// Of a file: the byte of the image at which its byte 0 would be.
    Content { volume: VolumeNumber, node: NodeId, origin: i128 },
    /// Nobody knows.
    Unknown,
}

impl Meaning {
    pub(super) fn volume(self) -> Option<VolumeNumber> {
        match self {
            Self::Kind { volume, .. } | Self::Content { volume, .. } => Some(volume),
            Self::Unknown => None,
        }
    }

    /// True for bytes of which no more is known than what is around them.
    pub(super) fn is_vague(self) -> bool {
        match self {
            Self::Kind { kind, .. } => kind.is_vague(),
            Self::Content { .. } => false,
            Self::Unknown => true,
        }
    }
}

/// Goes through a map.
pub(super) struct Cursor<'m> {
    map: &'m Map,
    /// The next part of each layer.
    at: Vec<usize>,
}

impl Cursor<'_> {
    /// What the byte at `offset` is, and where a stretch ends of which all is the same. Offsets
    /// come in ascending order.
    pub(super) fn look(&mut self, offset: u64) -> (Meaning, u64) {
        let mut limit = u64::MAX;
        for (layer, at) in self.map.layers.iter().zip(&mut self.at).rev() {
            while layer.parts.get(*at).is_some_and(|part| part.end <= offset) {
                *at += 1;
            }
            let Some(part) = layer.parts.get(*at) else { continue };
            if part.start > offset {
                limit = limit.min(part.start);
                continue;
            }
            let (meaning, end) = part.look(layer.volume, offset);
            return (meaning, end.min(part.end).min(limit));
        }
        (Meaning::Unknown, limit)
    }
}

impl Part {
    fn look(&self, volume: VolumeNumber, offset: u64) -> (Meaning, u64) {
        let place = self.place;
        match self.what {
            What::Kind(kind) => {
                let (element, node) = (None, None);
                (Meaning::Kind { volume, kind, place, element, node, other: kind }, self.end)
            }
            What::Content { node, from } => {
                let origin = i128::from(self.start) - i128::from(from);
                (Meaning::Content { volume, node, origin }, self.end)
            }
            What::Fields { table, stride, node } => {
                let stride = u64::from(stride.max(1));
                let start = offset - (offset - self.start) % stride;
                let within = offset - start;
                let after = table.fields.partition_point(|field| u64::from(field.at) <= within);
                let last = after.checked_sub(1).and_then(|index| table.fields.get(index));
                let of_field = last
                    .map(|field| (field.kind, u64::from(field.at) + u64::from(field.len)))
                    .filter(|(_, end)| within < *end);
                let next = table.fields.get(after).map_or(stride, |field| u64::from(field.at));
                let (kind, end) = of_field.unwrap_or((table.rest, next));
                let end = start.saturating_add(end.min(stride));
                let (element, other) = (Some(start), table.other);
                (Meaning::Kind { volume, kind, place, element, node, other }, end)
            }
        }
    }
}
