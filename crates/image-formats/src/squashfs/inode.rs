//! Inodes: fourteen types on the disk, of which each second one is a longer form.

use super::{
    Cursor, MetadataError,
    raw::{
        DeviceInode, DirectoryInode, FileInode, InodeHeader, IpcInode, LongDirectoryInode,
        LongFileInode, NO_INDEX, SymlinkInode,
    },
};

/// What an inode is: the seven types of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// A fifo.
    Fifo,
    /// A socket.
    Socket,
}

impl FileType {
    /// Of the type of an inode, in its short or its long form.
    pub fn of_inode(number: u16) -> Option<Self> {
        match number {
            InodeHeader::LONG_DIRECTORY..=InodeHeader::LONG_SOCKET => {
                Self::of_entry(number.wrapping_sub(7))
            }
            _ => Self::of_entry(number),
        }
    }

    /// Of the type that stands in a directory entry.
    pub fn of_entry(number: u16) -> Option<Self> {
        Some(match number {
            InodeHeader::DIRECTORY => Self::Directory,
            InodeHeader::FILE => Self::File,
            InodeHeader::SYMLINK => Self::Symlink,
            InodeHeader::BLOCK_DEVICE => Self::BlockDevice,
            InodeHeader::CHAR_DEVICE => Self::CharDevice,
            InodeHeader::FIFO => Self::Fifo,
            InodeHeader::SOCKET => Self::Socket,
            _ => return None,
        })
    }

    /// The bits of a mode that say this.
    pub fn mode_bits(self) -> u16 {
        match self {
            Self::Directory => 0o040_000,
            Self::File => 0o100_000,
            Self::Symlink => 0o120_000,
            Self::BlockDevice => 0o060_000,
            Self::CharDevice => 0o020_000,
            Self::Fifo => 0o010_000,
            Self::Socket => 0o140_000,
        }
    }

    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::File => "file",
            Self::Symlink => "symlink",
            Self::BlockDevice => "block device",
            Self::CharDevice => "character device",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
        }
    }
}

/// The part of an inode that has a fixed size. Block sizes of a file, the target of a symlink and
/// the index of a directory follow it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inode {
    /// What all have.
    pub header: InodeHeader,
    /// Number of names; of a directory 2, and 1 for each directory in it.
    pub links: u32,
    /// Index of its extended attributes. That of a symlink follows its target.
    pub xattr: Option<u32>,
    /// What only some have.
    pub body: Body,
}

/// What an inode has beside what all have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body {
    /// A directory.
    Directory(Directory),
    /// A regular file.
    File(File),
    /// A symlink.
    Symlink {
        /// Bytes of the target, which follows.
        len: u32,
        /// An index of extended attributes follows the target.
        long: bool,
    },
    /// A device.
    Device {
        /// Its type.
        file_type: FileType,
        /// Its number.
        rdev: u32,
    },
    /// A fifo or a socket.
    Ipc(FileType),
}

/// What a directory has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Directory {
    /// Where its list starts: the block, from the start of the table.
    pub start_block: u32,
    /// Where its list starts: the byte of the block.
    pub offset: u16,
    /// Bytes of the list, and 3 more.
    pub size: u32,
    /// Number of the inode of its parent.
    pub parent: u32,
    /// How many index entries follow.
    pub indexes: u16,
}

impl Directory {
    /// Bytes of its list.
    pub fn list_len(&self) -> u32 {
        self.size.saturating_sub(DirectoryInode::EMPTY)
    }
}

/// What a regular file has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct File {
    /// Where its first data block is.
    pub start_block: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes that are in no block because they are zero.
    pub sparse: u64,
    /// The fragment block with its tail.
    pub fragment: Option<u32>,
    /// Where in the fragment block the tail is.
    pub offset: u32,
}

impl File {
    /// Number of data blocks, for each of which a size follows the inode.
    pub fn blocks(&self, block_size: u32) -> u64 {
        let size = u64::from(block_size.max(1));
        match self.fragment {
            Some(_) => self.size.checked_div(size).unwrap_or(0),
            None => self.size.div_ceil(size),
        }
    }

