//! Paths of findings: looked up when they are there, because no names are kept.

use std::collections::{BTreeMap, HashMap};

use image_formats::{
    bytes::ReadError,
    squashfs::{Body, DataSize, FileType, Inode, MetadataError, MetadataRef},
};
use zerocopy::little_endian::U32;

use super::{
    Fs, Judge, Whose,
    inodes::{Inodes, RecordId},
    volume::names,
};
use crate::{names::NAME_MAX, tree::display};

/// How many of the last names of a path are shown at most.
const MAX_SHOWN: usize = 32;

/// How many bytes of lists are read for paths, all together: findings that come after have none.
const MAX_READ: u64 = 256 << 20;

impl Judge<'_> {
    /// Gives the findings of files their paths.
    pub(super) fn paths(&mut self, fs: &mut Fs, inodes: &Inodes) -> Result<(), ReadError> {
        let unnamed = std::mem::take(&mut self.unnamed);
        if unnamed.is_empty() {
            return Ok(());
        }
        let mut owners = Owners::of(&unnamed);
        owners.find(fs, inodes)?;
        let named = unnamed.into_iter().filter_map(|(finding, whose)| match whose {
            Whose::Nobody => None,
            Whose::Inode(id) => Some((finding, id, None)),
            Whose::Entry(id, name) => Some((finding, id, Some(name))),
            Whose::Block(start) => Some((finding, (*owners.blocks.get(&start)?)?, None)),
            Whose::Fragment(number, end) => {
                Some((finding, (*owners.tails.get(&number)?.get(&end)?)?, None))
            }
        });
        let named: Vec<_> = named.collect();
        let names = Names::of(fs, inodes, named.iter().map(|(_, id, _)| *id))?;
        for (finding, id, name) in named {
            let path = names.path(inodes, id, name);
            if let Some(found) = self.out.findings_from(finding).first_mut() {
                found.at.path = path;
            }
        }
        Ok(())
    }
}

/// An inode and the directories that it is in, up to the root.
fn up(inodes: &Inodes, id: RecordId) -> impl Iterator<Item = (RecordId, Option<RecordId>)> {
    let mut next = Some(id);
    std::iter::from_fn(move || {
        let id = next?;
        let parent = inodes.get(id).by();
        next = parent.filter(|parent| *parent != id);
        // The root is in itself.
        (parent != Some(id)).then_some((id, parent))
    })
}

/// Names of inodes, as the last directories that have them call them.
struct Names {
    found: HashMap<RecordId, Vec<u8>>,
}

impl Names {
    /// Of what is needed for the paths of these: each directory is read once.
    fn of(
        fs: &mut Fs,
        inodes: &Inodes,
        ids: impl Iterator<Item = RecordId>,
    ) -> Result<Self, ReadError> {
        let mut wanted = BTreeMap::<RecordId, HashMap<MetadataRef, RecordId>>::new();
        for (id, parent) in ids.flat_map(|id| up(inodes, id).take(MAX_SHOWN)) {
            let Some(parent) = parent else { continue };
            wanted.entry(parent).or_default().insert(inodes.get(id).place(), id);
        }
        let mut names = Self { found: HashMap::new() };
        let mut left = MAX_READ;
        for (directory, wanted) in wanted {
            if let Err(error) = names.read(fs, inodes, directory, wanted, &mut left) {
                error.machine()?;
            }
        }
        Ok(names)
    }

