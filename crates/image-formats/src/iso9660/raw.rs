//! Bits as they lie in an ISO 9660 file system: the names of ECMA-119, no opinion.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, big_endian, little_endian,
};

/// A number of 16 bits that is written twice. ECMA-119 §7.2.3.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Both16 {
    /// +0 Least significant byte first.
    pub little: little_endian::U16,
    /// +2 The same number, most significant byte first.
    pub big: big_endian::U16,
}

impl Both16 {
    /// The number in both halves.
    pub fn new(value: u16) -> Self {
        Self { little: value.into(), big: value.into() }
    }

    /// The half that everybody reads: Linux says that the other one is often wrong.
    pub fn get(self) -> u16 {
        self.little.get()
    }

    /// True if both halves are the same number.
    pub fn agrees(self) -> bool {
        self.little.get() == self.big.get()
    }
}

/// A number of 32 bits that is written twice. ECMA-119 §7.3.3.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Both32 {
    /// +0 Least significant byte first.
    pub little: little_endian::U32,
    /// +4 The same number, most significant byte first.
    pub big: big_endian::U32,
}

impl Both32 {
    /// The number in both halves.
    pub fn new(value: u32) -> Self {
        Self { little: value.into(), big: value.into() }
    }

    /// The half that everybody reads: Linux says that the other one is often wrong.
    pub fn get(self) -> u32 {
        self.little.get()
    }

    /// True if both halves are the same number.
    pub fn agrees(self) -> bool {
        self.little.get() == self.big.get()
    }
}

/// What all volume descriptors start with. ECMA-119 §8.1.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DescriptorHeader {
    /// +0 Volume Descriptor Type: see the constants.
    pub kind: u8,
    /// +1 Standard Identifier: [`STANDARD_IDENTIFIER`](Self::STANDARD_IDENTIFIER).
    pub standard_identifier: [u8; 5],
    /// +6 Volume Descriptor Version: 1; 2 in an enhanced volume descriptor.
    pub version: u8,
}

impl DescriptorHeader {
    /// What a volume descriptor is recognized by.
    pub const STANDARD_IDENTIFIER: [u8; 5] = *b"CD001";
    /// `kind` of a boot record.
    pub const BOOT_RECORD: u8 = 0;
    /// `kind` of the primary volume descriptor.
    pub const PRIMARY: u8 = 1;
    /// `kind` of a supplementary or enhanced volume descriptor.
    pub const SUPPLEMENTARY: u8 = 2;
    /// `kind` of a volume partition descriptor.
    pub const PARTITION: u8 = 3;
    /// `kind` of the terminator.
    pub const TERMINATOR: u8 = 255;
}

const _: () = assert!(size_of::<DescriptorHeader>() == 7);

/// A volume descriptor of which only the header is known. ECMA-119 §8.1.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct AnyDescriptor {
    /// +0 Type, identifier and version.
    pub header: DescriptorHeader,
    /// +7 Depends on the type.
    pub data: [u8; 2041],
}

const _: () = assert!(size_of::<AnyDescriptor>() == 2048);

/// Boot record. ECMA-119 §8.2.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BootRecord {
    /// +0 Type 0, identifier and version 1.
    pub header: DescriptorHeader,
    /// +7 Boot System Identifier: `EL TORITO SPECIFICATION`, filled with zeros.
    pub boot_system_identifier: [u8; 32],
    /// +39 Boot Identifier.
    pub boot_identifier: [u8; 32],
    /// +71 Boot System Use; in El Torito it starts with the block of the boot catalog.
    pub boot_system_use: [u8; 1977],
}

const _: () = {
    assert!(size_of::<BootRecord>() == 2048);
    assert!(offset_of!(BootRecord, boot_system_use) == 71);
};

