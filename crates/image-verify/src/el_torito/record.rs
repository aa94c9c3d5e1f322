//! The boot record, which is a volume descriptor.

use std::mem::offset_of;

use image_formats::{
    bytes::{ReadError, Region},
    el_torito::{SECTOR, raw::BootRecord},
    iso9660::Descriptors,
};
use image_model::Location;

use super::{BOOT_RECORD, BOOT_RECORD_PLACE, BOOT_RECORD_UNUSED, CATALOG_PLACE, Judge, SYSTEM_ID};
use crate::disk::at;

/// A boot record and its sector.
pub(super) struct Found {
    record: BootRecord,
    sector: u64,
}

impl Found {
    fn at(&self, field: usize, len: usize) -> Location {
        at("boot record", self.sector * SECTOR + field as u64, len as u64)
    }
}

/// Looks for a boot record: in sector 17, where one byte of it may be wrong, then elsewhere.
pub(super) fn find(disc: &Region) -> Result<Option<Found>, ReadError> {
    let read = |sector| match BootRecord::read(disc, sector) {
        Ok(record) => Ok(Some(Found { record, sector })),
        Err(error) if error.is_defect() => Ok(None),
        Err(error) => Err(error),
    };
    let here = read(BootRecord::SECTOR)?;
    let here = here.filter(|Found { record, .. }| {
        record.is_boot_record() || record.boot_system_identifier.starts_with(&BootRecord::SYSTEM)
    });
    if here.is_some() {
        return Ok(here);
    }
    for descriptor in Descriptors::new(disc) {
        match descriptor {
            Ok(descriptor) => {
                let found = read(descriptor.offset / SECTOR)?;
                let named =
                    |found: &Found| found.record.is_boot_record() && found.record.names_el_torito();
                if let Some(found) = found.filter(named) {
                    return Ok(Some(found));
                }
            }
            Err(error) if error.is_defect() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

impl Judge<'_> {
    /// Where the catalog is; `None` if nowhere.
    pub(super) fn record(&mut self, found: &Found) -> Option<u64> {
        let Found { record, sector } = found;
        self.expect(&BOOT_RECORD_PLACE, *sector == BootRecord::SECTOR, || {
            let message = format!("in sector {sector}, not {}", BootRecord::SECTOR);
            (found.at(0, BootRecord::SIZE), message)
        });
        self.expect(&BOOT_RECORD, record.is_boot_record(), || {
            let BootRecord { indicator, identifier, version, .. } = record;
            let message = format!(
                "type {indicator}, \"{}\", version {version}, not type 0, \"CD001\", version 1",
                identifier.escape_ascii()
            );
            (found.at(0, 7), message)
        });
        self.expect(&SYSTEM_ID, record.names_el_torito(), || {
            let name = record.boot_system_identifier;
            let end = name.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let message = format!(
                "\"{}\", not \"{}\" and a zero",
                name[..end].escape_ascii(),
                BootRecord::SYSTEM.escape_ascii()
            );
            (found.at(offset_of!(BootRecord, boot_system_identifier), name.len()), message)
        });
        let parts = [
            (
                offset_of!(BootRecord, boot_system_identifier) + BootRecord::SYSTEM.len() + 1,
                &record.boot_system_identifier[BootRecord::SYSTEM.len() + 1..],
            ),
            (offset_of!(BootRecord, unused), &record.unused),
            (offset_of!(BootRecord, rest), &record.rest),
        ];
        let stray = parts.iter().find_map(|(start, part)| {
            let index = part.iter().position(|byte| *byte != 0)?;
            Some((start + index, part[index]))
        });
        self.expect(&BOOT_RECORD_UNUSED, stray.is_none(), || {
            let (place, byte) = stray.unwrap_or_default();
            (found.at(place, 1), format!("{byte:#04x} in byte {place}, not zero"))
        });
        let catalog = u64::from(record.boot_catalog.get());
        let offset = catalog * SECTOR;
        let inside = offset.saturating_add(SECTOR) <= self.disc.len();
        self.expect(&CATALOG_PLACE, inside && catalog > *sector, || {
            let message = format!(
                "sector {catalog}, not one behind sector {sector} of a disc of {} sectors",
                self.disc.len() / SECTOR
            );
            (found.at(offset_of!(BootRecord, boot_catalog), 4), message)
        })
        .then_some(offset)
    }
}
