//! ext2, ext3 and ext4: what the superblock says, and where everything is.

mod fields;

use image_formats::{
    bytes::{ReadError, Region},
    ext4::{
        Block, Descriptor, ExtentNode, Geometry, GroupIndex, IndirectNode, Ino, Inode,
        MAX_EXTENT_DEPTH, Run, Superblock, incompat, raw, ro_compat,
    },
};

use super::{
    fields as structures,
    kinds::*,
    map::{Builder, Map, What},
    out::{Out, Told, VolumeNumber},
    present,
};
use crate::{
    tree::{Kind, NodeId, Tree},
    volume::Volume,
};
use fields::{COPY, GROUP, INODE, JOURNAL, SUPERBLOCK};

/// Compares the superblocks of two file systems.
pub(super) fn compare(
    a: &Region,
    b: &Region,
    volume: VolumeNumber,
    name: &str,
    out: &mut Out,
) -> Result<(), ReadError> {
    let read = |region: &Region| {
        let bytes =
            region.array::<{ raw::Superblock::SIZE }>("ext4 superblock", Superblock::OFFSET);
        present(bytes)
    };
    let (Some(bytes_a), Some(bytes_b)) = (read(a)?, read(b)?) else { return Ok(()) };
    let place = format!("{name}, ext4 superblock");
    let told = Told { volume, place: &place };
    let at = |region: &Region| region.absolute(Superblock::OFFSET).0;
    structures::compare(out, &told, SUPERBLOCK, (&bytes_a, at(a)), (&bytes_b, at(b)));
    Ok(())
}

/// The structures of a file system, and the places of its files.
pub(super) fn map(
    region: &Region,
    opened: Option<&Volume>,
    volume: VolumeNumber,
    name: &str,
    map: &mut Map,
) -> Result<(), ReadError> {
    let Some(superblock) = present(Superblock::read(region))? else { return Ok(()) };
    let mut free = map.layer(volume);
    let place = free.name(format!("{name}, blocks of no file"));
    let geometry = Geometry::new(&superblock).filter(|_| opened.is_some());
    let known = if geometry.is_some() { &EXT4_FREE_BLOCK } else { &BYTES };
    free.add(region.start().0, region.len(), What::Kind(known), place);
    free.finish();
    let mut layer = map.layer(volume);
    let place = layer.name(format!("{name}, ext4 superblock"));
    layer.fields(region.absolute(Superblock::OFFSET).0, SUPERBLOCK_LEN, &COPY, place);
    // What is not sound is not followed.
    if let (Some(geometry), Some(opened)) = (geometry, opened) {
        let groups = groups(region, &geometry)?;
        let mut walk = Walk { region, geometry, groups, superblock, layer };
        walk.groups(name);
        walk.files(&opened.tree, name)?;
        layer = walk.layer;
    }
    layer.finish();
    Ok(())
}

const SUPERBLOCK_LEN: u32 = raw::Superblock::SIZE as u32;

fn groups(region: &Region, geometry: &Geometry) -> Result<Vec<Descriptor>, ReadError> {
    let mut groups = Vec::new();
    let mut bytes = vec![0; usize::from(geometry.desc_size)];
    // Bounded: who judged the file system counted them against its length.
    for group in 0..geometry.group_count {
        region.fill("ext4 group descriptor", geometry.descriptor(GroupIndex(group)), &mut bytes)?;
        groups.push(Descriptor::new(&bytes));
    }
    Ok(groups)
}

/// Walks over a file system that was found sound.
struct Walk<'a, 'm> {
    region: &'a Region,
    geometry: Geometry,
    groups: Vec<Descriptor>,
    superblock: Superblock,
    layer: Builder<'m>,
}

/// Where the blocks of a file are: those with its content, and those that lead to them.
#[derive(Default)]
struct Blocks {
    runs: Vec<Run>,
    nodes: Vec<Block>,
}

impl Walk<'_, '_> {
    fn at(&self, block: Block) -> u64 {
        self.region.absolute(self.geometry.offset(block)).0
    }

    fn blocks(&mut self, first: Block, count: u64, what: What, place: u32) {
        let len = count.saturating_mul(u64::from(self.geometry.block_size));
        self.layer.add(self.at(first), len, what, place);
    }

