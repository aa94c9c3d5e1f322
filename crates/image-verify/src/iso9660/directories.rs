//! Directories, record by record.

use std::collections::{BTreeMap, HashSet};

use image_formats::{
    bytes::ReadError,
    iso9660::{Block, Record, RecordFault, Records, SECTOR},
};
use image_model::Check;

use super::{
    BOTH_ENDIAN, DEPTH, DIRECTORY_LENGTH, DIRECTORY_SHARED, DUPLICATE, EXTENT, FILE_NAME, FLAGS,
    INTERLEAVE, Judge, LIMITS, MULTI_EXTENT, ORDER, PADDING, PARENT, Place, RECORD, RECORDING,
    SECTION_SIZE, SELF, Set, VOLUME_SEQUENCE, VOLUME_SPACE,
    descriptors::Source,
    extents::{Extents, Owner},
    names::Tally,
    paths::{Directory, DirectoryId, MAX_DIRECTORIES, Names, Whose, hash},
    rock_ridge::{Reader as RockRidgeReader, RockRidge, Role, Subject},
    sections::Sections,
};

/// How deep directories are nested in the primary tree, the root included. ECMA-119 §6.8.2.1.
const LEVELS: u32 = 8;

/// How deep directories are read. Deeper ones have paths that nobody can open.
pub(super) const MAX_DEPTH: u32 = 256;

/// The most bytes of a directory that are read.
const MAX_DIRECTORY: u64 = 256 << 20;

/// The most records of a tree that are read. Each may become a file of the volume, of 200 bytes.
const MAX_OF_TREE: u32 = 1 << 20;

/// The most records of all trees that are read.
pub(super) const MAX_RECORDS: u32 = 1 << 21;

/// Bytes of a directory that are read at a time.
const PIECE: u64 = 64 << 10;

/// What every directory is judged by.
const OF_DIRECTORIES: &[&Check] =
    &[&SELF, &PARENT, &DIRECTORY_LENGTH, &DIRECTORY_SHARED, &RECORD, &PADDING, &LIMITS];

/// What every record is judged by.
const OF_RECORDS: &[&Check] =
    &[&BOTH_ENDIAN, &RECORDING, &FLAGS, &VOLUME_SEQUENCE, &INTERLEAVE, &EXTENT, &VOLUME_SPACE];

/// What every record is judged by that is not of the directory itself or its parent.
const OF_FILES: &[&Check] = &[&FILE_NAME, &DUPLICATE, &ORDER];

/// What every directory is judged by that is not the root.
const OF_SUBDIRECTORIES: &[&Check] = &[&DEPTH];

/// What every file of several extents is judged by.
const OF_SECTIONS: &[&Check] = &[&MULTI_EXTENT, &SECTION_SIZE];

/// What there was to be judged: a report tells it from what was not there.
#[derive(Default)]
pub(super) struct Met {
    directories: bool,
    pub(super) records: bool,
    pub(super) files: bool,
    subdirectories: bool,
    pub(super) sections: bool,
}

/// What the directories of a tree told.
pub(super) struct Found {
    /// Its root.
    pub(super) root: DirectoryId,
    /// Directories by the first byte of their content.
    pub(super) places: Places,
    /// All of them were read.
    pub(super) whole: bool,
    /// What reads the names of Rock Ridge, where it has them.
    pub(super) rock_ridge: Option<RockRidgeReader>,
}

/// Bytes of the volume that are a directory's: by the first one the first one after them, and the
/// directory.
pub(super) type Places = BTreeMap<u64, (u64, DirectoryId)>;

pub(super) struct Walk<'a, 'b> {
    pub(super) judge: &'a mut Judge<'b>,
    pub(super) set: &'a Set,
    pub(super) source: &'a Source,
    pub(super) extents: &'a mut Extents,
    pub(super) tally: Tally,
    pub(super) met: Met,
    found: Found,
    rock_ridge: Option<RockRidge>,
    /// How many records were read.
    records: u32,
    /// Directories that are still to be read, the next one last.
    pending: Vec<DirectoryId>,
}

/// What is known of a directory while it is read.
pub(super) struct Reader {
    pub(super) directory: DirectoryId,
    /// How many records were read.
    records: u32,
    /// Hashes of identifiers.
    pub(super) seen: HashSet<u64>,
    /// The identifier before.
    pub(super) previous: Vec<u8>,
    /// The file of which more extents follow.
    pub(super) sections: Option<Sections>,
    /// How many directories were pending before.
    pending: usize,
}

