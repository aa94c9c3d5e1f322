//! Simplestreams for Incus: `streams/v1/index.json`, and the list of images that it names. lxc/incus,
//! `shared/simplestreams/` and `cmd/incus-simplestreams/`.
//!
//! A virtual machine is two files: a tarball with `metadata.yaml`, which is made here, and the disk.
//! Incus knows the two by the digest of one after the other, and takes no disk but qcow2. Paths are
//! relative to the folder of the release, which is the address of the remote.

use std::{collections::BTreeSet, io::Write as _};

use image_host::epoch;
use image_model::{Compression, FileRole, ImageKind, Manifest, ReleaseSpec};
use liblzma::write::XzEncoder;
use serde_json::{Map, Value, json};

use super::{Catalogs, json, of_kinds, processor};
use crate::{Document, Image, Release};

/// Name of the index.
pub(super) const INDEX: &str = "simplestreams-index.json";
/// Name of the list of images.
pub(super) const IMAGES: &str = "simplestreams-images.json";
/// Where Incus looks for the index.
pub(super) const INDEX_ALSO: &str = "streams/v1/index.json";
/// Where the index says that the list is.
pub(super) const IMAGES_ALSO: &str = "streams/v1/images.json";
/// What the name of the metadata adds to that of the disk.
pub(super) const METADATA_SUFFIX: &str = "incus.tar.xz";

/// Writes index, list, and the metadata of each virtual machine.
pub(super) fn write(release: &Release, out: &mut Catalogs) {
    let mut images = of_kinds(release, &[ImageKind::Vm]).peekable();
    if images.peek().is_none() {
        return;
    }
    let Some(seconds) = release.epoch else {
        return out.omit(INDEX, NO_EPOCH);
    };
    let created = created(seconds);
    let mut products = Map::new();
    let mut payloads = Vec::new();
    let mut processors = BTreeSet::new();
    for image in images {
        // Short names stand for the first image of each processor.
        let processor = processor(&image.manifest);
        match product(release, image, &created, !processors.contains(processor)) {
            Ok((name, product, document)) => {
                products.insert(name, product);
                payloads.push(document);
                processors.insert(processor);
            }
            Err(why) => out.leave_out(INDEX, image, why),
        }
    }
    if products.is_empty() {
        return;
    }
    let names: Vec<_> = products.keys().cloned().collect();
    let index = json!({
        "format": "index:1.0",
        "index": {
            "images": {
                "datatype": "image-downloads",
                "format": "products:1.0",
                "path": IMAGES_ALSO,
                "products": names,
            },
        },
    });
    let images = json!({
        "content_id": "images",
        "datatype": "image-downloads",
        "format": "products:1.0",
        "products": products,
    });
    out.documents.append(&mut payloads);
    let catalogs = [(IMAGES, IMAGES_ALSO, images), (INDEX, INDEX_ALSO, index)];
    out.documents.extend(catalogs.map(|(file, also, value)| Document {
        file: file.to_owned(),
        also: Some(also.to_owned()),
        role: FileRole::Catalog,
        media_type: "application/json",
        bytes: json::text(&value, "    "),
    }));
}

const NO_EPOCH: &str = "SOURCE_DATE_EPOCH is not set, and a version begins with its day";

/// A version as Incus names it: its first eight digits are the day. `202608200542`
fn created(seconds: u64) -> String {
    let digits = epoch::timestamp(seconds);
    digits.chars().filter(char::is_ascii_digit).take("YYYYMMDDhhmm".len()).collect()
}

