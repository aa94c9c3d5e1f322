//! The broken twins: a good file system with one edit, and the check that fails.

use std::{io, sync::Arc};

use image_formats::{
    bytes::{ReadAt, Region},
    ext4::{Block, GroupIndex, Ino, incompat},
};

use super::{
    good::{READABLE, UNREADABLE},
    image::*,
};

/// What e2fsck says of a twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum E2fsck {
    /// It complains as well.
    Complains,
    /// It does not, and this is why we do.
    Silent(&'static str),
    /// It cannot be asked, and this is why.
    NotAsked(&'static str),
}

/// One broken file system, the check that it is made for, and those that cannot but fail with it.
pub(crate) struct Twin {
    pub(crate) check: &'static str,
    pub(crate) also: &'static [&'static str],
    pub(crate) e2fsck: E2fsck,
    pub(crate) edit: fn(&mut Image),
}

impl Twin {
    const fn silent(self, why: &'static str) -> Self {
        Self { e2fsck: E2fsck::Silent(why), ..self }
    }

    const fn not_asked(self, why: &'static str) -> Self {
        Self { e2fsck: E2fsck::NotAsked(why), ..self }
    }

    pub(crate) fn bytes(&self, good: &[u8]) -> Vec<u8> {
        let mut image = Image { bytes: good.to_vec() };
        (self.edit)(&mut image);
        image.bytes
    }

    /// What it is judged from: the one with too many groups claims to be larger than it is.
    pub(crate) fn region(&self, good: &[u8]) -> Region {
        let bytes = self.bytes(good);
        let len = if self.check == "ext4-limit" { 16 << 40 } else { bytes.len() as u64 };
        Region::whole(Arc::new(Padded { bytes, len })).unwrap()
    }
}

/// Bytes, and zeros up to a length.
pub(crate) struct Padded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) len: u64,
}

impl ReadAt for Padded {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.fill(0);
        let start = usize::try_from(offset).unwrap().min(self.bytes.len());
        let here = &self.bytes[start..];
        let len = here.len().min(buf.len());
        buf[..len].copy_from_slice(&here[..len]);
        Ok(())
    }
}

/// The file system that all twins are made of: 1 KiB blocks, three groups, all checksums, indexes.
pub(crate) fn good() -> Vec<u8> {
    let indexed = &READABLE[2];
    let value = format!("ea_set /etc/hostname user.note {}", "v".repeat(400));
    let recipe = Recipe { debugfs: &[], ..*indexed };
    let disk = recipe.make();
    ok("e2fsprogs", &["debugfs", "-w", "-R", &value, disk.name()]);
    disk.bytes()
}

const fn twin(check: &'static str, edit: fn(&mut Image)) -> Twin {
    Twin { check, also: &[], e2fsck: E2fsck::Complains, edit }
}

/// The entry of a directory with this name: 8 bytes, then the name.
fn edit_entry(image: &mut Image, directory: &str, name: &str, edit: impl FnOnce(&mut [u8])) {
    let ino = image.ino(directory);
    image.edit_directory(ino, |block| {
        let at = entry_at(block, name);
        edit(&mut block[at..]);
    });
}

const GROUP_0: GroupIndex = GroupIndex(0);

pub(crate) const TWINS: &[Twin] = &[
    twin("ext4-superblock", |image| image.bytes.truncate(1500)),
    twin("ext4-magic", |image| image.edit_superblock(|raw| raw.s_magic.set(0xef51))),
    twin("ext4-revision", |image| image.edit_superblock(|raw| raw.s_rev_level.set(2))),
    twin("ext4-features", |image| {
        image.edit_superblock(|raw| raw.s_feature_incompat.set(0x8000_02c2));
    }),
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
    .silent("it replays the journal when it may write"),
    twin("ext4-orphans", |image| {
        let ino = image.ino("/etc/empty");
        image.edit_superblock(|raw| raw.s_last_orphan.set(ino.0));
    })
    .silent("it works through the list when it may write"),
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
    }),
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
    twin("ext4-unreadable", |image| {
        let recipe = UNREADABLE.iter().find(|recipe| recipe.name == "large_dir").unwrap();
        image.bytes = recipe.make().bytes();
    })
    .silent("it is sound"),
];
