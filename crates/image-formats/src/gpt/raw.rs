//! Bits as they lie on the disk. UEFI 2.10, §5.3.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// `EFI_PARTITION_TABLE_HEADER`, UEFI 2.10 §5.3.2. At LBA 1, with a copy at the last LBA.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// +0x00 `Signature`: [`SIGNATURE`](Self::SIGNATURE).
    pub signature: [u8; 8],
    /// +0x08 `Revision`: [`REVISION`](Self::REVISION).
    pub revision: U32,
    /// +0x0c `HeaderSize`, in bytes: at least 92, at most one block.
    pub header_size: U32,
    /// +0x10 `HeaderCRC32`: over `HeaderSize` bytes, this field taken as zero.
    pub header_crc32: U32,
    /// +0x14 `Reserved`: zero.
    pub reserved: U32,
    /// +0x18 `MyLBA`, in blocks.
    pub my_lba: U64,
    /// +0x20 `AlternateLBA`, in blocks: where the other copy is.
    pub alternate_lba: U64,
    /// +0x28 `FirstUsableLBA`, in blocks.
    pub first_usable_lba: U64,
    /// +0x30 `LastUsableLBA`, in blocks, inclusive.
    pub last_usable_lba: U64,
    /// +0x38 `DiskGUID`.
    pub disk_guid: [u8; 16],
    /// +0x48 `PartitionEntryLBA`, in blocks: where the entry array of this copy is.
    pub partition_entry_lba: U64,
    /// +0x50 `NumberOfPartitionEntries`, used or not.
    pub number_of_partition_entries: U32,
    /// +0x54 `SizeOfPartitionEntry`, in bytes: 128 × 2ⁿ.
    pub size_of_partition_entry: U32,
    /// +0x58 `PartitionEntryArrayCRC32`: over all entries.
    pub partition_entry_array_crc32: U32,
}

impl Header {
    /// Size in bytes, without the reserved rest of the block.
    pub const SIZE: usize = size_of::<Self>();
    /// `Signature`.
    pub const SIGNATURE: [u8; 8] = *b"EFI PART";
    /// `Revision`: 1.0, since 2000.
    pub const REVISION: u32 = 0x0001_0000;
}

const _: () = assert!(Header::SIZE == 92);
const _: () = assert!(offset_of!(Header, header_crc32) == 0x10);
const _: () = assert!(offset_of!(Header, my_lba) == 0x18);
const _: () = assert!(offset_of!(Header, disk_guid) == 0x38);
const _: () = assert!(offset_of!(Header, partition_entry_lba) == 0x48);
const _: () = assert!(offset_of!(Header, partition_entry_array_crc32) == 0x58);

/// `EFI_PARTITION_ENTRY`, UEFI 2.10 §5.3.3.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct PartitionEntry {
    /// +0x00 `PartitionTypeGUID`: zero where the entry is not used.
    pub partition_type_guid: [u8; 16],
    /// +0x10 `UniquePartitionGUID`.
    pub unique_partition_guid: [u8; 16],
    /// +0x20 `StartingLBA`, in blocks.
    pub starting_lba: U64,
    /// +0x28 `EndingLBA`, in blocks, inclusive.
    pub ending_lba: U64,
    /// +0x30 `Attributes`: [`REQUIRED`](Self::REQUIRED) and others; 48 to 63 belong to the type.
    pub attributes: U64,
    /// +0x38 `PartitionName`: UTF-16, ended by a zero where it is shorter.
    pub partition_name: [U16; 36],
}

impl PartitionEntry {
    /// Size in bytes; `SizeOfPartitionEntry` may be larger.
    pub const SIZE: usize = size_of::<Self>();
    /// Bit 0 of `Attributes`: the platform needs the partition.
    pub const REQUIRED: u64 = 1;
    /// Bit 1: firmware does not look for files in it.
    pub const NO_BLOCK_IO: u64 = 1 << 1;
    /// Bit 2: a BIOS finds the system to start here.
    pub const LEGACY_BIOS_BOOTABLE: u64 = 1 << 2;
    /// Bits 3 to 47: must be zero.
    pub const RESERVED: u64 = 0x0000_ffff_ffff_fff8;
}

const _: () = assert!(PartitionEntry::SIZE == 128);
const _: () = assert!(offset_of!(PartitionEntry, starting_lba) == 0x20);
const _: () = assert!(offset_of!(PartitionEntry, attributes) == 0x30);
const _: () = assert!(offset_of!(PartitionEntry, partition_name) == 0x38);
