//! The superblock.

use std::mem::offset_of;

use image_formats::{
    bytes::Region,
    ext4::{FeatureSet, Geometry, GroupIndex, Ino, Superblock, compat, incompat, raw, ro_compat},
};
use image_model::{Check, Location};

use super::{checks::*, structure};
use crate::Recorder;

/// The most groups: 64 TiB with blocks of 4 KiB, and 32 MiB of descriptors.
const MAX_GROUPS: u64 = 1 << 19;

/// The most clusters: each takes a bit of memory.
const MAX_CLUSTERS: u64 = 1 << 30;

/// The most blocks, in clusters of several: groups.rs sorts their numbers with those of groups.
const MAX_BLOCKS: u64 = 1 << 42;

/// `EXT2_MAX_CLUSTERS_PER_GROUP`: what a descriptor counts has 16 bits.
const MAX_CLUSTERS_PER_GROUP: u32 = 65528;

/// Records checks of the superblock.
pub(super) struct Judge<'a> {
    region: &'a Region,
    name: &'a str,
    pub(super) superblock: &'a Superblock,
    out: &'a mut Recorder,
}

/// Judges the superblock; its numbers come back where one can calculate with them.
pub(super) fn verify(
    region: &Region,
    name: &str,
    superblock: &Superblock,
    out: &mut Recorder,
) -> Option<Geometry> {
    let mut judge = Judge { region, name, superblock, out };
    judge.identity()?;
    let geometry = judge.sizes();
    judge.features();
    judge.state();
    geometry
}

/// What blkid calls it.
pub(super) fn format(superblock: &Superblock) -> &'static str {
    // `EXT3_FEATURE_…_SUPP` of libblkid: what ext3 never had makes it ext4.
    let ext3_incompat = incompat::FILETYPE | incompat::RECOVER | incompat::META_BG;
    let ext3_ro_compat = ro_compat::SPARSE_SUPER | ro_compat::LARGE_FILE | 0x4;
    let modern = superblock.incompat(!ext3_incompat) || superblock.ro_compat(!ext3_ro_compat);
    match (modern, superblock.compat(compat::HAS_JOURNAL)) {
        (true, _) => "ext4",
        (false, true) => "ext3",
        (false, false) => "ext2",
    }
}

macro_rules! field {
    ($field:ident) => {
        offset_of!(raw::Superblock, $field)
    };
}

