//! `cargo xtask`: the command line of the image factory. Parses, calls, prints; decides nothing.

#![expect(clippy::print_stderr, reason = "the one crate that talks to people")]

mod args;
mod command;
mod failure;
mod program;
mod progress;
mod text;

use std::process::ExitCode;

use crate::{failure::Failure, program::Program};

/// The exit codes are part of the interface: scripts and CI read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// What was asked for was done, and nothing is wrong.
    Clean = 0,
    /// An image is defective.
    Defective = 1,
    /// The command line or an image definition asks for what cannot be. clap's custom.
    Usage = 2,
    /// The factory failed: the machine, Nix, the disk.
    Failed = 3,
    /// Interrupted by a signal: 128 + SIGINT, the custom of shells.
    Interrupted = 130,
}

fn main() -> ExitCode {
    let arguments = Program::current().parse();
    let verdict = command::run(arguments).unwrap_or_else(|failure: Failure| {
        failure.print();
        failure.verdict()
    });
    // Where one of several things failed, nobody waits for the others.
    image_host::interrupt::end_groups();
    ExitCode::from(verdict as u8)
}
