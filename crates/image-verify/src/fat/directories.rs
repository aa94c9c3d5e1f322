//! Directories, slot by slot: `scan_root` of fsck.fat.

use std::collections::HashSet;

use image_formats::{
    bytes::ReadError,
    fat::{
        Cluster, Entry, Geometry, LongNames, RootDirectory, Slot, Table,
        raw::{DirEntry, LongEntry},
    },
};
use image_model::Check;

use super::{
    ATTRIBUTES, CHAIN_END, CROSS_LINK, CYCLE, DEPTH, DEVICE_NAME, DIRECTORY_LENGTH, DIRECTORY_SIZE,
    DOT, DUPLICATE, DUPLICATE_LONG, END_MARK, FILE_SIZE, FIRST_CLUSTER, Judge, LABEL_ENTRY, LIMITS,
    LONG_NAME_CHECKSUM, LONG_NAME_FIELDS, LONG_NAME_ORDER, LONG_NAME_ORPHAN, LONG_NAME_PADDING,
    LONG_NAME_TEXT, Place, SHORT_NAME, SHORT_NAME_SET,
    boot::Boot,
    chains::Clusters,
    paths::{Directory, DirectoryId, MAX_DIRECTORIES, Name, Whose},
    tables::entry,
};

/// How deep directories are nested that Windows can open.
pub(super) const MAX_DEPTH: u32 = 128;

/// The most slots of a directory that are read. What is judged of them is in memory.
const MAX_SLOTS: u64 = 1 << 20;

/// Bytes of a slot.
pub(super) const SLOT: u64 = DirEntry::SIZE as u64;

/// Bytes of a directory that are read at a time.
const PIECE: u64 = 64 << 10;

/// What every chain is judged by.
const OF_CHAINS: &[&Check] = &[&CYCLE, &CROSS_LINK, &CHAIN_END];

/// What every directory is judged by.
const OF_DIRECTORIES: &[&Check] = &[&DIRECTORY_LENGTH, &END_MARK, &LIMITS];

/// What every directory but the root is judged by.
const OF_SUBDIRECTORIES: &[&Check] = &[&DIRECTORY_SIZE, &DOT, &DEPTH];

/// What every entry with an 8.3 name is judged by.
const OF_ENTRIES: &[&Check] = &[&ATTRIBUTES, &FIRST_CLUSTER];

/// What every file and directory is judged by.
const OF_FILES: &[&Check] =
    &[&FILE_SIZE, &SHORT_NAME, &SHORT_NAME_SET, &DEVICE_NAME, &DUPLICATE, &DUPLICATE_LONG];

/// What every label is judged by.
const OF_LABELS: &[&Check] = &[&LABEL_ENTRY];

/// What every piece of a long name is judged by.
const OF_PIECES: &[&Check] =
    &[&LONG_NAME_ORPHAN, &LONG_NAME_ORDER, &LONG_NAME_CHECKSUM, &LONG_NAME_FIELDS];

/// What every long name is judged by.
const OF_LONG_NAMES: &[&Check] = &[&LONG_NAME_PADDING, &LONG_NAME_TEXT];

/// What there was to be judged: a report tells it from what was not there.
#[derive(Default)]
pub(super) struct Met {
    pub(super) chains: bool,
    directories: bool,
    subdirectories: bool,
    entries: bool,
    files: bool,
    labels: bool,
    pieces: bool,
    pub(super) long_names: bool,
}

/// What the directories told.
pub(super) struct Found {
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

pub(super) struct Walk<'a, 'b> {
    pub(super) judge: &'a mut Judge<'b>,
    pub(super) geometry: &'a Geometry,
    pub(super) table: &'a mut Table,
    pub(super) found: Found,
    pub(super) met: Met,
    /// Directories that are still to be read, the next one last.
    pending: Vec<DirectoryId>,
}

/// What is known of a directory while it is read.
pub(super) struct Reader {
    directory: DirectoryId,
    long: LongNames,
    /// 8.3 names as they lie there.
    pub(super) short_names: HashSet<[u8; 11]>,
    /// Hashes of all names without regard to case.
    pub(super) names: HashSet<u64>,
    /// How many slots were read, and where the last one is.
    slots: u64,
    last: u64,
    /// How many directories were pending before.
    pending: usize,
    /// A slot said that there are no more.
    ended: bool,
    /// Something is in a slot behind that one.
    overrun: bool,
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
            used: Clusters::new(geometry),
            label: None,
            rooted: true,
            whole: true,
            safe: true,
        };
        let (met, pending) = (Met::default(), Vec::new());
        let mut walk = Walk { judge: self, geometry, table, found, met, pending };
        walk.root()?;
        // Bounded: a directory is only pending if it has a cluster that no other one had.
        while let Some(directory) = walk.pending.pop() {
            walk.directory(directory)?;
        }
        walk.evaluated();
        Ok(walk.found)
    }
}

