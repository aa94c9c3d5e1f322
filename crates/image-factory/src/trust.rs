//! Whose signatures of store paths count, and who knows of more than the image says.

use std::collections::BTreeMap;

use image_formats::nix::signature::DEFAULT_KEY;
pub use image_formats::nix::{PublicKey, signature::NoKey};
use image_model::{Manifest, NarHash};
use image_nix::{Nix, NixError, Options as NixOptions};
use image_verify::PathSignatures;

/// Whose signatures count, and the Nix that is asked for them.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<PublicKey>,
    nix: Option<(Nix, NixOptions)>,
}

impl Trust {
    /// Of this machine: the keys that its configuration of Nix trusts, and the Nix that may have
    /// built what is in an image. A Nix that does not work is as one that is not there.
    pub fn of_machine() -> Self {
        let nix = Nix::discover().ok().flatten();
        Self::of_nix(nix.map(|nix| (nix, NixOptions::default())))
    }

    /// Of this Nix; without one, the key that every Nix trusts at first.
    pub fn of_nix(nix: Option<(Nix, NixOptions)>) -> Self {
        let config = nix.as_ref().and_then(|(nix, options)| nix.config(options).ok());
        let keys = match config {
            // What Nix cannot read either vouches for nothing.
            Some(config) => {
                config.trusted_keys.iter().filter_map(|key| PublicKey::parse(key).ok()).collect()
            }
            None => PublicKey::parse(DEFAULT_KEY).into_iter().collect(),
        };
        Self { keys, nix }
    }

    /// The same with other keys, and with no others.
    #[must_use]
    pub fn with_keys(self, keys: Vec<PublicKey>) -> Self {
        Self { keys, ..self }
    }

    /// Whose signatures count.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// What Nix and a manifest know of these paths. The manifest speaks of the image, and Nix of
    /// what it has; where these are two things, only the first counts.
    pub(crate) fn signatures(
        &self,
        paths: &[&str],
        manifest: Option<&Manifest>,
    ) -> Result<BTreeMap<String, PathSignatures>, NixError> {
        let mut known = manifest.map(image_verify::manifest::signatures).unwrap_or_default();
        let Some((nix, options)) = &self.nix else { return Ok(known) };
        for info in nix.known_paths(paths, options)? {
            let hash = info.nar_hash.and_then(|hash| NarHash::try_from(hash).ok());
            let Some(nar_hash) = hash else { continue };
            let (signatures, built_here) = (info.signatures, info.built_here);
            let here = PathSignatures { nar_hash, signatures, built_here };
            let known = known.entry(info.path).or_insert_with(|| here.clone());
            if known.nar_hash == here.nar_hash {
                known.built_here = here.built_here;
                known.signatures.extend(here.signatures);
            }
        }
        Ok(known)
    }
}
