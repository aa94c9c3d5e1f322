//! Writes gzip, RFC 1952: one member, on many cores, the same bytes for any number of them.
//!
//! The data is cut into chunks of a fixed size. Each is compressed alone by libdeflate, its stream
//! is opened at the end ([`deflate::reopen`]), and the streams follow each other in order. Nothing
//! in the file depends on the number of workers, on how the data was handed over, or on time.
//!
//! ```text
//! front ──chunk──► worker ─┐
//!   │  └───chunk──► worker ─┤ results, awaited in order of the chunks
//!   └──one slot a chunk────► collector: hashes, writes, hands the buffers back
//! ```

use std::{
    io::{self, Read, Write},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
};

use image_model::{Digests, Sha256};
use libdeflater::{CompressionLvl, Compressor};
use sha2::Digest as _;

use super::deflate;

/// Bytes of data in a chunk. Changing it changes the bytes of every artifact.
///
/// Measured on 445 MB of programs at level 5: chunks of 512 KiB give 144.35 MB, 1 MiB 144.10, 2 MiB
/// 143.98, 4 MiB 143.92, and pigz -6 gives 144.12, all at the same speed.
const CHUNK: usize = 2 << 20;

/// More workers than this outrun the hashing of the data, and levels 10 to 12 take 9 MiB for each.
const MAX_WORKERS: usize = 16;

/// Chunks on their way, beyond one for each worker.
const SPARE_CHUNKS: usize = 3;

/// ID1, ID2, CM 8, no flags, MTIME 0: "no time stamp is available", RFC 1952 §2.3.1.
const HEADER_START: [u8; 8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0];
/// OS 255: unknown.
const OS_UNKNOWN: u8 = 255;

/// A stream of data on its way to become a gzip file. [`finish`](Self::finish) completes it;
/// dropped before that, it leaves a torn output, and no threads.
#[derive(Debug)]
pub(super) struct GzipWriter<W> {
    chunk: Vec<u8>,
    /// None once nothing can follow.
    pipe: Option<Pipe>,
    /// Empty buffers that come back.
    buffers: Receiver<Vec<u8>>,
    in_flight: usize,
    limit: usize,
    workers: Vec<JoinHandle<()>>,
    collector: Option<JoinHandle<io::Result<Finished<W>>>>,
}

/// What became of a stream of data.
#[derive(Debug)]
pub(super) struct Finished<W> {
    /// Where the file went.
    pub output: W,
    /// The file.
    pub compressed: Digests,
    /// The data.
    pub raw: Digests,
}

/// Both go together: a chunk to the workers, and its slot to the collector.
#[derive(Debug)]
struct Pipe {
    jobs: SyncSender<Job>,
    slots: SyncSender<Slot>,
}

#[derive(Debug)]
struct Job {
    data: Vec<u8>,
    result: Sender<io::Result<Packed>>,
}

/// What the collector waits for next.
#[derive(Debug)]
enum Slot {
    Chunk(Receiver<io::Result<Packed>>),
    /// The data is complete: without this the file gets no trailer.
    End,
}

#[derive(Debug)]
struct Packed {
    data: Vec<u8>,
    stream: Vec<u8>,
    crc: crc32fast::Hasher,
}

