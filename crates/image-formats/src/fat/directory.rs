//! Directories: slots of 32 bytes, and the long names that several of them hold together. FAT §6,
//! §7.

use zerocopy::transmute;

use super::{
    geometry::{Cluster, Width},
    name::short_checksum,
    raw::{DirEntry, LongEntry},
};

/// What 32 bytes of a directory are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slot {
    /// Free, as all that follow.
    End,
    /// Free: never used, or of a file that was deleted.
    Free,
    /// A piece of a long name.
    Long(LongEntry),
    /// A file, a directory or the label.
    Short(DirEntry),
}

impl Slot {
    /// What these bytes are, as Linux and fsck.fat take them: a piece of a long name has all four
    /// attributes and no other.
    pub fn of(bytes: [u8; DirEntry::SIZE]) -> Self {
        let entry: DirEntry = transmute!(bytes);
        match bytes.first() {
            Some(&DirEntry::END) => Self::End,
            Some(&DirEntry::FREE) => Self::Free,
            _ if entry.attr == DirEntry::LONG_NAME => Self::Long(transmute!(bytes)),
            _ => Self::Short(entry),
        }
    }
}

impl DirEntry {
    /// The first cluster, 0 where it has none.
    pub fn first_cluster(&self, width: Width) -> Cluster {
        let high = match width {
            Width::Fat32 => u32::from(self.fst_clus_hi.get()),
            Width::Fat12 | Width::Fat16 => 0,
        };
        Cluster(high << 16 | u32::from(self.fst_clus_lo.get()))
    }

    /// True for a directory.
    pub fn is_directory(&self) -> bool {
        self.attr & Self::DIRECTORY != 0
    }

    /// True for what is no file but the label.
    pub fn is_label(&self) -> bool {
        self.attr & Self::VOLUME_ID != 0
    }

    /// When it was modified, in seconds since 1970, its local time taken as UTC; `None` where that
    /// is no date.
    pub fn modified(&self) -> Option<i64> {
        let (date, time) = (i64::from(self.wrt_date.get()), i64::from(self.wrt_time.get()));
        let (month, day) = (date >> 5 & 0xf, date & 0x1f);
        let (hour, minute, second) = (time >> 11, time >> 5 & 0x3f, (time & 0x1f) << 1);
        if !(1..=12).contains(&month) || day == 0 || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        // Years that start in March end with the day that is not always there.
        let year = (date >> 9).checked_add(if month > 2 { 1980 } else { 1979 })?;
        let month = month.checked_add(9)?.checked_rem(12)?;
        let days = year
            .checked_mul(365)?
            .checked_add(year.div_euclid(4))?
            .checked_sub(year.div_euclid(100))?
            .checked_add(year.div_euclid(400))?
            .checked_add(month.checked_mul(153)?.checked_add(2)?.div_euclid(5))?
            .checked_add(day)?
            .checked_sub(DAYS_TO_1970)?;
        let hours = days.checked_mul(24)?.checked_add(hour)?;
        hours.checked_mul(60)?.checked_add(minute)?.checked_mul(60)?.checked_add(second)
    }
}

/// Days from March 0 of the year 0 to January 1 of 1970.
const DAYS_TO_1970: i64 = 719_469;

/// A long name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongName {
    /// Its characters, UTF-16, up to the one that ends it.
    pub units: Vec<u16>,
    /// What follows the end is not all `FFFF`, as it should be.
    pub rough_end: bool,
    /// All pieces have the same checksum, and numbers as there are. Linux and Windows do not show
    /// the name where they have not.
    pub regular: bool,
}

impl LongName {
    /// The name; what is no character is replaced.
    pub fn text(&self) -> String {
        String::from_utf16_lossy(&self.units)
    }
}

