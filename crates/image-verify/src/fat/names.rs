//! Names: of which characters, and each only once.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use image_formats::fat::{LongFault, LongName, raw::DirEntry, short_name};

use super::{
    DEVICE_NAME, DUPLICATE, DUPLICATE_LONG, LONG_NAME_CHECKSUM, LONG_NAME_ORDER, LONG_NAME_ORPHAN,
    LONG_NAME_PADDING, LONG_NAME_TEXT, Place, SHORT_NAME, SHORT_NAME_SET,
    directories::{Reader, Walk},
    paths::Name,
};

/// What no name of a file may have. FAT §6.1, §7.
const FORBIDDEN: &[u8] = br#""*/:<>?\|"#;

/// What a long name may have, and an 8.3 name not. FAT §7.
const ONLY_IN_LONG: &[u8] = b"+,;=[]";

/// The most characters of a long name.
const MAX_LONG: usize = 255;

/// Names that lead to devices in Windows, whatever comes after a dot in them.
const DEVICES: &[&str] = &["CON", "PRN", "AUX", "NUL"];

/// The same, with a digit from 1 to 9.
const NUMBERED_DEVICES: &[&str] = &["COM", "LPT"];

impl Walk<'_, '_> {
    pub(super) fn long_fault(&mut self, fault: LongFault, place: &Place<'_>) {
        let check = match fault {
            LongFault::Orphan => &LONG_NAME_ORPHAN,
            LongFault::Checksum(..) => &LONG_NAME_CHECKSUM,
            _ => &LONG_NAME_ORDER,
        };
        self.judge.fault(check, place, || match fault {
            LongFault::Orphan => "no 8.3 name follows the long name before this".to_owned(),
            LongFault::Interrupted(due) => {
                format!("a long name starts where piece {due} of another one is due")
            }
            LongFault::Order(found, Some(due)) => {
                format!("piece {found} of a long name, not {due}")
            }
            LongFault::Order(found, None) => {
                format!("piece {found} of a long name that did not start")
            }
            LongFault::Unfinished(due) => {
                format!("an 8.3 name where piece {due} of a long name is due")
            }
            LongFault::Number(found) => {
                format!("a long name has a piece with the number {found:#04x}")
            }
            LongFault::Checksum(found, want) => {
                format!("the long name has the checksum {found:#04x}, not {want:#04x}")
            }
        });
    }

    /// Judges the names of a file.
    pub(super) fn names(&mut self, name: Name<'_>, reader: &mut Reader, place: &Place<'_>) {
        let Name { entry, long } = name;
        let unnamed = entry.nt_res & DirEntry::NO_SHORT_NAME != 0;
        if unnamed && long.is_none() {
            self.judge.fault(&SHORT_NAME, place, || {
                "a flag says that the 8.3 name is none, and there is no long one".to_owned()
            });
        } else if !unnamed && let Some(byte) = bad_in_short(&entry.name) {
            self.judge.fault(&SHORT_NAME, place, || match byte {
                b' ' => "the 8.3 name starts with a space".to_owned(),
                byte => format!("the 8.3 name has the byte {byte:#04x}"),
            });
        }
        let odd = |byte: &&u8| byte.is_ascii_lowercase() || ONLY_IN_LONG.contains(byte);
        if !unnamed && let Some(odd) = entry.name.iter().find(odd) {
            self.judge.fault(&SHORT_NAME_SET, place, || {
                format!("the 8.3 name has {:?}", char::from(*odd))
            });
        }
        if let Some(long) = long {
            self.met.long_names = true;
            if let Some(fault) = bad_in_long(&long.units) {
                self.judge.fault(&LONG_NAME_TEXT, place, || fault);
            }
            if long.rough_end {
                self.judge.fault(&LONG_NAME_PADDING, place, || {
                    "after the end of the long name there is not only ffff".to_owned()
                });
            }
        }
        let short = short_name(entry);
        let long = long.filter(|long| long.regular).map(LongName::text);
        if is_device(&short) || long.as_deref().is_some_and(is_device) {
            self.judge
                .fault(&DEVICE_NAME, place, || "Windows has a device of this name".to_owned());
        }
        // Both are always remembered: no shortcut.
        let twice = !reader.short_names.insert(entry.name);
        let hashes = [Some(&short), long.as_ref()].map(|name| name.map(|name| folded(name)));
        let seen = hashes.iter().flatten().any(|hash| reader.names.contains(hash));
        reader.names.extend(hashes.iter().flatten());
        if twice {
            self.judge.fault(&DUPLICATE, place, || {
                format!("another entry of the directory has the 8.3 name {short:?}")
            });
        } else if seen {
            self.judge.fault(&DUPLICATE_LONG, place, || {
                format!("another entry of the directory has this name, or the name {short:?}")
            });
        }
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
    if let Some(last @ (0x20 | 0x2e)) = units.last() {
        return Some(format!("the long name ends with {:?}", char::from(*last as u8)));
    }
    char::decode_utf16(units.iter().copied()).find_map(|c| match c {
        Ok(c) if c < ' ' || c.is_ascii() && FORBIDDEN.contains(&(c as u8)) => {
            Some(format!("the long name has {c:?}"))
        }
        Ok(_) => None,
        Err(error) => Some(format!("the long name has {:#06x}", error.unpaired_surrogate())),
    })
}

/// True for the name of a device. FAT does not know these; who opens the file does.
fn is_device(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let same = |device: &&str| device.eq_ignore_ascii_case(base);
    let numbered = || {
        let (name, digit) = base.split_at_checked(3)?;
        let device = NUMBERED_DEVICES.iter().any(|device| device.eq_ignore_ascii_case(name));
        (device && matches!(digit.as_bytes(), [b'1'..=b'9'])).then_some(())
    };
    DEVICES.iter().any(same) || numbered().is_some()
}

/// A hash of a name without regard to case: a character for a character, as the tables of Windows
/// and Linux do.
fn folded(name: &str) -> u64 {
    let upper = |c: char| {
        let mut upper = c.to_uppercase();
        let first = upper.next().unwrap_or(c);
        if upper.next().is_some() { c } else { first }
    };
    let mut hasher = DefaultHasher::new();
    name.chars().for_each(|c| {
        if c.is_ascii() { c.to_ascii_uppercase() } else { upper(c) }.hash(&mut hasher)
    });
    hasher.finish()
}
