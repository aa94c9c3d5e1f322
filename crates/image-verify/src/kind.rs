//! What images are for: one module a kind, over the file trees that they have.

pub mod amazon;
mod boot;
pub mod docker;
pub mod iso;
pub mod sd;
pub mod virtualbox;
pub mod vm;
pub mod wsl;

use image_model::Compression;

use crate::{store, tree::Tree};

/// What the checks of a kind found out about an image, but for the findings.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// The ways in which it boots.
    pub boots: Vec<String>,
    /// The Nix stores in it.
    pub stores: Vec<store::Judged>,
}

/// An archive, as the checks of its kind see it.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// Its files.
    pub tree: &'a Tree,
    /// What is around its raw bytes.
    pub compression: Compression,
    /// The name under which it is shipped, where that is known.
    pub file_name: Option<&'a str>,
    /// The system it is made for, in Nix's words, where somebody said so.
    pub system: Option<&'a str>,
}
