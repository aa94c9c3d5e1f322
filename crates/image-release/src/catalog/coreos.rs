//! `<stream>.json`: stream metadata as CoreOS has them, for programs that look for the newest image of
//! a platform. coreos/stream-metadata-go, `stream/stream.go`.
//!
//! There is no `signature` in it: that is the address of an OpenPGP signature of the very file, and a
//! release signs the list of all checksums. The library above reads such a stream. coreos-installer
//! does not (its `Artifact` has no optional signature), and takes an image by `--image-url`.

use image_host::epoch;
use image_model::{Compression, FileRole, ImageKind};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Catalogs, NO_BASE_URL, around_version, of_kinds, processor};
use crate::{Document, Image, Release};

/// Kinds that the format has a platform for.
const KINDS: [ImageKind; 5] =
    [ImageKind::Sd, ImageKind::Iso, ImageKind::Vm, ImageKind::Virtualbox, ImageKind::Amazon];

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Artifact {
    location: String,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uncompressed_sha256: Option<String>,
}

/// Name of the file.
pub(super) fn file(stream: &str) -> String {
    format!("{stream}.json")
}

/// Writes the metadata of the stream.
pub(super) fn write(release: &Release, out: &mut Catalogs) {
    let file = file(&release.spec.stream);
    let mut images = of_kinds(release, &KINDS).peekable();
    if images.peek().is_none() {
        return;
    }
    if release.base_url.is_none() {
        return out.omit(&file, NO_BASE_URL);
    }
    let mut architectures = Map::new();
    for image in images {
        if let Err(why) = add(release, image, &mut architectures) {
            out.leave_out(&file, image, why);
        }
    }
    if architectures.is_empty() {
        return;
    }
    let generator = format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let mut metadata = Map::new();
    if let Some(seconds) = release.epoch {
        metadata.insert("last-modified".to_owned(), epoch::timestamp(seconds).into());
    }
    metadata.insert("generator".to_owned(), generator.into());
    let stream = json!({
        "stream": release.spec.stream,
        "metadata": metadata,
        "architectures": architectures,
    });
    out.documents.push(Document {
        file,
        also: None,
        role: FileRole::Catalog,
        media_type: "application/json",
        bytes: super::json::text(&stream, "    "),
    });
}

/// Adds an image: `architectures.A.artifacts.PLATFORM.formats.FORMAT.disk`.
fn add(release: &Release, image: &Image, out: &mut Map<String, Value>) -> Result<(), String> {
    let payload = image.payload();
    let platform = match image.manifest.kind {
        ImageKind::Sd | ImageKind::Iso => "metal",
        ImageKind::Vm => "qemu",
        ImageKind::Virtualbox => "virtualbox",
        ImageKind::Amazon => "aws",
        ImageKind::Wsl | ImageKind::Docker => return Err("there is no platform for it".to_owned()),
    };
    let format = format(&payload.file, &release.version)?;
    let artifact = Artifact {
        location: release.url(&payload.file).ok_or("its name makes no address")?.to_string(),
        sha256: payload.digests.sha256.to_string(),
        uncompressed_sha256: (payload.compression != Compression::None)
            .then(|| payload.raw.sha256.to_string()),
    };
    let processor = processor(&image.manifest);
    let artifacts = inside(inside(out, processor), "artifacts");
    let artifacts = inside(artifacts, platform);
    artifacts.entry("release").or_insert_with(|| release.version.clone().into());
    let formats = inside(artifacts, "formats");
    if formats.contains_key(&format) {
        return Err(format!("{processor}, {platform}, {format} names another image already"));
    }
    formats.insert(format, json!({ "disk": artifact }));
    Ok(())
}

/// The object in an object, made where it is not there.
fn inside<'a>(object: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = object.entry(key).or_insert_with(|| Value::Object(Map::new()));
    value.as_object_mut().expect("only objects are put there")
}

/// How CoreOS calls a format: by what the name of the file ends with, and `raw` for a raw disk.
fn format(file: &str, version: &str) -> Result<String, String> {
    let (_, rest) = around_version(file, version).ok_or("its name has no version in it")?;
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    Ok(match rest.strip_prefix("img") {
        Some(compression) => format!("raw{compression}"),
        None => rest.to_owned(),
    })
}
