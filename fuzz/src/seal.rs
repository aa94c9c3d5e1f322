//! Makes the checksums of an ext4 file system right, as far as one finds what they are of.
//!
//! This is no opinion and no repair: it is what somebody hostile does so that his bytes are read.

use image_formats::ext4::{
    Block, Descriptor, DirectoryBlock, ExtentNode, Geometry, GroupIndex, IndirectNode, Ino, Inode,
    Superblock, checksum, raw, ro_compat,
};
use zerocopy::FromBytes as _;

use crate::input::Image;

/// Groups whose checksums are made right.
const MAX_GROUPS: u32 = 64;

/// Blocks of files whose checksums are made right, in one image.
const MAX_BLOCKS: u32 = 1000;

/// Makes the checksums of an ext4 file system right.
pub fn seal(image: &mut Image) {
    let mut bytes = [0; raw::Superblock::SIZE];
    image.get(Superblock::OFFSET, &mut bytes);
    let Ok(raw) = raw::Superblock::read_from_bytes(&bytes) else { return };
    let superblock = Superblock { raw };
    if let Some(geometry) = Geometry::new(&superblock) {
        let mut seal = Seal { image, superblock: &superblock, geometry, blocks: 0 };
        for group in (0..geometry.group_count.min(MAX_GROUPS)).map(GroupIndex) {
            seal.group(group);
        }
    }
    if superblock.ro_compat(ro_compat::METADATA_CSUM) {
        let at = Superblock::OFFSET + raw::Superblock::SIZE as u64 - 4;
        image.put(at, &superblock.checksum().to_le_bytes());
    }
}

struct Seal<'a> {
    image: &'a mut Image,
    superblock: &'a Superblock,
    geometry: Geometry,
    /// Blocks that were looked at.
    blocks: u32,
}

