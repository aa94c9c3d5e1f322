//! An image that is mostly holes. This file is a module of xtask as well, which makes inputs.
//!
//! As an input: the length of the image in bytes in eight bytes, then for each page that is no hole
//! its number in four, and its bytes. Numbers are little-endian. Any bytes are an image: what is
//! missing at the end is 0, of two pages with the same number the later counts.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
};

/// Bytes in a page: an inode of ext4 as mke2fs makes it, and half a sector.
pub const PAGE: usize = 256;

/// The longest image. All tables of inodes of a file system are read, and in a build for the fuzzer
/// those of terabytes take minutes; what is so large is in tests.
const MAX_LEN: u64 = 1 << 30;

const HEADER: usize = 8;
const RECORD: usize = 4 + PAGE;

/// An image that is mostly holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// In bytes.
    pub(crate) len: u64,
    pub(crate) pages: BTreeMap<u32, [u8; PAGE]>,
}

impl Image {
    /// The image that an input stands for.
    pub fn from_input(input: &[u8]) -> Self {
        let (len, records) = input.split_at(input.len().min(HEADER));
        let mut pages = BTreeMap::new();
        for record in records.chunks(RECORD) {
            let (number, bytes) = record.split_at(record.len().min(4));
            pages.insert(u32::from_le_bytes(padded(number)), padded(bytes));
        }
        Self { len: u64::from_le_bytes(padded(len)).min(MAX_LEN), pages }
    }

    /// The input that stands for the image.
    pub fn to_input(&self) -> Vec<u8> {
        let mut input = self.len.to_le_bytes().to_vec();
        for (number, bytes) in &self.pages {
            input.extend(number.to_le_bytes());
            input.extend(bytes);
        }
        input
    }

    /// The image in a file of this many bytes, whose pages `from` yields in their order.
    pub fn read(len: u64, from: &mut impl io::Read) -> io::Result<Self> {
        let mut pages = BTreeMap::new();
        let mut number = 0;
        loop {
            let mut page = Vec::with_capacity(PAGE);
            from.by_ref().take(PAGE as u64).read_to_end(&mut page)?;
            if page.is_empty() {
                return Ok(Self { len, pages });
            }
            if page.iter().any(|byte| *byte != 0) {
                pages.insert(number, padded(&page));
            }
            number += 1;
        }
    }

    /// The image that xxd dumped: what lies between its lines are holes.
    pub fn from_xxd(text: &str) -> Option<Self> {
        let mut image = Self::default();
        // A star stands for lines of zeros.
        for line in text.lines().filter(|line| *line != "*") {
            let (at, rest) = line.split_once(':')?;
            let (hex, _) = rest.trim_start().split_once("  ")?;
            let digits: Vec<_> = hex.chars().filter(|c| *c != ' ').collect();
            let pairs = digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok());
            for (at, byte) in (u64::from_str_radix(at, 16).ok()?..).zip(pairs) {
                let number = u32::try_from(at / PAGE as u64).ok()?;
                let page = image.pages.entry(number).or_insert([0; PAGE]);
                page[(at % PAGE as u64) as usize] = byte?;
                image.len = at + 1;
            }
        }
        Some(image)
    }

    /// The pages that are no holes, with their offsets in bytes.
    pub fn pages(&self) -> impl Iterator<Item = (u64, &[u8; PAGE])> {
        self.pages.iter().map(|(number, page)| (u64::from(*number) * PAGE as u64, page))
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.len
    }
}

fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut whole = [0; N];
    whole[..bytes.len()].copy_from_slice(bytes);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_goes_through_its_input() {
        let mut bytes = vec![0; 3 * PAGE + 7];
        bytes[PAGE + 3] = 5;
        bytes[3 * PAGE + 6] = 6;
        let image = Image::read(bytes.len() as u64, &mut &bytes[..]).unwrap();
        assert_eq!(image.pages.keys().copied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(Image::from_input(&image.to_input()), image);
    }

    #[test]
    fn dumps_of_xxd_are_read() {
        let text = "00000000: eb3c 906d  .<.m\n*\n000001fe: 55aa  U.\n";
        let image = Image::from_xxd(text).unwrap();
        assert_eq!(image.length(), 512);
        assert_eq!(image.pages[&0][..5], [0xeb, 0x3c, 0x90, 0x6d, 0]);
        assert_eq!(image.pages[&1][PAGE - 2..], [0x55, 0xaa]);
    }

    #[test]
    fn any_input_is_an_image() {
        for len in [0, 1, 8, 9, 12, 13, 300, 600] {
            let image = Image::from_input(&vec![0xff; len]);
            assert!(image.len <= MAX_LEN);
        }
    }
}
