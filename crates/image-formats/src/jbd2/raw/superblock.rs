//! The superblock.

use std::mem::size_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, big_endian::U32};

use super::Header;

/// `struct journal_superblock_s`, include/linux/jbd2.h. In the first block of a journal; where the
/// journal has a device of its own, behind the superblock of ext4.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Superblock {
    /// +0x0 `s_header`: with the magic number, and the version as type.
    pub s_header: Header,
    /// +0xc `s_blocksize`: size of a block in bytes.
    pub s_blocksize: U32,
    /// +0x10 `s_maxlen`: number of blocks.
    pub s_maxlen: U32,
    /// +0x14 `s_first`: first block of the log.
    pub s_first: U32,
    /// +0x18 `s_sequence`: number of the first transaction in the log.
    pub s_sequence: U32,
    /// +0x1c `s_start`: block where the log starts; 0 for an empty one.
    pub s_start: U32,
    /// +0x20 `s_errno`: why the kernel gave up, as a negative number.
    pub s_errno: U32,
    /// +0x24 `s_feature_compat`: features that others may ignore; from here on only in version 2.
    pub s_feature_compat: U32,
    /// +0x28 `s_feature_incompat`: features that a reader must know.
    pub s_feature_incompat: U32,
    /// +0x2c `s_feature_ro_compat`: features that a writer must know.
    pub s_feature_ro_compat: U32,
    /// +0x30 `s_uuid`: UUID of the journal.
    pub s_uuid: [u8; 16],
    /// +0x40 `s_nr_users`: file systems that share it.
    pub s_nr_users: U32,
    /// +0x44 `s_dynsuper`: block of a copy of the superblock; not used.
    pub s_dynsuper: U32,
    /// +0x48 `s_max_transaction`: the most blocks of a transaction; not used.
    pub s_max_transaction: U32,
    /// +0x4c `s_max_trans_data`: the most blocks of data of a transaction; not used.
    pub s_max_trans_data: U32,
    /// +0x50 `s_checksum_type`: 4 for crc32c.
    pub s_checksum_type: u8,
    /// +0x51 `s_padding2`: 0.
    pub s_padding2: [u8; 3],
    /// +0x54 `s_num_fc_blks`: blocks for fast commits.
    pub s_num_fc_blks: U32,
    /// +0x58 `s_head`: block where the log ends, where it was emptied by Linux 6.6 or later.
    pub s_head: U32,
    /// +0x5c `s_padding`: 0.
    pub s_padding: [U32; 40],
    /// +0xfc `s_checksum`: crc32c of the superblock, this field taken as zero.
    pub s_checksum: U32,
    /// +0x100 `s_users`: UUIDs of the file systems that share it.
    pub s_users: [[u8; 16]; 48],
}

impl Superblock {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(Superblock::SIZE == 1024);
