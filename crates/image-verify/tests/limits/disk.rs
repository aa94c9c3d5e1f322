//! File systems that are made while they are read: enormous, and of few bytes of memory.

use std::io;

use image_formats::bytes::ReadAt;

/// `EXT4_EXTENTS_FL`.
pub(crate) const EXTENTS: u32 = 0x8_0000;

/// `EXT4_INDEX_FL`.
pub(crate) const INDEX: u32 = 0x1000;

type Rule<K> = Box<dyn Fn(K, &mut [u8]) + Send + Sync>;

/// An ext4 file system without checksums.
pub(crate) struct Disk {
    pub(crate) block_size: u32,
    pub(crate) groups: u32,
    pub(crate) blocks_per_group: u32,
    pub(crate) inodes_per_group: u32,
    /// `s_feature_incompat`, beside filetype and extents.
    pub(crate) incompat: u32,
    /// Fills an inode.
    pub(crate) inode: Rule<u32>,
    /// Fills a block that is no metadata of a group.
    pub(crate) block: Rule<u64>,
    /// Fills a descriptor differently.
    pub(crate) descriptor: Option<Rule<u32>>,
}

impl Disk {
    const INODE: u64 = 128;

    /// The smallest that has room for so many inodes, and so many blocks beside its metadata.
    pub(crate) fn new(block_size: u32, inodes: u64, blocks: u64) -> Self {
        // No more than 16 bits count, and whole blocks of inodes.
        let per_group = (u64::from(block_size) * 8).min(65024);
        let table = (per_group * Self::INODE).div_ceil(u64::from(block_size));
        // A quarter for descriptors, bitmaps and tables.
        let groups =
            inodes.div_ceil(per_group).max(blocks.div_ceil(per_group - table - 1500)).max(1);
        Self {
            block_size,
            groups: groups as u32,
            blocks_per_group: per_group as u32,
            inodes_per_group: per_group as u32,
            incompat: 0,
            inode: Box::new(|_, _| ()),
            block: Box::new(|_, _| ()),
            descriptor: None,
        }
    }

    fn first(&self) -> u64 {
        u64::from(self.block_size == 1024)
    }

    pub(crate) fn inodes_count(&self) -> u32 {
        self.groups * self.inodes_per_group
    }

    pub(crate) fn blocks_count(&self) -> u64 {
        u64::from(self.groups) * u64::from(self.blocks_per_group) + self.first()
    }

    fn descriptor_blocks(&self) -> u64 {
        u64::from(self.groups).div_ceil(u64::from(self.block_size) / 32)
    }

    fn table_blocks(&self) -> u64 {
        let bytes = u64::from(self.inodes_per_group) * Self::INODE;
        bytes.div_ceil(u64::from(self.block_size))
    }

    /// Blocks at the start of each group: a superblock, descriptors, bitmaps, a table.
    fn taken(&self) -> u64 {
        1 + self.descriptor_blocks() + 2 + self.table_blocks()
    }

    /// Blocks of each group that are no metadata of it.
    pub(crate) fn free(&self) -> u64 {
        u64::from(self.blocks_per_group) - self.taken()
    }

    /// The block with this number among those that are no metadata of a group.
    pub(crate) fn data(&self, number: u64) -> u64 {
        let free = self.free();
        let start = number / free * u64::from(self.blocks_per_group) + self.first();
        start + self.taken() + number % free
    }

    /// The number of a block among those that are no metadata of a group.
    fn number(&self, block: u64) -> Option<u64> {
        let group = (block - self.first()) / u64::from(self.blocks_per_group);
        let within = (block - self.first()) % u64::from(self.blocks_per_group);
        let free = self.free();
        Some(group * free + within.checked_sub(self.taken())?)
    }

    fn superblock(&self, raw: &mut [u8]) {
        let log = self.block_size.trailing_zeros() - 10;
        let blocks = self.blocks_count();
        let mut put = |at: usize, value: u32| {
            raw[at..at + 4].copy_from_slice(&value.to_le_bytes());
        };
        put(0x00, self.inodes_count());
        put(0x04, blocks as u32);
        put(0x14, self.first() as u32);
        put(0x18, log);
        put(0x1c, log);
        put(0x20, self.blocks_per_group);
        put(0x24, self.blocks_per_group);
        put(0x28, self.inodes_per_group);
        // `s_magic`, `s_state`, `s_errors`.
        put(0x38, 0x0001_ef53);
        put(0x3c, 1);
        put(0x4c, 1);
        put(0x54, 11);
        put(0x58, Self::INODE as u32);
        // `ext_attr`.
        put(0x5c, 0x8);
        put(0x60, 0x42 | self.incompat);
        put(0x64, 0x3);
        put(0x150, (blocks >> 32) as u32);
        raw[0x68] = 1;
    }

