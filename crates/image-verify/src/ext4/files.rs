//! Contents of files, by their blocks, as Linux reads them: what was never written is zero.
//!
//! There is no other reader because `ext4-view` panics on structures that the checks let pass only
//! with a word, refuses features that cost a reader nothing, takes blocks that were never written for
//! content, reads a block at a time, and only in one thread. It is the witness in tests.

use std::io::{self, Read};

use image_formats::{
    bytes::{ReadError, Region},
    ext4::{Geometry, Inode, Run},
};

use super::{
    fs::{Fs, Runs},
    volume::inline_data,
};
use crate::{
    tree::{NodeId, Tree},
    volume::{ContentError, ContentReader, Contents, Files, RegionReader, Trouble, Window, file},
};

/// A file system whose structure is sound.
pub(super) struct Ext4Files {
    pub(super) region: Region,
    pub(super) geometry: Geometry,
    pub(super) trouble: Trouble,
}

impl Ext4Files {
    fn error(&self, error: ReadError) -> io::Error {
        self.trouble.io_error(error)
    }

    /// Where the inode of a file is.
    fn place(&self, tree: &Tree, id: NodeId) -> io::Result<u64> {
        let at = tree.node(id).offset.and_then(|at| at.checked_sub(self.region.start().0));
        at.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The content of a file, by the bytes of its inode.
    fn content(&self, inode: &[u8]) -> io::Result<Content<'_>> {
        let Self { region, geometry, .. } = self;
        // The place of an inode is known: nobody asks in which group it is.
        let fs = Fs { region, geometry, groups: &[] };
        let inode = Inode::new(inode);
        if inode.has(Inode::ENCRYPT) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "encrypted"));
        }
        let size = inode.size();
        if inode.has(Inode::INLINE_DATA) {
            let rest = inline_data(&inode).unwrap_or_default();
            let content = [inode.block_area(), rest].concat();
            return Ok(Content::Inline(io::Cursor::new(content).take(size)));
        }
        let runs = fs.each_run(&inode);
        Ok(Content::Blocks(Blocks { files: self, runs, run: None, at: 0, size }))
    }

    fn reader(&self) -> RegionReader {
        RegionReader::new(self.region.clone(), self.trouble.clone())
    }
}

impl Files for Ext4Files {
    fn open<'a>(&'a self, tree: &Tree, id: NodeId) -> io::Result<Box<dyn Read + 'a>> {
        let reader = self.reader();
        let mut inode = vec![0; usize::from(self.geometry.inode_size)];
        reader.fill(self.place(tree, id)?, &mut inode)?;
        Ok(match self.content(&inode)? {
            Content::Inline(content) => Box::new(content),
            Content::Blocks(blocks) => Box::new(BlocksReader { blocks, reader }),
        })
    }

    fn contents(&self) -> &dyn Contents {
        self
    }
}

impl Contents for Ext4Files {
    fn reader(&self) -> Box<dyn ContentReader + '_> {
        let (inodes, blocks) = (Window::new(self.reader()), Window::new(self.reader()));
        Box::new(Reader { files: self, inodes, inode: Vec::new(), blocks })
    }
}

/// What one thread reads with.
struct Reader<'a> {
    files: &'a Ext4Files,
    inodes: Window,
    inode: Vec<u8>,
    blocks: Window,
}

impl Reader<'_> {
    fn give(&mut self, tree: &Tree, id: NodeId, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let Self { files, inodes, inode, blocks } = self;
        inode.clear();
        let len = files.geometry.inode_size.into();
        inodes.read(files.place(tree, id)?, len, &mut |part| inode.extend_from_slice(part))?;
        let mut left = tree.node(id).size;
        match files.content(inode)? {
            Content::Inline(content) => {
                let bytes = content.get_ref().get_ref();
                let len = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                sink(&bytes[..len]);
                left -= len as u64;
            }
            Content::Blocks(mut content) => {
                while left > 0 {
                    let (len, lies) = content.next(left)?;
                    match lies {
                        _ if len == 0 => break,
                        Some(place) => blocks.read(place, len, sink)?,
                        None => zeros(len, sink),
                    }
                    left -= len;
                }
            }
        }
        if left > 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

impl ContentReader for Reader<'_> {
    fn read(
        &mut self,
        tree: &Tree,
        id: NodeId,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ContentError> {
        file(tree, id)?;
        self.give(tree, id, sink).map_err(ContentError::Broken)
    }
}

/// A hole.
fn zeros(mut len: u64, sink: &mut dyn FnMut(&[u8])) {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    while len > 0 {
        let part = len.min(ZEROS.len() as u64);
        sink(&ZEROS[..part as usize]);
        len -= part;
    }
}

/// Where the content of a file is.
enum Content<'a> {
    /// In its inode.
    Inline(io::Take<io::Cursor<Vec<u8>>>),
    Blocks(Blocks<'a>),
}

/// The blocks of a file.
struct Blocks<'a> {
    files: &'a Ext4Files,
    runs: Runs<'a>,
    /// The run that is read now, or that comes after a hole.
    run: Option<Run>,
    /// Bytes that were read.
    at: u64,
    size: u64,
}

impl Blocks<'_> {
    /// Bytes of the file in a number of blocks.
    fn bytes(&self, blocks: u64) -> u64 {
        blocks.saturating_mul(self.files.geometry.block_size.into())
    }

    /// The first byte of a run, and the first behind it.
    fn span(&self, run: &Run) -> (u64, u64) {
        let end = run.logical.saturating_add(run.len.into());
        (self.bytes(run.logical), self.bytes(end))
    }

    /// Passes over as much of a run, or of a hole, as there is of `most` bytes, and tells how much
    /// that is, and where it lies.
    fn next(&mut self, most: u64) -> io::Result<(u64, Option<u64>)> {
        let left = (self.size - self.at).min(most);
        while left > 0 && self.run.is_none_or(|run| self.span(&run).1 <= self.at) {
            self.run = self.runs.next().transpose().map_err(|error| self.files.error(error))?;
            if self.run.is_none() {
                break;
            }
        }
        let hole = self.size - self.at;
        let (hole, lies) = match &self.run {
            None => (hole, None),
            Some(run) => {
                let (start, end) = self.span(run);
                let place = self.files.geometry.offset(run.block);
                match self.at.checked_sub(start) {
                    None => (start - self.at, None),
                    Some(within) => (end - self.at, Some(place.saturating_add(within))),
                }
            }
        };
        let lies = lies.filter(|_| self.run.is_some_and(|run| !run.unwritten));
        let len = left.min(hole);
        self.at += len;
        Ok((len, lies))
    }
}

/// A file that is being read.
struct BlocksReader<'a> {
    blocks: Blocks<'a>,
    reader: RegionReader,
}

impl Read for BlocksReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (len, lies) = self.blocks.next(buf.len() as u64)?;
        let buf = &mut buf[..len as usize];
        match lies {
            Some(place) => self.reader.fill(place, buf)?,
            None => buf.fill(0),
        }
        Ok(len as usize)
    }
}
