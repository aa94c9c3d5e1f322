//! Entries of the tables: 64 bits each, in which an offset and some flags share a number.

use zerocopy::{IntoBytes as _, big_endian::U64};

use super::ClusterSize;
use crate::bytes::{ReadError, Region};

/// Bits 9 to 55: where a cluster is, in bytes from the start of the file.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Bit 63: the refcount of the cluster is exactly one.
const COPIED: u64 = 1 << 63;

/// An entry of an L1 table: where an L2 table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L1Entry(pub u64);

impl L1Entry {
    /// Where the L2 table is; 0 where there is none.
    pub fn offset(self) -> u64 {
        self.0 & OFFSET
    }

    /// The refcount of the L2 table is one.
    pub fn is_copied(self) -> bool {
        self.0 & COPIED != 0
    }

    /// Bits that have to be zero, and are not.
    pub fn reserved(self) -> u64 {
        self.0 & !OFFSET & !COPIED
    }
}

/// The first, or only, 64 bits of an entry of an L2 table: where a cluster of the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L2Entry(pub u64);

impl L2Entry {
    /// Bit 62: the cluster is compressed.
    const COMPRESSED: u64 = 1 << 62;
    /// Bit 0: the cluster reads as zeros.
    const ZERO: u64 = 1;

    /// The cluster is compressed, and not where [`offset`](Self::offset) says.
    pub fn is_compressed(self) -> bool {
        self.0 & Self::COMPRESSED != 0
    }

    /// The refcount of the cluster is one.
    pub fn is_copied(self) -> bool {
        self.0 & COPIED != 0
    }

    /// Where a standard cluster is; 0 where it is not allocated.
    pub fn offset(self) -> u64 {
        self.0 & OFFSET
    }

    /// A standard cluster reads as zeros, whatever is there.
    pub fn is_zero(self) -> bool {
        self.0 & Self::ZERO != 0
    }

    /// Bits of a standard cluster that have to be zero, and are not.
    pub fn reserved(self) -> u64 {
        self.0 & !OFFSET & !COPIED & !Self::ZERO & !Self::COMPRESSED
    }

    /// Where a compressed cluster is.
    pub fn compressed(self, size: ClusterSize) -> CompressedCluster {
        // 62 - (cluster_bits - 8)
        let shift = 70_u32.saturating_sub(size.bits());
        let offset_mask = 1_u64.wrapping_shl(shift).wrapping_sub(1);
        let descriptor = self.0 & !COPIED & !Self::COMPRESSED;
        let (offset, more) = (descriptor & offset_mask, descriptor.wrapping_shr(shift));
        // The rest of the sector that it begins in, and so many more.
        let first = 512_u64.saturating_sub(offset & 511);
        CompressedCluster { offset, len: more.saturating_mul(512).saturating_add(first) }
    }
}

/// Where a compressed cluster is: as much of it as it may take, to the end of a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressedCluster {
    /// Its first byte.
    pub offset: u64,
    /// How many bytes it takes at most: two clusters and a little.
    pub len: u64,
}

/// The second 64 bits of an extended entry of an L2 table: a bit for each 32nd of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subclusters(pub u64);

impl Subclusters {
    /// Those that are in the cluster.
    pub fn allocated(self) -> u64 {
        self.0 & 0xffff_ffff
    }

    /// Those that read as zeros.
    pub fn zero(self) -> u64 {
        self.0.wrapping_shr(32)
    }
}

/// An entry of a refcount table, or of a bitmap table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableEntry(pub u64);

impl TableEntry {
    /// Where a refcount block is; 0 where there is none.
    pub fn refcount_block(self) -> u64 {
        self.0 & !0x1ff
    }

    /// Where a cluster of a bitmap is; 0 where there is none.
    pub fn bitmap_cluster(self) -> u64 {
        self.0 & OFFSET
    }

    /// Bits that have to be zero in an entry of a refcount table, and are not.
    pub fn reserved_of_refcount_table(self) -> u64 {
        self.0 & 0x1ff
    }

    /// Bits that have to be zero in an entry of a bitmap table, and are not. The first one may be
    /// set where there is no cluster: then all bits are.
    pub fn reserved_of_bitmap_table(self) -> u64 {
        let all_ones = u64::from(self.bitmap_cluster() == 0);
        self.0 & !OFFSET & !all_ones
    }
}

/// A table of 64-bit numbers, read piece by piece.
#[derive(Clone, Debug)]
pub struct Entries {
    region: Region,
    what: &'static str,
}

impl Entries {
    /// How many are read at once.
    const PIECE: u64 = 2048;

    /// The table called `what` with this many entries at this byte.
    pub fn new(file: &Region, what: &'static str, at: u64, count: u64) -> Result<Self, ReadError> {
        Ok(Self { region: file.sub(what, at, count.saturating_mul(8))?, what })
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Result<u64, ReadError>> + '_ {
        let count = self.region.len().wrapping_shr(3);
        let pieces = (0..count).step_by(usize::try_from(Self::PIECE).unwrap_or(1));
        pieces.flat_map(move |first| {
            let number = count.saturating_sub(first).min(Self::PIECE);
            let mut entries = vec![U64::ZERO; usize::try_from(number).unwrap_or(0)];
            let at = first.saturating_mul(8);
            match self.region.fill(self.what, at, entries.as_mut_bytes()) {
                Ok(()) => entries.into_iter().map(|entry| Ok(entry.get())).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example is that of an image by QEMU with clusters of 64 KiB.
    #[test]
    fn a_compressed_cluster_ends_with_a_sector() {
        let size = ClusterSize::new(16).unwrap();
        let entry = L2Entry(0x4040_0000_0005_0100);
        let CompressedCluster { offset, len } = entry.compressed(size);
        assert_eq!((offset, len), (0x50100, 512 + 256));
        assert_eq!(CompressedCluster { offset, len }, L2Entry(entry.0 | COPIED).compressed(size));
        // All bits that there are.
        for bits in 9..=21 {
            let size = ClusterSize::new(bits).unwrap();
            let cluster = L2Entry(u64::MAX).compressed(size);
            assert!(cluster.len <= 2 * size.bytes(), "{bits}");
        }
    }

    #[test]
    fn numbers_come_piece_by_piece() {
        let bytes: Vec<u8> = (0..5000_u64).flat_map(u64::to_be_bytes).collect();
        let table = Entries::new(&bytes.into(), "table", 8, 4999).unwrap();
        let read: Result<Vec<u64>, _> = table.iter().collect();
        assert_eq!(read.unwrap(), (1..5000).collect::<Vec<u64>>());
    }
}
