//! Which store paths bring others with them.

use std::collections::BTreeMap;

use image_formats::nix::store_path::STORE_DIR;
use image_verify::store::{self, Registered, Store};

use super::{EntryId, Sizes};

/// How many steps from path to path are made for the sizes with references, all together: 5,000
/// paths of a system take some 20 million, and these a second or two.
const MAX_STEPS: u64 = 1 << 30;

/// The store paths of a file system, and which of them each refers to.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    paths: Vec<Path>,
}

#[derive(Clone, Debug)]
struct Path {
    entry: EntryId,
    /// Places in the list of paths; `None` where Nix registered nothing.
    references: Option<Vec<usize>>,
}

/// The references that Nix registered between paths that are there; none where nothing can be read.
pub(super) fn links(store: Option<Store<'_>>, paths: &[(&[u8], EntryId)]) -> Links {
    let registered = store.map(registered).unwrap_or_default();
    let path = |name: &[u8]| [STORE_DIR, b"/", name].concat();
    let places: BTreeMap<Vec<u8>, usize> =
        paths.iter().enumerate().map(|(place, (name, _))| (path(name), place)).collect();
    let linked = paths.iter().map(|(name, entry)| {
        let references = registered.get(&*path(name)).map(|info| {
            info.references.iter().filter_map(|path| places.get(&**path).copied()).collect()
        });
        Path { entry: *entry, references }
    });
    Links { paths: linked.collect() }
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
        for Links { paths } in std::mem::take(&mut self.links) {
            // For each path, the last one that brings it.
            let mut brought = vec![usize::MAX; paths.len()];
            for (start, path) in paths.iter().enumerate() {
                if path.references.is_none() {
                    continue;
                }
                brought[start] = start;
                let mut todo = vec![start];
                let mut bytes = 0_u64;
                while let Some(place) = todo.pop() {
                    bytes = bytes.saturating_add(self.entry(paths[place].entry).bytes);
                    for other in paths[place].references.iter().flatten() {
                        steps += 1;
                        if brought[*other] != start {
                            brought[*other] = start;
                            todo.push(*other);
                        }
                    }
                    if steps > MAX_STEPS {
                        return;
                    }
                }
                self.entry_mut(path.entry).with_references = Some(bytes);
            }
        }
    }
}
