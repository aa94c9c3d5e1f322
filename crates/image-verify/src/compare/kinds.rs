//! The ways in which images differ, each with a stable id.

use image_model::{DifferenceKind, Level};

/// What a difference may be the mere consequence of. Where there is such a cause in the same file
/// system, the difference is counted and not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// It is always told.
    Nothing,
    /// Of files that were added, removed or changed: they take other places.
    Files,
    /// Of partitions that were added, removed or changed, or of another table.
    Partitions,
    /// Of anything else that differs: checksums.
    Anything,
}

/// A way to differ.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) public: DifferenceKind,
    pub(super) follows: Follows,
}

impl Kind {
    pub(super) fn id(&self) -> &'static str {
        self.public.id
    }

    /// True if it says no more of bytes than what is around them.
    pub(super) fn is_vague(&self) -> bool {
        let vague =
            [&BYTES, &DISK_GAP, &EXT4_FREE_BLOCK, &FAT_FREE_CLUSTER, &ISO_PADDING, &FILE_SLACK];
        vague.iter().any(|kind| kind.id() == self.id())
    }
}

macro_rules! follows {
    () => {
        Follows::Nothing
    };
    ($what:ident) => {
        Follows::$what
    };
}

/// Declares ways to differ. The documentation of each is also what `cargo xtask explain` prints.
macro_rules! kinds {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident = $id:literal, $level:ident $(, follows $follows:ident)?;
    )+) => {
        $(
            $(#[doc = $doc])+
            pub(super) static $name: Kind = Kind {
                public: DifferenceKind {
                    id: $id,
                    level: Level::$level,
                    explain: concat!($($doc, "\n"),+),
                },
                follows: follows!($($follows)?),
            };
        )+
        /// All of them, from outside inwards.
        pub(super) static KINDS: &[&Kind] = &[$(&$name),+];
    };
}

