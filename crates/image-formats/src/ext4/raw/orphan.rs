//! The file that lists inodes to delete.

use std::mem::size_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, little_endian::U32};

/// `struct ext4_orphan_block_tail`: at the end of each block, after numbers of inodes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct OrphanTail {
    /// +0x0 `ob_magic`: 0x0b10ca04.
    pub ob_magic: U32,
    /// +0x4 `ob_checksum`: crc32c of inode, generation, number of the block and all before the
    /// tail; 0 without metadata_csum.
    pub ob_checksum: U32,
}

impl OrphanTail {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(OrphanTail::SIZE == 8);
