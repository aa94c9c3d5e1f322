//! The members of an archive that is all there: an appliance, or a container image. They refer to
//! each other, so they are looked up, and read where they lie.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read},
};

use image_formats::{
    bytes::{ReadError, Region},
    tar::{Anomaly, AnomalyKind, Dialect, End, Item, Kind, Member as Header, Reader},
    units::ByteOffset,
};
use image_model::{Check, Location};

use crate::{
    Recorder,
    container::raw_at,
    names::{self, components, plain},
    volume::{RegionReader, Trouble},
};

/// The most members that are looked at: a container image has some hundreds.
const MAX_MEMBERS: usize = 1 << 16;
/// The most bytes of all names and link targets.
const MAX_NAMES: usize = 16 << 20;
/// How many symbolic links are followed from one member to another.
const MAX_HOPS: usize = 8;

/// What is said of an archive where it is not sound.
pub(crate) struct Checks {
    /// Its headers and its end.
    pub(crate) sound: &'static Check,
    /// The names and types of its members.
    pub(crate) name: &'static Check,
    /// How much is looked at.
    pub(crate) limit: &'static Check,
}

/// A member.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its path, [`plain`].
    pub(crate) path: Vec<u8>,
    /// Its header, counted from the start of the image.
    pub(crate) at: ByteOffset,
    pub(crate) kind: Kind,
    /// The target of a link.
    link: Vec<u8>,
    pub(crate) dialect: Dialect,
    /// Its content, as far as it is there.
    pub(crate) content: Region,
}

impl Member {
    /// Where its header is.
    pub(crate) fn location(&self) -> Location {
        let path = Some(names::show(&self.path));
        Location { path, ..raw_at("tar member", self.at.0, 512) }
    }

    /// Where a part of its content is.
    pub(crate) fn content_at(&self, structure: &'static str, at: u64, len: u64) -> Location {
        let path = Some(names::show(&self.path));
        Location { path, ..raw_at(structure, self.content.absolute(at).0, len) }
    }

    /// Its path as text, for messages.
    pub(crate) fn name(&self) -> String {
        names::show(&self.path).trim_start_matches('/').to_owned()
    }

    /// Its content, some of it at a time.
    pub(crate) fn each(&self, read: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        let trouble = Trouble::default();
        let mut stream = Stream::new(self.content.clone(), &trouble);
        while let Ok(bytes) = stream.fill_buf()
            && !bytes.is_empty()
        {
            read(bytes);
            let len = bytes.len();
            stream.consume(len);
        }
        trouble.take()
    }

    /// Its whole content, where it is not larger than `limit`.
    pub(crate) fn read(&self, limit: u64) -> Result<Vec<u8>, ReadError> {
        self.content.bytes("content of a member", 0, self.content.len(), limit)
    }
}

/// All members, in their order.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) list: Vec<Member>,
    /// Their places in the list, by their paths.
    by_path: BTreeMap<Vec<u8>, usize>,
    /// They are not all that there are.
    pub(crate) cut: bool,
}

impl Members {
    /// Reads the headers of an archive, and judges them. An error is the machine's.
    pub(crate) fn read(
        archive: &Region,
        checks: &Checks,
        out: &mut Recorder,
    ) -> Result<Self, ReadError> {
        let trouble = Trouble::default();
        let mut reader = Reader::new(Stream::new(archive.clone(), &trouble));
        let mut members = Self::default();
        let mut names = 0;
        // What fails here is the machine, which `trouble` knows.
        while let Ok(Some(item)) = reader.next_item() {
            match item {
                Item::Member(header) => {
                    names += header.path.len() + header.link.len();
                    let within = members.list.len() < MAX_MEMBERS && names <= MAX_NAMES;
                    if !out.expect(checks.limit, within, || {
                        let message = "more members than are looked at".to_owned();
                        (
                            raw_at("tar member", archive.absolute(header.header_offset.0).0, 512),
                            message,
                        )
                    }) {
                        members.cut = true;
                        break;
                    }
                    let (at, size) = (header.data_offset.0, header.size);
                    let here = size.min(archive.len().saturating_sub(at));
                    members.add(archive, &header, here, checks, out)?;
                    // What is passed over is not read.
                    reader.consume(usize::try_from(here).unwrap_or(usize::MAX));
                }
                Item::Anomaly(anomaly) => {
                    let at = archive.absolute(anomaly.offset.0).0;
                    let place = raw_at("tar header", at, anomaly.len);
                    out.expect(checks.sound, is_harmless(&anomaly), || (place, told(&anomaly)));
                }
                Item::End(end) => ended(archive, &end, checks, out),
                Item::Global(_) => {}
            }
        }
        drop(reader);
        trouble.take()?;
        Ok(members)
    }

