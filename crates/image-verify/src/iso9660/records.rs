//! The fields of a directory record.

use std::mem::offset_of;

use image_formats::iso9660::{
    Block, Moment, Record,
    raw::{DirectoryRecord, ShortDate},
};

use super::{
    EXTENT, FLAGS, INTERLEAVE, Place, RECORDING, VOLUME_SEQUENCE, VOLUME_SPACE, directories::Walk,
    extents::Owner,
};

impl Walk<'_, '_> {
    /// Judges what every record has.
    pub(super) fn record_numbers(&mut self, record: &Record<'_>, place: &Place<'_>) {
        self.met.records = true;
        let raw = record.raw;
        let at = |field: usize, len| Place { offset: record.offset + field as u64, len, ..*place };
        if !raw.extent.agrees() {
            let place = at(offset_of!(DirectoryRecord, extent), 8);
            self.judge.both32(&place, "extent", raw.extent);
        }
        if !raw.data_len.agrees() {
            let place = at(offset_of!(DirectoryRecord, data_len), 8);
            self.judge.both32(&place, "data length", raw.data_len);
        }
        if !raw.volume_sequence_number.agrees() {
            let place = at(offset_of!(DirectoryRecord, volume_sequence_number), 4);
            self.judge.both16(&place, "volume sequence number", raw.volume_sequence_number);
        }
        if raw.recording.moment() == Moment::Invalid {
            let place = at(offset_of!(DirectoryRecord, recording), 7);
            self.judge.fault(&RECORDING, &place, || {
                let ShortDate { year, month, day, hour, minute, second, zone } = raw.recording;
                let year = u32::from(year) + 1900;
                let date = format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
                format!("{date}, zone {zone}: not a date")
            });
        }
    }

    /// Judges the fields of a record that is not of the directory itself or its parent.
    pub(super) fn fields(&mut self, record: &Record<'_>, place: &Place<'_>) {
        self.record_numbers(record, place);
        let raw = record.raw;
        let flags = raw.flags;
        if flags & DirectoryRecord::RESERVED != 0 {
            self.judge
                .fault(&FLAGS, place, || format!("flags {flags:#04x}, of which 0x60 is reserved"));
        }
        let (unit, gap) = (raw.file_unit_size, raw.interleave_gap_size);
        if gap != 0 {
            self.judge.fault(&INTERLEAVE, place, || {
                format!(
                    "in units of {unit} blocks with gaps of {gap} between them, not in one piece"
                )
            });
        }
        let (disc, this) =
            (raw.volume_sequence_number.get(), self.source.descriptor.volume_sequence_number.get());
        if disc != this {
            self.judge.fault(&VOLUME_SEQUENCE, place, || format!("on disc {disc}, not {this}"));
        }
        let (block, len) = (self.source.block, u64::from(raw.data_len.get()));
        let blocks = u64::from(raw.extended_attribute_len);
        let first = block.offset(Block(raw.extent.get()));
        let start = first + blocks * block.bytes();
        // Files without content have no place; directories are judged when they are to be read.
        let nowhere = len == 0 && blocks == 0;
        if !nowhere && !raw.is_directory() && self.inside(start, len, place) {
            let owner = Owner::file(self.directory_of(place), record.offset);
            self.extents.add(first, start + len - first, owner);
        }
    }

    /// Judges where a content is. False if it is not all there.
    pub(super) fn inside(&mut self, start: u64, len: u64, place: &Place<'_>) -> bool {
        let end = start + len;
        let have = self.judge.region.len();
        if end > have {
            self.judge.fault(&EXTENT, place, || {
                format!("{len} bytes at {start:#x}, and the volume ends at {have:#x}")
            });
            return false;
        }
        let space = self.set.len;
        if end > space && space <= have {
            self.judge.fault(&VOLUME_SPACE, place, || {
                format!(
                    "{len} bytes at {start:#x}, after the volume space, which ends at {space:#x}"
                )
            });
        }
        true
    }
}
