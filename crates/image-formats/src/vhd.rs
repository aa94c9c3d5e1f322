//! Virtual hard disks of Virtual PC, Hyper-V and Azure: Microsoft's Virtual Hard Disk Image Format
//! Specification, version 1.0. QEMU calls them `vpc`.
//!
//! [`raw`] holds the bits. A *fixed* disk is the disk and a footer behind it; a *dynamic* one has
//! the blocks that were written, each behind a bitmap of its sectors, and a table that says where;
//! a *differencing* one has only what is different from another file.

pub mod raw;

use raw::{Footer, Geometry};
use zerocopy::IntoBytes as _;

use crate::bytes::{ReadError, Region};

/// Bytes of a sector.
pub const SECTOR: u64 = 512;

/// What a disk type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskType {
    /// 2: the whole disk, and the footer.
    Fixed,
    /// 3: the blocks that were written.
    Dynamic,
    /// 4: the blocks that are different from those of another file.
    Differencing,
    /// Any other.
    Other(u32),
}

impl From<u32> for DiskType {
    fn from(value: u32) -> Self {
        match value {
            2 => Self::Fixed,
            3 => Self::Dynamic,
            4 => Self::Differencing,
            other => Self::Other(other),
        }
    }
}

impl Footer {
    /// What the disk is.
    pub fn kind(&self) -> DiskType {
        self.disk_type.get().into()
    }

    /// True if it says itself that it is one.
    pub fn has_cookie(&self) -> bool {
        self.cookie == Self::COOKIE
    }
}

impl Geometry {
    /// More sectors cannot be told.
    const MAX: u64 = 65535 * 16 * 255;

    /// The geometry that the appendix of the specification computes for a disk of this many
    /// sectors.
    pub fn of(sectors: u64) -> Self {
        let total = sectors.min(Self::MAX);
        let tracks = |per_track: u64| total.checked_div(per_track).unwrap_or_default();
        let too_many = |tracks: u64, heads: u64| tracks >= heads.saturating_mul(1024);
        let (heads, per_track) = if total >= 65535 * 16 * 63 {
            (16, 255)
        } else {
            let heads = tracks(17).div_ceil(1024).max(4);
            if heads <= 16 && !too_many(tracks(17), heads) {
                (heads, 17)
            } else if !too_many(tracks(31), 16) {
                (16, 31)
            } else {
                (16, 63)
            }
        };
        let byte = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
        let cylinder = tracks(per_track).checked_div(heads).unwrap_or_default();
        Self {
            cylinder: u16::try_from(cylinder).unwrap_or(u16::MAX).into(),
            heads: byte(heads),
            sectors: byte(per_track),
        }
    }

    /// How many sectors it has.
    pub fn total(self) -> u64 {
        let (heads, sectors) = (u64::from(self.heads), u64::from(self.sectors));
        u64::from(self.cylinder.get()).saturating_mul(heads).saturating_mul(sectors)
    }

    /// True if no larger disk can be told.
    pub fn is_largest(self) -> bool {
        self.total() == Self::MAX
    }
}

/// A block allocation table, read piece by piece.
#[derive(Clone, Debug)]
pub struct BlockAllocationTable {
    region: Region,
}

impl BlockAllocationTable {
    /// The entry of a block that is not there.
    pub const UNUSED: u32 = u32::MAX;
    /// How many entries are read at once.
    const PIECE: u64 = 4096;

    /// The table with this many entries at this byte.
    pub fn new(file: &Region, at: u64, entries: u32) -> Result<Self, ReadError> {
        let len = u64::from(entries).saturating_mul(4);
        Ok(Self { region: file.sub("VHD block allocation table", at, len)? })
    }

    /// All entries, each the sector where the bitmap of a block begins.
    pub fn entries(&self) -> impl Iterator<Item = Result<u32, ReadError>> + '_ {
        let count = self.region.len() / 4;
        let pieces = (0..count).step_by(usize::try_from(Self::PIECE).unwrap_or(1));
        pieces.flat_map(move |first| {
            let number = count.saturating_sub(first).min(Self::PIECE);
            let mut entries =
                vec![zerocopy::big_endian::U32::ZERO; usize::try_from(number).unwrap_or(0)];
            let what = "VHD block allocation table";
            match self.region.fill(what, first.saturating_mul(4), entries.as_mut_bytes()) {
                Ok(()) => entries.into_iter().map(|entry| Ok(entry.get())).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            }
        })
    }
}

/// How many bytes the sector bitmap takes in front of a block of this size: a bit for each sector,
/// in whole sectors.
pub fn bitmap_len(block_size: u32) -> u64 {
    u64::from(block_size).div_ceil(SECTOR).div_ceil(8).next_multiple_of(SECTOR)
}

/// True if these 512 bytes, the last ones of a file, are the footer of a VHD.
pub fn is_footer(tail: &[u8]) -> bool {
    tail.starts_with(&Footer::COOKIE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `qemu-img create -f vpc` writes for disks of these sizes, which it rounds up to them.
    #[test]
    fn geometries_are_those_of_qemu() {
        for (sectors, cylinder, heads, per_track) in [
            (68, 1, 4, 17),
            (2108, 31, 4, 17),
            (204_816, 1004, 12, 17),
            (2_097_648, 2081, 16, 63),
            (u64::MAX, 65535, 16, 255),
        ] {
            let geometry = Geometry::of(sectors);
            let found = (geometry.cylinder.get(), geometry.heads, geometry.sectors);
            assert_eq!(found, (cylinder, heads, per_track), "{sectors}");
            assert_eq!(geometry.total(), sectors.min(65535 * 16 * 255));
        }
        assert!(Geometry::of(1 << 40).is_largest());
    }

    #[test]
    fn bitmaps_fill_sectors() {
        assert_eq!([512, 2 << 20, 4 << 20, 16 << 20].map(bitmap_len), [512, 512, 1024, 4096]);
    }
}
