//! For each check a release with one thing wrong, of which that check tells and no other one.

use std::collections::BTreeSet;

use image_model::{FileRole, Finding, ImageSpace, Location, Severity};
use image_verify::release::{self as checks, CHECKS};
use serde_json::Value;

use super::{stage::other_keys, *};
use crate::{
    Document,
    attest::{self, PAYLOAD_TYPE},
    sign::PublicKey,
};

struct Twin {
    stage: Stage,
    keys: Vec<PublicKey>,
    version: Option<&'static str>,
}

fn twin(stage: Stage) -> Twin {
    Twin { stage, keys: keys().public(), version: None }
}

const WSL: &str = "nixos-26.05.1.wsl";

/// A release of which the check with this id tells.
fn of(id: &str) -> Option<Twin> {
    let minisign = || vec![keys().public().remove(0)];
    Some(match id {
        "release-sums" => twin(end(|memory| _ = memory.files.remove("SHA256SUMS"))),
        "release-sums-form" => twin(sums(|text| _ = text.pop())),
        "release-sums-unique" => twin(sums(|text| {
            let line = text.lines().next().unwrap().to_owned();
            *text = format!("{line}\n{text}");
        })),
        "release-unsigned" => {
            let stage = Stage { unsigned: true, ..Stage::default() };
            Twin { keys: Vec::new(), ..twin(stage) }
        }
        "release-signature" => {
            let stage = end(|memory| {
                let signature = memory.files.get_mut("SHA256SUMS.gpg").unwrap();
                *signature.last_mut().unwrap() ^= 1;
            });
            Twin { keys: minisign(), ..twin(stage) }
        }
        "release-wanted-key" => {
            let keys = other_keys().public().into_iter().take(1).collect();
            Twin { keys, ..twin(Stage::default()) }
        }
        "release-unknown-signer" => Twin { keys: Vec::new(), ..twin(Stage::default()) },
        "release-public-key" => {
            twin(document("openpgp.asc", |bytes| bytes.splice(..40, *b"no").for_each(drop)))
        }
        "release-signatures-declared" => {
            twin(manifest(|manifest| _ = manifest.signatures.remove(0)))
        }
        "release-file-kind" => twin(end(|memory| {
            let name = "latest".to_owned();
            memory.others.push(Entry { name, kind: EntryKind::Link });
        })),
        "release-file-missing" => twin(end(|memory| _ = memory.files.remove(WSL))),
        "release-file-extra" => twin(end(|memory| {
            memory.files.insert("nixos-26.05.0.wsl".to_owned(), Vec::new());
        })),
        "release-file-digest" => twin(end(|memory| memory.files.get_mut(WSL).unwrap()[99] ^= 1)),
        "release-file-size" => twin(end(|memory| memory.files.get_mut(WSL).unwrap().push(0))),
        "release-limits" => {
            let name = "nixos-26.05.1.wsl.report.html";
            twin(document(name, |bytes| bytes.resize((64 << 20) + 1, b' ')))
        }
        "release-manifest" => twin(manifest(|manifest| manifest.schema = 99)),
        "release-manifest-files" => twin(manifest(|manifest| {
            file(manifest, "openpgp.asc").sha256 = Sha256([1; 32]);
        })),
        "release-image-files" => twin(manifest(|manifest| {
            file(manifest, "nixos-26.05.1.wsl.verification.json").of = None;
        })),
        // Without images: catalogs tell of the version as well.
        "release-version" => twin(Stage {
            release: Some(Box::new(|release| release.images.clear())),
            manifest: Some(Box::new(|manifest| manifest.version = "26.05.1-".to_owned())),
            end: Some(Box::new(|memory| {
                memory.files.retain(|name, _| !name.starts_with("nixos-"))
            })),
            ..Stage::default()
        }),
        "release-place" => Twin { version: Some("26.05.2"), ..twin(Stage::default()) },
        "release-second-name" => twin(end(|memory| {
            memory.files.insert("streams/v1/index.json".to_owned(), b"{}".to_vec());
        })),
        "release-checksum-file" => {
            twin(document("nixos-26.05.1.wsl.sha256", |bytes| bytes.truncate(66)))
        }
        "release-image-manifest" => twin(manifest(|manifest| {
            manifest.images[0].title = "Another one".to_owned();
        })),
        "release-report-subject" => twin(report(|report| report.subject.size += 1)),
        "release-report-summary" => twin(Stage {
            release: Some(Box::new(|release| {
                let image = &mut release.images[0];
                image.verification.totals.held += 1;
                image.manifest.verification = image.verification.clone();
            })),
            ..Stage::default()
        }),
        "release-report-passed" => twin(report(|report| {
            report.totals.errors = 1;
            report.outcomes.insert("gzip-crc".into(), Outcome::Failed);
            report.findings.push(Finding {
                check: "gzip-crc".into(),
                severity: Severity::Error,
                waived: false,
                at: Location {
                    structure: "trailer".into(),
                    space: ImageSpace::File,
                    offset: 0,
                    len: 0,
                    path: None,
                },
                message: "another one".to_owned(),
            });
        })),
        "release-unverified" => twin(Stage {
            release: Some(Box::new(|release| {
                release.images[0].unverified = Some("nobody had the time".to_owned());
            })),
            ..Stage::default()
        }),
        "release-not-nixos" => twin(Stage {
            release: Some(Box::new(|release| {
                release.images[2].manifest.distribution = "mini".to_owned();
            })),
            ..Stage::default()
        }),
        "release-sbom-subject" => twin(Stage {
            beside: Some(Box::new(|document| {
                let text = String::from_utf8(std::mem::take(&mut document.bytes)).unwrap();
                document.bytes = text.replace(r#""content": ""#, r#""content": "0"#).into_bytes();
            })),
            ..Stage::default()
        }),
        "release-attestation" => {
            twin(document("nixos-26.05.1.wsl.intoto.jsonl", |bytes| bytes.extend(b"{}\n")))
        }
        "release-attestation-subject" => {
            twin(statements(|statement| statement["subject"][0]["name"] = "other".into()))
        }
        "release-attestation-signature" => {
            twin(document("nixos-26.05.1.wsl.intoto.jsonl", |bytes| {
                let envelopes = attest::read(bytes).unwrap();
                let lines =
                    envelopes.iter().map(|e| [attest::seal(&e.payload, &[]), b"\n".to_vec()]);
                *bytes = lines.flatten().flatten().collect();
            }))
        }
        "release-attestation-content" => twin(statements(|statement| {
            if statement["predicateType"] == attest::TEST_RESULT {
                statement["predicate"]["result"] = "PASSED".into();
            }
        })),
        "release-catalog" => {
            twin(document("DistributionInfo.json", |bytes| *bytes = b"[]".to_vec()))
        }
        "release-catalog-entry" => twin(document("os_list_imagingutility_v4.json", |bytes| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            let (before, after) = text.split_once(r#""extract_size": "#).unwrap();
            *bytes = format!("{before}\"extract_size\": 1{after}").into_bytes();
        })),
        "release-page" => twin(document("index.html", |bytes| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            *bytes = text.replace(WSL, "nixos.wsl").into_bytes();
        })),
        _ => return None,
    })
}

