//! Releases that are made of two, each of which is good.

use image_model::{ImageKind, VerificationReport};

use super::*;

/// The same images, one version later.
fn next() -> Memory {
    let rename = |text: &str| text.replace("26.05.1", "26.05.2");
    Stage {
        release: Some(Box::new(move |release| {
            release.version = "26.05.2".to_owned();
            release.spec.base_url = release.spec.base_url.as_deref().map(rename);
            let base = release.base_url.as_ref().map(|url| rename(url.as_str()).parse().unwrap());
            release.base_url = base;
        })),
        ..Stage::default()
    }
    .make()
}

/// A good release, with some of the files of another one in it.
fn mixed(of: &Memory, names: &[&str]) -> Vec<String> {
    let mut memory = Stage::default().make();
    memory.version = Some("26.05.1".to_owned());
    for name in names {
        memory.files.insert((*name).to_owned(), of.files[*name].clone());
    }
    let report = check_with_keys(&memory);
    assert!(!report.passed(), "{names:?}");
    failed(&report).into_iter().map(str::to_owned).collect()
}

#[test]
fn what_belongs_to_another_release_is_found() {
    let next = next();
    // All that is signed is of the other one: each of its signatures is good.
    let list = ["SHA256SUMS", "SHA256SUMS.minisig", "SHA256SUMS.gpg"];
    let found = mixed(&next, &list);
    assert!(found.contains(&"release-file-digest".to_owned()), "{found:?}");
    assert!(!found.iter().any(|id| id.starts_with("release-signature")), "{found:?}");
    let found = mixed(&next, &["SHA256SUMS.minisig"]);
    // Attestations are by who did not sign the release, as far as is known.
    let ids = ["release-attestation-signature", "release-signature", "release-wanted-key"];
    assert_eq!(found, ids);
    assert_eq!(mixed(&next, &["manifest.json"]), ["release-file-digest"]);
    assert_eq!(mixed(&next, &["index.html"]), ["release-file-size"]);

    // All of it.
    let mut whole = next.clone();
    whole.version = Some("26.05.2".to_owned());
    let found = check_with_keys(&whole);
    let ids = failed(&found);
    // The names of its images are those of the first one.
    assert!(ids.contains(&"release-version"), "{ids:?}");
}

#[test]
fn a_release_in_the_place_of_a_newer_one_is_found() {
    let mut memory = Stage::default().make();
    memory.version = Some("26.05.2".to_owned());
    assert_eq!(failed(&check_with_keys(&memory)), ["release-place"]);
}

#[test]
fn a_signature_that_was_taken_away_is_missed() {
    let mut memory = Stage::default().make();
    memory.files.remove("SHA256SUMS.gpg");
    let keys = keys().public();
    let report = check(&memory, &keys[..1], &|_| ()).unwrap();
    assert_eq!(failed(&report), ["release-signatures-declared"]);
    let report = check(&memory, &keys, &|_| ()).unwrap();
    assert_eq!(failed(&report), ["release-signatures-declared", "release-wanted-key"]);
    assert_eq!(report.findings[0].message.split(": ").last(), Some("there is no SHA256SUMS.gpg"));

    // All of them, and nobody asks for a key: the manifest tells.
    memory.files.remove("SHA256SUMS.minisig");
    let report = check(&memory, &[], &|_| ()).unwrap();
    let ids = ["release-attestation-signature", "release-signatures-declared", "release-unsigned"];
    assert_eq!(failed(&report), ids);
}

#[test]
fn a_report_that_judged_something_else_is_no_passing_one() {
    let edits: [fn(&mut VerificationReport); 4] = [
        |report| report.verifier.version = "0.0.1".into(),
        |report| report.verifier.name = "somebody".into(),
        |report| report.kind = None,
        |report| report.kind = Some(ImageKind::Vm),
    ];
    for edit in edits {
        let stage = Stage { report: Some(Box::new(edit)), ..Stage::default() };
        assert_eq!(failed(&check_with_keys(&stage.make())), ["release-report-passed"]);
    }
}
