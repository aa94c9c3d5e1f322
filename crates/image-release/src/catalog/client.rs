//! Catalogs as their clients read them: each module does what the client does, and refuses what the
//! client, or those who run its list, refuse.
//!
//! [`read_all`] finds every entry of a catalog, and [`Entry::differences`] holds one against the
//! release.

use std::fmt;

use image_model::{ReleaseManifest, Sha256};
use url::Url;

use crate::release::below;

pub mod coreos;
pub mod imager;
pub mod incus;
pub mod sysupdate;
pub mod version;
pub mod wsl;

/// What the readers need to know of the release that a catalog is in.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its manifest.
    pub manifest: &'a ReleaseManifest,
    /// The lines of its list of checksums: sysupdate has its digests from there.
    pub sums: &'a [sysupdate::Sum],
}

/// What a catalog says of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What the client calls it, for people.
    pub name: String,
    /// Name of the file in the release.
    pub file: String,
    /// Its length in bytes, where the catalog has that.
    pub size: Option<u64>,
    /// Its digest.
    pub sha256: Option<Sha256>,
    /// Length in bytes of what is inside the compression.
    pub raw_size: Option<u64>,
    /// Digest of that.
    pub raw_sha256: Option<Sha256>,
    /// Digest of two files, one after the other.
    pub combined: Option<Combined>,
}

/// The digest of two files, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combined {
    /// Name of the first; the file of the entry is the second.
    pub first: String,
    /// The digest.
    pub sha256: Sha256,
}

/// What a client, or those who run its list, would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The entry that it is about; empty where it is about all.
    pub name: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.name.is_empty() {
            write!(f, "{}: ", self.name)?;
        }
        f.write_str(&self.what)
    }
}

/// All entries of a catalog, or why its client would not take it; `None` where a file of that name is
/// no catalog.
pub fn read_all(
    file: &str,
    bytes: &[u8],
    facts: &Facts<'_>,
) -> Option<Result<Vec<Entry>, Vec<Refusal>>> {
    use super::{coreos as stream, imager as list, incus as streams, sysupdate as transfer};
    let release = &facts.manifest.release;
    Some(match file {
        list::FILE => imager::entries(bytes, facts),
        super::wsl::FILE => wsl::entries(bytes, facts),
        streams::INDEX => incus::index(bytes, facts).map(|()| Vec::new()),
        streams::IMAGES => incus::entries(bytes, facts),
        _ if file == stream::file(&release.stream) => coreos::entries(bytes, facts),
        _ if file.ends_with(transfer::SUFFIX) => sysupdate::entries(bytes, facts),
        _ => return None,
    })
}

impl Entry {
    /// In what it says something else than the manifest of the release: a sentence each. The digest of
    /// two files is for those who read them.
    pub fn differences(&self, manifest: &ReleaseManifest) -> Vec<Refusal> {
        let mut out = Vec::new();
        let mut differs = |what: String| out.push(Refusal { name: self.name.clone(), what });
        let Some(file) = manifest.files.iter().find(|file| file.file == self.file) else {
            differs(format!("{} is no file of the release", self.file));
            return out;
        };
        if let Some(size) = self.size.filter(|size| *size != file.size) {
            differs(format!("{} has {} bytes, not {size}", self.file, file.size));
        }
        if let Some(sha256) = self.sha256.filter(|sha256| *sha256 != file.sha256) {
            differs(format!("the digest of {} is {}, not {sha256}", self.file, file.sha256));
        }
        let mut artifacts = manifest.images.iter().flat_map(|image| &image.artifacts);
        let raw = artifacts.find(|artifact| artifact.file == self.file).map(|found| found.raw);
        if raw.is_none() && (self.raw_size.is_some() || self.raw_sha256.is_some()) {
            differs(format!("nothing is known of what is inside {}", self.file));
        }
        let Some(raw) = raw else { return out };
        if let Some(size) = self.raw_size.filter(|size| *size != raw.size) {
            differs(format!("inside {} are {} bytes, not {size}", self.file, raw.size));
        }
        if let Some(sha256) = self.raw_sha256.filter(|sha256| *sha256 != raw.sha256) {
            let file = &self.file;
            differs(format!("the digest of what is inside {file} is {}, not {sha256}", raw.sha256));
        }
        out
    }
}

/// Collects what is wrong.
#[derive(Debug, Default)]
struct Refusals(Vec<Refusal>);

impl Refusals {
    /// What is wrong with all of it.
    fn all(what: impl Into<String>) -> Vec<Refusal> {
        vec![Refusal { name: String::new(), what: what.into() }]
    }

    fn push(&mut self, name: &str, what: impl Into<String>) {
        self.0.push(Refusal { name: name.to_owned(), what: what.into() });
    }

    /// The value, where nothing is wrong.
    fn or<T>(self, value: T) -> Result<T, Vec<Refusal>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

/// Reads JSON into what a client wants of it.
fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Vec<Refusal>> {
    serde_json::from_slice(bytes).map_err(|error| Refusals::all(format!("no such JSON: {error}")))
}

/// The file of the release that an address is of.
fn file_of(address: &str, facts: &Facts<'_>) -> Result<String, String> {
    let base = facts.manifest.release.base_url.as_deref();
    let base = base.ok_or_else(|| format!("{address}: the release has no `base-url`"))?;
    let parsed = Url::parse(address).map_err(|error| format!("{address}: {error}"))?;
    if !matches!(parsed.scheme(), "https" | "http") {
        return Err(format!("{address}: clients fetch by https"));
    }
    let base = format!("{}/", base.trim_end_matches('/'));
    let base = Url::parse(&base).map_err(|error| format!("{base}: {error}"))?;
    // By what a file would have as its address, so that nobody has to undo an encoding.
    let names = facts.manifest.files.iter().map(|file| file.file.as_str());
    let mut names = names.filter(|name| below(&base, name) == parsed);
    let found = names.next().ok_or_else(|| {
        format!("{address} is the address of no file of the release, which is at {base}")
    })?;
    Ok(found.to_owned())
}

/// A digest as most clients want it: 64 hexadecimal digits, compared as text with lower-case ones.
fn sha256(text: &str) -> Result<Sha256, String> {
    Sha256::try_from(text.to_owned()).map_err(|why| format!("{text:?}: {why}"))
}
