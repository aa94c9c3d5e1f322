//! A file system in an image: what it says of itself, its file tree, and the contents of its files.
//!
//! Who reads files trusts the structure, so a [`Volume`] is only made where our checks found it safe
//! to follow.

mod window;

use std::{
    fmt,
    io::{self, Read},
    num::NonZero,
    sync::{Arc, Mutex},
    thread,
};

use image_formats::bytes::{ReadCause, ReadError, Region};
use image_model::Location;

use crate::tree::{Kind, Node, NodeId, Tree};
pub(crate) use window::Window;

/// The most bytes of a file that is read as text: larger ones are no configuration.
pub const MAX_TEXT: u64 = 1 << 20;

/// The family of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// FAT12, FAT16 or FAT32. Its names are compared without regard to case.
    Fat,
    /// ext2, ext3 or ext4.
    Ext,
    /// ISO 9660: with the names of Rock Ridge, of Joliet, or its own, in this order.
    Iso9660,
    /// SquashFS 4.0.
    Squashfs,
    /// A tar archive, as it is unpacked.
    Tar,
    /// A folder of a machine.
    Folder,
}

/// A file system whose structure was found to be safe to follow.
pub struct Volume {
    /// What people call it: `partition 2`, or `disk` where there are no partitions.
    pub name: String,
    /// Which family.
    pub family: Family,
    /// Which member of it, as `blkid` prints it: `vfat`, `ext4`.
    pub format: &'static str,
    /// Label, without padding.
    pub label: String,
    /// UUID or serial number, as `blkid` prints it: `44444444-4444-4444-8888-888888888888`,
    /// `2178-694E`.
    pub uuid: String,
    /// Bytes that files and directories could still take.
    pub free_bytes: u64,
    /// Inodes that are free; `None` where there are no inodes.
    pub free_inodes: Option<u64>,
    /// The seed of the hashes of names, as a UUID, where nothing says that somebody chose it.
    pub random_seed: Option<String>,
    /// Where the structure is that says all this.
    pub at: Location,
    /// Its files.
    pub tree: Tree,
    /// Their contents.
    pub files: Box<dyn Files>,
}

/// Contents of files.
pub trait Files {
    /// Opens a regular file of `tree`, which is that of the same volume.
    fn open<'a>(&'a self, tree: &Tree, id: NodeId) -> io::Result<Box<dyn Read + 'a>>;

    /// The bytes of the same file where they lie in the image as they are, without a gap; `None`
    /// where they do not.
    fn region(&self, _tree: &Tree, _id: NodeId) -> Option<Region> {
        None
    }

    /// True where boot loaders compare names without regard to case: those of ISO 9660 itself, and
    /// of Joliet.
    fn ignores_case(&self) -> bool {
        false
    }

    /// The same contents for many threads at once.
    fn contents(&self) -> &dyn Contents;
}

/// Contents of files, for many threads at once: for who reads all of them.
pub trait Contents: Sync {
    /// The most readers that there is memory for at once: one at least.
    fn most_readers(&self) -> usize {
        usize::MAX
    }

    /// A reader for one thread. It keeps what files have in common, such as the last block that
    /// was decompressed, so files are best asked for in the order of the tree.
    fn reader(&self) -> Box<dyn ContentReader + '_>;
}

/// The most threads: each takes some megabytes.
const MAX_THREADS: usize = 16;

/// How many threads read the files of all these volumes.
pub(crate) fn threads<'a>(contents: impl IntoIterator<Item = &'a dyn Contents>) -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let most = contents.into_iter().map(Contents::most_readers);
    most.fold(processors.min(MAX_THREADS), usize::min)
}

