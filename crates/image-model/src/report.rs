//! What the checks saw.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Compression, Digests, ImageKind, Severity, Sha256, StoreReport, Waiver};

/// Version of the shape of `verification.json`. Grows when a key changes its meaning or goes away.
pub const REPORT_SCHEMA: u32 = 1;

/// Which bytes an offset counts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSpace {
    /// The bytes of the file as it is shipped.
    File,
    /// The bytes inside its compression.
    Raw,
}

/// A place in the image: a range of bytes and, where it belongs to a file in the image, a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Location {
    /// The structure, as its specification names it.
    pub structure: Cow<'static, str>,
    /// What `offset` counts from: the first byte of the file, or of its uncompressed bytes.
    pub space: ImageSpace,
    /// Absolute offset in bytes.
    pub offset: u64,
    /// Length in bytes; 0 where only a place is meant.
    pub len: u64,
    /// The path inside the image, absolute, with bytes that are not printable ASCII or UTF-8
    /// escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = if self.space == ImageSpace::Raw { "raw " } else { "" };
        write!(f, "{} at {raw}{:#x}", self.structure, self.offset)?;
        match &self.path {
            Some(path) => write!(f, " ({path})"),
            None => Ok(()),
        }
    }
}

/// One place where a check does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Finding {
    /// [`Check::id`](crate::Check::id).
    pub check: Cow<'static, str>,
    /// Copied from the check, so that a report can be read alone.
    pub severity: Severity,
    /// True if a waiver of the image definition covers the check: the finding is still told, and
    /// does not fail the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waived: bool,
    /// Where.
    pub at: Location,
    /// What was found and what was expected, in one line.
    pub message: String,
}

/// What became of a check that could have run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Evaluated, and held every time.
    Held,
    /// Evaluated, and did not hold at least once.
    Failed,
    /// Not evaluated: an earlier check failed, or the image has nothing that it could look at.
    NotReached,
    /// Evaluated, did not hold, and the image definition says why that is right.
    Waived,
}

/// Who judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verifier {
    /// Name of the program.
    pub name: Cow<'static, str>,
    /// Its version.
    pub version: Cow<'static, str>,
}

/// What was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subject {
    /// How the raw bytes lie, where that could be told: `tar`, `mbr`, `gpt`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Cow<'static, str>>,
    /// What is around the raw bytes.
    pub compression: Compression,
    /// Length of the file in bytes, or of the part of it that was judged.
    pub size: u64,
    /// SHA-256 of the whole file; absent where only the structures in a part of it were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// The bytes inside the compression; absent where they could not be read to their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Digests>,
}

impl Subject {
    /// Those of the whole file, where all of it was read.
    pub fn digests(&self) -> Option<Digests> {
        Some(Digests { size: self.size, sha256: self.sha256? })
    }
}

/// How many checks had which outcome, and how many findings which severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Totals {
    /// Checks that held.
    pub held: u64,
    /// Checks that failed.
    pub failed: u64,
    /// Checks that were not reached.
    pub not_reached: u64,
    /// Checks that were waived.
    pub waived: u64,
    /// Findings of severity error that no waiver covers.
    pub errors: u64,
    /// Findings of severity warning that no waiver covers.
    pub warnings: u64,
    /// Findings of severity info that no waiver covers.
    pub infos: u64,
}

/// What lies where in the raw bytes of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Layout {
    /// The partition table: `mbr`, `gpt`; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Cow<'static, str>>,
    /// Length of the raw bytes.
    pub size: u64,
    /// What lies there, in the order of the bytes. Parts may lie in each other: an image for UEFI is
    /// a partition, and a file of the disc.
    pub parts: Vec<LayoutPart>,
    /// How many further parts there are that are not listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A part of an image: a partition, a file system without one, or what firmware boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LayoutPart {
    /// What it is called in findings: `partition 1`, `boot image 2`, `disc`; of a file system in a
    /// file, the path of that.
    pub name: String,
    /// Offset of its first byte in the raw bytes.
    pub start: u64,
    /// Length in bytes, as far as the image has them.
    pub len: u64,
    /// What is in it: a file system, as `blkid` calls it, such as `vfat`, `ext4` and `squashfs`; a
    /// boot loader of a BIOS, `isolinux` or `grub`; `zeros`; or `unknown`.
    pub content: Cow<'static, str>,
    /// The label of the file system, with bytes that are not printable escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// The result of verifying one file: the same bytes give the same report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerificationReport {
    /// [`REPORT_SCHEMA`].
    pub schema: u32,
    /// Who judged.
    pub verifier: Verifier,
    /// What was judged.
    pub subject: Subject,
    /// What the image is for; absent where only its format was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ImageKind>,
    /// The ways in which the image boots, as far as its bytes tell: boards of a card, firmware and
    /// medium of a disc. Empty where there is an error, as it may be in the way of all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boots: Vec<String>,
    /// What of the image no check looks at yet, a few words each. Empty where all of it is judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_verified: Vec<String>,
    /// What lies where in a disk or a disc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// The Nix stores in the image, path by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<StoreReport>,
    /// Counts over the rest of the report.
    pub totals: Totals,
    /// Every check that was announced, by id.
    pub outcomes: BTreeMap<Cow<'static, str>, Outcome>,
    /// Places where a check does not hold: in the order of the bytes, at most
    /// a fixed number for each check.
    pub findings: Vec<Finding>,
    /// How many further findings each check had that are not listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub omitted: BTreeMap<Cow<'static, str>, u64>,
    /// The waivers that were applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<Waiver>,
}

impl VerificationReport {
    /// True if no error is left that no waiver covers.
    pub fn passed(&self) -> bool {
        self.totals.errors == 0
    }
}
