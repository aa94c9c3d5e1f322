//! Boot catalogs of discs. El Torito Bootable CD-ROM Format Specification 1.0, Phoenix and IBM
//! 1995; and the table of `mkisofs -boot-info-table`, which boot images read about themselves.
//!
//! [`raw`] holds the bytes under their names; the functions here find them. Any bytes parse.

pub mod raw;

use zerocopy::{IntoBytes as _, transmute};

use crate::bytes::{ReadError, Region};
use raw::{BootInfo, BootRecord, Entry, Extension, RECORD_SIZE, SectionHeader, ValidationEntry};

/// Size of a sector of a disc, in bytes.
pub const SECTOR: u64 = 2048;

/// The most bytes of a catalog that are read: firmware reads a sector.
pub const MAX_CATALOG_BYTES: u64 = 16 << 10;

/// The most bytes of a boot image that a checksum is computed of: a PC has 640 KiB for it.
pub const MAX_SUMMED_BYTES: u64 = 4 << 20;

/// What is emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulation {
    /// Nothing: firmware loads sectors, or for UEFI makes a disk of them.
    None,
    /// A floppy of this many bytes.
    Floppy(u64),
    /// A hard disk.
    HardDisk,
}

impl BootRecord {
    /// The one in `sector`, or whatever is there.
    pub fn read(disc: &Region, sector: u64) -> Result<Self, ReadError> {
        let at = sector.saturating_mul(SECTOR);
        disc.array::<{ Self::SIZE }>("boot record", at).map(|bytes| transmute!(bytes))
    }

    /// True if it is a volume descriptor for a boot system.
    pub fn is_boot_record(&self) -> bool {
        self.indicator == Self::TYPE
            && self.identifier == Self::IDENTIFIER
            && self.version == Self::VERSION
    }

    /// True if its boot system is this one, followed by a zero as firmware compares it.
    pub fn names_el_torito(&self) -> bool {
        let rest = self.boot_system_identifier.strip_prefix(&Self::SYSTEM);
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }
}

impl ValidationEntry {
    /// The sum of all its words, which should be zero.
    pub fn sum(&self) -> u16 {
        let words = self.as_bytes().chunks_exact(2).filter_map(|word| word.first_chunk::<2>());
        words.fold(0, |sum, word| sum.wrapping_add(u16::from_le_bytes(*word)))
    }
}

impl Entry {
    /// What is emulated; `None` for a number that stands for nothing.
    pub fn emulation(&self) -> Option<Emulation> {
        match self.media_type & Self::EMULATION {
            0 => Some(Emulation::None),
            1 => Some(Emulation::Floppy(80 * 2 * 15 * 512)),
            2 => Some(Emulation::Floppy(80 * 2 * 18 * 512)),
            3 => Some(Emulation::Floppy(80 * 2 * 36 * 512)),
            4 => Some(Emulation::HardDisk),
            _ => None,
        }
    }

    /// Where its image starts, in bytes.
    pub fn offset(&self) -> u64 {
        u64::from(self.load_rba.get()).saturating_mul(SECTOR)
    }

    /// How many bytes are loaded.
    pub fn loaded(&self) -> u64 {
        u64::from(self.sector_count.get()).saturating_mul(512)
    }
}

/// A record of a catalog, after the validation entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// The entry right after the validation entry.
    Initial(Entry),
    /// The head of a section.
    Header(SectionHeader),
    /// An entry of the section before it.
    Section(Entry),
    /// More about the entry before it.
    Extension(Extension),
}

/// A catalog, in the order of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// The first record.
    pub validation: ValidationEntry,
    /// The others, each with its place in bytes from the start of the disc.
    pub records: Vec<(u64, Record)>,
    /// Where the first record is that belongs to nothing.
    pub end: u64,
    /// The bytes from there to the end of the sector.
    pub rest: Vec<u8>,
    /// A section has more entries than are read.
    pub cut: bool,
}

