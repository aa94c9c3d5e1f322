//! Bits as they lie in a qcow2 file: the names of `docs/interop/qcow2` in QEMU, no opinion. All
//! numbers are big-endian.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    big_endian::{U16, U32, U64},
    transmute,
};

use crate::bytes::{ReadError, Region};

/// The header of version 2: the first bytes of the file.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// +0 [`MAGIC`](Self::MAGIC): `QFI\xfb`.
    pub magic: [u8; 4],
    /// +4 2 or 3; a file of version 1 is called qcow.
    pub version: U32,
    /// +8 Where the name of the backing file is, in bytes from the start of the file; 0 where there
    /// is none.
    pub backing_file_offset: U64,
    /// +16 Length of that name in bytes, 1023 at most.
    pub backing_file_size: U32,
    /// +20 The logarithm of the bytes in a cluster: 9 to 21.
    pub cluster_bits: U32,
    /// +24 Size of the disk, in bytes.
    pub size: U64,
    /// +32 0 no encryption, 1 AES, 2 LUKS.
    pub crypt_method: U32,
    /// +36 Entries in the active L1 table.
    pub l1_size: U32,
    /// +40 Where it is, in bytes from the start of the file.
    pub l1_table_offset: U64,
    /// +48 Where the refcount table is, in bytes from the start of the file.
    pub refcount_table_offset: U64,
    /// +56 Its length in clusters.
    pub refcount_table_clusters: U32,
    /// +60 Number of snapshots.
    pub nb_snapshots: U32,
    /// +64 Where the snapshot table is, in bytes from the start of the file.
    pub snapshots_offset: U64,
}

/// What version 3 adds to the header.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct HeaderV3 {
    /// +72 Features without which nobody may open the file: [`DIRTY`](Self::DIRTY) and others.
    pub incompatible_features: U64,
    /// +80 Features that may be ignored: [`LAZY_REFCOUNTS`](Self::LAZY_REFCOUNTS).
    pub compatible_features: U64,
    /// +88 Features that who does not know them clears before he writes:
    /// [`BITMAPS`](Self::BITMAPS) and others.
    pub autoclear_features: U64,
    /// +96 The logarithm of the bits in a refcount: 0 to 6.
    pub refcount_order: U32,
    /// +100 Bytes of the header: 104 at least, a multiple of 8.
    pub header_length: U32,
}

/// The additional fields, as far as there are some by now.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct AdditionalFields {
    /// +104 What compresses clusters: 0 deflate, 1 zstd.
    pub compression_type: u8,
    /// +105 Zeros.
    pub padding: [u8; 7],
}

/// The beginning of a header extension.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ExtensionHeader {
    /// +0 See [`ExtensionType`](super::ExtensionType).
    pub extension_type: U32,
    /// +4 Length of the data that follow, without their padding to a multiple of 8.
    pub length: U32,
}

/// The data of the bitmaps extension.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BitmapsExtension {
    /// +0 Number of bitmaps: 1 at least.
    pub nb_bitmaps: U32,
    /// +4 Zeros.
    pub reserved: U32,
    /// +8 Length of the bitmap directory in bytes.
    pub bitmap_directory_size: U64,
    /// +16 Where it is, in bytes from the start of the file.
    pub bitmap_directory_offset: U64,
}

/// The data of the full disk encryption header pointer.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct EncryptionPointer {
    /// +0 Where the header of LUKS is, in bytes from the start of the file.
    pub offset: U64,
    /// +8 Its length in bytes.
    pub length: U64,
}

/// The fixed part of a snapshot table entry.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct SnapshotEntry {
    /// +0 Where its L1 table is, in bytes from the start of the file.
    pub l1_table_offset: U64,
    /// +8 Entries in it.
    pub l1_size: U32,
    /// +12 Length of its ID.
    pub id_size: U16,
    /// +14 Length of its name.
    pub name_size: U16,
    /// +16 When it was taken, in seconds since 1970.
    pub date_sec: U32,
    /// +20 The nanoseconds of that.
    pub date_nsec: U32,
    /// +24 How long the machine had run, in nanoseconds.
    pub vm_clock_nsec: U64,
    /// +32 Bytes of the saved memory; 0 where it was not running.
    pub vm_state_size: U32,
    /// +36 Length of the extra data.
    pub extra_data_size: U32,
}

/// The extra data of a snapshot, as far as they are known.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct SnapshotExtraData {
    /// +0 Bytes of the saved memory, instead of `vm_state_size`.
    pub vm_state_size_large: U64,
    /// +8 Size of the disk when it was taken, in bytes.
    pub disk_size: U64,
}

