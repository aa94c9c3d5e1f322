//! The blocks of a file, through extents or through blocks that list blocks.

use super::{Judge, Place, checks::*};
use image_formats::{
    bytes::ReadError,
    ext4::{Block, ExtentNode, IndirectNode, Ino, Inode, MAX_EXTENT_DEPTH, Run, Slot, ro_compat},
};

/// The blocks of a file.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// All of it, where it is one run; else its first run.
    first: Option<Run>,
    /// There are more runs.
    more: bool,
    /// The last block, counted from the start of the file.
    pub(super) last: Option<u64>,
    /// The last one that was written.
    pub(super) last_written: Option<u64>,
    /// Clusters, those of the map itself included.
    pub(super) clusters: u64,
    /// The cluster that was claimed last: the next run may start in it.
    cluster: Option<u64>,
    /// The next run starts here, or later.
    next: u64,
    /// The blocks belong to the metadata of groups.
    foreign: bool,
}

impl Map {
    /// The blocks, where they are a single run.
    pub(super) fn only_run(&self) -> Option<Run> {
        self.first.filter(|_| !self.more)
    }
}

/// A node of a tree on the way to the leaf that is judged now.
struct Frame<T> {
    children: std::vec::IntoIter<T>,
    depth: u16,
}

impl Judge<'_, '_> {
    /// Claims all blocks of a file. `None` where something about them is wrong: the first is told,
    /// and the rest is not looked at.
    pub(super) fn map(&mut self, ino: Ino, inode: &Inode<'_>) -> Result<Option<Map>, ReadError> {
        let mut map = Map { foreign: ino == Ino::RESIZE, ..Map::default() };
        let whole = if inode.has(Inode::EXTENTS) {
            self.extents(ino, inode, &mut map)?
        } else {
            self.indirect(ino, inode, &mut map)?
        };
        Ok(whole.then_some(map))
    }

    fn extents(&mut self, ino: Ino, inode: &Inode<'_>, map: &mut Map) -> Result<bool, ReadError> {
        let seed = inode.checksum_seed(self.superblock, ino);
        let sums = self.superblock.ro_compat(ro_compat::METADATA_CSUM);
        let mut stack: Vec<Frame<Slot>> = Vec::new();
        let root = Place::Inode(ino);
        if !self.extent_node(inode.block_area(), None, None, root, map, &mut stack) {
            return Ok(false);
        }
        let mut block = vec![0; self.geometry.block_size as usize];
        // Bounded: each child is claimed before it is read, and can be claimed once.
        while let Some(frame) = stack.last_mut() {
            let depth = frame.depth;
            let Some(slot) = frame.children.next() else {
                stack.pop();
                continue;
            };
            if !self.claim(ino, map, slot.child, 1, false) {
                return Ok(false);
            }
            self.read("ext4 extent block", slot.child, &mut block)?;
            let at = Place::Block("extent block", ino, slot.child);
            if !self.extent_node(&block, Some(depth - 1), Some(slot), at, map, &mut stack) {
                return Ok(false);
            }
            if sums
                && let Some((stored, computed)) =
                    ExtentNode::new(&block).and_then(|node| node.checksum(seed))
                && !self.expect(&EXTENT_CHECKSUM, stored == computed, |judge| {
                    (judge.at(at), format!("stored {stored:#010x}, computed {computed:#010x}"))
                })
            {
                return Ok(false);
            }
            // What the child holds is in order, and so is what comes after it.
        }
        Ok(true)
    }

    /// Judges one node: a leaf gives its runs to the map, an inner node comes onto the stack.
    fn extent_node(
        &mut self,
        bytes: &[u8],
        depth: Option<u16>,
        parent: Option<Slot>,
        at: Place,
        map: &mut Map,
        stack: &mut Vec<Frame<Slot>>,
    ) -> bool {
        let Some(node) = ExtentNode::new(bytes) else { return false };
        let header = &node.header;
        let (entries, max) = (header.eh_entries.get(), header.eh_max.get());
        let (found, room) = (header.eh_depth.get(), node.capacity());
        let expected = depth.unwrap_or(found.min(MAX_EXTENT_DEPTH));
        let held = header.eh_magic.get() == ExtentNode::MAGIC
            && entries <= max
            && (room.saturating_sub(2)..=room).contains(&usize::from(max))
            && found == expected;
        if !self.expect(&EXTENT_HEADER, held, |judge| {
            let magic = header.eh_magic;
            let text = format!(
                "magic {magic:#06x}, {entries} entries of {max}, depth {found}; not 0xf30a, \
                 {room} at most, depth {expected}"
            );
            (judge.at(at), text)
        }) {
            return false;
        }
        if found == 0 {
            let mut first = parent.map(|slot| slot.logical);
            for run in node.runs() {
                let in_order = run.len > 0
                    && run.logical >= map.next
                    && first.take().is_none_or(|first| first == run.logical);
                if !self.in_order(in_order, at, run.logical, map.next) || !self.run(at, map, run) {
                    return false;
                }
            }
            return true;
        }
        let slots: Vec<_> = node.slots().collect();
        let first = parent.map_or(0, |slot| slot.logical).max(map.next);
        let starts = slots.first().is_none_or(|slot| slot.logical >= first);
        let ascend = slots.windows(2).all(|pair| pair[0].logical < pair[1].logical);
        if !self.in_order(starts && ascend, at, slots.first().map_or(0, |s| s.logical), first) {
            return false;
        }
        stack.push(Frame { children: slots.into_iter(), depth: found });
        true
    }