impl<W: Write + Send + 'static> GzipWriter<W> {
    /// Starts `threads` workers, at least one and at most 16. `level` is libdeflate's, 1 to 12.
    pub(super) fn new(output: W, level: u8, threads: usize) -> io::Result<Self> {
        let compression = CompressionLvl::new(i32::from(level))
            .ok()
            .filter(|_| level != 0)
            .ok_or_else(|| io::Error::other(format!("gzip level {level}, not 1 to 12")))?;
        let workers = threads.clamp(1, MAX_WORKERS);
        let limit = workers + SPARE_CHUNKS;
        let (jobs, job_queue) = sync_channel(limit);
        let (slots, slot_queue) = sync_channel(limit + 1);
        let (spent, buffers) = channel();
        let job_queue = Arc::new(Mutex::new(job_queue));
        let mut writer = Self {
            chunk: Vec::with_capacity(CHUNK),
            pipe: Some(Pipe { jobs, slots }),
            buffers,
            in_flight: 0,
            limit,
            workers: Vec::with_capacity(workers),
            collector: None,
        };
        for n in 0..workers {
            let jobs = Arc::clone(&job_queue);
            let name = format!("gzip {n}");
            let worker = thread::Builder::new().name(name).spawn(move || work(&jobs, compression));
            writer.workers.push(worker?);
        }
        writer.collector = Some(
            thread::Builder::new()
                .name("gzip out".to_owned())
                .spawn(move || collect(output, level, &slot_queue, &spent))?,
        );
        Ok(writer)
    }

    /// Copies `len` bytes of `input`, without a copy between; an error if it ends before.
    pub(super) fn copy(&mut self, mut input: impl Read, len: u64) -> io::Result<()> {
        let mut left = len;
        while left > 0 {
            let room = CHUNK - self.chunk.len();
            let part = usize::try_from(left).map_or(room, |left| left.min(room));
            let part = u64::try_from(part).expect("no pointer is wider than 64 bits");
            if input.by_ref().take(part).read_to_end(&mut self.chunk)? as u64 != part {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= part;
            self.send_if_full()?;
        }
        Ok(())
    }

    /// Completes the file. Nothing was lost once this returned.
    pub(super) fn finish(mut self) -> io::Result<Finished<W>> {
        if !self.chunk.is_empty() {
            self.send()?;
        }
        let slots = self.pipe.take().map(|pipe| pipe.slots);
        if slots.is_none_or(|slots| slots.send(Slot::End).is_err()) {
            return Err(self.failure());
        }
        self.join().unwrap_or_else(|| Err(broken()))
    }

    fn send_if_full(&mut self) -> io::Result<()> {
        if self.chunk.len() == CHUNK { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> io::Result<()> {
        // No more chunks exist than the limit, so the queues never block, and waiting for a
        // buffer is the only place where the front waits.
        let next = if self.in_flight + 1 < self.limit {
            self.in_flight += 1;
            Vec::with_capacity(CHUNK)
        } else {
            match self.buffers.recv() {
                Ok(buffer) => buffer,
                Err(_) => return Err(self.failure()),
            }
        };
        let data = std::mem::replace(&mut self.chunk, next);
        let (result, slot) = channel();
        let sent = self.pipe.as_ref().is_some_and(|pipe| {
            pipe.slots.send(Slot::Chunk(slot)).is_ok()
                && pipe.jobs.send(Job { data, result }).is_ok()
        });
        if sent { Ok(()) } else { Err(self.failure()) }
    }

    /// Why the collector does not listen any more.
    fn failure(&mut self) -> io::Error {
        match self.join() {
            Some(Err(error)) => error,
            _ => broken(),
        }
    }
}

impl<W> GzipWriter<W> {
    /// Ends all threads; what the collector says, the first time.
    fn join(&mut self) -> Option<io::Result<Finished<W>>> {
        self.pipe = None;
        for worker in self.workers.drain(..) {
            // A worker that panicked gave no result, and the collector says so.
            let _ = worker.join();
        }
        Some(self.collector.take()?.join().unwrap_or_else(|_| Err(broken())))
    }
}

impl<W> Drop for GzipWriter<W> {
    fn drop(&mut self) {
        self.join();
    }
}

impl<W: Write + Send + 'static> Write for GzipWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let part = data.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&data[..part]);
        self.send_if_full()?;
        Ok(part)
    }

    /// Does nothing: cutting the data where the caller likes would change the file.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn broken() -> io::Error {
    io::Error::other("a thread of the gzip writer died")
}

fn work(jobs: &Mutex<Receiver<Job>>, level: CompressionLvl) {
    let mut compressor = Compressor::new(level);
    loop {
        // The lock is held while waiting: another worker could only wait as well.
        let job = match jobs.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(Job { data, result }) = job else { return };
        // Nobody may wait for it any more.
        let _ = result.send(pack(&mut compressor, data));
    }
}

fn pack(compressor: &mut Compressor, data: Vec<u8>) -> io::Result<Packed> {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&data);
    let mut stream = vec![0; compressor.deflate_compress_bound(data.len())];
    let len = compressor.deflate_compress(&data, &mut stream).map_err(io::Error::other)?;
    stream.truncate(len);
    deflate::reopen(&mut stream, data.len() as u64).map_err(io::Error::other)?;
    Ok(Packed { data, stream, crc })
}

fn collect<W: Write>(
    output: W,
    level: u8,
    slots: &Receiver<Slot>,
    spent: &Sender<Vec<u8>>,
) -> io::Result<Finished<W>> {
    let mut file = Hashing::new(output);
    let mut raw = Hashing::new(io::sink());
    let mut crc = crc32fast::Hasher::new();
    file.write_all(&HEADER_START)?;
    // XFL as libdeflate and zlib set it: 4 for the fastest, 2 for the smallest.
    let extra_flags = match level {
        ..2 => 4,
        2..8 => 0,
        8.. => 2,
    };
    file.write_all(&[extra_flags, OS_UNKNOWN])?;
    loop {
        match slots.recv() {
            Ok(Slot::Chunk(result)) => {
                let mut packed = result.recv().map_err(|_| broken())??;
                crc.combine(&packed.crc);
                raw.write_all(&packed.data)?;
                file.write_all(&packed.stream)?;
                packed.data.clear();
                // The front needs no more buffers once it has sent the last chunk.
                let _ = spent.send(packed.data);
            }
            Ok(Slot::End) => break,
            Err(_) => return Err(io::Error::other("the data has no end")),
        }
    }
    file.write_all(&deflate::FINAL_BLOCK)?;
    file.write_all(&crc.finalize().to_le_bytes())?;
    // ISIZE is the size modulo 2^32.
    file.write_all(&(raw.size as u32).to_le_bytes())?;
    file.output.flush()?;
    let (compressed, raw) = (file.digests(), raw.digests());
    Ok(Finished { output: file.output, compressed, raw })
}

