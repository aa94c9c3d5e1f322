//! The SquashFS that NixOS mounts at `/nix/store`: what is in it, and the list of it.

use image_model::Location;

use super::{
    Judge, REGISTRATION, REGISTRATION_COMPLETE, REGISTRATION_PRESENT, REGISTRATION_REFERENCES,
};
use crate::{
    kind::boot::{
        init,
        registration::{self, Checks, Registration, Unread},
    },
    tree::{NodeId, Tree, Unresolved, display},
    volume::Volume,
};

/// How often a path may lead out of the store and into it again.
const MAX_TURNS: usize = 40;

/// Where it is mounted.
pub(super) const STORE: &str = "/nix/store";

/// The list of what is in it, beside it.
const REGISTRATION_NAME: &[u8] = b"nix-path-registration";

/// The names of store paths begin with so many characters of a hash.
const HASH: usize = 32;

impl Judge<'_, '_> {
    /// Judges each store, whether something boots it or not.
    pub(super) fn stores(&mut self) {
        for (_, volume) in &self.disc.squashfs {
            if is_store(volume) {
                self.store(volume);
            }
        }
    }

    fn store(&mut self, volume: &Volume) {
        let tree = &volume.tree;
        let found = volume.find_file(&[b"/", REGISTRATION_NAME].concat());
        let at = || found.map_or_else(|| volume.at.clone(), |id| tree.location(id));
        let content = match found {
            None => {
                Err(Unread::Broken("no nix-path-registration beside the store paths".to_owned()))
            }
            Some(id) => registration::read(volume, id),
        };
        let parsed = content.as_deref().map_err(Unread::clone).and_then(registration::parse);
        let (list, error) = match parsed {
            Ok(list) => (list, None),
            Err(Unread::Limit(what)) => return self.limit(&what),
            Err(Unread::Broken(why)) => (Registration::default(), Some(why)),
        };
        if !self.expect(&REGISTRATION, error.is_none(), at, || error.unwrap_or_default()) {
            return;
        }
        let names = tree.children(Tree::ROOT).map(|(name, _)| name);
        let names = names.filter(|name| *name != REGISTRATION_NAME);
        let is_there = |name: &[u8]| tree.at(name).is_some();
        let checks = Checks {
            complete: &REGISTRATION_COMPLETE,
            present: &REGISTRATION_PRESENT,
            references: &REGISTRATION_REFERENCES,
        };
        registration::compare(&list, names, is_there, &checks, self.out, at);
    }
}

/// True if a file system has store paths in its root, as that of NixOS has.
pub(super) fn is_store(volume: &Volume) -> bool {
    let is_path = |name: &[u8]| {
        let hash = name.get(..HASH).unwrap_or_default();
        name.get(HASH) == Some(&b'-')
            && hash.iter().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    volume.tree.children(Tree::ROOT).any(|(name, _)| name == REGISTRATION_NAME || is_path(name))
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