impl Judge<'_> {
    /// Records a check of the field at this offset in the superblock.
    pub(super) fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        field: usize,
        message: impl FnOnce() -> String,
    ) -> bool {
        let at = Superblock::OFFSET + field as u64;
        let (region, name) = (self.region, self.name);
        self.out.expect(check, holds, || (location(region, name, at), message()))
    }

    /// Is it ext4, and one that is known?
    fn identity(&mut self) -> Option<()> {
        let raw = &self.superblock.raw;
        self.expect(&MAGIC, self.superblock.has_magic(), field!(s_magic), || {
            format!("{:#06x}, not 0xef53", raw.s_magic)
        })
        .then_some(())?;
        self.expect(&REVISION, raw.s_rev_level.get() <= 1, field!(s_rev_level), || {
            format!("{}, not 0 or 1", raw.s_rev_level)
        })
        .then_some(())?;
        let known = [
            (
                FeatureSet::Compat,
                raw.s_feature_compat.get(),
                compat::KNOWN,
                field!(s_feature_compat),
            ),
            (
                FeatureSet::Incompat,
                raw.s_feature_incompat.get(),
                incompat::KNOWN & !incompat::JOURNAL_DEV,
                field!(s_feature_incompat),
            ),
            (
                FeatureSet::RoCompat,
                raw.s_feature_ro_compat.get(),
                ro_compat::KNOWN,
                field!(s_feature_ro_compat),
            ),
        ];
        for (set, features, known, field) in known {
            let unknown = features & !known;
            self.expect(&FEATURES, unknown == 0, field, || {
                let names: Vec<_> = set.names(unknown).collect();
                format!("{}, which is not known here", names.join(" "))
            });
        }
        // What others may ignore, and what a writer must know, does not change what is read.
        (raw.s_feature_incompat.get() & !incompat::KNOWN == 0).then_some(())?;
        (!self.superblock.incompat(incompat::JOURNAL_DEV)).then_some(())?;
        if self.superblock.ro_compat(ro_compat::METADATA_CSUM) {
            let crc32c = raw.s_checksum_type == 1;
            self.expect(&SUPERBLOCK_CHECKSUM, crc32c, field!(s_checksum_type), || {
                format!("s_checksum_type {}, not 1, crc32c", raw.s_checksum_type)
            })
            .then_some(())?;
            let (stored, computed) = (raw.s_checksum.get(), self.superblock.checksum());
            self.expect(&SUPERBLOCK_CHECKSUM, stored == computed, field!(s_checksum), || {
                format!("stored {stored:#010x}, computed {computed:#010x}")
            });
        }
        Some(())
    }

    /// Do its numbers fit each other, and what there is?
    fn sizes(&mut self) -> Option<Geometry> {
        let superblock = self.superblock;
        let raw = &superblock.raw;
        let block_size = superblock.block_size();
        self.expect(&BLOCK_SIZE, block_size.is_some(), field!(s_log_block_size), || {
            format!("s_log_block_size {}, and 6 is the most", raw.s_log_block_size)
        });
        let block_size = block_size?;
        let cluster_blocks = self.cluster_size()?;
        let first = u32::from(block_size == 1024 && cluster_blocks == 1);
        let mut sound = self.expect(
            &FIRST_DATA_BLOCK,
            raw.s_first_data_block == first,
            field!(s_first_data_block),
            || format!("{}, not {first}", raw.s_first_data_block),
        );
        sound &= self.group_size(block_size, cluster_blocks);
        sound &= self.inodes(block_size);
        let desc_size = raw.s_desc_size.get();
        // Without 64bit nothing reads it, but e2fsck refuses a strange one all the same.
        let least = if superblock.incompat(incompat::BITS_64) { 64 } else { 0 };
        let room = (least..=1024).contains(&desc_size);
        let power = desc_size == 0 || desc_size.is_power_of_two();
        sound &= self.expect(&DESCRIPTOR_SIZE, room && power, field!(s_desc_size), || {
            format!("{desc_size} bytes, not a power of two from {least} to 1024")
        });
        sound &= self.blocks(block_size, first);
        if !sound {
            return None;
        }
        self.groups()
    }

    /// Blocks in a cluster.
    fn cluster_size(&mut self) -> Option<u32> {
        let raw = &self.superblock.raw;
        let bigalloc = self.superblock.ro_compat(ro_compat::BIGALLOC);
        let cluster_blocks = self.superblock.cluster_blocks();
        let same = raw.s_log_cluster_size == raw.s_log_block_size;
        // Revision 0 had fragments there, which were as large as blocks.
        let cluster = cluster_blocks.filter(|_| bigalloc || same);
        self.expect(&CLUSTER_SIZE, cluster.is_some(), field!(s_log_cluster_size), || {
            let (cluster, block) = (raw.s_log_cluster_size, raw.s_log_block_size);
            format!("s_log_cluster_size {cluster}, which does not fit s_log_block_size {block}")
        });
        cluster
    }

    fn group_size(&mut self, block_size: u32, cluster_blocks: u32) -> bool {
        let raw = &self.superblock.raw;
        let (blocks, clusters) = (raw.s_blocks_per_group.get(), raw.s_clusters_per_group.get());
        let most = (block_size * 8).min(MAX_CLUSTERS_PER_GROUP);
        let counted = clusters.is_multiple_of(8) && (8..=most).contains(&clusters);
        let sound = self.expect(&GROUP_SIZE, counted, field!(s_clusters_per_group), || {
            format!("{clusters} clusters, not a multiple of 8 from 8 to {most}")
        });
        let all = u64::from(clusters) * u64::from(cluster_blocks);
        let whole = all == u64::from(blocks);
        self.expect(&GROUP_SIZE, whole, field!(s_blocks_per_group), || {
            format!("{blocks} blocks, not {all}: {clusters} clusters of {cluster_blocks}")
        }) && sound
    }

    /// What it says of inodes; how many there are in all is another question.
    fn inodes(&mut self, block_size: u32) -> bool {
        let raw = &self.superblock.raw;
        let inode_size = self.superblock.inode_size();
        let good = (128..=block_size).contains(&u32::from(inode_size));
        let mut sound = self.expect(
            &INODE_SIZE,
            good && inode_size.is_power_of_two(),
            field!(s_inode_size),
            || format!("{inode_size} bytes, not a power of two from 128 to {block_size}"),
        );
        let first_ino = self.superblock.first_ino();
        let inodes_count = raw.s_inodes_count.get();
        sound &= self.expect(
            &FIRST_INODE,
            first_ino >= Ino::GOOD_OLD_FIRST && first_ino.0 <= inodes_count,
            field!(s_first_ino),
            || format!("{}, not 11 to {inodes_count}", first_ino.0),
        );
        let inodes = raw.s_inodes_per_group.get();
        // `EXT2_MAX_INODES_PER_GROUP`: what a descriptor counts has 16 bits; and in a group there
        // have to be blocks for more than inodes.
        let in_block = block_size.checked_div(inode_size.into()).unwrap_or(1).max(1);
        let tables = raw.s_blocks_per_group.get().saturating_sub(4).saturating_mul(in_block);
        let most = tables.min(65536_u32.saturating_sub(in_block)).min(block_size * 8);
        let counted = inodes.is_multiple_of(8) && (in_block.max(8)..=most).contains(&inodes);
        sound &= self.expect(&INODES_PER_GROUP, counted, field!(s_inodes_per_group), || {
            format!("{inodes}, not a multiple of 8 from {} to {most}", in_block.max(8))
        });
        sound
    }

    fn blocks(&mut self, block_size: u32, first: u32) -> bool {
        let raw = &self.superblock.raw;
        let len = self.region.len();
        let count = self.superblock.blocks_count();
        let bytes = count.checked_mul(u64::from(block_size));
        let inside = count > u64::from(first) && bytes.is_some_and(|bytes| bytes <= len);
        let sound = self.expect(&BLOCKS_COUNT, inside, field!(s_blocks_count_lo), || {
            let size = bytes_of(count, block_size);
            format!("{count} blocks of {block_size} bytes, {size}, and there are {len} bytes")
        });
        let high = raw.s_blocks_count_hi.get();
        let wide = self.superblock.incompat(incompat::BITS_64);
        let plain =
            self.expect(&BLOCKS_COUNT, wide || high == 0, field!(s_blocks_count_hi), || {
                format!("s_blocks_count_hi {high}, not 0: there is no 64bit, but Linux counts it")
            });
        let (kept, half) = (self.superblock.reserved_blocks_count(), count / 2);
        self.expect(&RESERVED_BLOCKS, kept <= half, field!(s_r_blocks_count_lo), || {
            format!("{kept} blocks, and {half}, half of all, are the most")
        });
        let (kept, most) = (u32::from(raw.s_reserved_gdt_blocks.get()), block_size / 4);
        let room =
            self.expect(&RESERVED_DESCRIPTORS, kept <= most, field!(s_reserved_gdt_blocks), || {
                format!("{kept} blocks, and {most} are the most")
            });
        sound && plain && room
    }

    /// Are there as many groups as one can judge, with room for what has to be in them?
    fn groups(&mut self) -> Option<Geometry> {
        let raw = &self.superblock.raw;
        let (count, inodes) = (self.superblock.blocks_count(), raw.s_inodes_per_group.get());
        let geometry = Geometry::new(self.superblock);
        let groups = geometry.as_ref().map_or(u64::MAX, |geometry| u64::from(geometry.group_count));
        let clusters = geometry.as_ref().map_or(u64::MAX, Geometry::clusters_count);
        let within = groups <= MAX_GROUPS && clusters <= MAX_CLUSTERS && count <= MAX_BLOCKS;
        self.expect(&LIMIT, within, field!(s_blocks_count_lo), || {
            format!(
                "{groups} groups, {clusters} clusters, {count} blocks; \
                 {MAX_GROUPS}, {MAX_CLUSTERS}, {MAX_BLOCKS} are the most"
            )
        })
        .then_some(())?;
        let geometry = geometry?;
        let all = groups * u64::from(inodes);
        let inodes_count = raw.s_inodes_count.get();
        self.expect(&INODES_COUNT, all == u64::from(inodes_count), field!(s_inodes_count), || {
            format!("{inodes_count}, not {all}: {groups} groups of {inodes}")
        })
        .then_some(())?;
        let (meta, most) = (raw.s_first_meta_bg.get(), geometry.descriptor_blocks());
        let used = self.superblock.incompat(incompat::META_BG);
        self.expect(&FIRST_META_BG, !used || meta <= most, field!(s_first_meta_bg), || {
            format!("{meta}, and {most}, the number of blocks of descriptors, is the most")
        })
        .then_some(())?;
        // What is at the start of the group with the most of it has room there, and an inode table.
        let tables = u64::from(geometry.inode_table_blocks()) + 3;
        let first = geometry.layout(GroupIndex(0)).descriptors.map_or(0, |(_, len)| len);
        let room = u64::from(geometry.blocks_per_group) > u64::from(first) + 1
            && count > tables + u64::from(first);
        self.expect(&GROUP_SIZE, room, field!(s_blocks_per_group), || {
            let blocks = geometry.blocks_per_group;
            format!("{blocks} blocks, which have no room for {first} blocks of descriptors")
        })
        .then_some(geometry)
    }

    /// What the last user of it left.
    fn state(&mut self) {
        const VALID: u16 = 1;
        const ERROR: u16 = 2;
        let superblock = self.superblock;
        let raw = &superblock.raw;
        let state = raw.s_state.get();
        self.expect(&ERRORS, state & ERROR == 0, field!(s_state), || {
            let count = raw.s_error_count;
            format!("s_state {state:#x} has the bit for errors; the kernel counted {count}")
        });
        self.expect(&CLEAN, state & VALID != 0, field!(s_state), || {
            format!("s_state {state:#x} has not the bit for a clean file system")
        });
        let replay = superblock.incompat(incompat::RECOVER);
        if superblock.compat(compat::HAS_JOURNAL) || replay {
            self.expect(&JOURNAL_REPLAY, !replay, field!(s_feature_incompat), || {
                "needs_recovery: the journal was not replayed".to_owned()
            });
        }
        let listed = superblock.ro_compat(ro_compat::ORPHAN_PRESENT);
        let orphan = raw.s_last_orphan.get();
        self.expect(&ORPHANS, orphan == 0 && !listed, field!(s_last_orphan), || {
            if listed { "the orphan file lists some".to_owned() } else { format!("inode {orphan}") }
        });
    }
}

fn bytes_of(count: u64, block_size: u32) -> String {
    match count.checked_mul(u64::from(block_size)) {
        Some(bytes) => format!("{bytes} bytes"),
        None => "more bytes than 64 bits can count".to_owned(),
    }
}

/// A place in the superblock.
pub(super) fn location(region: &Region, name: &str, at: u64) -> Location {
    structure(region, format!("{name}, ext4 superblock"), at, 0)
}
