//! The index of a directory: nodes with hashes of names, which lead to blocks with names.
//!
//! Each block is judged by itself, as it comes; how they hang together is seen at the end.

use image_formats::ext4::{
    DirectoryBlock, DirectoryEntry, DxEntries, Inode, NameHash, SIPHASH, Superblock, incompat,
};

use super::{Judge, checks::*, directories::Directory};

/// `EXT2_FLAGS_UNSIGNED_HASH` of `s_flags`.
const UNSIGNED_HASH: u32 = 2;

/// `EXT2_HASH_FLAG_INCOMPAT` of `unused_flags`.
const INCOMPATIBLE: u8 = 1;

/// The most levels that a directory may have, the leaves included.
const MAX_DEPTH: u32 = 4;

/// How many blocks a directory with an index has: 28 MiB of what is known of them. It is 1 GiB in
/// blocks of 1 KiB.
pub(super) const MAX_BLOCKS: u64 = 1 << 20;

/// What a block of the directory is, by what it looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// It has not been read.
    #[default]
    Unread,
    Root,
    Node,
    Leaf,
}

/// What is known of a block of the directory.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    kind: Kind,
    /// It is the first, or the last, that a node leads to.
    is_first: bool,
    is_last: bool,
    /// How many entries of nodes lead to it, up to two.
    references: u8,
    /// The first node that leads to it.
    parent: u32,
    /// The block that the entry before leads to.
    previous: u32,
    /// The hashes that are in it.
    low: u32,
    high: u32,
    /// The hashes that may be in it.
    from: u32,
    to: u32,
}

/// How the hash of a name is found.
#[derive(Clone, Copy, Debug)]
enum Hash {
    /// It is computed.
    Name(NameHash),
    /// It is computed of the name without case: only ASCII is known here.
    Folded(NameHash),
    /// It is stored after the name.
    Stored,
}

/// The index of a directory that is being judged.
#[derive(Debug)]
pub(super) struct Index {
    blocks: Vec<Block>,
    hash: Option<Hash>,
    /// Levels from the root to a leaf.
    depth: u32,
    /// The block that is being judged.
    at: usize,
    /// A node is broken, of which has been told: what hangs on it is not judged.
    is_broken: bool,
}

impl Index {
    /// An index over `count` blocks.
    pub(super) fn new(count: u64) -> Self {
        let blocks = vec![Block::default(); usize::try_from(count).unwrap_or(0)];
        Self { blocks, hash: None, depth: 0, at: 0, is_broken: false }
    }

    /// Sees what the block `logical` is. An error is what is wrong with the root.
    pub(super) fn begin(
        &mut self,
        logical: u64,
        bytes: DirectoryBlock<'_>,
        has_sums: bool,
        directory: &Directory,
        superblock: &Superblock,
    ) -> Result<(), String> {
        self.at = usize::try_from(logical).unwrap_or(usize::MAX);
        let Some(block) = self.blocks.get_mut(self.at) else { return Ok(()) };
        (block.low, block.high) = (u32::MAX, 0);
        if logical == 0 {
            block.kind = Kind::Root;
            (block.is_first, block.is_last) = (true, true);
        } else if bytes.looks_like_node(has_sums) {
            block.kind = Kind::Node;
        } else {
            block.kind = Kind::Leaf;
        }
        let root = if logical == 0 { self.root(bytes, directory, superblock) } else { Ok(()) };
        self.is_broken |= root.is_err();
        root
    }

    fn root(
        &mut self,
        bytes: DirectoryBlock<'_>,
        directory: &Directory,
        superblock: &Superblock,
    ) -> Result<(), String> {
        let Some((root, _)) = bytes.dx_root() else {
            return Err("the block has no room for the root of an index".to_owned());
        };
        if root.reserved_zero.get() != 0 || root.info_length < 8 {
            let (zero, len) = (root.reserved_zero.get(), root.info_length);
            return Err(format!("reserved_zero {zero}, not 0; info_length {len}, not 8"));
        }
        let most = if superblock.incompat(incompat::LARGEDIR) { 2 } else { 1 };
        let levels = root.indirect_levels;
        if levels > most {
            return Err(format!("indirect_levels {levels}, not {most} at most"));
        }
        if root.unused_flags & INCOMPATIBLE != 0 {
            return Err(format!("unused_flags {:#x}, not 0", root.unused_flags));
        }
        let version = root.hash_version;
        let casefold = directory.has(Inode::CASEFOLD);
        let words = superblock.raw.s_hash_seed.map(|word| word.get());
        let unsigned = superblock.raw.s_flags.get() & UNSIGNED_HASH != 0;
        let hash = if casefold && directory.has(Inode::ENCRYPT) {
            (version == SIPHASH).then_some(Hash::Stored)
        } else if version > 2 {
            None
        } else {
            let hash = NameHash::new(version, unsigned, words);
            hash.map(if casefold { Hash::Folded } else { Hash::Name })
        };
        if hash.is_none() {
            return Err(format!("hash_version {version} is none for this directory"));
        }
        self.hash = hash;
        self.depth = u32::from(levels) + 1;
        Ok(())
    }

    /// True if the block that is being judged is a node of the index.
    pub(super) fn is_at_node(&self) -> bool {
        self.blocks.get(self.at).is_some_and(|block| matches!(block.kind, Kind::Root | Kind::Node))
    }

