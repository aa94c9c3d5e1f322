//! Reads the structures of a file system that were judged before, without a word about them.

use image_formats::{
    bytes::{ReadError, Region},
    ext4::{
        Block, Descriptor, ExtentNode, Geometry, IndirectNode, Ino, Inode, MAX_EXTENT_DEPTH, Run,
    },
};

/// A file system whose group descriptors lead to where its inodes are.
#[derive(Clone, Copy)]
pub(super) struct Fs<'a> {
    pub(super) region: &'a Region,
    pub(super) geometry: &'a Geometry,
    pub(super) groups: &'a [Descriptor],
}

impl Fs<'_> {
    /// Where an inode is, from the start of the file system.
    pub(super) fn inode_offset(&self, ino: Ino) -> u64 {
        let (group, index) = self.geometry.place(ino);
        let table = self.groups.get(group.0 as usize).map_or(Block(0), Descriptor::inode_table);
        let within = u64::from(index) * u64::from(self.geometry.inode_size);
        self.geometry.offset(table).saturating_add(within)
    }

    /// The bytes of an inode.
    pub(super) fn inode(&self, ino: Ino) -> Result<Box<[u8]>, ReadError> {
        let mut bytes = vec![0; usize::from(self.geometry.inode_size)];
        self.region.fill("ext4 inode", self.inode_offset(ino), &mut bytes)?;
        Ok(bytes.into())
    }

    /// Fills `buf` with blocks, which are inside the file system.
    pub(super) fn read(
        &self,
        what: &'static str,
        block: Block,
        buf: &mut [u8],
    ) -> Result<(), ReadError> {
        self.region.fill(what, self.geometry.offset(block), buf)
    }

    /// The blocks of a file whose map was found sound: so every node of it has one parent, and is
    /// read once. What does not follow from the map comes out as nothing.
    pub(super) fn runs(&self, inode: &Inode<'_>) -> Result<Vec<Run>, ReadError> {
        self.first_runs(inode, usize::MAX)
    }

    /// The first of them, somewhat more than `most` at most.
    pub(super) fn first_runs(&self, inode: &Inode<'_>, most: usize) -> Result<Vec<Run>, ReadError> {
        let mut runs = Vec::new();
        if inode.has(Inode::INLINE_DATA) {
        } else if inode.has(Inode::EXTENTS) {
            self.extents(inode.block_area(), most, &mut runs)?;
        } else {
            self.pointers(inode.block_area(), most, &mut runs)?;
        }
        Ok(runs)
    }

    fn extents(&self, root: &[u8], most: usize, runs: &mut Vec<Run>) -> Result<(), ReadError> {
        let mut block = vec![0; self.geometry.block_size as usize];
        // Children that wait, the last first, with their depth.
        let mut waiting: Vec<(Block, u16)> = Vec::new();
        let add = |bytes: &[u8],
                   depth: Option<u16>,
                   waiting: &mut Vec<(Block, u16)>,
                   runs: &mut Vec<Run>| {
            let Some(node) = ExtentNode::new(bytes) else { return };
            let found = node.header.eh_depth.get();
            match depth.unwrap_or(found.min(MAX_EXTENT_DEPTH)) {
                0 => node.runs().for_each(|run| push(runs, run)),
                depth => {
                    let first = waiting.len();
                    waiting.extend(node.slots().map(|slot| (slot.child, depth - 1)));
                    waiting[first..].reverse();
                }
            }
        };
        add(root, None, &mut waiting, runs);
        // Bounded: the depth falls with each step down, and who judged saw each node once.
        while let Some((child, depth)) = waiting.pop().filter(|_| runs.len() <= most) {
            self.read("ext4 extent block", child, &mut block)?;
            add(&block, Some(depth), &mut waiting, runs);
        }
        Ok(())
    }

    fn pointers(&self, root: &[u8], most: usize, runs: &mut Vec<Run>) -> Result<(), ReadError> {
        let per_block = u64::from(self.geometry.block_size) / 4;
        let mut block = vec![0; self.geometry.block_size as usize];
        let mut logical = 0_u64;
        for (root, index) in IndirectNode(root).blocks().zip(0_u32..) {
            // The last three lead to blocks that list blocks, once, twice and three times.
            let mut waiting = vec![(root, index.saturating_sub(11))];
            // Bounded: see above.
            while let Some((child, depth)) = waiting.pop().filter(|_| runs.len() <= most) {
                if child.0 == 0 {
                    logical = logical.saturating_add(per_block.pow(depth));
                } else if depth == 0 {
                    push(runs, Run { logical, block: child, len: 1, unwritten: false });
                    logical = logical.saturating_add(1);
                } else {
                    self.read("ext4 indirect block", child, &mut block)?;
                    let first = waiting.len();
                    let children = IndirectNode(&block).blocks();
                    waiting.extend(children.map(|child| (child, depth - 1)));
                    waiting[first..].reverse();
                }
            }
        }
        Ok(())
    }
}

/// Adds a run, to the one before it where it continues that.
pub(super) fn push(runs: &mut Vec<Run>, run: Run) {
    if let Some(last) = runs.last_mut()
        && last.logical + u64::from(last.len) == run.logical
        && last.block.0 + u64::from(last.len) == run.block.0
        && last.unwritten == run.unwritten
        && let Some(len) = last.len.checked_add(run.len)
    {
        last.len = len;
        return;
    }
    runs.push(run);
}

/// Each block of a file, with its number from the start of the file.
pub(super) fn blocks(runs: &[Run]) -> impl Iterator<Item = (u64, Block)> + '_ {
    runs.iter().flat_map(|run| {
        (0..u64::from(run.len)).map(|within| (run.logical + within, Block(run.block.0 + within)))
    })
}

/// The block of a file with this number.
pub(super) fn find(runs: &[Run], logical: u64) -> Option<Block> {
    let index = runs.partition_point(|run| run.logical <= logical).checked_sub(1)?;
    let run = runs.get(index)?;
    let within = logical - run.logical;
    (within < u64::from(run.len)).then(|| Block(run.block.0 + within))
}