    fn add(
        &mut self,
        archive: &Region,
        header: &Header,
        here: u64,
        checks: &Checks,
        out: &mut Recorder,
    ) -> Result<(), ReadError> {
        let path = plain(&header.path);
        let place = || {
            let path = Some(names::show(&header.path));
            Location {
                path,
                ..raw_at("tar member", archive.absolute(header.header_offset.0).0, 512)
            }
        };
        let start = header.data_offset.0.min(archive.len());
        let content = archive.sub("content of a member", start, here)?;
        let earlier = self.by_path.get(&path).and_then(|at| self.list.get(*at));
        // An image on another one has the layers of both, and may have one of them twice.
        let overwrites = match earlier {
            _ if header.kind == Kind::Directory => false,
            Some(earlier) if header.kind == Kind::File && earlier.kind == Kind::File => {
                !is_same(&earlier.content, &content)?
            }
            earlier => earlier.is_some(),
        };
        let wrong = match header.kind {
            _ if path.is_empty() && header.kind != Kind::Directory => Some("it has no name"),
            _ if header.path.starts_with(b"/") => Some("its name starts with a slash"),
            _ if components(&path).any(|name| name == b"..") => Some("its name has .. in it"),
            _ if path.len() >= names::PATH_MAX => Some("its name is longer than any may be"),
            _ if overwrites => Some("an earlier member has the same name"),
            Kind::File if header.sparse.is_some() => Some("it is stored without its holes"),
            Kind::File | Kind::Directory | Kind::Symlink | Kind::HardLink => None,
            _ => Some("it is no file"),
        };
        out.expect(checks.name, wrong.is_none(), || {
            (place(), wrong.unwrap_or_default().to_owned())
        });
        if path.is_empty() || path.len() >= names::PATH_MAX {
            return Ok(());
        }
        let member = Member {
            at: archive.absolute(header.header_offset.0),
            kind: header.kind,
            link: header.link.clone(),
            dialect: header.dialect,
            content,
            path,
        };
        // The last one of several is what is there in the end.
        self.by_path.insert(member.path.clone(), self.list.len());
        self.list.push(member);
        Ok(())
    }

    /// What is at a path, links followed. It does not leave the archive.
    pub(crate) fn find(&self, path: &[u8]) -> Option<&Member> {
        let mut path = plain(path);
        for _ in 0..MAX_HOPS {
            let member = self.list.get(*self.by_path.get(&path)?)?;
            path = match member.kind {
                Kind::Symlink => {
                    let parent = member.path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                    joined(&member.path[..parent], &member.link)
                }
                Kind::HardLink => plain(&member.link),
                _ => return Some(member),
            };
        }
        None
    }

    /// The regular file at a path, links followed.
    pub(crate) fn find_file(&self, path: &[u8]) -> Option<&Member> {
        self.find(path).filter(|member| member.kind == Kind::File)
    }
}

/// True if the same bytes are in both.
fn is_same(one: &Region, other: &Region) -> Result<bool, ReadError> {
    if one.len() != other.len() {
        return Ok(false);
    }
    let trouble = Trouble::default();
    let mut streams = [one, other].map(|region| Stream::new(region.clone(), &trouble));
    let same = loop {
        // Both are as long, and read as much at once.
        let [one, other] = &mut streams;
        let (Ok(left), Ok(right)) = (one.fill_buf(), other.fill_buf()) else { break false };
        if left != right || left.is_empty() {
            break left == right;
        }
        let len = left.len();
        one.consume(len);
        other.consume(len);
    };
    trouble.take()?;
    Ok(same)
}

