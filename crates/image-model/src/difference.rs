//! What differs between two images, in terms of their structures.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Compression, Digests, ImageSpace};

/// Version of the shape of a comparison. Grows when a key changes its meaning or goes away.
pub const COMPARISON_SCHEMA: u32 = 1;

/// At which level of an image something differs; what is outside comes first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The file as it is shipped: its compression.
    Container,
    /// Partition tables, and what is before the file systems.
    Table,
    /// A file system: what it says of itself, and how it keeps files.
    FileSystem,
    /// Paths of a Nix store.
    Store,
    /// Other files.
    Files,
    /// Bytes that no structure accounts for.
    Bytes,
}

impl Level {
    /// All levels, from outside.
    pub const ALL: [Self; 6] =
        [Self::Container, Self::Table, Self::FileSystem, Self::Store, Self::Files, Self::Bytes];

    /// What people call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Table => "partition table",
            Self::FileSystem => "file systems",
            Self::Store => "Nix store",
            Self::Files => "files",
            Self::Bytes => "bytes",
        }
    }
}

/// The declaration of a way in which images differ. Its `id` is public: never renamed, never used
/// again.
#[derive(Debug)]
pub struct DifferenceKind {
    /// Stable name, lower case: `ext4-hash-seed`.
    pub id: &'static str,
    /// At which level.
    pub level: Level,
    /// What it is, and where it usually comes from, in Markdown.
    pub explain: &'static str,
}

/// Where something differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// The structure, in people's words: `partition 2, ext4 superblock, s_hash_seed`.
    pub structure: String,
    /// The path of a file, absolute in its file system, with bytes that are not printable escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What the offsets count from; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<ImageSpace>,
    /// Absolute offset in the first image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a: Option<u64>,
    /// Absolute offset in the second image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<u64>,
}

/// Sizes in bytes of what differs; absent on a side where it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sizes {
    /// In the first image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a: Option<u64>,
    /// In the second image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<u64>,
}

/// One way in which two images differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Difference {
    /// [`DifferenceKind::id`].
    pub id: Cow<'static, str>,
    /// Where.
    pub at: Place,
    /// What the first image has; absent where it has nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a: Option<String>,
    /// What the second image has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<String>,
    /// How large it is, where that tells something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Sizes>,
    /// How many bytes at the same place of both images differ because of it; of several with the
    /// same id in one file system, the first has those of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// One of the two images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compared {
    /// How the raw bytes lie: `tar`, `mbr`, `iso9660`, …; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Cow<'static, str>>,
    /// What is around the raw bytes.
    pub compression: Compression,
    /// The whole file; absent for a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Digests>,
    /// Length of the bytes inside the compression; absent for a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_size: Option<u64>,
}

/// A package that has other versions or another size: as `nix store diff-closures` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackageChange {
    /// Name of the package.
    pub name: String,
    /// Versions in the first image that are not in the second; empty where it has none.
    pub a: Vec<String>,
    /// Versions in the second image that are not in the first.
    pub b: Vec<String>,
    /// Bytes of all its store paths, as NARs.
    pub sizes: Sizes,
}

/// What differs between the Nix stores of two images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreChange {
    /// The file system that it is in: `archive`, `partition 2`, `/nix-store.squashfs`.
    pub volume: String,
    /// Number of store paths in the first image.
    pub paths_a: u64,
    /// Number of store paths in the second image.
    pub paths_b: u64,
    /// Bytes of all of them, as NARs.
    pub sizes: Sizes,
    /// How many paths are only in the second image.
    pub added: u64,
    /// How many paths are only in the first image.
    pub removed: u64,
    /// How many paths are in both and not the same.
    pub changed: u64,
    /// Packages of which versions or sizes differ, by name; at most a fixed number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PackageChange>,
    /// How many further packages are not listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub packages_omitted: u64,
}

/// How many bytes differ at the same place of two images of the same size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ByteTotals {
    /// Bytes of each image.
    pub compared: u64,
    /// Those that differ.
    pub differ: u64,
    /// Those of them that a difference with another id than `bytes` accounts for.
    pub explained: u64,
}

impl ByteTotals {
    /// Bytes that differ, and no structure says why.
    pub fn unexplained(&self) -> u64 {
        self.differ.saturating_sub(self.explained)
    }
}

/// The result of comparing two images: the same two give the same result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Comparison {
    /// [`COMPARISON_SCHEMA`].
    pub schema: u32,
    /// The first image.
    pub a: Compared,
    /// The second image.
    pub b: Compared,
    /// Nothing differs.
    pub same: bool,
    /// What differs, from outside inwards and in the order of the bytes; at most a fixed number for
    /// each id.
    pub differences: Vec<Difference>,
    /// How many further differences of each id are not listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub omitted: BTreeMap<Cow<'static, str>, u64>,
    /// The Nix stores in which something differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<StoreChange>,
    /// How many bytes differ; absent where the images are not of the same size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteTotals>,
    /// What of the images was not compared but by its bytes, a few words each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
}

impl Comparison {
    /// The ids that there are, each with how many differences have it.
    pub fn counts(&self) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for difference in &self.differences {
            *counts.entry(difference.id.as_ref()).or_default() += 1;
        }
        for (id, more) in &self.omitted {
            *counts.entry(id.as_ref()).or_default() += more;
        }
        counts
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
