//! A rollback journal: pages as they were before a transaction. One that is there when nobody
//! writes, a *hot* one, is of a transaction that did not end: SQLite undoes it before it reads.
//! SQLite, *Database File Format*, §3; `hasHotJournal` and `pager_playback` in `src/pager.c`.

use std::fmt;

use zerocopy::FromBytes as _;

use super::{PageSize, TooLarge, raw::JournalHeader, resize};

/// A transaction that did not end, and was undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// Pages that were written back.
    pub pages: u32,
}

/// Why nothing is to be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cold {
    /// It is empty: the transaction ended.
    Empty,
    /// Its first byte is zero: the transaction ended.
    Zeroed,
    /// The database has no pages.
    NoDatabase,
    /// It does not start as one: who wrote it was stopped before the database was changed.
    Header,
}

impl fmt::Display for Cold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Zeroed => "it starts with zero",
            Self::NoDatabase => "the database is empty",
            Self::Header => "it does not start as one",
        })
    }
}

/// Why a transaction cannot be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The transaction changed several databases, and a file elsewhere tells whether it ended.
    #[error("it names a journal of several databases")]
    Super,
    /// The database does not say how large its pages are, nor does the journal.
    #[error("neither it nor the database says how large pages are")]
    NoPageSize,
    /// The database would be larger than was allowed.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// The size of a sector that SQLite has in mind before it has read a header.
const SECTOR: usize = 512;

/// `MAX_PATHNAME` of SQLite on Unix.
const MAX_PATHNAME: usize = 512;

/// `MAX_SECTOR_SIZE`.
const MAX_SECTOR: u32 = 0x10000;

/// Undoes the transaction of this journal in a database, which may have `limit` bytes then.
pub fn roll_back(
    database: &mut Vec<u8>,
    journal: &[u8],
    limit: usize,
) -> Result<Result<RolledBack, Cold>, JournalError> {
    match journal.first() {
        None => return Ok(Err(Cold::Empty)),
        Some(0) => return Ok(Err(Cold::Zeroed)),
        Some(_) if database.is_empty() => return Ok(Err(Cold::NoDatabase)),
        Some(_) => {}
    }
    if names_super_journal(journal) {
        return Err(JournalError::Super);
    }
    let Some(first) = header(journal, 0).filter(|_| journal.len() >= SECTOR) else {
        return Ok(Err(Cold::Header));
    };
    let page_size = match first.page_size.get() {
        0 => super::page_size(database).ok_or(JournalError::NoPageSize)?,
        bytes => match PageSize::new(bytes) {
            Some(size) => size,
            None => return Ok(Err(Cold::Header)),
        },
    };
    let sector = first.sector_size.get();
    if !sector.is_power_of_two() || !(32..=MAX_SECTOR).contains(&sector) {
        return Ok(Err(Cold::Header));
    }
    let sector = usize::try_from(sector).unwrap_or(usize::MAX);
    resize(database, first.page_count.get(), page_size, limit)?;
    let pages = play_back(database, journal, page_size, sector);
    Ok(Ok(RolledBack { pages }))
}

/// The header at this byte; `None` where there is none.
fn header(journal: &[u8], at: usize) -> Option<JournalHeader> {
    let (header, _) = JournalHeader::read_from_prefix(journal.get(at..)?).ok()?;
    (header.magic == JournalHeader::MAGIC).then_some(header)
}

/// Writes pages back, as far as the journal goes; tells how many.
fn play_back(database: &mut [u8], journal: &[u8], page_size: PageSize, sector: usize) -> u32 {
    let record_len = page_size.bytes().saturating_add(8);
    let (mut at, mut written) = (0_usize, 0_u32);
    // Each turn goes on by at least a sector.
    while let Some((header, start)) = next_header(journal, at, sector) {
        let left = journal.get(start..).unwrap_or_default();
        let count = match header.record_count.get() {
            JournalHeader::TO_THE_END => left.chunks_exact(record_len).len(),
            count => usize::try_from(count).unwrap_or(usize::MAX),
        };
        for record in 0..count {
            let place = record.checked_mul(record_len);
            let bytes = place.and_then(|place| left.get(place..place.checked_add(record_len)?));
            let Some(bytes) = bytes else { return written };
            if !write_back(database, bytes, header.nonce.get(), page_size) {
                return written;
            }
            written = written.saturating_add(1);
        }
        at = start.saturating_add(count.saturating_mul(record_len));
    }
    written
}

/// The next header, at the start of a sector, and where its records start.
fn next_header(journal: &[u8], at: usize, sector: usize) -> Option<(JournalHeader, usize)> {
    let at = at.checked_next_multiple_of(sector)?;
    let end = at.checked_add(sector)?;
    (end <= journal.len()).then(|| header(journal, at).map(|header| (header, end)))?
}

/// Writes one page back; false where the journal is not to be believed from here on.
fn write_back(database: &mut [u8], record: &[u8], nonce: u32, page_size: PageSize) -> bool {
    let Some((number, rest)) = record.split_first_chunk::<4>() else { return false };
    let Some((page, checksum)) = rest.split_last_chunk::<4>() else { return false };
    let number = u32::from_be_bytes(*number);
    if number == 0 || Some(number) == lock_page(page_size) {
        return false;
    }
    let place = page_size
        .offset(number)
        .and_then(|start| database.get_mut(start..start.checked_add(page_size.bytes())?));
    // A page that the database did not have then.
    let Some(place) = place else { return true };
    if page_checksum(page, nonce) != u32::from_be_bytes(*checksum) {
        return false;
    }
    place.copy_from_slice(page);
    true
}

/// The page that no database uses: SQLite locks its bytes.
fn lock_page(page_size: PageSize) -> Option<u32> {
    0x4000_0000_u32.checked_div(page_size.0)?.checked_add(1)
}

/// Every 200th byte, counted from the end, but not the first one.
fn page_checksum(page: &[u8], nonce: u32) -> u32 {
    let counted = page.iter().skip(1).rev().skip(199).step_by(200);
    counted.fold(nonce, |sum, byte| sum.wrapping_add(u32::from(*byte)))
}

/// True if the journal ends with the name of another one. `readSuperJournal` in `src/pager.c`.
fn names_super_journal(journal: &[u8]) -> bool {
    let named = || {
        let (rest, magic) = journal.split_last_chunk::<8>()?;
        let (rest, checksum) = rest.split_last_chunk::<4>()?;
        let (rest, len) = rest.split_last_chunk::<4>()?;
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        let name = rest.get(rest.len().checked_sub(len)?..).filter(|name| !name.is_empty())?;
        if *magic != JournalHeader::MAGIC || len > MAX_PATHNAME {
            return None;
        }
        let sum = name.iter().fold(0_u32, |sum, byte| {
            sum.wrapping_add_signed(i32::from(i8::from_ne_bytes([*byte])))
        });
        // `pagerIsSuperJrnlName`, which reads up to a zero: `-mj`, six digits, `9`, two digits.
        let text = name.split(|byte| *byte == 0).next()?;
        let digits = text.get(text.len().checked_sub(12)?..)?.strip_prefix(b"-mj")?;
        let known = digits.iter().all(u8::is_ascii_hexdigit) && digits.get(6) == Some(&b'9');
        Some(known && sum == u32::from_be_bytes(*checksum))
    };
    named().unwrap_or(false)
}
