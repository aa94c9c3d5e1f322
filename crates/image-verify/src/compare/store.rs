//! Nix stores: which paths were added, removed and changed, and which packages these are.

use std::collections::{BTreeMap, BTreeSet};

use image_formats::{bytes::ReadError, nix::store_path::BaseName};
use image_model::{PackageChange, Sizes, StoreChange};

use super::{
    files::{self, Item, Judged, Pair},
    kinds::*,
    out::{Out, Told, VolumeNumber},
};
use crate::{
    tree::{Kind, NodeId, Tree, display},
    volume::Volume,
};

/// How many packages are listed.
const MAX_PACKAGES: usize = 1024;

/// The directory of store paths, where a file system has one: in a SquashFS it may be the root.
pub(super) fn root(volume: &Volume) -> Option<NodeId> {
    crate::store::find(volume).map(|store| store.root)
}

/// The store paths in a directory.
fn paths(tree: &Tree, root: NodeId) -> BTreeMap<BaseName<'_>, NodeId> {
    let named = |(name, id)| Some((BaseName::parse(name)?, id));
    tree.children(root).filter_map(named).collect()
}

/// Compares the stores of two file systems, whose roots these are.
pub(super) fn compare(
    pair: Pair<'_>,
    (root_a, root_b): (NodeId, NodeId),
    contents: &mut BTreeSet<(VolumeNumber, NodeId)>,
    common: &mut Vec<(NodeId, NodeId)>,
    progress: &(dyn Fn(u64) + Sync),
    out: &mut Out,
) -> Result<Option<StoreChange>, ReadError> {
    let (paths_a, paths_b) = (paths(&pair.a.tree, root_a), paths(&pair.b.tree, root_b));
    let mut sizes = Packages::default();
    let mut change = StoreChange {
        volume: pair.name.to_owned(),
        paths_a: paths_a.len() as u64,
        paths_b: paths_b.len() as u64,
        sizes: Sizes { a: Some(0), b: Some(0) },
        added: 0,
        removed: 0,
        changed: 0,
        packages: Vec::new(),
        packages_omitted: 0,
    };
    let prefix = pair.a.tree.path(root_a);
    let alone = |name: &BaseName<'_>, size: u64, in_a: bool, out: &mut Out| {
        let told = Told { volume: pair.number, place: pair.name };
        let kind = if in_a { &STORE_PATH_REMOVED } else { &STORE_PATH_ADDED };
        let mut difference = told.difference(kind, pair.name);
        difference.at.path = Some(whole(&prefix, name));
        difference.sizes = Some(if in_a {
            Sizes { a: Some(size), b: None }
        } else {
            Sizes { a: None, b: Some(size) }
        });
        out.push(pair.number, kind, difference);
    };
    let mut items = Vec::new();
    // Where the items of each path end.
    let mut ends = Vec::new();
    for (name, a) in &paths_a {
        let size = nar_size(&pair.a.tree, *a);
        sizes.add(name, size, true);
        match paths_b.get(name) {
            None => {
                change.removed += 1;
                alone(name, size, true, out);
            }
            Some(b) => {
                items.push(Item::Both(*a, *b));
                files::walk((&pair.a.tree, *a), (&pair.b.tree, *b), &|_, _| true, &mut |item| {
                    items.push(item);
                });
                ends.push((name, *a, *b, items.len()));
            }
        }
    }
    for (name, b) in &paths_b {
        let size = nar_size(&pair.b.tree, *b);
        sizes.add(name, size, false);
        if !paths_a.contains_key(name) {
            change.added += 1;
            alone(name, size, false, out);
        }
    }
    for item in &items {
        if let Item::Both(a, b) = item {
            common.push((*a, *b));
        }
    }
    let judged = files::judge(pair, items, &BTreeSet::new(), progress)?;
    let mut start = 0;
    for (name, a, b, end) in ends {
        let of_path: &[Judged<'_>] = judged.get(start..end).unwrap_or_default();
        start = end;
        let mut told = Out::default();
        let mut differs = false;
        for judged in of_path {
            differs |= files::tell(pair, judged, contents, &mut told)?;
        }
        if differs {
            change.changed += 1;
            let at = Told { volume: pair.number, place: pair.name };
            let mut difference = at.difference(&STORE_PATH_CHANGED, pair.name);
            difference.at.path = Some(whole(&prefix, name));
            let (a, b) = (nar_size(&pair.a.tree, a), nar_size(&pair.b.tree, b));
            difference.sizes = Some(Sizes { a: Some(a), b: Some(b) });
            out.push(pair.number, &STORE_PATH_CHANGED, difference);
            out.absorb(told);
        }
    }
    change.sizes = Sizes { a: Some(sizes.all_a), b: Some(sizes.all_b) };
    sizes.packages(&mut change);
    let same = change.added == 0 && change.removed == 0 && change.changed == 0;
    Ok((!same).then_some(change))
}

/// The path of a store path for people: in a SquashFS it stands where it will be mounted.
fn whole(prefix: &[u8], name: &BaseName<'_>) -> String {
    let prefix = if prefix == b"/" { b"/nix/store" } else { prefix };
    display(&[prefix, b"/", name.as_bytes()].concat())
}

