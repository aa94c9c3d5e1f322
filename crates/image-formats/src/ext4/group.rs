//! Group descriptors.

use std::mem::offset_of;

use zerocopy::FromBytes as _;

use super::{Block, GroupIndex, Superblock, checksum, incompat, raw, ro_compat};

/// A group descriptor, read and not judged. The high halves are 0 where there are none.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// The bytes; those beyond the size of a descriptor are 0.
    pub raw: raw::GroupDescriptor,
}

impl Descriptor {
    /// `EXT4_BG_INODE_UNINIT`: no inode was ever used, and the bitmap is not there.
    pub const INODE_UNINIT: u16 = 1;
    /// `EXT4_BG_BLOCK_UNINIT`: no block was ever used, and the bitmap is not there.
    pub const BLOCK_UNINIT: u16 = 2;
    /// `EXT4_BG_INODE_ZEROED`: the inode table is zeroed.
    pub const INODE_ZEROED: u16 = 4;

    /// The descriptor in `bytes`, which are as many as the size of a descriptor.
    pub fn new(bytes: &[u8]) -> Self {
        let mut whole = [0; raw::GroupDescriptor::SIZE];
        whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let raw = raw::GroupDescriptor::read_from_bytes(&whole);
        // Cannot fail: the sizes are the same.
        Self { raw: raw.unwrap_or(zerocopy::FromZeros::new_zeroed()) }
    }

    /// Block of the block bitmap.
    pub fn block_bitmap(&self) -> Block {
        wide(self.raw.bg_block_bitmap_lo.get(), self.raw.bg_block_bitmap_hi.get())
    }

    /// Block of the inode bitmap.
    pub fn inode_bitmap(&self) -> Block {
        wide(self.raw.bg_inode_bitmap_lo.get(), self.raw.bg_inode_bitmap_hi.get())
    }

    /// First block of the inode table.
    pub fn inode_table(&self) -> Block {
        wide(self.raw.bg_inode_table_lo.get(), self.raw.bg_inode_table_hi.get())
    }

    /// Free clusters.
    pub fn free_clusters(&self) -> u32 {
        half(self.raw.bg_free_blocks_count_lo.get(), self.raw.bg_free_blocks_count_hi.get())
    }

    /// Free inodes.
    pub fn free_inodes(&self) -> u32 {
        half(self.raw.bg_free_inodes_count_lo.get(), self.raw.bg_free_inodes_count_hi.get())
    }

    /// Directories.
    pub fn used_dirs(&self) -> u32 {
        half(self.raw.bg_used_dirs_count_lo.get(), self.raw.bg_used_dirs_count_hi.get())
    }

    /// Inodes at the end of the table that were never used.
    pub fn itable_unused(&self) -> u32 {
        half(self.raw.bg_itable_unused_lo.get(), self.raw.bg_itable_unused_hi.get())
    }

    /// crc32c of the block bitmap; only the low half of it in a descriptor of 32 bytes.
    pub fn block_bitmap_checksum(&self) -> u32 {
        half(self.raw.bg_block_bitmap_csum_lo.get(), self.raw.bg_block_bitmap_csum_hi.get())
    }

    /// crc32c of the inode bitmap; only the low half of it in a descriptor of 32 bytes.
    pub fn inode_bitmap_checksum(&self) -> u32 {
        half(self.raw.bg_inode_bitmap_csum_lo.get(), self.raw.bg_inode_bitmap_csum_hi.get())
    }

    /// True if this flag is set.
    pub fn has(&self, flag: u16) -> bool {
        self.raw.bg_flags.get() & flag != 0
    }

    /// `ext2fs_group_desc_csum` of the descriptor in `bytes`: `None` where the file system has
    /// none.
    pub fn checksum(superblock: &Superblock, group: GroupIndex, bytes: &[u8]) -> Option<u16> {
        let field = offset_of!(raw::GroupDescriptor, bg_checksum);
        let number = group.0.to_le_bytes();
        let (before, rest) = bytes.split_at_checked(field)?;
        let after = rest.get(2..)?;
        if superblock.ro_compat(ro_compat::METADATA_CSUM) {
            let parts = [&number[..], before, &[0; 2], after];
            let sum =
                parts.iter().fold(superblock.checksum_seed(), |sum, p| checksum::crc32c(sum, p));
            let [low, high, ..] = sum.to_le_bytes();
            return Some(u16::from_le_bytes([low, high]));
        }
        if superblock.ro_compat(ro_compat::GDT_CSUM) {
            let after = if superblock.incompat(incompat::BITS_64) { after } else { &[] };
            let parts = [&superblock.raw.s_uuid[..], &number, before, after];
            return Some(parts.iter().fold(!0, |sum, part| checksum::crc16(sum, part)));
        }
        None
    }
}

fn wide(low: u32, high: u32) -> Block {
    Block(u64::from(high) << 32 | u64::from(low))
}

fn half(low: u16, high: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}
