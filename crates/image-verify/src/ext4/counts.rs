//! What is counted: e2fsck's passes 4 and 5. It has a sense only where everything else is sound.

use std::mem::offset_of;

use image_formats::{
    bytes::ReadError,
    ext4::{Block, Descriptor, FileType, GroupIndex, Ino, Inode, raw, ro_compat},
};
use image_model::Location;

use super::{Judge, checks::*, groups::has_flags, inodes::Known, structure, superblock};

/// `EXT4_LINK_MAX`: with dir_nlink a directory with more subdirectories counts 1.
const LINK_MAX: u32 = 65000;

/// As many names as e2fsck tells apart.
const MAX_COUNTED: u32 = 65500;

impl Judge<'_, '_> {
    /// Names against links.
    pub(super) fn links(&mut self) {
        let end = Ino(self.geometry.inodes_count.saturating_add(1));
        let mut next = Ino(1);
        // Bounded: each step is to a higher inode.
        while let Some((ino, known)) = self.inodes.next(next, end) {
            next = Ino(ino.0.saturating_add(1));
            self.link(ino, known);
        }
    }

    fn link(&mut self, ino: Ino, known: Known) {
        let raw = &self.superblock.raw;
        let listed = [raw.s_prj_quota_inum.get(), raw.s_orphan_file_inum.get()].contains(&ino.0);
        let reserved = ino != Ino::ROOT && ino < self.superblock.first_ino();
        if listed || reserved || known.links == 0 {
            return;
        }
        let is_directory = known.file_type() == Some(FileType::Directory);
        let (links, names) = (u32::from(known.links), known.names);
        // What large attributes lie in has no name.
        let reached = names > 0 || known.has(Known::NAMELESS);
        // Directories were told of by who followed them.
        if !is_directory
            && !self.expect(&UNCONNECTED, reached, |judge| {
                (judge.at_inode(ino), format!("{links} links, and no directory has it"))
            })
            || names == 0
        {
            return;
        }
        let mut counted = names.min(MAX_COUNTED);
        let mut held = true;
        if is_directory && counted > LINK_MAX {
            held = self.superblock.ro_compat(ro_compat::DIR_NLINK);
            counted = 1;
        }
        // A directory that had too many once, and has not now.
        let had_many = || {
            let index = self.directory_at(ino).map(|at| self.directories[at].has(Inode::INDEX));
            is_directory && links == 1 && counted > 1 && index == Some(true)
        };
        held &= links.min(MAX_COUNTED) == counted || had_many();
        // Who reads the files knows by the links which have several names.
        self.sound &= held || names <= u32::from(known.links);
        self.note(&LINK_COUNT, held, |judge| {
            (judge.at_inode(ino), format!("{links} links, not {names}"))
        });
    }

    /// Bitmaps and counts against what is in use.
    pub(super) fn bitmaps(&mut self) -> Result<(), ReadError> {
        let geometry = self.geometry;
        let flags = has_flags(self.superblock);
        let mut bytes = vec![0; geometry.block_size as usize];
        let mut inodes = Vec::new();
        let (mut free_clusters, mut free_inodes) = (0_u64, 0_u64);
        let implied = self.implied();
        for (group, descriptor) in (0..).map(GroupIndex).zip(self.groups) {
            let here = geometry.clusters_in(group);
            let uninit = flags && descriptor.has(Descriptor::BLOCK_UNINIT);
            let block = descriptor.block_bitmap();
            let at = self.at_bitmap("block bitmap", group, block);
            if uninit {
                bytes.fill(0);
            } else {
                self.read("ext4 block bitmap", block, &mut bytes)?;
            }
            // Nothing pads a bitmap that is not there, and only the last group needs it.
            if !uninit || here < geometry.clusters_per_group() {
                self.padding(&at, &bytes, here);
            }
            let start = u64::from(group.0) * u64::from(geometry.clusters_per_group());
            imply(&mut bytes, start, here, &implied);
            let used = self.used.bytes(start, here.div_ceil(8) as usize).to_vec();
            let wrong = difference(&bytes, &used, here);
            self.note(&BLOCK_BITMAP, wrong.is_none(), |judge| {
                wrong.unwrap_or_default().tell(at, uninit, |bit| {
                    let ratio = u64::from(geometry.cluster_blocks);
                    let first = judge.geometry.first_block(group).0;
                    Block(first + u64::from(bit) * ratio).to_string()
                })
            });
            let free = here - ones(&used, here);
            free_clusters += u64::from(free);
            self.count(
                group,
                offset_of!(raw::GroupDescriptor, bg_free_blocks_count_lo),
                "free clusters",
                descriptor.free_clusters(),
                free,
            );

            let count = geometry.inodes_per_group;
            inodes.clear();
            inodes.resize(count.div_ceil(8) as usize, 0_u8);
            let directories = self.used_inodes(group, &mut inodes);
            let uninit = flags && descriptor.has(Descriptor::INODE_UNINIT);
            let block = descriptor.inode_bitmap();
            let at = self.at_bitmap("inode bitmap", group, block);
            if uninit {
                bytes.fill(0);
            } else {
                self.read("ext4 inode bitmap", block, &mut bytes)?;
                self.padding(&at, &bytes, count);
            }
            let wrong = difference(&bytes, &inodes, count);
            self.note(&INODE_BITMAP, wrong.is_none(), |_| {
                let name = |bit| geometry.ino(group, bit).to_string();
                wrong.unwrap_or_default().tell(at, uninit, name)
            });
            let free = count - ones(&inodes, count);
            free_inodes += u64::from(free);
            self.count(
                group,
                offset_of!(raw::GroupDescriptor, bg_free_inodes_count_lo),
                "free inodes",
                descriptor.free_inodes(),
                free,
            );
            self.count(
                group,
                offset_of!(raw::GroupDescriptor, bg_used_dirs_count_lo),
                "directories",
                descriptor.used_dirs(),
                directories,
            );
        }
        let raw = &self.superblock.raw;
        let blocks = free_clusters * u64::from(geometry.cluster_blocks);
        let pairs = [
            ("blocks", self.superblock.free_blocks_count(), blocks),
            ("inodes", u64::from(raw.s_free_inodes_count.get()), free_inodes),
        ];
        for (what, found, counted) in pairs {
            self.note(&FREE_COUNTS, found == counted, |judge| {
                let at = superblock::location(judge.region, judge.name, 1024);
                (at, format!("{found} free {what}, not {counted}"))
            });
        }
        Ok(())
    }

