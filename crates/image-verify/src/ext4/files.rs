//! Contents of files, by `ext4-view`.
//!
//! It is given only what was found sound, because it panics on the nodes of a directory's index
//! whose count is too high, and on a file that is larger than its pointers reach; reads one
//! descriptor after the other into memory, however many the superblock claims; and repeats for ever
//! what it already failed at. It also takes blocks that were never written for content, and shows
//! encrypted content as it is: such files are not opened.

use std::{
    collections::BTreeSet,
    error::Error,
    io::{self, Read},
};

use ext4_view::{Ext4, Ext4Error, Ext4Read, File};
use image_formats::bytes::Region;

use crate::{
    tree::{NodeId, Tree},
    volume::{Files, RegionReader, Trouble},
};

/// How many files may not be opened before none may.
const MAX_OPAQUE: usize = 4096;

/// The paths of the files that `ext4-view` would read wrongly; `None` where there are too many.
pub(super) fn opaque(nodes: &[NodeId], tree: &Tree) -> Option<BTreeSet<Vec<u8>>> {
    let paths: BTreeSet<_> =
        nodes.iter().take(MAX_OPAQUE + 1).map(|node| tree.path(*node)).collect();
    (paths.len() <= MAX_OPAQUE).then_some(paths)
}

/// Opens a file system whose structure is sound. An error is why it cannot be read.
pub(super) fn open(
    region: &Region,
    trouble: &Trouble,
    opaque: Option<BTreeSet<Vec<u8>>>,
) -> Result<impl Files + use<>, String> {
    let opaque = opaque.ok_or_else(|| format!("more than {MAX_OPAQUE} files cannot be read"))?;
    let reader = Reader(RegionReader::new(region.clone(), trouble.clone()));
    let fs = Ext4::load(Box::new(reader)).map_err(|error| error.to_string())?;
    Ok(Opened { fs, opaque })
}

struct Reader(RegionReader);

impl Ext4Read for Reader {
    fn read(
        &mut self,
        start_byte: u64,
        dst: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        Ok(self.0.fill(start_byte, dst)?)
    }
}

struct Opened {
    fs: Ext4,
    opaque: BTreeSet<Vec<u8>>,
}

impl Files for Opened {
    fn open<'a>(&'a self, path: &[u8], _: Option<u64>) -> io::Result<Box<dyn Read + 'a>> {
        if self.opaque.contains(path) {
            let message = "encrypted, or partly allocated and never written";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let file = self.fs.open(path).map_err(io::Error::from)?;
        Ok(Box::new(Content { file, failed: false }))
    }
}

/// A file that is not asked again after it failed.
struct Content {
    file: File,
    failed: bool,
}

impl Read for Content {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.file.read_bytes(buf).map_err(|error: Ext4Error| {
            self.failed = true;
            error.into()
        })
    }
}
