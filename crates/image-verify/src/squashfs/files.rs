//! Contents of files, by their blocks.

use std::{
    collections::HashMap,
    io::{self, Read},
    sync::{Mutex, MutexGuard, PoisonError},
};

use image_formats::{
    bytes::Region,
    squashfs::{
        Body, DataSize, Decoder, Directory, File, Inode, MetadataError, MetadataRef,
        raw::FragmentEntry,
    },
};
use zerocopy::little_endian::U32;

use super::{Fs, volume::names};
use crate::{
    tree::{NodeId, Tree},
    volume::{ContentReader, Contents, Files, Trouble, opening},
};

/// The most bytes of a list whose names are kept.
const MAX_KEPT: u32 = 1 << 20;

/// The names in a directory, each with the place of its inode.
type Names = HashMap<Vec<u8>, MetadataRef>;

/// A file system that was found sound.
pub(super) struct SquashFiles {
    region: Region,
    block_size: u32,
    trouble: Trouble,
    shared: Mutex<Shared>,
}

/// What all open files share.
struct Shared {
    fs: Fs,
    decoder: Decoder,
    /// The last directory, by its path: who reads all files goes through one after the other.
    directory: Option<(Vec<u8>, Names)>,
    /// The last fragment block: tails of files lie side by side.
    fragment: Option<(u32, Vec<u8>)>,
}

impl SquashFiles {
    pub(super) fn new(fs: Fs, trouble: Trouble) -> Self {
        let region = fs.reader.region().clone();
        let decoder = Decoder::new(fs.reader.compressor());
        let block_size = fs.layout.block_size;
        let shared = Mutex::new(Shared { fs, decoder, directory: None, fragment: None });
        Self { region, block_size, trouble, shared }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, error: MetadataError) -> io::Error {
        match error {
            MetadataError::Read(error) => self.trouble.io_error(error),
            other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
        }
    }

