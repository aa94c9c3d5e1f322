//! Names: of which characters, and each only once.

use std::collections::HashSet;

use image_formats::fat::{
    LongFault, LongName,
    raw::{DirEntry, LongEntry},
    short_name,
};

use super::{
    DUPLICATE, Judge, LONG_NAME_CHECKSUM, LONG_NAME_FIELDS, LONG_NAME_ORDER, LONG_NAME_TEXT, Place,
    SHORT_NAME, SHORT_NAME_SET,
};

/// What no name of a file may have. FAT §6.1, §7.
const FORBIDDEN: &[u8] = br#""*/:<>?\|"#;

/// What a long name may have, and an 8.3 name not. FAT §7.
const ONLY_IN_LONG: &[u8] = b"+,;=[]";

/// The most characters of a long name.
const MAX_LONG: usize = 255;

impl Judge<'_> {
    pub(super) fn long_piece(&mut self, entry: &LongEntry, place: &Place) {
        let (kind, cluster) = (entry.kind, entry.fst_clus_lo.get());
        self.expect(&LONG_NAME_FIELDS, kind == 0 && cluster == 0, place, || {
            format!("type {kind} and first cluster {cluster}, not 0")
        });
    }

    pub(super) fn long_fault(&mut self, fault: Option<LongFault>, place: &Place) {
        let (order, sum) = match fault {
            Some(LongFault::Checksum(..)) => (None, fault),
            _ => (fault, None),
        };
        self.expect(&LONG_NAME_ORDER, order.is_none(), place, || match order {
            Some(LongFault::Order(found, Some(due))) => {
                format!("piece {found} of a long name, not {due}")
            }
            Some(LongFault::Order(found, None)) => {
                format!("piece {found} of a long name that did not start")
            }
            Some(LongFault::Unfinished(0)) => "no 8.3 name follows a long name".to_owned(),
            _ => "pieces of the long name before this are missing".to_owned(),
        });
        self.expect(&LONG_NAME_CHECKSUM, sum.is_none(), place, || match sum {
            Some(LongFault::Checksum(found, want)) => {
                format!("the long name has the checksum {found:#04x}, not {want:#04x}")
            }
            _ => String::new(),
        });
    }

    /// Judges the names of a file, of which `name` is the one that it is known by.
    pub(super) fn names(
        &mut self,
        entry: &DirEntry,
        long: Option<&LongName>,
        name: &str,
        seen: &mut HashSet<String>,
        place: &Place,
    ) {
        let bad = bad_in_short(&entry.name);
        self.expect(&SHORT_NAME, bad.is_none(), place, || match bad {
            Some(b' ') => "the 8.3 name starts with a space".to_owned(),
            Some(byte) => format!("the 8.3 name has the byte {byte:#04x}"),
            None => String::new(),
        });
        let odd = |byte: &&u8| byte.is_ascii_lowercase() || ONLY_IN_LONG.contains(byte);
        let odd = entry.name.iter().find(odd).copied();
        self.expect(&SHORT_NAME_SET, odd.is_none(), place, || {
            format!("the 8.3 name has {:?}", char::from(odd.unwrap_or_default()))
        });
        if let Some(long) = long {
            let fault = bad_in_long(&long.units);
            self.expect(&LONG_NAME_TEXT, fault.is_none(), place, || fault.unwrap_or_default());
            self.expect(&LONG_NAME_FIELDS, !long.rough_end, place, || {
                "after the end of the long name there is not only ffff".to_owned()
            });
        }
        let short = short_name(entry);
        let keys = [folded(name), folded(&short)];
        let twice = keys.iter().any(|key| seen.contains(key));
        seen.extend(keys);
        self.expect(&DUPLICATE, !twice, place, || {
            format!("another entry of the directory has this name, or its 8.3 name {short:?}")
        });
    }
}

/// The byte that makes an 8.3 name bad, by the rules of fsck.fat.
fn bad_in_short(name: &[u8; 11]) -> Option<u8> {
    // An 0xe5 that is a character is written 0x05 at the start.
    let rest = if name[0] == 0x05 { &name[1..] } else { &name[..] };
    let bad = |byte: &&u8| matches!(**byte, 0..0x20 | b'.' | 0x7f) || FORBIDDEN.contains(byte);
    rest.iter().find(bad).copied().or((name[0] == b' ').then_some(b' '))
}

fn bad_in_long(units: &[u16]) -> Option<String> {
    if !(1..=MAX_LONG).contains(&units.len()) {
        return Some(format!("the long name has {} characters, not 1 to 255", units.len()));
    }
    char::decode_utf16(units.iter().copied()).find_map(|c| match c {
        Ok(c) if c < ' ' || c.is_ascii() && FORBIDDEN.contains(&(c as u8)) => {
            Some(format!("the long name has {c:?}"))
        }
        Ok(_) => None,
        Err(error) => Some(format!("the long name has {:#06x}", error.unpaired_surrogate())),
    })
}

/// A name without regard to case: a character for a character, as the tables of Windows and Linux
/// do.
pub(super) fn folded(name: &str) -> String {
    let upper = |c: char| {
        let mut upper = c.to_uppercase();
        let first = upper.next().unwrap_or(c);
        if upper.next().is_some() { c } else { first }
    };
    name.chars().map(upper).collect()
}
