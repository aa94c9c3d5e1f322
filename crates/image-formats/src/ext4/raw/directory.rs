//! Directories, and their index.

use std::mem::size_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// `struct ext4_dir_entry_2`, without its name.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DirectoryEntry {
    /// +0x0 `inode`: inode; 0 where there is nothing.
    pub inode: U32,
    /// +0x4 `rec_len`: distance to the next entry.
    pub rec_len: U16,
    /// +0x6 `name_len`: length of the name.
    pub name_len: u8,
    /// +0x7 `file_type`: type of the file; high half of the length of the name in the format
    /// without types.
    pub file_type: u8,
}

impl DirectoryEntry {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(DirectoryEntry::SIZE == 8);

/// `struct ext4_dir_entry_tail`: at the end of a directory block, disguised as an entry that is not
/// used.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DirectoryTail {
    /// +0x0 `det_reserved_zero1`: 0.
    pub det_reserved_zero1: U32,
    /// +0x4 `det_rec_len`: 12.
    pub det_rec_len: U16,
    /// +0x6 `det_reserved_zero2`: 0.
    pub det_reserved_zero2: u8,
    /// +0x7 `det_reserved_ft`: 0xde.
    pub det_reserved_ft: u8,
    /// +0x8 `det_checksum`: crc32c of the block.
    pub det_checksum: U32,
}

impl DirectoryTail {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(DirectoryTail::SIZE == 12);

/// `struct dx_root`: the first block of a directory with an index, up to the entries of the index.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DxRoot {
    /// +0x0 `dot_inode`: the directory.
    pub dot_inode: U32,
    /// +0x4 `dot_rec_len`: 12.
    pub dot_rec_len: U16,
    /// +0x6 `dot_name_len`: 1.
    pub dot_name_len: u8,
    /// +0x7 `dot_file_type`: 2.
    pub dot_file_type: u8,
    /// +0x8 `dot_name`: `.` and NULs.
    pub dot_name: [u8; 4],
    /// +0xc `dotdot_inode`: its parent.
    pub dotdot_inode: U32,
    /// +0x10 `dotdot_rec_len`: the rest of the block.
    pub dotdot_rec_len: U16,
    /// +0x12 `dotdot_name_len`: 2.
    pub dotdot_name_len: u8,
    /// +0x13 `dotdot_file_type`: 2.
    pub dotdot_file_type: u8,
    /// +0x14 `dotdot_name`: `..` and NULs.
    pub dotdot_name: [u8; 4],
    /// +0x18 `reserved_zero`: 0.
    pub reserved_zero: U32,
    /// +0x1c `hash_version`: hash of names: 0 legacy, 1 half MD4, 2 TEA, 6 SipHash.
    pub hash_version: u8,
    /// +0x1d `info_length`: 8.
    pub info_length: u8,
    /// +0x1e `indirect_levels`: levels of nodes between this one and the leaves.
    pub indirect_levels: u8,
    /// +0x1f `unused_flags`: 0.
    pub unused_flags: u8,
}

impl DxRoot {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(DxRoot::SIZE == 32);

/// `struct dx_node`: an inner block of the index, up to the entries of the index.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DxNode {
    /// +0x0 `fake_inode`: 0.
    pub fake_inode: U32,
    /// +0x4 `fake_rec_len`: the whole block.
    pub fake_rec_len: U16,
    /// +0x6 `fake_name_len`: 0.
    pub fake_name_len: u8,
    /// +0x7 `fake_file_type`: 0.
    pub fake_file_type: u8,
}

impl DxNode {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(DxNode::SIZE == 8);

/// `struct dx_countlimit`, and the block of the first entry: the first entry of a node has no hash.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DxCountLimit {
    /// +0x0 `limit`: entries that have room, this one included.
    pub limit: U16,
    /// +0x2 `count`: entries in use, this one included.
    pub count: U16,
    /// +0x4 `block`: block of the directory, for hashes below that of the next entry.
    pub block: U32,
}

impl DxCountLimit {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(DxCountLimit::SIZE == 8);

/// `struct dx_entry`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DxEntry {
    /// +0x0 `hash`: lowest hash in the child; its lowest bit means that the name before it has the
    /// same.
    pub hash: U32,
    /// +0x4 `block`: block of the directory.
    pub block: U32,
}

impl DxEntry {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(DxEntry::SIZE == 8);

/// `struct dx_tail`: after the last entry that has room.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DxTail {
    /// +0x0 `dt_reserved`: 0.
    pub dt_reserved: U32,
    /// +0x4 `dt_checksum`: crc32c of the node.
    pub dt_checksum: U32,
}

impl DxTail {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(DxTail::SIZE == 8);
