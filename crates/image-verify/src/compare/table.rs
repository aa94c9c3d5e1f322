//! Partition tables: what they say of a disk and of its partitions.

use image_formats::{
    apm,
    bytes::{ReadError, Region},
    gpt::{self, raw::PartitionEntry},
    mbr::raw::BootRecord,
    units::{BlockSize, Lba},
};
use image_model::{Difference, ImageSpace, Sizes};

use super::{
    fields::{
        self, Field,
        Show::{Bytes, Guid, Hex, Number, Utf16},
        field,
    },
    kinds::*,
    map::{Builder, Map, Table, What},
    out::{AROUND, Out, Told},
    present,
};
use crate::disk::{self, Disk, Partition, PartitionType};

/// The first block of a disk; its partitions are compared as what they say.
static RECORD: &[Field] = &[
    field(0, 440, "BootCode", &MBR_BOOT_CODE, Bytes),
    field(0x1b8, 4, "UniqueMBRDiskSignature", &MBR_DISK_SIGNATURE, Hex),
    field(0x1bc, 2, "Unknown", &MBR_FIELDS, Hex),
    field(0x1bf, 3, "StartingCHS of entry 1", &MBR_CHS, Bytes),
    field(0x1c3, 3, "EndingCHS of entry 1", &MBR_CHS, Bytes),
    field(0x1cf, 3, "StartingCHS of entry 2", &MBR_CHS, Bytes),
    field(0x1d3, 3, "EndingCHS of entry 2", &MBR_CHS, Bytes),
    field(0x1df, 3, "StartingCHS of entry 3", &MBR_CHS, Bytes),
    field(0x1e3, 3, "EndingCHS of entry 3", &MBR_CHS, Bytes),
    field(0x1ef, 3, "StartingCHS of entry 4", &MBR_CHS, Bytes),
    field(0x1f3, 3, "EndingCHS of entry 4", &MBR_CHS, Bytes),
    field(0x1fe, 2, "Signature", &MBR_FIELDS, Hex),
];

/// The same, and where the partitions are.
static RECORD_MAP: Table = Table {
    fields: &[
        field(0, 440, "BootCode", &MBR_BOOT_CODE, Bytes),
        field(0x1b8, 4, "UniqueMBRDiskSignature", &MBR_DISK_SIGNATURE, Hex),
        field(0x1bc, 2, "Unknown", &MBR_FIELDS, Hex),
        field(0x1be, 1, "BootIndicator", &PARTITION_FLAGS, Hex),
        field(0x1bf, 3, "StartingCHS", &MBR_CHS, Bytes),
        field(0x1c2, 1, "OSType", &PARTITION_TYPE, Hex),
        field(0x1c3, 3, "EndingCHS", &MBR_CHS, Bytes),
        field(0x1c6, 4, "StartingLBA", &PARTITION_MOVED, Number),
        field(0x1ca, 4, "SizeInLBA", &PARTITION_RESIZED, Number),
        field(0x1ce, 1, "BootIndicator", &PARTITION_FLAGS, Hex),
        field(0x1cf, 3, "StartingCHS", &MBR_CHS, Bytes),
        field(0x1d2, 1, "OSType", &PARTITION_TYPE, Hex),
        field(0x1d3, 3, "EndingCHS", &MBR_CHS, Bytes),
        field(0x1d6, 4, "StartingLBA", &PARTITION_MOVED, Number),
        field(0x1da, 4, "SizeInLBA", &PARTITION_RESIZED, Number),
        field(0x1de, 1, "BootIndicator", &PARTITION_FLAGS, Hex),
        field(0x1df, 3, "StartingCHS", &MBR_CHS, Bytes),
        field(0x1e2, 1, "OSType", &PARTITION_TYPE, Hex),
        field(0x1e3, 3, "EndingCHS", &MBR_CHS, Bytes),
        field(0x1e6, 4, "StartingLBA", &PARTITION_MOVED, Number),
        field(0x1ea, 4, "SizeInLBA", &PARTITION_RESIZED, Number),
        field(0x1ee, 1, "BootIndicator", &PARTITION_FLAGS, Hex),
        field(0x1ef, 3, "StartingCHS", &MBR_CHS, Bytes),
        field(0x1f2, 1, "OSType", &PARTITION_TYPE, Hex),
        field(0x1f3, 3, "EndingCHS", &MBR_CHS, Bytes),
        field(0x1f6, 4, "StartingLBA", &PARTITION_MOVED, Number),
        field(0x1fa, 4, "SizeInLBA", &PARTITION_RESIZED, Number),
    ],
    rest: &MBR_FIELDS,
    other: &MBR_FIELDS,
};