    /// The clusters that are taken for used without a bitmap: the metadata of groups whose block
    /// bitmap was never written, wherever it lies. Sorted.
    fn implied(&self) -> Vec<(u64, u64)> {
        let geometry = self.geometry;
        let table_blocks = u64::from(geometry.inode_table_blocks());
        let mut all: Vec<(u64, u64)> = Vec::new();
        for (group, descriptor) in (0..).map(GroupIndex).zip(self.groups) {
            if !has_flags(self.superblock) || !descriptor.has(Descriptor::BLOCK_UNINIT) {
                continue;
            }
            let layout = geometry.layout(group);
            let parts = [
                layout.superblock.map(|block| (block, 1)),
                layout.descriptors.map(|(block, len)| (block, u64::from(len))),
                Some((descriptor.block_bitmap(), 1)),
                Some((descriptor.inode_bitmap(), 1)),
                Some((descriptor.inode_table(), table_blocks)),
            ];
            for (block, len) in parts.into_iter().flatten() {
                let first = geometry.cluster(block);
                let end = geometry.cluster(Block(block.0 + len.max(1) - 1)) + 1;
                match all.last_mut() {
                    // Tables of several groups lie together.
                    Some((_, last)) if *last == first => *last = end,
                    _ => all.push((first, end)),
                }
            }
        }
        all.sort_unstable();
        all
    }

    fn at_bitmap(&self, what: &str, group: GroupIndex, block: Block) -> Location {
        let name = format!("{}, ext4 {what} of {group}", self.name);
        let len = u64::from(self.geometry.block_size);
        structure(self.region, name, self.geometry.offset(block), len)
    }

    /// Sets the bits of the inodes of a group that are in use, and counts the directories.
    fn used_inodes(&self, group: GroupIndex, bits: &mut [u8]) -> u32 {
        let count = self.geometry.inodes_per_group;
        let first = self.geometry.ino(group, 0);
        let mut set = |index: u32| bits[(index / 8) as usize] |= 1 << (index % 8);
        let reserved = self.superblock.first_ino().0.saturating_sub(first.0).min(count);
        (0..reserved).for_each(&mut set);
        // e2fsck keeps an inode that is named for quotas of projects, whatever it is.
        let named = Ino(self.superblock.raw.s_prj_quota_inum.get());
        if self.is_scanned(named) && self.geometry.place(named).0 == group {
            set(named.0 - first.0);
        }
        let mut directories = 0;
        for (ino, known) in self.inodes.range(first, Ino(first.0.saturating_add(count))) {
            set(ino.0 - first.0);
            // A reserved inode that says it is one is none.
            let counts = known.file_type() == Some(FileType::Directory);
            directories += u32::from(counts && !known.has(Known::NAMELESS));
        }
        directories
    }

