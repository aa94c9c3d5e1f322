//! What `flake` is asked.

use std::{num::NonZero, path::PathBuf};

use clap::{Args, Subcommand};

use super::NixArgs;

/// What is done with a flake.
#[derive(Debug, Subcommand)]
pub(crate) enum FlakeCommand {
    /// Evaluate every output against checkouts on this machine, and stop at the first that fails.
    ///
    /// Prints a table of attribute, derivation and seconds, under a header that says what it was made
    /// with. Nothing is fetched, built or written beside the flake. Exit code 1: an output does not
    /// evaluate. Needs Nix 2.18 or later, as nixpkgs does.
    Check(FlakeCheckArgs),
}

#[derive(Args, Debug)]
pub(crate) struct FlakeCheckArgs {
    /// Only attributes that begin with these: images, packages.x86_64-linux, ….
    #[arg(value_name = "ATTRIBUTE")]
    pub(crate) only: Vec<String>,

    /// The flake; ./nix below the folder of images/ by default.
    #[arg(long, value_name = "REF")]
    pub(crate) flake: Option<String>,

    #[command(flatten)]
    pub(crate) inputs: InputArgs,

    /// Go on after an output that does not evaluate, and tell of all of them.
    #[arg(long)]
    pub(crate) keep_going: bool,

    /// Evaluate this many attributes at the same time. Each takes about 1 GiB of memory.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) jobs: NonZero<usize>,

    #[command(flatten)]
    pub(crate) nix: NixArgs,
}

/// What is in the places of the inputs of a flake.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Inputs")]
pub(crate) struct InputArgs {
    /// A checkout of nixpkgs. A folder that is a Git repository is taken as Git has it, any other as
    /// it is.
    #[arg(long, value_name = "PATH")]
    pub(crate) nixpkgs: Option<String>,

    /// A checkout of flake-parts.
    #[arg(long, value_name = "PATH")]
    pub(crate) flake_parts: Option<String>,

    /// A checkout of NixOS-WSL.
    #[arg(long, value_name = "PATH")]
    pub(crate) nixos_wsl: Option<String>,

    /// A checkout of Home Manager.
    #[arg(long, value_name = "PATH")]
    pub(crate) home_manager: Option<String>,

    /// A folder in the place of any input of the flake: disko, deploy-rs/utils, ….
    #[arg(
        long,
        num_args = 2,
        value_names = ["NAME", "PATH"],
        action = clap::ArgAction::Append
    )]
    pub(crate) override_input: Vec<String>,

    /// A file with an overlay for nixpkgs, for this evaluation only: where the source of a package is
    /// missing in the checkout. The header of the table shows it.
    #[arg(long, value_name = "FILE")]
    pub(crate) overlay: Option<PathBuf>,
}
