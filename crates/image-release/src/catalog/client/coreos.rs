//! Readers of CoreOS stream metadata: coreos/stream-metadata-go, `stream/stream.go` and
//! `stream/artifact_utils.go`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Entry, Facts, Refusal, Refusals, file_of, json, sha256};

/// A stream.
#[derive(Clone, Debug, Deserialize)]
pub struct Stream {
    /// Its name.
    pub stream: String,
    /// Who wrote it, and when.
    pub metadata: Metadata,
    /// By processor, as `uname -m` says it.
    pub architectures: BTreeMap<String, Architecture>,
}

/// Who wrote a stream, and when.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Metadata {
    /// A time as in RFC 3339; empty where nobody knows.
    #[serde(default)]
    pub last_modified: String,
    /// Who.
    #[serde(default)]
    pub generator: String,
}

/// What there is for a processor.
#[derive(Clone, Debug, Deserialize)]
pub struct Architecture {
    /// By platform.
    pub artifacts: BTreeMap<String, Platform>,
}

/// What there is for a platform.
#[derive(Clone, Debug, Deserialize)]
pub struct Platform {
    /// The version.
    pub release: String,
    /// By format; in each by the part that a file is: `disk`.
    pub formats: BTreeMap<String, BTreeMap<String, Artifact>>,
}

/// A file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Artifact {
    /// Its address.
    pub location: String,
    /// Address of a signature of it.
    #[serde(default)]
    pub signature: Option<String>,
    /// Its digest.
    pub sha256: String,
    /// Digest of what is inside the compression.
    #[serde(default)]
    pub uncompressed_sha256: Option<String>,
}

impl Stream {
    /// Reads a stream.
    pub fn read(bytes: &[u8]) -> Result<Self, Vec<Refusal>> {
        json(bytes)
    }

    /// The disk of a processor, a platform and a format.
    pub fn disk(&self, architecture: &str, platform: &str, format: &str) -> Option<&Artifact> {
        let platform = self.architectures.get(architecture)?.artifacts.get(platform)?;
        platform.formats.get(format)?.get("disk")
    }
}

/// All entries.
pub(super) fn entries(bytes: &[u8], facts: &Facts<'_>) -> Result<Vec<Entry>, Vec<Refusal>> {
    let stream = Stream::read(bytes)?;
    let (mut out, mut refusals) = (Vec::new(), Refusals::default());
    let release = &facts.manifest.release;
    if stream.stream != release.stream {
        refusals.push("", format!("it is of {:?}, not of {:?}", stream.stream, release.stream));
    }
    for (processor, architecture) in &stream.architectures {
        for (platform, found) in &architecture.artifacts {
            if found.release != facts.manifest.version {
                let what = format!("it is {}, not {}", found.release, facts.manifest.version);
                refusals.push(&format!("{processor} {platform}"), what);
            }
            let files = found.formats.iter().flat_map(|(format, parts)| {
                parts.iter().map(move |(part, artifact)| (format, part, artifact))
            });
            for (format, part, artifact) in files {
                let name = format!("{processor} {platform} {format} {part}");
                match entry(&name, artifact, facts) {
                    Ok(entry) => out.push(entry),
                    Err(what) => refusals.push(&name, what),
                }
            }
        }
    }
    refusals.or(out)
}

/// The entry of a file.
fn entry(name: &str, artifact: &Artifact, facts: &Facts<'_>) -> Result<Entry, String> {
    if let Some(signature) = &artifact.signature {
        file_of(signature, facts)?;
    }
    Ok(Entry {
        name: name.to_owned(),
        file: file_of(&artifact.location, facts)?,
        sha256: Some(sha256(&artifact.sha256)?),
        raw_sha256: artifact.uncompressed_sha256.as_deref().map(sha256).transpose()?,
        ..Entry::default()
    })
}
