//! Group descriptors, the copies of the superblock, and the checksums of bitmaps.

use std::{fmt, mem::offset_of};

use image_formats::{
    bytes::{ReadError, Region},
    ext4::{
        Block, Descriptor, Geometry, GroupIndex, Superblock, checksum, incompat, raw, ro_compat,
    },
};
use image_model::{Check, Location};

use super::{Bits, backups, checks::*, resize, structure, superblock};
use crate::Recorder;

/// Groups whose metadata is where it should be.
pub(super) struct Groups {
    /// In their order. `itable_unused` is never more than there are inodes, whatever was there.
    pub(super) descriptors: Vec<Descriptor>,
    /// The clusters with the metadata of groups.
    pub(super) used: Bits,
    /// The superblock and all descriptors have the right checksums. Nobody mounts them else.
    pub(super) trusted: bool,
}

/// Reads and judges all group descriptors; they come back where one can follow what they say.
pub(super) fn verify(
    region: &Region,
    name: &str,
    superblock: &Superblock,
    geometry: &Geometry,
    out: &mut Recorder,
) -> Result<Option<Groups>, ReadError> {
    let sums = superblock.ro_compat(ro_compat::METADATA_CSUM);
    let trusted = !sums || superblock.raw.s_checksum.get() == superblock.checksum();
    let mut judge = Judge { region, name, superblock, geometry, trusted, out };
    let Some(mut descriptors) = judge.descriptors()? else { return Ok(None) };
    judge.flags(&mut descriptors);
    let inside = judge.inside(&descriptors);
    backups::verify(&mut judge, &descriptors)?;
    if !inside {
        return Ok(None);
    }
    let Some(used) = judge.tables(&descriptors) else { return Ok(None) };
    judge.bitmaps(&descriptors)?;
    resize::verify(&mut judge, &descriptors)?;
    Ok(Some(Groups { descriptors, used, trusted: judge.trusted }))
}

/// True if groups may have parts that were never written.
pub(super) fn has_flags(superblock: &Superblock) -> bool {
    superblock.ro_compat(ro_compat::METADATA_CSUM | ro_compat::GDT_CSUM)
}

/// Records checks of groups.
pub(super) struct Judge<'a> {
    pub(super) region: &'a Region,
    pub(super) name: &'a str,
    pub(super) superblock: &'a Superblock,
    pub(super) geometry: &'a Geometry,
    trusted: bool,
    pub(super) out: &'a mut Recorder,
}

macro_rules! field {
    ($field:ident) => {
        offset_of!(raw::GroupDescriptor, $field)
    };
}

