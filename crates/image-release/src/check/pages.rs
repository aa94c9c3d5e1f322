//! What people read: it names the images, and their checksums and no others.

use std::collections::BTreeSet;

use image_model::FileRole;
use image_verify::release::PAGE as PAGE_CHECK;

use super::{Known, report::Recorder};
use crate::{MANIFEST, PAGE};

pub(super) fn check(release: &Known<'_>, out: &mut Recorder) {
    let manifest = release.manifest;
    let has_page = manifest.files.iter().any(|file| file.file == PAGE);
    out.expect(&PAGE_CHECK, has_page, PAGE, || "there is none".to_owned());
    // Digests that the release itself tells, and what its documents do.
    let mut known = BTreeSet::new();
    for file in &manifest.files {
        known.insert(file.sha256.to_string());
        let tells = matches!(
            file.role,
            FileRole::ImageManifest | FileRole::Report | FileRole::Catalog | FileRole::Sums
        );
        let bytes = release.document(&file.file).filter(|_| tells).unwrap_or_default();
        known.extend(digests(bytes).map(str::to_owned));
    }
    for artifact in manifest.images.iter().flat_map(|image| &image.artifacts) {
        known.insert(artifact.raw.sha256.to_string());
    }
    for file in manifest.files.iter().filter(|file| file.role == FileRole::Page) {
        let name = file.file.as_str();
        let Some(bytes) = release.document(name) else { continue };
        let shown: BTreeSet<_> = digests(bytes).collect();
        for payload in manifest.images.iter().filter_map(|image| image.artifacts.first()) {
            if name != PAGE && file.of.as_ref() != Some(&payload.file) {
                continue;
            }
            let sha256 = payload.digests.sha256.to_string();
            let named = shown.contains(sha256.as_str()) && contains(bytes, payload.file.as_bytes());
            out.expect(&PAGE_CHECK, named, name, || {
                format!("it does not show {} with its checksum", payload.file)
            });
        }
        for digest in shown.into_iter().filter(|digest| !known.contains(*digest)) {
            out.fail(
                &PAGE_CHECK,
                name,
                format!("it shows {digest}, which {MANIFEST} does not know"),
            );
        }
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

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let ends = |byte: u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    let mut places = bytes.windows(part.len().max(1)).enumerate();
    places.any(|(at, window)| {
        let after = bytes.get(at + part.len()).copied();
        window == part && after.is_none_or(ends)
    })
}
