//! What is in a store, what is registered, and what leads from one to the other.

use std::borrow::Cow;

use image_formats::nix::store_path::BaseName;
use image_model::{Check, NarHash};

use super::{
    CONTENT, Checks, ENTRY, Entry, INTERPRETER, NAME, NAR_SIZE, Path, READABLE, RUN_PATH,
    Registered, SYMLINK, Store, UNDECLARED_REFERENCE, UNKNOWN_PATH,
    hash::{FaultKind, Hashed, Need},
    scan::{Known, Place, Seen},
};
use crate::{
    Recorder,
    tree::{Kind, NodeId, Tree, Unresolved, display},
};

/// Folders whose symlinks keep store paths alive.
const ROOTS: [&[u8]; 2] = [b"/nix/var/nix/profiles", b"/nix/var/nix/gcroots"];

/// All that is registered, or in the store, sorted.
pub(super) fn paths(store: &Store<'_>, registered: Registered) -> Vec<Path> {
    let mut paths: Vec<Path> = registered
        .into_iter()
        .map(|(path, info)| {
            let node = store.named(base_name(&path));
            Path { path, node, info: Some(info) }
        })
        .collect();
    let known = paths.len();
    for (name, node) in store.names() {
        let path = [super::find::MOUNT, b"/", name].concat().into_boxed_slice();
        let is_new = paths[..known].binary_search_by(|other| other.path.cmp(&path)).is_err();
        if is_new {
            paths.push(Path { path, node: Some(node), info: None });
        }
    }
    paths.sort_by(|a, b| a.path.cmp(&b.path));
    paths
}

/// The paths that a path may name, by their numbers, in order; `None` where nobody asks.
pub(super) fn declared(path: &Path, known: &Known) -> Option<Vec<usize>> {
    let info = path.info.as_ref().filter(|_| !is_derivation(path))?;
    let named = std::iter::once(&path.path).chain(&info.references);
    let mut declared: Vec<usize> = named.filter_map(|path| known.of_path(path)).collect();
    declared.sort_unstable();
    declared.dedup();
    Some(declared)
}

fn is_derivation(path: &Path) -> bool {
    path.path.ends_with(b".drv")
}

/// The name of a path in the store.
pub(super) fn base_name(path: &[u8]) -> &[u8] {
    path.strip_prefix(super::find::MOUNT).and_then(|name| name.strip_prefix(b"/")).unwrap_or(path)
}

/// The store that is judged.
pub(super) struct Judge<'a, 'o> {
    pub(super) store: Store<'a>,
    pub(super) checks: &'a Checks,
    pub(super) paths: &'a [Path],
    /// It is known what is registered.
    pub(super) is_registered: bool,
    pub(super) out: &'o mut Recorder,
}

impl Judge<'_, '_> {
    fn find(&self, path: &[u8]) -> Option<&Path> {
        let index = self.paths.binary_search_by(|other| (*other.path).cmp(path)).ok()?;
        self.paths.get(index)
    }

    /// Compares names: what is registered with what is there.
    pub(super) fn names(&mut self) {
        if !self.is_registered {
            return;
        }
        let store = self.store;
        let tree = &store.volume.tree;
        let registration = store.database.or(store.list).unwrap_or(store.root);
        let at = || tree.location(registration);
        for path in self.paths {
            if let Some(node) = path.node {
                self.out.expect(self.checks.complete, path.info.is_some(), || {
                    let message = "in the store, and not registered";
                    (tree.location(node), format!("{} is {message}", display(&path.path)))
                });
            }
            let Some(info) = &path.info else { continue };
            self.out.expect(self.checks.present, path.node.is_some(), || {
                (at(), format!("{} is registered, and not in the store", display(&path.path)))
            });
            for other in info.references.iter().filter(|other| **other != path.path) {
                let known = self.find(other).is_some_and(|other| other.info.is_some());
                self.out.expect(self.checks.references, known, || {
                    let (path, other) = (display(&path.path), display(other));
                    (at(), format!("{path} refers to {other}, not registered"))
                });
            }
        }
    }