fn end(edit: impl FnOnce(&mut Memory) + 'static) -> Stage {
    Stage { end: Some(Box::new(edit)), ..Stage::default() }
}

fn sums(edit: impl FnOnce(&mut String) + 'static) -> Stage {
    Stage { sums: Some(Box::new(edit)), ..Stage::default() }
}

fn manifest(edit: impl FnOnce(&mut ReleaseManifest) + 'static) -> Stage {
    Stage { manifest: Some(Box::new(edit)), ..Stage::default() }
}

fn report(edit: impl FnOnce(&mut image_model::VerificationReport) + 'static) -> Stage {
    Stage { report: Some(Box::new(edit)), ..Stage::default() }
}

fn document(name: &'static str, edit: impl FnOnce(&mut Vec<u8>) + 'static) -> Stage {
    let edit = move |all: &mut Vec<Document>| {
        let found = all.iter_mut().find(|document| document.file == name);
        edit(&mut found.unwrap_or_else(|| panic!("there is no {name}")).bytes);
    };
    Stage { documents: Some(Box::new(edit)), ..Stage::default() }
}

fn file<'a>(manifest: &'a mut ReleaseManifest, name: &str) -> &'a mut ReleaseFile {
    manifest.files.iter_mut().find(|file| file.file == name).unwrap()
}

