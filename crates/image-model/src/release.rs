//! A release: images of one version, and everything that is said of them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Artifact, Generator, ImageKind, ReportSummary, Sha256};

/// Version of the shape of the `manifest.json` of a release. Grows when a key changes its meaning or
/// goes away.
pub const RELEASE_SCHEMA: u32 = 1;

/// `release.toml`, beside `images/`: what all releases of a project have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReleaseSpec {
    /// What is released, for people: the title of the page and of catalogs.
    #[serde(default = "default_title")]
    pub title: String,
    /// Its name for programs: lower-case letters, digits and hyphens.
    #[serde(default = "default_name")]
    pub name: String,
    /// The channel that releases belong to, such as `stable`.
    #[serde(default = "default_stream")]
    pub stream: String,
    /// Where the files of a release are found once it is published. `{version}` stands for its
    /// version. Catalogs for clients that want whole addresses are written only if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Where the files of the newest release are always found; clients that update themselves look
    /// there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_url: Option<String>,
    /// A page about what is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// Address of an icon, which Raspberry Pi Imager insists on: SVG or PNG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
}

fn default_title() -> String {
    "NixOS".to_owned()
}

fn default_name() -> String {
    "nixos".to_owned()
}

fn default_stream() -> String {
    "stable".to_owned()
}

impl Default for ReleaseSpec {
    fn default() -> Self {
        Self {
            title: default_title(),
            name: default_name(),
            stream: default_stream(),
            base_url: None,
            latest_url: None,
            website: None,
            icon: None,
        }
    }
}

/// `manifest.json` of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseManifest {
    /// [`RELEASE_SCHEMA`].
    pub schema: u32,
    /// Who wrote this.
    pub generator: Generator,
    /// The version that is released.
    pub version: String,
    /// What it was released as: `release.toml`, with what the command line changed.
    pub release: ReleaseSpec,
    /// `SOURCE_DATE_EPOCH`, as RFC 3339 writes it; absent where nobody set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The images, in the order in which they were named.
    pub images: Vec<ReleasedImage>,
    /// All files, sorted by name, but for this one, `SHA256SUMS` and the signatures of that.
    pub files: Vec<ReleaseFile>,
    /// Who signed `SHA256SUMS`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<ReleaseSignature>,
    /// Catalogs that were not written, or that an image is not in, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omitted: Vec<OmittedCatalog>,
}

/// An image of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleasedImage {
    /// Name of its definition.
    pub image: String,
    /// What it is for.
    pub kind: ImageKind,
    /// The system it runs on.
    pub system: String,
    /// One line for people.
    pub title: String,
    /// `nixos`, or what else the driver makes.
    pub distribution: String,
    /// Its files, under the names that they have here; the image is the first one.
    pub artifacts: Vec<Artifact>,
    /// Name of its manifest.
    pub manifest: String,
    /// What the verification said.
    pub verification: ReportSummary,
    /// Why it is here although it was not verified; absent where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unverified: Option<String>,
}

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseFile {
    /// Its name, without a folder.
    pub file: String,
    /// Where a client looks for it, below the folder of the release, in addition to its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also: Option<String>,
    /// What it is for.
    pub role: FileRole,
    /// Its media type. RFC 6838.
    pub media_type: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of it.
    pub sha256: Sha256,
    /// The image that it belongs to: the name of that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// What a file of a release is for. The order is that of publishing: what is named by others comes
/// before them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FileRole {
    /// An image, or a part of one that clients fetch, such as a block map.
    Payload,
    /// The manifest of an image.
    ImageManifest,
    /// The report of the verification.
    Report,
    /// A bill of materials.
    Sbom,
    /// Statements in DSSE envelopes.
    Attestation,
    /// A public key.
    PublicKey,
    /// The manifest of the release.
    Manifest,
    /// A signature of the list of checksums.
    Signature,
    /// A list of checksums.
    Sums,
    /// What a client of some ecosystem reads.
    Catalog,
    /// What a person reads.
    Page,
}

impl FileRole {
    /// The word that manifests and listings use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::ImageManifest => "image-manifest",
            Self::Report => "report",
            Self::Sbom => "sbom",
            Self::Attestation => "attestation",
            Self::PublicKey => "public-key",
            Self::Manifest => "manifest",
            Self::Signature => "signature",
            Self::Sums => "sums",
            Self::Catalog => "catalog",
            Self::Page => "page",
        }
    }
}

impl fmt::Display for FileRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a signature is made, and what verifies it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureScheme {
    /// `minisign -V`, prehashed.
    Minisign,
    /// `ssh-keygen -Y verify`, namespace `file`. PROTOCOL.sshsig of OpenSSH.
    Ssh,
    /// `gpg --verify`, and systemd-sysupdate: detached and binary. RFC 9580.
    Openpgp,
}

impl SignatureScheme {
    /// The word that manifests, flags and messages use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minisign => "minisign",
            Self::Ssh => "ssh",
            Self::Openpgp => "openpgp",
        }
    }
}

impl fmt::Display for SignatureScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A signature of `SHA256SUMS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseSignature {
    /// How it is made.
    pub scheme: SignatureScheme,
    /// The file that has it.
    pub file: String,
    /// What names the key: of minisign its number, of SSH `SHA256:…`, of OpenPGP its fingerprint.
    pub key_id: String,
    /// The file that has the public key. It came with the release: compare it with what you know.
    pub public_key: String,
}

/// A catalog, or an entry of one, that was not written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OmittedCatalog {
    /// Which.
    pub catalog: String,
    /// The image that is not in it; absent where there is none of it at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Why.
    pub why: String,
}
