//! One of the two copies of a table: a header and its entry array.

use std::{borrow::Cow, mem::offset_of};

use image_formats::{
    bytes::{ReadError, Region},
    gpt::{EntryArray, Header, MAX_ENTRY_ARRAY_BYTES, raw},
    units::{BlockSize, Lba},
};
use image_model::{Check, Location};

use super::{
    ALTERNATE_LAST, ALTERNATE_LBA, ENTRIES_CRC, ENTRY_ARRAY, ENTRY_SIZE, ENTRY_SIZE_LINUX,
    HEADER_CRC, HEADER_SIZE, MY_LBA, RESERVED, REVISION, SIGNATURE, USABLE_RANGE,
};
use crate::{
    Recorder,
    disk::{Extent, at},
};

/// Which of the two copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// At LBA 1.
    Primary,
    /// At the end of the disk.
    Backup,
}

impl Role {
    fn header(self) -> &'static str {
        match self {
            Self::Primary => "GPT header",
            Self::Backup => "GPT backup header",
        }
    }

    fn array(self) -> &'static str {
        match self {
            Self::Primary => "GPT entry array",
            Self::Backup => "GPT backup entry array",
        }
    }

    fn entry(self) -> &'static str {
        match self {
            Self::Primary => "GPT entry",
            Self::Backup => "GPT backup entry",
        }
    }
}

/// A copy, with what was found out about it.
#[derive(Debug)]
pub(super) struct Copy {
    role: Role,
    lba: Lba,
    size: BlockSize,
    pub(super) header: Header,
    /// The header's checksum and place are right.
    pub(super) header_holds: bool,
    /// The entries, if they can be read.
    pub(super) entries: Option<EntryArray>,
    entries_hold: bool,
}

