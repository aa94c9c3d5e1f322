//! Master boot record and extended partitions. UEFI 2.10, §5.2; for extended partitions, which it
//! leaves out, Linux, block/partitions/msdos.c.
//!
//! [`raw`] holds the bytes under their names; the functions here find them. Any bytes parse.

pub mod raw;

use std::collections::BTreeSet;

use crate::{
    bytes::{ReadError, Region},
    units::{BlockSize, Lba},
};
use raw::{BootRecord, PartitionRecord};

/// The most boot records of one extended partition that are read. Linux numbers 255 partitions of a
/// disk, and each record of an extended partition has one.
pub const MAX_EXTENDED_RECORDS: usize = 256;

impl BootRecord {
    /// Reads the boot record in the first 512 bytes of `lba`. Any 512 bytes are one.
    pub fn read(disk: &Region, lba: Lba, size: BlockSize) -> Result<Self, ReadError> {
        let at = lba.to_offset(size).map_or(u64::MAX, |offset| offset.0);
        let bytes = disk.array::<{ Self::SIZE }>("boot record", at)?;
        Ok(zerocopy::transmute!(bytes))
    }

    /// True if the last two bytes say that it is one.
    pub fn has_signature(&self) -> bool {
        self.signature == Self::SIGNATURE
    }

    /// The first entry that leads to an extended partition, or on in one.
    pub fn link(&self) -> Option<&PartitionRecord> {
        self.partition_record.iter().find(|entry| entry.is_extended() && entry.size_in_lba != 0)
    }
}

impl PartitionRecord {
    /// True if it describes blocks, for everybody: Linux takes those of a type of 0 as well.
    pub fn is_used(&self) -> bool {
        self.os_type != 0 && self.size_in_lba != 0
    }

    /// True if it describes nothing, for everybody.
    pub fn is_empty(&self) -> bool {
        self.os_type == 0 && self.size_in_lba == 0
    }

    /// True if its type is one of an extended partition.
    pub fn is_extended(&self) -> bool {
        Self::EXTENDED.contains(&self.os_type)
    }
}

/// The boot records of an extended partition: a chain, each with a partition and the way to the
/// next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Where each is, and what it is, from the first block of the extended partition on.
    pub records: Vec<(Lba, BootRecord)>,
    /// Why there are no more.
    pub end: ChainEnd,
}

/// How a chain of boot records ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainEnd {
    /// The last has no link, or no signature and so nothing that means a link.
    Last,
    /// The last leads to this one, which was there before.
    Cycle(Lba),
    /// The last leads to this one, which is not in the disk.
    Outside(Lba),
    /// The last leads to this one, and there were [`MAX_EXTENDED_RECORDS`].
    Limit(Lba),
}

impl Chain {
    /// Follows the extended partition that starts at `first`.
    pub fn read(disk: &Region, first: Lba, size: BlockSize) -> Result<Self, ReadError> {
        let mut records: Vec<(Lba, BootRecord)> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut next = first;
        let end = loop {
            if !seen.insert(next) {
                break ChainEnd::Cycle(next);
            }
            if records.len() == MAX_EXTENDED_RECORDS {
                break ChainEnd::Limit(next);
            }
            let record = match BootRecord::read(disk, next, size) {
                Ok(record) => record,
                Err(error) if error.is_defect() => break ChainEnd::Outside(next),
                Err(error) => return Err(error),
            };
            records.push((next, record));
            let Some(link) = record.link().filter(|_| record.has_signature()) else {
                break ChainEnd::Last;
            };
            next = Lba(first.0.saturating_add(u64::from(link.starting_lba.get())));
        };
        Ok(Self { records, end })
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::{FromBytes as _, IntoBytes as _};

    use super::*;

    fn entry(os_type: u8, starting_lba: u32, size_in_lba: u32) -> PartitionRecord {
        let zero = PartitionRecord::read_from_bytes(&[0; PartitionRecord::SIZE]).unwrap();
        let (starting_lba, size_in_lba) = (starting_lba.into(), size_in_lba.into());
        PartitionRecord { os_type, starting_lba, size_in_lba, ..zero }
    }

    /// A disk whose block 1 starts an extended partition, with a boot record in each block that has
    /// `links`: to which block after block 1 it leads.
    fn chain(links: &[Option<u32>]) -> Chain {
        let mut bytes = vec![0; 512];
        for link in links {
            let mut record = BootRecord::read_from_bytes(&[0; BootRecord::SIZE]).unwrap();
            record.signature = BootRecord::SIGNATURE;
            record.partition_record[0] = entry(0x83, 1, 1);
            if let Some(link) = link {
                record.partition_record[1] = entry(0x05, *link, 1);
            }
            bytes.extend(record.as_bytes());
        }
        Chain::read(&Region::from(bytes), Lba(1), BlockSize::B512).unwrap()
    }

    #[test]
    fn a_chain_ends() {
        let whole = chain(&[Some(2), None, Some(1)]);
        assert_eq!(whole.end, ChainEnd::Last);
        assert_eq!(whole.records.iter().map(|(lba, _)| lba.0).collect::<Vec<_>>(), [1, 3, 2]);
        assert_eq!(chain(&[Some(0)]).end, ChainEnd::Cycle(Lba(1)));
        assert_eq!(chain(&[Some(1), Some(2), Some(1)]).end, ChainEnd::Cycle(Lba(2)));
        assert_eq!(chain(&[Some(9)]).end, ChainEnd::Outside(Lba(10)));
        assert_eq!(chain(&[Some(u32::MAX)]).end, ChainEnd::Outside(Lba(1 << 32)));
        let endless: Vec<_> = (1..300).map(Some).collect();
        let endless = chain(&endless);
        assert_eq!(endless.end, ChainEnd::Limit(Lba(257)));
        assert_eq!(endless.records.len(), MAX_EXTENDED_RECORDS);
    }
}
