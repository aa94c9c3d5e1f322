//! An archive as a file system: its file tree, and the contents of its files where they lie in the
//! raw bytes.

use std::io::{self, Read};

use image_formats::{
    bytes::{ReadError, Region},
    tar::{Item, Reader, raw::BLOCK},
};

use crate::{
    container::raw_at,
    tree::{MAX_NODES, Node, NodeId, Tree},
    volume::{
        ContentError, ContentReader, Contents, Family, Files, RegionReader, Trouble, Volume,
        Window, file,
    },
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
    Ok(TarFiles::new(region.clone(), Lies::Behind { sparse }).volume(tree, trouble.clone()))
}

/// Contents of the files of an archive.
pub(crate) struct TarFiles {
    region: Region,
    lies: Lies,
    trouble: Trouble,
}

/// Where contents are in a region.
pub(super) enum Lies {
    /// Each behind its header: it is the archive. But for members that are stored without their
    /// holes, by their headers.
    Behind {
        /// In order.
        sparse: Vec<u64>,
    },
    /// Some of them, one after the other: by their headers, where each starts, in order.
    Spooled(Vec<(u64, u64)>),
}

impl TarFiles {
    pub(super) fn new(region: Region, lies: Lies) -> Self {
        Self { region, lies, trouble: Trouble::default() }
    }

    /// The archive as a file system: `tree` was made of the same members.
    pub(crate) fn volume(self, tree: Tree, trouble: Trouble) -> Volume {
        Volume {
            name: "archive".to_owned(),
            family: Family::Tar,
            format: "tar",
            label: String::new(),
            uuid: String::new(),
            free_bytes: 0,
            free_inodes: None,
            random_seed: None,
            at: raw_at("archive", 0, 0),
            tree,
            files: Box::new(Self { trouble, ..self }),
        }
    }

    /// Where the content of a member starts.
    fn start(&self, node: &Node) -> io::Result<u64> {
        let entry = node.offset.ok_or(io::ErrorKind::NotFound)?;
        let unread = |message: &str| io::Error::new(io::ErrorKind::Unsupported, message);
        Ok(match &self.lies {
            Lies::Behind { sparse } if sparse.binary_search(&entry).is_ok() => {
                return Err(unread("stored without its holes"));
            }
            Lies::Behind { .. } => {
                let start = entry.checked_sub(self.region.start().0);
                let start = start.and_then(|start| start.checked_add(BLOCK as u64));
                start.ok_or(io::ErrorKind::NotFound)?
            }
            Lies::Spooled(_) if node.size == 0 => 0,
            Lies::Spooled(starts) => {
                let found = starts.binary_search_by_key(&entry, |(entry, _)| *entry);
                let found = found.ok().and_then(|index| starts.get(index));
                found.ok_or_else(|| unread("not kept while the archive passed"))?.1
            }
        })
    }
}

impl Files for TarFiles {
    fn open<'a>(&'a self, tree: &Tree, id: NodeId) -> io::Result<Box<dyn Read + 'a>> {
        let node = tree.node(id);
        let content = self.region.sub("content of a member", self.start(node)?, node.size);
        let content = content.map_err(|error| self.trouble.io_error(error))?;
        Ok(Box::new(RegionReader::new(content, self.trouble.clone()).stream()))
    }

    fn contents(&self) -> &dyn Contents {
        self
    }
}

impl Contents for TarFiles {
    fn reader(&self) -> Box<dyn ContentReader + '_> {
        let region = RegionReader::new(self.region.clone(), self.trouble.clone());
        Box::new(TarReader { files: self, window: Window::new(region) })
    }
}

/// What one thread reads with.
struct TarReader<'a> {
    files: &'a TarFiles,
    window: Window,
}

impl ContentReader for TarReader<'_> {
    fn read(
        &mut self,
        tree: &Tree,
        id: NodeId,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ContentError> {
        let node = file(tree, id)?;
        let start = self.files.start(node).map_err(ContentError::Broken)?;
        self.window.read(start, node.size, sink).map_err(ContentError::Broken)
    }
}