/// The fixed part of a bitmap directory entry.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BitmapEntry {
    /// +0 Where its bitmap table is, in bytes from the start of the file.
    pub bitmap_table_offset: U64,
    /// +8 Entries in it.
    pub bitmap_table_size: U32,
    /// +12 A bit each: 0 in use, 1 auto, 2 extra data compatible.
    pub flags: U32,
    /// +16 1: dirty tracking bitmap.
    pub bitmap_type: u8,
    /// +17 The logarithm of the bytes of the disk for each bit: 0 to 63.
    pub granularity_bits: u8,
    /// +18 Length of its name: 1 at least.
    pub name_size: U16,
    /// +20 Length of the extra data, which nobody defined yet.
    pub extra_data_size: U32,
}

impl Header {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();
    /// What `magic` is.
    pub const MAGIC: [u8; 4] = *b"QFI\xfb";

    /// The one of this file.
    pub fn read(file: &Region) -> Result<Self, ReadError> {
        file.array::<{ Self::SIZE }>("qcow2 header", 0).map(|bytes| transmute!(bytes))
    }
}

impl HeaderV3 {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();
    /// Incompatible: refcounts may be wrong.
    pub const DIRTY: u64 = 1;
    /// Incompatible: anything may be wrong.
    pub const CORRUPT: u64 = 1 << 1;
    /// Incompatible: the data are in another file.
    pub const EXTERNAL_DATA: u64 = 1 << 2;
    /// Incompatible: clusters are compressed by something else than deflate.
    pub const COMPRESSION_TYPE: u64 = 1 << 3;
    /// Incompatible: L2 entries have 16 bytes.
    pub const EXTENDED_L2: u64 = 1 << 4;
    /// The incompatible features that there are.
    pub const INCOMPATIBLE: u64 = 0x1f;
    /// Compatible: refcounts are written late.
    pub const LAZY_REFCOUNTS: u64 = 1;
    /// Auto-clear: the bitmaps are up to date.
    pub const BITMAPS: u64 = 1;
    /// Auto-clear: the external data file can be read alone.
    pub const RAW_EXTERNAL_DATA: u64 = 1 << 1;

    /// The one of this file.
    pub fn read(file: &Region) -> Result<Self, ReadError> {
        file.array::<{ Self::SIZE }>("qcow2 header", 72).map(|bytes| transmute!(bytes))
    }
}

impl AdditionalFields {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();

    /// The ones of this file.
    pub fn read(file: &Region) -> Result<Self, ReadError> {
        file.array::<{ Self::SIZE }>("qcow2 header", 104).map(|bytes| transmute!(bytes))
    }
}

impl ExtensionHeader {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();
}

impl SnapshotEntry {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();
}

impl BitmapEntry {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();
    /// Flag: it was not saved, and may be out of date.
    pub const IN_USE: u32 = 1;
    /// The flags that there are.
    pub const FLAGS: u32 = 7;
    /// What `bitmap_type` is.
    pub const DIRTY_TRACKING: u8 = 1;
}

const _: () = {
    assert!(size_of::<Header>() == 72);
    assert!(offset_of!(Header, cluster_bits) == 20);
    assert!(offset_of!(Header, size) == 24);
    assert!(offset_of!(Header, l1_table_offset) == 40);
    assert!(offset_of!(Header, refcount_table_clusters) == 56);
    assert!(offset_of!(Header, snapshots_offset) == 64);
    assert!(size_of::<HeaderV3>() == 32);
    assert!(offset_of!(HeaderV3, compatible_features) == 80 - 72);
    assert!(offset_of!(HeaderV3, refcount_order) == 96 - 72);
    assert!(offset_of!(HeaderV3, header_length) == 100 - 72);
    assert!(size_of::<AdditionalFields>() == 8);
    assert!(size_of::<ExtensionHeader>() == 8);
    assert!(size_of::<BitmapsExtension>() == 24);
    assert!(size_of::<EncryptionPointer>() == 16);
    assert!(size_of::<SnapshotEntry>() == 40);
    assert!(offset_of!(SnapshotEntry, id_size) == 12);
    assert!(offset_of!(SnapshotEntry, extra_data_size) == 36);
    assert!(size_of::<SnapshotExtraData>() == 16);
    assert!(size_of::<BitmapEntry>() == 24);
    assert!(offset_of!(BitmapEntry, name_size) == 18);
    assert!(offset_of!(BitmapEntry, extra_data_size) == 20);
};
