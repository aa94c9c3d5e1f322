//! The files of SQLite. SQLite, *Database File Format* (sqlite.org/fileformat2.html).
//!
//! What SQLite reads depends on two files beside the database: a rollback journal, from which a
//! transaction that did not end is undone, and a write-ahead log, of which what was committed
//! counts. Both are brought into a copy of the database that is in memory, so that whoever reads it
//! sees what SQLite would, and nothing is written. What is in the pages is read by SQLite itself.

pub mod journal;
pub mod raw;
pub mod schema;
pub mod wal;

use std::fmt;

use zerocopy::FromBytes as _;

use raw::DatabaseHeader;

/// Bytes of a page: a power of two from 512 to 65536.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u32);

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PageSize {
    /// `SQLITE_MAX_PAGE_SIZE`.
    const MAX: u32 = 65536;

    /// `None` where it is no size of a page.
    pub fn new(bytes: u32) -> Option<Self> {
        let good = bytes.is_power_of_two() && (512..=Self::MAX).contains(&bytes);
        good.then_some(Self(bytes))
    }

    /// In bytes.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Where the page of this number, from 1 on, starts.
    fn offset(self, page: u32) -> Option<usize> {
        usize::try_from(page.checked_sub(1)?).ok()?.checked_mul(self.bytes())
    }

    /// Bytes of so many pages.
    fn total(self, pages: u32) -> Option<usize> {
        usize::try_from(pages).ok()?.checked_mul(self.bytes())
    }
}

/// The header of a database; `None` where there are fewer than 100 bytes.
pub fn header(database: &[u8]) -> Option<DatabaseHeader> {
    DatabaseHeader::read_from_prefix(database).ok().map(|(header, _)| header)
}

/// Bytes of a page of this database; `None` where it is none.
pub fn page_size(database: &[u8]) -> Option<PageSize> {
    let header = header(database).filter(|header| header.magic == DatabaseHeader::MAGIC)?;
    PageSize::new(match header.page_size.get() {
        1 => PageSize::MAX,
        bytes => u32::from(bytes),
    })
}

/// Says of a database that a rollback journal is used with it. One that is in memory has no
/// write-ahead log, and SQLite refuses it where its header says that it has.
pub fn forget_wal(database: &mut [u8]) {
    // `write_version` and `read_version`.
    for version in database.get_mut(18..20).unwrap_or_default() {
        if *version == DatabaseHeader::WAL {
            *version = DatabaseHeader::LEGACY;
        }
    }
}

/// The database would be larger than was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database would have {pages} pages of {page_size} bytes, more than {limit} bytes")]
pub struct TooLarge {
    /// Pages it would have.
    pub pages: u32,
    /// Bytes of each.
    pub page_size: PageSize,
    /// What is allowed.
    pub limit: usize,
}

/// Makes a database so many pages long: what is behind them is cut off, what lacks is zero.
fn resize(
    database: &mut Vec<u8>,
    pages: u32,
    page_size: PageSize,
    limit: usize,
) -> Result<(), TooLarge> {
    let len = page_size.total(pages).filter(|len| *len <= limit);
    database.resize(len.ok_or(TooLarge { pages, page_size, limit })?, 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_a_size() {
        for (field, bytes) in [(512, Some(512)), (4096, Some(4096)), (1, Some(65536)), (0, None)] {
            let mut database = vec![0; 100];
            database[..16].copy_from_slice(&DatabaseHeader::MAGIC);
            database[16..18].copy_from_slice(&u16::to_be_bytes(field));
            assert_eq!(page_size(&database).map(PageSize::bytes), bytes, "{field}");
            database[0] = b's';
            assert_eq!(page_size(&database), None);
        }
        assert_eq!(page_size(&[0; 99]), None);
        assert_eq!((PageSize::new(256), PageSize::new(4097)), (None, None));
    }

    #[test]
    fn a_log_is_forgotten() {
        let mut database = vec![2; 100];
        forget_wal(&mut database);
        assert_eq!(database[17..21], [2, 1, 1, 2]);
        forget_wal(&mut []);
    }
}
