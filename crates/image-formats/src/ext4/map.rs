//! Where the blocks of a file are: extents, and blocks that list blocks.

use std::mem::size_of;

use zerocopy::FromBytes as _;

use super::{Block, checksum, raw};

/// `EXT4_MAX_EXTENT_DEPTH`: the most levels below the root of an extent tree.
pub const MAX_EXTENT_DEPTH: u16 = 5;

/// Blocks of a file that lie in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first of them, counted from the start of the file.
    pub logical: u64,
    /// Where it is.
    pub block: Block,
    /// How many.
    pub len: u32,
    /// They were allocated and never written: they read as zeros.
    pub unwritten: bool,
}

/// An entry of an inner node of an extent tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The first block of the file that the child covers.
    pub logical: u64,
    /// Where the child is.
    pub child: Block,
}

/// A node of an extent tree, read and not judged.
#[derive(Clone, Copy, Debug)]
pub struct ExtentNode<'a> {
    /// Its header.
    pub header: raw::ExtentHeader,
    bytes: &'a [u8],
}

impl<'a> ExtentNode<'a> {
    /// `eh_magic`.
    pub const MAGIC: u16 = 0xf30a;

    /// The node in `bytes`: `i_block`, or a block.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, _) = raw::ExtentHeader::read_from_prefix(bytes).ok()?;
        Some(Self { header, bytes })
    }

    /// How many entries have room.
    pub fn capacity(&self) -> usize {
        let room = self.bytes.len().saturating_sub(raw::ExtentHeader::SIZE);
        room.checked_div(raw::Extent::SIZE).unwrap_or(0)
    }

    fn entries(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let entries = self.bytes.get(raw::ExtentHeader::SIZE..).unwrap_or_default();
        let count = usize::from(self.header.eh_entries.get());
        entries.chunks_exact(raw::Extent::SIZE).take(count)
    }

    /// The entries of a leaf.
    pub fn runs(&self) -> impl Iterator<Item = Run> + use<'a> {
        self.entries().filter_map(|entry| raw::Extent::read_from_bytes(entry).ok()).map(|extent| {
            let len = u32::from(extent.ee_len.get());
            let unwritten = len > 0x8000;
            let high = u64::from(extent.ee_start_hi.get()) << 32;
            Run {
                logical: u64::from(extent.ee_block.get()),
                block: Block(high | u64::from(extent.ee_start_lo.get())),
                len: if unwritten { len.saturating_sub(0x8000) } else { len },
                unwritten,
            }
        })
    }

    /// The entries of an inner node.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<'a> {
        let indexes = self.entries().filter_map(|e| raw::ExtentIndex::read_from_bytes(e).ok());
        indexes.map(|index| {
            let high = u64::from(index.ei_leaf_hi.get()) << 32;
            Slot {
                logical: u64::from(index.ei_block.get()),
                child: Block(high | u64::from(index.ei_leaf_lo.get())),
            }
        })
    }

    /// The checksum of a node that is a block: what is stored, and what should be. `None` where
    /// `eh_max` leaves no room for it.
    pub fn checksum(&self, inode_seed: u32) -> Option<(u32, u32)> {
        let max = usize::from(self.header.eh_max.get());
        let at = max.saturating_mul(raw::Extent::SIZE).saturating_add(raw::ExtentHeader::SIZE);
        let (covered, rest) = self.bytes.split_at_checked(at)?;
        let (tail, _) = raw::ExtentTail::read_from_prefix(rest).ok()?;
        Some((tail.et_checksum.get(), checksum::crc32c(inode_seed, covered)))
    }
}

/// A block that lists blocks, or `i_block` of a file without extents.
#[derive(Clone, Copy, Debug)]
pub struct IndirectNode<'a>(pub &'a [u8]);

impl<'a> IndirectNode<'a> {
    /// The entries; 0 is a hole.
    pub fn blocks(&self) -> impl Iterator<Item = Block> + use<'a> {
        let entries = self.0.chunks_exact(size_of::<u32>());
        let numbers = entries.filter_map(|entry| <[u8; 4]>::try_from(entry).ok());
        numbers.map(|number| Block(u64::from(u32::from_le_bytes(number))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_no_more_than_there_are() {
        let mut node = vec![0; 60];
        node[..2].copy_from_slice(&0xf30a_u16.to_le_bytes());
        node[2..4].copy_from_slice(&u16::MAX.to_le_bytes());
        node[4..6].copy_from_slice(&u16::MAX.to_le_bytes());
        // One that was never written.
        node[12..18].copy_from_slice(&[7, 0, 0, 0, 2, 0x80]);
        node[18..24].copy_from_slice(&[1, 0, 9, 0, 0, 0]);
        let node = ExtentNode::new(&node).unwrap();
        let runs: Vec<_> = node.runs().collect();
        assert_eq!(runs.len(), 4);
        let first = Run { logical: 7, block: Block(0x1_0000_0009), len: 2, unwritten: true };
        assert_eq!(runs[0], first);
        assert_eq!(node.slots().count(), 4);
        assert_eq!(node.checksum(0), None);
        assert!(ExtentNode::new(&[0; 11]).is_none());
    }
}
