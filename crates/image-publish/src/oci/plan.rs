//! What a release is in a registry: artifacts, and an index that lists them. OCI Image
//! Specification 1.1, "Guidelines for Artifact Usage".
//!
//! Each image is an artifact: its layers are the files that clients fetch. No runtime of containers
//! can run them, that for `docker load` included, which is a file here as all others. What is said
//! of an image (bills of materials, attestations, the report) are artifacts whose `subject` is that
//! one, so that registries list them as its referrers. What is of the release as a whole is one
//! more artifact. The index has them all: whoever knows its digest knows every byte.
//!
//! All of this is a function of the manifest of the release: no clock, no random numbers.

use std::collections::{BTreeMap, BTreeSet};

use image_model::{FileRole, ReleaseManifest, ReleasedImage, Sha256};
use oci_client::manifest::{
    ImageIndexEntry, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor,
    OciImageIndex, OciImageManifest, Platform,
};
use serde::Serialize;
use sha2::Digest as _;

use crate::Object;

/// An image: the first layer is the image itself.
pub(crate) const IMAGE: &str = "application/vnd.image-factory.image.v1";
/// A report of a verification.
pub(crate) const REPORT: &str = "application/vnd.image-factory.verification-report.v1+json";
/// Statements in DSSE envelopes.
pub(crate) const ATTESTATION: &str = "application/vnd.in-toto+json";
/// What is of a release as a whole.
pub(crate) const FILES: &str = "application/vnd.image-factory.release-files.v1";
/// The index of a release.
pub(crate) const RELEASE: &str = "application/vnd.image-factory.release.v1";

/// The configuration of what has none: `{}`.
pub(crate) const EMPTY: &[u8] = b"{}";
const EMPTY_MEDIA_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// Annotations. OCI Image Specification, "Pre-Defined Annotation Keys".
pub(crate) const TITLE: &str = "org.opencontainers.image.title";
const CREATED: &str = "org.opencontainers.image.created";
const VERSION: &str = "org.opencontainers.image.version";
const DESCRIPTION: &str = "org.opencontainers.image.description";
const URL: &str = "org.opencontainers.image.url";
/// The name of an image's definition; by it and by the next ones tools choose.
const OF_IMAGE: &str = "vnd.image-factory.image";
/// What it is for: `wsl`, `sd`, `iso`…
const OF_KIND: &str = "vnd.image-factory.kind";
/// The system that it runs on, as Nix writes it.
const OF_SYSTEM: &str = "vnd.image-factory.system";
/// The file that it is, or that is spoken of.
const OF_FILE: &str = "vnd.image-factory.file";

/// What a registry gets.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// Objects with different bytes, in the order of publishing.
    pub(crate) blobs: Vec<&'a Object>,
    /// The manifests of the artifacts, each after the one that is its subject.
    pub(crate) artifacts: Vec<Artifact>,
    /// The index.
    pub(crate) index: Text,
}

/// A manifest of an artifact.
#[derive(Debug)]
pub(crate) struct Artifact {
    /// How others name it.
    pub(crate) entry: ImageIndexEntry,
    /// The digest of what it speaks of.
    pub(crate) subject: Option<String>,
    /// What it says of itself.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Its bytes.
    pub(crate) text: Text,
}

/// A document, and the digest by which it is known.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) media_type: &'static str,
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

impl Text {
    pub(crate) fn of(media_type: &'static str, what: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(what).expect("it has texts and numbers");
        let digest = digest_of(&bytes);
        Self { media_type, digest, bytes }
    }
}

/// A digest as registries write it.
pub(crate) fn digest(sha256: Sha256) -> String {
    format!("sha256:{sha256}")
}

/// The digest of `bytes`.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    digest(Sha256(sha2::Sha256::digest(bytes).into()))
}

/// A length as the manifests write it.
pub(crate) fn length(bytes: u64) -> i64 {
    i64::try_from(bytes).expect("no file has 8 EiB")
}

/// Why a version cannot be a tag; `None` where it can. OCI Distribution Specification, "Pulling
/// manifests".
pub(crate) fn no_tag(version: &str) -> Option<String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fine = version.starts_with(first) && version.chars().all(inner) && version.len() <= 128;
    (!fine).then(|| {
        format!(
            "{version} cannot be a tag: letters, digits, `.`, `_` and `-`, at most 128, neither `.` \
             nor `-` first"
        )
    })
}

