//! Images that somebody damaged on purpose: a comparison ends, and counts each byte.

use proptest::prelude::*;

use crate::{diff, image::*, told};

/// The bytes that hold structures: what is behind them is mostly zeros.
fn structures(image: &[u8]) -> Vec<usize> {
    const STEP: usize = 64;
    let used = |chunk: &[u8]| chunk.iter().any(|byte| *byte != 0);
    let chunks = image.chunks(STEP).enumerate().filter(|(_, chunk)| used(chunk));
    chunks.map(|(index, _)| index * STEP).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever is edited in one of the images, or in both: nothing panics, and every byte that
    /// differs is counted.
    #[test]
    fn edits_are_counted(
        base in 0_usize..8,
        edits in proptest::collection::vec(
            (any::<prop::sample::Index>(), 0_usize..64, any::<u8>(), any::<bool>()),
            1..12,
        ),
    ) {
        let bases: [&[u8]; 8] =
            [&EXT4, &EXT4_CHECKSUMS, &FAT, &ISO, &HYBRID, &SQUASHFS, &MBR, &GPT];
        let (mut a, mut b) = (bases[base].to_vec(), bases[base].to_vec());
        let places = structures(&a);
        for (place, within, byte, both) in edits {
            let at = (place.get(&places) + within).min(a.len() - 1);
            if both {
                a[at] = byte;
            }
            b[at] = byte;
        }
        let differ = a.iter().zip(&b).filter(|(a, b)| a != b).count() as u64;
        let comparison = diff(a, b);
        prop_assert_eq!(comparison.same, differ == 0);
        if let Some(bytes) = comparison.bytes {
            prop_assert_eq!(bytes.differ, differ, "{:?}", told(&comparison));
        } else {
            prop_assert_eq!(differ, 0);
        }
    }

    /// The same of archives, which have no checksums but of headers.
    #[test]
    fn archives_are_compared(at in 0_usize..4096, byte: u8, cut in 0_usize..9000) {
        let a = plain_tar();
        let mut b = a.clone();
        b[at] = byte;
        b.truncate(b.len().saturating_sub(cut / 10 * 10).max(1));
        prop_assert_eq!(diff(a.clone(), b.clone()).same, a == b);
    }
}
