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

/// `EXT4_DX_BLOCK_MASK`: the bits of a block of an index that are its number.
const DX_BLOCK_MASK: u32 = 0x0fff_ffff;

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
    /// The byte after the name; 0 where there is none.
    pub after: u8,
    /// The hash that is stored after the names of directories that are encrypted and without case.
    pub hash: u32,
}

/// The checksum that a block of a directory has, and what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockChecksum {
    /// Of a block with entries, which end with a tail.
    Tail(u32, u32),
    /// Of a node of an index.
    Node(u32, u32),
    /// The entries leave no room for one.
    NoRoom,
    /// The lengths of the entries lead nowhere.
    Nowhere,
}

/// Bytes with entries of a directory: a block, or a part of an inode.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryBlock<'a> {
    bytes: &'a [u8],
    block_size: usize,
}

impl<'a> DirectoryBlock<'a> {
    /// What `bytes` hold.
    pub fn new(bytes: &'a [u8], block_size: u32) -> Self {
        let block_size = usize::try_from(block_size).unwrap_or(usize::MAX);
        Self { bytes, block_size }
    }

    /// The entries. The last one is the first whose length leads nowhere, if there is such.
    pub fn entries(self) -> impl Iterator<Item = DirectoryEntry<'a>> {
        let mut at = 0_usize;
        std::iter::from_fn(move || {
            let bytes = self.bytes.get(at..)?;
            let (raw, rest) = raw::DirectoryEntry::read_from_prefix(bytes).ok()?;
            let rec_len = record_len(raw.rec_len.get(), self.block_size);
            let name_len = usize::from(raw.name_len);
            let entry = DirectoryEntry {
                at,
                inode: raw.inode.get(),
                rec_len,
                name_len,
                file_type: raw.file_type,
                name: rest.get(..name_len).unwrap_or(rest),
                after: rest.get(name_len).copied().unwrap_or(0),
                hash: stored_hash(rest, name_len).unwrap_or(0),
            };
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

    /// The checksum of a block, by what the block looks like: only that tells where it is.
    pub fn checksums(self, inode_seed: u32) -> BlockChecksum {
        let end = self.bytes.len().saturating_sub(raw::DirectoryTail::SIZE);
        let mut at = 0_usize;
        // Bounded: every step is eight bytes at least.
        while at < end {
            let raw = self.bytes.get(at..).and_then(|bytes| {
                raw::DirectoryEntry::read_from_prefix(bytes).ok().map(|(raw, _)| raw)
            });
            let Some(raw) = raw else { break };
            let rec_len = record_len(raw.rec_len.get(), self.block_size);
            if rec_len < raw::DirectoryEntry::SIZE || !rec_len.is_multiple_of(4) {
                at = usize::MAX;
                break;
            }
            at = at.saturating_add(rec_len);
        }
        let tail = self.tail().filter(|tail| {
            at == end
                && (tail.det_reserved_zero1.get(), tail.det_rec_len.get()) == (0, 12)
                && (tail.det_reserved_zero2, tail.det_reserved_ft) == (0, 0xde)
        });
        if let Some(tail) = tail {
            return BlockChecksum::Tail(tail.det_checksum.get(), self.checksum(inode_seed));
        }
        match self.dx_countlimit().and_then(|entries| entries.checksum(inode_seed)) {
            Some((stored, computed)) => BlockChecksum::Node(stored, computed),
            None if at > self.bytes.len() => BlockChecksum::Nowhere,
            None => BlockChecksum::NoRoom,
        }
    }

    /// The entries of the index, in what looks like a node of one.
    fn dx_countlimit(self) -> Option<DxEntries<'a>> {
        let (first, rest) = raw::DirectoryEntry::read_from_prefix(self.bytes).ok()?;
        let len = record_len(first.rec_len.get(), self.block_size);
        let entries = if len == self.block_size && (first.name_len, first.file_type) == (0, 0) {
            self.dx_node()?.1
        } else {
            let (second, _) = raw::DirectoryEntry::read_from_prefix(rest.get(4..)?).ok()?;
            let (root, entries) = self.dx_root()?;
            let second = record_len(second.rec_len.get(), self.block_size);
            let is_root = len == 12
                && second.checked_add(12) == Some(self.block_size)
                && (root.reserved_zero.get(), root.info_length) == (0, 8);
            is_root.then_some(entries)?
        };
        let capacity = entries.capacity(false);
        let sane = |count: u16| usize::from(count) <= capacity;
        (sane(entries.first.limit.get()) && sane(entries.first.count.get())).then_some(entries)
    }

    /// True for a block that begins like an inner node of an index, with room for as many entries as
    /// such a node has.
    pub fn looks_like_node(self, has_checksum: bool) -> bool {
        let Some((node, entries)) = self.dx_node() else { return false };
        node.fake_inode.get() == 0
            && record_len(node.fake_rec_len.get(), self.block_size) == self.block_size
            && node.fake_name_len == 0
            && usize::from(entries.first.limit.get()) == entries.capacity(has_checksum)
    }

    /// The first block of a directory with an index.
    pub fn dx_root(self) -> Option<(raw::DxRoot, DxEntries<'a>)> {
        let (root, _) = raw::DxRoot::read_from_prefix(self.bytes).ok()?;
        // The length counts from `reserved_zero` on.
        let at = usize::from(root.info_length)
            .checked_add(std::mem::offset_of!(raw::DxRoot, reserved_zero))?;
        Some((root, DxEntries::new(self.bytes, at)?))
    }

    /// An inner block of an index.
    pub fn dx_node(self) -> Option<(raw::DxNode, DxEntries<'a>)> {
        let (node, _) = raw::DxNode::read_from_prefix(self.bytes).ok()?;
        Some((node, DxEntries::new(self.bytes, raw::DxNode::SIZE)?))
    }
}

/// `EXT4_DIRENT_HASH`: four bytes after the name, which is padded to a multiple of four.
fn stored_hash(rest: &[u8], name_len: usize) -> Option<u32> {
    let at = name_len.checked_next_multiple_of(4)?;
    rest.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
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

    /// The entries: the hash, and the number of the block. The hash of the first is 0.
    pub fn entries(&self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        let count = usize::from(self.first.count.get());
        let entries = self.bytes.get(self.at..).unwrap_or_default();
        let entries = entries.chunks_exact(raw::DxEntry::SIZE).take(count);
        let entries = entries.filter_map(|entry| raw::DxEntry::read_from_bytes(entry).ok());
        entries.enumerate().map(|(index, entry)| {
            let hash = if index == 0 { 0 } else { entry.hash.get() };
            (hash, entry.block.get() & DX_BLOCK_MASK)
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
            let entries: Vec<_> = DirectoryBlock::new(&bytes, 1024).entries().collect();
            assert_eq!(entries.len(), 2);
            assert_eq!((entries[0].name, entries[0].name_len), (&b"."[..], 1));
            assert_eq!((entries[1].name, entries[1].name_len), (&b".."[..], 9));
        }
    }
}
