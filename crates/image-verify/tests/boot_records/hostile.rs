//! No bytes make the judge panic, or keep it busy.

use std::time::Instant;

use proptest::prelude::*;

use super::{image::*, judge, limit::LIMIT};

/// Judges a disc within the limit, and returns how many findings there are.
fn bounded(bytes: Vec<u8>) -> usize {
    let start = Instant::now();
    let (_, recorded) = judge(bytes);
    assert!(start.elapsed() < LIMIT);
    recorded.findings.len()
}

/// A structure, by the disc and the place where it is.
fn structures() -> Vec<(&'static [u8], usize, usize)> {
    let iso = |disc: &'static Disc| disc.as_slice();
    let mut all = vec![
        (iso(&ALL), RECORD, SECTOR),
        (iso(&ALL), catalog(&ALL), SECTOR),
        (iso(&ALL), image(&ALL, 1), 128),
        (iso(&ALL), image(&ALL, 3), 512),
        (iso(&ALL), 0, 512),
        (iso(&ALL), 432, 80),
        (iso(&ALL), 512, 512),
        (iso(&ALL), 1024, 1024),
        (iso(&APM), 0, 512),
        (iso(&APM), SECTOR, 2 * SECTOR),
        (iso(&HARD_DISK), image(&HARD_DISK, 1), 512),
        (iso(&FLOPPY), catalog(&FLOPPY), 64),
    ];
    let end = ALL.len() - 512;
    all.push((iso(&ALL), end, 512));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    /// A structure of noise.
    #[test]
    fn noise(which in 0..13_usize, noise in prop::collection::vec(any::<u8>(), 2 * SECTOR)) {
        let (disc, at, len) = structures()[which];
        let mut disc = disc.to_vec();
        put(&mut disc, at, &noise[..len]);
        bounded(disc);
    }

    /// Some bytes of a structure that are extreme numbers.
    #[test]
    fn extremes(
        which in 0..13_usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize), 1..6),
    ) {
        let (disc, at, len) = structures()[which];
        let mut disc = disc.to_vec();
        for (index, kind) in edits {
            let bytes: &[u8] = [&[0_u8; 4][..], &[0xff; 4], &[0xff, 0xff, 0xff, 0x7f], &[1, 0, 0, 0]][kind];
            put(&mut disc, at + index.index(len - 3), bytes);
        }
        if which == 6 || which == 7 {
            // What is behind a right checksum is looked at.
            let array = number(&disc, 512 + 72).saturating_mul(512);
            let many = number(&disc, 512 + 80).saturating_mul(number(&disc, 512 + 84));
            if let Some(entries) = disc.get(array..array.saturating_add(many)) {
                let crc = crc32fast::hash(entries);
                put(&mut disc, 512 + 88, &crc.to_le_bytes());
            }
            put(&mut disc, 512 + 16, &[0; 4]);
            let crc = crc32fast::hash(&disc[512..512 + 92]);
            put(&mut disc, 512 + 16, &crc.to_le_bytes());
        }
        bounded(disc);
    }
}

#[test]
fn a_disc_that_is_cut_is_told() {
    for disc in [&ALL, &GRUB_ALL, &APM] {
        let ends = (0..RECORD + 8 * SECTOR).step_by(1000).chain((0..disc.len()).step_by(60_000));
        for end in ends {
            assert!(bounded(disc[..end].to_vec()) > 0, "{end}");
        }
    }
}

/// 62 entries that lead to file systems, and to images of 4 MiB whose checksums are computed.
#[test]
fn many_entries_are_cheap() {
    let mut disc = EFI_ONLY.clone();
    let (at, fat) = (catalog(&disc), image(&disc, 1));
    let file_system = disc[fat..fat + 256 * 512].to_vec();
    disc.resize(disc.len().next_multiple_of(SECTOR), 0);
    for index in 0..62 {
        let place = disc.len();
        let record = at + 32 * (index + 1);
        let is_efi = index % 2 == 1;
        put(&mut disc, record, &[0x88, 0, 0, 0, 0, 0, 4, 0]);
        put(&mut disc, record + 8, &((place / SECTOR) as u32).to_le_bytes());
        disc.extend(&file_system);
        if !is_efi {
            put(&mut disc, place + 64, &[0xfb, 0xc0, 0x78, 0x70]);
            put(&mut disc, place + 16, &(4_u32 << 20).to_le_bytes());
        }
    }
    // Two sections, for both platforms, in one: who counts does not matter here.
    put(&mut disc, at + 64, &[0x91, 0, 60, 0]);
    disc.resize(disc.len() + (4 << 20), 0);
    assert!(bounded(disc) > 0);
}
