//! The superblock.

use std::mem::size_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// `struct ext4_super_block`, fs/ext4/ext4.h. At byte 1024, with copies in some groups.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Superblock {
    /// +0x0 `s_inodes_count`: number of inodes.
    pub s_inodes_count: U32,
    /// +0x4 `s_blocks_count_lo`: number of blocks, low 32 bits.
    pub s_blocks_count_lo: U32,
    /// +0x8 `s_r_blocks_count_lo`: blocks kept for the superuser, low 32 bits.
    pub s_r_blocks_count_lo: U32,
    /// +0xc `s_free_blocks_count_lo`: free clusters, low 32 bits; counted in blocks.
    pub s_free_blocks_count_lo: U32,
    /// +0x10 `s_free_inodes_count`: free inodes.
    pub s_free_inodes_count: U32,
    /// +0x14 `s_first_data_block`: the block that group 0 starts with: 1 where blocks have 1 KiB,
    /// else 0.
    pub s_first_data_block: U32,
    /// +0x18 `s_log_block_size`: a block has `1024 << s_log_block_size` bytes.
    pub s_log_block_size: U32,
    /// +0x1c `s_log_cluster_size`: a cluster has `1024 << s_log_cluster_size` bytes; a block where
    /// there is no bigalloc.
    pub s_log_cluster_size: U32,
    /// +0x20 `s_blocks_per_group`: blocks in a group.
    pub s_blocks_per_group: U32,
    /// +0x24 `s_clusters_per_group`: clusters in a group.
    pub s_clusters_per_group: U32,
    /// +0x28 `s_inodes_per_group`: inodes in a group.
    pub s_inodes_per_group: U32,
    /// +0x2c `s_mtime`: time of the last mount.
    pub s_mtime: U32,
    /// +0x30 `s_wtime`: time of the last write.
    pub s_wtime: U32,
    /// +0x34 `s_mnt_count`: mounts since the last check.
    pub s_mnt_count: U16,
    /// +0x36 `s_max_mnt_count`: mounts after which a check is due.
    pub s_max_mnt_count: U16,
    /// +0x38 `s_magic`: 0xef53.
    pub s_magic: U16,
    /// +0x3a `s_state`: 1 clean, 2 errors, 4 orphans are being recovered.
    pub s_state: U16,
    /// +0x3c `s_errors`: what the kernel does when it finds an error.
    pub s_errors: U16,
    /// +0x3e `s_minor_rev_level`: minor revision.
    pub s_minor_rev_level: U16,
    /// +0x40 `s_lastcheck`: time of the last check.
    pub s_lastcheck: U32,
    /// +0x44 `s_checkinterval`: seconds between checks.
    pub s_checkinterval: U32,
    /// +0x48 `s_creator_os`: 0 Linux, 1 Hurd, 3 FreeBSD.
    pub s_creator_os: U32,
    /// +0x4c `s_rev_level`: 0 has inodes of 128 bytes and no features, 1 is what all systems write.
    pub s_rev_level: U32,
    /// +0x50 `s_def_resuid`: owner of the blocks that are kept.
    pub s_def_resuid: U16,
    /// +0x52 `s_def_resgid`: group of the blocks that are kept.
    pub s_def_resgid: U16,
    /// +0x54 `s_first_ino`: first inode that is not reserved.
    pub s_first_ino: U32,
    /// +0x58 `s_inode_size`: size of an inode in bytes.
    pub s_inode_size: U16,
    /// +0x5a `s_block_group_nr`: the group that this copy lies in.
    pub s_block_group_nr: U16,
    /// +0x5c `s_feature_compat`: features that others may ignore.
    pub s_feature_compat: U32,
    /// +0x60 `s_feature_incompat`: features that a reader must know.
    pub s_feature_incompat: U32,
    /// +0x64 `s_feature_ro_compat`: features that a writer must know.
    pub s_feature_ro_compat: U32,
    /// +0x68 `s_uuid`: UUID.
    pub s_uuid: [u8; 16],
    /// +0x78 `s_volume_name`: label, padded with NULs.
    pub s_volume_name: [u8; 16],
    /// +0x88 `s_last_mounted`: where it was mounted last.
    pub s_last_mounted: [u8; 64],
    /// +0xc8 `s_algorithm_usage_bitmap`: for compression, which was never merged.
    pub s_algorithm_usage_bitmap: U32,
    /// +0xcc `s_prealloc_blocks`: blocks to preallocate for files.
    pub s_prealloc_blocks: u8,
    /// +0xcd `s_prealloc_dir_blocks`: blocks to preallocate for directories.
    pub s_prealloc_dir_blocks: u8,
    /// +0xce `s_reserved_gdt_blocks`: blocks kept after the group descriptors, to grow.
    pub s_reserved_gdt_blocks: U16,
    /// +0xd0 `s_journal_uuid`: UUID of the device with the journal.
    pub s_journal_uuid: [u8; 16],
    /// +0xe0 `s_journal_inum`: inode of the journal.
    pub s_journal_inum: U32,
    /// +0xe4 `s_journal_dev`: device of the journal.
    pub s_journal_dev: U32,
    /// +0xe8 `s_last_orphan`: first inode of the list of those to delete.
    pub s_last_orphan: U32,
    /// +0xec `s_hash_seed`: seed of the hashes of names.
    pub s_hash_seed: [U32; 4],
    /// +0xfc `s_def_hash_version`: hash of names in new directories.
    pub s_def_hash_version: u8,
    /// +0xfd `s_jnl_backup_type`: 1 where `s_jnl_blocks` is a copy of the journal inode.
    pub s_jnl_backup_type: u8,
    /// +0xfe `s_desc_size`: size of a group descriptor, with 64bit.
    pub s_desc_size: U16,
    /// +0x100 `s_default_mount_opts`: mount options.
    pub s_default_mount_opts: U32,
    /// +0x104 `s_first_meta_bg`: first block of descriptors that lies in its own groups.
    pub s_first_meta_bg: U32,
    /// +0x108 `s_mkfs_time`: time when it was made.
    pub s_mkfs_time: U32,
    /// +0x10c `s_jnl_blocks`: copy of `i_block` and of the size of the journal.
    pub s_jnl_blocks: [U32; 17],
    /// +0x150 `s_blocks_count_hi`: high 32 bits.
    pub s_blocks_count_hi: U32,
    /// +0x154 `s_r_blocks_count_hi`: high 32 bits.
    pub s_r_blocks_count_hi: U32,
    /// +0x158 `s_free_blocks_count_hi`: high 32 bits.
    pub s_free_blocks_count_hi: U32,
    /// +0x15c `s_min_extra_isize`: bytes beyond 128 that every inode has.
    pub s_min_extra_isize: U16,
    /// +0x15e `s_want_extra_isize`: bytes beyond 128 that new inodes get.
    pub s_want_extra_isize: U16,
    /// +0x160 `s_flags`: 1 signed and 2 unsigned hashes of names, 4 test code.
    pub s_flags: U32,
    /// +0x164 `s_raid_stride`: RAID stride.
    pub s_raid_stride: U16,
    /// +0x166 `s_mmp_interval`: seconds between checks for other hosts.
    pub s_mmp_interval: U16,
    /// +0x168 `s_mmp_block`: block of the multi-mount protection.
    pub s_mmp_block: U64,
    /// +0x170 `s_raid_stripe_width`: blocks in a RAID stripe.
    pub s_raid_stripe_width: U32,
    /// +0x174 `s_log_groups_per_flex`: a flexible group has `1 << s_log_groups_per_flex` groups.
    pub s_log_groups_per_flex: u8,
    /// +0x175 `s_checksum_type`: 1 for crc32c.
    pub s_checksum_type: u8,
    /// +0x176 `s_encryption_level`: version of the encryption.
    pub s_encryption_level: u8,
    /// +0x177 `s_reserved_pad`: 0.
    pub s_reserved_pad: u8,
    /// +0x178 `s_kbytes_written`: KiB written so far.
    pub s_kbytes_written: U64,
    /// +0x180 `s_snapshot_inum`: inode of the active snapshot.
    pub s_snapshot_inum: U32,
    /// +0x184 `s_snapshot_id`: number of the active snapshot.
    pub s_snapshot_id: U32,
    /// +0x188 `s_snapshot_r_blocks_count`: blocks kept for the snapshot.
    pub s_snapshot_r_blocks_count: U64,
    /// +0x190 `s_snapshot_list`: first inode of the snapshots.
    pub s_snapshot_list: U32,
    /// +0x194 `s_error_count`: errors that the kernel found.
    pub s_error_count: U32,
    /// +0x198 `s_first_error_time`: time of the first.
    pub s_first_error_time: U32,
    /// +0x19c `s_first_error_ino`: its inode.
    pub s_first_error_ino: U32,
    /// +0x1a0 `s_first_error_block`: its block.
    pub s_first_error_block: U64,
    /// +0x1a8 `s_first_error_func`: the function that found it.
    pub s_first_error_func: [u8; 32],
    /// +0x1c8 `s_first_error_line`: its line.
    pub s_first_error_line: U32,
    /// +0x1cc `s_last_error_time`: time of the last.
    pub s_last_error_time: U32,
    /// +0x1d0 `s_last_error_ino`: its inode.
    pub s_last_error_ino: U32,
    /// +0x1d4 `s_last_error_line`: its line.
    pub s_last_error_line: U32,
    /// +0x1d8 `s_last_error_block`: its block.
    pub s_last_error_block: U64,
    /// +0x1e0 `s_last_error_func`: the function that found it.
    pub s_last_error_func: [u8; 32],
    /// +0x200 `s_mount_opts`: mount options, as text.
    pub s_mount_opts: [u8; 64],
    /// +0x240 `s_usr_quota_inum`: inode with the quotas of users.
    pub s_usr_quota_inum: U32,
    /// +0x244 `s_grp_quota_inum`: inode with the quotas of groups.
    pub s_grp_quota_inum: U32,
    /// +0x248 `s_overhead_blocks`: clusters that hold metadata.
    pub s_overhead_blocks: U32,
    /// +0x24c `s_backup_bgs`: groups with copies of the superblock, with sparse_super2.
    pub s_backup_bgs: [U32; 2],
    /// +0x254 `s_encrypt_algos`: encryption algorithms.
    pub s_encrypt_algos: [u8; 4],
    /// +0x258 `s_encrypt_pw_salt`: salt.
    pub s_encrypt_pw_salt: [u8; 16],
    /// +0x268 `s_lpf_ino`: inode of lost+found.
    pub s_lpf_ino: U32,
    /// +0x26c `s_prj_quota_inum`: inode with the quotas of projects.
    pub s_prj_quota_inum: U32,
    /// +0x270 `s_checksum_seed`: seed of all checksums, with metadata_csum_seed.
    pub s_checksum_seed: U32,
    /// +0x274 `s_wtime_hi`: high 8 bits.
    pub s_wtime_hi: u8,
    /// +0x275 `s_mtime_hi`: high 8 bits.
    pub s_mtime_hi: u8,
    /// +0x276 `s_mkfs_time_hi`: high 8 bits.
    pub s_mkfs_time_hi: u8,
    /// +0x277 `s_lastcheck_hi`: high 8 bits.
    pub s_lastcheck_hi: u8,
    /// +0x278 `s_first_error_time_hi`: high 8 bits.
    pub s_first_error_time_hi: u8,
    /// +0x279 `s_last_error_time_hi`: high 8 bits.
    pub s_last_error_time_hi: u8,
    /// +0x27a `s_first_error_errcode`: error number of the first error.
    pub s_first_error_errcode: u8,
    /// +0x27b `s_last_error_errcode`: error number of the last error.
    pub s_last_error_errcode: u8,
    /// +0x27c `s_encoding`: encoding of names, with casefold.
    pub s_encoding: U16,
    /// +0x27e `s_encoding_flags`: flags of the encoding.
    pub s_encoding_flags: U16,
    /// +0x280 `s_orphan_file_inum`: inode of the list of inodes to delete, with orphan_file.
    pub s_orphan_file_inum: U32,
    /// +0x284 `s_reserved`: 0.
    pub s_reserved: [U32; 94],
    /// +0x3fc `s_checksum`: crc32c of all that is before it.
    pub s_checksum: U32,
}

impl Superblock {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(Superblock::SIZE == 1024);
