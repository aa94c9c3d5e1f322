//! ext2, ext3 and ext4 file systems. Linux, Documentation/filesystems/ext4, and lib/ext2fs of
//! e2fsprogs.
//!
//! The structures, where they lie, and their checksums. Following what they point to is for who can
//! judge it: a node of a tree is a few bytes here, and never leads to another by itself.

pub mod checksum;
mod directory;
mod features;
mod geometry;
mod group;
mod hash;
mod inode;
mod map;
mod mmp;
mod orphan;
mod quota;
pub mod raw;
mod xattr;

use std::fmt;

use crate::bytes::{ReadError, Region};

pub use directory::{BlockChecksum, DirectoryBlock, DirectoryEntry, DxEntries, record_len};
pub use features::{FeatureSet, compat, incompat, ro_compat};
pub use geometry::{Geometry, GroupLayout};
pub use group::Descriptor;
pub use hash::{NameHash, SIPHASH};
pub use inode::{FileType, Inode};
pub use map::{ExtentNode, IndirectNode, MAX_EXTENT_DEPTH, Run, Slot};
pub use mmp::Mmp;
pub use orphan::OrphanBlock;
pub use quota::{QuotaEntry, QuotaFile, QuotaType, quota_references};
pub use xattr::{XATTR_MAGIC, Xattr, Xattrs, words};

/// The number of a block of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(pub u64);

/// The number of an inode; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(pub u32);

/// The number of a group of blocks; the first is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupIndex(pub u32);

impl Ino {
    /// `EXT4_BAD_INO`: the blocks that the disk cannot hold.
    pub const BAD_BLOCKS: Self = Self(1);
    /// `EXT4_ROOT_INO`: the root.
    pub const ROOT: Self = Self(2);
    /// `EXT4_USR_QUOTA_INO`: what users may use.
    pub const USER_QUOTA: Self = Self(3);
    /// `EXT4_GRP_QUOTA_INO`: what groups may use.
    pub const GROUP_QUOTA: Self = Self(4);
    /// `EXT4_BOOT_LOADER_INO`: a boot loader.
    pub const BOOT_LOADER: Self = Self(5);
    /// `EXT4_RESIZE_INO`: the blocks that are kept for more group descriptors.
    pub const RESIZE: Self = Self(7);
    /// `EXT4_JOURNAL_INO`: the journal.
    pub const JOURNAL: Self = Self(8);
    /// `EXT4_GOOD_OLD_FIRST_INO`: the first that is not reserved, in revision 0.
    pub const GOOD_OLD_FIRST: Self = Self(11);
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {}", self.0)
    }
}

impl fmt::Display for Ino {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inode {}", self.0)
    }
}

impl fmt::Display for GroupIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", self.0)
    }
}

/// The superblock, read and not judged.
#[derive(Clone, Copy, Debug)]
pub struct Superblock {
    /// The bytes.
    pub raw: raw::Superblock,
}

impl Superblock {
    /// Where it begins, from the start of the file system.
    pub const OFFSET: u64 = 1024;

    /// `s_magic`.
    pub const MAGIC: u16 = 0xef53;

    /// Reads the first copy.
    pub fn read(region: &Region) -> Result<Self, ReadError> {
        Self::read_at(region, Self::OFFSET)
    }

    /// Reads the copy at `at`.
    pub fn read_at(region: &Region, at: u64) -> Result<Self, ReadError> {
        let bytes = region.array::<{ raw::Superblock::SIZE }>("ext4 superblock", at)?;
        Ok(Self { raw: zerocopy::transmute!(bytes) })
    }

    /// True if the superblock has the magic number.
    pub fn has_magic(&self) -> bool {
        self.raw.s_magic.get() == Self::MAGIC
    }

    /// `s_rev_level` 1: inodes may have another size. The features count in revision 0 as well, for
    /// Linux and for e2fsprogs.
    pub fn is_dynamic(&self) -> bool {
        self.raw.s_rev_level.get() >= 1
    }

    /// True if the file system has this feature of [`compat`].
    pub fn compat(&self, feature: u32) -> bool {
        self.raw.s_feature_compat.get() & feature != 0
    }

    /// True if the file system has this feature of [`incompat`].
    pub fn incompat(&self, feature: u32) -> bool {
        self.raw.s_feature_incompat.get() & feature != 0
    }

    /// True if the file system has this feature of [`ro_compat`].
    pub fn ro_compat(&self, feature: u32) -> bool {
        self.raw.s_feature_ro_compat.get() & feature != 0
    }

    fn wide(&self, low: u32, high: u32) -> u64 {
        let high = if self.incompat(incompat::BITS_64) { high } else { 0 };
        u64::from(high) << 32 | u64::from(low)
    }

    /// Number of blocks.
    pub fn blocks_count(&self) -> u64 {
        self.wide(self.raw.s_blocks_count_lo.get(), self.raw.s_blocks_count_hi.get())
    }

    /// Number of blocks that are kept for the superuser.
    pub fn reserved_blocks_count(&self) -> u64 {
        self.wide(self.raw.s_r_blocks_count_lo.get(), self.raw.s_r_blocks_count_hi.get())
    }

    /// Number of free blocks.
    pub fn free_blocks_count(&self) -> u64 {
        self.wide(self.raw.s_free_blocks_count_lo.get(), self.raw.s_free_blocks_count_hi.get())
    }

    /// Size of a block in bytes; `None` for more than 64 KiB.
    pub fn block_size(&self) -> Option<u32> {
        let log = self.raw.s_log_block_size.get();
        (log <= 6).then(|| 1024_u32.checked_shl(log)).flatten()
    }

    /// Blocks in a cluster: 1 without bigalloc; `None` where it has no sense.
    pub fn cluster_blocks(&self) -> Option<u32> {
        if !self.ro_compat(ro_compat::BIGALLOC) {
            return Some(1);
        }
        let blocks = self.raw.s_log_block_size.get();
        let log = self.raw.s_log_cluster_size.get().checked_sub(blocks)?;
        // `EXT2_MAX_CLUSTER_LOG_SIZE` is 29, of which 10 are 1024.
        (log <= 19).then(|| 1_u32.checked_shl(log)).flatten()
    }

    /// Size of an inode in bytes.
    pub fn inode_size(&self) -> u16 {
        if self.is_dynamic() { self.raw.s_inode_size.get() } else { 128 }
    }

    /// The first inode that is not reserved.
    pub fn first_ino(&self) -> Ino {
        if self.is_dynamic() { Ino(self.raw.s_first_ino.get()) } else { Ino::GOOD_OLD_FIRST }
    }

    /// Size of a group descriptor in bytes.
    pub fn desc_size(&self) -> u16 {
        if self.incompat(incompat::BITS_64) { self.raw.s_desc_size.get() } else { 32 }
    }

    /// The seed of all checksums, with metadata_csum.
    pub fn checksum_seed(&self) -> u32 {
        if self.incompat(incompat::CSUM_SEED) {
            self.raw.s_checksum_seed.get()
        } else {
            checksum::crc32c(!0, &self.raw.s_uuid)
        }
    }

    /// crc32c of all that is before `s_checksum`.
    pub fn checksum(&self) -> u32 {
        let bytes = zerocopy::IntoBytes::as_bytes(&self.raw);
        let covered = bytes.get(..std::mem::offset_of!(raw::Superblock, s_checksum));
        checksum::crc32c(!0, covered.unwrap_or_default())
    }

    /// The label, up to its first NUL.
    pub fn label(&self) -> &[u8] {
        self.raw.s_volume_name.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}
