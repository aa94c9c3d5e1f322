//! Directories, and who is in them.

use image_formats::ext4::Ino;

use super::{Twin, edit_entry, twin};

pub(crate) const TWINS: &[Twin] = &[
    twin("ext4-root", |image| image.edit_inode(Ino::ROOT, |raw| raw.i_mode.set(0o100_755))),
    twin("ext4-directory-blocks", |image| {
        let ino = image.ino("/empty");
        image.edit_inode(ino, |raw| {
            // `ee_block`.
            raw.i_block[12] = 1;
            raw.i_size_lo.set(2048);
        });
    }),
    twin("ext4-directory-entry", |image| {
        edit_entry(image, "/etc", "hostname", |entry| entry[4..6].fill(0));
    }),
    twin("ext4-directory-checksum", |image| {
        let ino = image.ino("/etc");
        let block = image.first_block(ino);
        image.block_mut(block)[1023] ^= 1;
    }),
    twin("ext4-directory-name", |image| {
        edit_entry(image, "/etc", "hostname", |entry| entry[8 + 4] = b'/');
    }),
    twin("ext4-directory-dots", |image| {
        edit_entry(image, "/empty", "..", |entry| entry[0] = 11);
    }),
    twin("ext4-directory-inode", |image| {
        edit_entry(image, "/etc", "hostname", |entry| entry[..4].fill(0x7f));
    }),
    twin("ext4-directory-type", |image| {
        edit_entry(image, "/etc", "hostname", |entry| entry[7] = 7);
    }),
    twin("ext4-directory-duplicate", |image| {
        edit_entry(image, "/etc", "link60", |entry| entry[8 + 5] = b'1');
    }),
    twin("ext4-directory-index", |image| {
        let ino = image.ino("/many");
        // `hash_version`.
        image.edit_directory(ino, |block| block[0x1c] = 9);
    }),
    twin("ext4-directory-parent", |image| {
        let Ino(boot) = image.ino("/boot");
        edit_entry(image, "/etc", "hostname", |entry| {
            entry[..4].copy_from_slice(&boot.to_le_bytes());
            entry[7] = 2;
        });
    }),
    twin("ext4-unconnected", |image| {
        edit_entry(image, "/etc", "empty", |entry| entry[..4].fill(0));
    }),
    twin("ext4-link-count", |image| {
        let ino = image.ino("/boot/kernel");
        image.edit_inode(ino, |raw| raw.i_links_count.set(5));
    }),
];