/// What is wrong with the pieces of a long name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongFault {
    /// No 8.3 name follows the pieces, but a free slot, the end, or another name after the last
    /// piece.
    Orphan,
    /// Another name starts where this piece is due.
    Interrupted(u8),
    /// A piece with this number, where this other one is due, or none.
    Order(u8, Option<u8>),
    /// The 8.3 name comes where this piece is due.
    Unfinished(u8),
    /// `LDIR_Ord` has bits that no piece has, or names have fewer pieces.
    Number(u8),
    /// The checksum of a piece, and the one it should have.
    Checksum(u8, u8),
}

/// Puts long names together from their pieces. It forgives what fsck.fat forgives: bits of a number
/// that do not count, and checksums that differ.
#[derive(Debug, Default)]
pub struct LongNames {
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    /// Number of the piece that is due, 0 where the 8.3 name is.
    due: u8,
    checksum: u8,
    regular: bool,
    units: Vec<u16>,
}

impl LongNames {
    /// Takes the next piece, and tells what is wrong with it and with those before it. False where
    /// it is no piece of a name.
    pub fn piece(&mut self, entry: &LongEntry, mut fault: impl FnMut(LongFault)) -> bool {
        let order = entry.ord & LongEntry::NUMBER;
        let starts = entry.ord & LongEntry::LAST != 0 && order != 0;
        if self.pending.as_ref().is_some_and(|pending| pending.due == 0) {
            self.pending = None;
            fault(LongFault::Orphan);
        }
        let mut pending = match self.pending.take() {
            before if starts => {
                if let Some(before) = before {
                    fault(LongFault::Interrupted(before.due));
                }
                let len = LongEntry::UNITS.saturating_mul(usize::from(order));
                let (due, checksum) = (order, entry.chksum);
                Pending { due, checksum, regular: true, units: vec![0xffff; len] }
            }
            Some(before) if before.due == order => before,
            before => {
                fault(LongFault::Order(order, before.map(|before| before.due)));
                return false;
            }
        };
        if entry.ord & !LongEntry::LAST != order || order > LongEntry::MAX_PIECES {
            fault(LongFault::Number(entry.ord));
            pending.regular = false;
        }
        if entry.chksum != pending.checksum {
            fault(LongFault::Checksum(entry.chksum, pending.checksum));
            pending.regular = false;
        }
        pending.due = order.saturating_sub(1);
        let start = LongEntry::UNITS.saturating_mul(usize::from(pending.due));
        let to = pending.units.iter_mut().skip(start);
        to.zip(entry.units()).for_each(|(to, from)| *to = from);
        self.pending = Some(pending);
        true
    }

    /// Ends the name at a slot where no 8.3 name is, or at the end of the directory.
    pub fn orphan(&mut self) -> Option<LongFault> {
        self.pending.take().map(|_| LongFault::Orphan)
    }

