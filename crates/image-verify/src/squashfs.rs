//! Checks of SquashFS 4.0, as Linux reads it (`fs/squashfs`).
//!
//! In the order in which Linux comes to the parts: `superblock`, the places of the `tables`,
//! `inodes`, `directories`, `xattrs`, and at last the `blocks`, of which each is decompressed once,
//! by as many threads as there are processors. An error is what Linux refuses, or what makes a file
//! lost or another one; what nobody but `mksquashfs -append` looks at is less.
//!
//! In memory are 24 bytes for each inode, 16 for each block, and two blocks for each thread; then
//! the tree of files. Blocks of data are decompressed once. Those of metadata are once for each
//! step, and once more for each reference that leads to one that is not kept any more: these are
//! counted, so the time is linear in what is there.

mod blocks;
mod checks;
mod directories;
mod files;
mod inodes;
mod paths;
mod superblock;
mod tables;
mod volume;
mod xattrs;

use image_formats::{
    bytes::{ReadError, Region},
    squashfs::{MetadataError, MetadataReader, raw::SuperBlock},
    units::ByteOffset,
};
use image_model::{Check, ImageSpace, Location, VerificationReport};

pub use checks::*;
pub use volume::Memory;

use crate::{
    Recorder,
    volume::{Trouble, Volume},
};
use inodes::RecordId;
use tables::Tables;

/// What people call a file system that is alone.
const ALONE: &str = "file system";

/// Judges the file system in `region`, and nothing around it. An error is the machine's.
pub fn check(region: &Region) -> Result<VerificationReport, ReadError> {
    let mut out = Recorder::default();
    let judged = judge(region, ALONE, &mut out)?;
    Ok(crate::report_of_region(region, judged.map(|_| "squashfs"), out))
}

/// Judges the file system in `region`, which people call `name`, and opens it where that is safe.
/// It is the only one of its image. An error is the machine's.
pub fn verify(
    region: &Region,
    name: &str,
    trouble: &Trouble,
    out: &mut Recorder,
) -> Result<Option<Volume>, ReadError> {
    verify_within(region, name, &mut Memory::default(), trouble, out)
}

/// The same, of one of several: it is opened where the memory for all of them has room for it.
pub fn verify_within(
    region: &Region,
    name: &str,
    memory: &mut Memory,
    trouble: &Trouble,
    out: &mut Recorder,
) -> Result<Option<Volume>, ReadError> {
    match judge(region, name, out)? {
        Some(Judged { sound: Some(sound) }) => {
            volume::open(region, name, memory, trouble, sound, out)
        }
        _ => Ok(None),
    }
}

/// A file system with a superblock.
struct Judged {
    /// What is needed to read it, where who does not look where he goes can follow it.
    sound: Option<Sound>,
}

/// What is needed to read a file system.
struct Sound {
    fs: Fs,
    ids: Vec<u32>,
}

/// A file system whose tables were found.
struct Fs {
    layout: Layout,
    reader: MetadataReader,
}

/// What is known of a file system once its tables are.
struct Layout {
    superblock: SuperBlock,
    block_size: u32,
    tables: Tables,
}

/// `None` where it is no SquashFS.
fn judge(region: &Region, name: &str, out: &mut Recorder) -> Result<Option<Judged>, ReadError> {
    out.announce(CHECKS);
    let mut judge =
        Judge { region, name, out, unnamed: Vec::new(), unlike: Vec::new(), spent: false };
    let Some(basics) = judge.superblock()? else { return Ok(None) };
    let Some(mut fs) = judge.tables(basics)? else { return Ok(Some(Judged { sound: None })) };
    fs.reader.allow(fs.layout.reads());
    let ids = judge.ids(&mut fs)?;
    let mut blocks = judge.fragments(&mut fs)?;
    let inodes = judge.inodes(&mut fs, &mut blocks)?;
    let mut sound = ids.is_some() && inodes.is_some();
    if let Some(mut inodes) = inodes {
        sound &= judge.directories(&mut fs, &mut inodes)?;
        judge.export(&mut fs, &inodes)?;
        judge.xattrs(&mut fs)?;
        judge.blocks(&mut fs, blocks)?;
        fs.reader.allow(fs.layout.reads());
        judge.paths(&mut fs, &inodes)?;
    } else {
        judge.blocks(&mut fs, blocks)?;
    }
    judge.flags(&fs.layout.superblock);
    let sound = ids.filter(|_| sound && !judge.spent).map(|ids| Sound { fs, ids });
    Ok(Some(Judged { sound }))
}

