//! Statements, and other people's software that reads them.

use std::{borrow::Cow, fs, path::Path};

use ed25519_dalek::{Signer as _, SigningKey};
use image_host::tool::{Tool, ToolError};
use image_model::{Driver, Finding, ImageKind, ImageSpace, Location, Outcome, Severity, Sha256};
use insta::assert_json_snapshot;
use serde_json::Value;

use super::*;
use crate::testing;

/// The statements of an image as a file, signed by `keys`.
fn signed(image: &Image, keys: &[&SigningKey]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for statement in statements(&testing::release(), image) {
        let payload = statement.to_string().into_bytes();
        let message = dsse::pae(PAYLOAD_TYPE, &payload);
        let sign = |key: &&SigningKey| ("test".to_owned(), key.sign(&message).to_bytes());
        bytes.extend(seal(&payload, &keys.iter().map(sign).collect::<Vec<_>>()));
        bytes.push(b'\n');
    }
    bytes
}

fn card() -> Image {
    testing::image(ImageKind::Sd, "sd-aarch64", "aarch64-linux", "nixos-sd-aarch64-26.05.1.img.zst")
}

/// The statements, with a report of these very bytes.
fn statements_of(image: &mut Image) -> Vec<Value> {
    image.report.subject.sha256 = Some(image.payload().digests.sha256);
    statements(&testing::release(), image)
}

/// Software of in-toto, and of those who wrote DSSE.
fn theirs(file: &Path, key: Option<&SigningKey>) -> Result<String, ToolError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let packages = root.join("target/release-parts/python");
    assert!(
        packages.join("securesystemslib").is_dir(),
        "{} has no packages: run tests/setup.sh",
        packages.display()
    );
    let tool = Tool::at(root.join("tests/tools/check-attestations.py"))
        .env("PYTHONPATH", &packages)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let mut args = vec![file.as_os_str().to_owned()];
    args.extend(key.map(|key| hex(&key.verifying_key().to_bytes()).into()));
    tool.run(args).output().map(|out| String::from_utf8(out).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[test]
fn statements_are_what_they_were() {
    let mut image = card();
    let [provenance, result] = &statements_of(&mut image)[..] else { panic!("two statements") };
    assert_json_snapshot!("provenance", provenance);
    assert_json_snapshot!("test_result", result);
}

#[test]
fn what_is_not_known_of_an_image_is_not_stated() {
    let mut image = card();
    let source = &mut image.manifest.source;
    source.driver = Driver::Prebuilt;
    source.route = "file".to_owned();
    (source.flake, source.locked, source.attribute) = (None, None, None);
    (source.derivation, source.store_path) = (None, None);
    source.inputs.clear();
    source.input_sha256 = Some(Sha256([7; 32]));
    image.manifest.tools.clear();
    assert_json_snapshot!("prebuilt", statements_of(&mut image)[0]);

    image.manifest.source.driver = Driver::Mini;
    image.manifest.distribution = "mini".to_owned();
    assert_json_snapshot!("mini", statements_of(&mut image)[0]);
}

#[test]
fn a_report_of_other_bytes_is_no_result() {
    let mut image = card();
    assert_eq!(statements_of(&mut image).len(), 2);
    image.report.subject.sha256 = Some(Sha256([9; 32]));
    assert_eq!(statements(&testing::release(), &image).len(), 1);
    image.report.subject.sha256 = None;
    assert_eq!(statements(&testing::release(), &image).len(), 1);
}

#[test]
fn the_result_is_that_of_the_report() {
    let finding = |check: &'static str, severity| Finding {
        check: Cow::Borrowed(check),
        severity,
        waived: false,
        at: Location {
            structure: "x".into(),
            space: ImageSpace::Raw,
            offset: 0,
            len: 0,
            path: None,
        },
        message: String::new(),
    };
    let read = |image: &mut Image| -> TestResult {
        serde_json::from_value(statements_of(image)[1]["predicate"].clone()).unwrap()
    };
    let mut image = card();
    // Something is waived.
    let result = read(&mut image);
    assert_eq!(result.result, "WARNED");
    assert_eq!(result.passed_tests, ["gzip-crc", "tar-end-of-archive"]);
    assert_eq!(result.warned_tests, ["wsl-icon-location"]);
    assert!(result.failed_tests.is_empty());
    assert_eq!(result.configuration[0].name, image.verification.file);

    image.report.outcomes.remove("wsl-icon-location");
    image.report.outcomes.insert(Cow::Borrowed("tar-padding"), Outcome::Failed);
    image.report.findings = vec![finding("tar-padding", Severity::Info)];
    let result = read(&mut image);
    assert_eq!((result.result.as_str(), result.passed_tests.len()), ("PASSED", 3));

    image.report.findings = vec![finding("tar-padding", Severity::Warning)];
    let result = read(&mut image);
    assert_eq!(
        (result.result.as_str(), &result.warned_tests[..]),
        ("WARNED", &["tar-padding".to_owned()][..])
    );

    image.report.findings = vec![finding("tar-padding", Severity::Error)];
    image.report.totals.errors = 1;
    let result = read(&mut image);
    assert_eq!(
        (result.result.as_str(), &result.failed_tests[..]),
        ("FAILED", &["tar-padding".to_owned()][..])
    );
}

#[test]
fn without_a_key_there_is_no_signature() {
    let document = attestations(&testing::release(), &card(), &[]).unwrap();
    assert_eq!(document.file, "nixos-sd-aarch64-26.05.1.img.zst.intoto.jsonl");
    let envelopes = read(&document.bytes).unwrap();
    assert!(!envelopes.is_empty() && envelopes.iter().all(|e| e.signatures.is_empty()));
    assert_eq!(document.bytes.last(), Some(&b'\n'));
}

