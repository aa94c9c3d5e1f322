//! ELF programs, as far as an image needs to know them: for which machine, and what they need at
//! run time. System V ABI, "Object Files" and "Program Loading and Dynamic Linking".

pub mod raw;

use std::{fmt, ops::Range};

use zerocopy::FromBytes as _;

use crate::bytes::{ReadError, Region};

/// `e_phnum` has 16 bits, and every program known has fewer than 20.
const MAX_PROGRAM_HEADERS_BYTES: u64 = 1 << 20;

/// Linux refuses a longer one: `PATH_MAX`.
const MAX_INTERPRETER_BYTES: u64 = 4096;

/// A dynamic section holds a few entries a library.
const MAX_DYNAMIC_BYTES: u64 = 1 << 20;

/// A run path names some folders; Nix's own limit of a path is shorter.
const MAX_RUN_PATH_BYTES: u64 = 64 << 10;

/// `e_machine`: who runs the instructions. A newtype, as new ones are assigned every year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Machine(pub u16);

impl Machine {
    /// `EM_X86_64`.
    pub const X86_64: Self = Self(0x3e);
    /// `EM_AARCH64`.
    pub const AARCH64: Self = Self(0xb7);
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(0x03) => f.write_str("i386"),
            Self(0x28) => f.write_str("arm"),
            Self(0xf3) => f.write_str("riscv"),
            Self::X86_64 => f.write_str("x86_64"),
            Self::AARCH64 => f.write_str("aarch64"),
            Self(other) => write!(f, "e_machine {other:#x}"),
        }
    }
}

/// The header of an ELF file, read and not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The bytes.
    pub raw: raw::Header,
}

impl Header {
    /// Reads the header at the start of `file`.
    pub fn read(file: &Region) -> Result<Self, ReadError> {
        let bytes = file.array::<{ raw::Header::SIZE }>("ELF header", 0)?;
        Ok(Self { raw: zerocopy::transmute!(bytes) })
    }

    /// The header in the first bytes of a file; `None` where there are too few of them.
    pub fn from_prefix(bytes: &[u8]) -> Option<Self> {
        raw::Header::read_from_prefix(bytes).ok().map(|(raw, _)| Self { raw })
    }

    /// True for the layout that the other methods read: the magic, 64-bit, little-endian, version
    /// 1.
    pub fn is_elf64_le(&self) -> bool {
        let raw = &self.raw;
        raw.ei_mag == raw::Header::MAGIC && (raw.ei_class, raw.ei_data, raw.ei_version) == (2, 1, 1)
    }

    /// Who runs the instructions.
    pub fn machine(&self) -> Machine {
        Machine(self.raw.e_machine.get())
    }

    /// The path of the program that loads it: `PT_INTERP`, without the NUL. It has a meaning only
    /// where [`is_elf64_le`](Self::is_elf64_le) holds. The beginning of a file is usually enough.
    pub fn interpreter(&self, file: &Region) -> Result<Option<Vec<u8>>, ReadError> {
        let table = self.program_headers(file)?;
        let mut headers = self.each(&table);
        let Some(header) = headers.find(|h| h.p_type.get() == raw::ProgramHeader::PT_INTERP) else {
            return Ok(None);
        };
        let (at, len) = (header.p_offset.get(), header.p_filesz.get());
        let mut path = file.bytes("ELF interpreter", at, len, MAX_INTERPRETER_BYTES)?;
        path.truncate(path.iter().take_while(|byte| **byte != 0).count());
        Ok(Some(path))
    }

    fn program_headers(&self, file: &Region) -> Result<Vec<u8>, ReadError> {
        let entry = u64::from(self.raw.e_phentsize.get());
        let count = u64::from(self.raw.e_phnum.get());
        let (at, len) = (self.raw.e_phoff.get(), entry.saturating_mul(count));
        file.bytes("ELF program header table", at, len, MAX_PROGRAM_HEADERS_BYTES)
    }

