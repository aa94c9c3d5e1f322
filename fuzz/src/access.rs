//! Bytes of an image, wherever they are.

use std::io;

use image_formats::bytes::ReadAt;

use crate::input::{Image, PAGE};

impl Image {
    /// As much of it as `len` bytes.
    pub(crate) fn cut(mut self, len: u64) -> Self {
        self.len = self.len.min(len);
        self
    }

    /// Fills `to` from `at` on. There are zeros beyond the end.
    pub(crate) fn get(&self, at: u64, to: &mut [u8]) {
        to.fill(0);
        let end = at.saturating_add(to.len() as u64);
        let first = (at / PAGE as u64).min(u64::from(u32::MAX)) as u32;
        for (number, page) in self.pages.range(first..) {
            let start = u64::from(*number) * PAGE as u64;
            if start >= end {
                break;
            }
            let from = at.saturating_sub(start) as usize;
            let Some(part) = page.get(from..) else { continue };
            let into = &mut to[start.saturating_sub(at) as usize..];
            let len = part.len().min(into.len());
            into[..len].copy_from_slice(&part[..len]);
        }
    }

    /// Writes `bytes` at `at`, as far as there are pages.
    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            let number = u32::try_from(at / PAGE as u64);
            if let Some(page) = number.ok().and_then(|number| self.pages.get_mut(&number)) {
                page[(at % PAGE as u64) as usize] = *byte;
            }
        }
    }
}

impl ReadAt for Image {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.get(offset, buf);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_zeros() {
        let mut bytes = vec![0; 3 * PAGE + 7];
        (bytes[PAGE + 3], bytes[3 * PAGE + 6]) = (5, 6);
        let mut image = Image::read(bytes.len() as u64, &mut &bytes[..]).unwrap();
        let mut read = vec![1; bytes.len() - 100];
        image.get(100, &mut read);
        assert_eq!(read, bytes[100..]);
        image.get(u64::MAX - 3, &mut read);
        assert!(read.iter().all(|byte| *byte == 0));
        image.put(2 * PAGE as u64 - 1, &[7, 8]);
        image.get(2 * PAGE as u64 - 1, &mut read[..2]);
        assert_eq!(read[..2], [7, 0]);
    }
}
