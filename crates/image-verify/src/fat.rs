//! Checks of FAT12, FAT16 and FAT32. Microsoft FAT Specification, August 2005, called FAT here.
//!
//! Top to bottom in the order of `fsck.fat`, so that the two can be read beside each other: its
//! `read_boot` is `boot`, `read_fat` is `tables`, `scan_root` is `directories` with `names` and
//! `chains`, and what comes after those is `summary`. An error is what `fsck.fat -n` would change,
//! or what Linux does not mount; what both accept, and Windows or a firmware does not, is a
//! warning.
//!
//! In memory are at most 128 MiB of the FAT, a bit for each cluster, 40 bytes for each directory and
//! 16 MiB of their names, and the names of one directory as hashes. Each cluster of a chain is
//! looked at once, so the time is linear in what the FAT and the directories hold.

mod boot;
mod chains;
mod checks;
mod directories;
mod files;
mod names;
mod paths;
mod summary;
mod tables;
mod volume;

use image_formats::bytes::{ReadError, Region};
use image_model::{Check, ImageSpace, Location, VerificationReport};

pub use checks::*;

use crate::{
    Recorder,
    volume::{Trouble, Volume},
};
use boot::Boot;
use paths::{Directories, Whose};
use tables::Tables;

/// Judges the file system in `region`, and nothing around it. An error is the machine's.
///
/// ```no_run
/// # use std::{fs::File, sync::Arc};
/// # use image_formats::bytes::Region;
/// let image = Region::whole(Arc::new(File::open("boot.fat")?))?;
/// let report = image_verify::fat::check(&image)?;
/// assert!(report.passed(), "{:?}", report.findings);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check(region: &Region) -> Result<VerificationReport, ReadError> {
    let mut out = Recorder::default();
    let judged = judge(region, NAME, &mut out)?;
    Ok(crate::report_of_region(region, judged.map(|_| "vfat"), out))
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
        Some(judged) if judged.safe => volume::open(region, name, trouble, judged, out),
        _ => Ok(None),
    }
}

/// What was learned of a file system.
struct Judged {
    boot: Boot,
    tables: Tables,
    /// As blkid prints it.
    label: String,
    /// Who does not look where he goes can follow it.
    safe: bool,
}

/// `None` where it cannot be told where anything is.
fn judge(region: &Region, name: &str, out: &mut Recorder) -> Result<Option<Judged>, ReadError> {
    out.announce(CHECKS);
    let mut judge = Judge { region, name, out, directories: Directories::new() };
    let Some(boot) = judge.boot()? else { return Ok(None) };
    let mut tables = judge.tables(&boot)?;
    let found = judge.directories(&boot, &mut tables.first)?;
    let label = if found.rooted { judge.label(&boot, found.label.as_ref()) } else { String::new() };
    judge.summary(&boot, &mut tables, &found)?;
    let safe = boot.safe && tables.safe && found.safe;
    Ok(Some(Judged { boot, tables, label, safe }))
}

/// What all steps share.
struct Judge<'a> {
    region: &'a Region,
    name: &'a str,
    out: &'a mut Recorder,
    directories: Directories,
}

/// A place in the volume, for a finding.
#[derive(Clone, Copy)]
struct Place<'a> {
    structure: &'static str,
    /// From the start of the volume.
    offset: u64,
    len: u64,
    whose: Whose<'a>,
}

impl Judge<'_> {
    /// Records whether a check holds; the message is only made where it does not.
    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        place: &Place<'_>,
        message: impl FnOnce() -> String,
    ) -> bool {
        let Self { region, name, out, directories } = self;
        out.expect(check, holds, || (place.location(region, name, directories), message()))
    }

    /// Records that a check does not hold.
    fn fault(
        &mut self,
        check: &'static Check,
        place: &Place<'_>,
        message: impl FnOnce() -> String,
    ) {
        self.expect(check, false, place, message);
    }

    /// Records checks that were evaluated so often that only their faults were.
    fn evaluated(&mut self, checks: &[&'static Check]) {
        let nowhere = Place { structure: "", offset: 0, len: 0, whose: Whose::Nobody };
        for check in checks {
            self.expect(check, true, &nowhere, String::new);
        }
    }
}

impl Place<'_> {
    fn location(&self, region: &Region, volume: &str, directories: &Directories) -> Location {
        let path = match self.whose {
            Whose::Nobody => None,
            Whose::Directory(id) => Some(directories.path(region, id, None)),
            Whose::File(directory, name) => Some(directories.path(region, directory, Some(name))),
        };
        Location {
            structure: format!("{volume}, {}", self.structure).into(),
            space: ImageSpace::Raw,
            offset: region.absolute(self.offset).0,
            len: self.len,
            path,
        }
    }
}
