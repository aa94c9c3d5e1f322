//! Who vouches for the paths of a Nix store.
//!
//! What is signed of a path is what is registered. So nobody vouches for a path that is something
//! else, and of one that is not there a signature is checked all the same: the registration lies or
//! does not.

mod content_address;

use std::{collections::BTreeMap, fmt};

use image_formats::nix::{
    PublicKey,
    signature::{self, Signature},
    store_path::BaseName,
};
use image_model::{Check, NarDigest, PathVerdict, StorePath, StoreReport, Trust};
use sha2::{Digest as _, Sha256};

use super::Store;
use crate::{
    AskSignatures, PathSignatures, Recorder,
    tree::{Kind, Node, NodeId},
};
use content_address::ContentAddress;

checks! {
    /// What is asked of those who vouch for the paths of a store.
    CHECKS:

    /// A signature names a key that is trusted, and that key did not sign what is registered: the
    /// path, its content or its references are not those that were signed. Nix refuses to copy such
    /// a path from anybody.
    SIGNATURE = "store-signature", Error;
    reads "the signatures in the database, and those that are handed over";
    spec "Nix ValidPathInfo::fingerprint, ValidPathInfo::checkSignatures";

    /// A path is registered as one whose name follows from its content, and it does not. Nix needs
    /// no signature for such a path, so this one gets in without.
    CONTENT_ADDRESS = "store-content-address", Error;
    reads "the content address in the database, what is registered, and the path";
    spec "Nix ValidPathInfo::isContentAddressed";
}

/// How many signatures of one key for one path are tried. Nix keeps one.
const MAX_TRIED: usize = 16;

/// Who may vouch for a path.
#[derive(Clone, Copy)]
pub struct Vouchers<'a> {
    /// Whose signatures count.
    pub keys: &'a [PublicKey],
    /// Knows of signatures that are not in the image.
    pub signatures: &'a AskSignatures<'a>,
}

/// Nobody.
impl Default for Vouchers<'_> {
    fn default() -> Self {
        Self { keys: &[], signatures: &|_| BTreeMap::new() }
    }
}

impl fmt::Debug for Vouchers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vouchers").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// SHA-256 of the file that the path of this number is; `None` where it is no file that cannot be
/// run, or cannot be read.
type FileHash<'a> = dyn Fn(usize) -> Option<[u8; 32]> + 'a;

/// A path that is not vouched for as it says.
#[derive(Clone, Debug)]
struct Doubt {
    /// Which of the report.
    path: usize,
    /// The check that fails.
    check: &'static Check,
    /// What was found, and what was expected.
    message: String,
}

/// What was evaluated.
#[derive(Clone, Debug, Default)]
struct Judged {
    /// What does not hold, in the order of the paths.
    doubts: Vec<Doubt>,
    /// The checks that were evaluated at all.
    evaluated: Vec<&'static Check>,
}

/// Says for each path of a store who vouches for it, and adds the signatures that are not in the
/// image. `nodes` are those of the paths of the report.
pub(super) fn judge(
    store: &Store<'_>,
    nodes: &[Option<NodeId>],
    vouchers: Vouchers<'_>,
    report: &mut StoreReport,
    out: &mut Recorder,
) {
    let tree = &store.volume.tree;
    let node = |number: usize| nodes.get(number).copied().flatten();
    let file_hash = |number| {
        // Nix gives such a name to no program.
        let is_file = |node: &Node| matches!(node.kind, Kind::File(_)) && node.mode & 0o100 == 0;
        let id = node(number).filter(|id| is_file(tree.node(*id)))?;
        let mut sha256 = Sha256::new();
        let mut reader = store.volume.files.contents().reader();
        reader.read(tree, id, &mut |piece| sha256.update(piece)).ok()?;
        Some(sha256.finalize().into())
    };
    let judged = pure(report, vouchers, &file_hash);
    for Doubt { path, check, message } in judged.doubts {
        out.expect(check, false, || {
            let at = tree.location(node(path).unwrap_or(store.root));
            (at, format!("{}: {message}", report.paths[path].path))
        });
    }
    for check in judged.evaluated {
        out.held(check, true);
    }
}

/// The same without an image.
fn pure(report: &mut StoreReport, vouchers: Vouchers<'_>, file_hash: &FileHash<'_>) -> Judged {
    let mut keys = Keys::new();
    for key in vouchers.keys {
        keys.entry(key.name()).or_default().push(key);
    }
    report.trusted_keys = keys.keys().map(|name| (*name).to_owned()).collect();
    // Registrations may name anything. Nobody is asked about what is no store path.
    let is_path = |path: &&StorePath| BaseName::of_path(path.path.as_bytes()).is_some();
    let asked: Vec<_> = report.paths.iter().filter(is_path).map(|path| &*path.path).collect();
    let mut known = if asked.is_empty() { BTreeMap::new() } else { (vouchers.signatures)(&asked) };
    let mut judged = Judged::default();
    for (number, path) in report.paths.iter_mut().enumerate() {
        let known = known.remove(&path.path);
        let mut one = One { path: number, judged: &mut judged };
        one.judge(path, known, &keys, file_hash);
    }
    judged
}

