//! Checks of what directory records say beside ISO 9660: the System Use Sharing Protocol (IEEE
//! P1281, called SUSP here), and Rock Ridge (IEEE P1282, called RRIP). What Linux does is measured
//! by
//! `fs/isofs/rock.c`.
//!
//! Who walks over the directories hands each record to `RockRidge::judge`, and takes from it what
//! the file is. In memory are a hash for each name of one directory, and some 40 bytes for each
//! directory, relocation and serial number. Of a record at most 33 areas are read, and of all
//! records not more bytes of them than the volume has, so the time is linear in its length.

mod attributes;
mod checks;
mod entries;
mod file;
mod relocation;

use std::collections::{HashMap, HashSet};

use image_formats::{
    bytes::{ReadError, Region},
    iso9660::{Record, raw::DirectoryRecord},
    susp::{Budget, Entry, SystemUse, raw::Header},
};
use image_model::{Check, ImageSpace, Location};

pub(super) use attributes::{Attributes, Posix};
pub use checks::*;

use crate::Recorder;
use attributes::Found;
use relocation::Relocations;

/// What comes before the entries of a record on a disc of CD-ROM XA: bytes 6 and 7 say `XA`.
const XA: (usize, &[u8]) = (14, b"XA");

/// Which record of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The first one: of the directory itself.
    Own,
    /// The second one: of its parent.
    Parent,
    /// All others.
    Child,
}

/// A directory record that is to be judged.
pub(super) struct Subject<'a> {
    pub(super) record: Record<'a>,
    pub(super) role: Role,
    /// The first block of the directory that it is in.
    pub(super) directory: u32,
    /// It is of a further extent of the file before it.
    pub(super) continues: bool,
    /// The path of the file, with the name that it has in ISO 9660. Only asked where there is
    /// something to say.
    pub(super) path: &'a dyn Fn() -> String,
}

impl Subject<'_> {
    /// The first block of the content.
    fn extent(&self) -> u32 {
        let raw = &self.record.raw;
        raw.extent.get().saturating_add(raw.extended_attribute_len.into())
    }
}

/// Reads what records say, without an opinion.
pub(super) struct Reader {
    region: Region,
    block_size: u64,
    /// Where the own record of the root directory is, and the bytes before its entries.
    root: (u64, usize),
    /// The bytes before the entries of all other records.
    skip: usize,
    budget: Budget,
    /// First blocks of the directories that are elsewhere, and that something leads to.
    relocated: HashSet<u32>,
}

impl Reader {
    /// What a record says of its file. An error is the machine's.
    pub(super) fn attributes(&mut self, record: &Record<'_>) -> Result<Attributes, ReadError> {
        let mut found = Found::default();
        self.system_use(record)?.entries().for_each(|entry| found.note(&entry, |_| ()));
        Ok(found.finish())
    }

    /// True if a directory starts at this block that may be followed from a `CL`.
    pub(super) fn is_relocated(&self, block: u32) -> bool {
        self.relocated.contains(&block)
    }

    fn system_use(&mut self, record: &Record<'_>) -> Result<SystemUse, ReadError> {
        let (root, before) = self.root;
        let before = if record.offset == root { before } else { self.skip };
        let area = record.system_use.get(before..).unwrap_or_default();
        let at = record.system_use_offset.saturating_add(before as u64);
        SystemUse::read(&self.region, self.block_size, area, at, &mut self.budget)
    }
}

/// The Rock Ridge of a volume.
pub(super) struct RockRidge {
    reader: Reader,
    /// What people call the volume.
    name: String,
    /// The directory whose names are collected, and hashes of them.
    siblings: (Option<u32>, HashSet<u64>),
    /// What files with a serial number are: first block and bytes.
    serials: HashMap<u32, (u32, u32)>,
    /// What the own record of a directory says of it, or the one in its parent, by first block:
    /// what came first.
    owners: HashMap<u32, (Role, Posix)>,
    relocations: Relocations,
    /// Checks that were evaluated so often that only their faults are recorded at once.
    evaluated: Evaluated,
}

/// The most bytes of continuation areas that are read for one name of a path: a name has 255 bytes,
/// and what comes before it is not much more.
const MAX_NAME_AREAS: u64 = 16 << 10;

/// Reads the names of a volume with Rock Ridge, for paths in findings.
pub(super) struct Naming {
    block_size: u64,
    skip: usize,
}

impl Naming {
    /// The name of a file, as far as it can be read.
    pub(super) fn name(&self, region: &Region, record: &Record<'_>) -> Option<Vec<u8>> {
        let area = record.system_use.get(self.skip..)?;
        let at = record.system_use_offset.saturating_add(self.skip as u64);
        let mut budget = Budget::of(MAX_NAME_AREAS);
        let read = SystemUse::read(region, self.block_size, area, at, &mut budget).ok()?;
        let mut found = Found::default();
        read.entries().for_each(|entry| found.note(&entry, |_| ()));
        found.finish().name
    }
}

