//! Whether an image is the one that its manifest speaks of. Nix is not needed: a manifest records
//! the closure, and what was read of the image is compared with that.

use std::collections::{BTreeMap, BTreeSet};

use image_model::{ClosurePath, Digests, Location, Manifest, PathVerdict, StorePath, StoreReport};

use crate::{PathSignatures, Recorder};

checks! {
    /// What is asked of an image that comes with a manifest.
    CHECKS:

    /// The file is one that the manifest lists, byte for byte, or has the same bytes in another
    /// compression or in none.
    ARTIFACT = "manifest-artifact", Error;
    reads "size and SHA-256 of the file, and of its raw bytes";
    spec "schemas/manifest.schema.json";

    /// The image has the store paths that the manifest records, with the same content and the same
    /// references, and no others.
    CLOSURE = "manifest-closure", Error;
    reads "every file of every store path, and the closure in the manifest";
    spec "schemas/manifest.schema.json";
}

/// What is known of an image that has to be as its manifest says.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// The name of the file, where that is known.
    pub name: Option<&'a str>,
    /// All of its bytes.
    pub file: Digests,
    /// Those inside of its compression.
    pub raw: Option<Digests>,
    /// The Nix stores in it.
    pub stores: &'a [StoreReport],
}

/// The closure of an image, as its manifest records it: each path as it is.
pub fn closure(stores: &[StoreReport]) -> Vec<ClosurePath> {
    let mut paths: BTreeMap<&str, ClosurePath> = BTreeMap::new();
    for path in stores.iter().flat_map(|store| &store.paths) {
        let Some(nar) = path.nar else { continue };
        paths.entry(&path.path).or_insert_with(|| ClosurePath {
            path: path.path.clone(),
            nar_hash: nar.nar_hash,
            nar_size: nar.nar_size,
            references: path.references.clone(),
            signatures: path.signatures.clone(),
        });
    }
    paths.into_values().collect()
}

/// The signatures that a manifest records.
pub fn signatures(manifest: &Manifest) -> BTreeMap<String, PathSignatures> {
    let signed = manifest.closure.iter().filter(|path| !path.signatures.is_empty());
    let known = signed.map(|path| {
        let (nar_hash, signatures) = (path.nar_hash, path.signatures.clone());
        (path.path.clone(), PathSignatures { nar_hash, signatures, built_here: false })
    });
    known.collect()
}

/// Compares an image with its manifest. Findings are at `whole`, with the path where there is one.
pub fn verify(manifest: &Manifest, image: &Image<'_>, whole: &Location, out: &mut Recorder) {
    out.announce(CHECKS);
    let faults = artifact_fault(manifest, image).into_iter().collect::<Vec<_>>();
    out.expect(&ARTIFACT, faults.is_empty(), || (whole.clone(), faults.concat()));

    let mut expected: BTreeMap<&str, &ClosurePath> =
        manifest.closure.iter().map(|path| (path.path.as_str(), path)).collect();
    let at = |path: &str| Location { path: Some(path.to_owned()), ..whole.clone() };
    let count = expected.len();
    if count > 0 && image.stores.is_empty() {
        let message = format!("no Nix store was read, and the manifest has {count} paths of one");
        out.expect(&CLOSURE, false, || (whole.clone(), message));
        return;
    }
    let mut seen = BTreeMap::new();
    for path in image.stores.iter().flat_map(|store| &store.paths) {
        if path.verdict == PathVerdict::Missing {
            continue;
        }
        let name = path.path.as_str();
        let recorded = expected.remove(name).or_else(|| seen.get(name).copied());
        if let Some(recorded) = recorded {
            seen.insert(name, recorded);
        }
        let fault = path_fault(path, recorded);
        out.expect(&CLOSURE, fault.is_none(), || {
            (at(name), format!("{name}: {}", fault.unwrap_or_default()))
        });
    }
    for name in expected.into_keys() {
        let message = format!("{name}: in the manifest, and not in the image");
        out.expect(&CLOSURE, false, || (at(name), message));
    }
    out.held(&CLOSURE, true);
}

fn artifact_fault(manifest: &Manifest, image: &Image<'_>) -> Option<String> {
    let is_same = |artifact: &&image_model::Artifact| {
        let raw = artifact.raw;
        artifact.digests == image.file || raw == image.file || Some(raw) == image.raw
    };
    if manifest.artifacts.iter().any(|artifact| is_same(&artifact)) {
        return None;
    }
    let found = format!("{} bytes with SHA-256 {}", image.file.size, image.file.sha256);
    let by_name =
        manifest.artifacts.iter().find(|artifact| Some(artifact.file.as_str()) == image.name);
    Some(match by_name {
        Some(artifact) => {
            let Digests { size, sha256 } = artifact.digests;
            format!("{found}; {} has {size} with {sha256} in the manifest", artifact.file)
        }
        None => {
            let names: Vec<_> = manifest.artifacts.iter().map(|a| a.file.as_str()).collect();
            format!("{found}: none of {} in the manifest", names.join(", "))
        }
    })
}

/// What is another thing in the image than in the manifest.
fn path_fault(path: &StorePath, recorded: Option<&ClosurePath>) -> Option<String> {
    let Some(recorded) = recorded else {
        // Of what cannot be read nothing is recorded, and other checks tell of it.
        let is_read = path.verdict != PathVerdict::Unreadable;
        return is_read.then(|| "in the image, and not in the manifest".to_owned());
    };
    let Some(nar) = path.nar else { return Some("cannot be read".to_owned()) };
    if (nar.nar_hash, nar.nar_size) != (recorded.nar_hash, recorded.nar_size) {
        return Some(format!(
            "{} of {} bytes, and in the manifest {} of {}",
            nar.nar_hash, nar.nar_size, recorded.nar_hash, recorded.nar_size
        ));
    }
    // A manifest is a file, and may have them in any order.
    let of = |references: &[String]| references.iter().cloned().collect::<BTreeSet<_>>();
    let (found, expected) = (of(&path.references), of(&recorded.references));
    if let Some(other) = found.difference(&expected).next() {
        return Some(format!("refers to {other}, and in the manifest it does not"));
    }
    let other = expected.difference(&found).next()?;
    Some(format!("does not refer to {other}, and in the manifest it does"))
}

#[cfg(test)]
mod tests;