/// Where a relative path leads from a folder: not above the archive.
fn joined(folder: &[u8], path: &[u8]) -> Vec<u8> {
    let start = if path.starts_with(b"/") { &b""[..] } else { folder };
    let mut names: Vec<&[u8]> = components(start).collect();
    for name in components(path) {
        if name == b".." {
            names.pop();
        } else {
            names.push(name);
        }
    }
    names.join(&b'/')
}

fn ended(archive: &Region, end: &End, checks: &Checks, out: &mut Recorder) {
    let place = raw_at("end of archive", archive.absolute(end.offset.0).0, 0);
    let wrong = end_of(end);
    out.expect(checks.sound, wrong.is_none(), || (place, wrong.unwrap_or_default()));
}

/// What is wrong with the end of an archive.
pub(crate) fn end_of(end: &End) -> Option<String> {
    let dangling = end.dangling.map(|_| "an extended header without a member".to_owned());
    let truncated = end
        .truncated
        .map(|cut| format!("ends within {}: {} bytes are missing", cut.what.as_str(), cut.missing));
    let short = (end.zero_blocks < 2).then(|| format!("{} zero blocks, not two", end.zero_blocks));
    let garbage = end.garbage.map(|at| format!("something follows the end, from {at} on"));
    truncated.or(dangling).or(short).or(garbage)
}

/// True for what changes nothing of what is read.
pub(crate) fn is_harmless(anomaly: &Anomaly) -> bool {
    anomaly.kind == AnomalyKind::Padding
}

/// What is wrong with some bytes of an archive.
pub(crate) fn told(anomaly: &Anomaly) -> String {
    let what = match anomaly.kind {
        AnomalyKind::Checksum { stored, computed } => {
            let stored = stored.map_or("no number".to_owned(), |sum| sum.to_string());
            format!("the checksum of a header is {stored}, computed {computed}")
        }
        AnomalyKind::Size => "the size of a member is no number".to_owned(),
        AnomalyKind::ExtendedTooLong { size } => {
            format!("an extended header of {size} bytes, not at most 1 MiB")
        }
        AnomalyKind::ExtendedRepeated { .. } => {
            "a second extended header before one member".to_owned()
        }
        AnomalyKind::Padding => "other bytes than zero after a content".to_owned(),
        _ => "a record of an extended header that cannot be read".to_owned(),
    };
    if anomaly.len > 0 { format!("{what}; {} bytes are lost", anomaly.len) } else { what }
}

/// The bytes of a region, one after the other. What is consumed beyond what is buffered is passed
/// over, and not read.
pub(crate) struct Stream {
    reader: RegionReader,
    len: u64,
    at: u64,
    buffer: Vec<u8>,
    start: usize,
}

/// How much is read at once.
const BUFFER: u64 = 64 << 10;

impl Stream {
    /// From the first byte on. What the machine does wrong is noted in `trouble`.
    pub(crate) fn new(region: Region, trouble: &Trouble) -> Self {
        let len = region.len();
        let reader = RegionReader::new(region, trouble.clone());
        Self { reader, len, at: 0, buffer: Vec::new(), start: 0 }
    }
}

impl BufRead for Stream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.buffer.len() {
            let len = BUFFER.min(self.len.saturating_sub(self.at));
            self.buffer.resize(len as usize, 0);
            self.start = 0;
            if let Err(error) = self.reader.fill(self.at, &mut self.buffer) {
                self.buffer.clear();
                return Err(error);
            }
        }
        Ok(&self.buffer[self.start..])
    }

    fn consume(&mut self, len: usize) {
        let within = len.min(self.buffer.len() - self.start);
        self.start += within;
        self.at = self.at.saturating_add(len as u64).min(self.len);
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        crate::stream::read_buffered(self, buf)
    }
}
