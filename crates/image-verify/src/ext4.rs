//! Checks of ext2, ext3 and ext4. Linux, Documentation/filesystems/ext4; in the order of e2fsck.
//!
//! The superblock and the group descriptors come first, then all inodes in the order of their
//! tables with the blocks that they claim, then the directories from the root, then what is
//! counted. What comes later is only judged where what it relies on was sound. No content of a file
//! is read.
//!
//! Every block with metadata belongs to one owner and is read once for it: a claim that fails ends
//! the file that made it. So time and memory follow the size of the file system, whatever is in it:
//! 64 MiB, 40 bytes for each inode and two bits for each cluster are the most that it takes.

mod backups;
mod bits;
mod checks;
mod connections;
mod counts;
mod directories;
mod entries;
mod features;
mod file;
mod files;
mod fs;
mod groups;
mod index;
mod inodes;
mod journal;
mod map;
mod mmp;
mod orphans;
mod paths;
mod quota;
mod resize;
mod superblock;
mod usage;
mod volume;
mod xattr;

use image_formats::{
    bytes::{ReadError, Region},
    ext4::{Block, Descriptor, Geometry, Ino, Superblock, raw},
};
use image_model::{Check, Location, VerificationReport};

use crate::{
    Recorder,
    container::raw_at,
    volume::{Trouble, Volume},
};
use bits::Bits;
pub use checks::*;
use directories::Directory;
use fs::Fs;
use inodes::Inodes;
use usage::Usage;
use xattr::Policy;

/// Judges the file system in `region`, and nothing around it. An error is the machine's.
///
/// ```no_run
/// # use std::{fs::File, sync::Arc};
/// # use image_formats::bytes::Region;
/// let image = Region::whole(Arc::new(File::open("root.ext4")?))?;
/// let report = image_verify::ext4::check(&image)?;
/// assert!(report.passed(), "{:?}", report.findings);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check(region: &Region) -> Result<VerificationReport, ReadError> {
    let mut out = Recorder::default();
    let sound = judge(region, NAME, &mut out)?;
    let format = sound.map(|sound| superblock::format(&sound.superblock));
    Ok(crate::report_of_region(region, format, out))
}

/// What people call a file system that is alone.
const NAME: &str = "file system";

/// Judges the file system in `region`, which people call `name`, and opens it where that is safe.
/// An error is the machine's.
pub fn verify(
    region: &Region,
    name: &str,
    trouble: &Trouble,
    out: &mut Recorder,
) -> Result<Option<Volume>, ReadError> {
    match judge(region, name, out)? {
        Some(sound) => volume::open(region, name, trouble, &sound, out),
        None => Ok(None),
    }
}

/// A file system in which nothing was found that makes it unsafe to follow.
struct Sound {
    superblock: Superblock,
    geometry: Geometry,
    groups: Vec<Descriptor>,
}

fn judge(region: &Region, name: &str, out: &mut Recorder) -> Result<Option<Sound>, ReadError> {
    out.announce(CHECKS);
    let whole = region.len() >= Superblock::OFFSET + raw::Superblock::SIZE as u64;
    if !out.expect(&SUPERBLOCK, whole, || {
        let at = superblock::location(region, name, 0);
        (at, format!("{} bytes, not 2048 at least", region.len()))
    }) {
        return Ok(None);
    }
    let superblock = Superblock::read(region)?;
    let Some(geometry) = superblock::verify(region, name, &superblock, out) else {
        return Ok(None);
    };
    let Some(groups) = groups::verify(region, name, &superblock, &geometry, out)? else {
        return Ok(None);
    };
    let mut judge = Judge {
        region,
        name,
        superblock: &superblock,
        geometry: &geometry,
        groups: &groups.descriptors,
        used: groups.used,
        inodes: Inodes::new(geometry.inodes_count),
        directories: Vec::new(),
        policies: Vec::new(),
        usage: Usage::default(),
        lost_and_found: None,
        has_idle_flags: false,
        has_lost_entries: false,
        sound: !superblock.incompat(image_formats::ext4::incompat::RECOVER),
        held: Vec::new(),
        out,
    };
    let first = judge.out.findings_from(0).len();
    judge.inodes()?;
    judge.mmp()?;
    judge.journal()?;
    judge.orphans()?;
    if judge.directories()? {
        judge.connections();
        if judge.sound {
            judge.links();
            judge.bitmaps()?;
        }
        judge.quotas()?;
        judge.paths(first)?;
    }
    let sound = judge.sound && groups.trusted;
    Ok(sound.then_some(Sound { superblock, geometry, groups: groups.descriptors }))
}

