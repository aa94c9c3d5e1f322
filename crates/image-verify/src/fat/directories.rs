//! Directories and the chains of files: `scan_root` of fsck.fat.

use std::collections::HashSet;

use image_formats::{
    bytes::ReadError,
    fat::{
        Cluster, Entry, Geometry, LongName, LongNames, RootDirectory, Slot, Table,
        raw::{DirEntry, LongEntry},
        short_name,
    },
    units::ByteOffset,
};

use super::{
    ATTRIBUTES, CHAIN_END, CROSS_LINK, CYCLE, DIRECTORY_LENGTH, DIRECTORY_SIZE, DOT, END_MARK,
    FILE_SIZE, FIRST_CLUSTER, Judge, LABEL_ENTRY, LIMITS, Place, boot::Boot, tables::entry,
};
use crate::tree::{Kind, Metadata, NodeId, Tree, display};

/// The most bytes of a directory: 65536 slots. FAT §6.
const MAX_DIRECTORY: u64 = 2 << 20;

/// How deep directories are followed.
const MAX_DEPTH: usize = 128;

/// Bytes of a slot.
const SLOT: u64 = DirEntry::SIZE as u64;

/// What the directories told.
pub(super) struct Found {
    pub(super) tree: Tree,
    /// The clusters of all files and directories.
    pub(super) used: Clusters,
    /// `None` also where there is no root directory.
    pub(super) label: Option<Label>,
    /// There is a root directory.
    pub(super) rooted: bool,
    /// All chains were followed to their ends.
    pub(super) whole: bool,
    /// All chains can be followed by somebody who does not look where he goes.
    pub(super) safe: bool,
}

/// The label in the root directory.
pub(super) struct Label {
    /// As it lies in the boot sector.
    pub(super) name: [u8; 11],
    /// Of its entry.
    pub(super) offset: u64,
}

/// A set of clusters: a bit for each, at most 32 MiB.
pub(super) struct Clusters {
    bits: Vec<u64>,
    len: u32,
}

impl Clusters {
    fn new(geometry: &Geometry) -> Self {
        Self { bits: vec![0; geometry.last().0 as usize / 64 + 1], len: 0 }
    }

    /// How many.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn contains(&self, Cluster(number): Cluster) -> bool {
        self.bits[number as usize / 64] >> (number % 64) & 1 == 1
    }

    fn insert(&mut self, Cluster(number): Cluster) {
        self.bits[number as usize / 64] |= 1 << (number % 64);
        self.len += 1;
    }
}

/// A directory that is still to be read.
struct Directory {
    node: NodeId,
    path: String,
    depth: usize,
    /// Its first cluster, and that of its parent; 0 for the root.
    first: Cluster,
    parent: Cluster,
    extents: Extents,
}

/// Where the slots of a directory are.
enum Extents {
    Region { offset: u64, len: u64 },
    Chain { first: Cluster, clusters: u32 },
}

/// The clusters of a file or directory, as far as they could be followed.
#[derive(Default)]
struct Chain {
    clusters: u32,
    /// It has an end, and nothing on the way to it is wrong.
    sound: bool,
}

struct Walk<'a, 'b> {
    judge: &'a mut Judge<'b>,
    geometry: &'a Geometry,
    table: &'a mut Table,
    found: Found,
    /// The last one is read next.
    pending: Vec<Directory>,
}

impl Judge<'_> {
    /// Reads all directories, parents first.
    pub(super) fn directories(
        &mut self,
        boot: &Boot,
        table: &mut Table,
    ) -> Result<Found, ReadError> {
        let geometry = &boot.geometry;
        let found = Found {
            tree: Tree::of_volume(format!("{}, FAT directory entry", self.name), SLOT),
            used: Clusters::new(geometry),
            label: None,
            rooted: true,
            whole: true,
            safe: true,
        };
        let mut walk = Walk { judge: self, geometry, table, found, pending: Vec::new() };
        walk.root()?;
        // Bounded: a directory is only pending if it has a cluster that no other one had.
        while let Some(directory) = walk.pending.pop() {
            walk.directory(&directory)?;
        }
        let Walk { judge, mut found, .. } = walk;
        let complete = found.tree.is_complete();
        let place = Place { structure: "FAT directories", offset: 0, len: 0, path: None };
        judge.expect(&LIMITS, complete, &place, || "more files than are followed".to_owned());
        found.whole &= complete;
        Ok(found)
    }
}

