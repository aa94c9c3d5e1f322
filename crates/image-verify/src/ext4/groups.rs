//! Group descriptors, the copies of the superblock, and the checksums of bitmaps.

use std::mem::offset_of;

use image_formats::{
    bytes::{ReadError, Region},
    ext4::{
        Block, Descriptor, Geometry, GroupIndex, Superblock, checksum, incompat, raw, ro_compat,
    },
};
use image_model::{Check, Location};

use super::{Bits, checks::*, structure, superblock};
use crate::Recorder;

/// How many copies of the superblock are compared: with sparse_super there are never more.
const MAX_BACKUPS: usize = 64;

/// Groups whose metadata is where it should be.
pub(super) struct Groups {
    /// In their order.
    pub(super) descriptors: Vec<Descriptor>,
    /// The clusters with the metadata of groups.
    pub(super) used: Bits,
}

/// Reads and judges all group descriptors; they come back where all of them are sound.
pub(super) fn verify(
    region: &Region,
    name: &str,
    superblock: &Superblock,
    geometry: &Geometry,
    out: &mut Recorder,
) -> Result<Option<Groups>, ReadError> {
    let mut judge = Judge { region, name, superblock, geometry, out };
    let Some(descriptors) = judge.descriptors()? else { return Ok(None) };
    let Some(used) = judge.tables(&descriptors) else { return Ok(None) };
    judge.backups()?;
    judge.bitmaps(&descriptors)?;
    Ok(Some(Groups { descriptors, used }))
}

/// True if groups may have parts that were never written.
pub(super) fn has_flags(superblock: &Superblock) -> bool {
    superblock.ro_compat(ro_compat::METADATA_CSUM | ro_compat::GDT_CSUM)
}

struct Judge<'a> {
    region: &'a Region,
    name: &'a str,
    superblock: &'a Superblock,
    geometry: &'a Geometry,
    out: &'a mut Recorder,
}

