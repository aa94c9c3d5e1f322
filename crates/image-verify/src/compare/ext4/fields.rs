//! The fields of an ext4 file system that makers vary.

use image_formats::ext4::FeatureSet;

use super::super::{
    fields::{
        Field,
        Show::{Bytes, Features, Hex, Number, Text, Time, Uuid},
        field,
    },
    kinds::*,
    map::Table,
};

/// `struct ext4_super_block`. The number of the group that a copy lies in is none of them.
pub(super) static SUPERBLOCK: &[Field] = &[
    field(0, 4, "s_inodes_count", &EXT4_SIZE, Number),
    field(4, 4, "s_blocks_count_lo", &EXT4_SIZE, Number),
    field(8, 4, "s_r_blocks_count_lo", &EXT4_SIZE, Number),
    field(12, 4, "s_free_blocks_count_lo", &EXT4_FREE, Number),
    field(16, 4, "s_free_inodes_count", &EXT4_FREE, Number),
    field(20, 4, "s_first_data_block", &EXT4_SIZE, Number),
    field(24, 4, "s_log_block_size", &EXT4_SIZE, Number),
    field(28, 4, "s_log_cluster_size", &EXT4_SIZE, Number),
    field(32, 4, "s_blocks_per_group", &EXT4_SIZE, Number),
    field(36, 4, "s_clusters_per_group", &EXT4_SIZE, Number),
    field(40, 4, "s_inodes_per_group", &EXT4_SIZE, Number),
    field(44, 4, "s_mtime", &EXT4_MOUNT, Time),
    field(48, 4, "s_wtime", &EXT4_WRITE_TIME, Time),
    field(52, 2, "s_mnt_count", &EXT4_MOUNT, Number),
    field(54, 2, "s_max_mnt_count", &EXT4_PARAMETERS, Number),
    field(56, 2, "s_magic", &EXT4_PARAMETERS, Hex),
    field(58, 2, "s_state", &EXT4_STATE, Hex),
    field(60, 2, "s_errors", &EXT4_PARAMETERS, Number),
    field(62, 2, "s_minor_rev_level", &EXT4_PARAMETERS, Number),
    field(64, 4, "s_lastcheck", &EXT4_CHECK_TIME, Time),
    field(68, 4, "s_checkinterval", &EXT4_PARAMETERS, Number),
    field(72, 4, "s_creator_os", &EXT4_PARAMETERS, Number),
    field(76, 4, "s_rev_level", &EXT4_PARAMETERS, Number),
    field(80, 2, "s_def_resuid", &EXT4_PARAMETERS, Number),
    field(82, 2, "s_def_resgid", &EXT4_PARAMETERS, Number),
    field(84, 4, "s_first_ino", &EXT4_PARAMETERS, Number),
    field(88, 2, "s_inode_size", &EXT4_SIZE, Number),
    field(92, 4, "s_feature_compat", &EXT4_FEATURES, Features(FeatureSet::Compat)),
    field(96, 4, "s_feature_incompat", &EXT4_FEATURES, Features(FeatureSet::Incompat)),
    field(100, 4, "s_feature_ro_compat", &EXT4_FEATURES, Features(FeatureSet::RoCompat)),
    field(104, 16, "s_uuid", &EXT4_UUID, Uuid),
    field(120, 16, "s_volume_name", &EXT4_LABEL, Text),
    field(136, 64, "s_last_mounted", &EXT4_MOUNT, Text),
    field(200, 4, "s_algorithm_usage_bitmap", &EXT4_PARAMETERS, Number),
    field(204, 1, "s_prealloc_blocks", &EXT4_PARAMETERS, Number),
    field(205, 1, "s_prealloc_dir_blocks", &EXT4_PARAMETERS, Number),
    field(206, 2, "s_reserved_gdt_blocks", &EXT4_SIZE, Number),
    field(208, 16, "s_journal_uuid", &EXT4_PARAMETERS, Uuid),
    field(224, 4, "s_journal_inum", &EXT4_PARAMETERS, Number),
    field(228, 4, "s_journal_dev", &EXT4_PARAMETERS, Number),
    field(232, 4, "s_last_orphan", &EXT4_PARAMETERS, Number),
    field(236, 16, "s_hash_seed", &EXT4_HASH_SEED, Uuid),
    field(252, 1, "s_def_hash_version", &EXT4_PARAMETERS, Number),
    field(253, 1, "s_jnl_backup_type", &EXT4_PARAMETERS, Number),
    field(254, 2, "s_desc_size", &EXT4_SIZE, Number),
    field(256, 4, "s_default_mount_opts", &EXT4_PARAMETERS, Hex),
    field(260, 4, "s_first_meta_bg", &EXT4_PARAMETERS, Number),
    field(264, 4, "s_mkfs_time", &EXT4_MKFS_TIME, Time),
    field(268, 68, "s_jnl_blocks", &EXT4_BLOCK_MAP, Bytes),
    field(336, 4, "s_blocks_count_hi", &EXT4_SIZE, Number),
    field(340, 4, "s_r_blocks_count_hi", &EXT4_SIZE, Number),
    field(344, 4, "s_free_blocks_count_hi", &EXT4_FREE, Number),
    field(348, 2, "s_min_extra_isize", &EXT4_PARAMETERS, Number),
    field(350, 2, "s_want_extra_isize", &EXT4_PARAMETERS, Number),
    field(352, 4, "s_flags", &EXT4_PARAMETERS, Hex),
    field(356, 2, "s_raid_stride", &EXT4_PARAMETERS, Number),
    field(358, 2, "s_mmp_interval", &EXT4_PARAMETERS, Number),
    field(360, 8, "s_mmp_block", &EXT4_PARAMETERS, Number),
    field(368, 4, "s_raid_stripe_width", &EXT4_PARAMETERS, Number),
    field(372, 1, "s_log_groups_per_flex", &EXT4_PARAMETERS, Number),
    field(373, 1, "s_checksum_type", &EXT4_PARAMETERS, Number),
    field(374, 1, "s_encryption_level", &EXT4_PARAMETERS, Number),
    field(375, 1, "s_reserved_pad", &EXT4_PARAMETERS, Number),
    field(376, 8, "s_kbytes_written", &EXT4_WRITE_TIME, Number),
    field(384, 4, "s_snapshot_inum", &EXT4_PARAMETERS, Number),
    field(388, 4, "s_snapshot_id", &EXT4_PARAMETERS, Number),
    field(392, 8, "s_snapshot_r_blocks_count", &EXT4_PARAMETERS, Number),
    field(400, 4, "s_snapshot_list", &EXT4_PARAMETERS, Number),
    field(404, 4, "s_error_count", &EXT4_STATE, Number),
    field(408, 4, "s_first_error_time", &EXT4_STATE, Time),
    field(412, 4, "s_first_error_ino", &EXT4_STATE, Number),
    field(416, 8, "s_first_error_block", &EXT4_STATE, Number),
    field(424, 32, "s_first_error_func", &EXT4_STATE, Text),
    field(456, 4, "s_first_error_line", &EXT4_STATE, Number),
    field(460, 4, "s_last_error_time", &EXT4_STATE, Time),
    field(464, 4, "s_last_error_ino", &EXT4_STATE, Number),
    field(468, 4, "s_last_error_line", &EXT4_STATE, Number),
    field(472, 8, "s_last_error_block", &EXT4_STATE, Number),
    field(480, 32, "s_last_error_func", &EXT4_STATE, Text),
    field(512, 64, "s_mount_opts", &EXT4_PARAMETERS, Text),
    field(576, 4, "s_usr_quota_inum", &EXT4_PARAMETERS, Number),
    field(580, 4, "s_grp_quota_inum", &EXT4_PARAMETERS, Number),
    field(584, 4, "s_overhead_blocks", &EXT4_SIZE, Number),
    field(588, 8, "s_backup_bgs", &EXT4_PARAMETERS, Bytes),
    field(596, 4, "s_encrypt_algos", &EXT4_PARAMETERS, Bytes),
    field(600, 16, "s_encrypt_pw_salt", &EXT4_PARAMETERS, Bytes),
    field(616, 4, "s_lpf_ino", &EXT4_PARAMETERS, Number),
    field(620, 4, "s_prj_quota_inum", &EXT4_PARAMETERS, Number),
    field(624, 4, "s_checksum_seed", &EXT4_CHECKSUM, Hex),
    field(628, 1, "s_wtime_hi", &EXT4_WRITE_TIME, Number),
    field(629, 1, "s_mtime_hi", &EXT4_MOUNT, Number),
    field(630, 1, "s_mkfs_time_hi", &EXT4_MKFS_TIME, Number),
    field(631, 1, "s_lastcheck_hi", &EXT4_CHECK_TIME, Number),
    field(632, 1, "s_first_error_time_hi", &EXT4_STATE, Number),
    field(633, 1, "s_last_error_time_hi", &EXT4_STATE, Number),
    field(634, 1, "s_first_error_errcode", &EXT4_STATE, Number),
    field(635, 1, "s_last_error_errcode", &EXT4_STATE, Number),
    field(636, 2, "s_encoding", &EXT4_PARAMETERS, Number),
    field(638, 2, "s_encoding_flags", &EXT4_PARAMETERS, Hex),
    field(640, 4, "s_orphan_file_inum", &EXT4_PARAMETERS, Number),
    field(644, 376, "s_reserved", &EXT4_PARAMETERS, Bytes),
    field(1020, 4, "s_checksum", &EXT4_CHECKSUM, Hex),
];

