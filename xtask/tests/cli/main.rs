//! Every command, as a user runs it.

mod archives;
mod commands;
mod common;
mod devcontainer;
mod diff;
mod flake;
mod image;
mod inspect;
mod iso;
#[cfg(feature = "release")]
mod key;
mod lock;
mod nix;
mod profile;
#[cfg(feature = "release")]
mod publish;
mod reproduce;
mod sd;
mod sizes;
mod store;
mod trust;
mod vm;
