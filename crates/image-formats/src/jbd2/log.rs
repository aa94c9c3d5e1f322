//! Blocks of the log.

use std::mem::offset_of;

use zerocopy::FromBytes as _;

use super::{checksum_without, raw};
use crate::ext4::{Block, checksum};

/// How the blocks of a log are written: what its features say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// Numbers of blocks have 64 bits.
    pub bits_64: bool,
    /// Tags have the low half of a crc32c.
    pub csum_v2: bool,
    /// Tags have a crc32c, and a form of their own.
    pub csum_v3: bool,
    /// The seed of the checksums.
    pub seed: u32,
}

impl Format {
    /// True if blocks have a crc32c.
    pub fn has_checksums(self) -> bool {
        self.csum_v2 || self.csum_v3
    }

    /// `journal_tag_bytes`: size of a tag, without its UUID.
    pub fn tag_size(self) -> usize {
        let wide: usize = if self.bits_64 { 4 } else { 0 };
        match (self.csum_v3, self.csum_v2) {
            (true, _) => raw::BlockTag3::SIZE,
            // Two bytes that nobody reads.
            (_, true) => wide.saturating_add(10),
            _ => wide.saturating_add(8),
        }
    }

    /// What of a descriptor or revoke block entries may use.
    fn room(self, block: &[u8]) -> &[u8] {
        let tail = if self.has_checksums() { raw::BlockTail::SIZE } else { 0 };
        block.get(..block.len().saturating_sub(tail)).unwrap_or_default()
    }

    /// The checksum of a descriptor or revoke block: what is stored, and what should be.
    pub fn block_checksum(self, block: &[u8]) -> (u32, u32) {
        let at = block.len().saturating_sub(raw::BlockTail::SIZE);
        let stored = raw::BlockTail::read_from_suffix(block).map(|(_, tail)| tail.t_checksum.get());
        (stored.unwrap_or(0), checksum_without(self.seed, block, at))
    }

    /// The checksum of a commit block: what is stored, and what should be.
    pub fn commit_checksum(self, block: &[u8]) -> (u32, u32) {
        let at = offset_of!(raw::CommitHeader, h_chksum);
        let stored = block.get(at..).and_then(|rest| rest.first_chunk());
        let stored = stored.map_or(0, |bytes| u32::from_be_bytes(*bytes));
        (stored, checksum_without(self.seed, block, at))
    }

    /// What the checksum in a tag should be, for the copy that belongs to it.
    pub fn tag_checksum(self, sequence: u32, copy: &[u8]) -> u32 {
        let sum = checksum::crc32c(self.seed, &sequence.to_be_bytes());
        let sum = checksum::crc32c(sum, copy);
        if self.csum_v3 { sum } else { sum & 0xffff }
    }
}

/// The header of a block of the log, read and not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `h_blocktype`.
    pub kind: u32,
    /// `h_sequence`.
    pub sequence: u32,
}

impl Header {
    /// `JBD2_MAGIC_NUMBER`.
    pub const MAGIC: u32 = 0xc03b_3998;
    /// `JBD2_DESCRIPTOR_BLOCK`.
    pub const DESCRIPTOR: u32 = 1;
    /// `JBD2_COMMIT_BLOCK`.
    pub const COMMIT: u32 = 2;
    /// `JBD2_SUPERBLOCK_V1`.
    pub const SUPERBLOCK_V1: u32 = 3;
    /// `JBD2_SUPERBLOCK_V2`.
    pub const SUPERBLOCK_V2: u32 = 4;
    /// `JBD2_REVOKE_BLOCK`.
    pub const REVOKE: u32 = 5;

    /// The header of `block`, if it has the magic number.
    pub fn new(block: &[u8]) -> Option<Self> {
        let (header, _) = raw::Header::read_from_prefix(block).ok()?;
        let has_magic = header.h_magic.get() == Self::MAGIC;
        has_magic
            .then(|| Self { kind: header.h_blocktype.get(), sequence: header.h_sequence.get() })
    }
}

/// Where a copy belongs, read and not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The block of the file system.
    pub block: Block,
    /// `t_flags`.
    pub flags: u32,
    /// `t_checksum`; with csum_v2 it has 16 bits.
    pub checksum: u32,
}

