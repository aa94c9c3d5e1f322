//! What people read: the page of a release, and the report of each image as a page of its own.

use image_model::ReleaseSignature;

use crate::{Document, Image, Release, catalog::Catalogs};

/// The page of a release: `index.html`.
pub fn index(
    _release: &Release,
    _catalogs: &Catalogs,
    _signatures: &[ReleaseSignature],
    _keys: &[Document],
) -> Document {
    unreachable!("written by its owner")
}

/// The report of an image: `<file>.report.html`.
pub fn report(_release: &Release, _image: &Image) -> Document {
    unreachable!("written by its owner")
}
