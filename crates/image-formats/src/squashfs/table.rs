//! Tables that are found by an index, and the sizes of data blocks.

use std::mem::size_of;

use zerocopy::{FromBytes, IntoBytes};

use super::{METADATA_SIZE, MetadataError, MetadataReader, MetadataRef};
use crate::bytes::{ReadError, Region};

/// How many bytes a data block has on the disk: `SQUASHFS_COMPRESSED_SIZE_BLOCK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataSize(pub u32);

impl DataSize {
    /// The bit of what is as it is.
    const UNCOMPRESSED: u32 = 1 << 24;

    /// Bytes on the disk.
    pub fn stored_len(self) -> u32 {
        self.0 & !Self::UNCOMPRESSED
    }

    /// False if they are as they are.
    pub fn is_compressed(self) -> bool {
        self.0 & Self::UNCOMPRESSED == 0
    }

    /// No block: all of its bytes are zero.
    pub fn is_sparse(self) -> bool {
        self.0 == 0
    }
}

/// A table of entries of one size in metadata blocks, and the index that says where those are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupTable {
    /// Where the index is.
    pub at: u64,
    /// Number of entries.
    pub entries: u32,
    /// Bytes of an entry.
    pub entry_len: usize,
}

impl LookupTable {
    /// Of entries `T`.
    pub fn new<T>(at: u64, entries: u32) -> Self {
        Self { at, entries, entry_len: size_of::<T>() }
    }

    /// Entries in a metadata block.
    pub fn entries_per_block(&self) -> u32 {
        let count = METADATA_SIZE.checked_div(self.entry_len).unwrap_or(1);
        u32::try_from(count).unwrap_or(1)
    }

    /// Number of metadata blocks.
    pub fn blocks(&self) -> u32 {
        self.entries.div_ceil(self.entries_per_block())
    }

    /// Bytes of the index.
    pub fn index_len(&self) -> u64 {
        u64::from(self.blocks()).saturating_mul(8)
    }

    /// Where the metadata block with this number is.
    pub fn block_at(&self, region: &Region, block: u32) -> Result<u64, ReadError> {
        let at = self.at.saturating_add(u64::from(block).saturating_mul(8));
        region.array("SquashFS table index", at).map(u64::from_le_bytes)
    }

    /// An entry. The index is read for each.
    pub fn entry<T: FromBytes + IntoBytes>(
        &self,
        reader: &mut MetadataReader,
        number: u32,
    ) -> Result<T, MetadataError> {
        let per_block = self.entries_per_block();
        let block = self.block_at(reader.region(), number.checked_div(per_block).unwrap_or(0))?;
        let place = usize::try_from(number.checked_rem(per_block).unwrap_or(0)).unwrap_or(0);
        let offset = u16::try_from(place.saturating_mul(self.entry_len)).unwrap_or(u16::MAX);
        // Blocks of a table lie before its index.
        reader.cursor(block, self.at, MetadataRef { block: 0, offset }).read()
    }
}