impl Walk<'_, '_> {
    fn root(&mut self) -> Result<(), ReadError> {
        let extents = match self.geometry.root {
            RootDirectory::Region { offset, len } => Extents::Region { offset, len },
            RootDirectory::Chain(first) => {
                if !self.geometry.contains(first) {
                    (self.found.rooted, self.found.whole) = (false, false);
                    return Ok(());
                }
                let chain = self.chain(first, "/")?;
                self.length(&chain, &entry(self.geometry, first), "/");
                Extents::Chain { first, clusters: chain.clusters }
            }
        };
        let offset = match extents {
            Extents::Region { offset, .. } => offset,
            Extents::Chain { first, .. } => self.geometry.offset(first).unwrap_or(0),
        };
        self.found.tree.set_root(Metadata {
            kind: Kind::Directory(Default::default()),
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            size: 0,
            offset: self.judge.region.absolute(offset),
        });
        self.pending.push(Directory {
            node: Tree::ROOT,
            path: String::new(),
            depth: 0,
            first: Cluster(0),
            parent: Cluster(0),
            extents,
        });
        Ok(())
    }

    /// Reads one directory: its slots in their order, then its subdirectories become pending.
    fn directory(&mut self, directory: &Directory) -> Result<(), ReadError> {
        let mut reader = Reader {
            names: LongNames::default(),
            seen: HashSet::new(),
            index: 0,
            at: 0,
            ended: false,
        };
        let subdirectories = self.pending.len();
        match directory.extents {
            Extents::Region { offset, len } => {
                self.slots(directory, &mut reader, offset, len.min(MAX_DIRECTORY))?;
            }
            Extents::Chain { first, clusters } => {
                let most = MAX_DIRECTORY.div_ceil(self.geometry.cluster_size);
                let mut at = first;
                for _ in 0..u64::from(clusters).min(most) {
                    let Some(offset) = self.geometry.offset(at) else { break };
                    self.slots(directory, &mut reader, offset, self.geometry.cluster_size)?;
                    let Entry::Next(next) = self.table.get(at)? else { break };
                    at = next;
                }
            }
        }
        if reader.names.is_pending() {
            let fault = reader.names.finish(None).err();
            self.judge.long_fault(fault, &at_slot(reader.at, &directory.path));
        }
        // The first one is to be read first.
        self.pending[subdirectories..].reverse();
        Ok(())
    }

    fn slots(
        &mut self,
        directory: &Directory,
        reader: &mut Reader,
        offset: u64,
        len: u64,
    ) -> Result<(), ReadError> {
        let bytes = self.judge.region.bytes("FAT directory", offset, len, MAX_DIRECTORY)?;
        let (slots, _) = bytes.as_chunks::<{ DirEntry::SIZE }>();
        for (index, bytes) in slots.iter().enumerate() {
            let at = offset + index as u64 * SLOT;
            let slot = Slot::of(*bytes);
            if reader.ended {
                let nothing = matches!(slot, Slot::End | Slot::Free);
                let place = at_slot(at, &directory.path);
                self.judge.expect(&END_MARK, nothing, &place, || {
                    "an entry after the end of the directory".to_owned()
                });
                // One is enough, and the rest need not be looked at.
                if !nothing {
                    reader.names = LongNames::default();
                    return Ok(());
                }
                continue;
            }
            reader.at = at;
            self.slot(directory, reader, slot, at)?;
            reader.index += 1;
        }
        Ok(())
    }

    fn slot(
        &mut self,
        directory: &Directory,
        reader: &mut Reader,
        slot: Slot,
        at: u64,
    ) -> Result<(), ReadError> {
        let place = at_slot(at, &directory.path);
        if directory.node != Tree::ROOT
            && reader.index < 2
            && self.dot(directory, reader, &slot, &place)
        {
            return Ok(());
        }
        match slot {
            Slot::Long(piece) => {
                self.attributes(piece.attr, &place);
                self.judge.long_piece(&piece, &place);
                // A name that starts within another one leaves that unfinished.
                if piece.ord & LongEntry::LAST != 0 && reader.names.is_pending() {
                    let fault = reader.names.finish(None).err();
                    self.judge.long_fault(fault, &place);
                }
                let fault = reader.names.piece(&piece).err();
                self.judge.long_fault(fault, &place);
            }
            Slot::Free | Slot::End => {
                reader.ended = matches!(slot, Slot::End);
                if reader.names.is_pending() {
                    let fault = reader.names.finish(None).err();
                    self.judge.long_fault(fault, &place);
                }
            }
            Slot::Short(short) => self.file(directory, reader, &short, at)?,
        }
        Ok(())
    }

