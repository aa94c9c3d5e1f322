//! Incus: lxc/incus, `shared/simplestreams/` (`products.go`, `simplestreams.go`) and `shared/osarch/`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Combined, Entry, Facts, Refusal, Refusals, json, sha256};
use crate::catalog::incus::{IMAGES_ALSO, INDEX_ALSO};

/// `streams/v1/index.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Index {
    /// `index:1.0`; Incus does not ask.
    pub format: String,
    /// Lists, by a name that nobody asks for.
    pub index: BTreeMap<String, Stream>,
}

/// A list that the index names.
#[derive(Clone, Debug, Deserialize)]
pub struct Stream {
    /// Incus reads those of `image-downloads`.
    pub datatype: String,
    /// Where it is, from the address of the remote.
    pub path: String,
    /// A list without any is not fetched.
    #[serde(default)]
    pub products: Vec<String>,
}

/// A list.
#[derive(Clone, Debug, Deserialize)]
pub struct Products {
    /// By name.
    pub products: BTreeMap<String, Product>,
}

/// An image in all its versions.
#[derive(Clone, Debug, Deserialize)]
pub struct Product {
    /// Names, with commas between them.
    #[serde(default)]
    pub aliases: String,
    /// The processor.
    pub arch: String,
    /// What it is.
    pub os: String,
    /// Which one.
    pub release: String,
    /// Which one, for people.
    pub release_title: String,
    /// By day.
    pub versions: BTreeMap<String, Version>,
}

/// A version.
#[derive(Clone, Debug, Deserialize)]
pub struct Version {
    /// Its files, by a name that nobody asks for.
    pub items: BTreeMap<String, Item>,
}

/// A file.
#[derive(Clone, Debug, Deserialize)]
pub struct Item {
    /// What it is.
    pub ftype: String,
    /// Where it is, from the address of the remote.
    pub path: String,
    /// Its digest.
    #[serde(default)]
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
    /// Digest of it and the disk after it, by which Incus knows the image.
    #[serde(default, rename = "combined_disk-kvm-img_sha256")]
    pub combined_disk_kvm_img_sha256: Option<String>,
}

/// A virtual machine that Incus would list.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    /// Its names.
    pub aliases: Vec<&'a str>,
    /// The processor, as Linux says it.
    pub architecture: &'static str,
    /// The digest of both files.
    pub fingerprint: &'a str,
    /// The metadata.
    pub metadata: &'a Item,
    /// The disk.
    pub disk: &'a Item,
}

impl Products {
    /// The virtual machines that Incus would list; it passes over all others in silence (`ToAPI`).
    pub fn images(&self) -> Vec<Image<'_>> {
        let mut out = Vec::new();
        for product in self.products.values() {
            let Some(architecture) = architecture(&product.arch) else { continue };
            for (day, version) in &product.versions {
                if !is_day(day) {
                    continue;
                }
                let items = || version.items.values();
                for metadata in items().filter(|item| item.ftype == "incus.tar.xz") {
                    for disk in items().filter(|item| item.ftype == "disk-kvm.img") {
                        let fingerprint = metadata.combined_disk_kvm_img_sha256.as_deref();
                        let Some(fingerprint) = fingerprint.filter(|text| !text.is_empty()) else {
                            continue;
                        };
                        if metadata.path.is_empty() {
                            continue;
                        }
                        let aliases = product.aliases.split(',').collect();
                        out.push(Image { aliases, architecture, fingerprint, metadata, disk });
                    }
                }
            }
        }
        out
    }
}

/// A processor as Linux says it, of what lists say (`osarch.ArchitectureId`).
fn architecture(name: &str) -> Option<&'static str> {
    match name {
        "x86_64" | "amd64" | "generic_64" => Some("x86_64"),
        "aarch64" | "arm64" | "arm64_generic" => Some("aarch64"),
        _ => None,
    }
}

/// Whether a version begins with a day, as `time.Parse("20060102", …)` takes it.
fn is_day(version: &str) -> bool {
    let Some(day) = version.get(..8) else { return false };
    if !day.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let number = |range| day.get(range).and_then(|digits: &str| digits.parse::<u32>().ok());
    let (year, month, day) = (number(0..4), number(4..6), number(6..8));
    let (Some(year), Some(month), Some(day)) = (year, month, day) else { return false };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    (1..=12).contains(&month) && (1..=last).contains(&day)
}

/// Reads the index: it has to name the list.
pub(super) fn index(bytes: &[u8], facts: &Facts<'_>) -> Result<(), Vec<Refusal>> {
    let index: Index = json(bytes)?;
    let mut refusals = Refusals::default();
    also(INDEX_ALSO, facts, &mut refusals);
    let read =
        |stream: &&Stream| stream.datatype == "image-downloads" && !stream.products.is_empty();
    let lists: Vec<_> = index.index.values().filter(read).collect();
    if lists.is_empty() {
        refusals.push("", "it names no list of images");
    }
    for list in lists {
        also(&list.path, facts, &mut refusals);
    }
    refusals.or(())
}

/// Whether something is published at a path below the remote.
fn also(path: &str, facts: &Facts<'_>, refusals: &mut Refusals) {
    let files = &facts.manifest.files;
    if !files.iter().any(|file| file.also.as_deref() == Some(path)) {
        refusals.push("", format!("nothing is published as {path}"));
    }
}

/// All entries: the metadata and the disk of each virtual machine.
pub(super) fn entries(bytes: &[u8], facts: &Facts<'_>) -> Result<Vec<Entry>, Vec<Refusal>> {
    let products: Products = json(bytes)?;
    let (mut out, mut refusals) = (Vec::new(), Refusals::default());
    also(IMAGES_ALSO, facts, &mut refusals);
    let images = products.images();
    let items = products.products.values().flat_map(|product| product.versions.values());
    let disks = items.flat_map(|version| version.items.values());
    let disks = disks.filter(|item| item.ftype == "disk-kvm.img").count();
    if disks != images.len() {
        let shown = images.len();
        refusals.push("", format!("Incus would list {shown} of {disks} disks, and say nothing"));
    }
    for image in images {
        let name = image.aliases.first().copied().unwrap_or_default();
        for (item, combined) in [(image.metadata, None), (image.disk, Some(image.fingerprint))] {
            let first = image.metadata.path.clone();
            match entry(name, item, combined.map(|digest| (first, digest))) {
                Ok(entry) => out.push(entry),
                Err(what) => refusals.push(name, what),
            }
        }
    }
    refusals.or(out)
}

/// The entry of a file.
fn entry(name: &str, item: &Item, combined: Option<(String, &str)>) -> Result<Entry, String> {
    let combined = combined
        .map(|(first, digest)| Ok::<_, String>(Combined { first, sha256: sha256(digest)? }));
    Ok(Entry {
        name: name.to_owned(),
        file: item.path.clone(),
        size: Some(item.size),
        sha256: Some(sha256(&item.sha256)?),
        combined: combined.transpose()?,
        ..Entry::default()
    })
}
