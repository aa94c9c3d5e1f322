//! What is in a tree: files, directories, links and devices.

use std::{collections::BTreeMap, sync::Arc};

use image_formats::{bytes::Region, elf, units::ByteOffset};

use super::Tree;

/// A place in a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// Its number: nodes are counted from 0, the root, as they are added.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A file, directory, link or device.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission, set-id and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Modification time in seconds since 1970.
    pub mtime: i64,
    /// Size in bytes.
    pub size: u64,
    /// Header of its member; `None` for a directory that only the names of others imply.
    pub offset: Option<u64>,
    pub(super) parent: NodeId,
    pub(super) name: Arc<[u8]>,
}

impl Node {
    pub(super) fn implied(parent: NodeId, name: Arc<[u8]>) -> Self {
        Self {
            kind: Kind::Directory(BTreeMap::new()),
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            size: 0,
            offset: None,
            parent,
            name,
        }
    }
}

/// What a [`Node`] is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A directory, and what is in it.
    Directory(BTreeMap<Arc<[u8]>, NodeId>),
    /// A regular file; where it is executable, what runs it.
    File(Option<Program>),
    /// A symbolic link: its target.
    Symlink(Box<[u8]>),
    /// A device node or a fifo.
    Special,
}

impl Kind {
    /// The word for people.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::File(_) => "file",
            Self::Symlink(_) => "symlink",
            Self::Special => "device or fifo",
        }
    }
}

/// What runs an executable file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// 64-bit little-endian ELF.
    Elf(elf::Machine),
    /// ELF of another layout: no system that WSL runs on.
    ForeignElf,
    /// `#!`.
    Script,
    /// None of these.
    Unknown,
}

impl Program {
    pub(super) fn of(head: &[u8]) -> Self {
        match elf::Header::from_prefix(head) {
            Some(header) if header.is_elf64_le() => Self::Elf(header.machine()),
            _ if head.starts_with(b"\x7fELF") => Self::ForeignElf,
            _ if head.starts_with(b"#!") => Self::Script,
            _ => Self::Unknown,
        }
    }
}

/// The program that loads the one whose first bytes these are, where they tell.
pub(super) fn interpreter(head: &[u8]) -> Option<Vec<u8>> {
    let header = elf::Header::from_prefix(head).filter(elf::Header::is_elf64_le)?;
    header.interpreter(&Region::from(head.to_vec())).ok()?
}

/// What a file system says of a file.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// What it is; a directory without its children.
    pub kind: Kind,
    /// Permission, set-id and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time in seconds since 1970.
    pub mtime: i64,
    /// Size in bytes.
    pub size: u64,
    /// Absolute offset of the structure that says all this.
    pub offset: ByteOffset,
}

impl From<Metadata> for Node {
    fn from(metadata: Metadata) -> Self {
        let Metadata { kind, mode, uid, gid, mtime, size, offset } = metadata;
        Self {
            kind,
            mode,
            uid: uid.into(),
            gid: gid.into(),
            mtime,
            size,
            offset: Some(offset.0),
            parent: Tree::ROOT,
            name: Arc::from(&b""[..]),
        }
    }
}