    fn find(&self, path: &[u8]) -> io::Result<MetadataRef> {
        let slash = path.iter().rposition(|byte| *byte == b'/').ok_or(io::ErrorKind::NotFound)?;
        let (parent, name) = (&path[..slash], &path[slash + 1..]);
        let found = self.shared().find(parent, name).map_err(|error| self.error(error))?;
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The bytes of a data block, of which there are at most `most`.
    fn block(
        &self,
        decoder: &mut Decoder,
        at: u64,
        size: DataSize,
        most: usize,
    ) -> io::Result<Vec<u8>> {
        let limit = u64::from(self.block_size);
        let bytes = self.region.bytes("SquashFS data block", at, size.stored_len().into(), limit);
        let bytes = bytes.map_err(|error| self.trouble.io_error(error))?;
        if !size.is_compressed() {
            return Ok(bytes);
        }
        let mut block = vec![0; most];
        let len = decoder.decompress(&bytes, &mut block).map_err(io::Error::other)?;
        block.truncate(len);
        Ok(block)
    }

    /// The tail of a file.
    fn tail(&self, number: u32, offset: usize, len: usize) -> io::Result<Vec<u8>> {
        let mut shared = self.shared();
        let Shared { fs, decoder, fragment, .. } = &mut *shared;
        if fragment.as_ref().is_none_or(|(last, _)| *last != number) {
            let table = fs.layout.tables.fragments.as_ref().ok_or(io::ErrorKind::InvalidData)?;
            let entry = table.table.entry::<FragmentEntry>(&mut fs.reader, number);
            let entry = entry.map_err(|error| self.error(error))?;
            let (start, size) = (entry.start_block.get(), DataSize(entry.size.get()));
            let block = self.block(decoder, start, size, self.block_size as usize)?;
            *fragment = Some((number, block));
        }
        let block = fragment.as_ref().map(|(_, block)| &block[..]).unwrap_or_default();
        let tail = block.get(offset..).and_then(|tail| tail.get(..len));
        Ok(tail.ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
    }
}

impl Shared {
    fn find(&mut self, parent: &[u8], name: &[u8]) -> Result<Option<MetadataRef>, MetadataError> {
        if let Some((last, names)) = &self.directory
            && last == parent
        {
            return Ok(names.get(name).copied());
        }
        let mut at = MetadataRef::of(self.fs.layout.superblock.root_inode.get());
        for name in parent.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let Some(directory) = self.list(at)? else { return Ok(None) };
            let Some(found) = self.name(&directory, name)? else { return Ok(None) };
            at = found;
        }
        let Some(directory) = self.list(at)? else { return Ok(None) };
        if directory.list_len() > MAX_KEPT {
            return self.name(&directory, name);
        }
        let Fs { layout, reader } = &mut self.fs;
        let all: Names = names(layout, reader, &directory).collect::<Result<_, _>>()?;
        let found = all.get(name).copied();
        self.directory = Some((parent.to_vec(), all));
        Ok(found)
    }

    fn list(&mut self, place: MetadataRef) -> Result<Option<Directory>, MetadataError> {
        Ok(match self.fs.inode(place)? {
            Some(Inode { body: Body::Directory(directory), .. }) => Some(directory),
            _ => None,
        })
    }

    fn name(
        &mut self,
        directory: &Directory,
        name: &[u8],
    ) -> Result<Option<MetadataRef>, MetadataError> {
        let Fs { layout, reader } = &mut self.fs;
        for found in names(layout, reader, directory) {
            let (other, place) = found?;
            if other == name {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}

impl Files for SquashFiles {
    fn open<'a>(&'a self, tree: &Tree, id: NodeId) -> io::Result<Box<dyn Read + 'a>> {
        let place = self.find(&tree.path(id))?;
        let mut shared = self.shared();
        let Fs { layout, reader } = &mut shared.fs;
        let (start, end) = (layout.tables.inodes.start, layout.tables.inodes.end);
        let mut cursor = reader.cursor(start, end, place);
        let read = Inode::read(&mut cursor).map_err(|error| self.error(error))?;
        let (_, Some(Inode { body: Body::File(file), .. })) = read else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let unread = file.blocks(self.block_size);
        let sizes_at = match unread {
            0 => (0, 0),
            _ => cursor.place().map_err(|error| self.error(error))?,
        };
        Ok(Box::new(Content {
            files: self,
            file,
            sizes: Vec::new(),
            sizes_at,
            unread,
            at: file.start_block,
            left: file.size,
            block: Vec::new(),
            taken: 0,
        }))
    }

    fn contents(&self) -> &dyn Contents {
        self
    }
}

impl Contents for SquashFiles {
    fn reader(&self) -> Box<dyn ContentReader + '_> {
        opening(self)
    }
}

/// How many sizes of blocks are read at once.
const SIZES: u64 = 1024;

/// A file that is being read.
struct Content<'a> {
    files: &'a SquashFiles,
    file: File,
    /// Sizes of the next blocks, the first one at the end.
    sizes: Vec<DataSize>,
    /// Where the sizes are that come after those.
    sizes_at: (u64, u16),
    /// How many there are.
    unread: u64,
    /// Where the next block is.
    at: u64,
    /// Bytes of the file that were not put into `block`.
    left: u64,
    block: Vec<u8>,
    /// Bytes of the block that were read.
    taken: usize,
}

impl Content<'_> {
    /// Reads the next sizes of blocks.
    fn sizes(&mut self) -> Result<(), MetadataError> {
        let mut shared = self.files.shared();
        let Fs { layout, reader } = &mut shared.fs;
        let (block, offset) = self.sizes_at;
        let at = MetadataRef { block: 0, offset };
        let mut cursor = reader.cursor(block, layout.tables.inodes.end, at);
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

    /// Reads the next block.
    fn next(&mut self) -> io::Result<()> {
        if self.sizes.is_empty() && self.unread > 0 {
            self.sizes().map_err(|error| self.files.error(error))?;
        }
        let want = self.left.min(self.files.block_size.into()) as usize;
        let block = match (self.sizes.pop(), self.file.fragment) {
            (Some(size), _) if size.is_sparse() => vec![0; want],
            (Some(size), _) => {
                let decoder = &mut self.files.shared().decoder;
                let block = self.files.block(decoder, self.at, size, want)?;
                self.at = self.at.saturating_add(size.stored_len().into());
                block
            }
            (None, Some(number)) => self.files.tail(number, self.file.offset as usize, want)?,
            (None, None) => Vec::new(),
        };
        if block.len() != want {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= want as u64;
        (self.block, self.taken) = (block, 0);
        Ok(())
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.block.len() {
            if self.left == 0 || buf.is_empty() {
                return Ok(0);
            }
            self.next()?;
        }
        let rest = &self.block[self.taken..];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        self.taken += len;
        Ok(len)
    }
}
