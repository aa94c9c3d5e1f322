//! The catalog: its sections and entries, whatever these lead to.

use std::mem::offset_of;

use image_formats::{
    bytes::ReadError,
    el_torito::{
        Catalog, Record, SECTOR,
        raw::{Entry, Extension, RECORD_SIZE, SectionHeader, ValidationEntry},
    },
};
use image_model::Location;
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{
    BOOT_INDICATOR, BOOTABLE, BootImage, CATALOG_END, CATALOG_SIZE, CHECKSUM, EFI_EMULATION,
    ENTRY_UNUSED, EXTENSION, Judge, KEY, MEDIA_TYPE, PLATFORM, SECTION_COUNT, SECTION_HEADER,
    SECTION_LAST, VALIDATION_HEADER,
};
use crate::disk::at;

/// The most entries whose images are judged: as many as are in a sector.
const MAX_IMAGES: usize = SECTOR as usize / RECORD_SIZE;

/// An entry that leads to an image.
pub(super) struct Listed {
    pub(super) number: u32,
    pub(super) platform: u8,
    pub(super) entry: Entry,
    /// Where it is.
    pub(super) at: u64,
    /// The way to it, and what it says, is right.
    pub(super) sound: bool,
}

impl Listed {
    /// Where a field of it is.
    pub(super) fn field(&self, field: usize, len: u64) -> Location {
        entry_at(self.number, self.at, field, len)
    }
}

fn entry_at(number: u32, place: u64, field: usize, len: u64) -> Location {
    at(format!("boot catalog entry {number}"), place.saturating_add(field as u64), len)
}

fn validation_at(place: u64, field: usize, len: u64) -> Location {
    at("boot catalog validation entry", place.saturating_add(field as u64), len)
}

fn header_at(number: u32, place: u64, field: usize, len: u64) -> Location {
    at(format!("boot catalog section {number}"), place.saturating_add(field as u64), len)
}

const RECORD: u64 = RECORD_SIZE as u64;

