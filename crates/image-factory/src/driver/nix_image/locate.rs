//! Finds the image in the output of a derivation.
//!
//! No name is taken for granted: those of nixpkgs changed with 25.05 and change with the options of
//! a host. In this order: the path that the configuration promises; what the build says of its
//! products in `nix-support/hydra-build-products`; the folders that the builders of nixpkgs put
//! images into; the output itself.

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::OsString,
    fs, io,
    io::Read as _,
    path::{Component, Path, PathBuf},
};

/// What a build says of what it made: a line `file <subtype> <path>` for each file.
const PRODUCTS: &str = "nix-support/hydra-build-products";

/// The folders below an output that images lie in; `""` is the output.
const FOLDERS: &[&str] = &["", "sd-image", "iso", "tarball"];

/// Endings of images, before the ending of what is around them.
const ENDINGS: &[&str] = &[
    "box", "img", "iso", "ova", "qcow2", "raw", "tar", "tgz", "vdi", "vhd", "vhdx", "vma", "vmdk",
];

/// Endings of what is around an image.
const COMPRESSIONS: &[&str] = &["bz2", "gz", "xz", "zst"];

/// Folders below an output are looked into up to this depth.
const MAX_DEPTH: usize = 3;

/// More files of an output are not looked at: an image lies beside a few others, if any.
const MAX_FILES: usize = 1 << 10;

/// More of the list of products is not read.
const MAX_PRODUCTS_BYTES: u64 = 64 << 10;

/// Links that are followed on the way to one file. The kernel's limit: path_resolution(7).
const MAX_LINKS: usize = 40;

/// What is in an output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The file that the output itself is, if it is one.
    pub(crate) itself: Option<PathBuf>,
    /// The files in it by their path below it, and the file of the store that each is in the end.
    pub(crate) files: BTreeMap<String, PathBuf>,
    /// The products of type `file` that exist, in their order.
    pub(crate) products: Vec<PathBuf>,
}

/// The output has no image, or more than one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoImage {
    /// Nothing in it is known to be an image.
    #[error("no file in {output} is known to be an image; there {}", found(files))]
    None {
        /// Store path of the output.
        output: String,
        /// What is there.
        files: Vec<String>,
    },
    /// Several files may be it, and taking the first would be a guess.
    #[error("several files in {output} may be the image: {}", files.join(", "))]
    Several {
        /// Store path of the output.
        output: String,
        /// Those files.
        files: Vec<String>,
    },
}

/// Longer lists of files are cut.
const MAX_SHOWN: usize = 20;

fn found(files: &[String]) -> String {
    let shown = files[..files.len().min(MAX_SHOWN)].join(", ");
    match files.len() {
        0 => "is nothing".to_owned(),
        1 => format!("is {shown}"),
        2..=MAX_SHOWN => format!("are {shown}"),
        _ => format!("are {shown}, …"),
    }
}

/// Which file of the store the image is. `promised` is the path below the output that the
/// configuration says; `named`, one that a program said: what it guessed is taken last.
pub(crate) fn choose(
    output: &str,
    listing: &Listing,
    promised: Option<&str>,
    named: Option<&Path>,
) -> Result<PathBuf, NoImage> {
    // A promise may be empty, and then it is no path below the output.
    if let Some(file) = promised.and_then(|path| listing.files.get(path)) {
        return Ok(file.clone());
    }
    // The last one: what a build appends its final image to began with the parts of it.
    if let Some(file) = listing.products.last() {
        return Ok(file.clone());
    }
    if let Some(file) = &listing.itself {
        return Ok(file.clone());
    }
    // Two names of one file are one candidate.
    let mut candidates = BTreeMap::new();
    for (path, file) in listing.files.iter().filter(|(path, _)| is_image(path)) {
        candidates.entry(file).or_insert(path);
    }
    let mut candidates = candidates.into_iter();
    match (candidates.next(), candidates.len()) {
        (Some((file, _)), 0) => Ok(file.clone()),
        (Some((_, first)), _) => {
            let mut files: Vec<_> = candidates.map(|(_, path)| path.clone()).collect();
            files.push(first.clone());
            files.sort();
            Err(NoImage::Several { output: output.to_owned(), files })
        }
        (None, _) => {
            let named = named.filter(|named| listing.files.values().any(|file| file == named));
            named.map(Path::to_owned).ok_or_else(|| NoImage::None {
                output: output.to_owned(),
                files: listing.files.keys().cloned().collect(),
            })
        }
    }
}

/// True for a path below an output that is, by its folder and its ending, that of an image.
fn is_image(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let ends = |name: &str, endings: &[&str]| {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        ending.is_some_and(|ending| endings.contains(&ending.as_str()))
    };
    let inner = match name.rsplit_once('.') {
        Some((inner, _)) if ends(name, COMPRESSIONS) => inner,
        _ => name,
    };
    FOLDERS.contains(&folder) && ends(inner, ENDINGS)
}

