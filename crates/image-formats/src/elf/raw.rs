//! Bits as they lie in the file. System V ABI, "Object Files"; the 64-bit, little-endian layout.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// `Elf64_Ehdr`: the first bytes of the file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// +0 `EI_MAG0` to `EI_MAG3`: [`MAGIC`](Self::MAGIC).
    pub ei_mag: [u8; 4],
    /// +4 `EI_CLASS`: 2 for 64-bit.
    pub ei_class: u8,
    /// +5 `EI_DATA`: 1 for little-endian.
    pub ei_data: u8,
    /// +6 `EI_VERSION`: 1.
    pub ei_version: u8,
    /// +7 `EI_OSABI`.
    pub ei_osabi: u8,
    /// +8 `EI_ABIVERSION`, and padding.
    pub ei_pad: [u8; 8],
    /// +16 `e_type`: 2 for a program at fixed addresses, 3 for one at any.
    pub e_type: U16,
    /// +18 `e_machine`.
    pub e_machine: U16,
    /// +20 `e_version`: 1.
    pub e_version: U32,
    /// +24 `e_entry`: address of the first instruction.
    pub e_entry: U64,
    /// +32 `e_phoff`: offset of the program header table in the file.
    pub e_phoff: U64,
    /// +40 `e_shoff`: offset of the section header table in the file.
    pub e_shoff: U64,
    /// +48 `e_flags`.
    pub e_flags: U32,
    /// +52 `e_ehsize`: size of this header in bytes.
    pub e_ehsize: U16,
    /// +54 `e_phentsize`: size of a program header in bytes.
    pub e_phentsize: U16,
    /// +56 `e_phnum`: number of program headers.
    pub e_phnum: U16,
    /// +58 `e_shentsize`.
    pub e_shentsize: U16,
    /// +60 `e_shnum`.
    pub e_shnum: U16,
    /// +62 `e_shstrndx`.
    pub e_shstrndx: U16,
}

impl Header {
    /// `EI_MAG0` to `EI_MAG3`.
    pub const MAGIC: [u8; 4] = *b"\x7fELF";
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(Header::SIZE == 64);
const _: () = assert!(offset_of!(Header, e_machine) == 18);
const _: () = assert!(offset_of!(Header, e_phoff) == 32);
const _: () = assert!(offset_of!(Header, e_phnum) == 56);

/// `Elf64_Phdr`: a part of the file that is mapped, or told to the loader.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ProgramHeader {
    /// +0 `p_type`.
    pub p_type: U32,
    /// +4 `p_flags`.
    pub p_flags: U32,
    /// +8 `p_offset`: in the file.
    pub p_offset: U64,
    /// +16 `p_vaddr`.
    pub p_vaddr: U64,
    /// +24 `p_paddr`.
    pub p_paddr: U64,
    /// +32 `p_filesz`: in bytes.
    pub p_filesz: U64,
    /// +40 `p_memsz`: in bytes.
    pub p_memsz: U64,
    /// +48 `p_align`.
    pub p_align: U64,
}

impl ProgramHeader {
    /// `p_type` of what is mapped into memory.
    pub const PT_LOAD: u32 = 1;
    /// `p_type` of the dynamic section.
    pub const PT_DYNAMIC: u32 = 2;
    /// `p_type` of the path of the interpreter.
    pub const PT_INTERP: u32 = 3;
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(ProgramHeader::SIZE == 56);
const _: () = assert!(offset_of!(ProgramHeader, p_offset) == 8);
const _: () = assert!(offset_of!(ProgramHeader, p_filesz) == 32);

/// `Elf64_Dyn`: an entry of the dynamic section.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Dynamic {
    /// +0 `d_tag`.
    pub d_tag: U64,
    /// +8 `d_un`: a number or an address.
    pub d_un: U64,
}

impl Dynamic {
    /// `d_tag` of the last entry.
    pub const DT_NULL: u64 = 0;
    /// `d_tag` of an entry that names a library.
    pub const DT_NEEDED: u64 = 1;
    /// `d_tag` of the address of the table of strings.
    pub const DT_STRTAB: u64 = 5;
    /// `d_tag` of the size of that table.
    pub const DT_STRSZ: u64 = 10;
    /// `d_tag` of where to look for libraries, of which [`DT_RUNPATH`](Self::DT_RUNPATH) took the
    /// place.
    pub const DT_RPATH: u64 = 15;
    /// `d_tag` of where to look for libraries.
    pub const DT_RUNPATH: u64 = 29;
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(Dynamic::SIZE == 16);
