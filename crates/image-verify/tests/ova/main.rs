//! Appliances: what qemu-img, tar and a descriptor make gives no finding; every check has a broken
//! twin; what qemu-img, sha256sum and bsdtar refuse has one; and no bytes make the verifier panic.

#[path = "../support/findings.rs"]
mod findings;
#[path = "../support/folder.rs"]
mod folder;
mod hostile;
mod image;
#[path = "../support/twin.rs"]
mod twin;
mod twins;
mod witnesses;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use findings::{Judged, assert_twins_of, failed, told};
use image::{Package, disc, rounded_up, with_footer};
use image_model::{Compression, ImageKind, VerificationReport};
use image_verify::{Expected, Request, kind::virtualbox, ova, vmdk};
use twins::{OVA, VIRTUALBOX, VMDK};

/// Judges an appliance for x86-64.
fn verify(file: &[u8]) -> VerificationReport {
    judge(file, Expected::Kind(ImageKind::Virtualbox))
}

fn judge(file: &[u8], expected: Expected) -> VerificationReport {
    let mut scratch = Vec::new();
    let request = Request {
        expected,
        system: Some("x86_64-linux"),
        scratch: Some(&mut scratch),
        ..Request::default()
    };
    image_verify::verify(Arc::new(file.to_vec()), request).unwrap()
}

#[test]
fn good_appliances_are_silent() {
    let gzip = |bytes: Vec<u8>| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &bytes).unwrap();
        encoder.finish().unwrap()
    };
    let at_the_end = || {
        let mut package = Package::good();
        package.order.swap(1, 2);
        package.pack()
    };
    // VMware's tools escape what is special in a URI.
    let escaped = || {
        let mut package = Package::good();
        package.replace("nixos-disk001.vmdk", "nixos%2Ddisk001.vmdk");
        package.pack()
    };
    for (file, compression) in [
        (Package::good().pack(), Compression::None),
        (Package::of(rounded_up()).pack(), Compression::None),
        (Package::with_disc(disc()).pack(), Compression::None),
        (escaped(), Compression::None),
        (Package::of(with_footer()).pack(), Compression::None),
        (at_the_end(), Compression::None),
        (gzip(Package::good().pack()), Compression::Gzip),
    ] {
        for expected in [Expected::Guess, Expected::Kind(ImageKind::Virtualbox)] {
            let report = judge(&file, expected);
            assert_eq!(told(&report.findings), [""; 0]);
            assert_eq!(report.subject.format.as_deref(), Some("ova"));
            assert_eq!(report.subject.compression, compression);
            assert_eq!(report.kind, Some(ImageKind::Virtualbox));
            let disks = "the partition table, file systems and boot loader inside of the disks";
            assert_eq!(report.not_verified, [disks]);
        }
    }
    let report = judge(&Package::good().pack(), Expected::AnyKind);
    assert_eq!((report.kind, report.findings.len()), (None, 0));
    let unreached: Vec<_> = ova::CHECKS
        .iter()
        .chain(vmdk::CHECKS)
        .filter(|check| report.outcomes[check.id] == image_model::Outcome::NotReached)
        .map(|check| check.id)
        .collect();
    assert_eq!(unreached, ["vmdk-footer"]);
}

#[test]
fn what_is_called_a_disc_is_one() {
    let report = verify(&Package::with_disc(vec![0; 1 << 16]).pack());
    assert_eq!(failed(&report.findings), ["ova-disk-format".to_owned()].into());
}

/// Rounded up is one grain at most, and the descriptor of the package tells the true size.
#[test]
fn capacities_are_rounded_up_to_grains_only() {
    let mut disk = rounded_up();
    let capacity = &mut image::header(&mut disk).capacity;
    capacity.set(capacity.get() + 128);
    assert!(failed(&verify(&Package::of(disk).pack()).findings).contains("vmdk-descriptor"));
    let mut package = Package::of(rounded_up());
    let rounded = image::CAPACITY.next_multiple_of(64 << 10).to_string();
    package.replace(&image::CAPACITY.to_string(), &rounded);
    assert_eq!(failed(&verify(&package.pack()).findings), ["ova-disk-capacity".to_owned()].into());
}

#[test]
fn other_kinds_are_refused_by_name() {
    let report = judge(&Package::good().pack(), Expected::Kind(ImageKind::Sd));
    let kind = report.findings.iter().find(|finding| finding.check == "file-kind").unwrap();
    assert_eq!(kind.message, "ova, which is no image for sd");
}

#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    let mut reports = BTreeMap::new();
    for (checks, twins) in
        [(ova::CHECKS, OVA), (vmdk::CHECKS, VMDK), (virtualbox::CHECKS, VIRTUALBOX)]
    {
        assert_twins_of(checks, twins.iter().map(|twin| twin.check));
        let judged = twins.iter().map(|twin| {
            let report = verify(&(twin.make)());
            let (check, also) = (twin.check, twin.also);
            Judged { check, also, findings: report.findings, totals: report.totals }
        });
        reports.extend(findings::reports(checks, judged));
    }
    insta::assert_json_snapshot!(reports);
}
