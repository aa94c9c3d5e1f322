//! ext2, ext3 and ext4: good file systems by the real tools, and a broken twin for every check.

mod contents;
#[path = "../support/contents.rs"]
mod contents_of;
mod good;
mod hashes;
mod hostile;
mod image;
#[path = "../support/limit.rs"]
mod limit;
mod twins;

use std::collections::BTreeSet;

use image_formats::bytes::Region;
use image_model::{Finding, Outcome, Severity};
use image_verify::{Recorded, ext4::CHECKS};

use image::*;
use twins::{Base, E2fsck, twins};

fn failed(report: &Recorded) -> BTreeSet<&str> {
    report.findings.iter().map(|finding| &*finding.check).collect()
}

/// Every check has a twin, which it alone reports; and it says the right thing about who can live
/// with it.
#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    let declared: BTreeSet<_> = CHECKS.iter().map(|check| check.id).collect();
    let covered: BTreeSet<_> = twins().map(|twin| twin.check).collect();
    assert_eq!(declared, covered);
    let mut wrong = Vec::new();
    for twin in twins() {
        let (report, volume) = judge_region(&twin.region());
        let expected: BTreeSet<_> = twin.also.iter().chain([&twin.check]).copied().collect();
        let base: BTreeSet<_> = twin.base.findings().iter().copied().collect();
        let found = &failed(&report) - &base;
        if found != expected {
            let findings: Vec<_> =
                report.findings.iter().map(|f| format!("{}: {}", f.at, f.message)).collect();
            wrong.push(format!("{}: {found:?}, not {expected:?}: {findings:#?}", twin.check));
        }
        let severity = |id: &&str| CHECKS.iter().find(|check| check.id == *id).unwrap().severity;
        let is_error = expected.iter().any(|id| severity(id) == Severity::Error);
        let errors = report.findings.iter().filter(|finding| !base.contains(&*finding.check));
        let errors = errors.filter(|finding| finding.severity == Severity::Error).count();
        assert_eq!(errors > 0, is_error, "{}", twin.check);
        // Files can be read beside inodes to delete, and beside blocks that are counted wrongly.
        let harmless = ["ext4-orphans", "ext4-file-blocks"];
        let alone = twin.also.iter().all(|check| harmless.contains(check));
        assert!(volume.is_none() || alone, "{}", twin.check);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// e2fsck says the same, or it is known why not.
#[test]
fn e2fsck_agrees() {
    let mut wrong = Vec::new();
    for twin in twins() {
        let expected = match twin.e2fsck {
            E2fsck::Complains => false,
            E2fsck::Silent(_) => true,
            E2fsck::NotAsked(_) => continue,
        };
        let (clean, text) = e2fsck(&twin.bytes());
        if clean != expected {
            wrong.push(format!("{}: {:?}\n{text}", twin.check, twin.e2fsck));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Nothing is wrong with what the twins are made of, and together it has all that is looked at.
#[test]
fn good_file_systems_reach_all_checks() {
    let mut reached = BTreeSet::new();
    for base in Base::ALL {
        let (clean, text) = e2fsck(base.bytes());
        assert!(clean, "{base:?}: {text}");
        let (report, _) = judge(base.bytes());
        let known = |check: &str| base.findings().contains(&check);
        let findings = report.findings.iter().filter(|finding| !known(&finding.check));
        assert_eq!(findings.collect::<Vec<_>>(), Vec::<&Finding>::new(), "{base:?}");
        let held = report.outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::Held);
        reached.extend(held.map(|(check, _)| check.to_string()));
    }
    let declared: BTreeSet<_> = CHECKS.iter().map(|check| check.id.to_owned()).collect();
    assert_eq!(reached, declared);
}

/// The library judges a part of an image alone.
#[test]
fn a_region_can_be_judged_alone() {
    let good = Base::Usual.bytes();
    let mut disk = vec![0; 4096];
    disk.extend(good);
    let region = Region::from(disk).sub("partition", 4096, good.len() as u64).unwrap();
    let report = image_verify::ext4::check(&region).unwrap();
    assert!(report.passed() && report.findings.is_empty());
    assert_eq!(report.subject.format.as_deref(), Some("ext4"));
    assert_eq!((report.subject.size, report.subject.sha256), (good.len() as u64, None));
}
