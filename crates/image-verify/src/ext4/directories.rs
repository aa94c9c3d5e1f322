//! Directories: e2fsck's passes 2 and 3.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hasher as _},
};

use image_formats::{
    bytes::ReadError,
    ext4::{DirectoryBlock, DirectoryEntry, FileType, Ino, Inode, Run, incompat, raw, ro_compat},
};
use image_model::Location;

use super::{Judge, Place, checks::*, fs::blocks, inodes::Known, volume::inline_data};
use crate::tree::display;

/// A directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory {
    pub(super) ino: Ino,
    /// The directory that has it; 0 until an entry leads to it.
    pub(super) parent: Ino,
    /// What its `..` says; 0 where it has none.
    dotdot: Ino,
    /// Of the checksums of its blocks.
    pub(super) seed: u32,
    flags: u32,
    /// All of its blocks, where they are a single run.
    run: Option<Run>,
    /// A way leads here from the root.
    pub(super) connected: bool,
}

impl Directory {
    pub(super) fn new(ino: Ino, inode: &Inode<'_>, seed: u32, run: Option<Run>) -> Self {
        let (parent, dotdot, flags) = (Ino(0), Ino(0), inode.raw.i_flags.get());
        Self { ino, parent, dotdot, seed, flags, run, connected: false }
    }

    /// True if its inode has this flag.
    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// What is learned of a directory while its entries are judged.
struct Here {
    directory: Directory,
    /// The entry that comes next: the first two are `.` and `..`.
    position: u64,
    /// Hashes of the names.
    names: Vec<u64>,
}

impl Judge<'_, '_> {
    /// A directory, by its inode.
    pub(super) fn directory_at(&self, ino: Ino) -> Option<usize> {
        self.directories.binary_search_by_key(&ino, |directory| directory.ino).ok()
    }

    /// Judges the entries of all directories, and whether they hang together. False where there is
    /// no root.
    pub(super) fn directories(&mut self) -> Result<bool, ReadError> {
        let root = self.inodes.get(Ino::ROOT).copied();
        // A root that is broken has been told of.
        if root.is_some_and(|root| root.has(Known::BROKEN)) {
            return Ok(false);
        }
        let held = root
            .is_some_and(|root| root.links > 0 && root.file_type() == Some(FileType::Directory));
        if !self.expect(&ROOT, held, |judge| {
            (judge.at_inode(Ino::ROOT), "inode 2 is no directory in use".to_owned())
        }) {
            return Ok(false);
        }
        let mut names = Vec::new();
        for index in 0..self.directories.len() {
            let directory = self.directories[index];
            names.clear();
            let mut here = Here { directory, position: 0, names };
            self.directory(&mut here)?;
            let found = here.names.len();
            here.names.sort_unstable();
            here.names.dedup();
            if here.names.len() < found {
                self.duplicates(&directory)?;
            } else {
                self.note(&DIRECTORY_DUPLICATE, true, |judge| {
                    (judge.at_inode(directory.ino), String::new())
                });
            }
            names = here.names;
            self.directories[index].dotdot = here.directory.dotdot;
        }
        self.connect();
        Ok(true)
    }

    /// The runs of blocks of a directory that was found sound.
    pub(super) fn directory_runs(&self, directory: &Directory) -> Result<Vec<Run>, ReadError> {
        match directory.run {
            Some(run) => Ok(vec![run]),
            None => {
                let inode = self.fs().inode(directory.ino)?;
                self.fs().runs(&Inode::new(&inode))
            }
        }
    }

