//! Contents of files, by their blocks.

use std::{
    io::{self, Read},
    sync::{Mutex, MutexGuard, PoisonError},
};

use image_formats::{
    bytes::{ReadCause, ReadError, Region},
    squashfs::{
        Body, DataSize, Decoder, File, Inode, MetadataError, MetadataReader, MetadataRef,
        raw::FragmentEntry,
    },
};
use zerocopy::little_endian::U32;

use super::{Fs, Layout, volume::Left};
use crate::{
    tree::{Kind, NodeId, Tree},
    volume::{ContentError, ContentReader, Contents, Files, Trouble},
};

/// How many metadata blocks who reads files keeps: there may be many who do.
const KEPT: usize = 32;

/// How many fragment blocks a thread keeps that reads one file after the other: tails lie side by
/// side, but for those that are the same as one before.
const FRAGMENTS: usize = 2;

/// How many blocks of data a thread has in memory that reads one file after the other: the fragment
/// blocks, one as it is in the image, one of a file, and the window of what decompresses them.
const BLOCKS: usize = FRAGMENTS + 3;

/// What else it has: metadata blocks, and what decompresses them.
const READER: usize = 1 << 20;

/// A file system that was found sound.
pub(super) struct SquashFiles {
    region: Region,
    layout: Layout,
    trouble: Trouble,
    /// For each node of the tree, the byte of its inode in the metadata block. The node itself
    /// tells where that is.
    offsets: Vec<u16>,
    /// The memory for who reads.
    left: Left,
    /// What all files read with that are opened alone.
    shared: Mutex<Cache>,
}

/// What files have in common: decompressed blocks, and what decompresses them.
struct Cache {
    reader: MetadataReader,
    decoder: Decoder,
    /// The last fragment blocks, with their numbers: the one that was used last at the end.
    fragments: Vec<(u32, Vec<u8>)>,
    /// How many there may be.
    most_fragments: usize,
    /// The bytes of a block as they are in the image.
    stored: Vec<u8>,
    /// A block of a file.
    block: Vec<u8>,
}

impl Cache {
    fn new(mut reader: MetadataReader, most_fragments: usize) -> Self {
        reader.keep(KEPT);
        reader.allow(u64::MAX);
        let decoder = Decoder::new(reader.compressor());
        let fragments = Vec::new();
        Self { reader, decoder, fragments, most_fragments, stored: Vec::new(), block: Vec::new() }
    }
}

impl SquashFiles {
    /// `offsets`: see there.
    pub(super) fn new(fs: Fs, offsets: Vec<u16>, left: Left, trouble: Trouble) -> Self {
        let Fs { layout, reader } = fs;
        let region = reader.region().clone();
        let shared = Mutex::new(Cache::new(reader, 1));
        Self { region, layout, trouble, offsets, left, shared }
    }

    fn shared(&self) -> MutexGuard<'_, Cache> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, error: MetadataError) -> io::Error {
        match error {
            MetadataError::Read(error) => self.trouble.io_error(error),
            other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
        }
    }

    /// Where the inode of a node is.
    fn place(&self, tree: &Tree, id: NodeId) -> Option<MetadataRef> {
        let offset = *self.offsets.get(id.index())?;
        let start = self.region.absolute(self.layout.tables.inodes.start).0;
        let block = tree.node(id).offset?.checked_sub(start)?;
        Some(MetadataRef { block, offset })
    }

    /// The start of a file.
    fn start(&self, tree: &Tree, id: NodeId, cache: &mut Cache) -> io::Result<Position> {
        let place = self.place(tree, id).ok_or(io::ErrorKind::NotFound)?;
        let (start, end) = (self.layout.tables.inodes.start, self.layout.tables.inodes.end);
        let mut cursor = cache.reader.cursor(start, end, place);
        let read = Inode::read(&mut cursor).map_err(|error| self.error(error))?;
        let (_, Some(Inode { body: Body::File(file), .. })) = read else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let unread = file.blocks(self.layout.block_size);
        let sizes_at = match unread {
            0 => (0, 0),
            _ => cursor.place().map_err(|error| self.error(error))?,
        };
        let (at, left) = (file.start_block, file.size);
        Ok(Position { file, sizes: Vec::new(), sizes_at, unread, at, left })
    }

    /// Decompresses a block into `out`, and returns how many bytes there were.
    fn block(
        &self,
        decoder: &mut Decoder,
        stored: &mut Vec<u8>,
        (at, size): (u64, DataSize),
        out: &mut [u8],
    ) -> io::Result<usize> {
        let (what, len) = ("SquashFS data block", size.stored_len());
        let most = if size.is_compressed() { self.layout.block_size as usize } else { out.len() };
        if len as usize > most {
            let (at, limit) = (self.region.absolute(at), most as u64);
            let cause = ReadCause::OverLimit { limit };
            return Err(self.trouble.io_error(ReadError { what, at, len: len.into(), cause }));
        }
        let read = |buf: &mut [u8]| {
            let read = self.region.fill(what, at, buf);
            read.map_err(|error| self.trouble.io_error(error))
        };
        if !size.is_compressed() {
            read(&mut out[..len as usize])?;
            return Ok(len as usize);
        }
        stored.resize(len as usize, 0);
        read(stored)?;
        decoder.decompress(stored, out).map_err(io::Error::other)
    }

    /// A fragment block.
    fn fragment<'c>(&self, cache: &'c mut Cache, number: u32) -> io::Result<&'c [u8]> {
        let Cache { reader, decoder, fragments, most_fragments, stored, .. } = cache;
        let found = match fragments.iter().position(|(known, _)| *known == number) {
            Some(index) => fragments.remove(index),
            None => {
                let mut block = match fragments.len() < *most_fragments {
                    true => Vec::new(),
                    false => fragments.remove(0).1,
                };
                let table = self.layout.tables.fragments.as_ref();
                let table = &table.ok_or(io::ErrorKind::InvalidData)?.table;
                let entry = table.entry::<FragmentEntry>(reader, number);
                let entry = entry.map_err(|error| self.error(error))?;
                let place = (entry.start_block.get(), DataSize(entry.size.get()));
                block.resize(self.layout.block_size as usize, 0);
                let len = self.block(decoder, stored, place, &mut block)?;
                block.truncate(len);
                (number, block)
            }
        };
        fragments.push(found);
        Ok(fragments.last().map(|(_, block)| &block[..]).unwrap_or_default())
    }
}