impl Copy {
    /// Reads and judges the copy whose header is at `lba`; `None` if there is none.
    pub(super) fn judge(
        role: Role,
        lba: Lba,
        disk: &Region,
        size: BlockSize,
        out: &mut Recorder,
    ) -> Result<Option<Self>, ReadError> {
        let header = match Header::read(disk, lba, size) {
            Ok(header) => header,
            Err(error) if error.is_defect() => {
                out.expect(&SIGNATURE, false, || {
                    (at(role.header(), error.at.0, error.len), "out of the disk".to_owned())
                });
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut copy = Self {
            role,
            lba,
            size,
            header,
            header_holds: false,
            entries: None,
            entries_hold: false,
        };
        let found = copy.header.raw.signature;
        if !out.expect(&SIGNATURE, copy.header.has_signature(), || {
            (copy.at(0, 8), format!("\"{}\", not \"EFI PART\"", found.escape_ascii()))
        }) {
            return Ok(None);
        }
        let last = (disk.len() / size.bytes()).saturating_sub(1);
        copy.judge_header(out);
        copy.judge_places(last, out);
        copy.judge_array(disk, out)?;
        Ok(Some(copy))
    }

    /// True if firmware takes it.
    pub(super) fn holds(&self) -> bool {
        self.header_holds && self.entries_hold
    }

    /// The bytes that it takes.
    pub(super) fn extents(
        &self,
        size: BlockSize,
    ) -> impl Iterator<Item = (Cow<'static, str>, Extent)> + use<> {
        let header = Extent::of_blocks(self.lba, 1, size);
        let array = self.entries.is_some().then(|| self.array());
        let header = Some((self.role.header().into(), header));
        header.into_iter().chain(array.map(|extent| (self.role.array().into(), extent)))
    }

    /// Where a field of the header is.
    pub(super) fn at(&self, field: usize, len: usize) -> Location {
        let block = self.lba.to_offset(self.size).map_or(u64::MAX, |offset| offset.0);
        at(self.role.header(), block.saturating_add(field as u64), len as u64)
    }

    /// Where an entry is.
    pub(super) fn entry_at(&self, index: usize, size: BlockSize) -> Location {
        let array = Lba(self.header.raw.partition_entry_lba.get()).to_offset(size);
        let stride = u64::from(self.header.raw.size_of_partition_entry.get());
        let offset = array
            .map_or(u64::MAX, |offset| offset.0)
            .saturating_add(stride.saturating_mul(index as u64));
        at(format!("{} {}", self.role.entry(), index + 1), offset, stride)
    }

    fn array(&self) -> Extent {
        let first = Lba(self.header.raw.partition_entry_lba.get());
        Extent::of_blocks(first, self.header.entry_array_blocks(self.size), self.size)
    }

    fn judge_header(&mut self, out: &mut Recorder) {
        let raw = self.header.raw;
        let crc = self.header.crc32();
        let size = raw.header_size.get();
        out.expect(&HEADER_SIZE, crc.is_some(), || {
            let message = format!("{size} bytes, not 92 to {}", self.size.bytes());
            (self.at(offset_of!(raw::Header, header_size), 4), message)
        });
        let stored = raw.header_crc32.get();
        if let Some(computed) = crc {
            out.expect(&HEADER_CRC, stored == computed, || {
                let message = format!("stored {stored:#010x}, computed {computed:#010x}");
                (self.at(offset_of!(raw::Header, header_crc32), 4), message)
            });
        }
        let revision = raw.revision.get();
        out.expect(&REVISION, revision == raw::Header::REVISION, || {
            let message = format!("{revision:#010x}, not {:#010x}", raw::Header::REVISION);
            (self.at(offset_of!(raw::Header, revision), 4), message)
        });
        out.expect(&RESERVED, self.header.reserved_is_zero(), || {
            let len = self.size.bytes() as usize;
            (self.at(0, len), "reserved bytes are not zero".to_owned())
        });
        let my_lba = raw.my_lba.get();
        let is_here = out.expect(&MY_LBA, my_lba == self.lba.0, || {
            let message = format!("{my_lba}, not {}", self.lba.0);
            (self.at(offset_of!(raw::Header, my_lba), 8), message)
        });
        self.header_holds = crc == Some(stored) && is_here;
    }

    /// Judges where the other copy is, and what may be used, on a disk whose last block is `last`.
    fn judge_places(&self, last: u64, out: &mut Recorder) {
        let raw = &self.header.raw;
        let alternate = raw.alternate_lba.get();
        let place = || self.at(offset_of!(raw::Header, alternate_lba), 8);
        if self.role == Role::Backup {
            out.expect(&ALTERNATE_LBA, alternate == 1, || {
                (place(), format!("LBA {alternate}, not 1"))
            });
        } else if out.expect(&ALTERNATE_LBA, (2..=last).contains(&alternate), || {
            (place(), format!("LBA {alternate}, and the last block of the disk is {last}"))
        }) {
            out.expect(&ALTERNATE_LAST, alternate == last, || {
                (place(), format!("LBA {alternate}, not the last block of the disk, {last}"))
            });
        }
        let (first, end) = (raw.first_usable_lba.get(), raw.last_usable_lba.get());
        let usable =
            Extent::of_blocks(Lba(first), end.saturating_add(1).saturating_sub(first), self.size);
        // Each copy knows the header of the other by its place only.
        let limit = if self.role == Role::Backup { self.lba.0 } else { alternate };
        let is_between = first > 1 && first <= end && end < limit && !usable.overlaps(self.array());
        out.expect(&USABLE_RANGE, is_between, || {
            let message = format!(
                "LBA {first} to {end}, not between header and entry array at {}, and header at {:#x}",
                self.array(),
                Extent::of_blocks(Lba(limit), 0, self.size).start
            );
            (self.at(offset_of!(raw::Header, first_usable_lba), 16), message)
        });
    }

    fn judge_array(&mut self, disk: &Region, out: &mut Recorder) -> Result<(), ReadError> {
        let raw = self.header.raw;
        let entry_size = raw.size_of_partition_entry.get();
        let mut size_is = |check: &'static Check, holds: bool, what: &str| {
            out.expect(check, holds, || {
                let place = self.at(offset_of!(raw::Header, size_of_partition_entry), 4);
                (place, format!("{entry_size} bytes, not {what}"))
            })
        };
        let is_possible = entry_size >= 128 && entry_size.is_power_of_two();
        if !size_is(&ENTRY_SIZE, is_possible, "128 × 2ⁿ") {
            return Ok(());
        }
        size_is(&ENTRY_SIZE_LINUX, entry_size == 128, "128");
        let header = Extent::of_blocks(self.lba, 1, self.size);
        let (array, len) = (self.array(), self.header.entry_array_len());
        let whole = Extent { start: self.size.bytes().saturating_mul(2), end: disk.len() };
        let is_readable = whole.contains(array)
            && !array.overlaps(header)
            && (1..=MAX_ENTRY_ARRAY_BYTES).contains(&len);
        if !out.expect(&ENTRY_ARRAY, is_readable, || {
            let count = raw.number_of_partition_entries.get();
            let message = format!(
                "{count} entries of {entry_size} bytes at {array}, in a disk of {:#x} bytes",
                disk.len()
            );
            (self.at(offset_of!(raw::Header, partition_entry_lba), 16), message)
        }) {
            return Ok(());
        }
        let entries = EntryArray::read(disk, &self.header, self.size)?;
        let (stored, computed) = (raw.partition_entry_array_crc32.get(), entries.crc32());
        self.entries_hold = out.expect(&ENTRIES_CRC, stored == computed, || {
            let message = format!("stored {stored:#010x}, computed {computed:#010x}");
            (self.at(offset_of!(raw::Header, partition_entry_array_crc32), 4), message)
        });
        self.entries = Some(entries);
        Ok(())
    }
}