impl Judge<'_> {
    fn at(&self, group: GroupIndex, field: usize) -> Location {
        let at = self.geometry.descriptor(group);
        let name = format!("{}, ext4 descriptor of {group}", self.name);
        structure(self.region, name, at + field as u64, 0)
    }

    fn descriptors(&mut self) -> Result<Option<Vec<Descriptor>>, ReadError> {
        let geometry = self.geometry;
        let size = usize::from(geometry.desc_size);
        let mut block = vec![0; geometry.block_size as usize];
        let mut descriptors = Vec::with_capacity(geometry.group_count as usize);
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
                    let held = stored == computed;
                    self.trusted &= held;
                    self.expect(&GROUP_CHECKSUM, held, group, field!(bg_checksum), || {
                        format!("stored {stored:#06x}, computed {computed:#06x}")
                    });
                }
                descriptors.push(descriptor);
            }
        }
        Ok(Some(descriptors))
    }

    /// What groups say of the parts that were never written.
    fn flags(&mut self, descriptors: &mut [Descriptor]) {
        const KNOWN: u16 =
            Descriptor::INODE_UNINIT | Descriptor::BLOCK_UNINIT | Descriptor::INODE_ZEROED;
        let geometry = self.geometry;
        let possible = has_flags(self.superblock);
        let inodes = geometry.inodes_per_group;
        for (group, descriptor) in (0..).map(GroupIndex).zip(descriptors) {
            let flags = descriptor.raw.bg_flags.get();
            let at = field!(bg_flags);
            self.expect(&GROUP_FLAGS_ODD, flags & !KNOWN == 0, group, at, || {
                format!("bg_flags {flags:#x}, of which {KNOWN:#x} are known")
            });
            let unused = descriptor.itable_unused();
            if possible {
                let free = descriptor.free_inodes();
                let most = free.min(inodes);
                self.expect(
                    &INODE_TABLE_UNUSED,
                    unused <= most,
                    group,
                    field!(bg_itable_unused_lo),
                    || format!("{unused} inodes at the end were never used, and {most} are free"),
                );
                let last = group.0 + 1 == geometry.group_count;
                let uninit = descriptor.has(Descriptor::BLOCK_UNINIT);
                self.expect(&GROUP_FLAGS_ODD, !uninit || !last, group, at, || {
                    "BLOCK_UNINIT, of the last group".to_owned()
                });
            } else {
                let uninit = Descriptor::INODE_UNINIT | Descriptor::BLOCK_UNINIT;
                let none = !descriptor.has(uninit) && unused == 0;
                self.expect(&GROUP_FLAGS_ODD, none, group, at, || {
                    format!(
                        "bg_flags {flags:#x}, bg_itable_unused {unused}: there is no metadata_csum \
                         or uninit_bg"
                    )
                });
            }
            if unused > inodes {
                // Without checksums nothing skips them, and e2fsck then takes none for unused.
                let most = if possible { inodes as u16 } else { 0 };
                descriptor.raw.bg_itable_unused_hi.set(0);
                descriptor.raw.bg_itable_unused_lo.set(most);
            }
        }
    }

    /// Is what groups consist of inside the file system, or where there is no flex_bg, inside them?
    fn inside(&mut self, descriptors: &[Descriptor]) -> bool {
        let geometry = self.geometry;
        let flex = self.superblock.incompat(incompat::FLEX_BG);
        let table_blocks = u64::from(geometry.inode_table_blocks());
        let mut sound = true;
        for (group, descriptor) in (0..).map(GroupIndex).zip(descriptors) {
            let start = geometry.first_block(group);
            let end = Block(start.0 + u64::from(geometry.blocks_in(group)));
            let all = (Block(u64::from(geometry.first_data_block)), Block(geometry.blocks_count));
            let (low, high) = if flex { all } else { (start, end) };
            for part in [Part::BlockBitmap, Part::InodeBitmap, Part::InodeTable] {
                let block = part.start(descriptor);
                let len = if part == Part::InodeTable { table_blocks } else { 1 };
                let inside = block >= low && block.0.saturating_add(len) <= high.0;
                sound &= self.expect(&GROUP_TABLES, inside, group, part.field(), || {
                    format!("the {part} is at {block}, not in {} to {}", low.0, high.0 - 1)
                });
            }
        }
        sound
    }

    /// Where the metadata of groups is, which is inside: nothing lies on something else.
    fn tables(&mut self, descriptors: &[Descriptor]) -> Option<Bits> {
        let geometry = self.geometry;
        let ranges = self.ranges(descriptors);
        let mut sound = true;
        let mut last = Range::default();
        for range in ranges.iter().map(|packed| unpack(geometry, *packed)) {
            let free = last.end <= range.start;
            sound &= self.expect(&GROUP_TABLES, free, range.group, range.part.field(), || {
                let (other, group) = (last.group, range.group);
                let start = Block(range.start);
                format!(
                    "{start} is in the {} of {other} and in the {} of {group}",
                    last.part, range.part
                )
            });
            if range.end > last.end {
                last = range;
            }
        }
        if !sound {
            return None;
        }
        let mut used =
            Bits::new(u64::from(geometry.group_count) * u64::from(geometry.clusters_per_group()));
        for range in ranges.iter().map(|packed| unpack(geometry, *packed)) {
            let first = geometry.cluster(Block(range.start));
            let last = geometry.cluster(Block(range.end.saturating_sub(1).max(range.start)));
            used.set(first, last - first + 1);
        }
        Some(used)
    }

    /// All metadata of groups, in the order of the blocks.
    fn ranges(&self, descriptors: &[Descriptor]) -> Vec<u64> {
        let mut ranges = Vec::with_capacity(descriptors.len() * 3);
        for (group, descriptor) in (0..).map(GroupIndex).zip(descriptors) {
            for part in [Part::BlockBitmap, Part::InodeBitmap, Part::InodeTable] {
                ranges.push(pack(part.start(descriptor), group, part));
            }
            let layout = self.geometry.layout(group);
            if let Some(block) = layout.superblock {
                ranges.push(pack(block, group, Part::Superblock));
            }
            if let Some((block, _)) = layout.descriptors {
                ranges.push(pack(block, group, Part::Descriptors));
            }
        }
        ranges.sort_unstable();
        ranges
    }

    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        group: GroupIndex,
        field: usize,
        message: impl FnOnce() -> String,
    ) -> bool {
        // The recorder looks an id up; the first group does so.
        if holds && group.0 > 0 {
            return true;
        }
        let at = (!holds).then(|| self.at(group, field));
        let nowhere = || superblock::location(self.region, self.name, Superblock::OFFSET);
        self.out.expect(check, holds, || (at.unwrap_or_else(nowhere), message()))
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

/// A part of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Superblock,
    Descriptors,
    BlockBitmap,
    InodeBitmap,
    InodeTable,
}

