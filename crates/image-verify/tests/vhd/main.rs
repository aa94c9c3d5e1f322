//! VHD: what QEMU makes gives no finding, and what others made none that is not told here; every
//! check has a broken twin; where QEMU refuses a disk, there is an error; and no bytes make the
//! verifier panic.

#[path = "../support/findings.rs"]
mod findings;
#[path = "../support/folder.rs"]
mod folder;
mod image;
mod samples;
mod twins;
mod witnesses;

use std::collections::BTreeMap;

use findings::{Judged, assert_twins_of, failed, reports, told};
use image_formats::bytes::Region;
use image_model::{Outcome, VerificationReport};
use image_verify::vhd;
use proptest::prelude::*;
use twins::TWINS;

fn judge(bytes: &[u8]) -> VerificationReport {
    vhd::check(&Region::from(bytes.to_vec())).unwrap()
}

#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    assert_twins_of(vhd::CHECKS, TWINS.iter().map(|twin| twin.check));
    let judged = TWINS.iter().map(|twin| {
        let report = judge(&twin.bytes());
        let (check, also) = (twin.check, twin.also);
        Judged { check, also, findings: report.findings, totals: report.totals }
    });
    let reports: BTreeMap<_, _> = reports(vhd::CHECKS, judged).into_iter().collect();
    insta::assert_json_snapshot!(reports);
}

#[test]
fn good_disks_have_no_findings() {
    for (disk, is_dynamic) in [(image::dynamic(), true), (image::fixed(), false)] {
        let report = judge(&disk.bytes);
        assert_eq!(report.findings, []);
        assert_eq!(report.outcomes["vhd-sector-bitmap"] == Outcome::Held, is_dynamic);
        assert_eq!(report.outcomes["vhd-fixed-length"] == Outcome::Held, !is_dynamic);
    }
}

/// A disk that was cut anywhere is never called good.
#[test]
fn a_cut_anywhere_is_an_error() {
    let disk = image::dynamic().bytes;
    for len in 0..disk.len() {
        assert!(!judge(&disk[..len]).passed(), "{len}");
    }
}

/// Numbers that are too large for what is done with them.
#[test]
fn extreme_numbers_do_not_panic() {
    let good = image::dynamic();
    let end = good.end();
    for at in (0..96).chain(512..600).chain(1536..1600).chain(end..end + 96).step_by(4) {
        for number in [u64::MAX, i64::MAX as u64, 1 << 63, 0xffff_fe00, 1 << 31] {
            let mut disk = good.clone();
            disk.bytes[at..at + 8].copy_from_slice(&number.to_be_bytes());
            judge(&disk.bytes);
            // The footer with its sum, and its copy.
            if disk.bytes.starts_with(b"conectix") && at < 96 {
                disk.bytes.copy_within(0..512, end);
            }
            disk.footer(|_| ());
            disk.header(|_| ());
            judge(&disk.bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        seal in any::<bool>(),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        for mut disk in [image::dynamic(), image::fixed()] {
            for (at, value) in &edits {
                // What is no block is edited most.
                let at = at.index(disk.bytes.len() + 20_000);
                let at = if at < disk.bytes.len() { at } else { at % 1600 };
                disk.bytes[at] = *value;
            }
            if seal {
                disk.footer(|_| ());
                disk.header(|_| ());
            }
            if cut {
                disk.bytes.truncate(end.index(disk.bytes.len()));
            }
            let report = judge(&disk.bytes);
            prop_assert_eq!(&report, &judge(&disk.bytes));
        }
    }
}
