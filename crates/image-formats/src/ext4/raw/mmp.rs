//! Multi-mount protection.

use std::mem::size_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// `struct mmp_struct`: in the block that `s_mmp_block` tells.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Mmp {
    /// +0x0 `mmp_magic`: 0x004d4d50.
    pub mmp_magic: U32,
    /// +0x4 `mmp_seq`: 0xff4d4d50 clean, 0xe24d4d50 a check is running, below that a host has it
    /// mounted and changes the number again and again.
    pub mmp_seq: U32,
    /// +0x8 `mmp_time`: time of the last change.
    pub mmp_time: U64,
    /// +0x10 `mmp_nodename`: name of the host.
    pub mmp_nodename: [u8; 64],
    /// +0x50 `mmp_bdevname`: name of the device there.
    pub mmp_bdevname: [u8; 32],
    /// +0x70 `mmp_check_interval`: seconds that another host waits for a change.
    pub mmp_check_interval: U16,
    /// +0x72 `mmp_pad1`: 0.
    pub mmp_pad1: U16,
    /// +0x74 `mmp_pad2`: 0.
    pub mmp_pad2: [U32; 226],
    /// +0x3fc `mmp_checksum`: crc32c of all that is before it, with metadata_csum.
    pub mmp_checksum: U32,
}

impl Mmp {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(Mmp::SIZE == 1024);
