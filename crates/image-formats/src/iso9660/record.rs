//! Directory records.

use std::mem::size_of;

use zerocopy::FromBytes as _;

use super::raw::DirectoryRecord;

/// Bytes of a sector: no directory record crosses the end of one.
pub const SECTOR: u64 = 2048;

/// The most bytes of a directory record.
pub const MAX_RECORD: usize = 255;

/// A directory record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    /// Where it starts in the volume, in bytes.
    pub offset: u64,
    /// Its fixed part.
    pub raw: DirectoryRecord,
    /// File Identifier: the name.
    pub identifier: &'a [u8],
    /// System Use: what is left of the record.
    pub system_use: &'a [u8],
    /// Where that starts in the volume, in bytes.
    pub system_use_offset: u64,
}

/// Why bytes are no directory record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// Its length, which is too short for what it must have.
    Short(u8),
    /// Its length, which leads across the end of the sector, or of the directory.
    Crosses(u8),
    /// The length of its name, which leads across the end of the record.
    Identifier(u8),
}

impl<'a> Record<'a> {
    /// The one that `bytes` start with, which are at `offset` of the volume and end where the
    /// record may not go on. `None` where there is none.
    pub fn parse(bytes: &'a [u8], offset: u64) -> Result<Option<Self>, RecordFault> {
        let Some(len) = bytes.first().copied().filter(|len| *len != 0) else { return Ok(None) };
        // One byte at least is the name.
        if usize::from(len) <= size_of::<DirectoryRecord>() {
            return Err(RecordFault::Short(len));
        }
        let record = bytes.get(..len.into()).ok_or(RecordFault::Crosses(len))?;
        let (raw, rest) =
            DirectoryRecord::read_from_prefix(record).map_err(|_| RecordFault::Short(len))?;
        let name_len = usize::from(raw.identifier_len);
        // A name of even length is followed by a byte that makes the length even.
        let padded = name_len | 1;
        let identifier = rest.get(..name_len).ok_or(RecordFault::Identifier(raw.identifier_len))?;
        let system_use = rest.get(padded..).unwrap_or_default();
        let before = record.len().saturating_sub(system_use.len());
        let before = u64::try_from(before).unwrap_or(u64::MAX);
        let system_use_offset = offset.saturating_add(before);
        Ok(Some(Self { offset, raw, identifier, system_use, system_use_offset }))
    }
}

/// The records of one sector of a directory. A fault is the last one.
pub struct Records<'a> {
    bytes: &'a [u8],
    offset: u64,
}

impl<'a> Records<'a> {
    /// Of a sector, or the part of it that there is, at `offset` of the volume.
    pub fn new(bytes: &'a [u8], offset: u64) -> Self {
        Self { bytes, offset }
    }

    /// What follows the records that were taken, and where it starts in the volume.
    pub fn rest(&self) -> (&'a [u8], u64) {
        (self.bytes, self.offset)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, (u64, RecordFault)>;

    fn next(&mut self) -> Option<Self::Item> {
        let parsed = Record::parse(self.bytes, self.offset);
        let record = match parsed {
            Ok(record) => record?,
            Err(fault) => {
                self.bytes = &[];
                return Some(Err((self.offset, fault)));
            }
        };
        self.bytes = self.bytes.get(record.raw.len.into()..).unwrap_or_default();
        self.offset = self.offset.saturating_add(record.raw.len.into());
        Some(Ok(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &[u8], system_use: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 33];
        bytes[32] = name.len() as u8;
        bytes.extend(name);
        if name.len().is_multiple_of(2) {
            bytes.push(0);
        }
        bytes.extend(system_use);
        bytes[0] = bytes.len() as u8;
        bytes
    }

    #[test]
    fn records_follow_each_other() {
        let mut bytes = [record(b"\0", b"SP"), record(b"AB", b"NM__"), record(b"C", b"")].concat();
        bytes.resize(200, 0);
        let records: Vec<_> = Records::new(&bytes, 1000).map(Result::unwrap).collect();
        let shown: Vec<_> = records
            .iter()
            .map(|r| (r.offset, r.identifier, r.system_use, r.system_use_offset))
            .collect();
        assert_eq!(
            shown,
            [
                (1000, &b"\0"[..], &b"SP"[..], 1034),
                (1036, b"AB", b"NM__", 1072),
                (1076, b"C", b"", 1110)
            ]
        );
    }

    #[test]
    fn faults() {
        let parse = |bytes: &[u8]| Record::parse(bytes, 0).unwrap_err();
        assert_eq!(parse(&[33; 100]), RecordFault::Short(33));
        assert_eq!(parse(&[34; 20]), RecordFault::Crosses(34));
        let mut bytes = record(b"ABC", b"");
        bytes[32] = 4;
        assert_eq!(parse(&bytes), RecordFault::Identifier(4));
        assert_eq!(Record::parse(&[], 0), Ok(None));
        assert_eq!(Record::parse(&[0; 3], 0), Ok(None));
        let mut records = Records::new(&bytes, 7);
        assert_eq!(records.next(), Some(Err((7, RecordFault::Identifier(4)))));
        assert_eq!(records.next(), None);
    }
}
