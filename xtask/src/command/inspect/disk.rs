//! Disks: tables, file systems, files.

use std::{io, sync::Arc};

use image_formats::{
    bytes::{ReadAt, ReadCause, ReadError, Region},
    gpt::{self, Guid},
    mbr,
    units::{BlockSize, Lba},
};
use image_host::interrupt;
use image_verify::{
    Recorder,
    disk::{self, Content, Disk, Partition, PartitionType, Table},
    tree::{Kind, NodeId, Tree},
    volume::Volume,
};
use serde_json::Value;

use super::{Printer, Structure, ext4, fat, hex, iso9660, squashfs, structure, text};

/// Prints tables first, then each partition with its file system and files.
pub(super) fn inspect(raw: &Arc<dyn ReadAt>, out: &mut Printer) -> io::Result<()> {
    // The walk is the one of the checks. What they think of it is not printed.
    let disk = disk::verify(raw, &mut Recorder::default()).map_err(machine)?;
    for table in tables(&disk).map_err(machine)? {
        out.print(&table)?;
    }
    for partition in &disk.partitions {
        out.print(&describe_partition(partition))?;
        let found = match partition.content {
            Content::Fat => fat::describe(&partition.region),
            Content::Ext => ext4::describe(&partition.region),
            Content::Iso9660 => iso9660::describe(&partition.region),
            _ => Ok(Vec::new()),
        };
        for found in found.map_err(machine)? {
            out.print(&found)?;
        }
        if let Some(volume) = &partition.volume {
            out.print(&describe_volume(partition.number, volume))?;
        }
        match (partition.content, &partition.volume) {
            (Content::Iso9660, _) => drop(iso9660::files(&partition.region, out)?),
            (Content::Squashfs, _) => squashfs::inspect(&partition.region, out)?,
            (_, Some(volume)) => files(volume, out)?,
            (_, None) => {}
        }
    }
    Ok(())
}

pub(super) fn machine(error: ReadError) -> io::Error {
    match error.cause {
        ReadCause::Io(cause) => cause,
        cause => io::Error::other(cause.to_string()),
    }
}

/// What a defect keeps from being read is left out.
pub(super) fn present<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_defect() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A UUID as people write it.
pub(super) fn uuid(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text += &format!("{byte:02x}");
    }
    text
}

fn tables(disk: &Disk) -> Result<Vec<Structure>, ReadError> {
    if disk.table.is_none() {
        return Ok(Vec::new());
    }
    let is_gpt = matches!(disk.table, Some(Table::Gpt { .. }));
    describe_tables(&disk.bytes, disk.block_size, is_gpt)
}

/// Whatever tables a disc has in front of its file system, and the copy of a GPT at its end.
pub(super) fn boot_records(disc: &Region) -> Result<Vec<Structure>, ReadError> {
    let mut found = describe_tables(disc, BlockSize::B512, true)?;
    let is_empty = |found: &Structure| {
        let value = |key| found.fields.iter().find(|(name, _)| *name == key).map(|(_, v)| v);
        found.name == "mbr" && value("signature") == Some(&hex(0))
    };
    found.retain(|found| !is_empty(found));
    Ok(found)
}

fn describe_tables(
    bytes: &Region,
    size: BlockSize,
    is_gpt: bool,
) -> Result<Vec<Structure>, ReadError> {
    let mut found = Vec::new();
    if let Some(record) = present(mbr::raw::BootRecord::read(bytes, Lba(0), BlockSize::B512))? {
        found.push(boot_record(0, &record));
    }
    if is_gpt {
        let last = Lba((bytes.len() / size.bytes()).saturating_sub(1));
        for lba in [Lba(1), last] {
            let header = present(gpt::Header::read(bytes, lba, size))?;
            if let Some(header) = header.filter(gpt::Header::has_signature) {
                found.extend(gpt_table(bytes, lba, size, &header)?);
            }
        }
    }
    Ok(found)
}

fn boot_record(offset: u64, record: &mbr::raw::BootRecord) -> Structure {
    let entries: Vec<Value> = record
        .partition_record
        .iter()
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let (first, count) = (entry.starting_lba.get(), entry.size_in_lba.get());
            let status = entry.boot_indicator;
            format!("{:#04x}:{status:#04x}:{first}+{count}", entry.os_type).into()
        })
        .collect();
    structure(
        "mbr",
        "raw",
        offset,
        [
            ("signature", hex(u16::from_le_bytes(record.signature).into())),
            ("diskSignature", hex(record.unique_mbr_disk_signature.get())),
            ("entries", entries.into()),
        ],
    )
}