impl Tag {
    /// `JBD2_FLAG_ESCAPE`: the copy began with the magic number, and has zeros in its place.
    pub const ESCAPE: u32 = 1;
    /// `JBD2_FLAG_SAME_UUID`: no UUID follows.
    pub const SAME_UUID: u32 = 2;
    /// `JBD2_FLAG_DELETED`: not used.
    pub const DELETED: u32 = 4;
    /// `JBD2_FLAG_LAST_TAG`: the last in its block.
    pub const LAST: u32 = 8;

    fn new(bytes: &[u8], format: Format) -> Option<Self> {
        let wide = |low: u32, high: u32| {
            let high = if format.bits_64 { high } else { 0 };
            Block(u64::from(high) << 32 | u64::from(low))
        };
        if format.csum_v3 {
            let (tag, _) = raw::BlockTag3::read_from_prefix(bytes).ok()?;
            // The kernel reads the low half of the flags only.
            return Some(Self {
                block: wide(tag.t_blocknr.get(), tag.t_blocknr_high.get()),
                flags: tag.t_flags.get() & 0xffff,
                checksum: tag.t_checksum.get(),
            });
        }
        let mut whole = [0; raw::BlockTag::SIZE];
        whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let tag: raw::BlockTag = zerocopy::transmute!(whole);
        Some(Self {
            block: wide(tag.t_blocknr.get(), tag.t_blocknr_high.get()),
            flags: u32::from(tag.t_flags.get()),
            checksum: u32::from(tag.t_checksum.get()),
        })
    }
}

/// A block that says where the copies that follow it belong.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor<'a> {
    bytes: &'a [u8],
    format: Format,
}

impl<'a> Descriptor<'a> {
    /// The descriptor in `block`.
    pub fn new(block: &'a [u8], format: Format) -> Self {
        Self { bytes: block, format }
    }

    /// The tags, each of which has a copy in the log.
    pub fn tags(self) -> impl Iterator<Item = Tag> + use<'a> {
        let format = self.format;
        let size = format.tag_size();
        let block = self.bytes;
        let end = format.room(block).len();
        let mut at = raw::Header::SIZE;
        std::iter::from_fn(move || {
            let after = at.checked_add(size).filter(|after| *after <= end)?;
            let tag = Tag::new(block.get(at..after)?, format)?;
            at = if tag.flags & Tag::LAST != 0 {
                usize::MAX
            } else if tag.flags & Tag::SAME_UUID != 0 {
                after
            } else {
                after.saturating_add(16)
            };
            Some(tag)
        })
    }
}

/// A block that takes back earlier copies.
#[derive(Clone, Copy, Debug)]
pub struct Revoke<'a> {
    bytes: &'a [u8],
    format: Format,
}

impl<'a> Revoke<'a> {
    /// The revoke block in `block`.
    pub fn new(block: &'a [u8], format: Format) -> Self {
        Self { bytes: block, format }
    }

    /// `r_count`: bytes in use.
    pub fn count(self) -> u32 {
        let header = raw::RevokeHeader::read_from_prefix(self.bytes);
        header.map_or(0, |(header, _)| header.r_count.get())
    }

    /// How many bytes there is room for.
    pub fn room(self) -> usize {
        self.format.room(self.bytes).len()
    }

    /// The blocks whose copies are not to be replayed.
    pub fn blocks(self) -> impl Iterator<Item = Block> + use<'a> {
        let count = usize::try_from(self.count()).unwrap_or(usize::MAX).min(self.room());
        let used = self.bytes.get(raw::RevokeHeader::SIZE..count).unwrap_or_default();
        let size = if self.format.bits_64 { 8 } else { 4 };
        used.chunks_exact(size)
            .map(|number| Block(number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))))
    }
}

/// A block that commits a transaction, read and not judged.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    /// The bytes.
    pub raw: raw::CommitHeader,
}

impl Commit {
    /// `JBD2_CRC32_CHKSUM`: `h_chksum_type` of a crc32.
    pub const CRC32: u8 = 1;
    /// `JBD2_CRC32_CHKSUM_SIZE`: `h_chksum_size` of it.
    pub const CRC32_SIZE: u8 = 4;

