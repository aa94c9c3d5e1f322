//! The checks, in the order of e2fsck's passes.

checks! {
    /// All checks of this format, in the order they are evaluated.
    CHECKS:

    /// The file system begins with 2 KiB that hold the superblock. What is shorter is none.
    SUPERBLOCK = "ext4-superblock", Error;
    reads "1024 bytes at byte 1024";
    spec "Linux, Documentation/filesystems/ext4/super.rst";

    /// Without its magic number nothing takes this for ext2, ext3 or ext4.
    MAGIC = "ext4-magic", Error;
    reads "s_magic";
    spec "ext4/super.rst: s_magic is 0xEF53";

    /// There are two revisions. Nobody knows what a third would look like.
    REVISION = "ext4-revision", Error;
    reads "s_rev_level";
    spec "ext4/super.rst: s_rev_level";

    /// The file system has a feature that neither e2fsck nor this program knows, so that what they
    /// would say about it would be a guess. Nothing more is judged. The journal of another file
    /// system, on a device of its own, is no file system either.
    FEATURES = "ext4-features", Error;
    reads "s_feature_compat, s_feature_incompat, s_feature_ro_compat";
    spec "ext4/super.rst: feature sets; e2fsprogs 1.47 lib/ext2fs/ext2fs.h: EXT2_LIB_FEATURE_…_SUPP";

    /// Clusters of several blocks need files with extents. Linux does not mount them without.
    FEATURE_NEEDS = "ext4-feature-needs", Error;
    reads "s_feature_incompat, with bigalloc";
    spec "Linux, fs/ext4/super.c: ext4_feature_set_ok";

    /// Features that do not go together, or that make no sense alone. Linux mounts this, and e2fsck
    /// asks whether to change it.
    FEATURE_PAIRS = "ext4-feature-pairs", Warning;
    reads "the features, s_reserved_gdt_blocks and s_rev_level";
    spec "e2fsck check_super_block, check_resize_inode";

    /// Linux does not mount a superblock whose checksum is wrong.
    SUPERBLOCK_CHECKSUM = "ext4-superblock-checksum", Error;
    reads "s_checksum and s_checksum_type, with metadata_csum";
    spec "ext4/checksums.rst";

    /// Blocks have 1 KiB to 64 KiB.
    BLOCK_SIZE = "ext4-block-size", Error;
    reads "s_log_block_size";
    spec "ext4/blocks.rst; e2fsck check_super_block";

    /// A cluster is one block, or with bigalloc several.
    CLUSTER_SIZE = "ext4-cluster-size", Error;
    reads "s_log_cluster_size";
    spec "ext4/bigalloc.rst; e2fsck check_super_block";

    /// Group 0 starts with block 1 where a block has no room for both the boot sector and the
    /// superblock, and else with block 0.
    FIRST_DATA_BLOCK = "ext4-first-data-block", Error;
    reads "s_first_data_block";
    spec "ext4/super.rst: s_first_data_block; e2fsck check_super_block";

    /// One block of bits tells which clusters of a group are free.
    GROUP_SIZE = "ext4-group-size", Error;
    reads "s_blocks_per_group and s_clusters_per_group";
    spec "ext4/blockgroup.rst; e2fsck check_super_block";

    /// An inode has a power of two of bytes, 128 at least and a block at most.
    INODE_SIZE = "ext4-inode-size", Error;
    reads "s_inode_size";
    spec "ext4/inodes.rst; e2fsck check_super_block";

    /// The first ten inodes are reserved.
    FIRST_INODE = "ext4-first-inode", Error;
    reads "s_first_ino";
    spec "ext4/special_inodes.rst; lib/ext2fs/openfs.c";

    /// One block of bits tells which inodes of a group are free.
    INODES_PER_GROUP = "ext4-inodes-per-group", Error;
    reads "s_inodes_per_group";
    spec "ext4/blockgroup.rst; e2fsck check_super_block";

    /// With 64bit a group descriptor has 64 bytes or more. Programs that trust a smaller size read
    /// beyond its end.
    DESCRIPTOR_SIZE = "ext4-descriptor-size", Error;
    reads "s_desc_size, with 64bit";
    spec "ext4/group_descr.rst; e2fsck check_super_block";

    /// The file system has more blocks than there are bytes for: the card or the partition is cut
    /// short, or too small for what was copied to it.
    BLOCKS_COUNT = "ext4-blocks-count", Error;
    reads "s_blocks_count_lo, s_blocks_count_hi, and the length of the partition";
    spec "ext4/super.rst: s_blocks_count; e2fsck check_super_block";

    /// At most half of the blocks are kept for the superuser.
    RESERVED_BLOCKS = "ext4-reserved-blocks", Error;
    reads "s_r_blocks_count";
    spec "e2fsck check_super_block";

    /// The blocks that are kept for more group descriptors have room in one block of pointers.
    RESERVED_DESCRIPTORS = "ext4-reserved-descriptors", Error;
    reads "s_reserved_gdt_blocks";
    spec "e2fsck check_super_block; Linux, fs/ext4/super.c";

    /// Every group has the same number of inodes.
    INODES_COUNT = "ext4-inodes-count", Error;
    reads "s_inodes_count, and the number of groups";
    spec "e2fsck check_super_block";

    /// Where the descriptors begin to lie in their own groups, there are descriptors.
    FIRST_META_BG = "ext4-first-meta-bg", Error;
    reads "s_first_meta_bg, with meta_bg";
    spec "e2fsck check_super_block; Linux, fs/ext4/super.c";

    /// A flexible group has a number of groups that 32 bits can count.
    FLEX_SIZE = "ext4-flex-size", Error;
    reads "s_log_groups_per_flex";
    spec "lib/ext2fs/openfs.c";

    /// What every inode has beyond its first 128 bytes, and what a new one gets, ends within it.
    /// Linux does not mount this.
    EXTRA_SIZE = "ext4-extra-size", Error;
    reads "s_min_extra_isize and s_want_extra_isize, with extra_isize";
    spec "Linux, fs/ext4/super.c; e2fsck check_super_block";

    /// What inodes have beyond their first 128 bytes has fields of 4 bytes.
    EXTRA_SIZE_ODD = "ext4-extra-size-odd", Warning;
    reads "s_min_extra_isize and s_want_extra_isize, where inodes have more than 128 bytes";
    spec "e2fsck check_super_block";

    /// There is one encoding of names that do not care for case. Linux does not mount another.
    ENCODING = "ext4-encoding", Error;
    reads "s_encoding, with casefold";
    spec "ext4/super.rst: s_encoding; e2fsck main";

    /// There is one version of encryption. Linux does not mount another.
    ENCRYPTION = "ext4-encryption", Error;
    reads "s_encryption_level, with encrypt";
    spec "ext4/super.rst: s_encryption_level; Linux, fs/ext4/super.c";

    /// New directories get an index whose hash is known.
    HASH_VERSION = "ext4-hash-version", Warning;
    reads "s_def_hash_version, with dir_index";
    spec "ext4/super.rst: s_def_hash_version";

    /// The file system is larger than what this program judges: 2¹⁹ groups, 2³⁰ clusters,
    /// directories with an index over 2²⁰ blocks.
    LIMIT = "ext4-limit", Error;
    reads "the number of groups, of clusters, and of blocks of a directory with an index";
    spec "the limits are ours";

    /// The kernel found errors in this file system, and nobody mended it since. Linux says so when
    /// it mounts, and a check is due.
    ERRORS = "ext4-errors", Warning;
    reads "s_state";
    spec "ext4/super.rst: s_state 2";

    /// It was not unmounted: the image was taken from a system that ran, or that crashed.
    CLEAN = "ext4-clean", Warning;
    reads "s_state";
    spec "ext4/super.rst: s_state 1";

    /// The journal has changes that are not yet in place. The kernel makes them when it mounts;
    /// U-Boot and other readers do not see them. So what is in this image depends on who reads it,
    /// and what is judged here is not what will be mounted. Mount it once, or let `e2fsck -p`
    /// replay the journal.
    JOURNAL_REPLAY = "ext4-journal-replay", Error;
    reads "the feature needs_recovery";
    spec "ext4/super.rst: INCOMPAT_RECOVER";

    /// Files that were removed while somebody had them open. The next mount frees their space.
    ORPHANS = "ext4-orphans", Warning;
    reads "s_last_orphan, and the feature orphan_present";
    spec "ext4/orphan.rst";

    /// Linux does not mount a file system whose group descriptors have wrong checksums.
    GROUP_CHECKSUM = "ext4-group-checksum", Error;
    reads "bg_checksum of every group, with metadata_csum or uninit_bg";
    spec "ext4/checksums.rst; ext4/group_descr.rst";

    /// The bitmaps and the inode table of a group are inside the file system, and no two of them,
    /// nor a superblock or the descriptors, are in the same place.
    GROUP_TABLES = "ext4-group-tables", Error;
    reads "bg_block_bitmap, bg_inode_bitmap and bg_inode_table of every group";
    spec "ext4/group_descr.rst; e2fsck check_super_block";

    /// Flags of a group that mean nothing, or that e2fsck takes away.
    GROUP_FLAGS_ODD = "ext4-group-flags-odd", Warning;
    reads "bg_flags and bg_itable_unused of every group";
    spec "ext4/group_descr.rst; e2fsck check_super_block";

    /// The inodes at the end of a table that were never used are free, and not more than there are.
    INODE_TABLE_UNUSED = "ext4-inode-table-unused", Warning;
    reads "bg_itable_unused and bg_free_inodes_count of every group, with metadata_csum or uninit_bg";
    spec "ext4/group_descr.rst; e2fsck check_super_block";

    /// A copy of the superblock tells of another file system. It is what a repair will use.
    BACKUP = "ext4-backup", Warning;
    reads "the copies of the superblock: sizes, features, UUID, their group and checksum";
    spec "ext4/blockgroup.rst; e2fsck check_backup_super_block";

    /// A copy of the descriptors has bitmaps and tables in other places. It is what a repair will
    /// use.
    BACKUP_DESCRIPTORS = "ext4-backup-descriptors", Warning;
    reads "the first copy of the group descriptors";
    spec "ext4/blockgroup.rst";

    /// A bitmap whose checksum is wrong makes the group unusable: Linux takes nothing from it, and
    /// remounts read-only.
    BITMAP_CHECKSUM = "ext4-bitmap-checksum", Error;
    reads "both bitmaps of every group, with metadata_csum";
    spec "ext4/checksums.rst";

    /// The resize inode has the blocks that are kept for more group descriptors, in the group of each
    /// copy. With another one the file system cannot grow while it is mounted.
    RESIZE_INODE = "ext4-resize-inode", Warning;
    reads "inode 7 and its blocks";
    spec "ext4/special_inodes.rst; e2fsck check_resize_inode";

    /// An inode whose checksum is wrong cannot be opened.
    INODE_CHECKSUM = "ext4-inode-checksum", Error;
    reads "i_checksum of every inode in use, with metadata_csum";
    spec "ext4/checksums.rst";

    /// A file that nobody can reach any more says when it was deleted, and one in use does not. A
    /// time that is a number of an inode is a link of the list of inodes to delete, which the next
    /// mount works through.
    INODE_DELETED = "ext4-inode-deleted", Error;
    reads "i_dtime, i_links_count and i_mode of every inode";
    spec "ext4/inodes.rst: i_dtime; e2fsck pass 1";

    /// Inodes below the first that is not reserved are for the file system itself: the list of bad
    /// blocks, quotas, the boot loader, the journal. One that is for nothing is empty.
    INODE_RESERVED = "ext4-inode-reserved", Error;
    reads "the reserved inodes, and those that the superblock names";
    spec "ext4/special_inodes.rst; e2fsck pass 1";

    /// The mode says what an inode is: file, directory, symlink, device, fifo or socket.
    INODE_MODE = "ext4-inode-mode", Error;
    reads "i_mode of every inode in use";
    spec "ext4/inodes.rst: i_mode; e2fsck pass 1";

    /// The fields beyond the first 128 bytes end within the inode.
    INODE_EXTRA = "ext4-inode-extra", Error;
    reads "i_extra_isize of every inode in use";
    spec "ext4/inodes.rst: i_extra_isize; e2fsck check_inode_extra_space";

    /// An inode has extents, inline data or an index only where the file system has that feature.
    INODE_FLAGS = "ext4-inode-flags", Error;
    reads "i_flags of every inode in use";
    spec "ext4/inodes.rst: i_flags; e2fsck pass 1";

    /// The high halves of numbers are 0 where a feature is missing that gives them a sense.
    INODE_UNUSED = "ext4-inode-unused", Error;
    reads "i_obso_faddr, i_size_high, l_i_file_acl_high and l_i_blocks_high of every inode in use";
    spec "ext4/inodes.rst; e2fsck pass 1";

    /// Devices, fifos and sockets have no size and no blocks.
    INODE_SPECIAL = "ext4-inode-special", Error;
    reads "i_size, i_flags and i_block of every device, fifo and socket";
    spec "e2fsck e2fsck_pass1_check_device_inode";

    /// What lies in an inode has the attribute `system.data`, and a directory or a symlink there is
    /// as large as the room that it has.
    INLINE_DATA = "ext4-inline-data", Error;
    reads "i_size and the attributes of every inode with inline data";
    spec "ext4/inlinedata.rst; e2fsck pass 1";

    /// A file in an inode is not larger than the room that it has. What is beyond cannot be read.
    INLINE_SIZE = "ext4-inline-size", Warning;
    reads "i_size and the attributes of every file with inline data";
    spec "ext4/inlinedata.rst";

    /// An encrypted file says how: without its policy nobody can decrypt it.
    ENCRYPTION_POLICY = "ext4-encryption-policy", Error;
    reads "the attribute encryption.c of every encrypted file";
    spec "Linux, fs/crypto/fscrypt_private.h: fscrypt_context; e2fsck add_encrypted_file";

    /// A node of an extent tree has its magic number, no more entries than have room, and the depth
    /// that its parent tells, five at most.
    EXTENT_HEADER = "ext4-extent-header", Error;
    reads "the header of every node";
    spec "ext4/ifork.rst; lib/ext2fs/extent.c: ext2fs_extent_header_verify";

    /// Extents are in the order of the file and do not overlap, and an inner node tells where each
    /// of its children starts.
    EXTENT_ORDER = "ext4-extent-order", Error;
    reads "every extent and every entry of an inner node";
    spec "ext4/ifork.rst; e2fsck scan_extent_node";

    /// A file is unreadable from a node with a wrong checksum on.
    EXTENT_CHECKSUM = "ext4-extent-checksum", Error;
    reads "et_checksum of every node that is a block, with metadata_csum";
    spec "ext4/ifork.rst; ext4/checksums.rst";

    /// All blocks of a file are inside the file system.
    BLOCK_RANGE = "ext4-block-range", Error;
    reads "every extent, every pointer to a block, and i_file_acl";
    spec "ext4/ifork.rst; e2fsck pass 1: illegal blocks";

    /// A block belongs to one file, or holds metadata. What writes to one of two owners damages the
    /// other.
    BLOCK_CLAIM = "ext4-block-claim", Error;
    reads "every extent and every pointer to a block, but for files that share blocks by design";
    spec "e2fsck pass 1B: multiply-claimed blocks";

    /// With bigalloc, blocks that share a cluster of the file share one of the file system, in the
    /// same order, and the map is one of extents.
    CLUSTER_MAP = "ext4-cluster-map", Error;
    reads "every extent and every pointer to a block, with bigalloc";
    spec "ext4/bigalloc.rst; e2fsck has_unaligned_cluster_map";

    /// The size of a file reaches as far as its blocks do, and no farther than its pointers can.
    FILE_SIZE = "ext4-file-size", Error;
    reads "i_size of every inode in use, and its blocks";
    spec "ext4/inodes.rst: i_size; e2fsck check_blocks";

    /// Without this feature a system that does not know files of more than 2 GiB would change such a
    /// file.
    LARGE_FILE = "ext4-large-file", Error;
    reads "i_size of every file, and the feature large_file";
    spec "ext4/super.rst: RO_COMPAT_LARGE_FILE; e2fsck pass 1";

    /// The space that an inode counts is what its blocks take.
    FILE_BLOCKS = "ext4-file-blocks", Error;
    reads "i_blocks of every inode in use, and its blocks";
    spec "ext4/inodes.rst: i_blocks; e2fsck check_blocks";

    /// A symlink has a target, which ends where its size says.
    SYMLINK = "ext4-symlink", Error;
    reads "i_size and the target of every symlink";
    spec "ext4/ifork.rst: symbolic links; e2fsck e2fsck_pass1_check_symlink";

    /// A block of extended attributes starts with its magic number, is the only one of its file, and
    /// has the right checksum.
    XATTR_BLOCK = "ext4-xattr-block", Error;
    reads "the block that i_file_acl names";
    spec "ext4/attributes.rst; ext4/checksums.rst";

    /// Entries and values of extended attributes lie beside each other, end where their room ends,
    /// and have the hash that their entry tells.
    XATTR_ENTRY = "ext4-xattr-entry", Error;
    reads "all extended attributes, in inodes and in blocks";
    spec "ext4/attributes.rst; e2fsck check_ea_in_inode, check_ext_attr";

    /// A value that is an inode is there, and is the value of this attribute.
    XATTR_VALUE = "ext4-xattr-value", Error;
    reads "e_value_inum of every attribute, and the inode";
    spec "ext4/attributes.rst; e2fsck check_large_ea_inode";

    /// What several files share counts them. Removing one that is counted too few frees what the
    /// others still use.
    XATTR_REFERENCES = "ext4-xattr-references", Error;
    reads "h_refcount of every block of attributes, and the count in every inode that is a value";
    spec "ext4/attributes.rst; e2fsck adjust_extattr_refcount, check_ea_inode";

    /// The journal is a plain file of 1024 blocks or more, without holes. Linux does not mount
    /// without it.
    JOURNAL = "ext4-journal", Error;
    reads "s_journal_inum, and its inode";
    spec "ext4/journal.rst; e2fsck check_ext3_journal";

    /// A journal belongs to a file system that has the feature has_journal. Without it Linux mounts
    /// and never looks at the journal: what it may still hold is lost.
    JOURNAL_FEATURE = "ext4-journal-feature", Warning;
    reads "has_journal, and s_journal_inum, s_journal_dev, s_journal_uuid, needs_recovery";
    spec "e2fsck check_ext3_journal";

    /// The journal is on another device, which is not in this image. Linux does not mount without
    /// it, nor where the superblock names both a device and an inode.
    JOURNAL_DEVICE = "ext4-journal-device", Error;
    reads "s_journal_dev and s_journal_uuid";
    spec "ext4/journal.rst: external journal; e2fsck e2fsck_get_journal; Linux ext4_load_journal";

    /// The superblock has a copy of where the journal is. It is what a repair uses when the inode is
    /// lost, and overwrites.
    JOURNAL_BACKUP = "ext4-journal-backup", Warning;
    reads "s_jnl_backup_type and s_jnl_blocks";
    spec "ext4/super.rst: s_jnl_blocks; e2fsck e2fsck_move_ext3_journal";

    /// The journal starts with its own superblock. Linux does not mount without it.
    JOURNAL_SUPERBLOCK = "ext4-journal-superblock", Error;
    reads "h_magic and h_blocktype of the first block of the journal";
    spec "ext4/journal.rst: super block; e2fsck e2fsck_journal_load";

    /// In a journal of version 1 there are no features and no users; what is in their place is
    /// ignored.
    JOURNAL_VERSION = "ext4-journal-version", Warning;
    reads "h_blocktype, s_feature_… and s_nr_users";
    spec "e2fsck e2fsck_journal_load: fields of version 2";

    /// A journal that several file systems share is a thing that was never built.
    JOURNAL_USERS = "ext4-journal-users", Error;
    reads "s_nr_users, in version 2";
    spec "e2fsck e2fsck_journal_load";

    /// The journal has a feature that neither e2fsck nor Linux knows, or two kinds of checksums.
    /// Linux does not mount.
    JOURNAL_FEATURES = "ext4-journal-features", Error;
    reads "s_feature_compat, s_feature_incompat and s_feature_ro_compat of the journal";
    spec "ext4/journal.rst: super block; e2fsck e2fsck_journal_load";

    /// Linux does not mount with a journal whose superblock has a wrong checksum.
    JOURNAL_CHECKSUM = "ext4-journal-checksum", Error;
    reads "s_checksum and s_checksum_type of the journal, with csum_v2 or csum_v3";
    spec "ext4/journal.rst: super block; e2fsck e2fsck_journal_load";

    /// The journal has the blocks of the file system, no more of them than its file, and fast commits
    /// leave room for a log. Linux does not mount otherwise.
    JOURNAL_SIZE = "ext4-journal-size", Error;
    reads "s_blocksize, s_maxlen and s_num_fc_blks of the journal";
    spec "e2fsck e2fsck_journal_load; Linux journal_get_superblock";

    /// The log starts after the superblock of the journal and has 1024 blocks or more. Linux does not
    /// mount otherwise; e2fsck does not look.
    JOURNAL_ROOM = "ext4-journal-room", Error;
    reads "s_first and s_maxlen of the journal";
    spec "Linux journal_get_superblock, journal_reset";

    /// The kernel gave up writing the journal. The next mount marks the file system as one with
    /// errors.
    JOURNAL_ERROR = "ext4-journal-error", Warning;
    reads "s_errno of the journal";
    spec "ext4/journal.rst: s_errno; e2fsck check_ext3_journal";

    /// There is a log, and nothing says that it is to be replayed: the next mount throws it away.
    /// Either what is in it is lost, or the flag was.
    JOURNAL_START = "ext4-journal-start", Warning;
    reads "s_start of the journal, and needs_recovery";
    spec "e2fsck check_ext3_journal; Linux jbd2_journal_wipe";

    /// The superblock says that the log is to be replayed, and it is empty: the file system was
    /// mounted when it was copied, and idle.
    JOURNAL_EMPTY = "ext4-journal-empty", Info;
    reads "s_start of the journal, and needs_recovery";
    spec "ext4/journal.rst: s_start; Linux jbd2_journal_recover";

    /// A log that Linux gives up to replay: it leads out of the journal or around itself, a block of
    /// a committed transaction has a wrong checksum, or a copy belongs outside of the device. Then
    /// Linux does not mount, and what the log holds is lost. That a log just ends is no fault.
    JOURNAL_LOG = "ext4-journal-log", Error;
    reads "the log, where needs_recovery is set: descriptors, revoke and commit blocks, copies";
    spec "ext4/journal.rst; Linux fs/jbd2/recovery.c: do_one_pass";

    /// Fast commits continue the log, and Linux gives up to replay these: none is complete. Then it
    /// does not mount.
    JOURNAL_FAST_COMMIT = "ext4-journal-fast-commit", Error;
    reads "the blocks for fast commits, where the log is to be replayed";
    spec "ext4/journal.rst: fast commits; Linux fs/ext4/fast_commit.c: ext4_fc_replay_scan";

    /// Inodes to delete are listed through their i_dtime, from s_last_orphan to 0. Where the list
    /// leads astray Linux mounts, but never frees the rest of it.
    ORPHAN_LIST = "ext4-orphan-list", Warning;
    reads "s_last_orphan, and i_dtime of the inodes that it leads to";
    spec "ext4/orphan.rst; Linux ext4_orphan_cleanup";

    /// The orphan file has whole blocks, no holes, and in each block a magic number and the right
    /// checksum. It needs a journal. Linux does not mount with a broken one.
    ORPHAN_FILE = "ext4-orphan-file", Error;
    reads "s_orphan_file_inum, its inode and blocks, with orphan_file";
    spec "ext4/orphan.rst; e2fsck check_init_orphan_file; Linux ext4_init_orphan_info";

    /// There are inodes in the orphan file: files that were removed or cut while somebody had them
    /// open. The next mount frees their space; e2fsck calls the file system damaged until then.
    ORPHAN_ENTRIES = "ext4-orphan-entries", Error;
    reads "the blocks of the orphan file";
    spec "ext4/orphan.rst; e2fsck check_init_orphan_file";

    /// The feature orphan_present says whether the orphan file has entries.
    ORPHAN_PRESENT = "ext4-orphan-present", Error;
    reads "orphan_file and orphan_present, and the orphan file";
    spec "ext4/orphan.rst; e2fsck check_init_orphan_file";

    /// The block of the multi-mount protection has its magic number and the right checksum. Linux
    /// does not mount without it.
    MMP = "ext4-mmp", Error;
    reads "mmp_magic, and mmp_checksum with metadata_csum";
    spec "ext4/mmp.rst; e2fsck e2fsck_check_mmp";

    /// A check was running when the image was taken, or something that nobody knows. Linux does not
    /// mount it before somebody clears that (`tune2fs -f -E clear_mmp`).
    MMP_CHECKED = "ext4-mmp-checked", Error;
    reads "mmp_seq";
    spec "ext4/mmp.rst; e2fsck e2fsck_check_mmp: EXT4_MMP_SEQ_FSCK";

    /// A host had it mounted when the image was taken. Whoever mounts it waits until it is certain
    /// that this one is gone.
    MMP_IN_USE = "ext4-mmp-in-use", Warning;
    reads "mmp_seq";
    spec "ext4/mmp.rst; Linux ext4_multi_mount_protect";

    /// Where somebody has to wait, it takes twice this time: no tool sets more than five minutes.
    MMP_INTERVAL = "ext4-mmp-interval", Warning;
    reads "s_mmp_interval and mmp_check_interval";
    spec "ext4/mmp.rst; e2fsprogs lib/ext2fs/mmp.c: EXT4_MMP_MAX_UPDATE_INTERVAL";

    /// Inode 2 is the root, and a directory.
    ROOT = "ext4-root", Error;
    reads "inode 2";
    spec "ext4/special_inodes.rst";

    /// A directory has no holes. One that lies in its inode has a multiple of four bytes.
    DIRECTORY_BLOCKS = "ext4-directory-blocks", Error;
    reads "the extents or blocks of every directory, and the length of its inline data";
    spec "e2fsck pass 2: unallocated block, size of an inline directory";

    /// The entries of a directory block fill it exactly, and each has room for its name.
    DIRECTORY_ENTRY = "ext4-directory-entry", Error;
    reads "rec_len and name_len of every entry";
    spec "ext4/directory.rst; e2fsck check_dir_block";

    /// Linux reads nothing from a directory block whose checksum is wrong.
    DIRECTORY_CHECKSUM = "ext4-directory-checksum", Error;
    reads "the tail of every directory block, and of every node of an index, with metadata_csum";
    spec "ext4/directory.rst; ext4/checksums.rst";

    /// A name has 1 to 255 bytes, none of which is a slash or NUL.
    DIRECTORY_NAME = "ext4-directory-name", Error;
    reads "the name of every entry";
    spec "ext4/directory.rst; e2fsck pass 2: check_name";

    /// A directory starts with `.`, which is itself, and `..`, which is its parent.
    DIRECTORY_DOTS = "ext4-directory-dots", Error;
    reads "the first two entries of every directory";
    spec "ext4/directory.rst; e2fsck check_dot, check_dotdot";

    /// The entry `.` has more room than it needs, and what is in that room is read by nobody.
    DIRECTORY_DOT_SIZE = "ext4-directory-dot-size", Info;
    reads "rec_len of the first entry of every directory";
    spec "e2fsck check_dot";

    /// An entry leads to an inode that is there, in use, and not one of the reserved.
    DIRECTORY_INODE = "ext4-directory-inode", Error;
    reads "the inode of every entry";
    spec "ext4/directory.rst; e2fsck check_dir_block";

    /// An entry says of a file what its inode says.
    DIRECTORY_TYPE = "ext4-directory-type", Error;
    reads "file_type of every entry, and the mode of the inode";
    spec "ext4/directory.rst; e2fsck check_filetype";

    /// An entry does not say what its file is, where the file system stores types. Programs then
    /// ask the inode, as they have to.
    DIRECTORY_TYPE_MISSING = "ext4-directory-type-missing", Warning;
    reads "file_type of every entry, with filetype";
    spec "e2fsck check_filetype";

    /// What lies in an encrypted directory is encrypted by the same policy, and its name has a
    /// block of the cipher at least. Linux opens nothing else there.
    DIRECTORY_ENCRYPTED = "ext4-directory-encrypted", Error;
    reads "the entries of encrypted directories, and the policies of their inodes";
    spec "Linux, Documentation/filesystems/fscrypt.rst; e2fsck check_encrypted_dirent";

    /// Where the encoding is strict, names without case are text in it.
    DIRECTORY_ENCODING = "ext4-directory-encoding", Error;
    reads "the names in directories with casefold, where s_encoding_flags are strict";
    spec "ext4/super.rst: s_encoding; e2fsck encoded_check_name";

    /// A name is in a block of a directory once.
    DIRECTORY_DUPLICATE = "ext4-directory-duplicate", Error;
    reads "the names of every block of a directory";
    spec "e2fsck pass 2: duplicate entries";

    /// The same name is in two blocks of a directory, or twice in one that lies in its inode. Which
    /// of the two files is found by that name depends on who looks.
    DIRECTORY_REPEATED = "ext4-directory-repeated", Warning;
    reads "the names of every directory";
    spec "e2fsck -D: duplicate entries";

    /// The index of a directory leads to each of its blocks once, in the order of the hashes. Linux
    /// finds no file through a broken one, and some readers crash.
    DIRECTORY_INDEX = "ext4-directory-index", Error;
    reads "the nodes of the index of every directory that has one";
    spec "ext4/directory.rst: hash tree directories; e2fsck parse_int_node";

    /// The names in a block have the hashes that the index promises. Linux does not find the others.
    DIRECTORY_HASH = "ext4-directory-hash", Error;
    reads "the hashes of all names in directories with an index, as far as they are known";
    spec "ext4/directory.rst: hash tree directories; e2fsck pass 2: bad min hash, bad max hash";

    /// A directory has one parent. One with two, or that is inside itself, is a trap for whatever
    /// walks through the tree.
    DIRECTORY_PARENT = "ext4-directory-parent", Error;
    reads "the entries that lead to directories";
    spec "e2fsck pass 2 and 3: multiple links to a directory, loops";

    /// A directory that is below itself is not below the root: nobody comes to it, or can free it.
    DIRECTORY_LOOP = "ext4-directory-loop", Error;
    reads "the parents of every directory";
    spec "e2fsck check_directory";

    /// What e2fsck finds without a name goes to `/lost+found`. Where there is none, e2fsck has to
    /// make one, on a disk that is broken.
    LOST_AND_FOUND = "ext4-lost-and-found", Info;
    reads "/lost+found";
    spec "e2fsck e2fsck_get_lost_and_found";

    /// Every inode in use has a name. One without takes space that nobody can free.
    UNCONNECTED = "ext4-unconnected", Error;
    reads "all inodes in use, and all entries of directories";
    spec "e2fsck pass 3 and 4: unattached inodes";

    /// An inode counts its names. Removing a file that counts too few frees what others still use.
    LINK_COUNT = "ext4-link-count", Error;
    reads "i_links_count of every inode in use, and all entries of directories";
    spec "e2fsck pass 4";

    /// The block bitmaps tell what is in use. The next file would be written over data that they
    /// call free.
    BLOCK_BITMAP = "ext4-block-bitmap", Error;
    reads "the block bitmap of every group, and all blocks in use";
    spec "ext4/bitmaps.rst; e2fsck pass 5";

    /// The inode bitmaps tell what is in use. The next file would take an inode that they call
    /// free.
    INODE_BITMAP = "ext4-inode-bitmap", Error;
    reads "the inode bitmap of every group, and all inodes in use";
    spec "ext4/bitmaps.rst; e2fsck pass 5";

    /// What is behind the end of a bitmap is marked as in use.
    BITMAP_PADDING = "ext4-bitmap-padding", Error;
    reads "the bits of every bitmap that stand for nothing";
    spec "ext4/bitmaps.rst; e2fsck pass 5: padding";

    /// Every group counts its free clusters, its free inodes and its directories.
    GROUP_COUNTS = "ext4-group-counts", Error;
    reads "bg_free_blocks_count, bg_free_inodes_count and bg_used_dirs_count of every group";
    spec "ext4/group_descr.rst; e2fsck pass 5";

    /// A quota file is the inode that is kept for it, and a plain file. Linux does not mount a file
    /// system for writing whose quotas it cannot read.
    QUOTA_INODE = "ext4-quota-inode", Error;
    reads "s_usr_quota_inum, s_grp_quota_inum and s_prj_quota_inum, with quota";
    spec "ext4/special_inodes.rst; e2fsck e2fsck_validate_quota_inodes, pass 1";

    /// A quota file starts with a magic number for what it is about, and a version.
    QUOTA_HEADER = "ext4-quota-header", Error;
    reads "dqh_magic and dqh_version of every quota file";
    spec "e2fsprogs lib/support/quotaio_v2.c: v2_check_file; Linux v2_check_quota_file";

    /// A quota file tells how many blocks it has, and where the lists of the free ones begin.
    QUOTA_INFO = "ext4-quota-info", Error;
    reads "dqi_blocks, dqi_free_blk and dqi_free_entry, and the size of the file";
    spec "e2fsprogs lib/support/quotaio_v2.c: v2_init_io; Linux v2_read_file_info";

    /// The tree of a quota file leads to blocks of it.
    QUOTA_TREE = "ext4-quota-tree", Error;
    reads "the four levels of the tree of every quota file";
    spec "e2fsprogs lib/support/quotaio_tree.c: check_reference";

    /// Quotas count what each user, group and project uses. Linux believes them: who is counted too
    /// much cannot write. Limits are not judged.
    QUOTA_USAGE = "ext4-quota-usage", Error;
    reads "the entries of every quota file, and owner, group, project and i_blocks of every inode";
    spec "e2fsprogs lib/support/mkquota.c: quota_compare_and_update";

    /// The superblock counts what is free. Linux counts for itself when it mounts; programs that
    /// read the superblock get these numbers.
    FREE_COUNTS = "ext4-free-counts", Warning;
    reads "s_free_blocks_count and s_free_inodes_count";
    spec "ext4/super.rst; e2fsck pass 5";

    /// The file system is sound, as far as was looked, but not all of its files can be read: they
    /// are encrypted, or there are more names than are kept, and then no file was looked at.
    UNREADABLE = "ext4-unreadable", Info;
    reads "EXT4_ENCRYPT_FL of all files, and how many names there are";
    spec "ext4/inodes.rst: i_flags";
}
