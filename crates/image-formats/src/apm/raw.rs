//! Bits as they lie on the disk. Apple, Inside Macintosh: Devices, chapter 3; numbers are
//! big-endian.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    big_endian::{U16, U32},
};

/// `Block0`: the driver descriptor record, as far as a disc has one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DriverDescriptor {
    /// +0x0 `sbSig`: [`SIGNATURE`](Self::SIGNATURE).
    pub signature: [u8; 2],
    /// +0x2 `sbBlkSize`, in bytes: what the map counts in.
    pub block_size: U16,
    /// +0x4 `sbBlkCount`: in discs whatever is there.
    pub block_count: U32,
}

impl DriverDescriptor {
    /// `sbSig`.
    pub const SIGNATURE: [u8; 2] = *b"ER";
}

const _: () = assert!(size_of::<DriverDescriptor>() == 8);

/// `Partition`: an entry of the partition map, in a block of its own from block 1 on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct PartitionEntry {
    /// +0x00 `pmSig`: [`SIGNATURE`](Self::SIGNATURE).
    pub signature: [u8; 2],
    /// +0x02 `pmSigPad`.
    pub signature_pad: U16,
    /// +0x04 `pmMapBlkCnt`: number of entries, the same in each.
    pub map_blocks: U32,
    /// +0x08 `pmPyPartStart`: the first block of the partition.
    pub start: U32,
    /// +0x0c `pmPartBlkCnt`: how many blocks it has.
    pub blocks: U32,
    /// +0x10 `pmPartName`, ended by a zero where it is shorter.
    pub name: [u8; 32],
    /// +0x30 `pmParType`, ended by a zero where it is shorter.
    pub kind: [u8; 32],
}

impl PartitionEntry {
    /// `pmSig`.
    pub const SIGNATURE: [u8; 2] = *b"PM";
    /// `pmParType` of the map itself.
    pub const MAP: &[u8] = b"Apple_partition_map";
    /// `pmParType` of what lies between other partitions, and of what is free.
    pub const FILLERS: [&[u8]; 2] = [b"ISO9660_data", b"Apple_Free"];
    /// `pmParType` of file systems of a Mac, and of EFI images of discs.
    pub const HFS: &[u8] = b"Apple_HFS";
}

const _: () = assert!(size_of::<PartitionEntry>() == 0x50);
const _: () = assert!(offset_of!(PartitionEntry, kind) == 0x30);
