//! Attestations of images.

use image_factory::REPORT;
use image_model::{Artifact, Outcome, ReleasedImage, SignatureScheme, VerificationReport};
use image_verify::release::{
    ATTESTATION, ATTESTATION_CONTENT, ATTESTATION_SIGNATURE, ATTESTATION_SUBJECT,
};
use serde_json::Value;

use super::{Known, report::Recorder};
use crate::{
    attest::{self, Envelope, PROVENANCE, Statement, TEST_RESULT, TestResult},
    sign::PublicKey,
};

pub(super) fn check(release: &Known<'_>, out: &mut Recorder) {
    for (image, payload) in release.images() {
        let name = format!("{}.{}", payload.file, attest::SUFFIX);
        let Some(bytes) = release.document(&name) else { continue };
        let envelopes = match attest::read(bytes) {
            Ok(envelopes) => envelopes,
            Err(error) => {
                out.fail(&ATTESTATION, &name, error.to_string());
                continue;
            }
        };
        let mut statements = Vec::new();
        for (index, envelope) in envelopes.iter().enumerate() {
            let statement = envelope.statement();
            out.expect(&ATTESTATION, statement.is_ok(), &name, || {
                let why = statement.as_ref().err().map(ToString::to_string).unwrap_or_default();
                format!("envelope {}: {why}", index + 1)
            });
            signed(&name, index + 1, envelope, &release.signatures.signers, out);
            statements.extend(statement.ok());
        }
        for statement in &statements {
            let about = statement.is_about(&payload.file, payload.digests.sha256);
            out.expect(&ATTESTATION_SUBJECT, about, &name, || {
                let found = statement.subject.first().map_or("nothing", |s| s.name.as_str());
                format!(
                    "a statement of {} is about {found} with another digest, or about more than \
                         {}",
                    statement.predicate_type, payload.file
                )
            });
        }
        content(release, image, payload, &name, &statements, out);
    }
}

/// Each key of the release that signs statements signed this one.
fn signed(
    name: &str,
    number: usize,
    envelope: &Envelope,
    signers: &[PublicKey],
    out: &mut Recorder,
) {
    for signer in signers {
        let Some(key) = signer.ed25519() else { continue };
        let id = signer.key_id();
        let named = envelope.signatures.iter().any(|signature| signature.key_id == id);
        // An agent of OpenSSH signs no statements; whoever has a key of minisign can.
        if signer.scheme() == SignatureScheme::Minisign || named {
            out.expect(&ATTESTATION_SIGNATURE, envelope.is_signed_by(&key), name, || {
                format!("envelope {number} has no signature by {id} that matches")
            });
        }
    }
    for signature in &envelope.signatures {
        let known = signers.iter().any(|signer| signer.key_id() == signature.key_id);
        out.expect(&ATTESTATION_SIGNATURE, known, name, || {
            format!(
                "envelope {number} is signed by {}, which did not sign the release",
                signature.key_id
            )
        });
    }
}

/// What is stated is what the files say.
fn content(
    release: &Known<'_>,
    image: &ReleasedImage,
    payload: &Artifact,
    name: &str,
    statements: &[Statement],
    out: &mut Recorder,
) {
    let of = |kind: &str| -> Vec<_> {
        statements.iter().filter(|statement| statement.predicate_type == kind).collect()
    };
    let (provenance, results) = (of(PROVENANCE), of(TEST_RESULT));
    out.expect(&ATTESTATION_CONTENT, provenance.len() == 1, name, || {
        format!("{} statements of provenance, not one", provenance.len())
    });
    for statement in provenance {
        let byproducts = statement.predicate.pointer("/runDetails/byproducts");
        descriptors(release, name, byproducts, out);
    }
    let summary = &image.verification;
    let report = release.document(&format!("{}.{REPORT}", payload.file));
    let Some(report) = report.and_then(|b| serde_json::from_slice::<VerificationReport>(b).ok())
    else {
        return;
    };
    let about = report.subject.sha256 == Some(payload.digests.sha256);
    let wanted = usize::from(about);
    out.expect(&ATTESTATION_CONTENT, results.len() == wanted, name, || {
        format!("{} statements of results, not {wanted}", results.len())
    });
    for statement in results {
        let result = match serde_json::from_value::<TestResult>(statement.predicate.clone()) {
            Ok(result) => result,
            Err(error) => {
                out.fail(&ATTESTATION_CONTENT, name, format!("no result of tests: {error}"));
                continue;
            }
        };
        descriptors(release, name, statement.predicate.get("configuration"), out);
        let named = result
            .configuration
            .iter()
            .any(|found| found.digest.get("sha256") == Some(&summary.sha256.to_string()));
        out.expect(&ATTESTATION_CONTENT, named, name, || {
            format!("the result does not name the report {}", summary.file)
        });
        let wanted = TestResult::verdict(&report);
        out.expect(&ATTESTATION_CONTENT, result.result == wanted, name, || {
            format!("the result is {}; that of the report is {wanted}", result.result)
        });
        let held = |check: &String| {
            report.outcomes.get(check.as_str()).is_some_and(|o| *o != Outcome::NotReached)
        };
        let lists = [&result.passed_tests, &result.warned_tests, &result.failed_tests];
        let stranger = lists.into_iter().flatten().find(|check| !held(check));
        out.expect(&ATTESTATION_CONTENT, stranger.is_none(), name, || {
            format!("the report knows of no result of {}", stranger.map_or("", String::as_str))
        });
    }
}

/// Files of the release that a statement names have the digest that it names.
fn descriptors(release: &Known<'_>, name: &str, named: Option<&Value>, out: &mut Recorder) {
    for descriptor in named.and_then(Value::as_array).into_iter().flatten() {
        let file = descriptor["name"].as_str().unwrap_or_default();
        let Some(found) = release.files.get(file) else { continue };
        let same = descriptor.pointer("/digest/sha256").and_then(Value::as_str)
            == Some(found.sha256.to_string().as_str());
        out.expect(&ATTESTATION_CONTENT, same, name, || {
            format!("it names {file} with another digest")
        });
    }
}