/// `EFI_PARTITION_TABLE_HEADER`.
static HEADER: &[Field] = &[
    field(0x00, 8, "Signature", &GPT_HEADER, Bytes),
    field(0x08, 4, "Revision", &GPT_HEADER, Hex),
    field(0x0c, 4, "HeaderSize", &GPT_HEADER, Number),
    field(0x10, 4, "HeaderCRC32", &GPT_CHECKSUM, Hex),
    field(0x14, 4, "Reserved", &GPT_HEADER, Hex),
    field(0x18, 8, "MyLBA", &GPT_HEADER, Number),
    field(0x20, 8, "AlternateLBA", &GPT_HEADER, Number),
    field(0x28, 8, "FirstUsableLBA", &GPT_HEADER, Number),
    field(0x30, 8, "LastUsableLBA", &GPT_HEADER, Number),
    field(0x38, 16, "DiskGUID", &GPT_DISK_GUID, Guid),
    field(0x48, 8, "PartitionEntryLBA", &GPT_HEADER, Number),
    field(0x50, 4, "NumberOfPartitionEntries", &GPT_HEADER, Number),
    field(0x54, 4, "SizeOfPartitionEntry", &GPT_HEADER, Number),
    field(0x58, 4, "PartitionEntryArrayCRC32", &GPT_CHECKSUM, Hex),
];

static HEADER_MAP: Table = Table { fields: HEADER, rest: &GPT_HEADER, other: &GPT_HEADER };

static ENTRY_MAP: Table = Table {
    fields: &[
        field(0x00, 16, "PartitionTypeGUID", &PARTITION_TYPE, Guid),
        field(0x10, 16, "UniquePartitionGUID", &GPT_PARTITION_GUID, Guid),
        field(0x20, 8, "StartingLBA", &PARTITION_MOVED, Number),
        field(0x28, 8, "EndingLBA", &PARTITION_RESIZED, Number),
        field(0x30, 8, "Attributes", &PARTITION_FLAGS, Hex),
        field(0x38, 72, "PartitionName", &GPT_PARTITION_NAME, Utf16),
    ],
    rest: &GPT_HEADER,
    other: &GPT_HEADER,
};

/// Compares the tables of two disks, and their partitions.
pub(super) fn disks(a: &Disk, b: &Disk, out: &mut Out) -> Result<(), ReadError> {
    let told = Told { volume: AROUND, place: "partition table" };
    let name = |disk: &Disk| match disk.table {
        Some(disk::Table::Mbr { .. }) => "master boot record",
        Some(disk::Table::Gpt { .. }) => "GPT",
        None => "none",
    };
    if name(a) != name(b) {
        let difference = told.difference(&TABLE_KIND, told.place);
        let (a, b) = (Some(name(a).to_owned()), Some(name(b).to_owned()));
        out.push(AROUND, &TABLE_KIND, Difference { a, b, ..difference });
    }
    if a.table.is_some() && b.table.is_some() {
        records(&a.bytes, &b.bytes, (a.block_size, b.block_size), RECORD, out)?;
    }
    partitions(&a.partitions, &b.partitions, out);
    Ok(())
}

/// Compares the tables that a stick sees in the first bytes of two discs, field by field: their
/// partitions overlap, and are no file systems of their own.
pub(super) fn sticks(a: &Region, b: &Region, out: &mut Out) -> Result<(), ReadError> {
    let size = BlockSize::B512;
    records(a, b, (size, size), RECORD_MAP.fields, out)?;
    let (entries_a, entries_b) = (entries(a)?, entries(b)?);
    for (number, (of_a, of_b)) in (1..).zip(entries_a.iter().zip(&entries_b)) {
        let place = format!("GPT entry {number}");
        let told = Told { volume: AROUND, place: &place };
        let ((bytes_a, at_a), (bytes_b, at_b)) = (of_a, of_b);
        fields::compare(out, &told, ENTRY_MAP.fields, (bytes_a, *at_a), (bytes_b, *at_b));
    }
    Ok(())
}

