//! What a tar stream is made of.

use super::{pax::PaxRecord, raw::Header};
use crate::units::ByteOffset;

/// What comes next in an archive.
#[derive(Clone, Debug)]
pub enum Item {
    /// A file, directory, link or node. Its content is read from the [`Reader`](super::Reader).
    Member(Box<Member>),
    /// A pax global extended header: it applies to all members that follow.
    Global(Global),
    /// Bytes that are not as the format says. What they cost is told, and reading goes on.
    Anomaly(Anomaly),
    /// The end. Nothing comes after it.
    End(End),
}

/// A member, with long names and pax records applied.
#[derive(Clone, Debug)]
pub struct Member {
    /// First byte of the member: of its extended headers where it has some.
    pub offset: ByteOffset,
    /// Its own header block.
    pub header_offset: ByteOffset,
    /// First byte of its content.
    pub data_offset: ByteOffset,
    /// Length of its content in the archive, in bytes.
    pub size: u64,
    /// The size that the header or a pax record tells. It differs from `size` where the kind has
    /// no content; readers disagree about what follows then.
    pub stored_size: u64,
    /// What it is.
    pub kind: Kind,
    /// Its name, as in the archive.
    pub path: Vec<u8>,
    /// The target of a link, as in the archive.
    pub link: Vec<u8>,
    /// Permission bits, and set-id and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Modification time in seconds since 1970, rounded down.
    pub mtime: i64,
    /// Name of the owner.
    pub uname: Vec<u8>,
    /// Name of the group.
    pub gname: Vec<u8>,
    /// Major and minor number of a device node.
    pub device: Option<(u64, u64)>,
    /// A file stored without its holes.
    pub sparse: Option<Sparse>,
    /// How the header was written.
    pub dialect: Dialect,
    /// The pax records of this member alone, in order, the applied ones included.
    pub pax: Vec<PaxRecord>,
    /// Fields of the header that hold no number, by name. They are taken as zero.
    pub unreadable: Vec<&'static str>,
    /// The header block.
    pub header: Header,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `0`, NUL, `7` and GNU's `S`: a regular file.
    File,
    /// `1`: another name of an earlier member.
    HardLink,
    /// `2`.
    Symlink,
    /// `3`.
    CharDevice,
    /// `4`.
    BlockDevice,
    /// `5`; also a file whose name ends in a slash, as v7 wrote directories.
    Directory,
    /// `6`.
    Fifo,
    /// Any other `typeflag`. Readers take it for a regular file, or pass over it.
    Other(u8),
}

impl Kind {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::HardLink => "hard link",
            Self::Symlink => "symlink",
            Self::CharDevice => "character device",
            Self::BlockDevice => "block device",
            Self::Directory => "directory",
            Self::Fifo => "fifo",
            Self::Other(_) => "unknown type",
        }
    }
}

/// How a header was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// No magic: Unix version 7.
    V7,
    /// POSIX.1-1988.
    Ustar,
    /// GNU tar's own.
    Gnu,
    /// POSIX.1-2001: ustar with an extended header before it.
    Pax,
}

impl Dialect {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V7 => "v7",
            Self::Ustar => "ustar",
            Self::Gnu => "gnu",
            Self::Pax => "pax",
        }
    }
}

/// A file stored without its holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sparse {
    /// True for GNU's typeflag `S`, whose map lies in the header; false for `GNU.sparse.*` pax
    /// records, whose map lies in them (0.x) or in the content (1.0).
    pub in_header: bool,
    /// Size of the file with its holes, in bytes.
    pub real_size: u64,
}

/// A pax global extended header.
#[derive(Clone, Debug)]
pub struct Global {
    /// Its header block.
    pub offset: ByteOffset,
    /// Its records, in order.
    pub records: Vec<PaxRecord>,
}

/// Bytes that are not as the format says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// The first such byte.
    pub offset: ByteOffset,
    /// How many bytes were passed over: from `offset` to the next header.
    pub len: u64,
    /// What is wrong with them.
    pub kind: AnomalyKind,
}

/// What is wrong with some bytes of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnomalyKind {
    /// Where a header is due there is a block whose checksum is another.
    Checksum {
        /// What the block says; `None` where that is no number.
        stored: Option<i64>,
        /// The sum of its bytes.
        computed: u32,
    },
    /// The size of a member is no number or ends beyond 64 bits, so nobody knows where the next
    /// header is.
    Size,
    /// An extended header is longer than [`MAX_EXTENDED_LEN`](super::MAX_EXTENDED_LEN), alone or
    /// with its predecessors.
    ExtendedTooLong {
        /// Its length in bytes.
        size: u64,
    },
    /// A member has two extended headers of the same type. Readers differ in which one counts.
    ExtendedRepeated {
        /// Type of both.
        typeflag: u8,
    },
    /// An extended header, or a number in one, cannot be read. The rest of it is not applied.
    PaxRecord,
    /// The bytes between the end of a content and the next block are not all zero.
    Padding,
}

/// How an archive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The first zero block, or the end of the stream where there is none.
    pub offset: ByteOffset,
    /// How many zero blocks follow in a row, that first one included. The end of an archive is
    /// two; readers stop at the first.
    pub zero_blocks: u64,
    /// The first byte after these blocks that is not zero: lost on all readers.
    pub garbage: Option<ByteOffset>,
    /// Where the stream ended too early.
    pub truncated: Option<Truncated>,
    /// An extended header that no member follows.
    pub dangling: Option<ByteOffset>,
    /// Length of the stream in bytes.
    pub len: u64,
}

/// A structure that the stream ended in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// What ended too early.
    pub what: TruncatedPart,
    /// How many bytes are missing from it.
    pub missing: u64,
}

/// What ended too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TruncatedPart {
    /// A header block.
    Header,
    /// An extended header.
    Extended,
    /// The content of a member, or its padding.
    Content,
}

impl TruncatedPart {
    /// The words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "a header",
            Self::Extended => "an extended header",
            Self::Content => "the content of a member",
        }
    }
}
