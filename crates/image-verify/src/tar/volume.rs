//! An archive as a file system: its file tree, and the contents of its files where they lie in the
//! raw bytes.

use std::io::{self, Read};

use image_formats::{
    bytes::{ReadError, Region},
    tar::{Item, Reader, raw::BLOCK},
};

use crate::{
    container::raw_at,
    tree::{NodeId, Tree},
    volume::{ContentError, ContentReader, Contents, Family, Files, RegionReader, Trouble, Volume},
};

/// How much of a content is read at once.
const PIECE: usize = 256 << 10;

/// Opens an archive whose raw bytes can be read anywhere. Members that cannot be read are not in
/// it; whether it is sound is the question of others. An error is the machine's.
pub fn open(region: &Region, trouble: &Trouble) -> Result<Volume, ReadError> {
    let mut tree = Tree::default();
    let stream = RegionReader::new(region.clone(), trouble.clone()).stream();
    let mut reader = Reader::new(io::BufReader::with_capacity(PIECE, stream));
    // Whatever fails is the machine, which is told below, or the end.
    while let Ok(Some(item)) = reader.next_item() {
        if let Item::Member(member) = item {
            tree.add(&member);
        }
    }
    drop(reader);
    trouble.take()?;
    Ok(Volume {
        name: "archive".to_owned(),
        family: Family::Tar,
        format: "tar",
        label: String::new(),
        uuid: String::new(),
        free_bytes: 0,
        free_inodes: None,
        random_seed: None,
        at: raw_at("archive", 0, region.len()),
        tree,
        files: Box::new(TarFiles { region: region.clone(), trouble: trouble.clone() }),
    })
}

/// The raw bytes of an archive.
struct TarFiles {
    region: Region,
    trouble: Trouble,
}

impl TarFiles {
    /// The content of the member whose header is at `entry`, as far as there are bytes.
    fn content(&self, entry: Option<u64>) -> io::Result<Region> {
        let start = entry.and_then(|entry| entry.checked_sub(self.region.start().0));
        let start = start.and_then(|start| start.checked_add(BLOCK as u64));
        let start = start.ok_or(io::ErrorKind::NotFound)?;
        let len = self.region.len().saturating_sub(start);
        let content = self.region.sub("content of a member", start, len);
        content.map_err(|error| self.trouble.io_error(error))
    }
}

impl Files for TarFiles {
    fn open<'a>(&'a self, _: &[u8], entry: Option<u64>) -> io::Result<Box<dyn Read + 'a>> {
        Ok(Box::new(RegionReader::new(self.content(entry)?, self.trouble.clone()).stream()))
    }

    fn contents(&self) -> Option<&dyn Contents> {
        Some(self)
    }
}

impl Contents for TarFiles {
    fn reader(&self) -> Box<dyn ContentReader + '_> {
        Box::new(TarReader { files: self, piece: vec![0; PIECE] })
    }
}

/// What one thread reads with.
struct TarReader<'a> {
    files: &'a TarFiles,
    piece: Vec<u8>,
}

impl ContentReader for TarReader<'_> {
    fn read(
        &mut self,
        tree: &Tree,
        id: NodeId,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ContentError> {
        let Self { files, piece } = self;
        let node = tree.node(id);
        let read = files.content(node.offset).and_then(|content| {
            let content = RegionReader::new(content, files.trouble.clone());
            let (mut at, mut left) = (0, node.size);
            while left > 0 {
                let len = left.min(piece.len() as u64);
                let piece = &mut piece[..len as usize];
                content.fill(at, piece)?;
                sink(piece);
                (at, left) = (at + len, left - len);
            }
            Ok(())
        });
        read.map_err(ContentError::Broken)
    }
}
