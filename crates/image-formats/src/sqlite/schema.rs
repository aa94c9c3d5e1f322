//! The schema: a table in the b-tree whose root is the first page. It is read before SQLite reads
//! it, because SQLite compiles each of its statements, and keeps what it compiled.
//!
//! SQLite, *Database File Format*, §1.5, §1.6, §2.1 and §2.6.

use std::collections::BTreeSet;

use super::{PageSize, raw::DatabaseHeader};

/// A row of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `table`, `index`, `view` or `trigger`.
    pub kind: Vec<u8>,
    /// Its name.
    pub name: Vec<u8>,
    /// The statement that makes it; empty where SQLite made it.
    pub sql: Vec<u8>,
}

/// Why a schema cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It is no database.
    #[error("no SQLite database")]
    NotOne,
    /// Its texts are no UTF-8.
    #[error("its texts are UTF-16")]
    Encoding,
    /// A page is not what it has to be.
    #[error("page {page}: {what}")]
    Page {
        /// Its number, from 1.
        page: u32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// More than was allowed.
    #[error("it has more than {0}")]
    Limit(&'static str),
}

/// Pages that a schema may have, without those that long rows continue on.
const MAX_PAGES: usize = 64;
/// Rows that it may have: Nix makes about ten.
const MAX_ENTRIES: usize = 256;
/// Bytes of all rows: those of Nix have 3 KiB.
const MAX_BYTES: usize = 256 << 10;

/// Page of a table that leads to others.
const INTERIOR: u8 = 0x05;
/// Page of a table with rows.
const LEAF: u8 = 0x0d;

/// Reads the schema of a database.
pub fn read(database: &[u8]) -> Result<Vec<Entry>, SchemaError> {
    let header = super::header(database).ok_or(SchemaError::NotOne)?;
    let page_size = super::page_size(database).ok_or(SchemaError::NotOne)?;
    if header.text_encoding.get() > 1 {
        return Err(SchemaError::Encoding);
    }
    let usable = page_size.bytes().saturating_sub(usize::from(header.reserved_space));
    if usable < 480 {
        return Err(SchemaError::NotOne);
    }
    let mut tree = Tree { database, page_size, usable, bytes: 0 };
    let (mut entries, mut waiting) = (Vec::new(), vec![1_u32]);
    let mut seen = BTreeSet::new();
    while let Some(number) = waiting.pop() {
        if !seen.insert(number) {
            return Err(SchemaError::Page { page: number, what: "it is there twice" });
        }
        if seen.len() > MAX_PAGES {
            return Err(SchemaError::Limit("64 pages"));
        }
        let page = tree.page(number)?;
        match page.kind {
            INTERIOR => waiting.extend(page.children()?.iter().rev()),
            LEAF => {
                for cell in 0..page.cells {
                    if entries.len() >= MAX_ENTRIES {
                        return Err(SchemaError::Limit("256 rows"));
                    }
                    let record = tree.record(&page, cell)?;
                    let entry = entry(&record);
                    entries.push(entry.ok_or(page.wrong("a row is no row of a schema"))?);
                }
            }
            _ => return Err(page.wrong("no page of a table")),
        }
    }
    Ok(entries)
}

struct Tree<'d> {
    database: &'d [u8],
    page_size: PageSize,
    /// Bytes of a page that SQLite uses.
    usable: usize,
    /// Bytes of the rows that were read.
    bytes: usize,
}

struct Page<'d> {
    number: u32,
    bytes: &'d [u8],
    /// Where its header is: the first page has that of the database before it.
    header: usize,
    kind: u8,
    cells: usize,
}

