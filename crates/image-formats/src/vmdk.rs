//! Disks of VMware, as one file: VMware, "Virtual Disk Format 5.0", "Hosted Sparse Extents" and
//! "Stream-Optimized Compressed Sparse Extents".
//!
//! A header, a descriptor in words, and *grains* of the disk, which are found by a directory of
//! tables. In a stream-optimized disk the grains are compressed, each behind a marker, and a header
//! that was written before the tables says that the true one is at the end, the *footer*.

pub mod descriptor;
pub mod raw;

use zerocopy::{FromBytes as _, little_endian::U32};

use crate::bytes::{ReadError, Region};
use raw::{Header, Marker, SECTOR};

/// The most bytes of a descriptor: real ones have less than one kilobyte in 64 KiB at most.
pub const MAX_DESCRIPTOR: u64 = 1 << 20;

/// The most bytes of a directory of tables that is read: that of a disk of 8 TiB in usual grains.
pub const MAX_DIRECTORY: u64 = 1 << 20;

/// How many entries a table has; no other number is known to exist.
pub const TABLE_ENTRIES: u32 = 512;

/// Size of a table in bytes.
const TABLE_SIZE: usize = 2048;

impl Header {
    /// The header in the first sector of `disk`.
    pub fn read(disk: &Region) -> Result<Self, ReadError> {
        Self::read_at(disk, 0)
    }

    /// The footer: the last header of a disk, before the last marker.
    pub fn read_footer(disk: &Region) -> Result<Self, ReadError> {
        // What is too short for it leaves the region.
        let at = disk.len().checked_sub(SECTOR.saturating_mul(2)).unwrap_or(disk.len());
        Self::read_at(disk, at)
    }

    fn read_at(disk: &Region, at: u64) -> Result<Self, ReadError> {
        Ok(zerocopy::transmute!(disk.array::<{ Self::SIZE }>("VMDK header", at)?))
    }

    /// True if it starts with the magic number.
    pub fn has_magic(&self) -> bool {
        self.magic_number == Self::MAGIC
    }

    /// True if the place of the directory is in the footer.
    pub fn has_footer(&self) -> bool {
        self.gd_offset.get() == Self::GD_AT_END
    }

    /// True if grains are compressed.
    pub fn is_compressed(&self) -> bool {
        self.flags.get() & Self::FLAG_COMPRESSED != 0
    }

    /// True if markers are in front of grains and tables.
    pub fn has_markers(&self) -> bool {
        self.flags.get() & Self::FLAG_MARKERS != 0
    }

    /// How many tables the directory has to have; `None` where the geometry is none.
    pub fn tables(&self) -> Option<u64> {
        let covered = self.grain_size.get().checked_mul(self.num_gtes_per_gt.get().into())?;
        (covered > 0).then(|| self.capacity.get().div_ceil(covered))
    }

    /// The embedded descriptor; `None` where there is none.
    pub fn descriptor(&self, disk: &Region) -> Option<Result<Vec<u8>, ReadError>> {
        if self.descriptor_offset.get() == 0 {
            return None;
        }
        // Numbers that are too large leave the region.
        let at = self.descriptor_offset.get().saturating_mul(SECTOR);
        let len = self.descriptor_size.get().saturating_mul(SECTOR);
        Some(disk.bytes("VMDK descriptor", at, len, MAX_DESCRIPTOR))
    }

    /// The directory: where each table is, in sectors; 0 where all of its grains are empty.
    pub fn directory(&self, disk: &Region) -> Result<Vec<u32>, ReadError> {
        let at = self.gd_offset.get().saturating_mul(SECTOR);
        let len = self.tables().unwrap_or(u64::MAX).saturating_mul(4);
        Ok(numbers(&disk.bytes("VMDK grain directory", at, len, MAX_DIRECTORY)?))
    }
}

/// The table at this sector: where each grain is, in sectors; 0 and 1 where it is empty.
pub fn table(disk: &Region, sector: u32) -> Result<Vec<u32>, ReadError> {
    let at = u64::from(sector).saturating_mul(SECTOR);
    let bytes = disk.array::<TABLE_SIZE>("VMDK grain table", at)?;
    Ok(numbers(&bytes))
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

impl Marker {
    /// The marker at this sector.
    pub fn read(disk: &Region, sector: u64) -> Result<Self, ReadError> {
        let bytes: [u8; Self::SIZE] = disk.array("VMDK marker", sector.saturating_mul(SECTOR))?;
        Ok(zerocopy::transmute!(bytes))
    }

    /// The marker that starts the bytes of a sector.
    pub fn from_prefix(bytes: &[u8]) -> Option<Self> {
        Self::read_from_prefix(bytes).ok().map(|(marker, _)| marker)
    }

    /// What follows a marker without data.
    pub fn kind(&self) -> u32 {
        U32::from_bytes(self.kind).get()
    }
}