    fn in_order(&mut self, holds: bool, at: Place, found: u64, next: u64) -> bool {
        self.expect(&EXTENT_ORDER, holds, |judge| {
            (
                judge.at(at),
                format!("block {found} of the file, where {next} or what its parent tells is due"),
            )
        })
    }

    /// Takes a run of blocks of the file.
    fn run(&mut self, at: Place, map: &mut Map, run: Run) -> bool {
        let len = u64::from(run.len);
        map.next = run.logical + len;
        map.last = Some(map.next - 1);
        if !run.unwritten {
            map.last_written = map.last;
        }
        match &mut map.first {
            None => map.first = Some(run),
            Some(first)
                if !map.more
                    && first.logical + u64::from(first.len) == run.logical
                    && first.block.0 + u64::from(first.len) == run.block.0
                    && first.unwritten == run.unwritten
                    && first.len.checked_add(run.len).is_some() =>
            {
                first.len += run.len;
            }
            Some(_) => map.more = true,
        }
        if map.foreign {
            map.clusters += len;
            return self.in_range(at, run.block, len);
        }
        self.claim_at(at, map, run.block, len, true)
    }

    fn in_range(&mut self, at: Place, block: Block, len: u64) -> bool {
        let (low, high) = (u64::from(self.geometry.first_data_block), self.geometry.blocks_count);
        let inside = block.0 >= low.max(1) && block.0.saturating_add(len) <= high;
        self.expect(&BLOCK_RANGE, inside, |judge| {
            (judge.at(at), format!("{len} blocks from {block} on, of {high} in the file system"))
        })
    }

    fn claim(&mut self, ino: Ino, map: &mut Map, block: Block, len: u64, data: bool) -> bool {
        let at = Place::Inode(ino);
        self.claim_at(at, map, block, len, data)
    }

    fn claim_at(&mut self, at: Place, map: &mut Map, block: Block, len: u64, data: bool) -> bool {
        if !self.in_range(at, block, len) {
            return false;
        }
        let mut first = self.geometry.cluster(block);
        let last = self.geometry.cluster(Block(block.0 + len - 1));
        // Data that continues in the cluster where the file was.
        if data && map.cluster == Some(first) {
            first += 1;
        }
        let count = (last + 1).saturating_sub(first);
        map.clusters += count;
        if data {
            map.cluster = Some(last);
        }
        if data && self.superblock.ro_compat(ro_compat::SHARED_BLOCKS) {
            self.used.set(first, count);
            return true;
        }
        let claimed = self.used.claim(first, count);
        let (ratio, start) = (self.geometry.cluster_blocks, self.geometry.first_data_block);
        self.expect(&BLOCK_CLAIM, claimed.is_ok(), |judge| {
            let cluster = claimed.err().unwrap_or_default();
            let taken = Block(cluster * u64::from(ratio) + u64::from(start));
            (judge.at(at), format!("{taken} has another owner"))
        })
    }

    fn indirect(&mut self, ino: Ino, inode: &Inode<'_>, map: &mut Map) -> Result<bool, ReadError> {
        let size = self.geometry.block_size as usize;
        let at_inode = Place::Inode(ino);
        let per_block = size as u64 / 4;
        let mut block = vec![0; size];
        let roots = IndirectNode(inode.block_area()).blocks().zip(0_u16..);
        let mut logical = 0;
        for (root, index) in roots {
            // The last three lead to blocks that list blocks, once, twice and three times.
            let mut stack =
                vec![Frame { children: vec![root].into_iter(), depth: index.saturating_sub(11) }];
            // Bounded: each child is claimed before it is read, and can be claimed once. Those of
            // the resize inode are not, but there is one, and it is two levels deep.
            while let Some(frame) = stack.last_mut() {
                let depth = frame.depth;
                let Some(child) = frame.children.next() else {
                    stack.pop();
                    continue;
                };
                if child.0 == 0 {
                    logical += per_block.pow(u32::from(depth));
                    continue;
                }
                if depth == 0 {
                    let run = Run { logical, block: child, len: 1, unwritten: false };
                    if !self.run(at_inode, map, run) {
                        return Ok(false);
                    }
                    logical += 1;
                    continue;
                }
                // Of the resize inode, only the outermost block is not metadata of groups.
                let held = if map.foreign && depth != 2 {
                    map.clusters += 1;
                    depth < 2 && self.in_range(at_inode, child, 1)
                } else {
                    self.claim(ino, map, child, 1, false)
                };
                if !held {
                    return Ok(false);
                }
                self.read("ext4 indirect block", child, &mut block)?;
                let children: Vec<_> = IndirectNode(&block).blocks().collect();
                stack.push(Frame { children: children.into_iter(), depth: depth - 1 });
            }
        }
        Ok(true)
    }
}

/// The most blocks that the pointers of an inode without extents reach.
pub(super) fn max_indirect(block_size: u32) -> u64 {
    let n = u64::from(block_size) / 4;
    12 + n + n * n + n * n * n
}
