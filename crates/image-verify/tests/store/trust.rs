//! Signatures and content addresses in the database of a store.

use std::sync::Arc;

use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use image_formats::nix::{PublicKey, base32, signature::fingerprint};
use image_model::{Outcome, Trust, VerificationReport};
use image_verify::{Expected, Request, store::trust};

use crate::{
    findings::{Judged, assert_twins_of, reports, told},
    image::{Draft, good, path},
    row,
};

fn secret() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// Judges an archive where the key `a-1` is trusted.
fn judge(draft: &Draft) -> VerificationReport {
    let key = format!("a-1:{}", BASE64.encode(secret().verifying_key().as_bytes()));
    let keys = [PublicKey::parse(&key).unwrap()];
    let request =
        Request { expected: Expected::AnyKind, trusted_keys: &keys, ..Request::default() };
    image_verify::verify(Arc::new(draft.archive()), request).unwrap()
}

/// Makes the database say so of the library, which refers to nothing.
fn library(column: &str, value: &str) -> Draft {
    let mut draft = good();
    let sql = format!("update ValidPaths set {column} = '{value}' where path like '%-lib'");
    draft.database = Some(sql.leak());
    draft
}

#[test]
fn a_signature_in_the_database_counts() {
    let draft = good();
    let (digits, size) = draft.digest(&path("lib"));
    let hash = base32::decode(digits.trim_start_matches("sha256:").as_bytes()).unwrap();
    let message = fingerprint(path("lib").as_bytes(), &hash, size, []).unwrap();
    let signature = BASE64.encode(&secret().sign(&message).to_bytes());
    let mut draft = library("sigs", &format!("stranger-1:AAAA a-1:{signature}"));
    let report = judge(&draft);
    assert_eq!(told(&report.findings), [""; 0]);
    assert_eq!(report.outcomes["store-signature"], Outcome::Held);
    assert!(!report.outcomes.contains_key("store-content-address"));
    assert_eq!(report.stores[0].trusted_keys, ["a-1"]);
    assert_eq!(row(&report, "-lib").trust, Trust::Signed { by: vec!["a-1".to_owned()] });
    assert_eq!(row(&report, "-app").trust, Trust::Unknown);

    // What is changed later is not what was signed, and the signature is not to blame.
    draft.register();
    draft.content("lib", "/lib/ld.so").push(b'x');
    let report = judge(&draft);
    assert_eq!(row(&report, "-lib").trust, Trust::Unknown);
    assert_ne!(report.outcomes["store-content"], Outcome::Held);
}

/// That the image calls itself built here says nothing: anybody can write so.
#[test]
fn nobody_vouches_for_himself() {
    let report = judge(&library("ultimate", "1"));
    assert_eq!(row(&report, "-lib").trust, Trust::Unknown);
}

#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    let address = format!("fixed:r:sha256:{}", "0".repeat(52));
    let wrong = format!("a-1:{}", BASE64.encode(&[0; 64]));
    let twins = [
        ("store-signature", library("sigs", &wrong)),
        ("store-content-address", library("ca", &address)),
    ];
    assert_twins_of(trust::CHECKS, twins.iter().map(|(check, _)| *check));
    let judged = twins.iter().map(|(check, draft)| {
        let VerificationReport { findings, totals, .. } = judge(draft);
        Judged { check, also: &[], findings, totals }
    });
    let said: Vec<_> =
        reports(trust::CHECKS, judged).into_iter().flat_map(|(_, said)| said).collect();
    let lib = path("lib");
    assert_eq!(said.len(), 2, "{said:?}");
    let ends = [
        format!("{lib}: the signature of a-1 is not for what is registered"),
        format!("{lib}: {address} is not what its name follows from"),
    ];
    for (said, end) in said.iter().zip(ends) {
        assert!(said.contains(&format!("({lib})")) && said.ends_with(&end), "{said}");
    }
}
