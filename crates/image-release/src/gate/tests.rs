//! What passes the gate, and what does not.

use std::borrow::Cow;

use image_model::{Finding, ImageKind, ImageSpace, Location};

use super::*;
use crate::testing::dist::{Dist, digests};

impl Dist {
    fn judge(&self, allowed: Allowed) -> Result<Vec<Passed>, GateError> {
        judge(self.dir.path(), &self.names, allowed, &|_| None, &|_| ())
    }

    #[track_caller]
    fn refusals(&self, allowed: Allowed) -> Vec<String> {
        let here = self.dir.path().to_string_lossy();
        match self.judge(allowed) {
            Err(GateError::Refused { refusals }) => {
                let shown =
                    refusals.iter().map(|refusal| refusal.to_string().replace(&*here, "dist"));
                shown.collect()
            }
            other => panic!("{other:?}"),
        }
    }
}

const STRICT: Allowed = Allowed { unverified: false, mini: false };
const LAX: Allowed = Allowed { unverified: true, mini: true };

#[test]
fn good_images_pass() {
    let dist = Dist::new();
    fs::write(dist.path("wsl", "notes.txt"), "mine").unwrap();
    let passed = dist.judge(STRICT).unwrap();
    assert_eq!(passed.len(), 4);
    assert!(passed.iter().all(|image| image.unverified.is_none() && image.files.len() == 1));
}

#[test]
fn what_is_damaged_never_passes() {
    type Damage = (&'static str, fn(&Dist), &'static str);
    let damages: [Damage; 12] = [
        (
            "byte",
            |d| fs::write(d.path("wsl", "nixos.wsl"), "the bytes of wsk").unwrap(),
            "wsl: nixos.wsl was changed after it was verified: its manifest has sha256 ",
        ),
        (
            "length",
            |d| fs::write(d.path("wsl", "nixos.wsl"), "the").unwrap(),
            "wsl: dist/wsl/nixos.wsl has 3 bytes, and not 16 (cargo xtask image wsl)",
        ),
        (
            "file",
            |d| fs::remove_file(d.path("wsl", "nixos.wsl")).unwrap(),
            "wsl: dist/wsl/nixos.wsl is not there",
        ),
        (
            "pipe",
            |d| {
                let path = d.path("wsl", "nixos.wsl");
                fs::remove_file(&path).unwrap();
                fs::create_dir(&path).unwrap();
            },
            "is no regular file",
        ),
        (
            "report",
            |d| fs::remove_file(d.path("wsl", "verification.json")).unwrap(),
            "wsl: dist/wsl/verification.json, its report, is not there",
        ),
        (
            "edited report",
            |d| fs::write(d.path("wsl", "verification.json"), "{}").unwrap(),
            "wsl: dist/wsl/verification.json was changed after it was written",
        ),
        (
            "manifest",
            |d| fs::write(d.path("wsl", "manifest.json"), "{}").unwrap(),
            "wsl: dist/wsl/manifest.json is no manifest that this version",
        ),
        (
            "no manifest",
            |d| fs::remove_file(d.path("wsl", "manifest.json")).unwrap(),
            "wsl: dist/wsl/manifest.json is not there",
        ),
        (
            "nothing",
            |d| fs::remove_dir_all(d.dir.path().join("wsl")).unwrap(),
            "wsl: dist/wsl is not there (cargo xtask image wsl)",
        ),
        (
            "other image",
            |d| d.edit("wsl", |m, _| m.image = "iso".to_owned()),
            "wsl: dist/wsl/manifest.json is that of iso",
        ),
        (
            "outside",
            |d| d.edit("wsl", |m, _| m.artifacts[0].file = "../iso/x".to_owned()),
            "a name has letters",
        ),
        (
            "other bytes",
            |d| d.edit("wsl", |_, r| r.subject.sha256 = Some(Sha256([7; 32]))),
            "and the manifest do not agree: it is about sha256 0707",
        ),
    ];
    for (name, damage, expected) in damages {
        let dist = Dist::new();
        damage(&dist);
        for allowed in [STRICT, LAX] {
            let refusals = dist.refusals(allowed);
            assert_eq!(refusals.len(), 1, "{name}: {refusals:#?}");
            assert!(refusals[0].contains(expected), "{name}: {refusals:#?}");
        }
    }
}

