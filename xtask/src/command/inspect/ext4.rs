//! ext2, ext3 and ext4: what lies where, also where it is broken.

use image_formats::{
    bytes::{ReadError, Region},
    ext4::{
        Block, Descriptor, ExtentNode, FeatureSet, Geometry, GroupIndex, IndirectNode, Ino, Inode,
        MAX_EXTENT_DEPTH, Superblock,
    },
    jbd2,
};
use serde_json::Value;

use super::{
    Structure,
    disk::{present, uuid},
    hex, structure, text,
};

/// How many group descriptors are printed.
const MAX_GROUPS: u32 = 64;

/// The superblock, the first group descriptors and the superblock of the journal, as far as they
/// can be read.
pub(super) fn describe(region: &Region) -> Result<Vec<Structure>, ReadError> {
    let Some(superblock) = present(Superblock::read(region))? else { return Ok(Vec::new()) };
    if !superblock.has_magic() {
        return Ok(Vec::new());
    }
    let mut found = vec![describe_superblock(region, &superblock)];
    let Some(geometry) = Geometry::new(&superblock) else { return Ok(found) };
    for group in (0..geometry.group_count.min(MAX_GROUPS)).map(GroupIndex) {
        let Some(descriptor) = descriptor(region, &geometry, group)? else { break };
        found.push(describe_group(region, &superblock, &geometry, group, &descriptor));
    }
    if let Some(left) = geometry.group_count.checked_sub(MAX_GROUPS).filter(|left| *left > 0) {
        let at = region.absolute(geometry.descriptor(GroupIndex(MAX_GROUPS))).0;
        found.push(structure("ext4 group", "raw", at, [("notPrinted", left.into())]));
    }
    found.extend(journal(region, &superblock, &geometry)?);
    Ok(found)
}

fn features(set: FeatureSet, bits: u32) -> Value {
    set.names(bits).map(|name| Value::from(name.into_owned())).collect::<Vec<_>>().into()
}

/// Seconds since 1970, with the 8 bits that were added above them.
fn time(low: u32, high: u8) -> Value {
    (u64::from(high) << 32 | u64::from(low)).into()
}

fn describe_superblock(region: &Region, superblock: &Superblock) -> Structure {
    let raw = &superblock.raw;
    let mounted = raw.s_last_mounted.split(|byte| *byte == 0).next().unwrap_or_default();
    structure(
        "ext4 superblock",
        "raw",
        region.absolute(Superblock::OFFSET).0,
        [
            ("volumeName", text(superblock.label())),
            ("uuid", uuid(&raw.s_uuid).into()),
            ("lastMounted", text(mounted)),
            ("revision", raw.s_rev_level.get().into()),
            ("creatorOs", raw.s_creator_os.get().into()),
            ("compat", features(FeatureSet::Compat, raw.s_feature_compat.get())),
            ("incompat", features(FeatureSet::Incompat, raw.s_feature_incompat.get())),
            ("roCompat", features(FeatureSet::RoCompat, raw.s_feature_ro_compat.get())),
            ("flags", hex(raw.s_flags.get())),
            ("state", hex(raw.s_state.get().into())),
            ("errors", raw.s_errors.get().into()),
            ("errorCount", raw.s_error_count.get().into()),
            ("blockSize", superblock.block_size().map_or(Value::Null, Value::from)),
            ("clusterBlocks", superblock.cluster_blocks().map_or(Value::Null, Value::from)),
            ("blocks", superblock.blocks_count().into()),
            ("reservedBlocks", superblock.reserved_blocks_count().into()),
            ("freeBlocks", superblock.free_blocks_count().into()),
            ("firstDataBlock", raw.s_first_data_block.get().into()),
            ("blocksPerGroup", raw.s_blocks_per_group.get().into()),
            ("clustersPerGroup", raw.s_clusters_per_group.get().into()),
            ("inodes", raw.s_inodes_count.get().into()),
            ("freeInodes", raw.s_free_inodes_count.get().into()),
            ("inodesPerGroup", raw.s_inodes_per_group.get().into()),
            ("inodeSize", superblock.inode_size().into()),
            ("firstInode", superblock.first_ino().0.into()),
            ("minExtraSize", raw.s_min_extra_isize.get().into()),
            ("wantExtraSize", raw.s_want_extra_isize.get().into()),
            ("descriptorSize", superblock.desc_size().into()),
            ("reservedDescriptorBlocks", raw.s_reserved_gdt_blocks.get().into()),
            ("firstMetaBg", raw.s_first_meta_bg.get().into()),
            ("logGroupsPerFlex", raw.s_log_groups_per_flex.into()),
            (
                "backupGroups",
                raw.s_backup_bgs.map(|group| Value::from(group.get())).to_vec().into(),
            ),
            ("hashVersion", raw.s_def_hash_version.into()),
            ("journalInode", raw.s_journal_inum.get().into()),
            ("journalUuid", uuid(&raw.s_journal_uuid).into()),
            ("lastOrphan", raw.s_last_orphan.get().into()),
            ("orphanFile", raw.s_orphan_file_inum.get().into()),
            ("quotaInodes", quotas(superblock)),
            ("mmpBlock", raw.s_mmp_block.get().into()),
            ("encoding", raw.s_encoding.get().into()),
            ("mkfsTime", time(raw.s_mkfs_time.get(), raw.s_mkfs_time_hi)),
            ("mountTime", time(raw.s_mtime.get(), raw.s_mtime_hi)),
            ("writeTime", time(raw.s_wtime.get(), raw.s_wtime_hi)),
            ("checkTime", time(raw.s_lastcheck.get(), raw.s_lastcheck_hi)),
            ("mounts", raw.s_mnt_count.get().into()),
            ("checksumType", raw.s_checksum_type.into()),
            ("checksum", hex(raw.s_checksum.get())),
            ("computed", hex(superblock.checksum())),
        ],
    )
}