/// Puts the objects of a release into artifacts.
pub(crate) fn plan<'a>(release: &ReleaseManifest, objects: &'a [Object]) -> Plan<'a> {
    let payloads = || objects.iter().filter(|object| object.role == FileRole::Payload);
    // What belongs to a payload that belongs to another one belongs to that one.
    let owner = |name: &str| {
        let of = payloads().find(|object| object.name == name).map(|o| o.of.as_deref());
        of.map(|of| of.unwrap_or(name).to_owned())
    };
    let mut groups: BTreeMap<String, Vec<&Object>> = BTreeMap::new();
    let mut rest = Vec::new();
    for object in objects {
        let about_image = !matches!(
            object.role,
            FileRole::PublicKey | FileRole::Manifest | FileRole::Signature | FileRole::Catalog
        );
        let of = object.of.as_deref().unwrap_or(&object.name);
        match owner(of).filter(|_| about_image) {
            Some(image) => groups.entry(image).or_default().push(object),
            None => rest.push(object),
        }
    }
    let mut builder = Builder { release, artifacts: Vec::new() };
    // In the order in which images were named; those of which the manifest says nothing, last.
    let named = |file: &str| {
        let has = |image: &ReleasedImage| image.artifacts.iter().any(|a| a.file == file);
        release.images.iter().position(has)
    };
    let mut order: Vec<&String> = groups.keys().collect();
    order.sort_by_key(|file| (named(file).unwrap_or(usize::MAX), *file));
    for file in order {
        let image = named(file).and_then(|at| release.images.get(at));
        builder.image(file, image, &groups[file]);
    }
    if !rest.is_empty() {
        let annotations = builder.common();
        builder.artifact(FILES, &rest, None, None, annotations, BTreeMap::new());
    }
    let mut seen = BTreeSet::new();
    let blobs = objects.iter().filter(|object| seen.insert(object.sha256)).collect();
    let mut annotations = builder.common();
    annotations.insert(DESCRIPTION.to_owned(), release.release.title.clone());
    let index = OciImageIndex {
        schema_version: 2,
        media_type: Some(OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned()),
        manifests: builder.artifacts.iter().map(|artifact| artifact.entry.clone()).collect(),
        artifact_type: Some(RELEASE.to_owned()),
        annotations: Some(annotations),
    };
    let index = Text::of(OCI_IMAGE_INDEX_MEDIA_TYPE, &index);
    Plan { blobs, artifacts: builder.artifacts, index }
}

struct Builder<'a> {
    release: &'a ReleaseManifest,
    artifacts: Vec<Artifact>,
}