    /// Finds the names of these in a directory.
    fn read(
        &mut self,
        fs: &mut Fs,
        inodes: &Inodes,
        directory: RecordId,
        mut wanted: HashMap<MetadataRef, RecordId>,
        left: &mut u64,
    ) -> Result<(), MetadataError> {
        let inode = fs.inode(inodes.get(directory).place())?;
        let Some(Inode { body: Body::Directory(directory), .. }) = inode else { return Ok(()) };
        let Some(rest) = left.checked_sub(directory.list_len().into()) else { return Ok(()) };
        *left = rest;
        for found in names(&fs.layout, &mut fs.reader, &directory) {
            let (name, at) = found?;
            if let Some(id) = wanted.remove(&at) {
                self.found.insert(id, shown(name));
                if wanted.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The path of an inode; `None` where no directory has it. `name` is that of an entry in it.
    fn path(&self, inodes: &Inodes, id: RecordId, name: Option<Vec<u8>>) -> Option<String> {
        let mut names: Vec<Vec<u8>> = name.map(shown).into_iter().collect();
        for (id, _) in up(inodes, id) {
            if names.len() >= MAX_SHOWN {
                names.push("…".into());
                break;
            }
            names.push(self.found.get(&id)?.clone());
        }
        let path: Vec<u8> =
            names.iter().rev().flat_map(|name| [&b"/"[..], name].concat()).collect();
        Some(if path.is_empty() { "/".to_owned() } else { display(&path) })
    }
}

/// A name for people: no file has one that is longer, but a list may.
fn shown(mut name: Vec<u8>) -> Vec<u8> {
    if name.len() > NAME_MAX {
        name.truncate(NAME_MAX);
        name.extend("…".bytes());
    }
    name
}

/// The first file of each block or fragment that is looked for.
struct Owners {
    /// By where a block starts.
    blocks: HashMap<u64, Option<RecordId>>,
    /// By the number of a fragment, and by the byte that the tail must end behind.
    tails: HashMap<u32, BTreeMap<u32, Option<RecordId>>>,
    /// How many have none yet.
    left: usize,
}

impl Owners {
    fn of(wanted: &[(usize, Whose)]) -> Self {
        let mut owners = Self { blocks: HashMap::new(), tails: HashMap::new(), left: 0 };
        for (_, whose) in wanted {
            match whose {
                Whose::Block(start) => {
                    owners.blocks.insert(*start, None);
                }
                Whose::Fragment(number, end) => {
                    owners.tails.entry(*number).or_default().insert(*end, None);
                }
                _ => {}
            }
        }
        let tails = owners.tails.values().map(BTreeMap::len).sum::<usize>();
        owners.left = owners.blocks.len() + tails;
        owners
    }

    /// Finds them in one pass over all inodes.
    fn find(&mut self, fs: &mut Fs, inodes: &Inodes) -> Result<(), ReadError> {
        for id in inodes.ids().filter(|id| inodes.get(*id).file_type == FileType::File) {
            if self.left == 0 {
                break;
            }
            if let Err(error) = fs.file(inodes.get(id).place(), |owned| self.owns(id, owned)) {
                error.machine()?;
                break;
            }
        }
        Ok(())
    }

    fn owns(&mut self, id: RecordId, owned: Owned) {
        let mut own = |owner: &mut Option<RecordId>| {
            if owner.is_none() {
                *owner = Some(id);
                self.left -= 1;
            }
        };
        match owned {
            Owned::Block(start) => {
                self.blocks.get_mut(&start).map(own);
            }
            Owned::Tail(number, end) => {
                let tails = self.tails.get_mut(&number).into_iter().flatten();
                tails.filter(|(byte, _)| end > u64::from(**byte)).for_each(|(_, owner)| own(owner));
            }
        }
    }
}

/// What belongs to a file.
#[derive(Clone, Copy)]
enum Owned {
    /// A data block, by its start.
    Block(u64),
    /// A tail in a fragment, by its end.
    Tail(u32, u64),
}

impl Fs {
    /// What belongs to a file.
    fn file(
        &mut self,
        place: MetadataRef,
        mut owns: impl FnMut(Owned),
    ) -> Result<(), MetadataError> {
        let Self { layout, reader } = self;
        let (start, end) = (layout.tables.inodes.start, layout.tables.inodes.end);
        let mut cursor = reader.cursor(start, end, place);
        let (_, Some(Inode { body: Body::File(file), .. })) = Inode::read(&mut cursor)? else {
            return Ok(());
        };
        if let Some(fragment) = file.fragment {
            let end = u64::from(file.offset) + file.tail_len(layout.block_size);
            owns(Owned::Tail(fragment, end));
        }
        let mut at = file.start_block;
        // All of them were read before, so the table has that many.
        for _ in 0..file.blocks(layout.block_size) {
            let size = DataSize(cursor.read::<U32>()?.get());
            if !size.is_sparse() {
                owns(Owned::Block(at));
                at = at.saturating_add(size.stored_len().into());
            }
        }
        Ok(())
    }
}