/// Reads files of a tree, one after the other.
pub trait ContentReader {
    /// Gives all of a regular file to `sink`, in pieces and in order: as many bytes as its node
    /// says, or an error. These may be far more than the image has, where there are holes: who
    /// reads files that nobody looked at meets a limit first.
    fn read(
        &mut self,
        tree: &Tree,
        id: NodeId,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ContentError>;
}

/// The node of a regular file.
pub(crate) fn file(tree: &Tree, id: NodeId) -> Result<&Node, ContentError> {
    let node = tree.node(id);
    match node.kind {
        Kind::File(_) => Ok(node),
        _ => Err(ContentError::NotAFile(node.kind.as_str())),
    }
}

/// How much of a content is read at once.
const PIECE: usize = 256 << 10;

/// A reader for one thread, where all that files have in common is in `files`.
pub fn opening<'a>(files: &'a (dyn Files + Sync)) -> Box<dyn ContentReader + 'a> {
    Box::new(Opening { files, piece: vec![0; PIECE] })
}

/// Opens one file after the other.
struct Opening<'a> {
    files: &'a (dyn Files + Sync),
    piece: Vec<u8>,
}

impl ContentReader for Opening<'_> {
    fn read(
        &mut self,
        tree: &Tree,
        id: NodeId,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ContentError> {
        let node = file(tree, id)?;
        let mut file = self.files.open(tree, id).map_err(ContentError::Broken)?;
        let mut left = node.size;
        while left > 0 {
            let want = left.min(self.piece.len() as u64) as usize;
            let len = file.read(&mut self.piece[..want]).map_err(ContentError::Broken)?;
            if len == 0 {
                return Err(ContentError::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
            sink(&self.piece[..len]);
            left -= len as u64;
        }
        Ok(())
    }
}

/// A content cannot be read, although the tree says that it is there.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// More than was asked for.
    #[error("{size} bytes, and {limit} are the limit")]
    TooLarge {
        /// Bytes of the file.
        size: u64,
        /// Most that may be read.
        limit: u64,
    },
    /// It is a directory, a device or a symlink.
    #[error("a {}, not a file", .0)]
    NotAFile(&'static str),
    /// Its file system does not lead to all of it.
    #[error("cannot be read")]
    Broken(#[source] io::Error),
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Volume({}, {}, {:?})", self.name, self.format, self.label)
    }
}

impl Volume {
    /// What is at `path`, symlinks followed, in the way that the file system compares names. A path
    /// without a slash before it starts at the root.
    pub fn find(&self, path: &[u8]) -> Option<NodeId> {
        match self.family {
            Family::Ext | Family::Iso9660 | Family::Squashfs | Family::Tar | Family::Folder => {
                self.tree.resolve(path).ok().map(|found| found.node)
            }
            Family::Fat => path
                .split(|byte| *byte == b'/')
                .filter(|name| !matches!(*name, b"" | b"."))
                .try_fold(Tree::ROOT, |directory, name| {
                    let same = |(other, _): &(&[u8], NodeId)| other.eq_ignore_ascii_case(name);
                    self.tree.children(directory).find(same).map(|(_, id)| id)
                }),
        }
    }

    /// The regular file at `path`.
    pub fn find_file(&self, path: &[u8]) -> Option<NodeId> {
        self.find(path).filter(|id| matches!(self.tree.node(*id).kind, Kind::File(_)))
    }

    /// Opens a file.
    pub fn open(&self, id: NodeId) -> Result<Box<dyn Read + '_>, ContentError> {
        let node = self.tree.node(id);
        match &node.kind {
            Kind::File(_) => self.files.open(&self.tree, id).map_err(ContentError::Broken),
            other => Err(ContentError::NotAFile(other.as_str())),
        }
    }

    /// The bytes of a regular file where they lie in the image as they are, without a gap.
    pub fn region(&self, id: NodeId) -> Option<Region> {
        let node = self.tree.node(id);
        matches!(node.kind, Kind::File(_)).then_some(())?;
        self.files.region(&self.tree, id)
    }

    /// The whole content of a file that has at most `limit` bytes.
    pub fn content(&self, id: NodeId, limit: u64) -> Result<Vec<u8>, ContentError> {
        let size = self.tree.node(id).size;
        if size > limit {
            return Err(ContentError::TooLarge { size, limit });
        }
        self.head(id, size)
    }

    /// The first `len` bytes of a file, or all of them where it has fewer.
    pub fn head(&self, id: NodeId, len: u64) -> Result<Vec<u8>, ContentError> {
        let len = len.min(self.tree.node(id).size);
        let mut bytes = Vec::new();
        let mut file = self.open(id)?.take(len);
        file.read_to_end(&mut bytes).map_err(ContentError::Broken)?;
        if bytes.len() as u64 != len {
            let error = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(ContentError::Broken(error));
        }
        Ok(bytes)
    }
}

/// What went wrong with the machine while a file was read: who reads sees only that it failed, and
/// the first reason is kept here.
#[derive(Clone, Debug, Default)]
pub struct Trouble(Arc<Mutex<Option<ReadError>>>);

impl Trouble {
    /// The first failure of the machine.
    pub fn take(&self) -> Result<(), ReadError> {
        let mut first = self.0.lock().unwrap_or_else(|poison| poison.into_inner());
        first.take().map_or(Ok(()), Err)
    }

    /// What who reads is told. What the machine did wrong is noted.
    pub(crate) fn io_error(&self, error: ReadError) -> io::Error {
        if error.is_defect() {
            return io::Error::new(io::ErrorKind::UnexpectedEof, error.to_string());
        }
        let kind = match &error.cause {
            // Whoever reads would try again for ever. The machine did so before it gave up.
            ReadCause::Io(cause) if cause.kind() != io::ErrorKind::Interrupted => cause.kind(),
            _ => io::ErrorKind::Other,
        };
        let mut first = self.0.lock().unwrap_or_else(|poison| poison.into_inner());
        first.get_or_insert(error);
        kind.into()
    }
}

/// Reads a region, and notes what the machine does wrong.
#[derive(Clone, Debug)]
pub struct RegionReader {
    region: Region,
    trouble: Trouble,
}

impl RegionReader {
    /// A reader of all of it.
    pub fn new(region: Region, trouble: Trouble) -> Self {
        Self { region, trouble }
    }

    /// Fills `buf` from `at`.
    pub fn fill(&self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.region.fill("content", at, buf).map_err(|error| self.trouble.io_error(error))
    }

    /// All of it, from its start.
    pub fn stream(self) -> impl Read {
        RegionStream { reader: self, at: 0 }
    }
}

/// Reads a region from its start.
struct RegionStream {
    reader: RegionReader,
    at: u64,
}

impl Read for RegionStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.reader.region.len().saturating_sub(self.at);
        let len = left.min(buf.len() as u64);
        self.reader.fill(self.at, &mut buf[..len as usize])?;
        self.at += len;
        Ok(len as usize)
    }
}

#[cfg(test)]
mod tests {
    use image_formats::bytes::ReadAt;

    use super::*;

    /// Fails in one way.
    struct Failing(io::ErrorKind);

    impl ReadAt for Failing {
        fn len(&self) -> io::Result<u64> {
            Ok(4096)
        }
        fn read_exact_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    /// What failed because somebody interrupted it is not tried again.
    #[test]
    fn failures_of_the_machine_end_the_reading() {
        for kind in [io::ErrorKind::Interrupted, io::ErrorKind::PermissionDenied] {
            let region = Region::whole(Arc::new(Failing(kind))).unwrap();
            let trouble = Trouble::default();
            let mut stream = RegionReader::new(region, trouble.clone()).stream();
            assert!(stream.read_to_end(&mut Vec::new()).is_err());
            assert!(stream.read_exact(&mut [0; 8]).is_err());
            let error = trouble.take().unwrap_err();
            assert!(matches!(error.cause, ReadCause::Io(cause) if cause.kind() == kind));
        }
    }
}
