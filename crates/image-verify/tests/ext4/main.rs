//! ext2, ext3 and ext4: good file systems by the real tools, and a broken twin for every check.

mod good;
mod hashes;
mod hostile;
mod image;
mod twins;

use std::collections::BTreeSet;

use image_model::{Outcome, Severity};
use image_verify::{Recorded, ext4::CHECKS};

use image::*;
use twins::{E2fsck, TWINS};

fn failed(report: &Recorded) -> BTreeSet<&str> {
    report.findings.iter().map(|finding| &*finding.check).collect()
}

/// Every check has a twin, which it alone reports; and it says the right thing about who can live
/// with it.
#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    let declared: BTreeSet<_> = CHECKS.iter().map(|check| check.id).collect();
    let twins: BTreeSet<_> = TWINS.iter().map(|twin| twin.check).collect();
    assert_eq!(declared, twins);
    let good = twins::good();
    let mut wrong = Vec::new();
    for twin in TWINS {
        let (report, volume) = judge_region(&twin.region(&good));
        let expected: BTreeSet<_> = twin.also.iter().chain([&twin.check]).copied().collect();
        let found = failed(&report);
        if found != expected {
            let findings: Vec<_> =
                report.findings.iter().map(|f| format!("{}: {}", f.at, f.message)).collect();
            wrong.push(format!("{}: {found:?}, not {expected:?}: {findings:#?}", twin.check));
        }
        let check = CHECKS.iter().find(|check| check.id == twin.check).unwrap();
        assert_eq!(report.totals.errors > 0, check.severity == Severity::Error, "{}", twin.check);
        assert!(volume.is_none() || twin.also.is_empty(), "{}", twin.check);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// e2fsck says the same, or it is known why not.
#[test]
fn e2fsck_agrees() {
    let good = twins::good();
    let (clean, text) = e2fsck(&good);
    assert!(clean, "{text}");
    let mut wrong = Vec::new();
    for twin in TWINS {
        let expected = match twin.e2fsck {
            E2fsck::Complains => false,
            E2fsck::Silent(_) => true,
            E2fsck::NotAsked(_) => continue,
        };
        let (clean, text) = e2fsck(&twin.bytes(&good));
        if clean != expected {
            wrong.push(format!("{}: {:?}\n{text}", twin.check, twin.e2fsck));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the good file system does not reach is what it does not have.
#[test]
fn a_good_file_system_reaches_all_checks() {
    let (report, volume) = judge(&twins::good());
    assert_eq!(report.findings, []);
    assert!(volume.is_some());
    let not_reached: Vec<_> =
        report.outcomes.iter().filter(|(_, outcome)| **outcome != Outcome::Held).collect();
    assert_eq!(not_reached, []);
}
