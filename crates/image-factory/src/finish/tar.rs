//! Writes an archive again: sorted, `./` members, one time, nothing that tells of the machine.
//!
//! The same tree gives the same bytes, in whatever order and dialect it came:
//!
//! - members by path, compared component by component as bytes: a directory, then what is in it;
//! - `./` first, mode 0755, root's; a directory without a member of its own gets 0755, root's;
//! - ustar headers; numeric owners, no names; mtime 1;
//! - a pax header before a member only where ustar cannot say it: long names and targets, ids from
//!   2²¹, 8 GiB and more, extended attributes; never a global one;
//! - hard links as files; times other than mtime left out;
//! - two zero blocks, and zeros up to a record of 20 blocks, as POSIX tar writes.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt as _,
};

use image_formats::units::ByteOffset;
use image_host::interrupt;
use tar::{EntryType, Header};

use super::{
    encode::Encoder,
    index::{Defect, Entry, Index, Node, Record, Refusal},
};

const BLOCK: u64 = 512;
/// POSIX: "the blocking factor […] default 20".
const RECORD: u64 = 20 * BLOCK;
/// Everything has this time. Not 0, which some programs take for "no time".
const MTIME: u64 = 1;
/// Name of all pax headers. Readers that do not know them extract a file of this name.
const PAX_NAME: &[u8] = b"././@PaxHeader";
/// The largest number of an eight-byte field: seven octal digits.
const MAX_ID: u64 = 0o777_7777;
/// The largest size of a ustar header: eleven octal digits.
const MAX_SIZE: u64 = 0o777_7777_7777;

/// Contents up to this size are read together with their neighbors.
const SMALL: u64 = 128 << 10;
/// How much is read at once for small contents that follow each other.
const WINDOW: usize = 256 << 10;
/// How much of a large content is copied between two looks at Ctrl-C.
const STEP: u64 = 8 << 20;

/// Why an archive was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Refused(Box<Refusal>),
    #[error("cannot read the input")]
    Input(#[source] io::Error),
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    #[error(transparent)]
    Interrupted(#[from] interrupt::Interrupted),
}

/// Writes the archive that `index` says, with the contents of `input`. `progress` is told how many
/// bytes of content are done.
pub(crate) fn write(
    index: &Index,
    input: &File,
    out: &mut Encoder,
    progress: &dyn Fn(u64),
) -> Result<(), WriteError> {
    let mut contents = Contents { input, window: Vec::new(), start: 0 };
    let mut written = 0_u64;
    let mut done = 0;
    for entry in &index.entries {
        interrupt::check()?;
        let head = head(entry)?;
        out.write_all(&head).map_err(WriteError::Output)?;
        written += head.len() as u64;
        if let Node::File { data, size } = entry.node {
            contents.copy(data, size, out, &|copied| progress(done + copied))?;
            let padding = size.wrapping_neg() % BLOCK;
            zeros(out, padding).map_err(WriteError::Output)?;
            written += size + padding;
            done += size;
            progress(done);
        }
    }
    zeros(out, with_end(written) - written).map_err(WriteError::Output)
}

/// How many bytes [`write()`] will write.
pub(crate) fn len(index: &Index) -> Result<u64, WriteError> {
    let mut len = 0_u64;
    for entry in &index.entries {
        len += head(entry)?.len() as u64;
        if let Node::File { size, .. } = entry.node {
            len += size.next_multiple_of(BLOCK);
        }
    }
    Ok(with_end(len))
}

/// The length of an archive whose members take `len` bytes.
fn with_end(len: u64) -> u64 {
    (len + 2 * BLOCK).next_multiple_of(RECORD)
}

fn zeros(out: &mut impl Write, len: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(len), out).map(drop)
}

/// The header blocks of a member.
fn head(entry: &Entry) -> Result<Vec<u8>, WriteError> {
    try_head(entry).map_err(|defect| {
        let (path, at) = (entry.path.to_string(), entry.at);
        WriteError::Refused(Box::new(Refusal { path, at, defect }))
    })
}

