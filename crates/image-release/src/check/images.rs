//! Images of a release: their files, manifests, reports and bills of materials.

use std::collections::BTreeSet;

use image_factory::{REPORT, sbom};
use image_model::{
    Artifact, FileRole, MANIFEST_SCHEMA, Manifest, REPORT_SCHEMA, ReleasedImage, Sha256,
    VerificationReport,
};
use image_verify::release::{
    IMAGE_FILES, IMAGE_MANIFEST, NOT_NIXOS, REPORT_PASSED, REPORT_SUBJECT, REPORT_SUMMARY,
    SBOM_SUBJECT, UNVERIFIED,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Known,
    report::{CheckedImage, Recorder, printable},
};
use crate::{MANIFEST, attest, gate};

/// What is beside every image.
const BESIDE: &[&str] = &["sha256", MANIFEST, REPORT, attest::SUFFIX, "report.html"];

/// What the driver `mini` makes.
const MINI: &str = "mini";

/// An image for the report.
pub(super) fn summary(image: &ReleasedImage) -> Option<CheckedImage> {
    let payload = image.artifacts.first()?;
    Some(CheckedImage {
        image: printable(&image.image),
        file: printable(&payload.file),
        sha256: payload.digests.sha256,
        verified: image.unverified.is_none() && image.verification.totals.errors == 0,
    })
}

pub(super) fn check(release: &Known<'_>, out: &mut Recorder) {
    let payloads: BTreeSet<_> = release.images().map(|(_, payload)| &payload.file).collect();
    for file in &release.manifest.files {
        let known = file.of.as_ref().is_none_or(|of| payloads.contains(of));
        out.expect(&IMAGE_FILES, known, &file.file, || {
            format!("it belongs to {}, which is no image", file.of.as_deref().unwrap_or_default())
        });
    }
    let mut seen = BTreeSet::new();
    for image in &release.manifest.images {
        for artifact in &image.artifacts {
            let name = artifact.file.as_str();
            out.expect(&IMAGE_FILES, seen.insert(name), name, || "it is there twice".to_owned());
        }
        let has_file = !image.artifacts.is_empty();
        out.expect(&IMAGE_FILES, has_file, MANIFEST, || {
            format!("the image {} has no file", image.image)
        });
    }
    for (image, payload) in release.images() {
        let file = payload.file.as_str();
        files(release, image, payload, out);
        manifest(release, image, payload, out);
        report(release, image, payload, out);
        bills(release, payload, out);
        out.expect(&UNVERIFIED, image.unverified.is_none(), file, || {
            format!("released without verification: {}", image.unverified.as_deref().unwrap_or("?"))
        });
        let nixos = image.distribution != MINI;
        out.expect(&NOT_NIXOS, nixos, file, || "it is the mini system, not NixOS".to_owned());
    }
}

/// The files of the image are those of the release.
fn files(release: &Known<'_>, image: &ReleasedImage, payload: &Artifact, out: &mut Recorder) {
    for artifact in &image.artifacts {
        let name = artifact.file.as_str();
        let found = release.files.get(name);
        let role = found.map(|file| file.role);
        if !out.expect(&IMAGE_FILES, role == Some(FileRole::Payload), name, || match role {
            Some(role) => format!("an image, and no payload of the release, but its {role}"),
            None => "an image, and no file of the release".to_owned(),
        }) {
            continue;
        }
        let digests = artifact.digests;
        let same = found.is_some_and(|f| (f.size, f.sha256) == (digests.size, digests.sha256));
        out.expect(&IMAGE_FILES, same, name, || {
            format!(
                "the image has {} bytes with sha256 {}; the file others",
                digests.size, digests.sha256
            )
        });
    }
    for suffix in BESIDE {
        let name = format!("{}.{suffix}", payload.file);
        let of = release.files.get(name.as_str()).and_then(|file| file.of.as_deref());
        out.expect(&IMAGE_FILES, of == Some(payload.file.as_str()), &name, || {
            format!("it is no file of the release that belongs to {}", payload.file)
        });
    }
    for (named, suffix) in [(&image.manifest, MANIFEST), (&image.verification.file, REPORT)] {
        let name = format!("{}.{suffix}", payload.file);
        out.expect(&IMAGE_FILES, *named == name, &name, || {
            format!("the manifest of the release calls it {named}")
        });
    }
}

/// The manifest of the image says the same as that of the release.
fn manifest(release: &Known<'_>, image: &ReleasedImage, payload: &Artifact, out: &mut Recorder) {
    let name = &format!("{}.{MANIFEST}", payload.file);
    let Some(manifest) = release.parse::<Manifest>(name, &IMAGE_MANIFEST, out) else { return };
    let mut same = |what: &str, same: bool| {
        out.expect(&IMAGE_MANIFEST, same, name, || {
            format!("its {what} is another one than in the manifest of the release")
        });
    };
    same("schema", manifest.schema == MANIFEST_SCHEMA);
    same("image", manifest.image == image.image);
    same("kind", manifest.kind == image.kind);
    same("system", manifest.system == image.system);
    same("title", manifest.title == image.title);
    same("distribution", manifest.distribution == image.distribution);
    same("list of files", manifest.artifacts == image.artifacts);
    same("verification", manifest.verification == image.verification);
}

