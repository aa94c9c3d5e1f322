//! Which store paths bring others with them.

use std::collections::{BTreeMap, HashSet};

use image_formats::nix::store_path::STORE_DIR;
use image_verify::store::{self, Registered, Store};

use super::{EntryId, Sizes};

/// How many steps from path to path are made for the sizes with references, all together: 5,000
/// paths of a system take some 20 million.
const MAX_STEPS: u64 = 1 << 28;

/// The store paths that others refer to, by the entries of a tree.
pub(super) type Links = BTreeMap<EntryId, Vec<EntryId>>;

/// The references that Nix registered between paths that are there; none where nothing can be read.
pub(super) fn links(store: Option<Store<'_>>, paths: &[(&[u8], EntryId)]) -> Links {
    let registered = store.map(registered).unwrap_or_default();
    let entries: BTreeMap<Vec<u8>, EntryId> =
        paths.iter().map(|(name, entry)| ([STORE_DIR, b"/", name].concat(), *entry)).collect();
    let links = entries.iter().filter_map(|(path, entry)| {
        let references = &registered.get(&**path)?.references;
        let there = references.iter().filter_map(|path| entries.get(&**path).copied());
        Some((*entry, there.collect()))
    });
    links.collect()
}

/// What the list says, or else the database.
fn registered(store: Store<'_>) -> Registered {
    let Store { volume, list, database, .. } = store;
    let list = list.and_then(|id| store::list(volume, id).ok());
    list.or_else(|| Some(store::database(volume, database?).ok()?.0)).unwrap_or_default()
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
