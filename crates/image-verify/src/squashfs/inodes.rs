//! The table of inodes, one after the other: what each says of itself, and what it leads to.

use std::{mem::size_of, ops::Range};

use image_formats::{
    bytes::ReadError,
    squashfs::{
        Body, Cursor, DataSize, File, FileType, Inode, MetadataError, MetadataRef,
        raw::{DirectoryIndex, InodeHeader},
    },
};
use image_model::Check;
use zerocopy::little_endian::U32;

use super::{
    BLOCK_LEN, BLOCK_RANGE, FILE_SIZE, FRAGMENT, Fs, INODE, INODE_COUNT, INODE_NUMBER, INODE_TYPE,
    Judge, LIMITS, Layout, MODE, OWNER, Place, SPARSE, SYMLINK, TAIL, Whose, XATTR_INDEX,
    blocks::{Blocks, MAX_BLOCKS},
    tables::INODE_TABLE,
};

/// The most inodes that are judged: what is made of them fits into memory.
pub(super) const MAX_INODES: u32 = 1 << 20;

/// The most bytes of a symlink's target: `PATH_MAX`, without its NUL.
pub(super) const MAX_TARGET: u32 = 4095;

/// An inode, by its place in [`Inodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RecordId(pub(super) u32);

/// What is kept of an inode.
#[derive(Clone, Copy)]
pub(super) struct Record {
    /// Its block, from the start of the table, and its byte, as in the image.
    place: u64,
    pub(super) number: u32,
    /// Links that it says it has, and that were not found yet.
    pub(super) links_left: u32,
    /// The last directory with an entry for it, or [`NOBODY`](Self::NOBODY).
    by: u32,
    pub(super) file_type: FileType,
}

impl Record {
    const NOBODY: u32 = u32::MAX;

    pub(super) fn place(&self) -> MetadataRef {
        MetadataRef::of(self.place)
    }

    /// The last directory with an entry for it.
    pub(super) fn by(&self) -> Option<RecordId> {
        (self.by != Self::NOBODY).then_some(RecordId(self.by))
    }

    pub(super) fn found_in(&mut self, directory: RecordId) {
        self.by = directory.0;
    }
}

/// All inodes, in the order of the table.
pub(super) struct Inodes {
    list: Vec<Record>,
}

impl Inodes {
    pub(super) fn get(&self, id: RecordId) -> &Record {
        &self.list[id.0 as usize]
    }

    pub(super) fn get_mut(&mut self, id: RecordId) -> &mut Record {
        &mut self.list[id.0 as usize]
    }

