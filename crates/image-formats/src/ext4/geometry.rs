//! Where things are.

use super::{Block, GroupIndex, Ino, Superblock, compat, incompat, ro_compat};

/// The numbers of a superblock, as far as one can calculate with them.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// Bytes in a block: 1 KiB to 64 KiB.
    pub block_size: u32,
    /// Blocks in a cluster.
    pub cluster_blocks: u32,
    /// Number of blocks.
    pub blocks_count: u64,
    /// The block that group 0 starts with.
    pub first_data_block: u32,
    /// Blocks in a group; not 0.
    pub blocks_per_group: u32,
    /// Inodes in a group; not 0.
    pub inodes_per_group: u32,
    /// Number of inodes.
    pub inodes_count: u32,
    /// Bytes in an inode; 128 at least, a block at most.
    pub inode_size: u16,
    /// Bytes in a group descriptor; 32 at least, a block at most.
    pub desc_size: u16,
    /// Number of groups; not 0.
    pub group_count: u32,
    meta_bg: Option<u32>,
    reserved_gdt_blocks: u16,
    sparse_super: bool,
    backup_groups: Option<[u32; 2]>,
}

/// The metadata at the start of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupLayout {
    /// The copy of the superblock.
    pub superblock: Option<Block>,
    /// The first of the blocks with group descriptors, and how many are kept for them.
    pub descriptors: Option<(Block, u32)>,
}

impl Geometry {
    /// `None` where the numbers lead nowhere.
    pub fn new(superblock: &Superblock) -> Option<Self> {
        let raw = &superblock.raw;
        let block_size = superblock.block_size()?;
        let blocks_count = superblock.blocks_count();
        let first_data_block = raw.s_first_data_block.get();
        let blocks_per_group = raw.s_blocks_per_group.get();
        let data_blocks = blocks_count.checked_sub(u64::from(first_data_block))?;
        let groups = data_blocks.div_ceil(u64::from(blocks_per_group).max(1));
        let inode_size = superblock.inode_size();
        let desc_size = superblock.desc_size();
        let fits = |size: u16, least: u16| size >= least && u32::from(size) <= block_size;
        let inodes_per_group = raw.s_inodes_per_group.get();
        let sound = blocks_per_group > 0
            && inodes_per_group > 0
            && groups > 0
            && fits(inode_size, 128)
            && fits(desc_size, 32);
        let backup_groups = superblock
            .compat(compat::SPARSE_SUPER2)
            .then(|| raw.s_backup_bgs.map(|group| group.get()));
        sound.then_some(Self {
            block_size,
            cluster_blocks: superblock.cluster_blocks()?,
            blocks_count,
            first_data_block,
            blocks_per_group,
            inodes_per_group,
            inodes_count: raw.s_inodes_count.get(),
            inode_size,
            desc_size,
            group_count: u32::try_from(groups).ok()?,
            meta_bg: superblock.incompat(incompat::META_BG).then_some(raw.s_first_meta_bg.get()),
            reserved_gdt_blocks: raw.s_reserved_gdt_blocks.get(),
            sparse_super: superblock.ro_compat(ro_compat::SPARSE_SUPER),
            backup_groups,
        })
    }

    /// Where a block begins, from the start of the file system.
    pub fn offset(&self, block: Block) -> u64 {
        block.0.saturating_mul(u64::from(self.block_size))
    }

    /// The first block of a group.
    pub fn first_block(&self, group: GroupIndex) -> Block {
        let before = u64::from(group.0).saturating_mul(u64::from(self.blocks_per_group));
        Block(before.saturating_add(u64::from(self.first_data_block)))
    }

    /// How many blocks are in a group: all but the last are full.
    pub fn blocks_in(&self, group: GroupIndex) -> u32 {
        let left = self.blocks_count.saturating_sub(self.first_block(group).0);
        u32::try_from(left).unwrap_or(u32::MAX).min(self.blocks_per_group)
    }

