//! Block maps, the format 2.0 of bmaptool: which blocks of a disk are to be written, and their
//! digests.
//!
//! What is not in the map stays on the card as it was. `bmaptool create` leaves out the holes of
//! the image's file, and takes it for granted that they were never written by anything that wants
//! zeros there. That is wrong often: file systems that hold the image, copies and compressors turn
//! written zeros into holes and holes into zeros, and mkfs does not write zeros into a file that
//! reads as zeros already. Then an inode table, a journal, a FAT or a directory of the new system
//! has what an older one left on the card (intel/bmap-tools #75, #128). Zeros look alike, so
//! content alone cannot tell those that matter either.
//!
//! So a block is left out here only if it is zero *and* the file system that it lies in says in its
//! own allocation that it is free: no file system reads such a block before it wrote it. All others
//! are mapped, zeros among them, and so is what lies outside of the partitions: boards load
//! firmware from there, and an older partition table there must go. What remains is right on every
//! card, with two uses: it says sooner than the first boot that a card or a download is bad, and
//! spares the free space.

use std::{fmt::Write as _, ops::Range};

use sha2::{Digest as _, Sha256};

use super::free::MIN_LEN;

/// `BlockSize`.
const BLOCK: usize = 4 << 10;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Fewer free blocks than these are written as well. It keeps the number of ranges small, and cards
/// do not write less at a time.
const MIN_GAP: u64 = MIN_LEN / BLOCK as u64;

/// The map of a disk whose raw bytes go by.
#[derive(Default)]
pub(super) struct BlockMap {
    /// Bytes that need not be written where they are zero: in order, and none twice.
    free: Vec<Range<u64>>,
    /// The first of them that is not behind us.
    next_free: usize,
    /// The beginning of a block.
    partial: Vec<u8>,
    /// Complete blocks so far.
    blocks: u64,
    /// Bytes so far.
    len: u64,
    /// Blocks at the end that need not be written.
    idle: u64,
    /// The range that the last block to be written is in.
    open: Option<(u64, Sha256)>,
    /// `Range`s that are complete.
    ranges: Vec<Mapped>,
}

/// `Range`: blocks to be written, the last included.
struct Mapped {
    first: u64,
    last: u64,
    sha256: [u8; 32],
}

impl BlockMap {
    /// Where the bytes in `free`, which is in order, are zero, they need not be written.
    pub(super) fn new(free: Vec<Range<u64>>) -> Self {
        Self { free, ..Self::default() }
    }

    /// Takes the next bytes.
    pub(super) fn update(&mut self, mut data: &[u8]) {
        self.len += data.len() as u64;
        if !self.partial.is_empty() {
            let (part, rest) = data.split_at(data.len().min(BLOCK - self.partial.len()));
            self.partial.extend(part);
            data = rest;
            if self.partial.len() < BLOCK {
                return;
            }
            let block = std::mem::take(&mut self.partial);
            self.block(&block);
        }
        let mut blocks = data.chunks_exact(BLOCK);
        blocks.by_ref().for_each(|block| self.block(block));
        self.partial.extend(blocks.remainder());
    }

    /// The file.
    pub(super) fn finish(mut self) -> String {
        let last = std::mem::take(&mut self.partial);
        if !last.is_empty() {
            self.block(&last);
        }
        self.close(self.blocks);
        let text = self.text(&"0".repeat(64));
        // "BmapFileChecksum" is over the file in which it is 64 zeros.
        self.text(&hex(&Sha256::digest(text)))
    }

    fn block(&mut self, block: &[u8]) {
        let at = self.blocks * BLOCK as u64;
        let index = self.blocks;
        self.blocks += 1;
        if block == &ZEROS[..block.len()] && self.is_free(at..at + block.len() as u64) {
            self.idle += 1;
            return;
        }
        if self.idle >= MIN_GAP {
            self.close(index);
        }
        let idle = std::mem::take(&mut self.idle);
        let (_, hash) = self.open.get_or_insert_with(|| (index - idle, Sha256::new()));
        (0..idle).for_each(|_| hash.update(ZEROS));
        hash.update(block);
    }

    /// Ends the range before the free blocks that came last, of `blocks` in all.
    fn close(&mut self, blocks: u64) {
        if let Some((first, hash)) = self.open.take() {
            let last = blocks - self.idle - 1;
            self.ranges.push(Mapped { first, last, sha256: hash.finalize().into() });
        }
        self.idle = 0;
    }

