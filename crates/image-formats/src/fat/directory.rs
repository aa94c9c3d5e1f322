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
    /// What these bytes are.
    pub fn of(bytes: [u8; DirEntry::SIZE]) -> Self {
        let entry: DirEntry = transmute!(bytes);
        match bytes.first() {
            Some(&DirEntry::END) => Self::End,
            Some(&DirEntry::FREE) => Self::Free,
            _ if entry.attr & DirEntry::LONG_NAME_MASK == DirEntry::LONG_NAME => {
                Self::Long(transmute!(bytes))
            }
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
}

impl LongName {
    fn of(mut units: Vec<u16>) -> Self {
        let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
        let rough_end = units.iter().skip(end).skip(1).any(|unit| *unit != 0xffff);
        units.truncate(end);
        Self { units, rough_end }
    }

    /// The name; what is no character is replaced.
    pub fn text(&self) -> String {
        String::from_utf16_lossy(&self.units)
    }
}

/// Why a long name belongs to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongFault {
    /// A piece with this number, where this other one is due, or none.
    Order(u8, Option<u8>),
    /// Pieces are missing before the 8.3 name: this one is next.
    Unfinished(u8),
    /// The checksum of a piece, and the one it should have.
    Checksum(u8, u8),
}

/// Puts long names together from their pieces. After a fault it forgets the name.
#[derive(Debug, Default)]
pub struct LongNames {
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    /// Number of the piece that was last seen.
    order: u8,
    checksum: u8,
    units: Vec<u16>,
}

impl LongNames {
    /// Takes the next piece.
    pub fn piece(&mut self, entry: &LongEntry) -> Result<(), LongFault> {
        let order = entry.ord & !LongEntry::LAST;
        let before = self.pending.take();
        let pending = if entry.ord & LongEntry::LAST != 0 {
            if !(1..=LongEntry::MAX_PIECES).contains(&order) {
                return Err(LongFault::Order(order, None));
            }
            let len = LongEntry::UNITS.saturating_mul(usize::from(order));
            Pending { order, checksum: entry.chksum, units: vec![0xffff; len] }
        } else {
            let due = before.as_ref().and_then(|before| before.order.checked_sub(1));
            match before {
                Some(before) if due == Some(order) && order > 0 => Pending { order, ..before },
                _ => return Err(LongFault::Order(order, due.filter(|due| *due > 0))),
            }
        };
        if entry.chksum != pending.checksum {
            return Err(LongFault::Checksum(entry.chksum, pending.checksum));
        }
        let mut pending = pending;
        let start = LongEntry::UNITS.saturating_mul(usize::from(order.saturating_sub(1)));
        let to = pending.units.iter_mut().skip(start);
        to.zip(entry.units()).for_each(|(to, from)| *to = from);
        let unfinished = self.pending.replace(pending).map(|pending| pending.order);
        debug_assert_eq!(unfinished, None);
        Ok(())
    }

    /// True if pieces were seen, and not yet the 8.3 name that they are for.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Ends the name, at the 8.3 name that it is for or at a slot where none is.
    pub fn finish(&mut self, short: Option<&[u8; 11]>) -> Result<Option<LongName>, LongFault> {
        let Some(Pending { order, checksum, units }) = self.pending.take() else { return Ok(None) };
        match short {
            Some(short) if order == 1 => {
                let want = short_checksum(short);
                if checksum != want {
                    return Err(LongFault::Checksum(checksum, want));
                }
                Ok(Some(LongName::of(units)))
            }
            _ => Err(LongFault::Unfinished(order.saturating_sub(1))),
        }
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

    #[test]
    fn names_are_put_together_and_faults_forget_them() {
        let short = b"ABCDEF~1TXT";
        let sum = short_checksum(short);
        let mut names = LongNames::default();
        names.piece(&piece(0x42, sum, "nd")).unwrap();
        names.piece(&piece(1, sum, "thirteen chars")).unwrap();
        let name = names.finish(Some(short)).unwrap().unwrap();
        assert_eq!((name.text().as_str(), name.rough_end), ("thirteen charnd", false));
        assert_eq!(names.finish(Some(short)), Ok(None));

        assert_eq!(names.piece(&piece(1, sum, "a")), Err(LongFault::Order(1, None)));
        names.piece(&piece(0x43, sum, "a")).unwrap();
        assert_eq!(names.piece(&piece(1, sum, "a")), Err(LongFault::Order(1, Some(2))));
        assert!(!names.is_pending());
        names.piece(&piece(0x42, sum, "a")).unwrap();
        assert_eq!(names.piece(&piece(1, !sum, "a")), Err(LongFault::Checksum(!sum, sum)));
        names.piece(&piece(0x41, !sum, "a")).unwrap();
        assert_eq!(names.finish(Some(short)), Err(LongFault::Checksum(!sum, sum)));
        names.piece(&piece(0x42, sum, "a")).unwrap();
        assert_eq!(names.finish(Some(short)), Err(LongFault::Unfinished(1)));
        names.piece(&piece(0x41, sum, "a")).unwrap();
        assert_eq!(names.finish(None), Err(LongFault::Unfinished(0)));
        assert_eq!(names.piece(&piece(0x40, sum, "a")), Err(LongFault::Order(0, None)));
        assert_eq!(names.piece(&piece(0x55, sum, "a")), Err(LongFault::Order(21, None)));
    }
}
