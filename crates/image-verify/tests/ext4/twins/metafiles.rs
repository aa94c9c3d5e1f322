//! The orphan file, quotas, and the multi-mount protection.

use image_formats::ext4::{Block, Ino, Inode, Mmp, OrphanBlock, QuotaType, raw, ro_compat};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{Base, Twin, twin};
use crate::image::*;

/// It has all of them.
pub(super) fn metafiles() -> Vec<u8> {
    let args = &["-t", "ext4", "-b", "1024", "-O", "quota,project,orphan_file,mmp", "-E", QUOTAS];
    // mke2fs does not count what `-d` brings; e2fsck does, and waits until nobody changes the block
    // of the multi-mount protection.
    let recipe = Recipe { name: "metafiles", args, mib: 24, debugfs: &[], index: false };
    let disk = recipe.make();
    ok("e2fsprogs", &["tune2fs", "-O", "^mmp", disk.name()]);
    let output = run("e2fsprogs", &["e2fsck", "-fy", disk.name()]);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    ok("e2fsprogs", &["tune2fs", "-O", "mmp", disk.name()]);
    disk.bytes()
}

const QUOTAS: &str = "quotatype=usrquota:grpquota:prjquota";

/// Edits the block of the multi-mount protection, and its checksum.
fn edit_mmp(image: &mut Image, edit: impl FnOnce(&mut raw::Mmp)) {
    let block = Block(image.superblock().raw.s_mmp_block.get());
    let seed = image.superblock().checksum_seed();
    let bytes = image.block_mut(block);
    let mut mmp = Mmp::new(bytes).unwrap();
    edit(&mut mmp.raw);
    let sum = mmp.checksum(seed);
    mmp.raw.mmp_checksum.set(sum);
    bytes[..1024].copy_from_slice(mmp.raw.as_bytes());
}

fn orphan_file(image: &Image) -> Ino {
    Ino(image.superblock().raw.s_orphan_file_inum.get())
}

/// Writes an inode into the orphan file, and its checksum.
fn add_orphan(image: &mut Image, number: u32) {
    let ino = orphan_file(image);
    let block = image.first_block(ino);
    let seed = image.inode(ino).checksum_seed(&image.superblock(), ino);
    let bytes = image.block_mut(block);
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    let sum = OrphanBlock::new(bytes).unwrap().checksum(seed, block);
    bytes[1020..].copy_from_slice(&sum.to_le_bytes());
}

/// Edits a block of 1 KiB of the quotas of users.
fn edit_quota(image: &mut Image, at: u64, edit: impl FnOnce(&mut [u8])) {
    let Block(first) = image.first_block(Ino::USER_QUOTA);
    edit(image.block_mut(Block(first + at)));
}

fn edit_quota_info(image: &mut Image, edit: impl FnOnce(&mut raw::QuotaInfo)) {
    edit_quota(image, 0, |block| {
        let mut info = raw::QuotaInfo::read_from_bytes(&block[8..32]).unwrap();
        edit(&mut info);
        block[8..32].copy_from_slice(info.as_bytes());
    });
}

fn set_ro_compat(image: &mut Image, feature: u32) {
    image.edit_superblock(|raw| {
        raw.s_feature_ro_compat.set(raw.s_feature_ro_compat.get() | feature);
    });
}

