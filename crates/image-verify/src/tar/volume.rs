//! An archive as a file system: its file tree, and the contents of its files where they lie in the
//! raw bytes.

use std::io::{self, Read};

use image_formats::{
    bytes::{ReadError, Region},
    tar::{Item, Reader, raw::BLOCK},
};

use crate::{
    container::raw_at,
    tree::{MAX_NODES, NodeId, Tree},
    volume::{ContentReader, Contents, Family, Files, RegionReader, Trouble, Volume, opening},
};

/// How much of a content is read at once.
const PIECE: usize = 256 << 10;

/// Opens an archive whose raw bytes can be read anywhere. Members that cannot be read are not in
/// it; whether it is sound is the question of others. An error is the machine's.
pub fn open(region: &Region, trouble: &Trouble) -> Result<Volume, ReadError> {
    let mut tree = Tree::default();
    let mut sparse = Vec::new();
    let stream = RegionReader::new(region.clone(), trouble.clone()).stream();
    let mut reader = Reader::new(io::BufReader::with_capacity(PIECE, stream));
    // Whatever fails is the machine, which is told below, or the end.
    while let Ok(Some(item)) = reader.next_item() {
        if let Item::Member(member) = item {
            tree.add(&member);
            if member.sparse.is_some() && sparse.len() < MAX_NODES {
                sparse.push(member.header_offset.0);
            }
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
        files: Box::new(TarFiles { region: region.clone(), sparse, trouble: trouble.clone() }),
    })
}

/// The raw bytes of an archive.
struct TarFiles {
    region: Region,
    /// Headers of members that are stored without their holes.
    sparse: Vec<u64>,
    trouble: Trouble,
}

impl TarFiles {
    /// The content of the member whose header is at `entry`.
    fn content(&self, entry: Option<u64>, len: u64) -> io::Result<Region> {
        let entry = entry.ok_or(io::ErrorKind::NotFound)?;
        if self.sparse.binary_search(&entry).is_ok() {
            let message = "stored without its holes";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let start = entry.checked_sub(self.region.start().0);
        let start = start.and_then(|start| start.checked_add(BLOCK as u64));
        let start = start.ok_or(io::ErrorKind::NotFound)?;
        let content = self.region.sub("content of a member", start, len);
        content.map_err(|error| self.trouble.io_error(error))
    }
}

impl Files for TarFiles {
    fn open<'a>(&'a self, tree: &Tree, id: NodeId) -> io::Result<Box<dyn Read + 'a>> {
        let node = tree.node(id);
        let content = self.content(node.offset, node.size)?;
        Ok(Box::new(RegionReader::new(content, self.trouble.clone()).stream()))
    }

    fn contents(&self) -> &dyn Contents {
        self
    }
}

impl Contents for TarFiles {
    fn reader(&self) -> Box<dyn ContentReader + '_> {
        opening(self)
    }
}
