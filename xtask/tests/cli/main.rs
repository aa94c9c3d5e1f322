//! Every command, as a user runs it.

mod archives;
mod commands;
mod common;
mod devcontainer;
mod diff;
mod flake;
#[cfg(not(feature = "release"))]
mod grow;
mod image;
mod inspect;
mod iso;
#[cfg(feature = "release")]
mod key;
mod lock;
mod nix;
#[cfg(feature = "release")]
mod places;
mod profile;
#[cfg(feature = "release")]
mod publish;
#[cfg(feature = "release")]
mod release;
#[cfg(feature = "release")]
mod release_all;
mod reproduce;
mod sd;
mod sizes;
mod store;
mod trust;
#[cfg(feature = "release")]
mod verify_release;
mod vm;
