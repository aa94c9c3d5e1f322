//! What both kinds of partition table come to: partitions with a place. What can be asked of these
//! is asked here.

use std::{borrow::Cow, fmt};

use image_formats::{
    bytes::Region,
    units::{BlockSize, Lba},
};
use image_model::Location;

use super::{
    NO_PARTITIONS, PARTITION_INSIDE, PARTITION_LIMIT, PARTITION_OVER_TABLE, PARTITION_OVERLAP,
    PartitionType, Table, at,
};
use crate::Recorder;

/// The highest number that Linux gives to a partition (`DISK_MAX_PARTS`).
pub(crate) const MAX_NUMBER: u32 = 255;

/// Bytes of a disk, from the first up to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Extent {
    /// So many blocks from `first` on; what does not fit in 64 bits ends nowhere, and is in no
    /// disk.
    pub(crate) fn of_blocks(first: Lba, count: u64, size: BlockSize) -> Self {
        let offset = |lba: Lba| lba.to_offset(size).map_or(u64::MAX, |offset| offset.0);
        Self { start: offset(first), end: offset(Lba(first.0.saturating_add(count))) }
    }

    /// True if a byte is in both.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.start.max(other.start) < self.end.min(other.end)
    }

    /// True if all bytes of `other` are in this.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Number of bytes.
    pub(crate) fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} to {:#x}", self.start, self.end)
    }
}

/// An entry of a table that is in use.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) number: u32,
    pub(crate) kind: PartitionType,
    pub(crate) bootable: bool,
    pub(crate) label: Option<String>,
    pub(crate) attributes: u64,
    pub(crate) extent: Extent,
    /// Where the entry is.
    pub(crate) at: Location,
}

/// What a table says.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) table: Table,
    pub(crate) block_size: BlockSize,
    pub(crate) entries: Vec<Entry>,
    /// Extended partitions, with their number: no other partition may be there, but logical ones.
    pub(crate) extended: Vec<(u32, Extent)>,
    /// The bytes of the table itself.
    pub(crate) reserved: Vec<(Cow<'static, str>, Extent)>,
}

impl Layout {
    /// Judges the places of the partitions. Returns those that have a number, each with whether it
    /// is inside of the disk and its bytes are its own.
    pub(super) fn judge(&self, disk: &Region, out: &mut Recorder) -> Vec<(Entry, bool)> {
        out.expect(&NO_PARTITIONS, !self.entries.is_empty(), || {
            (at("partition table", 0, 0), "no entry is in use".to_owned())
        });
        let (entries, over): (Vec<&Entry>, Vec<&Entry>) =
            self.entries.iter().partition(|entry| entry.number <= MAX_NUMBER);
        out.expect(&PARTITION_LIMIT, over.is_empty(), || {
            let place = over.first().map_or(at("partition table", 0, 0), |entry| entry.at.clone());
            let count = over.len();
            (place, format!("{count} above number {MAX_NUMBER}, the last that Linux gives"))
        });
        let mut judged: Vec<(Entry, bool)> = Vec::new();
        for entry in entries {
            let inside = self.inside(entry, disk, out);
            let shares = self.shares(entry, &mut judged, out);
            self.over_table(entry, out);
            judged.push((entry.clone(), inside && !shares));
        }
        judged
    }

    fn inside(&self, entry: &Entry, disk: &Region, out: &mut Recorder) -> bool {
        let Entry { number, extent, .. } = entry;
        out.expect(&PARTITION_INSIDE, extent.end <= disk.len(), || {
            let whole = Extent { start: 0, end: disk.len() };
            (entry.at.clone(), format!("partition {number} is {extent}, and the disk {whole}"))
        })
    }

    /// True if another partition has some of the bytes of `entry`; both are marked.
    fn shares(&self, entry: &Entry, others: &mut [(Entry, bool)], out: &mut Recorder) -> bool {
        let mut with: Option<(u32, Extent)> = None;
        for (other, sound) in others.iter_mut().filter(|(o, _)| o.extent.overlaps(entry.extent)) {
            *sound = false;
            with.get_or_insert((other.number, other.extent));
        }
        let is_logical = matches!(self.table, Table::Mbr { .. }) && entry.number > 4;
        if !is_logical {
            let extended = self.extended.iter().find(|(_, e)| e.overlaps(entry.extent));
            with = with.or(extended.copied());
        }
        !out.expect(&PARTITION_OVERLAP, with.is_none(), || {
            let Entry { number, extent, .. } = entry;
            let (other, theirs) = with.unwrap_or((0, *extent));
            let message = format!("partition {number} is {extent}, and partition {other} {theirs}");
            (entry.at.clone(), message)
        })
    }

    fn over_table(&self, entry: &Entry, out: &mut Recorder) {
        let Entry { number, extent, .. } = entry;
        let over = self.reserved.iter().find(|(_, reserved)| reserved.overlaps(*extent));
        out.expect(&PARTITION_OVER_TABLE, over.is_none(), || {
            let message = over.map_or(String::new(), |(what, reserved)| {
                format!("partition {number} is {extent}, and the {what} {reserved}")
            });
            (entry.at.clone(), message)
        });
    }
}