    /// True if an inode is in the part of its table that was ever used.
    fn is_scanned(&self, ino: Ino) -> bool {
        if ino.0 == 0 || ino.0 > self.geometry.inodes_count {
            return false;
        }
        let (group, index) = self.geometry.place(ino);
        let Some(descriptor) = self.groups.get(group.0 as usize) else { return false };
        let used = self.geometry.inodes_per_group.saturating_sub(descriptor.itable_unused());
        !has_flags(self.superblock) || !descriptor.has(Descriptor::INODE_UNINIT) && index < used
    }

    fn padding(&mut self, at: &Location, bytes: &[u8], bits: u32) {
        let clear = (bits..bytes.len() as u32 * 8).find(|bit| !get(bytes, *bit));
        self.note(&BITMAP_PADDING, clear.is_none(), |_| {
            let bit = clear.unwrap_or_default();
            (at.clone(), format!("bit {bit} is clear, and {bits} stand for something"))
        });
    }

    fn count(&mut self, group: GroupIndex, field: usize, what: &str, found: u32, counted: u32) {
        self.note(&GROUP_COUNTS, found == counted, |judge| {
            let name = format!("{}, ext4 descriptor of {group}", judge.name);
            let at = judge.geometry.descriptor(group).saturating_add(field as u64);
            (structure(judge.region, name, at, 0), format!("{found} {what}, not {counted}"))
        });
    }
}

/// Sets the bits of a group of `count` clusters from `start` on that are in one of the ranges.
fn imply(bytes: &mut [u8], start: u64, count: u32, ranges: &[(u64, u64)]) {
    let group_end = start + u64::from(count);
    let first = ranges.partition_point(|(_, end)| *end <= start);
    // They may overlap with bigalloc, where their ends ascend all the same.
    for (from, to) in ranges[first..].iter().take_while(|(from, _)| *from < group_end) {
        for cluster in (*from).max(start)..(*to).min(group_end) {
            let bit = cluster - start;
            if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
                *byte |= 1 << (bit % 8);
            }
        }
    }
}

/// What a bitmap says that is not so.
#[derive(Clone, Copy, Debug, Default)]
struct Difference {
    /// Bits that are clear, and the first of them.
    clear: (u32, u32),
    /// Bits that are set, and the first of them.
    set: (u32, u32),
}

impl Difference {
    fn tell(
        &self,
        at: Location,
        is_uninit: bool,
        name: impl Fn(u32) -> String,
    ) -> (Location, String) {
        let part = |(count, first): (u32, u32), what: &str| {
            (count > 0).then(|| format!("{count} {what}, the first is {}", name(first)))
        };
        let parts = [
            is_uninit.then(|| "the bitmap is not initialized".to_owned()),
            part(self.clear, "in use are called free"),
            part(self.set, "free are called in use"),
        ];
        (at, parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

fn difference(found: &[u8], used: &[u8], bits: u32) -> Option<Difference> {
    let whole = (bits / 8) as usize;
    if found.get(..whole) == used.get(..whole) && bits.is_multiple_of(8) {
        return None;
    }
    let mut wrong = Difference::default();
    for bit in (0..bits).rev() {
        match (get(found, bit), get(used, bit)) {
            (false, true) => wrong.clear = (wrong.clear.0 + 1, bit),
            (true, false) => wrong.set = (wrong.set.0 + 1, bit),
            _ => {}
        }
    }
    (wrong.clear.0 + wrong.set.0 > 0).then_some(wrong)
}

fn get(bytes: &[u8], bit: u32) -> bool {
    bytes.get((bit / 8) as usize).is_some_and(|byte| byte & 1 << (bit % 8) != 0)
}

fn ones(bytes: &[u8], bits: u32) -> u32 {
    let whole = (bits / 8) as usize;
    let full: u32 = bytes.iter().take(whole).map(|byte| byte.count_ones()).sum();
    full + (bits / 8 * 8..bits).filter(|bit| get(bytes, *bit)).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_counted() {
        let wrong = difference(&[0b0001, 0b1], &[0b0110, 0b1], 9).unwrap();
        assert_eq!((wrong.clear, wrong.set), ((2, 1), (1, 0)));
        assert!(difference(&[7, 0xff], &[7, 0x01], 9).is_none());
        assert_eq!(ones(&[0xff, 0xff], 9), 9);
    }

    #[test]
    fn what_is_implied_is_set() {
        let mut bytes = [0; 3];
        imply(&mut bytes, 100, 20, &[(3, 5), (90, 102), (110, 111), (119, 130), (140, 150)]);
        assert_eq!(bytes, [0b0000_0011, 0b0000_0100, 0b0000_1000]);
    }
}
