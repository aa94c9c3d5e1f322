//! Names: each only once, in order, and what the standard says of their letters and lengths.

use std::cmp::Ordering;

use image_formats::iso9660::{Record, joliet_name, raw::DirectoryRecord};
use image_model::Check;

use super::{
    DEPTH, DUPLICATE, FILE_NAME, JOLIET_CHARACTERS, JOLIET_LONG, NAME_CHARACTERS, NAME_LENGTH,
    ORDER, Place,
    directories::{Reader, Walk, record_at},
    paths::{DirectoryId, Names, Whose, hash},
};

/// The most bytes of an identifier from level 2 on: name, extension, dot, and version apart.
const MAX_NAME: usize = 31;

/// The most letters of a name of Joliet.
const MAX_JOLIET: usize = 64;

/// What many files have in common, which is told once.
#[derive(Default)]
pub(super) struct Tally {
    deep: Count,
    long: Count,
    characters: Count,
    joliet_long: Count,
}

/// How many, and the first one: its record, and the directory that it is in.
#[derive(Default)]
struct Count {
    count: u64,
    first: Option<(u64, DirectoryId)>,
}

impl Count {
    fn add(&mut self, record: u64, directory: DirectoryId) {
        self.count += 1;
        self.first.get_or_insert((record, directory));
    }
}

impl Tally {
    /// A directory is too deep.
    pub(super) fn deep(&mut self, record: u64, parent: DirectoryId) {
        self.deep.add(record, parent);
    }
}

impl Walk<'_, '_> {
    /// Judges the name of a file.
    pub(super) fn names(&mut self, reader: &mut Reader, record: &Record<'_>, place: &Place<'_>) {
        self.met.files = true;
        let (names, identifier) = (self.source.names, record.identifier);
        let text = names.text(identifier);
        if matches!(&*text, b"" | b"." | b"..") || text.iter().any(|byte| matches!(byte, 0 | b'/'))
        {
            self.judge.fault(&FILE_NAME, place, || {
                format!("\"{}\", which is no name of a file", identifier.escape_ascii())
            });
        }
        let associated = record.raw.flags & DirectoryRecord::ASSOCIATED != 0;
        if !reader.seen.insert(hash(identifier) ^ u64::from(associated)) {
            self.judge.fault(&DUPLICATE, place, || "the name is there twice".to_owned());
        }
        if order(names, &reader.previous, identifier) == Ordering::Greater {
            self.judge.fault(&ORDER, place, || "after a name that comes later".to_owned());
        }
        reader.previous.clear();
        reader.previous.extend(identifier);
        match names {
            Names::Primary => self.primary_name(reader.directory, record, &text),
            Names::Joliet => self.joliet_name(reader.directory, record, place),
            Names::Bytes => {}
        }
    }

    fn primary_name(&mut self, directory: DirectoryId, record: &Record<'_>, text: &[u8]) {
        if text.len() > MAX_NAME {
            self.tally.long.add(record.offset, directory);
        }
        let dots = text.iter().filter(|byte| **byte == b'.').count();
        let known = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.');
        if !text.iter().all(known) || dots > 1 || dots > 0 && record.raw.is_directory() {
            self.tally.characters.add(record.offset, directory);
        }
    }

    fn joliet_name(&mut self, directory: DirectoryId, record: &Record<'_>, place: &Place<'_>) {
        let name = joliet_name(record.identifier);
        let len = name.encode_utf16().count();
        if len > MAX_JOLIET {
            self.tally.joliet_long.add(record.offset, directory);
        }
        let bad = |c: char| {
            c.is_control() || matches!(c, '*' | '/' | ':' | ';' | '?' | '\\' | '\u{fffd}')
        };
        if name.contains(bad) || !record.identifier.len().is_multiple_of(2) {
            self.judge.fault(&JOLIET_CHARACTERS, place, || {
                format!("{name:?} has letters that names of Joliet do not have")
            });
        }
    }

    /// Tells what many files have in common.
    pub(super) fn told(&mut self) {
        let Tally { deep, long, characters, joliet_long } = std::mem::take(&mut self.tally);
        let (primary, joliet) = match self.source.names {
            Names::Primary => (true, false),
            Names::Joliet => (false, true),
            Names::Bytes => (false, false),
        };
        if primary {
            self.tell(&DEPTH, &deep, "more than 8 directories deep, the root among them");
            // Where there are better names, nobody sees these.
            if !self.has_other_names() {
                self.tell(&NAME_LENGTH, &long, "with a name of more than 31 letters");
                let what = "with letters other than A to Z, 0 to 9 and _, or a dot too many";
                self.tell(&NAME_CHARACTERS, &characters, what);
            }
        }
        if joliet && self.met.files {
            self.judge.evaluated(&[&JOLIET_CHARACTERS]);
            self.tell(&JOLIET_LONG, &joliet_long, "with a name of more than 64 letters");
        }
    }

    fn tell(&mut self, check: &'static Check, count: &Count, what: &str) {
        let Count { count, first } = *count;
        if let Some((record, directory)) = first {
            let whose = Whose::Record(directory, record);
            let place = Place { whose, ..record_at("directory record", record) };
            self.judge.fault(check, &place, || match count {
                1 => what.to_owned(),
                _ => format!("{what}, and so are {} more", count - 1),
            });
        } else if self.met.files {
            self.judge.evaluated(&[check]);
        }
    }

    /// The directory that the file of a place is in.
    pub(super) fn directory_of(&self, place: &Place<'_>) -> DirectoryId {
        match place.whose {
            Whose::Directory(id) | Whose::File(id, _) | Whose::Record(id, _) => id,
            Whose::Nobody => DirectoryId::root(0),
        }
    }
}

/// The order of names in a directory. ECMA-119 §10.3; Joliet Specification, "Relaxation".
fn order(names: Names, first: &[u8], second: &[u8]) -> Ordering {
    if names != Names::Primary {
        return padded(first, second, 0);
    }
    let [(name, extension), (other, other_extension)] = [first, second].map(parts);
    padded(name, other, b' ').then_with(|| padded(extension, other_extension, b' '))
}

/// Name and extension of an identifier, without its version.
fn parts(identifier: &[u8]) -> (&[u8], &[u8]) {
    let end = identifier.iter().position(|byte| *byte == b';').unwrap_or(identifier.len());
    let name = &identifier[..end];
    match name.iter().position(|byte| *byte == b'.') {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (name, b""),
    }
}

/// Compares texts as if the shorter one went on with the filler.
fn padded(first: &[u8], second: &[u8], filler: u8) -> Ordering {
    let len = first.len().max(second.len());
    let at = |text: &[u8], index: usize| text.get(index).copied().unwrap_or(filler);
    (0..len)
        .map(|index| at(first, index).cmp(&at(second, index)))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}