    /// The commit block in `block`.
    pub fn new(block: &[u8]) -> Option<Self> {
        raw::CommitHeader::read_from_prefix(block).ok().map(|(raw, _)| Self { raw })
    }

    /// The crc32 of the transaction, with the feature checksum; 0 where there is none.
    pub fn checksum(&self) -> u32 {
        self.raw.h_chksum.first().map_or(0, |sum| sum.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Format = Format { bits_64: false, csum_v2: false, csum_v3: false, seed: 1 };

    #[test]
    fn tags_have_five_sizes() {
        let size =
            |bits_64, csum_v2, csum_v3| Format { bits_64, csum_v2, csum_v3, seed: 0 }.tag_size();
        assert_eq!(size(false, false, false), 8);
        assert_eq!(size(true, false, false), 12);
        assert_eq!(size(false, true, false), 10);
        assert_eq!(size(true, true, false), 14);
        assert_eq!(size(false, false, true), 16);
        assert_eq!(size(true, false, true), 16);
    }

    #[test]
    fn a_uuid_follows_unless_it_is_the_same() {
        let mut block = vec![0; 64];
        block[12..20].copy_from_slice(&[0, 0, 0, 5, 0, 0, 0, 0]);
        block[36..44].copy_from_slice(&[0, 0, 0, 6, 0, 0, 0, 2]);
        block[44..52].copy_from_slice(&[0, 0, 0, 7, 0, 0, 0, 10]);
        let blocks = |block: &[u8]| {
            Descriptor::new(block, PLAIN).tags().map(|tag| tag.block.0).collect::<Vec<_>>()
        };
        assert_eq!(blocks(&block), [5, 6, 7]);
        // Without an end the block ends them.
        block[51] = 2;
        assert_eq!(blocks(&block), [5, 6, 7, 0]);
    }

    #[test]
    fn tags_of_version_3_have_all_bits() {
        let format = Format { bits_64: true, csum_v3: true, ..PLAIN };
        let mut block = vec![0; 48];
        block[12..28].copy_from_slice(&[0, 0, 0, 5, 0xff, 0, 0, 10, 0, 0, 0, 9, 1, 2, 3, 4]);
        let tags: Vec<_> = Descriptor::new(&block, format).tags().collect();
        let expected = Tag { block: Block(0x9_0000_0005), flags: 10, checksum: 0x0102_0304 };
        assert_eq!(tags, [expected]);
        assert_eq!(format.block_checksum(&block).0, 0);
        let narrow = Format { bits_64: false, ..format };
        assert_eq!(Descriptor::new(&block, narrow).tags().next().unwrap().block, Block(5));
    }

    #[test]
    fn a_revoke_block_ends_with_the_block() {
        let mut block = vec![0; 40];
        block[12..20].copy_from_slice(&[0, 0, 0, 24, 0, 0, 0, 5]);
        block[20..24].copy_from_slice(&[1, 0, 0, 0]);
        let narrow = Revoke::new(&block, PLAIN);
        assert_eq!(narrow.blocks().collect::<Vec<_>>(), [Block(5), Block(0x0100_0000)]);
        let wide = Revoke::new(&block, Format { bits_64: true, ..PLAIN });
        assert_eq!(wide.blocks().collect::<Vec<_>>(), [Block(0x5_0100_0000)]);
        block[12] = 0xff;
        assert_eq!(Revoke::new(&block, PLAIN).blocks().count(), 6);
        let format = Format { csum_v2: true, ..PLAIN };
        assert_eq!(Revoke::new(&block, format).blocks().count(), 5);
        block[12..16].fill(0);
        assert_eq!(Revoke::new(&block, PLAIN).blocks().count(), 0);
    }

    #[test]
    fn a_block_without_magic_is_no_part_of_the_log() {
        let mut block = [0; 60];
        assert_eq!(Header::new(&block), None);
        block[..12].copy_from_slice(&[0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 2, 0, 0, 1, 0]);
        assert_eq!(Header::new(&block), Some(Header { kind: Header::COMMIT, sequence: 256 }));
        assert_eq!(Header::new(&block[..11]), None);
        block[0x10..0x14].copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(Commit::new(&block).unwrap().checksum(), 0x0102_0304);
        assert_eq!(PLAIN.commit_checksum(&block).0, 0x0102_0304);
    }
}
