//! The directories that were found, and paths to what is in them.
//!
//! A path is made where a finding needs it: what is kept of a directory is where it lies, which one
//! it is in, and its name, as long as there is room for names.

use std::ops::Range;

use image_formats::{
    bytes::Region,
    fat::{Cluster, LongName, raw::DirEntry, short_name},
};
use zerocopy::transmute;

use crate::tree::display;

/// The most directories that are read, the root included: each is 40 bytes in memory.
pub(super) const MAX_DIRECTORIES: usize = 1 << 20;

/// The most bytes of names that are kept. Directories that come later are called by their 8.3
/// names.
const MAX_NAMES: usize = 16 << 20;

/// How many of the last names of a path are shown at most.
const MAX_SHOWN: usize = 32;

/// A directory, by its place in [`Directories`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct DirectoryId(u32);

impl DirectoryId {
    pub(super) const ROOT: Self = Self(0);
}

/// A directory that was found.
pub(super) struct Directory {
    pub(super) parent: DirectoryId,
    /// How many directories are above it.
    pub(super) depth: u32,
    /// Its first cluster; 0 for the root, as its children have it.
    pub(super) first: Cluster,
    /// How many clusters are its own.
    pub(super) clusters: u32,
    /// Its entry, from the start of the volume.
    entry: u64,
    /// Its name, in the names of all; empty where that was not kept.
    name: Range<u32>,
}

/// The directories that were found, parents first.
pub(super) struct Directories {
    list: Vec<Directory>,
    names: String,
}

impl Directories {
    /// Only the root.
    pub(super) fn new() -> Self {
        let root = Directory {
            parent: DirectoryId::ROOT,
            depth: 0,
            first: Cluster(0),
            clusters: 0,
            entry: 0,
            name: 0..0,
        };
        Self { list: vec![root], names: String::new() }
    }

    pub(super) fn get(&self, id: DirectoryId) -> &Directory {
        &self.list[id.0 as usize]
    }

    /// Adds a directory, or nothing where there are too many.
    pub(super) fn add(
        &mut self,
        parent: DirectoryId,
        name: Name<'_>,
        entry: u64,
        first: Cluster,
        clusters: u32,
    ) -> Option<DirectoryId> {
        if self.list.len() >= MAX_DIRECTORIES {
            return None;
        }
        let start = self.names.len() as u32;
        if self.names.len() < MAX_NAMES {
            self.names.push_str(&name.text());
        }
        let depth = self.get(parent).depth + 1;
        let name = start..self.names.len() as u32;
        let id = DirectoryId(self.list.len() as u32);
        self.list.push(Directory { parent, depth, first, clusters, entry, name });
        Some(id)
    }

    /// The path of a file in a directory, or of the directory itself, for people.
    pub(super) fn path(&self, region: &Region, id: DirectoryId, file: Option<Name<'_>>) -> String {
        let mut names: Vec<String> = file.iter().map(Name::text).collect();
        let mut at = id;
        while at != DirectoryId::ROOT && names.len() < MAX_SHOWN {
            let directory = self.get(at);
            let name = &self.names[directory.name.start as usize..directory.name.end as usize];
            names.push(if name.is_empty() {
                short(region, directory.entry)
            } else {
                name.to_owned()
            });
            at = directory.parent;
        }
        if at != DirectoryId::ROOT {
            names.push("…".to_owned());
        }
        let path: String = names.iter().rev().flat_map(|name| ["/", name]).collect();
        if path.is_empty() { "/".to_owned() } else { display(path.as_bytes()) }
    }
}

/// The 8.3 name in the entry at `at`, where it still can be read.
fn short(region: &Region, at: u64) -> String {
    let bytes = region.array::<{ DirEntry::SIZE }>("FAT directory entry", at);
    bytes.map_or_else(|_| "…".to_owned(), |bytes| short_name(&transmute!(bytes)))
}

/// The name of a file, made where it is needed.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) entry: &'a DirEntry,
    pub(super) long: Option<&'a LongName>,
}

impl Name<'_> {
    /// The long one, where there is one that Linux and Windows show.
    pub(super) fn text(&self) -> String {
        let long = self.long.filter(|long| long.regular);
        long.map_or_else(|| short_name(self.entry), LongName::text)
    }
}

/// Whose bytes a place in the volume is.
#[derive(Clone, Copy)]
pub(super) enum Whose<'a> {
    Nobody,
    Directory(DirectoryId),
    File(DirectoryId, Name<'a>),
}