pub(crate) const TWINS: &[Twin] = &[
    twin("ext4-orphan-list", |image| image.edit_superblock(|raw| raw.s_last_orphan.set(5)))
        .also(&["ext4-orphans"])
        .silent("it looks at the list only when it may write"),
    twin("ext4-orphan-file", |image| {
        let block = image.first_block(orphan_file(image));
        image.block_mut(block)[1023] ^= 1;
    })
    .of(Base::Metafiles),
    twin("ext4-orphan-file", |image| {
        let ino = orphan_file(image);
        image.edit_inode(ino, |raw| raw.i_size_lo.set(raw.i_size_lo.get() - 1));
    })
    .of(Base::Metafiles),
    twin("ext4-orphan-entries", |image| {
        add_orphan(image, 12);
        set_ro_compat(image, ro_compat::ORPHAN_PRESENT);
    })
    .also(&["ext4-orphans"])
    .of(Base::Metafiles),
    twin("ext4-orphan-present", |image| set_ro_compat(image, ro_compat::ORPHAN_PRESENT))
        .also(&["ext4-orphans"]),
    twin("ext4-orphan-present", |image| set_ro_compat(image, ro_compat::ORPHAN_PRESENT))
        .also(&["ext4-orphans"])
        .of(Base::Metafiles),
    twin("ext4-mmp", |image| edit_mmp(image, |raw| raw.mmp_magic.set(1))).of(Base::Metafiles),
    twin("ext4-mmp", |image| {
        let block = Block(image.superblock().raw.s_mmp_block.get());
        image.block_mut(block)[1023] ^= 1;
    })
    .of(Base::Metafiles),
    twin("ext4-mmp-checked", |image| edit_mmp(image, |raw| raw.mmp_seq.set(Mmp::FSCK)))
        .of(Base::Metafiles),
    twin("ext4-mmp-in-use", |image| edit_mmp(image, |raw| raw.mmp_seq.set(7)))
        .of(Base::Metafiles)
        .silent("it does not wait for others when it only reads"),
    twin("ext4-mmp-interval", |image| edit_mmp(image, |raw| raw.mmp_check_interval.set(301)))
        .of(Base::Metafiles)
        .silent("it waits for as long as it takes"),
    twin("ext4-quota-inode", |image| {
        let ino = image.ino("/boot/kernel");
        image.edit_superblock(|raw| raw.s_usr_quota_inum.set(ino.0));
    })
    .also(&["ext4-directory-inode", "ext4-inode-reserved"])
    .of(Base::Metafiles),
    twin("ext4-quota-header", |image| edit_quota(image, 0, |block| block[4] = 2))
        .of(Base::Metafiles),
    twin("ext4-quota-header", |image| edit_quota(image, 0, |block| block[0] ^= 1))
        .of(Base::Metafiles)
        .silent("it only looks whether the bytes are swapped; Linux does not mount for writing"),
    twin("ext4-quota-info", |image| edit_quota_info(image, |info| info.dqi_blocks.set(1 << 20)))
        .of(Base::Metafiles),
    twin("ext4-quota-info", |image| edit_quota_info(image, |info| info.dqi_free_entry.set(9999)))
        .of(Base::Metafiles),
    twin("ext4-quota-tree", |image| edit_quota(image, 2, |block| block[..4].fill(0x7f)))
        .of(Base::Metafiles),
    twin("ext4-quota-usage", |image| {
        let id = image.inode(image.ino("/boot/kernel")).raw.i_uid.get() + 1;
        let ino = image.ino("/boot/kernel");
        image.edit_inode(ino, |raw| raw.i_uid.set(id));
    })
    .of(Base::Metafiles),
];

/// Both versions of a quota file, and both kinds of tools, count the same.
#[test]
fn quotas_of_all_types_are_there() {
    let image = Image { bytes: Base::Metafiles.bytes().to_vec() };
    let raw = image.superblock().raw;
    let numbers = [raw.s_usr_quota_inum, raw.s_grp_quota_inum, raw.s_prj_quota_inum];
    for (kind, number) in QuotaType::ALL.into_iter().zip(numbers) {
        let ino = Ino(number.get());
        let block = image.first_block(ino);
        let at = image.geometry().offset(block) as usize;
        let magic = u32::from_le_bytes(image.bytes[at..at + 4].try_into().unwrap());
        assert_eq!(magic, kind.magic(), "{}", kind.as_str());
        assert!(!image.inode(ino).has(Inode::INLINE_DATA));
    }
}