#[test]
fn we_and_others_take_what_is_signed_and_refuse_one_changed_byte() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let second = SigningKey::from_bytes(&[2; 32]);
    let stranger = SigningKey::from_bytes(&[3; 32]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.intoto.jsonl");
    let mut images = testing::release().images;
    for image in &mut images {
        image.report.subject.sha256 = Some(image.payload().digests.sha256);
        let bytes = signed(image, &[&key]);
        fs::write(&file, &bytes).unwrap();
        assert_eq!(theirs(&file, Some(&key)).unwrap(), format!("{PROVENANCE}\n{TEST_RESULT}\n"));
        assert!(theirs(&file, Some(&stranger)).is_err());
        for envelope in read(&bytes).unwrap() {
            assert!(envelope.is_signed_by(&key.verifying_key().to_bytes()));
            assert!(!envelope.is_signed_by(&stranger.verifying_key().to_bytes()));
            let statement = envelope.statement().unwrap();
            let payload = image.payload();
            assert!(statement.is_about(&payload.file, payload.digests.sha256));
            assert!(!statement.is_about("other", payload.digests.sha256));
            assert!(!statement.is_about(&payload.file, Sha256([0; 32])));
        }
    }

    let mut image = card();
    image.report.subject.sha256 = Some(image.payload().digests.sha256);
    let bytes = signed(&image, &[&key]);
    let good = read(&bytes).unwrap().remove(0);
    let at = good.payload.iter().position(|byte| *byte == b'9').unwrap();
    let mut bad = good.clone();
    bad.payload[at] = b'8';
    assert!(!bad.is_signed_by(&key.verifying_key().to_bytes()));
    let signatures =
        [("test".to_owned(), <[u8; 64]>::try_from(&*bad.signatures[0].signature).unwrap())];
    fs::write(&file, seal(&bad.payload, &signatures)).unwrap();
    let error = theirs(&file, Some(&key)).unwrap_err().cause.to_string();
    assert!(error.contains("VerificationError"), "{error}");

    let mut other = good.clone();
    other.payload_type.push('x');
    assert!(!other.is_signed_by(&key.verifying_key().to_bytes()));

    // Two keys, one envelope.
    for envelope in read(&signed(&image, &[&key, &second])).unwrap() {
        assert!(envelope.is_signed_by(&key.verifying_key().to_bytes()));
        assert!(envelope.is_signed_by(&second.verifying_key().to_bytes()));
    }
}

#[test]
fn openssl_verifies_the_signature_over_the_encoding() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let envelope = read(&signed(&card(), &[&key])).unwrap().remove(0);
    let mut message = dsse::pae(&envelope.payload_type, &envelope.payload);
    let head = format!("DSSEv1 28 application/vnd.in-toto+json {} {{", envelope.payload.len());
    assert!(message.starts_with(head.as_bytes()));
    // RFC 8410, §4.
    let mut der = data_encoding::HEXLOWER.decode(b"302a300506032b6570032100").unwrap();
    der.extend(key.verifying_key().to_bytes());
    fs::write(path("key.der"), der).unwrap();
    fs::write(path("signature"), &envelope.signatures[0].signature).unwrap();
    let openssl = Tool::find("openssl").expect("install the package openssl: tests/setup.sh");
    let verify = |message: &[u8]| {
        fs::write(path("message"), message).unwrap();
        let args = "pkeyutl -verify -pubin -inkey key.der -keyform DER -rawin -in message -sigfile";
        openssl.run(args.split(' ').chain(["signature"])).dir(dir.path()).output()
    };
    verify(&message).unwrap();
    message[40] ^= 1;
    assert!(verify(&message).is_err());
}

#[test]
fn what_is_no_envelope_is_refused() {
    let why = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(read(b"").unwrap(), []);
    assert!(why(b"{}").starts_with("line 1 is no DSSE envelope: missing field"), "{}", why(b"{}"));
    let bad = br#"{"payloadType":"a","payload":"?","signatures":[]}"#;
    assert_eq!(why(bad), "line 1 is no DSSE envelope: its payload is not base64");
    let deep = format!("{{\"payload\":{}", "[".repeat(1 << 20));
    assert!(why(deep.as_bytes()).starts_with("line 1"));
    let good = r#"{"payloadType":"a","payload":"","signatures":[]}"#;
    assert_eq!(
        why(format!("{good}\n").repeat(65).as_bytes()),
        "more envelopes than the 64 that are read"
    );
    let signatures = vec![r#"{"sig":""}"#; 17].join(",");
    let many = format!(r#"{{"payloadType":"a","payload":"","signatures":[{signatures}]}}"#);
    assert_eq!(why(many.as_bytes()), "more signatures than the 16 that are read");

    // The other alphabet, no name of a key, and fields that nobody knows.
    let loose = br#"{"payloadType":"application/vnd.in-toto+json","payload":"-_8=","x":1,"signatures":[{"sig":"AA=="}]}"#;
    let envelope = read(loose).unwrap().remove(0);
    assert_eq!(envelope.payload, [0xfb, 0xff]);
    assert!(!envelope.is_signed_by(&[1; 32]));
    assert!(envelope.statement().is_err());
    let statement =
        br#"{"_type":"https://in-toto.io/Statement/v0.1","subject":[],"predicateType":""}"#;
    assert!(Statement::parse(statement).is_err());
}
