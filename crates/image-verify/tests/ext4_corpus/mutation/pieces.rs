//! Where the metadata of a sound file system is, and which checksum covers it.

use std::{collections::BTreeSet, ops::Range};

use image_formats::ext4::{
    Block, Descriptor, DirectoryBlock, DxEntries, ExtentNode, Geometry, GroupIndex, IndirectNode,
    Ino, Inode, Mmp, OrphanBlock, Superblock, checksum, compat, incompat, ro_compat,
};

use super::super::image::Image;

/// A kind of structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Superblock,
    Descriptor,
    Copy,
    BlockBitmap,
    InodeBitmap,
    Inode,
    UnusedInode,
    ExtentNode,
    IndirectNode,
    Directory,
    DirectoryIndex,
    Symlink,
    XattrBlock,
    XattrInode,
    Journal,
    Quota,
    OrphanFile,
    Mmp,
}

impl Kind {
    /// How often it is edited, beside the others.
    pub(crate) fn weight(self) -> usize {
        match self {
            Self::Superblock => 12,
            Self::Inode => 30,
            Self::Directory => 12,
            Self::Descriptor | Self::ExtentNode | Self::IndirectNode | Self::DirectoryIndex => 7,
            Self::XattrBlock => 6,
            Self::BlockBitmap | Self::InodeBitmap | Self::Journal | Self::Quota => 4,
            Self::OrphanFile | Self::Mmp | Self::UnusedInode | Self::XattrInode => 3,
            Self::Copy | Self::Symlink => 1,
        }
    }
}

/// The checksum that covers a piece.
#[derive(Clone, Copy)]
enum Sum {
    None,
    Superblock,
    Descriptor(GroupIndex),
    Bitmap(GroupIndex, bool),
    Inode(Ino),
    /// The seed is that of the inode.
    ExtentNode(u32),
    Leaf(u32),
    Index(u32),
    Xattr(Block),
    Orphan(u32, Block),
    Mmp,
}

/// A structure in the image.
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
    /// How many of its first bytes stand for something.
    pub(crate) dense: usize,
    /// What it belongs to.
    pub(crate) of: String,
    sum: Sum,
}

/// All pieces of a file system.
pub(crate) fn find(image: &Image) -> Vec<Piece> {
    let superblock = image.superblock();
    let geometry = image.geometry();
    let mut finder =
        Finder { image, superblock, geometry, pieces: Vec::new(), xattrs: BTreeSet::new() };
    finder.all();
    finder.pieces
}

struct Finder<'a> {
    image: &'a Image,
    superblock: Superblock,
    geometry: Geometry,
    pieces: Vec<Piece>,
    /// Blocks of attributes that were seen: several inodes may share one.
    xattrs: BTreeSet<Block>,
}

/// Where a descriptor is.
fn descriptor(geometry: &Geometry, GroupIndex(group): GroupIndex) -> Range<usize> {
    let size = usize::from(geometry.desc_size);
    let in_block = geometry.block_size as usize / size;
    let block = geometry.descriptor_block((group as usize / in_block) as u32);
    let at = geometry.offset(block) as usize + group as usize % in_block * size;
    at..at + size
}