/// Primary, supplementary or enhanced volume descriptor. ECMA-119 §8.4, §8.5.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct VolumeDescriptor {
    /// +0 Type 1 or 2, identifier and version.
    pub header: DescriptorHeader,
    /// +7 Volume Flags of a supplementary one: bit 0 says that an escape sequence is not
    /// registered. Unused in the primary one.
    pub volume_flags: u8,
    /// +8 System Identifier: who may use the system area.
    pub system_identifier: [u8; 32],
    /// +40 Volume Identifier: the label.
    pub volume_identifier: [u8; 32],
    /// +72 Unused.
    pub unused_72: [u8; 8],
    /// +80 Volume Space Size, in logical blocks.
    pub volume_space_size: Both32,
    /// +88 Escape Sequences: the character sets of a supplementary one. Unused in the primary one.
    pub escape_sequences: [u8; 32],
    /// +120 Volume Set Size: number of discs.
    pub volume_set_size: Both16,
    /// +124 Volume Sequence Number: which of the discs this is, from 1.
    pub volume_sequence_number: Both16,
    /// +128 Logical Block Size in bytes: 2048, rarely 512 or 1024.
    pub logical_block_size: Both16,
    /// +132 Path Table Size in bytes.
    pub path_table_size: Both32,
    /// +140 Location of the path table whose numbers are little-endian.
    pub type_l_path_table: little_endian::U32,
    /// +144 Location of a copy of it, or 0.
    pub optional_type_l_path_table: little_endian::U32,
    /// +148 Location of the path table whose numbers are big-endian.
    pub type_m_path_table: big_endian::U32,
    /// +152 Location of a copy of it, or 0.
    pub optional_type_m_path_table: big_endian::U32,
    /// +156 Directory Record for Root Directory.
    pub root: RootRecord,
    /// +190 Volume Set Identifier.
    pub volume_set_identifier: [u8; 128],
    /// +318 Publisher Identifier.
    pub publisher_identifier: [u8; 128],
    /// +446 Data Preparer Identifier.
    pub data_preparer_identifier: [u8; 128],
    /// +574 Application Identifier.
    pub application_identifier: [u8; 128],
    /// +702 Copyright File Identifier: a file in the root directory.
    pub copyright_file_identifier: [u8; 37],
    /// +739 Abstract File Identifier.
    pub abstract_file_identifier: [u8; 37],
    /// +776 Bibliographic File Identifier.
    pub bibliographic_file_identifier: [u8; 37],
    /// +813 Volume Creation Date and Time.
    pub creation: LongDate,
    /// +830 Volume Modification Date and Time.
    pub modification: LongDate,
    /// +847 Volume Expiration Date and Time.
    pub expiration: LongDate,
    /// +864 Volume Effective Date and Time.
    pub effective: LongDate,
    /// +881 File Structure Version: 1; 2 in an enhanced volume descriptor.
    pub file_structure_version: u8,
    /// +882 Reserved.
    pub reserved_882: u8,
    /// +883 Application Use.
    pub application_use: [u8; 512],
    /// +1395 Reserved.
    pub reserved_1395: [u8; 653],
}

impl VolumeDescriptor {
    /// `header.version` and `file_structure_version` of an enhanced volume descriptor.
    pub const ENHANCED: u8 = 2;
}

const _: () = {
    assert!(size_of::<VolumeDescriptor>() == 2048);
    assert!(offset_of!(VolumeDescriptor, volume_space_size) == 80);
    assert!(offset_of!(VolumeDescriptor, volume_set_size) == 120);
    assert!(offset_of!(VolumeDescriptor, type_l_path_table) == 140);
    assert!(offset_of!(VolumeDescriptor, root) == 156);
    assert!(offset_of!(VolumeDescriptor, volume_set_identifier) == 190);
    assert!(offset_of!(VolumeDescriptor, copyright_file_identifier) == 702);
    assert!(offset_of!(VolumeDescriptor, creation) == 813);
    assert!(offset_of!(VolumeDescriptor, file_structure_version) == 881);
    assert!(offset_of!(VolumeDescriptor, reserved_1395) == 1395);
};

/// Volume partition descriptor. ECMA-119 §8.6.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct PartitionDescriptor {
    /// +0 Type 3, identifier and version 1.
    pub header: DescriptorHeader,
    /// +7 Unused.
    pub unused_7: u8,
    /// +8 System Identifier.
    pub system_identifier: [u8; 32],
    /// +40 Volume Partition Identifier.
    pub volume_partition_identifier: [u8; 32],
    /// +72 Volume Partition Location: its first logical block.
    pub volume_partition_location: Both32,
    /// +80 Volume Partition Size, in logical blocks.
    pub volume_partition_size: Both32,
    /// +88 System Use.
    pub system_use: [u8; 1960],
}

const _: () = {
    assert!(size_of::<PartitionDescriptor>() == 2048);
    assert!(offset_of!(PartitionDescriptor, volume_partition_size) == 80);
};

/// The fixed part of a directory record. ECMA-119 §9.1.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DirectoryRecord {
    /// +0 Length of Directory Record, all of it; 0 where the rest of the sector is empty.
    pub len: u8,
    /// +1 Extended Attribute Record Length, in logical blocks, which come before the content.
    pub extended_attribute_len: u8,
    /// +2 Location of Extent: its first logical block.
    pub extent: Both32,
    /// +10 Data Length in bytes, without the extended attribute record.
    pub data_len: Both32,
    /// +18 Recording Date and Time.
    pub recording: ShortDate,
    /// +25 File Flags: see the constants.
    pub flags: u8,
    /// +26 File Unit Size of a file that is interleaved, in logical blocks, or 0.
    pub file_unit_size: u8,
    /// +27 Interleave Gap Size, in logical blocks, or 0.
    pub interleave_gap_size: u8,
    /// +28 Volume Sequence Number: the disc that the extent is on.
    pub volume_sequence_number: Both16,
    /// +32 Length of File Identifier.
    pub identifier_len: u8,
}

