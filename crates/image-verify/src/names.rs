//! Paths of members: the one place that takes them apart, and the record of what each became.
//!
//! Paths are bytes and stay bytes. A path is *plain* after `./`, repeated and trailing slashes and
//! a leading slash are gone, as every reader of tar does it; the root of the image is the empty
//! path.

use std::collections::HashMap;

/// The longest name Linux takes, in bytes: `NAME_MAX`.
pub(crate) const NAME_MAX: usize = 255;
/// The longest path Linux takes, with its NUL, in bytes: `PATH_MAX`.
pub(crate) const PATH_MAX: usize = 4096;
/// The most names in a path. Each member is looked up below all of its parents, so this bounds
/// what one of them costs.
pub(crate) const DEPTH_MAX: usize = 256;

/// The components of a path, without empty ones and `.`.
pub(crate) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// The plain form of a path.
pub(crate) fn plain(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    for name in components(path) {
        if !plain.is_empty() {
            plain.push(b'/');
        }
        plain.extend(name);
    }
    plain
}

/// A path for people: absolute, what is not printable escaped, and the middle of a very long one
/// left out.
pub(crate) fn show(path: &[u8]) -> String {
    const MAX: usize = 512;
    let mut path = path;
    while let Some(rest) = path.strip_prefix(b"./") {
        path = rest;
    }
    let mut text = String::from(if path.starts_with(b"/") { "" } else { "/" });
    let (head, tail) = match path.len() {
        0..=MAX => (path, None),
        len => (&path[..MAX / 2], Some(&path[len - MAX / 4..])),
    };
    escape(head, &mut text);
    if let Some(tail) = tail {
        text.push_str(" … ");
        escape(tail, &mut text);
    }
    text
}

fn escape(bytes: &[u8], text: &mut String) {
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\\' => text.push_str("\\\\"),
                char if char.is_control() => text.extend(char.escape_default()),
                char => text.push(char),
            }
        }
        text.push_str(&chunk.invalid().escape_ascii().to_string());
    }
}

/// What a path became as the members went by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Became {
    /// A directory, by a member of its own.
    Directory,
    /// A directory that only the paths of other members imply.
    Implied,
    /// A symbolic link.
    Symlink,
    /// A file or node.
    File,
}

/// The latest member of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) became: Became,
    /// Offset of the member's header.
    pub(crate) offset: u64,
    /// True if a later member lies below.
    pub(crate) has_children: bool,
}

/// What all paths became so far.
#[derive(Debug, Default)]
pub(crate) struct Names {
    nodes: HashMap<Box<[u8]>, Node>,
    /// Length of all paths in bytes.
    pub(crate) bytes: u64,
}

impl Names {
    pub(crate) fn get(&self, path: &[u8]) -> Option<Node> {
        self.nodes.get(path).copied()
    }

    /// Records that a member made `path`, and returns what was there before.
    pub(crate) fn insert(&mut self, path: &[u8], became: Became, offset: u64) -> Option<Node> {
        if let Some(node) = self.nodes.get_mut(path) {
            let before = *node;
            let has_children = before.has_children && became == Became::Directory;
            *node = Node { became, offset, has_children };
            return Some(before);
        }
        self.bytes += path.len() as u64;
        self.nodes.insert(path.into(), Node { became, offset, has_children: false });
        None
    }

    /// Marks `path` as having something below it.
    pub(crate) fn mark_parent(&mut self, path: &[u8]) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.has_children = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_plain_form() {
        for path in ["etc/passwd", "./etc/passwd", "/etc//passwd", "././etc/./passwd/"] {
            assert_eq!(plain(path.as_bytes()), b"etc/passwd");
        }
        assert_eq!(plain(b"./"), b"");
        assert_eq!(plain(b"a/../b"), b"a/../b");
    }

    #[test]
    fn paths_are_shown_whole_and_harmless() {
        assert_eq!(show(b"./etc/a b"), "/etc/a b");
        assert_eq!(show("usr/ü".as_bytes()), "/usr/ü");
        assert_eq!(show(b"a\xff\x1b[31m\n"), "/a\\xff\\u{1b}[31m\\n");
        assert!(show(&[b'a'; 1 << 16]).len() < 600);
    }
}
