//! Boot records: what firmware is told to start from a disc, and from a stick of the same bytes.
//! Discs that real tools made are found right, every check has a broken twin, and no byte that
//! firmware or a boot loader looks at can change without a finding.

mod flips;
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

use image::*;
use image_formats::bytes::ReadAt;
use image_model::{Finding, ImageSpace, LayoutPart, Location, Severity};
use image_verify::{
    Recorded, Recorder, container,
    disc::{self, Disc as Judged},
    el_torito,
    hybrid::{self, Bios},
    opened::Opened,
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
            assert!(image.listed && image.sound && image.bootable, "{name}: {image:?}");
            assert_eq!(image.volume.is_some(), image.platform == 0xef, "{name}: {image:?}");
        }
    }
}

/// What firmware makes of a stick: whether a BIOS starts an image of the catalog, and how many file
/// systems UEFI firmware finds.
#[test]
fn a_stick_is_what_firmware_makes_of_it() {
    let seen = |bytes: Vec<u8>| {
        let (disc, _) = judge(bytes);
        (disc.stick.bios, disc.stick.efi.len())
    };
    let good = good().into_iter().map(|(name, bytes, _)| (name, seen(bytes)));
    let good: BTreeMap<_, _> = good.collect();
    let nothing = |why: &str| Bios::Nothing(why.to_owned());
    let (no_record, no_code) = ("no master boot record", "there is no boot code");
    for name in ["bios", "efi", "floppy", "hard-disk", "load-all", "bios-efi", "no-boot"] {
        assert_eq!(good[name], (nothing(no_record), 0), "{name}");
    }
    assert_eq!(good["protective-efi"], (nothing(no_code), 1));
    // What no table that EDK II reads leads to is not found.
    for name in ["bios-usb", "usb-efi", "gpt-hfsplus", "grub-bios", "grub-efi"] {
        assert_eq!(good[name], (Bios::Starts(1), 0), "{name}");
    }
    for name in ["all", "apm", "appended-gpt", "two-efi", "grub", "grub-marked", "grub-appended"] {
        assert_eq!(good[name], (Bios::Starts(1), 1), "{name}");
    }

    let twin = |check: &str| seen((TWINS.iter().find(|twin| twin.check == check).unwrap().make)());
    let signature = nothing("the first block has no signature");
    assert_eq!(twin("isohybrid-signature"), (signature, 0));
    assert_eq!(twin("isohybrid-boot-code"), (nothing(no_code), 1));
    assert_eq!(twin("isohybrid-code-damaged"), (nothing("the boot code is damaged"), 1));
    // What nobody knows leads there as well, by its address.
    assert_eq!(twin("isohybrid-code-known"), (Bios::Starts(1), 1));
    let nowhere = nothing("the boot code leads to no boot image");
    assert_eq!(twin("isohybrid-boot-address"), (nowhere, 1));
    let other = nothing("the boot code does not go on with boot image 1");
    assert_eq!(twin("isohybrid-isolinux"), (other.clone(), 1));
    assert_eq!(twin("isohybrid-grub-block"), (other, 1));
    assert_eq!(twin("isohybrid-protective"), (Bios::Starts(1), 1));
    for check in ["isohybrid-overlap", "isohybrid-efi-partition"] {
        assert_eq!(twin(check), (Bios::Starts(1), 0), "{check}");
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
        let (expected, found) = (also.collect::<BTreeSet<_>>(), failed((twin.make)()));
        if found != expected {
            wrong.push(format!("{}: {found:?}, not {expected:?}", twin.check));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What lies where, as reports tell it.
#[test]
fn layouts_are_told() {
    let told = |bytes: Vec<u8>| {
        let layout = Opened::Disc(judge(bytes).0).layout().unwrap().unwrap();
        assert_eq!(layout.omitted, 0);
        let part = |part: &LayoutPart| {
            let LayoutPart { name, start, len, content, label } = part;
            assert!(start + len <= layout.size);
            let label = label.as_ref().map_or(String::new(), |label| format!(" {label:?}"));
            format!("{name}: {content}{label} at {start:#x}, {len:#x} bytes")
        };
        let parts: Vec<_> = layout.parts.iter().map(part).collect();
        (layout.table.as_deref().map(str::to_owned), layout.size, parts)
    };
    let told: BTreeMap<_, _> =
        good().into_iter().map(|(name, bytes, _)| (name, told(bytes))).collect();
    insta::assert_json_snapshot!(told);
}