impl Judge<'_> {
    /// The entries of the catalog at `place`, in their order.
    pub(super) fn catalog(&mut self, place: u64) -> Result<Vec<Listed>, ReadError> {
        let catalog = Catalog::read(self.disc, place)?;
        self.validation(&catalog.validation, place);
        let mut platform = catalog.validation.platform_id;
        let (mut number, mut section) = (0, 0);
        let mut listed: Vec<Listed> = Vec::new();
        let mut records = catalog.records.iter().peekable();
        let mut last = None;
        while let Some((at, record)) = records.next() {
            let extended = matches!(records.peek(), Some((_, Record::Extension(_))));
            match record {
                Record::Header(header) => {
                    section += 1;
                    platform = header.platform_id;
                    self.platform(platform, || {
                        header_at(section, *at, offset_of!(SectionHeader, platform_id), 1)
                    });
                    last = Some((section, *at, *header));
                }
                Record::Initial(entry) | Record::Section(entry) => {
                    number += 1;
                    let is_initial = matches!(record, Record::Initial(_));
                    let here = Listed { number, platform, entry: *entry, at: *at, sound: true };
                    if !is_initial && !self.counted(&here, section) {
                        continue;
                    }
                    let sound = self.sound;
                    self.entry(&here, is_initial);
                    self.continues(entry.media_type & Entry::CONTINUES != 0, extended, || {
                        here.field(offset_of!(Entry, media_type), 1)
                    });
                    let here = Listed { sound: self.sound, ..here };
                    // What is wrong with one entry is not wrong with those after it.
                    self.sound = sound;
                    if listed.len() < MAX_IMAGES {
                        listed.push(here);
                    }
                }
                Record::Extension(extension) => {
                    let sound = self.sound;
                    self.continues(extension.flags & Extension::CONTINUES != 0, extended, || {
                        entry_at(number, *at, 1, 1)
                    });
                    if let Some(entry) = listed.last_mut() {
                        entry.sound &= self.sound;
                    }
                    self.sound = sound;
                }
            }
        }
        self.end(&catalog, place, last);
        Ok(listed)
    }

    fn validation(&mut self, validation: &ValidationEntry, place: u64) {
        let header = validation.header_id;
        self.expect(&VALIDATION_HEADER, header == ValidationEntry::HEADER, || {
            (validation_at(place, 0, 1), format!("{header:#04x}, not 0x01"))
        });
        let [first, second] = validation.key;
        self.expect(&KEY, validation.key == ValidationEntry::KEY, || {
            let place = validation_at(place, offset_of!(ValidationEntry, key), 2);
            (place, format!("{first:02x} {second:02x}, not 55 aa"))
        });
        let sum = validation.sum();
        self.expect(&CHECKSUM, sum == 0, || {
            let stored = validation.checksum.get();
            let computed = stored.wrapping_sub(sum);
            let place = validation_at(place, offset_of!(ValidationEntry, checksum), 2);
            (place, format!("stored {stored:#06x}, computed {computed:#06x}"))
        });
        self.platform(validation.platform_id, || {
            validation_at(place, offset_of!(ValidationEntry, platform_id), 1)
        });
        let reserved = validation.reserved;
        self.expect(&ENTRY_UNUSED, reserved == [0; 2], || {
            let place = validation_at(place, offset_of!(ValidationEntry, reserved), 2);
            (place, format!("{:#04x} {:#04x}, not zero", reserved[0], reserved[1]))
        });
    }

    fn platform(&mut self, platform: u8, place: impl FnOnce() -> Location) {
        let known = matches!(platform, 0..=2 | BootImage::UEFI);
        self.expect(&PLATFORM, known, || {
            (place(), format!("{platform:#04x}, none of 0x00, 0x01, 0x02, 0xef"))
        });
    }

    /// True if there is something where a section counts an entry.
    fn counted(&mut self, entry: &Listed, section: u32) -> bool {
        let is_empty = entry.entry.as_bytes().iter().all(|byte| *byte == 0);
        let indicator = entry.entry.boot_indicator;
        let is_header = matches!(indicator, SectionHeader::MORE | SectionHeader::FINAL);
        self.expect(&SECTION_COUNT, !is_empty && !is_header, || {
            let what = if is_header { "a section header" } else { "zeros" };
            (entry.field(0, RECORD), format!("{what}, which section {section} counts as its entry"))
        })
    }

    fn entry(&mut self, listed: &Listed, is_initial: bool) {
        let entry = &listed.entry;
        let indicator = entry.boot_indicator;
        let known = matches!(indicator, 0 | Entry::BOOTABLE);
        self.expect(&BOOT_INDICATOR, known, || {
            (listed.field(0, 1), format!("{indicator:#04x}, neither 0x88 nor 0x00"))
        });
        self.expect(&BOOTABLE, indicator != 0, || {
            (listed.field(0, 1), "not bootable by its Boot Indicator, 0x00".to_owned())
        });
        let media = entry.media_type;
        let bits = if is_initial { 0 } else { Entry::SECTION_BITS };
        let known = entry.emulation().is_some() && media & !(Entry::EMULATION | bits) == 0;
        self.expect(&MEDIA_TYPE, known, || {
            let place = listed.field(offset_of!(Entry, media_type), 1);
            (place, format!("{media:#04x}, not 0x00 to 0x04"))
        });
        let is_efi = listed.platform == BootImage::UEFI;
        if is_efi && known {
            self.expect(&EFI_EMULATION, media & Entry::EMULATION == 0, || {
                let place = listed.field(offset_of!(Entry, media_type), 1);
                (place, format!("{media:#04x}, not 0x00"))
            });
        }
        // One type of criteria is defined; and who drives a disk drives nothing without one.
        let selects = !is_initial && entry.selection_type == 1;
        let drives = media & Entry::DRIVERS != 0;
        let is_pc = listed.platform == BootImage::BIOS;
        let is_disk = media & Entry::EMULATION == 4;
        let stray = [
            (offset_of!(Entry, load_segment), !is_pc && entry.load_segment != 0),
            (offset_of!(Entry, system_type), !is_disk && entry.system_type != 0),
            (offset_of!(Entry, unused), entry.unused != 0),
            (offset_of!(Entry, media_type), is_efi && drives),
            (offset_of!(Entry, selection_type), !selects && entry.selection_type != 0),
            (offset_of!(Entry, selection), !selects && entry.selection != [0; 19]),
        ];
        let stray = stray.iter().find(|(_, stray)| *stray);
        self.expect(&ENTRY_UNUSED, stray.is_none(), || {
            let field = stray.map_or(0, |(field, _)| *field);
            (listed.field(field, 1), format!("byte {field} is used, and should be zero"))
        });
    }

    fn continues(&mut self, says: bool, does: bool, place: impl FnOnce() -> Location) {
        self.expect(&EXTENSION, says == does, || {
            let message = if says {
                "an extension should follow, and does not"
            } else {
                "an extension follows, and should not"
            };
            (place(), message.to_owned())
        });
    }

    /// Judges what is behind the records, the last header among which is `last`.
    fn end(&mut self, catalog: &Catalog, place: u64, last: Option<(u32, u64, SectionHeader)>) {
        let len = catalog.end.saturating_sub(place);
        self.expect(&CATALOG_SIZE, len <= SECTOR && !catalog.cut, || {
            let message = format!("{len} bytes and more, not {SECTOR}");
            (at("boot catalog", place, len), message)
        });
        let is_final = last.is_some_and(|(.., header)| header.indicator == SectionHeader::FINAL);
        let is_open = last.is_some() && !is_final && !catalog.cut;
        let next = catalog.rest.first_chunk::<RECORD_SIZE>().copied().unwrap_or_default();
        let is_known = is_final || catalog.cut || next.iter().all(|byte| *byte == 0);
        self.expect(&SECTION_HEADER, is_known, || {
            let place = at("boot catalog section header", catalog.end, 1);
            (place, format!("{:#04x}, neither 0x90, 0x91 nor zeros", next[0]))
        });
        let Some((section, header_place, header)) = last else { return self.rest(catalog) };
        self.expect(&SECTION_LAST, !is_open, || {
            let found = header.indicator;
            let message = format!("{found:#04x}, not 0x91: no other section follows");
            (header_at(section, header_place, 0, 1), message)
        });
        let entry = Entry::read_from_bytes(&next).ok();
        let is_lost = entry.is_some_and(|e| e.boot_indicator == Entry::BOOTABLE && e.load_rba != 0);
        self.expect(&SECTION_COUNT, !(is_final && is_lost), || {
            let count = header.entries.get();
            let field = offset_of!(SectionHeader, entries);
            let message = format!("{count} entries, and another one follows them");
            (header_at(section, header_place, field, 2), message)
        });
        self.rest(catalog);
    }

    fn rest(&mut self, catalog: &Catalog) {
        let stray = catalog.rest.iter().position(|byte| *byte != 0);
        self.expect(&CATALOG_END, stray.is_none(), || {
            let index = stray.unwrap_or_default();
            let place = at("boot catalog", catalog.end.saturating_add(index as u64), 1);
            (place, format!("{:#04x} after the last record, not zero", catalog.rest[index]))
        });
    }
}
