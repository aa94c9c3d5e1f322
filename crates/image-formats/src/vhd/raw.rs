//! Bits as they lie in a VHD: the names of the Virtual Hard Disk Image Format Specification, no
//! opinion. All numbers are big-endian.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    big_endian::{U16, U32, U64},
    transmute,
};

use crate::bytes::{ReadError, Region};

/// *Hard Disk Footer*. The last 512 bytes of the file; of a dynamic disk also the first.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Footer {
    /// +0 [`COOKIE`](Self::COOKIE): `conectix`.
    pub cookie: [u8; 8],
    /// +8 A bit each: 0 temporary, 1 reserved and always set.
    pub features: U32,
    /// +12 Major and minor version: [`VERSION`](Self::VERSION).
    pub file_format_version: U32,
    /// +16 Where the [`DynamicHeader`] is, in bytes from the start of the file; all ones in a fixed
    /// disk.
    pub data_offset: U64,
    /// +24 When it was made, in seconds since 2000.
    pub time_stamp: U32,
    /// +28 Who made it: `vpc `, `win `, `qemu`, `qem2`, ….
    pub creator_application: [u8; 4],
    /// +32 Major and minor version of who made it.
    pub creator_version: U32,
    /// +36 `Wi2k` or `Mac `.
    pub creator_host_os: [u8; 4],
    /// +40 Size of the disk when it was made, in bytes.
    pub original_size: U64,
    /// +48 Size of the disk, in bytes.
    pub current_size: U64,
    /// +56 The size in cylinders, heads and sectors.
    pub disk_geometry: Geometry,
    /// +60 See [`DiskType`](super::DiskType).
    pub disk_type: U32,
    /// +64 One's complement of the sum of all other bytes.
    pub checksum: U32,
    /// +68 A UUID.
    pub unique_id: [u8; 16],
    /// +84 1: the machine was saved while it ran.
    pub saved_state: u8,
    /// +85 Zeros.
    pub reserved: [u8; 427],
}

/// *Disk Geometry*.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Geometry {
    /// +0 Cylinders.
    pub cylinder: U16,
    /// +2 Heads.
    pub heads: u8,
    /// +3 Sectors per track and cylinder.
    pub sectors: u8,
}

/// *Dynamic Disk Header*. Where the footer says.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DynamicHeader {
    /// +0 [`COOKIE`](Self::COOKIE): `cxsparse`.
    pub cookie: [u8; 8],
    /// +8 Unused: all ones, in 32 or in 64 bits.
    pub data_offset: U64,
    /// +16 Where the block allocation table is, in bytes from the start of the file.
    pub table_offset: U64,
    /// +24 [`VERSION`](Self::VERSION).
    pub header_version: U32,
    /// +28 Entries in the block allocation table: one for each block of the disk.
    pub max_table_entries: U32,
    /// +32 Bytes of a block, without its sector bitmap: a power of two, as a rule 2 MiB.
    pub block_size: U32,
    /// +36 One's complement of the sum of all other bytes.
    pub checksum: U32,
    /// +40 Of the disk that a differencing disk differs from.
    pub parent_unique_id: [u8; 16],
    /// +56 When that was changed, in seconds since 2000.
    pub parent_time_stamp: U32,
    /// +60 Zeros.
    pub reserved: U32,
    /// +64 Name of that disk, in UTF-16.
    pub parent_unicode_name: [u8; 512],
    /// +576 Where that disk may be found.
    pub parent_locator_entries: [ParentLocator; 8],
    /// +768 Zeros.
    pub reserved_2: [u8; 256],
}

/// *Parent Locator Entry*.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ParentLocator {
    /// +0 How the name is written: `W2ru`, `W2ku`, …; 0 where there is none.
    pub platform_code: U32,
    /// +4 Room for it, in sectors or in bytes.
    pub platform_data_space: U32,
    /// +8 Its length in bytes.
    pub platform_data_length: U32,
    /// +12 Zeros.
    pub reserved: U32,
    /// +16 Where it is, in bytes from the start of the file.
    pub platform_data_offset: U64,
}

impl Footer {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();
    /// What `cookie` is.
    pub const COOKIE: [u8; 8] = *b"conectix";
    /// What `file_format_version` is.
    pub const VERSION: u32 = 0x0001_0000;
    /// Feature: the disk is temporary.
    pub const TEMPORARY: u32 = 1;
    /// Feature: always set.
    pub const RESERVED: u32 = 2;

    /// The one at this byte.
    pub fn read(file: &Region, what: &'static str, at: u64) -> Result<Self, ReadError> {
        file.array::<{ Self::SIZE }>(what, at).map(|bytes| transmute!(bytes))
    }

    /// What `checksum` has to be.
    pub fn computed_checksum(&self) -> u32 {
        checksum(self.as_bytes(), self.checksum.as_bytes())
    }
}

impl DynamicHeader {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();
    /// What `cookie` is.
    pub const COOKIE: [u8; 8] = *b"cxsparse";
    /// What `header_version` is.
    pub const VERSION: u32 = 0x0001_0000;

    /// The one at this byte.
    pub fn read(file: &Region, at: u64) -> Result<Self, ReadError> {
        file.array::<{ Self::SIZE }>("VHD dynamic disk header", at).map(|bytes| transmute!(bytes))
    }

    /// What `checksum` has to be.
    pub fn computed_checksum(&self) -> u32 {
        checksum(self.as_bytes(), self.checksum.as_bytes())
    }
}

/// One's complement of the sum of these bytes, of which some are left out.
fn checksum(bytes: &[u8], left_out: &[u8]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().fold(0_u32, |sum, b| sum.wrapping_add(u32::from(*b)));
    !sum(bytes).wrapping_sub(sum(left_out))
}

const _: () = {
    assert!(size_of::<Footer>() == 512);
    assert!(offset_of!(Footer, data_offset) == 16);
    assert!(offset_of!(Footer, creator_host_os) == 36);
    assert!(offset_of!(Footer, current_size) == 48);
    assert!(offset_of!(Footer, disk_geometry) == 56);
    assert!(offset_of!(Footer, disk_type) == 60);
    assert!(offset_of!(Footer, checksum) == 64);
    assert!(offset_of!(Footer, unique_id) == 68);
    assert!(offset_of!(Footer, saved_state) == 84);
    assert!(offset_of!(Footer, reserved) == 85);
    assert!(size_of::<DynamicHeader>() == 1024);
    assert!(offset_of!(DynamicHeader, table_offset) == 16);
    assert!(offset_of!(DynamicHeader, block_size) == 32);
    assert!(offset_of!(DynamicHeader, checksum) == 36);
    assert!(offset_of!(DynamicHeader, parent_unicode_name) == 64);
    assert!(offset_of!(DynamicHeader, parent_locator_entries) == 576);
    assert!(offset_of!(DynamicHeader, reserved_2) == 768);
    assert!(size_of::<ParentLocator>() == 24);
    assert!(offset_of!(ParentLocator, platform_data_offset) == 16);
};