/// How many sizes of blocks are read at once.
const SIZES: u64 = 1024;

/// How far a file was read.
struct Position {
    file: File,
    /// Sizes of the next blocks, the first one at the end.
    sizes: Vec<DataSize>,
    /// Where the sizes are that come after those.
    sizes_at: (u64, u16),
    /// How many there are.
    unread: u64,
    /// Where the next block is.
    at: u64,
    /// Bytes of the file that were not given.
    left: u64,
}

impl Position {
    /// Reads the next sizes of blocks.
    fn sizes(&mut self, files: &SquashFiles, cache: &mut Cache) -> Result<(), MetadataError> {
        let (block, offset) = self.sizes_at;
        let at = MetadataRef { block: 0, offset };
        let mut cursor = cache.reader.cursor(block, files.layout.tables.inodes.end, at);
        let count = self.unread.min(SIZES);
        for _ in 0..count {
            self.sizes.push(DataSize(cursor.read::<U32>()?.get()));
        }
        self.sizes.reverse();
        self.unread -= count;
        if self.unread > 0 {
            self.sizes_at = cursor.place()?;
        }
        Ok(())
    }

    /// The next block, or the tail; nothing at the end.
    fn next<'c>(&mut self, files: &SquashFiles, cache: &'c mut Cache) -> io::Result<&'c [u8]> {
        if self.sizes.is_empty() && self.unread > 0 {
            self.sizes(files, cache).map_err(|error| files.error(error))?;
        }
        let block_size = files.layout.block_size;
        let want = self.left.min(block_size.into()) as usize;
        if want == 0 {
            return Ok(&[]);
        }
        self.left -= want as u64;
        let found = match (self.sizes.pop(), self.file.fragment) {
            (Some(size), _) => {
                let Cache { decoder, stored, block, .. } = cache;
                block.resize(block_size as usize, 0);
                let block = &mut block[..want];
                if size.is_sparse() {
                    block.fill(0);
                    return Ok(block);
                }
                let len = files.block(decoder, stored, (self.at, size), block)?;
                self.at = self.at.saturating_add(size.stored_len().into());
                block.get(..want).filter(|_| len == want)
            }
            (None, Some(number)) => {
                let tails = files.fragment(cache, number)?;
                tails.get(self.file.offset as usize..).and_then(|tail| tail.get(..want))
            }
            (None, None) => None,
        };
        found.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Files for SquashFiles {
    fn open<'a>(&'a self, tree: &Tree, id: NodeId) -> io::Result<Box<dyn Read + 'a>> {
        let position = self.start(tree, id, &mut self.shared())?;
        Ok(Box::new(Content { files: self, position, block: Vec::new(), taken: 0 }))
    }

    fn contents(&self) -> &dyn Contents {
        self
    }
}

impl Contents for SquashFiles {
    fn most_readers(&self) -> usize {
        self.left.most(BLOCKS * self.layout.block_size as usize + READER)
    }

    fn reader(&self) -> Box<dyn ContentReader + '_> {
        let compressor = self.shared().reader.compressor();
        let reader = MetadataReader::new(self.region.clone(), Decoder::new(compressor));
        Box::new(Reader { files: self, cache: Cache::new(reader, FRAGMENTS) })
    }
}

/// What one thread reads with.
struct Reader<'a> {
    files: &'a SquashFiles,
    cache: Cache,
}

impl ContentReader for Reader<'_> {
    fn read(
        &mut self,
        tree: &Tree,
        id: NodeId,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ContentError> {
        let Self { files, cache } = self;
        let kind = &tree.node(id).kind;
        if !matches!(kind, Kind::File(_)) {
            return Err(ContentError::NotAFile(kind.as_str()));
        }
        let mut position = files.start(tree, id, cache).map_err(ContentError::Broken)?;
        while position.left > 0 {
            sink(position.next(files, cache).map_err(ContentError::Broken)?);
        }
        Ok(())
    }
}

/// A file that is being read.
struct Content<'a> {
    files: &'a SquashFiles,
    position: Position,
    block: Vec<u8>,
    /// Bytes of the block that were read.
    taken: usize,
}

impl Content<'_> {
    /// Reads the next block. Buffers are not kept for others: there may be many file systems.
    fn next(&mut self) -> io::Result<()> {
        let mut cache = self.files.shared();
        let block = self.position.next(self.files, &mut cache).map(<[u8]>::to_vec);
        (cache.block, cache.stored) = (Vec::new(), Vec::new());
        (self.block, self.taken) = (block?, 0);
        Ok(())
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.block.len() && self.position.left > 0 && !buf.is_empty() {
            self.next()?;
        }
        let rest = &self.block[self.taken..];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        self.taken += len;
        Ok(len)
    }
}
