//! Data blocks and fragment blocks: each is decompressed once, in the order in which they lie, by
//! as many threads as there are processors.

use std::{
    collections::BTreeMap,
    num::NonZero,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use image_formats::{
    bytes::{ReadError, Region},
    squashfs::{Compressor, DataSize, DecodeError, Decoder, raw::SuperBlock},
};

use super::{DATA, EXPANSION_LIMIT, FRAGMENT_BLOCK, Fs, Judge, OVERLAP, TAIL, Whose};
use crate::MAX_FINDINGS_PER_CHECK;

/// The most blocks that are judged: 16 bytes each in memory.
pub(super) const MAX_BLOCKS: usize = 1 << 22;

/// The most threads: each takes two blocks and a decoder, 3 MiB in all.
const MAX_THREADS: usize = 16;

/// How much a thread takes from the list at once.
const PIECE: usize = 1 << 18;

/// Up to so many uncompressed bytes the ratio does not matter.
const UNCHECKED_LEN: u64 = 4 << 30;

/// The most uncompressed bytes for each byte of the blocks.
const RATIO: u64 = 200;

/// What a block is expected to be, in [`Block::want`]: the upper bit is that of a fragment block,
/// and then the rest its number; otherwise the bytes that are expected.
const FRAGMENT: u32 = 1 << 31;

/// A block that is to be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    start: u64,
    size: DataSize,
    want: u32,
}

impl Block {
    fn fragment(&self) -> Option<u32> {
        (self.want & FRAGMENT != 0).then_some(self.want & !FRAGMENT)
    }

    /// How many bytes may come out of it.
    fn room(&self, block_size: u32) -> usize {
        self.fragment().map_or(self.want, |_| block_size) as usize
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.size.stored_len().into())
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.start, self.size) == (other.start, other.size)
    }
}

/// All blocks that are to be read.
pub(super) struct Blocks {
    list: Vec<Block>,
    /// For each fragment block, where the last tail in it ends.
    tails: Vec<u32>,
}

impl Blocks {
    pub(super) fn new(fragments: u32) -> Self {
        Self { list: Vec::new(), tails: vec![0; fragments as usize] }
    }

    pub(super) fn add_fragment(&mut self, start: u64, size: DataSize, number: u32) {
        self.list.push(Block { start, size, want: FRAGMENT | number });
    }

    /// False where there are too many.
    pub(super) fn add(&mut self, start: u64, size: DataSize, want: u32) -> bool {
        let block = Block { start, size, want };
        // What is repeated is often repeated at once.
        if self.list.last() == Some(&block) {
            return true;
        }
        let room = self.list.len() < MAX_BLOCKS;
        if room {
            self.list.push(block);
        }
        room
    }

    pub(super) fn add_tail(&mut self, fragment: u32, end: u32) {
        if let Some(tail) = self.tails.get_mut(fragment as usize) {
            *tail = end.max(*tail);
        }
    }
}

/// Faults of one check, found in any order: the first ones, and how many there are.
#[derive(Default)]
struct Faults {
    count: u64,
    first: BTreeMap<usize, String>,
}

impl Faults {
    fn add(&mut self, index: usize, message: impl FnOnce() -> String) {
        self.count += 1;
        let full = self.first.len() as u64 >= MAX_FINDINGS_PER_CHECK;
        if full && self.first.last_key_value().is_some_and(|(last, _)| *last < index) {
            return;
        }
        if full {
            self.first.pop_last();
        }
        self.first.insert(index, message());
    }
}

/// What all threads share.
#[derive(Default)]
struct Found {
    data: Faults,
    fragments: Faults,
    tails: Faults,
    /// The failure of the machine that comes first.
    failed: Option<(usize, ReadError)>,
}

/// The work of the threads.
struct Job<'a> {
    region: &'a Region,
    compressor: Compressor,
    block_size: u32,
    blocks: &'a Blocks,
    next: AtomicUsize,
    found: Mutex<Found>,
}

