//! Where the bytes of an image are: a tree of partitions, file systems, store paths, directories and
//! files.
//!
//! What counts is contents: a file counts with its size, wherever it lies and whatever compresses
//! it, and once if it has several names. Whatever is divided is the sum of its parts: the rest, such
//! as free space, has a part of its own. So a compressed file system counts with more bytes than it
//! takes, and says how many those are.

mod measure;
mod references;
mod svg;
#[cfg(test)]
mod tests;
mod tree;
mod treemap;

use std::collections::{BTreeMap, HashSet};

use image_formats::nix::store_path::BaseName;
use image_verify::{
    disc::Disc,
    disk::{Disk, Partition},
    opened::Opened,
    store,
    tree::{Kind as NodeKind, NodeId, Tree, display},
    volume::{Family, Volume},
};

pub use measure::{MeasureError, Measured, measure, measure_folder};
pub(crate) use svg::human;
pub use svg::{style, svg};
pub use tree::{Branch, Entry, EntryId, Kind, Sizes};
#[cfg(test)]
use treemap::Rect;

/// What comes after the name of an image in the name of its treemap.
pub const SVG: &str = "sizes.svg";

impl Sizes {
    /// Of an opened image called `name`, of `raw` bytes.
    pub fn of(opened: &Opened, name: &str, raw: u64) -> Self {
        let mut sizes = Builder::new(name);
        match opened {
            Opened::Disk(disk) => sizes.disk(disk),
            Opened::Disc(disc) => sizes.disc(disc),
            Opened::Archive(volume) => {
                sizes.volume(Sizes::ROOT, volume, &BTreeMap::new(), Some(raw));
            }
            Opened::Closed(_) => sizes.part(Sizes::ROOT, Kind::File, "what is in it", raw),
        }
        sizes.finish()
    }

    /// Of a file system called `name` that is in no image.
    pub fn of_volume(volume: &Volume, name: &str) -> Self {
        let mut sizes = Builder::new(name);
        sizes.volume(Sizes::ROOT, volume, &BTreeMap::new(), None);
        sizes.finish()
    }
}

/// File systems in files of another one.
type Nested<'a> = BTreeMap<NodeId, &'a Volume>;

struct Builder {
    sizes: Sizes,
    /// Parts whose rest is told, with what it is called and how many bytes they take.
    rests: BTreeMap<EntryId, (u64, &'static str)>,
}

impl Builder {
    fn new(name: &str) -> Self {
        Self { sizes: Sizes::new(name), rests: BTreeMap::new() }
    }

    fn part(&mut self, parent: EntryId, kind: Kind, name: &str, bytes: u64) {
        self.sizes.push(parent, kind, name.into(), bytes);
    }

    fn disk(&mut self, disk: &Disk) {
        if let ([Partition { volume: Some(volume), .. }], None) = (&disk.partitions[..], disk.table)
        {
            return self.volume(Sizes::ROOT, volume, &BTreeMap::new(), Some(disk.bytes.len()));
        }
        for partition in &disk.partitions {
            let len = partition.region.len();
            let name = match &partition.volume {
                Some(volume) if volume.label.is_empty() => {
                    format!("{} ({})", partition.name(), volume.format)
                }
                Some(volume) => {
                    let label = display(volume.label.as_bytes());
                    format!("{} ({}, {label})", partition.name(), volume.format)
                }
                None => format!("{} ({})", partition.name(), partition.content.as_str()),
            };
            match &partition.volume {
                Some(volume) => {
                    let entry = self.sizes.push(Sizes::ROOT, Kind::Partition, name.into(), 0);
                    self.volume(entry, volume, &BTreeMap::new(), Some(len));
                }
                None => self.part(Sizes::ROOT, Kind::Partition, &name, len),
            }
        }
        self.rests.insert(Sizes::ROOT, (disk.bytes.len(), "outside of partitions"));
    }

