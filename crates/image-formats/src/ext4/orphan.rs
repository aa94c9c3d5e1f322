//! The file that lists inodes to delete.

use zerocopy::FromBytes as _;

use super::{Block, checksum, raw};

/// A block of the orphan file, read and not judged.
#[derive(Clone, Copy, Debug)]
pub struct OrphanBlock<'a> {
    /// Its last bytes.
    pub tail: raw::OrphanTail,
    bytes: &'a [u8],
}

impl<'a> OrphanBlock<'a> {
    /// `EXT4_ORPHAN_BLOCK_MAGIC`.
    pub const MAGIC: u32 = 0x0b10_ca04;

    /// The block in `bytes`. `None` where they are too few.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (bytes, tail) = raw::OrphanTail::read_from_suffix(bytes).ok()?;
        Some(Self { tail, bytes })
    }

    /// The entries that are in use: numbers of inodes.
    pub fn entries(&self) -> impl Iterator<Item = u32> + use<'a> {
        let numbers = self.bytes.as_chunks::<4>().0.iter();
        numbers.map(|number| u32::from_le_bytes(*number)).filter(|number| *number != 0)
    }

    /// What the checksum should be: `seed` is that of the inode.
    pub fn checksum(&self, seed: u32, block: Block) -> u32 {
        checksum::crc32c(checksum::crc32c(seed, &block.0.to_le_bytes()), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_before_the_tail() {
        let mut bytes = vec![0; 32];
        bytes[4] = 12;
        bytes[20] = 13;
        bytes[24..28].copy_from_slice(&OrphanBlock::MAGIC.to_le_bytes());
        let block = OrphanBlock::new(&bytes).unwrap();
        assert_eq!(block.tail.ob_magic.get(), OrphanBlock::MAGIC);
        assert_eq!(block.entries().collect::<Vec<_>>(), [12, 13]);
        assert_ne!(block.checksum(1, Block(5)), block.checksum(1, Block(6)));
        assert!(OrphanBlock::new(&[0; 7]).is_none());
    }
}
