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
    volume::{ContentReader, Contents, Files, RegionReader, Trouble, opening},
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
}

impl Files for Ext4Files {
    fn open<'a>(&'a self, tree: &Tree, id: NodeId) -> io::Result<Box<dyn Read + 'a>> {
        let Self { region, geometry, trouble } = self;
        // The place of an inode is known: nobody asks in which group it is.
        let fs = Fs { region, geometry, groups: &[] };
        let at = tree.node(id).offset.and_then(|offset| offset.checked_sub(region.start().0));
        let mut bytes = vec![0; usize::from(geometry.inode_size)];
        let read = region.fill("ext4 inode", at.ok_or(io::ErrorKind::NotFound)?, &mut bytes);
        read.map_err(|error| self.error(error))?;
        let inode = Inode::new(&bytes);
        if inode.has(Inode::ENCRYPT) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "encrypted"));
        }
        let size = inode.size();
        if inode.has(Inode::INLINE_DATA) {
            let rest = inline_data(&inode).unwrap_or_default();
            let content = [inode.block_area(), rest].concat();
            return Ok(Box::new(io::Cursor::new(content).take(size)));
        }
        Ok(Box::new(Content {
            files: self,
            reader: RegionReader::new(region.clone(), trouble.clone()),
            runs: fs.each_run(&inode),
            run: None,
            at: 0,
            size,
        }))
    }

    fn contents(&self) -> &dyn Contents {
        self
    }
}

impl Contents for Ext4Files {
    fn reader(&self) -> Box<dyn ContentReader + '_> {
        opening(self)
    }
}

/// A file that is being read.
struct Content<'a> {
    files: &'a Ext4Files,
    reader: RegionReader,
    runs: Runs<'a>,
    /// The run that is read now, or that comes after a hole.
    run: Option<Run>,
    /// Bytes that were read.
    at: u64,
    size: u64,
}

impl Content<'_> {
    /// Bytes of the file in a number of blocks.
    fn bytes(&self, blocks: u64) -> u64 {
        blocks.saturating_mul(self.files.geometry.block_size.into())
    }

    /// The first byte of a run, and the first behind it.
    fn span(&self, run: &Run) -> (u64, u64) {
        let end = run.logical.saturating_add(run.len.into());
        (self.bytes(run.logical), self.bytes(end))
    }
}

impl Read for Content<'_> {
    /// Takes as much of a run, or of a hole, as there is.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = (self.size - self.at).min(buf.len() as u64);
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
        let buf = &mut buf[..len as usize];
        match lies {
            Some(place) => self.reader.fill(place, buf)?,
            None => buf.fill(0),
        }
        self.at += len;
        Ok(len as usize)
    }
}
