//! Files of several extents. ECMA-119 §6.5.1, §9.1.6.

use image_formats::iso9660::Record;

use super::{
    MULTI_EXTENT, Place, SECTION_SIZE,
    directories::{Reader, Walk},
    paths::{Whose, hash},
};

/// How many extents of a file Linux follows.
pub(super) const MAX_SECTIONS: u32 = 100;

/// A file of which more extents follow.
pub(super) struct Sections {
    /// Of its identifier.
    name: u64,
    /// Its first record.
    record: u64,
    count: u32,
}

impl Walk<'_, '_> {
    /// Judges what a record says of further extents. True if it is the first one of its file.
    pub(super) fn section(
        &mut self,
        reader: &mut Reader,
        record: &Record<'_>,
        place: &Place<'_>,
    ) -> bool {
        let more = record.raw.has_more();
        let name = hash(record.identifier);
        let open = reader.sections.take();
        if !more && open.is_none() {
            return true;
        }
        self.met.sections = true;
        let (mut first, mut count, mut start) = (true, 1, record.offset);
        if let Some(open) = open {
            if open.name == name {
                (first, count, start) = (false, open.count + 1, open.record);
            } else {
                let place = Place {
                    offset: open.record,
                    whose: Whose::Record(reader.directory, open.record),
                    ..*place
                };
                self.judge.fault(&MULTI_EXTENT, &place, || {
                    format!(
                        "more extents are to follow, and after {} another file does",
                        open.count
                    )
                });
            }
        }
        if more && record.raw.is_directory() {
            self.judge.fault(&MULTI_EXTENT, place, || "a directory of several extents".to_owned());
            return first;
        }
        if more && count == MAX_SECTIONS {
            self.judge.fault(&MULTI_EXTENT, place, || {
                format!("more than {MAX_SECTIONS} extents: Linux reads no more")
            });
        }
        let (len, block) = (u64::from(record.raw.data_len.get()), self.source.block.bytes());
        if more && !len.is_multiple_of(block) {
            self.judge.fault(&SECTION_SIZE, place, || {
                format!(
                    "an extent of {len} bytes before another one, not of whole blocks of {block}"
                )
            });
        }
        if more {
            reader.sections = Some(Sections { name, record: start, count });
        }
        first
    }

    /// Judges the end of a directory.
    pub(super) fn end_of_sections(&mut self, reader: &mut Reader, place: &Place<'_>) {
        let Some(open) = reader.sections.take() else { return };
        let whose = Whose::Record(reader.directory, open.record);
        let place = Place { offset: open.record, whose, ..*place };
        self.judge.fault(&MULTI_EXTENT, &place, || {
            format!("more extents are to follow, and after {} the directory ends", open.count)
        });
    }
}
