//! The blocks of a file, through extents or through blocks that list blocks.

use image_formats::{
    bytes::ReadError,
    ext4::{
        Block, Descriptor, ExtentNode, FileType, GroupIndex, IndirectNode, Ino, Inode,
        MAX_EXTENT_DEPTH, Run, Slot, incompat, ro_compat,
    },
};

use super::{Judge, Place, bits::Bits, checks::*};

/// The blocks of a file.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// All of it, where it is one run; else its first run.
    first: Option<Run>,
    /// There are more runs.
    more: bool,
    /// All of it is in the inode.
    pub(super) is_flat: bool,
    /// The last block, counted from the start of the file.
    pub(super) last: Option<u64>,
    /// The last one that was written.
    pub(super) last_written: Option<u64>,
    /// Clusters, those of the map itself included.
    pub(super) clusters: u64,
    /// The block that was claimed last, and its place in the file: the next run may start in the
    /// same cluster.
    before: Option<(Block, u64)>,
    /// The next run starts here, or later.
    next: u64,
    kind: MapKind,
    /// What no bad block may be in, once one is in metadata.
    vital: Option<Bits>,
}

/// What the file is, as far as its blocks are concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MapKind {
    /// It has no holes, and all of it was written.
    Directory,
    /// A regular file.
    #[default]
    File,
    /// One block at most.
    Symlink,
    /// The blocks belong to the metadata of groups.
    Resize,
    /// Blocks that the disk cannot hold.
    Bad,
}

impl Map {
    /// The blocks, where they are a single run.
    pub(super) fn only_run(&self) -> Option<Run> {
        self.first.filter(|_| !self.more)
    }
}

/// A node of a tree of extents on the way to the leaf that is judged now.
struct Frame {
    children: std::iter::Peekable<std::vec::IntoIter<Slot>>,
    depth: u16,
    /// The first block of the file after what the node covers, as its parent tells.
    end: u64,
}

/// What a leaf may cover.
#[derive(Clone, Copy)]
struct Bounds {
    /// The first block; `None` where there is no parent that tells.
    first: Option<u64>,
    /// The last block; 0 where there is no parent that tells.
    last: u64,
    /// The last block within the size of the file.
    end_of_file: u64,
    verity: bool,
}

impl Judge<'_, '_> {
    /// Claims all blocks of a file. `None` where something about them is wrong: the first is told,
    /// and the rest is not looked at.
    pub(super) fn map(&mut self, ino: Ino, inode: &Inode<'_>) -> Result<Option<Map>, ReadError> {
        let kind = match (ino, inode.file_type()) {
            (Ino::RESIZE, _) => MapKind::Resize,
            (Ino::BAD_BLOCKS, _) => MapKind::Bad,
            (_, Some(FileType::Directory)) => MapKind::Directory,
            (_, Some(FileType::Symlink)) => MapKind::Symlink,
            _ => MapKind::File,
        };
        let mut map = Map { kind, ..Map::default() };
        let whole = if inode.has(Inode::EXTENTS) {
            self.extents(ino, inode, &mut map)?
        } else {
            self.indirect(ino, inode, &mut map)?
        };
        Ok(whole.then_some(map))
    }

    fn extents(&mut self, ino: Ino, inode: &Inode<'_>, map: &mut Map) -> Result<bool, ReadError> {
        let blocks = inode.size().div_ceil(u64::from(self.geometry.block_size));
        let mut bounds = Bounds {
            first: None,
            last: 0,
            end_of_file: blocks.wrapping_sub(1),
            verity: inode.has(Inode::VERITY),
        };
        let mut stack: Vec<Frame> = Vec::new();
        let root = Place::Inode(ino);
        if !self.extent_node(inode.block_area(), None, blocks, bounds, root, map, &mut stack) {
            return Ok(false);
        }
        map.is_flat = stack.is_empty();
        if map.is_flat {
            return Ok(true);
        }
        let seed = inode.checksum_seed(self.superblock, ino);
        let sums = self.superblock.ro_compat(ro_compat::METADATA_CSUM);
        let mut block = vec![0; self.geometry.block_size as usize];
        // Bounded: each child is claimed before it is read, and can be claimed once.
        while let Some(frame) = stack.last_mut() {
            let depth = frame.depth;
            let Some(slot) = frame.children.next() else {
                stack.pop();
                continue;
            };
            // Where the last child ends, its parent does not tell: the size of the file does for
            // the root. The length has 32 bits.
            let end = frame.children.peek().map_or(frame.end, |next| next.logical);
            let len = end.wrapping_sub(slot.logical) & 0xffff_ffff;
            bounds.first = Some(slot.logical);
            bounds.last = (slot.logical + len).wrapping_sub(1);
            let place = Place::Inode(ino);
            if !self.claim_at(place, map, slot.child, 1, None) {
                return Ok(false);
            }
            self.read("ext4 extent block", slot.child, &mut block)?;
            let at = Place::Block("extent block", ino, slot.child);
            if !self.extent_node(&block, Some(depth - 1), end, bounds, at, map, &mut stack) {
                return Ok(false);
            }
            if sums
                && let Some((stored, computed)) =
                    ExtentNode::new(&block).and_then(|node| node.checksum(seed))
            {
                self.expect(&EXTENT_CHECKSUM, stored == computed, |judge| {
                    (judge.at(at), format!("stored {stored:#010x}, computed {computed:#010x}"))
                });
            }
        }
        Ok(true)
    }