/// The paths of the lines `file <subtype> <path>` in the list of products. A path with spaces has
/// quotes; a subpath behind it is for web pages. Hydra, src/lib/Hydra/Helper/AddBuilds.pm.
fn product_paths(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (kind, rest) = line.trim_start().split_once(char::is_whitespace)?;
        let (_, rest) = rest.trim_start().split_once(char::is_whitespace)?;
        if kind != "file" {
            return None;
        }
        let rest = rest.trim_start();
        match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => rest.split_whitespace().next(),
        }
    })
}

/// A store, by the folder that its paths name, and the one where its files are on this machine.
/// They differ for a store below another root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Store {
    logical: PathBuf,
    physical: PathBuf,
}

/// What a path of the store leads to.
#[derive(Debug)]
struct Found {
    /// The path without links.
    path: PathBuf,
    metadata: fs::Metadata,
}

/// An output cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct Unreadable {
    path: PathBuf,
    #[source]
    cause: io::Error,
}

impl Store {
    /// The store of a path whose files are at `physical`.
    pub(crate) fn of(store_path: &str, physical: &Path) -> Self {
        let folder = |path: &Path| path.parent().unwrap_or(Path::new("/")).to_owned();
        Self { logical: folder(Path::new(store_path)), physical: folder(physical) }
    }

    /// Where the files of a path of the store are.
    pub(crate) fn physical(&self, path: &Path) -> PathBuf {
        self.physical.join(path.strip_prefix(&self.logical).unwrap_or(path))
    }

    /// What `path` leads to, through links; `None` if it is not there, or not in the store. Links
    /// are followed here, since the kernel would look for `/nix/store` where it is not.
    fn find(&self, path: &Path) -> Result<Option<Found>, Unreadable> {
        let Ok(below) = path.strip_prefix(&self.logical) else { return Ok(None) };
        let mut ahead: VecDeque<OsString> = below.iter().map(OsString::from).collect();
        let mut at = PathBuf::new();
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            match Path::new(&name).components().next() {
                None | Some(Component::CurDir) => continue,
                Some(Component::ParentDir) if at.pop() => continue,
                Some(Component::Normal(name)) => at.push(name),
                Some(_) => return Ok(None),
            }
            let physical = self.physical.join(&at);
            let unreadable = |cause| Unreadable { path: physical.clone(), cause };
            let here = match fs::symlink_metadata(&physical) {
                Err(error) if is_absence(&error) => return Ok(None),
                here => here.map_err(unreadable)?,
            };
            if here.is_symlink() {
                links += 1;
                if links > MAX_LINKS {
                    return Ok(None);
                }
                let target = fs::read_link(&physical).map_err(unreadable)?;
                at.pop();
                let target = match target.strip_prefix(&self.logical) {
                    Ok(below) => {
                        at.clear();
                        below
                    }
                    Err(_) if target.is_absolute() => return Ok(None),
                    Err(_) => &target,
                };
                for name in target.iter().rev() {
                    ahead.push_front(name.to_owned());
                }
            }
        }
        let physical = self.physical.join(&at);
        let metadata = fs::symlink_metadata(&physical)
            .map_err(|cause| Unreadable { path: physical, cause })?;
        Ok(Some(Found { path: self.logical.join(at), metadata }))
    }

    fn find_file(&self, path: &Path) -> Result<Option<PathBuf>, Unreadable> {
        Ok(self.find(path)?.filter(|found| found.metadata.is_file()).map(|found| found.path))
    }

    /// What is in an output.
    pub(crate) fn list(&self, output: &str) -> Result<Listing, Unreadable> {
        let root = Path::new(output);
        let mut listing = Listing { itself: self.find_file(root)?, ..Listing::default() };
        if listing.itself.is_some() {
            return Ok(listing);
        }
        let mut folders = VecDeque::from([(PathBuf::new(), 0)]);
        while let Some((folder, depth)) = folders.pop_front() {
            let Some(found) = self.find(&root.join(&folder))? else { continue };
            let physical = self.physical(&found.path);
            let unreadable = |cause| Unreadable { path: physical.clone(), cause };
            for entry in fs::read_dir(&physical).map_err(unreadable)? {
                let path = folder.join(entry.map_err(unreadable)?.file_name());
                let Some(found) = self.find(&root.join(&path))? else { continue };
                if found.metadata.is_dir() && depth < MAX_DEPTH && folders.len() < MAX_FILES {
                    folders.push_back((path, depth + 1));
                } else if found.metadata.is_file() && listing.files.len() < MAX_FILES {
                    listing.files.insert(path.to_string_lossy().into_owned(), found.path);
                }
            }
        }
        if let Some(list) = self.find_file(&root.join(PRODUCTS))? {
            let path = self.physical(&list);
            let mut text = Vec::new();
            fs::File::open(&path)
                .and_then(|file| file.take(MAX_PRODUCTS_BYTES).read_to_end(&mut text))
                .map_err(|cause| Unreadable { path, cause })?;
            for product in product_paths(&String::from_utf8_lossy(&text)) {
                listing.products.extend(self.find_file(Path::new(product))?);
            }
        }
        listing.files.retain(|path, _| !path.starts_with("nix-support/"));
        Ok(listing)
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
#[path = "locate/tests.rs"]
mod tests;