fn gpt_table(
    bytes: &Region,
    lba: Lba,
    size: BlockSize,
    header: &gpt::Header,
) -> Result<Vec<Structure>, ReadError> {
    let raw = &header.raw;
    let offset = lba.to_offset(size).map_or(u64::MAX, |offset| offset.0);
    let mut found = vec![structure(
        "gpt header",
        "raw",
        offset,
        [
            ("revision", hex(raw.revision.get())),
            ("headerSize", raw.header_size.get().into()),
            ("crc32", hex(raw.header_crc32.get())),
            ("computed", header.crc32().map_or(Value::Null, hex)),
            ("myLba", raw.my_lba.get().into()),
            ("alternateLba", raw.alternate_lba.get().into()),
            ("firstUsableLba", raw.first_usable_lba.get().into()),
            ("lastUsableLba", raw.last_usable_lba.get().into()),
            ("disk", Guid(raw.disk_guid).to_string().into()),
            ("entryLba", raw.partition_entry_lba.get().into()),
            ("entries", raw.number_of_partition_entries.get().into()),
            ("entrySize", raw.size_of_partition_entry.get().into()),
            ("entriesCrc32", hex(raw.partition_entry_array_crc32.get())),
        ],
    )];
    let Some(array) = present(gpt::EntryArray::read(bytes, header, size))? else {
        return Ok(found);
    };
    let at = Lba(raw.partition_entry_lba.get()).to_offset(size).map_or(u64::MAX, |at| at.0);
    let stride = u64::from(raw.size_of_partition_entry.get());
    for (index, entry) in (0_u64..).zip(array.entries()).filter(|(_, entry)| entry.is_used()) {
        found.push(structure(
            "gpt entry",
            "raw",
            at.saturating_add(stride.saturating_mul(index)),
            [
                ("number", (index + 1).into()),
                ("type", Guid(entry.partition_type_guid).to_string().into()),
                ("unique", Guid(entry.unique_partition_guid).to_string().into()),
                ("firstLba", entry.starting_lba.get().into()),
                ("lastLba", entry.ending_lba.get().into()),
                ("attributes", format!("{:#x}", entry.attributes.get()).into()),
                ("name", text(String::from_utf16_lossy(&entry.name()).as_bytes())),
            ],
        ));
    }
    Ok(found)
}

fn describe_partition(partition: &Partition) -> Structure {
    let kind = match partition.kind {
        PartitionType::None => "none".to_owned(),
        PartitionType::Mbr(kind) => format!("{kind:#04x}"),
        PartitionType::Gpt { kind, .. } => kind.to_string(),
    };
    structure(
        "partition",
        "raw",
        partition.region.start().0,
        [
            ("number", partition.number.into()),
            ("length", partition.region.len().into()),
            ("type", kind.into()),
            ("bootable", partition.bootable.into()),
            ("content", format!("{:?}", partition.content).into()),
        ],
    )
}

pub(super) fn describe_volume(number: u32, volume: &Volume) -> Structure {
    let inodes = volume.free_inodes.map_or(Value::Null, Value::from);
    structure(
        volume.format,
        "raw",
        volume.at.offset,
        [
            ("partition", number.into()),
            ("label", text(volume.label.as_bytes())),
            ("uuid", text(volume.uuid.as_bytes())),
            ("freeBytes", volume.free_bytes.into()),
            ("freeInodes", inodes),
            ("files", volume.tree.len().into()),
        ],
    )
}

pub(super) fn files(volume: &Volume, out: &mut Printer) -> io::Result<()> {
    for id in volume.tree.below(Tree::ROOT) {
        interrupt::check()?;
        out.print(&describe_file(volume, id))?;
    }
    Ok(())
}

fn describe_file(volume: &Volume, id: NodeId) -> Structure {
    let node = volume.tree.node(id);
    let mut fields = vec![
        ("mode", format!("{:04o}", node.mode).into()),
        ("owner", format!("{}:{}", node.uid, node.gid).into()),
        ("size", node.size.into()),
        ("mtime", node.mtime.into()),
        ("path", text(&volume.tree.path(id))),
    ];
    let name = match &node.kind {
        Kind::Directory(_) => "directory",
        Kind::File(_) => "file",
        Kind::Symlink(target) => {
            fields.push(("target", text(target)));
            "symlink"
        }
        Kind::Special => "special",
    };
    structure(name, "raw", node.offset.unwrap_or_default(), fields)
}