    /// Ends the name at the 8.3 name that it is for.
    pub fn finish(&mut self, short: &[u8; 11]) -> Result<Option<LongName>, LongFault> {
        let Some(pending) = self.pending.take() else { return Ok(None) };
        let Pending { due, checksum, regular, mut units } = pending;
        let want = short_checksum(short);
        if due != 0 {
            return Err(LongFault::Unfinished(due));
        }
        if checksum != want {
            return Err(LongFault::Checksum(checksum, want));
        }
        let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
        let rough_end = units.iter().skip(end).skip(1).any(|unit| *unit != 0xffff);
        units.truncate(end);
        Ok(Some(LongName { units, rough_end, regular }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::{FromZeros as _, little_endian::U16};

    fn modified(date: u16, time: u16) -> Option<i64> {
        let mut entry = DirEntry::new_zeroed();
        entry.wrt_date.set(date);
        entry.wrt_time.set(time);
        entry.modified()
    }

    #[test]
    fn times() {
        assert_eq!(modified(0, 0), None);
        assert_eq!(modified(1 << 5 | 1, 0), Some(315_532_800));
        assert_eq!(modified(20 << 9 | 1 << 5 | 1, 0), Some(946_684_800));
        assert_eq!(modified(44 << 9 | 2 << 5 | 29, 23 << 11 | 59 << 5 | 29), Some(1_709_251_198));
        assert_eq!(modified(127 << 9 | 12 << 5 | 31, 0), Some(4_354_732_800));
        assert_eq!(modified(13 << 5 | 1, 0), None);
    }

    fn piece(ord: u8, chksum: u8, text: &str) -> LongEntry {
        let mut units = [0xffff_u16; 13];
        let chars: Vec<u16> = text.encode_utf16().chain([0]).collect();
        units.iter_mut().zip(chars).for_each(|(to, from)| *to = from);
        let mut entry = LongEntry::new_zeroed();
        (entry.ord, entry.attr, entry.chksum) = (ord, 0x0f, chksum);
        entry
            .name1
            .iter_mut()
            .chain(&mut entry.name2)
            .chain(&mut entry.name3)
            .zip(units)
            .for_each(|(to, from)| *to = U16::new(from));
        entry
    }

    /// Takes a piece, and collects what is wrong.
    fn take(names: &mut LongNames, piece: &LongEntry) -> (bool, Vec<LongFault>) {
        let mut faults = Vec::new();
        (names.piece(piece, |fault| faults.push(fault)), faults)
    }

    #[test]
    fn names_are_put_together() {
        let short = b"ABCDEF~1TXT";
        let sum = short_checksum(short);
        let mut names = LongNames::default();
        assert_eq!(take(&mut names, &piece(0x42, sum, "nd")), (true, vec![]));
        assert_eq!(take(&mut names, &piece(1, sum, "thirteen chars")), (true, vec![]));
        let name = names.finish(short).unwrap().unwrap();
        assert_eq!(name.text(), "thirteen charnd");
        assert!(name.regular && !name.rough_end);
        assert_eq!(names.finish(short), Ok(None));
        assert_eq!(names.orphan(), None);
    }

    /// In the words and the order of fsck.fat, whose `lfn_add_slot` and `lfn_get` this follows.
    #[test]
    fn faults() {
        let short = b"ABCDEF~1TXT";
        let sum = short_checksum(short);
        let mut names = LongNames::default();
        let order = |found, due| (false, vec![LongFault::Order(found, due)]);
        assert_eq!(take(&mut names, &piece(1, sum, "a")), order(1, None));
        assert_eq!(take(&mut names, &piece(0x40, sum, "a")), order(0, None));
        take(&mut names, &piece(0x43, sum, "a"));
        assert_eq!(take(&mut names, &piece(1, sum, "a")), order(1, Some(2)));
        assert_eq!(names.finish(short), Ok(None));

        take(&mut names, &piece(0x42, sum, "a"));
        let faults = vec![LongFault::Checksum(!sum, sum)];
        assert_eq!(take(&mut names, &piece(1, !sum, "a")), (true, faults));
        assert!(!names.finish(short).unwrap().unwrap().regular);
        take(&mut names, &piece(0x41, !sum, "a"));
        assert_eq!(names.finish(short), Err(LongFault::Checksum(!sum, sum)));

        take(&mut names, &piece(0x42, sum, "a"));
        assert_eq!(names.finish(short), Err(LongFault::Unfinished(1)));
        take(&mut names, &piece(0x42, sum, "a"));
        let faults = vec![LongFault::Interrupted(1)];
        assert_eq!(take(&mut names, &piece(0x41, sum, "a")), (true, faults));
        let faults = vec![LongFault::Orphan];
        assert_eq!(take(&mut names, &piece(0x41, sum, "a")), (true, faults));
        assert_eq!(names.orphan(), Some(LongFault::Orphan));

        assert_eq!(take(&mut names, &piece(0xc1, sum, "a")), (true, vec![LongFault::Number(0xc1)]));
        take(&mut names, &piece(0x55, sum, "a"));
        assert_eq!(names.orphan(), Some(LongFault::Orphan));
    }
}
