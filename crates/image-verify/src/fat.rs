//! Checks of FAT12, FAT16 and FAT32. Microsoft FAT Specification, August 2005, called FAT here.
//!
//! Top to bottom in the order of `fsck.fat`, so that the two can be read beside each other: its
//! `read_boot` is `boot`, `read_fat` is `tables`, `scan_root` is `directories`, and what comes
//! after those is `summary`. In memory are a bit for each cluster, at most 16 MiB of the FAT, and
//! the tree.

mod boot;
mod checks;
mod directories;
mod files;
mod names;
mod summary;
mod tables;

use image_formats::bytes::{ReadError, Region};
use image_model::{Check, ImageSpace, Location};

pub use checks::*;

use crate::{
    Recorder,
    volume::{Family, Trouble, Volume},
};

/// Judges the file system in `region`, which people call `name`, and opens it where that is safe.
/// An error is the machine's.
pub fn verify(
    region: &Region,
    name: &str,
    trouble: &Trouble,
    out: &mut Recorder,
) -> Result<Option<Volume>, ReadError> {
    out.announce(CHECKS);
    let mut judge = Judge { region, name, out };
    let Some(boot) = judge.boot()? else { return Ok(None) };
    let mut tables = judge.tables(&boot)?;
    let found = judge.directories(&boot, &mut tables.first)?;
    let label = if found.rooted { judge.label(&boot, found.label.as_ref()) } else { String::new() };
    judge.summary(&boot, &mut tables, &found)?;
    if !(boot.safe && tables.safe && found.safe) {
        return Ok(None);
    }
    let files = files::FatFiles {
        region: region.clone(),
        geometry: boot.geometry,
        fat: tables.first.region().clone(),
        trouble: trouble.clone(),
    };
    Ok(Some(Volume {
        name: name.to_owned(),
        family: Family::Fat,
        format: "vfat",
        label,
        uuid: boot.uuid(),
        free_bytes: u64::from(tables.free) * boot.geometry.cluster_size,
        free_inodes: None,
        random_seed: None,
        at: boot::sector(0, 512).location(region, name),
        tree: found.tree,
        files: Box::new(files),
    }))
}

/// What all steps share.
struct Judge<'a> {
    region: &'a Region,
    name: &'a str,
    out: &'a mut Recorder,
}

/// A place in the volume, for a finding.
struct Place {
    structure: &'static str,
    /// From the start of the volume.
    offset: u64,
    len: u64,
    path: Option<String>,
}

impl Judge<'_> {
    /// Records whether a check holds; the message is only made where it does not.
    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        place: &Place,
        message: impl FnOnce() -> String,
    ) -> bool {
        let Self { region, name, out } = self;
        out.expect(check, holds, || (place.location(region, name), message()))
    }
}

impl Place {
    fn location(&self, region: &Region, volume: &str) -> Location {
        Location {
            structure: format!("{volume}, {}", self.structure).into(),
            space: ImageSpace::Raw,
            offset: region.absolute(self.offset).0,
            len: self.len,
            path: self.path.clone(),
        }
    }
}
