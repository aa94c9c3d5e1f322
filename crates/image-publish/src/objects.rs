//! What is published of a release, and in which order.

use std::path::{Path, PathBuf};

use image_model::{FileRole, ReleaseManifest, Sha256};

/// An object to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name below the place of the version, such as `nixos-26.05.wsl`, `streams/v1/index.json`.
    pub name: String,
    /// The file that has it.
    pub path: PathBuf,
    /// What it is for.
    pub role: FileRole,
    /// Its media type.
    pub media_type: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of it.
    pub sha256: Sha256,
    /// The image that it belongs to: the name of that file.
    pub of: Option<String>,
}

/// A folder is no release that can be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectsError {}

/// The manifest of the release in `folder`, and its objects in the order of publishing.
pub fn objects(_folder: &Path) -> Result<(ReleaseManifest, Vec<Object>), ObjectsError> {
    unreachable!("written by its owner")
}