impl Judge<'_> {
    /// Reads all directories of a tree, parents first.
    pub(super) fn tree(
        &mut self,
        set: &Set,
        index: usize,
        extents: &mut Extents,
    ) -> Result<Found, ReadError> {
        let source = &set.sources[index];
        let record = source.root().record;
        let root = self.trees.start(
            source.names,
            Directory {
                parent: 0,
                depth: 0,
                extent: Block(record.extent.get()),
                extended_attribute_len: record.extended_attribute_len,
                data_len: record.data_len.get(),
                record: source.root_offset(),
                hash: hash(&[0]),
            },
        );
        let found = Found { root, places: Places::new(), whole: true, rock_ridge: None };
        let (met, pending, tally) = (Met::default(), Vec::new(), Tally::default());
        let mut walk = Walk {
            judge: self,
            set,
            source,
            extents,
            tally,
            met,
            found,
            rock_ridge: None,
            records: 0,
            pending,
        };
        walk.claim(root);
        // Bounded: a directory is only pending if it has bytes that no other one had.
        while let Some(directory) = walk.pending.pop() {
            walk.directory(directory)?;
        }
        walk.evaluated();
        walk.told();
        if let Some(rock_ridge) = walk.rock_ridge.take() {
            walk.found.rock_ridge = Some(rock_ridge.finish(walk.judge.out));
        }
        Ok(walk.found)
    }
}

impl Walk<'_, '_> {
    fn evaluated(&mut self) {
        let Met { directories, records, files, subdirectories, sections } = self.met;
        for (met, checks) in [
            (directories, OF_DIRECTORIES),
            (records, OF_RECORDS),
            (files, OF_FILES),
            (subdirectories && self.source.names == Names::Primary, OF_SUBDIRECTORIES),
            (sections, OF_SECTIONS),
        ] {
            if met {
                self.judge.evaluated(checks);
            }
        }
    }

    /// True if files have names of Rock Ridge or Joliet as well.
    pub(super) fn has_other_names(&self) -> bool {
        let joliet = self.set.sources.iter().any(|source| source.names == Names::Joliet);
        joliet || self.rock_ridge.is_some() || self.found.rock_ridge.is_some()
    }

    /// Takes the bytes of a directory for it, and lets it be read where no other one has them.
    fn claim(&mut self, id: DirectoryId) {
        let directory = *self.judge.trees.get(id);
        self.met.directories = true;
        let structure = if id.is_root() { "root directory record" } else { "directory record" };
        let place = Place { whose: Whose::Directory(id), ..record_at(structure, directory.record) };
        let len = u64::from(directory.data_len);
        self.judge.expect(&DIRECTORY_LENGTH, len.is_multiple_of(SECTOR), &place, || {
            format!("a directory of {len} bytes, not of whole sectors of {SECTOR}")
        });
        if len == 0 {
            self.judge.fault(&SELF, &place, || "a directory without any record".to_owned());
            self.found.whole = false;
            return;
        }
        let start = self.start(&directory);
        let end = start + len;
        if !self.inside(start, len, &place) {
            self.found.whole = false;
            return;
        }
        if !self.judge.expect(&LIMITS, len <= MAX_DIRECTORY, &place, || {
            format!("a directory of {len} bytes: it was not read")
        }) {
            self.found.whole = false;
            return;
        }
        // The one that starts last before the end is the only one that can reach into this.
        let other = self.found.places.range(..end).next_back();
        let other = other.filter(|(_, (other_end, _))| *other_end > start).map(|(_, (_, id))| *id);
        if let Some(other) = other {
            self.found.whole = false;
            self.judge.shared(id, other, &place);
            return;
        }
        self.found.places.insert(start, (end, id));
        self.extents.add(start, len, Owner::directory(id, directory.record));
        self.pending.push(id);
    }

    /// Where the content of a directory starts in the volume.
    fn start(&self, directory: &Directory) -> u64 {
        let Directory { extent, extended_attribute_len, .. } = *directory;
        let block = self.source.block;
        block.offset(extent) + u64::from(extended_attribute_len) * block.bytes()
    }

