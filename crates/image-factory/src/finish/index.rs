//! What is in an archive, in the order in which it is written again.
//!
//! Only headers are read here. The result is a tree: every path once, every parent there and a
//! directory, every hard link replaced by what it links to. What cannot be made so without losing
//! or inventing something is refused, because a damaged archive must not come out looking good.

use std::{
    fmt,
    io::{self, BufRead},
};

use image_formats::{
    tar::{AnomalyKind, End, Item, Kind, Member, Reader},
    units::ByteOffset,
};
use image_host::interrupt;

/// The longest name of a file, in bytes: `NAME_MAX` of Linux.
const MAX_NAME_LEN: usize = 255;
/// The longest path of a member, with its NUL, in bytes: `PATH_MAX` of Linux.
const MAX_PATH_LEN: usize = 4096;
/// The most names in a path: what a verification takes.
const MAX_DEPTH: usize = 256;
/// How many hard links may link to each other in a row. tar writes one.
const MAX_LINK_HOPS: usize = 16;
/// The most bytes of content, once hard links are files: what a verification reads at most.
const MAX_CONTENT: u64 = 64 << 30;
/// The most members, and bytes of names and attributes in all: both are held in memory. No root
/// file system has so many.
const MAX_MEMBERS: usize = 1 << 21;
const MAX_NAMES_LEN: usize = 256 << 20;
/// How many members are read between two looks at Ctrl-C.
const MEMBERS_PER_CHECK: usize = 1024;

/// Extended attributes that belong to the machine which made the archive. WSL 1 cannot set them,
/// and then the import fails: microsoft/WSL #3592.
const FOREIGN_ATTRIBUTES: [&[u8]; 3] = [b"security.selinux", b"security.ima", b"security.evm"];

/// A path inside the image: components without `.`, joined by NUL, which no component has. So the
/// order of the bytes is the order of the tree: a directory, then all that is in it, then what
/// follows it, as `tar --sort=name` does it. The root is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TreePath(Box<[u8]>);

impl TreePath {
    /// A path as archives write it. A slash at its start is dropped, as all readers of tar do.
    fn parse(path: &[u8]) -> Result<Self, Defect> {
        if path.contains(&0) {
            return Err(Defect::NulInName);
        }
        let components =
            || path.split(|b| *b == b'/').filter(|name| !name.is_empty() && *name != b".");
        if components().any(|name| name == b"..") {
            return Err(Defect::DotDot);
        }
        if let Some(long) = components().map(<[u8]>::len).find(|len| *len > MAX_NAME_LEN) {
            return Err(Defect::NameTooLong { len: long });
        }
        if path.len() >= MAX_PATH_LEN || components().count() > MAX_DEPTH {
            return Err(Defect::PathTooLong { len: path.len() });
        }
        let mut joined = Vec::with_capacity(path.len());
        for (n, name) in components().enumerate() {
            joined.extend((n > 0).then_some(0));
            joined.extend(name);
        }
        Ok(Self(joined.into()))
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path with slashes, without `./`.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = u8> {
        self.0.iter().map(|b| if *b == 0 { b'/' } else { *b })
    }

    fn parent(&self) -> Option<Self> {
        let end = self.0.iter().rposition(|b| *b == 0).unwrap_or(0);
        (!self.is_root()).then(|| Self(self.0[..end].into()))
    }

    /// True if `self` is `other` or lies below it.
    fn starts_with(&self, other: &Self) -> bool {
        other.is_root()
            || self.0.strip_prefix(&*other.0).is_some_and(|rest| matches!(rest, [] | [0, ..]))
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = self.bytes().collect();
        write!(f, "/{}", Shown(&bytes))
    }
}

/// Bytes for people: what is not printable is escaped, and of what is very long the middle is left
/// out.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX: usize = 512;
        let (head, tail) = match self.0.len() {
            0..=MAX => (self.0, None),
            len => (&self.0[..MAX / 2], Some(&self.0[len - MAX / 4..])),
        };
        let mut escape = |bytes: &[u8]| {
            bytes.utf8_chunks().try_for_each(|chunk| {
                for char in chunk.valid().chars() {
                    match char {
                        '\\' => f.write_str("\\\\")?,
                        char if char.is_control() => write!(f, "{}", char.escape_default())?,
                        char => write!(f, "{char}")?,
                    }
                }
                write!(f, "{}", chunk.invalid().escape_ascii())
            })
        };
        escape(head)?;
        if let Some(tail) = tail {
            escape("…".as_bytes())?;
            escape(tail)?;
        }
        Ok(())
    }
}