/// Which checks were evaluated.
#[derive(Default)]
struct Evaluated(Vec<&'static Check>);

impl Evaluated {
    fn all(&mut self, checks: &[&'static Check]) {
        for check in checks {
            if !self.0.iter().any(|known| std::ptr::eq(*known, *check)) {
                self.0.push(check);
            }
        }
    }
}

impl RockRidge {
    /// Looks whether the volume has Rock Ridge: `root` is the first record of its root directory.
    /// An error is the machine's.
    pub(super) fn open(
        region: &Region,
        name: &str,
        block_size: u64,
        root: &Record<'_>,
        out: &mut Recorder,
    ) -> Result<Option<Self>, ReadError> {
        let mut budget = Budget::new(region);
        let area = root.system_use;
        let is_sp = |from: usize| area.get(from..).is_some_and(|a| a.starts_with(&Header::SP));
        let xa = area.get(6..8) == Some(XA.1) && is_sp(XA.0);
        let before = if xa { XA.0 } else { 0 };
        let area = area.get(before..).unwrap_or_default();
        let at = root.system_use_offset + before as u64;
        let read = SystemUse::read(region, block_size, area, at, &mut budget)?;
        if !read.entries().any(|entry| entries::is_known(&entry)) {
            return Ok(None);
        }
        let locate = |at: u64, len: u64| Location {
            structure: format!("{name}, system use area of the root directory").into(),
            space: ImageSpace::Raw,
            offset: at,
            len,
            path: Some("/".into()),
        };
        let first = read.entries().next();
        let sp = first.and_then(|entry| Some((entry, entry.sp()?)));
        let skip =
            sp.filter(|(entry, sp)| entries::is_sound_sp(entry, sp)).map(|(_, sp)| sp.len_skp);
        out.expect(&SP, skip.is_some(), || {
            let message = match (sp, first) {
                (Some((_, sp)), _) => format!(
                    "SP has the check bytes {:02x} {:02x}, not be ef",
                    sp.check[0], sp.check[1]
                ),
                (_, Some(first)) => format!("the first entry is {}, not SP", first.signature()),
                _ => "there is no entry, not even SP".to_owned(),
            };
            (locate(region.absolute(at).0, area.len() as u64), message)
        });
        let Some(skip) = skip else { return Ok(None) };
        let extensions: Vec<_> = read.entries().filter_map(|entry| entry.er()).collect();
        out.expect(&ER, extensions.iter().any(|er| er.is_rock_ridge()), || {
            let named: Vec<_> =
                extensions.iter().map(|er| er.id.escape_ascii().to_string()).collect();
            let message = match named.as_slice() {
                [] => "no ER names an extension, not even RRIP_1991A".to_owned(),
                named => format!("ER names {}, not RRIP_1991A", named.join(", ")),
            };
            (locate(region.absolute(at).0, area.len() as u64), message)
        });
        let reader = Reader {
            region: region.clone(),
            block_size,
            root: (root.offset, before),
            skip: skip.into(),
            budget: Budget::new(region),
            relocated: HashSet::new(),
        };
        Ok(Some(Self {
            reader,
            name: name.to_owned(),
            siblings: (None, HashSet::new()),
            serials: HashMap::new(),
            owners: HashMap::new(),
            relocations: Relocations::default(),
            evaluated: Evaluated::default(),
        }))
    }

    /// Judges a record, and says what its file is. An error is the machine's.
    pub(super) fn judge(
        &mut self,
        subject: &Subject<'_>,
        out: &mut Recorder,
    ) -> Result<Attributes, ReadError> {
        let read = self.reader.system_use(&subject.record)?;
        let mut judge = Judge { rock: self, subject, out };
        let cut = judge.areas(&read);
        let mut found = Found { cut, ..Found::default() };
        for entry in read.entries() {
            judge.entry(&entry, &mut found);
        }
        judge.file(&found);
        let attributes = found.finish();
        self.relocations.note(subject, &attributes);
        Ok(attributes)
    }

    /// What reads names and nothing else.
    pub(super) fn naming(&self) -> Naming {
        Naming { block_size: self.reader.block_size, skip: self.reader.skip }
    }

    /// Judges what only all records together tell. What is left reads them again.
    pub(super) fn finish(mut self, out: &mut Recorder) -> Reader {
        let relocations = std::mem::take(&mut self.relocations);
        self.reader.relocated = relocations.judge(&self, out);
        for check in &self.evaluated.0 {
            out.expect(check, true, || (self.location("", 0, 0, None), String::new()));
        }
        // Each has its own: what was asked for in circles is not asked for again.
        self.reader.budget = Budget::new(&self.reader.region);
        self.reader
    }

    /// A place in the volume, at this offset of the image: an entry, or the whole record.
    fn location(&self, entry: &str, offset: u64, len: u64, path: Option<String>) -> Location {
        let structure = match entry {
            "" => format!("{}, directory record", self.name),
            entry => format!("{}, SUSP entry {entry}", self.name),
        };
        Location { structure: structure.into(), space: ImageSpace::Raw, offset, len, path }
    }
}

/// Judges a record.
struct Judge<'a, 's> {
    rock: &'a mut RockRidge,
    subject: &'a Subject<'s>,
    out: &'a mut Recorder,
}

impl Judge<'_, '_> {
    /// Records that a check does not hold, for an entry.
    fn fault(
        &mut self,
        check: &'static Check,
        entry: &Entry<'_>,
        message: impl FnOnce() -> String,
    ) {
        let len = entry.len() as u64;
        self.fault_at(check, &entry.signature(), entry.at.0, len, message);
    }

    /// Records that a check does not hold, for all of a record.
    fn fault_of_record(&mut self, check: &'static Check, message: impl FnOnce() -> String) {
        let record = &self.subject.record;
        let at = self.rock.reader.region.absolute(record.offset).0;
        self.fault_at(check, "", at, record.raw.len.into(), message);
    }

    /// Records that a check does not hold, for an entry, or for a record where that has no name.
    fn fault_at(
        &mut self,
        check: &'static Check,
        entry: &str,
        offset: u64,
        len: u64,
        message: impl FnOnce() -> String,
    ) {
        let Self { rock, subject, out } = self;
        out.expect(check, false, || {
            let path = Some((subject.path)());
            (rock.location(entry, offset, len, path), message())
        });
    }
}

/// True for a record whose name the directory has anyway: of an associated file.
fn is_associated(record: &Record<'_>) -> bool {
    record.raw.flags & DirectoryRecord::ASSOCIATED != 0
}
