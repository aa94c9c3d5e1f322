//! Image definitions: `images/<name>.toml`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an image is for. NixOS calls it an image variant.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ImageKind {
    /// A root file system tarball for the Windows Subsystem for Linux.
    Wsl,
}

impl ImageKind {
    /// The word that definitions, flags and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wsl => "wsl",
        }
    }
}

impl fmt::Display for ImageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An image definition: what is to be made, never how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageSpec {
    /// What the image is for.
    pub kind: ImageKind,
    /// The system it runs on, in Nix's words: `x86_64-linux`, `aarch64-linux`.
    pub system: String,
    /// One line for people.
    pub title: String,
    /// Who builds it, and from what.
    pub build: BuildSpec,
    /// What is done to the output of the build.
    #[serde(default)]
    pub finish: FinishSpec,
    /// How it is judged.
    #[serde(default)]
    pub verify: VerifySpec,
}

/// Who builds an image.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// NixOS-WSL's tarball builder, built by Nix and run on this machine.
    NixosWsl,
    /// Nobody: the file exists.
    Prebuilt,
    /// The factory itself: a minimal system around a static busybox, without Nix.
    Mini,
}

impl Driver {
    /// The word that definitions, flags and manifests use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NixosWsl => "nixos-wsl",
            Self::Prebuilt => "prebuilt",
            Self::Mini => "mini",
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `[build]`: who builds the image, and from what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BuildSpec {
    /// The driver to use where Nix is there. Without Nix, and without `--driver`, it is `mini`.
    pub driver: Driver,
    /// The flake, as Nix takes it on its command line. A relative path counts from the folder
    /// above `images/`.
    pub flake: String,
    /// The attribute of the flake, complete and not looked up by system.
    pub attribute: String,
}

/// `[finish]`: what is done to the output of the build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FinishSpec {
    /// Name of the file. `{distribution}` is `nixos`, or what else the driver makes, and must be
    /// there; `{image}`, `{system}` and `{arch}` may be.
    pub file_name: String,
    /// What is put around the raw bytes.
    pub compression: CompressionSpec,
}

/// `[finish] compression`: what is put around the raw bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "format", deny_unknown_fields)]
pub enum CompressionSpec {
    /// RFC 1952, one member, the same bytes for any number of cores.
    Gzip {
        /// 1 (fast) to 12 (small).
        #[serde(default = "default_gzip_level")]
        #[schemars(range(min = 1, max = 12))]
        level: u8,
    },
}

/// The fastest level whose output is no larger than that of `pigz` at its default.
fn default_gzip_level() -> u8 {
    5
}

impl Default for FinishSpec {
    fn default() -> Self {
        Self {
            file_name: "{distribution}.wsl".to_owned(),
            compression: CompressionSpec::Gzip { level: default_gzip_level() },
        }
    }
}

/// `[verify]`: how the image is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct VerifySpec {
    /// Checks that may fail, each with the reason why that is right.
    pub waive: Vec<Waiver>,
}

/// `[[verify.waive]]`: one check that may fail. A waiver that waived nothing is a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Waiver {
    /// [`Check::id`](crate::Check::id).
    pub check: String,
    /// Why it is right that the check fails; not empty.
    pub reason: String,
}
