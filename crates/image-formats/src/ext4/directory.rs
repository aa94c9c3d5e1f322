//! Blocks of directories, and the nodes of their index.

use zerocopy::FromBytes as _;

use super::{checksum, raw};

/// `ext4_rec_len_from_disk`: blocks of 64 KiB need one bit more than there is.
pub fn record_len(stored: u16, block_size: usize) -> usize {
    let len = usize::from(stored);
    if block_size < 0x10000 {
        return len;
    }
    match len {
        0 | 0xffff => block_size,
        _ => len & 0xfffc | (len & 3) << 16,
    }
}

/// An entry of a directory, read and not judged.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryEntry<'a> {
    /// Where it is in its block.
    pub at: usize,
    /// The number of the inode; 0 where the entry is not used.
    pub inode: u32,
    /// Distance to the next entry.
    pub rec_len: usize,
    /// Length of the name.
    pub name_len: usize,
    /// `EXT4_FT_…`; 0 where the file system does not store it.
    pub file_type: u8,
    /// The name, as far as it is in the block.
    pub name: &'a [u8],
}

/// Bytes with entries of a directory: a block, or a part of an inode.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryBlock<'a> {
    bytes: &'a [u8],
    block_size: usize,
    has_types: bool,
}

impl<'a> DirectoryBlock<'a> {
    /// What `bytes` hold; `has_types` where the file system has the feature filetype.
    pub fn new(bytes: &'a [u8], block_size: u32, has_types: bool) -> Self {
        let block_size = usize::try_from(block_size).unwrap_or(usize::MAX);
        Self { bytes, block_size, has_types }
    }

    /// The entries. The last one is the first whose length leads nowhere, if there is such.
    pub fn entries(self) -> impl Iterator<Item = DirectoryEntry<'a>> {
        let mut at = 0_usize;
        std::iter::from_fn(move || {
            let bytes = self.bytes.get(at..)?;
            let (raw, rest) = raw::DirectoryEntry::read_from_prefix(bytes).ok()?;
            let rec_len = record_len(raw.rec_len.get(), self.block_size);
            let (name_len, file_type) = if self.has_types {
                (usize::from(raw.name_len), raw.file_type)
            } else {
                (usize::from(u16::from_le_bytes([raw.name_len, raw.file_type])), 0)
            };
            let name = rest.get(..name_len).unwrap_or(rest);
            let entry =
                DirectoryEntry { at, inode: raw.inode.get(), rec_len, name_len, file_type, name };
            let leads_on = rec_len >= raw::DirectoryEntry::SIZE && rec_len <= bytes.len();
            at = if leads_on { at.saturating_add(rec_len) } else { usize::MAX };
            Some(entry)
        })
    }

    /// The last bytes, where the checksum of a block is.
    pub fn tail(self) -> Option<raw::DirectoryTail> {
        raw::DirectoryTail::read_from_suffix(self.bytes).ok().map(|(_, tail)| tail)
    }

    /// What the checksum in the tail should be.
    pub fn checksum(self, inode_seed: u32) -> u32 {
        let covered = self.bytes.len().saturating_sub(raw::DirectoryTail::SIZE);
        checksum::crc32c(inode_seed, self.bytes.get(..covered).unwrap_or_default())
    }

    /// The first block of a directory with an index.
    pub fn dx_root(self) -> Option<(raw::DxRoot, DxEntries<'a>)> {
        let (root, _) = raw::DxRoot::read_from_prefix(self.bytes).ok()?;
        Some((root, DxEntries::new(self.bytes, raw::DxRoot::SIZE)?))
    }

    /// An inner block of an index.
    pub fn dx_node(self) -> Option<(raw::DxNode, DxEntries<'a>)> {
        let (node, _) = raw::DxNode::read_from_prefix(self.bytes).ok()?;
        Some((node, DxEntries::new(self.bytes, raw::DxNode::SIZE)?))
    }
}

/// The entries of a node of an index, read and not judged.
#[derive(Clone, Copy, Debug)]
pub struct DxEntries<'a> {
    /// The first entry.
    pub first: raw::DxCountLimit,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> DxEntries<'a> {
    fn new(bytes: &'a [u8], at: usize) -> Option<Self> {
        let (first, _) = raw::DxCountLimit::read_from_prefix(bytes.get(at..)?).ok()?;
        Some(Self { first, bytes, at })
    }

    /// How many entries have room, with or without a checksum.
    pub fn capacity(&self, has_checksum: bool) -> usize {
        let tail = if has_checksum { raw::DxTail::SIZE } else { 0 };
        let room = self.bytes.len().saturating_sub(self.at).saturating_sub(tail);
        room.checked_div(raw::DxEntry::SIZE).unwrap_or(0)
    }

    /// The entries; the hash of the first is 0.
    pub fn entries(&self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        let count = usize::from(self.first.count.get());
        let entries = self.bytes.get(self.at..).unwrap_or_default();
        let entries = entries.chunks_exact(raw::DxEntry::SIZE).take(count);
        let entries = entries.filter_map(|entry| raw::DxEntry::read_from_bytes(entry).ok());
        entries.enumerate().map(|(index, entry)| {
            (if index == 0 { 0 } else { entry.hash.get() }, entry.block.get())
        })
    }

    /// `ext4_dx_csum`: what is stored, and what should be. `None` where `limit` leaves no room for
    /// it.
    pub fn checksum(&self, inode_seed: u32) -> Option<(u32, u32)> {
        let end =
            |count: u16| usize::from(count).checked_mul(raw::DxEntry::SIZE)?.checked_add(self.at);
        let rest = self.bytes.get(end(self.first.limit.get())?..)?;
        let (tail, _) = raw::DxTail::read_from_prefix(rest).ok()?;
        let covered = self.bytes.get(..end(self.first.count.get())?)?;
        let sum = checksum::crc32c(inode_seed, covered);
        let sum = checksum::crc32c(sum, &tail.dt_reserved.get().to_le_bytes());
        Some((tail.dt_checksum.get(), checksum::crc32c(sum, &[0; 4])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_large_blocks_have_17_bits() {
        assert_eq!(record_len(12, 0x1000), 12);
        assert_eq!(record_len(0, 0x1000), 0);
        assert_eq!(record_len(0, 0x10000), 0x10000);
        assert_eq!(record_len(0xffff, 0x10000), 0x10000);
        assert_eq!(record_len(0xfff4, 0x10000), 0xfff4);
    }

    #[test]
    fn an_entry_that_leads_nowhere_is_the_last() {
        for rec_len in [0_u8, 4, 7, 200] {
            let mut bytes = vec![1, 0, 0, 0, 12, 0, 1, 2, b'.', 0, 0, 0];
            bytes.extend([1, 0, 0, 0, rec_len, 0, 9, 2, b'.', b'.']);
            let entries: Vec<_> = DirectoryBlock::new(&bytes, 1024, true).entries().collect();
            assert_eq!(entries.len(), 2);
            assert_eq!((entries[0].name, entries[0].name_len), (&b"."[..], 1));
            assert_eq!((entries[1].name, entries[1].name_len), (&b".."[..], 9));
        }
    }
}
