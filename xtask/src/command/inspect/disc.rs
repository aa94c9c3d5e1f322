//! Discs: what firmware reads before the file system, the file system, and those in its files.

use std::{io, sync::Arc};

use image_formats::{
    apm,
    bytes::{ReadAt, ReadError, Region},
    el_torito::{
        self, Catalog, Record,
        raw::{BootInfo, BootRecord, Entry},
    },
    iso9660::trimmed,
    isohybrid::{self, BootCode},
};
use image_verify::{Recorder, disc};
use serde_json::Value;

use super::{
    Printer, Structure,
    disk::{self, machine, present},
    fat, hex, iso9660, squashfs, structure, text,
};

/// Prints the system area, descriptors, boot catalog and files, then what is in the images that
/// firmware boots, and in files that are a SquashFS.
pub(super) fn inspect(raw: &Arc<dyn ReadAt>, out: &mut Printer) -> io::Result<()> {
    // The walk is the one of the checks. What they think of it is not printed.
    let disc = disc::verify_outside(raw, &mut Recorder::default()).map_err(machine)?;
    let bytes = &disc.bytes;
    let found = system_area(bytes).and_then(|mut found| {
        found.extend(iso9660::describe(bytes)?);
        found.extend(catalog(bytes)?);
        Ok(found)
    });
    for found in found.map_err(machine)? {
        out.print(&found)?;
    }
    if let Some(volume) = &disc.volume {
        out.print(&disk::describe_volume(0, volume))?;
    }
    let nested = iso9660::files(bytes, out)?;
    for (number, image) in (1..).zip(&disc.boot) {
        let Some(volume) = &image.volume else { continue };
        for found in fat::describe(&image.region).map_err(machine)? {
            out.print(&found)?;
        }
        out.print(&disk::describe_volume(number, volume))?;
        disk::files(volume, out)?;
    }
    for region in nested {
        squashfs::inspect(&region, out)?;
    }
    Ok(())
}

/// What a machine sees that takes the disc for a disk.
fn system_area(disc: &Region) -> Result<Vec<Structure>, ReadError> {
    let mut found = Vec::new();
    if let Some(code) = present(BootCode::read(disc))? {
        let kind = code.kind();
        if kind != isohybrid::Kind::None {
            found.push(structure(
                "boot code",
                "raw",
                disc.start().0,
                [
                    ("kind", format!("{kind:?}").into()),
                    ("address", code.address.get().into()),
                    ("bootImage", code.sector(kind).map_or(Value::Null, Into::into)),
                ],
            ));
        }
    }
    found.extend(disk::boot_records(disc)?);
    if let Some(map) = present(apm::Map::read(disc))?.flatten() {
        for (at, entry) in &map.entries {
            found.push(structure(
                "apple partition",
                "raw",
                disc.absolute(*at).0,
                [
                    ("signature", text(&entry.signature)),
                    ("entries", entry.map_blocks.get().into()),
                    ("blockSize", map.block_size.into()),
                    ("start", entry.start.get().into()),
                    ("blocks", entry.blocks.get().into()),
                    ("name", text(entry.name().as_bytes())),
                    ("type", text(entry.kind().as_bytes())),
                ],
            ));
        }
    }
    Ok(found)
}

/// The boot catalog, as far as it can be read.
fn catalog(disc: &Region) -> Result<Vec<Structure>, ReadError> {
    let mut found = Vec::new();
    let Some(record) = present(BootRecord::read(disc, BootRecord::SECTOR))? else {
        return Ok(found);
    };
    if !record.is_boot_record() || !record.names_el_torito() {
        return Ok(found);
    }
    let at = u64::from(record.boot_catalog.get()).saturating_mul(el_torito::SECTOR);
    let Some(catalog) = present(Catalog::read(disc, at))? else { return Ok(found) };
    let validation = &catalog.validation;
    found.push(structure(
        "boot catalog",
        "raw",
        disc.absolute(at).0,
        [
            ("header", hex(validation.header_id.into())),
            ("platform", hex(validation.platform_id.into())),
            ("id", text(trimmed(&validation.id_string))),
            ("checksum", hex(validation.checksum.get().into())),
            ("sum", hex(validation.sum().into())),
            ("key", hex(u16::from_be_bytes(validation.key).into())),
        ],
    ));
    let mut platform = validation.platform_id;
    for (at, record) in &catalog.records {
        let place = disc.absolute(*at).0;
        match record {
            Record::Initial(entry) | Record::Section(entry) => {
                found.push(boot_entry(place, platform, entry));
                found.extend(boot_info(disc, entry)?);
            }
            Record::Header(header) => {
                platform = header.platform_id;
                found.push(structure(
                    "boot section",
                    "raw",
                    place,
                    [
                        ("indicator", hex(header.indicator.into())),
                        ("platform", hex(platform.into())),
                        ("entries", header.entries.get().into()),
                        ("id", text(trimmed(&header.id_string))),
                    ],
                ));
            }
            Record::Extension(extension) => found.push(structure(
                "boot extension",
                "raw",
                place,
                [
                    ("flags", hex(extension.flags.into())),
                    ("selection", text(trimmed(&extension.selection))),
                ],
            )),
        }
    }
    Ok(found)
}

fn boot_entry(place: u64, platform: u8, entry: &Entry) -> Structure {
    let emulation = entry.emulation().map_or("unknown".to_owned(), |kind| format!("{kind:?}"));
    structure(
        "boot entry",
        "raw",
        place,
        [
            ("platform", hex(platform.into())),
            ("indicator", hex(entry.boot_indicator.into())),
            ("media", hex(entry.media_type.into())),
            ("emulation", emulation.into()),
            ("segment", hex(entry.load_segment.get().into())),
            ("systemType", hex(entry.system_type.into())),
            ("sectors", entry.sector_count.get().into()),
            ("block", entry.load_rba.get().into()),
            ("selectionType", hex(entry.selection_type.into())),
        ],
    )
}

/// The table that a boot image has about itself, where there seems to be one.
fn boot_info(disc: &Region, entry: &Entry) -> Result<Option<Structure>, ReadError> {
    let len = disc.len().saturating_sub(entry.offset());
    let Some(image) = present(disc.sub("boot image", entry.offset(), len))? else {
        return Ok(None);
    };
    let Some(info) = present(BootInfo::read(&image))? else { return Ok(None) };
    if info.pvd.get() != 16 && info.file.get() != entry.load_rba.get() {
        return Ok(None);
    }
    let sum = present(BootInfo::sum(&image, info.length.get().into()))?;
    Ok(Some(structure(
        "boot info table",
        "raw",
        image.absolute(BootInfo::AT).0,
        [
            ("volumeDescriptor", info.pvd.get().into()),
            ("block", info.file.get().into()),
            ("length", info.length.get().into()),
            ("checksum", hex(info.checksum.get())),
            ("computed", sum.map_or(Value::Null, hex)),
        ],
    )))
}