    /// Number of clusters.
    pub fn clusters_count(&self) -> u64 {
        let data = self.blocks_count.saturating_sub(u64::from(self.first_data_block));
        data.div_ceil(u64::from(self.cluster_blocks).max(1))
    }

    /// Clusters in a group that is full.
    pub fn clusters_per_group(&self) -> u32 {
        self.blocks_per_group.div_ceil(self.cluster_blocks.max(1))
    }

    /// How many clusters are in a group.
    pub fn clusters_in(&self, group: GroupIndex) -> u32 {
        self.blocks_in(group).div_ceil(self.cluster_blocks.max(1))
    }

    /// The cluster that a block is in, counted from the first of group 0.
    pub fn cluster(&self, block: Block) -> u64 {
        let data = block.0.saturating_sub(u64::from(self.first_data_block));
        data.checked_div(u64::from(self.cluster_blocks)).unwrap_or(data)
    }

    /// Blocks in an inode table.
    pub fn inode_table_blocks(&self) -> u32 {
        let bytes = u64::from(self.inodes_per_group).saturating_mul(u64::from(self.inode_size));
        let blocks = bytes.div_ceil(u64::from(self.block_size).max(1));
        u32::try_from(blocks).unwrap_or(u32::MAX)
    }

    /// The group that an inode is in, and its place there.
    pub fn place(&self, ino: Ino) -> (GroupIndex, u32) {
        let index = ino.0.saturating_sub(1);
        let group = index.checked_div(self.inodes_per_group).unwrap_or(0);
        (GroupIndex(group), index.checked_rem(self.inodes_per_group).unwrap_or(0))
    }

    /// The inode at a place in a group.
    pub fn ino(&self, group: GroupIndex, index: u32) -> Ino {
        let before = group.0.saturating_mul(self.inodes_per_group);
        Ino(before.saturating_add(index).saturating_add(1))
    }

    fn descriptors_per_block(&self) -> u32 {
        self.block_size.checked_div(u32::from(self.desc_size)).unwrap_or(1).max(1)
    }

    /// Blocks that all descriptors take.
    pub fn descriptor_blocks(&self) -> u32 {
        self.group_count.div_ceil(self.descriptors_per_block())
    }

    /// The descriptors that lie in the block of descriptors with this number: the first, and how
    /// many.
    pub fn descriptors_in(&self, index: u32) -> (GroupIndex, u32) {
        let first = index.saturating_mul(self.descriptors_per_block());
        let left = self.group_count.saturating_sub(first);
        (GroupIndex(first), left.min(self.descriptors_per_block()))
    }

    /// Where the descriptor of a group begins, from the start of the file system.
    pub fn descriptor(&self, group: GroupIndex) -> u64 {
        let per_block = self.descriptors_per_block();
        let block = self.descriptor_block(group.0.checked_div(per_block).unwrap_or(0));
        let place = group.0.checked_rem(per_block).unwrap_or(0);
        let within = u64::from(place).saturating_mul(u64::from(self.desc_size));
        self.offset(block).saturating_add(within)
    }

    /// `ext2fs_descriptor_block_loc2`: where the block of descriptors with this number is.
    pub fn descriptor_block(&self, index: u32) -> Block {
        if self.meta_bg.is_none_or(|first| index < first) {
            let after = self.start_of_group_0().0.saturating_add(1);
            return Block(after.saturating_add(u64::from(index)));
        }
        let group = GroupIndex(index.saturating_mul(self.descriptors_per_block()));
        let superblock = u64::from(self.has_superblock(group));
        Block(self.first_block(group).0.saturating_add(superblock))
    }

    /// Where the copy of this block of descriptors is that belongs to the copy of the superblock in
    /// `group`; `None` for those that lie in their own groups.
    pub fn descriptor_copy(&self, group: GroupIndex, index: u32) -> Option<Block> {
        if self.meta_bg.is_some_and(|first| index >= first) {
            return None;
        }
        let after = self.first_block(group).0.saturating_add(1);
        Some(Block(after.saturating_add(u64::from(index))))
    }

