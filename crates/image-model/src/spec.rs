//! Image definitions: `images/<name>.toml`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Compression;

/// What an image is for. NixOS calls it an image variant.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ImageKind {
    /// A root file system tarball for the Windows Subsystem for Linux.
    Wsl,
    /// An SD card, or another disk that a board of the aarch64 kind boots from as it is.
    Sd,
    /// A disc that a PC or a server boots from, or a USB stick that the same bytes were copied to.
    Iso,
    /// A disk of a virtual machine, in QEMU's format qcow2.
    Vm,
    /// A container: an archive for `docker load` and `podman load`.
    Docker,
    /// An appliance for VirtualBox: an archive of the Open Virtualization Format.
    Virtualbox,
    /// A disk that Amazon EC2 imports: a dynamic VHD.
    Amazon,
}

impl ImageKind {
    /// All of them, in the order of this list.
    pub const ALL: [Self; 7] =
        [Self::Wsl, Self::Sd, Self::Iso, Self::Vm, Self::Docker, Self::Virtualbox, Self::Amazon];

    /// The word that definitions, flags and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wsl => "wsl",
            Self::Sd => "sd",
            Self::Iso => "iso",
            Self::Vm => "vm",
            Self::Docker => "docker",
            Self::Virtualbox => "virtualbox",
            Self::Amazon => "amazon",
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
    /// What may differ when it is built again.
    #[serde(default, skip_serializing_if = "ReproduceSpec::is_empty")]
    pub reproduce: ReproduceSpec,
}

/// Who builds an image.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// NixOS-WSL's tarball builder, built by Nix and run on this machine.
    NixosWsl,
    /// An image that Nix builds: a variant of nixpkgs, or what a module or nixos-generators adds to
    /// a configuration.
    NixImage,
    /// The same, through nixos-generators and nothing else.
    NixosGenerators,
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
            Self::NixImage => "nix-image",
            Self::NixosGenerators => "nixos-generators",
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
    /// The attribute of the flake, complete and not looked up by system: the derivation to build,
    /// or for `nix-image` and `nixos-generators` the NixOS configuration that `variant` is made of.
    pub attribute: String,
    /// Which image of the configuration: nixpkgs' name of it, such as `sd-card`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// By which way of several.
    #[serde(default)]
    pub route: Route,
    /// A lock file of this image alone, instead of the one beside `flake.nix`: relative to the
    /// folder above `images/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
}

/// The way from a NixOS configuration to one of its images. The same name means another image on
/// another way, so the manifest tells which was taken.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// The first of the others that the flake has, in their order.
    #[default]
    Auto,
    /// `config.system.build.images.<variant>`: nixpkgs 25.05 and later.
    Variant,
    /// What the flake makes with nixos-generators, which its authors call deprecated.
    Generators,
    /// The program `nixos-generate`, of the same.
    GeneratorsCli,
    /// `config.system.build.sdImage`, `isoImage`, `image`, …, of a configuration that imports the
    /// module of one image itself.
    Module,
}

