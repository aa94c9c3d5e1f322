//! The lists of directories, from the root down.

use std::mem::offset_of;

use image_formats::{
    bytes::ReadError,
    squashfs::{
        Body, Directory, DirectoryItem, DirectoryList, FileType, Inode, MetadataError,
        MetadataReader, MetadataRef,
        raw::{DirectoryEntry, DirectoryHeader, DirectoryIndex, SuperBlock},
    },
};

use super::{
    DIRECTORY_INDEX, DIRECTORY_LINK, DIRECTORY_LINKS, ENTRY_INODE, ENTRY_NUMBER, ENTRY_TYPE, Fs,
    INODE, Judge, LIMITS, LINKS, LIST, Layout, NAME, NAME_ORDER, PARENT, Place, ROOT, UNREACHABLE,
    Whose,
    inodes::{Inodes, MAX_INODES, RecordId},
    tables::{DIRECTORY_TABLE, INODE_TABLE},
};
use crate::names::NAME_MAX;

/// The most names that are judged, the first ones and others: all inodes but the root have one.
const MAX_NAMES: u32 = MAX_INODES - 1;

/// What the walk through all directories shares.
struct Walk {
    /// Directories whose lists are to be read.
    waiting: Vec<RecordId>,
    /// Bytes of lists that may still be read: each byte of the table once.
    left: u64,
    /// Names that may still be found.
    names: u32,
    /// There were more: nothing is read any more.
    full: bool,
    safe: bool,
}

/// The directory that is being read.
struct Reading {
    id: RecordId,
    place: Place,
    /// What its list holds: the header of the entry that is read.
    header: Option<DirectoryHeader>,
    last: Vec<u8>,
    subdirectories: u32,
}

/// An entry of the index that was not come to yet.
struct IndexEntry {
    at: u32,
    block: u64,
    name: Option<Vec<u8>>,
}

impl Layout {
    /// Reads the list of a directory.
    pub(super) fn list<'a>(
        &self,
        reader: &'a mut MetadataReader,
        directory: &Directory,
    ) -> DirectoryList<'a> {
        let (start, end) = (self.tables.directories.start, self.tables.directories.end);
        let at = MetadataRef { block: directory.start_block.into(), offset: directory.offset };
        DirectoryList::new(reader.cursor(start, end, at), directory.list_len())
    }
}

impl Fs {
    /// Reads an inode, and the index that follows that of a directory.
    pub(super) fn inode(&mut self, place: MetadataRef) -> Result<Option<Inode>, MetadataError> {
        let (start, end) = (self.layout.tables.inodes.start, self.layout.tables.inodes.end);
        Ok(Inode::read(&mut self.reader.cursor(start, end, place))?.1)
    }

    fn indexes(&mut self, place: MetadataRef) -> Result<Vec<IndexEntry>, MetadataError> {
        let (start, end) = (self.layout.tables.inodes.start, self.layout.tables.inodes.end);
        let mut cursor = self.reader.cursor(start, end, place);
        let (_, Some(Inode { body: Body::Directory(directory), .. })) = Inode::read(&mut cursor)?
        else {
            return Ok(Vec::new());
        };
        let mut entries = Vec::new();
        for _ in 0..directory.indexes {
            let (index, name) = DirectoryIndex::read(&mut cursor)?;
            if name.is_none() {
                cursor.skip(u64::from(index.size.get()) + 1)?;
            }
            let (at, block) = (index.index.get(), u64::from(index.start_block.get()));
            entries.push(IndexEntry { at, block, name });
        }
        Ok(entries)
    }
}