    /// Judges one node: a leaf gives its runs to the map, an inner node comes onto the stack.
    #[expect(clippy::too_many_arguments, reason = "two callers, beside each other")]
    fn extent_node(
        &mut self,
        bytes: &[u8],
        depth: Option<u16>,
        end: u64,
        bounds: Bounds,
        at: Place,
        map: &mut Map,
        stack: &mut Vec<Frame>,
    ) -> bool {
        let Some(node) = ExtentNode::new(bytes) else { return false };
        let header = &node.header;
        let (entries, max) = (header.eh_entries.get(), header.eh_max.get());
        let (found, room) = (header.eh_depth.get(), node.capacity());
        let expected = depth.unwrap_or(found.min(MAX_EXTENT_DEPTH));
        let held = header.eh_magic.get() == ExtentNode::MAGIC
            && entries <= max
            && (room.saturating_sub(2)..=room).contains(&usize::from(max))
            && found == expected
            // Only the root may lead nowhere.
            && (entries > 0 || depth.is_none());
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
        if found > 0 {
            let slots: Vec<_> = node.slots().collect();
            let start = slots.first().map(|slot| slot.logical);
            let starts = bounds.first.is_none_or(|first| start == Some(first));
            let ascend = slots.windows(2).all(|pair| pair[0].logical < pair[1].logical);
            if !self.in_order(starts && ascend, at, start.unwrap_or(0), bounds) {
                return false;
            }
            stack.push(Frame { children: slots.into_iter().peekable(), depth: found, end });
            return true;
        }
        let mut first = bounds.first;
        for run in node.runs() {
            let last = (run.logical + u64::from(run.len)).saturating_sub(1);
            let beyond = bounds.last != 0
                && last > bounds.last
                && !(last > bounds.end_of_file && (run.unwritten || bounds.verity));
            let in_order = run.len > 0
                && run.logical >= map.next
                && first.take().is_none_or(|first| first == run.logical)
                && !beyond;
            if !self.in_order(in_order, at, run.logical, bounds) || !self.run(at, map, run) {
                return false;
            }
        }
        true
    }

    fn in_order(&mut self, holds: bool, at: Place, found: u64, bounds: Bounds) -> bool {
        self.expect(&EXTENT_ORDER, holds, |judge| {
            let due = match bounds.first {
                Some(first) => format!("its parent tells {first} to {}", bounds.last),
                None => "it follows what is before it".to_owned(),
            };
            (judge.at(at), format!("block {found} of the file is not in its place: {due}"))
        })
    }

    /// Takes a run of blocks of the file.
    fn run(&mut self, at: Place, map: &mut Map, run: Run) -> bool {
        let len = u64::from(run.len);
        if map.kind == MapKind::Directory {
            let most = match self.superblock.incompat(incompat::LARGEDIR) {
                true => u64::MAX,
                false => (2 << 30) / u64::from(self.geometry.block_size),
            };
            let gap = run.logical != map.last.map_or(0, |last| last + 1);
            let held = !run.unwritten && !gap && run.logical + len <= most;
            if !self.expect(&DIRECTORY_BLOCKS, held, |judge| {
                let what = match (run.unwritten, gap) {
                    (true, _) => "which was never written".to_owned(),
                    (_, true) => "and there is a hole before it".to_owned(),
                    _ => format!("and {most} are the most"),
                };
                (judge.at(at), format!("block {} of a directory, {what}", run.logical))
            }) {
                return false;
            }
        }
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
        if map.kind == MapKind::Resize {
            map.clusters += len;
            return self.in_range(at, run.block, len);
        }
        self.claim_at(at, map, run.block, len, Some(run.logical))
    }

    fn in_range(&mut self, at: Place, block: Block, len: u64) -> bool {
        let (low, high) = (u64::from(self.geometry.first_data_block), self.geometry.blocks_count);
        let inside = block.0 >= low.max(1) && block.0.saturating_add(len) <= high;
        self.expect(&BLOCK_RANGE, inside, |judge| {
            (judge.at(at), format!("{len} blocks from {block} on, of {high} in the file system"))
        })
    }

    /// The metadata of groups that nobody can do without: the superblock, the descriptors, the
    /// bitmaps and the first inodes. A bad block in an inode table costs its inodes, and one in a copy
    /// nothing.
    fn vital_blocks(&self) -> Bits {
        let geometry = self.geometry;
        let mut vital = Bits::new(geometry.clusters_count());
        let first = geometry.layout(GroupIndex(0)).superblock;
        let descriptors = u64::from(geometry.descriptor_blocks());
        for block in first.into_iter().flat_map(|Block(at)| at..=at.saturating_add(descriptors)) {
            vital.set(geometry.cluster(Block(block)), 1);
        }
        let table = self.groups.first().map(Descriptor::inode_table);
        table.into_iter().for_each(|table| vital.set(geometry.cluster(table), 1));
        for descriptor in self.groups {
            for block in [descriptor.block_bitmap(), descriptor.inode_bitmap()] {
                vital.set(geometry.cluster(block), 1);
            }
        }
        vital
    }