kinds! {
    /// The two files are not compressed in the same way, or only one of them is.
    COMPRESSION = "compression", Container;
    /// The time in the header of a gzip file: when it was compressed, or when what is in it was
    /// changed. `gzip -n` writes none.
    GZIP_MTIME = "gzip-mtime", Container;
    /// The system in the header of a gzip file, which each compressor chooses for itself.
    GZIP_OS = "gzip-os", Container;
    /// What else the header of a gzip file says: flags, the name of the file, a comment.
    GZIP_HEADER = "gzip-header", Container;
    /// The header of an xz file: which checksum its blocks have.
    XZ_HEADER = "xz-header", Container;
    /// The frames of a zstd file: how many there are, what they hold, and what their headers say.
    ZSTD_FRAMES = "zstd-frames", Container;
    /// The same bytes are compressed differently: by another program, another version of it, at
    /// another level, or on another number of threads.
    COMPRESSION_STREAM = "compression-stream", Container;
    /// The raw bytes are not of the same format, so nothing in them can be compared.
    IMAGE_FORMAT = "image-format", Container;
    /// The raw bytes of one image are more than those of the other.
    IMAGE_SIZE = "image-size", Container;

    /// One disk has a GPT and the other a master boot record, or none has a table.
    TABLE_KIND = "table-kind", Table;
    /// The disk signature in the master boot record, of which Linux makes `PARTUUID`. Most tools
    /// draw it at random.
    MBR_DISK_SIGNATURE = "mbr-disk-signature", Table;
    /// The boot code in the first 440 bytes of a disk.
    MBR_BOOT_CODE = "mbr-boot-code", Table;
    /// Addresses by cylinder, head and sector in the master boot record. Nothing reads them.
    MBR_CHS = "mbr-chs", Table, follows Partitions;
    /// What else is in the master boot record.
    MBR_FIELDS = "mbr-fields", Table;
    /// The boot records that lead from one logical partition to the next.
    MBR_EXTENDED = "mbr-extended", Table;
    /// The GUID of a disk. Most tools draw it at random.
    GPT_DISK_GUID = "gpt-disk-guid", Table;
    /// The GUID of a partition, its `PARTUUID`. Most tools draw it at random.
    GPT_PARTITION_GUID = "gpt-partition-guid", Table;
    /// The name of a partition, its `PARTLABEL`.
    GPT_PARTITION_NAME = "gpt-partition-name", Table;
    /// What else the headers of a GPT say: where its copies are, which blocks are usable.
    GPT_HEADER = "gpt-header", Table;
    /// Checksums of a GPT, where nothing that they cover differs.
    GPT_CHECKSUM = "gpt-checksum", Table, follows Anything;
    /// The partition map of Apple that a disc for all machines has.
    APM = "apm", Table;
    /// A partition that only the second image has.
    PARTITION_ADDED = "partition-added", Table;
    /// A partition that only the first image has.
    PARTITION_REMOVED = "partition-removed", Table;
    /// A partition starts at another byte.
    PARTITION_MOVED = "partition-moved", Table;
    /// A partition has another length.
    PARTITION_RESIZED = "partition-resized", Table;
    /// The type of a partition.
    PARTITION_TYPE = "partition-type", Table;
    /// Flags and attributes of a partition: active, bootable, required.
    PARTITION_FLAGS = "partition-flags", Table;
    /// Another file system is in a partition, or none that can be read.
    PARTITION_CONTENT = "partition-content", Table;
    /// Bytes between partitions, where boards look for boot loaders.
    DISK_GAP = "disk-gap", Table;

    /// The UUID of an ext4 file system. `mke2fs` draws it at random unless it is told one.
    EXT4_UUID = "ext4-uuid", FileSystem;
    /// The label of an ext4 file system.
    EXT4_LABEL = "ext4-label", FileSystem;
    /// The seed of the hashes of names in an ext4 file system. `mke2fs` draws it at random unless it
    /// is told one with `-E hash_seed=`.
    EXT4_HASH_SEED = "ext4-hash-seed", FileSystem;
    /// When an ext4 file system was made. `mke2fs` takes the clock, or `SOURCE_DATE_EPOCH` since
    /// version 1.47.1.
    EXT4_MKFS_TIME = "ext4-mkfs-time", FileSystem;
    /// When an ext4 file system was written last, and how much was.
    EXT4_WRITE_TIME = "ext4-write-time", FileSystem;
    /// When and where an ext4 file system was mounted last, and how often.
    EXT4_MOUNT = "ext4-mount", FileSystem;
    /// When an ext4 file system was checked last: when it was made, if never.
    EXT4_CHECK_TIME = "ext4-check-time", FileSystem;
    /// The features of an ext4 file system: `mke2fs` of another version has other defaults.
    EXT4_FEATURES = "ext4-features", FileSystem;
    /// How many blocks, inodes and groups an ext4 file system has, and how large they are.
    EXT4_SIZE = "ext4-size", FileSystem;
    /// How many blocks and inodes of an ext4 file system are free.
    EXT4_FREE = "ext4-free", FileSystem, follows Files;
    /// Whether an ext4 file system is clean, and which errors were found in it.
    EXT4_STATE = "ext4-state", FileSystem;
    /// What else the superblock of an ext4 file system says.
    EXT4_PARAMETERS = "ext4-parameters", FileSystem;
    /// Checksums of an ext4 file system, where nothing that they cover differs.
    EXT4_CHECKSUM = "ext4-checksum", FileSystem, follows Anything;
    /// The descriptors of the groups of an ext4 file system: where their parts are, what is free.
    EXT4_GROUPS = "ext4-groups", FileSystem, follows Files;
    /// The bitmaps of an ext4 file system: which blocks and inodes are in use.
    EXT4_BITMAP = "ext4-bitmap", FileSystem, follows Files;
    /// When inodes of an ext4 file system were made, changed and read last, and fractions of
    /// seconds.
    EXT4_INODE_TIMES = "ext4-inode-times", FileSystem;
    /// Generations and versions of inodes of an ext4 file system. They may be drawn at random.
    EXT4_GENERATION = "ext4-generation", FileSystem;
    /// Where inodes of an ext4 file system say that their contents are.
    EXT4_BLOCK_MAP = "ext4-block-map", FileSystem, follows Files;
    /// Other fields of inodes of an ext4 file system: flags, number of links, project.
    EXT4_INODE = "ext4-inode", FileSystem, follows Files;
    /// Extended attributes in an ext4 file system.
    EXT4_XATTR = "ext4-xattr", FileSystem;
    /// The journal of an ext4 file system.
    EXT4_JOURNAL = "ext4-journal", FileSystem;
    /// Blocks of directories of an ext4 file system: the same names in another order, or with other
    /// inodes.
    EXT4_DIRECTORY = "ext4-directory", FileSystem, follows Files;
    /// Blocks that an ext4 file system keeps for itself: to grow, for quotas, for the boot loader.
    EXT4_RESERVED = "ext4-reserved", FileSystem, follows Files;
    /// Bytes in blocks of an ext4 file system that nothing uses: what deleted files leave.
    EXT4_FREE_BLOCK = "ext4-free-block", FileSystem;

    /// The serial number of a FAT file system. `mkfs.fat` makes it of the clock unless it is told
    /// one with `-i`.
    FAT_SERIAL = "fat-serial", FileSystem;
    /// The label of a FAT file system.
    FAT_LABEL = "fat-label", FileSystem;
    /// Who formatted a FAT file system, by its own word.
    FAT_OEM_NAME = "fat-oem-name", FileSystem;
    /// How many sectors and clusters a FAT file system has, and how large they are.
    FAT_GEOMETRY = "fat-geometry", FileSystem;
    /// The boot code in a FAT file system.
    FAT_BOOT_CODE = "fat-boot-code", FileSystem;
    /// What else the boot sector of a FAT file system says, and what is in its reserved sectors.
    FAT_PARAMETERS = "fat-parameters", FileSystem;
    /// The numbers of free clusters that a FAT file system keeps.
    FAT_FREE = "fat-free", FileSystem, follows Files;
    /// The tables of a FAT file system: which cluster follows which.
    FAT_TABLE = "fat-table", FileSystem, follows Files;
    /// Dates in directories of a FAT file system: when files were made, written and read last.
    FAT_DATE = "fat-date", FileSystem;
    /// Directories of a FAT file system: names, attributes, first clusters, and the order of files.
    FAT_DIRECTORY = "fat-directory", FileSystem, follows Files;
    /// Bytes in clusters of a FAT file system that nothing uses: what deleted files leave.
    FAT_FREE_CLUSTER = "fat-free-cluster", FileSystem;

    /// Dates of a disc: when it was made and changed, until when it holds. `xorriso` takes the clock,
    /// or `SOURCE_DATE_EPOCH`.
    ISO_VOLUME_DATE = "iso-volume-date", FileSystem;
    /// The label of a disc.
    ISO_LABEL = "iso-label", FileSystem;
    /// Who made a disc, with what, by its own word.
    ISO_IDENTIFIER = "iso-identifier", FileSystem;
    /// How many blocks a disc has.
    ISO_SIZE = "iso-size", FileSystem, follows Files;
    /// Where a disc has its tables and its root.
    ISO_LAYOUT = "iso-layout", FileSystem, follows Files;
    /// What else the volume descriptors of a disc say.
    ISO_PARAMETERS = "iso-parameters", FileSystem;
    /// The boot catalog of a disc: what firmware is told to start.
    ISO_BOOT_CATALOG = "iso-boot-catalog", FileSystem;
    /// The path tables of a disc.
    ISO_PATH_TABLE = "iso-path-table", FileSystem, follows Files;
    /// Directories of a disc: dates, places, attributes and names.
    ISO_DIRECTORY = "iso-directory", FileSystem, follows Files;
    /// The first 32 KiB of a disc, which belong to no file system, but for partition tables.
    ISO_SYSTEM_AREA = "iso-system-area", FileSystem;
    /// Bytes of a disc that belong to no file and no table.
    ISO_PADDING = "iso-padding", FileSystem;

    /// When a SquashFS was made. `mksquashfs` takes the clock, or `SOURCE_DATE_EPOCH`, or
    /// `-mkfs-time`.
    SQUASHFS_MKFS_TIME = "squashfs-mkfs-time", FileSystem;
    /// How a SquashFS is compressed.
    SQUASHFS_COMPRESSION = "squashfs-compression", FileSystem;
    /// How large the blocks of a SquashFS are.
    SQUASHFS_BLOCK_SIZE = "squashfs-block-size", FileSystem;
    /// How many inodes, fragments and owners a SquashFS has.
    SQUASHFS_COUNTS = "squashfs-counts", FileSystem, follows Files;
    /// Where a SquashFS has its tables, and how long it is.
    SQUASHFS_LAYOUT = "squashfs-layout", FileSystem, follows Files;
    /// The tables of a SquashFS: inodes, directories, fragments, owners, attributes.
    SQUASHFS_TABLES = "squashfs-tables", FileSystem, follows Files;
    /// The blocks of a SquashFS with contents: other contents, another order of them, or another
    /// compressor.
    SQUASHFS_DATA = "squashfs-data", FileSystem, follows Files;

    /// The members of an archive come in another order.
    TAR_ORDER = "tar-order", FileSystem;
    /// What else the headers of members say: names of owners, the format of the header, devices.
    TAR_HEADER = "tar-header", FileSystem, follows Files;
    /// What follows the last member of an archive, and fills up its blocks.
    TAR_PADDING = "tar-padding", FileSystem;

    /// The same contents, or the same structures, lie at other places.
    FILE_MOVED = "file-moved", FileSystem, follows Files;
    /// Bytes between the end of a file and the end of its last block.
    FILE_SLACK = "file-slack", FileSystem;

    /// A store path that only the second image has.
    STORE_PATH_ADDED = "store-path-added", Store;
    /// A store path that only the first image has.
    STORE_PATH_REMOVED = "store-path-removed", Store;
    /// A store path that both images have, and that is not the same: whoever built it twice had two
    /// results. What differs in it is told of its files.
    STORE_PATH_CHANGED = "store-path-changed", Store;

    /// A file that only the second image has.
    FILE_ADDED = "file-added", Files;
    /// A file that only the first image has.
    FILE_REMOVED = "file-removed", Files;
    /// A file became something else: a directory, a symlink, a device.
    FILE_TYPE = "file-type", Files;
    /// The content of a file.
    FILE_CONTENT = "file-content", Files;
    /// The permissions of a file.
    FILE_MODE = "file-mode", Files;
    /// Who owns a file, and its group.
    FILE_OWNER = "file-owner", Files;
    /// When a file was modified.
    FILE_MTIME = "file-mtime", Files;
    /// Where a symlink leads.
    FILE_TARGET = "file-target", Files;
    /// A file that cannot be read in one of the images, so nobody knows.
    FILE_UNREADABLE = "file-unreadable", Files;

    /// Bytes that differ, and nothing that is known about the image says why.
    BYTES = "bytes", Bytes;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_declared_once() {
        let ids: BTreeSet<_> = KINDS.iter().map(|kind| kind.id()).collect();
        assert_eq!(ids.len(), KINDS.len());
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(ids.iter().all(|id| id.bytes().all(known)));
    }

    #[test]
    fn levels_are_in_order() {
        assert!(KINDS.is_sorted_by_key(|kind| kind.public.level));
    }
}