    /// The inode that starts at a place.
    pub(super) fn at(&self, block: u64, offset: u16) -> Option<RecordId> {
        let place = block.checked_mul(1 << 16)? | u64::from(offset);
        let index = self.list.binary_search_by_key(&place, |record| record.place).ok()?;
        u32::try_from(index).ok().map(RecordId)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = RecordId> + use<> {
        (0..self.list.len() as u32).map(RecordId)
    }
}

/// The inode that is judged.
#[derive(Clone, Copy)]
struct This {
    id: RecordId,
    place: Place,
}

impl Judge<'_> {
    /// `None` where not all of them can be read.
    pub(super) fn inodes(
        &mut self,
        fs: &mut Fs,
        blocks: &mut Blocks,
    ) -> Result<Option<Inodes>, ReadError> {
        if !fs.layout.tables.inodes.whole {
            return Ok(None);
        }
        self.evaluated(&[
            &INODE,
            &INODE_TYPE,
            &MODE,
            &OWNER,
            &INODE_NUMBER,
            &FILE_SIZE,
            &SPARSE,
            &BLOCK_LEN,
            &BLOCK_RANGE,
            &FRAGMENT,
            &TAIL,
            &SYMLINK,
            &XATTR_INDEX,
        ]);
        let Fs { layout, reader } = fs;
        let count = layout.superblock.inodes.get();
        // There are not more than a million.
        let mut seen = vec![0_u64; count as usize / 64 + 1];
        let mut inodes = Inodes { list: Vec::new() };
        let (start, end) = (layout.tables.inodes.start, layout.tables.inodes.end);
        let mut cursor = reader.cursor(start, end, MetadataRef { block: 0, offset: 0 });
        while !cursor.is_at_end() {
            let id = RecordId(inodes.list.len() as u32);
            if id.0 >= MAX_INODES {
                let place = self.place(INODE_TABLE, start, 0);
                self.expect(&LIMITS, false, place, || {
                    format!("more inodes than the {MAX_INODES} that are judged")
                });
                return Ok(None);
            }
            match self.inode(layout, &mut cursor, id, blocks, &mut seen) {
                Ok(Some(record)) => inodes.list.push(record),
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.unreadable(&INODE, INODE_TABLE, Whose::Nobody, error)?;
                    return Ok(None);
                }
            }
        }
        let found = inodes.list.len();
        let place = self.place(INODE_TABLE, start, end - start);
        self.expect(&INODE_COUNT, found == count as usize, place, || {
            format!("{found} inodes, and {count} by the superblock")
        });
        Ok(Some(inodes))
    }

    /// Judges the next inode. `None` where nobody knows where the one after it starts.
    fn inode(
        &mut self,
        layout: &Layout,
        cursor: &mut Cursor<'_>,
        id: RecordId,
        blocks: &mut Blocks,
        seen: &mut [u64],
    ) -> Result<Option<Record>, MetadataError> {
        let (at, offset) = cursor.place()?;
        let this = This { id, place: self.place(INODE_TABLE, at, 0) };
        let (header, inode) = Inode::read(cursor)?;
        let Some(inode) = inode else {
            let kind = header.inode_type.get();
            self.expect(&INODE_TYPE, false, this.place, || {
                format!(
                    "type {kind} at byte {offset} of the block, and there are those from 1 to 14"
                )
            });
            return Ok(None);
        };
        self.header(layout, &header, &inode, this, seen);
        let mut xattr = inode.xattr;
        match inode.body {
            Body::File(file) => {
                if !self.file(layout, cursor, &file, this, blocks)? {
                    return Ok(None);
                }
            }
            Body::Directory(directory) => {
                for _ in 0..directory.indexes {
                    // Judged with the list.
                    let (index, name) = DirectoryIndex::read(cursor)?;
                    if name.is_none() {
                        cursor.skip(u64::from(index.size.get()) + 1)?;
                    }
                }
            }
            Body::Symlink { len, long } => {
                self.symlink(cursor, len, this)?;
                if long {
                    let index = cursor.read::<U32>()?.get();
                    xattr = (index != u32::MAX).then_some(index);
                }
            }
            Body::Device { .. } | Body::Ipc(_) => {}
        }
        if let Some(index) = xattr {
            let count = layout.tables.xattrs.as_ref().map_or(0, |xattrs| xattrs.ids.table.entries);
            self.of(&XATTR_INDEX, index < count, this, || {
                format!("entry {index} of extended attributes, and there are {count}")
            });
        }
        let place = (at - layout.tables.inodes.start) << 16 | u64::from(offset);
        let number = header.inode_number.get();
        let (links_left, by) = (inode.links, Record::NOBODY);
        Ok(Some(Record { place, number, links_left, by, file_type: inode.file_type() }))
    }

    /// What all inodes have.
    fn header(
        &mut self,
        layout: &Layout,
        header: &InodeHeader,
        inode: &Inode,
        this: This,
        seen: &mut [u64],
    ) {
        let mode = header.mode.get();
        let file_type = inode.file_type();
        let bits = mode & !0o7777;
        self.of(&MODE, bits == 0 || bits == file_type.mode_bits(), this, || {
            format!("mode {mode:o} of a {}", file_type.as_str())
        });
        let ids = layout.superblock.no_ids.get();
        let (uid, gid) = (header.uid.get(), header.guid.get());
        self.of(&OWNER, uid < ids && gid < ids, this, || {
            format!("owner {uid} and group {gid} of a table of {ids}")
        });
        let (number, count) = (header.inode_number.get(), layout.superblock.inodes.get());
        let inside = (1..=count).contains(&number);
        let mut first = true;
        if inside {
            let bit = 1_u64 << (number % 64);
            let word = &mut seen[number as usize / 64];
            first = *word & bit == 0;
            *word |= bit;
        }
        self.of(&INODE_NUMBER, inside && first, this, || match inside {
            true => format!("number {number}, which another inode has"),
            false => format!("number {number}, not 1 to {count}"),
        });
    }

    /// False where nobody knows where the next inode starts.
    fn file(
        &mut self,
        layout: &Layout,
        cursor: &mut Cursor<'_>,
        file: &File,
        this: This,
        blocks: &mut Blocks,
    ) -> Result<bool, MetadataError> {
        let size = file.size;
        // Nobody believes the number of its blocks.
        if !self.of(&FILE_SIZE, i64::try_from(size).is_ok(), this, || {
            format!("{size} bytes, and {} are the most", i64::MAX)
        }) {
            return Ok(false);
        }
        let sparse = file.sparse;
        self.of(&SPARSE, sparse <= size, this, || {
            format!("{sparse} bytes of holes in a file of {size}")
        });
        if let Some(fragment) = file.fragment {
            let count = layout.superblock.fragments.get();
            let known = self.of(&FRAGMENT, fragment < count, this, || {
                format!("fragment {fragment}, and there are {count}")
            });
            let tail = file.tail_len(layout.block_size);
            let end = u64::from(file.offset) + tail;
            let block_size = layout.block_size;
            let fits = self.of(&TAIL, tail > 0 && end <= u64::from(block_size), this, || {
                if tail == 0 {
                    format!("a fragment, and the size is {size}, without a tail")
                } else {
                    format!("a tail that ends at byte {end} of a block of {block_size}")
                }
            });
            if known && fits {
                blocks.add_tail(fragment, end as u32);
            }
        }
        self.blocks_of(layout, cursor, file, this, blocks)
    }

    /// Judges the sizes of the blocks of a file. False where there are too many of them.
    fn blocks_of(
        &mut self,
        layout: &Layout,
        cursor: &mut Cursor<'_>,
        file: &File,
        this: This,
        blocks: &mut Blocks,
    ) -> Result<bool, MetadataError> {
        let (range, block_size) = (layout.data(), layout.block_size);
        let (count, mut start) = (file.blocks(block_size), file.start_block);
        // Each is four bytes of the table, which ends.
        for number in 0..count {
            let size = DataSize(cursor.read::<U32>()?.get());
            if size.is_sparse() {
                continue;
            }
            let len = size.stored_len();
            let sized = self.of(&BLOCK_LEN, (1..=block_size).contains(&len), this, || {
                format!("block {number} has {len} bytes, not 1 to {block_size}")
            });
            let end = start.checked_add(len.into()).filter(|end| *end <= range.end);
            let inside = sized
                && self.of(&BLOCK_RANGE, range.start <= start && end.is_some(), this, || {
                    let Range { start: first, end } = &range;
                    format!(
                        "block {number} has {len} bytes at {start:#x}, not between {first:#x} and \
                         {end:#x}"
                    )
                });
            let Some(end) = end.filter(|_| inside) else {
                // Nobody knows where the others are.
                cursor.skip((count - number - 1).saturating_mul(size_of::<U32>() as u64))?;
                break;
            };
            let left = file.size - number * u64::from(block_size);
            let room = blocks.add(start, size, left.min(block_size.into()) as u32);
            if !self.of(&LIMITS, room, this, || {
                format!("more blocks than the {MAX_BLOCKS} that are judged")
            }) {
                return Ok(false);
            }
            start = end;
        }
        Ok(true)
    }

    fn symlink(
        &mut self,
        cursor: &mut Cursor<'_>,
        len: u32,
        this: This,
    ) -> Result<(), MetadataError> {
        if !self.of(&SYMLINK, (1..=MAX_TARGET).contains(&len), this, || {
            format!("a target of {len} bytes, not 1 to {MAX_TARGET}")
        }) {
            return cursor.skip(len.into());
        }
        let target = cursor.bytes(len as usize)?;
        let nul = target.iter().position(|byte| *byte == 0);
        self.of(&SYMLINK, nul.is_none(), this, || {
            format!("a target with a NUL at byte {}", nul.unwrap_or(0))
        });
        Ok(())
    }

    fn of(
        &mut self,
        check: &'static Check,
        holds: bool,
        this: This,
        message: impl FnOnce() -> String,
    ) -> bool {
        self.of_inode(check, holds, this.place, this.id, message)
    }
}