impl Finder<'_> {
    fn push(&mut self, kind: Kind, range: Range<usize>, of: String, sum: Sum) {
        let bits = match kind {
            Kind::BlockBitmap => self.geometry.clusters_per_group(),
            Kind::InodeBitmap => self.geometry.inodes_per_group,
            _ => u32::MAX,
        };
        let dense = range.len().min((bits as usize / 8).max(4));
        // What is in an inode of another kind need not be a place.
        if range.end > self.image.bytes.len() {
            return;
        }
        self.pieces.push(Piece { kind, range, dense, of, sum });
    }

    fn block(&self, block: Block) -> Range<usize> {
        let at = self.geometry.offset(block) as usize;
        at..at + self.geometry.block_size as usize
    }

    fn bytes(&self, block: Block) -> &[u8] {
        &self.image.bytes[self.block(block)]
    }

    fn all(&mut self) {
        self.push(Kind::Superblock, 1024..2048, "superblock".into(), Sum::Superblock);
        let per_group = self.geometry.inodes_per_group;
        let count = self.superblock.raw.s_inodes_count.get();
        for group in (0..count / per_group).map(GroupIndex) {
            self.group(group);
        }
        if self.superblock.incompat(incompat::MMP) {
            let block = Block(self.superblock.raw.s_mmp_block.get());
            let at = self.block(block).start;
            self.push(Kind::Mmp, at..at + 1024, "mmp".into(), Sum::Mmp);
        }
    }

    fn group(&mut self, group: GroupIndex) {
        let of = format!("group {}", group.0);
        let range = descriptor(&self.geometry, group);
        let read = Descriptor::new(&self.image.bytes[range.clone()]);
        self.push(Kind::Descriptor, range, of.clone(), Sum::Descriptor(group));
        for (bitmap, blocks, uninit) in [
            (read.block_bitmap(), true, Descriptor::BLOCK_UNINIT),
            (read.inode_bitmap(), false, Descriptor::INODE_UNINIT),
        ] {
            if !read.has(uninit) {
                let kind = if blocks { Kind::BlockBitmap } else { Kind::InodeBitmap };
                self.push(kind, self.block(bitmap), of.clone(), Sum::Bitmap(group, blocks));
            }
        }
        let layout = self.geometry.layout(group);
        if let Some(copy) = layout.superblock.filter(|_| group.0 != 0) {
            self.push(Kind::Copy, self.block(copy), of.clone(), Sum::None);
        }
        if read.has(Descriptor::INODE_UNINIT) {
            return;
        }
        let bits = self.bytes(read.inode_bitmap()).to_vec();
        let mut unused = 0;
        for index in 0..self.geometry.inodes_per_group {
            let ino = self.geometry.ino(group, index);
            let used = bits[index as usize / 8] >> (index % 8) & 1 != 0;
            if used && !self.inode(ino).is_blank() {
                self.used_inode(ino);
            } else if unused < 2 {
                unused += 1;
                let range = self.inode_range(ino);
                self.push(Kind::UnusedInode, range, format!("inode {}", ino.0), Sum::Inode(ino));
            }
        }
    }

    fn inode_range(&self, ino: Ino) -> Range<usize> {
        let (group, index) = self.geometry.place(ino);
        let table = Descriptor::new(&self.image.bytes[descriptor(&self.geometry, group)]);
        let size = usize::from(self.geometry.inode_size);
        let at = self.geometry.offset(table.inode_table()) as usize + index as usize * size;
        at..at + size
    }

    fn inode(&self, ino: Ino) -> Inode<'_> {
        Inode::new(&self.image.bytes[self.inode_range(ino)])
    }

    fn used_inode(&mut self, ino: Ino) {
        let range = self.inode_range(ino);
        let owned = self.image.bytes[range.clone()].to_vec();
        let inode = Inode::new(&owned);
        let kind = inode.file_type().map_or("of no type", |kind| kind.as_str());
        let of = format!("inode {} ({kind})", ino.0);
        self.push(Kind::Inode, range, of.clone(), Sum::Inode(ino));
        let seed = inode.checksum_seed(&self.superblock, ino);
        let acl = inode.file_acl(&self.superblock);
        if acl.0 != 0 && self.xattrs.insert(acl) {
            self.push(Kind::XattrBlock, self.block(acl), of.clone(), Sum::Xattr(acl));
        }
        let mut content = Vec::new();
        if inode.has(Inode::INLINE_DATA) || inode.raw.i_blocks_lo.get() == 0 {
            return;
        }
        if inode.has(Inode::EXTENTS) {
            let node = ExtentNode::new(inode.block_area()).unwrap();
            self.extents(&node, seed, &of, &mut content);
        } else {
            for (at, block) in IndirectNode(inode.block_area()).blocks().enumerate() {
                if block.0 != 0 {
                    self.indirect(block, at.saturating_sub(11) as u32, &of, &mut content);
                }
            }
        }
        let raw = &self.superblock.raw;
        let quota = [&raw.s_usr_quota_inum, &raw.s_grp_quota_inum, &raw.s_prj_quota_inum];
        let quota = self.superblock.ro_compat(ro_compat::QUOTA)
            && quota.iter().any(|number| number.get() == ino.0);
        let orphans = self.superblock.compat(compat::ORPHAN_FILE)
            && self.superblock.raw.s_orphan_file_inum.get() == ino.0;
        for (number, block) in content.into_iter().enumerate() {
            let (kind, sum) = if inode.file_type() == Some(image_formats::ext4::FileType::Directory)
            {
                self.directory_block(&inode, number, block, seed)
            } else if inode.file_type() == Some(image_formats::ext4::FileType::Symlink) {
                (Kind::Symlink, Sum::None)
            } else if ino == Ino::JOURNAL && number == 0 {
                (Kind::Journal, Sum::None)
            } else if quota {
                (Kind::Quota, Sum::None)
            } else if orphans {
                (Kind::OrphanFile, Sum::Orphan(seed, block))
            } else if inode.has(Inode::EA_INODE) {
                (Kind::XattrInode, Sum::None)
            } else {
                continue;
            };
            let range = self.block(block);
            // Of the journal only its superblock.
            let end = if kind == Kind::Journal { range.start + 1024 } else { range.end };
            self.push(kind, range.start..end, format!("block {number} of {of}"), sum);
        }
    }

    fn extents(&mut self, node: &ExtentNode<'_>, seed: u32, of: &str, content: &mut Vec<Block>) {
        if node.header.eh_depth.get() == 0 {
            for run in node.runs() {
                content.extend((0..u64::from(run.len)).map(|at| Block(run.block.0 + at)));
            }
            return;
        }
        for slot in node.slots() {
            let range = self.block(slot.child);
            let bytes = self.image.bytes[range.clone()].to_vec();
            self.push(Kind::ExtentNode, range, format!("node of {of}"), Sum::ExtentNode(seed));
            self.extents(&ExtentNode::new(&bytes).unwrap(), seed, of, content);
        }
    }

    fn indirect(&mut self, block: Block, level: u32, of: &str, content: &mut Vec<Block>) {
        if level == 0 {
            content.push(block);
            return;
        }
        let range = self.block(block);
        let bytes = self.image.bytes[range.clone()].to_vec();
        self.push(Kind::IndirectNode, range, format!("level {level} of {of}"), Sum::None);
        for child in IndirectNode(&bytes).blocks().filter(|child| child.0 != 0) {
            self.indirect(child, level - 1, of, content);
        }
    }

    fn directory_block(
        &self,
        inode: &Inode<'_>,
        number: usize,
        block: Block,
        seed: u32,
    ) -> (Kind, Sum) {
        let bytes = self.bytes(block);
        // The node of an index is one entry without an inode, as long as the block.
        let node = bytes[..8] == [0, 0, 0, 0, bytes[4], bytes[5], 0, 0]
            && usize::from(u16::from_le_bytes([bytes[4], bytes[5]])) == bytes.len();
        if inode.has(Inode::INDEX) && (number == 0 || node) {
            (Kind::DirectoryIndex, Sum::Index(seed))
        } else {
            (Kind::Directory, Sum::Leaf(seed))
        }
    }
}

