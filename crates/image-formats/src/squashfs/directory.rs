//! Lists of directories: headers, each followed by entries whose inodes lie in one block.

use std::mem::size_of;

use super::{
    Cursor, MetadataError,
    raw::{DirectoryEntry, DirectoryHeader, DirectoryIndex},
};

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum DirectoryItem {
    /// A header.
    Header {
        /// Which byte of the list it is at.
        at: u32,
        /// The metadata block in which it starts.
        block: u64,
        /// What it says.
        header: DirectoryHeader,
    },
    /// An entry of the last header.
    Entry {
        /// Which byte of the list it is at.
        at: u32,
        /// What it says.
        entry: DirectoryEntry,
        /// Its name.
        name: Vec<u8>,
    },
}

/// What is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListFault {
    /// Linux takes no more entries after a header.
    #[error("{0} entries after a header, and 256 are the most")]
    Count(u64),
    /// The list ends before this does.
    #[error("its list has {len} bytes, and what is at byte {at} of it needs {need} more")]
    Overrun {
        /// Which byte of the list.
        at: u32,
        /// Bytes of the list.
        len: u32,
        /// Bytes of the header or entry.
        need: u32,
    },
}

/// Reads a list.
#[derive(Debug)]
pub struct DirectoryList<'a> {
    cursor: Cursor<'a>,
    len: u32,
    at: u32,
    /// Entries that follow the last header.
    left: u32,
}

impl<'a> DirectoryList<'a> {
    /// The list of `len` bytes at `cursor`.
    pub fn new(cursor: Cursor<'a>, len: u32) -> Self {
        Self { cursor, len, at: 0, left: 0 }
    }

    /// The next part; `None` at the end of the list. Nothing follows a fault.
    pub fn next_item(&mut self) -> Result<Option<Result<DirectoryItem, ListFault>>, MetadataError> {
        let at = self.at;
        if at >= self.len && self.left == 0 {
            return Ok(None);
        }
        let item = if self.left == 0 { self.header()? } else { self.entry()? };
        if item.is_err() {
            self.at = self.len;
            self.left = 0;
        }
        Ok(Some(item))
    }

    fn header(&mut self) -> Result<Result<DirectoryItem, ListFault>, MetadataError> {
        let at = self.at;
        if let Err(fault) = self.take(size_of::<DirectoryHeader>()) {
            return Ok(Err(fault));
        }
        let (block, _) = self.cursor.place()?;
        let header: DirectoryHeader = self.cursor.read()?;
        let count = u64::from(header.count.get()).saturating_add(1);
        if count > u64::from(DirectoryHeader::MAX_ENTRIES) {
            return Ok(Err(ListFault::Count(count)));
        }
        self.left = header.count.get().saturating_add(1);
        Ok(Ok(DirectoryItem::Header { at, block, header }))
    }

    fn entry(&mut self) -> Result<Result<DirectoryItem, ListFault>, MetadataError> {
        let at = self.at;
        if let Err(fault) = self.take(size_of::<DirectoryEntry>()) {
            return Ok(Err(fault));
        }
        let entry: DirectoryEntry = self.cursor.read()?;
        let len = usize::from(entry.size.get()).saturating_add(1);
        if let Err(fault) = self.take(len) {
            return Ok(Err(fault));
        }
        let name = self.cursor.bytes(len)?;
        self.left = self.left.saturating_sub(1);
        Ok(Ok(DirectoryItem::Entry { at, entry, name }))
    }

    /// Takes bytes of the list.
    fn take(&mut self, len: usize) -> Result<(), ListFault> {
        let need = u32::try_from(len).unwrap_or(u32::MAX);
        let end = self.at.checked_add(need).filter(|end| *end <= self.len);
        self.at = end.ok_or(ListFault::Overrun { at: self.at, len: self.len, need })?;
        Ok(())
    }
}

impl DirectoryIndex {
    /// The most bytes of a name in an index.
    pub const MAX_NAME: u64 = 256;

    /// Reads one with its name; `None` in place of a name that is too long to be one.
    pub fn read(cursor: &mut Cursor<'_>) -> Result<(Self, Option<Vec<u8>>), MetadataError> {
        let index: Self = cursor.read()?;
        let len = u64::from(index.size.get()).saturating_add(1);
        let len = usize::try_from(len).ok().filter(|_| len <= Self::MAX_NAME);
        let name = len.map(|len| cursor.bytes(len)).transpose()?;
        Ok((index, name))
    }
}