    /// Judges one of the first two slots of a directory that is not the root. False if it is an
    /// entry like any other.
    fn dot(&mut self, directory: &Directory, reader: &Reader, slot: &Slot, place: &Place) -> bool {
        let (name, shown, want) = match reader.index {
            0 => (DirEntry::DOT, ".", directory.first),
            _ => (DirEntry::DOT_DOT, "..", directory.parent),
        };
        let found = match slot {
            Slot::Short(entry) if entry.name == name => Some(entry),
            _ => None,
        };
        if !self.judge.expect(&DOT, found.is_some(), place, || {
            format!("entry {} of the directory is not {shown:?}", reader.index)
        }) {
            return false;
        }
        let Some(found) = found else { return false };
        let cluster = found.first_cluster(self.geometry.width);
        let holds = found.is_directory() && cluster == want;
        self.judge.expect(&DOT, holds, place, || {
            format!("{shown:?} leads to cluster {cluster}, not {want}")
        });
        true
    }

    fn file(
        &mut self,
        directory: &Directory,
        reader: &mut Reader,
        short: &DirEntry,
        at: u64,
    ) -> Result<(), ReadError> {
        let long = reader.names.finish(Some(&short.name));
        let fault = long.as_ref().err().copied();
        let long = long.ok().flatten();
        let name = long.as_ref().map_or_else(|| short_name(short), LongName::text);
        let path = format!("{}/{name}", directory.path);
        let place = at_slot(at, if short.is_label() { &directory.path } else { &path });
        self.judge.long_fault(fault, &place);
        self.attributes(short.attr, &place);
        if short.is_label() {
            self.label(directory, short, &place);
            return Ok(());
        }
        self.judge.names(short, long.as_ref(), &name, &mut reader.seen, &place);
        let first = short.first_cluster(self.geometry.width);
        let chain = self.content(short, first, &path, &place)?;
        let is_directory = short.is_directory();
        let size = if is_directory {
            u64::from(chain.clusters) * self.geometry.cluster_size
        } else {
            u64::from(short.file_size.get())
        };
        let kind =
            if is_directory { Kind::Directory(Default::default()) } else { Kind::File(None) };
        let metadata = Metadata {
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: short.modified().unwrap_or(0),
            size,
            offset: ByteOffset(self.judge.region.absolute(at).0),
        };
        // A name that is none was reported, and so was one that is there already.
        let nameable = !matches!(name.as_str(), "" | "." | "..") && !name.contains(['/', '\0']);
        let node =
            nameable.then(|| self.found.tree.add_child(directory.node, name.as_bytes(), metadata));
        if !is_directory || chain.clusters == 0 {
            return Ok(());
        }
        let depth = directory.depth + 1;
        let shallow = self.judge.expect(&LIMITS, depth <= MAX_DEPTH, &place, || {
            format!("more than {MAX_DEPTH} directories deep")
        });
        match node.flatten() {
            Some(node) if shallow => self.pending.push(Directory {
                node,
                path,
                depth,
                first,
                parent: directory.first,
                extents: Extents::Chain { first, clusters: chain.clusters },
            }),
            _ => self.found.whole = false,
        }
        Ok(())
    }

    fn attributes(&mut self, attr: u8, place: &Place) {
        self.judge.expect(&ATTRIBUTES, attr & !DirEntry::LONG_NAME_MASK == 0, place, || {
            format!("attributes {attr:#04x}, of which 0xc0 is reserved")
        });
    }

    /// Judges where the content of a file or directory is.
    fn content(
        &mut self,
        short: &DirEntry,
        first: Cluster,
        path: &str,
        place: &Place,
    ) -> Result<Chain, ReadError> {
        let size = short.file_size.get();
        let is_directory = short.is_directory();
        let empty = first == Cluster(0) && !is_directory;
        let last = self.geometry.last();
        let starts = empty || self.geometry.contains(first);
        let starts = self.judge.expect(&FIRST_CLUSTER, starts, place, || {
            let what = if is_directory { "directory" } else { "file" };
            format!("the {what} starts at cluster {first}, and there are those from 2 to {last}")
        });
        let mut chain = Chain { clusters: 0, sound: empty };
        if starts && !empty {
            chain = self.chain(first, path)?;
        }
        self.found.safe &= starts;
        self.found.whole &= starts;
        if is_directory {
            self.judge.expect(&DIRECTORY_SIZE, size == 0, place, || format!("{size} bytes, not 0"));
            self.length(&chain, place, path);
        } else if starts && chain.sound {
            let need = u64::from(size).div_ceil(self.geometry.cluster_size);
            let have = chain.clusters;
            self.judge.expect(&FILE_SIZE, need == u64::from(have), place, || {
                format!("{size} bytes need {need} clusters, and the file has {have}")
            });
        }
        Ok(chain)
    }