impl Part {
    /// Where a descriptor says that it starts.
    fn start(self, descriptor: &Descriptor) -> Block {
        match self {
            Self::BlockBitmap => descriptor.block_bitmap(),
            Self::InodeBitmap => descriptor.inode_bitmap(),
            _ => descriptor.inode_table(),
        }
    }

    /// The field that says so.
    fn field(self) -> usize {
        match self {
            Self::Superblock | Self::Descriptors => 0,
            Self::BlockBitmap => field!(bg_block_bitmap_lo),
            Self::InodeBitmap => field!(bg_inode_bitmap_lo),
            Self::InodeTable => field!(bg_inode_table_lo),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Superblock => "superblock",
            Self::Descriptors => "descriptors",
            Self::BlockBitmap => "block bitmap",
            Self::InodeBitmap => "inode bitmap",
            Self::InodeTable => "inode table",
        })
    }
}

/// Blocks with a part of a group.
#[derive(Clone, Copy, Debug, Default)]
struct Range {
    start: u64,
    end: u64,
    group: GroupIndex,
    part: Part,
}

/// One number for a range, which sorts by its start: half a million groups have millions of them.
/// `superblock::verify` lets 42 bits of a block and 19 of a group through.
fn pack(start: Block, group: GroupIndex, part: Part) -> u64 {
    start.0 << 22 | u64::from(group.0) << 3 | part as u64
}

/// The range in such a number.
fn unpack(geometry: &Geometry, packed: u64) -> Range {
    let group = GroupIndex((packed >> 3 & 0x7_ffff) as u32);
    let start = packed >> 22;
    let (part, len) = match packed & 7 {
        0 => (Part::Superblock, 1),
        1 => {
            let (_, len) = geometry.layout(group).descriptors.unwrap_or((Block(0), 0));
            (Part::Descriptors, len)
        }
        2 => (Part::BlockBitmap, 1),
        3 => (Part::InodeBitmap, 1),
        _ => (Part::InodeTable, geometry.inode_table_blocks()),
    };
    // The blocks that are kept for descriptors may reach beyond a small last group.
    let end = (start + u64::from(len)).min(geometry.blocks_count);
    Range { start, end, group, part }
}
