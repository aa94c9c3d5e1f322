//! `DistributionInfo.json`: the list that `wsl --install NAME` reads, from the registry values
//! `DistributionListUrl` or `DistributionListUrlAppend`. microsoft/WSL,
//! `src/windows/common/Distribution.cpp`; rules: `distributions/validate-modern.py`.

use image_model::{Compression, FileRole, ImageKind};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Catalogs, NO_BASE_URL, json, of_kinds, processor, unmet};
use crate::{Document, Image, Release, needs::Audience};

/// Name of the file.
pub(super) const FILE: &str = "DistributionInfo.json";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    modern_distributions: Map<String, Value>,
    default: String,
}

/// What one name stands for, on both kinds of machine.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Distribution {
    name: String,
    friendly_name: String,
    default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    amd64_url: Option<Archive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arm64_url: Option<Archive>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Archive {
    url: String,
    sha256: String,
}

impl Distribution {
    fn amd64(&mut self) -> &mut Option<Archive> {
        &mut self.amd64_url
    }

    fn arm64(&mut self) -> &mut Option<Archive> {
        &mut self.arm64_url
    }
}

/// Writes the list: one flavor, the name of the release. Definitions that differ in nothing but the
/// processor in their names are one distribution; the first of all is the default.
pub(super) fn write(release: &Release, out: &mut Catalogs) {
    let mut images = of_kinds(release, &[ImageKind::Wsl]).peekable();
    if images.peek().is_none() {
        return;
    }
    if release.base_url.is_none() {
        return out.omit(FILE, NO_BASE_URL);
    }
    let flavor = release.spec.name.clone();
    let mut versions: Vec<Distribution> = Vec::new();
    for image in images {
        if let Err(why) = add(release, &flavor, image, &mut versions) {
            out.leave_out(FILE, image, why);
        }
    }
    // Whoever comes first: exactly one of a flavor.
    let Some(first) = versions.first_mut() else { return };
    first.default = true;
    let versions = serde_json::to_value(versions).expect("it has string keys");
    let modern_distributions = [(flavor.clone(), versions)].into_iter().collect();
    out.documents.push(Document {
        file: FILE.to_owned(),
        also: None,
        role: FileRole::Catalog,
        media_type: "application/json",
        bytes: json::text(&List { modern_distributions, default: flavor }, "    "),
    });
}

/// Adds an image to the distribution that it is of, or says why not.
fn add(
    release: &Release,
    flavor: &str,
    image: &Image,
    versions: &mut Vec<Distribution>,
) -> Result<(), String> {
    let payload = image.payload();
    unmet(image, Audience::Wsl)?;
    if !matches!(payload.compression, Compression::Gzip | Compression::Xz) {
        return Err(format!(
            "its compression is {}, and the rules of WSL take gzip and xz",
            payload.compression.as_str()
        ));
    }
    let place = match processor(&image.manifest) {
        "x86_64" => Distribution::amd64,
        "aarch64" => Distribution::arm64,
        other => return Err(format!("WSL runs on x86_64 and aarch64, not on {other}")),
    };
    let url = release.url(&payload.file).ok_or("its name makes no address")?.to_string();
    let archive = Archive { url, sha256: payload.digests.sha256.to_string() };
    let name = name(flavor, &image.manifest.image);
    let at = versions.iter().position(|version| version.name == name).unwrap_or_else(|| {
        versions.push(Distribution {
            name: name.clone(),
            friendly_name: super::title(&image.manifest, &release.version),
            default: false,
            amd64_url: None,
            arm64_url: None,
        });
        versions.len() - 1
    });
    let place = place(versions.get_mut(at).expect("it is there"));
    if place.is_some() {
        return Err(format!("{name} has an image for that processor already"));
    }
    *place = Some(archive);
    Ok(())
}

/// The name of a distribution: the flavor, and what the name of the definition adds to `wsl` and to
/// the processor.
fn name(flavor: &str, image: &str) -> String {
    let rest: Vec<_> = words(image)
        .filter(|word| !matches!(*word, "wsl" | "x86_64" | "amd64" | "aarch64" | "arm64"))
        .collect();
    // A definition may have the name of the flavor in its own.
    let rest = rest.join("-");
    match rest.strip_prefix(flavor) {
        Some("") => flavor.to_owned(),
        Some(more) if more.starts_with('-') => format!("{flavor}{more}"),
        _ if rest.is_empty() => flavor.to_owned(),
        _ => format!("{flavor}-{rest}"),
    }
}

/// The words of a name.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split('-').filter(|word| !word.is_empty())
}
