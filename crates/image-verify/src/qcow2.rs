//! Checks of qcow2, versions 2 and 3, as QEMU reads it.
//!
//! In the order in which one thing leads to the other: the `header` and its extensions, the
//! `refcounts`, the L1 tables of the disk and of its `snapshots`, the `bitmaps`, the L2 tables with
//! the `map` of the disk, and at last the `data` that are compressed. Each of them claims its
//! clusters (`claims`); what is claimed by two of which one is metadata is an error, and is not
//! read again. So time follows the length of the file, whatever is in it. At the end claims and
//! refcounts are compared, as `qemu-img check` does, and with its verdict.
//!
//! In memory are three bytes for each cluster of the file, 192 MiB at most, and four clusters for
//! each thread.

mod bitmaps;
mod checks;
mod claims;
mod data;
mod header;
mod map;
mod refcounts;
mod snapshots;

use image_formats::{
    bytes::{ReadError, Region},
    qcow2::{ClusterSize, CompressionType, RefcountOrder, raw::Header},
};
use image_model::{Check, Location, VerificationReport};

pub use checks::*;

use crate::{Recorder, container::raw_at};
use claims::{Claims, Role};

/// What others may want to know of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// How many snapshots the header tells of.
    pub snapshots: u32,
}

/// Judges the disk in `file`, and nothing around it. An error is the machine's.
pub fn check(file: &Region) -> Result<VerificationReport, ReadError> {
    let mut out = Recorder::default();
    verify(file, &mut out)?;
    Ok(crate::report_of_region(file, Some("qcow2"), out))
}

/// Judges the disk in `file`. An error is the machine's.
pub fn verify(file: &Region, out: &mut Recorder) -> Result<Facts, ReadError> {
    out.announce(CHECKS);
    let mut judge = Judge { file, out };
    let Some(disk) = judge.header()? else { return Ok(Facts::default()) };
    let facts = Facts { snapshots: disk.header.nb_snapshots.get() };
    let Some(mut claims) = judge.claims(&disk) else { return Ok(facts) };
    judge.extensions(&disk, &mut claims)?;
    let refcounts = judge.refcount_blocks(&disk, &mut claims)?;
    if refcounts.is_none() {
        claims.know_no_refcounts();
    }
    let tables = judge.l1_tables(&disk, &mut claims)?;
    let compressed = judge.map(&disk, &tables, &mut claims)?;
    judge.compressed_data(&disk, &compressed)?;
    if let Some(refcounts) = refcounts {
        judge.compare(&disk, &refcounts, &claims)?;
    }
    Ok(facts)
}

/// What all steps share.
struct Judge<'a> {
    file: &'a Region,
    out: &'a mut Recorder,
}

/// An image whose header can be followed.
struct Disk {
    header: Header,
    version: u32,
    cluster: ClusterSize,
    refcount_order: RefcountOrder,
    compression: Option<CompressionType>,
    /// Entries of L2 tables have 128 bits.
    extended: bool,
    /// The data are in another file.
    external: bool,
    /// Where the header ends and its extensions begin.
    header_length: u64,
    /// The bitmaps are said to be up to date.
    bitmaps: bool,
    file_len: u64,
}

impl Disk {
    /// How many entries an L2 table has.
    fn l2_entries(&self) -> u64 {
        self.cluster.bytes() / if self.extended { 16 } else { 8 }
    }

    /// How many bytes of a disk an entry of an L1 table stands for; saturates.
    fn l1_span(&self) -> u64 {
        self.cluster.bytes().saturating_mul(self.l2_entries())
    }

    /// True if a cluster begins at this byte, all of which is in the file.
    fn is_whole(&self, at: u64) -> bool {
        self.cluster.starts_at(at)
            && at.checked_add(self.cluster.bytes()).is_some_and(|end| end <= self.file_len)
    }
}

impl Judge<'_> {
    /// A place in the file.
    fn at(&self, structure: &'static str, at: u64, len: u64) -> Location {
        raw_at(structure, self.file.absolute(at).0, len)
    }

    /// Records that a check does not hold.
    fn fault(&mut self, check: &'static Check, at: Location, message: impl FnOnce() -> String) {
        self.out.expect(check, false, || (at, message()));
    }

    /// Claims a table of so many bytes, of which QEMU reads `limit` at most. False if it cannot be
    /// read.
    fn table(
        &mut self,
        disk: &Disk,
        claims: &mut Claims,
        check: &'static Check,
        (structure, role): (&'static str, Role),
        place: (u64, u64),
        limit: u64,
    ) -> bool {
        self.is_in_file(disk, claims, check, structure, place, limit)
            && self.claim_all(disk, claims, place, role)
    }

    /// Judges where a table is.
    fn is_in_file(
        &mut self,
        disk: &Disk,
        claims: &mut Claims,
        check: &'static Check,
        structure: &'static str,
        (at, len): (u64, u64),
        limit: u64,
    ) -> bool {
        let trouble = if !disk.cluster.starts_at(at) {
            "it does not begin at a cluster".to_owned()
        } else if len > limit {
            format!("{len} bytes, more than {limit}")
        } else if at.checked_add(len).is_none_or(|end| end > disk.file_len) {
            format!("{len} bytes, of which some are beyond the end of the file")
        } else {
            return true;
        };
        claims.incomplete = true;
        self.fault(check, self.at(structure, at, len), || trouble);
        false
    }
}