fn try_head(entry: &Entry) -> Result<Vec<u8>, Defect> {
    // Those of POSIX come first: readers that stumble over a binary value have them by then.
    let mut records: Vec<Record> = Vec::new();
    let mut header = Header::new_ustar();
    header.set_mtime(MTIME);
    header.set_mode(entry.mode.into());

    let mut path = b"./".to_vec();
    path.extend(entry.path.bytes());
    if entry.node == Node::Directory && !entry.path.is_root() {
        path.push(b'/');
    }
    let (prefix, name) = match split(&path) {
        Some(parts) => parts,
        None => {
            records.push(text("path", "name", &path)?);
            // Who does not read the record sees the end of the name.
            (&b""[..], &path[path.len() - 100..])
        }
    };
    let ustar = header.as_ustar_mut().expect("a ustar header");
    ustar.name[..name.len()].copy_from_slice(name);
    ustar.prefix[..prefix.len()].copy_from_slice(prefix);

    let mut number = |key: &str, value: u64, max: u64| {
        if value > max {
            records.push((key.into(), value.to_string().into()));
        }
        value.min(max)
    };
    header.set_uid(number("uid", entry.uid, MAX_ID));
    header.set_gid(number("gid", entry.gid, MAX_ID));
    let size = if let Node::File { size, .. } = entry.node { size } else { 0 };
    header.set_size(number("size", size, MAX_SIZE));
    let typeflag = match &entry.node {
        Node::Directory => EntryType::Directory,
        Node::File { .. } => EntryType::Regular,
        Node::Symlink { target } => {
            let ustar = header.as_ustar_mut().expect("a ustar header");
            let len = target.len().min(ustar.linkname.len());
            ustar.linkname[..len].copy_from_slice(&target[..len]);
            if len < target.len() {
                records.push(text("linkpath", "target", target)?);
            }
            EntryType::Symlink
        }
        Node::CharDevice { major, minor } | Node::BlockDevice { major, minor } => {
            let ustar = header.as_ustar_mut().expect("a ustar header");
            ustar.set_device_major(*major);
            ustar.set_device_minor(*minor);
            match entry.node {
                Node::CharDevice { .. } => EntryType::Char,
                _ => EntryType::Block,
            }
        }
        Node::Fifo => EntryType::Fifo,
        Node::HardLink { .. } => unreachable!("links are resolved before"),
    };
    header.set_entry_type(typeflag);
    header.set_cksum();

    let mut head = Vec::new();
    records.extend_from_slice(&entry.attributes);
    if !records.is_empty() {
        pax(&records, &mut head);
    }
    head.extend(header.as_bytes());
    Ok(head)
}

/// A record whose value POSIX wants to be UTF-8.
fn text(key: &str, what: &'static str, value: &[u8]) -> Result<Record, Defect> {
    match str::from_utf8(value) {
        Ok(_) => Ok((key.into(), value.into())),
        Err(_) => Err(Defect::NotUtf8 { what }),
    }
}

/// Prefix and name of a ustar header: all in the name, or cut at the first slash that leaves at
/// most 100 bytes behind it.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    const NAME: usize = 100;
    const PREFIX: usize = 155;
    if path.len() <= NAME {
        return Some((b"", path));
    }
    let from = path.len() - NAME - 1;
    let slash = from + path[from..path.len() - 1].iter().position(|b| *b == b'/')?;
    (slash <= PREFIX).then(|| (&path[..slash], &path[slash + 1..]))
}

/// A pax extended header, POSIX.1-2017 pax: records of the form `"%d %s=%s\n"`, where the number is
/// the length of the record with the number itself.
fn pax(records: &[Record], head: &mut Vec<u8>) {
    let mut content = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut len = rest;
        // Each digit more makes the record longer, at most twice.
        while rest + len.to_string().len() != len {
            len = rest + len.to_string().len();
        }
        content.extend(len.to_string().bytes());
        content.push(b' ');
        content.extend(key);
        content.push(b'=');
        content.extend(value);
        content.push(b'\n');
    }
    let mut header = Header::new_ustar();
    let ustar = header.as_ustar_mut().expect("a ustar header");
    ustar.name[..PAX_NAME.len()].copy_from_slice(PAX_NAME);
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MTIME);
    header.set_size(content.len() as u64);
    header.set_cksum();
    head.extend(header.as_bytes());
    head.extend(content);
    head.resize(head.len().next_multiple_of(BLOCK as usize), 0);
}

/// The contents of the members, read from where they lie in the input.
struct Contents<'a> {
    input: &'a File,
    /// What was read last, for contents that lie close together.
    window: Vec<u8>,
    start: u64,
}

impl Contents<'_> {
    fn copy(
        &mut self,
        data: ByteOffset,
        size: u64,
        out: &mut Encoder,
        progress: &dyn Fn(u64),
    ) -> Result<(), WriteError> {
        if size <= SMALL {
            let content = self.small(data.0, size as usize).map_err(WriteError::Input)?;
            return out.write_all(content).map_err(WriteError::Output);
        }
        let mut copied = 0;
        while copied < size {
            interrupt::check()?;
            let step = STEP.min(size - copied);
            let mut source = At { file: self.input, at: data.0 + copied, failure: None };
            out.copy(&mut source, step).map_err(|error| match source.failure.take() {
                Some(failure) => WriteError::Input(failure),
                None => WriteError::Output(error),
            })?;
            copied += step;
            progress(copied);
        }
        Ok(())
    }

    fn small(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        let held = at.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        if let Some(skip) = held.filter(|skip| skip + len <= self.window.len()) {
            return Ok(&self.window[skip..skip + len]);
        }
        // Reading ahead serves only an input that is sorted already.
        let near = held.is_some_and(|skip| skip <= self.window.len() + WINDOW);
        self.window.resize(if near { WINDOW } else { len }, 0);
        let mut have = 0;
        while have < len {
            match self.input.read_at(&mut self.window[have..], at + have as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => have += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.window.truncate(have);
        self.start = at;
        Ok(&self.window[..len])
    }
}

/// The input from some byte on. Remembers its own failure, so that it is not taken for one of the
/// output.
struct At<'a> {
    file: &'a File,
    at: u64,
    failure: Option<io::Error>,
}

impl Read for At<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.file.read_at(buf, self.at) {
            Ok(0) if !buf.is_empty() => {
                self.failure = Some(io::ErrorKind::UnexpectedEof.into());
                Ok(0)
            }
            Ok(n) => {
                self.at += n as u64;
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error);
                Err(kind.into())
            }
        }
    }
}