/// A member as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) path: TreePath,
    /// Where it was read, for messages; the place of what is below it for a directory that had no
    /// member.
    pub(crate) at: ByteOffset,
    pub(crate) mode: u16,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) node: Node,
    /// The pax records that are kept, sorted by key.
    pub(crate) attributes: Box<[Record]>,
}

/// Key and value of a pax record.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Directory,
    /// Its content lies in the input.
    File {
        data: ByteOffset,
        size: u64,
    },
    /// Only until links are resolved.
    HardLink {
        target: TreePath,
        size: u64,
    },
    Symlink {
        target: Box<[u8]>,
    },
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// The members of an archive, sorted, and what was left out of them.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) entries: Vec<Entry>,
    /// Bytes of content in all.
    pub(crate) content: u64,
    /// Bytes of names and attributes in all.
    names_len: usize,
    /// How many members lost attributes of [`FOREIGN_ATTRIBUTES`].
    pub(crate) foreign_attributes: u64,
}

/// Why an archive is not rewritten: what is wrong, with which member, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {defect}, at raw {at}")]
pub struct Refusal {
    /// The path inside the image, absolute and printable.
    pub path: String,
    /// Where it is in the uncompressed bytes.
    pub at: ByteOffset,
    /// What is wrong.
    pub defect: Defect,
}

