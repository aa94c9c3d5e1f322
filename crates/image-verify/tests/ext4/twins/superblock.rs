//! The superblock.

use image_formats::ext4::incompat;

use super::{Base, Twin, twin};

/// What e2fsck finds before its first pass does not make it fail.
const FORGOTTEN: &str = "it says so, and then exits with 0 all the same";

pub(crate) const TWINS: &[Twin] = &[
    twin("ext4-superblock", |image| image.bytes.truncate(1500)),
    twin("ext4-magic", |image| image.edit_superblock(|raw| raw.s_magic.set(0xef51))),
    twin("ext4-revision", |image| image.edit_superblock(|raw| raw.s_rev_level.set(2))),
    twin("ext4-features", |image| {
        image.edit_superblock(|raw| raw.s_feature_incompat.set(0x8000_02c2));
    }),
    twin("ext4-feature-needs", |image| {
        image.edit_superblock(|raw| {
            raw.s_feature_incompat.set(raw.s_feature_incompat.get() & !incompat::EXTENTS);
        });
    })
    .of(Base::Bigalloc)
    .also(&["ext4-feature-pairs", "ext4-inode-flags"]),
    twin("ext4-feature-pairs", |image| {
        image.edit_superblock(|raw| raw.s_reserved_gdt_blocks.set(1));
    })
    .of(Base::MetaBg)
    .silent(FORGOTTEN),
    twin("ext4-superblock-checksum", |image| image.bytes[2047] ^= 1),
    twin("ext4-block-size", |image| image.edit_superblock(|raw| raw.s_log_block_size.set(30))),
    twin("ext4-cluster-size", |image| image.edit_superblock(|raw| raw.s_log_cluster_size.set(1))),
    twin("ext4-first-data-block", |image| {
        image.edit_superblock(|raw| raw.s_first_data_block.set(0));
    }),
    twin("ext4-group-size", |image| image.edit_superblock(|raw| raw.s_blocks_per_group.set(8191))),
    twin("ext4-inode-size", |image| image.edit_superblock(|raw| raw.s_inode_size.set(65535))),
    twin("ext4-first-inode", |image| image.edit_superblock(|raw| raw.s_first_ino.set(5))),
    twin("ext4-inodes-per-group", |image| {
        image.edit_superblock(|raw| raw.s_inodes_per_group.set(0));
    }),
    twin("ext4-descriptor-size", |image| image.edit_superblock(|raw| raw.s_desc_size.set(8))),
    twin("ext4-blocks-count", |image| image.bytes.truncate(20 << 20))
        .silent("it asks whether to abort, `-n` says no, and it goes on where blocks are there"),
    twin("ext4-reserved-blocks", |image| {
        image.edit_superblock(|raw| raw.s_r_blocks_count_lo.set(13000));
    }),
    twin("ext4-reserved-descriptors", |image| {
        image.edit_superblock(|raw| raw.s_reserved_gdt_blocks.set(257));
    }),
    twin("ext4-first-meta-bg", |image| image.edit_superblock(|raw| raw.s_first_meta_bg.set(9)))
        .of(Base::MetaBg),
    twin("ext4-flex-size", |image| image.edit_superblock(|raw| raw.s_log_groups_per_flex = 32)),
    twin("ext4-extra-size", |image| image.edit_superblock(|raw| raw.s_want_extra_isize.set(132)))
        .silent("it says so, and then exits with 0 all the same; Linux does not mount this"),
    twin("ext4-extra-size-odd", |image| image.edit_superblock(|raw| raw.s_min_extra_isize.set(30)))
        .silent(FORGOTTEN),
    twin("ext4-encoding", |image| image.edit_superblock(|raw| raw.s_encoding.set(2)))
        .of(Base::Names),
    twin("ext4-encryption", |image| image.edit_superblock(|raw| raw.s_encryption_level = 1))
        .of(Base::Names)
        .silent("it does not look; Linux does not mount this"),
    twin("ext4-hash-version", |image| image.edit_superblock(|raw| raw.s_def_hash_version = 7))
        .silent("it does not look"),
    twin("ext4-inodes-count", |image| {
        image.edit_superblock(|raw| raw.s_inodes_count.set(raw.s_inodes_count.get() + 1));
    }),
    twin("ext4-limit", |image| image.edit_superblock(|raw| raw.s_blocks_count_hi.set(2)))
        .not_asked("a file of 16 TiB"),
    twin("ext4-errors", |image| image.edit_superblock(|raw| raw.s_state.set(3)))
        .silent("it clears the mark when it may write"),
    twin("ext4-clean", |image| image.edit_superblock(|raw| raw.s_state.set(0)))
        .silent("it checks such a file system and then calls it clean"),
    twin("ext4-journal-replay", |image| {
        image.edit_superblock(|raw| {
            raw.s_feature_incompat.set(raw.s_feature_incompat.get() | incompat::RECOVER);
        });
    })
    .also(&["ext4-journal-empty"])
    .silent("it replays the journal when it may write"),
    twin("ext4-orphans", |image| {
        let ino = image.ino("/etc/empty");
        image.edit_superblock(|raw| raw.s_last_orphan.set(ino.0));
    })
    .silent("it works through the list when it may write"),
    twin("ext4-unreadable", |image| image.bytes = Base::Inline.bytes().to_vec())
        .silent("it is sound"),
];
