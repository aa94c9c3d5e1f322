//! Bits as they lie in a system use area: the names of SUSP and RRIP, no opinion.

use std::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::iso9660::raw::Both32;

/// How every entry starts. SUSP §4.1.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// +0 `SIGNATURE WORD`: two characters, [`CE`](Self::CE) and others.
    pub signature: [u8; 2],
    /// +2 `LEN`: bytes of the entry, these four included.
    pub len: u8,
    /// +3 `VERSION`: 1.
    pub version: u8,
}

impl Header {
    /// Its size, and the least of an entry.
    pub const SIZE: usize = size_of::<Self>();
    /// The version of all entries that there are but [`ZF`](Self::ZF).
    pub const VERSION: u8 = 1;

    /// The area goes on elsewhere: [`Ce`]. SUSP §5.1.
    pub const CE: [u8; 2] = *b"CE";
    /// Padding. SUSP §5.2.
    pub const PD: [u8; 2] = *b"PD";
    /// The protocol is in use: [`Sp`]. SUSP §5.3.
    pub const SP: [u8; 2] = *b"SP";
    /// The area ends. SUSP §5.4.
    pub const ST: [u8; 2] = *b"ST";
    /// Which extension is in use: [`Er`]. SUSP §5.5.
    pub const ER: [u8; 2] = *b"ER";
    /// Which extension the following entries belong to. SUSP §5.6.
    pub const ES: [u8; 2] = *b"ES";

    /// Attributes of POSIX: [`Px`]. RRIP §4.1.1.
    pub const PX: [u8; 2] = *b"PX";
    /// Number of a device: [`Pn`]. RRIP §4.1.2.
    pub const PN: [u8; 2] = *b"PN";
    /// Target of a symlink: [`Sl`]. RRIP §4.1.3.
    pub const SL: [u8; 2] = *b"SL";
    /// Name: [`Nm`]. RRIP §4.1.4.
    pub const NM: [u8; 2] = *b"NM";
    /// Where a directory went that was too deep: [`Link`]. RRIP §4.1.5.1.
    pub const CL: [u8; 2] = *b"CL";
    /// Where the parent of such a directory is: [`Link`]. RRIP §4.1.5.2.
    pub const PL: [u8; 2] = *b"PL";
    /// The directory came here from elsewhere. RRIP §4.1.5.3.
    pub const RE: [u8; 2] = *b"RE";
    /// Times: [`Tf`]. RRIP §4.1.6.
    pub const TF: [u8; 2] = *b"TF";
    /// The file is sparse. RRIP §4.1.7.
    pub const SF: [u8; 2] = *b"SF";
    /// Which entries there are: [`Rr`]. Only up to RRIP 1.09, §4.1.
    pub const RR: [u8; 2] = *b"RR";

    /// The content is compressed: [`Zf`]. Of zisofs, which is no standard.
    pub const ZF: [u8; 2] = *b"ZF";
}

const _: () = {
    assert!(Header::SIZE == 4);
    assert!(offset_of!(Header, len) == 2);
};

/// `CE`: where the area goes on. SUSP §5.1; offsets in the entry.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Ce {
    /// +4 `BLOCK LOCATION`: a logical block of the volume.
    pub block: Both32,
    /// +12 `OFFSET`: bytes from the start of that block.
    pub offset: Both32,
    /// +20 `LENGTH`: bytes.
    pub length: Both32,
}

/// `SP`: the first entry of the first record of the root directory. SUSP §5.3.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Sp {
    /// +4 `CHECK BYTES`: [`CHECK`](Self::CHECK).
    pub check: [u8; 2],
    /// +6 `LEN_SKP`: bytes before the first entry in the area of every other record.
    pub len_skp: u8,
}

impl Sp {
    /// What the check bytes are.
    pub const CHECK: [u8; 2] = [0xbe, 0xef];
}

/// `ER`: an extension that is in use; the strings follow. SUSP §5.5.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Er {
    /// +4 `LEN_ID`: bytes of the identifier.
    pub len_id: u8,
    /// +5 `LEN_DES`: bytes of the description.
    pub len_des: u8,
    /// +6 `LEN_SRC`: bytes that tell where the specification is.
    pub len_src: u8,
    /// +7 `EXT_VER`: version of the extension.
    pub ext_ver: u8,
}

/// `PX`: attributes of POSIX. RRIP §4.1.1; [`PxSerial`] may follow.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Px {
    /// +4 `st_mode`.
    pub mode: Both32,
    /// +12 `st_nlink`.
    pub links: Both32,
    /// +20 `st_uid`.
    pub uid: Both32,
    /// +28 `st_gid`.
    pub gid: Both32,
}

