//! Directories, and who is in them.

use image_formats::ext4::{DirectoryBlock, Ino, Inode};

use super::{super::image::*, Base, Twin, edit_entry, twin};

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
    twin("ext4-directory-dot-size", |image| {
        let ino = image.ino("/empty");
        image.edit_directory(ino, |block| {
            block.copy_within(12..24, 28);
            let rest = u16::from_le_bytes([block[16], block[17]]) - 16;
            block[32..34].copy_from_slice(&rest.to_le_bytes());
            block[4] = 28;
        });
    })
    .silent("it says so, and then exits with 0 all the same"),
    twin("ext4-directory-inode", |image| {
        edit_entry(image, "/etc", "hostname", |entry| entry[..4].fill(0x7f));
    }),
    twin("ext4-directory-type", |image| {
        edit_entry(image, "/etc", "hostname", |entry| entry[7] = 7);
    }),
    twin("ext4-directory-type-missing", |image| {
        edit_entry(image, "/etc", "hostname", |entry| entry[7] = 0);
    })
    .silent("it would write the type, and does not call it wrong"),
    twin("ext4-directory-encrypted", |image| {
        edit_entry(image, "/secret", SECRET, |entry| entry[6] = 15);
    })
    .of(Base::Names),
    twin("ext4-directory-encoding", |image| {
        edit_entry(image, "/folded", "hello", |entry| entry[8 + 1] = 0xff);
    })
    .of(Base::Names),
    twin("ext4-directory-duplicate", |image| {
        edit_entry(image, "/etc", "link60", |entry| entry[8 + 5] = b'1');
    }),
    twin("ext4-directory-repeated", |image| {
        let (first, second) = long_names();
        let ino = image.ino("/long");
        image.edit_directory_block(ino, 1, |block| {
            let at = entry_at(block, &second) + 8;
            block[at..at + first.len()].copy_from_slice(first.as_bytes());
        });
    })
    .silent("it compares the names of a block, and those of a directory only to make an index"),
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
    twin("ext4-directory-hash", |image| {
        // Two files change their names: each is where the other should be.
        let ino = image.ino("/many");
        let number = |block: &[u8]| {
            let entries = DirectoryBlock::new(block, block.len() as u32).entries();
            // The tail looks like an entry that is not used.
            let at = entries.filter(|entry| entry.inode != 0).last().unwrap().at + 8;
            at..at + 3
        };
        let mut first = Vec::new();
        image.edit_directory_block(ino, 2, |block| {
            let here = number(block);
            first = block[here].to_vec();
        });
        image.edit_directory_block(ino, 4, |block| {
            let here = number(block);
            let second = block[here.clone()].to_vec();
            block[here].copy_from_slice(&first);
            first = second;
        });
        image.edit_directory_block(ino, 2, |block| {
            let here = number(block);
            block[here].copy_from_slice(&first);
        });
    }),
    twin("ext4-directory-loop", |image| {
        // `/deep/0` moves into `/deep/0/1`.
        let (deep, top, child) = (image.ino("/deep"), image.ino("/deep/0"), image.ino("/deep/0/1"));
        edit_entry(image, "/deep/0/1", "2", |entry| {
            let rest = u16::from_le_bytes([entry[4], entry[5]]) - 12;
            entry.copy_within(..12, 12);
            entry[4..6].copy_from_slice(&[12, 0]);
            entry[12..16].copy_from_slice(&top.0.to_le_bytes());
            entry[16..18].copy_from_slice(&rest.to_le_bytes());
            entry[20] = b'0';
        });
        edit_entry(image, "/deep", "0", |entry| entry[..4].fill(0));
        image.edit_directory(top, |block| block[12..16].copy_from_slice(&child.0.to_le_bytes()));
        image.edit_inode(deep, |raw| raw.i_links_count.set(raw.i_links_count.get() - 1));
        image.edit_inode(child, |raw| raw.i_links_count.set(raw.i_links_count.get() + 1));
    })
    .silent("it looks for loops only where a path has more than 2048 directories"),
    twin("ext4-lost-and-found", |image| {
        edit_entry(image, "/", "lost+found", |entry| entry[8] = b'L');
    })
    .silent("it makes one when it may write"),
    twin("ext4-unconnected", |image| {
        edit_entry(image, "/etc", "empty", |entry| entry[..4].fill(0));
    }),
    twin("ext4-link-count", |image| {
        let ino = image.ino("/boot/kernel");
        image.edit_inode(ino, |raw| raw.i_links_count.set(5));
    }),
];

/// A name as it looks when it is encrypted.
const SECRET: &str = "0123456789abcdef";

/// Names of the same length in two blocks of `/long`, which has no index.
fn long_names() -> (String, String) {
    (long_name(0), long_name(7))
}

fn long_name(number: u32) -> String {
    format!("{number}{}", "l".repeat(200))
}

/// Commands that make `/long`.
pub(crate) fn long() -> Vec<String> {
    let links = (0..8).map(|number| format!("symlink long/{} x", long_name(number)));
    std::iter::once("mkdir long".to_owned()).chain(links).collect()
}

/// A file system with names without case, and with names that are encrypted.
pub(crate) fn names() -> Vec<u8> {
    const ARGS: &[&str] = &[
        "-t",
        "ext4",
        "-b",
        "1024",
        "-O",
        "casefold,encrypt",
        "-E",
        "encoding=utf8,encoding_flags=strict",
    ];
    let recipe = Recipe { name: "names", args: ARGS, mib: 16, debugfs: &[], index: false };
    let disk = recipe.make();
    for command in [
        "mkdir folded",
        "symlink folded/hello x",
        "symlink folded/w\u{f6}rld x",
        "mkdir secret",
        &format!("mkdir secret/{SECRET}"),
    ] {
        ok("e2fsprogs", &["debugfs", "-w", "-R", command, disk.name()]);
    }
    let mut image = Image { bytes: disk.bytes() };
    let folded = image.ino("/folded");
    image.edit_inode(folded, |raw| raw.i_flags.set(raw.i_flags.get() | Inode::CASEFOLD));
    for path in ["/secret".to_owned(), format!("/secret/{SECRET}")] {
        let ino = image.ino(&path);
        image.edit_inode(ino, |raw| raw.i_flags.set(raw.i_flags.get() | Inode::ENCRYPT));
        image.edit_inode_bytes(ino, |bytes| {
            let area = 128 + usize::from(bytes[128]);
            let value = bytes.len() - 28;
            bytes[area..area + 4].copy_from_slice(&0xea02_0000_u32.to_le_bytes());
            let entry = &mut bytes[area + 4..area + 24];
            // One byte of a name; its place counts from this entry on.
            (entry[0], entry[1], entry[8], entry[16]) = (1, 9, 28, b'c');
            entry[2..4].copy_from_slice(&((value - area - 4) as u16).to_le_bytes());
            bytes[value] = 1;
            bytes[value + 1..].fill(4);
        });
    }
    image.bytes
}
