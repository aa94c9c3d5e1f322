//! Every command, as a user runs it.

mod commands;
mod common;
mod image;
mod inspect;
mod nix;
mod sd;
