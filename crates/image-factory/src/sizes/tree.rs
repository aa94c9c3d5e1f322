//! The tree of sizes, flat: whoever made an image may have nested directories as deep as there is
//! room for.

use std::{collections::BTreeMap, ops::Range};

use serde::Serialize;

use super::references::Links;

/// Where the bytes of an image are.
#[derive(Clone, Debug)]
pub struct Sizes {
    entries: Vec<Entry>,
    /// All entries but the root: by parent, and the largest first.
    order: Vec<EntryId>,
    /// For each entry, where those in it are in `order`.
    children: Vec<Range<u32>>,
    pub(super) links: Vec<Links>,
}

/// A place in [`Sizes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(u32);

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The whole image.
    Image,
    /// A partition, with what is in it.
    Partition,
    /// A file system in a file of another one.
    FileSystem,
    /// All store paths of a file system.
    Store,
    /// A path of a Nix store.
    StorePath,
    /// A directory.
    Directory,
    /// A file.
    File,
    /// Where there is room for files.
    Free,
    /// What is none of the others: tables, metadata, padding.
    Rest,
}

/// A part of an image.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// What it is called, for people: what is not printable is escaped.
    pub name: Box<str>,
    /// Bytes of contents: as many as all that is in it has.
    pub bytes: u64,
    /// The bytes that it takes in the image, where those are fewer: it is compressed, has holes, or
    /// shares some.
    pub stored: Option<u64>,
    /// Of a store path: bytes of all store paths that come with it, its own among them.
    pub with_references: Option<u64>,
    parent: EntryId,
}

/// What is in an entry, for people: the largest ones, and the others together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// One of them.
    Entry(EntryId),
    /// Those that are smaller.
    Others {
        /// How many there are.
        count: usize,
        /// Their bytes.
        bytes: u64,
    },
}

impl Sizes {
    /// The image.
    pub const ROOT: EntryId = EntryId(0);

    pub(super) fn new(name: &str) -> Self {
        let mut new = Self {
            entries: Vec::new(),
            order: Vec::new(),
            children: Vec::new(),
            links: Vec::new(),
        };
        new.push(Self::ROOT, Kind::Image, name.into(), 0);
        new
    }

    /// Adds a part; those in which it is were added before it.
    pub(super) fn push(
        &mut self,
        parent: EntryId,
        kind: Kind,
        name: Box<str>,
        bytes: u64,
    ) -> EntryId {
        // A tree of files has 2^21 nodes at most, and there are some hundred of them.
        let id = EntryId(u32::try_from(self.entries.len()).expect("fewer entries than 2^32"));
        let (stored, with_references) = (None, None);
        self.entries.push(Entry { kind, name, bytes, stored, with_references, parent });
        id
    }

    /// Adds the bytes of all parts up, and what is left of those whose length is known.
    pub(super) fn sum(&mut self, rests: &BTreeMap<EntryId, (u64, &'static str)>) {
        for index in (0..self.entries.len()).rev() {
            let id = EntryId(index as u32);
            if let Some((len, name)) = rests.get(&id) {
                match len.checked_sub(self.entry(id).bytes) {
                    Some(0) => {}
                    Some(rest) => {
                        self.push(id, Kind::Rest, (*name).into(), rest);
                        self.entry_mut(id).bytes = *len;
                    }
                    None => self.entry_mut(id).stored = Some(*len),
                }
            }
            let Entry { bytes, parent, .. } = self.entries[index];
            if id != Self::ROOT {
                let parent = self.entry_mut(parent);
                parent.bytes = parent.bytes.saturating_add(bytes);
            }
        }
        self.sort();
        self.count_references();
    }

    /// Puts the parts of each part together, the largest first.
    fn sort(&mut self) {
        let mut order: Vec<EntryId> = (1..self.entries.len() as u32).map(EntryId).collect();
        order.sort_unstable_by(|a, b| {
            let (one, other) = (self.entry(*a), self.entry(*b));
            let by_size = other.bytes.cmp(&one.bytes);
            let by_name = || (&one.name, one.kind, a).cmp(&(&other.name, other.kind, b));
            one.parent.cmp(&other.parent).then(by_size).then_with(by_name)
        });
        self.children = vec![0..0; self.entries.len()];
        for (at, id) in order.iter().enumerate() {
            let parent = self.entries[id.0 as usize].parent;
            let range = &mut self.children[parent.0 as usize];
            if range.start == range.end {
                *range = at as u32..at as u32;
            }
            range.end += 1;
        }
        self.order = order;
    }

    /// A part.
    pub fn entry(&self, id: EntryId) -> &Entry {
        &self.entries[id.0 as usize]
    }

    pub(super) fn entry_mut(&mut self, id: EntryId) -> &mut Entry {
        &mut self.entries[id.0 as usize]
    }

    /// The parts of a part, the largest first.
    pub fn children(&self, id: EntryId) -> &[EntryId] {
        let Range { start, end } = self.children[id.0 as usize].clone();
        &self.order[start as usize..end as usize]
    }

    /// The first `top` parts of a part, and the others together; where that is only one, itself.
    pub fn branches(&self, id: EntryId, top: usize) -> Vec<Branch> {
        let children = self.children(id);
        let told = if children.len() == top.saturating_add(1) { top + 1 } else { top };
        let (told, others) = children.split_at(told.min(children.len()));
        let mut branches: Vec<_> = told.iter().copied().map(Branch::Entry).collect();
        if !others.is_empty() {
            let bytes = others.iter().map(|id| self.entry(*id).bytes);
            let bytes = bytes.fold(0, u64::saturating_add);
            branches.push(Branch::Others { count: others.len(), bytes });
        }
        branches
    }
}
