//! The two compressors, each into a cluster.

use std::fmt;

use flate2::{Decompress, FlushDecompress};
use zstd::stream::raw::{Decoder as ZstdDecoder, InBuffer, Operation as _, OutBuffer};

/// The largest window of a frame, as a logarithm: QEMU writes none that is larger than a cluster.
const WINDOW_LOG: u32 = 23;

/// `compression_type` of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// 0: deflate, RFC 1951, which QEMU calls zlib.
    Deflate,
    /// 1: a frame of zstd, RFC 8878.
    Zstd,
}

impl CompressionType {
    /// The one with this number.
    pub fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Deflate),
            1 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The name that `qemu-img create -o compression_type` knows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deflate => "zlib",
            Self::Zstd => "zstd",
        }
    }
}

/// Bytes of which no cluster comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No stream of this compressor.
    #[error("it does not decompress")]
    Corrupt,
    /// It ends before the cluster is full.
    #[error("{len} bytes come out of it")]
    Short {
        /// How many bytes came.
        len: u64,
    },
    /// More comes out of it than a cluster.
    #[error("more than a cluster comes out of it")]
    Long,
}

/// Takes the compression off. It is made once and used for many clusters.
pub struct Decoder {
    compression: CompressionType,
    deflate: Decompress,
    zstd: Option<ZstdDecoder<'static>>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoder({:?})", self.compression)
    }
}

impl Decoder {
    /// For what this one wrote.
    pub fn new(compression: CompressionType) -> Self {
        Self { compression, deflate: Decompress::new(false), zstd: None }
    }

    /// Fills a cluster from the first bytes of `input`; what follows is somebody else's.
    pub fn decompress(&mut self, input: &[u8], cluster: &mut [u8]) -> Result<(), DecodeError> {
        match self.compression {
            CompressionType::Deflate => self.deflate(input, cluster),
            CompressionType::Zstd => self.zstd(input, cluster),
        }
    }

    fn deflate(&mut self, input: &[u8], cluster: &mut [u8]) -> Result<(), DecodeError> {
        self.deflate.reset(false);
        let status = self.deflate.decompress(input, cluster, FlushDecompress::Finish);
        let len = self.deflate.total_out();
        // QEMU is content with a full cluster as well.
        if usize::try_from(len) == Ok(cluster.len()) {
            return Ok(());
        }
        status.map_err(|_| DecodeError::Corrupt)?;
        Err(DecodeError::Short { len })
    }

    fn zstd(&mut self, input: &[u8], cluster: &mut [u8]) -> Result<(), DecodeError> {
        if self.zstd.is_none() {
            let mut decoder = ZstdDecoder::new().map_err(|_| DecodeError::Corrupt)?;
            let limit = zstd::zstd_safe::DParameter::WindowLogMax(WINDOW_LOG);
            decoder.set_parameter(limit).map_err(|_| DecodeError::Corrupt)?;
            self.zstd = Some(decoder);
        }
        let decoder = self.zstd.as_mut().ok_or(DecodeError::Corrupt)?;
        decoder.reinit().map_err(|_| DecodeError::Corrupt)?;
        let size = cluster.len();
        let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(cluster));
        loop {
            let before = (from.pos(), to.pos());
            let more = decoder.run(&mut from, &mut to).map_err(|_| DecodeError::Corrupt)?;
            if to.pos() == size {
                return if more == 0 { Ok(()) } else { Err(DecodeError::Long) };
            }
            // The end of the bytes. After that of a frame another one may follow: QEMU reads on.
            if before == (from.pos(), to.pos()) {
                let len = u64::try_from(to.pos()).unwrap_or(u64::MAX);
                return Err(DecodeError::Short { len });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_cluster_and_what_follows() {
        let content: Vec<u8> = (0..4096_u32).flat_map(u32::to_le_bytes).collect();
        let mut deflate =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        deflate.write_all(&content).unwrap();
        let streams = [
            (CompressionType::Deflate, deflate.finish().unwrap()),
            (CompressionType::Zstd, zstd::bulk::compress(&content, 3).unwrap()),
        ];
        for (compression, mut stream) in streams {
            let len = stream.len();
            stream.extend([0xa5; 600]);
            let mut decoder = Decoder::new(compression);
            let mut cluster = vec![0; content.len()];
            // Twice, as it is used again.
            for _ in 0..2 {
                assert_eq!(decoder.decompress(&stream, &mut cluster), Ok(()));
                assert_eq!(cluster, content);
                let half = decoder.decompress(&stream[..len / 2], &mut cluster);
                assert!(matches!(half, Err(DecodeError::Short { .. })), "{half:?}");
                assert!(decoder.decompress(&[0xff; 100], &mut cluster).is_err());
            }
            let mut more = vec![0; content.len() + 1];
            assert!(decoder.decompress(&stream[..len], &mut more).is_err());
            let less = decoder.decompress(&stream, &mut cluster[..100]);
            let expected = match compression {
                CompressionType::Deflate => Ok(()),
                CompressionType::Zstd => Err(DecodeError::Long),
            };
            assert_eq!(less, expected);
        }
    }

    /// QEMU reads one frame after the other until the cluster is full.
    #[test]
    fn frames_may_follow_each_other() {
        let content = [[1_u8; 600], [2; 600]];
        let frames = content.map(|part| zstd::bulk::compress(&part, 3).unwrap());
        let mut decoder = Decoder::new(CompressionType::Zstd);
        let mut cluster = vec![0; 1200];
        let padded = [&frames.concat()[..], &[0; 100]].concat();
        assert_eq!(decoder.decompress(&padded, &mut cluster), Ok(()));
        assert_eq!(cluster, content.concat());
        let short = decoder.decompress(&frames[0], &mut cluster);
        assert_eq!(short, Err(DecodeError::Short { len: 600 }));
    }
}
