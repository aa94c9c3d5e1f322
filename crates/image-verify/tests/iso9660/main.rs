//! ISO 9660: good images give no finding, every check has a broken twin, bsdtar, isoinfo and
//! xorriso see the same, and no bytes make the verifier panic.

mod hostile;
mod image;
#[path = "../support/limit.rs"]
mod limit;
mod shapes;
mod twins;
mod witnesses;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use image::*;
use image_formats::bytes::Region;
use image_model::{Finding, ImageSpace, Location, Severity};
use image_verify::{
    Recorded, Recorder, UNUSED_WAIVER, iso9660,
    volume::{Trouble, Volume},
};
use twins::{TWINS, Twin};

/// Judges a volume that is called `disc`.
fn judge(region: &Region) -> (Recorded, Option<Volume>) {
    let (trouble, mut out) = (Trouble::default(), Recorder::default());
    let volume = iso9660::verify(region, "disc", &trouble, &mut out).unwrap();
    let whole = Location {
        structure: "disc".into(),
        space: ImageSpace::Raw,
        offset: 0,
        len: 0,
        path: None,
    };
    trouble.take().unwrap();
    (out.finish(&[], &UNUSED_WAIVER, &whole), volume)
}

fn judge_bytes(bytes: &[u8]) -> (Recorded, Option<Volume>) {
    judge(&Region::from(bytes.to_vec()))
}

fn failed(recorded: &Recorded) -> BTreeSet<String> {
    recorded.findings.iter().map(|finding| finding.check.to_string()).collect()
}

/// What xorriso and genisoimage write gives no warning, whatever they are told to write.
#[test]
fn good_images_are_silent() {
    for Made { options, bytes, .. } in matrix() {
        let (recorded, volume) = judge_bytes(bytes);
        let loud = recorded.findings.iter().filter(|f| f.severity != Severity::Info);
        assert_eq!(loud.collect::<Vec<_>>(), [] as [&Finding; 0], "{options}");
        assert_eq!(volume.unwrap().label, "nixos-test-x86_64");
    }
}

/// xorriso writes a second session behind the first, and its descriptors over those of the first.
#[test]
fn a_second_session_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disc.iso");
    fs::write(&image, nixos()).unwrap();
    let file = folder.path().join("new");
    fs::write(&file, [b'n'; 3000]).unwrap();
    let argv = ["xorriso", "-report_about", "SORRY", "-dev", image.to_str().unwrap()];
    let add = ["-joliet", "on", "-map", file.to_str().unwrap(), "/EFI/new", "-commit"];
    succeed("xorriso", &argv.into_iter().chain(add).collect::<Vec<_>>());
    let (recorded, volume) = judge_bytes(&fs::read(image).unwrap());
    assert_eq!(recorded.findings, []);
    let volume = volume.unwrap();
    let new = volume.find_file(b"/EFI/new").unwrap();
    assert_eq!(volume.content(new, 1 << 20).unwrap(), [b'n'; 3000]);
    assert!(volume.find_file(TARGET.as_bytes()).is_some());
}

/// A twin fails with its check, those that it names, and no other.
#[test]
fn twins_fail_with_their_checks() {
    let mut wrong = Vec::new();
    for twin in TWINS {
        let Twin { check, also, .. } = twin;
        let (recorded, _) = judge_bytes(&twin.image());
        let want: BTreeSet<_> =
            [check].into_iter().chain(*also).map(|id| (*id).to_owned()).collect();
        if failed(&recorded) != want {
            wrong.push((check, recorded.findings));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_check_has_a_twin() {
    let twins: BTreeSet<_> = TWINS.iter().map(|twin| twin.check).collect();
    assert_eq!(twins.len(), TWINS.len());
    assert_eq!(twins, iso9660::CHECKS.iter().map(|check| check.id).collect());
}

/// What the findings of all twins say.
#[test]
fn messages() {
    let reports: BTreeMap<_, _> = TWINS
        .iter()
        .map(|twin| {
            let (recorded, _) = judge_bytes(&twin.image());
            let lines = recorded.findings.iter().map(|f| {
                format!(
                    "{} {:#x} {} {}: {}",
                    f.severity.as_str(),
                    f.at.offset,
                    f.at.structure,
                    f.at.path.as_deref().unwrap_or("-"),
                    f.message
                )
            });
            (twin.check, lines.collect::<Vec<_>>())
        })
        .collect();
    insta::assert_json_snapshot!(reports);
}