    /// Claims blocks: `logical` is the place of the first in the file, where they are content.
    fn claim_at(
        &mut self,
        at: Place,
        map: &mut Map,
        block: Block,
        len: u64,
        logical: Option<u64>,
    ) -> bool {
        if !self.in_range(at, block, len) {
            return false;
        }
        let ratio = u64::from(self.geometry.cluster_blocks);
        let mut first = self.geometry.cluster(block);
        let last = self.geometry.cluster(Block(block.0 + len - 1));
        if let Some(logical) = logical
            && ratio > 1
        {
            // A cluster of the file is a cluster of the file system.
            let within = |number: u64| number % ratio;
            let crossed = map.before.is_some_and(|(before, place)| {
                within(logical) != 0
                    && logical / ratio == place / ratio
                    && block.0 / ratio != before.0 / ratio
            });
            if !self.expect(&CLUSTER_MAP, within(logical) == within(block.0) && !crossed, |judge| {
                (judge.at(at), format!("block {logical} of the file is {block}, within a cluster"))
            }) {
                return false;
            }
            // What continues in the cluster where the file was.
            if map.before.is_some_and(|(before, _)| self.geometry.cluster(before) == first) {
                first += 1;
            }
        }
        let count = (last + 1).saturating_sub(first);
        map.clusters += count;
        if let Some(logical) = logical {
            map.before = Some((Block(block.0 + len - 1), logical + len - 1));
        }
        // Only content is shared, and what leads to it is read for one owner.
        if self.superblock.ro_compat(ro_compat::SHARED_BLOCKS)
            && logical.is_some()
            && map.kind != MapKind::Directory
        {
            self.used.set(first, count);
            return true;
        }
        let mut claimed = self.used.claim(first, count);
        if map.kind == MapKind::Bad && logical.is_some() && claimed.is_err() {
            // What is in the rest of a cluster is not asked for.
            let vital = map.vital.get_or_insert_with(|| self.vital_blocks());
            claimed = if vital.has(first) { claimed } else { Ok(()) };
        }
        let start = self.geometry.first_data_block;
        self.expect(&BLOCK_CLAIM, claimed.is_ok(), |judge| {
            let cluster = claimed.err().unwrap_or_default();
            let taken = Block(cluster * ratio + u64::from(start));
            (judge.at(at), format!("{taken} has another owner"))
        })
    }

    fn indirect(&mut self, ino: Ino, inode: &Inode<'_>, map: &mut Map) -> Result<bool, ReadError> {
        let at_inode = Place::Inode(ino);
        let per_block = u64::from(self.geometry.block_size) / 4;
        let mut block = Vec::new();
        let roots = IndirectNode(inode.block_area()).blocks().zip(0_u32..);
        map.is_flat = true;
        let mut logical = 0_u64;
        for (root, index) in roots {
            // The last three lead to blocks that list blocks, once, twice and three times.
            let mut stack = vec![(vec![root].into_iter(), index.saturating_sub(11))];
            // Bounded: each child is claimed before it is read, and can be claimed once. Those of
            // the resize inode are not, but there is one, and it is two levels deep.
            while let Some((children, depth)) = stack.last_mut() {
                let depth = *depth;
                let Some(child) = children.next() else {
                    stack.pop();
                    continue;
                };
                if child.0 == 0 {
                    logical = logical.saturating_add(per_block.pow(depth));
                    continue;
                }
                if depth == 0 {
                    let run = Run { logical, block: child, len: 1, unwritten: false };
                    let held = map.kind != MapKind::Symlink || logical == 0;
                    if !self.expect(&FILE_SIZE, held, |judge| {
                        (judge.at(at_inode), format!("block {logical} of a symlink"))
                    }) || !self.run(at_inode, map, run)
                    {
                        return Ok(false);
                    }
                    logical = logical.saturating_add(1);
                    continue;
                }
                map.is_flat = false;
                // Of the resize inode, only the outermost block is not metadata of groups.
                // More than there are: blocks that are listed again and again.
                let count = map.clusters;
                if !self.expect(&FILE_SIZE, count <= self.geometry.blocks_count, |judge| {
                    (judge.at(at_inode), format!("more than {count} blocks"))
                }) {
                    return Ok(false);
                }
                let held = if map.kind == MapKind::Resize && depth != 2 {
                    map.clusters += 1;
                    depth < 2 && self.in_range(at_inode, child, 1)
                } else {
                    self.claim_at(at_inode, map, child, 1, None)
                };
                if !held {
                    return Ok(false);
                }
                block.resize(self.geometry.block_size as usize, 0);
                self.read("ext4 indirect block", child, &mut block)?;
                let children: Vec<_> = IndirectNode(&block).blocks().collect();
                stack.push((children.into_iter(), depth - 1));
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
