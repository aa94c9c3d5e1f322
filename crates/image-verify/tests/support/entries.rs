//! The files of a file system that is described in memory.

use std::collections::BTreeMap;

use crate::registration::{Node, fill};

/// A file.
#[derive(Clone)]
pub(crate) enum Entry {
    Directory,
    /// One of a store path.
    StoreDirectory,
    File(u32, Vec<u8>),
    Link(String),
}

/// Gives files the modes of a store, where they are `in_store`, and the list of it its hashes.
pub(crate) fn finish(entries: &mut BTreeMap<String, Entry>, in_store: impl Fn(&str) -> bool) {
    let mut list = match entries.get_mut("/nix-path-registration") {
        Some(Entry::File(_, list)) => std::mem::take(list),
        _ => Vec::new(),
    };
    let files = entries.iter().map(|(path, entry)| {
        let node = match entry {
            Entry::Directory | Entry::StoreDirectory => Node::Directory,
            Entry::File(mode, content) => Node::File { executable: mode & 0o100 != 0, content },
            Entry::Link(target) => Node::Link(target),
        };
        (path.clone(), node)
    });
    let files: BTreeMap<String, Node<'_>> = files.collect();
    let store = if files.contains_key("/nix/store") { "/nix/store" } else { "" };
    list = fill(&String::from_utf8_lossy(&list), store, &files).into_bytes();
    if let Some(Entry::File(_, old)) = entries.get_mut("/nix-path-registration") {
        *old = list;
    }
    for (_, entry) in entries.iter_mut().filter(|(path, _)| in_store(path)) {
        if matches!(entry, Entry::Directory) {
            *entry = Entry::StoreDirectory;
        }
    }
}