/// What all steps share.
struct Judge<'a> {
    region: &'a Region,
    name: &'a str,
    out: &'a mut Recorder,
    /// Findings whose path is looked up when all directories are known.
    unnamed: Vec<(usize, Whose)>,
    /// More metadata blocks were asked for than are read.
    spent: bool,
    /// What the flags say and is not so.
    unlike: Vec<&'static str>,
}

/// Whose fault it is.
#[derive(Clone, Debug)]
enum Whose {
    /// No file's.
    Nobody,
    /// That of an inode.
    Inode(RecordId),
    /// That of an entry with this name in a directory.
    Entry(RecordId, Vec<u8>),
    /// That of the file with a data block at this place.
    Block(u64),
    /// That of the first file with a tail in this fragment that ends behind this byte.
    Fragment(u32, u32),
}

/// A place in the image, for a finding.
#[derive(Clone, Copy)]
struct Place {
    structure: &'static str,
    at: ByteOffset,
    len: u64,
}

impl Judge<'_> {
    /// A place in the file system.
    fn place(&self, structure: &'static str, at: u64, len: u64) -> Place {
        Place { structure, at: self.region.absolute(at), len }
    }

    /// Records whether a check holds; the message is only made where it does not.
    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        place: Place,
        message: impl FnOnce() -> String,
    ) -> bool {
        self.expect_of(check, holds, place, || Whose::Nobody, message)
    }

    /// The same, of what belongs to a file.
    fn expect_of(
        &mut self,
        check: &'static Check,
        holds: bool,
        place: Place,
        whose: impl FnOnce() -> Whose,
        message: impl FnOnce() -> String,
    ) -> bool {
        let name = self.name;
        let mut told = false;
        self.out.expect(check, holds, || {
            told = true;
            let location = Location {
                structure: format!("{name}, {}", place.structure).into(),
                space: ImageSpace::Raw,
                offset: place.at.0,
                len: place.len,
                path: None,
            };
            (location, message())
        });
        if told {
            match whose() {
                Whose::Nobody => {}
                whose => {
                    let last = self.out.findings_from(0).len().saturating_sub(1);
                    self.unnamed.push((last, whose));
                }
            }
        }
        holds
    }

    /// The same, of what is evaluated so often that only its faults are recorded.
    fn of_inode(
        &mut self,
        check: &'static Check,
        holds: bool,
        place: Place,
        id: RecordId,
        message: impl FnOnce() -> String,
    ) -> bool {
        holds || self.expect_of(check, false, place, || Whose::Inode(id), message)
    }

    /// Records that a structure cannot be read, or returns the error of the machine.
    fn unreadable(
        &mut self,
        check: &'static Check,
        structure: &'static str,
        whose: Whose,
        error: MetadataError,
    ) -> Result<(), ReadError> {
        let error = error.machine()?;
        let mut check = check;
        if matches!(error, MetadataError::Reads { .. }) {
            // All that comes after is not read either.
            if std::mem::replace(&mut self.spent, true) {
                return Ok(());
            }
            check = &LIMITS;
        }
        let place = Place { structure, at: error.at(), len: 0 };
        self.expect_of(
            check,
            false,
            place,
            || whose,
            || match &error {
                MetadataError::Read(read) => format!("{read}: {}", read.cause),
                other => other.to_string(),
            },
        );
        Ok(())
    }

    /// Records checks that were evaluated so often that only their faults were.
    fn evaluated(&mut self, checks: &[&'static Check]) {
        let nowhere = self.place("", 0, 0);
        for check in checks {
            self.expect(check, true, nowhere, String::new);
        }
    }
}
