//! What Nix would register of the store paths of an image that is described in memory: the archive
//! of a path is written by another walk than that of the checker.

use std::collections::BTreeMap;

use image_formats::nix::{base32, nar};
use sha2::{Digest as _, Sha256};

/// A file of an image.
pub(crate) enum Node<'a> {
    Directory,
    File { executable: bool, content: &'a [u8] },
    Link(&'a str),
}

/// The hash of a path as a NAR in Nix's base32, and its length.
pub(crate) fn digest(path: &str, files: &BTreeMap<String, Node<'_>>) -> Option<(String, u64)> {
    files.get(path)?;
    let mut hash = Sha256::new();
    let mut archive = nar::Writer::new(|bytes: &[u8]| hash.update(bytes));
    write(path, files, &mut archive);
    let len = archive.len();
    Some((base32::encode(&hash.finalize().into()), len))
}

fn write<S: FnMut(&[u8])>(
    path: &str,
    files: &BTreeMap<String, Node<'_>>,
    archive: &mut nar::Writer<S>,
) {
    match &files[path] {
        Node::Link(target) => archive.symlink(target.as_bytes()),
        Node::File { executable, content } => {
            archive.file(*executable, content.len() as u64);
            archive.content(content);
        }
        Node::Directory => {
            archive.directory();
            let below = files.keys().filter_map(|other| {
                other.strip_prefix(path)?.strip_prefix('/').filter(|name| !name.contains('/'))
            });
            let mut names: Vec<&str> = below.collect();
            names.sort_unstable();
            for name in names {
                archive.entry(name.as_bytes());
                write(&format!("{path}/{name}"), files, archive);
                archive.end_entry();
            }
            archive.end_directory();
        }
    }
}

/// Stands for the hash of a path, and for the size behind it, until all files are there.
pub(crate) const HASH: &str = "sha256:0abc";
const SIZE: &str = "4096";

/// Puts hashes and sizes into a list that has none yet. `store` is where the store lies.
pub(crate) fn fill(list: &str, store: &str, files: &BTreeMap<String, Node<'_>>) -> String {
    let mut filled = String::with_capacity(list.len());
    let (mut path, mut size) = ("", None);
    for line in list.lines() {
        let told = size.take().filter(|_| line == SIZE);
        if line == HASH {
            let inner = path.strip_prefix("/nix/store").unwrap_or(path);
            let found = digest(&format!("{store}{inner}"), files);
            let (hash, len) = found.unwrap_or_else(|| ("0".repeat(52), 0));
            filled += &format!("sha256:{hash}\n");
            size = Some(len);
        } else if let Some(len) = told {
            filled += &format!("{len}\n");
        } else {
            filled += &format!("{line}\n");
        }
        path = line;
    }
    filled
}
