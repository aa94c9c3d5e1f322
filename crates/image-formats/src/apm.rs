//! Apple partition map. Apple, Inside Macintosh: Devices, chapter 3.
//!
//! [`raw`] holds the bytes under their names; the functions here find them. Any bytes parse.

pub mod raw;

use std::mem::size_of;

use zerocopy::transmute;

use crate::bytes::{ReadError, Region};
use raw::{DriverDescriptor, PartitionEntry};

/// The most entries of a map that are read; discs have less than ten.
pub const MAX_ENTRIES: u32 = 64;

/// A map, and its entries as far as they are in the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// What its numbers count, in bytes.
    pub block_size: u64,
    /// The entries, each with the byte at which it is: as many as the first one says.
    pub entries: Vec<(u64, PartitionEntry)>,
}

impl Map {
    /// Reads the map of a disk whose first bytes say that there is one.
    pub fn read(disk: &Region) -> Result<Option<Self>, ReadError> {
        if disk.len() < u64::try_from(size_of::<DriverDescriptor>()).unwrap_or(u64::MAX) {
            return Ok(None);
        }
        let bytes = disk.array::<{ size_of::<DriverDescriptor>() }>("driver descriptor", 0)?;
        let driver: DriverDescriptor = transmute!(bytes);
        if driver.signature != DriverDescriptor::SIGNATURE {
            return Ok(None);
        }
        let block_size = u64::from(driver.block_size.get());
        let mut entries: Vec<(u64, PartitionEntry)> = Vec::new();
        let mut index = 1_u32;
        let mut count = 1_u32;
        while index <= count.min(MAX_ENTRIES) {
            let at = block_size.saturating_mul(u64::from(index));
            let entry: PartitionEntry =
                match disk.array::<{ size_of::<PartitionEntry>() }>("partition map entry", at) {
                    Ok(bytes) => transmute!(bytes),
                    Err(error) if error.is_defect() => break,
                    Err(error) => return Err(error),
                };
            if index == 1 {
                count = entry.map_blocks.get();
            }
            entries.push((at, entry));
            index = index.saturating_add(1);
        }
        Ok(Some(Self { block_size, entries }))
    }
}

impl PartitionEntry {
    /// True if it says that it is one.
    pub fn has_signature(&self) -> bool {
        self.signature == Self::SIGNATURE
    }

    /// Its name.
    pub fn name(&self) -> String {
        text(&self.name)
    }

    /// What it is for.
    pub fn kind(&self) -> String {
        text(&self.kind)
    }
}

fn text(field: &[u8]) -> String {
    let end = field.iter().take_while(|byte| **byte != 0).count();
    String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk of blocks of 512 bytes whose map says that it has `count` entries.
    fn disk(count: u32, len: usize) -> Region {
        let mut disk = vec![0; len];
        disk[..4].copy_from_slice(b"ER\x02\x00");
        for at in (512..len).step_by(512) {
            disk[at..at + 4].copy_from_slice(b"PM\0\0");
            disk[at + 4..at + 8].copy_from_slice(&count.to_be_bytes());
            disk[at + 16..at + 19].copy_from_slice(b"EFI");
        }
        Region::from(disk)
    }

    #[test]
    fn a_map_has_as_many_entries_as_it_says() {
        let map = Map::read(&disk(2, 4096)).unwrap().unwrap();
        let at: Vec<_> = map.entries.iter().map(|(at, entry)| (*at, entry.name())).collect();
        assert_eq!(at, [(512, "EFI".to_owned()), (1024, "EFI".to_owned())]);
        assert_eq!(Map::read(&Region::from(vec![0; 512])).unwrap(), None);
        assert_eq!(Map::read(&Region::from(b"ER".to_vec())).unwrap(), None);
    }

    /// Numbers of a map cost nothing, whatever they are.
    #[test]
    fn a_map_ends() {
        let map = Map::read(&disk(u32::MAX, 2048)).unwrap().unwrap();
        assert_eq!(map.entries.len(), 3);
        let map = Map::read(&disk(u32::MAX, 1 << 20)).unwrap().unwrap();
        assert_eq!(map.entries.len(), 64);
        // Larger blocks than there are bytes.
        let map = Map::read(&Region::from(b"ER".repeat(64))).unwrap().unwrap();
        assert_eq!(map.entries.len(), 0);
    }
}
