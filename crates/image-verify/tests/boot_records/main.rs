//! Boot records: what firmware is told to start from a disc, and from a stick of the same bytes.
//! Discs that real tools made are found right, every check has a broken twin, and no byte that
//! firmware or a boot loader looks at can change without a finding.

mod flips;
mod hostile;
mod image;
mod twins;
mod witnesses;

use std::{collections::BTreeSet, sync::Arc};

use image::*;
use image_formats::bytes::ReadAt;
use image_model::{Finding, ImageSpace, Location, Severity};
use image_verify::{
    Recorded, Recorder, container,
    disc::{self, Disc as Judged},
    el_torito, hybrid,
};
use twins::TWINS;

/// Judges a disc.
fn judge(bytes: Vec<u8>) -> (Judged, Recorded) {
    judge_source(&(Arc::new(bytes) as Arc<dyn ReadAt>))
}

fn judge_source(bytes: &Arc<dyn ReadAt>) -> (Judged, Recorded) {
    let mut out = Recorder::default();
    let disc = disc::verify(bytes, &mut out).unwrap();
    let whole = Location {
        structure: "disc".into(),
        space: ImageSpace::Raw,
        offset: 0,
        len: 0,
        path: None,
    };
    (disc, out.finish(&[], &container::CONTAINER, &whole))
}

/// The findings about booting, or about what is booted; others judge the file system of the disc,
/// and have tests of their own.
fn about_boot(recorded: &Recorded) -> Vec<&Finding> {
    let others = ["iso9660-", "rock-ridge-", "joliet-"];
    let is_ours =
        |finding: &&Finding| !others.iter().any(|prefix| finding.check.starts_with(prefix));
    recorded.findings.iter().filter(is_ours).collect()
}

fn failed(bytes: Vec<u8>) -> BTreeSet<String> {
    let (_, recorded) = judge(bytes);
    about_boot(&recorded).into_iter().map(|finding| finding.check.to_string()).collect()
}

#[test]
fn good_discs_are_right() {
    let foreign = FOREIGN.iter().map(|(name, told)| (*name, foreign(name), *told));
    for (name, bytes, told) in good().into_iter().chain(foreign) {
        let (disc, recorded) = judge(bytes);
        let findings = about_boot(&recorded);
        let checks: BTreeSet<&str> = findings.iter().map(|f| f.check.as_ref()).collect();
        assert_eq!(checks, told.iter().copied().collect(), "{name}: {findings:#?}");
        assert!(findings.iter().all(|f| f.severity == Severity::Info), "{name}: {findings:#?}");
        assert!(disc.volume.is_some(), "{name}");
        for image in &disc.boot {
            assert!(image.sound && image.bootable, "{name}: {image:?}");
            assert_eq!(image.volume.is_some(), image.platform == 0xef, "{name}: {image:?}");
        }
    }
}

#[test]
fn each_check_has_a_twin() {
    let declared = el_torito::CHECKS.iter().chain(hybrid::CHECKS).map(|check| check.id);
    let declared: BTreeSet<&str> = declared.collect();
    let twins: BTreeSet<&str> = TWINS.iter().map(|twin| twin.check).collect();
    assert_eq!(twins, declared);
    assert_eq!(twins.len(), TWINS.len());
}

#[test]
fn twins_fail_their_check() {
    let mut wrong = Vec::new();
    for twin in TWINS {
        let also = twin.also.iter().chain([&twin.check]).map(|id| (*id).to_owned());
        let (expected, found) = (also.collect::<BTreeSet<_>>(), failed((twin.disc)()));
        if found != expected {
            wrong.push(format!("{}: {found:?}, not {expected:?}", twin.check));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
