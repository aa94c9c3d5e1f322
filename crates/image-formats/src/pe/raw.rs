//! Bits as they lie in the file. Microsoft, PE Format.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// "MS-DOS Stub": at the start of the file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DosHeader {
    /// +0 `e_magic`: [`MAGIC`](Self::MAGIC).
    pub e_magic: [u8; 2],
    /// +2 What only DOS reads; a kernel for arm64 has its own header here.
    pub dos: [u8; 58],
    /// +60 `e_lfanew`: offset of the PE signature in the file.
    pub e_lfanew: U32,
}

impl DosHeader {
    /// `e_magic`.
    pub const MAGIC: [u8; 2] = *b"MZ";
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(DosHeader::SIZE == 64);

/// The signature before the COFF header.
pub const SIGNATURE: [u8; 4] = *b"PE\0\0";

/// "COFF File Header".
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct CoffHeader {
    /// +0 `Machine`.
    pub machine: U16,
    /// +2 `NumberOfSections`.
    pub number_of_sections: U16,
    /// +4 `TimeDateStamp`.
    pub time_date_stamp: U32,
    /// +8 `PointerToSymbolTable`.
    pub pointer_to_symbol_table: U32,
    /// +12 `NumberOfSymbols`.
    pub number_of_symbols: U32,
    /// +16 `SizeOfOptionalHeader`, in bytes.
    pub size_of_optional_header: U16,
    /// +18 `Characteristics`.
    pub characteristics: U16,
}

impl CoffHeader {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
    /// The same, as offsets count.
    pub(crate) const LEN: u64 = 20;
}

const _: () = assert!(CoffHeader::SIZE == 20);

/// The beginning of the "Optional Header" of PE32+, which programs of UEFI have.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct OptionalHeader {
    /// +0 `Magic`: [`MAGIC_PE32_PLUS`](Self::MAGIC_PE32_PLUS).
    pub magic: U16,
    /// +2 `MajorLinkerVersion` and `MinorLinkerVersion`.
    pub linker_version: [u8; 2],
    /// +4 `SizeOfCode`, in bytes.
    pub size_of_code: U32,
    /// +8 `SizeOfInitializedData`, in bytes.
    pub size_of_initialized_data: U32,
    /// +12 `SizeOfUninitializedData`, in bytes.
    pub size_of_uninitialized_data: U32,
    /// +16 `AddressOfEntryPoint`.
    pub address_of_entry_point: U32,
    /// +20 `BaseOfCode`.
    pub base_of_code: U32,
    /// +24 `ImageBase`.
    pub image_base: U64,
    /// +32 `SectionAlignment`, in bytes.
    pub section_alignment: U32,
    /// +36 `FileAlignment`, in bytes.
    pub file_alignment: U32,
    /// +40 Six version numbers of 16 bits, and `Win32VersionValue`.
    pub versions: [u8; 16],
    /// +56 `SizeOfImage`, in bytes.
    pub size_of_image: U32,
    /// +60 `SizeOfHeaders`, in bytes.
    pub size_of_headers: U32,
    /// +64 `CheckSum`.
    pub check_sum: U32,
    /// +68 `Subsystem`.
    pub subsystem: U16,
}

impl OptionalHeader {
    /// `Magic` of PE32+.
    pub const MAGIC_PE32_PLUS: u16 = 0x20b;
    /// `IMAGE_SUBSYSTEM_EFI_APPLICATION`.
    pub const SUBSYSTEM_EFI_APPLICATION: u16 = 10;
    /// Size in bytes, of the beginning.
    pub const SIZE: usize = size_of::<Self>();
    /// The same, as offsets count.
    pub(crate) const LEN: u64 = 70;
}

const _: () = assert!(OptionalHeader::SIZE == 70);
const _: () = assert!(offset_of!(OptionalHeader, subsystem) == 68);

/// "Section Header".
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct SectionHeader {
    /// +0 `Name`, padded with zeros.
    pub name: [u8; 8],
    /// +8 `VirtualSize`: in memory, in bytes.
    pub virtual_size: U32,
    /// +12 `VirtualAddress`.
    pub virtual_address: U32,
    /// +16 `SizeOfRawData`: in the file, in bytes.
    pub size_of_raw_data: U32,
    /// +20 `PointerToRawData`: offset in the file.
    pub pointer_to_raw_data: U32,
    /// +24 `PointerToRelocations`, `PointerToLinenumbers`.
    pub pointers: [U32; 2],
    /// +32 `NumberOfRelocations`, `NumberOfLinenumbers`.
    pub numbers: [U16; 2],
    /// +36 `Characteristics`.
    pub characteristics: U32,
}

impl SectionHeader {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
    /// The same, as offsets count.
    pub(crate) const LEN: u64 = 40;
}

const _: () = assert!(SectionHeader::SIZE == 40);
