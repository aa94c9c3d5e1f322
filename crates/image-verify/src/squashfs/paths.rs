//! Paths of findings: looked up when they are there, because no names are kept.

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
use crate::tree::display;

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
        let owners = owners(fs, inodes, &unnamed)?;
        let mut left = MAX_READ;
        for ((finding, whose), owner) in unnamed.into_iter().zip(owners) {
            let (id, name) = match whose {
                Whose::Inode(id) => (Some(id), None),
                Whose::Entry(id, name) => (Some(id), Some(name)),
                Whose::Block(_) | Whose::Fragment(..) => (owner, None),
                Whose::Nobody => (None, None),
            };
            let Some(id) = id else { continue };
            let path = path(fs, inodes, id, name, &mut left)?;
            if let Some(found) = self.out.findings_from(finding).first_mut() {
                found.at.path = path;
            }
        }
        Ok(())
    }
}

/// The path of an inode; `None` where no directory has it.
fn path(
    fs: &mut Fs,
    inodes: &Inodes,
    id: RecordId,
    name: Option<Vec<u8>>,
    left: &mut u64,
) -> Result<Option<String>, ReadError> {
    let mut names: Vec<Vec<u8>> = name.into_iter().collect();
    let mut at = id;
    loop {
        let Some(parent) = inodes.get(at).by() else { return Ok(None) };
        if parent == at {
            break;
        }
        if names.len() >= MAX_SHOWN {
            names.push("…".into());
            break;
        }
        let found = match name_in(fs, inodes, parent, at, left) {
            Ok(found) => found,
            Err(error) => error.machine().map(|_| None)?,
        };
        let Some(name) = found else { return Ok(None) };
        names.push(name);
        at = parent;
    }
    let path: Vec<u8> = names.iter().rev().flat_map(|name| [&b"/"[..], name].concat()).collect();
    Ok(Some(if path.is_empty() { "/".to_owned() } else { display(&path) }))
}

/// The name that a directory has for an inode.
fn name_in(
    fs: &mut Fs,
    inodes: &Inodes,
    directory: RecordId,
    id: RecordId,
    left: &mut u64,
) -> Result<Option<Vec<u8>>, MetadataError> {
    let place = inodes.get(id).place();
    let inode = fs.inode(inodes.get(directory).place())?;
    let Some(Inode { body: Body::Directory(directory), .. }) = inode else { return Ok(None) };
    let Some(rest) = left.checked_sub(directory.list_len().into()) else { return Ok(None) };
    *left = rest;
    for found in names(&fs.layout, &mut fs.reader, &directory) {
        let (name, at) = found?;
        if at == place {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The first file of each block or fragment that is looked for, in one pass over all inodes.
fn owners(
    fs: &mut Fs,
    inodes: &Inodes,
    wanted: &[(usize, Whose)],
) -> Result<Vec<Option<RecordId>>, ReadError> {
    let mut owners = vec![None; wanted.len()];
    let looked_for =
        |(_, whose): &(usize, Whose)| matches!(whose, Whose::Block(_) | Whose::Fragment(..));
    if !wanted.iter().any(looked_for) {
        return Ok(owners);
    }
    for id in inodes.ids().filter(|id| inodes.get(*id).file_type == FileType::File) {
        let found = fs.file(inodes.get(id).place(), |owned| {
            for ((_, whose), owner) in wanted.iter().zip(&mut owners) {
                let owns = match (whose, owned) {
                    (Whose::Block(at), Owned::Block(start)) => *at == start,
                    (Whose::Fragment(fragment, byte), Owned::Tail(number, end)) => {
                        *fragment == number && end > u64::from(*byte)
                    }
                    _ => false,
                };
                if owns && owner.is_none() {
                    *owner = Some(id);
                }
            }
        });
        if let Err(error) = found {
            error.machine()?;
            break;
        }
    }
    Ok(owners)
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
