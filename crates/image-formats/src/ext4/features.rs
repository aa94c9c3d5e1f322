//! The features of a file system, and what people call them.

use std::borrow::Cow;

/// `s_feature_compat`: features that others may ignore.
pub mod compat {
    /// Blocks are preallocated for directories.
    pub const DIR_PREALLOC: u32 = 0x1;
    /// AFS.
    pub const IMAGIC_INODES: u32 = 0x2;
    /// There is a journal: ext3.
    pub const HAS_JOURNAL: u32 = 0x4;
    /// There are extended attributes.
    pub const EXT_ATTR: u32 = 0x8;
    /// Blocks are kept for more group descriptors.
    pub const RESIZE_INODE: u32 = 0x10;
    /// Directories have an index.
    pub const DIR_INDEX: u32 = 0x20;
    /// Copies of the superblock are in two groups at most.
    pub const SPARSE_SUPER2: u32 = 0x200;
    /// The journal may have fast commits.
    pub const FAST_COMMIT: u32 = 0x400;
    /// Numbers of inodes and the UUID never change.
    pub const STABLE_INODES: u32 = 0x800;
    /// The inodes to delete are listed in a file.
    pub const ORPHAN_FILE: u32 = 0x1000;
    /// Those that e2fsck 1.47 knows.
    pub const KNOWN: u32 = 0x1e3f;
}

/// `s_feature_incompat`: features that a reader must know.
pub mod incompat {
    /// Entries of directories have the type of the file.
    pub const FILETYPE: u32 = 0x2;
    /// The journal is to be replayed.
    pub const RECOVER: u32 = 0x4;
    /// No file system: the journal of another one.
    pub const JOURNAL_DEV: u32 = 0x8;
    /// Group descriptors lie in the groups that they describe.
    pub const META_BG: u32 = 0x10;
    /// Files have extents: ext4.
    pub const EXTENTS: u32 = 0x40;
    /// Numbers of blocks have 64 bits, and group descriptors 64 bytes.
    pub const BITS_64: u32 = 0x80;
    /// Multi-mount protection.
    pub const MMP: u32 = 0x100;
    /// Bitmaps and inode tables of several groups lie together.
    pub const FLEX_BG: u32 = 0x200;
    /// Large extended attributes have an inode.
    pub const EA_INODE: u32 = 0x400;
    /// The seed of the checksums is in the superblock.
    pub const CSUM_SEED: u32 = 0x2000;
    /// Directories of more than 2 GiB, or with an index of three levels.
    pub const LARGEDIR: u32 = 0x4000;
    /// Small files and directories lie in their inodes.
    pub const INLINE_DATA: u32 = 0x8000;
    /// Some inodes are encrypted.
    pub const ENCRYPT: u32 = 0x10000;
    /// Some directories do not care for case.
    pub const CASEFOLD: u32 = 0x20000;
    /// Those that e2fsck 1.47 knows.
    pub const KNOWN: u32 = 0x3e7de;
}

/// `s_feature_ro_compat`: features that a writer must know.
pub mod ro_compat {
    /// Not every group has a copy of the superblock.
    pub const SPARSE_SUPER: u32 = 0x1;
    /// There are files of more than 2 GiB.
    pub const LARGE_FILE: u32 = 0x2;
    /// `i_blocks` has 48 bits, and may count blocks.
    pub const HUGE_FILE: u32 = 0x8;
    /// Group descriptors have a crc16.
    pub const GDT_CSUM: u32 = 0x10;
    /// A directory may have more subdirectories than its links can count.
    pub const DIR_NLINK: u32 = 0x20;
    /// Inodes have more than 128 bytes.
    pub const EXTRA_ISIZE: u32 = 0x40;
    /// There are quotas, in inodes that have no name.
    pub const QUOTA: u32 = 0x100;
    /// Space is given in clusters of blocks.
    pub const BIGALLOC: u32 = 0x200;
    /// All metadata have a crc32c.
    pub const METADATA_CSUM: u32 = 0x400;
    /// Nobody may write.
    pub const READONLY: u32 = 0x1000;
    /// There are quotas of projects.
    pub const PROJECT: u32 = 0x2000;
    /// Files share blocks, and nobody may write.
    pub const SHARED_BLOCKS: u32 = 0x4000;
    /// Some files have a hash tree.
    pub const VERITY: u32 = 0x8000;
    /// The file of inodes to delete lists some.
    pub const ORPHAN_PRESENT: u32 = 0x10000;
    /// Those that e2fsck 1.47 knows.
    pub const KNOWN: u32 = 0x1f77b;
}

