//! Path tables.

use std::mem::size_of;

use zerocopy::FromBytes as _;

use super::{Block, raw::PathTableRecord};

/// The byte order of the numbers in a path table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Type L.
    Little,
    /// Type M.
    Big,
}

/// A directory in a path table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathTableEntry<'a> {
    /// Where the entry is in the table.
    pub offset: usize,
    /// Its bytes, without the one that makes them even.
    pub len: usize,
    /// Blocks before the content of the directory.
    pub extended_attribute_len: u8,
    /// Where the directory is.
    pub extent: Block,
    /// Number of the entry of the directory that it is in; entries count from 1.
    pub parent: u16,
    /// Its name.
    pub identifier: &'a [u8],
}

/// Why a path table ends before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathTableFault {
    /// Where the entry is in the table that is not whole, or has no name.
    pub offset: usize,
}

/// The entries of a path table. A fault is the last one.
pub struct PathTable<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
    at: usize,
}

impl<'a> PathTable<'a> {
    /// Of all bytes of a table.
    pub fn new(bytes: &'a [u8], order: ByteOrder) -> Self {
        Self { bytes, order, at: 0 }
    }

    fn entry(&self) -> Option<PathTableEntry<'a>> {
        let rest = self.bytes.get(self.at..)?;
        let (raw, rest) = PathTableRecord::read_from_prefix(rest).ok()?;
        let name_len = usize::from(raw.identifier_len);
        let identifier = rest.get(..name_len).filter(|name| !name.is_empty())?;
        let (extent, parent) = match self.order {
            ByteOrder::Little => (u32::from_le_bytes(raw.extent), u16::from_le_bytes(raw.parent)),
            ByteOrder::Big => (u32::from_be_bytes(raw.extent), u16::from_be_bytes(raw.parent)),
        };
        Some(PathTableEntry {
            offset: self.at,
            len: name_len.checked_add(size_of::<PathTableRecord>())?,
            extended_attribute_len: raw.extended_attribute_len,
            extent: Block(extent),
            parent,
            identifier,
        })
    }
}

impl<'a> Iterator for PathTable<'a> {
    type Item = Result<PathTableEntry<'a>, PathTableFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let Some(entry) = self.entry() else {
            let offset = std::mem::replace(&mut self.at, self.bytes.len());
            return Some(Err(PathTableFault { offset }));
        };
        let padded = entry.len.checked_next_multiple_of(2).unwrap_or(entry.len);
        self.at = self.at.saturating_add(padded);
        Some(Ok(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let bytes = b"\x01\0\x13\0\0\0\x01\0\0\0\x03\x01\x14\0\0\0\x01\0EFI\0";
        let entries: Vec<_> =
            PathTable::new(bytes, ByteOrder::Little).map(Result::unwrap).collect();
        assert_eq!(entries.len(), 2);
        let efi = entries[1];
        assert_eq!((efi.offset, efi.len, efi.extended_attribute_len), (10, 11, 1));
        assert_eq!((efi.extent, efi.parent, efi.identifier), (Block(20), 1, &b"EFI"[..]));
        let big: Vec<_> = PathTable::new(bytes, ByteOrder::Big).map(Result::unwrap).collect();
        assert_eq!((big[0].extent, big[0].parent), (Block(0x1300_0000), 0x100));
        let cut: Vec<_> = PathTable::new(&bytes[..15], ByteOrder::Little).collect();
        assert_eq!(cut[1..], [Err(PathTableFault { offset: 10 })]);
        let zeros: Vec<_> = PathTable::new(&[0; 100], ByteOrder::Little).collect();
        assert_eq!(zeros, [Err(PathTableFault { offset: 0 })]);
    }
}
