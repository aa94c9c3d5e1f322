//! The list of volume descriptors.

use zerocopy::transmute;

use super::{
    SECTOR,
    raw::{AnyDescriptor, BootRecord, DescriptorHeader, PartitionDescriptor, VolumeDescriptor},
};
use crate::bytes::{ReadError, Region};

/// Number of a logical block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(pub u32);

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Bytes of a logical block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSize(u16);

impl BlockSize {
    /// That of almost every disc.
    pub const B2048: Self = Self(2048);

    /// One of those that there are: 512, 1024 or 2048.
    pub fn new(bytes: u16) -> Option<Self> {
        matches!(bytes, 512 | 1024 | 2048).then_some(Self(bytes))
    }

    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        self.0.into()
    }

    /// The byte of the volume at which a block starts. A product of 32 and 16 bits fits.
    pub fn offset(self, block: Block) -> u64 {
        u64::from(block.0).saturating_mul(self.bytes())
    }
}

/// How far Linux looks for a volume descriptor.
pub const MAX_DESCRIPTORS: u64 = 84;

/// A volume descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// Where it starts in the volume, in bytes.
    pub offset: u64,
    raw: AnyDescriptor,
}

impl Descriptor {
    /// The first one is in this sector.
    pub const FIRST: u64 = 16;

    /// What was read at `offset`.
    pub fn read(region: &Region, offset: u64) -> Result<Self, ReadError> {
        let bytes = region.array::<2048>("ISO 9660 volume descriptor", offset)?;
        Ok(Self { offset, raw: transmute!(bytes) })
    }

    /// Type, identifier and version.
    pub fn header(&self) -> DescriptorHeader {
        self.raw.header
    }

    /// As a boot record, whatever it is.
    pub fn boot_record(&self) -> BootRecord {
        transmute!(self.raw)
    }

    /// As a primary, supplementary or enhanced volume descriptor, whatever it is.
    pub fn volume(&self) -> VolumeDescriptor {
        transmute!(self.raw)
    }

    /// As a volume partition descriptor, whatever it is.
    pub fn partition(&self) -> PartitionDescriptor {
        transmute!(self.raw)
    }

    /// True if the identifier says that it is a volume descriptor.
    pub fn is_one(&self) -> bool {
        self.header().standard_identifier == DescriptorHeader::STANDARD_IDENTIFIER
    }
}

/// The volume descriptors of a volume, as far as the terminator, which is among them: what is no
/// volume descriptor, or cannot be read, ends them too, and is the last one.
pub struct Descriptors<'a> {
    region: &'a Region,
    next: Option<u64>,
}

impl<'a> Descriptors<'a> {
    /// From the first one on.
    pub fn new(region: &'a Region) -> Self {
        Self { region, next: Some(Descriptor::FIRST) }
    }
}

impl Iterator for Descriptors<'_> {
    type Item = Result<Descriptor, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let sector = self.next.take()?;
        let found = Descriptor::read(self.region, sector.saturating_mul(SECTOR));
        if let Ok(descriptor) = &found
            && descriptor.is_one()
            && descriptor.header().kind != DescriptorHeader::TERMINATOR
        {
            let end = Descriptor::FIRST.saturating_add(MAX_DESCRIPTORS);
            self.next = sector.checked_add(1).filter(|next| *next < end);
        }
        Some(found)
    }
}

/// Which characters the names below a supplementary volume descriptor have: UCS-2 levels 1 to 3.
/// Joliet Specification, "Escape Sequences".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joliet {
    /// `%/@`
    Level1,
    /// `%/C`
    Level2,
    /// `%/E`: what everybody writes.
    Level3,
}

impl VolumeDescriptor {
    /// The level of Joliet, if it is that of a Joliet tree.
    pub fn joliet(&self) -> Option<Joliet> {
        match self.escape_sequences {
            _ if self.header.kind != DescriptorHeader::SUPPLEMENTARY => None,
            [b'%', b'/', b'@', ..] => Some(Joliet::Level1),
            [b'%', b'/', b'C', ..] => Some(Joliet::Level2),
            [b'%', b'/', b'E', ..] => Some(Joliet::Level3),
            _ => None,
        }
    }

    /// True if it is an enhanced volume descriptor.
    pub fn is_enhanced(&self) -> bool {
        self.header.kind == DescriptorHeader::SUPPLEMENTARY && self.header.version == Self::ENHANCED
    }

    /// The size of logical blocks, if it is one that there is.
    pub fn block_size(&self) -> Option<BlockSize> {
        BlockSize::new(self.logical_block_size.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(kinds: &[u8]) -> Region {
        let mut bytes = vec![0; 16 * 2048];
        for kind in kinds {
            let mut sector = [0; 2048];
            sector[0] = *kind;
            sector[1..7].copy_from_slice(b"CD001\x01");
            bytes.extend(sector);
        }
        Region::from(bytes)
    }

    fn kinds(region: &Region) -> Vec<Option<u8>> {
        Descriptors::new(region).map(|found| Some(found.ok()?.header().kind)).collect()
    }

    #[test]
    fn descriptors_end() {
        assert_eq!(kinds(&image(&[1, 0, 2, 255, 1])), [1, 0, 2, 255].map(Some));
        assert_eq!(kinds(&image(&[1])), [Some(1), None]);
        assert_eq!(kinds(&image(&[1; 200])).len() as u64, MAX_DESCRIPTORS);
        assert_eq!(kinds(&Region::from(vec![0; 1 << 20])), [Some(0)]);
        assert_eq!(kinds(&Region::from(vec![])), [None]);
    }
}
