//! Directories from the root: e2fsck's passes 2 and 3. They make the tree.

use image_formats::{
    bytes::ReadError,
    ext4::{Block, DirectoryBlock, DirectoryEntry, Ino, Run, incompat, raw, ro_compat},
};
use image_model::Location;

use super::{
    Judge, Place,
    checks::*,
    inodes::{Body, Content, Directory},
};
use crate::tree::{NodeId, Tree, display};

/// A directory that is judged now.
pub(super) struct Here {
    pub(super) ino: Ino,
    parent: Ino,
    node: NodeId,
    encrypted: bool,
    /// The entry that comes next: the first two are `.` and `..`.
    position: u64,
}

impl Judge<'_, '_> {
    /// Walks from the root through all directories. `None` where there is no root, or more than the
    /// tree holds.
    pub(super) fn directories(&mut self) -> Result<Option<Tree>, ReadError> {
        let structure = format!("{}, ext4 inode", self.name);
        let mut tree = Tree::of_volume(structure, u64::from(self.geometry.inode_size));
        let root = self.entry(Ino::ROOT);
        let is_directory = |index: &usize| matches!(self.inodes[*index].body, Body::Directory(_));
        // A root that is broken has been told of.
        let broken = |index: usize| {
            matches!(self.inodes[index].body, Body::Broken) && self.inodes[index].links > 0
        };
        let held = root.as_ref().is_some_and(is_directory);
        if root.is_some_and(broken) {
            return Ok(None);
        }
        if !self.expect(&ROOT, held, |judge| {
            (judge.at_inode(Ino::ROOT), "inode 2 is no directory in use".to_owned())
        }) {
            return Ok(None);
        }
        let Some(root) = root else { return Ok(None) };
        let at = self.region.absolute(self.inode_offset(Ino::ROOT)).0;
        tree.set_root(self.inodes[root].metadata(at));
        self.inodes[root].node = Some(Tree::ROOT);
        let mut waiting = vec![(root, Ino::ROOT)];
        // Bounded: a directory comes here when it gets its node, which happens once.
        while let Some((index, parent)) = waiting.pop() {
            let entry = &mut self.inodes[index];
            let (ino, Some(node)) = (entry.ino, entry.node) else { continue };
            let body = std::mem::replace(&mut entry.body, Body::Broken);
            if let Body::Directory(directory) = &body {
                let encrypted = directory.encrypted;
                let mut here = Here { ino, parent, node, encrypted, position: 0 };
                self.directory(directory, &mut here, &mut tree, &mut waiting)?;
            }
            self.inodes[index].body = body;
            if !tree.is_complete() {
                self.expect(&LIMIT, false, |judge| {
                    (judge.at_inode(ino), "more names than can be judged".to_owned())
                });
                return Ok(None);
            }
        }
        Ok(Some(tree))
    }

