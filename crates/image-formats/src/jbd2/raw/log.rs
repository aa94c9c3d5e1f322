//! Blocks of the log.

use std::mem::size_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    big_endian::{U16, U32, U64},
};

/// `struct journal_header_s`: at the start of each block of the log that is no copy.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// +0x0 `h_magic`: 0xc03b3998.
    pub h_magic: U32,
    /// +0x4 `h_blocktype`: 1 descriptor, 2 commit, 3 and 4 superblock, 5 revoke.
    pub h_blocktype: U32,
    /// +0x8 `h_sequence`: number of the transaction.
    pub h_sequence: U32,
}

impl Header {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(Header::SIZE == 12);

/// `struct journal_block_tag_s`: an entry of a descriptor block. Without 64bit it has its first 8
/// bytes. With csum_v2 two bytes follow it that nobody reads. Where `t_flags` do not have 2, a UUID
/// follows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BlockTag {
    /// +0x0 `t_blocknr`: block of the file system that the copy belongs to, low 32 bits.
    pub t_blocknr: U32,
    /// +0x4 `t_checksum`: low half of the crc32c of number of the transaction and copy, with
    /// csum_v2.
    pub t_checksum: U16,
    /// +0x6 `t_flags`: 1 escaped, 2 same UUID as before, 4 deleted, 8 last entry.
    pub t_flags: U16,
    /// +0x8 `t_blocknr_high`: high 32 bits; only with 64bit.
    pub t_blocknr_high: U32,
}

impl BlockTag {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(BlockTag::SIZE == 12);

/// `struct journal_block_tag3_s`: an entry of a descriptor block, with csum_v3. Where `t_flags` do
/// not have 2, a UUID follows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BlockTag3 {
    /// +0x0 `t_blocknr`: block of the file system that the copy belongs to, low 32 bits.
    pub t_blocknr: U32,
    /// +0x4 `t_flags`: 1 escaped, 2 same UUID as before, 4 deleted, 8 last entry.
    pub t_flags: U32,
    /// +0x8 `t_blocknr_high`: high 32 bits; only with 64bit.
    pub t_blocknr_high: U32,
    /// +0xc `t_checksum`: crc32c of number of the transaction and copy.
    pub t_checksum: U32,
}

impl BlockTag3 {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(BlockTag3::SIZE == 16);

/// `struct jbd2_journal_block_tail`: at the end of a descriptor or revoke block, with csum_v2 or
/// csum_v3.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BlockTail {
    /// +0x0 `t_checksum`: crc32c of the block, this field taken as zero.
    pub t_checksum: U32,
}

impl BlockTail {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(BlockTail::SIZE == 4);

/// `struct jbd2_journal_revoke_header_s`: at the start of a revoke block. Numbers of blocks follow,
/// with 64bit of 8 bytes and else of 4.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct RevokeHeader {
    /// +0x0 `r_header`: of type 5.
    pub r_header: Header,
    /// +0xc `r_count`: bytes of the block that are in use, with this header.
    pub r_count: U32,
}

impl RevokeHeader {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(RevokeHeader::SIZE == 16);

/// `struct commit_header`: at the start of a commit block.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct CommitHeader {
    /// +0x0 `h_magic`, `h_blocktype` 2, `h_sequence`.
    pub header: Header,
    /// +0xc `h_chksum_type`: 1 for crc32, with the feature checksum.
    pub h_chksum_type: u8,
    /// +0xd `h_chksum_size`: bytes of it.
    pub h_chksum_size: u8,
    /// +0xe `h_padding`: 0.
    pub h_padding: [u8; 2],
    /// +0x10 `h_chksum`: the first is the crc32 of the transaction, or with csum_v2 or csum_v3 the
    /// crc32c of the block, this field taken as zero.
    pub h_chksum: [U32; 8],
    /// +0x30 `h_commit_sec`: time, in seconds since 1970.
    pub h_commit_sec: U64,
    /// +0x38 `h_commit_nsec`: nanoseconds.
    pub h_commit_nsec: U32,
}

impl CommitHeader {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(CommitHeader::SIZE == 60);
