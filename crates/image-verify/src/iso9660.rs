//! Checks of ISO 9660. ECMA-119, 4th edition; IEEE P1281 (SUSP) and P1282 (Rock Ridge); Joliet.
//!
//! Top to bottom: the volume descriptors, then for each tree that they lead to its directories
//! (`directories`, with `records`, `names` and `sections`) and its path tables, then what is only
//! seen of all together: extents that overlap, and what Joliet shows of the files. An error is what
//! Linux or Windows do not read, or read otherwise than it was written; what they let pass is a
//! warning or an info.
//!
//! In memory are 40 bytes for each directory and 32 for each extent of each tree, and the names of
//! one directory as hashes. Each sector of a directory is read for one directory of a tree, so the
//! time is linear in what the directories hold, but for the sorting of extents.

mod checks;
mod descriptors;
mod directories;
mod extents;
mod files;
mod joliet;
mod label;
mod names;
mod path_tables;
mod paths;
mod records;
mod sections;
mod volume;

pub mod rock_ridge;

use image_formats::bytes::{ReadError, Region};
use image_model::{Check, ImageSpace, Location, VerificationReport};

pub use checks::*;

use crate::{
    Recorder,
    volume::{Trouble, Volume},
};
use descriptors::Set;
use extents::Extents;
use paths::{Trees, Whose};

/// Judges the file system in `region`, and nothing around it. An error is the machine's.
///
/// ```no_run
/// # use std::{fs::File, sync::Arc};
/// # use image_formats::bytes::Region;
/// let image = Region::whole(Arc::new(File::open("disc.iso")?))?;
/// let report = image_verify::iso9660::check(&image)?;
/// assert!(report.passed(), "{:?}", report.findings);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check(region: &Region) -> Result<VerificationReport, ReadError> {
    let mut out = Recorder::default();
    let judged = judge(region, NAME, &mut out)?;
    Ok(crate::report_of_region(region, judged.map(|_| FORMAT), out))
}

/// What people call a file system that is alone.
const NAME: &str = "file system";

/// As blkid calls it.
const FORMAT: &str = "iso9660";

/// Judges the file system in `region`, which people call `name`, and opens it where that is safe.
/// An error is the machine's.
pub fn verify(
    region: &Region,
    name: &str,
    trouble: &Trouble,
    out: &mut Recorder,
) -> Result<Option<Volume>, ReadError> {
    match judge(region, name, out)? {
        Some(judged) => volume::open(region, name, trouble, judged, out),
        None => Ok(None),
    }
}

/// What was learned of a file system.
struct Judged {
    set: Set,
    /// For each tree of the set: all of its directories were read.
    whole: Vec<bool>,
    /// What reads the names of Rock Ridge, where the primary tree has them.
    rock_ridge: Option<rock_ridge::Reader>,
}

/// `None` where it cannot be told where anything is.
fn judge(region: &Region, name: &str, out: &mut Recorder) -> Result<Option<Judged>, ReadError> {
    out.announce(CHECKS);
    out.announce(rock_ridge::CHECKS);
    let mut judge = Judge { region, name, out, trees: Trees::new(region) };
    let Some(set) = judge.descriptors()? else { return Ok(None) };
    let mut extents = Extents::default();
    extents.descriptors(&set);
    let mut whole = Vec::new();
    let mut rock_ridge = None;
    for index in 0..set.sources.len() {
        let found = judge.tree(&set, index, &mut extents)?;
        judge.path_tables(&set, index, &found, &mut extents)?;
        whole.push(found.whole);
        rock_ridge = rock_ridge.or(found.rock_ridge);
    }
    judge.overlaps(&set, &mut extents);
    if whole.iter().all(|whole| *whole) {
        judge.joliet(&set, &extents);
    }
    Ok(Some(Judged { set, whole, rock_ridge }))
}

/// What all steps share.
struct Judge<'a> {
    region: &'a Region,
    name: &'a str,
    out: &'a mut Recorder,
    trees: Trees<'a>,
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
        let Self { region, name, out, trees } = self;
        out.expect(check, holds, || (place.location(region, name, trees), message()))
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

    /// The same, where the message has the path of another file: looking it up for each of a
    /// million would take long.
    fn fault_with(
        &mut self,
        check: &'static Check,
        place: &Place<'_>,
        message: impl FnOnce(&Trees<'_>) -> String,
    ) {
        let Self { region, name, out, trees } = self;
        out.expect(check, false, || (place.location(region, name, trees), message(trees)));
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
    fn location(&self, region: &Region, volume: &str, trees: &Trees<'_>) -> Location {
        Location {
            structure: format!("{volume}, {}", self.structure).into(),
            space: ImageSpace::Raw,
            offset: region.absolute(self.offset).0,
            len: self.len,
            path: trees.path(self.whose),
        }
    }
}