impl Walk<'_, '_> {
    fn evaluated(&mut self) {
        let Met { chains, directories, subdirectories, entries, files, labels, pieces, long_names } =
            self.met;
        for (met, checks) in [
            (chains, OF_CHAINS),
            (directories, OF_DIRECTORIES),
            (subdirectories, OF_SUBDIRECTORIES),
            (entries, OF_ENTRIES),
            (files, OF_FILES),
            (labels, OF_LABELS),
            (pieces, OF_PIECES),
            (long_names, OF_LONG_NAMES),
        ] {
            if met {
                self.judge.evaluated(checks);
            }
        }
    }

    fn root(&mut self) -> Result<(), ReadError> {
        let id = DirectoryId::ROOT;
        let (offset, len) = match self.geometry.root {
            RootDirectory::Region { offset, len } => (offset, len),
            RootDirectory::Chain(first) if self.geometry.contains(first) => {
                let whose = Whose::Directory(id);
                let chain = self.chain(first, whose)?;
                self.length(&chain, &Place { whose, ..entry(self.geometry, first) });
                return self.clusters(id, first, chain.clusters);
            }
            RootDirectory::Chain(_) => {
                (self.found.rooted, self.found.whole) = (false, false);
                return Ok(());
            }
        };
        let mut reader = Reader::new(id, 0);
        self.slots(&mut reader, offset, len)?;
        self.end(&mut reader);
        Ok(())
    }

    /// Reads a directory that is not the root.
    fn directory(&mut self, id: DirectoryId) -> Result<(), ReadError> {
        let Directory { first, clusters, .. } = *self.judge.directories.get(id);
        self.met.subdirectories = true;
        self.clusters(id, first, clusters)
    }

    /// Reads the clusters of a directory. Its slots come in their order, then its subdirectories
    /// become pending.
    fn clusters(
        &mut self,
        id: DirectoryId,
        first: Cluster,
        clusters: u32,
    ) -> Result<(), ReadError> {
        let mut reader = Reader::new(id, self.pending.len());
        let mut at = first;
        // Those are its own: nobody else's are read twice.
        for _ in 0..clusters {
            let Some(offset) = self.geometry.offset(at) else { break };
            if !self.slots(&mut reader, offset, self.geometry.cluster_size)? {
                break;
            }
            let Entry::Next(next) = self.table.get(at)? else { break };
            at = next;
        }
        self.end(&mut reader);
        Ok(())
    }

    /// Reads slots that lie in a row. False where the directory has too many.
    fn slots(&mut self, reader: &mut Reader, offset: u64, len: u64) -> Result<bool, ReadError> {
        let end = offset + len;
        let mut at = offset;
        let mut bytes = vec![0; len.min(PIECE) as usize];
        while at < end {
            let piece = PIECE.min(end - at);
            bytes.truncate(piece as usize);
            self.judge.region.fill("FAT directory", at, &mut bytes)?;
            let (slots, _) = bytes.as_chunks::<{ DirEntry::SIZE }>();
            for slot in slots {
                if reader.slots >= MAX_SLOTS {
                    let place = Place { whose: Whose::Directory(reader.directory), ..slot_at(at) };
                    self.judge.fault(&LIMITS, &place, || {
                        format!("more than {MAX_SLOTS} slots in one directory: not all was read")
                    });
                    (self.found.safe, self.found.whole) = (false, false);
                    return Ok(false);
                }
                self.slot(reader, Slot::of(*slot), at)?;
                reader.slots += 1;
                at += SLOT;
            }
        }
        Ok(true)
    }

    /// Ends a directory.
    fn end(&mut self, reader: &mut Reader) {
        self.met.directories = true;
        if let Some(fault) = reader.long.orphan() {
            let place = slot_at(reader.last);
            let place = Place { whose: Whose::Directory(reader.directory), ..place };
            self.long_fault(fault, &place);
        }
        // The first one is to be read first.
        self.pending[reader.pending..].reverse();
    }

    fn slot(&mut self, reader: &mut Reader, slot: Slot, at: u64) -> Result<(), ReadError> {
        let place = Place { whose: Whose::Directory(reader.directory), ..slot_at(at) };
        reader.last = at;
        if reader.directory != DirectoryId::ROOT
            && reader.slots < 2
            && self.dot(reader, &slot, &place)
        {
            // A long name before it, which was told of, belongs to nothing that follows.
            reader.long = LongNames::default();
            return Ok(());
        }
        if reader.ended && !reader.overrun && !matches!(slot, Slot::End | Slot::Free) {
            reader.overrun = true;
            self.judge
                .fault(&END_MARK, &place, || "an entry after the end of the directory".to_owned());
        }
        match slot {
            Slot::Free | Slot::End => {
                reader.ended |= matches!(slot, Slot::End);
                if let Some(fault) = reader.long.orphan() {
                    self.long_fault(fault, &place);
                }
            }
            Slot::Long(piece) => self.long_piece(&mut reader.long, &piece, &place),
            Slot::Short(short) => self.file(reader, &short, at)?,
        }
        Ok(())
    }