/// The report is of this image, and says that it is good.
fn report(release: &Known<'_>, image: &ReleasedImage, payload: &Artifact, out: &mut Recorder) {
    let summary = &image.verification;
    let name = &format!("{}.{REPORT}", payload.file);
    let Some(found) = release.files.get(name.as_str()) else {
        // An image that nobody verified has no report; any other one has.
        out.expect(&REPORT_SUMMARY, image.unverified.is_some(), name, || {
            "the report is no file of the release".to_owned()
        });
        return;
    };
    out.expect(&REPORT_SUMMARY, found.sha256 == summary.sha256, name, || {
        format!("the manifest says sha256 {}, and the file is another one", summary.sha256)
    });
    let report = release.parse::<VerificationReport>(name, &REPORT_SUMMARY, out);
    let Some(report) = report else { return };
    out.expect(&REPORT_SUMMARY, report.totals == summary.totals, name, || {
        "its totals are others than in the manifest".to_owned()
    });
    out.expect(&REPORT_SUMMARY, report.schema == REPORT_SCHEMA, name, || {
        format!("schema {}, not {REPORT_SCHEMA}", report.schema)
    });
    if image.unverified.is_some() {
        // It may be of other bytes, or say that they are no good. That is told.
        return;
    }
    let whole = report.subject.digests() == Some(payload.digests);
    out.expect(&REPORT_SUBJECT, whole, name, || match report.subject.sha256 {
        Some(sha256) => {
            format!("it is of {sha256}; the image is {}", payload.digests.sha256)
        }
        None => "it is not of a whole file".to_owned(),
    });
    out.expect(&REPORT_SUBJECT, report.subject.raw == Some(payload.raw), name, || {
        "what it says of the bytes inside the compression is not what the manifest says".to_owned()
    });
    let why = gate::unverified(image.kind, &release.manifest.generator.version, &report);
    out.expect(&REPORT_PASSED, why.is_none(), name, || why.unwrap_or_default());
}

/// Bills of materials are of this image.
fn bills(release: &Known<'_>, payload: &Artifact, out: &mut Recorder) {
    bill::<CycloneDx>(release, payload, sbom::CYCLONEDX, out);
    bill::<Spdx>(release, payload, sbom::SPDX, out);
}

fn bill<B: Bill>(release: &Known<'_>, payload: &Artifact, suffix: &str, out: &mut Recorder) {
    let name = format!("{}.{suffix}", payload.file);
    let Some(bill) = release.parse::<B>(&name, &SBOM_SUBJECT, out) else { return };
    let found = bill.subject().and_then(|text| Sha256::try_from(text.to_owned()).ok());
    let wanted = payload.digests.sha256;
    out.expect(&SBOM_SUBJECT, found == Some(wanted), &name, || match found {
        Some(found) => format!("it is of {found}; the image is {wanted}"),
        None => "it names no SHA-256 of the image".to_owned(),
    });
}

/// What is read of a bill of materials. The rest, which is most of it, is not kept.
trait Bill: DeserializeOwned {
    /// The SHA-256 of what it is of.
    fn subject(&self) -> Option<&str>;
}

#[derive(Deserialize)]
struct CycloneDx {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    component: Component,
}

#[derive(Deserialize)]
struct Component {
    #[serde(default)]
    hashes: Vec<Hash>,
}

#[derive(Deserialize)]
struct Hash {
    alg: String,
    content: String,
}

impl Bill for CycloneDx {
    fn subject(&self) -> Option<&str> {
        let hash = self.metadata.component.hashes.iter().find(|hash| hash.alg == "SHA-256")?;
        Some(&hash.content)
    }
}

#[derive(Deserialize)]
struct Spdx {
    #[serde(rename = "SPDXID")]
    id: String,
    packages: Vec<Package>,
    relationships: Vec<Relationship>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(rename = "SPDXID")]
    id: String,
    #[serde(default)]
    checksums: Vec<Checksum>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: String,
    checksum_value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: String,
    related_spdx_element: String,
}

impl Bill for Spdx {
    fn subject(&self) -> Option<&str> {
        let describes = self.relationships.iter().find(|relation| {
            relation.spdx_element_id == self.id && relation.relationship_type == "DESCRIBES"
        })?;
        let image = self.packages.iter().find(|p| p.id == describes.related_spdx_element)?;
        let hash = image.checksums.iter().find(|hash| hash.algorithm == "SHA256")?;
        Some(&hash.checksum_value)
    }
}