impl Route {
    /// The word that definitions and flags use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Variant => "variant",
            Self::Generators => "generators",
            Self::GeneratorsCli => "generators-cli",
            Self::Module => "module",
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `[finish]`: what is done to the output of the build. What is left out is as the kind has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FinishSpec {
    /// Name of the file. `{distribution}` is `nixos`, or what else the driver makes, and must be
    /// there; `{image}`, `{system}` and `{arch}` may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// What is put around the raw bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<CompressionSpec>,
    /// Write a block map beside a disk image, for `bmaptool copy`.
    pub bmap: bool,
}

impl ImageSpec {
    /// The template of the file's name.
    pub fn file_name(&self) -> &str {
        use Compression::{Gzip, None, Xz, Zstd};
        let by_kind = match (self.kind, self.compression().format()) {
            // Windows knows the file by this ending, and looks into it for what is around it.
            (ImageKind::Wsl, _) => "{distribution}.wsl",
            (ImageKind::Sd, None) => "{distribution}-{image}.img",
            (ImageKind::Sd, Gzip) => "{distribution}-{image}.img.gz",
            (ImageKind::Sd, Xz) => "{distribution}-{image}.img.xz",
            (ImageKind::Sd, Zstd) => "{distribution}-{image}.img.zst",
            (ImageKind::Iso, None) => "{distribution}-{image}.iso",
            (ImageKind::Iso, Gzip) => "{distribution}-{image}.iso.gz",
            (ImageKind::Iso, Xz) => "{distribution}-{image}.iso.xz",
            (ImageKind::Iso, Zstd) => "{distribution}-{image}.iso.zst",
            (ImageKind::Vm, None) => "{distribution}-{image}.qcow2",
            (ImageKind::Vm, Gzip) => "{distribution}-{image}.qcow2.gz",
            (ImageKind::Vm, Xz) => "{distribution}-{image}.qcow2.xz",
            (ImageKind::Vm, Zstd) => "{distribution}-{image}.qcow2.zst",
            (ImageKind::Docker, None) => "{distribution}-{image}.tar",
            (ImageKind::Docker, Gzip) => "{distribution}-{image}.tar.gz",
            (ImageKind::Docker, Xz) => "{distribution}-{image}.tar.xz",
            (ImageKind::Docker, Zstd) => "{distribution}-{image}.tar.zst",
            (ImageKind::Virtualbox, None) => "{distribution}-{image}.ova",
            (ImageKind::Virtualbox, Gzip) => "{distribution}-{image}.ova.gz",
            (ImageKind::Virtualbox, Xz) => "{distribution}-{image}.ova.xz",
            (ImageKind::Virtualbox, Zstd) => "{distribution}-{image}.ova.zst",
            (ImageKind::Amazon, None) => "{distribution}-{image}.vhd",
            (ImageKind::Amazon, Gzip) => "{distribution}-{image}.vhd.gz",
            (ImageKind::Amazon, Xz) => "{distribution}-{image}.vhd.xz",
            (ImageKind::Amazon, Zstd) => "{distribution}-{image}.vhd.zst",
        };
        self.finish.file_name.as_deref().unwrap_or(by_kind)
    }

    /// What is put around the raw bytes.
    pub fn compression(&self) -> CompressionSpec {
        self.finish.compression.unwrap_or(match self.kind {
            ImageKind::Wsl | ImageKind::Docker => {
                CompressionSpec::Gzip { level: default_gzip_level() }
            }
            ImageKind::Sd => CompressionSpec::Zstd { level: default_zstd_level() },
            // What is large in the first and the last is compressed already, and what runs the
            // others takes them as they are.
            ImageKind::Iso | ImageKind::Vm | ImageKind::Amazon | ImageKind::Virtualbox => {
                CompressionSpec::None
            }
        })
    }
}

/// `[finish] compression`: what is put around the raw bytes. The output is the same for any number
/// of cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "format", deny_unknown_fields)]
pub enum CompressionSpec {
    /// Nothing.
    None,
    /// RFC 1952, one member.
    Gzip {
        /// 1 (fast) to 12 (small).
        #[serde(default = "default_gzip_level")]
        #[schemars(range(min = 1, max = 12))]
        level: u8,
    },
    /// RFC 8878, one frame with its content size and a checksum.
    Zstd {
        /// 1 (fast) to 19 (small).
        #[serde(default = "default_zstd_level")]
        #[schemars(range(min = 1, max = 19))]
        level: u8,
    },
    /// The .xz file format 1.2, in blocks of a fixed size.
    Xz {
        /// 0 (fast) to 9 (small).
        #[serde(default = "default_xz_level")]
        #[schemars(range(min = 0, max = 9))]
        level: u8,
    },
}

impl CompressionSpec {
    /// The format alone.
    pub fn format(self) -> Compression {
        match self {
            Self::None => Compression::None,
            Self::Gzip { .. } => Compression::Gzip,
            Self::Zstd { .. } => Compression::Zstd,
            Self::Xz { .. } => Compression::Xz,
        }
    }
}

/// The fastest level whose output is no larger than that of `pigz` at its default.
fn default_gzip_level() -> u8 {
    5
}

/// Measured on a card of 419 MB with 232 MB of programs and documents: level 3, which nixpkgs uses,
/// gives 72.9 MB, level 9 gives 67.9 MB in twice the time, and level 12 gives 67.5 MB in four
/// times.
fn default_zstd_level() -> u8 {
    9
}

fn default_xz_level() -> u8 {
    6
}

/// `[verify]`: how the image is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct VerifySpec {
    /// Boards that the image promises to boot on. What one of them lacks is an error; what another
    /// lacks is told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boards: Vec<Board>,
    /// Ways in which a disc promises to boot. What one of them lacks is an error; what another
    /// lacks is told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boots: Vec<Boot>,
    /// Checks that may fail, each with the reason why that is right.
    pub waive: Vec<Waiver>,
}