/// The keys that are trusted, by their names: several may have the same.
type Keys<'a> = BTreeMap<&'a str, Vec<&'a PublicKey>>;

/// One path, and what is noted of it.
struct One<'j> {
    path: usize,
    judged: &'j mut Judged,
}

impl One<'_> {
    fn judge(
        &mut self,
        path: &mut StorePath,
        known: Option<PathSignatures>,
        keys: &Keys<'_>,
        file_hash: &FileHash<'_>,
    ) {
        let registered = match path.verdict {
            PathVerdict::Unregistered => None,
            PathVerdict::Intact => path.nar,
            _ => path.registered,
        };
        let Some(registered) = registered else { return };
        // Somebody else's path of the same name is not this one.
        let known = known.filter(|known| known.nar_hash == registered.nar_hash);
        let built = known.as_ref().is_some_and(|known| known.built_here);
        path.signatures.extend(known.into_iter().flat_map(|known| known.signatures));
        path.signatures.sort_unstable();
        path.signatures.dedup();
        let by = self.signers(path, &registered, keys);
        let follows = self.follows(path, &registered, file_hash);
        path.trust = match path.verdict {
            PathVerdict::Intact if !by.is_empty() => Trust::Signed { by },
            PathVerdict::Intact if follows => Trust::ContentAddressed,
            PathVerdict::Intact if built => Trust::Built,
            _ => Trust::Unknown,
        };
    }

    /// Names of the trusted keys that signed what is registered, sorted.
    fn signers(
        &mut self,
        path: &StorePath,
        registered: &NarDigest,
        keys: &Keys<'_>,
    ) -> Vec<String> {
        let mut of_key: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for text in &path.signatures {
            let named = Signature::key_of(text).filter(|name| keys.contains_key(name));
            if let Some(name) = named {
                of_key.entry(name).or_default().push(text);
            }
        }
        if of_key.is_empty() {
            return Vec::new();
        }
        let references = path.references.iter().map(String::as_bytes);
        let NarDigest { nar_hash, nar_size } = registered;
        let message =
            signature::fingerprint(path.path.as_bytes(), &nar_hash.0, *nar_size, references);
        // Without a size nobody can sign, and none can be checked.
        let Some(message) = message else { return Vec::new() };
        let mut by = Vec::new();
        for (name, texts) in of_key {
            let signatures = texts.iter().take(MAX_TRIED).filter_map(|text| Signature::parse(text));
            let holds = |signature| keys[name].iter().any(|key| key.verifies(&message, &signature));
            if self.expect(&SIGNATURE, signatures.into_iter().any(holds), || {
                format!("the signature of {name} is not for what is registered")
            }) {
                by.push(name.to_owned());
            }
        }
        by
    }

    /// True if the name of the path follows from what is registered.
    fn follows(
        &mut self,
        path: &StorePath,
        registered: &NarDigest,
        file_hash: &FileHash<'_>,
    ) -> bool {
        let Some(name) = BaseName::of_path(path.path.as_bytes()) else { return false };
        // Its hash would be that of a NAR in which it does not name itself.
        if path.references.contains(&path.path) {
            return false;
        }
        let references = || path.references.iter().map(String::as_str);
        let Some(claimed) = path.content_address.as_deref().and_then(ContentAddress::parse) else {
            // Lists do not say so, and it can be true all the same.
            return ContentAddress::Nar(registered.nar_hash.0).names(name, references());
        };
        let hash = match claimed {
            ContentAddress::Nar(_) => Some(registered.nar_hash.0),
            _ if path.verdict == PathVerdict::Intact => file_hash(self.path),
            _ => None,
        };
        let is_named = claimed.names(name, references());
        let is_same = hash.map(|hash| claimed.with(hash) == claimed);
        self.expect(&CONTENT_ADDRESS, is_named && is_same != Some(false), || {
            let what = path.content_address.as_deref().unwrap_or_default();
            let why =
                if is_named { "the hash of its content" } else { "what its name follows from" };
            format!("{what} is not {why}")
        }) && is_same == Some(true)
    }

    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        message: impl FnOnce() -> String,
    ) -> bool {
        let evaluated = &mut self.judged.evaluated;
        if !evaluated.iter().any(|other| other.id == check.id) {
            evaluated.push(check);
        }
        if !holds {
            let message = message();
            self.judged.doubts.push(Doubt { path: self.path, check, message });
        }
        holds
    }
}

#[cfg(test)]
mod tests;
