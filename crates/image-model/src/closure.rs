//! The Nix store in an image: what Nix registered, what is there, and who vouches for it.

use std::fmt;

use data_encoding::BASE64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// SHA-256 of a path as a NAR, written as Nix and browsers do: `sha256-` and base64 with padding.
/// W3C Subresource Integrity, §3.5.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^sha256-[A-Za-z0-9+/]{43}=$"))]
pub struct NarHash(pub [u8; 32]);

impl fmt::Display for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256-{}", BASE64.encode(&self.0))
    }
}

impl fmt::Debug for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<NarHash> for String {
    fn from(hash: NarHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for NarHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digest = text.strip_prefix("sha256-").and_then(|text| {
            let bytes = BASE64.decode(text.as_bytes()).ok()?;
            bytes.try_into().ok()
        });
        digest.map(Self).ok_or("a NAR hash is sha256- and 43 digits of base64, and =")
    }
}

/// A path as a NAR: its hash, and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NarDigest {
    /// SHA-256 of it.
    pub nar_hash: NarHash,
    /// Its length in bytes.
    pub nar_size: u64,
}

/// A Nix store in an image, compared with what Nix registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreReport {
    /// The file system that it is in: `archive`, `partition 2`, `/nix-store.squashfs`.
    pub volume: String,
    /// The files of the image in which Nix registered it: absolute paths in that file system.
    pub registrations: Vec<String>,
    /// Names of the keys that signatures were checked with, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_keys: Vec<String>,
    /// All paths that are registered or in the store, sorted.
    pub paths: Vec<StorePath>,
}

/// A path of a store, as it is in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StorePath {
    /// Its whole name, such as `/nix/store/s66mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.12.1`.
    pub path: String,
    /// What was found out.
    pub verdict: PathVerdict,
    /// The path as it is in the image; absent where it is not there or cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nar: Option<NarDigest>,
    /// What Nix registered, where that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<NarDigest>,
    /// The paths that it refers to by Nix's word, itself among them where it does; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// The derivation that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deriver: Option<String>,
    /// How its name follows from its content, where it does, in Nix's words: `fixed:r:sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_address: Option<String>,
    /// Signatures, as Nix writes them: the name of a key, `:`, and base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<String>,
    /// Who vouches for it.
    pub trust: Trust,
}

/// Whether a store path is what Nix says it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PathVerdict {
    /// It is registered, and as it was when Nix registered it.
    Intact,
    /// It is registered, and something else.
    Changed,
    /// It is registered, and not there.
    Missing,
    /// It is there, and Nix knows nothing of it.
    Unregistered,
    /// Its files cannot be read, or are of a kind that Nix knows not.
    Unreadable,
}

impl PathVerdict {
    /// The word that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Unregistered => "unregistered",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Who vouches for a store path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Trust {
    /// Somebody whose key is trusted signed what is registered.
    Signed {
        /// Names of these keys, sorted.
        by: Vec<String>,
    },
    /// Its name follows from its content, as it is: nobody has to vouch for it.
    ContentAddressed,
    /// The Nix of the machine that verified the image built it, and did not fetch it.
    Built,
    /// Nobody whom we know.
    Unknown,
}

/// A path of the closure of an image, as `manifest.json` records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClosurePath {
    /// Its whole name.
    pub path: String,
    /// SHA-256 of the path as a NAR, as it is in the image.
    pub nar_hash: NarHash,
    /// Length of that NAR in bytes.
    pub nar_size: u64,
    /// The paths that it refers to, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// Signatures, as Nix writes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nar_hashes_are_read_as_they_are_written() {
        let hash = NarHash(std::array::from_fn(|i| u8::try_from(i * 8).unwrap()));
        let text = hash.to_string();
        assert_eq!(text, "sha256-AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8Pg=");
        assert_eq!(NarHash::try_from(text.clone()), Ok(hash));
        for wrong in [&text[1..], &text[..text.len() - 1], "sha256-AAAA", "sha512-AAAA"] {
            assert!(NarHash::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
