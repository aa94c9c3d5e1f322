//! Quotas: the format vfsv1 of fs/quota/quotaio_v2.h and fs/quota/quota_tree.h.

use std::mem::size_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// `struct v2_disk_dqheader`: at the start of the file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct QuotaHeader {
    /// +0x0 `dqh_magic`: 0xd9c01f11 for users, 0xd9c01927 for groups, 0xd9c03f14 for projects.
    pub dqh_magic: U32,
    /// +0x4 `dqh_version`: 0 or 1.
    pub dqh_version: U32,
}

impl QuotaHeader {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(QuotaHeader::SIZE == 8);

/// `struct v2_disk_dqinfo`: after the header.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct QuotaInfo {
    /// +0x0 `dqi_bgrace`: seconds until a soft limit of space is a hard one.
    pub dqi_bgrace: U32,
    /// +0x4 `dqi_igrace`: seconds until a soft limit of inodes is a hard one.
    pub dqi_igrace: U32,
    /// +0x8 `dqi_flags`: 0.
    pub dqi_flags: U32,
    /// +0xc `dqi_blocks`: blocks of 1 KiB in the file.
    pub dqi_blocks: U32,
    /// +0x10 `dqi_free_blk`: first block of the list of free ones.
    pub dqi_free_blk: U32,
    /// +0x14 `dqi_free_entry`: first block of the list of those with a free entry.
    pub dqi_free_entry: U32,
}

impl QuotaInfo {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(QuotaInfo::SIZE == 24);

/// `struct qt_disk_dqdbheader`: at the start of a block with entries.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct QuotaBlockHeader {
    /// +0x0 `dqdh_next_free`: next block with a free entry.
    pub dqdh_next_free: U32,
    /// +0x4 `dqdh_prev_free`: the one before.
    pub dqdh_prev_free: U32,
    /// +0x8 `dqdh_entries`: entries in use.
    pub dqdh_entries: U16,
    /// +0xa `dqdh_pad1`: 0.
    pub dqdh_pad1: U16,
    /// +0xc `dqdh_pad2`: 0.
    pub dqdh_pad2: U32,
}

impl QuotaBlockHeader {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(QuotaBlockHeader::SIZE == 16);

/// `struct v2r0_disk_dqblk`: an entry in a file of version 0.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct QuotaEntryR0 {
    /// +0x0 `dqb_id`: user, group or project.
    pub dqb_id: U32,
    /// +0x4 `dqb_ihardlimit`: hard limit of inodes.
    pub dqb_ihardlimit: U32,
    /// +0x8 `dqb_isoftlimit`: soft limit of inodes.
    pub dqb_isoftlimit: U32,
    /// +0xc `dqb_curinodes`: inodes in use.
    pub dqb_curinodes: U32,
    /// +0x10 `dqb_bhardlimit`: hard limit of space, in KiB.
    pub dqb_bhardlimit: U32,
    /// +0x14 `dqb_bsoftlimit`: soft limit of space, in KiB.
    pub dqb_bsoftlimit: U32,
    /// +0x18 `dqb_curspace`: space in use, in bytes.
    pub dqb_curspace: U64,
    /// +0x20 `dqb_btime`: when the soft limit of space is a hard one.
    pub dqb_btime: U64,
    /// +0x28 `dqb_itime`: when the soft limit of inodes is a hard one.
    pub dqb_itime: U64,
}

impl QuotaEntryR0 {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(QuotaEntryR0::SIZE == 48);

/// `struct v2r1_disk_dqblk`: an entry in a file of version 1.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct QuotaEntryR1 {
    /// +0x0 `dqb_id`: user, group or project.
    pub dqb_id: U32,
    /// +0x4 `dqb_pad`: 0.
    pub dqb_pad: U32,
    /// +0x8 `dqb_ihardlimit`: hard limit of inodes.
    pub dqb_ihardlimit: U64,
    /// +0x10 `dqb_isoftlimit`: soft limit of inodes.
    pub dqb_isoftlimit: U64,
    /// +0x18 `dqb_curinodes`: inodes in use.
    pub dqb_curinodes: U64,
    /// +0x20 `dqb_bhardlimit`: hard limit of space, in KiB.
    pub dqb_bhardlimit: U64,
    /// +0x28 `dqb_bsoftlimit`: soft limit of space, in KiB.
    pub dqb_bsoftlimit: U64,
    /// +0x30 `dqb_curspace`: space in use, in bytes.
    pub dqb_curspace: U64,
    /// +0x38 `dqb_btime`: when the soft limit of space is a hard one.
    pub dqb_btime: U64,
    /// +0x40 `dqb_itime`: when the soft limit of inodes is a hard one.
    pub dqb_itime: U64,
}

impl QuotaEntryR1 {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(QuotaEntryR1::SIZE == 72);