/// A place in the file system: `at` is relative to it.
fn structure(region: &Region, structure: String, at: u64, len: u64) -> Location {
    let offset = region.absolute(at).0;
    raw_at(structure, offset, len)
}

/// Where something is that is judged: it becomes a location only where that is needed.
#[derive(Clone, Copy)]
enum Place {
    Inode(Ino),
    Block(&'static str, Ino, Block),
}

/// A file system whose superblock and descriptors are sound, and what was learned about it so far.
struct Judge<'a, 'o> {
    region: &'a Region,
    name: &'a str,
    superblock: &'a Superblock,
    geometry: &'a Geometry,
    groups: &'a [Descriptor],
    /// Clusters that have an owner.
    used: Bits,
    /// Inodes in use.
    inodes: Inodes,
    /// Directories, in the order of their numbers.
    directories: Vec<Directory>,
    /// How encrypted inodes are encrypted, in the order of their numbers.
    policies: Vec<(Ino, Policy)>,
    /// What the owners of files use.
    usage: Usage,
    /// What `/lost+found` leads to.
    lost_and_found: Option<Ino>,
    /// Descriptors say what inodes were never used, in a file system where they should not.
    has_idle_flags: bool,
    /// Entries of a directory could not be read: who is missed may be among them.
    has_lost_entries: bool,
    /// Nothing was found so far that makes the counts senseless, or the files unsafe to read.
    sound: bool,
    /// Checks that held at least once.
    held: Vec<&'static Check>,
    out: &'o mut Recorder,
}

impl<'a> Judge<'a, '_> {
    /// Reads what was judged before.
    fn fs(&self) -> Fs<'a> {
        let Self { region, geometry, groups, .. } = *self;
        Fs { region, geometry, groups }
    }

    /// Records a check that nothing relies on.
    fn note(
        &mut self,
        check: &'static Check,
        holds: bool,
        finding: impl FnOnce(&Self) -> (Location, String),
    ) -> bool {
        let finding = (!holds).then(|| finding(self));
        if finding.is_none() {
            // The recorder looks an id up; what held before is known without that.
            if self.held.iter().any(|held| std::ptr::eq(*held, check)) {
                return true;
            }
            self.held.push(check);
        }
        let nothing = || (structure(self.region, String::new(), 0, 0), String::new());
        self.out.expect(check, holds, || finding.unwrap_or_else(nothing))
    }

    /// Records a check that what comes later relies on.
    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        finding: impl FnOnce(&Self) -> (Location, String),
    ) -> bool {
        self.sound &= holds;
        self.note(check, holds, finding)
    }

    fn at_inode(&self, ino: Ino) -> Location {
        let len = u64::from(self.geometry.inode_size);
        let name = format!("{}, ext4 {ino}", self.name);
        let at = structure(self.region, name, self.fs().inode_offset(ino), len);
        Location { path: Some(paths::placeholder(ino, None)), ..at }
    }

    fn at_block(&self, what: &str, ino: Ino, block: Block) -> Location {
        let name = format!("{}, ext4 {what} of {ino}", self.name);
        let len = u64::from(self.geometry.block_size);
        let at = structure(self.region, name, self.geometry.offset(block), len);
        Location { path: Some(paths::placeholder(ino, None)), ..at }
    }

    fn at(&self, place: Place) -> Location {
        match place {
            Place::Inode(ino) => self.at_inode(ino),
            Place::Block(what, ino, block) => self.at_block(what, ino, block),
        }
    }

    /// Fills `buf` with blocks, which are inside the file system.
    fn read(&self, what: &'static str, block: Block, buf: &mut [u8]) -> Result<(), ReadError> {
        self.region.fill(what, self.geometry.offset(block), buf)
    }
}