/// Makes the checksum of an edited piece right, where there is one; all else is as in `base`. The
/// answer is which bytes that may have changed.
pub(crate) fn seal(base: &Image, bytes: &mut [u8], piece: &Piece) -> Vec<Range<usize>> {
    let superblock = base.superblock();
    let geometry = base.geometry();
    let sums = superblock.ro_compat(ro_compat::METADATA_CSUM);
    let range = piece.range.clone();
    if let Sum::Descriptor(group) = piece.sum {
        return seal_descriptor(&superblock, group, bytes, range);
    }
    if !sums {
        return Vec::new();
    }
    let part = &mut bytes[range.clone()];
    let end = part.len();
    let at_end = |sum: u32, part: &mut [u8]| part[end - 4..].copy_from_slice(&sum.to_le_bytes());
    match piece.sum {
        Sum::None | Sum::Descriptor(_) => {}
        Sum::Superblock | Sum::Mmp => {
            let seed = if piece.kind == Kind::Mmp { superblock.checksum_seed() } else { !0 };
            let sum = checksum::crc32c(seed, &part[..1020]);
            at_end(sum, part);
        }
        Sum::Bitmap(group, blocks) => {
            let bits =
                if blocks { geometry.clusters_per_group() } else { geometry.inodes_per_group };
            let sum = checksum::crc32c(superblock.checksum_seed(), &part[..bits as usize / 8]);
            let place = descriptor(&geometry, group);
            let (low, high) = if blocks { (0x18, 0x38) } else { (0x1a, 0x3a) };
            let sum = sum.to_le_bytes();
            bytes[place.start + low..][..2].copy_from_slice(&sum[..2]);
            if place.len() >= 64 {
                bytes[place.start + high..][..2].copy_from_slice(&sum[2..]);
            }
            return seal_descriptor(&superblock, group, bytes, place);
        }
        Sum::Inode(ino) => {
            let inode = Inode::new(part);
            let (_, sum) = inode.checksum(&superblock, ino);
            let high = part.len() > 128 && inode.extra.i_extra_isize.get() >= 4;
            part[0x7c..0x7e].copy_from_slice(&sum.to_le_bytes()[..2]);
            if high {
                part[0x82..0x84].copy_from_slice(&sum.to_le_bytes()[2..]);
            }
        }
        Sum::ExtentNode(seed) => {
            let node = ExtentNode::new(part).unwrap();
            let at = 12 + 12 * usize::from(node.header.eh_max.get());
            if let Some((_, sum)) = node.checksum(seed) {
                part[at..at + 4].copy_from_slice(&sum.to_le_bytes());
            }
        }
        Sum::Leaf(seed) => {
            let sum = DirectoryBlock::new(part, geometry.block_size).checksum(seed);
            at_end(sum, part);
        }
        Sum::Index(seed) => {
            let block = DirectoryBlock::new(part, geometry.block_size);
            let root = part[4] == 12 && part[5] == 0;
            let (at, entries): (_, Option<DxEntries<'_>>) = if root {
                (32, block.dx_root().map(|(_, entries)| entries))
            } else {
                (8, block.dx_node().map(|(_, entries)| entries))
            };
            let entries = entries.unwrap();
            let at = at + 8 * usize::from(entries.first.limit.get());
            if let Some((_, sum)) = entries.checksum(seed) {
                part[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
            }
        }
        Sum::Xattr(block) => {
            let number = block.0.to_le_bytes();
            let parts = [&number[..], &part[..16], &[0; 4], &part[20..]];
            let seed = superblock.checksum_seed();
            let sum = parts.iter().fold(seed, |sum, part| checksum::crc32c(sum, part));
            part[16..20].copy_from_slice(&sum.to_le_bytes());
        }
        Sum::Orphan(seed, block) => {
            let sum = OrphanBlock::new(part).unwrap().checksum(seed, block);
            at_end(sum, part);
        }
    }
    debug_assert!(Mmp::new(&bytes[range.clone()]).is_some() || range.len() < 1024);
    vec![range]
}

fn seal_descriptor(
    superblock: &Superblock,
    group: GroupIndex,
    bytes: &mut [u8],
    range: Range<usize>,
) -> Vec<Range<usize>> {
    let part = &mut bytes[range.clone()];
    if let Some(sum) = Descriptor::checksum(superblock, group, part) {
        part[0x1e..0x20].copy_from_slice(&sum.to_le_bytes());
    }
    vec![range]
}
