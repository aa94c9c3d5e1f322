//! The journal of ext3 and ext4. Linux, Documentation/filesystems/ext4/journal.rst,
//! include/linux/jbd2.h and fs/ext4/fast_commit.h.
//!
//! A log of transactions in a ring of blocks: descriptors that say where the copies of blocks that
//! follow them belong, blocks that revoke earlier copies, and a block that commits. Fast commits
//! lie behind the ring.

mod fast_commit;
mod log;
pub mod raw;

use std::mem::offset_of;

use crc::{CRC_32_MPEG_2, Crc, Table};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::ext4::checksum;

pub use fast_commit::{FastCommitTag, fast_commit_tags};
pub use log::{Commit, Descriptor, Format, Header, Revoke, Tag};

/// `s_feature_compat`: features that others may ignore.
pub mod compat {
    /// `JBD2_FEATURE_COMPAT_CHECKSUM`: commit blocks have a crc32 of the transaction.
    pub const CHECKSUM: u32 = 0x1;
}

/// `s_feature_incompat`: features that a reader must know.
pub mod incompat {
    /// There are blocks that revoke.
    pub const REVOKE: u32 = 0x1;
    /// Numbers of blocks have 64 bits.
    pub const BITS_64: u32 = 0x2;
    /// A commit block may be written before what it commits.
    pub const ASYNC_COMMIT: u32 = 0x4;
    /// Blocks have a crc32c, of which tags have the low half.
    pub const CSUM_V2: u32 = 0x8;
    /// Blocks have a crc32c, and tags are longer.
    pub const CSUM_V3: u32 = 0x10;
    /// There may be fast commits behind the log.
    pub const FAST_COMMIT: u32 = 0x20;
    /// Those that e2fsck 1.47 and Linux 6 know.
    pub const KNOWN: u32 = 0x3f;
}

/// The superblock of a journal, read and not judged.
#[derive(Clone, Copy, Debug)]
pub struct Superblock {
    /// The bytes.
    pub raw: raw::Superblock,
}

impl Superblock {
    /// `JBD2_MIN_JOURNAL_BLOCKS`: no journal has fewer blocks.
    pub const MIN_BLOCKS: u32 = 1024;
    /// `JBD2_DEFAULT_FAST_COMMIT_BLOCKS`: blocks for fast commits where `s_num_fc_blks` is 0.
    pub const DEFAULT_FAST_COMMIT_BLOCKS: u32 = 256;
    /// `JBD2_CRC32C_CHKSUM`: `s_checksum_type` of the only checksum there is.
    pub const CRC32C: u8 = 4;

    /// The superblock in `bytes`: the first block of a journal. `None` where they are too few.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        raw::Superblock::read_from_prefix(bytes).ok().map(|(raw, _)| Self { raw })
    }

    /// True if it is of version 2, which has features, a UUID and users.
    pub fn is_v2(&self) -> bool {
        self.raw.s_header.h_blocktype.get() == Header::SUPERBLOCK_V2
    }

    /// True if the journal has this feature of [`compat`].
    pub fn compat(&self, feature: u32) -> bool {
        self.is_v2() && self.raw.s_feature_compat.get() & feature != 0
    }

    /// True if the journal has this feature of [`incompat`].
    pub fn incompat(&self, feature: u32) -> bool {
        self.is_v2() && self.raw.s_feature_incompat.get() & feature != 0
    }

    /// True if its blocks have a crc32c.
    pub fn has_checksums(&self) -> bool {
        self.incompat(incompat::CSUM_V2 | incompat::CSUM_V3)
    }

    /// `s_checksum`: the crc32c of the superblock, that field taken as zero.
    pub fn checksum(&self) -> u32 {
        let at = offset_of!(raw::Superblock, s_checksum);
        checksum_without(!0, self.raw.as_bytes(), at)
    }

    /// The seed of the checksums of all other blocks.
    pub fn checksum_seed(&self) -> u32 {
        checksum::crc32c(!0, &self.raw.s_uuid)
    }

    /// How the blocks of the log are written.
    pub fn format(&self) -> Format {
        Format {
            bits_64: self.incompat(incompat::BITS_64),
            csum_v2: self.incompat(incompat::CSUM_V2),
            csum_v3: self.incompat(incompat::CSUM_V3),
            seed: self.checksum_seed(),
        }
    }

    /// Blocks at the end that are kept for fast commits; 0 without them.
    pub fn fast_commit_blocks(&self) -> u32 {
        match self.raw.s_num_fc_blks.get() {
            _ if !self.incompat(incompat::FAST_COMMIT) => 0,
            0 => Self::DEFAULT_FAST_COMMIT_BLOCKS,
            blocks => blocks,
        }
    }
}