    /// Takes a piece of a long name.
    fn long_piece(&mut self, long: &mut LongNames, piece: &LongEntry, place: &Place<'_>) {
        self.met.pieces = true;
        if !long.piece(piece, |fault| self.long_fault(fault, place)) {
            return;
        }
        let (kind, cluster) = (piece.kind, piece.fst_clus_lo.get());
        if kind != 0 || cluster != 0 {
            self.judge.fault(&LONG_NAME_FIELDS, place, || {
                format!("type {kind} and first cluster {cluster}, not 0")
            });
        }
    }

    /// Judges one of the first two slots of a directory that is not the root. False if it is an
    /// entry like any other.
    fn dot(&mut self, reader: &Reader, slot: &Slot, place: &Place<'_>) -> bool {
        let Directory { first, parent, .. } = *self.judge.directories.get(reader.directory);
        let (name, shown, want) = match reader.slots {
            0 => (DirEntry::DOT, ".", first),
            _ => (DirEntry::DOT_DOT, "..", self.judge.directories.get(parent).first),
        };
        let Slot::Short(found) = slot else {
            self.judge.fault(&DOT, place, || format!("{shown:?} is not there"));
            return false;
        };
        if found.name != name {
            self.judge.fault(&DOT, place, || format!("{shown:?} is not there, but another entry"));
            return false;
        }
        let cluster = found.first_cluster(self.geometry.width);
        if !found.is_directory() || cluster != want {
            let kind = if found.is_directory() { "" } else { " is no directory and" };
            self.judge.fault(&DOT, place, || {
                format!("{shown:?}{kind} leads to cluster {cluster}, not {want}")
            });
        } else if found.nt_res & DirEntry::NO_SHORT_NAME != 0 {
            self.judge.fault(&DOT, place, || format!("{shown:?} has the flag of no 8.3 name"));
        }
        true
    }

    fn file(&mut self, reader: &mut Reader, short: &DirEntry, at: u64) -> Result<(), ReadError> {
        let long = reader.long.finish(&short.name);
        let fault = long.as_ref().err().copied();
        let long = long.ok().flatten();
        let name = Name { entry: short, long: long.as_ref() };
        let place = Place { whose: Whose::File(reader.directory, name), ..slot_at(at) };
        self.met.entries = true;
        if let Some(fault) = fault {
            self.long_fault(fault, &place);
        }
        let attr = short.attr;
        if attr & !DirEntry::ATTRIBUTES != 0 {
            self.judge.fault(&ATTRIBUTES, &place, || {
                format!("attributes {attr:#04x}, of which 0xc0 is reserved")
            });
        }
        if short.is_label() {
            self.met.labels = true;
            self.label(reader, short, &place);
        } else {
            self.met.files = true;
            self.names(name, reader, &place);
        }
        let chain = self.content(short, &place)?;
        if short.is_directory() && chain.clusters > 0 {
            let first = short.first_cluster(self.geometry.width);
            let added =
                self.judge.directories.add(reader.directory, name, at, first, chain.clusters);
            if let Some(id) = added {
                self.pending.push(id);
                if self.judge.directories.get(id).depth > MAX_DEPTH {
                    self.judge.fault(&DEPTH, &place, || {
                        format!("more than {MAX_DEPTH} directories deep")
                    });
                }
            } else {
                self.judge.fault(&LIMITS, &place, || {
                    format!("more than {MAX_DIRECTORIES} directories: not all were read")
                });
                (self.found.safe, self.found.whole) = (false, false);
            }
        }
        Ok(())
    }

    fn label(&mut self, reader: &Reader, short: &DirEntry, place: &Place<'_>) {
        let root = reader.directory == DirectoryId::ROOT;
        let empty = short.first_cluster(self.geometry.width) == Cluster(0)
            && short.file_size.get() == 0
            && !short.is_directory();
        let first = self.found.label.is_none();
        if !root || !empty || !first {
            self.judge.fault(&LABEL_ENTRY, place, || {
                let why = match (root, empty) {
                    (false, _) => "outside of the root directory",
                    (_, false) => "with content",
                    _ => "after another one",
                };
                format!("a label {why}")
            });
        }
        // Who looks for the label looks no further than to the end.
        if root && first && !reader.ended {
            let mut name = short.name;
            if name[0] == 0x05 {
                name[0] = DirEntry::FREE;
            }
            self.found.label = Some(Label { name, offset: place.offset });
        }
    }
}

impl Reader {
    fn new(directory: DirectoryId, pending: usize) -> Self {
        Self {
            directory,
            long: LongNames::default(),
            short_names: HashSet::new(),
            names: HashSet::new(),
            slots: 0,
            last: 0,
            pending,
            ended: false,
            overrun: false,
        }
    }
}

/// A slot, which is nobody's yet.
fn slot_at(offset: u64) -> Place<'static> {
    Place { structure: "FAT directory entry", offset, len: SLOT, whose: Whose::Nobody }
}
