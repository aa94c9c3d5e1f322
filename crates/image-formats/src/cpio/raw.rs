//! Bytes as they lie in the stream.

use std::mem::size_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `cpio_header`: before each member. Numbers are eight hexadecimal digits.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// +0 `c_magic`: [`MAGIC`](Self::MAGIC) or [`MAGIC_CRC`](Self::MAGIC_CRC).
    pub c_magic: [u8; 6],
    /// +6 `c_ino`: tells the names of one file.
    pub c_ino: [u8; 8],
    /// +14 `c_mode`: type and permission bits.
    pub c_mode: [u8; 8],
    /// +22 `c_uid`.
    pub c_uid: [u8; 8],
    /// +30 `c_gid`.
    pub c_gid: [u8; 8],
    /// +38 `c_nlink`.
    pub c_nlink: [u8; 8],
    /// +46 `c_mtime`, in seconds since 1970.
    pub c_mtime: [u8; 8],
    /// +54 `c_filesize`, in bytes.
    pub c_filesize: [u8; 8],
    /// +62 `c_maj`, `c_min`: the device it was on.
    pub c_dev: [[u8; 8]; 2],
    /// +78 `c_rmaj`, `c_rmin`: the device it is.
    pub c_rdev: [[u8; 8]; 2],
    /// +94 `c_namesize`: of the name with its NUL, in bytes.
    pub c_namesize: [u8; 8],
    /// +102 `c_chksum`: the sum of all bytes where the magic is [`MAGIC_CRC`](Self::MAGIC_CRC).
    pub c_chksum: [u8; 8],
}

impl Header {
    /// `c_magic`.
    pub const MAGIC: [u8; 6] = *b"070701";
    /// `c_magic` of an archive with checksums.
    pub const MAGIC_CRC: [u8; 6] = *b"070702";
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(Header::SIZE == 110);
