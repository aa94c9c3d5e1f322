//! Where the tables are, and those that an index leads to: ids, fragments, export.

use std::mem::{offset_of, size_of};

use image_formats::{
    bytes::ReadError,
    squashfs::{
        DataSize, LookupTable, METADATA_SIZE, MetadataHeader, MetadataRef,
        raw::{FragmentEntry, SuperBlock, XattrId, XattrIdTable},
    },
};
use zerocopy::{
    FromBytes,
    little_endian::{U32, U64},
    transmute,
};

use super::{
    EXPANDED, EXPORT, FRAGMENT_ENTRY, Fs, INODE_COUNT, Judge, LIMITS, Layout, METADATA, TABLES,
    Whose,
    blocks::{Blocks, MAX_BLOCKS},
    inodes::{Inodes, MAX_INODES},
    superblock::Basics,
};

/// The most metadata blocks of a table that are read: 512 MiB, uncompressed.
const MAX_METADATA_BLOCKS: usize = 1 << 16;

/// The most bytes of a metadata block, with its header.
const MAX_STORED: u64 = METADATA_SIZE as u64 + MetadataHeader::SIZE;

/// A table of metadata blocks without an index.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Where each block starts, from the start of the table.
    pub(super) blocks: Vec<u32>,
    /// Uncompressed bytes.
    pub(super) len: u64,
    /// All of it can be read.
    pub(super) whole: bool,
}

impl Stream {
    /// Which byte of the uncompressed table a place is; `None` where no block starts there.
    pub(super) fn position(&self, block: u64, offset: u16) -> Option<u64> {
        let block = u32::try_from(block).ok()?;
        let index = self.blocks.binary_search(&block).ok()?;
        let position = index as u64 * METADATA_SIZE as u64 + u64::from(offset);
        (usize::from(offset) < METADATA_SIZE && position < self.len).then_some(position)
    }
}

/// A table with an index.
#[derive(Debug)]
pub(super) struct Indexed {
    pub(super) table: LookupTable,
    /// Where its metadata blocks are.
    pub(super) index: Vec<u64>,
}

/// Where everything is.
#[derive(Debug)]
pub(super) struct Tables {
    /// Where data blocks may start.
    pub(super) data_start: u64,
    pub(super) inodes: Stream,
    pub(super) directories: Stream,
    pub(super) fragments: Option<Indexed>,
    pub(super) export: Option<Indexed>,
    pub(super) ids: Indexed,
    pub(super) xattrs: Option<Xattrs>,
}

/// The tables of extended attributes.
#[derive(Debug)]
pub(super) struct Xattrs {
    pub(super) values: Stream,
    pub(super) ids: Indexed,
}

