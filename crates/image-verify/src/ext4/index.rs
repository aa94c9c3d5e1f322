//! The index of a directory: nodes with hashes of names. The hashes of the names themselves are not
//! judged.

use image_formats::{
    bytes::ReadError,
    ext4::{DirectoryBlock, DxEntries, Inode, Run, incompat, ro_compat},
};

use super::{Judge, checks::*, directories::Directory, fs::find};

/// A node that is yet to be judged: where it is in the directory, the levels below it, and the
/// hashes that it may have.
struct Waiting {
    logical: u64,
    levels: u8,
    low: u32,
    high: u32,
}

impl Judge<'_, '_> {
    /// Judges the index of a directory of `count` blocks without a hole; the blocks that are nodes
    /// of it come back, in their order.
    pub(super) fn index(
        &mut self,
        directory: &Directory,
        runs: &[Run],
        count: u64,
    ) -> Result<Vec<u64>, ReadError> {
        let ino = directory.ino;
        let block_size = self.geometry.block_size;
        let most_levels = if self.superblock.incompat(incompat::LARGEDIR) { 2 } else { 1 };
        let mut nodes = Vec::new();
        let mut seen = vec![false; usize::try_from(count).unwrap_or(0)];
        let mut waiting = vec![Waiting { logical: 0, levels: 0, low: 0, high: u32::MAX }];
        let mut bytes = vec![0; block_size as usize];
        let mut whole = true;
        // Bounded: each block of the directory is seen once.
        while let Some(node) = waiting.pop() {
            let Some(block) = find(runs, node.logical) else { continue };
            nodes.push(node.logical);
            self.read("ext4 directory block", block, &mut bytes)?;
            let part = DirectoryBlock::new(&bytes, block_size, true);
            let (entries, levels, sound) = if node.logical == 0 {
                let Some((root, entries)) = part.dx_root() else { break };
                let levels = root.indirect_levels;
                // SipHash is for encrypted directories that do not care for case.
                let hash = matches!(root.hash_version, 0..=2)
                    || root.hash_version == 6
                        && directory.has(Inode::ENCRYPT)
                        && directory.has(Inode::CASEFOLD);
                let sound = root.reserved_zero.get() == 0
                    && hash
                    && root.info_length == 8
                    && levels <= most_levels
                    && u32::from(root.dotdot_rec_len.get()) + 12 == block_size % 0x10000;
                (entries, levels, sound)
            } else {
                let Some((inner, entries)) = part.dx_node() else { break };
                let whole = u32::from(inner.fake_rec_len.get()) == block_size % 0x10000;
                (entries, node.levels, inner.fake_inode.get() == 0 && whole)
            };
            let held = sound && self.index_entries(&entries, &node);
            if !self.expect(&DIRECTORY_INDEX, held, |judge| {
                let at = judge.at_block("directory block", ino, block);
                (at, "this node of the index has no sense".to_owned())
            }) {
                whole = false;
                break;
            }
            if self.superblock.ro_compat(ro_compat::METADATA_CSUM) {
                let (stored, computed) = entries.checksum(directory.seed).unwrap_or((0, 1));
                if !self.expect(&DIRECTORY_CHECKSUM, stored == computed, |judge| {
                    let at = judge.at_block("directory block", ino, block);
                    (at, format!("stored {stored:#010x}, computed {computed:#010x}"))
                }) {
                    whole = false;
                    break;
                }
            }
            seen[node.logical as usize] = true;
            let all: Vec<_> = entries.entries().collect();
            let mut twice = None;
            for (index, (hash, child)) in all.iter().enumerate() {
                // The lowest bit is no part of the hash.
                let low = if index == 0 { node.low } else { hash & !1 };
                let high = all.get(index + 1).map_or(node.high, |(hash, _)| *hash);
                let logical = u64::from(*child);
                match seen.get_mut(*child as usize) {
                    Some(seen) if !*seen && logical != 0 => *seen = true,
                    _ => twice = Some(logical),
                }
                if levels > 0 && twice.is_none() {
                    waiting.push(Waiting { logical, levels: levels - 1, low, high });
                }
            }
            if !self.expect(&DIRECTORY_INDEX, twice.is_none(), |judge| {
                let at = judge.at_block("directory block", ino, block);
                let child = twice.unwrap_or_default();
                (at, format!("the index leads to block {child}, again or of {count}"))
            }) {
                whole = false;
                break;
            }
        }
        if whole {
            self.expect(&DIRECTORY_INDEX, seen.iter().all(|seen| *seen), |judge| {
                let first = seen.iter().position(|seen| !seen).unwrap_or_default();
                (judge.at_inode(ino), format!("the index does not lead to block {first}"))
            });
        }
        nodes.sort_unstable();
        Ok(nodes)
    }

    /// True if the entries of a node are as many as have room, and in order.
    fn index_entries(&self, entries: &DxEntries<'_>, node: &Waiting) -> bool {
        let sums = self.superblock.ro_compat(ro_compat::METADATA_CSUM);
        let (limit, count) = (entries.first.limit.get(), entries.first.count.get());
        let room = usize::from(limit) == entries.capacity(sums);
        let mut last = node.low;
        let ascend = entries.entries().skip(1).all(|(hash, _)| {
            let held = hash >= last && hash <= node.high;
            last = hash;
            held
        });
        room && count >= 1 && count <= limit && ascend
    }
}
