//! The parts of an image: its store paths, with names and versions.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use image_formats::nix::store_path::BaseName;
use image_model::{NarDigest, PathVerdict, StorePath, StoreReport};

/// The name of a store path in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// The package.
    pub(super) name: &'a str,
    /// Its version, where the name has one.
    pub(super) version: Option<&'a str>,
    /// Which output of its derivation it is, where the derivation is known.
    pub(super) output: Option<&'a str>,
}

impl<'a> Name<'a> {
    /// Of a store path. What made it tells where the version ends and the name of an output begins:
    /// `glibc-2.40-66-bin` is the output `bin` of `glibc-2.40-66.drv`.
    pub(super) fn of(path: &'a StorePath) -> Self {
        let full = name_of(&path.path);
        let derivation = path.deriver.as_deref().map(name_of);
        let output = derivation.and_then(|derivation| {
            let derivation = derivation.strip_suffix(".drv")?;
            match full.strip_prefix(derivation)? {
                "" => Some((derivation, "out")),
                rest => Some((derivation, rest.strip_prefix('-').filter(|name| !name.is_empty())?)),
            }
        });
        let (name, version) = parse_drv_name(output.map_or(full, |(derivation, _)| derivation));
        Self { name, version, output: output.map(|(_, output)| output) }
    }
}

/// What follows the hash in a store path; what follows the last slash in what is none.
fn name_of(path: &str) -> &str {
    let last = path.rsplit('/').next().unwrap_or(path);
    let name =
        BaseName::of_path(path.as_bytes()).and_then(|name| last.get(name.hash().len() + 1..));
    name.unwrap_or(last)
}

/// Where Nix divides name and version: at the first dash that no letter follows. Nix,
/// `src/libstore/names.cc`; its manual, `builtins.parseDrvName`. A name that begins with one stays
/// whole, as who reads the document wants a name.
pub(crate) fn parse_drv_name(full: &str) -> (&str, Option<&str>) {
    let bytes = full.as_bytes();
    let divides = |pair: &[u8]| pair[0] == b'-' && !pair[1].is_ascii_alphabetic();
    match bytes.windows(2).position(divides).and_then(|at| full.split_at_checked(at)) {
        Some((name, version)) if !name.is_empty() => (name, Some(&version[1..])),
        _ => (full, None),
    }
}

/// A part of an image.
#[derive(Debug)]
pub(super) struct Component<'a> {
    /// What the document calls it: its path, unless another one in the image has that path too.
    pub(super) reference: Cow<'a, str>,
    /// Its path.
    pub(super) path: &'a str,
    /// Its name in parts.
    pub(super) name: Name<'a>,
    /// The path as it is in the image, where it could be read.
    pub(super) nar: Option<NarDigest>,
    /// Whether that is what Nix registered.
    pub(super) verdict: PathVerdict,
    /// What made it.
    pub(super) deriver: Option<&'a str>,
    /// The file systems that have it.
    pub(super) volumes: Vec<&'a str>,
    /// The others that it refers to, in their order.
    pub(super) needs: BTreeSet<usize>,
}

impl Component<'_> {
    /// What it is, whoever has it: a package URL. Each part is percent-encoded as
    /// <https://github.com/package-url/purl-spec> has it. Nix has no type in that specification yet;
    /// name and version are where others who list Nix closures have them.
    pub(super) fn purl(&self) -> String {
        let mut purl = "pkg:nix/".to_owned();
        percent_encode(self.name.name, &mut purl);
        if let Some(version) = self.name.version {
            purl.push('@');
            percent_encode(version, &mut purl);
        }
        let output = self.name.output.filter(|output| *output != "out");
        let path = self.path.rsplit('/').next();
        let mut before = '?';
        for (key, value) in [("output", output), ("path", path)] {
            if let Some(value) = value {
                purl.push(before);
                purl += key;
                purl.push('=');
                percent_encode(value, &mut purl);
                before = '&';
            }
        }
        purl
    }
}

/// The parts of an image, sorted by path.
#[derive(Debug)]
pub(super) struct Components<'a> {
    pub(super) all: Vec<Component<'a>>,
}

impl<'a> Components<'a> {
    /// Of its stores. What is registered and not there is no part of it. A path that several of
    /// its file systems have is one part, if it is the same in all.
    pub(super) fn of(stores: &'a [StoreReport]) -> Self {
        let there = |path: &&StorePath| path.verdict != PathVerdict::Missing;
        let mut parts: BTreeMap<(&str, Option<NarDigestKey>), Component<'a>> = BTreeMap::new();
        for store in stores {
            for path in store.paths.iter().filter(there) {
                let part = parts.entry(key(path)).or_insert_with(|| Component {
                    reference: Cow::Borrowed(&path.path),
                    path: &path.path,
                    name: Name::of(path),
                    nar: path.nar,
                    verdict: path.verdict,
                    deriver: path.deriver.as_deref(),
                    volumes: Vec::new(),
                    needs: BTreeSet::new(),
                });
                if part.deriver.is_none() {
                    (part.deriver, part.name) = (path.deriver.as_deref(), Name::of(path));
                }
                // The worst that is known of it.
                part.verdict = part.verdict.max(path.verdict);
                part.volumes.push(&store.volume);
            }
        }
        let order: BTreeMap<_, _> =
            parts.keys().enumerate().map(|(index, key)| (*key, index)).collect();
        let mut all: Vec<_> = parts.into_values().collect();
        for store in stores {
            let paths = || store.paths.iter().filter(there);
            let here: BTreeMap<&str, usize> =
                paths().map(|path| (path.path.as_str(), order[&key(path)])).collect();
            for path in paths() {
                let index = order[&key(path)];
                let needs = path.references.iter().filter_map(|other| here.get(other.as_str()));
                all[index].needs.extend(needs.filter(|other| **other != index));
            }
        }
        for index in 1..all.len() {
            if all[index].path == all[index - 1].path {
                all[index].reference = format!("{}#{index}", all[index].path).into();
            }
        }
        Self { all }
    }

    /// Those that no other refers to.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Component<'a>> {
        let needed: BTreeSet<usize> =
            self.all.iter().flat_map(|part| &part.needs).copied().collect();
        let roots = self.all.iter().enumerate().filter(move |(index, _)| !needed.contains(index));
        roots.map(|(_, part)| part)
    }
}

type NarDigestKey = ([u8; 32], u64);

fn key(path: &StorePath) -> (&str, Option<NarDigestKey>) {
    (&path.path, path.nar.map(|nar| (nar.nar_hash.0, nar.nar_size)))
}

/// All but letters, digits, `.`, `-`, `_`, `~` and `:`.
fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}
