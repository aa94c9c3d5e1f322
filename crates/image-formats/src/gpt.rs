//! GUID partition table. UEFI 2.10, §5.3.
//!
//! [`raw`] holds the bytes under their names; the functions here find them. Any bytes parse.

pub mod raw;

use std::fmt;

use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::{
    bytes::{ReadError, Region},
    units::{BlockSize, Lba},
};
use raw::PartitionEntry;

/// The largest entry array that Linux reads (`KMALLOC_MAX_SIZE`): 256 times what tools write.
pub const MAX_ENTRY_ARRAY_BYTES: u64 = 4 << 20;

/// A GUID as it lies on the disk. Its first three fields are little-endian, the rest is not, and it
/// is printed as if all were big-endian.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// No GUID; as a type, that of an entry that is not used.
    pub const ZERO: Self = Self([0; 16]);

    /// The GUID that is printed as these groups of digits; the last two groups are one number.
    pub const fn new(first: u32, second: u16, third: u16, rest: u64) -> Self {
        let [a, b, c, d] = first.to_le_bytes();
        let [e, f] = second.to_le_bytes();
        let [g, h] = third.to_le_bytes();
        let [i, j, k, l, m, n, o, p] = rest.to_be_bytes();
        Self([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i, j, k, rest @ ..] = self.0;
        let first = u32::from_le_bytes([a, b, c, d]);
        let (second, third) = (u16::from_le_bytes([e, g]), u16::from_le_bytes([h, i]));
        let fourth = u16::from_be_bytes([j, k]);
        write!(f, "{first:08X}-{second:04X}-{third:04X}-{fourth:04X}-")?;
        rest.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

/// A header, with the block that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The bytes.
    pub raw: raw::Header,
    /// The rest of the block.
    rest: Vec<u8>,
}

impl Header {
    /// Reads the header in the block `lba`. Any block is one.
    pub fn read(disk: &Region, lba: Lba, size: BlockSize) -> Result<Self, ReadError> {
        let at = lba.to_offset(size).map_or(u64::MAX, |offset| offset.0);
        let bytes = disk.array::<{ raw::Header::SIZE }>("GPT header", at)?;
        let mut block = disk.bytes("GPT header", at, size.bytes(), size.bytes())?;
        let rest = block.drain(bytes.len()..).collect();
        Ok(Self { raw: zerocopy::transmute!(bytes), rest })
    }

    /// True if it says that it is one.
    pub fn has_signature(&self) -> bool {
        self.raw.signature == raw::Header::SIGNATURE
    }

    /// What `HeaderCRC32` should be; `None` if `HeaderSize` is less than a header or more than a
    /// block.
    pub fn crc32(&self) -> Option<u32> {
        let size = usize::try_from(self.raw.header_size.get()).ok()?;
        let rest = self.rest.get(..size.checked_sub(raw::Header::SIZE)?)?;
        let zeroed = raw::Header { header_crc32: 0.into(), ..self.raw };
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(zeroed.as_bytes());
        hasher.update(rest);
        Some(hasher.finalize())
    }

    /// True if `Reserved` and the rest of the block are zero.
    pub fn reserved_is_zero(&self) -> bool {
        self.raw.reserved == 0 && self.rest.iter().all(|byte| *byte == 0)
    }

    /// Length of the entry array in bytes; saturates, as only a hostile number does.
    pub fn entry_array_len(&self) -> u64 {
        let count = u64::from(self.raw.number_of_partition_entries.get());
        count.saturating_mul(u64::from(self.raw.size_of_partition_entry.get()))
    }

    /// How many blocks the entry array takes.
    pub fn entry_array_blocks(&self, size: BlockSize) -> u64 {
        self.entry_array_len().div_ceil(size.bytes())
    }
}

/// The partition entries of one copy of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryArray {
    bytes: Vec<u8>,
    stride: usize,
}

