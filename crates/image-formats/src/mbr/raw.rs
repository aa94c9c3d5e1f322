//! Bits as they lie on the disk. UEFI 2.10, §5.2.1: the legacy master boot record.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// The first 512 bytes of a disk, of an extended partition, and of what each link of an extended
/// partition leads to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BootRecord {
    /// +0x000 `BootCode`: runs on a PC with a BIOS; other boards do not look at it.
    pub boot_code: [u8; 440],
    /// +0x1b8 `UniqueMBRDiskSignature`: Linux makes the `PARTUUID` of the partitions from it.
    pub unique_mbr_disk_signature: U32,
    /// +0x1bc `Unknown`.
    pub unknown: U16,
    /// +0x1be `PartitionRecord`.
    pub partition_record: [PartitionRecord; 4],
    /// +0x1fe `Signature`: [`SIGNATURE`](Self::SIGNATURE).
    pub signature: [u8; 2],
}

impl BootRecord {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
    /// `Signature`.
    pub const SIGNATURE: [u8; 2] = [0x55, 0xaa];
}

const _: () = assert!(BootRecord::SIZE == 512);
const _: () = assert!(offset_of!(BootRecord, unique_mbr_disk_signature) == 0x1b8);
const _: () = assert!(offset_of!(BootRecord, partition_record) == 0x1be);
const _: () = assert!(offset_of!(BootRecord, signature) == 0x1fe);

/// One of four entries of a boot record.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct PartitionRecord {
    /// +0x0 `BootIndicator`: 0x80 where a BIOS finds the system to start, 0x00 elsewhere.
    pub boot_indicator: u8,
    /// +0x1 `StartingCHS`: head, sector and cylinder. Nothing reads them any more.
    pub starting_chs: [u8; 3],
    /// +0x4 `OSType`: 0x00 where the entry is not used.
    pub os_type: u8,
    /// +0x5 `EndingCHS`.
    pub ending_chs: [u8; 3],
    /// +0x8 `StartingLBA`, in blocks: from the start of the disk; in an extended partition from the
    /// boot record that the entry is in, or, for a link, from the start of the extended partition.
    pub starting_lba: U32,
    /// +0xc `SizeInLBA`, in blocks.
    pub size_in_lba: U32,
}

impl PartitionRecord {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
    /// `BootIndicator` of the active partition.
    pub const ACTIVE: u8 = 0x80;
    /// `OSType` of the entry that protects a GPT from programs that know none.
    pub const GPT_PROTECTIVE: u8 = 0xee;
    /// `OSType` of an EFI system partition.
    pub const EFI_SYSTEM: u8 = 0xef;
    /// `OSType` of extended partitions: of DOS, of Windows 95, of Linux.
    pub const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
}

const _: () = assert!(PartitionRecord::SIZE == 16);
const _: () = assert!(offset_of!(PartitionRecord, os_type) == 0x4);
const _: () = assert!(offset_of!(PartitionRecord, starting_lba) == 0x8);
const _: () = assert!(offset_of!(PartitionRecord, size_in_lba) == 0xc);