/// A board, or a kind of firmware that boards have.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Board {
    /// Raspberry Pi Zero 2 W.
    #[serde(rename = "pi-zero-2")]
    PiZero2,
    /// Raspberry Pi 3 Model B.
    #[serde(rename = "pi-3")]
    Pi3,
    /// Raspberry Pi 3 Model B+, and A+.
    #[serde(rename = "pi-3-plus")]
    Pi3Plus,
    /// Raspberry Pi Compute Module 3 and 3+.
    #[serde(rename = "cm-3")]
    Cm3,
    /// Raspberry Pi 4 Model B.
    #[serde(rename = "pi-4")]
    Pi4,
    /// Raspberry Pi 400.
    #[serde(rename = "pi-400")]
    Pi400,
    /// Raspberry Pi Compute Module 4.
    #[serde(rename = "cm-4")]
    Cm4,
    /// Raspberry Pi 5.
    #[serde(rename = "pi-5")]
    Pi5,
    /// Raspberry Pi Compute Module 5.
    #[serde(rename = "cm-5")]
    Cm5,
    /// Any board that has a U-Boot of its own, outside of the partitions: it reads extlinux.conf.
    UBoot,
    /// Any board with UEFI firmware.
    Uefi,
}

impl Board {
    /// All of them, in the order of this list.
    pub const ALL: [Self; 11] = [
        Self::PiZero2,
        Self::Pi3,
        Self::Pi3Plus,
        Self::Cm3,
        Self::Pi4,
        Self::Pi400,
        Self::Cm4,
        Self::Pi5,
        Self::Cm5,
        Self::UBoot,
        Self::Uefi,
    ];

    /// The word that definitions, flags and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PiZero2 => "pi-zero-2",
            Self::Pi3 => "pi-3",
            Self::Pi3Plus => "pi-3-plus",
            Self::Cm3 => "cm-3",
            Self::Pi4 => "pi-4",
            Self::Pi400 => "pi-400",
            Self::Cm4 => "cm-4",
            Self::Pi5 => "pi-5",
            Self::Cm5 => "cm-5",
            Self::UBoot => "u-boot",
            Self::Uefi => "uefi",
        }
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A way in which a disc boots: by which firmware, and from what.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// By the BIOS of a PC.
    Bios,
    /// By UEFI firmware on x86-64.
    #[serde(rename = "uefi-x86_64")]
    UefiX86_64,
    /// By UEFI firmware on AArch64.
    #[serde(rename = "uefi-aarch64")]
    UefiAarch64,
    /// By each firmware that is promised, also from a USB stick or another disk that the image was
    /// copied to, byte for byte.
    Usb,
}

impl Boot {
    /// All of them, in the order of this list.
    pub const ALL: [Self; 4] = [Self::Bios, Self::UefiX86_64, Self::UefiAarch64, Self::Usb];

    /// The word that definitions, flags and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::UefiX86_64 => "uefi-x86_64",
            Self::UefiAarch64 => "uefi-aarch64",
            Self::Usb => "usb",
        }
    }
}

impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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

/// `[reproduce]`: what may differ when the image is built again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ReproduceSpec {
    /// Differences that are known and not mended, each with the reason.
    pub expect: Vec<Expectation>,
}

impl ReproduceSpec {
    /// True if every build is meant to have the same bytes.
    pub fn is_empty(&self) -> bool {
        self.expect.is_empty()
    }
}

/// `[[reproduce.expect]]`: a difference between two builds that is no fault. One that no two builds
/// have is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expectation {
    /// What differs, by its id: `ext4-hash-seed`.
    pub difference: String,
    /// The file that it is expected of, or the folder above: an absolute path in its file system.
    /// Without it, it is expected everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why it does; not empty.
    pub reason: String,
}