impl Judge<'_> {
    fn at(&self, group: GroupIndex, field: usize) -> Location {
        let size = u64::from(self.geometry.desc_size);
        let in_block = u64::from(self.geometry.block_size) / size;
        let block = self.geometry.descriptor_block((u64::from(group.0) / in_block) as u32);
        let at = self.geometry.offset(block) + u64::from(group.0) % in_block * size;
        let name = format!("{}, ext4 descriptor of {group}", self.name);
        structure(self.region, name, at + field as u64, 0)
    }

    fn descriptors(&mut self) -> Result<Option<Vec<Descriptor>>, ReadError> {
        let geometry = self.geometry;
        let size = usize::from(geometry.desc_size);
        let mut block = vec![0; geometry.block_size as usize];
        let mut descriptors = Vec::with_capacity(geometry.group_count as usize);
        let mut sound = true;
        for index in 0..geometry.descriptor_blocks() {
            let at = geometry.descriptor_block(index);
            let inside = at.0 < geometry.blocks_count;
            let (first, count) = geometry.descriptors_in(index);
            if !self.out.expect(&GROUP_TABLES, inside, || {
                let at = superblock::location(self.region, self.name, Superblock::OFFSET);
                (at, format!("the descriptors from {first} on are not in the file system"))
            }) {
                return Ok(None);
            }
            self.region.fill("ext4 group descriptors", geometry.offset(at), &mut block)?;
            for (group, bytes) in (first.0..).zip(block.chunks_exact(size).take(count as usize)) {
                let descriptor = Descriptor::new(bytes);
                let group = GroupIndex(group);
                if let Some(computed) = Descriptor::checksum(self.superblock, group, bytes) {
                    let stored = descriptor.raw.bg_checksum.get();
                    let field = offset_of!(raw::GroupDescriptor, bg_checksum);
                    let held = stored == computed;
                    sound &= self.expect(&GROUP_CHECKSUM, held, group, field, || {
                        format!("stored {stored:#06x}, computed {computed:#06x}")
                    });
                }
                descriptors.push(descriptor);
            }
        }
        Ok(sound.then_some(descriptors))
    }

    /// Where the metadata of groups is: nothing lies on something else.
    fn tables(&mut self, descriptors: &[Descriptor]) -> Option<Bits> {
        let geometry = self.geometry;
        let flex = self.superblock.incompat(incompat::FLEX_BG);
        let table_blocks = u64::from(geometry.inode_table_blocks());
        let mut ranges: Vec<(Block, u64, GroupIndex)> = Vec::new();
        let mut sound = true;
        for (group, descriptor) in (0..).map(GroupIndex).zip(descriptors) {
            let start = geometry.first_block(group);
            let end = Block(start.0 + u64::from(geometry.blocks_in(group)));
            let all = (Block(u64::from(geometry.first_data_block)), Block(geometry.blocks_count));
            let (low, high) = if flex { all } else { (start, end) };
            let parts = [
                ("block bitmap", descriptor.block_bitmap(), 1),
                ("inode bitmap", descriptor.inode_bitmap(), 1),
                ("inode table", descriptor.inode_table(), table_blocks),
            ];
            for (what, block, len) in parts {
                let inside = block >= low && block.0.saturating_add(len) <= high.0;
                sound &= self.expect(&GROUP_TABLES, inside, group, 0, || {
                    format!("the {what} is at {block}, not in {} to {}", low.0, high.0 - 1)
                });
                ranges.push((block, len, group));
            }
            let unused = descriptor.itable_unused();
            let fits = !has_flags(self.superblock) || unused <= geometry.inodes_per_group;
            sound &= self.expect(&GROUP_TABLES, fits, group, 0, || {
                format!("bg_itable_unused {unused}, of {} inodes", geometry.inodes_per_group)
            });
            let layout = geometry.layout(group);
            ranges.extend(layout.superblock.map(|block| (block, 1, group)));
            ranges.extend(layout.descriptors.map(|(block, len)| (block, u64::from(len), group)));
        }
        if !sound {
            return None;
        }
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            let [(before, len, other), (block, _, group)] = pair else { continue };
            sound &= self.expect(&GROUP_TABLES, before.0 + len <= block.0, *group, 0, || {
                format!("{block} has metadata of {other} and of {group}")
            });
        }
        let mut used =
            Bits::new(u64::from(geometry.group_count) * u64::from(geometry.clusters_per_group()));
        for (block, len, _) in &ranges {
            let first = geometry.cluster(*block);
            let last = geometry.cluster(Block(block.0 + len.max(&1) - 1));
            used.set(first, last - first + 1);
        }
        sound.then_some(used)
    }

    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        group: GroupIndex,
        field: usize,
        message: impl FnOnce() -> String,
    ) -> bool {
        let at = (!holds).then(|| self.at(group, field));
        let nowhere = || superblock::location(self.region, self.name, Superblock::OFFSET);
        self.out.expect(check, holds, || (at.unwrap_or_else(nowhere), message()))
    }

    fn backups(&mut self) -> Result<(), ReadError> {
        let geometry = self.geometry;
        let groups = (1..geometry.group_count).map(GroupIndex);
        let copies = groups.filter_map(|group| Some((group, geometry.layout(group).superblock?)));
        for (group, block) in copies.take(MAX_BACKUPS) {
            let at = geometry.offset(block);
            let copy = Superblock::read_at(self.region, at)?;
            let difference = difference(self.superblock, &copy);
            self.out.expect(&BACKUP, difference.is_none(), || {
                let name = format!("{}, ext4 superblock of {group}", self.name);
                let what = difference.unwrap_or_default();
                (
                    structure(self.region, name, at, 1024),
                    format!("{what} differs from the first copy"),
                )
            });
        }
        Ok(())
    }

    fn bitmaps(&mut self, descriptors: &[Descriptor]) -> Result<(), ReadError> {
        if !self.superblock.ro_compat(ro_compat::METADATA_CSUM) {
            return Ok(());
        }
        let geometry = self.geometry;
        let seed = self.superblock.checksum_seed();
        let mask = if geometry.desc_size >= 64 { u32::MAX } else { 0xffff };
        let mut bytes = vec![0; geometry.block_size as usize];
        for (group, descriptor) in (0..).map(GroupIndex).zip(descriptors) {
            let parts = [
                (
                    "block bitmap",
                    Descriptor::BLOCK_UNINIT,
                    descriptor.block_bitmap(),
                    geometry.clusters_per_group(),
                    descriptor.block_bitmap_checksum(),
                ),
                (
                    "inode bitmap",
                    Descriptor::INODE_UNINIT,
                    descriptor.inode_bitmap(),
                    geometry.inodes_per_group,
                    descriptor.inode_bitmap_checksum(),
                ),
            ];
            for (what, uninit, block, bits, stored) in parts {
                if descriptor.has(uninit) {
                    continue;
                }
                let at = geometry.offset(block);
                self.region.fill("ext4 bitmap", at, &mut bytes)?;
                let covered = bytes.get(..bits as usize / 8).unwrap_or(&bytes);
                let computed = checksum::crc32c(seed, covered) & mask;
                self.out.expect(&BITMAP_CHECKSUM, stored & mask == computed, || {
                    let name = format!("{}, ext4 {what} of {group}", self.name);
                    let message = format!("stored {stored:#010x}, computed {computed:#010x}");
                    (structure(self.region, name, at, u64::from(geometry.block_size)), message)
                });
            }
        }
        Ok(())
    }
}

/// What a copy says that the first one does not: what no tool changes in the first alone.
fn difference(first: &Superblock, copy: &Superblock) -> Option<&'static str> {
    let (a, b) = (&first.raw, &copy.raw);
    // The kernel sets these in the first copy when it first needs them.
    let incompat = !(incompat::EXTENTS | incompat::RECOVER);
    let ro_compat = !(ro_compat::LARGE_FILE | ro_compat::DIR_NLINK | ro_compat::ORPHAN_PRESENT);
    let pairs = [
        ("s_magic", a.s_magic == b.s_magic),
        ("s_blocks_count", first.blocks_count() == copy.blocks_count()),
        ("s_inodes_count", a.s_inodes_count == b.s_inodes_count),
        ("s_log_block_size", a.s_log_block_size == b.s_log_block_size),
        ("s_blocks_per_group", a.s_blocks_per_group == b.s_blocks_per_group),
        ("s_inodes_per_group", a.s_inodes_per_group == b.s_inodes_per_group),
        ("s_inode_size", a.s_inode_size == b.s_inode_size),
        ("s_feature_incompat", {
            (a.s_feature_incompat.get() ^ b.s_feature_incompat.get()) & incompat == 0
        }),
        ("s_feature_ro_compat", {
            (a.s_feature_ro_compat.get() ^ b.s_feature_ro_compat.get()) & ro_compat == 0
        }),
        ("s_uuid", a.s_uuid == b.s_uuid),
    ];
    pairs.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
}
