//! The directories that were found, and paths to what is in them.
//!
//! A path is made where a finding needs it, from the records that lead to it: no names are kept.

use std::hash::{DefaultHasher, Hasher as _};

use image_formats::{
    bytes::Region,
    iso9660::{Block, MAX_RECORD, Record, joliet_name, primary_name},
};

use super::rock_ridge::Naming;

use crate::tree::display;

/// The most directories of a tree that are read, the root included.
pub(super) const MAX_DIRECTORIES: usize = 1 << 20;

/// How many of the last names of a path are shown at most.
const MAX_SHOWN: usize = 32;

/// Which characters the names of a tree have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Those of the primary tree.
    Primary,
    /// UTF-16 of Joliet.
    Joliet,
    /// Any bytes: an enhanced volume descriptor, or a supplementary one that nobody knows.
    Bytes,
}

impl Names {
    /// A name, as people know it.
    pub(super) fn text(self, identifier: &[u8]) -> Vec<u8> {
        match self {
            Self::Primary | Self::Bytes => primary_name(identifier).to_vec(),
            Self::Joliet => joliet_name(identifier).into_bytes(),
        }
    }
}

/// A directory: the tree that it is in, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirectoryId {
    pub(super) tree: u8,
    pub(super) index: u32,
}

impl DirectoryId {
    /// The root of a tree.
    pub(super) fn root(tree: u8) -> Self {
        Self { tree, index: 0 }
    }

    pub(super) fn is_root(self) -> bool {
        self.index == 0
    }
}

/// A directory that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory {
    /// Its place in the tree; of the root it is the root.
    pub(super) parent: u32,
    /// How many directories are above it.
    pub(super) depth: u32,
    /// As its record has it.
    pub(super) extent: Block,
    pub(super) extended_attribute_len: u8,
    pub(super) data_len: u32,
    /// Its record, from the start of the volume.
    pub(super) record: u64,
    /// Of its identifier.
    pub(super) hash: u64,
}

/// The same for the same bytes.
pub(super) fn hash(identifier: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(identifier);
    hasher.finish()
}

/// All directories of all trees, parents first.
pub(super) struct Trees<'a> {
    region: &'a Region,
    list: Vec<(Names, Vec<Directory>)>,
    /// What reads the names of Rock Ridge in the first tree.
    naming: Option<Naming>,
}

impl<'a> Trees<'a> {
    pub(super) fn new(region: &'a Region) -> Self {
        Self { region, list: Vec::new(), naming: None }
    }

    /// Starts a tree.
    pub(super) fn start(&mut self, names: Names, root: Directory) -> DirectoryId {
        let tree = self.list.len() as u8;
        self.list.push((names, vec![root]));
        DirectoryId::root(tree)
    }

    /// The first tree has the names of Rock Ridge.
    pub(super) fn set_naming(&mut self, naming: Naming) {
        self.naming = Some(naming);
    }

    pub(super) fn get(&self, id: DirectoryId) -> &Directory {
        &self.list[usize::from(id.tree)].1[id.index as usize]
    }

    /// How many directories a tree has.
    pub(super) fn len(&self, tree: u8) -> usize {
        self.list[usize::from(tree)].1.len()
    }

    /// Adds a directory, or nothing where there are too many.
    pub(super) fn add(&mut self, tree: u8, directory: Directory) -> Option<DirectoryId> {
        let (_, list) = &mut self.list[usize::from(tree)];
        let index = list.len();
        (index < MAX_DIRECTORIES).then_some(())?;
        list.push(directory);
        Some(DirectoryId { tree, index: index as u32 })
    }

    /// True if a directory is in another one, at whatever depth, or the same.
    pub(super) fn is_below(&self, mut id: DirectoryId, other: DirectoryId) -> bool {
        // Bounded: parents are found before their children.
        while id.index > other.index {
            id.index = self.get(id).parent;
        }
        id == other
    }

    /// The path for people of what a place belongs to.
    pub(super) fn path(&self, whose: Whose<'_>) -> Option<String> {
        let (mut at, mut names) = match whose {
            Whose::Nobody => return None,
            Whose::Directory(id) => (id, Vec::new()),
            Whose::File(id, record) => (id, vec![self.name(id.tree, record)]),
            Whose::Record(id, record) => (id, vec![self.name_at(id.tree, record)]),
        };
        while !at.is_root() && names.len() < MAX_SHOWN {
            let Directory { record, parent, .. } = *self.get(at);
            names.push(self.name_at(at.tree, record));
            at.index = parent;
        }
        if !at.is_root() {
            names.push("…".into());
        }
        let path: Vec<u8> =
            names.iter().rev().flat_map(|name| [b"/", &name[..]].concat()).collect();
        Some(if path.is_empty() { "/".to_owned() } else { display(&path) })
    }

    /// The name of a file, as people know it.
    fn name(&self, tree: u8, record: &Record<'_>) -> Vec<u8> {
        let naming = self.naming.as_ref().filter(|_| tree == 0);
        let Some((names, _)) = self.list.get(usize::from(tree)) else { return "…".into() };
        let name = naming.and_then(|naming| naming.name(self.region, record));
        name.unwrap_or_else(|| names.text(record.identifier))
    }

    /// The name in the record at `at`, where it still can be read.
    fn name_at(&self, tree: u8, at: u64) -> Vec<u8> {
        let len = self.region.len().saturating_sub(at).min(MAX_RECORD as u64);
        let bytes = self.region.bytes("directory record", at, len, len).unwrap_or_default();
        let record = Record::parse(&bytes, at).ok().flatten();
        record.map_or("…".into(), |record| self.name(tree, &record))
    }
}

/// Whose bytes a place in the volume is.
#[derive(Clone, Copy)]
pub(super) enum Whose<'a> {
    Nobody,
    Directory(DirectoryId),
    /// A file in a directory, by its record.
    File(DirectoryId, &'a Record<'a>),
    /// A file in a directory, by where its record is.
    Record(DirectoryId, u64),
}