/// One of the three fields with features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureSet {
    /// `s_feature_compat`.
    Compat,
    /// `s_feature_incompat`.
    Incompat,
    /// `s_feature_ro_compat`.
    RoCompat,
}

/// The names that `tune2fs -l` prints, by the number of the bit.
const COMPAT: &[(u32, &str)] = &[
    (0, "dir_prealloc"),
    (1, "imagic_inodes"),
    (2, "has_journal"),
    (3, "ext_attr"),
    (4, "resize_inode"),
    (5, "dir_index"),
    (6, "lazy_bg"),
    (8, "snapshot_bitmap"),
    (9, "sparse_super2"),
    (10, "fast_commit"),
    (11, "stable_inodes"),
    (12, "orphan_file"),
];

const INCOMPAT: &[(u32, &str)] = &[
    (0, "compression"),
    (1, "filetype"),
    (2, "needs_recovery"),
    (3, "journal_dev"),
    (4, "meta_bg"),
    (6, "extent"),
    (7, "64bit"),
    (8, "mmp"),
    (9, "flex_bg"),
    (10, "ea_inode"),
    (12, "dirdata"),
    (13, "metadata_csum_seed"),
    (14, "large_dir"),
    (15, "inline_data"),
    (16, "encrypt"),
    (17, "casefold"),
];

const RO_COMPAT: &[(u32, &str)] = &[
    (0, "sparse_super"),
    (1, "large_file"),
    (3, "huge_file"),
    (4, "uninit_bg"),
    (5, "dir_nlink"),
    (6, "extra_isize"),
    (8, "quota"),
    (9, "bigalloc"),
    (10, "metadata_csum"),
    (11, "replica"),
    (12, "read-only"),
    (13, "project"),
    (14, "shared_blocks"),
    (15, "verity"),
    (16, "orphan_present"),
];

impl FeatureSet {
    /// The names of the features in `bits`, from the lowest bit on. One without a name is called by
    /// its number, as `FEATURE_C31`.
    pub fn names(self, bits: u32) -> impl Iterator<Item = Cow<'static, str>> {
        let (table, letter) = match self {
            Self::Compat => (COMPAT, 'C'),
            Self::Incompat => (INCOMPAT, 'I'),
            Self::RoCompat => (RO_COMPAT, 'R'),
        };
        let set = (0..u32::BITS).filter(move |bit| bits & (1 << bit) != 0);
        set.map(move |bit| match table.iter().find(|(number, _)| *number == bit) {
            Some((_, name)) => Cow::Borrowed(*name),
            None => Cow::Owned(format!("FEATURE_{letter}{bit}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that are known have a name, and the others a number.
    #[test]
    fn features_have_names() {
        let sets = [
            (FeatureSet::Compat, compat::KNOWN),
            (FeatureSet::Incompat, incompat::KNOWN),
            (FeatureSet::RoCompat, ro_compat::KNOWN),
        ];
        for (set, known) in sets {
            let names: Vec<_> = set.names(known).collect();
            assert_eq!(names.len(), known.count_ones() as usize);
            assert!(!names.iter().any(|name| name.starts_with("FEATURE")), "{names:?}");
        }
        let names: Vec<_> = FeatureSet::Compat.names(compat::HAS_JOURNAL | 1 << 31).collect();
        assert_eq!(names, ["has_journal", "FEATURE_C31"]);
        let names: Vec<_> = FeatureSet::RoCompat.names(ro_compat::GDT_CSUM).collect();
        assert_eq!(names, ["uninit_bg"]);
    }
}
