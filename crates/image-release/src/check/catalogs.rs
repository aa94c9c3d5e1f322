//! Catalogs, as their clients read them.

use std::{collections::BTreeMap, sync::Arc};

use image_model::{FileRole, Sha256};
use image_verify::release::{CATALOG, CATALOG_ENTRY};

use super::{Known, files::SMALL_PAYLOAD, report::Recorder};
use crate::catalog::client::{Facts, read_all, sysupdate::Sum};

/// Digests of two files, one after the other, that catalogs name.
#[derive(Debug, Default)]
pub(super) struct Pairs(Vec<Pair>);

#[derive(Debug)]
struct Pair {
    catalog: String,
    first: String,
    second: String,
    sha256: Sha256,
}

pub(super) fn check(release: &Known<'_>, out: &mut Recorder) -> Pairs {
    let sum = |(file, sha256): (&String, &Sha256)| Sum { file: file.clone(), sha256: *sha256 };
    let sums: Vec<_> = release.sums.iter().map(sum).collect();
    let facts = Facts { manifest: release.manifest, sums: &sums };
    let mut pairs = Vec::new();
    for file in release.manifest.files.iter().filter(|file| file.role == FileRole::Catalog) {
        let name = file.file.as_str();
        let Some(bytes) = release.document(name) else { continue };
        let entries = match read_all(name, bytes, &facts) {
            // Of a client that nobody knows here.
            None => continue,
            Some(Ok(entries)) => entries,
            Some(Err(refusals)) => {
                for refusal in refusals {
                    out.fail(&CATALOG, name, refusal.to_string());
                }
                continue;
            }
        };
        out.hold(&CATALOG);
        for entry in entries {
            let differences = entry.differences(release.manifest);
            out.expect(&CATALOG_ENTRY, differences.is_empty(), name, || {
                differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            });
            if let Some(combined) = entry.combined {
                pairs.push(Pair {
                    catalog: name.to_owned(),
                    first: combined.first,
                    second: entry.file,
                    sha256: combined.sha256,
                });
            }
        }
    }
    Pairs(pairs)
}

impl Pairs {
    /// By the name of the second file, what is hashed before it.
    pub(super) fn prefixes(
        &self,
        release: &Known<'_>,
        out: &mut Recorder,
    ) -> BTreeMap<String, Arc<[u8]>> {
        // A catalog can name the same first file with every other one.
        let mut firsts: BTreeMap<&str, Option<Arc<[u8]>>> = BTreeMap::new();
        let mut prefixes = BTreeMap::new();
        for Pair { catalog, first, second, .. } in &self.0 {
            let size = release.files.get(first.as_str()).map_or(0, |file| file.size);
            let why = || format!("{first} is before {second} in a digest, and has {size} bytes");
            if !out.expect(&CATALOG_ENTRY, size <= SMALL_PAYLOAD, catalog, why) {
                continue;
            }
            let bytes =
                firsts.entry(first).or_insert_with(|| release.document(first).map(Arc::from));
            prefixes.extend(bytes.as_ref().map(|bytes| (second.clone(), Arc::clone(bytes))));
        }
        prefixes
    }

    /// Compares them with those of the files that were read.
    pub(super) fn compare(&self, found: &BTreeMap<String, Sha256>, out: &mut Recorder) {
        for Pair { catalog, first, second, sha256 } in &self.0 {
            // What could not be read was told.
            let Some(found) = found.get(second) else { continue };
            out.expect(&CATALOG_ENTRY, found == sha256, catalog, || {
                format!("the digest of {first} and {second} is {found}, not {sha256}")
            });
        }
    }
}
