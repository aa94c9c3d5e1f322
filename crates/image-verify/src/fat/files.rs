//! Contents of files, by their chains. There is no other reader because those in Rust refuse what
//! Linux and firmware read: FAT32 with few clusters, or without FSInfo.

use std::io::{self, Read};

use image_formats::{
    bytes::Region,
    fat::{Cluster, Entry, Geometry, Table, raw::DirEntry},
};
use zerocopy::transmute;

use crate::{
    tree::{NodeId, Tree},
    volume::{ContentReader, Contents, Files, RegionReader, Trouble, opening},
};

/// A volume whose chains were found to have ends.
pub(super) struct FatFiles {
    pub(super) region: Region,
    pub(super) geometry: Geometry,
    /// The first FAT.
    pub(super) fat: Region,
    pub(super) trouble: Trouble,
}

impl Files for FatFiles {
    fn open<'a>(&'a self, tree: &Tree, id: NodeId) -> io::Result<Box<dyn Read + 'a>> {
        let at = tree.node(id).offset.and_then(|entry| entry.checked_sub(self.region.start().0));
        let at = at.ok_or(io::ErrorKind::NotFound)?;
        let bytes = self.region.array::<{ DirEntry::SIZE }>("FAT directory entry", at);
        let entry: DirEntry = transmute!(bytes.map_err(|error| self.trouble.io_error(error))?);
        Ok(Box::new(Content {
            reader: RegionReader::new(self.region.clone(), self.trouble.clone()),
            table: Table::new(self.fat.clone(), &self.geometry),
            files: self,
            cluster: entry.first_cluster(self.geometry.width),
            taken: 0,
            left: entry.file_size.get().into(),
        }))
    }

    fn contents(&self) -> &dyn Contents {
        self
    }
}

impl Contents for FatFiles {
    fn reader(&self) -> Box<dyn ContentReader + '_> {
        opening(self)
    }
}

/// A file that is being read.
struct Content<'a> {
    files: &'a FatFiles,
    reader: RegionReader,
    table: Table,
    cluster: Cluster,
    /// Bytes of the cluster that were read.
    taken: u64,
    /// Bytes of the file that were not.
    left: u64,
}

impl Content<'_> {
    fn next(&mut self, cluster: Cluster) -> io::Result<Option<Cluster>> {
        match self.table.get(cluster).map_err(|error| self.files.trouble.io_error(error))? {
            Entry::Next(next) => Ok(Some(next)),
            Entry::Free | Entry::Bad | Entry::End => Ok(None),
        }
    }
}

impl Read for Content<'_> {
    /// Takes clusters that lie in a row at once.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let size = self.files.geometry.cluster_size;
        let wanted = self.left.min(buf.len() as u64);
        if wanted == 0 {
            return Ok(0);
        }
        if self.taken == size {
            self.cluster = self.next(self.cluster)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.taken = 0;
        }
        let start = self.files.geometry.offset(self.cluster).ok_or(io::ErrorKind::InvalidData)?;
        let start = start + self.taken;
        let mut len = size - self.taken;
        self.taken = size;
        while len < wanted {
            match self.next(self.cluster)? {
                Some(next) if next.0 == self.cluster.0 + 1 => self.cluster = next,
                _ => break,
            }
            len += size;
        }
        // Some of the last cluster may be left for later.
        self.taken -= len.saturating_sub(wanted);
        let len = len.min(wanted);
        self.reader.fill(start, &mut buf[..len as usize])?;
        self.left -= len;
        Ok(len as usize)
    }
}
