//! Catalogs: what clients of an ecosystem read to find an image.

use image_model::OmittedCatalog;

use crate::{Document, Release};

/// The catalogs of a release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogs {
    /// Their files. One that is no catalog itself, but is named by one, is a payload.
    pub documents: Vec<Document>,
    /// What was not written, and why.
    pub omitted: Vec<OmittedCatalog>,
}

/// Writes the catalogs of a release.
pub fn catalogs(_release: &Release) -> Catalogs {
    unreachable!("written by its owner")
}
