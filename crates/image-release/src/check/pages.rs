//! What people read: it names the images, and their checksums and no others.

use std::collections::{BTreeMap, BTreeSet};

use image_model::{Artifact, FileRole, ReleaseFile};
use image_verify::release::PAGE as PAGE_CHECK;

use super::{Known, report::Recorder};
use crate::PAGE;

pub(super) fn check(release: &Known<'_>, out: &mut Recorder) {
    let manifest = release.manifest;
    let has_page = release.files.contains_key(PAGE);
    out.expect(&PAGE_CHECK, has_page, PAGE, || "there is none".to_owned());
    let payloads: Vec<_> = manifest.images.iter().filter_map(|i| i.artifacts.first()).collect();
    // By digest, a page that shows it; those that the release knows are taken out.
    let mut strange = BTreeMap::new();
    for file in manifest.files.iter().filter(|file| file.role == FileRole::Page) {
        let Some(bytes) = release.document(&file.file) else { continue };
        strange.extend(digests(bytes).map(|digest| (digest, file.file.as_str())));
        shows(file, bytes, &payloads, out);
    }
    for file in &manifest.files {
        strange.remove(file.sha256.to_string().as_str());
        let tells = matches!(
            file.role,
            FileRole::ImageManifest | FileRole::Report | FileRole::Catalog | FileRole::Sums
        );
        for digest in digests(release.document(&file.file).filter(|_| tells).unwrap_or_default()) {
            strange.remove(digest);
        }
    }
    for artifact in manifest.images.iter().flat_map(|image| &image.artifacts) {
        strange.remove(artifact.raw.sha256.to_string().as_str());
    }
    for (digest, page) in strange {
        out.fail(&PAGE_CHECK, page, format!("it shows {digest}, which the release does not know"));
    }
}

/// Whether a page shows its image, and that of the release all of them, with their checksums.
fn shows(file: &ReleaseFile, bytes: &[u8], payloads: &[&Artifact], out: &mut Recorder) {
    let page = file.file.as_str();
    let of_page = |payload: &&Artifact| page == PAGE || file.of.as_ref() == Some(&payload.file);
    let payloads: Vec<_> = payloads.iter().copied().filter(of_page).collect();
    let wanted: BTreeSet<_> = payloads.iter().map(|payload| payload.file.as_bytes()).collect();
    let names = bytes.split(|byte| !(byte.is_ascii_alphanumeric() || b".-_+~".contains(byte)));
    let names: BTreeSet<_> = names.filter(|name| wanted.contains(name)).collect();
    let sums: BTreeSet<_> = digests(bytes).collect();
    for Artifact { file, digests, .. } in payloads {
        let sum = digests.sha256.to_string();
        let named = names.contains(file.as_bytes()) && sums.contains(sum.as_str());
        out.expect(&PAGE_CHECK, named, page, || {
            format!("it does not show {file} with its checksum")
        });
    }
}

/// What looks like a SHA-256: 64 hexadecimal digits that are no part of a longer word.
fn digests(bytes: &[u8]) -> impl Iterator<Item = &str> {
    let words = bytes.split(|byte| !byte.is_ascii_alphanumeric());
    let is_digest = |word: &&[u8]| {
        word.len() == 64 && word.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    };
    words.filter(is_digest).filter_map(|word| std::str::from_utf8(word).ok())
}