    /// Judges what each path is.
    pub(super) fn contents(&mut self, hashed: &[Option<Hashed>]) {
        let tree = &self.store.volume.tree;
        for (path, hashed) in self.paths.iter().zip(hashed) {
            let (Some(node), Some(hashed)) = (path.node, hashed) else { continue };
            let fault = hashed.nar.as_ref().err();
            for check in [&READABLE, &NAME] {
                let fault = fault.filter(|fault| match fault.what {
                    FaultKind::Unreadable(_) => check.id == READABLE.id,
                    FaultKind::Name => check.id == NAME.id,
                    FaultKind::Limit => false,
                });
                self.out.expect(check, fault.is_none(), || {
                    let (file, what) = fault.map_or((node, String::new()), |fault| {
                        (fault.file, fault.what.to_string())
                    });
                    (tree.location(file), what)
                });
            }
            if let (Some(info), Ok(nar)) = (&path.info, &hashed.nar) {
                let same = info.nar_hash == nar.nar_hash.0;
                self.out.expect(&CONTENT, same, || {
                    let (is, was) = (nar.nar_hash, NarHash(info.nar_hash));
                    let message = format!("its NAR has the hash {is}, and {was} is registered");
                    (tree.location(node), message)
                });
                let (is, was) = (nar.nar_size, info.nar_size);
                self.out.expect(&NAR_SIZE, !same || was == 0 || is == was, || {
                    (
                        tree.location(node),
                        format!("its NAR has {is} bytes, and {was} are registered"),
                    )
                });
            }
            self.scanned(path, hashed);
            self.needs(hashed);
        }
    }

    /// Judges the paths that one path names. A derivation names what it is going to make, and what
    /// others have made for it, and refers to neither.
    fn scanned(&mut self, path: &Path, hashed: &Hashed) {
        if is_derivation(path) {
            return;
        }
        if path.info.is_some() {
            for (index, seen) in &hashed.found.undeclared {
                self.out.expect(&UNDECLARED_REFERENCE, false, || {
                    let other = self.paths.get(*index).map(|path| display(&path.path));
                    let message =
                        format!("names {}, not among its references", other.unwrap_or_default());
                    seen.told(&self.store.volume.tree, &message)
                });
            }
            self.out.held(&UNDECLARED_REFERENCE, true);
        }
        for (name, seen) in &hashed.found.unknown {
            self.out.expect(&UNKNOWN_PATH, false, || {
                let message = format!("names /nix/store/{}, which nobody has", display(name));
                seen.told(&self.store.volume.tree, &message)
            });
        }
        self.out.held(&UNKNOWN_PATH, true);
    }

    /// Judges what the programs of one path need.
    fn needs(&mut self, hashed: &Hashed) {
        let tree = &self.store.volume.tree;
        let (store, out) = (self.store, &mut *self.out);
        [&RUN_PATH, &INTERPRETER].into_iter().for_each(|check| out.held(check, true));
        for (need, id) in &hashed.needs.all {
            let (check, path, problem): (&'static Check, _, _) = match need {
                Need::Interpreter(path) => {
                    let object = BaseName::within(path).map(|(name, _)| name);
                    let gone = object.is_some_and(|name| store.named(name.as_bytes()).is_none());
                    if gone && !self.checks.by_names {
                        continue;
                    }
                    (&INTERPRETER, path, interpreter(&store, path))
                }
                Need::RunPath(path) => {
                    let object = BaseName::within(path).map(|(name, _)| name);
                    let gone = object.filter(|name| store.named(name.as_bytes()).is_none());
                    (&RUN_PATH, path, gone.map(|_| "which is not in the store".to_owned()))
                }
            };
            out.expect(check, problem.is_none(), || {
                let what = if check.id == RUN_PATH.id { "looks in" } else { "is loaded by" };
                let problem = problem.unwrap_or_default();
                (tree.location(*id), format!("{what} {}, {problem}", display(path)))
            });
        }
    }