impl Judge<'_> {
    /// Reads all blocks.
    pub(super) fn blocks(&mut self, fs: &mut Fs, mut blocks: Blocks) -> Result<(), ReadError> {
        blocks.list.sort_unstable();
        blocks.list.dedup();
        self.evaluated(&[&OVERLAP, &EXPANSION_LIMIT]);
        self.overlaps(&blocks);
        self.compressed(fs, &blocks);
        if !self.expansion(fs, &blocks) {
            return Ok(());
        }
        self.evaluated(&[&DATA, &FRAGMENT_BLOCK]);
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
        let job = Job {
            region: self.region,
            compressor: fs.reader.compressor(),
            block_size: fs.layout.block_size,
            blocks: &blocks,
            next: AtomicUsize::new(0),
            found: Mutex::new(Found::default()),
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| job.work());
            }
            job.work();
        });
        let found = job.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, error)) = found.failed {
            return Err(error);
        }
        let structures = [
            (&DATA, found.data, "SquashFS data block"),
            (&FRAGMENT_BLOCK, found.fragments, "SquashFS fragment block"),
            (&TAIL, found.tails, "SquashFS fragment block"),
        ];
        for (check, faults, structure) in structures {
            let rest = faults.count - faults.first.len() as u64;
            for (index, message) in faults.first {
                let block = blocks.list[index];
                let place = self.place(structure, block.start, block.size.stored_len().into());
                let whose = || match block.fragment() {
                    None => Whose::Block(block.start),
                    // The file whose tail is the last one is the first to miss something.
                    Some(number) => {
                        let end = blocks.tails[number as usize].saturating_sub(1);
                        Whose::Fragment(number, end)
                    }
                };
                self.expect_of(check, false, place, whose, || message);
            }
            let place = self.place(structure, 0, 0);
            for _ in 0..rest {
                self.expect(check, false, place, String::new);
            }
        }
        Ok(())
    }

    fn overlaps(&mut self, blocks: &Blocks) {
        let mut last: Option<Block> = None;
        for block in &blocks.list {
            let Some(before) = last.replace(*block) else { continue };
            if block.is_same(&before) {
                continue;
            }
            if block.start < before.end() {
                let place =
                    self.place("SquashFS data block", block.start, block.size.stored_len().into());
                let whose = || match block.fragment() {
                    None => Whose::Block(block.start),
                    Some(_) => Whose::Nobody,
                };
                let at = self.region.absolute(before.start);
                self.expect_of(&OVERLAP, false, place, whose, || {
                    let over = before.end() - block.start;
                    format!("the block at {at} ends {over} bytes behind the start of this one")
                });
            }
            if before.end() > block.end() {
                last = Some(before);
            }
        }
    }

    /// What the flags say of blocks.
    fn compressed(&mut self, fs: &Fs, blocks: &Blocks) {
        for (fragment, flag, what) in [
            (false, SuperBlock::UNCOMPRESSED_DATA, "data blocks"),
            (true, SuperBlock::UNCOMPRESSED_FRAGMENTS, "fragments"),
        ] {
            let mut of_kind =
                blocks.list.iter().filter(|block| block.fragment().is_some() == fragment);
            if of_kind.any(|block| block.size.is_compressed()) {
                self.is_compressed(&fs.layout.superblock, flag, what);
            }
        }
    }

    /// Whether the blocks may be read and decompressed.
    fn expansion(&mut self, fs: &Fs, blocks: &Blocks) -> bool {
        let (mut len, mut stored) = (0_u64, 0_u64);
        let mut last: Option<Block> = None;
        // The last of those that lead to one block has the most room.
        for block in blocks.list.iter().rev() {
            if last.replace(*block).is_some_and(|last| last.is_same(block)) {
                continue;
            }
            if block.size.is_compressed() {
                len = len.saturating_add(block.room(fs.layout.block_size) as u64);
            }
            stored = stored.saturating_add(block.size.stored_len().into());
        }
        let data = fs.layout.data();
        let there = data.end.saturating_sub(data.start);
        let place = self.place("SquashFS data blocks", data.start, there);
        // One place that is wrong is no reason not to read the others.
        let few = self.expect(&OVERLAP, stored <= there.saturating_mul(2), place, || {
            format!("blocks have {stored} bytes, and {there} are there: they are not read")
        });
        // Overlapping blocks cannot make much of little: no more than what lies there counts.
        let stored = stored.min(there);
        let limit = stored.saturating_mul(RATIO).max(UNCHECKED_LEN);
        few & self.expect(&EXPANSION_LIMIT, len <= limit, place, || {
            format!("{len} bytes come out of {stored}, and {limit} are the limit")
        })
    }
}

