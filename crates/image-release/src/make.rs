//! Makes a release: gate, names, sums, statements, catalogs, page, signatures; then one rename.

use std::path::PathBuf;

use image_factory::event::Events;
use image_model::{ReleaseManifest, ReleaseSpec};

use crate::{
    folder::FolderError,
    gate::{Allowed, GateError},
    sign::{SignError, Signer},
};

/// What is released, and how.
pub struct Options {
    /// The version.
    pub version: String,
    /// Names of the images.
    pub images: Vec<String>,
    /// The folder with the images, each in a folder of its name.
    pub dist: PathBuf,
    /// What releases have in common.
    pub spec: ReleaseSpec,
    /// What may pass the gate all the same.
    pub allowed: Allowed,
    /// Who signs. Empty only where somebody insisted on a release without signatures.
    pub signers: Vec<Box<dyn Signer>>,
}

/// A release that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: ReleaseManifest,
    /// What somebody should know of it, a sentence each.
    pub notes: Vec<String>,
}

/// There is no release.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// An image may not be released.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The folder cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// Makes a release in `<dist>/release/<version>/`.
pub fn make(_options: &Options, _events: Events<'_>) -> Result<Made, MakeError> {
    unreachable!("written by its owner")
}