    fn descriptors(&self, first: u32, raw: &mut [u8]) {
        for (group, raw) in (first..self.groups).zip(raw.chunks_exact_mut(32)) {
            let start = u64::from(group) * u64::from(self.blocks_per_group) + self.first();
            let bitmap = (start + 1 + self.descriptor_blocks()) as u32;
            for (at, block) in [(0, bitmap), (4, bitmap + 1), (8, bitmap + 2)] {
                raw[at..at + 4].copy_from_slice(&block.to_le_bytes());
            }
            if let Some(rule) = &self.descriptor {
                rule(group, raw);
            }
        }
    }

    fn fill(&self, block: u64, bytes: &mut [u8]) {
        bytes.fill(0);
        if block == self.first() || block == 0 {
            let at = if self.block_size == 1024 { 0 } else { 1024 };
            if block == self.first() {
                self.superblock(&mut bytes[at..at + 1024]);
            }
            return;
        }
        let within = (block - self.first()) % u64::from(self.blocks_per_group);
        let group = ((block - self.first()) / u64::from(self.blocks_per_group)) as u32;
        let table = 3 + self.descriptor_blocks();
        if let Some(number) = self.number(block) {
            (self.block)(number, bytes);
        } else if group == 0 && within <= self.descriptor_blocks() {
            let in_block = self.block_size / 32;
            self.descriptors((within as u32 - 1) * in_block, bytes);
        } else if within >= table {
            let in_block = u64::from(self.block_size) / Self::INODE;
            let first = (within - table) * in_block + u64::from(group * self.inodes_per_group) + 1;
            for (ino, bytes) in (first..).zip(bytes.chunks_exact_mut(Self::INODE as usize)) {
                (self.inode)(ino as u32, bytes);
            }
        }
    }
}

impl ReadAt for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.blocks_count() * u64::from(self.block_size))
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let size = u64::from(self.block_size);
        let (mut at, mut rest) = (offset, buf);
        let mut whole = Vec::new();
        while !rest.is_empty() {
            let (block, within) = (at / size, (at % size) as usize);
            let len = rest.len().min(size as usize - within);
            let (now, later) = rest.split_at_mut(len);
            if len == size as usize {
                self.fill(block, now);
            } else {
                whole.resize(size as usize, 0);
                self.fill(block, &mut whole);
                now.copy_from_slice(&whole[within..within + len]);
            }
            at += len as u64;
            rest = later;
        }
        Ok(())
    }
}

/// Fills an inode.
pub(crate) fn inode(raw: &mut [u8], mode: u16, links: u16, size: u64, flags: u32, map: &[u8]) {
    raw[0..2].copy_from_slice(&mode.to_le_bytes());
    raw[4..8].copy_from_slice(&(size as u32).to_le_bytes());
    raw[0x1a..0x1c].copy_from_slice(&links.to_le_bytes());
    raw[0x20..0x24].copy_from_slice(&flags.to_le_bytes());
    raw[0x28..0x28 + map.len()].copy_from_slice(map);
    raw[0x6c..0x70].copy_from_slice(&((size >> 32) as u32).to_le_bytes());
}

/// A node of a tree of extents with room for `max` entries: `(logical, len, block)` in a leaf,
/// where an inner node has no `len`.
pub(crate) fn node(max: u16, depth: u16, entries: &[(u32, u16, u64)]) -> Vec<u8> {
    let mut raw = Vec::new();
    for word in [0xf30a, entries.len() as u16, max, depth, 0, 0] {
        raw.extend(word.to_le_bytes());
    }
    for (logical, len, block) in entries {
        raw.extend(logical.to_le_bytes());
        let (low, high) = (*block as u32, (*block >> 32) as u16);
        if depth == 0 {
            raw.extend([len.to_le_bytes(), high.to_le_bytes()].concat());
            raw.extend(low.to_le_bytes());
        } else {
            raw.extend(low.to_le_bytes());
            raw.extend([high.to_le_bytes(), [0; 2]].concat());
        }
    }
    raw
}

/// Fills a block of a directory.
pub(crate) fn directory(block: &mut [u8], entries: &[(u32, &str, u8)]) {
    let (mut at, end) = (0, block.len());
    for (number, (ino, name, kind)) in entries.iter().enumerate() {
        let need = (8 + name.len()).next_multiple_of(4);
        let len = if number + 1 == entries.len() { end - at } else { need };
        block[at..at + 4].copy_from_slice(&ino.to_le_bytes());
        block[at + 4..at + 6].copy_from_slice(&(len as u16).to_le_bytes());
        block[at + 6] = name.len() as u8;
        block[at + 7] = *kind;
        block[at + 8..at + 8 + name.len()].copy_from_slice(name.as_bytes());
        at += len;
    }
}