/// The entries of the GPT at the start of a disc, used or not, each with where it is.
fn entries(disc: &Region) -> Result<Vec<([u8; PartitionEntry::SIZE], u64)>, ReadError> {
    /// Discs have a few, of 128 or 248 that there is room for.
    const MOST: u64 = 256;
    if header(disc, BlockSize::B512)?.is_none() {
        return Ok(Vec::new());
    }
    let header = gpt::Header::read(disc, Lba(1), BlockSize::B512)?;
    let stride = u64::from(header.raw.size_of_partition_entry.get());
    let first = Lba(header.raw.partition_entry_lba.get()).to_offset(BlockSize::B512);
    let Some(first) = first.filter(|_| stride >= PartitionEntry::SIZE as u64) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for index in 0..u64::from(header.raw.number_of_partition_entries.get()).min(MOST) {
        let at = first.0.saturating_add(index.saturating_mul(stride));
        let bytes = disc.array::<{ PartitionEntry::SIZE }>("GPT entry", at);
        let Some(bytes) = present(bytes)? else { break };
        found.push((bytes, at));
    }
    Ok(found)
}

/// Compares the master boot records and the headers of a GPT, as far as both images have them.
fn records(
    a: &Region,
    b: &Region,
    sizes: (BlockSize, BlockSize),
    record_fields: &[Field],
    out: &mut Out,
) -> Result<(), ReadError> {
    let record = |region: &Region| present(region.array::<{ BootRecord::SIZE }>("boot record", 0));
    if let (Some(a), Some(b)) = (record(a)?, record(b)?) {
        let told = Told { volume: AROUND, place: "master boot record" };
        fields::compare(out, &told, record_fields, (&a, 0), (&b, 0));
    }
    if let (Some(found_a), Some(found_b)) = (header(a, sizes.0)?, header(b, sizes.1)?) {
        let told = Told { volume: AROUND, place: "GPT header" };
        let (at_a, at_b) = (sizes.0.bytes(), sizes.1.bytes());
        fields::compare(out, &told, HEADER, (&found_a, at_a), (&found_b, at_b));
    }
    Ok(())
}

/// The header at LBA 1, where there is one.
fn header(disk: &Region, size: BlockSize) -> Result<Option<[u8; 92]>, ReadError> {
    let bytes = present(disk.array::<{ gpt::raw::Header::SIZE }>("GPT header", size.bytes()))?;
    Ok(bytes.filter(|bytes| bytes.starts_with(&gpt::raw::Header::SIGNATURE)))
}

/// Compares partitions of the same number.
fn partitions(a: &[Partition], b: &[Partition], out: &mut Out) {
    let find = |all: &[Partition], number: u32| all.iter().position(|p| p.number == number);
    for of_a in a {
        match find(b, of_a.number).and_then(|index| b.get(index)) {
            Some(of_b) => partition(of_a, of_b, out),
            None => alone(of_a, true, out),
        }
    }
    for of_b in b.iter().filter(|of_b| find(a, of_b.number).is_none()) {
        alone(of_b, false, out);
    }
}

/// A partition that only one of the images has.
fn alone(partition: &Partition, in_a: bool, out: &mut Out) {
    let name = partition.name();
    let told = Told { volume: AROUND, place: &name };
    let kind = if in_a { &PARTITION_REMOVED } else { &PARTITION_ADDED };
    let mut difference = told.difference(kind, &name);
    let what = Some(format!("{}, {}", kind_of(partition), partition.content.as_str()));
    let at = Some(partition.region.start().0);
    difference.at.space = Some(ImageSpace::Raw);
    if in_a {
        (difference.a, difference.at.a) = (what, at);
        difference.sizes = Some(Sizes { a: Some(partition.len), b: None });
    } else {
        (difference.b, difference.at.b) = (what, at);
        difference.sizes = Some(Sizes { a: None, b: Some(partition.len) });
    }
    out.push(AROUND, kind, difference);
}

fn kind_of(partition: &Partition) -> String {
    match partition.kind {
        PartitionType::None => "no table".to_owned(),
        PartitionType::Mbr(kind) => format!("type {kind:#04x}"),
        PartitionType::Gpt { kind, .. } => format!("type {kind}"),
    }
}