    fn directory(
        &mut self,
        directory: &Directory,
        here: &mut Here,
        tree: &mut Tree,
        waiting: &mut Vec<(usize, Ino)>,
    ) -> Result<(), ReadError> {
        let has_types = self.superblock.incompat(incompat::FILETYPE);
        let block_size = self.geometry.block_size;
        let runs = match &directory.content {
            Content::Blocks(runs) => runs,
            Content::Inline(area, rest) => {
                let (parent, entries) = area.split_at(4);
                let at = Place::Inode(here.ino);
                let found = parent.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
                let start = |judge: &Self| judge.at(at);
                self.dots(&start, here, b".", here.ino.0);
                self.dots(&start, here, b"..", found);
                for bytes in [entries, rest] {
                    let part = DirectoryBlock::new(bytes, block_size, has_types);
                    let place = |judge: &Self, _: &DirectoryEntry<'_>| judge.at(at);
                    self.entries(part, bytes.len(), here, tree, waiting, &place);
                }
                return Ok(());
            }
        };
        let mut next = 0;
        let holes = runs.iter().any(|run| {
            let hole = run.logical != next;
            next = run.logical + u64::from(run.len);
            hole
        });
        self.expect(&DIRECTORY_BLOCKS, !holes && !runs.is_empty(), |judge| {
            let what = if runs.is_empty() { "no block" } else { "a hole" };
            (judge.at_inode(here.ino), format!("the directory has {what}"))
        });
        let nodes = if directory.has_index && !holes {
            self.index(here.ino, directory, runs, next)?
        } else {
            Vec::new()
        };
        let sums = self.superblock.ro_compat(ro_compat::METADATA_CSUM);
        let mut bytes = vec![0; block_size as usize];
        let mut whole = !runs.is_empty();
        for (logical, block) in blocks(runs) {
            self.read("ext4 directory block", block, &mut bytes)?;
            let start = Place::Block("directory block", here.ino, block);
            let all = DirectoryBlock::new(&bytes, block_size, has_types);
            // Nodes of the index look like a block without entries, but for the root.
            let is_node = nodes.binary_search(&logical).is_ok();
            let mut part = &bytes[..];
            if sums && !is_node {
                let tail = all.tail();
                let stored = tail.map_or(0, |tail| tail.det_checksum.get());
                let is_tail = tail.is_some_and(|tail| {
                    (tail.det_reserved_zero1.get(), tail.det_rec_len.get()) == (0, 12)
                        && (tail.det_reserved_zero2, tail.det_reserved_ft) == (0, 0xde)
                });
                let computed = all.checksum(directory.seed);
                if !self.expect(&DIRECTORY_CHECKSUM, is_tail && stored == computed, |judge| {
                    let message = match is_tail {
                        true => format!("stored {stored:#010x}, computed {computed:#010x}"),
                        false => "the block has no checksum".to_owned(),
                    };
                    (judge.at(start), message)
                }) {
                    whole = false;
                    continue;
                }
                part = &bytes[..bytes.len() - raw::DirectoryTail::SIZE];
            }
            let place = |judge: &Self, entry: &DirectoryEntry<'_>| {
                let start = judge.at(start);
                let offset = start.offset + entry.at as u64;
                Location { offset, len: entry.rec_len as u64, ..start }
            };
            let len = part.len();
            let part = DirectoryBlock::new(part, block_size, has_types);
            whole &= self.entries(part, len, here, tree, waiting, &place);
        }
        let position = here.position;
        if whole {
            self.expect(&DIRECTORY_DOTS, position >= 2, |judge| {
                (judge.at_inode(here.ino), format!("{position} entries, and `.` and `..` are due"))
            });
        }
        Ok(())
    }

    /// Judges the entries in one place. False where they end too early.
    fn entries(
        &mut self,
        block: DirectoryBlock<'_>,
        len: usize,
        here: &mut Here,
        tree: &mut Tree,
        waiting: &mut Vec<(usize, Ino)>,
        place: &dyn Fn(&Self, &DirectoryEntry<'_>) -> Location,
    ) -> bool {
        let mut end = 0;
        for entry in block.entries() {
            let DirectoryEntry { rec_len, name_len, at, .. } = entry;
            end = at + rec_len;
            let fits = rec_len >= 12
                && rec_len.is_multiple_of(4)
                && name_len + 8 <= rec_len
                && end <= len
                // What is left has room for another one.
                && (end == len || len - end >= 8);
            if !self.expect(&DIRECTORY_ENTRY, fits, |judge| {
                let message =
                    format!("rec_len {rec_len}, name_len {name_len}, at {at} of {len} bytes");
                (place(judge, &entry), message)
            }) {
                return false;
            }
            if here.position < 2 {
                let name: &[u8] = if here.position == 0 { b"." } else { b".." };
                let at = |judge: &Self| place(judge, &entry);
                let found = if entry.name == name { entry.inode } else { 0 };
                self.dots(&at, here, name, found);
            } else if entry.inode != 0 {
                self.name(&entry, here, tree, waiting, place);
            }
        }
        self.expect(&DIRECTORY_ENTRY, end == len, |judge| {
            let at = judge.at_inode(here.ino);
            (at, format!("the entries of a block end at {end} of {len} bytes"))
        })
    }

    /// `.` and `..`, wherever they are written.
    fn dots(&mut self, at: &dyn Fn(&Self) -> Location, here: &mut Here, name: &[u8], found: u32) {
        let expected = if here.position == 0 { here.ino } else { here.parent };
        here.position += 1;
        if let Some(index) = self.entry(Ino(found)) {
            self.inodes[index].names += 1;
        }
        self.expect(&DIRECTORY_DOTS, Ino(found) == expected, |judge| {
            let message = match found {
                0 => format!("no `{}` where it is due", display(name)),
                found => format!("`{}` is inode {found}, not {expected}", display(name)),
            };
            (at(judge), message)
        });
    }

    /// Any other entry.
    fn name(
        &mut self,
        entry: &DirectoryEntry<'_>,
        here: &Here,
        tree: &mut Tree,
        waiting: &mut Vec<(usize, Ino)>,
        place: &dyn Fn(&Self, &DirectoryEntry<'_>) -> Location,
    ) {
        let name = entry.name;
        let at = |judge: &Self, tree: &Tree| {
            let mut path = tree.path(here.node);
            if path.last() != Some(&b'/') {
                path.push(b'/');
            }
            path.extend(name);
            Location { path: Some(display(&path)), ..place(judge, entry) }
        };
        let bad = |byte: &u8| matches!(byte, 0 | b'/');
        let named = !name.is_empty()
            && name.len() <= 255
            && (here.encrypted || !name.iter().any(bad) && !matches!(name, b"." | b".."));
        if !self.expect(&DIRECTORY_NAME, named, |judge| {
            (at(judge, tree), format!("the name {:?}", display(name)))
        }) {
            return;
        }
        let ino = Ino(entry.inode);
        let found = self.entry(ino).filter(|index| {
            let target = &self.inodes[*index];
            target.links > 0 && !target.nameless && ino != Ino::ROOT
        });
        let is_root = ino == Ino::ROOT;
        if !self.expect(&DIRECTORY_INODE, found.is_some() || is_root, |judge| {
            let message = match judge.entry(ino) {
                _ if ino.0 > judge.geometry.inodes_count => "which is not there",
                Some(index) if judge.inodes[index].nameless => "which is reserved",
                _ => "which is not in use",
            };
            (at(judge, tree), format!("{ino}, {message}"))
        }) {
            return;
        }
        let Some(index) = found else {
            self.expect(&DIRECTORY_PARENT, false, |judge| {
                (at(judge, tree), "the root, which is in no directory".to_owned())
            });
            return;
        };
        self.inodes[index].names += 1;
        let target = &self.inodes[index];
        if self.superblock.incompat(incompat::FILETYPE)
            && let Some(file_type) = target.file_type()
        {
            let (found, expected) = (entry.file_type, file_type.in_directory());
            self.expect(&DIRECTORY_TYPE, found == expected, |judge| {
                let message = format!("type {found}, not {expected}, {}", file_type.as_str());
                (at(judge, tree), message)
            });
        }
        let target = &self.inodes[index];
        let is_directory = matches!(target.body, Body::Directory(_))
            || target.file_type() == Some(image_formats::ext4::FileType::Directory);
        let held = !(is_directory && target.node.is_some());
        if !self.expect(&DIRECTORY_PARENT, held, |judge| {
            let other = judge.inodes[index].node.map_or_else(Vec::new, |node| tree.path(node));
            (at(judge, tree), format!("the directory {} again", display(&other)))
        }) {
            return;
        }
        let target = &self.inodes[index];
        let added = match target.node {
            Some(node) => tree.add_name(here.node, name, node).is_some(),
            None => {
                let offset = self.region.absolute(self.inode_offset(ino)).0;
                let node = tree.add_child(here.node, name, target.metadata(offset));
                self.inodes[index].node = node;
                if is_directory && node.is_some() {
                    waiting.push((index, here.ino));
                }
                node.is_some()
            }
        };
        // A tree that is full is told of by who walks.
        if tree.is_complete() {
            self.expect(&DIRECTORY_DUPLICATE, added, |judge| {
                (at(judge, tree), "the name is there already".to_owned())
            });
        }
    }
}

/// Each block of a directory, with its number from the start of the directory.
pub(super) fn blocks(runs: &[Run]) -> impl Iterator<Item = (u64, Block)> + '_ {
    runs.iter().flat_map(|run| {
        (0..u64::from(run.len)).map(|within| (run.logical + within, Block(run.block.0 + within)))
    })
}
