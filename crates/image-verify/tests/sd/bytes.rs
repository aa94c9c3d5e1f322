//! The smallest files that are what they say they are.

use std::io::Write as _;

use image_formats::{arm64_image, cpio, fdt, pe};
use zerocopy::{FromBytes as _, FromZeros as _, IntoBytes as _};

/// A kernel: its header, and some code.
pub(crate) fn kernel() -> Vec<u8> {
    let mut header = arm64_image::raw::Header::new_zeroed();
    header.code1.set(0x1400_0000);
    header.flags.set(0xa);
    header.magic = arm64_image::raw::Header::MAGIC;
    [header.as_bytes(), b"Linux version 6.18.0"].concat()
}

/// U-Boot for a Pi: a branch over its header.
pub(crate) fn u_boot() -> Vec<u8> {
    [&0x1400_000a_u32.to_le_bytes()[..], b"\x1f\x20\x03\xd5 U-Boot 2026.01"].concat()
}

/// A 64-bit little-endian ELF program without anything in it.
pub(crate) fn elf(machine: u16) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    bytes[16] = 2;
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes
}

/// `e_machine`.
pub(crate) const AARCH64: u16 = 0xb7;
pub(crate) const X86_64: u16 = 0x3e;

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A device tree of one node.
pub(crate) fn device_tree(compatible: &[&str]) -> Vec<u8> {
    let value = compatible.iter().flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect();
    let value: Vec<u8> = value;
    let mut block = Vec::new();
    let words = [fdt::raw::FDT_BEGIN_NODE, 0, fdt::raw::FDT_PROP, value.len() as u32, 0];
    words.iter().for_each(|word| block.extend(word.to_be_bytes()));
    block.extend(padded(value));
    let words = [fdt::raw::FDT_END_NODE, fdt::raw::FDT_END];
    words.iter().for_each(|word| block.extend(word.to_be_bytes()));
    let strings = b"compatible\0";
    let mut header = fdt::raw::Header::new_zeroed();
    header.magic.set(fdt::raw::Header::MAGIC);
    header.version.set(17);
    header.last_comp_version.set(16);
    // After the header, one empty entry of reserved memory.
    header.off_mem_rsvmap.set(40);
    header.off_dt_struct.set(56);
    header.size_dt_struct.set(block.len() as u32);
    header.off_dt_strings.set(56 + block.len() as u32);
    header.size_dt_strings.set(strings.len() as u32);
    header.totalsize.set(56 + (block.len() + strings.len()) as u32);
    [header.as_bytes(), &[0; 16], &block, strings].concat()
}

/// A cpio archive: names, modes and contents.
pub(crate) fn archive(members: &[(&str, u32, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let all = members.iter().copied().chain([("TRAILER!!!", 0, "")]);
    for (inode, (name, mode, content)) in all.enumerate() {
        let field =
            |value: usize| -> [u8; 8] { format!("{value:08x}").into_bytes().try_into().unwrap() };
        let mut header =
            cpio::raw::Header::read_from_bytes(&[b'0'; cpio::raw::Header::SIZE]).unwrap();
        header.c_magic = cpio::raw::Header::MAGIC;
        header.c_ino = field(inode);
        header.c_mode = field(mode as usize);
        header.c_nlink = field(1);
        header.c_filesize = field(content.len());
        header.c_namesize = field(name.len() + 1);
        bytes.extend(header.as_bytes());
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes = padded(bytes);
        bytes.extend(content.as_bytes());
        bytes = padded(bytes);
    }
    bytes
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A program for UEFI with these sections.
pub(crate) fn efi(machine: u16, sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut dos = pe::raw::DosHeader::new_zeroed();
    dos.e_magic = pe::raw::DosHeader::MAGIC;
    dos.e_lfanew.set(64);
    let mut coff = pe::raw::CoffHeader::new_zeroed();
    coff.machine.set(machine);
    coff.number_of_sections.set(sections.len() as u16);
    coff.size_of_optional_header.set(pe::raw::OptionalHeader::SIZE as u16);
    let mut optional = pe::raw::OptionalHeader::new_zeroed();
    optional.magic.set(pe::raw::OptionalHeader::MAGIC_PE32_PLUS);
    optional.subsystem.set(pe::raw::OptionalHeader::SUBSYSTEM_EFI_APPLICATION);
    let mut bytes =
        [dos.as_bytes(), &pe::raw::SIGNATURE, coff.as_bytes(), optional.as_bytes()].concat();
    let mut at = bytes.len() + sections.len() * pe::raw::SectionHeader::SIZE;
    for (name, content) in sections {
        let mut section = pe::raw::SectionHeader::new_zeroed();
        section.name[..name.len()].copy_from_slice(name.as_bytes());
        section.virtual_size.set(content.len() as u32);
        section.size_of_raw_data.set(content.len() as u32);
        section.pointer_to_raw_data.set(at as u32);
        bytes.extend(section.as_bytes());
        at += content.len();
    }
    sections.iter().for_each(|(_, content)| bytes.extend(*content));
    bytes
}