impl Judge<'_> {
    /// False where the directories are not safe to follow.
    pub(super) fn directories(
        &mut self,
        fs: &mut Fs,
        inodes: &mut Inodes,
    ) -> Result<bool, ReadError> {
        if !fs.layout.tables.directories.whole {
            return Ok(false);
        }
        let MetadataRef { block, offset } = MetadataRef::of(fs.layout.superblock.root_inode.get());
        let root = inodes.at(block, offset);
        let root = root.filter(|id| inodes.get(*id).file_type == FileType::Directory);
        let place = self.field(offset_of!(SuperBlock, root_inode), 8);
        self.expect(&ROOT, root.is_some(), place, || {
            format!("at byte {offset} of block {block:#x} of inodes no directory starts")
        });
        let Some(root) = root else { return Ok(false) };
        self.evaluated(&[
            &LIST,
            &ENTRY_INODE,
            &ENTRY_NUMBER,
            &ENTRY_TYPE,
            &NAME,
            &NAME_ORDER,
            &DIRECTORY_INDEX,
            &DIRECTORY_LINK,
            &PARENT,
            &DIRECTORY_LINKS,
            &LINKS,
            &UNREACHABLE,
        ]);
        // Nobody has an entry for the root.
        inodes.get_mut(root).found_in(root);
        let left = fs.layout.tables.directories.len;
        let mut walk =
            Walk { waiting: vec![root], left, names: MAX_NAMES, full: false, safe: true };
        // Bounded: a directory comes here when its first entry is found. The last one first: lists
        // lie in the order in which mksquashfs leaves directories, so this reads them backwards.
        while let Some(id) = walk.waiting.pop() {
            self.directory(fs, inodes, id, &mut walk)?;
            if walk.full {
                return Ok(false);
            }
        }
        self.links(fs, inodes, root)?;
        Ok(walk.safe)
    }

    fn directory(
        &mut self,
        fs: &mut Fs,
        inodes: &mut Inodes,
        id: RecordId,
        walk: &mut Walk,
    ) -> Result<(), ReadError> {
        let place = inodes.get(id).place();
        let at = self.place(INODE_TABLE, fs.layout.tables.inodes.start + place.block, 0);
        let inode = match fs.inode(place) {
            Ok(inode) => inode,
            Err(error) => {
                walk.safe = false;
                return self.unreadable(&LIST, INODE_TABLE, Whose::Inode(id), error);
            }
        };
        let Some(inode @ Inode { body: Body::Directory(directory), .. }) = inode else {
            walk.safe = false;
            return Ok(());
        };
        let parent = inodes.get(id).by().filter(|by| *by != id);
        if let Some(parent) = parent {
            let (found, want) = (directory.parent, inodes.get(parent).number);
            self.of_inode(&PARENT, found == want, at, id, || {
                format!("inode {found} is named as parent, and inode {want} is it")
            });
        }
        let mut reading = Reading {
            id,
            place: self.place(
                DIRECTORY_TABLE,
                fs.layout.tables.directories.start + u64::from(directory.start_block),
                0,
            ),
            header: None,
            last: Vec::new(),
            subdirectories: 0,
        };
        let len = directory.list_len();
        if len > 0 && !self.list_place(fs, &directory, at, id, walk) {
            walk.safe = false;
            return Ok(());
        }
        let indexes = match directory.indexes {
            0 => Ok(Vec::new()),
            _ => fs.indexes(place),
        };
        let indexes = match indexes {
            Ok(indexes) => indexes,
            Err(error) => {
                walk.safe = false;
                return self.unreadable(&DIRECTORY_INDEX, INODE_TABLE, Whose::Inode(id), error);
            }
        };
        let read = self.entries(fs, inodes, &directory, indexes, &mut reading, walk);
        if let Err(error) = read {
            walk.safe = false;
            return self.unreadable(&LIST, DIRECTORY_TABLE, Whose::Inode(id), error);
        }
        let (found, want) = (inode.links, reading.subdirectories.saturating_add(2));
        self.of_inode(&DIRECTORY_LINKS, found >= want, at, id, || {
            format!("{found} links, and with {} directories in it {want}", want - 2)
        });
        Ok(())
    }

    /// Whether a list is in the table.
    fn list_place(
        &mut self,
        fs: &Fs,
        directory: &Directory,
        at: Place,
        id: RecordId,
        walk: &mut Walk,
    ) -> bool {
        let (len, stream) = (u64::from(directory.list_len()), &fs.layout.tables.directories);
        let start = stream.position(directory.start_block.into(), directory.offset);
        let inside = start.is_some_and(|start| start + len <= stream.len);
        if !self.of_inode(&LIST, inside, at, id, || {
            let Directory { start_block, offset, .. } = directory;
            format!(
                "{len} bytes at byte {offset} of block {start_block:#x}, which are not in the table"
            )
        }) {
            return false;
        }
        let some = walk.left >= len;
        walk.left = walk.left.saturating_sub(len);
        self.of_inode(&LIST, some, at, id, || {
            "lists overlap: they have more bytes than the table".to_owned()
        })
    }

    fn entries(
        &mut self,
        fs: &mut Fs,
        inodes: &mut Inodes,
        directory: &Directory,
        indexes: Vec<IndexEntry>,
        reading: &mut Reading,
        walk: &mut Walk,
    ) -> Result<(), MetadataError> {
        let directory_start = fs.layout.tables.directories.start;
        let mut indexes = indexes.into_iter().peekable();
        let mut wanted: Option<IndexEntry> = None;
        let id = reading.id;
        let mut list = fs.layout.list(&mut fs.reader, directory);
        while let Some(item) = list.next_item()? {
            match item {
                Err(fault) => {
                    walk.safe = false;
                    let message = fault.to_string();
                    self.of_inode(&LIST, false, reading.place, id, || message);
                }
                Ok(DirectoryItem::Header { at, block, header }) => {
                    reading.header = Some(header);
                    reading.place = self.place(DIRECTORY_TABLE, block, 0);
                    // What was passed by is at no header.
                    while let Some(index) = indexes.next_if(|index| index.at < at) {
                        self.index_fault(reading, &index, "at no header");
                    }
                    wanted = indexes.next_if(|index| index.at == at);
                    if let Some(index) = &wanted
                        && directory_start.checked_add(index.block) != Some(block)
                    {
                        self.index_fault(reading, index, "in another block");
                    }
                }
                Ok(DirectoryItem::Entry { entry, name, .. }) => {
                    let left = walk.names.checked_sub(1);
                    if !self.of_inode(&LIMITS, left.is_some(), reading.place, id, || {
                        format!("more names than the {MAX_NAMES} that are judged")
                    }) {
                        walk.full = true;
                        return Ok(());
                    }
                    walk.names = left.unwrap_or(0);
                    if let Some(index) = wanted.take()
                        && index.name.as_ref() != Some(&name)
                    {
                        self.index_fault(reading, &index, "of another name");
                    }
                    walk.safe &= self.entry(inodes, &entry, name, reading, walk);
                }
            }
        }
        for index in indexes {
            self.index_fault(reading, &index, "behind the last header");
        }
        Ok(())
    }

    fn index_fault(&mut self, reading: &Reading, index: &IndexEntry, what: &str) {
        self.of_inode(&DIRECTORY_INDEX, false, reading.place, reading.id, || {
            let name = index.name.as_deref().map_or(String::new(), crate::tree::display);
            format!("byte {} of the list, for {name:?}: {what}", index.at)
        });
    }

    /// Judges an entry. False where who follows it would be led astray.
    fn entry(
        &mut self,
        inodes: &mut Inodes,
        entry: &DirectoryEntry,
        name: Vec<u8>,
        reading: &mut Reading,
        walk: &mut Walk,
    ) -> bool {
        let (place, id) = (reading.place, reading.id);
        let Some(header) = reading.header else { return false };
        let whose = || Whose::Entry(id, name.clone());
        let valid = name.len() <= NAME_MAX
            && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
            && !matches!(&name[..], b"." | b"..");
        let mut safe = valid
            || self.expect_of(
                &NAME,
                false,
                place,
                || Whose::Inode(id),
                || format!("{:?}, {} bytes", crate::tree::display(&name), name.len()),
            );
        if reading.last >= name && !reading.last.is_empty() {
            self.expect_of(&NAME_ORDER, false, place, whose, || {
                format!("after {:?}", crate::tree::display(&reading.last))
            });
        }
        let (block, offset) = (u64::from(header.start_block.get()), entry.offset.get());
        let Some(target) = inodes.at(block, offset) else {
            self.expect_of(&ENTRY_INODE, false, place, whose, || {
                format!("at byte {offset} of block {block:#x} of inodes none starts")
            });
            reading.last = name;
            return false;
        };
        let record = inodes.get(target);
        let base = i64::from(header.inode_number.get());
        let number = base + i64::from(entry.inode_number.get());
        if number != i64::from(record.number) {
            self.expect_of(&ENTRY_NUMBER, false, place, whose, || {
                format!("inode {number}, and inode {} is there", record.number)
            });
        }
        let file_type = FileType::of_entry(entry.entry_type.get());
        if file_type != Some(record.file_type) {
            self.expect_of(&ENTRY_TYPE, false, place, whose, || {
                let found = file_type.map_or("none", FileType::as_str);
                format!(
                    "type {} ({found}), of a {}",
                    entry.entry_type.get(),
                    record.file_type.as_str()
                )
            });
        }
        if record.file_type == FileType::Directory {
            reading.subdirectories = reading.subdirectories.saturating_add(1);
            if record.by().is_some() {
                safe = self.expect_of(&DIRECTORY_LINK, false, place, whose, || {
                    format!("inode {} is a directory that has a name already", record.number)
                });
            } else {
                walk.waiting.push(target);
                inodes.get_mut(target).found_in(id);
            }
        } else {
            let record = inodes.get_mut(target);
            record.links_left = record.links_left.wrapping_sub(1);
            record.found_in(id);
        }
        reading.last = name;
        safe
    }

    /// Whether every inode has as many names as it says.
    fn links(&mut self, fs: &mut Fs, inodes: &mut Inodes, root: RecordId) -> Result<(), ReadError> {
        for id in inodes.ids().filter(|id| *id != root) {
            let record = *inodes.get(id);
            let place = record.place();
            let at = || (INODE_TABLE, fs.layout.tables.inodes.start + place.block);
            if record.by().is_none() {
                let (structure, at) = at();
                let at = self.place(structure, at, 0);
                self.expect(&UNREACHABLE, false, at, || {
                    format!("inode {}, a {}, has no name", record.number, record.file_type.as_str())
                });
            } else if record.links_left != 0 && record.file_type != FileType::Directory {
                let (structure, at) = at();
                let at = self.place(structure, at, 0);
                let inode = match fs.inode(place) {
                    Ok(inode) => inode,
                    Err(error) => {
                        self.unreadable(&INODE, INODE_TABLE, Whose::Inode(id), error)?;
                        continue;
                    }
                };
                let links = inode.map_or(0, |inode| inode.links);
                let names = links.wrapping_sub(record.links_left);
                self.expect_of(
                    &LINKS,
                    false,
                    at,
                    || Whose::Inode(id),
                    || format!("{links} links, and {names} names"),
                );
            }
        }
        Ok(())
    }
}