impl Seal<'_> {
    fn block(&self, block: Block) -> (u64, Vec<u8>) {
        let at = self.geometry.offset(block);
        let mut bytes = vec![0; self.geometry.block_size as usize];
        self.image.get(at, &mut bytes);
        (at, bytes)
    }

    fn group(&mut self, group: GroupIndex) {
        let geometry = self.geometry;
        let size = u32::from(geometry.desc_size);
        let in_block = geometry.block_size / size;
        let block = geometry.descriptor_block(group.0 / in_block);
        let at = geometry.offset(block).saturating_add(u64::from(group.0 % in_block * size));
        let mut bytes = vec![0; size as usize];
        self.image.get(at, &mut bytes);
        let descriptor = Descriptor::new(&bytes);
        if self.superblock.ro_compat(ro_compat::METADATA_CSUM) {
            let parts = [
                (descriptor.block_bitmap(), geometry.clusters_per_group(), 0x18, 0x38),
                (descriptor.inode_bitmap(), geometry.inodes_per_group, 0x1a, 0x3a),
            ];
            for (block, bits, low, high) in parts {
                let (_, bitmap) = self.block(block);
                let covered = bitmap.get(..bits as usize / 8).unwrap_or(&bitmap);
                let sum = checksum::crc32c(self.superblock.checksum_seed(), covered).to_le_bytes();
                bytes[low..low + 2].copy_from_slice(&sum[..2]);
                if let Some(high) = bytes.get_mut(high..high + 2) {
                    high.copy_from_slice(&sum[2..]);
                }
            }
        }
        if let Some(sum) = Descriptor::checksum(self.superblock, group, &bytes) {
            bytes[0x1e..0x20].copy_from_slice(&sum.to_le_bytes());
            self.image.put(at, &bytes);
        }
        if self.superblock.ro_compat(ro_compat::METADATA_CSUM) {
            self.inodes(group, descriptor.inode_table());
        }
    }

    /// Inodes that have a page.
    fn inodes(&mut self, group: GroupIndex, table: Block) {
        let geometry = self.geometry;
        let size = u64::from(geometry.inode_size);
        let start = geometry.offset(table);
        let end = start.saturating_add(u64::from(geometry.inodes_per_group) * size);
        let pages = self.image.pages().map(|(at, page)| (at, at + page.len() as u64));
        let inside: Vec<_> = pages.filter(|(at, after)| *after > start && *at < end).collect();
        let mut next = 0;
        for (at, after) in inside {
            let first = at.saturating_sub(start) / size;
            let last = (after.min(end) - start).div_ceil(size);
            for index in first.max(next)..last {
                self.inode(geometry.ino(group, index as u32), start + index * size);
            }
            next = last;
        }
    }

    fn inode(&mut self, ino: Ino, at: u64) {
        let mut bytes = vec![0; usize::from(self.geometry.inode_size)];
        self.image.get(at, &mut bytes);
        let inode = Inode::new(&bytes);
        if bytes.iter().all(|byte| *byte == 0) {
            return;
        }
        let (_, sum) = inode.checksum(self.superblock, ino);
        self.image.put(at + 0x7c, &sum.to_le_bytes()[..2]);
        if bytes.len() > 128 && inode.extra.i_extra_isize.get() >= 4 {
            self.image.put(at + 0x82, &sum.to_le_bytes()[2..]);
        }
        let seed = inode.checksum_seed(self.superblock, ino);
        let is_directory = inode.raw.i_mode.get() >> 12 == 4;
        if inode.has(Inode::EXTENTS) {
            self.extents(inode.block_area(), seed, is_directory);
        } else if is_directory {
            IndirectNode(inode.block_area())
                .blocks()
                .take(12)
                .for_each(|b| self.directory(b, seed));
        }
        self.attributes(inode.file_acl(self.superblock));
    }

    fn extents(&mut self, root: &[u8], seed: u32, is_directory: bool) {
        let mut todo = vec![root.to_vec()];
        while let Some(bytes) = todo.pop() {
            let Some(node) = ExtentNode::new(&bytes) else { return };
            if node.header.eh_depth.get() == 0 {
                let runs = node.runs().filter(|_| is_directory);
                for block in runs.flat_map(|run| (run.block.0..).take(run.len as usize)) {
                    if self.blocks >= MAX_BLOCKS {
                        return;
                    }
                    self.directory(Block(block), seed);
                }
                continue;
            }
            for slot in node.slots() {
                if self.blocks >= MAX_BLOCKS {
                    return;
                }
                self.blocks += 1;
                let (at, child) = self.block(slot.child);
                if let Some(node) = ExtentNode::new(&child)
                    && let Some((_, sum)) = node.checksum(seed)
                {
                    let max = u64::from(node.header.eh_max.get());
                    self.image.put(at + 12 + max * 12, &sum.to_le_bytes());
                }
                todo.push(child);
            }
        }
    }

    fn directory(&mut self, block: Block, seed: u32) {
        self.blocks += 1;
        let (at, bytes) = self.block(block);
        let all = DirectoryBlock::new(&bytes, self.geometry.block_size);
        if all.tail().is_some_and(|tail| tail.det_reserved_ft == 0xde) {
            let sum = all.checksum(seed).to_le_bytes();
            self.image.put(at + bytes.len() as u64 - 4, &sum);
            return;
        }
        // A root has `.` and `..`, and a node one entry that is as long as the block.
        let first = all.entries().next();
        let node = if first.is_some_and(|first| first.rec_len == bytes.len()) {
            all.dx_node().map(|(_, entries)| (raw::DxNode::SIZE, entries))
        } else {
            all.dx_root().map(|(_, entries)| (raw::DxRoot::SIZE, entries))
        };
        if let Some((start, entries)) = node
            && let Some((_, sum)) = entries.checksum(seed)
        {
            let limit = usize::from(entries.first.limit.get());
            let tail = start + limit * raw::DxEntry::SIZE;
            self.image.put(at + tail as u64 + 4, &sum.to_le_bytes());
        }
    }

    fn attributes(&mut self, block: Block) {
        if block.0 == 0 || self.blocks >= MAX_BLOCKS {
            return;
        }
        self.blocks += 1;
        let (at, mut bytes) = self.block(block);
        bytes[0x10..0x14].fill(0);
        let seed = checksum::crc32c(self.superblock.checksum_seed(), &block.0.to_le_bytes());
        self.image.put(at + 0x10, &checksum::crc32c(seed, &bytes).to_le_bytes());
    }
}