    /// The metadata of all groups.
    fn groups(&mut self, name: &str) {
        let geometry = self.geometry;
        let superblocks = self.layer.name(format!("{name}, copies of the ext4 superblock"));
        let descriptors = self.layer.name(format!("{name}, ext4 group descriptors"));
        let reserved = self.layer.name(format!("{name}, blocks that ext4 keeps"));
        let bitmaps = self.layer.name(format!("{name}, ext4 bitmaps"));
        let inodes = self.layer.name(format!("{name}, ext4 inodes"));
        let groups = std::mem::take(&mut self.groups);
        for (index, descriptor) in (0..).zip(&groups) {
            let layout = geometry.layout(GroupIndex(index));
            if let Some(block) = layout.superblock.filter(|_| index > 0) {
                self.layer.fields(self.at(block), SUPERBLOCK_LEN, &COPY, superblocks);
            }
            if let Some((first, kept)) = layout.descriptors {
                let used = if kept == 1 { 1 } else { geometry.descriptor_blocks().min(kept) };
                let stride = u32::from(geometry.desc_size);
                let what = What::Fields { table: &GROUP, stride, node: None };
                self.blocks(first, used.into(), what, descriptors);
                let rest = Block(first.0.saturating_add(used.into()));
                self.blocks(rest, (kept - used).into(), What::Kind(&EXT4_RESERVED), reserved);
            }
            for bitmap in [descriptor.block_bitmap(), descriptor.inode_bitmap()] {
                self.blocks(bitmap, 1, What::Kind(&EXT4_BITMAP), bitmaps);
            }
            let stride = u32::from(geometry.inode_size);
            let what = What::Fields { table: &INODE, stride, node: None };
            let count = geometry.inode_table_blocks();
            self.blocks(descriptor.inode_table(), count.into(), what, inodes);
        }
        self.groups = groups;
    }

    /// The blocks of all files, and of those that have no name.
    fn files(&mut self, tree: &Tree, name: &str) -> Result<(), ReadError> {
        let of = |what: &str| format!("{name}, {what}");
        let nodes = self.layer.name(of("ext4 extent blocks"));
        let directories = self.layer.name(of("ext4 directories"));
        let targets = self.layer.name(of("targets of symlinks"));
        let attributes = self.layer.name(of("ext4 extended attributes"));
        let contents = self.layer.name(of("contents of files"));
        let slack = self.layer.name(of("ends of files"));
        let kept = self.layer.name(of("blocks that ext4 keeps"));
        let journal = self.layer.name(of("ext4 journal"));
        for id in std::iter::once(Tree::ROOT).chain(tree.below(Tree::ROOT)) {
            let node = tree.node(id);
            let Some(at) = node.offset.and_then(|at| at.checked_sub(self.region.start().0)) else {
                continue;
            };
            let bytes = self.inode(at)?;
            let inode = Inode::new(&bytes);
            let low = u64::from(inode.raw.i_file_acl_lo.get());
            let acl = u64::from(inode.raw.l_i_file_acl_high.get()) << 32 | low;
            if acl != 0 {
                self.blocks(Block(acl), 1, What::Kind(&EXT4_XATTR), attributes);
            }
            let Blocks { runs, nodes: blocks } = match &node.kind {
                Kind::Symlink(_) if node.size < 60 => continue,
                Kind::Special => continue,
                _ => self.runs(&inode)?,
            };
            for block in blocks {
                self.blocks(block, 1, What::Kind(&EXT4_BLOCK_MAP), nodes);
            }
            match &node.kind {
                Kind::Directory(_) => self.all(&runs, &EXT4_DIRECTORY, directories),
                Kind::Symlink(_) => self.all(&runs, &FILE_TARGET, targets),
                _ => self.content(id, node.size, &runs, (contents, slack)),
            }
        }
        let raw = self.superblock.raw;
        let mut nameless: Vec<u32> = (1..self.superblock.first_ino().0.min(64)).collect();
        if self.superblock.compat(image_formats::ext4::compat::ORPHAN_FILE) {
            nameless.push(raw.s_orphan_file_inum.get());
        }
        if self.superblock.ro_compat(ro_compat::PROJECT) {
            nameless.push(raw.s_prj_quota_inum.get());
        }
        if self.superblock.incompat(incompat::MMP) {
            self.blocks(Block(raw.s_mmp_block.get()), 1, What::Kind(&EXT4_RESERVED), kept);
        }
        for ino in nameless.into_iter().filter(|ino| *ino != 0 && *ino != Ino::ROOT.0) {
            if ino > self.geometry.inodes_count {
                continue;
            }
            let (group, index) = self.geometry.place(Ino(ino));
            let Some(group) = self.groups.get(group.0 as usize) else { continue };
            let within = u64::from(index) * u64::from(self.geometry.inode_size);
            let at = self.geometry.offset(group.inode_table()).saturating_add(within);
            let bytes = self.inode(at)?;
            let inode = Inode::new(&bytes);
            if inode.raw.i_mode.get() == 0 && inode.raw.i_links_count.get() == 0 {
                continue;
            }
            // The blocks of the inode that is for growing are those that are kept anyway.
            let found = self.runs(&inode)?;
            let is_journal = ino == raw.s_journal_inum.get();
            let (kind, place) =
                if is_journal { (&EXT4_JOURNAL, journal) } else { (&EXT4_RESERVED, kept) };
            let mut runs = found.runs;
            if let Some(first) = runs.first_mut().filter(|_| is_journal) {
                self.layer.fields(self.at(first.block), SUPERBLOCK_LEN, &JOURNAL, place);
                let block_size = u64::from(self.geometry.block_size);
                let rest = self.at(first.block).saturating_add(SUPERBLOCK_LEN.into());
                let len = block_size.saturating_sub(SUPERBLOCK_LEN.into());
                self.layer.add(rest, len, What::Kind(kind), place);
                first.block.0 = first.block.0.saturating_add(1);
                first.len = first.len.saturating_sub(1);
            }
            self.all(&runs, kind, place);
            for block in found.nodes {
                self.blocks(block, 1, What::Kind(kind), place);
            }
        }
        Ok(())
    }

