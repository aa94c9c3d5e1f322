//! The SquashFS that NixOS mounts at `/nix/store`: what is in it, and the list of it.

use image_model::Location;

use super::{
    Judge, LIMITS, REGISTRATION, REGISTRATION_COMPLETE, REGISTRATION_PRESENT,
    REGISTRATION_REFERENCES,
};
use crate::{
    kind::boot::init,
    store,
    tree::{NodeId, Unresolved, display},
    volume::Volume,
};

/// How often a path may lead out of the store and into it again.
const MAX_TURNS: usize = 40;

/// Where it is mounted.
pub(super) const STORE: &str = "/nix/store";

impl Judge<'_, '_> {
    /// Judges each store, whether something boots it or not.
    pub(super) fn stores(&mut self) -> Vec<store::Judged> {
        let disc = self.disc;
        let inner = disc.squashfs.iter().map(|(_, volume)| volume);
        let mut stores = Vec::new();
        for volume in disc.volume.iter().chain(inner) {
            let checks = match is_store(volume) {
                true => store::Checks {
                    registration: &REGISTRATION,
                    complete: &REGISTRATION_COMPLETE,
                    present: &REGISTRATION_PRESENT,
                    references: &REGISTRATION_REFERENCES,
                    limits: &LIMITS,
                    ..store::Checks::OWN
                },
                false => store::Checks::OWN,
            };
            let here = self.entries.iter().filter(|(other, _)| std::ptr::eq(*other, volume));
            let entries: Vec<_> = here.map(|(_, entry)| entry.clone()).collect();
            let asked = store::Asked { checks, entries: &entries, ..self.promise.store };
            stores.extend(store::verify(volume, &asked, self.out));
        }
        stores
    }
}

/// True if a file system has store paths in its root, as that of NixOS has.
pub(super) fn is_store(volume: &Volume) -> bool {
    store::find(volume).is_some_and(|store| store.is_root())
}

/// A file system, and where it is mounted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mounted<'a> {
    pub(super) volume: &'a Volume,
    /// `/nix/store`, or nothing for a root.
    pub(super) at: &'static str,
}

impl<'a> Mounted<'a> {
    /// The executable file that a path of the running system leads to; or, in words, why there is
    /// none. A symlink to an absolute path leads into what is mounted.
    pub(super) fn program(self, path: &[u8]) -> Result<NodeId, String> {
        let mut path = path.to_vec();
        for _ in 0..MAX_TURNS {
            let inner = match path.strip_prefix(self.at.as_bytes()) {
                Some(inner) if inner.is_empty() || inner.starts_with(b"/") => inner,
                _ => return Err(format!("leads to {}, outside of the store", display(&path))),
            };
            match self.volume.tree.resolve(inner) {
                Ok(found) => return init::executable(self.volume, found.node),
                // The target of a symlink that starts at the root of the running system.
                Err(Unresolved::NotFound { path: missing, chain })
                    if !chain.is_empty() && !self.at.is_empty() =>
                {
                    if path == missing {
                        return Err("a loop of symlinks".to_owned());
                    }
                    path = missing;
                }
                Err(Unresolved::NotFound { path: missing, .. }) => {
                    let missing = [self.at.as_bytes(), &missing].concat();
                    return Err(match missing == path {
                        true => "not there".to_owned(),
                        false => format!("leads to {}, not there", display(&missing)),
                    });
                }
                Err(Unresolved::NotADirectory(_)) => return Err("leads through a file".to_owned()),
                Err(Unresolved::Loop(_)) => break,
            }
        }
        Err("a loop of symlinks".to_owned())
    }

    /// The file at a path without symlinks.
    pub(super) fn file(self, path: &str) -> Option<NodeId> {
        let inner = path.strip_prefix(self.at)?;
        self.volume.find_file(inner.as_bytes())
    }

    /// Where a finding about a path is.
    pub(super) fn location(self, id: NodeId) -> Location {
        self.volume.tree.location(id)
    }
}
