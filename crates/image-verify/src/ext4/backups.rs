//! Copies of the superblock and of the group descriptors. Nothing reads them but a repair.

use std::mem::offset_of;

use image_formats::{
    bytes::ReadError,
    ext4::{Descriptor, Geometry, GroupIndex, Superblock, compat, incompat, raw, ro_compat},
};
use zerocopy::IntoBytes as _;

use super::{checks::*, groups::Judge, structure};

/// How many copies of the superblock are compared: with sparse_super there are never more.
const MAX_BACKUPS: usize = 64;

/// Compares the copies with the first, which these descriptors are.
pub(super) fn verify(judge: &mut Judge, descriptors: &[Descriptor]) -> Result<(), ReadError> {
    let geometry = judge.geometry;
    let groups = (1..geometry.group_count).map(GroupIndex);
    let mut copies = groups.filter_map(|group| Some((group, geometry.layout(group).superblock?)));
    let first = copies.clone().next();
    for (group, block) in copies.by_ref().take(MAX_BACKUPS) {
        let at = geometry.offset(block);
        let copy = Superblock::read_at(judge.region, at)?;
        let wrong = difference(judge.superblock, &copy).or_else(|| own(&copy, group));
        judge.out.expect(&BACKUP, wrong.is_none(), || {
            let name = format!("{}, ext4 superblock of {group}", judge.name);
            let (field, message) = wrong.unwrap_or_default();
            (structure(judge.region, name, at + field as u64, 0), message)
        });
    }
    match first {
        Some((group, _)) => descriptor_copies(judge, group, descriptors),
        None => Ok(()),
    }
}

/// Fields that no tool changes in the first copy alone: where they are, and how they are called.
const FIELDS: &[(usize, usize, &str)] = &[
    field(offset_of!(raw::Superblock, s_magic), 2, "s_magic"),
    field(offset_of!(raw::Superblock, s_inodes_count), 4, "s_inodes_count"),
    field(offset_of!(raw::Superblock, s_blocks_count_lo), 4, "s_blocks_count_lo"),
    field(offset_of!(raw::Superblock, s_blocks_count_hi), 4, "s_blocks_count_hi"),
    field(offset_of!(raw::Superblock, s_first_data_block), 4, "s_first_data_block"),
    field(offset_of!(raw::Superblock, s_log_block_size), 4, "s_log_block_size"),
    field(offset_of!(raw::Superblock, s_log_cluster_size), 4, "s_log_cluster_size"),
    field(offset_of!(raw::Superblock, s_blocks_per_group), 4, "s_blocks_per_group"),
    field(offset_of!(raw::Superblock, s_clusters_per_group), 4, "s_clusters_per_group"),
    field(offset_of!(raw::Superblock, s_inodes_per_group), 4, "s_inodes_per_group"),
    field(offset_of!(raw::Superblock, s_rev_level), 4, "s_rev_level"),
    field(offset_of!(raw::Superblock, s_inode_size), 2, "s_inode_size"),
    field(offset_of!(raw::Superblock, s_uuid), 16, "s_uuid"),
    field(offset_of!(raw::Superblock, s_desc_size), 2, "s_desc_size"),
    field(offset_of!(raw::Superblock, s_first_meta_bg), 4, "s_first_meta_bg"),
    field(offset_of!(raw::Superblock, s_checksum_seed), 4, "s_checksum_seed"),
];

const fn field(at: usize, len: usize, name: &str) -> (usize, usize, &str) {
    (at, len, name)
}

