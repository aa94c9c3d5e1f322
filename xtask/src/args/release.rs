//! The command lines of `release`, `publish`, `verify-release` and `key`.

use std::{num::NonZero, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};

#[derive(Args, Debug)]
pub(crate) struct ReleaseArgs {
    /// Names of image definitions: the files of images/ without .toml.
    #[arg(required = true)]
    pub(crate) names: Vec<String>,

    /// The version that is released, such as 26.05.1: digits, letters, `.`, `-`, `_`, `+` and `~`.
    #[arg(long)]
    pub(crate) version: String,

    /// Sign with this secret key; again for another one. Its format says how: minisign, OpenSSH, or
    /// OpenPGP. A public key of OpenSSH means the agent that has the secret one. Without the flag,
    /// the keys in $IMAGE_FACTORY_SIGNING_KEY and $IMAGE_FACTORY_SIGNING_KEY_1 to _9 are taken.
    #[arg(long = "key", value_name = "FILE")]
    pub(crate) keys: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,

    /// Release without any signature.
    #[arg(long, conflicts_with = "keys")]
    pub(crate) unsigned: bool,

    /// Release what no passing report of this version of the factory speaks of. The release says so.
    #[arg(long)]
    pub(crate) allow_unverified: bool,

    /// Release images of the driver mini, which are not NixOS.
    #[arg(long)]
    pub(crate) allow_mini: bool,

    /// Where the files will be, instead of `base-url` of release.toml; `{version}` is filled in.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,

    /// The folder with the images: the release goes into DIR/release/VERSION.
    #[arg(long, value_name = "DIR")]
    pub(crate) dist: Option<PathBuf>,
}

/// Where a passphrase comes from; by default $IMAGE_FACTORY_PASSPHRASE, else the terminal.
#[derive(Args, Debug)]
pub(crate) struct PassphraseArgs {
    /// Read the passphrase of the keys from this file descriptor, to its end or the end of its line.
    #[arg(long, value_name = "FD")]
    pub(crate) passphrase_fd: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct PublishArgs {
    /// The release: a version of dist/release, or a folder. By default the only one there.
    #[arg(value_name = "VERSION|DIR")]
    pub(crate) release: Option<String>,

    /// Where to: a folder, s3://BUCKET/PREFIX, oci://REGISTRY/REPOSITORY, github:OWNER/REPOSITORY.
    #[arg(long, required = true, value_name = "TARGET")]
    pub(crate) to: Vec<String>,

    /// List every object with its size and type, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// How many parts are under way at the same time.
    #[arg(long, default_value = "4", value_name = "N")]
    pub(crate) parallel: NonZero<usize>,

    /// The folder with the images.
    #[arg(long, value_name = "DIR")]
    pub(crate) dist: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyReleaseArgs {
    /// The release: a folder, an address by https or http, or a target of `publish` with the version
    /// at its end.
    #[arg(value_name = "DIR|URL")]
    pub(crate) release: String,

    /// A public key that has to have signed it, as a file or as text: minisign, OpenSSH or OpenPGP;
    /// again for another one. Without a key, signatures are compared with the keys that came with
    /// the release, which says nothing of who made it.
    #[arg(long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key pair: a secret key that only you can read, and the public key beside it.
    Generate(KeyGenerateArgs),
}

#[derive(Args, Debug)]
pub(crate) struct KeyGenerateArgs {
    /// The file of the secret key; the public one is called FILE.pub. Never one that is there.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// What kind of key.
    #[arg(long, value_enum, default_value_t = SchemeName::Minisign)]
    pub(crate) scheme: SchemeName,

    /// Who the key is of: the comment of the key, and the user id of OpenPGP.
    #[arg(long, default_value = "image factory", value_name = "TEXT")]
    pub(crate) name: String,

    /// Do not encrypt the secret key: for secrets of CI, which are kept elsewhere.
    #[arg(long)]
    pub(crate) no_passphrase: bool,

    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

/// How signatures are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemeName {
    /// For `minisign -V`.
    Minisign,
    /// For `ssh-keygen -Y verify`.
    Ssh,
    /// For `gpg --verify`, and systemd-sysupdate.
    Openpgp,
}
