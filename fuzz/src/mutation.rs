//! Changes to an image that keep it one: the fuzzer's own would shift all its pages.

use crate::{
    input::{Image, PAGE},
    random::Random,
};

/// Numbers that fields of file systems break at.
const NUMBERS: [u32; 12] =
    [0, 1, 2, 7, 11, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX];

/// Changes `image` somewhere; `change` is the fuzzer's way to change a few bytes in place.
pub fn mutate(image: &mut Image, seed: u32, mut change: impl FnMut(&mut [u8])) {
    let mut random = Random::new(seed);
    loop {
        once(image, &mut random, &mut change);
        if !random.once_in(3) {
            return;
        }
    }
}

fn once(image: &mut Image, random: &mut Random, change: &mut impl FnMut(&mut [u8])) {
    let Some((number, page)) = any_page(image, random) else {
        image.pages.insert(4, [0; PAGE]);
        return;
    };
    match random.below(16) {
        0 => {
            image.pages.insert(random.any() >> random.below(32), page);
        }
        1 => {
            image.pages.insert(number.wrapping_add(random.any() % 9).wrapping_sub(4), page);
        }
        2 => {
            image.pages.remove(&number);
        }
        3 => image.len = near(random, image.len),
        4..8 => {
            // What is a number of a block or an inode somewhere is one elsewhere.
            let value = match any_page(image, random) {
                Some((_, other)) if random.once_in(2) => {
                    let at = random.below(PAGE / 4) * 4;
                    u32::from_le_bytes([other[at], other[at + 1], other[at + 2], other[at + 3]])
                }
                _ => NUMBERS[random.below(NUMBERS.len())],
            };
            let width = [1, 2, 4][random.below(3)];
            let at = random.below(PAGE / width) * width;
            let page = image.pages.entry(number).or_insert(page);
            page[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        }
        8..11 => {
            let width = [1, 2, 4][random.below(3)];
            let at = random.below(PAGE / width) * width;
            let page = image.pages.entry(number).or_insert(page);
            let field = &mut page[at..at + width];
            let mut bytes = [0; 8];
            bytes[..width].copy_from_slice(field);
            let value = near(random, u64::from_le_bytes(bytes));
            field.copy_from_slice(&value.to_le_bytes()[..width]);
        }
        _ => {
            let len = 1 << random.below(9);
            let at = random.below(PAGE / len) * len;
            change(&mut image.pages.entry(number).or_insert(page)[at..at + len]);
        }
    }
}

/// A number that is a little more or less, or has one bit that is different.
fn near(random: &mut Random, value: u64) -> u64 {
    match random.below(4) {
        0 => value ^ 1 << random.below(64),
        1 => value ^ 1 << random.below(8),
        2 => value.wrapping_add(1 + u64::from(random.any() % 16)),
        _ => value.wrapping_sub(1 + u64::from(random.any() % 16)),
    }
}

fn any_page(image: &Image, random: &mut Random) -> Option<(u32, [u8; PAGE])> {
    let count = image.pages.len();
    let (number, page) = image.pages.iter().nth(random.below(count.max(1)))?;
    Some((*number, *page))
}

/// Pages of one image in another one.
pub fn cross(one: &Image, other: &Image, seed: u32) -> Image {
    let mut random = Random::new(seed);
    let mut image = one.clone();
    let often = 1 << random.below(6);
    for (number, page) in &other.pages {
        if random.once_in(often) {
            image.pages.insert(*number, *page);
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_stay_images() {
        let mut image = Image { len: 1 << 20, ..Image::default() };
        for seed in 0..500 {
            mutate(&mut image, seed, |bytes| bytes.reverse());
            assert_eq!(Image::from_input(&image.to_input()).pages, image.pages);
            image = cross(&image, &image, seed);
        }
    }
}