/// What a copy says that the first one does not: a field, and a message.
fn difference(first: &Superblock, copy: &Superblock) -> Option<(usize, String)> {
    let bytes = (first.raw.as_bytes(), copy.raw.as_bytes());
    let plain = FIELDS.iter().find(|(at, len, _)| bytes.0[*at..][..*len] != bytes.1[*at..][..*len]);
    if let Some((at, _, name)) = plain {
        return Some((*at, format!("{name} differs from the first copy")));
    }
    // Others may ignore what is compatible, but for what tells where things are; and the kernel sets
    // some of the rest in the first copy when it first needs them.
    let compat = compat::RESIZE_INODE | compat::SPARSE_SUPER2;
    let incompat = !(incompat::EXTENTS | incompat::RECOVER);
    let ro_compat = !(ro_compat::LARGE_FILE | ro_compat::DIR_NLINK | ro_compat::ORPHAN_PRESENT);
    let (a, b) = (&first.raw, &copy.raw);
    let features = [
        (
            offset_of!(raw::Superblock, s_feature_compat),
            "s_feature_compat",
            (a.s_feature_compat.get() ^ b.s_feature_compat.get()) & compat,
        ),
        (
            offset_of!(raw::Superblock, s_feature_incompat),
            "s_feature_incompat",
            (a.s_feature_incompat.get() ^ b.s_feature_incompat.get()) & incompat,
        ),
        (
            offset_of!(raw::Superblock, s_feature_ro_compat),
            "s_feature_ro_compat",
            (a.s_feature_ro_compat.get() ^ b.s_feature_ro_compat.get()) & ro_compat,
        ),
    ];
    let (at, name, bits) = features.into_iter().find(|(_, _, bits)| *bits != 0)?;
    Some((at, format!("{name} differs from the first copy: {bits:#x}")))
}

/// What is wrong with what is not in the first copy.
fn own(copy: &Superblock, group: GroupIndex) -> Option<(usize, String)> {
    let number = copy.raw.s_block_group_nr.get();
    let expected = u16::try_from(group.0).unwrap_or(u16::MAX);
    // Old writers left 0 there.
    if number != expected && number != 0 {
        let at = offset_of!(raw::Superblock, s_block_group_nr);
        return Some((at, format!("s_block_group_nr {number}, not {expected}")));
    }
    let (stored, computed) = (copy.raw.s_checksum.get(), copy.checksum());
    let sums = copy.ro_compat(ro_compat::METADATA_CSUM);
    (sums && stored != computed).then(|| {
        let at = offset_of!(raw::Superblock, s_checksum);
        (at, format!("s_checksum {stored:#010x}, computed {computed:#010x}"))
    })
}

/// Compares the places of bitmaps and tables in the first copy of the descriptors, which is what
/// e2fsck takes where the descriptors are broken. What they count is old there.
fn descriptor_copies(
    judge: &mut Judge,
    group: GroupIndex,
    descriptors: &[Descriptor],
) -> Result<(), ReadError> {
    let geometry: &Geometry = judge.geometry;
    let size = usize::from(geometry.desc_size);
    let mut bytes = vec![0; geometry.block_size as usize];
    for index in 0..geometry.descriptor_blocks() {
        let Some(block) = geometry.descriptor_copy(group, index) else { break };
        if block.0 >= geometry.blocks_count {
            break;
        }
        let at = geometry.offset(block);
        judge.region.fill("ext4 group descriptors", at, &mut bytes)?;
        let (first, count) = geometry.descriptors_in(index);
        let here = descriptors.iter().skip(first.0 as usize).take(count as usize);
        let places = |d: &Descriptor| (d.block_bitmap(), d.inode_bitmap(), d.inode_table());
        let wrong = bytes
            .chunks_exact(size)
            .zip(here)
            .position(|(copy, descriptor)| places(&Descriptor::new(copy)) != places(descriptor));
        judge.out.expect(&BACKUP_DESCRIPTORS, wrong.is_none(), || {
            let place = wrong.unwrap_or_default();
            let described = GroupIndex(first.0 + place as u32);
            let name = format!("{}, ext4 descriptor of {described}, copy in {group}", judge.name);
            let at = structure(judge.region, name, at + (place * size) as u64, size as u64);
            (at, "the bitmaps or the inode table are elsewhere than in the first copy".to_owned())
        });
    }
    Ok(())
}
