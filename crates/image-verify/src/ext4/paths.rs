//! Paths of the inodes that something was found in. They are looked for at the end, and only where
//! there is a finding: nobody keeps names for the sake of a report.

use std::collections::{BTreeMap, BTreeSet};

use image_formats::{
    bytes::ReadError,
    ext4::{DirectoryBlock, Ino, Inode},
};

use super::{Judge, directories::Directory, fs::blocks, volume::inline_data};
use crate::tree::display;

/// How many directories of a path are looked for, from its end.
const MAX_DEPTH: usize = 64;

/// How long a path in a finding is; what is longer begins with an ellipsis.
const MAX_PATH: usize = 1 << 10;

/// How an inode is named as long as its path is not known, with what is below it: as debugfs does.
pub(super) fn placeholder(ino: Ino, name: Option<&[u8]>) -> String {
    match name {
        None => format!("<{}>", ino.0),
        Some(name) => format!("<{}>/{}", ino.0, display(name)),
    }
}

/// The inode of a placeholder, and what is below it.
fn split(path: &str) -> Option<(Ino, &str)> {
    let (ino, below) = path.strip_prefix('<')?.split_once('>')?;
    Some((Ino(ino.parse().ok()?), below))
}

/// The names that were found: the directory, and the name in it.
type Found = BTreeMap<Ino, (Ino, Vec<u8>)>;

impl Judge<'_, '_> {
    /// Puts paths in place of inodes, in all findings from `first` on.
    pub(super) fn paths(&mut self, first: usize) -> Result<(), ReadError> {
        let findings = self.out.findings_from(first).iter();
        let inodes = findings.filter_map(|finding| split(finding.at.path.as_deref()?));
        let mut wanted: BTreeSet<Ino> = inodes.map(|(ino, _)| ino).collect();
        let mut found = Found::new();
        // Files first: their names tell the directories that are to be named.
        let files = |ino: &Ino| *ino != Ino::ROOT && self.directory_at(*ino).is_none();
        let files: BTreeSet<Ino> = wanted.iter().copied().filter(files).collect();
        self.look(&files, &mut found)?;
        wanted.extend(found.values().map(|(directory, _)| *directory));
        let mut directories = BTreeSet::new();
        for mut ino in wanted {
            for _ in 0..MAX_DEPTH {
                let Some(at) = self.directory_at(ino).filter(|_| ino != Ino::ROOT) else { break };
                directories.insert(ino);
                ino = self.directories[at].parent;
            }
        }
        self.look(&directories, &mut found)?;
        for finding in self.out.findings_from(first) {
            let Some(path) = &mut finding.at.path else { continue };
            if let Some((ino, below)) = split(path) {
                *path = cut(assemble(ino, below, &found));
            }
        }
        Ok(())
    }

    /// Looks for names of these inodes in all directories.
    fn look(&self, wanted: &BTreeSet<Ino>, found: &mut Found) -> Result<(), ReadError> {
        let Some(lowest) = wanted.first() else { return Ok(()) };
        let block_size = self.geometry.block_size;
        let mut bytes = vec![0; block_size as usize];
        let mut left = wanted.len();
        let mut part = |directory: &Directory, bytes: &[u8]| {
            for entry in DirectoryBlock::new(bytes, block_size).entries() {
                let ino = Ino(entry.inode);
                if ino < *lowest || !wanted.contains(&ino) || matches!(entry.name, b"." | b"..") {
                    continue;
                }
                let here = match self.directory_at(ino) {
                    Some(at) => self.directories[at].parent == directory.ino,
                    None => true,
                };
                if here && !found.contains_key(&ino) {
                    found.insert(ino, (directory.ino, entry.name.to_vec()));
                    left -= 1;
                }
            }
            left > 0
        };
        for directory in &self.directories {
            if directory.has(Inode::INLINE_DATA) {
                let inode = self.fs().inode(directory.ino)?;
                let inode = Inode::new(&inode);
                part(directory, &inode.block_area()[4..]);
                if !part(directory, inline_data(&inode).unwrap_or_default()) {
                    return Ok(());
                }
                continue;
            }
            for (_, block) in blocks(&self.directory_runs(directory)?) {
                self.read("ext4 directory block", block, &mut bytes)?;
                if !part(directory, &bytes) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The path of an inode, with what is below it.
fn assemble(start: Ino, below: &str, found: &Found) -> String {
    let mut path = below.to_owned();
    let mut ino = start;
    for _ in 0..=MAX_DEPTH {
        if ino == Ino::ROOT {
            return if path.is_empty() { "/".to_owned() } else { path };
        }
        let Some((directory, name)) = found.get(&ino) else { break };
        path = format!("/{}{path}", display(name));
        ino = *directory;
    }
    placeholder(ino, None) + &path
}

fn cut(path: String) -> String {
    if path.len() <= MAX_PATH {
        return path;
    }
    let start = path.len() - MAX_PATH;
    let start = (start..path.len()).find(|at| path.is_char_boundary(*at)).unwrap_or(path.len());
    format!("…{}", &path[start..])
}