    /// A name in the block that is being judged.
    pub(super) fn name(&mut self, entry: &DirectoryEntry<'_>) {
        let name = entry.name;
        let hash = match self.hash {
            Some(Hash::Name(hash)) => hash.hash(name).0,
            Some(Hash::Folded(hash)) if name.is_ascii() => hash.hash(&name.to_ascii_lowercase()).0,
            Some(Hash::Stored) => entry.hash,
            _ => return,
        };
        if let Some(block) = self.blocks.get_mut(self.at) {
            block.low = block.low.min(hash);
            block.high = block.high.max(hash);
        }
    }

    /// The entries of the node that is being judged. An error is what is wrong with them.
    pub(super) fn node(&mut self, bytes: DirectoryBlock<'_>, has_sums: bool) -> Result<(), String> {
        let entries = match self.at {
            0 => bytes.dx_root().map(|(_, entries)| entries),
            _ => bytes.dx_node().map(|(_, entries)| entries),
        };
        let Some(entries) = entries.filter(|_| !self.is_broken) else { return Ok(()) };
        let nodes = self.entries(&entries, has_sums);
        self.is_broken |= nodes.is_err();
        nodes
    }

    fn entries(&mut self, entries: &DxEntries<'_>, has_sums: bool) -> Result<(), String> {
        let (limit, count) = (entries.first.limit.get(), entries.first.count.get());
        let room = entries.capacity(has_sums);
        if usize::from(limit) != room {
            return Err(format!("limit {limit}, not {room}"));
        }
        if count > limit {
            return Err(format!("count {count}, not {limit} at most"));
        }
        self.children(entries)
    }

    fn children(&mut self, entries: &DxEntries<'_>) -> Result<(), String> {
        let parent = self.at as u32;
        let (mut low, mut high) = (u32::MAX, 0);
        let mut last = (0, 0);
        let mut next = entries.entries().peekable();
        let mut is_first = true;
        while let Some((hash, child)) = next.next() {
            // The lowest bit is no part of the hash: it tells that the name before has the same.
            let hash = hash & !1;
            let count = self.blocks.len();
            let Some(block) = self.blocks.get_mut(child as usize) else {
                return Err(format!("an entry leads to block {child}, of {count}"));
            };
            if hash < last.0 {
                return Err(format!("the hash {hash:#010x} comes after {:#010x}", last.0));
            }
            if block.references == 0 {
                block.parent = parent;
            }
            block.references = block.references.saturating_add(1).min(2);
            block.previous = last.1;
            block.from = hash;
            block.is_first |= is_first;
            match next.peek() {
                Some((hash, _)) => block.to = hash & !1,
                None => {
                    block.to = !1;
                    block.is_last = true;
                }
            }
            (low, high) = (low.min(hash), high.max(hash));
            last = (hash, child);
            is_first = false;
        }
        if let Some(block) = self.blocks.get_mut(self.at) {
            (block.low, block.high) = (low, high);
        }
        Ok(())
    }

    /// What nodes know of their first and last children goes up to them.
    fn inherit(&mut self, kind: Kind) {
        for at in 0..self.blocks.len() {
            let block = self.blocks[at];
            if block.kind != kind {
                continue;
            }
            let parent = block.parent as usize;
            if block.is_first {
                self.blocks[parent].low = block.low;
                let previous = self.blocks[parent].previous as usize;
                if previous != 0
                    && let Some(previous) = self.blocks.get_mut(previous)
                {
                    previous.to = block.low;
                }
            }
            if block.is_last {
                self.blocks[parent].high = block.high;
            }
        }
    }

    /// How many steps it is up to the root; more than there may be, where it is not reached.
    fn depth(&self, mut at: usize) -> u32 {
        let mut depth = 0;
        while self.blocks[at].kind != Kind::Root && depth <= MAX_DEPTH {
            at = self.blocks[at].parent as usize;
            depth += 1;
        }
        depth
    }
}

impl Judge<'_, '_> {
    /// Judges how the blocks of an index hang together, when all have been read.
    pub(super) fn index(&mut self, directory: &Directory, mut index: Index) {
        if index.is_broken || index.blocks.first().is_none_or(|root| root.kind != Kind::Root) {
            return;
        }
        index.blocks[0].references = (index.blocks[0].references + 1).min(2);
        index.inherit(Kind::Leaf);
        index.inherit(Kind::Node);
        for (at, block) in index.blocks.iter().enumerate() {
            let ino = directory.ino;
            if !matches!(block.references, 1) {
                self.expect(&DIRECTORY_INDEX, false, |judge| {
                    let times = if block.references == 0 { "no" } else { "more than one" };
                    let message = format!("{times} entry of the index leads to block {at}");
                    (judge.at_inode(ino), message)
                });
                continue;
            }
            let depth = if block.kind == Kind::Leaf { index.depth(at) } else { index.depth };
            if depth != index.depth {
                self.expect(&DIRECTORY_INDEX, false, |judge| {
                    let levels = index.depth;
                    let message = format!("block {at} is {depth} levels below, not {levels}");
                    (judge.at_inode(ino), message)
                });
            }
            let low = !block.is_first && block.low < block.from;
            let high = at > 0 && block.high > block.to;
            if low || high {
                self.expect(&DIRECTORY_HASH, false, |judge| {
                    let Block { low, high, from, to, .. } = block;
                    let message = format!(
                        "block {at} has hashes {low:#010x} to {high:#010x}, \
                         not {from:#010x} to {to:#010x}"
                    );
                    (judge.at_inode(ino), message)
                });
            }
        }
    }
}