    fn directory(&mut self, id: DirectoryId) -> Result<(), ReadError> {
        let directory = *self.judge.trees.get(id);
        let start = self.start(&directory);
        let end = start + u64::from(directory.data_len);
        let mut reader = Reader {
            directory: id,
            records: 0,
            seen: HashSet::new(),
            previous: Vec::new(),
            sections: None,
            pending: self.pending.len(),
        };
        let mut at = start;
        let mut bytes = vec![0; (end - start).min(PIECE) as usize];
        'all: while at < end {
            bytes.truncate(PIECE.min(end - at) as usize);
            self.judge.region.fill("directory", at, &mut bytes)?;
            for sector in bytes.chunks(SECTOR as usize) {
                if !self.sector(&mut reader, sector, at)? {
                    break 'all;
                }
                at += sector.len() as u64;
            }
        }
        self.end(&mut reader, end);
        Ok(())
    }

    /// Reads the records of a sector. False where there are too many.
    fn sector(&mut self, reader: &mut Reader, bytes: &[u8], at: u64) -> Result<bool, ReadError> {
        let id = reader.directory;
        let mut records = Records::new(bytes, at);
        for record in records.by_ref() {
            let record = match record {
                Ok(record) => record,
                Err((offset, fault)) => {
                    self.record_fault(id, offset, fault);
                    continue;
                }
            };
            if self.records >= MAX_OF_TREE || self.extents.records >= MAX_RECORDS {
                let place = record_at("directory record", record.offset);
                let place = Place { whose: Whose::Directory(id), ..place };
                self.judge.fault(&LIMITS, &place, || {
                    format!(
                        "more than {MAX_OF_TREE} records in a tree, or {MAX_RECORDS} in all: not \
                         all were read"
                    )
                });
                self.found.whole = false;
                self.pending.clear();
                reader.pending = 0;
                return Ok(false);
            }
            self.extents.records += 1;
            self.records += 1;
            self.record(reader, &record)?;
            reader.records = reader.records.saturating_add(1);
        }
        let (rest, offset) = records.rest();
        if let Some(at) = rest.iter().position(|byte| *byte != 0) {
            let offset = offset + at as u64;
            let place =
                Place { structure: "directory", offset, len: 1, whose: Whose::Directory(id) };
            self.judge.fault(&PADDING, &place, || {
                format!("{:#04x} after the last record of the sector, not 0", rest[at])
            });
        }
        Ok(true)
    }

    fn record_fault(&mut self, id: DirectoryId, offset: u64, fault: RecordFault) {
        self.found.whole = false;
        let place = Place { whose: Whose::Directory(id), ..record_at("directory record", offset) };
        self.judge.fault(&RECORD, &place, || match fault {
            RecordFault::Short(len) => format!("{len} bytes, and it has 34 at least"),
            RecordFault::Crosses(len) => format!("its {len} bytes leave the sector"),
            RecordFault::Identifier(len) => format!("a name of {len} bytes, which leaves it"),
        });
    }

    /// Ends a directory that ends at `end`.
    fn end(&mut self, reader: &mut Reader, end: u64) {
        let id = reader.directory;
        let place = Place { whose: Whose::Directory(id), ..record_at("directory", end) };
        if reader.records < 2 {
            let place = Place { offset: self.start(self.judge.trees.get(id)), ..place };
            let check = if reader.records == 0 { &SELF } else { &PARENT };
            self.judge.fault(check, &place, || "the record is not there".to_owned());
        }
        self.end_of_sections(reader, &place);
        // The first one is to be read first.
        let first = reader.pending.min(self.pending.len());
        self.pending[first..].reverse();
    }

    fn record(&mut self, reader: &mut Reader, record: &Record<'_>) -> Result<(), ReadError> {
        let id = reader.directory;
        if id.is_root() && reader.records == 0 && self.source.names == Names::Primary {
            self.open_rock_ridge(record)?;
        }
        let whose = Whose::File(id, record);
        let place = Place {
            structure: "directory record",
            offset: record.offset,
            len: record.raw.len.into(),
            whose,
        };
        if reader.records < 2 && self.dot(reader, record, &place) {
            let role = if reader.records == 0 { Role::Own } else { Role::Parent };
            return self.system_use(record, &place, role, false);
        }
        self.fields(record, &place);
        let first = self.section(reader, record, &place);
        if first {
            self.names(reader, record, &place);
        }
        self.system_use(record, &place, Role::Child, !first)?;
        if !record.raw.is_directory() {
            return Ok(());
        }
        self.met.subdirectories = true;
        let parent = self.judge.trees.get(id);
        let directory = Directory {
            parent: id.index,
            depth: parent.depth + 1,
            extent: Block(record.raw.extent.get()),
            extended_attribute_len: record.raw.extended_attribute_len,
            data_len: record.raw.data_len.get(),
            record: record.offset,
            hash: hash(record.identifier),
        };
        if directory.depth >= LEVELS && self.source.names == Names::Primary {
            self.tally.deep(record.offset, id);
        }
        let deep = directory.depth > MAX_DEPTH;
        let added = if deep { None } else { self.judge.trees.add(id.tree, directory) };
        let Some(added) = added else {
            self.judge.fault(&LIMITS, &place, || {
                format!(
                    "more than {MAX_DIRECTORIES} directories, or more than {MAX_DEPTH} deep: not \
                     all were read"
                )
            });
            self.found.whole = false;
            return Ok(());
        };
        self.claim(added);
        Ok(())
    }

    /// Looks for Rock Ridge in the first record of the root directory.
    fn open_rock_ridge(&mut self, record: &Record<'_>) -> Result<(), ReadError> {
        let Judge { region, name, out, trees } = &mut *self.judge;
        let block = self.source.block;
        self.rock_ridge = RockRidge::open(region, name, block.bytes(), record, out)?;
        if let Some(rock_ridge) = &self.rock_ridge {
            trees.set_naming(rock_ridge.naming());
        }
        Ok(())
    }

    /// Judges what a record says of its file beside ISO 9660.
    fn system_use(
        &mut self,
        record: &Record<'_>,
        place: &Place<'_>,
        role: Role,
        continues: bool,
    ) -> Result<(), ReadError> {
        let Some(rock_ridge) = &mut self.rock_ridge else { return Ok(()) };
        let id = match place.whose {
            Whose::Directory(id) | Whose::File(id, _) | Whose::Record(id, _) => id,
            Whose::Nobody => return Ok(()),
        };
        let trees = &self.judge.trees;
        let directory = trees.get(id);
        let blocks = u32::from(directory.extended_attribute_len);
        let whose = if role == Role::Child { place.whose } else { Whose::Directory(id) };
        let subject = Subject {
            record: *record,
            role,
            directory: directory.extent.0.saturating_add(blocks),
            continues,
            path: &|| trees.path(whose).unwrap_or_default(),
        };
        rock_ridge.judge(&subject, self.judge.out).map(|_| ())
    }

    /// Judges one of the first two records of a directory. False if it is one like any other.
    fn dot(&mut self, reader: &Reader, record: &Record<'_>, place: &Place<'_>) -> bool {
        let place = Place { whose: Whose::Directory(reader.directory), ..*place };
        let directory = *self.judge.trees.get(reader.directory);
        let parent = DirectoryId { index: directory.parent, ..reader.directory };
        let (check, identifier, want) = match reader.records {
            0 => (&SELF, 0, directory),
            _ => (&PARENT, 1, *self.judge.trees.get(parent)),
        };
        let shown = if identifier == 0 { "the directory itself" } else { "its parent" };
        if !self.judge.expect(check, record.identifier == [identifier], &place, || {
            format!("no record of {shown}, but one of another file")
        }) {
            return false;
        }
        let raw = record.raw;
        self.record_numbers(record, &place);
        let (extent, len) = (raw.extent.get(), raw.data_len.get());
        let is = |other: Directory| (Block(extent), len) == (other.extent, other.data_len);
        let same = is(want) || self.source.names != Names::Primary && is(directory);
        self.judge.expect(check, same && raw.is_directory(), &place, || {
            if raw.is_directory() {
                format!(
                    "{len} bytes at block {extent}, and {shown} has {} at block {}",
                    want.data_len, want.extent
                )
            } else {
                format!("the record of {shown} is not one of a directory")
            }
        });
        true
    }
}

impl Judge<'_> {
    /// A directory has bytes that are those of another one.
    fn shared(&mut self, id: DirectoryId, other: DirectoryId, place: &Place<'_>) {
        self.fault_with(&DIRECTORY_SHARED, place, |trees| {
            let inside = trees.is_below(id, other);
            let path = trees.path(Whose::Directory(other)).unwrap_or_default();
            let extent = trees.get(id).extent;
            let which = if inside { "which it is in" } else { "which is another one" };
            format!("block {extent} is of {path}, {which}")
        });
    }
}

/// A record, or where one should be, which is nobody's yet.
pub(super) fn record_at(structure: &'static str, offset: u64) -> Place<'static> {
    Place { structure, offset, len: 0, whose: Whose::Nobody }
}