impl Job<'_> {
    /// Takes pieces of the list until there are none left.
    fn work(&self) {
        let step = (PIECE / self.block_size as usize).max(1);
        let mut decoder = Decoder::new(self.compressor);
        let mut input = Vec::new();
        let mut output = vec![0; self.block_size as usize];
        let list = &self.blocks.list;
        loop {
            let first = self.next.fetch_add(step, Ordering::Relaxed);
            if first >= list.len() {
                return;
            }
            let mut index = first;
            let end = first.saturating_add(step).min(list.len());
            while index < end {
                // What started before this piece is in the one before.
                let starts = index == 0 || !list[index - 1].is_same(&list[index]);
                if starts {
                    let same = list[index..].iter().take_while(|b| b.is_same(&list[index])).count();
                    let group = index..index + same;
                    if let Err(error) = self.block(group, &mut decoder, &mut input, &mut output) {
                        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                        if found.failed.as_ref().is_none_or(|(first, _)| index < *first) {
                            found.failed = Some((index, error));
                        }
                        // Nobody needs the rest.
                        self.next.store(list.len(), Ordering::Relaxed);
                        return;
                    }
                }
                index += 1;
            }
        }
    }

    /// Reads one block, for all that lead to it.
    fn block(
        &self,
        group: Range<usize>,
        decoder: &mut Decoder,
        input: &mut Vec<u8>,
        output: &mut [u8],
    ) -> Result<(), ReadError> {
        let list = &self.blocks.list[group.clone()];
        let block = list[0];
        // Blocks that leave the data were not added.
        let stored = block.size.stored_len() as usize;
        let len = if block.size.is_compressed() {
            input.resize(stored, 0);
            self.region.fill("SquashFS data block", block.start, input)?;
            // They are sorted, so the last one has the most room.
            let room = list.last().map_or(0, |block| block.room(self.block_size));
            decoder.decompress(input, &mut output[..room])
        } else {
            Ok(stored)
        };
        for (index, block) in group.zip(list) {
            let fault = |faults: fn(&mut Found) -> &mut Faults, message: &dyn Fn() -> String| {
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                faults(&mut found).add(index, message);
            };
            match (len, block.fragment()) {
                (Err(error), None) => fault(|found| &mut found.data, &|| match error {
                    DecodeError::Corrupt => format!("{stored} bytes do not decompress"),
                    DecodeError::TooLong => {
                        format!("{stored} bytes decompress to more than {}", block.want)
                    }
                }),
                (Err(error), Some(number)) => {
                    fault(|found| &mut found.fragments, &|| match error {
                        DecodeError::Corrupt => {
                            format!("fragment {number}: {stored} bytes do not decompress")
                        }
                        DecodeError::TooLong => format!(
                            "fragment {number}: {stored} bytes decompress to more than {}",
                            self.block_size
                        ),
                    })
                }
                (Ok(len), None) => {
                    if len != block.want as usize {
                        fault(|found| &mut found.data, &|| {
                            format!("{len} bytes come out of it, not {}", block.want)
                        });
                    }
                }
                (Ok(len), Some(number)) => {
                    let need = self.blocks.tails[number as usize];
                    if len < need as usize {
                        fault(|found| &mut found.tails, &|| {
                            format!("fragment {number} has {len} bytes, and a tail ends at {need}")
                        });
                    }
                }
            }
        }
        Ok(())
    }
}
