//! Bits as they lie in the archive: the names of POSIX and of GNU tar, no opinion.

use std::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Size of a block in bytes: headers start at, and contents are padded to, multiples of it.
/// POSIX.1-2017 pax, "ustar Interchange Format".
pub const BLOCK: usize = 512;

/// The header block that all dialects share. POSIX.1-2017 pax, "ustar Interchange Format". Numbers
/// are octal digits ended by a space or NUL, or big-endian base-256 where the first byte is at
/// least 0x80, which is GNU's.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// +0 `name`: the path, or its last part where `prefix` is used. Ended by NUL unless full.
    pub name: [u8; 100],
    /// +100 `mode`: the permission bits.
    pub mode: [u8; 8],
    /// +108 `uid`.
    pub uid: [u8; 8],
    /// +116 `gid`.
    pub gid: [u8; 8],
    /// +124 `size`: of the content, in bytes.
    pub size: [u8; 12],
    /// +136 `mtime`: seconds since 1970.
    pub mtime: [u8; 12],
    /// +148 `chksum`: sum of all bytes of the header, this field taken as spaces.
    pub chksum: [u8; 8],
    /// +156 `typeflag`.
    pub typeflag: u8,
    /// +157 `linkname`: target of a link. Ended by NUL unless full.
    pub linkname: [u8; 100],
    /// +257 `magic`: [`MAGIC_USTAR`](Self::MAGIC_USTAR) or the first six bytes of
    /// [`MAGIC_GNU`](Self::MAGIC_GNU).
    pub magic: [u8; 6],
    /// +263 `version`: `00`, or the rest of GNU's magic.
    pub version: [u8; 2],
    /// +265 `uname`: ended by NUL.
    pub uname: [u8; 32],
    /// +297 `gname`: ended by NUL.
    pub gname: [u8; 32],
    /// +329 `devmajor`: of a device node.
    pub devmajor: [u8; 8],
    /// +337 `devminor`: of a device node.
    pub devminor: [u8; 8],
    /// +345 `prefix` in ustar; in GNU's dialect times and the sparse map, see [`GnuTail`].
    pub prefix: [u8; 155],
    /// +500: not used by ustar.
    pub rest: [u8; 12],
}

impl Header {
    /// `magic` of ustar and pax archives.
    pub const MAGIC_USTAR: [u8; 6] = *b"ustar\0";
    /// `magic` and `version` of GNU archives.
    pub const MAGIC_GNU: [u8; 8] = *b"ustar  \0";
}

const _: () = {
    assert!(size_of::<Header>() == BLOCK);
    assert!(offset_of!(Header, mode) == 100);
    assert!(offset_of!(Header, size) == 124);
    assert!(offset_of!(Header, mtime) == 136);
    assert!(offset_of!(Header, chksum) == 148);
    assert!(offset_of!(Header, typeflag) == 156);
    assert!(offset_of!(Header, magic) == 257);
    assert!(offset_of!(Header, uname) == 265);
    assert!(offset_of!(Header, devmajor) == 329);
    assert!(offset_of!(Header, prefix) == 345);
    assert!(offset_of!(Header, rest) == 500);
};

/// What GNU tar puts where ustar has `prefix`: `struct oldgnu_header` of GNU tar's `tar.h`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct GnuTail {
    /// +0..345: as [`Header`].
    pub head: [u8; 345],
    /// +345 `atime`, `ctime`, `offset`, `longnames`: incremental and multi-volume archives.
    pub incremental: [u8; 41],
    /// +386 `sp`: the first four extents of a sparse file, 12 + 12 bytes each.
    pub sp: [u8; 96],
    /// +482 `isextended`: 1 where blocks with more extents follow.
    pub isextended: u8,
    /// +483 `realsize`: size of the file with its holes, in bytes.
    pub realsize: [u8; 12],
    /// +495: padding.
    pub rest: [u8; 17],
}

const _: () = {
    assert!(size_of::<GnuTail>() == BLOCK);
    assert!(offset_of!(GnuTail, sp) == 386);
    assert!(offset_of!(GnuTail, isextended) == 482);
    assert!(offset_of!(GnuTail, realsize) == 483);
};

/// More extents of a sparse file: `struct sparse_header` of GNU tar's `tar.h`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct GnuSparse {
    /// +0 `sp`: 21 extents, 12 + 12 bytes each.
    pub sp: [u8; 504],
    /// +504 `isextended`: 1 where another such block follows.
    pub isextended: u8,
    /// +505: padding.
    pub rest: [u8; 7],
}

const _: () = {
    assert!(size_of::<GnuSparse>() == BLOCK);
    assert!(offset_of!(GnuSparse, isextended) == 504);
};