    fn length(&mut self, chain: &Chain, place: &Place, path: &str) {
        let len = u64::from(chain.clusters) * self.geometry.cluster_size;
        // A directory of one cluster is as long as that, whatever its size.
        let fits = len <= MAX_DIRECTORY;
        let fits = self.judge.expect(&DIRECTORY_LENGTH, fits, place, || {
            format!("{} has {len} bytes, and {MAX_DIRECTORY} are the limit", shown(path))
        });
        self.found.safe &= fits;
        self.found.whole &= fits;
    }

    /// Follows a chain, and takes its clusters. Bounded: each step takes a cluster that nobody has.
    fn chain(&mut self, first: Cluster, path: &str) -> Result<Chain, ReadError> {
        let mut chain = Chain::default();
        let mut at = first;
        loop {
            let found = self.table.get(at)?;
            let mut place = entry(self.geometry, at);
            place.path = Some(shown(path));
            let taken = self.found.used.contains(at);
            let ours = taken && self.leads_to(first, at, chain.clusters)?;
            let turns = !self.judge.expect(&CYCLE, !ours, &place, || {
                format!("the chain leads back to cluster {at}, after {} clusters", chain.clusters)
            });
            let shared = !turns
                && !self.judge.expect(&CROSS_LINK, !taken, &place, || {
                    format!("cluster {at} belongs to another file already")
                });
            if turns || shared {
                break;
            }
            let what = match found {
                Entry::Free => Some("free"),
                Entry::Bad => Some("marked as bad"),
                Entry::Next(_) | Entry::End => None,
            };
            if !self.judge.expect(&CHAIN_END, what.is_none(), &place, || {
                format!("the chain leads to cluster {at}, which is {}", what.unwrap_or_default())
            }) {
                break;
            }
            self.found.used.insert(at);
            chain.clusters += 1;
            match found {
                Entry::Next(next) if self.geometry.contains(next) => at = next,
                // Else the link was reported when the table was read.
                _ => {
                    chain.sound = found == Entry::End;
                    break;
                }
            }
        }
        self.found.safe &= chain.sound;
        self.found.whole &= chain.sound;
        Ok(chain)
    }

    /// True if `cluster` is one of the first `clusters` of a chain.
    fn leads_to(
        &mut self,
        first: Cluster,
        cluster: Cluster,
        clusters: u32,
    ) -> Result<bool, ReadError> {
        let mut at = first;
        for _ in 0..clusters {
            if at == cluster {
                return Ok(true);
            }
            let Entry::Next(next) = self.table.get(at)? else { break };
            at = next;
        }
        Ok(false)
    }

    fn label(&mut self, directory: &Directory, short: &DirEntry, place: &Place) {
        let root = directory.node == Tree::ROOT;
        let empty = short.first_cluster(self.geometry.width) == Cluster(0)
            && short.file_size.get() == 0
            && !short.is_directory();
        let first = self.found.label.is_none();
        self.judge.expect(&LABEL_ENTRY, root && empty && first, place, || {
            let why = match (root, empty) {
                (false, _) => "outside of the root directory",
                (_, false) => "with content",
                _ => "after another one",
            };
            format!("a label {why}")
        });
        if root && first {
            let mut name = short.name;
            if name[0] == 0x05 {
                name[0] = DirEntry::FREE;
            }
            self.found.label = Some(Label { name, offset: place.offset });
        }
    }
}

/// What is known of a directory while it is read.
struct Reader {
    names: LongNames,
    seen: HashSet<String>,
    /// Number of the slot, and where it is.
    index: usize,
    at: u64,
    ended: bool,
}

fn at_slot(offset: u64, path: &str) -> Place {
    Place { structure: "FAT directory entry", offset, len: SLOT, path: Some(shown(path)) }
}

fn shown(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { display(path.as_bytes()) }
}