/// `struct ext4_inode`. What follows it in an inode are extended attributes.
pub(super) static INODE: Table =
    Table { fields: INODE_FIELDS, rest: &EXT4_XATTR, other: &EXT4_INODE };

static INODE_FIELDS: &[Field] = &[
    field(0, 2, "i_mode", &FILE_MODE, Hex),
    field(2, 2, "i_uid", &FILE_OWNER, Hex),
    field(4, 4, "i_size_lo", &FILE_CONTENT, Hex),
    field(8, 4, "i_atime", &EXT4_INODE_TIMES, Time),
    field(12, 4, "i_ctime", &EXT4_INODE_TIMES, Time),
    field(16, 4, "i_mtime", &FILE_MTIME, Time),
    field(20, 4, "i_dtime", &EXT4_INODE, Hex),
    field(24, 2, "i_gid", &FILE_OWNER, Hex),
    field(26, 2, "i_links_count", &EXT4_INODE, Hex),
    field(28, 4, "i_blocks_lo", &EXT4_BLOCK_MAP, Hex),
    field(32, 4, "i_flags", &EXT4_INODE, Hex),
    field(36, 4, "osd1", &EXT4_GENERATION, Hex),
    field(40, 60, "i_block", &EXT4_BLOCK_MAP, Bytes),
    field(100, 4, "i_generation", &EXT4_GENERATION, Hex),
    field(104, 4, "i_file_acl_lo", &EXT4_XATTR, Hex),
    field(108, 4, "i_size_high", &FILE_CONTENT, Hex),
    field(112, 4, "i_obso_faddr", &EXT4_INODE, Hex),
    field(116, 2, "l_i_blocks_high", &EXT4_BLOCK_MAP, Hex),
    field(118, 2, "l_i_file_acl_high", &EXT4_XATTR, Hex),
    field(120, 2, "l_i_uid_high", &FILE_OWNER, Hex),
    field(122, 2, "l_i_gid_high", &FILE_OWNER, Hex),
    field(124, 2, "l_i_checksum_lo", &EXT4_CHECKSUM, Hex),
    field(126, 2, "l_i_reserved", &EXT4_INODE, Hex),
    field(128, 2, "i_extra_isize", &EXT4_INODE, Hex),
    field(130, 2, "i_checksum_hi", &EXT4_CHECKSUM, Hex),
    field(132, 4, "i_ctime_extra", &EXT4_INODE_TIMES, Hex),
    field(136, 4, "i_mtime_extra", &EXT4_INODE_TIMES, Hex),
    field(140, 4, "i_atime_extra", &EXT4_INODE_TIMES, Hex),
    field(144, 4, "i_crtime", &EXT4_INODE_TIMES, Time),
    field(148, 4, "i_crtime_extra", &EXT4_INODE_TIMES, Hex),
    field(152, 4, "i_version_hi", &EXT4_GENERATION, Hex),
    field(156, 4, "i_projid", &EXT4_INODE, Hex),
];

