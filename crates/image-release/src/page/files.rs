//! The table of all files of a release.

use std::collections::HashSet;

use image_model::{Driver, FileRole, SignatureScheme};
use maud::{Markup, html};

use super::{
    REPORT,
    index::Whole,
    text::{count, grouped, human, link},
};
use crate::{Document, Image, MANIFEST, PAGE, SUMS};

/// A file of a release.
pub(super) struct Row<'a> {
    /// Its name.
    pub(super) file: String,
    /// What it is, for people.
    pub(super) what: &'a str,
    /// Length in bytes, where it is known before all files are there.
    size: Option<u64>,
}

/// The section with the table.
pub(super) fn section(whole: &Whole<'_>) -> Markup {
    let rows = rows(whole);
    html! {
        section id="files" aria-labelledby="files-title" {
            h2 id="files-title" { "All files" }
            .card {
                .wide tabindex="0" role="group" aria-labelledby="files-caption" {
                    table {
                        caption id="files-caption" {
                            (count(rows.len(), "file")) "; the SHA-256 of each is in " (link(SUMS)) "."
                        }
                        thead {
                            tr {
                                th scope="col" { "File" }
                                th scope="col" { "What it is" }
                                th.number scope="col" { "Bytes" }
                            }
                        }
                        tbody {
                            @for row in &rows {
                                tr {
                                    th.name.names scope="row" { (link(&row.file)) }
                                    td { (row.what) }
                                    td.number {
                                        @match row.size {
                                            Some(size) => span title=(human(size)) { (grouped(size)) },
                                            None => span.soft { "–" },
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn rows<'a>(whole: &Whole<'a>) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for image in &whole.release.images {
        for (index, artifact) in image.manifest.artifacts.iter().enumerate() {
            let what = match index {
                0 => "The image",
                _ if artifact.file.ends_with(".bmap") => "Block map, for bmaptool",
                _ => "Part of the image",
            };
            rows.push(Row { file: artifact.file.clone(), what, size: Some(artifact.digests.size) });
            if index != 0 {
                let file = format!("{}.sha256", artifact.file);
                rows.push(Row { file, what: "SHA-256 of it, for sha256sum", size: None });
            }
        }
        rows.extend(about(image));
    }
    let row = |file: &str, what| Row { file: file.to_owned(), what, size: None };
    let known = |document: &Document, what| Row {
        file: document.file.clone(),
        what,
        size: Some(document.bytes.len() as u64),
    };
    rows.push(row(MANIFEST, "The release, for programs"));
    for document in &whole.catalogs.documents {
        let what = match document.role {
            FileRole::Catalog => "A catalog",
            _ => "Named by a catalog",
        };
        rows.push(known(document, what));
    }
    rows.push(row(SUMS, "SHA-256 of all files"));
    for signature in whole.signatures {
        rows.push(row(
            &signature.file,
            match signature.scheme {
                SignatureScheme::Minisign => "Signature of the list, by minisign",
                SignatureScheme::Ssh => "Signature of the list, by SSH",
                SignatureScheme::Openpgp => "Signature of the list, by OpenPGP",
            },
        ));
    }
    rows.extend(whole.keys.iter().map(|key| known(key, "A public key")));
    rows.push(row(PAGE, "This page"));
    let mut seen = HashSet::new();
    rows.retain(|row| seen.insert(row.file.clone()));
    rows
}

/// The files about an image.
pub(super) fn about(image: &Image) -> Vec<Row<'static>> {
    let mut rows: Vec<Row<'static>> = Vec::new();
    let by_name = [
        ("sha256", "SHA-256 of the image, for sha256sum"),
        (REPORT, "The verification, for people"),
        ("verification.json", "The verification, for programs"),
        ("manifest.json", "What the image was made from"),
        ("intoto.jsonl", "Attestations: provenance, and the verification"),
        ("cdx.json", "Bill of materials: CycloneDX"),
        ("spdx.json", "Bill of materials: SPDX"),
    ];
    let of = |file: &str| image.documents.iter().find(|document| document.file == file);
    for (suffix, what) in by_name {
        let file = match suffix {
            "verification.json" => image.verification.file.clone(),
            _ => image.beside(suffix),
        };
        let document = of(&file);
        // The only ones that not every image has.
        if document.is_none() && matches!(suffix, "cdx.json" | "spdx.json") {
            continue;
        }
        rows.push(Row { file, what, size: document.map(|document| document.bytes.len() as u64) });
    }
    for document in &image.documents {
        if rows.iter().all(|row| row.file != document.file) {
            let what = match document.role {
                FileRole::Sbom => "Bill of materials",
                FileRole::Sums => "SHA-256",
                _ => "About the image",
            };
            let size = Some(document.bytes.len() as u64);
            rows.push(Row { file: document.file.clone(), what, size });
        }
    }
    rows
}

/// True if the image is none of NixOS.
pub(super) fn is_mini(image: &Image) -> bool {
    image.manifest.source.driver == Driver::Mini
}
