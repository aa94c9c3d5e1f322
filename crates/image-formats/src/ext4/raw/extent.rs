//! Extent trees.

use std::mem::size_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// `struct ext4_extent_header`: at the start of each node of an extent tree.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ExtentHeader {
    /// +0x0 `eh_magic`: 0xf30a.
    pub eh_magic: U16,
    /// +0x2 `eh_entries`: entries that follow.
    pub eh_entries: U16,
    /// +0x4 `eh_max`: entries that have room.
    pub eh_max: U16,
    /// +0x6 `eh_depth`: levels below; 0 for a leaf.
    pub eh_depth: U16,
    /// +0x8 `eh_generation`: not used.
    pub eh_generation: U32,
}

impl ExtentHeader {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(ExtentHeader::SIZE == 12);

/// `struct ext4_extent_idx`: an entry of an inner node.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ExtentIndex {
    /// +0x0 `ei_block`: first block of the file that the child covers.
    pub ei_block: U32,
    /// +0x4 `ei_leaf_lo`: block of the child.
    pub ei_leaf_lo: U32,
    /// +0x8 `ei_leaf_hi`: high 16 bits.
    pub ei_leaf_hi: U16,
    /// +0xa `ei_unused`: 0.
    pub ei_unused: U16,
}

impl ExtentIndex {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(ExtentIndex::SIZE == 12);

/// `struct ext4_extent`: an entry of a leaf.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Extent {
    /// +0x0 `ee_block`: first block of the file.
    pub ee_block: U32,
    /// +0x4 `ee_len`: number of blocks; above 32768, so many more that are allocated and never
    /// written.
    pub ee_len: U16,
    /// +0x6 `ee_start_hi`: high 16 bits.
    pub ee_start_hi: U16,
    /// +0x8 `ee_start_lo`: first block of the file system.
    pub ee_start_lo: U32,
}

impl Extent {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(Extent::SIZE == 12);

/// `struct ext4_extent_tail`: after the last entry that has room.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ExtentTail {
    /// +0x0 `et_checksum`: crc32c of the node.
    pub et_checksum: U32,
}

impl ExtentTail {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(ExtentTail::SIZE == 4);