    /// The block of the superblock. Where blocks have 1 KiB it is block 1, and with bigalloc group
    /// 0 begins before it.
    fn start_of_group_0(&self) -> Block {
        let first = u64::from(self.first_data_block);
        if self.block_size == 1024 && self.first_data_block == 0 { Block(1) } else { Block(first) }
    }

    /// `ext2fs_bg_has_super`: true if a group has a copy of the superblock.
    pub fn has_superblock(&self, group: GroupIndex) -> bool {
        if group.0 == 0 {
            return true;
        }
        if let Some(backups) = self.backup_groups {
            return backups.contains(&group.0);
        }
        if group.0 <= 1 || !self.sparse_super {
            return true;
        }
        let power_of = |base: u32| {
            // Bounded: 3 to the power of 20 is more than 32 bits.
            let mut powers = (1..=20).map_while(|exponent| base.checked_pow(exponent));
            powers.any(|power| power == group.0)
        };
        group.0 % 2 == 1 && (power_of(3) || power_of(5) || power_of(7))
    }

    /// `ext2fs_super_and_bgd_loc2`: the superblock and the descriptors in a group.
    pub fn layout(&self, group: GroupIndex) -> GroupLayout {
        let start = if group.0 == 0 { self.start_of_group_0() } else { self.first_block(group) };
        let superblock = self.has_superblock(group).then_some(start);
        let after = Block(start.0.saturating_add(u64::from(superblock.is_some())));
        let per_block = self.descriptors_per_block();
        let meta_group = group.0.checked_div(per_block).unwrap_or(0);
        let descriptors = match self.meta_bg {
            Some(first) if meta_group >= first => {
                let place = group.0.checked_rem(per_block).unwrap_or(0);
                let has = place <= 1 || place == per_block.saturating_sub(1);
                has.then_some((after, 1))
            }
            old => {
                let kept = u32::from(self.reserved_gdt_blocks);
                let all = self.descriptor_blocks().saturating_add(kept);
                superblock.map(|_| (after, old.unwrap_or(all)))
            }
        };
        GroupLayout { superblock, descriptors }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(sparse_super: bool) -> Geometry {
        Geometry {
            block_size: 4096,
            cluster_blocks: 1,
            blocks_count: 32768 * 99 + 5,
            first_data_block: 0,
            blocks_per_group: 32768,
            inodes_per_group: 8192,
            inodes_count: 819_200,
            inode_size: 256,
            desc_size: 64,
            group_count: 100,
            meta_bg: None,
            reserved_gdt_blocks: 10,
            sparse_super,
            backup_groups: None,
        }
    }

    #[test]
    fn copies_are_in_powers() {
        let groups: Vec<_> =
            (0..100).filter(|group| geometry(true).has_superblock(GroupIndex(*group))).collect();
        assert_eq!(groups, [0, 1, 3, 5, 7, 9, 25, 27, 49, 81]);
        assert!((0..100).all(|group| geometry(false).has_superblock(GroupIndex(group))));
    }

    #[test]
    fn groups_and_inodes_have_places() {
        let geometry = geometry(true);
        assert_eq!(geometry.blocks_in(GroupIndex(98)), 32768);
        assert_eq!(geometry.blocks_in(GroupIndex(99)), 5);
        assert_eq!(geometry.place(Ino(8193)), (GroupIndex(1), 0));
        assert_eq!(geometry.ino(GroupIndex(1), 0), Ino(8193));
        assert_eq!(geometry.inode_table_blocks(), 512);
        assert_eq!(geometry.descriptor_blocks(), 2);
        assert_eq!(geometry.descriptors_in(1), (GroupIndex(64), 36));
        let layout = geometry.layout(GroupIndex(3));
        assert_eq!(layout.superblock, Some(Block(98304)));
        assert_eq!(layout.descriptors, Some((Block(98305), 12)));
        assert_eq!(geometry.layout(GroupIndex(2)), GroupLayout::default());
    }
}
