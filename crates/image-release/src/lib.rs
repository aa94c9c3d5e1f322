//! Releases: images of one version in one flat folder, signed, attested, listed in the catalogs of
//! their clients, and shown on a page; and the check of all that, as a careful user would do it.
//!
//! [`make()`] writes the folder, [`check`] judges one. Neither speaks to a network: `image-publish`
//! does.

pub mod attest;
pub mod catalog;
pub mod check;
mod folder;
mod gate;
mod hash;
mod make;
pub mod media_type;
pub mod names;
pub mod needs;
pub mod page;
mod release;
pub mod sign;
pub mod spec;
#[cfg(test)]
mod testing;

pub use folder::{FolderError, RELEASES_DIR};
pub use gate::{Allowed, GateError, Refusal};
pub use make::{Made, MakeError, Options, make};
pub use release::{Document, Image, Release};

/// Name of the manifest of a release.
pub const MANIFEST: &str = "manifest.json";
/// Name of the list of checksums.
pub const SUMS: &str = "SHA256SUMS";
/// Name of the page.
pub const PAGE: &str = "index.html";
