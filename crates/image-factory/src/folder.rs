//! A folder of this machine as a file system: for who compares it with what is in an image.
//!
//! Everything is opened relative to the folder, name by name, and no symlink is followed, so nothing
//! outside of it is read, whatever somebody else does in it meanwhile. There is no recursion, and a
//! tree that is too large is an error.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use image_formats::units::ByteOffset;
use image_host::interrupt;
use image_model::{ImageSpace, Location};
use image_verify::{
    tree::{Kind, MAX_NODES, Metadata, NodeId, Tree, display},
    volume::{ContentReader, Contents, Family, Files, Volume, opening},
};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};

/// A folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The machine failed, or somebody may not read it.
    #[error("cannot read {}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It has more files, or longer names, than are kept.
    #[error("{} has more files than the {MAX_NODES} that are looked at", path.display())]
    TooLarge {
        /// The folder.
        path: PathBuf,
    },
}

/// The folder at `path`, with all that is below it.
pub fn open(path: &Path) -> Result<Volume, FolderError> {
    let cannot = |inside: &[u8], cause: io::Error| {
        let names = inside.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        let path = names.map(display).fold(path.to_owned(), |path, name| path.join(name));
        FolderError::Io { path, cause }
    };
    let files = FolderFiles::new(path).map_err(|cause| cannot(b"", cause))?;
    let mut walk = Walk {
        files: &files,
        tree: Tree::of_volume("folder".to_owned(), 0),
        linked: HashMap::new(),
        waiting: vec![Tree::ROOT],
    };
    let root = rustix::fs::fstat(&files.root).map_err(|cause| cannot(b"", cause.into()))?;
    walk.tree.set_root(metadata(Kind::Directory(BTreeMap::new()), &root, 0));
    // Bounded: a directory comes here when it gets its node.
    while let Some(id) = walk.waiting.pop() {
        if let Err((name, cause)) = walk.directory(id) {
            return Err(cannot(&[&walk.tree.path(id)[..], b"/", &name].concat(), cause));
        }
        if !walk.tree.is_complete() {
            return Err(FolderError::TooLarge { path: path.to_owned() });
        }
    }
    let tree = walk.tree;
    Ok(Volume {
        name: "folder".to_owned(),
        family: Family::Folder,
        format: "folder",
        label: String::new(),
        uuid: String::new(),
        free_bytes: 0,
        free_inodes: None,
        random_seed: None,
        at: Location {
            structure: "folder".into(),
            space: ImageSpace::File,
            offset: 0,
            len: 0,
            path: None,
        },
        tree,
        files: Box::new(files),
    })
}

/// What a file is by its status.
fn metadata(kind: Kind, stat: &Stat, size: u64) -> Metadata {
    Metadata {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: stat.st_mtime,
        size,
        offset: ByteOffset(0),
    }
}

struct Walk<'a> {
    files: &'a FolderFiles,
    tree: Tree,
    /// Files with several names, by device and inode.
    linked: HashMap<(u64, u64), NodeId>,
    /// Directories whose names are to be read.
    waiting: Vec<NodeId>,
}

impl Walk<'_> {
    /// Reads a directory. An error is with the name of what could not be read, if it is not the
    /// directory itself.
    fn directory(&mut self, id: NodeId) -> Result<(), (Vec<u8>, io::Error)> {
        let whole = |cause: io::Error| (Vec::new(), cause);
        let directory = self.files.directory(&self.tree.path(id)).map_err(whole)?;
        let entries = Dir::read_from(&directory).map_err(|cause| whole(cause.into()))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|cause| whole(cause.into()))?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(name.to_vec());
            }
            // What is left out then is told when the tree is full as well.
            if names.len() > MAX_NODES {
                break;
            }
        }
        // Nodes are in the same order, whatever the order of the directory is.
        names.sort_unstable();
        for name in names {
            interrupt::check().map_err(|cause| whole(cause.into()))?;
            if let Err(cause) = self.entry(id, &directory, &name) {
                return Err((name, cause));
            }
        }
        Ok(())
    }

    fn entry(&mut self, parent: NodeId, directory: &OwnedFd, name: &[u8]) -> io::Result<()> {
        let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let inode = (stat.st_dev, stat.st_ino);
        if let Some(known) = self.linked.get(&inode) {
            self.tree.add_name(parent, name, *known);
            return Ok(());
        }
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let (kind, size) = match file_type {
            FileType::Directory => (Kind::Directory(BTreeMap::new()), 0),
            FileType::Symlink => {
                let target = readlinkat(directory, name, Vec::new())?.into_bytes();
                let len = target.len() as u64;
                (Kind::Symlink(target.into()), len)
            }
            FileType::RegularFile => (Kind::File(None), stat.st_size.cast_unsigned()),
            _ => (Kind::Special, 0),
        };
        let added = self.tree.add_child(parent, name, metadata(kind, &stat, size));
        let Some(id) = added else { return Ok(()) };
        if file_type == FileType::Directory {
            self.waiting.push(id);
        } else if stat.st_nlink > 1 {
            self.linked.insert(inode, id);
        }
        Ok(())
    }
}

/// The files of a folder, found again by their paths.
struct FolderFiles {
    root: OwnedFd,
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl FolderFiles {
    fn new(root: &Path) -> io::Result<Self> {
        // The folder itself may be named by a symlink.
        let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
        Ok(Self { root: rustix::fs::open(root, flags, Mode::empty())? })
    }

    /// A directory, by its path in the tree.
    fn directory(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        let mut found = None;
        for name in names {
            let at = found.as_ref().unwrap_or(&self.root);
            found = Some(openat(at, name, DIRECTORY, Mode::empty())?);
        }
        match found {
            Some(directory) => Ok(directory),
            // A second one, whose position is its own.
            None => Ok(openat(&self.root, ".", DIRECTORY, Mode::empty())?),
        }
    }
}

/// Opens a file of a directory, which has so many bytes as when it was listed.
fn open_file(directory: impl AsFd, name: &[u8], size: u64) -> io::Result<Content> {
    // What became a fifo meanwhile does not make us wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !is_file || stat.st_size.cast_unsigned() != size {
        return Err(changed());
    }
    Ok(Content { file: file.into(), left: size })
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "changed while the folder was read")
}

/// The directory of a path, and the name in it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    (&path[..slash], path.get(slash + 1..).unwrap_or_default())
}

impl Files for FolderFiles {
    fn open<'a>(&'a self, tree: &Tree, id: NodeId) -> io::Result<Box<dyn Read + 'a>> {
        let path = tree.path(id);
        let (parent, name) = split(&path);
        Ok(Box::new(open_file(self.directory(parent)?, name, tree.node(id).size)?))
    }

    fn contents(&self) -> &dyn Contents {
        self
    }
}

impl Contents for FolderFiles {
    fn reader(&self) -> Box<dyn ContentReader + '_> {
        opening(self)
    }
}

/// A file that is being read.
struct Content {
    file: File,
    left: u64,
}

impl Read for Content {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        interrupt::check()?;
        if buf.is_empty() {
            return Ok(0);
        }
        let len = self.file.read(buf)?;
        // It became shorter, or longer.
        if len as u64 > self.left || len == 0 && self.left > 0 {
            return Err(changed());
        }
        self.left -= len as u64;
        // Who knows the size does not ask for what follows.
        if len > 0 && self.left == 0 && self.file.read(&mut [0])? > 0 {
            return Err(changed());
        }
        Ok(len)
    }
}
