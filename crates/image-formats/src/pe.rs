//! Portable executables, as far as UEFI needs to know them. Microsoft, PE Format; UEFI 2.10 §2.1.1.

pub mod raw;

use std::fmt;

use zerocopy::FromBytes as _;

use crate::bytes::{ReadError, Region};

/// The specification allows 96 sections.
const MAX_SECTION_TABLE_BYTES: u64 = 96 * 40;

/// `Machine`: who runs the instructions. A newtype, as new ones are assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Machine(pub u16);

impl Machine {
    /// `IMAGE_FILE_MACHINE_ARM64`.
    pub const ARM64: Self = Self(0xaa64);
    /// `IMAGE_FILE_MACHINE_AMD64`.
    pub const X86_64: Self = Self(0x8664);
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ARM64 => f.write_str("aarch64"),
            Self(0x14c) => f.write_str("i386"),
            Self(0x1c2) => f.write_str("arm"),
            Self::X86_64 => f.write_str("x86_64"),
            Self(0x5064) => f.write_str("riscv64"),
            Self(other) => write!(f, "machine {other:#x}"),
        }
    }
}

/// The headers of a program, read and not judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The four bytes before the COFF header: [`raw::SIGNATURE`].
    pub signature: [u8; 4],
    /// The COFF file header.
    pub coff: raw::CoffHeader,
    /// The beginning of the optional header, where there is one.
    pub optional: Option<raw::OptionalHeader>,
    /// The sections.
    pub sections: Vec<raw::SectionHeader>,
}

/// True if a file starts as one for DOS and everything after it does.
pub fn has_dos_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&raw::DosHeader::MAGIC)
}

impl Image {
    /// Reads the headers. The beginning of a file, some kilobytes, is enough.
    pub fn read(file: &Region) -> Result<Self, ReadError> {
        let dos: raw::DosHeader =
            zerocopy::transmute!(file.array::<{ raw::DosHeader::SIZE }>("DOS header", 0)?);
        let at = u64::from(dos.e_lfanew.get());
        let signature = file.array::<4>("PE signature", at)?;
        let at = at.saturating_add(4);
        let coff: raw::CoffHeader =
            zerocopy::transmute!(file.array::<{ raw::CoffHeader::SIZE }>("COFF header", at)?);
        let at = at.saturating_add(raw::CoffHeader::LEN);
        let optional_len = u64::from(coff.size_of_optional_header.get());
        let optional = if optional_len >= raw::OptionalHeader::LEN {
            let what = "PE optional header";
            let bytes = file.array::<{ raw::OptionalHeader::SIZE }>(what, at)?;
            Some(zerocopy::transmute!(bytes))
        } else {
            None
        };
        let at = at.saturating_add(optional_len);
        let count = u64::from(coff.number_of_sections.get());
        let len = count.saturating_mul(raw::SectionHeader::LEN);
        let table = file.bytes("PE section table", at, len, MAX_SECTION_TABLE_BYTES)?;
        let sections = table
            .chunks_exact(raw::SectionHeader::SIZE)
            .filter_map(|section| raw::SectionHeader::read_from_bytes(section).ok())
            .collect();
        Ok(Self { signature, coff, optional, sections })
    }

    /// True if the signature says that this is a PE.
    pub fn has_signature(&self) -> bool {
        self.signature == raw::SIGNATURE
    }

    /// Who runs the instructions.
    pub fn machine(&self) -> Machine {
        Machine(self.coff.machine.get())
    }

    /// True for a program that UEFI starts: not a driver, and not a program for Windows.
    pub fn is_efi_application(&self) -> bool {
        self.optional
            .is_some_and(|o| o.subsystem.get() == raw::OptionalHeader::SUBSYSTEM_EFI_APPLICATION)
    }

    /// The section of that name.
    pub fn section(&self, name: &str) -> Option<&raw::SectionHeader> {
        self.sections.iter().find(|section| {
            let end = section.name.iter().take_while(|byte| **byte != 0).count();
            section.name.get(..end) == Some(name.as_bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes as _;

    use super::*;

    fn program() -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 64;
        bytes.extend(raw::SIGNATURE);
        let mut coff = raw::CoffHeader::read_from_bytes(&[0; raw::CoffHeader::SIZE]).unwrap();
        coff.machine.set(Machine::ARM64.0);
        coff.number_of_sections.set(1);
        coff.size_of_optional_header.set(raw::OptionalHeader::SIZE as u16);
        bytes.extend(coff.as_bytes());
        let zero = [0; raw::OptionalHeader::SIZE];
        let mut optional = raw::OptionalHeader::read_from_bytes(&zero).unwrap();
        optional.magic.set(raw::OptionalHeader::MAGIC_PE32_PLUS);
        optional.subsystem.set(raw::OptionalHeader::SUBSYSTEM_EFI_APPLICATION);
        bytes.extend(optional.as_bytes());
        let zero = [0; raw::SectionHeader::SIZE];
        let mut section = raw::SectionHeader::read_from_bytes(&zero).unwrap();
        section.name = *b".cmdline";
        section.virtual_size.set(3);
        bytes.extend(section.as_bytes());
        bytes
    }

    #[test]
    fn headers_and_sections_are_read() {
        let image = Image::read(&Region::from(program())).unwrap();
        assert!(image.has_signature() && image.is_efi_application());
        assert_eq!(image.machine(), Machine::ARM64);
        assert_eq!(image.machine().to_string(), "aarch64");
        assert_eq!(image.section(".cmdline").unwrap().virtual_size.get(), 3);
        assert_eq!(image.section(".cmd"), None);
    }

    /// Every cut and every flipped bit gives facts or an error, and no panic.
    #[test]
    fn damage_is_an_error_or_a_fact() {
        let whole = program();
        for len in 0..whole.len() {
            assert!(Image::read(&Region::from(whole[..len].to_vec())).unwrap_err().is_defect());
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = Image::read(&Region::from(bytes)).map(|image| image.section(".linux").copied());
        }
    }
}