impl EntryArray {
    /// Reads the array that `header` describes, of at most [`MAX_ENTRY_ARRAY_BYTES`].
    pub fn read(disk: &Region, header: &Header, size: BlockSize) -> Result<Self, ReadError> {
        let at = Lba(header.raw.partition_entry_lba.get()).to_offset(size);
        let at = at.map_or(u64::MAX, |offset| offset.0);
        let len = header.entry_array_len();
        let bytes = disk.bytes("GPT entry array", at, len, MAX_ENTRY_ARRAY_BYTES)?;
        // An entry may be smaller than it should, and then there is none that could be read.
        let stride = usize::try_from(header.raw.size_of_partition_entry.get()).unwrap_or_default();
        Ok(Self { bytes, stride: stride.max(1) })
    }

    /// What `PartitionEntryArrayCRC32` should be.
    pub fn crc32(&self) -> u32 {
        crc32fast::hash(&self.bytes)
    }

    /// All entries, used or not, as far as they have 128 bytes.
    pub fn entries(&self) -> impl Iterator<Item = PartitionEntry> {
        let each = self.bytes.chunks_exact(self.stride);
        each.filter_map(|bytes| PartitionEntry::read_from_prefix(bytes).ok())
            .map(|(entry, _)| entry)
    }
}

impl PartitionEntry {
    /// True if it describes a partition.
    pub fn is_used(&self) -> bool {
        Guid(self.partition_type_guid) != Guid::ZERO
    }

    /// The name, in UTF-16, without its end.
    pub fn name(&self) -> Vec<u16> {
        self.partition_name.iter().map(|unit| unit.get()).take_while(|unit| *unit != 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_are_mixed_endian() {
        let esp = Guid::new(0xc12a_7328, 0xf81f, 0x11d2, 0xba4b_00a0_c93e_c93b);
        assert_eq!(esp.to_string(), "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
        assert_eq!(&esp.0[..6], b"\x28\x73\x2a\xc1\x1f\xf8");
        assert_eq!(Guid::ZERO.to_string(), "00000000-0000-0000-0000-000000000000");
    }

    fn header(edit: impl Fn(&mut raw::Header)) -> (Region, Header) {
        let mut raw = raw::Header::read_from_bytes(&[0; raw::Header::SIZE]).unwrap();
        raw.header_size.set(92);
        edit(&mut raw);
        let mut disk = vec![0; 512];
        disk.extend(raw.as_bytes());
        disk.resize(4096, 0);
        let disk = Region::from(disk);
        let header = Header::read(&disk, Lba(1), BlockSize::B512).unwrap();
        (disk, header)
    }

    /// Numbers of a header cost no memory, whatever they are.
    #[test]
    fn hostile_numbers_cost_nothing() {
        let (disk, all) = header(|raw| raw.as_mut_bytes().fill(0xff));
        assert_eq!(all.crc32(), None);
        assert_eq!(all.entry_array_len(), (u64::from(u32::MAX)).pow(2));
        assert!(EntryArray::read(&disk, &all, BlockSize::B512).unwrap_err().is_defect());

        let (disk, many) = header(|raw| raw.number_of_partition_entries.set(u32::MAX));
        let entries = EntryArray::read(&disk, &many, BlockSize::B512).unwrap();
        assert_eq!(entries.entries().count(), 0);

        let (disk, small) = header(|raw| {
            raw.number_of_partition_entries.set(4000);
            raw.size_of_partition_entry.set(1);
        });
        let entries = EntryArray::read(&disk, &small, BlockSize::B512).unwrap();
        assert_eq!(entries.entries().count(), 0);
    }

    #[test]
    fn the_crc_covers_as_much_as_the_header_says() {
        let crc = |size: u32| header(|raw| raw.header_size.set(size)).1.crc32();
        assert!(crc(91).is_none() && crc(513).is_none());
        assert!(crc(92).is_some() && crc(512).is_some());
        assert!(!header(|raw| raw.reserved.set(1)).1.reserved_is_zero());
    }
}
