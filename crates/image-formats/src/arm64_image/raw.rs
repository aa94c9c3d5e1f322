//! Bits as they lie in the file. Linux, Documentation/arch/arm64/booting.rst, section 4.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

/// The decompressed kernel image's header.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// +0 `code0`: the first instruction; `MZ` where the kernel is a UEFI program as well.
    pub code0: U32,
    /// +4 `code1`: the second instruction.
    pub code1: U32,
    /// +8 `text_offset`: where it is loaded, from a base aligned to 2 MiB, in bytes.
    pub text_offset: U64,
    /// +16 `image_size`: how much memory it needs, in bytes.
    pub image_size: U64,
    /// +24 `flags`: bit 0 big-endian, bits 1 and 2 the page size, bit 3 where it may be loaded.
    pub flags: U64,
    /// +32 `res2` to `res4`.
    pub reserved: [U64; 3],
    /// +56 `magic`: [`MAGIC`](Self::MAGIC).
    pub magic: [u8; 4],
    /// +60 `res5`: offset of the PE header in the file, or 0.
    pub pe_offset: U32,
}

impl Header {
    /// `magic`: "ARM\x64".
    pub const MAGIC: [u8; 4] = *b"ARM\x64";
    /// `flags`, bit 0.
    pub const FLAG_BIG_ENDIAN: u64 = 1;
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(Header::SIZE == 64);
const _: () = assert!(offset_of!(Header, magic) == 0x38);