    fn each<'a>(&self, table: &'a [u8]) -> impl Iterator<Item = raw::ProgramHeader> + use<'a> {
        // `chunks` wants more than nothing; a table of nothing has no chunks.
        let entries = table.chunks(usize::from(self.raw.e_phentsize.get()).max(1));
        entries.filter_map(|e| raw::ProgramHeader::read_from_prefix(e).ok().map(|(h, _)| h))
    }

    /// Where the dynamic section lies in the file, where there is one.
    pub fn dynamic(&self, file: &Region) -> Result<Option<Range<u64>>, ReadError> {
        let table = self.program_headers(file)?;
        let mut headers = self.each(&table);
        let found = headers.find(|h| h.p_type.get() == raw::ProgramHeader::PT_DYNAMIC);
        Ok(found.map(|header| {
            let start = header.p_offset.get();
            start..start.saturating_add(header.p_filesz.get().min(MAX_DYNAMIC_BYTES))
        }))
    }

    /// Where the loader looks for libraries, folders with `:` between them: `DT_RUNPATH`, or else
    /// `DT_RPATH`. It has a meaning only where [`is_elf64_le`](Self::is_elf64_le) holds.
    pub fn run_path(&self, file: &Region) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(dynamic) = self.dynamic(file)? else { return Ok(None) };
        let len = dynamic.end.saturating_sub(dynamic.start);
        let section = file.bytes("ELF dynamic section", dynamic.start, len, MAX_DYNAMIC_BYTES)?;
        let value = |tag| entries(&section).find(|e| e.d_tag.get() == tag).map(|e| e.d_un.get());
        let path = value(raw::Dynamic::DT_RUNPATH).or_else(|| value(raw::Dynamic::DT_RPATH));
        let strings = (value(raw::Dynamic::DT_STRTAB), value(raw::Dynamic::DT_STRSZ));
        let (Some(path), (Some(address), Some(size))) = (path, strings) else { return Ok(None) };
        // The table of strings is told by its address in memory.
        let table = self.program_headers(file)?;
        let at = self.each(&table).filter(|h| h.p_type.get() == raw::ProgramHeader::PT_LOAD);
        let at = at.filter_map(|header| {
            let inside = address.checked_sub(header.p_vaddr.get())?;
            let inside = Some(inside).filter(|inside| *inside < header.p_filesz.get())?;
            header.p_offset.get().checked_add(inside)?.checked_add(path)
        });
        let Some(at) = at.take(1).next() else { return Ok(None) };
        let len = size.saturating_sub(path).min(file.len().saturating_sub(at));
        let len = len.min(MAX_RUN_PATH_BYTES);
        let mut text = file.bytes("ELF run path", at, len, MAX_RUN_PATH_BYTES)?;
        text.truncate(text.iter().take_while(|byte| **byte != 0).count());
        if u64::try_from(text.len()) == Ok(MAX_RUN_PATH_BYTES) {
            // What is cut is the name of no folder.
            text.truncate(text.iter().rposition(|byte| *byte == b':').unwrap_or(0));
        }
        Ok(Some(text))
    }

    /// What the program needs at run time. It has a meaning only where
    /// [`is_elf64_le`](Self::is_elf64_le) holds.
    pub fn linkage(&self, file: &Region) -> Result<Linkage, ReadError> {
        let interpreter = self.interpreter(file)?;
        let mut linkage = Linkage { interpreter, libraries: 0 };
        for header in self.each(&self.program_headers(file)?) {
            if header.p_type.get() == raw::ProgramHeader::PT_DYNAMIC {
                let (at, len) = (header.p_offset.get(), header.p_filesz.get());
                let section = file.bytes("ELF dynamic section", at, len, MAX_DYNAMIC_BYTES)?;
                linkage.libraries = needed(&section);
            }
        }
        Ok(linkage)
    }
}

/// What a program needs at run time. A static program needs nothing, also where it may be loaded
/// at any address and therefore has a dynamic section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linkage {
    /// The path of the program that loads it: `PT_INTERP`, without the NUL.
    pub interpreter: Option<Vec<u8>>,
    /// How many libraries it names: entries `DT_NEEDED`.
    pub libraries: usize,
}

fn needed(section: &[u8]) -> usize {
    entries(section).filter(|entry| entry.d_tag.get() == raw::Dynamic::DT_NEEDED).count()
}

