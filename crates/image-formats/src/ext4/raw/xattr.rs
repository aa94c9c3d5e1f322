//! Extended attributes.

use std::mem::size_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// `struct ext4_xattr_header`: at the start of a block of extended attributes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct XattrHeader {
    /// +0x0 `h_magic`: 0xea020000.
    pub h_magic: U32,
    /// +0x4 `h_refcount`: inodes that share the block.
    pub h_refcount: U32,
    /// +0x8 `h_blocks`: 1.
    pub h_blocks: U32,
    /// +0xc `h_hash`: hash of all attributes.
    pub h_hash: U32,
    /// +0x10 `h_checksum`: crc32c of the block and its number.
    pub h_checksum: U32,
    /// +0x14 `h_reserved`: 0.
    pub h_reserved: [U32; 3],
}

impl XattrHeader {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(XattrHeader::SIZE == 32);

/// `struct ext4_xattr_entry`, without its name.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct XattrEntry {
    /// +0x0 `e_name_len`: length of the name.
    pub e_name_len: u8,
    /// +0x1 `e_name_index`: what stands before the name: 1 `user.`, 4 `trusted.`, 6 `security.`, 7
    /// `system.`.
    pub e_name_index: u8,
    /// +0x2 `e_value_offs`: where the value is: from the first entry in an inode, from its start in
    /// a block.
    pub e_value_offs: U16,
    /// +0x4 `e_value_inum`: inode with the value, with ea_inode.
    pub e_value_inum: U32,
    /// +0x8 `e_value_size`: bytes of the value.
    pub e_value_size: U32,
    /// +0xc `e_hash`: hash of name and value.
    pub e_hash: U32,
}

impl XattrEntry {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(XattrEntry::SIZE == 16);
