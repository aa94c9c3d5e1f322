//! Every command, as a user runs it.

mod commands;
mod common;
mod image;
mod nix;
mod sd;
