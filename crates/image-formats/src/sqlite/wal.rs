//! A write-ahead log: pages as they are after transactions, which the database does not have yet.
//! SQLite, *Database File Format*, §4; `walIndexRecover` in `src/wal.c`.

use std::fmt;

use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{
    PageSize, TooLarge,
    raw::{FrameHeader, WalHeader},
    resize,
};

/// A log, up to where SQLite believes it.
#[derive(Clone, Debug)]
pub struct Wal<'f> {
    page_size: PageSize,
    /// Headers and pages that were committed, with nothing between them.
    committed: &'f [u8],
    /// Pages of the database after the last transaction.
    page_count: u32,
    /// Transactions that were committed.
    pub transactions: u32,
    /// Pages that were written by them.
    pub frames: u32,
    /// Valid pages behind these, of a transaction that was not committed.
    pub uncommitted: u32,
}

/// Why nothing in a log counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unused {
    /// It has no frame.
    Empty,
    /// It does not start as one.
    Magic,
    /// It has no pages of such a size.
    PageSize(u32),
    /// Its header has another checksum.
    Checksum,
    /// No transaction in it was committed.
    Uncommitted,
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Magic => f.write_str("it does not start as one"),
            Self::PageSize(bytes) => write!(f, "pages have no {bytes} bytes"),
            Self::Checksum => f.write_str("its header has another checksum"),
            Self::Uncommitted => f.write_str("no transaction in it was committed"),
        }
    }
}

/// Why a log cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    /// SQLite does not open such a database either.
    #[error("version {0} of the format is not known")]
    Version(u32),
    /// Its pages are not those of the database.
    #[error("it has pages of {log} bytes, and the database has pages of {database}")]
    PageSize {
        /// Bytes of a page of the log.
        log: PageSize,
        /// Bytes of a page of the database.
        database: PageSize,
    },
    /// The database would be larger than was allowed.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// Reads a log. An error: SQLite refuses the database. `Err(Unused)` inside: it leaves the log
/// alone.
pub fn read(log: &[u8]) -> Result<Result<Wal<'_>, Unused>, WalError> {
    let (header, frames) = match WalHeader::read_from_prefix(log) {
        Ok((header, frames)) if !frames.is_empty() => (header, frames),
        _ => return Ok(Err(Unused::Empty)),
    };
    if header.magic.get() & !1 != WalHeader::MAGIC {
        return Ok(Err(Unused::Magic));
    }
    let Some(page_size) = PageSize::new(header.page_size.get()) else {
        return Ok(Err(Unused::PageSize(header.page_size.get())));
    };
    let mut checksum = Checksum { big_endian: header.magic.get() & 1 == 1, sums: [0; 2] };
    checksum.add(header.as_bytes().get(..24).unwrap_or_default());
    if checksum.sums != header.checksum.map(|word| word.get()) {
        return Ok(Err(Unused::Checksum));
    }
    if header.version.get() != WalHeader::VERSION {
        return Err(WalError::Version(header.version.get()));
    }
    let mut wal = Wal {
        page_size,
        committed: &[],
        page_count: 0,
        transactions: 0,
        frames: 0,
        uncommitted: 0,
    };
    let mut end = 0_usize;
    for frame in frames.chunks_exact(wal.frame_len()) {
        let Ok((frame, page)) = FrameHeader::read_from_prefix(frame) else { break };
        checksum.add(frame.as_bytes().get(..8).unwrap_or_default());
        checksum.add(page);
        let good = frame.salt == header.salt
            && frame.page.get() != 0
            && checksum.sums == frame.checksum.map(|word| word.get());
        if !good {
            break;
        }
        end = end.saturating_add(wal.frame_len());
        wal.uncommitted = wal.uncommitted.saturating_add(1);
        if frame.page_count.get() != 0 {
            wal.committed = frames.get(..end).unwrap_or_default();
            wal.page_count = frame.page_count.get();
            wal.transactions = wal.transactions.saturating_add(1);
            wal.frames = wal.frames.saturating_add(wal.uncommitted);
            wal.uncommitted = 0;
        }
    }
    Ok(if wal.transactions == 0 { Err(Unused::Uncommitted) } else { Ok(wal) })
}

impl Wal<'_> {
    /// Bytes of a header and its page.
    fn frame_len(&self) -> usize {
        FrameHeader::SIZE.saturating_add(self.page_size.bytes())
    }

    /// Brings what was committed into a database, which may have `limit` bytes then.
    pub fn apply(&self, database: &mut Vec<u8>, limit: usize) -> Result<(), WalError> {
        if let Some(size) = super::page_size(database).filter(|size| *size != self.page_size) {
            return Err(WalError::PageSize { log: self.page_size, database: size });
        }
        resize(database, self.page_count, self.page_size, limit)?;
        for frame in self.committed.chunks_exact(self.frame_len()) {
            let Ok((header, page)) = FrameHeader::read_from_prefix(frame) else { break };
            let place = self.page_size.offset(header.page.get()).and_then(|start| {
                database.get_mut(start..start.checked_add(self.page_size.bytes())?)
            });
            // Else it belonged to a database that was longer than it is at the end.
            if let Some(place) = place {
                place.copy_from_slice(page);
            }
        }
        Ok(())
    }
}

