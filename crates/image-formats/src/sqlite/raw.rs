//! Bits as they lie in the files of SQLite: the names of *Database File Format*, no opinion. All
//! numbers are big-endian.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    big_endian::{U16, U32},
};

/// *The Database Header*, §1.3. The first 100 bytes of a database.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DatabaseHeader {
    /// +0 [`MAGIC`](Self::MAGIC).
    pub magic: [u8; 16],
    /// +16 Bytes of a page: a power of two from 512 on; 1 stands for 65536.
    pub page_size: U16,
    /// +18 Who may write: 1 with a rollback journal, 2 with a write-ahead log.
    pub write_version: u8,
    /// +19 Who may read: as `write_version`.
    pub read_version: u8,
    /// +20 Bytes at the end of each page that are not SQLite's.
    pub reserved_space: u8,
    /// +21 64.
    pub max_payload_fraction: u8,
    /// +22 32.
    pub min_payload_fraction: u8,
    /// +23 32.
    pub leaf_payload_fraction: u8,
    /// +24 How often the file was changed.
    pub change_counter: U32,
    /// +28 Pages of the database, where `version_valid_for` is `change_counter`.
    pub page_count: U32,
    /// +32 First page with a list of free pages.
    pub freelist_trunk: U32,
    /// +36 Free pages.
    pub freelist_count: U32,
    /// +40 How often the schema was changed.
    pub schema_cookie: U32,
    /// +44 1 to 4.
    pub schema_format: U32,
    /// +48 What `PRAGMA default_cache_size` says.
    pub default_cache_size: U32,
    /// +52 The largest root page, where pages of that kind are moved; 0 otherwise.
    pub largest_root_page: U32,
    /// +56 1: UTF-8; 2: UTF-16, low bytes first; 3: high bytes first.
    pub text_encoding: U32,
    /// +60 What `PRAGMA user_version` says.
    pub user_version: U32,
    /// +64 Not 0: pages are given back bit by bit.
    pub incremental_vacuum: U32,
    /// +68 What `PRAGMA application_id` says.
    pub application_id: U32,
    /// +72 Zeros.
    pub reserved: [u8; 20],
    /// +92 The `change_counter` for which `page_count` is true.
    pub version_valid_for: U32,
    /// +96 Version of who wrote last.
    pub sqlite_version: U32,
}

/// *WAL Header*, §4.1. The first 32 bytes of a write-ahead log.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct WalHeader {
    /// +0 [`MAGIC`](Self::MAGIC); the last bit tells how words are read for checksums.
    pub magic: U32,
    /// +4 [`VERSION`](Self::VERSION).
    pub version: U32,
    /// +8 Bytes of a page.
    pub page_size: U32,
    /// +12 How often the log was written back.
    pub checkpoint: U32,
    /// +16 Frames that belong to this header have the same eight bytes.
    pub salt: [u8; 8],
    /// +24 Of the 24 bytes before.
    pub checksum: [U32; 2],
}

/// *WAL Frame Header*, §4.1. A page follows.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct FrameHeader {
    /// +0 Number of the page.
    pub page: U32,
    /// +4 Pages of the database after a transaction that ends here; 0 where none does.
    pub page_count: U32,
    /// +8 As in the header of the log.
    pub salt: [u8; 8],
    /// +16 Of all that is before: the header of the log, the frames, 8 bytes of this header and its
    /// page.
    pub checksum: [U32; 2],
}

/// *Rollback Journal Header*, §3. At the start of a sector.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct JournalHeader {
    /// +0 [`MAGIC`](Self::MAGIC).
    pub magic: [u8; 8],
    /// +8 Pages that follow in this segment; all ones: as many as the file has.
    pub record_count: U32,
    /// +12 Where the checksums of pages start.
    pub nonce: U32,
    /// +16 Pages of the database before the transaction.
    pub page_count: U32,
    /// +20 Bytes of a sector: so long is this header, with what pads it.
    pub sector_size: U32,
    /// +24 Bytes of a page; 0 before SQLite 3.5.8.
    pub page_size: U32,
}

impl DatabaseHeader {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();
    /// What `magic` is.
    pub const MAGIC: [u8; 16] = *b"SQLite format 3\0";
    /// Of `write_version` and `read_version`: with a rollback journal.
    pub const LEGACY: u8 = 1;
    /// Of `write_version` and `read_version`: with a write-ahead log.
    pub const WAL: u8 = 2;
}

impl WalHeader {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();
    /// What `magic` is, without its last bit.
    pub const MAGIC: u32 = 0x377f_0682;
    /// What `version` is.
    pub const VERSION: u32 = 3_007_000;
}

impl FrameHeader {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();
}

impl JournalHeader {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();
    /// What `magic` is.
    pub const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    /// Of `record_count`: as many as the file has.
    pub const TO_THE_END: u32 = u32::MAX;
}

const _: () = {
    assert!(size_of::<DatabaseHeader>() == 100);
    assert!(offset_of!(DatabaseHeader, write_version) == 18);
    assert!(offset_of!(DatabaseHeader, change_counter) == 24);
    assert!(offset_of!(DatabaseHeader, page_count) == 28);
    assert!(offset_of!(DatabaseHeader, text_encoding) == 56);
    assert!(offset_of!(DatabaseHeader, version_valid_for) == 92);
    assert!(size_of::<WalHeader>() == 32);
    assert!(offset_of!(WalHeader, salt) == 16);
    assert!(offset_of!(WalHeader, checksum) == 24);
    assert!(size_of::<FrameHeader>() == 24);
    assert!(offset_of!(FrameHeader, checksum) == 16);
    assert!(size_of::<JournalHeader>() == 28);
    assert!(offset_of!(JournalHeader, sector_size) == 20);
};
