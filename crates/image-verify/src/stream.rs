//! Carries bytes between threads: bounded, and with buffers that go back to be filled again.
//!
//! Three threads share the work on an image. The first reads and hashes the file, the second takes
//! the compression off, and the caller's own hashes the raw bytes and reads the tar.

use std::{
    io::{self, BufRead, Read, Write},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use sha2::{Digest as _, Sha256};

use crate::{Limits, meter::Meter};

/// Size of a buffer: small enough to stay in a core's cache, large enough to make hand-overs rare.
pub(crate) const CHUNK: usize = 256 << 10;
/// How many full buffers may wait between two threads.
const DEPTH: usize = 4;

/// A buffer on its way.
struct Chunk {
    bytes: Vec<u8>,
    len: usize,
    /// How many bytes of the file were needed to make it.
    file_position: u64,
}

/// A way for bytes from one thread to another.
pub(crate) fn pipe() -> (Sink, Source) {
    let (full, chunks) = sync_channel(DEPTH);
    let (spent, empty) = sync_channel(DEPTH + 2);
    let sink = Sink { full, empty, bytes: vec![0; CHUNK], len: 0, file_position: 0 };
    let source = Source {
        chunks,
        spent,
        bytes: Vec::new(),
        start: 0,
        len: 0,
        position: 0,
        file_position: 0,
    };
    (sink, source)
}

/// The end that bytes go into.
pub(crate) struct Sink {
    full: SyncSender<Chunk>,
    empty: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
    len: usize,
    file_position: u64,
}

/// The other side reads no further.
#[derive(Debug)]
pub(crate) struct Closed;

impl Sink {
    /// Where the next bytes go; never empty.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.len..]
    }

    /// Hands over the first `len` bytes of the space, made of the file up to `file_position`.
    pub(crate) fn written(&mut self, len: usize, file_position: u64) -> Result<(), Closed> {
        self.len += len;
        self.file_position = file_position;
        if self.len == self.bytes.len() { self.flush() } else { Ok(()) }
    }

    /// Sends what is there.
    pub(crate) fn flush(&mut self) -> Result<(), Closed> {
        if self.len == 0 {
            return Ok(());
        }
        let next = self.empty.try_recv().unwrap_or_else(|_| vec![0; CHUNK]);
        let bytes = std::mem::replace(&mut self.bytes, next);
        let chunk = Chunk { bytes, len: self.len, file_position: self.file_position };
        self.len = 0;
        self.full.send(chunk).map_err(|_| Closed)
    }
}

/// The end that bytes come out of. Its reads never fail: a source that failed looks like one that
/// ended, and who reads the file tells the difference.
pub(crate) struct Source {
    chunks: Receiver<Chunk>,
    spent: SyncSender<Vec<u8>>,
    bytes: Vec<u8>,
    start: usize,
    len: usize,
    position: u64,
    file_position: u64,
}

impl Source {
    /// How many bytes came out.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The bytes that are there.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.bytes[self.start..self.len]
    }

    /// Waits for bytes if none are there. False at the end.
    fn refill(&mut self) -> bool {
        if self.start < self.len {
            return true;
        }
        let spent = std::mem::take(&mut self.bytes);
        if !spent.is_empty() {
            // Where the other side has ended nobody needs the buffer.
            let _ = self.spent.try_send(spent);
        }
        let Ok(Chunk { bytes, len, file_position }) = self.chunks.recv() else {
            (self.start, self.len) = (0, 0);
            return false;
        };
        (self.bytes, self.start, self.len) = (bytes, 0, len);
        self.file_position = file_position;
        true
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.refill();
        Ok(self.buffered())
    }

    fn consume(&mut self, len: usize) {
        self.start += len;
        self.position += len as u64;
    }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buf)
    }
}

/// [`Read::read`] in terms of [`BufRead`].
pub(crate) fn read_buffered(source: &mut impl BufRead, buf: &mut [u8]) -> io::Result<usize> {
    let len = source.fill_buf()?.read(buf)?;
    source.consume(len);
    Ok(len)
}

/// The raw bytes of an image, on their way to the tar reader: hashed, copied, counted, limited.
pub(crate) struct RawStream<'s, 'p> {
    source: Source,
    sink: Option<&'s mut dyn Write>,
    meter: &'p Meter<'p>,
    limits: Limits,
    hash: Option<Sha256>,
    /// Length of the raw bytes so far.
    pub(crate) len: u64,
    /// Why the stream was ended before its end.
    pub(crate) over_limit: Option<String>,
}

impl<'s, 'p> RawStream<'s, 'p> {
    /// `hashed`: the digest of the file is not the one of the raw bytes, so they need their own.
    pub(crate) fn new(
        source: Source,
        sink: Option<&'s mut dyn Write>,
        meter: &'p Meter<'p>,
        limits: Limits,
        hashed: bool,
    ) -> Self {
        let hash = hashed.then(Sha256::new);
        Self { source, sink, meter, limits, hash, len: 0, over_limit: None }
    }

    /// The bytes are those of a disk.
    pub(crate) fn is_disk(&mut self) {
        self.limits.unchecked_raw_len = self.limits.unchecked_disk_len;
        // A disk that is not compressed does not expand, however large it is.
        if self.hash.is_none() {
            self.limits.raw_len = u64::MAX;
        }
    }

    /// The digest of the bytes that went by, where they have their own.
    pub(crate) fn digest(&self) -> Option<[u8; 32]> {
        self.hash.clone().map(|hash| hash.finalize().into())
    }

    /// Judges a chunk that just came.
    fn arrived(&mut self) -> io::Result<()> {
        let chunk = &self.source.bytes[..self.source.len];
        let len = self.len + chunk.len() as u64;
        let Limits { raw_len, unchecked_raw_len, ratio, .. } = self.limits;
        let read = self.source.file_position;
        if len > raw_len {
            self.over_limit = Some(format!("more than {raw_len} raw bytes"));
        } else if len > unchecked_raw_len && len / ratio > read {
            self.over_limit = Some(format!("{len} raw bytes from {read}, more than {ratio} to 1"));
        }
        if self.over_limit.is_some() {
            (self.source.start, self.source.len) = (0, 0);
            return Ok(());
        }
        self.len = len;
        if let Some(hash) = &mut self.hash {
            hash.update(chunk);
        }
        if let Some(sink) = &mut self.sink {
            sink.write_all(chunk)?;
        }
        self.meter.read(read, len);
        Ok(())
    }
}

impl BufRead for RawStream<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.over_limit.is_none() && self.source.start == self.source.len && self.source.refill()
        {
            self.arrived()?;
        }
        Ok(self.source.buffered())
    }

    fn consume(&mut self, len: usize) {
        self.source.consume(len);
    }
}

impl Read for RawStream<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buf)
    }
}
