//! Bits as they lie in the file. Devicetree Specification v0.4 §5.2, §5.4.

use std::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, big_endian::U32};

/// `fdt_header`: the first bytes of the file. All numbers are big-endian.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// +0 `magic`: [`MAGIC`](Self::MAGIC).
    pub magic: U32,
    /// +4 `totalsize`: of everything, in bytes.
    pub totalsize: U32,
    /// +8 `off_dt_struct`: offset of the structure block.
    pub off_dt_struct: U32,
    /// +12 `off_dt_strings`: offset of the strings block.
    pub off_dt_strings: U32,
    /// +16 `off_mem_rsvmap`: offset of the memory reservation block.
    pub off_mem_rsvmap: U32,
    /// +20 `version`: 17.
    pub version: U32,
    /// +24 `last_comp_version`: 16.
    pub last_comp_version: U32,
    /// +28 `boot_cpuid_phys`.
    pub boot_cpuid_phys: U32,
    /// +32 `size_dt_strings`: length of the strings block, in bytes.
    pub size_dt_strings: U32,
    /// +36 `size_dt_struct`: length of the structure block, in bytes.
    pub size_dt_struct: U32,
}

impl Header {
    /// `magic`.
    pub const MAGIC: u32 = 0xd00d_feed;
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(Header::SIZE == 40);
const _: () = assert!(offset_of!(Header, size_dt_struct) == 36);

/// Starts a node; its name follows.
pub const FDT_BEGIN_NODE: u32 = 1;
/// Ends a node.
pub const FDT_END_NODE: u32 = 2;
/// A property: its length, the offset of its name in the strings block, its value.
pub const FDT_PROP: u32 = 3;
/// Nothing.
pub const FDT_NOP: u32 = 4;
/// Ends the structure block.
pub const FDT_END: u32 = 9;
