//! Contents of files, by their extents.

use std::io::{self, Read};

use image_formats::{
    bytes::{ReadError, Region},
    iso9660::{Block, BlockSize, MAX_RECORD, Record, SECTOR, raw::DirectoryRecord},
};

use super::sections::MAX_SECTIONS;
use crate::{
    tree::{NodeId, Tree},
    volume::{ContentReader, Contents, Files, RegionReader, Trouble, opening},
};

/// A piece of a file: bytes of the volume.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) start: u64,
    pub(super) len: u64,
}

/// How many blocks of a sector can be left over at the end of its records: blocks have at least 512
/// bytes.
const MAX_PADDING: u32 = (SECTOR / 512) as u32;

/// A volume whose directories can be read.
pub(super) struct IsoFiles {
    pub(super) region: Region,
    pub(super) block: BlockSize,
    pub(super) trouble: Trouble,
    pub(super) ignores_case: bool,
}

/// Where the content is that a record speaks of.
pub(super) fn piece(raw: &DirectoryRecord, block: BlockSize) -> Piece {
    let before = u64::from(raw.extended_attribute_len) * block.bytes();
    let start = block.offset(Block(raw.extent.get())) + before;
    Piece { start, len: raw.data_len.get().into() }
}

/// The record at `at`, given to who wants to look at it; `None` where there is none.
pub(super) fn with_record<T>(
    region: &Region,
    at: u64,
    look: impl FnOnce(&Record<'_>) -> T,
) -> Result<Option<T>, ReadError> {
    let mut bytes = [0; MAX_RECORD];
    let len = region.len().saturating_sub(at).min(MAX_RECORD as u64) as usize;
    region.fill("directory record", at, &mut bytes[..len])?;
    Ok(Record::parse(&bytes[..len], at).ok().flatten().map(|record| look(&record)))
}

impl IsoFiles {
    /// The pieces of the file whose first record is at `at`; `None` where they are interleaved,
    /// or not all there.
    fn pieces(&self, mut at: u64) -> Result<Option<Vec<Piece>>, ReadError> {
        let mut pieces = Vec::new();
        let mut padding = 0;
        for _ in 0..MAX_SECTIONS + MAX_SECTIONS * MAX_PADDING {
            let found = with_record(&self.region, at, |record| record.raw)?;
            let raw = match found {
                Some(raw) => raw,
                // It goes on in the next sector, which starts with a block.
                None if !pieces.is_empty() && padding < MAX_PADDING => {
                    at = (at + 1).next_multiple_of(self.block.bytes());
                    padding += 1;
                    continue;
                }
                None => return Ok(None),
            };
            padding = 0;
            if raw.interleave_gap_size != 0 || raw.is_directory() {
                return Ok(None);
            }
            pieces.push(piece(&raw, self.block));
            if !raw.has_more() {
                return Ok(Some(pieces));
            }
            at += u64::from(raw.len);
        }
        Ok(None)
    }

    fn of_entry(&self, entry: Option<u64>) -> io::Result<Vec<Piece>> {
        let at = entry.and_then(|entry| entry.checked_sub(self.region.start().0));
        let at = at.ok_or(io::ErrorKind::NotFound)?;
        let pieces = self.pieces(at).map_err(|error| self.trouble.io_error(error))?;
        pieces.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

impl Files for IsoFiles {
    fn ignores_case(&self) -> bool {
        self.ignores_case
    }

    fn open<'a>(&'a self, tree: &Tree, id: NodeId) -> io::Result<Box<dyn Read + 'a>> {
        let mut pieces = self.of_entry(tree.node(id).offset)?;
        pieces.reverse();
        let reader = RegionReader::new(self.region.clone(), self.trouble.clone());
        Ok(Box::new(Content { reader, pieces }))
    }

    fn contents(&self) -> &dyn Contents {
        self
    }

    fn region(&self, tree: &Tree, id: NodeId) -> Option<Region> {
        let pieces = self.of_entry(tree.node(id).offset).ok()?;
        let first = *pieces.first()?;
        let end = pieces.iter().try_fold(first.start, |end, piece| {
            (piece.start == end || piece.len == 0).then_some(end + piece.len)
        })?;
        self.region.sub("content", first.start, end - first.start).ok()
    }
}

impl Contents for IsoFiles {
    fn reader(&self) -> Box<dyn ContentReader + '_> {
        opening(self)
    }
}

/// A file that is being read.
struct Content {
    reader: RegionReader,
    /// What was not read yet, the next piece last.
    pieces: Vec<Piece>,
}

impl Read for Content {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.pieces.pop_if(|piece| piece.len == 0).is_some() {}
        let Some(piece) = self.pieces.last_mut() else { return Ok(0) };
        let len = piece.len.min(buf.len() as u64);
        self.reader.fill(piece.start, &mut buf[..len as usize])?;
        *piece = Piece { start: piece.start + len, len: piece.len - len };
        Ok(len as usize)
    }
}
