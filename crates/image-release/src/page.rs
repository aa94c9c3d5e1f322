//! What people read: the page of a release, and the report of each image as a page of its own.
//!
//! A page is one file. It has no script, asks for nothing from elsewhere, and its policy
//! (Content Security Policy, level 3) forbids both. What comes from an image is text to it, never
//! markup, an address or an instruction.

mod catalogs;
mod files;
mod image;
mod index;
mod install;
mod layout;
mod report;
mod shell;
mod sizes;
mod sums;
#[cfg(test)]
mod tests;
mod text;

use image_model::{FileRole, ReleaseSignature};
use maud::Markup;

use crate::{Document, Image, PAGE, Release, catalog::Catalogs};

/// The page of a release: `index.html`.
pub fn index(
    release: &Release,
    catalogs: &Catalogs,
    signatures: &[ReleaseSignature],
    keys: &[Document],
) -> Document {
    let whole = index::Whole { release, catalogs, signatures, keys };
    document(PAGE.to_owned(), whole.page())
}

/// The report of an image: `<file>.report.html`.
pub fn report(release: &Release, image: &Image) -> Document {
    document(image.beside(REPORT), report::page(release, image))
}

/// What is put behind the name of an image for its report as a page.
const REPORT: &str = "report.html";

fn document(file: String, page: Markup) -> Document {
    Document {
        file,
        also: None,
        role: FileRole::Page,
        media_type: "text/html; charset=utf-8",
        bytes: page.into_string().into_bytes(),
    }
}
