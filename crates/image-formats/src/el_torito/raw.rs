//! Bits as they lie on the disc. El Torito Bootable CD-ROM Format Specification 1.0, sections named
//! as there; all numbers are little-endian.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// Boot Record Volume Descriptor, figure 7: a volume descriptor of ISO 9660, in sector 17.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BootRecord {
    /// +0x00 Boot Record Indicator: [`TYPE`](Self::TYPE).
    pub indicator: u8,
    /// +0x01 ISO-9660 Identifier: [`IDENTIFIER`](Self::IDENTIFIER).
    pub identifier: [u8; 5],
    /// +0x06 Version of this descriptor: 1.
    pub version: u8,
    /// +0x07 Boot System Identifier: [`SYSTEM`](Self::SYSTEM), then zeros.
    pub boot_system_identifier: [u8; 32],
    /// +0x27 Unused: zero.
    pub unused: [u8; 32],
    /// +0x47 Absolute pointer to first sector of Boot Catalog, in sectors of 2048 bytes.
    pub boot_catalog: U32,
    /// +0x4b Unused: zero.
    pub rest: [u8; 1973],
}

impl BootRecord {
    /// Size in bytes: one sector.
    pub const SIZE: usize = size_of::<Self>();
    /// Boot Record Indicator.
    pub const TYPE: u8 = 0;
    /// ISO-9660 Identifier.
    pub const IDENTIFIER: [u8; 5] = *b"CD001";
    /// Version of this descriptor.
    pub const VERSION: u8 = 1;
    /// Boot System Identifier, without the zeros after it.
    pub const SYSTEM: [u8; 23] = *b"EL TORITO SPECIFICATION";
    /// The sector that it belongs to: the one after the primary volume descriptor.
    pub const SECTOR: u64 = 17;
}

const _: () = assert!(BootRecord::SIZE == 2048);
const _: () = assert!(offset_of!(BootRecord, boot_catalog) == 0x47);

/// Validation Entry, figure 2: the first 32 bytes of the boot catalog.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ValidationEntry {
    /// +0x00 Header ID: [`HEADER`](Self::HEADER).
    pub header_id: u8,
    /// +0x01 Platform ID: of the initial entry.
    pub platform_id: u8,
    /// +0x02 Reserved: zero.
    pub reserved: [u8; 2],
    /// +0x04 ID string: who made the disc.
    pub id_string: [u8; 24],
    /// +0x1c Checksum Word: all words of this entry sum up to zero.
    pub checksum: U16,
    /// +0x1e Key bytes: [`KEY`](Self::KEY).
    pub key: [u8; 2],
}

impl ValidationEntry {
    /// Header ID.
    pub const HEADER: u8 = 1;
    /// Key bytes.
    pub const KEY: [u8; 2] = [0x55, 0xaa];
}

const _: () = assert!(size_of::<ValidationEntry>() == RECORD_SIZE);
const _: () = assert!(offset_of!(ValidationEntry, checksum) == 0x1c);

/// Initial/Default Entry, figure 3, and Section Entry, figure 5.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Entry {
    /// +0x00 Boot Indicator: [`BOOTABLE`](Self::BOOTABLE), or 0.
    pub boot_indicator: u8,
    /// +0x01 Boot media type: in bits 0 to 3 what is emulated, then
    /// [`CONTINUES`](Self::CONTINUES) and drivers.
    pub media_type: u8,
    /// +0x02 Load Segment, of a PC; 0 stands for 0x7c0.
    pub load_segment: U16,
    /// +0x04 System Type: of the partition of a hard disk.
    pub system_type: u8,
    /// +0x05 Unused: zero.
    pub unused: u8,
    /// +0x06 Sector Count: sectors of 512 bytes that are loaded.
    pub sector_count: U16,
    /// +0x08 Load RBA, in sectors of 2048 bytes.
    pub load_rba: U32,
    /// +0x0c Selection criteria type; in the initial entry unused.
    pub selection_type: u8,
    /// +0x0d Vendor unique selection criteria; in the initial entry unused.
    pub selection: [u8; 19],
}

impl Entry {
    /// Boot Indicator of what firmware may start.
    pub const BOOTABLE: u8 = 0x88;
    /// The part of the media type that says what is emulated.
    pub const EMULATION: u8 = 0x0f;
    /// Bit 5 of the media type of a section entry: an extension follows.
    pub const CONTINUES: u8 = 1 << 5;
    /// Bits 6 and 7 of the media type of a section entry: drivers for ATAPI and SCSI are in it.
    pub const DRIVERS: u8 = 0xc0;
    /// Bits of the media type of a section entry that mean something.
    pub const SECTION_BITS: u8 = 0xe0;
}

const _: () = assert!(size_of::<Entry>() == RECORD_SIZE);
const _: () = assert!(offset_of!(Entry, sector_count) == 0x06);
const _: () = assert!(offset_of!(Entry, load_rba) == 0x08);

/// Section Header Entry, figure 4.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct SectionHeader {
    /// +0x00 Header Indicator: [`MORE`](Self::MORE) or [`FINAL`](Self::FINAL).
    pub indicator: u8,
    /// +0x01 Platform ID: of the entries of the section.
    pub platform_id: u8,
    /// +0x02 Number of section entries following this header.
    pub entries: U16,
    /// +0x04 ID string.
    pub id_string: [u8; 28],
}

impl SectionHeader {
    /// Header Indicator: more headers follow.
    pub const MORE: u8 = 0x90;
    /// Header Indicator: the last one.
    pub const FINAL: u8 = 0x91;
}

const _: () = assert!(size_of::<SectionHeader>() == RECORD_SIZE);

/// Section Entry Extension, figure 6.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Extension {
    /// +0x00 Extension Indicator: [`INDICATOR`](Self::INDICATOR).
    pub indicator: u8,
    /// +0x01 Bit 5: another one follows.
    pub flags: u8,
    /// +0x02 Vendor unique selection criteria.
    pub selection: [u8; 30],
}

impl Extension {
    /// Extension Indicator.
    pub const INDICATOR: u8 = 0x44;
    /// Bit 5 of the flags.
    pub const CONTINUES: u8 = 1 << 5;
}

const _: () = assert!(size_of::<Extension>() == RECORD_SIZE);

/// All records of the catalog have this size, in bytes.
pub const RECORD_SIZE: usize = 32;

/// What `mkisofs -boot-info-table` writes into a boot image, 8 bytes after its start.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BootInfo {
    /// +0x08 `bi_pvd`: sector of the primary volume descriptor.
    pub pvd: U32,
    /// +0x0c `bi_file`: sector of the boot image.
    pub file: U32,
    /// +0x10 `bi_length`: bytes of the boot image.
    pub length: U32,
    /// +0x14 `bi_csum`: sum of all words of 32 bits from byte 64 of the boot image on.
    pub checksum: U32,
    /// +0x18 `bi_reserved`: zero.
    pub reserved: [u8; 40],
}

impl BootInfo {
    /// Where in the boot image it is.
    pub const AT: u64 = 8;
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
    /// The first byte of the boot image that the checksum covers.
    pub const SUMMED_FROM: u64 = 64;
}

const _: () = assert!(BootInfo::SIZE == 56);
