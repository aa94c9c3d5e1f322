//! Groups and their bitmaps.

use image_formats::ext4::GroupIndex;

use super::{GROUP_0, Twin, twin};

pub(crate) const TWINS: &[Twin] = &[
    twin("ext4-group-checksum", |image| {
        let at = 2048 + 0x1e;
        image.bytes[at] ^= 1;
    })
    .silent("it says so, and then exits with 0 all the same; Linux does not mount this"),
    twin("ext4-group-tables", |image| {
        image.edit_descriptor(GROUP_0, |raw| {
            let table = raw.bg_inode_table_lo.get();
            raw.bg_inode_bitmap_lo.set(table + 1);
        });
    })
    .also(&["ext4-backup-descriptors"]),
    twin("ext4-group-flags-odd", |image| {
        image.edit_descriptor(GROUP_0, |raw| raw.bg_flags.set(raw.bg_flags.get() | 0x100));
    })
    .silent("it does not look"),
    twin("ext4-inode-table-unused", |image| {
        image.edit_descriptor(GroupIndex(2), |raw| raw.bg_itable_unused_lo.set(0xffff));
    })
    .silent("it says so, and then exits with 0 all the same"),
    twin("ext4-backup-descriptors", |image| {
        let block = image.geometry().descriptor_copy(GroupIndex(1), 0).unwrap();
        image.block_mut(block)[0] ^= 1;
    })
    .silent("it looks at the copies only when it wants to write"),
    twin("ext4-resize-inode", |image| {
        let geometry = image.geometry();
        let block = geometry.descriptor_block(geometry.descriptor_blocks());
        image.block_mut(block)[0] ^= 1;
    })
    .silent("it says so, and then exits with 0 all the same"),
    twin("ext4-backup", |image| {
        let block = image.geometry().layout(GroupIndex(1)).superblock.unwrap();
        // +0x68 `s_uuid`.
        image.block_mut(block)[0x68] ^= 1;
    })
    .silent("it looks at the copies only when it wants to write"),
    twin("ext4-bitmap-checksum", |image| {
        image.edit_descriptor(GROUP_0, |raw| {
            raw.bg_block_bitmap_csum_lo.set(!raw.bg_block_bitmap_csum_lo.get());
        });
    }),
    twin("ext4-block-bitmap", |image| {
        image.edit_bitmap(GROUP_0, true, |bits| bits[0] ^= 1);
    }),
    twin("ext4-inode-bitmap", |image| {
        image.edit_bitmap(GROUP_0, false, |bits| bits[2] ^= 1);
    }),
    twin("ext4-bitmap-padding", |image| {
        image.edit_bitmap(GROUP_0, false, |bits| *bits.last_mut().unwrap() = 0x7f);
    }),
    twin("ext4-group-counts", |image| {
        image.edit_descriptor(GROUP_0, |raw| {
            raw.bg_free_inodes_count_lo.set(raw.bg_free_inodes_count_lo.get() + 1);
        });
    }),
    twin("ext4-free-counts", |image| {
        image.edit_superblock(|raw| {
            raw.s_free_blocks_count_lo.set(raw.s_free_blocks_count_lo.get() - 1);
        });
    })
    .silent("it says so, and then exits with 0 all the same"),
];