    /// A symlink in the store leads to a store path that is there: packages have links of their own
    /// that lead nowhere inside of one.
    pub(super) fn symlinks(&mut self) {
        if !self.checks.has(&SYMLINK) {
            return;
        }
        let tree = &self.store.volume.tree;
        let store = self.store;
        self.out.held(&SYMLINK, true);
        let all = store.names().flat_map(|(_, id)| std::iter::once(id).chain(tree.below(id)));
        for id in all {
            let Kind::Symlink(target) = &tree.node(id).kind else { continue };
            let target = leads_out(&store, id, target).map_or(Cow::Borrowed(&**target), Cow::Owned);
            let object = BaseName::within(&target).map(|(name, _)| name);
            let gone = object.filter(|name| store.named(name.as_bytes()).is_none());
            self.out.expect(&SYMLINK, gone.is_none(), || {
                let object = gone.map(|name| display(&name.path())).unwrap_or_default();
                (tree.location(id), format!("leads to {object}, which is not in the store"))
            });
        }
    }

    /// What starts the system, and what keeps paths alive, leads to paths that are known.
    pub(super) fn entries(&mut self, entries: &[Entry]) {
        let tree = &self.store.volume.tree;
        for entry in entries {
            self.entry(&entry.path, || (entry.at.clone(), entry.what.clone()));
        }
        if self.store.is_root() {
            return;
        }
        for id in ROOTS.iter().filter_map(|path| tree.at(path)).flat_map(|id| tree.below(id)) {
            if !matches!(tree.node(id).kind, Kind::Symlink(_)) {
                continue;
            }
            let path = match tree.follow(id) {
                Ok(found) => tree.path(found.node),
                Err(Unresolved::NotFound { path, .. }) => path,
                Err(_) => continue,
            };
            self.entry(&path, || (tree.location(id), "it".to_owned()));
        }
    }

    fn entry(&mut self, path: &[u8], from: impl FnOnce() -> (image_model::Location, String)) {
        // What does not lead into the store is somebody else's question.
        let Some((name, _)) = BaseName::within(path) else { return };
        let object = name.path();
        let known = self.find(&object);
        let problem = match known {
            None => Some("which is not in the store"),
            Some(Path { node: None, .. }) => Some("which is not in the store"),
            Some(Path { info: None, .. }) if self.is_registered => Some("which is not registered"),
            Some(_) => None,
        };
        self.out.expect(&ENTRY, problem.is_none(), || {
            let (at, what) = from();
            let problem = problem.unwrap_or_default();
            (at, format!("{what} leads to {}, {problem}", display(&object)))
        });
    }

    /// Tells what is more than is judged.
    pub(super) fn limits(&mut self, limits: &[String]) {
        let at = || self.store.volume.tree.location(self.store.root);
        let met = limits.first();
        self.out.expect(self.checks.limits, met.is_none(), || {
            (at(), format!("{}: not all of it was judged", limits.join("; ")))
        });
    }
}

/// The whole path to which a relative link leads that leaves its own store path, with as many `..` as
/// that takes. No more of the tree is looked at than these, however deep it is.
fn leads_out(store: &Store<'_>, link: NodeId, target: &[u8]) -> Option<Vec<u8>> {
    if target.starts_with(b"/") {
        return None;
    }
    let tree = &store.volume.tree;
    let (mut rest, mut folder) = (target, tree.parent(link)?);
    while let Some(behind) = rest.strip_prefix(b"../") {
        (rest, folder) = (behind, tree.parent(folder).unwrap_or(folder));
    }
    match folder {
        root if root == store.root => Some([super::find::MOUNT, b"/", rest].concat()),
        Tree::ROOT => Some([b"/", rest].concat()),
        _ => None,
    }
}

/// Why what loads programs is not there.
fn interpreter(store: &Store<'_>, path: &[u8]) -> Option<String> {
    // Programs that are never run have the hashes in them overwritten with one letter.
    BaseName::within(path)?;
    let tree = &store.volume.tree;
    let is_file = |id: &NodeId| matches!(tree.node(*id).kind, Kind::File(_));
    let found = store.resolve(path).ok();
    match found {
        Some(id) if is_file(&id) => None,
        Some(id) => Some(format!("a {}, not a file", tree.node(id).kind.as_str())),
        None => Some("which is not in the store".to_owned()),
    }
}

impl Seen {
    /// Where it was seen, and a sentence about it.
    fn told(&self, tree: &Tree, message: &str) -> (image_model::Location, String) {
        let place = match self.place {
            Place::Content(offset) => format!("at {offset:#x} of its content, {message}"),
            Place::Name => format!("in its name, {message}"),
            Place::Target => format!("in its target, {message}"),
        };
        (tree.location(self.file), place)
    }
}