/// What of a partition is compared: which difference it makes, and its value.
fn values(partition: &Partition) -> [(&'static Kind, Option<String>); 7] {
    let unique = match partition.kind {
        PartitionType::Gpt { unique, .. } => Some(unique.to_string()),
        _ => None,
    };
    let flags = match partition.kind {
        PartitionType::Gpt { .. } => format!("attributes {:#x}", partition.attributes),
        _ if partition.bootable => "active".to_owned(),
        _ => "not active".to_owned(),
    };
    [
        (&PARTITION_MOVED, Some(format!("starts at {}", partition.region.start()))),
        (&PARTITION_RESIZED, Some(format!("{} bytes", partition.len))),
        (&PARTITION_TYPE, Some(kind_of(partition))),
        (&PARTITION_FLAGS, Some(flags)),
        (&PARTITION_CONTENT, Some(partition.content.as_str().to_owned())),
        (&GPT_PARTITION_GUID, unique),
        (&GPT_PARTITION_NAME, partition.label.as_ref().map(|label| format!("{label:?}"))),
    ]
}

fn partition(a: &Partition, b: &Partition, out: &mut Out) {
    let name = a.name();
    let told = Told { volume: AROUND, place: &name };
    let same_table = std::mem::discriminant(&a.kind) == std::mem::discriminant(&b.kind);
    for ((kind, of_a), (_, of_b)) in values(a).into_iter().zip(values(b)) {
        // Where only one disk has a GPT, that is told.
        let anywhere = [&PARTITION_MOVED, &PARTITION_RESIZED, &PARTITION_CONTENT];
        let comparable = same_table || anywhere.iter().any(|other| other.id() == kind.id());
        if of_a == of_b || !comparable {
            continue;
        }
        let mut difference = told.difference(kind, &name);
        difference.at.space = Some(ImageSpace::Raw);
        (difference.at.a, difference.at.b) = (Some(a.entry.0), Some(b.entry.0));
        (difference.a, difference.b) = (of_a, of_b);
        if kind.id() == PARTITION_RESIZED.id() {
            difference.sizes = Some(Sizes { a: Some(a.len), b: Some(b.len) });
        }
        out.push(AROUND, kind, difference);
    }
}

/// The tables of a disk, its partitions and what is between them.
pub(super) fn map(disk: &Disk, other: Option<&Disk>, map: &mut Map) -> Result<(), ReadError> {
    let mut around = map.layer(AROUND);
    let gap = around.name("between partitions".to_owned());
    around.add(0, disk.bytes.len(), What::Kind(&DISK_GAP), gap);
    around.finish();
    let mut partitions = map.layer(AROUND);
    for partition in &disk.partitions {
        let place = partitions.name(partition.name());
        let (start, len) = (partition.region.start().0, partition.region.len());
        // Where something else is in it, no byte of it means the same.
        let others = other.iter().flat_map(|other| &other.partitions);
        let other = others.into_iter().find(|other| other.number == partition.number);
        let same = other.is_none_or(|other| other.content == partition.content);
        let kind = if same { &BYTES } else { &PARTITION_CONTENT };
        partitions.add(start, len, What::Kind(kind), place);
    }
    partitions.finish();
    if disk.table.is_some() {
        let mut tables = map.layer(AROUND);
        map_records(&disk.bytes, disk.block_size, &mut tables)?;
        let extended = tables.name("extended partition".to_owned());
        for partition in disk.partitions.iter().filter(|p| p.number > 4) {
            if matches!(partition.kind, PartitionType::Mbr(_)) {
                let record = partition.entry.0 / 512 * 512;
                tables.add(record, 512, What::Kind(&MBR_EXTENDED), extended);
            }
        }
        tables.finish();
    }
    Ok(())
}

/// The master boot record, and both copies of a GPT.
pub(super) fn map_records(
    disk: &Region,
    size: BlockSize,
    tables: &mut Builder<'_>,
) -> Result<(), ReadError> {
    let record = tables.name("master boot record".to_owned());
    tables.fields(0, 512, &RECORD_MAP, record);
    let last = (disk.len() / size.bytes()).saturating_sub(1);
    for (lba, name) in [(1, "GPT"), (last, "copy of the GPT")] {
        let header = present(gpt::Header::read(disk, Lba(lba), size))?;
        let Some(header) = header.filter(gpt::Header::has_signature) else { continue };
        let place = tables.name(format!("{name}, header"));
        let at = lba.saturating_mul(size.bytes());
        tables.fields(at, 512, &HEADER_MAP, place);
        let stride = header.raw.size_of_partition_entry.get();
        let first = Lba(header.raw.partition_entry_lba.get()).to_offset(size);
        let len = header.entry_array_len().min(gpt::MAX_ENTRY_ARRAY_BYTES);
        if let Some(first) = first.filter(|_| stride >= PartitionEntry::SIZE as u32) {
            let place = tables.name(format!("{name}, entries"));
            let what = What::Fields { table: &ENTRY_MAP, stride, node: None };
            tables.add(first.0, len, what, place);
        }
    }
    Ok(())
}

/// The partition map of Apple, where there is one.
pub(super) fn map_apm(disk: &Region, tables: &mut Builder<'_>) -> Result<(), ReadError> {
    if let Some(map) = present(apm::Map::read(disk))?.flatten() {
        let place = tables.name("Apple partition map".to_owned());
        for (at, _) in &map.entries {
            tables.add(*at, 512, What::Kind(&APM), place);
        }
    }
    Ok(())
}