impl DirectoryRecord {
    /// Flag: it need not be shown to the user.
    pub const HIDDEN: u8 = 1;
    /// Flag: a directory.
    pub const DIRECTORY: u8 = 2;
    /// Flag: an associated file, as the resource fork of a Macintosh.
    pub const ASSOCIATED: u8 = 4;
    /// Flag: its structure is told by the extended attribute record.
    pub const RECORD: u8 = 8;
    /// Flag: owner and permissions are told by the extended attribute record.
    pub const PROTECTION: u8 = 16;
    /// Flag: more extents of the same file follow in further records.
    pub const MULTI_EXTENT: u8 = 128;
    /// Bits of `flags` that mean nothing.
    pub const RESERVED: u8 = 0x60;
    /// Identifier of the first record, which is of the directory itself.
    pub const SELF: &'static [u8] = &[0];
    /// Identifier of the second record, which is of the parent.
    pub const PARENT: &'static [u8] = &[1];

    /// True if it is that of a directory.
    pub fn is_directory(&self) -> bool {
        self.flags & Self::DIRECTORY != 0
    }

    /// True if the next record is of the same file.
    pub fn has_more(&self) -> bool {
        self.flags & Self::MULTI_EXTENT != 0
    }
}

const _: () = {
    assert!(size_of::<DirectoryRecord>() == 33);
    assert!(offset_of!(DirectoryRecord, recording) == 18);
    assert!(offset_of!(DirectoryRecord, flags) == 25);
    assert!(offset_of!(DirectoryRecord, identifier_len) == 32);
};

/// The directory record of the root directory, as it lies in a volume descriptor. ECMA-119 §8.4.18.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct RootRecord {
    /// +0 The record.
    pub record: DirectoryRecord,
    /// +33 File Identifier: 0.
    pub identifier: u8,
}

const _: () = assert!(size_of::<RootRecord>() == 34);

/// The fixed part of a path table record, but for its numbers. ECMA-119 §9.4.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct PathTableRecord {
    /// +0 Length of Directory Identifier.
    pub identifier_len: u8,
    /// +1 Extended Attribute Record Length.
    pub extended_attribute_len: u8,
    /// +2 Location of Extent, in the byte order of the table.
    pub extent: [u8; 4],
    /// +6 Parent Directory Number, in the byte order of the table; the root is 1.
    pub parent: [u8; 2],
}

const _: () = assert!(size_of::<PathTableRecord>() == 8);

/// The fixed part of an extended attribute record. ECMA-119 §9.5.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ExtendedAttributeRecord {
    /// +0 Owner Identification.
    pub owner: Both16,
    /// +4 Group Identification.
    pub group: Both16,
    /// +8 Permissions: a bit that is set forbids.
    pub permissions: big_endian::U16,
    /// +10 File Creation Date and Time.
    pub creation: LongDate,
    /// +27 File Modification Date and Time.
    pub modification: LongDate,
    /// +44 File Expiration Date and Time.
    pub expiration: LongDate,
    /// +61 File Effective Date and Time.
    pub effective: LongDate,
    /// +78 Record Format.
    pub record_format: u8,
    /// +79 Record Attributes.
    pub record_attributes: u8,
    /// +80 Record Length.
    pub record_len: Both16,
    /// +84 System Identifier.
    pub system_identifier: [u8; 32],
    /// +116 System Use.
    pub system_use: [u8; 64],
    /// +180 Extended Attribute Record Version: 1.
    pub version: u8,
    /// +181 Length of Escape Sequences.
    pub escape_sequences_len: u8,
    /// +182 Reserved.
    pub reserved: [u8; 64],
    /// +246 Length of Application Use.
    pub application_use_len: Both16,
}

const _: () = {
    assert!(size_of::<ExtendedAttributeRecord>() == 250);
    assert!(offset_of!(ExtendedAttributeRecord, system_identifier) == 84);
    assert!(offset_of!(ExtendedAttributeRecord, version) == 180);
};

/// A date in digits. ECMA-119 §8.4.26.1.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LongDate {
    /// +0 Year, from `0001`; all digits are `0` where there is no date.
    pub year: [u8; 4],
    /// +4 Month.
    pub month: [u8; 2],
    /// +6 Day.
    pub day: [u8; 2],
    /// +8 Hour.
    pub hour: [u8; 2],
    /// +10 Minute.
    pub minute: [u8; 2],
    /// +12 Second.
    pub second: [u8; 2],
    /// +14 Hundredths of a second.
    pub hundredths: [u8; 2],
    /// +16 Offset from Greenwich Mean Time in steps of 15 minutes, from -48 to 52.
    pub zone: i8,
}

const _: () = assert!(size_of::<LongDate>() == 17);

/// A date in numbers. ECMA-119 §9.1.5.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ShortDate {
    /// +0 Years since 1900; all numbers are 0 where there is no date.
    pub year: u8,
    /// +1 Month from 1.
    pub month: u8,
    /// +2 Day from 1.
    pub day: u8,
    /// +3 Hour.
    pub hour: u8,
    /// +4 Minute.
    pub minute: u8,
    /// +5 Second.
    pub second: u8,
    /// +6 Offset from Greenwich Mean Time in steps of 15 minutes, from -48 to 52.
    pub zone: i8,
}

const _: () = assert!(size_of::<ShortDate>() == 7);
