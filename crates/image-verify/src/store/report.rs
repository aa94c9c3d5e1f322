//! The table of the paths of a store.

use image_formats::nix::PathInfo;
use image_model::{NarDigest, NarHash, PathVerdict, StorePath, StoreReport, Trust};

use super::{Path, Store, hash::Hashed};
use crate::tree::{NodeId, display};

/// Makes it.
pub(super) fn report(
    store: &Store<'_>,
    files: &[NodeId],
    paths: Vec<Path>,
    hashed: &[Option<Hashed>],
) -> StoreReport {
    let tree = &store.volume.tree;
    let registrations = files.iter().map(|id| display(&tree.path(*id))).collect();
    let paths = paths.into_iter().zip(hashed).map(|(path, hashed)| row(path, hashed.as_ref()));
    StoreReport {
        volume: store.volume.name.clone(),
        registrations,
        trusted_keys: Vec::new(),
        paths: paths.collect(),
    }
}

/// What Nix registered of the content of a path. A size of 0 is none: nobody noted it.
pub(super) fn registered(info: &PathInfo) -> NarDigest {
    NarDigest { nar_hash: NarHash(info.nar_hash), nar_size: info.nar_size }
}

/// True if a path is what Nix registered.
pub(super) fn is_same(info: &PathInfo, nar: &NarDigest) -> bool {
    let size = info.nar_size == 0 || info.nar_size == nar.nar_size;
    info.nar_hash == nar.nar_hash.0 && size
}

fn row(path: Path, hashed: Option<&Hashed>) -> StorePath {
    let nar = hashed.and_then(|hashed| hashed.nar.as_ref().ok()).copied();
    let verdict = match (&path.info, path.node, &nar) {
        (_, None, _) => PathVerdict::Missing,
        (_, Some(_), None) => PathVerdict::Unreadable,
        (None, Some(_), Some(_)) => PathVerdict::Unregistered,
        (Some(info), Some(_), Some(nar)) if is_same(info, nar) => PathVerdict::Intact,
        (Some(_), Some(_), Some(_)) => PathVerdict::Changed,
    };
    let text = |bytes: Box<[u8]>| display(&bytes);
    let told = verdict != PathVerdict::Intact;
    let row = StorePath {
        path: display(&path.path),
        verdict,
        nar,
        registered: path.info.as_ref().filter(|_| told).map(registered),
        references: Vec::new(),
        deriver: None,
        content_address: None,
        signatures: Vec::new(),
        trust: Trust::Unknown,
    };
    let Some(info) = path.info else { return row };
    let mut references: Vec<String> = info.references.into_iter().map(text).collect();
    references.sort_unstable();
    references.dedup();
    StorePath {
        references,
        deriver: info.deriver.map(text),
        content_address: info.content_address.map(text),
        signatures: info.signatures.into_iter().map(text).collect(),
        ..row
    }
}
