//! Inodes, and what belongs to a file.

use image_formats::ext4::{Block, Ino, ro_compat};

use super::{Base, Twin, twin};
use crate::image::Image;

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
        // `h_reserved`.
        image.block_mut(block)[0x14] ^= 1;
    }),
    twin("ext4-inode-deleted", |image| {
        let ino = image.ino("/boot/kernel");
        image.edit_inode(ino, |raw| raw.i_dtime.set(0x6000_0000));
    }),
    twin("ext4-inode-reserved", |image| {
        image.edit_inode(Ino::USER_QUOTA, |raw| raw.i_blocks_lo.set(2));
    }),
    twin("ext4-inode-unused", |image| {
        let ino = image.ino("/boot/kernel");
        image.edit_inode(ino, |raw| raw.i_obso_faddr.set(1));
    }),
    twin("ext4-inode-special", |image| {
        let ino = image.ino("/null");
        image.edit_inode(ino, |raw| raw.i_size_lo.set(1));
    })
    .of(Base::Inline),
    twin("ext4-inline-data", |image| {
        let ino = image.ino("/empty");
        image.edit_inode(ino, |raw| raw.i_size_lo.set(61));
    })
    .of(Base::Inline),
    twin("ext4-inline-size", |image| {
        let ino = image.ino("/etc/hostname");
        image.edit_inode(ino, |raw| raw.i_size_lo.set(200));
    })
    .of(Base::Inline)
    .silent("it does not look at the size of files in inodes"),
    twin("ext4-encryption-policy", |image| {
        let ino = image.ino("/boot/sparse");
        // The name of the attribute, whose hash is 0 then.
        edit_attribute(image, ino, |entry| {
            entry[12..16].fill(0);
            entry[16] = b'd';
        });
    })
    .of(Base::Inline),
    twin("ext4-cluster-map", |image| {
        let ino = image.ino("/boot/kernel");
        // `ee_start_lo`.
        image.edit_inode(ino, |raw| raw.i_block[20] ^= 1);
    })
    .of(Base::Bigalloc),
    twin("ext4-large-file", |image| {
        image.edit_superblock(|raw| {
            raw.s_feature_ro_compat.set(raw.s_feature_ro_compat.get() & !ro_compat::LARGE_FILE);
        });
        let ino = image.ino("/boot/sparse");
        image.edit_inode(ino, |raw| raw.i_size_lo.set(1 << 31));
    })
    // The copies of the superblock have the feature, which is not compared.
    .of(Base::Usual),
    twin("ext4-xattr-entry", |image| {
        let ino = image.ino("/boot/sparse");
        edit_attribute(image, ino, |entry| entry[12] ^= 1);
    })
    .of(Base::Inline),
    twin("ext4-xattr-value", |image| {
        let ino = image.ino("/boot/kernel");
        // `e_hash`.
        edit_attribute(image, ino, |entry| entry[12] ^= 1);
    })
    .also(&["ext4-file-blocks"])
    .of(Base::Inline),
    twin("ext4-xattr-references", |image| {
        let ino = image.ino("/boot/kernel");
        let mut value = 0;
        edit_attribute(image, ino, |entry| {
            value = u32::from_le_bytes(entry[4..8].try_into().unwrap());
        });
        // The low half of the count.
        image.edit_inode(Ino(value), |raw| raw.osd1.set(2));
    })
    .of(Base::Inline),
];

/// Edits the first attribute in an inode.
fn edit_attribute(image: &mut Image, ino: Ino, edit: impl FnOnce(&mut [u8])) {
    image.edit_inode_bytes(ino, |bytes| {
        let magic = [0, 0, 2, 0xea];
        let at = bytes.windows(4).position(|window| window == magic).unwrap() + 4;
        edit(&mut bytes[at..]);
    });
}
