//! qcow2: what QEMU makes gives no finding, whatever it is told; every check has a broken twin;
//! where `qemu-img check` finds something, so do the checks, and the other way round but for what
//! is told here; and no bytes make the verifier panic.

#[path = "../support/findings.rs"]
mod findings;
#[path = "../support/folder.rs"]
mod folder;
mod image;
mod samples;
mod twins;
mod witnesses;

use std::{collections::BTreeMap, sync::Arc};

use findings::{Judged, assert_twins_of, failed, reports, told};
use image_formats::bytes::Region;
use image_model::{ImageKind, Outcome, VerificationReport};
use image_verify::{Expected, Request, kind, qcow2};
use proptest::prelude::*;
use twins::TWINS;

fn judge(bytes: &[u8]) -> VerificationReport {
    qcow2::check(&Region::from(bytes.to_vec())).unwrap()
}

#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    assert_twins_of(qcow2::CHECKS, TWINS.iter().map(|twin| twin.check));
    let judged = TWINS.iter().map(|twin| {
        let report = judge(&twin.bytes());
        let (check, also) = (twin.check, twin.also);
        Judged { check, also, findings: report.findings, totals: report.totals }
    });
    let reports: BTreeMap<_, _> = reports(qcow2::CHECKS, judged).into_iter().collect();
    insta::assert_json_snapshot!(reports);
}

#[test]
fn a_good_image_has_no_findings() {
    let report = judge(&image::good().bytes);
    assert_eq!(told(&report.findings), [""; 0]);
    assert_eq!(report.totals.not_reached, 0, "{:?}", report.outcomes);
}

/// What the kind asks beyond the format: its one check, held and failed.
#[test]
fn the_kind_is_asked_too() {
    let judge = |bytes: Vec<u8>, expected: Expected| {
        let request = Request { expected, ..Request::default() };
        image_verify::verify(Arc::new(bytes), request).unwrap()
    };
    let ids: Vec<_> = kind::vm::CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(ids, ["vm-snapshots"]);
    let plain = image::plain("cluster_size=4096").bytes;
    for expected in [Expected::Guess, Expected::Kind(ImageKind::Vm)] {
        let report = judge(plain.clone(), expected);
        assert_eq!((report.kind, &report.findings[..]), (Some(ImageKind::Vm), &[][..]));
        assert_eq!(report.outcomes["vm-snapshots"], Outcome::Held);
        assert_eq!(report.not_verified.len(), 1);
        let report = judge(image::good().bytes, expected);
        assert_eq!(failed(&report.findings), ["vm-snapshots".to_owned()].into());
        assert!(report.passed());
    }
    let report = judge(image::good().bytes, Expected::AnyKind);
    assert_eq!((report.kind, failed(&report.findings).len()), (None, 0));
}

/// Numbers that are too large for what is done with them.
#[test]
fn extreme_numbers_do_not_panic() {
    let good = image::good().bytes;
    for at in (0..good.len() - 8).step_by(4) {
        // What is zero is like its neighbors, and what is data is not looked at.
        let (first, word) = (good[at], &good[at..at + 8]);
        if at > 160 && word.iter().all(|byte| *byte == first) {
            continue;
        }
        for number in [u64::MAX, i64::MAX as u64, 1 << 63, 0x00ff_ffff_ffff_fe00, 0xffff_f000] {
            let mut image = good.clone();
            image[at..at + 8].copy_from_slice(&number.to_be_bytes());
            judge(&image);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        in_header in any::<bool>(),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut image = image::good();
        for (at, value) in &edits {
            let at = at.index(if in_header { 128 } else { image.bytes.len() });
            image.bytes[at] = *value;
        }
        if cut {
            image.bytes.truncate(end.index(image.bytes.len()));
        }
        let report = judge(&image.bytes);
        prop_assert_eq!(&report, &judge(&image.bytes));
    }
}
