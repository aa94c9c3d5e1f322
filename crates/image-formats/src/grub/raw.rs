//! Bits as they lie in the section. GRUB, `include/grub/kernel.h`.

use std::mem::size_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

/// `struct grub_module_info64`: at the start of the section.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ModuleInfo64 {
    /// +0 `magic`: [`MAGIC`](Self::MAGIC).
    pub magic: [u8; 4],
    /// +4 `padding`.
    pub padding: U32,
    /// +8 `offset`: of the first module, in bytes.
    pub offset: U64,
    /// +16 `size`: of all modules and this header, in bytes.
    pub size: U64,
}

impl ModuleInfo64 {
    /// `magic`: "mimg", as a little-endian number.
    pub const MAGIC: [u8; 4] = *b"mimg";
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(ModuleInfo64::SIZE == 24);

/// `struct grub_module_header`: before each module.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ModuleHeader {
    /// +0 `type`: what follows.
    pub kind: U32,
    /// +4 `size`: of this header and what follows, in bytes.
    pub size: U32,
}

impl ModuleHeader {
    /// `OBJ_TYPE_MEMDISK`.
    pub const MEMDISK: u32 = 1;
    /// `OBJ_TYPE_CONFIG`.
    pub const CONFIG: u32 = 2;
    /// `OBJ_TYPE_PREFIX`.
    pub const PREFIX: u32 = 3;
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
    /// Size in bytes.
    pub const LEN: u64 = 8;
}

const _: () = assert!(ModuleHeader::SIZE == 8);