impl<'d> Tree<'d> {
    fn bytes(&self, number: u32) -> Option<&'d [u8]> {
        let start = self.page_size.offset(number)?;
        self.database.get(start..start.checked_add(self.usable)?)
    }

    fn page(&self, number: u32) -> Result<Page<'d>, SchemaError> {
        let lacks = SchemaError::Page { page: number, what: "it is not there" };
        let bytes = self.bytes(number).ok_or(lacks)?;
        let header = if number == 1 { DatabaseHeader::SIZE } else { 0 };
        let kind = bytes.get(header).copied().unwrap_or(0);
        let cells = u16_at(bytes, header.saturating_add(3)).unwrap_or(0);
        Ok(Page { number, bytes, header, kind, cells: cells.into() })
    }

    /// The whole row of a cell.
    fn record(&mut self, page: &Page<'d>, cell: usize) -> Result<Vec<u8>, SchemaError> {
        let outside = page.wrong("a row lies outside");
        let mut rest = page.cell(cell).ok_or(outside)?;
        let len = varint(&mut rest).and_then(|len| usize::try_from(len).ok()).ok_or(outside)?;
        varint(&mut rest).ok_or(outside)?;
        self.bytes = self.bytes.saturating_add(len);
        if self.bytes > MAX_BYTES {
            return Err(SchemaError::Limit("256 KiB"));
        }
        let local = self.local(len);
        let mut record = rest.get(..local).ok_or(outside)?.to_vec();
        let mut next = rest.get(local..).and_then(|rest| u32_at(rest, 0));
        // Each turn adds bytes.
        while record.len() < len {
            let continued = next.and_then(|next| self.bytes(next)).ok_or(outside)?;
            next = u32_at(continued, 0);
            let more = continued.get(4..).unwrap_or_default();
            let wanted = len.saturating_sub(record.len()).min(more.len());
            record.extend_from_slice(more.get(..wanted).unwrap_or_default());
        }
        Ok(record)
    }

    /// How many bytes of a row are in its page. §1.6.
    fn local(&self, len: usize) -> usize {
        let most = self.usable.saturating_sub(35);
        if len <= most {
            return len;
        }
        let least = (self.usable.saturating_sub(12).saturating_mul(32) / 255).saturating_sub(23);
        let over = len.saturating_sub(least).checked_rem(self.usable.saturating_sub(4));
        let local = least.saturating_add(over.unwrap_or(0));
        if local <= most { local } else { least }
    }
}

impl<'d> Page<'d> {
    fn wrong(&self, what: &'static str) -> SchemaError {
        SchemaError::Page { page: self.number, what }
    }

    /// From where a cell starts.
    fn cell(&self, cell: usize) -> Option<&'d [u8]> {
        let header_len = if self.kind == LEAF { 8 } else { 12 };
        let pointers = self.header.checked_add(header_len)?;
        let at = u16_at(self.bytes, pointers.checked_add(cell.checked_mul(2)?)?)?;
        self.bytes.get(usize::from(at)..)
    }

    /// The pages that it leads to.
    fn children(&self) -> Result<Vec<u32>, SchemaError> {
        if self.cells > MAX_PAGES {
            return Err(SchemaError::Limit("64 pages"));
        }
        let cells = (0..self.cells).map(|cell| u32_at(self.cell(cell)?, 0));
        let last = u32_at(self.bytes, self.header.saturating_add(8));
        let children: Option<Vec<u32>> = cells.chain([last]).collect();
        children.ok_or(self.wrong("a page lies outside"))
    }
}

/// The row of a schema: type, name, name of the table, root page, statement.
fn entry(record: &[u8]) -> Option<Entry> {
    let mut rest = record;
    let header_len = usize::try_from(varint(&mut rest)?).ok()?;
    let mut types = record.get(record.len().checked_sub(rest.len())?..header_len)?;
    let mut values = record.get(header_len..)?;
    let mut value = || {
        let kind = varint(&mut types)?;
        let len = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => kind.checked_sub(12)? / 2,
        };
        let (value, rest) = values.split_at_checked(usize::try_from(len).ok()?)?;
        values = rest;
        Some(value.to_vec())
    };
    let (kind, name, _table, _root, sql) = (value()?, value()?, value()?, value()?, value()?);
    Some(Entry { kind, name, sql })
}

/// A number of one to nine bytes. §1.6.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for _ in 0..8 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number = number << 7 | u64::from(byte & 0x7f);
        if *byte < 0x80 {
            return Some(number);
        }
    }
    let (byte, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(number << 8 | u64::from(*byte))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}