    fn disc(&mut self, disc: &Disc) {
        let Some(volume) = &disc.volume else {
            let what = "what no file system that can be read leads to";
            return self.part(Sizes::ROOT, Kind::Rest, what, disc.bytes.len());
        };
        let mut nested: Nested<'_> = disc.squashfs.iter().map(|(id, inner)| (*id, inner)).collect();
        let mut elsewhere: Vec<&Volume> = Vec::new();
        for image in &disc.boot {
            match (image.file, image.volume.as_deref()) {
                (Some(id), Some(inner)) => {
                    nested.insert(id, inner);
                }
                (None, Some(inner)) => elsewhere.push(inner),
                (_, None) => {}
            }
        }
        // What firmware finds by a partition table is most often one of those.
        for inner in &disc.stick.efi {
            let known =
                nested.values().chain(&elsewhere).any(|known| std::ptr::eq(*known, &**inner));
            if !known {
                let start = inner.at.offset;
                let is_it = |id: &NodeId| {
                    volume.region(*id).is_some_and(|region| region.start().0 == start)
                };
                match volume.tree.below(Tree::ROOT).find(is_it) {
                    Some(id) => {
                        nested.entry(id).or_insert(inner);
                    }
                    None => elsewhere.push(inner),
                }
            }
        }
        for inner in elsewhere {
            let name = format!("{} ({})", inner.name, inner.format);
            let entry = self.sizes.push(Sizes::ROOT, Kind::FileSystem, name.into(), 0);
            self.volume(entry, inner, &BTreeMap::new(), None);
        }
        self.volume(Sizes::ROOT, volume, &nested, Some(disc.bytes.len()));
    }

    /// What is in a file system, which takes `len` bytes where that is known.
    fn volume(&mut self, at: EntryId, volume: &Volume, nested: &Nested<'_>, len: Option<u64>) {
        // Bounded: a file system in a file has none in a file of its own.
        for (entry, inner, size) in self.files(at, volume, nested) {
            self.files(entry, inner, &BTreeMap::new());
            self.rest(entry, inner, Some(size));
        }
        self.rest(at, volume, len);
    }

    /// What of a file system is no file.
    fn rest(&mut self, at: EntryId, volume: &Volume, len: Option<u64>) {
        if volume.free_bytes != 0 {
            self.part(at, Kind::Free, "free", volume.free_bytes);
        }
        if let Some(len) = len {
            let what = match volume.family {
                Family::Tar => "headers and padding",
                _ => "metadata and padding",
            };
            self.rests.insert(at, (len, what));
        }
    }

    /// The files of a file system; those that are one themselves are given back.
    fn files<'v>(
        &mut self,
        at: EntryId,
        volume: &Volume,
        nested: &Nested<'v>,
    ) -> Vec<(EntryId, &'v Volume, u64)> {
        let tree = &volume.tree;
        let found = store::find(volume);
        let store = found.map(|store| store.root);
        let mut paths = Vec::new();
        let mut seen = HashSet::new();
        let mut inside = Vec::new();
        let mut store_entry = None;
        // Directories are numbered before what is in them.
        let mut todo = vec![(Tree::ROOT, at)];
        while let Some((directory, parent)) = todo.pop() {
            for (name, id) in tree.children(directory) {
                if !seen.insert(id) {
                    continue;
                }
                let node = tree.node(id);
                let is_store_path = store == Some(directory) && BaseName::parse(name).is_some();
                if is_store_path || store == Some(id) {
                    store_entry.get_or_insert_with(|| {
                        self.sizes.push(at, Kind::Store, "Nix store".into(), 0)
                    });
                }
                let parent = store_entry.filter(|_| is_store_path).unwrap_or(parent);
                let text = display(name).into_boxed_str();
                let is_directory = matches!(node.kind, NodeKind::Directory(_));
                let entry = match (is_directory, nested.get(&id)) {
                    (true, _) if store == Some(id) => store_entry.unwrap_or(parent),
                    (true, _) => {
                        let kind = if is_store_path { Kind::StorePath } else { Kind::Directory };
                        self.sizes.push(parent, kind, text, 0)
                    }
                    (false, Some(inner)) => {
                        let name = format!("{text} ({})", inner.format).into();
                        let entry = self.sizes.push(parent, Kind::FileSystem, name, 0);
                        inside.push((entry, *inner, node.size));
                        entry
                    }
                    (false, None) => {
                        let kind = if is_store_path { Kind::StorePath } else { Kind::File };
                        let is_file = matches!(node.kind, NodeKind::File(_));
                        self.sizes.push(parent, kind, text, if is_file { node.size } else { 0 })
                    }
                };
                if is_store_path {
                    paths.push((name, entry));
                }
                if is_directory {
                    todo.push((id, entry));
                }
            }
        }
        self.sizes.links.push(references::links(found, &paths));
        inside
    }

    fn finish(self) -> Sizes {
        let Self { mut sizes, rests } = self;
        sizes.sum(&rests);
        sizes
    }
}