impl Catalog {
    /// Reads the catalog that starts at the byte `at`, as far as its headers count entries.
    pub fn read(disc: &Region, at: u64) -> Result<Self, ReadError> {
        let len = disc.len().saturating_sub(at).min(MAX_CATALOG_BYTES);
        let len = len.max(SECTOR);
        let bytes = disc.bytes("boot catalog", at, len, MAX_CATALOG_BYTES)?;
        let mut records = Records { at, bytes: &bytes, index: 0 };
        let validation = transmute!(records.take().unwrap_or_default());
        let mut found = Vec::new();
        let place = records.place();
        found.push((place, Record::Initial(transmute!(records.take().unwrap_or_default()))));
        records.extensions(&mut found);
        let mut cut = false;
        while let Some(bytes) = records.peek() {
            let header: SectionHeader = transmute!(bytes);
            if !matches!(header.indicator, SectionHeader::MORE | SectionHeader::FINAL) {
                break;
            }
            found.push((records.place(), Record::Header(header)));
            records.take();
            for _ in 0..header.entries.get() {
                let place = records.place();
                let Some(bytes) = records.take() else {
                    cut = true;
                    break;
                };
                found.push((place, Record::Section(transmute!(bytes))));
                records.extensions(&mut found);
            }
            if header.indicator == SectionHeader::FINAL {
                break;
            }
        }
        let rest = bytes.get(records.index..).unwrap_or_default();
        // Behind the end of the sector is somebody else's.
        let sector = usize::try_from(SECTOR).unwrap_or(usize::MAX);
        let rest = rest.get(..sector.saturating_sub(records.index)).unwrap_or_default().to_vec();
        Ok(Self { validation, records: found, end: records.place(), rest, cut })
    }
}

/// Where a reader of a catalog is.
struct Records<'a> {
    at: u64,
    bytes: &'a [u8],
    index: usize,
}

impl Records<'_> {
    fn place(&self) -> u64 {
        self.at.saturating_add(u64::try_from(self.index).unwrap_or(u64::MAX))
    }

    fn peek(&self) -> Option<[u8; RECORD_SIZE]> {
        self.bytes.get(self.index..)?.first_chunk().copied()
    }

    fn take(&mut self) -> Option<[u8; RECORD_SIZE]> {
        let record = self.peek()?;
        self.index = self.index.saturating_add(RECORD_SIZE);
        Some(record)
    }

    /// Takes what says of itself that it belongs to the entry before it.
    fn extensions(&mut self, found: &mut Vec<(u64, Record)>) {
        while let Some(bytes) = self.peek().filter(|r| r.first() == Some(&Extension::INDICATOR)) {
            found.push((self.place(), Record::Extension(transmute!(bytes))));
            self.take();
        }
    }
}

impl BootInfo {
    /// The table of a boot image, or whatever is there.
    pub fn read(image: &Region) -> Result<Self, ReadError> {
        let bytes = image.array::<{ Self::SIZE }>("boot information table", Self::AT)?;
        Ok(transmute!(bytes))
    }

    /// What the checksum of an image of `len` bytes should be; an error where it is longer than
    /// [`MAX_SUMMED_BYTES`], or than there is.
    pub fn sum(image: &Region, len: u64) -> Result<u32, ReadError> {
        let from = Self::SUMMED_FROM;
        let len = len.saturating_sub(from);
        let bytes = image.bytes("boot image", from, len, MAX_SUMMED_BYTES)?;
        // The last word may lack bytes, which are taken as zero.
        let words = bytes.chunks(4).map(|word| {
            let mut whole = [0; 4];
            whole.iter_mut().zip(word).for_each(|(to, from)| *to = *from);
            u32::from_le_bytes(whole)
        });
        Ok(words.fold(0, u32::wrapping_add))
    }
}

/// How many bytes of a boot image the tables that it is known by are in.
const HEAD: usize = 2048;

/// Where ISOLINUX has the number by which boot code for disks knows it, and the number.
pub const ISOLINUX_MAGIC: (u64, [u8; 4]) = (64, [0xfb, 0xc0, 0x78, 0x70]);

/// What the first sector of a boot image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// ISOLINUX.
    Isolinux,
    /// The boot sector that `grub-mkimage` puts before GRUB for discs.
    Grub,
    /// Nothing that is known.
    Unknown,
}

impl Head {
    /// Looks at the first sector.
    pub fn of(image: &Region) -> Result<Self, ReadError> {
        let len = image.len().min(u64::try_from(HEAD).unwrap_or(u64::MAX));
        let head = image.bytes("boot image", 0, len, len)?;
        let (at, magic) = ISOLINUX_MAGIC;
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        // Its messages: the code before them differs from version to version.
        let says = |words: &[u8]| head.windows(words.len()).any(|part| part == words);
        Ok(if head.get(at..).is_some_and(|rest| rest.starts_with(&magic)) {
            Self::Isolinux
        } else if says(b"cdrom read fails\0") || says(b"no boot info\0") {
            Self::Grub
        } else {
            Self::Unknown
        })
    }

