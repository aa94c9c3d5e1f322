//! Where the store of an image is, and what is in it.

use image_formats::nix::store_path::{BaseName, STORE_DIR};

use crate::{
    tree::{Kind, NodeId, Tree, Unresolved},
    volume::{Family, Volume},
};

/// The list of what is in a store: beside `/nix`, or beside the paths in a file system that is
/// mounted at `/nix/store`.
const LIST: &[u8] = b"nix-path-registration";

/// The database.
const DATABASE: &[u8] = b"/nix/var/nix/db/db.sqlite";

/// Where it is mounted.
pub(super) const MOUNT: &[u8] = STORE_DIR;

/// How often a path may lead out of the store and into it again.
const MAX_TURNS: usize = 40;

/// A Nix store in a file system.
#[derive(Clone, Copy, Debug)]
pub struct Store<'a> {
    /// The file system.
    pub volume: &'a Volume,
    /// The folder with the store paths.
    pub root: NodeId,
    /// The list of what Nix registered.
    pub list: Option<NodeId>,
    /// The database of Nix.
    pub database: Option<NodeId>,
}

/// Finds the store of a file system, if it has one: `/nix/store`; or, in a SquashFS, its root. An
/// empty folder of which nobody registered anything is where another file system is mounted.
pub fn find(volume: &Volume) -> Option<Store<'_>> {
    let tree = &volume.tree;
    let is_directory = |id: &NodeId| matches!(tree.node(*id).kind, Kind::Directory(_));
    if volume.family == Family::Fat {
        return None;
    }
    if let Some(root) = tree.at(STORE_DIR).filter(is_directory) {
        let list = volume.find_file(&[b"/", LIST].concat());
        let database = volume.find_file(DATABASE);
        let is_used = list.or(database).is_some() || tree.children(root).next().is_some();
        return is_used.then_some(Store { volume, root, list, database });
    }
    let is_inside = |(name, _): (&[u8], NodeId)| name == LIST || BaseName::parse(name).is_some();
    if volume.family == Family::Squashfs && tree.children(Tree::ROOT).any(is_inside) {
        let list = volume.find_file(&[b"/", LIST].concat());
        return Some(Store { volume, root: Tree::ROOT, list, database: None });
    }
    None
}

/// True for what Nix locks a store path with while it is made: an empty file. What has only such a
/// name, `…-flake.lock`, is a store path as others are.
fn is_lock(tree: &Tree, name: &[u8], id: NodeId) -> bool {
    let node = tree.node(id);
    let of_path = name.strip_suffix(b".lock").is_some_and(|path| BaseName::parse(path).is_some());
    of_path && node.size == 0 && matches!(node.kind, Kind::File(_))
}

impl<'a> Store<'a> {
    /// True where the file system itself is mounted at `/nix/store`.
    pub fn is_root(&self) -> bool {
        self.root == Tree::ROOT
    }

    /// What is in the store, by its name: store paths, and what should be one. Hard links of the
    /// optimizer are no store paths, and locks stay behind.
    pub fn names(&self) -> impl Iterator<Item = (&'a [u8], NodeId)> {
        let (tree, is_list) = (&self.volume.tree, self.is_root());
        tree.children(self.root).filter(move |(name, id)| {
            *name != b".links" && !is_lock(tree, name, *id) && !(is_list && *name == LIST)
        })
    }

    /// What has this name in the store.
    pub fn named(&self, name: &[u8]) -> Option<NodeId> {
        let children = match &self.volume.tree.node(self.root).kind {
            Kind::Directory(children) => Some(children),
            _ => None,
        };
        children?.get(name).copied()
    }

    /// The whole path of a file, as the running system sees it.
    pub fn path(&self, id: NodeId) -> Vec<u8> {
        let inner = self.volume.tree.path(id);
        if self.is_root() { [STORE_DIR, &inner].concat() } else { inner }
    }

    /// What a path of the running system leads to, with all symlinks followed; the path that is
    /// missing, where it leads to nothing or out of what is known of that system.
    pub fn resolve(&self, path: &[u8]) -> Result<NodeId, Vec<u8>> {
        let tree = &self.volume.tree;
        let mut path = path.to_vec();
        for _ in 0..MAX_TURNS {
            let inner = match path.strip_prefix(STORE_DIR) {
                Some(inner) if self.is_root() => inner,
                None if self.is_root() => return Err(path),
                _ => &path[..],
            };
            let missing = match tree.resolve(inner) {
                Ok(found) => return Ok(found.node),
                Err(Unresolved::NotFound { path: missing, chain }) if self.is_root() => {
                    // The target of a symlink starts at the root of the running system.
                    let is_led = !chain.is_empty() && missing.starts_with(STORE_DIR);
                    if !is_led {
                        return Err([STORE_DIR, &missing].concat());
                    }
                    missing
                }
                Err(Unresolved::NotFound { path, .. }) => return Err(path),
                Err(Unresolved::NotADirectory(_) | Unresolved::Loop(_)) => return Err(path),
            };
            if missing == path {
                break;
            }
            path = missing;
        }
        Err(path)
    }
}
