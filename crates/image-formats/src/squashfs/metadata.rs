//! Metadata blocks: up to 8 KiB each, compressed, one after the other. What is in them runs from
//! one into the next.

use std::sync::Arc;

use zerocopy::{FromBytes, IntoBytes};

use super::{Compressor, DecodeError, Decoder};
use crate::{
    bytes::{ReadError, Region},
    units::ByteOffset,
};

/// `SQUASHFS_METADATA_SIZE`: the most bytes of a metadata block.
pub const METADATA_SIZE: usize = 8192;

/// How many blocks are kept where nobody says something else: 8 MiB.
const KEPT: usize = 1024;

/// A place in a table of metadata blocks: 48 bits for the block and 16 for the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetadataRef {
    /// Where the block is, from the start of its table.
    pub block: u64,
    /// The byte of the uncompressed block.
    pub offset: u16,
}

impl MetadataRef {
    /// From the number that stands in the image.
    pub fn of(number: u64) -> Self {
        let [a, b, rest @ ..] = number.to_le_bytes();
        let [c, d, e, f, g, h] = rest;
        Self {
            block: u64::from_le_bytes([c, d, e, f, g, h, 0, 0]),
            offset: u16::from_le_bytes([a, b]),
        }
    }
}

/// The two bytes before a metadata block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataHeader(pub u16);

impl MetadataHeader {
    /// Its size.
    pub const SIZE: u64 = 2;

    /// Bytes that follow.
    pub fn stored_len(self) -> u16 {
        match self.0 & 0x7fff {
            0 => 0x8000,
            len => len,
        }
    }

    /// False if they are as they are.
    pub fn is_compressed(self) -> bool {
        self.0 & 0x8000 == 0
    }
}

/// Why a metadata block cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// The image ends before it, or the machine failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It says that it is longer than a metadata block can be.
    #[error("a metadata block of {len} bytes, and {METADATA_SIZE} are the most")]
    Length {
        /// Where its header is.
        at: ByteOffset,
        /// What it says.
        len: u16,
    },
    /// Its bytes are none that the compressor wrote.
    #[error("a metadata block of {len} bytes that {cause}")]
    Decode {
        /// Where its header is.
        at: ByteOffset,
        /// How many bytes.
        len: u16,
        /// Why.
        cause: DecodeError,
    },
    /// Nothing is in it.
    #[error("a metadata block with nothing in it")]
    Empty {
        /// Where its header is.
        at: ByteOffset,
    },
    /// A place that is not in the block.
    #[error("byte {offset} of a metadata block of {len} bytes")]
    Offset {
        /// Where the header of the block is.
        at: ByteOffset,
        /// The byte of the block.
        offset: u16,
        /// Uncompressed bytes of the block.
        len: usize,
    },
    /// Blocks were read again and again.
    #[error("more metadata blocks are read than may be: references jump to and fro")]
    Reads {
        /// Where its header is.
        at: ByteOffset,
    },
    /// It would be behind the end of its table.
    #[error("its table ends at {end}")]
    PastEnd {
        /// Where the next block would be.
        at: ByteOffset,
        /// The end of the table.
        end: ByteOffset,
    },
}

impl MetadataError {
    /// The failure of the machine, if that is what it was.
    pub fn machine(self) -> Result<Self, ReadError> {
        match self {
            Self::Read(error) if !error.is_defect() => Err(error),
            other => Ok(other),
        }
    }

    /// Where it is in the image.
    pub fn at(&self) -> ByteOffset {
        match self {
            Self::Read(error) => error.at,
            Self::Length { at, .. }
            | Self::Decode { at, .. }
            | Self::Empty { at }
            | Self::Offset { at, .. }
            | Self::Reads { at }
            | Self::PastEnd { at, .. } => *at,
        }
    }
}

/// A metadata block.
#[derive(Debug)]
pub struct MetadataBlock {
    /// Where its header is in the file system.
    pub at: u64,
    /// Where the next block is.
    pub next: u64,
    /// It was compressed.
    pub compressed: bool,
    /// What is in it: 1 to 8192 bytes.
    pub data: Vec<u8>,
}

/// Reads metadata blocks, and keeps some of them.
#[derive(Debug)]
pub struct MetadataReader {
    region: Region,
    decoder: Decoder,
    /// Each at a place that is made of where it is; a power of two.
    kept: Vec<Option<Arc<MetadataBlock>>>,
    /// How many blocks may be read that are not kept.
    left: u64,
}

impl MetadataReader {
    /// Of the file system in `region`.
    pub fn new(region: Region, decoder: Decoder) -> Self {
        Self { region, decoder, kept: vec![None; KEPT], left: u64::MAX }
    }

    /// Forgets all blocks, and keeps about so many from now on.
    pub fn keep(&mut self, blocks: usize) {
        self.decoder = Decoder::new(self.decoder.compressor());
        self.kept = vec![None; blocks.next_power_of_two().max(2)];
    }

    /// From now on so many blocks may be read that are not kept. Who follows references reads a
    /// block for each of them, where they jump: that is a bound for it.
    pub fn allow(&mut self, reads: u64) {
        self.left = reads;
    }

    /// The file system.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// What compressed it.
    pub fn compressor(&self) -> Compressor {
        self.decoder.compressor()
    }

