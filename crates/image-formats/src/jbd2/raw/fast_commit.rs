//! Fast commits: tags, each with its length and then its value.

use std::mem::size_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// `struct ext4_fc_tl`: before each value.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct FastCommitTag {
    /// +0x0 `fc_tag`: 1 and 2 add and remove a range, 3 create, 4 link, 5 unlink, 6 inode, 7
    /// padding, 8 tail, 9 head.
    pub fc_tag: U16,
    /// +0x2 `fc_len`: length of the value in bytes.
    pub fc_len: U16,
}

impl FastCommitTag {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(FastCommitTag::SIZE == 4);

/// `struct ext4_fc_head`: the value of the first tag.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct FastCommitHead {
    /// +0x0 `fc_features`: 0.
    pub fc_features: U32,
    /// +0x4 `fc_tid`: the transaction that the fast commits anticipate.
    pub fc_tid: U32,
}

impl FastCommitHead {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(FastCommitHead::SIZE == 8);

/// `struct ext4_fc_add_range`: blocks that a file got.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct FastCommitAddRange {
    /// +0x0 `fc_ino`: the inode.
    pub fc_ino: U32,
    /// +0x4 `fc_ex`: an extent.
    pub fc_ex: [u8; 12],
}

impl FastCommitAddRange {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(FastCommitAddRange::SIZE == 16);

/// `struct ext4_fc_del_range`: blocks that a file lost.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct FastCommitDelRange {
    /// +0x0 `fc_ino`: the inode.
    pub fc_ino: U32,
    /// +0x4 `fc_lblk`: first block of the file.
    pub fc_lblk: U32,
    /// +0x8 `fc_len`: number of blocks.
    pub fc_len: U32,
}

impl FastCommitDelRange {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(FastCommitDelRange::SIZE == 12);

/// `struct ext4_fc_dentry_info`, without the name that follows: an entry of a directory.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct FastCommitDentry {
    /// +0x0 `fc_parent_ino`: inode of the directory.
    pub fc_parent_ino: U32,
    /// +0x4 `fc_ino`: inode of the file.
    pub fc_ino: U32,
}

impl FastCommitDentry {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(FastCommitDentry::SIZE == 8);

/// `struct ext4_fc_tail`: the value of the last tag of a fast commit.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct FastCommitTail {
    /// +0x0 `fc_tid`: the transaction.
    pub fc_tid: U32,
    /// +0x4 `fc_crc`: crc32c of all tags of the fast commit, and of this one up to here.
    pub fc_crc: U32,
}

impl FastCommitTail {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(FastCommitTail::SIZE == 8);
