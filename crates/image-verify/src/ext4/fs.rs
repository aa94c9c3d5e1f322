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
        self.each_run(inode).collect()
    }

    /// The first of them: one more than `most` where there are more.
    pub(super) fn first_runs(&self, inode: &Inode<'_>, most: usize) -> Result<Vec<Run>, ReadError> {
        self.each_run(inode).take(most.saturating_add(1)).collect()
    }
}

impl<'a> Fs<'a> {
    /// The same, one after the other: a file may have more of them than fit into memory.
    pub(super) fn each_run(&self, inode: &Inode<'_>) -> Runs<'a> {
        let mut runs = Runs {
            fs: *self,
            extents: inode.has(Inode::EXTENTS),
            logical: 0,
            waiting: Vec::new(),
            found: Vec::new(),
            ahead: None,
            block: Vec::new(),
        };
        let root = inode.block_area();
        if inode.has(Inode::INLINE_DATA) {
        } else if runs.extents {
            runs.extent_node(root, None);
        } else {
            // The last three lead to blocks that list blocks, once, twice and three times.
            let roots = IndirectNode(root).blocks().zip(0_u32..);
            runs.waiting.extend(roots.map(|(root, index)| (root, index.saturating_sub(11))));
            runs.waiting.reverse();
        }
        runs
    }
}

/// See [`Fs::each_run`].
pub(super) struct Runs<'a> {
    fs: Fs<'a>,
    /// It is a tree of extents, and no list of blocks.
    extents: bool,
    /// Of a list of blocks, the block of the file that comes next.
    logical: u64,
    /// Nodes that wait, the first one at the end, each with the levels below it: those of one node
    /// of each level.
    waiting: Vec<(Block, u32)>,
    /// Runs of the last leaf, the first one at the end.
    found: Vec<Run>,
    /// What came behind the run that was given last.
    ahead: Option<Result<Run, ReadError>>,
    /// The node that was read last.
    block: Vec<u8>,
}

impl Runs<'_> {
    fn extent_node(&mut self, bytes: &[u8], depth: Option<u32>) {
        let Some(node) = ExtentNode::new(bytes) else { return };
        let found = node.header.eh_depth.get().min(MAX_EXTENT_DEPTH);
        match depth.unwrap_or(found.into()) {
            0 => {
                self.found.extend(node.runs());
                self.found.reverse();
            }
            depth => {
                let first = self.waiting.len();
                self.waiting.extend(node.slots().map(|slot| (slot.child, depth - 1)));
                self.waiting[first..].reverse();
            }
        }
    }

    /// Follows what waits, until there is a run.
    fn step(&mut self) -> Result<Option<Run>, ReadError> {
        let block_size = self.fs.geometry.block_size;
        // Bounded: the depth falls with each step down, and who judged saw each node once.
        loop {
            if let Some(run) = self.found.pop() {
                return Ok(Some(run));
            }
            let Some((child, depth)) = self.waiting.pop() else { return Ok(None) };
            if !self.extents && (child.0 == 0 || depth == 0) {
                let logical = self.logical;
                let len = u64::from(block_size / 4).pow(depth);
                self.logical = logical.saturating_add(len);
                if child.0 != 0 {
                    return Ok(Some(Run { logical, block: child, len: 1, unwritten: false }));
                }
                continue;
            }
            let mut block = std::mem::take(&mut self.block);
            block.resize(block_size as usize, 0);
            let what = if self.extents { "ext4 extent block" } else { "ext4 indirect block" };
            self.fs.read(what, child, &mut block)?;
            if self.extents {
                self.extent_node(&block, Some(depth));
            } else {
                let first = self.waiting.len();
                let children = IndirectNode(&block).blocks();
                self.waiting.extend(children.map(|child| (child, depth - 1)));
                self.waiting[first..].reverse();
            }
            self.block = block;
        }
    }
}

impl Iterator for Runs<'_> {
    type Item = Result<Run, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut run = match self.ahead.take().or_else(|| self.step().transpose())? {
            Ok(run) => run,
            Err(error) => {
                // Nobody knows what would follow.
                self.waiting.clear();
                return Some(Err(error));
            }
        };
        loop {
            match self.step().transpose() {
                Some(Ok(next)) if continues(&mut run, next) => {}
                ahead => {
                    self.ahead = ahead;
                    return Some(Ok(run));
                }
            }
        }
    }
}

/// Makes a run longer by the next one, where that continues it.
fn continues(run: &mut Run, next: Run) -> bool {
    let len = u64::from(run.len);
    let joined = run.len.checked_add(next.len).filter(|_| {
        run.logical + len == next.logical
            && run.block.0 + len == next.block.0
            && run.unwritten == next.unwritten
    });
    run.len = joined.unwrap_or(run.len);
    joined.is_some()
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