/// *Checksum Algorithm*, §4.2: two sums that go on from frame to frame.
struct Checksum {
    big_endian: bool,
    sums: [u32; 2],
}

impl Checksum {
    /// Adds bytes, of which there are a multiple of eight.
    fn add(&mut self, bytes: &[u8]) {
        let (words, _) = bytes.as_chunks::<4>();
        let read = if self.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        let [mut first, mut second] = self.sums;
        for [a, b] in words.as_chunks::<2>().0 {
            first = first.wrapping_add(read(*a)).wrapping_add(second);
            second = second.wrapping_add(read(*b)).wrapping_add(first);
        }
        self.sums = [first, second];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 512;

    /// A log with these frames: page, pages of the database if it is a commit, what fills the page.
    fn log(big_endian: bool, frames: &[(u32, u32, u8)]) -> Vec<u8> {
        let mut checksum = Checksum { big_endian, sums: [0; 2] };
        let magic = WalHeader::MAGIC | u32::from(big_endian);
        let words = [magic, WalHeader::VERSION, 512, 0, 0x1234_5678, 0x9abc_def0];
        let mut log: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        checksum.add(&log);
        log.extend(checksum.sums.iter().flat_map(|word| word.to_be_bytes()));
        for (page, count, fill) in frames {
            let start: Vec<u8> = [*page, *count].iter().flat_map(|w| w.to_be_bytes()).collect();
            checksum.add(&start);
            checksum.add(&[*fill; PAGE]);
            log.extend(start);
            log.extend_from_within(16..24);
            log.extend(checksum.sums.iter().flat_map(|word| word.to_be_bytes()));
            log.extend([*fill; PAGE]);
        }
        log
    }

    fn database(pages: usize) -> Vec<u8> {
        let mut database = vec![0; pages * PAGE];
        database[..16].copy_from_slice(b"SQLite format 3\0");
        database[16..18].copy_from_slice(&512_u16.to_be_bytes());
        database
    }

    #[test]
    fn what_was_committed_is_applied() {
        for big_endian in [false, true] {
            // The second transaction makes the database shorter, the third was not committed.
            let frames = [(2, 0, 1), (5, 5, 2), (2, 0, 3), (3, 3, 4), (2, 0, 5), (3, 0, 6)];
            let log = log(big_endian, &frames);
            let wal = read(&log).unwrap().unwrap();
            assert_eq!((wal.transactions, wal.frames, wal.uncommitted), (2, 4, 2));
            let mut database = database(4);
            wal.apply(&mut database, 4 * PAGE).unwrap();
            assert_eq!(database.len(), 3 * PAGE);
            assert_eq!((database[PAGE], database[2 * PAGE]), (3, 4));
        }
    }

    #[test]
    fn a_log_ends_at_its_first_defect() {
        let good = log(false, &[(1, 1, 1), (2, 2, 2), (3, 3, 3)]);
        let second = WalHeader::SIZE + FrameHeader::SIZE + PAGE;
        // Its page, salt, sum and content; the file ends in it.
        for at in [3, 8, 16, 30] {
            let mut bad = good.clone();
            bad[second + at] ^= 2;
            assert_eq!(read(&bad).unwrap().unwrap().transactions, 1, "{at}");
        }
        assert_eq!(read(&good[..second + PAGE]).unwrap().unwrap().transactions, 1);
        assert_eq!(read(&good).unwrap().unwrap().transactions, 3);
    }

    #[test]
    fn what_is_no_log_is_not_used() {
        let good = log(true, &[(1, 1, 1)]);
        assert_eq!(read(&[]).unwrap().unwrap_err(), Unused::Empty);
        assert_eq!(read(&good[..32]).unwrap().unwrap_err(), Unused::Empty);
        assert_eq!(read(&log(true, &[(1, 0, 1)])).unwrap().unwrap_err(), Unused::Uncommitted);
        for (at, unused) in [(0, Unused::Magic), (10, Unused::PageSize(0)), (13, Unused::Checksum)]
        {
            let mut bad = good.clone();
            bad[at] = if at == 10 { 0 } else { 1 };
            assert_eq!(read(&bad).unwrap().unwrap_err(), unused);
        }
    }

    #[test]
    fn what_cannot_be_applied_is_told() {
        let wal = log(false, &[(1, u32::MAX, 1)]);
        let wal = read(&wal).unwrap().unwrap();
        let error = wal.apply(&mut database(1), 1 << 20).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the database would have 4294967295 pages of 512 bytes, more than 1048576 bytes"
        );
        let mut other = database(2);
        other[16] = 4;
        let error = wal.apply(&mut other, 1 << 20).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it has pages of 512 bytes, and the database has pages of 1024"
        );
    }
}