    fn is_free(&mut self, block: Range<u64>) -> bool {
        while self.free.get(self.next_free).is_some_and(|free| free.end <= block.start) {
            self.next_free += 1;
        }
        let free = self.free.get(self.next_free);
        free.is_some_and(|free| free.start <= block.start && block.end <= free.end)
    }

    fn text(&self, checksum: &str) -> String {
        let Self { len, blocks, ranges, .. } = self;
        let mapped: u64 = ranges.iter().map(|range| range.last - range.first + 1).sum();
        let mut text = format!(
            "<?xml version=\"1.0\" ?>\n\
             <!-- Blocks that are not mapped are zeros, and free in their file systems. -->\n\
             <bmap version=\"2.0\">\n    \
                 <ImageSize> {len} </ImageSize>\n    \
                 <BlockSize> {BLOCK} </BlockSize>\n    \
                 <BlocksCount> {blocks} </BlocksCount>\n    \
                 <MappedBlocksCount> {mapped} </MappedBlocksCount>\n    \
                 <ChecksumType> sha256 </ChecksumType>\n    \
                 <BmapFileChecksum> {checksum} </BmapFileChecksum>\n    \
                 <BlockMap>\n",
        );
        for Mapped { first, last, sha256 } in ranges {
            let blocks = if first == last { first.to_string() } else { format!("{first}-{last}") };
            let sha256 = hex(sha256);
            let line = writeln!(text, "        <Range chksum=\"{sha256}\"> {blocks} </Range>");
            line.expect("writing into a string");
        }
        text + "    </BlockMap>\n</bmap>\n"
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: u64 = MIN_LEN;

    fn ranges(data: &[u8], free: Vec<Range<u64>>, pieces: usize) -> Vec<String> {
        let mut map = BlockMap::new(free);
        data.chunks(pieces).for_each(|piece| map.update(piece));
        let text = map.finish();
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix("<Range chksum=\""));
        lines.map(|line| line.split(['>', '<']).nth(1).unwrap().trim().to_owned()).collect()
    }

    #[test]
    fn only_free_zeros_are_left_out() {
        let len = 4 * FREE as usize + 700;
        let zeros = vec![0; len];
        let all = |range: Range<u64>| vec![range];
        let end = len as u64;
        for pieces in [len, BLOCK, 1000] {
            assert_eq!(ranges(&zeros, Vec::new(), pieces), ["0-1024"]);
            assert_eq!(ranges(&zeros, all(0..end), pieces), [""; 0]);
            assert_eq!(ranges(&zeros, all(0..end - 1), pieces), ["1024"]);
            assert_eq!(ranges(&zeros, all(FREE..2 * FREE), pieces), ["0-255", "512-1024"]);
            // The first and last block are free in part.
            assert_eq!(ranges(&zeros, all(1..2 * FREE + 1), pieces), ["0", "512-1024"]);
            // One block less is not worth it.
            assert_eq!(ranges(&zeros, all(FREE..2 * FREE - 1), pieces), ["0-1024"]);
            let two = vec![0..FREE, 2 * FREE..3 * FREE];
            assert_eq!(ranges(&zeros, two, pieces), ["256-511", "768-1024"]);
            let mut data = zeros.clone();
            data[5 * BLOCK / 2] = 1;
            data[len - 1] = 1;
            assert_eq!(ranges(&data, all(0..end), pieces), ["0-2", "1024"]);
        }
    }

    #[test]
    fn digests_are_those_of_the_bytes() {
        let data: Vec<u8> = (0..3 * BLOCK + 5).map(|n| n as u8).collect();
        let mut map = BlockMap::new(Vec::new());
        map.update(&data);
        let text = map.finish();
        let digest = hex(&Sha256::digest(&data));
        assert!(text.contains(&format!("<Range chksum=\"{digest}\"> 0-3 </Range>")), "{text}");
        let (before, rest) = text.split_once("<BmapFileChecksum> ").unwrap();
        let (checksum, after) = rest.split_at(64);
        let blank = format!("{before}<BmapFileChecksum> {}{after}", "0".repeat(64));
        assert_eq!(checksum, hex(&Sha256::digest(blank)));
    }

    #[test]
    fn nothing_has_a_map() {
        let text = BlockMap::new(Vec::new()).finish();
        assert!(text.contains("<MappedBlocksCount> 0 </MappedBlocksCount>"), "{text}");
    }
}