    /// True if the first instructions lead over the boot information table to the code behind it;
    /// `None` where it is not known how they should. No checksum covers them.
    pub fn starts(self, image: &Region) -> Result<Option<bool>, ReadError> {
        let head = image.array::<512>("boot image", 0)?;
        Ok(match (self, head) {
            // A far jump to 0:target. Before the code for discs, which starts with a number for SI,
            // the code for disks ends with a jump.
            (Self::Isolinux, [0xfa, 0xea, low, high, 0, 0, 0x90, 0x90, ..]) => {
                let target = usize::from(u16::from_le_bytes([low, high]).wrapping_sub(0x7c00));
                let before = target.checked_sub(2).and_then(|at| head.get(at));
                let behind = u64::try_from(target).is_ok_and(|at| at >= BootInfo::SUMMED_FROM);
                Some(behind && before == Some(&0xeb) && head.get(target) == Some(&0xbe))
            }
            (Self::Grub, [0xe8, 0, 0, 0xeb, 0x3b, ..]) => Some(true),
            (Self::Isolinux | Self::Grub, _) => Some(false),
            (Self::Unknown, _) => None,
        })
    }
}

/// Where GRUB for discs has the block from which it reads the rest of itself when a disk was
/// booted, as 64 bits in blocks of 512 bytes: `xorriso --grub2-boot-info` writes it.
pub const GRUB_BLOCK_AT: u64 = 2548;

/// What is at [`GRUB_BLOCK_AT`] of an image that starts at this sector.
pub fn grub_block(sector: u64) -> u64 {
    sector.saturating_mul(4).saturating_add(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(first: &[u8]) -> [u8; RECORD_SIZE] {
        let mut record = [0; RECORD_SIZE];
        record[..first.len()].copy_from_slice(first);
        record
    }

    fn catalog(records: &[[u8; RECORD_SIZE]]) -> Catalog {
        let mut bytes = records.concat();
        bytes.resize(2048.max(bytes.len()), 0);
        Catalog::read(&Region::from(bytes), 0).unwrap()
    }

    fn validation() -> [u8; RECORD_SIZE] {
        let mut record = record(&[1]);
        record[28..].copy_from_slice(&[0xaa, 0x55, 0x55, 0xaa]);
        record
    }

    #[test]
    fn records_are_what_their_headers_count() {
        let entry = record(&[0x88]);
        let continued = record(&[0x88, 0x20]);
        let extension = record(&[0x44]);
        let header = |indicator, count| record(&[indicator, 0xef, count]);
        let all = [
            validation(),
            entry,
            header(0x90, 2),
            continued,
            extension,
            entry,
            header(0x91, 1),
            entry,
            entry,
        ];
        let catalog = catalog(&all);
        assert_eq!(catalog.validation.sum(), 0);
        let kinds: Vec<_> = catalog
            .records
            .iter()
            .map(|(at, record)| {
                let letter = match record {
                    Record::Initial(_) => 'i',
                    Record::Header(_) => 'h',
                    Record::Section(_) => 's',
                    Record::Extension(_) => 'e',
                };
                (*at / 32, letter)
            })
            .collect();
        let expected = [(1, 'i'), (2, 'h'), (3, 's'), (4, 'e'), (5, 's'), (6, 'h'), (7, 's')];
        assert_eq!(kinds, expected);
        assert_eq!((catalog.end, catalog.cut), (8 * 32, false));
        assert_eq!(catalog.rest.len(), 2048 - 8 * 32);
        assert_eq!(catalog.rest[0], 0x88);
    }

    /// Numbers of a catalog cost nothing, whatever they are.
    #[test]
    fn a_catalog_ends() {
        let many = catalog(&[validation(), record(&[0x88]), record(&[0x90, 0, 0xff, 0xff])]);
        assert!(many.cut);
        assert_eq!(many.records.len(), 2048 / RECORD_SIZE - 1);
        assert!(many.rest.is_empty());
        let headers = vec![record(&[0x90]); 1024];
        assert_eq!(catalog(&headers).records.len(), 512 - 1);
        let extensions = vec![record(&[0x44]); 1024];
        assert_eq!(catalog(&extensions).records.len(), 512 - 1);
        let short = Region::from(vec![0; 2047]);
        assert!(Catalog::read(&short, 0).unwrap_err().is_defect());
        assert!(Catalog::read(&short, u64::MAX).unwrap_err().is_defect());
    }

    #[test]
    fn a_checksum_takes_what_is_missing_as_zero() {
        let mut bytes = vec![0xff; 64];
        bytes.extend([1, 0, 0, 0, 2]);
        let image = Region::from(bytes);
        assert_eq!(BootInfo::sum(&image, 69).unwrap(), 3);
        assert_eq!(BootInfo::sum(&image, 68).unwrap(), 1);
        assert_eq!(BootInfo::sum(&image, 0).unwrap(), 0);
        assert!(BootInfo::sum(&image, u64::from(u32::MAX)).unwrap_err().is_defect());
    }
}
