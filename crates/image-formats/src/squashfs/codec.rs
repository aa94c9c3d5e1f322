//! The six compressors, each into a buffer of a size that is not from the image.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};
use liblzma::stream::{Action, Stream};

use super::lzo;

/// The most memory that lzma and xz may take: their dictionary is no larger than a block, which has
/// at most 1 MiB.
const MAX_DICTIONARY_MEMORY: u64 = 16 << 20;

/// `compression` of the superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compressor {
    /// 1: a stream of zlib, RFC 1950.
    Gzip,
    /// 2: a file of `lzma`. Linux reads it no more.
    Lzma,
    /// 3: LZO1X.
    Lzo,
    /// 4: a file of `xz`.
    Xz,
    /// 5: a block of LZ4.
    Lz4,
    /// 6: a frame of zstd, RFC 8878.
    Zstd,
}

impl Compressor {
    /// The one with this number.
    pub fn of(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Gzip,
            2 => Self::Lzma,
            3 => Self::Lzo,
            4 => Self::Xz,
            5 => Self::Lz4,
            6 => Self::Zstd,
            _ => return None,
        })
    }

    /// The name that `mksquashfs -comp` knows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Lzma => "lzma",
            Self::Lzo => "lzo",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Bytes that a compressor did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No stream of this compressor.
    #[error("does not decompress")]
    Corrupt,
    /// More bytes come out of it than there is room for.
    #[error("decompresses to more than it may")]
    TooLong,
}

/// Takes the compression off. It is made once and used for many blocks.
pub struct Decoder {
    compressor: Compressor,
    zlib: Option<Decompress>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoder({:?})", self.compressor)
    }
}

impl Decoder {
    /// For what this one wrote.
    pub fn new(compressor: Compressor) -> Self {
        Self { compressor, zlib: None, zstd: None }
    }

    /// What it is for.
    pub fn compressor(&self) -> Compressor {
        self.compressor
    }

    /// Fills `out` from its start, and returns how many bytes there were.
    pub fn decompress(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize, DecodeError> {
        match self.compressor {
            Compressor::Gzip => self.zlib(input, out),
            Compressor::Lzma => lzma(Stream::new_lzma_decoder(MAX_DICTIONARY_MEMORY), input, out),
            Compressor::Xz => {
                lzma(Stream::new_stream_decoder(MAX_DICTIONARY_MEMORY, 0), input, out)
            }
            Compressor::Lzo => lzo::decompress(input, out),
            Compressor::Lz4 => {
                lz4_flex::block::decompress_into(input, out).map_err(|error| match error {
                    lz4_flex::block::DecompressError::OutputTooSmall { .. } => DecodeError::TooLong,
                    _ => DecodeError::Corrupt,
                })
            }
            Compressor::Zstd => self.zstd(input, out),
        }
    }

    fn zlib(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize, DecodeError> {
        let zlib = self.zlib.get_or_insert_with(|| Decompress::new(true));
        zlib.reset(true);
        let status = zlib.decompress(input, out, FlushDecompress::Finish);
        written(zlib.total_out(), matches!(status, Ok(Status::StreamEnd)), status.is_err(), out)
    }

    fn zstd(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize, DecodeError> {
        if self.zstd.is_none() {
            // Only memory can be missing, of which it takes 160 KiB.
            self.zstd = zstd::bulk::Decompressor::new().ok();
        }
        let zstd = self.zstd.as_mut().ok_or(DecodeError::Corrupt)?;
        zstd.decompress_to_buffer(input, out).map_err(|error| {
            // The library keeps the code of its errors to itself.
            if error.to_string().contains("too small") {
                DecodeError::TooLong
            } else {
                DecodeError::Corrupt
            }
        })
    }
}

/// Both kinds of files that liblzma reads.
fn lzma(
    stream: Result<Stream, liblzma::stream::Error>,
    input: &[u8],
    out: &mut [u8],
) -> Result<usize, DecodeError> {
    let mut stream = stream.map_err(|_| DecodeError::Corrupt)?;
    let mut status = stream.process(input, out, Action::Finish);
    // A file of lzma that tells its size ends without a word: the next call says so.
    for _ in 0..2 {
        if !matches!(status, Ok(liblzma::stream::Status::Ok)) {
            break;
        }
        let read = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
        let wrote = usize::try_from(stream.total_out()).unwrap_or(usize::MAX);
        let rest = input.get(read..).unwrap_or_default();
        let room = out.get_mut(wrote..).unwrap_or_default();
        status = stream.process(rest, room, Action::Finish);
    }
    let ended = matches!(status, Ok(liblzma::stream::Status::StreamEnd));
    written(stream.total_out(), ended, status.is_err(), out)
}

fn written(len: u64, ended: bool, failed: bool, out: &[u8]) -> Result<usize, DecodeError> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    match () {
        () if ended => Ok(len),
        () if !failed && len >= out.len() => Err(DecodeError::TooLong),
        () => Err(DecodeError::Corrupt),
    }
}
