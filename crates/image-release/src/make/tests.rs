//! What is in a release: names, roles, media types, and that nothing else decides of the bytes.

use std::fs;

use image_model::Severity;

use super::*;
use crate::testing::{
    self,
    dist::{Dist, files},
};

fn options(dist: &Dist) -> Options {
    let base_url = Some("https://images.example.org/nixos/{version}".to_owned());
    Options {
        version: "26.05.1".to_owned(),
        images: dist.names.clone(),
        dist: dist.dir.path().to_owned(),
        spec: ReleaseSpec { base_url, ..testing::release().spec },
        allowed: Allowed::default(),
        epoch: None,
        signers: Vec::new(),
    }
}

fn made(options: &Options) -> Made {
    make(options, &|_| ()).unwrap()
}

#[test]
fn each_file_has_its_role_and_its_media_type() {
    let dist = Dist::new();
    let made = made(&options(&dist));
    let line = |file: &ReleaseFile| {
        let also = file.also.as_ref().map(|also| format!(" (also {also})")).unwrap_or_default();
        format!("{:14} {:30} {}{also}\n", file.role.as_str(), file.media_type, file.file)
    };
    insta::assert_snapshot!(made.manifest.files.iter().map(line).collect::<String>());

    // What is in the folder is what the manifest says, and the lists of checksums.
    let mut listed: Vec<_> = made.manifest.files.iter().map(|file| file.file.as_str()).collect();
    listed.extend([MANIFEST, SUMS]);
    listed.sort_unstable();
    let files = files(&made.folder);
    assert_eq!(files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), listed);
    let read = |wanted: &str| {
        let file = files.iter().find(|(name, _)| name == wanted);
        String::from_utf8(file.unwrap().1.clone()).unwrap()
    };
    let manifest: ReleaseManifest = serde_json::from_str(&read(MANIFEST)).unwrap();
    assert_eq!(manifest, made.manifest);
    let sums = read(SUMS);
    assert_eq!(sums.lines().count(), listed.len() - 1);
    let of_manifest = testing::dist::digests(read(MANIFEST).as_bytes()).sha256;
    assert!(sums.contains(&format!("{of_manifest}  {MANIFEST}\n")), "{sums}");
    let twin = read("nixos-26.05.1.wsl.sha256");
    assert!(twin.ends_with("  nixos-26.05.1.wsl\n") && sums.contains(&twin), "{twin}");
}

#[test]
fn the_same_input_gives_the_same_bytes_wherever_it_lies() {
    let (one, other) = (Dist::new(), Dist::new());
    let first = files(&made(&options(&one)).folder);
    // An earlier release of the version is replaced.
    fs::remove_file(one.dir.path().join("release/26.05.1/index.html")).unwrap();
    for dist in [&one, &other] {
        let again = files(&made(&options(dist)).folder);
        assert!(first == again);
        assert_eq!(fs::read_dir(dist.dir.path().join("release")).unwrap().count(), 1);
    }
}

#[test]
fn the_time_is_the_one_that_was_given() {
    let dist = Dist::new();
    let created = |epoch| made(&Options { epoch, ..options(&dist) }).manifest.created;
    // Whatever the environment of the tests says.
    assert_eq!(created(None), None);
    assert_eq!(created(Some(1_787_204_541)).as_deref(), Some("2026-08-20T05:42:21Z"));
}

#[test]
fn what_is_let_in_is_recorded_and_told() {
    let dist = Dist::new();
    dist.edit("iso", |_, report| report.kind = None);
    let allowed = Allowed { unverified: true, mini: false };
    let made = made(&Options { allowed, ..options(&dist) });
    let [_, _, iso, _] = &made.manifest.images[..] else { panic!("{:#?}", made.manifest) };
    let why = "only its format was judged, and not that it is iso";
    assert_eq!(iso.unverified.as_deref(), Some(why));
    assert!(made.notes.contains(&format!("iso is not verified: {why}")), "{:#?}", made.notes);
    // A number that no header of the file has: it is no zstd file at all.
    let imager = made.notes.iter().filter(|note| note.contains("Raspberry Pi Imager")).count();
    assert!(imager > 0, "{:#?}", made.notes);
    let needs = needs::of_manifest(&made.manifest);
    assert!(needs.iter().any(|need| need.severity != Severity::Info), "{needs:#?}");
}

#[test]
fn a_version_that_is_none_and_two_files_of_one_name_are_refused() {
    let dist = Dist::new();
    let fails = |options: Options| make(&options, &|_| ()).unwrap_err();
    let error = fails(Options { version: "latest".to_owned(), ..options(&dist) });
    assert!(matches!(error, MakeError::Name(NameError::Version { .. })), "{error:?}");
    // A stream is a file of its name.
    let spec = ReleaseSpec { stream: "manifest".to_owned(), ..testing::release().spec };
    let error = fails(Options { spec, ..options(&dist) });
    let text = "catalog and manifest would both be called manifest.json in the release";
    assert_eq!((error.to_string().as_str(), error.fault()), (text, Fault::Usage));
    dist.edit("vm", |manifest, _| manifest.artifacts[0].file = "nixos.wsl".to_owned());
    fs::rename(dist.path("vm", "nixos-vm.qcow2"), dist.path("vm", "nixos.wsl")).unwrap();
    let error = fails(options(&dist)).to_string();
    assert_eq!(error, "wsl and vm would both be called nixos-26.05.1.wsl in the release");
    assert_eq!(fs::read_dir(dist.dir.path()).unwrap().count(), dist.names.len());
}