    /// Bytes of the tail that is in a fragment block.
    pub fn tail_len(&self, block_size: u32) -> u64 {
        self.fragment.and(self.size.checked_rem(u64::from(block_size))).unwrap_or(0)
    }
}

impl Inode {
    /// Reads the fixed part. `None` where the type is none that there is: nobody knows where the
    /// next inode starts.
    pub fn read(cursor: &mut Cursor<'_>) -> Result<(InodeHeader, Option<Self>), MetadataError> {
        let header: InodeHeader = cursor.read()?;
        let Some(file_type) = FileType::of_inode(header.inode_type.get()) else {
            return Ok((header, None));
        };
        let long = header.inode_type.get() >= InodeHeader::LONG_DIRECTORY;
        let (links, xattr, body) = match (file_type, long) {
            (FileType::Directory, false) => {
                let raw: DirectoryInode = cursor.read()?;
                let directory = Directory {
                    start_block: raw.start_block.get(),
                    offset: raw.offset.get(),
                    size: raw.file_size.get().into(),
                    parent: raw.parent_inode.get(),
                    indexes: 0,
                };
                (raw.nlink.get(), None, Body::Directory(directory))
            }
            (FileType::Directory, true) => {
                let raw: LongDirectoryInode = cursor.read()?;
                let directory = Directory {
                    start_block: raw.start_block.get(),
                    offset: raw.offset.get(),
                    size: raw.file_size.get(),
                    parent: raw.parent_inode.get(),
                    indexes: raw.i_count.get(),
                };
                (raw.nlink.get(), index(raw.xattr.get()), Body::Directory(directory))
            }
            (FileType::File, false) => {
                let raw: FileInode = cursor.read()?;
                let file = File {
                    start_block: raw.start_block.get().into(),
                    size: raw.file_size.get().into(),
                    sparse: 0,
                    fragment: index(raw.fragment.get()),
                    offset: raw.offset.get(),
                };
                (1, None, Body::File(file))
            }
            (FileType::File, true) => {
                let raw: LongFileInode = cursor.read()?;
                let file = File {
                    start_block: raw.start_block.get(),
                    size: raw.file_size.get(),
                    sparse: raw.sparse.get(),
                    fragment: index(raw.fragment.get()),
                    offset: raw.offset.get(),
                };
                (raw.nlink.get(), index(raw.xattr.get()), Body::File(file))
            }
            (FileType::Symlink, long) => {
                let raw: SymlinkInode = cursor.read()?;
                (raw.nlink.get(), None, Body::Symlink { len: raw.symlink_size.get(), long })
            }
            (FileType::BlockDevice | FileType::CharDevice, long) => {
                let raw: DeviceInode = cursor.read()?;
                let xattr = long_index(cursor, long)?;
                (raw.nlink.get(), xattr, Body::Device { file_type, rdev: raw.rdev.get() })
            }
            (FileType::Fifo | FileType::Socket, long) => {
                let raw: IpcInode = cursor.read()?;
                let xattr = long_index(cursor, long)?;
                (raw.nlink.get(), xattr, Body::Ipc(file_type))
            }
        };
        Ok((header, Some(Self { header, links, xattr, body })))
    }

    /// What it is.
    pub fn file_type(&self) -> FileType {
        match self.body {
            Body::Directory(_) => FileType::Directory,
            Body::File(_) => FileType::File,
            Body::Symlink { .. } => FileType::Symlink,
            Body::Device { file_type, .. } | Body::Ipc(file_type) => file_type,
        }
    }
}

fn long_index(cursor: &mut Cursor<'_>, long: bool) -> Result<Option<u32>, MetadataError> {
    if !long {
        return Ok(None);
    }
    let mut bytes = [0; 4];
    cursor.fill(&mut bytes)?;
    Ok(index(u32::from_le_bytes(bytes)))
}

/// An index, where there is one.
pub(super) fn index(number: u32) -> Option<u32> {
    (number != NO_INDEX).then_some(number)
}
