//! A broken twin for every check: a good image with one edit.

use image_formats::squashfs::{
    Compressor,
    raw::{DirectoryInode, FileInode, InodeHeader, IpcInode, LongFileInode, XattrEntry},
};
use zerocopy::little_endian::{U16, U32};

use super::edit::{BLOCK, Edit, bare, bomb, expanded, good, indexed, told};

/// A check, and an image that fails it.
pub(crate) struct Twin {
    pub(crate) check: &'static str,
    /// Checks that cannot but fail with it.
    pub(crate) also: &'static [&'static str],
    image: fn() -> Vec<u8>,
    edit: fn(&mut Edit),
}

impl Twin {
    pub(crate) fn image(&self) -> Vec<u8> {
        let mut edit = Edit { bytes: (self.image)() };
        (self.edit)(&mut edit);
        edit.bytes
    }
}

const fn twin(check: &'static str, edit: fn(&mut Edit)) -> Twin {
    Twin { check, also: &[], image: || good().to_vec(), edit }
}

const fn with(check: &'static str, also: &'static [&'static str], edit: fn(&mut Edit)) -> Twin {
    Twin { check, also, image: || good().to_vec(), edit }
}

const fn of(check: &'static str, image: fn() -> Vec<u8>, edit: fn(&mut Edit)) -> Twin {
    Twin { check, also: &[], image, edit }
}

/// Bytes from the start of the inode of a file to the sizes of its blocks.
const SHORT: usize = 32;

pub(crate) const TWINS: &[Twin] = &[
    twin("squashfs-superblock", |e| e.bytes.truncate(95)),
    twin("squashfs-magic", |e| e.bytes[0] = b's'),
    twin("squashfs-version", |e| e.superblock().s_minor.set(1)),
    twin("squashfs-compressor", |e| e.superblock().compression.set(7)),
    twin("squashfs-lzma", |e| e.superblock().compression.set(2)),
    twin("squashfs-block-size", |e| e.superblock().block_size.set(2048)),
    twin("squashfs-block-log", |e| e.superblock().block_log.set(13)),
    twin("squashfs-size", |e| {
        let used = e.superblock().bytes_used.get() as usize;
        e.bytes.truncate(used - 1);
    }),
    twin("squashfs-padding", |e| {
        let used = e.superblock().bytes_used.get() as usize;
        assert!(!used.is_multiple_of(512));
        e.bytes.truncate(used);
    }),
    of("squashfs-compressor-options", || told(Compressor::Lz4), |e| e.bytes[98] = 2),
    twin("squashfs-checksums", |e| {
        let flags = &mut e.superblock().flags;
        flags.set(flags.get() | 4);
    }),
    of("squashfs-option-values", || told(Compressor::Gzip), |e| e.bytes[98] = 10),
    twin("squashfs-tables", |e| {
        let sb = e.superblock();
        sb.id_table_start.set(sb.id_table_start.get() - 8);
    }),
    twin("squashfs-limits", |e| e.xattr_id(0, |id| id.count.set(u32::MAX))),
    twin("squashfs-metadata", |e| {
        let at = e.superblock().directory_table_start.get() as usize;
        // What is not compressed is said to be.
        e.at::<U16>(at, |header| header.set(header.get() & 0x7fff));
    }),
    of("squashfs-expanded-table", expanded, |_| ()),
    twin("squashfs-flags", |e| {
        let flags = &mut e.superblock().flags;
        flags.set(flags.get() | 0x8000);
    }),
    twin("squashfs-fragment-entry", |e| e.fragment(|entry| entry.size.set(0))),
    twin("squashfs-inode-type", |e| {
        let at = e.find("special/fifo").inode;
        e.at::<InodeHeader>(at, |header| header.inode_type.set(15));
    }),
    twin("squashfs-inode", |e| {
        // The root is the last one, and its longer form has no room.
        let at = e.root().0;
        e.at::<InodeHeader>(at, |header| header.inode_type.set(8));
    }),
    twin("squashfs-mode", |e| {
        let at = e.find("zero").inode;
        e.at::<InodeHeader>(at, |header| header.mode.set(header.mode.get() | 0o040_000));
    }),
    twin("squashfs-owner", |e| {
        let at = e.find("zero").inode;
        e.at::<InodeHeader>(at, |header| header.uid.set(2));
    }),
    with("squashfs-inode-number", &["squashfs-entry-number", "squashfs-export"], |e| {
        let at = e.find("zero").inode;
        e.at::<InodeHeader>(at, |header| header.inode_number.set(1));
    }),
    of(
        "squashfs-inode-count",
        || bare().to_vec(),
        |e| {
            let inodes = &mut e.superblock().inodes;
            inodes.set(inodes.get() + 1);
        },
    ),
    twin("squashfs-file-size", |e| {
        e.inode::<LongFileInode>("sparse", |inode| inode.file_size.set(1 << 63));
    }),
    twin("squashfs-sparse", |e| {
        e.inode::<LongFileInode>("sparse", |inode| inode.sparse.set(3 * BLOCK as u64 + 1));
    }),
    twin("squashfs-block-length", |e| {
        let at = e.find("one block").inode + SHORT;
        e.at::<U32>(at, |size| size.set(1 << 24 | (BLOCK as u32 + 1)));
    }),
    twin("squashfs-block-range", |e| {
        e.inode::<FileInode>("one block", |inode| inode.start_block.set(95));
    }),
    twin("squashfs-fragment", |e| {
        e.inode::<FileInode>("directory/inner/last", |inode| inode.fragment.set(2));
    }),
    twin("squashfs-tail", |e| {
        e.inode::<FileInode>("directory/inner/last", |inode| inode.offset.set(BLOCK as u32 - 30));
    }),
    twin("squashfs-symlink", |e| {
        let at = e.find("symlink").inode + 24;
        e.bytes[at] = 0;
    }),
    twin("squashfs-xattr-index", |e| {
        e.inode::<LongFileInode>("file", |inode| inode.xattr.set(99));
    }),
    twin("squashfs-root", |e| {
        let inode = e.find("zero").inode as u64;
        let sb = e.superblock();
        let offset = inode - sb.inode_table_start.get() - 2;
        sb.root_inode.set(offset);
    }),
    with("squashfs-directory-list", &["squashfs-unreachable"], |e| {
        e.inode::<DirectoryInode>("directory/inner", |inode| inode.start_block.set(1));
    }),
    with("squashfs-entry-inode", &["squashfs-links"], |e| {
        e.entry("linked again", |entry| entry.offset.set(entry.offset.get() + 1));
    }),
    twin("squashfs-entry-number", |e| {
        e.entry("zero", |entry| entry.inode_number.set(entry.inode_number.get() + 1));
    }),
    twin("squashfs-entry-type", |e| {
        e.entry("zero", |entry| entry.entry_type.set(InodeHeader::SYMLINK));
    }),
    twin("squashfs-name", |e| {
        let at = e.find("one block").entry + 8;
        e.bytes[at + 3] = b'/';
    }),
    twin("squashfs-name-order", |e| {
        let at = e.find("file").entry + 8;
        e.bytes[at] = b'z';
    }),
    of(
        "squashfs-directory-index",
        || indexed().to_vec(),
        |e| {
            let inode = e.find("big").inode;
            // The name in the first index entry.
            e.bytes[inode + 40 + 12 + 13] ^= 1;
        },
    ),
    with("squashfs-directory-link", &["squashfs-unreachable"], |e| {
        // All in `directory/inner` goes with it. What leads to `empty` is as good as new.
        let (target, number) = {
            let found = e.find("empty");
            let base = i64::from(u32::from_le_bytes(
                e.bytes[found.header + 8..found.header + 12].try_into().unwrap(),
            ));
            let entry = &e.bytes[found.entry..found.entry + 4];
            let delta = i16::from_le_bytes([entry[2], entry[3]]);
            (u16::from_le_bytes([entry[0], entry[1]]), base + i64::from(delta))
        };
        e.header("directory/inner", |header| header.inode_number.set(number as u32));
        e.entry("directory/inner", |entry| {
            entry.offset.set(target);
            entry.inode_number.set(0);
        });
        // It is come to from here first, or last.
        e.inode::<DirectoryInode>("directory", |inode| inode.nlink.set(3));
    }),
    twin("squashfs-parent", |e| {
        e.inode::<DirectoryInode>("directory/inner", |inode| inode.parent_inode.set(99));
    }),
    twin("squashfs-directory-links", |e| {
        e.inode::<DirectoryInode>("directory", |inode| inode.nlink.set(2));
    }),
    twin("squashfs-links", |e| e.inode::<IpcInode>("special/fifo", |inode| inode.nlink.set(2))),
    twin("squashfs-unreachable", |e| {
        // The last entry of the root.
        e.header("zero", |header| header.count.set(header.count.get() - 1));
        let root = e.root().0 + 16;
        e.at::<DirectoryInode>(root, |inode| inode.file_size.set(inode.file_size.get() - 12));
    }),
    twin("squashfs-export", |e| e.export(0, |place| place.set(place.get() + 1))),
    twin("squashfs-xattr", |e| e.xattr_id(0, |id| id.xattr.set(0x1_0000))),
    twin("squashfs-xattr-prefix", |e| {
        let at = e.xattr();
        e.at::<XattrEntry>(at, |entry| entry.entry_type.set(entry.entry_type.get() | 0x10));
    }),
    twin("squashfs-xattr-size", |e| e.xattr_id(1, |id| id.size.set(id.size.get() + 1))),
    twin("squashfs-block-overlap", |e| {
        let mut start = 0;
        e.inode::<LongFileInode>("file", |inode| start = inode.start_block.get());
        e.inode::<FileInode>("one block", |inode| inode.start_block.set(start as u32 + 1));
    }),
    of("squashfs-expansion-limit", bomb, |_| ()),
    twin("squashfs-data", |e| {
        let at = e.find("one block").inode + SHORT;
        e.at::<U32>(at, |size| size.set(size.get() - 1));
    }),
    with("squashfs-fragment-block", &["squashfs-flags"], |e| {
        e.fragment(|entry| entry.size.set(entry.size.get() & !(1 << 24)));
    }),
];