    /// The block whose header is at `at`, of a table that ends at `end`.
    pub fn block(&mut self, at: u64, end: u64) -> Result<Arc<MetadataBlock>, MetadataError> {
        // Blocks of a table lie side by side, so that this spreads them.
        let unused = 64_u32.saturating_sub(self.kept.len().trailing_zeros());
        let slot = at.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_shr(unused);
        let slot = usize::try_from(slot).unwrap_or(0);
        if let Some(Some(block)) = self.kept.get(slot)
            && block.at == at
            && block.next <= end
        {
            return Ok(Arc::clone(block));
        }
        let block = Arc::new(self.read(at, end)?);
        if let Some(kept) = self.kept.get_mut(slot) {
            *kept = Some(Arc::clone(&block));
        }
        Ok(block)
    }

    fn read(&mut self, at: u64, end: u64) -> Result<MetadataBlock, MetadataError> {
        let whole = self.region.absolute(at);
        self.left = self.left.checked_sub(1).ok_or(MetadataError::Reads { at: whole })?;
        let past = || MetadataError::PastEnd { at: whole, end: self.region.absolute(end) };
        let start = at.checked_add(MetadataHeader::SIZE).ok_or_else(past)?;
        if start > end {
            return Err(past());
        }
        let header = self.region.array("SquashFS metadata header", at)?;
        let header = MetadataHeader(u16::from_le_bytes(header));
        let len = header.stored_len();
        if usize::from(len) > METADATA_SIZE {
            return Err(MetadataError::Length { at: whole, len });
        }
        let next = start.checked_add(u64::from(len)).filter(|next| *next <= end);
        let next = next.ok_or_else(past)?;
        let limit = u64::from(len);
        let mut data = self.region.bytes("SquashFS metadata block", start, limit, limit)?;
        if header.is_compressed() {
            let mut out = vec![0; METADATA_SIZE];
            let len = self
                .decoder
                .decompress(&data, &mut out)
                .map_err(|cause| MetadataError::Decode { at: whole, len, cause })?;
            out.truncate(len);
            data = out;
        }
        if data.is_empty() {
            return Err(MetadataError::Empty { at: whole });
        }
        Ok(MetadataBlock { at, next, compressed: header.is_compressed(), data })
    }

    /// Starts to read at a place of the table that lies from `start` to `end`.
    pub fn cursor(&mut self, start: u64, end: u64, at: MetadataRef) -> Cursor<'_> {
        let next = start.saturating_add(at.block);
        Cursor { reader: self, block: None, next, offset: usize::from(at.offset), end }
    }
}

/// Reads what runs through metadata blocks.
#[derive(Debug)]
pub struct Cursor<'a> {
    reader: &'a mut MetadataReader,
    block: Option<Arc<MetadataBlock>>,
    /// The block to be read where there is none.
    next: u64,
    offset: usize,
    end: u64,
}

impl Cursor<'_> {
    /// The block with the next byte.
    pub fn block(&mut self) -> Result<&Arc<MetadataBlock>, MetadataError> {
        let spent = self.block.as_ref().is_some_and(|block| self.offset == block.data.len());
        if spent {
            self.block = None;
            self.offset = 0;
        }
        let block = match self.block.take() {
            Some(block) => block,
            None => {
                let block = self.reader.block(self.next, self.end)?;
                if self.offset >= block.data.len() {
                    let (at, len) = (self.reader.region.absolute(block.at), block.data.len());
                    let offset = u16::try_from(self.offset).unwrap_or(u16::MAX);
                    return Err(MetadataError::Offset { at, offset, len });
                }
                self.next = block.next;
                block
            }
        };
        Ok(self.block.insert(block))
    }

    /// Where the next byte is: the header of its block, and the byte of it.
    pub fn place(&mut self) -> Result<(u64, u16), MetadataError> {
        let at = self.block()?.at;
        Ok((at, u16::try_from(self.offset).unwrap_or(u16::MAX)))
    }

    /// True where nothing follows in the table.
    pub fn is_at_end(&self) -> bool {
        self.next >= self.end
            && self.block.as_ref().is_none_or(|block| self.offset == block.data.len())
    }

    /// Fills `buf`.
    pub fn fill(&mut self, mut buf: &mut [u8]) -> Result<(), MetadataError> {
        while !buf.is_empty() {
            let offset = self.offset;
            let block = self.block()?;
            // After a block that is spent this is 0.
            let offset = if offset >= block.data.len() { 0 } else { offset };
            let have = block.data.get(offset..).unwrap_or_default();
            let len = have.len().min(buf.len());
            let (to, rest) = buf.split_at_mut(len);
            if let Some(from) = have.get(..len) {
                to.copy_from_slice(from);
            }
            buf = rest;
            self.offset = offset.saturating_add(len);
        }
        Ok(())
    }

    /// A structure.
    pub fn read<T: FromBytes + IntoBytes>(&mut self) -> Result<T, MetadataError> {
        let mut value = T::new_zeroed();
        self.fill(value.as_mut_bytes())?;
        Ok(value)
    }

    /// `len` bytes: the caller has met a limit.
    pub fn bytes(&mut self, len: usize) -> Result<Vec<u8>, MetadataError> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Passes by `len` bytes.
    pub fn skip(&mut self, mut len: u64) -> Result<(), MetadataError> {
        while len > 0 {
            let spent = self.offset;
            let block = self.block()?;
            let offset = if spent >= block.data.len() { 0 } else { spent };
            let have = block.data.len().saturating_sub(offset);
            let step = usize::try_from(len).unwrap_or(usize::MAX).min(have);
            self.offset = offset.saturating_add(step);
            len = len.saturating_sub(u64::try_from(step).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}
