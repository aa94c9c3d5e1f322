//! What `docker save` writes and `docker load` reads: `manifest.json` and the configuration of an
//! image, as the Docker Image Specification v1.2 and its successor, the OCI Image Format
//! Specification, describe them; and the index of the latter, which is beside them since Docker 25.
//!
//! Keys that nobody asks for are passed over, and a `null` is as good as nothing, which is how
//! Docker reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// The most bytes of a configuration. Those of real images have some ten kilobytes.
pub const MAX_CONFIG: u64 = 4 << 20;

/// The most bytes of any other of these files.
pub const MAX_LIST: u64 = 1 << 20;

/// JSON that is not what it should be: where, and why.
pub type Error = serde_json::Error;

/// Reads one of the structures in this module.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes)
}

/// An image in `manifest.json`, which is a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManifestItem {
    /// Path of the configuration in the archive.
    #[serde(deserialize_with = "or_default")]
    pub config: String,
    /// Names that the image gets: `nixos:latest`.
    #[serde(deserialize_with = "or_default")]
    pub repo_tags: Vec<String>,
    /// Paths of the layers in the archive, the lowest first.
    #[serde(deserialize_with = "or_default")]
    pub layers: Vec<String>,
}

/// The configuration of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// When it was made: RFC 3339.
    pub created: Option<String>,
    /// The processor, in the words of Go: `amd64`.
    #[serde(deserialize_with = "or_default")]
    pub architecture: String,
    /// The operating system, in the words of Go: `linux`.
    #[serde(deserialize_with = "or_default")]
    pub os: String,
    /// How a container is run.
    #[serde(deserialize_with = "or_default")]
    pub config: Run,
    /// The layers.
    #[serde(deserialize_with = "or_default")]
    pub rootfs: RootFs,
    /// How it was made, the lowest layer first.
    #[serde(deserialize_with = "or_default")]
    pub history: Vec<History>,
}

/// How a container is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Run {
    /// User, and maybe `:` and group: names or numbers.
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    /// `NAME=VALUE`.
    #[serde(deserialize_with = "or_default")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(deserialize_with = "words")]
    pub entrypoint: Vec<String>,
    /// More arguments, or the program where there is no entry point.
    #[serde(deserialize_with = "words")]
    pub cmd: Vec<String>,
    /// Where the program starts.
    #[serde(deserialize_with = "or_default")]
    pub working_dir: String,
}

/// The layers of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// Digests of the layers without compression, the lowest first.
    #[serde(deserialize_with = "or_default")]
    pub diff_ids: Vec<String>,
}

/// How a layer was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct History {
    /// When: RFC 3339.
    pub created: Option<String>,
    /// It changed no file, and there is no layer of it.
    #[serde(deserialize_with = "or_default")]
    pub empty_layer: bool,
}

/// `oci-layout`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Layout {
    /// `1.0.0`.
    #[serde(deserialize_with = "or_default")]
    pub image_layout_version: String,
}

/// `index.json`, or another index that it leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Index {
    /// Images, or more indexes.
    #[serde(deserialize_with = "or_default")]
    pub manifests: Vec<Descriptor>,
}

/// The manifest of an image, in the OCI Image Format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// The configuration.
    #[serde(deserialize_with = "or_default")]
    pub config: Descriptor,
    /// The layers, the lowest first.
    #[serde(deserialize_with = "or_default")]
    pub layers: Vec<Descriptor>,
}

/// Something in `blobs/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Descriptor {
    /// What it is.
    #[serde(deserialize_with = "or_default")]
    pub media_type: String,
    /// `sha256:` and hexadecimal digits.
    #[serde(deserialize_with = "or_default")]
    pub digest: String,
    /// In bytes; `None` where it is not told, or is no size.
    #[serde(deserialize_with = "or_default")]
    pub size: Option<i64>,
    /// For what it is.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// True if it is an index.
    pub fn is_index(&self) -> bool {
        self.media_type.ends_with(".index.v1+json")
            || self.media_type.ends_with(".manifest.list.v2+json")
    }
}

/// A `null` is what would be there by default.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A list of words, or one word.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        All(Vec<String>),
    }
    Ok(match Option::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Words::One(word)) => vec![word],
        Some(Words::All(words)) => words,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read() {
        let text = br#"[{"Config":"a.json","RepoTags":null,"Layers":["b/layer.tar"],"Parent":""}]"#;
        let [item] = &parse::<Vec<ManifestItem>>(text).unwrap()[..] else { panic!() };
        assert_eq!((&*item.config, item.repo_tags.len()), ("a.json", 0));
        assert_eq!(item.layers, ["b/layer.tar"]);
        assert!(parse::<Vec<ManifestItem>>(b"null").is_err());
        assert!(parse::<Vec<ManifestItem>>(br#"[{"Config":1}]"#).is_err());
    }

    #[test]
    fn a_configuration_is_read() {
        let text = br#"{"architecture":"amd64","os":"linux","config":{"Cmd":"sh","Env":null,
            "Entrypoint":["a","b"]},"rootfs":{"type":"layers","diff_ids":["sha256:0"]},
            "history":[{"created":"x","empty_layer":true},{}],"created":null,"docker_version":"1"}"#;
        let config: Config = parse(text).unwrap();
        assert_eq!((config.config.cmd, config.config.entrypoint.len()), (vec!["sh".to_owned()], 2));
        assert_eq!(config.history.iter().filter(|step| !step.empty_layer).count(), 1);
        assert_eq!(
            parse::<Config>(b"{\"config\":null,\"rootfs\":null}").unwrap(),
            Config::default()
        );
    }

    /// Depth takes no stack: what nobody asks for is passed over, and there is a limit for the rest.
    #[test]
    fn depth_is_harmless() {
        let nested = format!("{}{}", "[".repeat(1 << 16), "]".repeat(1 << 16));
        assert!(parse::<Config>(format!("{{\"x\":{nested}}}").as_bytes()).is_ok());
        for text in [
            "[".repeat(1 << 20),
            "{\"x\":".repeat(1 << 16),
            format!("{{\"config\":{{\"Cmd\":{nested}}}}}"),
            format!("{{\"history\":{nested}}}"),
        ] {
            assert!(parse::<Config>(text.as_bytes()).is_err());
        }
    }
}