    fn inode(&self, at: u64) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; usize::from(self.geometry.inode_size)];
        self.region.fill("ext4 inode", at, &mut bytes)?;
        Ok(bytes)
    }

    fn all(&mut self, runs: &[Run], kind: &'static super::kinds::Kind, place: u32) {
        for run in runs {
            self.blocks(run.block, run.len.into(), What::Kind(kind), place);
        }
    }

    /// The content of a file, and what follows it in its last block.
    fn content(&mut self, node: NodeId, size: u64, runs: &[Run], (content, slack): (u32, u32)) {
        let block_size = u64::from(self.geometry.block_size);
        for run in runs {
            let from = run.logical.saturating_mul(block_size);
            let len = u64::from(run.len) * block_size;
            let used = if run.unwritten { 0 } else { size.saturating_sub(from).min(len) };
            let at = self.at(run.block);
            self.layer.add(at, used, What::Content { node, from }, content);
            self.layer.add(at.saturating_add(used), len - used, What::Kind(&FILE_SLACK), slack);
        }
    }

    /// Where the blocks of an inode are. What does not follow from its map comes out as nothing.
    fn runs(&self, inode: &Inode<'_>) -> Result<Blocks, ReadError> {
        let mut found = Blocks::default();
        if inode.has(Inode::INLINE_DATA) {
            return Ok(found);
        }
        if !inode.has(Inode::EXTENTS) {
            self.pointers(inode.block_area(), &mut found)?;
            return Ok(found);
        }
        let mut block = vec![0; self.geometry.block_size as usize];
        let mut waiting: Vec<(Option<Block>, u16)> = vec![(None, MAX_EXTENT_DEPTH)];
        // Bounded: the depth falls with each step down, and who judged saw each node once.
        while let Some((child, most)) = waiting.pop() {
            let bytes: &[u8] = match child {
                None => inode.block_area(),
                Some(child) => {
                    self.region.fill(
                        "ext4 extent block",
                        self.geometry.offset(child),
                        &mut block,
                    )?;
                    found.nodes.push(child);
                    &block
                }
            };
            let Some(node) = ExtentNode::new(bytes) else { continue };
            match node.header.eh_depth.get().min(most) {
                0 => found.runs.extend(node.runs()),
                depth => {
                    waiting.extend(node.slots().map(|slot| (Some(slot.child), depth - 1)));
                }
            }
        }
        Ok(found)
    }

    fn pointers(&self, root: &[u8], found: &mut Blocks) -> Result<(), ReadError> {
        let per_block = u64::from(self.geometry.block_size) / 4;
        let mut block = vec![0; self.geometry.block_size as usize];
        let mut logical = 0_u64;
        for (root, index) in IndirectNode(root).blocks().zip(0_u32..) {
            // The last three lead to blocks that list blocks, once, twice and three times.
            let mut waiting = vec![(root, index.saturating_sub(11))];
            // Bounded: as above.
            while let Some((child, depth)) = waiting.pop() {
                if child.0 == 0 {
                    logical = logical.saturating_add(per_block.saturating_pow(depth));
                } else if depth == 0 {
                    let run = Run { logical, block: child, len: 1, unwritten: false };
                    found.push(run);
                    logical = logical.saturating_add(1);
                } else {
                    self.region.fill("ext4 blocks", self.geometry.offset(child), &mut block)?;
                    found.nodes.push(child);
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

impl Blocks {
    /// Adds a block, to the run before it where it continues that.
    fn push(&mut self, run: Run) {
        if let Some(last) = self.runs.last_mut()
            && last.logical + u64::from(last.len) == run.logical
            && last.block.0 + u64::from(last.len) == run.block.0
            && let Some(len) = last.len.checked_add(run.len)
        {
            last.len = len;
            return;
        }
        self.runs.push(run);
    }
}
