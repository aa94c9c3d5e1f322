//! Files whose zeros take no room.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt as _,
};

/// What is looked at as a whole: the block of most file systems, so that no smaller hole would save
/// anything.
const BLOCK: usize = 4 << 10;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Writes a file from front to back and leaves out blocks that are all zeros: they become holes,
/// which read as zeros. Images of disks are mostly that.
#[derive(Debug)]
pub struct SparseFile {
    file: File,
    len: u64,
    written: u64,
}

impl SparseFile {
    /// `file` is empty.
    pub fn new(file: File) -> Self {
        Self { file, len: 0, written: 0 }
    }

    /// The file as far as it was written; a hole at its end is missing before
    /// [`finish`](Self::finish).
    pub fn file(&self) -> &File {
        &self.file
    }

    /// How many bytes it holds, with its holes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes it holds, without its holes.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Gives the file its length. To be called at the end.
    pub fn finish(&mut self) -> io::Result<&File> {
        self.file.set_len(self.len)?;
        Ok(&self.file)
    }

    fn put(&mut self, data: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(data, at)?;
        self.written += data.len() as u64;
        Ok(())
    }
}

impl Write for SparseFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // Nothing was ever written behind the end, so what is left out reads as zeros, whatever its
        // place and length.
        let mut start = 0;
        let mut at = 0;
        while at < data.len() {
            let place = (self.len + at as u64) % BLOCK as u64;
            let block = (BLOCK - place as usize).min(data.len() - at);
            // Comparing slices is `memcmp`, which is as fast as memory.
            if data[at..at + block] == ZEROS[..block] {
                if start < at {
                    self.put(&data[start..at], self.len + start as u64)?;
                }
                start = at + block;
            }
            at += block;
        }
        if start < at {
            self.put(&data[start..at], self.len + start as u64)?;
        }
        self.len += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn file(data: &[u8], pieces: usize) -> (Vec<u8>, u64) {
        let mut file = SparseFile::new(tempfile::tempfile().unwrap());
        for piece in data.chunks(pieces) {
            file.write_all(piece).unwrap();
        }
        assert_eq!(file.len(), data.len() as u64);
        let written = file.written();
        let mut read = vec![1; data.len()];
        let file = file.finish().unwrap();
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(file.metadata().unwrap().len(), data.len() as u64);
        assert!(
            file.metadata().unwrap().blocks() * 512 <= data.len().next_multiple_of(BLOCK) as u64
        );
        (read, written)
    }

    #[test]
    fn zeros_are_left_out_and_read_back() {
        let mut data = vec![0; 40 * BLOCK + 77];
        data[5 * BLOCK] = 1;
        data[9 * BLOCK - 1] = 2;
        data[20 * BLOCK..23 * BLOCK].fill(3);
        for pieces in [1, 511, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, data.len()] {
            let (read, written) = file(&data, pieces);
            assert!(read == data, "{pieces}");
            assert!(written <= 5 * BLOCK as u64, "{pieces}: {written}");
        }
        assert_eq!(file(&data, BLOCK).1, 5 * BLOCK as u64);
        assert_eq!(file(&[], 1).1, 0);
        assert_eq!(file(&[0; 10_000], 10_000).1, 0);
    }
}