/// The statements about the first image, changed and signed again.
fn statements(edit: impl Fn(&mut Value) + 'static) -> Stage {
    document("nixos-26.05.1.wsl.intoto.jsonl", move |bytes| {
        let mut lines = Vec::new();
        for envelope in attest::read(bytes).unwrap() {
            let mut statement: Value = serde_json::from_slice(&envelope.payload).unwrap();
            edit(&mut statement);
            let payload = statement.to_string().into_bytes();
            let signatures = keys().ed25519(&attest::dsse::pae(PAYLOAD_TYPE, &payload));
            lines.extend(attest::seal(&payload, &signatures));
            lines.push(b'\n');
        }
        *bytes = lines;
    })
}

#[test]
fn nothing_is_wrong_with_a_good_release() {
    let report = check_with_keys(&Stage::default().make());
    assert_eq!(report.findings, []);
    assert!(report.passed() && report.totals.failed == 0);
    // There is neither a second name, nor a place that is called by a version.
    let not_reached = report.outcomes.iter().filter(|(_, o)| **o == Outcome::NotReached);
    let ids: Vec<_> = not_reached.map(|(id, _)| id.as_ref()).collect();
    assert_eq!(ids, ["release-place", "release-second-name"]);
    assert_eq!(report.version.as_deref(), Some("26.05.1"));
    let images: Vec<_> = report.images.iter().map(|image| image.image.as_str()).collect();
    assert_eq!(images, ["wsl", "sd-aarch64", "iso", "vm"]);
    assert!(report.signatures.iter().all(|signature| signature.given));
    assert_eq!(report.signatures.len(), 2);

    // As it is where a server lists nothing, and after it was published.
    let mut published = Stage::default().make();
    published.version = Some("26.05.1".to_owned());
    let index = published.files["simplestreams-index.json"].clone();
    published.files.insert("streams/v1/index.json".to_owned(), index);
    assert_eq!(check_with_keys(&published).totals.held, CHECKS.len() as u64);
    published.unlisted = true;
    let report = check_with_keys(&published);
    assert_eq!((report.findings.len(), report.totals.not_reached), (0, 1));
}

#[test]
fn every_check_has_a_broken_twin() {
    let mut seen = BTreeSet::new();
    for check in CHECKS {
        assert!(seen.insert(check.id), "{} is declared twice", check.id);
        let twin = of(check.id).unwrap_or_else(|| panic!("{} has no twin", check.id));
        let mut memory = twin.stage.make();
        memory.version = twin.version.map(str::to_owned);
        let report = super::check(&memory, &twin.keys, &|_| ()).unwrap();
        assert_eq!(failed(&report), [check.id], "{:#?}", report.findings);
        let finding = &report.findings[0];
        assert_eq!((&*finding.check, finding.severity), (check.id, check.severity));
        assert_eq!(report.passed(), check.severity != Severity::Error, "{}", check.id);
    }
    assert!(of("release-nothing").is_none());
}

#[test]
fn ids_are_public() {
    let ids: Vec<_> = CHECKS.iter().map(|check| check.id).collect();
    insta::assert_json_snapshot!(ids);
    let others: BTreeSet<_> = image_verify::checks().map(|check| check.id).collect();
    assert!(ids.iter().all(|id| id.starts_with("release-") && !others.contains(id)));
    assert_eq!(checks::SUMS.id, "release-sums");
    assert_eq!(FileRole::Sums.as_str(), "sums");
}
