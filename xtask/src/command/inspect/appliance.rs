//! Appliances: their descriptor, manifest and disks.

use std::{io, sync::Arc};

use image_formats::{
    bytes::{ReadAt, Region},
    ovf::{self, Envelope, manifest},
    vmdk::{self, descriptor::Descriptor, raw::Header},
};
use image_host::interrupt;
use serde_json::Value;

use super::{
    Printer, Structure, hex,
    members::{Files, broken, word, words},
    structure, text,
};

/// Prints what the members of an appliance say.
pub(super) fn inspect(raw: &Arc<dyn ReadAt>, out: &mut Printer) -> io::Result<()> {
    let files = Files::read(raw)?;
    for region in files.ending(".ovf") {
        let at = region.start().0;
        let Ok(bytes) = region.bytes("descriptor", 0, region.len(), ovf::MAX_BYTES) else {
            continue;
        };
        match Envelope::parse(&bytes) {
            Ok(envelope) => descriptor(&envelope, at, out)?,
            Err(error) => out.print(&broken("OVF descriptor", at, &error))?,
        }
    }
    for region in files.ending(".mf") {
        let at = region.start().0;
        let Ok(bytes) = region.bytes("manifest", 0, region.len(), manifest::MAX_BYTES) else {
            continue;
        };
        for line in manifest::lines(&bytes) {
            let mut fields = vec![("line", line.number.into())];
            if let Some(digest) = line.digest {
                let hex: String = digest.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                fields.push(("algorithm", text(digest.algorithm.as_bytes())));
                fields.push(("name", text(digest.name.as_bytes())));
                fields.push(("digest", hex.into()));
            }
            out.print(&structure("manifest line", "raw", at, fields))?;
        }
    }
    for region in files.ending(".vmdk") {
        disk(region, out)?;
    }
    Ok(())
}

fn descriptor(envelope: &Envelope, base: u64, out: &mut Printer) -> io::Result<()> {
    for file in &envelope.files {
        out.print(&structure(
            "ovf file",
            "raw",
            base + file.at.0,
            [("id", word(&file.id)), ("href", word(&file.href)), ("size", word(&file.size))],
        ))?;
    }
    for disk in &envelope.disks {
        out.print(&structure(
            "ovf disk",
            "raw",
            base + disk.at.0,
            [
                ("id", word(&disk.id)),
                ("file", word(&disk.file_ref)),
                ("capacity", word(&disk.capacity)),
                ("units", word(&disk.units)),
                ("format", word(&disk.format)),
            ],
        ))?;
    }
    for system in &envelope.systems {
        out.print(&structure(
            "ovf system",
            "raw",
            base + system.at.0,
            [
                ("id", word(&system.id)),
                ("osType", word(&system.os_type)),
                ("osId", word(&system.os_id)),
            ],
        ))?;
        for item in &system.items {
            out.print(&structure(
                "ovf item",
                "raw",
                base + item.at.0,
                [
                    ("instance", word(&item.instance_id)),
                    ("type", word(&item.resource_type)),
                    ("subType", word(&item.resource_sub_type)),
                    ("parent", word(&item.parent)),
                    ("host", words(&item.host_resource)),
                    ("quantity", word(&item.quantity)),
                ],
            ))?;
        }
    }
    Ok(())
}

fn disk(disk: &Region, out: &mut Printer) -> io::Result<()> {
    let at = disk.start().0;
    let header = match Header::read(disk) {
        Ok(header) => header,
        Err(error) => return out.print(&broken("VMDK header", at, &error)),
    };
    out.print(&vmdk_header("vmdk header", &header, at))?;
    let mut used = header;
    if header.has_footer()
        && let Ok(footer) = Header::read_footer(disk)
    {
        out.print(&vmdk_header("vmdk footer", &footer, at + disk.len() - 1024))?;
        used = footer;
    }
    if let Some(Ok(bytes)) = header.descriptor(disk) {
        let found = Descriptor::parse(&bytes);
        let at = disk.absolute(header.descriptor_offset.get().saturating_mul(512)).0;
        for (key, value) in &found.entries {
            let fields = [("key", text(key.as_bytes())), ("value", text(value.as_bytes()))];
            out.print(&structure("vmdk entry", "raw", at, fields))?;
        }
        for extent in &found.extents {
            out.print(&structure(
                "vmdk extent",
                "raw",
                at,
                [
                    ("access", text(extent.access.as_bytes())),
                    ("sectors", text(extent.sectors.as_bytes())),
                    ("type", text(extent.kind.as_bytes())),
                    ("file", text(extent.file.as_bytes())),
                ],
            ))?;
        }
    }
    let Ok(directory) = used.directory(disk) else { return Ok(()) };
    for (number, sector) in directory.iter().enumerate().filter(|(_, sector)| **sector != 0) {
        interrupt::check()?;
        let at = disk.absolute(u64::from(*sector) * 512).0;
        let grains = vmdk::table(disk, *sector)
            .map(|table| table.iter().filter(|grain| **grain > 1).count());
        let grains = grains.map_or(Value::Null, Value::from);
        let fields = [("number", number.into()), ("grains", grains)];
        out.print(&structure("vmdk table", "raw", at, fields))?;
    }
    Ok(())
}

fn vmdk_header(name: &'static str, header: &Header, at: u64) -> Structure {
    structure(
        name,
        "raw",
        at,
        [
            ("magic", text(&header.magic_number)),
            ("version", header.version.get().into()),
            ("flags", hex(header.flags.get())),
            ("capacity", header.capacity.get().into()),
            ("grainSize", header.grain_size.get().into()),
            ("descriptor", header.descriptor_offset.get().into()),
            ("directory", header.gd_offset.get().into()),
            ("overHead", header.over_head.get().into()),
            ("algorithm", header.compress_algorithm.get().into()),
        ],
    )
}