impl Judge<'_> {
    /// `None` where the tables are not where they can be.
    pub(super) fn tables(&mut self, basics: Basics) -> Result<Option<Fs>, ReadError> {
        let Basics { superblock, block_size, data_start, mut reader } = basics;
        let Some(within) = self.counts(&superblock) else { return Ok(None) };
        // From the last table to the first, as Linux does it: each ends where the next one starts.
        let end = superblock.bytes_used.get();
        let Some((xattrs, end)) = self.xattr_tables(&superblock, end)? else { return Ok(None) };
        let ids = LookupTable::new::<U32>(
            superblock.id_table_start.get(),
            superblock.no_ids.get().into(),
        );
        let Some((ids, end)) = self.indexed("SquashFS id table", ids, end, true)? else {
            return Ok(None);
        };
        if !within {
            self.counts_fit(&superblock, end);
            return Ok(None);
        }
        let (mut export, mut fragments) = (None, None);
        let mut end = end;
        if superblock.lookup_table_start.get() != SuperBlock::NONE {
            let start = superblock.lookup_table_start.get();
            let table = LookupTable::new::<U64>(start, superblock.inodes.get());
            let found = self.indexed("SquashFS export table", table, end, true)?;
            let Some((table, first)) = found else { return Ok(None) };
            (export, end) = (Some(table), first);
        }
        if superblock.fragments.get() > 0 {
            let start = superblock.fragment_table_start.get();
            let table = LookupTable::new::<FragmentEntry>(start, superblock.fragments.get());
            let found = self.indexed("SquashFS fragment table", table, end, false)?;
            let Some((table, first)) = found else { return Ok(None) };
            (fragments, end) = (Some(table), first);
        }
        let inodes = superblock.inode_table_start.get();
        let directories = superblock.directory_table_start.get();
        let place = self.field(offset_of!(SuperBlock, inode_table_start), 16);
        let ordered = data_start <= inodes && inodes < directories && directories <= end;
        if !self.expect(&TABLES, ordered, place, || {
            format!(
                "inodes at {inodes:#x} and directories at {directories:#x}: they must follow each \
                 other from {data_start:#x} to {end:#x}"
            )
        }) {
            return Ok(None);
        }
        self.evaluated(&[&METADATA, &LIMITS]);
        let mut stream = |judge: &mut Self, structure, start, end| {
            judge.stream(&superblock, &mut reader, structure, start, end)
        };
        let inodes = stream(self, INODE_TABLE, inodes, directories)?;
        let directories = stream(self, DIRECTORY_TABLE, directories, end)?;
        let xattrs = match xattrs {
            None => None,
            Some((ids, start, end)) => {
                let values = stream(self, XATTR_TABLE, start, end)?;
                Some(Xattrs { values, ids })
            }
        };
        let tables = Tables { data_start, inodes, directories, fragments, export, ids, xattrs };
        let layout = Layout { superblock, block_size, tables };
        Ok(Some(Fs { layout, reader }))
    }

    /// Whether there is not more than can be judged; `None` where there is nothing.
    fn counts(&mut self, superblock: &SuperBlock) -> Option<bool> {
        let (inodes, fragments) = (superblock.inodes.get(), superblock.fragments.get());
        let place = self.field(offset_of!(SuperBlock, inodes), 4);
        let some = self
            .expect(&INODE_COUNT, inodes > 0, place, || "no inodes, and a root is one".to_owned());
        let few = self.expect(&LIMITS, inodes <= MAX_INODES, place, || {
            format!("{inodes} inodes, and {MAX_INODES} are judged")
        });
        let place = self.field(offset_of!(SuperBlock, fragments), 4);
        let most = MAX_BLOCKS / 2;
        let parts = self.expect(&LIMITS, fragments as usize <= most, place, || {
            format!("{fragments} fragments, and {most} are judged")
        });
        some.then_some(few && parts)
    }

    /// More than can be judged is no fault, but more than there is room for is.
    fn counts_fit(&mut self, superblock: &SuperBlock, mut end: u64) {
        let export = superblock.lookup_table_start.get();
        if export != SuperBlock::NONE {
            let table = LookupTable::new::<U64>(export, superblock.inodes.get());
            self.index_fits("SquashFS export table", &table, end, true);
            end = export.min(end);
        }
        if superblock.fragments.get() > 0 {
            let start = superblock.fragment_table_start.get();
            let table = LookupTable::new::<FragmentEntry>(start, superblock.fragments.get());
            self.index_fits("SquashFS fragment table", &table, end, false);
        }
    }

    /// The table of extended attributes: its index, and where the values start and end. Then where
    /// all that is before them ends.
    #[expect(clippy::type_complexity, reason = "it is taken apart at once")]
    fn xattr_tables(
        &mut self,
        superblock: &SuperBlock,
        end: u64,
    ) -> Result<Option<(Option<(Indexed, u64, u64)>, u64)>, ReadError> {
        const STRUCTURE: &str = "SquashFS xattr id table";
        let start = superblock.xattr_id_table_start.get();
        if start == SuperBlock::NONE {
            return Ok(Some((None, end)));
        }
        let header_len = size_of::<XattrIdTable>() as u64;
        let place = self.field(offset_of!(SuperBlock, xattr_id_table_start), 8);
        let at = start.checked_add(header_len).filter(|at| *at <= end);
        self.expect(&TABLES, at.is_some(), place, || {
            format!("extended attributes at {start:#x}, and the file system ends at {end:#x}")
        });
        let Some(at) = at else { return Ok(None) };
        let bytes = self.region.array::<{ size_of::<XattrIdTable>() }>(STRUCTURE, start)?;
        let header: XattrIdTable = transmute!(bytes);
        let count = header.xattr_ids.get();
        let place = self.place(STRUCTURE, start, header_len);
        let some = self.expect(&TABLES, count > 0, place, || "no entries".to_owned());
        if !some {
            return Ok(None);
        }
        let mut table = LookupTable::new::<XattrId>(at, count);
        let index_len = table.index_len();
        let fits = at.checked_add(index_len) == Some(end);
        if !self.expect(&TABLES, fits, place, || {
            format!(
                "an index of {index_len} bytes at {at:#x}, and the file system ends at {end:#x}"
            )
        }) || !self.expect(&LIMITS, count <= MAX_INODES, place, || {
            format!("{count} entries, and {MAX_INODES} are judged")
        }) {
            return Ok(None);
        }
        let Some(index) = self.index(STRUCTURE, &table, start)? else { return Ok(None) };
        // Blocks lie before the header, which is before the index.
        table.at = at;
        let (values, first) = (header.xattr_table_start.get(), index.first().copied());
        let first = first.unwrap_or(0);
        if !self.expect(&TABLES, values < first, place, || {
            format!("values at {values:#x}, and their entries at {first:#x}, not behind them")
        }) {
            return Ok(None);
        }
        Ok(Some((Some((Indexed { table, index }, values, first)), values)))
    }

    /// A table with an index that ends where the next table starts. Returns where its blocks start.
    fn indexed(
        &mut self,
        structure: &'static str,
        table: LookupTable,
        end: u64,
        exact: bool,
    ) -> Result<Option<(Indexed, u64)>, ReadError> {
        if !self.index_fits(structure, &table, end, exact) {
            return Ok(None);
        }
        let index = self.index(structure, &table, table.at)?;
        Ok(index.map(|index| {
            let first = index.first().copied().unwrap_or(table.at);
            (Indexed { table, index }, first)
        }))
    }

    /// Whether the index of a table is as long as its number of entries needs.
    fn index_fits(
        &mut self,
        structure: &'static str,
        table: &LookupTable,
        end: u64,
        exact: bool,
    ) -> bool {
        let len = table.index_len();
        let place = self.place(structure, table.at.min(self.region.len()), len);
        let some = self
            .expect(&TABLES, table.entries > 0, place, || "no entries, not even one".to_owned());
        let index_end = table.at.checked_add(len);
        let fits = index_end.is_some_and(|at| if exact { at == end } else { at <= end });
        let fits = self.expect(&TABLES, fits, place, || {
            format!(
                "an index of {len} bytes at {:#x}, and what follows it starts at {end:#x}",
                table.at
            )
        });
        some && fits
    }

    /// The index of a table whose blocks lie one after the other before `end`.
    fn index(
        &mut self,
        structure: &'static str,
        table: &LookupTable,
        end: u64,
    ) -> Result<Option<Vec<u64>>, ReadError> {
        let len = table.index_len();
        let bytes = self.region.bytes("SquashFS table index", table.at, len, len)?;
        let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let index: Vec<u64> = words.collect();
        let next = index.iter().skip(1).chain([&end]);
        let wrong = index.iter().zip(next).position(|(at, next)| {
            next.checked_sub(*at)
                .is_none_or(|len| !(MetadataHeader::SIZE..=MAX_STORED).contains(&len))
        });
        let at = table.at + 8 * wrong.unwrap_or(0) as u64;
        let place = self.place(structure, at, 8);
        let holds = self.expect(&TABLES, wrong.is_none(), place, || {
            let wrong = wrong.unwrap_or(0);
            let next = index.get(wrong + 1).copied().unwrap_or(end);
            format!(
                "a block at {:#x}, and the next at {next:#x}: not 3 to {MAX_STORED} bytes behind it",
                index[wrong]
            )
        });
        Ok(holds.then_some(index))
    }

    /// Reads all blocks of a table that has no index.
    fn stream(
        &mut self,
        superblock: &SuperBlock,
        reader: &mut image_formats::squashfs::MetadataReader,
        structure: &'static str,
        start: u64,
        end: u64,
    ) -> Result<Stream, ReadError> {
        let mut stream = Stream { start, end, blocks: Vec::new(), len: 0, whole: true };
        let mut at = start;
        while at < end {
            let place = self.place(structure, at, 0);
            let relative = u32::try_from(at - start).ok();
            let few = relative.filter(|_| stream.blocks.len() < MAX_METADATA_BLOCKS);
            let Some(relative) = few else {
                self.expect(&LIMITS, false, place, || {
                    format!("more than {MAX_METADATA_BLOCKS} blocks, or more than 4 GiB")
                });
                stream.whole = false;
                break;
            };
            let block = match reader.block(at, end) {
                Ok(block) => block,
                Err(error) => {
                    self.unreadable(&METADATA, structure, Whose::Nobody, error)?;
                    stream.whole = false;
                    break;
                }
            };
            stream.blocks.push(relative);
            stream.len += block.data.len() as u64;
            let len = block.data.len();
            if !self.expect(&METADATA, len == METADATA_SIZE || block.next == end, place, || {
                format!("a block of {len} bytes, not {METADATA_SIZE}, and it is not the last one")
            }) {
                stream.whole = false;
            }
            if block.compressed {
                let (flag, what) = match structure {
                    XATTR_TABLE => (SuperBlock::UNCOMPRESSED_XATTRS, "extended attributes"),
                    _ => (SuperBlock::UNCOMPRESSED_INODES, "inodes and directories"),
                };
                self.is_compressed(superblock, flag, what);
            }
            at = block.next;
        }
        Ok(stream)
    }

    /// Reads a block of a table with an index, and takes it for as many entries as it must have.
    /// `None` where it cannot be read.
    pub(super) fn table_block<T: FromBytes>(
        &mut self,
        fs: &mut Fs,
        structure: &'static str,
        indexed: &Indexed,
        number: usize,
    ) -> Result<Option<Vec<T>>, ReadError> {
        let table = &indexed.table;
        let at = indexed.index[number];
        let per_block = table.entries_per_block();
        let entries = per_block.min(table.entries - per_block * number as u32) as usize;
        let need = entries * table.entry_len;
        let next = indexed.index.get(number + 1).copied().unwrap_or(table.at);
        let block = match fs.reader.block(at, next) {
            Ok(block) => block,
            Err(error) => {
                self.unreadable(&METADATA, structure, Whose::Nobody, error)?;
                return Ok(None);
            }
        };
        let len = block.data.len();
        let place = self.place(structure, at, block.next - at);
        if !self.expect(&METADATA, len == need, place, || {
            format!("a block of {len} bytes, and {entries} entries have {need}")
        }) {
            return Ok(None);
        }
        let stored = (block.next - at - MetadataHeader::SIZE) as usize;
        self.expect(&EXPANDED, stored <= need, place, || {
            format!("{stored} bytes, of which {need} come out")
        });
        if block.compressed && structure == ID_TABLE {
            self.is_compressed(&fs.layout.superblock, SuperBlock::UNCOMPRESSED_IDS, "ids");
        }
        let chunks = block.data.chunks_exact(table.entry_len);
        Ok(Some(chunks.filter_map(|chunk| T::read_from_bytes(chunk).ok()).collect()))
    }

    /// The table of owners and groups; `None` where it cannot be read.
    pub(super) fn ids(&mut self, fs: &mut Fs) -> Result<Option<Vec<u32>>, ReadError> {
        let indexed = Indexed {
            table: fs.layout.tables.ids.table,
            index: fs.layout.tables.ids.index.clone(),
        };
        let mut ids = Vec::new();
        for number in 0..indexed.index.len() {
            match self.table_block::<U32>(fs, ID_TABLE, &indexed, number)? {
                Some(block) => ids.extend(block.iter().map(|id| id.get())),
                None => return Ok(None),
            }
        }
        Ok(Some(ids))
    }

    /// The table of fragments, whose blocks are the first that are to be read.
    pub(super) fn fragments(&mut self, fs: &mut Fs) -> Result<Blocks, ReadError> {
        let mut blocks = Blocks::new(fs.layout.superblock.fragments.get());
        let Some(indexed) = fs.layout.tables.fragments.take() else {
            return Ok(blocks);
        };
        let (mut fragment, range) = (0, fs.layout.data());
        for number in 0..indexed.index.len() {
            let Some(entries) =
                self.table_block::<FragmentEntry>(fs, FRAGMENT_TABLE, &indexed, number)?
            else {
                fragment += indexed.table.entries_per_block();
                continue;
            };
            let at = indexed.index[number];
            for entry in entries {
                let (start, size) = (entry.start_block.get(), DataSize(entry.size.get()));
                let place = self.place(FRAGMENT_TABLE, at, 0);
                let len = size.stored_len();
                let end = start.checked_add(len.into());
                let sized = (1..=fs.layout.block_size).contains(&len);
                let inside = range.start <= start && end.is_some_and(|end| end <= range.end);
                if self.expect(&FRAGMENT_ENTRY, sized && inside, place, || {
                    format!(
                        "fragment {fragment} has {len} bytes at {start:#x}: not 1 to {}, or not \
                         between {:#x} and {:#x}",
                        fs.layout.block_size, range.start, range.end
                    )
                }) {
                    blocks.add_fragment(start, size, fragment);
                }
                fragment += 1;
            }
        }
        fs.layout.tables.fragments = Some(indexed);
        Ok(blocks)
    }

    /// Whether the export table leads to each inode.
    pub(super) fn export(&mut self, fs: &mut Fs, inodes: &Inodes) -> Result<(), ReadError> {
        let Some(indexed) = fs.layout.tables.export.take() else { return Ok(()) };
        let mut number = 0_u32;
        for block in 0..indexed.index.len() {
            let Some(entries) = self.table_block::<U64>(fs, EXPORT_TABLE, &indexed, block)? else {
                number += indexed.table.entries_per_block();
                continue;
            };
            let place = self.place(EXPORT_TABLE, indexed.index[block], 0);
            for entry in entries {
                number += 1;
                let MetadataRef { block, offset } = MetadataRef::of(entry.get());
                let found = inodes.at(block, offset).map(|id| inodes.get(id).number);
                self.expect(&EXPORT, found == Some(number), place, || match found {
                    Some(found) => format!("inode {number} is said to be where inode {found} is"),
                    None => format!(
                        "inode {number} is said to be at byte {offset} of block {block:#x}, where \
                         none starts"
                    ),
                });
            }
        }
        fs.layout.tables.export = Some(indexed);
        Ok(())
    }
}