static CRC32_TABLES: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_MPEG_2);

/// `crc32_be`: continues the checksum of a transaction with a block of the log, for the feature
/// [`compat::CHECKSUM`]; the first seed is `!0`.
pub fn transaction_checksum(seed: u32, block: &[u8]) -> u32 {
    let mut digest = CRC32_TABLES.digest_with_initial(seed);
    digest.update(block);
    digest.finalize()
}

/// crc32c of `bytes`, where the four at `at` are taken as zero.
fn checksum_without(seed: u32, bytes: &[u8], at: usize) -> u32 {
    let before = bytes.get(..at).unwrap_or(bytes);
    let after = bytes.get(at.saturating_add(4)..).unwrap_or_default();
    let sum = checksum::crc32c(checksum::crc32c(seed, before), &[0; 4]);
    checksum::crc32c(sum, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A superblock as debugfs writes it.
    fn superblock(version: u8) -> Vec<u8> {
        let mut bytes = vec![0; 1024];
        bytes[..8].copy_from_slice(&[0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, version]);
        bytes[0x2b] = 0x12;
        bytes[0x57] = 9;
        bytes[0x30..0x40].fill(7);
        bytes
    }

    #[test]
    fn version_1_has_no_features() {
        let one = Superblock::new(&superblock(3)).unwrap();
        assert!(!one.is_v2() && !one.has_checksums() && !one.incompat(incompat::BITS_64));
        let two = Superblock::new(&superblock(4)).unwrap();
        assert!(two.has_checksums() && two.format().csum_v3 && two.format().bits_64);
        assert_eq!(two.fast_commit_blocks(), 0);
        assert!(Superblock::new(&[0; 1023]).is_none());
    }

    #[test]
    fn fast_commits_have_256_blocks_where_nothing_is_said() {
        let mut bytes = superblock(4);
        bytes[0x2b] = 0x20;
        assert_eq!(Superblock::new(&bytes).unwrap().fast_commit_blocks(), 9);
        bytes[0x57] = 0;
        assert_eq!(Superblock::new(&bytes).unwrap().fast_commit_blocks(), 256);
    }

    /// The check value of the catalog of Greg Cook, and that a sum can be continued.
    #[test]
    fn the_checksum_of_a_transaction_can_be_continued() {
        assert_eq!(transaction_checksum(!0, b"123456789"), 0x0376_e6e7);
        let half = transaction_checksum(!0, b"1234");
        assert_eq!(transaction_checksum(half, b"56789"), 0x0376_e6e7);
    }

    #[test]
    fn the_checksum_does_not_cover_itself() {
        let mut bytes = superblock(4);
        let sum = Superblock::new(&bytes).unwrap().checksum();
        bytes[0xfc..0x100].copy_from_slice(&sum.to_be_bytes());
        let with = Superblock::new(&bytes).unwrap();
        assert_eq!((with.checksum(), with.raw.s_checksum.get()), (sum, sum));
        bytes[0x3ff] = 1;
        assert_ne!(Superblock::new(&bytes).unwrap().checksum(), sum);
    }
}
