//! Inodes, and what belongs to a file.

use image_formats::ext4::{Block, Ino};

use super::{Twin, twin};

pub(crate) const TWINS: &[Twin] = &[
    twin("ext4-inode-checksum", |image| {
        let ino = image.ino("/boot/kernel");
        let (sum, _) = image.inode(ino).checksum(&image.superblock(), ino);
        image.edit_inode(ino, |_| ());
        let generation = image.inode(ino).raw.i_generation.get();
        image.edit_inode(ino, |raw| raw.i_generation.set(!generation));
        // With the checksum as it was.
        image.set_inode_checksum(ino, sum);
    }),
    twin("ext4-inode-mode", |image| {
        let ino = image.ino("/boot/kernel");
        image.edit_inode(ino, |raw| raw.i_mode.set(0o170_644));
    }),
    twin("ext4-inode-extra", |image| {
        let ino = image.ino("/boot/kernel");
        image.edit_inode_bytes(ino, |bytes| bytes[128..130].copy_from_slice(&[0xf0, 0xff]));
    }),
    twin("ext4-inode-flags", |image| {
        let ino = image.ino("/boot/kernel");
        image.edit_inode(ino, |raw| raw.i_flags.set(raw.i_flags.get() | 0x1000));
    }),
    twin("ext4-extent-header", |image| {
        let ino = image.ino("/boot/kernel");
        image.edit_inode(ino, |raw| raw.i_block[6..8].fill(0xff));
    }),
    twin("ext4-extent-order", |image| {
        let ino = image.ino("/boot/sparse");
        // The second extent starts where the first does.
        image.edit_extent_block(ino, |block| block.copy_within(12..16, 24));
    }),
    twin("ext4-extent-checksum", |image| {
        let ino = image.ino("/boot/sparse");
        let block = image.extent_block(ino);
        image.block_mut(block)[1020] ^= 1;
    }),
    twin("ext4-block-range", |image| {
        let ino = image.ino("/boot/kernel");
        // `ee_start_hi`.
        image.edit_inode(ino, |raw| raw.i_block[18] = 1);
    }),
    twin("ext4-block-claim", |image| {
        let ino = image.ino("/boot/kernel");
        let Block(taken) = image.first_block(Ino::ROOT);
        image.edit_inode(ino, |raw| {
            raw.i_block[20..24].copy_from_slice(&(taken as u32).to_le_bytes());
        });
    }),
    twin("ext4-file-size", |image| {
        let ino = image.ino("/boot/kernel");
        image.edit_inode(ino, |raw| raw.i_size_lo.set(1));
    }),
    twin("ext4-file-blocks", |image| {
        let ino = image.ino("/boot/kernel");
        image.edit_inode(ino, |raw| raw.i_blocks_lo.set(raw.i_blocks_lo.get() + 2));
    }),
    twin("ext4-symlink", |image| {
        let ino = image.ino("/etc/link59");
        image.edit_inode(ino, |raw| raw.i_size_lo.set(58));
    }),
    twin("ext4-xattr-block", |image| {
        let ino = image.ino("/etc/hostname");
        let block = image.inode(ino).file_acl(&image.superblock());
        image.block_mut(block)[40] ^= 1;
    }),
    twin("ext4-journal", |image| {
        let block = image.first_block(Ino::JOURNAL);
        image.block_mut(block)[0] ^= 1;
    }),
];
