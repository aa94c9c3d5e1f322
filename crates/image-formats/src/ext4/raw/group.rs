//! Group descriptors.

use std::mem::size_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// `struct ext4_group_desc`. Without 64bit it has its first 32 bytes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct GroupDescriptor {
    /// +0x0 `bg_block_bitmap_lo`: block of the block bitmap.
    pub bg_block_bitmap_lo: U32,
    /// +0x4 `bg_inode_bitmap_lo`: block of the inode bitmap.
    pub bg_inode_bitmap_lo: U32,
    /// +0x8 `bg_inode_table_lo`: first block of the inode table.
    pub bg_inode_table_lo: U32,
    /// +0xc `bg_free_blocks_count_lo`: free clusters.
    pub bg_free_blocks_count_lo: U16,
    /// +0xe `bg_free_inodes_count_lo`: free inodes.
    pub bg_free_inodes_count_lo: U16,
    /// +0x10 `bg_used_dirs_count_lo`: directories.
    pub bg_used_dirs_count_lo: U16,
    /// +0x12 `bg_flags`: 1 no inode was ever used, 2 no block was, 4 the inode table is zeroed.
    pub bg_flags: U16,
    /// +0x14 `bg_exclude_bitmap_lo`: for snapshots.
    pub bg_exclude_bitmap_lo: U32,
    /// +0x18 `bg_block_bitmap_csum_lo`: crc32c of the block bitmap.
    pub bg_block_bitmap_csum_lo: U16,
    /// +0x1a `bg_inode_bitmap_csum_lo`: crc32c of the inode bitmap.
    pub bg_inode_bitmap_csum_lo: U16,
    /// +0x1c `bg_itable_unused_lo`: inodes at the end of the table that were never used.
    pub bg_itable_unused_lo: U16,
    /// +0x1e `bg_checksum`: crc16, or the low half of crc32c, of the descriptor.
    pub bg_checksum: U16,
    /// +0x20 `bg_block_bitmap_hi`: high 32 bits; from here on only with 64bit.
    pub bg_block_bitmap_hi: U32,
    /// +0x24 `bg_inode_bitmap_hi`: high 32 bits.
    pub bg_inode_bitmap_hi: U32,
    /// +0x28 `bg_inode_table_hi`: high 32 bits.
    pub bg_inode_table_hi: U32,
    /// +0x2c `bg_free_blocks_count_hi`: high 16 bits.
    pub bg_free_blocks_count_hi: U16,
    /// +0x2e `bg_free_inodes_count_hi`: high 16 bits.
    pub bg_free_inodes_count_hi: U16,
    /// +0x30 `bg_used_dirs_count_hi`: high 16 bits.
    pub bg_used_dirs_count_hi: U16,
    /// +0x32 `bg_itable_unused_hi`: high 16 bits.
    pub bg_itable_unused_hi: U16,
    /// +0x34 `bg_exclude_bitmap_hi`: high 32 bits.
    pub bg_exclude_bitmap_hi: U32,
    /// +0x38 `bg_block_bitmap_csum_hi`: high half.
    pub bg_block_bitmap_csum_hi: U16,
    /// +0x3a `bg_inode_bitmap_csum_hi`: high half.
    pub bg_inode_bitmap_csum_hi: U16,
    /// +0x3c `bg_reserved`: 0.
    pub bg_reserved: U32,
}

impl GroupDescriptor {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(GroupDescriptor::SIZE == 64);
