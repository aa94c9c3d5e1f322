//! Any bytes at all: no panic, no more time and memory than the limits allow, and every finding
//! names a check that was declared.

#![no_main]

use image_fuzz::{Image, cross, judge_squashfs, mutate, store};
use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|input: &[u8]| judge_squashfs(Image::from_input(input)));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut image = Image::from_input(&data[..size]);
    mutate(&mut image, seed, |bytes| {
        let len = bytes.len();
        fuzzer_mutate(bytes, len, len);
    });
    store(&image, &mut data[..max_size])
});

fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
    let image = cross(&Image::from_input(one), &Image::from_input(other), seed);
    store(&image, out)
});
