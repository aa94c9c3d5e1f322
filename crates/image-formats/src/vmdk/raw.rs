//! Bits as they lie in the file. VMware, "Virtual Disk Format 5.0".

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// Offsets and sizes count sectors of this many bytes.
pub const SECTOR: u64 = 512;

/// `SparseExtentHeader`. In the first sector, and in the last but one where there is a footer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// +0 `magicNumber`: [`MAGIC`](Self::MAGIC).
    pub magic_number: [u8; 4],
    /// +4 `version`: 1; 2 where zeroed grains are known; 3 where the disk is stream-optimized.
    pub version: U32,
    /// +8 `flags`: [`FLAG_NEWLINES`](Self::FLAG_NEWLINES) and others.
    pub flags: U32,
    /// +12 `capacity`, in sectors.
    pub capacity: U64,
    /// +20 `grainSize`, in sectors: a power of 2, more than 8.
    pub grain_size: U64,
    /// +28 `descriptorOffset`, in sectors; 0 where there is none.
    pub descriptor_offset: U64,
    /// +36 `descriptorSize`, in sectors.
    pub descriptor_size: U64,
    /// +44 `numGTEsPerGT`: 512.
    pub num_gtes_per_gt: U32,
    /// +48 `rgdOffset`, in sectors: the redundant directory.
    pub rgd_offset: U64,
    /// +56 `gdOffset`, in sectors: the directory, or [`GD_AT_END`](Self::GD_AT_END).
    pub gd_offset: U64,
    /// +64 `overHead`, in sectors: what is before the first grain.
    pub over_head: U64,
    /// +72 `uncleanShutdown`: 1 where it was not closed.
    pub unclean_shutdown: u8,
    /// +73 `singleEndLineChar`, `nonEndLineChar`, `doubleEndLineChar1`, `doubleEndLineChar2`:
    /// [`NEWLINES`](Self::NEWLINES), unless somebody copied the file as text.
    pub newlines: [u8; 4],
    /// +77 `compressAlgorithm`: [`DEFLATE`](Self::DEFLATE) or 0.
    pub compress_algorithm: U16,
    /// +79: padding.
    pub pad: [u8; 433],
}

impl Header {
    /// `magicNumber`: "KDMV".
    pub const MAGIC: [u8; 4] = *b"KDMV";
    /// `flags`, bit 0: `newlines` is valid.
    pub const FLAG_NEWLINES: u32 = 1;
    /// `flags`, bit 16.
    pub const FLAG_COMPRESSED: u32 = 1 << 16;
    /// `flags`, bit 17.
    pub const FLAG_MARKERS: u32 = 1 << 17;
    /// `gdOffset` of a header whose directory was written later.
    pub const GD_AT_END: u64 = u64::MAX;
    /// `newlines`.
    pub const NEWLINES: [u8; 4] = *b"\n \r\n";
    /// `compressAlgorithm`: zlib, RFC 1950.
    pub const DEFLATE: u16 = 1;
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(Header::SIZE == 512);
const _: () = assert!(offset_of!(Header, capacity) == 12);
const _: () = assert!(offset_of!(Header, num_gtes_per_gt) == 44);
const _: () = assert!(offset_of!(Header, gd_offset) == 56);
const _: () = assert!(offset_of!(Header, unclean_shutdown) == 72);
const _: () = assert!(offset_of!(Header, compress_algorithm) == 77);

/// `Marker`: before each compressed grain, whose data follow at [`DATA`](Self::DATA), and alone in
/// a sector before tables, the directory, the footer, and as the end of the stream.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Marker {
    /// +0 `val`: the sector of the disk that a grain is for, or how many sectors follow.
    pub val: U64,
    /// +8 `size`: of the data of a grain, in bytes; 0 for what is no grain.
    pub size: U32,
    /// +12 `type`: what follows, where it is no grain.
    pub kind: [u8; 4],
}

impl Marker {
    /// Size in bytes, `type` included.
    pub const SIZE: usize = size_of::<Self>();
    /// Where the data of a grain start, in bytes.
    pub const DATA: u64 = 12;
    /// `type`: the end of the stream.
    pub const END: u32 = 0;
    /// `type`: a grain table.
    pub const TABLE: u32 = 1;
    /// `type`: the grain directory.
    pub const DIRECTORY: u32 = 2;
    /// `type`: the footer.
    pub const FOOTER: u32 = 3;
}

const _: () = assert!(Marker::SIZE == 16);
const _: () = assert!(offset_of!(Marker, kind) == 12);