    fn directory(&mut self, here: &mut Here) -> Result<(), ReadError> {
        let directory = here.directory;
        let has_types = self.superblock.incompat(incompat::FILETYPE);
        let block_size = self.geometry.block_size;
        if directory.has(Inode::INLINE_DATA) {
            let inode = self.fs().inode(directory.ino)?;
            let inode = Inode::new(&inode);
            let (parent, entries) = inode.block_area().split_at(4);
            let at = Place::Inode(directory.ino);
            let found = parent.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
            let start = |judge: &Self| judge.at(at);
            self.dots(&start, here, b".", directory.ino.0);
            self.dots(&start, here, b"..", found);
            for bytes in [entries, inline_data(&inode).unwrap_or_default()] {
                let part = DirectoryBlock::new(bytes, block_size, has_types);
                let place = |judge: &Self, _: &DirectoryEntry<'_>| judge.at(at);
                self.entries(part, bytes.len(), here, &place);
            }
            return Ok(());
        }
        let runs = self.directory_runs(&directory)?;
        let mut next = 0;
        let holes = runs.iter().any(|run| {
            let hole = run.logical != next;
            next = run.logical + u64::from(run.len);
            hole
        });
        self.expect(&DIRECTORY_BLOCKS, !holes && !runs.is_empty(), |judge| {
            let what = if runs.is_empty() { "no block" } else { "a hole" };
            (judge.at_inode(directory.ino), format!("the directory has {what}"))
        });
        let nodes = if directory.has(Inode::INDEX) && !holes {
            self.index(&directory, &runs, next)?
        } else {
            Vec::new()
        };
        let sums = self.superblock.ro_compat(ro_compat::METADATA_CSUM);
        let mut bytes = vec![0; block_size as usize];
        let mut whole = !runs.is_empty();
        for (logical, block) in blocks(&runs) {
            self.read("ext4 directory block", block, &mut bytes)?;
            let start = Place::Block("directory block", directory.ino, block);
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
            whole &= self.entries(part, len, here, &place);
        }
        let position = here.position;
        if whole {
            self.expect(&DIRECTORY_DOTS, position >= 2, |judge| {
                let at = judge.at_inode(directory.ino);
                (at, format!("{position} entries, and `.` and `..` are due"))
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
                self.name(&entry, here, place);
            }
        }
        let ino = here.directory.ino;
        self.expect(&DIRECTORY_ENTRY, end == len, |judge| {
            (judge.at_inode(ino), format!("the entries of a block end at {end} of {len} bytes"))
        })
    }

    /// `.` and `..`, wherever they are written.
    fn dots(&mut self, at: &dyn Fn(&Self) -> Location, here: &mut Here, name: &[u8], found: u32) {
        let first = here.position == 0;
        here.position += 1;
        if let Some(known) = self.inodes.get_mut(Ino(found)) {
            known.names = known.names.saturating_add(1);
        }
        let ino = here.directory.ino;
        if !first {
            here.directory.dotdot = Ino(found);
        }
        // Where `..` should lead is known when all entries have been seen.
        let held = if first { Ino(found) == ino } else { found != 0 };
        self.expect(&DIRECTORY_DOTS, held, |judge| {
            let message = match found {
                0 => format!("no `{}` where it is due", display(name)),
                found => format!("`{}` is inode {found}, not {ino}", display(name)),
            };
            (at(judge), message)
        });
    }

    /// Any other entry.
    fn name(
        &mut self,
        entry: &DirectoryEntry<'_>,
        here: &mut Here,
        place: &dyn Fn(&Self, &DirectoryEntry<'_>) -> Location,
    ) {
        let name = entry.name;
        let encrypted = here.directory.has(Inode::ENCRYPT);
        let bad = |byte: &u8| matches!(byte, 0 | b'/');
        let named = !name.is_empty()
            && name.len() <= 255
            && (encrypted || !name.iter().any(bad) && !matches!(name, b"." | b".."));
        if !self.expect(&DIRECTORY_NAME, named, |judge| {
            (place(judge, entry), format!("the name {:?}", display(name)))
        }) {
            return;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(name);
        here.names.push(hasher.finish());
        let ino = Ino(entry.inode);
        let found = self
            .inodes
            .get(ino)
            .copied()
            .filter(|known| known.links > 0 && !known.has(Known::NAMELESS) && ino != Ino::ROOT);
        let is_root = ino == Ino::ROOT;
        if !self.expect(&DIRECTORY_INODE, found.is_some() || is_root, |judge| {
            let message = match judge.inodes.get(ino) {
                _ if ino.0 > judge.geometry.inodes_count => "which is not there",
                Some(known) if known.has(Known::NAMELESS) => "which is reserved",
                _ => "which is not in use",
            };
            (place(judge, entry), format!("{ino}, {message}"))
        }) {
            return;
        }
        let Some(known) = found else {
            self.expect(&DIRECTORY_PARENT, false, |judge| {
                (place(judge, entry), "the root, which is in no directory".to_owned())
            });
            return;
        };
        if let Some(known) = self.inodes.get_mut(ino) {
            known.names = known.names.saturating_add(1);
        }
        let file_type = known.file_type();
        if self.superblock.incompat(incompat::FILETYPE)
            && let Some(file_type) = file_type
        {
            let (found, expected) = (entry.file_type, file_type.in_directory());
            self.expect(&DIRECTORY_TYPE, found == expected, |judge| {
                let message = format!("type {found}, not {expected}, {}", file_type.as_str());
                (place(judge, entry), message)
            });
        }
        if file_type == Some(FileType::Directory)
            && let Some(index) = self.directory_at(ino)
        {
            let other = self.directories[index].parent;
            if self.expect(&DIRECTORY_PARENT, other.0 == 0, |judge| {
                (place(judge, entry), format!("the directory {ino}, which is in {other} as well"))
            }) {
                self.directories[index].parent = here.directory.ino;
            }
        }
    }

    /// Two names of a directory have the same hash: tells which names are the same.
    fn duplicates(&mut self, directory: &Directory) -> Result<(), ReadError> {
        let has_types = self.superblock.incompat(incompat::FILETYPE);
        let block_size = self.geometry.block_size;
        let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
        let mut bytes = vec![0; block_size as usize];
        let inode = self.fs().inode(directory.ino)?;
        let inode = Inode::new(&inode);
        let mut look = |judge: &mut Self, part: &[u8], place: Place| {
            for entry in DirectoryBlock::new(part, block_size, has_types).entries() {
                if entry.inode == 0 {
                    continue;
                }
                let added = seen.insert(entry.name.to_vec());
                judge.expect(&DIRECTORY_DUPLICATE, added, |judge| {
                    let name = display(entry.name);
                    (judge.at(place), format!("the name {name:?} is there twice"))
                });
            }
        };
        if directory.has(Inode::INLINE_DATA) {
            let parts = [&inode.block_area()[4..], inline_data(&inode).unwrap_or_default()];
            parts.iter().for_each(|part| look(self, part, Place::Inode(directory.ino)));
            return Ok(());
        }
        for (_, block) in blocks(&self.directory_runs(directory)?) {
            self.read("ext4 directory block", block, &mut bytes)?;
            look(self, &bytes, Place::Block("directory block", directory.ino, block));
        }
        Ok(())
    }

    /// Every directory hangs on the root, and `..` leads back.
    fn connect(&mut self) {
        for index in 0..self.directories.len() {
            let Directory { ino, parent, dotdot, .. } = self.directories[index];
            let parent = if ino == Ino::ROOT { Ino::ROOT } else { parent };
            if parent.0 != 0 && dotdot.0 != 0 {
                self.expect(&DIRECTORY_DOTS, dotdot == parent, |judge| {
                    (judge.at_inode(ino), format!("`..` is {dotdot}, not {parent}"))
                });
            }
        }
        let mut way = Vec::new();
        for index in 0..self.directories.len() {
            way.clear();
            let mut at = Some(index);
            // Bounded: a way that is longer than there are directories has a loop in it.
            while let Some(index) = at
                && !self.directories[index].connected
                && self.directories[index].ino != Ino::ROOT
                && way.len() <= self.directories.len()
            {
                way.push(index);
                at = self.directory_at(self.directories[index].parent);
            }
            let reached = at.is_some_and(|index| {
                let directory = &self.directories[index];
                directory.connected || directory.ino == Ino::ROOT
            });
            if reached {
                way.iter().for_each(|index| self.directories[*index].connected = true);
                self.directories[index].connected = true;
            }
        }
    }
}