/// Bytes of what is at `id`, as a NAR.
pub(super) fn nar_size(tree: &Tree, id: NodeId) -> u64 {
    /// A string: its length, and itself, filled up.
    const fn string(len: u64) -> u64 {
        8 + len.next_multiple_of(8)
    }
    let node_size = |id: NodeId| {
        let node = tree.node(id);
        // `(`, `type` and `)`.
        let around = 3 * string(1);
        around
            + match &node.kind {
                Kind::Directory(children) => {
                    // `entry`, `(`, `name`, `node` and `)` for each.
                    let entry = 5 * string(1);
                    let names = children.keys().map(|name| string(name.len() as u64) + entry);
                    string(9) + names.fold(0, u64::saturating_add)
                }
                Kind::File(_) => {
                    let executable =
                        if node.mode & 0o100 != 0 { string(10) + string(0) } else { 0 };
                    let content = string(0).saturating_add(node.size).checked_next_multiple_of(8);
                    2 * string(8) + executable + content.unwrap_or(u64::MAX)
                }
                Kind::Symlink(target) => 2 * string(7) + string(target.len() as u64),
                Kind::Special => 0,
            }
    };
    let all = std::iter::once(id).chain(tree.below(id)).map(node_size);
    all.fold(string(13), u64::saturating_add)
}

/// Sizes of packages, by their names and versions.
#[derive(Default)]
struct Packages {
    all_a: u64,
    all_b: u64,
    by_name: BTreeMap<String, Package>,
}

#[derive(Default)]
struct Package {
    a: u64,
    b: u64,
    versions_a: BTreeSet<String>,
    versions_b: BTreeSet<String>,
}

impl Packages {
    fn add(&mut self, name: &BaseName<'_>, size: u64, in_a: bool) {
        let (name, version) = package(&display(name.name()));
        let package = self.by_name.entry(name).or_default();
        let (all, of_package, versions) = if in_a {
            (&mut self.all_a, &mut package.a, &mut package.versions_a)
        } else {
            (&mut self.all_b, &mut package.b, &mut package.versions_b)
        };
        *all = all.saturating_add(size);
        *of_package = of_package.saturating_add(size);
        versions.insert(version);
    }

    /// Lists packages of which versions or sizes differ.
    fn packages(self, change: &mut StoreChange) {
        for (name, package) in self.by_name {
            let only = |these: &BTreeSet<String>, others: &BTreeSet<String>| {
                these.difference(others).cloned().collect::<Vec<_>>()
            };
            let (a, b) = (
                only(&package.versions_a, &package.versions_b),
                only(&package.versions_b, &package.versions_a),
            );
            if a.is_empty() && b.is_empty() && package.a == package.b {
                continue;
            }
            if change.packages.len() < MAX_PACKAGES {
                let side =
                    |size: u64, versions: &BTreeSet<String>| (!versions.is_empty()).then_some(size);
                let sizes = Sizes {
                    a: side(package.a, &package.versions_a),
                    b: side(package.b, &package.versions_b),
                };
                change.packages.push(PackageChange { name, a, b, sizes });
            } else {
                change.packages_omitted += 1;
            }
        }
    }
}

/// The name of a package and its version, of which the name of a store path is made, as
/// `nix store diff-closures` takes them apart: the name of an output at the end is none of both.
fn package(name: &str) -> (String, String) {
    let is_output = |end: &str| {
        matches!(end, "lib32" | "lib64")
            || !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    let name = match name.rsplit_once('-') {
        Some((start, end)) if is_output(end) => start,
        _ => name,
    };
    let dashes = name.match_indices('-').map(|(at, _)| at);
    let version = dashes
        .into_iter()
        .find(|at| name.as_bytes().get(at + 1).is_some_and(|byte| !byte.is_ascii_alphabetic()));
    match version {
        Some(at) => (name[..at].to_owned(), name[at + 1..].to_owned()),
        None => (name.to_owned(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use image_formats::{nix::nar, units::ByteOffset};

    use super::*;
    use crate::tree::Metadata;

    #[test]
    fn packages_are_named_as_nix_names_them() {
        for (path, name, version) in [
            ("hello-2.12.1", "hello", "2.12.1"),
            ("hello-2.12.1-bin", "hello", "2.12.1"),
            ("gcc-13.2.0-lib", "gcc", "13.2.0"),
            ("nixos-system-mini-24.05", "nixos-system-mini", "24.05"),
            ("unit-nix-daemon.service", "unit-nix-daemon.service", ""),
            ("etc-os-release", "etc-os", ""),
            ("glibc", "glibc", ""),
            ("a-", "a-", ""),
        ] {
            assert_eq!(package(path), (name.to_owned(), version.to_owned()), "{path}");
        }
    }

    #[test]
    fn sizes_are_those_of_the_archive() {
        let metadata = |kind, mode, size| Metadata {
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: 1,
            size,
            offset: ByteOffset(0),
        };
        let mut tree = Tree::of_volume("test".to_owned(), 0);
        tree.set_root(metadata(Kind::Directory(BTreeMap::new()), 0o555, 0));
        tree.add_child(Tree::ROOT, b"a", metadata(Kind::File(None), 0o444, 9)).unwrap();
        tree.add_child(Tree::ROOT, b"bb", metadata(Kind::File(None), 0o555, 8)).unwrap();
        let link = Kind::Symlink(b"target".to_vec().into());
        tree.add_child(Tree::ROOT, b"c", metadata(link, 0o777, 6)).unwrap();
        let inner = metadata(Kind::Directory(BTreeMap::new()), 0o555, 0);
        tree.add_child(Tree::ROOT, b"directory", inner).unwrap();
        let mut nar = nar::Writer::new(|_: &[u8]| ());
        nar.directory();
        nar.entry(b"a");
        nar.file(false, 9);
        nar.content(&[0; 9]);
        nar.end_entry();
        nar.entry(b"bb");
        nar.file(true, 8);
        nar.content(&[0; 8]);
        nar.end_entry();
        nar.entry(b"c");
        nar.symlink(b"target");
        nar.end_entry();
        nar.entry(b"directory");
        nar.directory();
        nar.end_directory();
        nar.end_entry();
        nar.end_directory();
        assert_eq!(nar_size(&tree, Tree::ROOT), nar.len());
    }
}