#[test]
fn what_nobody_verified_passes_if_it_is_allowed_and_says_so() {
    type Edit = (fn(&mut Manifest, &mut VerificationReport), &'static str);
    let edits: [Edit; 5] = [
        (
            |_, r| r.verifier.version = Cow::Borrowed("0.0.1"),
            "it was verified by image-verify 0.0.1, and this is image-verify ",
        ),
        (|_, r| r.verifier.name = Cow::Borrowed("eyes"), "it was verified by eyes "),
        (|_, r| r.totals.errors = 2, "its report has 2 errors"),
        (|_, r| r.kind = None, "only its format was judged, and not that it is wsl"),
        (|_, r| r.kind = Some(ImageKind::Docker), "it was judged as docker, and is to be wsl"),
    ];
    for (edit, expected) in edits {
        let dist = Dist::new();
        dist.edit("wsl", edit);
        let refusals = dist.refusals(Allowed { mini: true, ..STRICT });
        assert!(refusals[0].contains(expected), "{refusals:#?}");
        assert!(refusals[0].ends_with("(cargo xtask image wsl, or --allow-unverified)"));
        let passed = dist.judge(Allowed { mini: false, ..LAX }).unwrap();
        let why = passed[0].unverified.as_deref().unwrap();
        assert!(why.starts_with(expected), "{why}");
        assert!(passed[1..].iter().all(|image| image.unverified.is_none()));
    }
}

#[test]
fn an_error_counts_whatever_the_totals_say() {
    let dist = Dist::new();
    dist.edit("wsl", |_, report| {
        report.findings.push(Finding {
            check: Cow::Borrowed("wsl-init"),
            severity: Severity::Error,
            waived: false,
            at: Location {
                structure: Cow::Borrowed("tar"),
                space: ImageSpace::Raw,
                offset: 0,
                len: 0,
                path: None,
            },
            message: "there is none".to_owned(),
        });
    });
    let refusals = dist.refusals(STRICT);
    assert!(refusals[0].contains("its report has an error, such as wsl-init"), "{refusals:#?}");
    dist.edit("wsl", |_, report| report.findings[0].waived = true);
    assert!(dist.judge(STRICT).is_ok());
}

#[test]
fn a_mini_system_passes_only_if_it_is_allowed() {
    let dist = Dist::new();
    dist.edit("wsl", |manifest, _| manifest.source.driver = Driver::Mini);
    dist.edit("vm", |manifest, _| manifest.distribution = "mini".to_owned());
    let refusals = dist.refusals(Allowed { unverified: true, mini: false });
    assert_eq!(refusals.len(), 2);
    assert!(refusals[0].starts_with("wsl: it is a mini system, and not NixOS"));
    assert!(dist.judge(Allowed { mini: true, ..STRICT }).is_ok());
}

#[test]
fn all_is_told_at_once() {
    let dist = Dist::new();
    dist.edit("wsl", |manifest, report| {
        manifest.source.driver = Driver::Mini;
        report.totals.errors = 1;
    });
    fs::write(dist.path("iso", "nixos-iso.iso"), "the bytes of iSo").unwrap();
    fs::remove_dir_all(dist.dir.path().join("vm")).unwrap();
    let error = dist.judge(STRICT).unwrap_err().to_string();
    assert!(error.starts_with("3 images may not be released\n  wsl: it is a mini"), "{error}");
    assert_eq!(error.lines().count(), 5, "{error}");
}

#[test]
fn a_treemap_is_taken_if_the_sums_have_it() {
    let dist = Dist::new();
    let svg = dist.path("wsl", "nixos.wsl.sizes.svg");
    fs::write(&svg, "<svg/>").unwrap();
    assert_eq!(dist.judge(STRICT).unwrap()[0].sizes, None);
    let sum = digests(b"<svg/>").sha256;
    let line = format!("{sum}  nixos.wsl.sizes.svg\n");
    fs::write(dist.path("wsl", "SHA256SUMS"), line).unwrap();
    assert_eq!(dist.judge(STRICT).unwrap()[0].sizes.as_deref(), Some("<svg/>"));
    fs::write(&svg, "<svg onload='x'/>").unwrap();
    assert!(dist.refusals(LAX)[0].contains("sizes.svg was changed after it was written"));
}

#[test]
fn names_are_checked_first() {
    let dist = Dist::new();
    let judge = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        judge(dist.dir.path(), &names, STRICT, &|_| None, &|_| ()).unwrap_err()
    };
    assert!(matches!(judge(&["wsl", "wsl"]), GateError::Twice { .. }));
    assert!(matches!(judge(&["../wsl"]), GateError::NoName { .. }));
    assert!(matches!(judge(&[]), GateError::Nothing));
}
