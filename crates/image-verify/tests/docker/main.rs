//! Container images: what umoci and skopeo make, and what nixpkgs makes, gives no finding; every
//! check has a broken twin; the files are those that umoci unpacks; and no bytes make the verifier
//! panic.

#[path = "../support/findings.rs"]
mod findings;
#[path = "../support/folder.rs"]
mod folder;
mod hostile;
mod image;
#[path = "../support/limit.rs"]
mod limit;
#[path = "../support/twin.rs"]
mod twin;
mod twins;
mod witnesses;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use findings::{Judged, assert_twins_of, failed, reports, told};
use image::{Image, gzip};
use image_model::{Compression, ImageKind, Outcome, VerificationReport};
use image_verify::{Expected, Limits, Request, docker, kind};
use twin::Twin;
use twins::{FORMAT, KIND, MORE};

fn verify(file: &[u8]) -> VerificationReport {
    judge(file, Expected::Kind(ImageKind::Docker), Limits::default())
}

fn judge(file: &[u8], expected: Expected, limits: Limits) -> VerificationReport {
    let mut scratch = Vec::new();
    let request = Request {
        expected,
        limits,
        system: Some("x86_64-linux"),
        scratch: Some(&mut scratch),
        ..Request::default()
    };
    image_verify::verify(Arc::new(file.to_vec()), request).unwrap()
}

#[test]
fn good_images_are_silent() {
    let good = Image::good;
    // nixpkgs writes layers again that the image below has already.
    let mut twice = good().parts();
    twice.insert(2, twice[0].clone());
    for (file, compression) in [
        (image::pack(&twice), Compression::None),
        (good().pack(), Compression::None),
        (Image { compressed: true, ..good() }.pack(), Compression::None),
        (Image { oci: true, ..good() }.pack(), Compression::None),
        (Image { oci: true, compressed: true, ..good() }.pack(), Compression::None),
        (gzip(&good().pack()), Compression::Gzip),
        (zstd::encode_all(&good().pack()[..], 3).unwrap(), Compression::Zstd),
    ] {
        for expected in [Expected::Guess, Expected::Kind(ImageKind::Docker)] {
            let report = judge(&file, expected, Limits::default());
            assert_eq!(told(&report.findings), [""; 0]);
            assert_eq!(report.subject.format.as_deref(), Some("docker-archive"));
            assert_eq!(report.subject.compression, compression);
            assert_eq!(report.kind, Some(ImageKind::Docker));
            assert_eq!(report.not_verified, ["whether the program of the container runs"]);
        }
    }
    let report = verify(&Image { oci: true, compressed: true, ..good() }.pack());
    let checks = docker::CHECKS.iter().chain(kind::docker::CHECKS);
    let unreached: Vec<_> =
        checks.filter(|check| report.outcomes[check.id] == Outcome::NotReached).collect();
    assert!(unreached.is_empty(), "{unreached:?}");
}

/// What is to be unpacked as it is, is no image.
#[test]
fn a_root_file_system_is_told_from_an_image() {
    let report = verify(&image::upper(Vec::new()));
    let kind = report.findings.iter().find(|finding| finding.check == "file-kind").unwrap();
    let message = "tar, which is no image for docker: a root file system for `docker import`, and \
        not for `docker load`";
    assert_eq!(kind.message, message);
    let wsl = judge(&Image::good().pack(), Expected::Kind(ImageKind::Wsl), Limits::default());
    let kind = wsl.findings.iter().find(|finding| finding.check == "file-kind").unwrap();
    assert!(kind.message.starts_with("docker-archive, which is no image for wsl: the root file"));
}

fn verify_twin(twin: &Twin) -> VerificationReport {
    let limits = match twin.check {
        "docker-layer-expansion" => {
            Limits { unchecked_raw_len: 1 << 20, ratio: 100, ..Limits::default() }
        }
        _ => Limits::default(),
    };
    judge(&(twin.make)(), Expected::Kind(ImageKind::Docker), limits)
}

#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    assert_twins_of(docker::CHECKS, FORMAT.iter().map(|twin| twin.check));
    assert_twins_of(kind::docker::CHECKS, KIND.iter().map(|twin| twin.check));
    let checks = [docker::CHECKS, kind::docker::CHECKS].concat();
    let judged = FORMAT.iter().chain(KIND).chain(MORE).map(|twin| {
        let report = verify_twin(twin);
        let (check, also) = (twin.check, twin.also);
        Judged { check, also, findings: report.findings, totals: report.totals }
    });
    let reports = reports(&checks, judged).into_iter().enumerate();
    let reports: BTreeMap<_, _> =
        reports.map(|(number, (check, told))| (format!("{number:02} {check}"), told)).collect();
    insta::assert_json_snapshot!(reports);
}