impl Builder<'_> {
    /// The artifact of an image, and those that speak of it.
    fn image(&mut self, file: &str, image: Option<&ReleasedImage>, objects: &[&Object]) {
        let with = |roles: &[FileRole]| -> Vec<&Object> {
            let mut chosen: Vec<&Object> =
                objects.iter().copied().filter(|object| roles.contains(&object.role)).collect();
            // The image itself before its parts, and before what speaks of it.
            chosen.sort_by_key(|object| (object.role, object.name != file));
            chosen
        };
        let mut choose = BTreeMap::from([(OF_FILE.to_owned(), file.to_owned())]);
        let mut annotations = self.common();
        if let Some(image) = image {
            annotations.insert(DESCRIPTION.to_owned(), image.title.clone());
            choose.insert(OF_IMAGE.to_owned(), image.image.clone());
            choose.insert(OF_KIND.to_owned(), image.kind.as_str().to_owned());
            choose.insert(OF_SYSTEM.to_owned(), image.system.clone());
        }
        annotations.extend(choose.clone());
        let layers = with(&[FileRole::Payload, FileRole::ImageManifest, FileRole::Sums]);
        let platform = image.and_then(|image| platform(&image.system));
        let subject = self.artifact(IMAGE, &layers, None, platform, annotations, choose.clone());

        let reports = with(&[FileRole::Report, FileRole::Page]);
        let mut about = Vec::new();
        about.extend(with(&[FileRole::Sbom]).into_iter().map(|o| (o.media_type.clone(), vec![o])));
        about.extend(
            with(&[FileRole::Attestation]).into_iter().map(|o| (ATTESTATION.to_owned(), vec![o])),
        );
        if !reports.is_empty() {
            about.push((REPORT.to_owned(), reports));
        }
        for (artifact_type, layers) in about {
            let mut annotations = self.common();
            annotations.insert(OF_FILE.to_owned(), file.to_owned());
            let spoken_of = BTreeMap::from([(OF_FILE.to_owned(), file.to_owned())]);
            self.artifact(
                bare(&artifact_type),
                &layers,
                Some(subject.clone()),
                None,
                annotations,
                spoken_of,
            );
        }
    }

    fn common(&self) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::from([(VERSION.to_owned(), self.release.version.clone())]);
        if let Some(created) = &self.release.created {
            annotations.insert(CREATED.to_owned(), created.clone());
        }
        if let Some(website) = &self.release.release.website {
            annotations.insert(URL.to_owned(), website.clone());
        }
        annotations
    }

    /// Adds an artifact, and says how it is named as a subject.
    fn artifact(
        &mut self,
        artifact_type: &str,
        layers: &[&Object],
        subject: Option<OciDescriptor>,
        platform: Option<Platform>,
        annotations: BTreeMap<String, String>,
        choose: BTreeMap<String, String>,
    ) -> OciDescriptor {
        let layer = |object: &&Object| OciDescriptor {
            media_type: bare(&object.media_type).to_owned(),
            digest: digest(object.sha256),
            size: length(object.size),
            annotations: Some(BTreeMap::from([(TITLE.to_owned(), object.name.clone())])),
            ..OciDescriptor::default()
        };
        let manifest = OciImageManifest {
            schema_version: 2,
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            artifact_type: Some(artifact_type.to_owned()),
            config: OciDescriptor {
                media_type: EMPTY_MEDIA_TYPE.to_owned(),
                digest: digest_of(EMPTY),
                size: length(EMPTY.len() as u64),
                ..OciDescriptor::default()
            },
            layers: layers.iter().map(layer).collect(),
            subject: subject.clone(),
            annotations: Some(annotations.clone()),
        };
        let text = Text::of(OCI_IMAGE_MEDIA_TYPE, &manifest);
        let descriptor = OciDescriptor {
            media_type: OCI_IMAGE_MEDIA_TYPE.to_owned(),
            digest: text.digest.clone(),
            size: length(text.bytes.len() as u64),
            ..OciDescriptor::default()
        };
        let entry = ImageIndexEntry {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            platform,
            annotations: Some(choose).filter(|choose| !choose.is_empty()),
            artifact_type: Some(artifact_type.to_owned()),
        };
        let subject = subject.map(|subject| subject.digest);
        self.artifacts.push(Artifact { entry, subject, annotations, text });
        descriptor
    }
}

