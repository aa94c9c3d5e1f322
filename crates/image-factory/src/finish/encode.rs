//! What is put around raw bytes: one writer for each compression, all of them with digests of both
//! sides, and all with the same output for any number of threads.

use std::{
    fs::File,
    io::{self, Read, Write},
};

use image_host::{interrupt, sparse::SparseFile};
use image_model::{CompressionSpec, Digests};
use liblzma::stream::{Action, Check, Filters, LzmaOptions, MtStreamBuilder, Status, Stream};
use zstd::stream::raw::CParameter;

use super::gzip::{Finished, GzipWriter, Hashing};

/// Bytes of data that a worker of zstd compresses at a time. Changing it changes the bytes of every
/// artifact. The multi-threaded encoder is used with one thread as well, because the other one
/// gives other bytes.
const ZSTD_JOB: u32 = 8 << 20;

/// How much of the window before its job a worker sees: 1/4 of it, as 2^(9 - 7). Changing it
/// changes the bytes of every artifact.
const ZSTD_OVERLAP: u32 = 7;

/// Each takes two jobs and its tables.
const ZSTD_WORKERS: usize = 16;

/// Bytes of data in a block of xz: three times the dictionary of level 6. Changing it changes the
/// bytes of every artifact, and limits the dictionaries of the levels above.
const XZ_BLOCK: u64 = 24 << 20;

/// Memory beyond which xz gets fewer threads than were asked for. Each takes 166 MiB at level 6 and
/// 350 MiB at level 9.
const XZ_MEMORY: u64 = 2 << 30;

/// How long xz may work before somebody looks whether it should, in milliseconds.
const XZ_PATIENCE: u32 = 300;

/// How much is read at once.
const STEP: usize = 1 << 20;

/// Raw bytes on their way into a file. [`finish`](Self::finish) completes it.
pub(super) enum Encoder {
    /// As they are; zeros become holes.
    None(Hashing<SparseFile>),
    Gzip(GzipWriter<File>),
    Zstd {
        encoder: zstd::Encoder<'static, Hashing<File>>,
        raw: Hashing<io::Sink>,
    },
    Xz {
        encoder: Box<XzWriter<Hashing<File>>>,
        raw: Hashing<io::Sink>,
    },
}

impl Encoder {
    /// For exactly `raw_len` bytes into `output`, which is empty.
    pub(super) fn new(
        output: File,
        compression: CompressionSpec,
        raw_len: u64,
        threads: usize,
    ) -> io::Result<Self> {
        let raw = Hashing::new(io::sink());
        Ok(match compression {
            CompressionSpec::None => Self::None(Hashing::new(SparseFile::new(output))),
            CompressionSpec::Gzip { level } => Self::Gzip(GzipWriter::new(output, level, threads)?),
            CompressionSpec::Zstd { level } => {
                let encoder = zstd_encoder(Hashing::new(output), level, raw_len, threads)?;
                Self::Zstd { encoder, raw }
            }
            CompressionSpec::Xz { level } => {
                let encoder = Box::new(XzWriter::new(Hashing::new(output), level, threads)?);
                Self::Xz { encoder, raw }
            }
        })
    }

    /// Copies `len` bytes of `input`; an error if it ends before.
    pub(super) fn copy(&mut self, mut input: impl Read, len: u64) -> io::Result<()> {
        if let Self::Gzip(gzip) = self {
            return gzip.copy(input, len);
        }
        let mut buffer = vec![0; STEP.min(usize::try_from(len).unwrap_or(STEP))];
        let mut left = len;
        while left > 0 {
            let part = buffer.len().min(usize::try_from(left).unwrap_or(STEP));
            input.read_exact(&mut buffer[..part])?;
            self.write_all(&buffer[..part])?;
            left -= part as u64;
        }
        Ok(())
    }

