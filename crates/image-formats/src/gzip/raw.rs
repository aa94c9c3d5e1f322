//! Bits as they lie in a gzip file: the names of RFC 1952, no opinion.

use std::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, little_endian::U32};

/// The fixed part of a member header. RFC 1952 §2.3.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// +0 `ID1` and `ID2`: [`MAGIC`](Self::MAGIC).
    pub id: [u8; 2],
    /// +2 `CM`: 8 is deflate, and nothing else was ever defined.
    pub cm: u8,
    /// +3 `FLG`: [`FTEXT`](Self::FTEXT) and others; the upper three bits are reserved.
    pub flg: u8,
    /// +4 `MTIME`: seconds since 1970, 0 where there is none.
    pub mtime: U32,
    /// +8 `XFL`: 2 best compression, 4 fastest.
    pub xfl: u8,
    /// +9 `OS`: 3 is Unix, 255 unknown.
    pub os: u8,
}

impl Header {
    /// The only valid `ID1` and `ID2`.
    pub const MAGIC: [u8; 2] = [0x1f, 0x8b];
    /// `CM` of deflate.
    pub const DEFLATE: u8 = 8;
    /// Bit 0 of `FLG`: the content is probably text.
    pub const FTEXT: u8 = 1;
    /// Bit 1: a CRC16 of the header follows it.
    pub const FHCRC: u8 = 2;
    /// Bit 2: an extra field follows.
    pub const FEXTRA: u8 = 4;
    /// Bit 3: a file name follows.
    pub const FNAME: u8 = 8;
    /// Bit 4: a comment follows.
    pub const FCOMMENT: u8 = 16;
    /// Bits 5 to 7: must be zero.
    pub const RESERVED: u8 = 0xe0;
}

const _: () = {
    assert!(size_of::<Header>() == 10);
    assert!(offset_of!(Header, flg) == 3);
    assert!(offset_of!(Header, mtime) == 4);
    assert!(offset_of!(Header, os) == 9);
};

/// What follows the compressed data of a member. RFC 1952 §2.3.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Trailer {
    /// +0 `CRC32`: of the uncompressed data.
    pub crc32: U32,
    /// +4 `ISIZE`: length of the uncompressed data, modulo 2³².
    pub isize: U32,
}

const _: () = {
    assert!(size_of::<Trailer>() == 8);
    assert!(offset_of!(Trailer, isize) == 4);
};