fn quotas(superblock: &Superblock) -> Value {
    let raw = &superblock.raw;
    let inodes = [raw.s_usr_quota_inum, raw.s_grp_quota_inum, raw.s_prj_quota_inum];
    inodes.map(|ino| Value::from(ino.get())).to_vec().into()
}

fn descriptor(
    region: &Region,
    geometry: &Geometry,
    group: GroupIndex,
) -> Result<Option<Vec<u8>>, ReadError> {
    let mut bytes = vec![0; usize::from(geometry.desc_size)];
    let read = region.fill("ext4 group descriptor", geometry.descriptor(group), &mut bytes);
    Ok(present(read)?.map(|()| bytes))
}

fn describe_group(
    region: &Region,
    superblock: &Superblock,
    geometry: &Geometry,
    group: GroupIndex,
    bytes: &[u8],
) -> Structure {
    let descriptor = Descriptor::new(bytes);
    let computed = Descriptor::checksum(superblock, group, bytes);
    structure(
        "ext4 group",
        "raw",
        region.absolute(geometry.descriptor(group)).0,
        [
            ("group", group.0.into()),
            ("superblock", geometry.has_superblock(group).into()),
            ("flags", hex(descriptor.raw.bg_flags.get().into())),
            ("blockBitmap", descriptor.block_bitmap().0.into()),
            ("inodeBitmap", descriptor.inode_bitmap().0.into()),
            ("inodeTable", descriptor.inode_table().0.into()),
            ("freeClusters", descriptor.free_clusters().into()),
            ("freeInodes", descriptor.free_inodes().into()),
            ("directories", descriptor.used_dirs().into()),
            ("unusedInodes", descriptor.itable_unused().into()),
            ("checksum", hex(descriptor.raw.bg_checksum.get().into())),
            ("computed", computed.map_or(Value::Null, |sum| hex(sum.into()))),
        ],
    )
}

/// The superblock of the journal, which its first block has.
fn journal(
    region: &Region,
    superblock: &Superblock,
    geometry: &Geometry,
) -> Result<Option<Structure>, ReadError> {
    let ino = Ino(superblock.raw.s_journal_inum.get());
    if ino.0 == 0 {
        return Ok(None);
    }
    let (group, index) = geometry.place(ino);
    let Some(bytes) = descriptor(region, geometry, group)? else { return Ok(None) };
    let within = u64::from(index).saturating_mul(geometry.inode_size.into());
    let at = geometry.offset(Descriptor::new(&bytes).inode_table()).saturating_add(within);
    let mut inode = vec![0; usize::from(geometry.inode_size)];
    if present(region.fill("ext4 inode", at, &mut inode))?.is_none() {
        return Ok(None);
    }
    let Some(first) = first_block(region, geometry, &Inode::new(&inode))? else { return Ok(None) };
    let at = geometry.offset(first);
    let mut bytes = vec![0; 1024];
    if present(region.fill("ext4 journal", at, &mut bytes))?.is_none() {
        return Ok(None);
    }
    Ok(jbd2::Superblock::new(&bytes).map(|journal| {
        let raw = &journal.raw;
        structure(
            "ext4 journal",
            "raw",
            region.absolute(at).0,
            [
                ("inode", ino.0.into()),
                ("magic", hex(raw.s_header.h_magic.get())),
                ("type", raw.s_header.h_blocktype.get().into()),
                ("blockSize", raw.s_blocksize.get().into()),
                ("blocks", raw.s_maxlen.get().into()),
                ("first", raw.s_first.get().into()),
                ("sequence", raw.s_sequence.get().into()),
                ("start", raw.s_start.get().into()),
                ("errno", raw.s_errno.get().into()),
                ("compat", hex(raw.s_feature_compat.get())),
                ("incompat", hex(raw.s_feature_incompat.get())),
                ("roCompat", hex(raw.s_feature_ro_compat.get())),
                ("uuid", uuid(&raw.s_uuid).into()),
                ("users", raw.s_nr_users.get().into()),
                ("fastCommitBlocks", journal.fast_commit_blocks().into()),
                ("checksumType", raw.s_checksum_type.into()),
                ("checksum", hex(raw.s_checksum.get())),
                ("computed", hex(journal.checksum())),
            ],
        )
    }))
}

/// The first block of a file: the way to it is no longer than a tree may be deep.
fn first_block(
    region: &Region,
    geometry: &Geometry,
    inode: &Inode,
) -> Result<Option<Block>, ReadError> {
    if !inode.has(Inode::EXTENTS) {
        let first = IndirectNode(inode.block_area()).blocks().next();
        return Ok(first.filter(|block| block.0 != 0));
    }
    let mut node = inode.block_area().to_vec();
    for _ in 0..=MAX_EXTENT_DEPTH {
        let Some(parsed) = ExtentNode::new(&node) else { return Ok(None) };
        if parsed.header.eh_depth.get() == 0 {
            return Ok(parsed.runs().next().map(|run| run.block));
        }
        let Some(slot) = parsed.slots().next() else { return Ok(None) };
        let mut child = vec![0; geometry.block_size as usize];
        let at = geometry.offset(slot.child);
        if present(region.fill("ext4 extents", at, &mut child))?.is_none() {
            return Ok(None);
        }
        node = child;
    }
    Ok(None)
}