impl Layout {
    /// How many metadata blocks may be read to judge all, and again to open it: real ones need one
    /// or two for each, and some for references to and fro.
    pub(super) fn reads(&self) -> u64 {
        let Tables { inodes, directories, fragments, export, ids, xattrs, .. } = &self.tables;
        let values = xattrs.as_ref().map(|xattrs| &xattrs.values);
        let streams = [Some(inodes), Some(directories), values];
        let xattrs = xattrs.as_ref().map(|xattrs| &xattrs.ids);
        let indexed = [fragments.as_ref(), export.as_ref(), Some(ids), xattrs];
        let blocks = streams.into_iter().flatten().map(|stream| stream.blocks.len());
        let blocks = blocks.chain(indexed.into_iter().flatten().map(|table| table.index.len()));
        8 * blocks.sum::<usize>() as u64 + 100_000
    }

    /// Where data blocks may be.
    pub(super) fn data(&self) -> std::ops::Range<u64> {
        self.tables.data_start..self.tables.inodes.start
    }
}

pub(super) const INODE_TABLE: &str = "SquashFS inode table";
pub(super) const DIRECTORY_TABLE: &str = "SquashFS directory table";
pub(super) const XATTR_TABLE: &str = "SquashFS xattr table";
const FRAGMENT_TABLE: &str = "SquashFS fragment table";
const EXPORT_TABLE: &str = "SquashFS export table";
const ID_TABLE: &str = "SquashFS id table";