    /// Completes the file. Nothing was lost once this returned.
    pub(super) fn finish(self) -> io::Result<Finished<File>> {
        Ok(match self {
            Self::None(mut out) => {
                let output = out.output.finish()?.try_clone()?;
                Finished { output, compressed: out.digests(), raw: out.digests() }
            }
            Self::Gzip(gzip) => gzip.finish()?,
            Self::Zstd { encoder, raw } => finished(encoder.finish()?, raw.digests()),
            Self::Xz { encoder, raw } => finished(encoder.finish()?, raw.digests()),
        })
    }
}

fn finished(file: Hashing<File>, raw: Digests) -> Finished<File> {
    let compressed = file.digests();
    Finished { output: file.output, compressed, raw }
}

impl Write for Encoder {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let (len, raw) = match self {
            Self::None(out) => return out.write(data),
            Self::Gzip(gzip) => return gzip.write(data),
            Self::Zstd { encoder, raw } => (encoder.write(data)?, raw),
            Self::Xz { encoder, raw } => {
                encoder.run(data, Action::Run)?;
                (data.len(), raw)
            }
        };
        raw.write_all(&data[..len])?;
        Ok(len)
    }

    /// Does nothing: cutting the data where the caller likes would change the file.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn zstd_encoder<W: Write>(
    output: W,
    level: u8,
    raw_len: u64,
    threads: usize,
) -> io::Result<zstd::Encoder<'static, W>> {
    let workers = u32::try_from(threads.clamp(1, ZSTD_WORKERS)).map_err(io::Error::other)?;
    let mut encoder = zstd::Encoder::new(output, level.into())?;
    for parameter in [
        CParameter::NbWorkers(workers),
        CParameter::JobSize(ZSTD_JOB),
        CParameter::OverlapSizeLog(ZSTD_OVERLAP),
        CParameter::ChecksumFlag(true),
        CParameter::ContentSizeFlag(true),
    ] {
        encoder.set_parameter(parameter)?;
    }
    encoder.set_pledged_src_size(Some(raw_len))?;
    Ok(encoder)
}

/// liblzma's multi-threaded encoder. Other than `liblzma::write::XzEncoder` it does not complete
/// the file when it is dropped, and listens to Ctrl-C.
pub(super) struct XzWriter<W> {
    stream: Stream,
    output: W,
    buffer: Vec<u8>,
}

impl<W: Write> XzWriter<W> {
    fn new(output: W, level: u8, threads: usize) -> io::Result<Self> {
        let mut options = LzmaOptions::new_preset(level.into())?;
        // The dictionaries of levels 7, 8 and 9 have 16, 32 and 64 MiB. More than a block is of no
        // use.
        if level > 7 {
            options.dict_size(u32::try_from(XZ_BLOCK).map_err(io::Error::other)?);
        }
        let mut filters = Filters::new();
        filters.lzma2(&options);
        let mut builder = MtStreamBuilder::new();
        builder.filters(filters).block_size(XZ_BLOCK).check(Check::Crc64).timeout_ms(XZ_PATIENCE);
        let mut threads = u32::try_from(threads).unwrap_or(u32::MAX).clamp(1, 64);
        while builder.threads(threads).memusage() > XZ_MEMORY && threads > 1 {
            threads -= 1;
        }
        Ok(Self { stream: builder.encoder()?, output, buffer: Vec::with_capacity(STEP) })
    }

    fn finish(mut self) -> io::Result<W> {
        self.run(&[], Action::Finish)?;
        Ok(self.output)
    }

    /// Hands over all of `data`, or completes the stream.
    fn run(&mut self, mut data: &[u8], action: Action) -> io::Result<()> {
        while matches!(action, Action::Finish) || !data.is_empty() {
            interrupt::check()?;
            let before = self.stream.total_in();
            self.buffer.clear();
            let status = self.stream.process_vec(data, &mut self.buffer, action)?;
            let taken =
                usize::try_from(self.stream.total_in() - before).map_err(io::Error::other)?;
            data = &data[taken..];
            self.output.write_all(&self.buffer)?;
            if matches!(status, Status::StreamEnd) {
                break;
            }
        }
        Ok(())
    }
}
