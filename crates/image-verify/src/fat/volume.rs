//! The files of a volume that was found to be safe: a second, plain walk, because what judges needs
//! no names in memory.

use std::collections::BTreeMap;

use image_formats::{
    bytes::{ReadError, Region},
    fat::{
        Cluster, Entry, Geometry, LongName, LongNames, RootDirectory, Slot, Table, raw::DirEntry,
        short_name,
    },
    units::ByteOffset,
};

use super::{
    Judged, LIMITS,
    boot::sector,
    directories::{MAX_DEPTH, SLOT},
    files::FatFiles,
    paths::Directories,
};
use crate::{
    Recorder,
    tree::{Kind, Metadata, NodeId, Tree},
    volume::{Family, Trouble, Volume},
};

/// Opens a volume.
pub(super) fn open(
    region: &Region,
    name: &str,
    trouble: &Trouble,
    judged: Judged,
    out: &mut Recorder,
) -> Result<Option<Volume>, ReadError> {
    let Judged { boot, tables, label, .. } = judged;
    let mut tree = Tree::of_volume(format!("{name}, FAT directory entry"), SLOT);
    let geometry = boot.geometry;
    let mut walk = Walk { region, geometry: &geometry, table: tables.first, tree: &mut tree };
    walk.all()?;
    let fat = walk.table.region().clone();
    let at = sector(0, 512).location(region, name, &Directories::new());
    if !out.expect(&LIMITS, tree.is_complete(), || {
        (at.clone(), "more files than are read: what is in them is not judged".to_owned())
    }) {
        return Ok(None);
    }
    let trouble = trouble.clone();
    Ok(Some(Volume {
        name: name.to_owned(),
        family: Family::Fat,
        format: "vfat",
        label,
        uuid: boot.uuid(),
        free_bytes: u64::from(tables.free) * geometry.cluster_size,
        free_inodes: None,
        random_seed: None,
        at,
        tree,
        files: Box::new(FatFiles { region: region.clone(), geometry, fat, trouble }),
    }))
}

/// A directory that is to be read.
struct Pending {
    node: NodeId,
    depth: u32,
    first: Cluster,
}

struct Walk<'a> {
    region: &'a Region,
    geometry: &'a Geometry,
    table: Table,
    tree: &'a mut Tree,
}

impl Walk<'_> {
    fn all(&mut self) -> Result<(), ReadError> {
        let mut pending = Vec::new();
        let offset = match self.geometry.root {
            RootDirectory::Region { offset, len } => {
                let root = Pending { node: Tree::ROOT, depth: 0, first: Cluster(0) };
                let mut slots = Slots::default();
                self.slots(&root, &mut slots, offset, len, &mut pending)?;
                offset
            }
            RootDirectory::Chain(first) => {
                pending.push(Pending { node: Tree::ROOT, depth: 0, first });
                self.geometry.offset(first).unwrap_or(0)
            }
        };
        self.tree.set_root(Metadata {
            kind: Kind::Directory(BTreeMap::new()),
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            size: 0,
            offset: self.region.absolute(offset),
        });
        // Bounded: no cluster belongs to two directories, and a full tree takes no more.
        while let Some(directory) = pending.pop() {
            let mut slots = Slots::default();
            let mut at = Some(directory.first);
            while let Some(cluster) = at.filter(|_| !slots.ended) {
                let Some(offset) = self.geometry.offset(cluster) else { break };
                let len = self.geometry.cluster_size;
                self.slots(&directory, &mut slots, offset, len, &mut pending)?;
                at = match self.table.get(cluster)? {
                    Entry::Next(next) => Some(next),
                    Entry::Free | Entry::Bad | Entry::End => None,
                };
            }
        }
        Ok(())
    }

    fn slots(
        &mut self,
        directory: &Pending,
        slots: &mut Slots,
        offset: u64,
        len: u64,
        pending: &mut Vec<Pending>,
    ) -> Result<(), ReadError> {
        let bytes = self.region.bytes("FAT directory", offset, len, len)?;
        let (chunks, _) = bytes.as_chunks::<{ DirEntry::SIZE }>();
        for (at, slot) in (offset..).step_by(DirEntry::SIZE).zip(chunks) {
            match Slot::of(*slot) {
                Slot::End => {
                    slots.ended = true;
                    return Ok(());
                }
                Slot::Free => slots.long = LongNames::default(),
                Slot::Long(piece) => {
                    slots.long.piece(&piece, |_| ());
                }
                Slot::Short(entry) => {
                    let long = slots.long.finish(&entry.name).ok().flatten();
                    // These were judged by where they lead, which nobody follows: a long name does
                    // not make another file of them.
                    let dots = matches!(entry.name, DirEntry::DOT | DirEntry::DOT_DOT);
                    if !entry.is_label() && !dots {
                        pending.extend(self.add(directory, &entry, long, at)?);
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds a file to the tree, and returns what is to be read of it.
    fn add(
        &mut self,
        directory: &Pending,
        entry: &DirEntry,
        long: Option<LongName>,
        at: u64,
    ) -> Result<Option<Pending>, ReadError> {
        let long = long.filter(|long| long.regular);
        let name = long.map_or_else(|| short_name(entry), |long| long.text());
        // A name that is none was reported, and so was one that is there already.
        if matches!(name.as_str(), "" | "." | "..") || name.contains(['/', '\0']) {
            return Ok(None);
        }
        let is_directory = entry.is_directory();
        let first = entry.first_cluster(self.geometry.width);
        let size = if is_directory { self.len(first)? } else { entry.file_size.get().into() };
        let kind = if is_directory { Kind::Directory(BTreeMap::new()) } else { Kind::File(None) };
        let metadata = Metadata {
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: entry.modified().unwrap_or(0),
            size,
            offset: ByteOffset(self.region.absolute(at).0),
        };
        let node = self.tree.add_child(directory.node, name.as_bytes(), metadata);
        let depth = directory.depth + 1;
        let node = node.filter(|_| is_directory && depth <= MAX_DEPTH);
        Ok(node.map(|node| Pending { node, depth, first }))
    }

    /// Bytes of all clusters of a directory.
    fn len(&mut self, first: Cluster) -> Result<u64, ReadError> {
        let (mut len, mut at) = (self.geometry.cluster_size, first);
        // A chain that was judged ends. What was not ends here.
        for _ in 0..self.geometry.clusters {
            let Some(Entry::Next(next)) =
                self.geometry.offset(at).map(|_| self.table.get(at)).transpose()?
            else {
                break;
            };
            (len, at) = (len + self.geometry.cluster_size, next);
        }
        Ok(len)
    }
}

/// What is known of a directory while it is read.
#[derive(Default)]
struct Slots {
    long: LongNames,
    ended: bool,
}