/// The entries of a dynamic section, as far as the loader reads them.
fn entries(section: &[u8]) -> impl Iterator<Item = raw::Dynamic> {
    section
        .chunks_exact(raw::Dynamic::SIZE)
        .filter_map(|entry| raw::Dynamic::read_from_bytes(entry).ok())
        .take_while(|entry| entry.d_tag.get() != raw::Dynamic::DT_NULL)
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes as _;

    use super::*;

    fn program(parts: &[(u32, &[u8])]) -> Vec<u8> {
        let table = raw::Header::SIZE;
        let mut data = table + parts.len() * raw::ProgramHeader::SIZE;
        let mut header = raw::Header::read_from_bytes(&[0; raw::Header::SIZE]).unwrap();
        header.ei_mag = raw::Header::MAGIC;
        (header.ei_class, header.ei_data, header.ei_version) = (2, 1, 1);
        header.e_machine.set(Machine::AARCH64.0);
        header.e_phoff.set(table as u64);
        header.e_phentsize.set(raw::ProgramHeader::SIZE as u16);
        header.e_phnum.set(parts.len() as u16);
        let mut bytes = header.as_bytes().to_vec();
        for (kind, content) in parts {
            let zero = [0; raw::ProgramHeader::SIZE];
            let mut entry = raw::ProgramHeader::read_from_bytes(&zero).unwrap();
            entry.p_type.set(*kind);
            entry.p_offset.set(data as u64);
            entry.p_filesz.set(content.len() as u64);
            bytes.extend(entry.as_bytes());
            data += content.len();
        }
        parts.iter().for_each(|(_, content)| bytes.extend(*content));
        bytes
    }

    fn linkage(bytes: &[u8]) -> Result<Linkage, ReadError> {
        let file = Region::from(bytes.to_vec());
        let header = Header::read(&file).unwrap();
        assert!(header.is_elf64_le());
        assert_eq!(header.machine(), Machine::AARCH64);
        assert_eq!(Header::from_prefix(bytes), Some(header));
        header.linkage(&file)
    }

    #[test]
    fn static_programs_need_nothing() {
        assert_eq!(linkage(&program(&[])).unwrap(), Linkage::default());
        // A static program that may lie anywhere: a dynamic section without a library.
        let dynamic = [[30_u64, 8], [0, 0]].map(|entry| entry.map(u64::to_le_bytes));
        let bytes = program(&[(raw::ProgramHeader::PT_DYNAMIC, dynamic.as_bytes())]);
        assert_eq!(linkage(&bytes).unwrap(), Linkage::default());
    }

    #[test]
    fn interpreter_and_libraries_are_told() {
        let dynamic =
            [[1_u64, 8], [1, 20], [0, 0], [1, 9]].map(|entry| entry.map(u64::to_le_bytes));
        let bytes = program(&[
            (raw::ProgramHeader::PT_INTERP, b"/lib/ld-linux-aarch64.so.1\0"),
            (raw::ProgramHeader::PT_DYNAMIC, dynamic.as_bytes()),
        ]);
        let linkage = linkage(&bytes).unwrap();
        assert_eq!(linkage.interpreter.unwrap(), b"/lib/ld-linux-aarch64.so.1");
        assert_eq!(linkage.libraries, 2);
    }

    /// The strings lie in a part of the file that is mapped elsewhere.
    #[test]
    fn run_paths_are_told() {
        let strings = b"\0libc.so\0$ORIGIN/../lib:/nix/store/a/lib\0";
        let place = (raw::Header::SIZE + 2 * raw::ProgramHeader::SIZE) as u64;
        let of = |tag: u64| {
            let dynamic = [[1, 1], [5, 0x1000], [tag, 9], [10, strings.len() as u64], [0, 0]]
                .map(|entry| entry.map(u64::to_le_bytes));
            let parts: [(u32, &[u8]); 2] = [
                (raw::ProgramHeader::PT_LOAD, strings),
                (raw::ProgramHeader::PT_DYNAMIC, dynamic.as_bytes()),
            ];
            let mut bytes = program(&parts);
            // `p_vaddr` of the first one.
            bytes[raw::Header::SIZE + 16..][..8].copy_from_slice(&0x1000_u64.to_le_bytes());
            let file = Region::from(bytes.clone());
            let header = Header::read(&file).unwrap();
            let start = place + strings.len() as u64;
            assert_eq!(header.dynamic(&file).unwrap(), Some(start..start + 80));
            for len in raw::Header::SIZE..bytes.len() {
                let _ = header.run_path(&Region::from(bytes[..len].to_vec()));
            }
            header.run_path(&file).unwrap()
        };
        let path = b"$ORIGIN/../lib:/nix/store/a/lib".to_vec();
        assert_eq!(of(raw::Dynamic::DT_RUNPATH), Some(path.clone()));
        assert_eq!(of(raw::Dynamic::DT_RPATH), Some(path));
        assert_eq!(of(14), None);
    }

    /// Every cut and every flipped bit of the tables gives facts or an error, and no panic.
    #[test]
    fn damage_is_an_error_or_a_fact() {
        let whole = program(&[(raw::ProgramHeader::PT_INTERP, b"/lib/ld.so\0")]);
        for len in raw::Header::SIZE..whole.len() {
            assert!(linkage(&whole[..len]).unwrap_err().is_defect());
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let file = Region::from(bytes.to_vec());
            let header = Header::read(&file).unwrap();
            let _ = (header.linkage(&file), header.run_path(&file));
        }
    }
}