/// What is wrong with a member so that it cannot be written again as it was meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// The name holds `..`.
    #[error("the name leaves the image through ..")]
    DotDot,
    /// A name or the target of a link holds a NUL byte.
    #[error("the name holds a NUL byte")]
    NulInName,
    /// A component is longer than Linux allows.
    #[error("a part of the name has {len} bytes, more than 255")]
    NameTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The path is longer or deeper than a verification takes.
    #[error("the path has {len} bytes; it may have 4095, and 256 names")]
    PathTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A long name or target that is not UTF-8: no extended header can say it.
    #[error("the {what} is too long for a header and not UTF-8, which pax records must be")]
    NotUtf8 {
        /// Name or target.
        what: &'static str,
    },
    /// The root of the image, `./`, is something else.
    #[error("the root of the image is not a directory")]
    RootNotDirectory,
    /// Two members have the same path, and one of them at least is not a directory.
    #[error("the member comes twice, first at raw {first}")]
    Duplicate {
        /// Where the other one is.
        first: ByteOffset,
    },
    /// The member lies below something that is not a directory.
    #[error("lies below {above}, which is not a directory")]
    BelowNonDirectory {
        /// What it lies below.
        above: String,
    },
    /// A hard link to nothing.
    #[error("hard link to {target}, which is not in the archive")]
    LinkToNothing {
        /// The target.
        target: String,
    },
    /// A hard link to a directory, or to another size than its own.
    #[error("hard link to {target}, {problem}")]
    LinkToOther {
        /// The target.
        target: String,
        /// What does not fit.
        problem: &'static str,
    },
    /// A symbolic link without a target.
    #[error("symbolic link without a target")]
    EmptyLink,
    /// A member that has no content has a size.
    #[error("{kind} with {size} bytes of content")]
    Content {
        /// What it is.
        kind: &'static str,
        /// How many.
        size: u64,
    },
    /// The content is stored without its holes.
    #[error("stored without its holes; make the archive without --sparse")]
    Sparse,
    /// A type that readers do not agree on.
    #[error("type {typeflag:?} is not known", typeflag = char::from(*.0))]
    UnknownType(u8),
    /// A field of the header holds no number.
    #[error("the field {0} holds no number")]
    NoNumber(&'static str),
    /// A number that headers cannot hold.
    #[error("device number beyond 0o7777777")]
    DeviceNumber,
    /// Attributes of a global header.
    #[error("a global header sets {0}")]
    GlobalAttribute(String),
    /// The archive is damaged here.
    #[error("the archive is damaged: {0}")]
    Damaged(&'static str),
    /// The archive is not complete.
    #[error("the archive is not complete: {0}")]
    Incomplete(&'static str),
    /// More members, or longer names, than any root file system has.
    #[error("more than 2097152 members, or more than 256 MiB of names and attributes")]
    TooManyMembers,
    /// The content of all files, hard links included, is more than the limit.
    #[error("with its hard links as files the image has more than 64 GiB of content")]
    TooMuchContent,
}

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    #[error(transparent)]
    Refused(Box<Refusal>),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<interrupt::Interrupted> for IndexError {
    fn from(interrupted: interrupt::Interrupted) -> Self {
        Self::Io(interrupted.into())
    }
}

fn refuse<T>(path: impl fmt::Display, at: ByteOffset, defect: Defect) -> Result<T, IndexError> {
    Err(IndexError::Refused(Box::new(Refusal { path: path.to_string(), at, defect })))
}

impl Index {
    /// Reads the headers of a whole archive.
    pub(crate) fn read(archive: impl BufRead) -> Result<Self, IndexError> {
        let mut reader = Reader::new(archive);
        let mut index = Self::default();
        while let Some(item) = reader.next_item()? {
            match item {
                Item::Member(member) => {
                    if index.entries.len().is_multiple_of(MEMBERS_PER_CHECK) {
                        interrupt::check()?;
                    }
                    index.add(&member)?;
                }
                Item::Global(global) => {
                    if let Some((key, _)) = global.records.iter().find(|(key, _)| is_kept(key)) {
                        let defect = Defect::GlobalAttribute(Shown(key).to_string());
                        return refuse("/", global.offset, defect);
                    }
                }
                // The padding is not written again, so what is in it does not matter.
                Item::Anomaly(anomaly) if anomaly.kind == AnomalyKind::Padding => {}
                Item::Anomaly(anomaly) => {
                    return refuse("/", anomaly.offset, Defect::Damaged(damage(&anomaly.kind)));
                }
                Item::End(end) => complete(&end)?,
            }
        }
        index.order()?;
        index.add_parents()?;
        index.resolve_links()?;
        index.sum()?;
        Ok(index)
    }

    fn add(&mut self, member: &Member) -> Result<(), IndexError> {
        let at = member.header_offset;
        let attributes = self.attributes(&member.pax);
        let records = attributes.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        self.names_len += member.path.len() + member.link.len() + records;
        if self.entries.len() == MAX_MEMBERS || self.names_len > MAX_NAMES_LEN {
            return refuse("/", at, Defect::TooManyMembers);
        }
        match entry(member, attributes) {
            Ok(entry) => self.entries.push(entry),
            Err(defect) => return refuse(format!("/{}", Shown(&member.path)), at, defect),
        }
        Ok(())
    }

    /// The records that say more than a header does. Those that the reader has applied, times and
    /// what programs note for themselves are not among them.
    fn attributes(&mut self, records: &[Record]) -> Box<[Record]> {
        let mut kept: Vec<Record> = Vec::new();
        let mut foreign = false;
        for record in records.iter().filter(|(key, _)| is_kept(key)) {
            if is_foreign(&record.0) {
                foreign = true;
                continue;
            }
            // The last one counts.
            kept.retain(|(key, _)| *key != record.0);
            kept.push(record.clone());
        }
        self.foreign_attributes += u64::from(foreign);
        kept.sort();
        kept.into()
    }

    /// Sorts by path. A directory that comes more than once counts as it comes last, as for every
    /// reader.
    fn order(&mut self) -> Result<(), IndexError> {
        // Stable: members with the same path stay in the order of the archive.
        self.entries.sort_by(|a, b| a.path.cmp(&b.path));
        for pair in self.entries.windows(2) {
            let [a, b] = pair else { continue };
            if a.path == b.path && [a, b].iter().any(|e| e.node != Node::Directory) {
                return refuse(&b.path, b.at, Defect::Duplicate { first: a.at });
            }
        }
        self.entries.dedup_by(|later, earlier| {
            let same = later.path == earlier.path;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Ok(())
    }

    /// Adds the directories that have no member, and the root, and refuses what lies below
    /// anything else.
    fn add_parents(&mut self) -> Result<(), IndexError> {
        let directory = |path: TreePath, at| Entry {
            path,
            at,
            mode: 0o755,
            uid: 0,
            gid: 0,
            node: Node::Directory,
            attributes: Box::default(),
        };
        let mut entries = Vec::with_capacity(self.entries.len() + 1);
        match self.entries.first_mut().filter(|first| first.path.is_root()) {
            Some(root) if root.node != Node::Directory => {
                return refuse(&root.path, root.at, Defect::RootNotDirectory);
            }
            // `/` belongs to root and is open to all, whatever the folder was that the builder
            // used.
            Some(root) => (root.mode, root.uid, root.gid) = (0o755, 0, 0),
            None => entries.push(directory(TreePath::default(), ByteOffset(0))),
        }
        // Indices of the entries that the current path lies below.
        let mut above: Vec<usize> = Vec::from_iter((!entries.is_empty()).then_some(0));
        for entry in self.entries.drain(..) {
            while above.last().is_some_and(|top| !entry.path.starts_with(&entries[*top].path)) {
                above.pop();
            }
            let top: Option<&Entry> = above.last().map(|top| &entries[*top]);
            if let Some(top) = top.filter(|top| top.node != Node::Directory) {
                let above = top.path.to_string();
                return refuse(&entry.path, entry.at, Defect::BelowNonDirectory { above });
            }
            let mut missing = Vec::new();
            let mut parent = entry.path.parent();
            while let Some(path) = parent.filter(|path| top.is_some_and(|top| top.path != *path)) {
                parent = path.parent();
                missing.push(path);
            }
            for path in missing.into_iter().rev() {
                self.names_len += path.0.len();
                if entries.len() >= MAX_MEMBERS || self.names_len > MAX_NAMES_LEN {
                    return refuse(&path, entry.at, Defect::TooManyMembers);
                }
                above.push(entries.len());
                entries.push(directory(path, entry.at));
            }
            above.push(entries.len());
            entries.push(entry);
        }
        self.entries = entries;
        Ok(())
    }

    /// Puts what hard links link to in their place: each becomes a file of its own, whatever their
    /// order was.
    fn resolve_links(&mut self) -> Result<(), IndexError> {
        for n in 0..self.entries.len() {
            let Node::HardLink { target, size } = &self.entries[n].node else { continue };
            let link = &self.entries[n];
            let mut found = None;
            let mut next = target;
            for _ in 0..MAX_LINK_HOPS {
                let Ok(place) = self.entries.binary_search_by(|e| e.path.cmp(next)) else { break };
                match &self.entries[place].node {
                    Node::HardLink { target, .. } if place != n => next = target,
                    Node::HardLink { .. } => break,
                    _ => {
                        found = Some(&self.entries[place]);
                        break;
                    }
                }
            }
            let other = |problem| Defect::LinkToOther { target: next.to_string(), problem };
            let Some(found) = found else {
                let target = next.to_string();
                return refuse(&link.path, link.at, Defect::LinkToNothing { target });
            };
            match &found.node {
                Node::Directory => {
                    return refuse(&link.path, link.at, other("which is a directory"));
                }
                // POSIX lets a link carry the content of its target once more.
                Node::File { size: of_target, .. } if *size == 0 || size == of_target => {}
                _ if *size == 0 => {}
                _ => return refuse(&link.path, link.at, other("which has another size")),
            }
            // One inode has one owner and mode: those of the member with the content.
            let entry = Entry { path: link.path.clone(), at: link.at, ..found.clone() };
            self.entries[n] = entry;
        }
        Ok(())
    }

    fn sum(&mut self) -> Result<(), IndexError> {
        for entry in &self.entries {
            let Node::File { size, .. } = entry.node else { continue };
            self.content = self.content.saturating_add(size);
            if self.content > MAX_CONTENT {
                return refuse(&entry.path, entry.at, Defect::TooMuchContent);
            }
        }
        Ok(())
    }
}

fn entry(member: &Member, attributes: Box<[Record]>) -> Result<Entry, Defect> {
    if let Some(field) = member.unreadable.first() {
        return Err(Defect::NoNumber(field));
    }
    if member.sparse.is_some() {
        return Err(Defect::Sparse);
    }
    let device = || {
        let (major, minor) = member.device.unwrap_or_default();
        let fits = |n: u64| u32::try_from(n).ok().filter(|n| *n <= 0o777_7777);
        fits(major).zip(fits(minor)).ok_or(Defect::DeviceNumber)
    };
    let node = match member.kind {
        Kind::Directory => Node::Directory,
        Kind::File => Node::File { data: member.data_offset, size: member.size },
        Kind::HardLink => {
            Node::HardLink { target: TreePath::parse(&member.link)?, size: member.size }
        }
        Kind::Symlink if member.link.is_empty() => return Err(Defect::EmptyLink),
        Kind::Symlink if member.link.contains(&0) => return Err(Defect::NulInName),
        Kind::Symlink => Node::Symlink { target: member.link.as_slice().into() },
        Kind::CharDevice => device().map(|(major, minor)| Node::CharDevice { major, minor })?,
        Kind::BlockDevice => device().map(|(major, minor)| Node::BlockDevice { major, minor })?,
        Kind::Fifo => Node::Fifo,
        Kind::Other(typeflag) => return Err(Defect::UnknownType(typeflag)),
    };
    if member.size > 0 && !matches!(node, Node::File { .. } | Node::HardLink { .. }) {
        return Err(Defect::Content { kind: member.kind.as_str(), size: member.size });
    }
    Ok(Entry {
        path: TreePath::parse(&member.path)?,
        at: member.header_offset,
        mode: (member.mode & 0o7777) as u16,
        uid: member.uid,
        gid: member.gid,
        node,
        attributes,
    })
}

/// True for records that a reader restores: extended attributes, access lists, file flags.
fn is_kept(key: &[u8]) -> bool {
    const KEPT: [&[u8]; 5] = [
        b"SCHILY.xattr.",
        b"LIBARCHIVE.xattr.",
        b"SCHILY.acl.",
        b"SCHILY.fflags",
        b"RHT.security.selinux",
    ];
    KEPT.iter().any(|prefix| key.starts_with(prefix))
}

fn is_foreign(key: &[u8]) -> bool {
    let name = [&b"SCHILY.xattr."[..], b"LIBARCHIVE.xattr.", b"RHT."]
        .iter()
        .find_map(|prefix| key.strip_prefix(*prefix));
    name.is_some_and(|name| FOREIGN_ATTRIBUTES.contains(&name))
}

fn damage(kind: &AnomalyKind) -> &'static str {
    match kind {
        AnomalyKind::Checksum { .. } => "a header has the wrong checksum",
        AnomalyKind::Size => "a size is no number",
        AnomalyKind::ExtendedTooLong { .. } => "an extended header is longer than 1 MiB",
        AnomalyKind::ExtendedRepeated { .. } => "two extended headers of one type",
        AnomalyKind::PaxRecord => "a record of an extended header cannot be read",
        _ => "it is not as the format says",
    }
}

/// An archive that may have been cut is not complete, even if nothing is known to be missing.
fn complete(end: &End) -> Result<(), IndexError> {
    let at = |offset, defect| refuse("/", offset, Defect::Incomplete(defect));
    match end {
        End { truncated: Some(_), len, .. } => at(ByteOffset(*len), "it ends within a member"),
        End { dangling: Some(offset), .. } => at(*offset, "no member follows an extended header"),
        End { garbage: Some(offset), .. } => at(*offset, "something follows its end"),
        End { zero_blocks: 0..2, offset, .. } => at(*offset, "two zero blocks are missing"),
        _ => Ok(()),
    }
}