/// Hashes what goes by.
pub(super) struct Hashing<W> {
    pub(super) output: W,
    sha256: sha2::Sha256,
    size: u64,
}

impl<W> Hashing<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, sha256: sha2::Sha256::new(), size: 0 }
    }

    pub(super) fn digests(&self) -> Digests {
        Digests { size: self.size, sha256: Sha256(self.sha256.clone().finalize().into()) }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let len = self.output.write(data)?;
        self.sha256.update(&data[..len]);
        self.size += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn sample(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Runs and noise in turn.
            if state >> 62 == 0 { (state >> 33) as u8 } else { b'a' + (state >> 61) as u8 }
        };
        (0..len).map(|_| next()).collect()
    }

    fn gzip(data: &[u8], level: u8, threads: usize, pieces: usize) -> Finished<Vec<u8>> {
        let mut writer = GzipWriter::new(Vec::new(), level, threads).unwrap();
        for piece in data.chunks(pieces) {
            writer.write_all(piece).unwrap();
        }
        writer.finish().unwrap()
    }

    fn gunzip(file: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        let mut decoder = flate2::bufread::GzDecoder::new(file);
        decoder.read_to_end(&mut data).unwrap();
        assert!(decoder.into_inner().is_empty(), "one member and nothing behind it");
        data
    }

    #[test]
    fn sizes_around_a_chunk_are_read_back() {
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
            let data = sample(len);
            let done = gzip(&data, 1, 2, 1 << 16);
            assert!(gunzip(&done.output) == data, "{len}");
            let sha256 = |bytes: &[u8]| Sha256(sha2::Sha256::digest(bytes).into());
            let digests =
                |bytes: &[u8]| Digests { size: bytes.len() as u64, sha256: sha256(bytes) };
            assert_eq!(done.raw, digests(&data));
            assert_eq!(done.compressed, digests(&done.output));
        }
    }

    #[test]
    fn threads_and_pieces_do_not_change_the_file() {
        let data = sample(5 * CHUNK + 12_345);
        let first = gzip(&data, 6, 1, data.len()).output;
        for (threads, pieces) in [(2, 1 << 20), (3, 9973), (8, CHUNK), (64, CHUNK + 1)] {
            assert!(gzip(&data, 6, threads, pieces).output == first, "{threads}, {pieces}");
        }
        let mut copied = GzipWriter::new(Vec::new(), 6, 2).unwrap();
        copied.write_all(&data[..7]).unwrap();
        copied.copy(&data[7..], data.len() as u64 - 7).unwrap();
        assert!(copied.finish().unwrap().output == first);
    }

    #[test]
    fn the_header_has_no_time_and_no_name() {
        for (level, extra_flags) in [(1, 4), (5, 0), (12, 2)] {
            let file = gzip(b"data", level, 1, 4).output;
            assert_eq!(file[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, extra_flags, 255]);
        }
    }

    #[test]
    fn gzip_itself_accepts_the_file() {
        let file = gzip(&sample(2 * CHUNK + 9), 5, 2, 1 << 20).output;
        let mut gzip = Command::new("gzip")
            .arg("-t")
            .stdin(Stdio::piped())
            .spawn()
            .expect("gzip is missing: apt-get install gzip");
        gzip.stdin.take().unwrap().write_all(&file).unwrap();
        assert!(gzip.wait().unwrap().success());
    }

    /// Takes some bytes, then the disk is full.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            let part = data.len().min(self.0);
            self.0 -= part;
            if part == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(part) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_told() {
        let data = sample(CHUNK);
        for room in [0, 9, 100_000, 3_000_000] {
            let mut writer = GzipWriter::new(Full(room), 1, 2).unwrap();
            let mut result = Ok(());
            for _ in 0..40 {
                result = result.and_then(|()| writer.write_all(&data));
            }
            let error = result.and_then(|()| writer.finish().map(drop)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{room}");
        }
    }

    #[test]
    fn dropping_early_ends_all_threads() {
        let output = Arc::new(Mutex::new(Vec::new()));
        struct Shared(Arc<Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, data: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(data)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer = GzipWriter::new(Shared(Arc::clone(&output)), 1, 2).unwrap();
        writer.write_all(&sample(CHUNK + 1)).unwrap();
        drop(writer);
        // The collector had the other reference.
        let bytes = Arc::try_unwrap(output).unwrap().into_inner().unwrap();
        assert!(!bytes.ends_with(&[0, 0, 0x20, 0]), "no trailer");
    }

    #[test]
    fn only_levels_of_libdeflate() {
        for level in [0, 13] {
            let error = GzipWriter::new(Vec::new(), level, 1).unwrap_err();
            assert_eq!(error.to_string(), format!("gzip level {level}, not 1 to 12"));
        }
    }

    #[test]
    fn data_that_is_shorter_than_announced_is_an_error() {
        let mut writer = GzipWriter::new(Vec::new(), 1, 1).unwrap();
        let error = writer.copy(&b"abc"[..], 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
