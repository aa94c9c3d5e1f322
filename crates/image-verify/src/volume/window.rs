//! Reads what lies side by side at once: small files, and inodes.

use std::io;

use super::{PIECE, RegionReader};

/// What is kept together, and at the same time the size of a file that is no small one.
const BLOCK: u64 = 64 << 10;

/// How many blocks are kept: the files of a folder need not lie in the order of their names.
const BLOCKS: usize = 4;

/// Bytes of a region, of which those that lie near to each other are read together.
#[derive(Debug)]
pub(crate) struct Window {
    reader: RegionReader,
    /// Blocks with their numbers, the one that was used last at the end.
    blocks: Vec<(u64, Vec<u8>)>,
    /// Where something was last that was in none of them.
    missed: u64,
    /// What is read alone.
    piece: Vec<u8>,
}

impl Window {
    pub(crate) fn new(reader: RegionReader) -> Self {
        Self { reader, blocks: Vec::new(), missed: u64::MAX, piece: Vec::new() }
    }

    /// Gives `len` bytes from `at` to `sink`, in pieces and in order.
    pub(crate) fn read(
        &mut self,
        mut at: u64,
        len: u64,
        sink: &mut dyn FnMut(&[u8]),
    ) -> io::Result<()> {
        let mut left = len;
        while left > 0 {
            let part = if left < BLOCK { self.in_block(at, left) } else { None };
            let part = match part {
                Some(part) => part,
                None => self.alone(at, left)?,
            };
            sink(part);
            at += part.len() as u64;
            left -= part.len() as u64;
        }
        Ok(())
    }

    /// As much of `left` bytes as is in one block. Blocks are read where small files lie side by
    /// side, and only there.
    fn in_block(&mut self, at: u64, left: u64) -> Option<&[u8]> {
        let number = at / BLOCK;
        let known = self.blocks.iter().position(|(known, _)| *known == number);
        let block = match known {
            Some(index) => self.blocks.remove(index),
            None => {
                let is_near = self.missed.abs_diff(number) <= 1;
                self.missed = number;
                let start = number * BLOCK;
                let len = self.reader.region.len().checked_sub(start)?.min(BLOCK);
                let is_full = self.blocks.len() == BLOCKS;
                let mut block = match is_near.then_some(is_full)? {
                    true => self.blocks.remove(0).1,
                    false => Vec::new(),
                };
                block.resize(len as usize, 0);
                // What fails may be what nobody asked for: who reads it alone tells.
                self.reader.region.fill("content", start, &mut block).ok()?;
                (number, block)
            }
        };
        self.blocks.push(block);
        let (_, block) = self.blocks.last()?;
        let from = (at % BLOCK) as usize;
        let until = block.len().min(from.saturating_add(left as usize));
        block.get(from..until).filter(|part| !part.is_empty())
    }

    fn alone(&mut self, at: u64, left: u64) -> io::Result<&[u8]> {
        let len = left.min(PIECE as u64) as usize;
        // Who reads nothing but inodes needs no more than one.
        if self.piece.len() < len {
            self.piece.resize(len, 0);
        }
        let part = &mut self.piece[..len];
        self.reader.fill(at, part)?;
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use image_formats::bytes::{ReadAt, Region};

    use super::*;
    use crate::volume::Trouble;

    /// Counts how often it is read, and cannot be read everywhere.
    struct Disk {
        bytes: Vec<u8>,
        reads: AtomicUsize,
        broken: std::ops::Range<u64>,
    }

    impl ReadAt for Disk {
        fn len(&self) -> io::Result<u64> {
            ReadAt::len(&self.bytes)
        }
        fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            if offset < self.broken.end && self.broken.start < offset + buf.len() as u64 {
                return Err(io::ErrorKind::Other.into());
            }
            self.bytes.read_exact_at(offset, buf)
        }
    }

    fn disk(len: usize, broken: std::ops::Range<u64>) -> (Arc<Disk>, Trouble, Window) {
        let bytes = (0..len).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect();
        let disk = Arc::new(Disk { bytes, reads: AtomicUsize::new(0), broken });
        let region = Region::whole(Arc::clone(&disk) as _).unwrap();
        let trouble = Trouble::default();
        (disk, trouble.clone(), Window::new(RegionReader::new(region, trouble)))
    }

    fn read(window: &mut Window, at: u64, len: u64) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        window.read(at, len, &mut |part| all.extend_from_slice(part))?;
        Ok(all)
    }

    /// Whatever is read, in whatever order, is what is there.
    #[test]
    fn it_is_what_is_there() {
        let (disk, trouble, mut window) = disk(1 << 20 | 77, 0..0);
        let mut seed = 7_u64;
        for _ in 0..2000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            let at = (seed >> 33) % (1 << 20 | 77);
            let len = [1, 100, 9000, 64 << 10, 300_000][(seed >> 20) as usize % 5];
            let len = len.min((1 << 20 | 77) - at);
            let found = read(&mut window, at, len).unwrap();
            assert!(found == disk.bytes[at as usize..][..len as usize], "{at} {len}");
        }
        trouble.take().unwrap();
        assert!(read(&mut window, 1 << 20, 78).is_err());
        assert!(read(&mut window, u64::MAX - 4, 3).is_err());
    }

    #[test]
    fn small_files_that_lie_side_by_side_are_read_together() {
        let (disk, _, mut window) = disk(1 << 20, 0..0);
        // In pairs that are not in order.
        for file in 0..256_u64 {
            read(&mut window, (file ^ 1) * 4096, 3000).unwrap();
        }
        assert_eq!(disk.reads.load(Ordering::Relaxed), 1 + 16);
    }

    /// A small file that lies alone costs no more than itself.
    #[test]
    fn what_lies_alone_is_read_alone() {
        let (disk, _, mut window) = disk(1 << 20, 0..0);
        for file in 0..8 {
            read(&mut window, file * (128 << 10), 3000).unwrap();
        }
        assert_eq!(disk.reads.load(Ordering::Relaxed), 8);
        assert!(window.blocks.is_empty());
    }

    /// What cannot be read is no trouble for who does not ask for it.
    #[test]
    fn trouble_beside_is_no_trouble() {
        let (_, trouble, mut window) = disk(1 << 20, 9000..9001);
        for file in [0, 1, 3, 4] {
            read(&mut window, file * 4096, 3000).unwrap();
        }
        trouble.take().unwrap();
        read(&mut window, 8192, 3000).unwrap_err();
        assert!(trouble.take().is_err());
    }
}
