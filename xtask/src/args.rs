//! The command line, as clap reads it. The doc comments are what `--help` prints.

mod flake;
mod release;

use std::{num::NonZero, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use flake::{FlakeCheckArgs, FlakeCommand, InputArgs};
pub(crate) use release::{KeyCommand, PublishArgs, ReleaseArgs, VerifyReleaseArgs};
#[cfg(feature = "release")]
pub(crate) use release::{KeyGenerateArgs, PassphraseArgs, SchemeName};

/// Build, verify and publish NixOS images.
///
/// Exit codes: 0 clean, 1 an image is defective, 2 wrong usage, 3 the factory failed, 130
/// interrupted.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Xtask {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How results are printed on standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,

    /// How progress is shown on standard error.
    #[arg(long, global = true, value_enum, default_value_t = ProgressStyle::Auto)]
    pub(crate) progress: ProgressStyle,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    /// Bars on a terminal, lines elsewhere.
    Auto,
    /// Lines.
    Plain,
    /// One JSON object a line, each with an `event`. Of `progress`, `step` tells which part of the
    /// work goes on: `prove` is the part of `verify` that hashes Nix stores once the file was read.
    Json,
    /// Nothing but warnings.
    None,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build images, finish them, verify them, and publish them into dist/NAME/.
    Image(ImageArgs),
    /// Make images twice, and say what differs.
    ///
    /// Exit code 1: something differs that the definition does not expect. Nothing is published.
    Reproduce(ReproduceArgs),
    /// List the images: what they are, and whether this machine can build them.
    List,
    /// Say which revisions images are built with, and move those of one image.
    #[command(subcommand)]
    Lock(LockCommand),
    /// Write a .devcontainer/devcontainer.json for the image docker.
    Devcontainer(DevContainerArgs),
    /// Look at the flake behind the images.
    #[command(subcommand)]
    Flake(FlakeCommand),
    /// Judge image files, whoever made them.
    Verify(VerifyArgs),
    /// Print every structure of an image file as text.
    Inspect(InspectArgs),
    /// Say what differs between two images, or an image and a folder: compression, partitions, file
    /// systems, the Nix store, files, and bytes that nothing of that explains.
    ///
    /// Exit code 0: nothing differs; 1: something does.
    Diff(DiffArgs),
    /// Say where the bytes of an image are: partitions, store paths, directories, files.
    ///
    /// Contents count: a file counts with its size, also where it is compressed, and once if it has
    /// several names. The parts of a part add up to it.
    Sizes(SizesArgs),
    /// List what software an image consists of: a bill of materials, from what Nix registered in it.
    ///
    /// The image is verified first. Without a file to write to, the document is printed: CycloneDX
    /// 1.6, or what --standard says. Its time is $SOURCE_DATE_EPOCH.
    Sbom(SbomArgs),
    /// Put images that were made and verified into one release: signed, attested, with catalogs and a
    /// page.
    ///
    /// What is in dist/NAME/ goes into dist/release/VERSION/, under names with the version in them.
    /// Exit code 1: an image may not be released.
    Release(ReleaseArgs),
    /// Put a release where others fetch it: a folder, S3, an OCI registry, GitHub.
    ///
    /// What is there already stays, and a version is never overwritten with other bytes.
    Publish(PublishArgs),
    /// Check a release the way a careful user would: signatures, sums, statements, catalogs, every
    /// file, and that nothing is missing or extra.
    ///
    /// Exit code 1: something is wrong with it.
    VerifyRelease(VerifyReleaseArgs),
    /// Make keys to sign releases with.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Say what a check looks at and why; without an id, list all checks.
    Explain {
        /// Id of the check, as reports print it.
        check: Option<String>,
    },
    /// Say what each image needs that this machine does not have, and the command that mends it.
    Doctor {
        /// Images; all of them by default.
        names: Vec<String>,
    },
    /// Run everything that must pass before a change lands.
    Ci,
    /// Write the generated files: docs/checks.md and schemas/*.json.
    Codegen {
        /// Only compare, and fail where a file is not what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Compare speed and memory with the tools that people use instead.
    Bench(BenchArgs),
    /// Feed a checker of file systems with bytes that nobody wrote in good faith.
    ///
    /// Exit code 1: some input makes it panic, or take more time or memory than it may. Needs g++;
    /// first inputs are made by e2fsprogs, dosfstools, mtools, xorriso, genisoimage and
    /// squashfs-tools, and are among what tests/setup.sh fetches. Inputs that take new ways are
    /// kept in target/fuzz, and the next run starts with them.
    Fuzz(FuzzArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the man pages into a folder.
    Man {
        /// The folder; it is made where it is not there.
        dir: PathBuf,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ImageArgs {
    /// Names of image definitions: the files of images/ without .toml.
    #[arg(required = true)]
    pub(crate) names: Vec<String>,

    /// Print what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Compress on this many threads. The bytes are the same for any number.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZero<usize>>,

    /// Publish into this folder instead of dist/.
    #[arg(long, value_name = "DIR")]
    pub(crate) dist: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) source: SourceArgs,

    #[command(flatten)]
    pub(crate) nix: NixArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ReproduceArgs {
    /// Names of image definitions: the files of images/ without .toml.
    #[arg(required = true)]
    pub(crate) names: Vec<String>,

    /// Make the image once, and compare it with this file; `dist` is what is published of it.
    #[arg(long, value_name = "FILE|dist")]
    pub(crate) against: Option<PathBuf>,

    /// Compress on this many threads, and the second time on another number.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZero<usize>>,

    /// The folder of what is published, beside which the work is done, instead of dist/.
    #[arg(long, value_name = "DIR")]
    pub(crate) dist: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) source: SourceArgs,

    #[command(flatten)]
    pub(crate) nix: NixArgs,
}

/// Where the bytes come from.
#[derive(Args, Debug)]
#[command(next_help_heading = "Source")]
pub(crate) struct SourceArgs {
    /// Insist on a driver: what it needs must be there.
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) driver: Option<DriverName>,

    /// Finish and verify this file instead of building one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["flake", "attribute", "variant", "route", "profiles", "busybox"])]
    pub(crate) from: Option<PathBuf>,

    /// Build this flake instead of the definition's; REF#NAME builds its nixosConfigurations.NAME.
    #[arg(long, value_name = "REF")]
    pub(crate) flake: Option<String>,

    /// Build this attribute of the flake instead of the definition's.
    #[arg(long, value_name = "PATH")]
    pub(crate) attribute: Option<String>,

    /// Build this image of a NixOS configuration, as nixpkgs or nixos-generators calls it: sd-card,
    /// iso, qemu-efi, ….
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: Option<String>,

    /// Take this way from the configuration to the image.
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) route: Option<RouteName>,

    /// Give the NixOS configuration these package profiles instead of its own: names of groups and
    /// bundles of imageFactory.profiles, such as essential,kubernetes; may be given several times.
    #[arg(long = "profile", value_name = "NAMES", value_delimiter = ',')]
    pub(crate) profiles: Vec<String>,

    /// The static busybox of a mini system; else $BUSYBOX, else the one in PATH.
    #[arg(long, value_name = "FILE")]
    pub(crate) busybox: Option<PathBuf>,

    /// Use sudo where a builder insists on root and nothing else gives it that.
    #[arg(long)]
    pub(crate) sudo: bool,
}

/// What is done with lock files.
#[derive(Debug, Subcommand)]
pub(crate) enum LockCommand {
    /// Say with which revision of each input each image is built: by a lock file of its own, or by
    /// that of its flake.
    List {
        /// Images; all of them by default.
        names: Vec<String>,
    },
    /// Move inputs of one image to what they are today, and of no other.
    ///
    /// The image needs a `lock` in its definition. Where that file is not there yet, it begins as
    /// the lock of the flake, which stays as it is.
    Update(LockUpdateArgs),
    /// Say what is another revision than in the lock file of the flake, or of another image.
    Diff {
        /// The image.
        image: String,
        /// The image to compare it with.
        other: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct LockUpdateArgs {
    /// The image.
    pub(crate) image: String,

    /// Paths of the inputs to move, such as nixpkgs or nixos-wsl/flake-compat; all by default.
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<String>,

    #[command(flatten)]
    pub(crate) nix: NixArgs,
}

/// Handed on to Nix as they are.
#[derive(Args, Debug)]
#[command(next_help_heading = "Nix")]
pub(crate) struct NixArgs {
    /// Set an option of Nix.
    #[arg(long, num_args = 2, value_names = ["NAME", "VALUE"], action = clap::ArgAction::Append)]
    pub(crate) nix_option: Vec<String>,

    /// Remote builders, in Nix's syntax.
    #[arg(long, value_name = "BUILDERS")]
    pub(crate) builders: Option<String>,

    /// The store to build in.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,

    /// Build jobs on this machine at a time; 0 leaves all to the remote builders.
    #[arg(long, value_name = "N")]
    pub(crate) max_jobs: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DriverName {
    /// NixOS-WSL's tarball builder, built by Nix.
    NixosWsl,
    /// An image that Nix builds: a variant of nixpkgs, or what a module or nixos-generators makes.
    NixImage,
    /// The same, through nixos-generators.
    NixosGenerators,
    /// A file that exists: see --from.
    Prebuilt,
    /// A minimal system around a static busybox, without Nix.
    Mini,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RouteName {
    /// The first of the others that the flake has.
    Auto,
    /// config.system.build.images.VARIANT, of nixpkgs 25.05 and later.
    Variant,
    /// What the flake makes with nixos-generators: config.formats.NAME, or packages.SYSTEM.HOST.
    Generators,
    /// The program nixos-generate.
    GeneratorsCli,
    /// config.system.build.sdImage, isoImage, …, of a host that imports the module of one image.
    Module,
}

#[derive(Args, Debug)]
pub(crate) struct DevContainerArgs {
    /// The package profiles that the image is made with, such as essential,kubernetes; may be given
    /// several times. Without it, those of its flake.
    #[arg(long = "profile", value_name = "NAMES", value_delimiter = ',')]
    pub(crate) profiles: Vec<String>,

    /// Replace a file that is there.
    #[arg(long)]
    pub(crate) force: bool,

    /// The project that is developed in the container.
    pub(crate) dir: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The images.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// What the images are for.
    #[arg(long, value_enum, default_value_t = KindName::Auto)]
    pub(crate) kind: KindName,

    /// A board that the images must boot on; may be given several times. Without it, what any board
    /// lacks is told, and an image that no board boots is defective.
    #[arg(long = "board", value_name = "NAME")]
    pub(crate) boards: Vec<String>,

    /// A way in which a disc must boot: bios, uefi-x86_64, uefi-aarch64, or usb, from a stick as
    /// well; may be given several times. Without it, what each way lacks is told.
    #[arg(long = "boots", value_name = "NAME")]
    pub(crate) boots: Vec<String>,

    /// The system they must be for; without it, the one that their own /bin/sh is for.
    #[arg(long, value_name = "SYSTEM")]
    pub(crate) system: Option<String>,

    /// Expect what this image definition promises, and apply its waivers.
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Option<String>,

    /// Print each store path as well: what became of it, size and hash of it as a NAR, and who
    /// vouches for it.
    #[arg(long)]
    pub(crate) paths: bool,

    /// Keys whose signatures of store paths count, as in nix.conf: NAME:BASE64, with spaces between
    /// them; may be given several times. Without it, those that the nix.conf of this machine has.
    #[arg(long, value_name = "KEYS")]
    pub(crate) trusted_public_keys: Vec<String>,

    /// The manifest.json that the images must be as: the file, and each path of its Nix store.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,

    /// Where a compressed disk is unpacked: a folder with room for it. $TMPDIR by default, else
    /// /var/tmp.
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// The image.
    pub(crate) file: PathBuf,

    /// Where a compressed disk is unpacked: a folder with room for it. $TMPDIR by default, else
    /// /var/tmp.
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// The first image, or a folder.
    pub(crate) a: PathBuf,

    /// The second image, or a folder.
    pub(crate) b: PathBuf,

    /// Where compressed images are unpacked: a folder with room for both. $TMPDIR by default, else
    /// /var/tmp.
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct SizesArgs {
    /// The image, or a folder.
    pub(crate) file: PathBuf,

    /// How deep to go, 60 at most: many readers of JSON go no deeper.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        value_parser = clap::value_parser!(u8).range(..=60)
    )]
    pub(crate) depth: u8,

    /// How many parts of each part to tell, the largest first; the others are told together. 8 by
    /// default, and all with --format json.
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<usize>,

    /// Draw a treemap into this file as well.
    #[arg(long, value_name = "OUT")]
    pub(crate) svg: Option<PathBuf>,

    /// Where a compressed image is unpacked: a folder with room for it. $TMPDIR by default, else
    /// /var/tmp.
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct SbomArgs {
    /// The image.
    pub(crate) file: PathBuf,

    /// Write it as CycloneDX 1.6 into this file.
    #[arg(long, value_name = "OUT")]
    pub(crate) cyclonedx: Option<PathBuf>,

    /// Write it as SPDX 2.3 into this file.
    #[arg(long, value_name = "OUT")]
    pub(crate) spdx: Option<PathBuf>,

    /// What to print.
    #[arg(long, value_enum, value_name = "NAME", default_value_t = SbomStandard::Cyclonedx)]
    #[arg(conflicts_with_all = ["cyclonedx", "spdx"])]
    pub(crate) standard: SbomStandard,

    /// Where a compressed image is unpacked: a folder with room for it. $TMPDIR by default, else
    /// /var/tmp.
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
}

/// A standard for bills of materials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SbomStandard {
    /// CycloneDX 1.6.
    Cyclonedx,
    /// SPDX 2.3.
    Spdx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindName {
    /// An archive is for WSL, a disk for a board, a disc to boot from.
    Auto,
    /// A root file system for the Windows Subsystem for Linux.
    Wsl,
    /// An SD card, or another disk that a board boots from.
    Sd,
    /// A disc that boots, or a USB stick of the same bytes.
    Iso,
    /// A disk of a virtual machine, in qcow2.
    Vm,
    /// A container, as docker load takes it.
    Docker,
    /// An appliance for VirtualBox.
    Virtualbox,
    /// A disk for Amazon EC2, in VHD.
    Amazon,
    /// Whatever it is: only the format is judged.
    None,
}

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// Compare only this; without it, finishing and verifying archives and cards.
    #[arg(value_enum)]
    pub(crate) what: Option<BenchWhat>,

    /// Size of the input in MiB; of `iso`, about that.
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub(crate) size: u64,

    /// How many files the largest file system of `fsck` has.
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub(crate) files: u64,

    /// Runs of each, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) runs: usize,

    /// Where the input is taken from.
    #[arg(long, value_name = "DIR", default_value = "/usr")]
    pub(crate) tree: PathBuf,

    /// Keep the input and the outputs in this folder, and use an input that is there. The ISO, the
    /// store and the release are kept in target/bench where no other folder is named.
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) inputs: InputArgs,

    /// Do our part of one comparison on the input in --work, once: what is timed runs as a
    /// process of its own.
    #[arg(long, hide = true, requires = "work")]
    pub(crate) part: Option<BenchPart>,

    /// The file in --work that our part judges.
    #[arg(long, hide = true, requires = "part")]
    pub(crate) image: Option<PathBuf>,
}

/// What is compared beside the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchWhat {
    /// The checkers of file systems with e2fsck -fn and fsck.fat -n, on many files.
    Fsck,
    /// Verifying an ISO with xorriso -check_media, unsquashfs into memory and sha256sum.
    Iso,
    /// Proving the Nix store in an image with hashing alone, and nix-store --verify
    /// --check-contents of the same store.
    Store,
    /// A release of four images with reading and hashing them; and publishing it to S3.
    Release,
    /// Evaluating an image out of the files in nix/ with the same in one file; with stand-ins for
    /// the inputs, unless checkouts are named.
    Eval,
}

#[derive(Args, Debug)]
pub(crate) struct FuzzArgs {
    /// The checker.
    #[arg(value_enum)]
    pub(crate) target: FuzzTarget,

    /// For how long.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) seconds: u32,

    /// Judge this input alone, which another run found, and write the image that it stands for
    /// beside it.
    #[arg(long, value_name = "FILE", conflicts_with = "seconds")]
    pub(crate) replay: Option<PathBuf>,
}

/// What is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FuzzTarget {
    /// The checker of ext2, ext3 and ext4.
    Ext4,
    /// The checker of FAT.
    Fat,
    /// The checkers of discs: ISO 9660, Rock Ridge, boot catalog, system area, and what boots.
    Iso9660,
    /// The checker of SquashFS.
    Squashfs,
}

/// Our part of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchPart {
    /// Finish a tar, verify what came of it, and hash both.
    Finish,
    /// Verify and hash a compressed tar.
    Verify,
    /// Verify and hash a compressed SD card.
    Card,
    /// Verify and hash an ISO.
    Iso,
    /// Check an ext4 file system.
    FsckExt4,
    /// Check a FAT file system.
    FsckFat,
    /// Prove the store in an image.
    Store,
    /// Hash --size MiB on one core, and on each.
    Hash,
    /// Make a release.
    Release,
    /// Read its images.
    Read,
    /// Publish it.
    Publish,
}
