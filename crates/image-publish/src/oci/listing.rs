//! What files a release in a registry has.

use std::{collections::BTreeMap, error::Error};

use image_release::check::MAX_ENTRIES;
use serde::Deserialize;

use super::{
    plan::TITLE,
    registry::{Manifest, Registry},
};

/// No file has a longer name, in bytes.
const MAX_NAME: usize = 4096;

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) digest: String,
    pub(crate) size: u64,
}

/// The files of a release by their names.
pub(crate) type Listing = BTreeMap<String, Listed>;

/// As much of a manifest or an index as is looked at. All of it is what a stranger says.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// It cannot be said what files there are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListingError {
    #[error("{digest} is neither a manifest nor an index")]
    Shape { digest: String, source: serde_json::Error },
    #[error("{digest:?} is no SHA-256")]
    Digest { digest: String },
    #[error("{digest} is listed, and is not there")]
    Absent { digest: String },
    #[error("there are two files called {name:?}, which are not the same")]
    Twice { name: String },
    #[error("it has a file whose name is longer than {MAX_NAME} bytes")]
    Name,
    #[error("it has more than {MAX_ENTRIES} files")]
    Many,
}

/// The files that `top` lists, which is an index or the manifest of one artifact.
pub(crate) async fn listing(
    registry: &Registry,
    top: &Manifest,
) -> Result<Listing, Box<dyn Error + Send + Sync>> {
    let mut listing = Listing::new();
    let document = read(top)?;
    add(&mut listing, document.layers)?;
    for (at, entry) in document.manifests.into_iter().enumerate() {
        if at == MAX_ENTRIES {
            return Err(ListingError::Many.into());
        }
        let digest = checked(&entry.digest)?;
        let manifest = registry.manifest(digest).await?;
        let Some(manifest) = manifest else {
            return Err(ListingError::Absent { digest: entry.digest }.into());
        };
        // An index in an index is no release of ours: what it lists is not looked at.
        add(&mut listing, read(&manifest)?.layers)?;
    }
    Ok(listing)
}

fn read(manifest: &Manifest) -> Result<Document, ListingError> {
    serde_json::from_slice(&manifest.bytes)
        .map_err(|source| ListingError::Shape { digest: manifest.digest.clone(), source })
}

fn add(listing: &mut Listing, layers: Vec<Descriptor>) -> Result<(), ListingError> {
    for layer in layers {
        let Some(name) = layer.annotations.get(TITLE) else { continue };
        if name.len() > MAX_NAME {
            return Err(ListingError::Name);
        }
        let listed = Listed { digest: checked(&layer.digest)?.to_owned(), size: layer.size };
        match listing.get(name) {
            Some(other) if *other != listed => {
                return Err(ListingError::Twice { name: name.clone() });
            }
            _ => listing.insert(name.clone(), listed),
        };
        if listing.len() > MAX_ENTRIES {
            return Err(ListingError::Many);
        }
    }
    Ok(())
}

/// A digest becomes a part of an address.
fn checked(digest: &str) -> Result<&str, ListingError> {
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    let fine = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    fine.then_some(digest).ok_or_else(|| ListingError::Digest { digest: digest.to_owned() })
}
