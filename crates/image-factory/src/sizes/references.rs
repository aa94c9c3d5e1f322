//! Which store paths bring others with them.

use std::collections::{BTreeMap, HashSet};

use image_formats::nix::{registration, store_path::BaseName};
use image_verify::{
    tree::{Kind, Tree},
    volume::Volume,
};

use super::{EntryId, Sizes};

/// The longest list that is read: one path takes some 300 bytes, and as much for four references.
const MAX_LIST: u64 = 64 << 20;

/// How many steps from path to path are made for the sizes with references, all together: 5,000
/// paths of a system take some 20 million.
const MAX_STEPS: u64 = 1 << 28;

/// Names of store paths, each with those it refers to.
pub(super) type Registered = BTreeMap<Box<[u8]>, Vec<Box<[u8]>>>;

/// The same by the entries of a tree.
pub(super) type Links = BTreeMap<EntryId, Vec<EntryId>>;

/// True for the name of a store path.
pub(super) fn is_store_path(name: &[u8]) -> bool {
    BaseName::parse(name).is_some()
}

/// What Nix registered of references; nothing where nothing can be read.
pub(super) fn registered(volume: &Volume) -> Registered {
    let tree = &volume.tree;
    let list = tree.children(Tree::ROOT).find(|(name, _)| *name == b"nix-path-registration");
    let is_file = |id| matches!(tree.node(id).kind, Kind::File(_));
    let list = list.map(|(_, id)| id).filter(|id| is_file(*id));
    let Some(bytes) = list.and_then(|id| volume.content(id, MAX_LIST).ok()) else {
        return Registered::new();
    };
    let name = |path: &[u8]| BaseName::of_path(path).map(|name| Box::from(name.as_bytes()));
    let known = registration::read(&bytes).map_while(Result::ok).filter_map(|info| {
        let references = info.references.iter().filter_map(|path| name(path));
        Some((name(&info.path)?, references.collect()))
    });
    known.collect()
}

/// The references between paths that are there.
pub(super) fn links(registered: &Registered, paths: &[(&[u8], EntryId)]) -> Links {
    let entries: BTreeMap<&[u8], EntryId> = paths.iter().copied().collect();
    let links = paths.iter().filter_map(|(name, entry)| {
        let references = registered.get(*name)?;
        let there = references.iter().filter_map(|name| entries.get(&**name).copied());
        Some((*entry, there.collect()))
    });
    links.collect()
}

impl Sizes {
    /// Counts what each store path brings with it. Of a graph that is too large to be followed, the
    /// last ones are not told.
    pub(super) fn count_references(&mut self) {
        let mut steps = 0_u64;
        for links in std::mem::take(&mut self.links) {
            for start in links.keys() {
                let mut seen = HashSet::from([*start]);
                let mut todo = vec![*start];
                let mut bytes = 0_u64;
                while let Some(entry) = todo.pop() {
                    bytes = bytes.saturating_add(self.entry(entry).bytes);
                    for other in links.get(&entry).into_iter().flatten() {
                        steps += 1;
                        if seen.insert(*other) {
                            todo.push(*other);
                        }
                    }
                    if steps > MAX_STEPS {
                        return;
                    }
                }
                self.entry_mut(*start).with_references = Some(bytes);
            }
        }
    }
}