/// Name and text of a product, and the metadata of its image; or why Incus could not use it.
fn product(
    release: &Release,
    image: &Image,
    created: &str,
    first: bool,
) -> Result<(String, Value, Document), String> {
    let Release { version, spec, epoch, .. } = release;
    let Image { manifest, .. } = image;
    let bytes = metadata(version, spec, *epoch, manifest)?;
    let combined = image.combined.ok_or("nobody took the digest of its metadata and its disk")?;
    let payload = image.payload();
    let metadata = Document {
        file: image.beside(METADATA_SUFFIX),
        also: None,
        role: FileRole::Payload,
        media_type: "application/x-xz",
        bytes,
    };
    let Properties { os, architecture, variant, .. } = Properties::of(version, spec, manifest)?;
    let stem = &spec.name;
    let mut aliases = vec![format!("{stem}/{version}/{variant}"), format!("{stem}/{variant}")];
    if first {
        aliases.extend([format!("{stem}/{version}"), stem.clone()]);
    }
    let product = json!({
        "aliases": aliases.join(","),
        "arch": architecture,
        "os": os,
        "release": version,
        "release_title": version,
        // Nobody signed the boot loader for the keys that the firmware of Incus has.
        "requirements": { "secureboot": "false" },
        "variant": variant,
        "versions": {
            created: {
                "items": {
                    METADATA_SUFFIX: {
                        "combined_disk-kvm-img_sha256": combined,
                        "ftype": METADATA_SUFFIX,
                        "path": metadata.file,
                        "sha256": metadata.sha256(),
                        "size": metadata.bytes.len(),
                    },
                    "disk.qcow2": {
                        "ftype": "disk-kvm.img",
                        "path": payload.file,
                        "sha256": payload.digests.sha256,
                        "size": payload.digests.size,
                    },
                },
            },
        },
    });
    Ok((format!("{os}:{version}:{variant}:{architecture}"), product, metadata))
}

/// What Incus says of an image.
struct Properties<'a> {
    os: &'a str,
    /// As in the lists of distributions: `amd64`.
    architecture: &'static str,
    /// As Linux says it: `x86_64`.
    machine: &'static str,
    variant: &'a str,
    description: String,
}

impl<'a> Properties<'a> {
    fn of(version: &str, spec: &ReleaseSpec, manifest: &'a Manifest) -> Result<Self, String> {
        let (architecture, machine) = match processor(manifest) {
            "x86_64" => ("amd64", "x86_64"),
            "aarch64" => ("arm64", "aarch64"),
            other => return Err(format!("nothing is known of Incus on {other}")),
        };
        let variant = manifest.image.as_str();
        let description = format!("{} {version} {variant} ({architecture})", spec.title);
        Ok(Self { os: &manifest.distribution, architecture, machine, variant, description })
    }
}

/// The metadata tarball of an image, or why it has none.
pub(super) fn metadata(
    version: &str,
    spec: &ReleaseSpec,
    epoch: Option<u64>,
    manifest: &Manifest,
) -> Result<Vec<u8>, String> {
    let payload = manifest.artifacts.first().ok_or("it has no files")?;
    if manifest.kind != ImageKind::Vm {
        return Err("it is no disk of a virtual machine".to_owned());
    }
    if payload.format != "qcow2" || payload.compression != Compression::None {
        let (format, compression) = (&payload.format, payload.compression.as_str());
        return Err(format!("Incus takes bare qcow2, not {format} with compression {compression}"));
    }
    let seconds = epoch.filter(|seconds| *seconds > 0).ok_or(NO_EPOCH)?;
    let Properties { os, architecture, machine, variant, description } =
        Properties::of(version, spec, manifest)?;
    let mut text = format!("architecture: {machine}\ncreation_date: {seconds}\nproperties:\n");
    let properties = [
        ("architecture", architecture),
        ("description", &description),
        ("os", os),
        ("release", version),
        ("variant", variant),
    ];
    for (key, value) in properties {
        text.push_str(&format!("  {key}: {}\n", quoted(value)));
    }
    text.push_str("templates: {}\n");
    Ok(tarball(text.as_bytes(), seconds))
}

/// A double-quoted scalar of YAML 1.2, in ASCII.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => out.push_str(&format!("\\U{:08x}", u32::from(character))),
        }
    }
    out.push('"');
    out
}

/// `metadata.yaml` in a tarball that is the same everywhere.
fn tarball(yaml: &[u8], seconds: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path("metadata.yaml").expect("it is short");
    header.set_size(yaml.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(seconds);
    header.set_cksum();
    let mut archive = tar::Builder::new(XzEncoder::new(Vec::new(), 6));
    archive.append(&header, yaml).expect(MEMORY);
    let mut encoder = archive.into_inner().expect(MEMORY);
    encoder.flush().expect(MEMORY);
    encoder.finish().expect(MEMORY)
}

const MEMORY: &str = "memory takes it";