/// `struct ext4_group_desc`, but for what counts where things are.
pub(super) static GROUP: Table =
    Table { fields: GROUP_FIELDS, rest: &EXT4_GROUPS, other: &EXT4_GROUPS };

static GROUP_FIELDS: &[Field] = &[
    field(0x18, 2, "bg_block_bitmap_csum_lo", &EXT4_CHECKSUM, Hex),
    field(0x1a, 2, "bg_inode_bitmap_csum_lo", &EXT4_CHECKSUM, Hex),
    field(0x1e, 2, "bg_checksum", &EXT4_CHECKSUM, Hex),
    field(0x38, 2, "bg_block_bitmap_csum_hi", &EXT4_CHECKSUM, Hex),
    field(0x3a, 2, "bg_inode_bitmap_csum_hi", &EXT4_CHECKSUM, Hex),
];

/// A copy of the superblock.
pub(super) static COPY: Table =
    Table { fields: SUPERBLOCK, rest: &EXT4_PARAMETERS, other: &EXT4_PARAMETERS };

/// `struct journal_superblock_s`: it has the UUID as well.
pub(super) static JOURNAL: Table =
    Table { fields: JOURNAL_FIELDS, rest: &EXT4_JOURNAL, other: &EXT4_JOURNAL };

static JOURNAL_FIELDS: &[Field] = &[
    field(0x30, 16, "s_uuid", &EXT4_UUID, Uuid),
    field(0xfc, 4, "s_checksum", &EXT4_CHECKSUM, Hex),
];