/// A media type without parameters, for which manifests have no place: some registries refuse them.
/// OCI Image Specification, "Content Descriptors"; RFC 6838 §4.2.
fn bare(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// A system of Nix in the words of Go, where there are such. OCI Image Specification, "Image
/// Index".
fn platform(system: &str) -> Option<Platform> {
    let (architecture, os) = system.rsplit_once('-')?;
    let (architecture, variant) = match architecture {
        "x86_64" => ("amd64", None),
        "aarch64" => ("arm64", None),
        "i686" => ("386", None),
        "armv7l" => ("arm", Some("v7")),
        "armv6l" => ("arm", Some("v6")),
        "riscv64" => ("riscv64", None),
        "powerpc64le" => ("ppc64le", None),
        "loongarch64" => ("loong64", None),
        _ => return None,
    };
    serde_json::from_value(serde_json::json!({
        "architecture": architecture,
        "os": os,
        "variant": variant,
    }))
    .ok()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use image_model::{
        Artifact as File, Compression, Digests, Generator, ImageKind, RELEASE_SCHEMA, ReleaseSpec,
        ReportSummary, Totals,
    };
    use serde_json::Value;

    use super::*;

    fn object(name: &str, role: FileRole, of: Option<&str>) -> Object {
        let media_type = match role {
            FileRole::Sbom => "application/vnd.cyclonedx+json; version=1.6",
            _ => "application/octet-stream",
        };
        Object {
            name: name.to_owned(),
            path: PathBuf::from(name),
            role,
            media_type: media_type.to_owned(),
            size: 5 << 30,
            sha256: Sha256(sha2::Sha256::digest(name).into()),
            of: of.map(str::to_owned),
        }
    }

    fn image(name: &str, kind: ImageKind, system: &str, file: &str) -> ReleasedImage {
        let digests = Digests { size: 1, sha256: Sha256([1; 32]) };
        let artifact = File {
            file: file.to_owned(),
            format: "mbr".to_owned(),
            compression: Compression::Zstd,
            digests,
            raw: digests,
        };
        ReleasedImage {
            image: name.to_owned(),
            kind,
            system: system.to_owned(),
            title: format!("NixOS, {name}"),
            distribution: "nixos".to_owned(),
            artifacts: vec![artifact],
            manifest: format!("{file}.manifest.json"),
            verification: ReportSummary {
                file: format!("{file}.verification.json"),
                sha256: Sha256([2; 32]),
                totals: Totals::default(),
            },
            unverified: None,
        }
    }

    fn release() -> (ReleaseManifest, Vec<Object>) {
        let manifest = ReleaseManifest {
            schema: RELEASE_SCHEMA,
            generator: Generator { name: "image-factory".to_owned(), version: "0".to_owned() },
            version: "26.05.1".to_owned(),
            release: ReleaseSpec::default(),
            created: Some("2026-11-21T00:00:00Z".to_owned()),
            images: vec![
                image("sd", ImageKind::Sd, "aarch64-linux", "sd.img.zst"),
                image("old", ImageKind::Sd, "armv7l-linux", "old.img"),
            ],
            files: Vec::new(),
            signatures: Vec::new(),
            omitted: Vec::new(),
        };
        let (sd, old) = (Some("sd.img.zst"), Some("old.img"));
        let objects = vec![
            object("old.img", FileRole::Payload, old),
            object("sd.img.bmap", FileRole::Payload, sd),
            object("sd.img.zst", FileRole::Payload, sd),
            object("sd.img.zst.cdx.json", FileRole::Sbom, sd),
            object("sd.img.zst.sha256", FileRole::Sums, sd),
            object("streams/v1/index.json", FileRole::Catalog, None),
            object("unknown.bin", FileRole::Payload, None),
        ];
        (manifest, objects)
    }

    #[test]
    fn artifacts_are_a_function_of_the_release() {
        let (manifest, objects) = release();
        let made = plan(&manifest, &objects);
        let parse = |text: &Text| serde_json::from_slice::<Value>(&text.bytes).unwrap();
        let titles = |artifact: &Artifact| -> Vec<String> {
            let manifest = parse(&artifact.text);
            let layers = manifest["layers"].as_array().unwrap();
            layers.iter().map(|l| l["annotations"][TITLE].as_str().unwrap().to_owned()).collect()
        };
        let all: Vec<_> = made.artifacts.iter().map(titles).collect();
        assert_eq!(
            all,
            [
                vec!["sd.img.zst", "sd.img.bmap", "sd.img.zst.sha256"],
                vec!["sd.img.zst.cdx.json"],
                vec!["old.img"],
                vec!["unknown.bin"],
                vec!["streams/v1/index.json"],
            ]
        );
        let sbom = parse(&made.artifacts[1].text);
        assert_eq!(sbom["artifactType"], "application/vnd.cyclonedx+json");
        assert_eq!(sbom["layers"][0]["mediaType"], "application/vnd.cyclonedx+json");
        assert_eq!(sbom["subject"]["digest"], made.artifacts[0].text.digest);
        assert_eq!(sbom["layers"][0]["size"], 5_u64 << 30);
        assert_eq!(sbom["annotations"][CREATED], "2026-11-21T00:00:00Z");
        let index = parse(&made.index);
        let platform = |at: usize| index["manifests"][at]["platform"].clone();
        assert_eq!(platform(0), serde_json::json!({"architecture": "arm64", "os": "linux"}));
        assert_eq!(platform(2)["variant"], "v7");
        assert_eq!(platform(3), Value::Null);
        assert_eq!(plan(&manifest, &objects).index.bytes, made.index.bytes);
        // Nobody who reads an index writes its manifests to files.
        assert!(index["manifests"][0]["annotations"].get(TITLE).is_none());
    }

    #[test]
    fn bytes_that_are_there_twice_are_sent_once() {
        let (manifest, mut objects) = release();
        let mut twin = objects[5].clone();
        twin.name = "simplestreams-index.json".to_owned();
        objects.push(twin);
        let made = plan(&manifest, &objects);
        assert_eq!(made.blobs.len(), objects.len() - 1);
    }

    #[test]
    fn tags_are_versions_of_some_letters() {
        for version in ["26.05.1", "26.05-rc1", "_x", &"a".repeat(128)] {
            assert_eq!(no_tag(version), None, "{version}");
        }
        for version in ["", ".1", "-1", "1+2", "1~2", "ä", &"a".repeat(129)] {
            assert!(no_tag(version).is_some(), "{version}");
        }
    }
}
