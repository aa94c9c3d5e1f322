//! The record of what was made. Written last: an artifact without a manifest does not exist.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Artifact, ClosurePath, Driver, ImageKind, Sha256, Totals};

/// Version of the shape of `manifest.json`. Grows when a key changes its meaning or goes away.
pub const MANIFEST_SCHEMA: u32 = 1;

/// `manifest.json`: what was made, from what, by what, and that it was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_SCHEMA`].
    pub schema: u32,
    /// Who wrote this.
    pub generator: Generator,
    /// Name of the image definition.
    pub image: String,
    /// What the image is for.
    pub kind: ImageKind,
    /// The system it runs on.
    pub system: String,
    /// One line for people.
    pub title: String,
    /// `nixos`, or what else the driver makes. `mini` is never called `nixos`.
    pub distribution: String,
    /// What it was made from.
    pub source: Source,
    /// Programs that took part.
    pub tools: Vec<Tool>,
    /// The files.
    pub artifacts: Vec<Artifact>,
    /// The store paths that the image consists of, sorted: the image can be proven against them, on a
    /// machine without Nix. Empty where it has no Nix store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closure: Vec<ClosurePath>,
    /// What the verification said.
    pub verification: ReportSummary,
}

/// The program that wrote a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// Name of the program.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What an image was made from. Absent keys do not apply to the driver, or Nix did not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// Who built.
    pub driver: Driver,
    /// The way from the definition to the output: `tarball-builder`, `file`, `busybox`.
    pub route: String,
    /// The flake as it was asked for; absent where that names a place on the machine that built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake: Option<String>,
    /// The flake as it was locked: an immutable reference where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<String>,
    /// Locked revision, or NAR hash where there is none, of each direct and indirect input, by
    /// the name of its node in `flake.lock`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// The attribute of the flake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// What the option `imageFactory.profiles` of its configuration was set to for this image,
    /// whatever the flake sets; absent where nobody asked for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// The derivation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derivation: Option<String>,
    /// Its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_path: Option<String>,
    /// NAR hash of that output, in SRI form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nar_hash: Option<String>,
    /// The bytes that the driver handed over, before the factory finished them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_sha256: Option<Sha256>,
}

/// A program that took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it says its version is, or the SHA-256 of it where it does not say.
    pub version: String,
}

/// What the verification said, and which report says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportSummary {
    /// Name of the report beside the manifest.
    pub file: String,
    /// SHA-256 of the report.
    pub sha256: Sha256,
    /// Its totals.
    pub totals: Totals,
}