/// What `PX` has more since RRIP 1.10.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct PxSerial {
    /// +36 `st_ino`: files with the same number are the same.
    pub serial: Both32,
}

/// `PN`: number of a device. RRIP §4.1.2.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Pn {
    /// +4 The upper 32 bits; Linux writes the major number.
    pub high: Both32,
    /// +12 The lower 32 bits; Linux writes the minor number.
    pub low: Both32,
}

/// `SL`: a piece of the target of a symlink; components follow. RRIP §4.1.3.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Sl {
    /// +4 [`CONTINUE`](Self::CONTINUE).
    pub flags: u8,
}

impl Sl {
    /// Flag of the entry: another one follows. Flag of a component: the next one is its rest.
    pub const CONTINUE: u8 = 1;
    /// Flag of a component: `.`.
    pub const CURRENT: u8 = 2;
    /// Flag of a component: `..`.
    pub const PARENT: u8 = 4;
    /// Flag of a component: `/`.
    pub const ROOT: u8 = 8;
    /// Bytes before the text of a component: its flags and its length.
    pub const COMPONENT: usize = 2;
}

/// `NM`: a piece of the name; the text follows. RRIP §4.1.4.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Nm {
    /// +4 [`CONTINUE`](Self::CONTINUE) and others.
    pub flags: u8,
}

impl Nm {
    /// Flag: another piece follows.
    pub const CONTINUE: u8 = 1;
    /// Flag: the directory itself; there is no text.
    pub const CURRENT: u8 = 2;
    /// Flag: the parent; there is no text.
    pub const PARENT: u8 = 4;
}

/// `CL` and `PL`: a directory. RRIP §4.1.5.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Link {
    /// +4 The logical block that the directory starts at.
    pub block: Both32,
}

/// `TF`: times; they follow, in the order of the flags. RRIP §4.1.6.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Tf {
    /// +4 [`CREATION`](Self::CREATION) and others.
    pub flags: u8,
}

impl Tf {
    /// Flag: when it was made.
    pub const CREATION: u8 = 0x01;
    /// Flag: when the content changed.
    pub const MODIFY: u8 = 0x02;
    /// Flag: when it was read.
    pub const ACCESS: u8 = 0x04;
    /// Flag: when something of it changed.
    pub const ATTRIBUTES: u8 = 0x08;
    /// Flag: when it was backed up.
    pub const BACKUP: u8 = 0x10;
    /// Flag: until when it is of use.
    pub const EXPIRATION: u8 = 0x20;
    /// Flag: from when on it is of use.
    pub const EFFECTIVE: u8 = 0x40;
    /// Flag: stamps have 17 bytes, not 7.
    pub const LONG_FORM: u8 = 0x80;
}

/// `RR`: a bit for each kind of entry that the record has. RRIP 1.09 §4.1.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Rr {
    /// +4 The bits of [`KINDS`](Self::KINDS).
    pub flags: u8,
}

impl Rr {
    /// What the bits stand for, the least significant one first.
    pub const KINDS: [[u8; 2]; 8] = [
        Header::PX,
        Header::PN,
        Header::SL,
        Header::NM,
        Header::CL,
        Header::PL,
        Header::RE,
        Header::TF,
    ];
}

/// `ZF`: how the content is compressed. zisofs 1.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Zf {
    /// +4 The algorithm: [`DEFLATE`](Self::DEFLATE).
    pub algorithm: [u8; 2],
    /// +6 Bytes of the header of the content, in units of four.
    pub header_div_4: u8,
    /// +7 Bytes of a block, as a power of two.
    pub block_log2: u8,
    /// +8 Bytes of the content once it is not compressed.
    pub size: Both32,
}

impl Zf {
    /// The algorithm of zisofs 1.
    pub const DEFLATE: [u8; 2] = *b"pz";
}

const _: () = {
    assert!(size_of::<Ce>() == 28 - Header::SIZE);
    assert!(size_of::<Sp>() == 7 - Header::SIZE);
    assert!(size_of::<Er>() == 8 - Header::SIZE);
    assert!(size_of::<Px>() == 36 - Header::SIZE);
    assert!(size_of::<PxSerial>() == 44 - 36);
    assert!(size_of::<Pn>() == 20 - Header::SIZE);
    assert!(size_of::<Link>() == 12 - Header::SIZE);
    assert!(size_of::<Zf>() == 16 - Header::SIZE);
    assert!(offset_of!(Ce, length) == 20 - Header::SIZE);
    assert!(offset_of!(Px, gid) == 28 - Header::SIZE);
    assert!(offset_of!(Zf, size) == 8 - Header::SIZE);
};
