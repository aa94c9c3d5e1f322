//! ISO 9660: volume descriptors, path tables, and each record of each directory, with what SUSP and
//! Rock Ridge say of it; also where it is broken.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
};

use image_formats::{
    bytes::{ReadError, Region},
    iso9660::{
        Block, BlockSize, ByteOrder, Descriptor, Descriptors, Joliet, Moment, PathTable, Record,
        Records, SECTOR, joliet_name, primary_name,
        raw::{
            BootRecord, Both16, Both32, DescriptorHeader, DirectoryRecord, LongDate,
            PartitionDescriptor, VolumeDescriptor,
        },
        trimmed,
    },
    susp::{Budget, Name, SystemUse, Target, raw::Tf},
};
use image_host::interrupt;
use serde_json::Value;
use zerocopy::IntoBytes as _;

use super::{
    Printer, Structure,
    disk::{machine, present},
    hex, squashfs, structure, text,
};

/// The most bytes of a path table that are read.
const MAX_PATH_TABLE: u64 = 16 << 20;

/// How many files that are a SquashFS are looked into.
const MAX_NESTED: usize = 64;

/// The most bytes of paths of directories that wait to be read.
const MAX_WAITING: usize = 64 << 20;

/// The volume descriptors, each with its path tables.
pub(super) fn describe(region: &Region) -> Result<Vec<Structure>, ReadError> {
    let mut found = Vec::new();
    for descriptor in Descriptors::new(region) {
        let Some(descriptor) = present(descriptor)? else { break };
        found.push(describe_descriptor(region, &descriptor));
        if is_volume(&descriptor) {
            path_tables(region, &descriptor.volume(), &mut found)?;
        }
    }
    Ok(found)
}

fn is_volume(descriptor: &Descriptor) -> bool {
    let kind = descriptor.header().kind;
    descriptor.is_one()
        && matches!(kind, DescriptorHeader::PRIMARY | DescriptorHeader::SUPPLEMENTARY)
}

/// A number that is written twice; both where they differ.
fn twice<T: Into<Value> + PartialEq + std::fmt::Display>(little: T, big: T) -> Value {
    if little == big { little.into() } else { format!("{little}|{big}").into() }
}

fn both16(number: Both16) -> Value {
    twice(number.little.get(), number.big.get())
}

fn both32(number: Both32) -> Value {
    twice(number.little.get(), number.big.get())
}

/// The digits, and the steps of 15 minutes from Greenwich.
fn long_date(date: &LongDate) -> Value {
    let digits = date.as_bytes().get(..16).unwrap_or_default();
    format!("{}{:+}", super::shown(digits), date.zone).into()
}

fn moment(moment: Moment) -> Value {
    match moment {
        Moment::At(seconds) => seconds.into(),
        Moment::Unset => Value::Null,
        Moment::Invalid => "invalid".into(),
    }
}

fn describe_descriptor(region: &Region, descriptor: &Descriptor) -> Structure {
    let header = descriptor.header();
    let mut fields = vec![
        ("type", header.kind.into()),
        ("identifier", text(&header.standard_identifier)),
        ("version", header.version.into()),
    ];
    let name = match header.kind {
        _ if !descriptor.is_one() => "no descriptor",
        DescriptorHeader::BOOT_RECORD => {
            fields.extend(boot_record(&descriptor.boot_record()));
            "boot record"
        }
        DescriptorHeader::PRIMARY | DescriptorHeader::SUPPLEMENTARY => {
            let volume = descriptor.volume();
            fields.extend(describe_volume(&volume));
            match header.kind {
                DescriptorHeader::PRIMARY => "primary volume",
                _ if volume.is_enhanced() => "enhanced volume",
                _ => "supplementary volume",
            }
        }
        DescriptorHeader::PARTITION => {
            fields.extend(partition(&descriptor.partition()));
            "volume partition"
        }
        DescriptorHeader::TERMINATOR => "terminator",
        _ => "descriptor",
    };
    structure(name, "raw", region.absolute(descriptor.offset).0, fields)
}

fn boot_record(record: &BootRecord) -> Vec<(&'static str, Value)> {
    let [a, b, c, d, ..] = record.boot_system_use;
    vec![
        ("system", text(trimmed(&record.boot_system_identifier))),
        ("id", text(trimmed(&record.boot_identifier))),
        ("bootCatalog", u32::from_le_bytes([a, b, c, d]).into()),
    ]
}

fn partition(partition: &PartitionDescriptor) -> Vec<(&'static str, Value)> {
    vec![
        ("system", text(trimmed(&partition.system_identifier))),
        ("id", text(trimmed(&partition.volume_partition_identifier))),
        ("location", both32(partition.volume_partition_location)),
        ("size", both32(partition.volume_partition_size)),
    ]
}

fn describe_volume(volume: &VolumeDescriptor) -> Vec<(&'static str, Value)> {
    let is_joliet = volume.joliet().is_some();
    let words = |bytes: &[u8]| {
        if is_joliet {
            let even = bytes.get(..bytes.len() & !1).unwrap_or_default();
            text(trimmed(joliet_name(even).as_bytes()))
        } else {
            text(trimmed(bytes))
        }
    };
    let root = &volume.root.record;
    vec![
        ("flags", hex(volume.volume_flags.into())),
        ("systemId", words(&volume.system_identifier)),
        ("volumeId", words(&volume.volume_identifier)),
        ("blocks", both32(volume.volume_space_size)),
        ("escape", text(trimmed(&volume.escape_sequences))),
        ("setSize", both16(volume.volume_set_size)),
        ("sequence", both16(volume.volume_sequence_number)),
        ("blockSize", both16(volume.logical_block_size)),
        ("pathTableSize", both32(volume.path_table_size)),
        ("pathTableL", volume.type_l_path_table.get().into()),
        ("optionalPathTableL", volume.optional_type_l_path_table.get().into()),
        ("pathTableM", volume.type_m_path_table.get().into()),
        ("optionalPathTableM", volume.optional_type_m_path_table.get().into()),
        ("rootExtent", both32(root.extent)),
        ("rootLength", both32(root.data_len)),
        ("rootFlags", hex(root.flags.into())),
        ("volumeSet", words(&volume.volume_set_identifier)),
        ("publisher", words(&volume.publisher_identifier)),
        ("preparer", words(&volume.data_preparer_identifier)),
        ("application", words(&volume.application_identifier)),
        ("copyrightFile", words(&volume.copyright_file_identifier)),
        ("abstractFile", words(&volume.abstract_file_identifier)),
        ("bibliographicFile", words(&volume.bibliographic_file_identifier)),
        ("created", long_date(&volume.creation)),
        ("modified", long_date(&volume.modification)),
        ("expires", long_date(&volume.expiration)),
        ("effective", long_date(&volume.effective)),
        ("fileStructure", volume.file_structure_version.into()),
    ]
}

/// The four path tables, of which two need not be there, and the entries of the first.
fn path_tables(
    region: &Region,
    volume: &VolumeDescriptor,
    found: &mut Vec<Structure>,
) -> Result<(), ReadError> {
    let size = volume.block_size().unwrap_or(BlockSize::B2048);
    let is_joliet = volume.joliet().is_some();
    let len = u64::from(volume.path_table_size.get());
    let tables = [
        (ByteOrder::Little, volume.type_l_path_table.get()),
        (ByteOrder::Little, volume.optional_type_l_path_table.get()),
        (ByteOrder::Big, volume.type_m_path_table.get()),
        (ByteOrder::Big, volume.optional_type_m_path_table.get()),
    ];
    for (number, (order, block)) in tables.into_iter().enumerate().filter(|(_, t)| t.1 != 0) {
        let at = size.offset(Block(block));
        let bytes = region.bytes("path table", at, len, MAX_PATH_TABLE);
        let Some(bytes) = present(bytes)? else { continue };
        let entries: Vec<_> = PathTable::new(&bytes, order).collect();
        let fault = entries.last().and_then(|last| last.err()).map(|fault| fault.offset as u64);
        found.push(structure(
            "path table",
            "raw",
            region.absolute(at).0,
            [
                ("order", format!("{order:?}").to_lowercase().into()),
                ("length", len.into()),
                ("entries", (entries.len() as u64 - u64::from(fault.is_some())).into()),
                ("brokenAt", fault.map_or(Value::Null, Value::from)),
            ],
        ));
        for (index, entry) in (1_u64..).zip(entries.into_iter().flatten()) {
            if number > 0 {
                break;
            }
            let name = match entry.identifier {
                [0] => text(b"/"),
                name if is_joliet => text(joliet_name(name).as_bytes()),
                name => text(name),
            };
            found.push(structure(
                "path entry",
                "raw",
                region.absolute(at.saturating_add(entry.offset as u64)).0,
                [
                    ("number", index.into()),
                    ("parent", entry.parent.into()),
                    ("extent", entry.extent.0.into()),
                    ("attributeBlocks", entry.extended_attribute_len.into()),
                    ("name", name),
                ],
            ));
        }
    }
    Ok(())
}

/// Prints each record of each directory below the primary and supplementary volume descriptors, and
/// returns the files that are a SquashFS.
pub(super) fn files(region: &Region, out: &mut Printer) -> io::Result<Vec<Region>> {
    let mut nested = Vec::new();
    for descriptor in Descriptors::new(region) {
        let Some(descriptor) = present(descriptor).map_err(machine)? else { break };
        if is_volume(&descriptor) {
            nested.extend(Walk::new(region, &descriptor.volume()).run(out)?);
        }
    }
    // Each tree has them.
    let mut seen = BTreeSet::new();
    nested.retain(|region| seen.insert(region.start()));
    Ok(nested)
}

/// Goes through a tree.
struct Walk<'a> {
    region: &'a Region,
    size: BlockSize,
    joliet: Option<Joliet>,
    /// Bytes before the first entry of each system use area; `None` where SUSP is not in use.
    skip: Option<usize>,
    budget: Budget,
    /// Directories that wait, and bytes of their paths.
    waiting: VecDeque<(Block, u64, Vec<u8>)>,
    waiting_len: usize,
    seen: BTreeSet<u32>,
    /// Bytes of directories that are read at most: each byte belongs to one.
    left: u64,
    /// Files that are a SquashFS.
    nested: Vec<Region>,
}

impl<'a> Walk<'a> {
    fn new(region: &'a Region, volume: &VolumeDescriptor) -> Self {
        let root = &volume.root.record;
        Self {
            region,
            size: volume.block_size().unwrap_or(BlockSize::B2048),
            joliet: volume.joliet(),
            skip: None,
            budget: Budget::new(region),
            waiting: [(Block(root.extent.get()), root.data_len.get().into(), Vec::new())].into(),
            waiting_len: 0,
            seen: BTreeSet::new(),
            left: region.len(),
            nested: Vec::new(),
        }
    }

    fn run(mut self, out: &mut Printer) -> io::Result<Vec<Region>> {
        while let Some((block, len, path)) = self.waiting.pop_front() {
            interrupt::check()?;
            self.waiting_len -= path.len();
            if self.seen.insert(block.0) {
                self.directory(block, len, &path, out)?;
            }
        }
        Ok(self.nested)
    }

    fn directory(
        &mut self,
        block: Block,
        len: u64,
        path: &[u8],
        out: &mut Printer,
    ) -> io::Result<()> {
        let mut at = 0;
        while at < len && self.left > 0 {
            let size = SECTOR.min(len - at).min(self.left);
            let place = self.size.offset(block).saturating_add(at);
            let sector = self.region.bytes("directory", place, size, SECTOR);
            let Some(sector) = present(sector).map_err(machine)? else { break };
            self.left -= size;
            at += size;
            for record in Records::new(&sector, place) {
                match record {
                    Ok(record) => self.record(&record, path, out)?,
                    Err((offset, fault)) => out.print(&structure(
                        "no record",
                        "raw",
                        self.region.absolute(offset).0,
                        [("what", format!("{fault:?}").into()), ("directory", text(path))],
                    ))?,
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>, path: &[u8], out: &mut Printer) -> io::Result<()> {
        let is_link = matches!(record.identifier, DirectoryRecord::SELF | DirectoryRecord::PARENT);
        let is_root = path.is_empty() && record.identifier == DirectoryRecord::SELF;
        if is_root && self.joliet.is_none() {
            self.start_of_susp(record, out)?;
        }
        if is_link {
            return Ok(());
        }
        let raw = &record.raw;
        let identifier = match self.joliet {
            Some(_) => joliet_name(record.identifier).into_bytes(),
            None => primary_name(record.identifier).to_vec(),
        };
        let mut more = Vec::new();
        let mut kind = if raw.is_directory() { "directory" } else { "file" };
        let mut name = identifier;
        if let Some(skip) = self.skip {
            let area = record.system_use.get(skip..).unwrap_or_default();
            let at = record.system_use_offset.saturating_add(skip as u64);
            let block_size = self.size.bytes();
            let read = SystemUse::read(self.region, block_size, area, at, &mut self.budget);
            let found = rock_ridge(&read.map_err(machine)?, &mut more);
            name = found.name.unwrap_or(name);
            kind = found.kind.unwrap_or(kind);
        }
        let path = [path, b"/", &name].concat();
        let mut fields = vec![
            ("extent", both32(raw.extent)),
            ("length", both32(raw.data_len)),
            ("flags", hex(raw.flags.into())),
            ("recorded", moment(raw.recording.moment())),
        ];
        if raw.extended_attribute_len != 0 {
            fields.push(("attributeBlocks", raw.extended_attribute_len.into()));
        }
        fields.extend(more);
        match self.joliet {
            Some(_) => fields.push(("tree", "joliet".into())),
            None => fields.push(("identifier", text(record.identifier))),
        }
        fields.push(("path", text(&path)));
        out.print(&structure(kind, "raw", self.region.absolute(record.offset).0, fields))?;
        if !raw.is_directory() && self.nested.len() < MAX_NESTED {
            self.nested.extend(self.squashfs(raw).map_err(machine)?);
        }
        if raw.is_directory() && self.waiting_len + path.len() <= MAX_WAITING {
            self.waiting_len += path.len();
            self.waiting.push_back((Block(raw.extent.get()), raw.data_len.get().into(), path));
        }
        Ok(())
    }

    /// The content of a file if it starts as a SquashFS does.
    fn squashfs(&self, raw: &DirectoryRecord) -> Result<Option<Region>, ReadError> {
        let block = Block(raw.extent.get().saturating_add(raw.extended_attribute_len.into()));
        let at = self.size.offset(block);
        let rest = self.region.len().saturating_sub(at);
        // Other extents of a large file follow the first.
        let len = if raw.has_more() { rest } else { rest.min(raw.data_len.get().into()) };
        let Some(content) = present(self.region.sub("file", at, len))? else { return Ok(None) };
        Ok(squashfs::is_one(&content)?.then_some(content))
    }

    /// The first record of the root says whether SUSP is in use, and for what.
    fn start_of_susp(&mut self, record: &Record<'_>, out: &mut Printer) -> io::Result<()> {
        let (area, at) = (record.system_use, record.system_use_offset);
        let block_size = self.size.bytes();
        let read = SystemUse::read(self.region, block_size, area, at, &mut self.budget);
        for entry in read.map_err(machine)?.entries() {
            if let Some(sp) = entry.sp() {
                self.skip.get_or_insert(sp.len_skp.into());
                let check = hex(u16::from_be_bytes(sp.check).into());
                let fields = [("check", check), ("skip", sp.len_skp.into())];
                out.print(&structure("susp", "raw", entry.at.0, fields))?;
            }
            if let Some(extension) = entry.er() {
                let fields = [
                    ("version", extension.raw.ext_ver.into()),
                    ("id", text(extension.id)),
                    ("description", text(extension.description)),
                    ("source", text(extension.source)),
                ];
                out.print(&structure("susp extension", "raw", entry.at.0, fields))?;
            }
        }
        Ok(())
    }
}

/// What Rock Ridge says instead of the record.
#[derive(Default)]
struct RockRidge {
    name: Option<Vec<u8>>,
    kind: Option<&'static str>,
}

fn rock_ridge(area: &SystemUse, fields: &mut Vec<(&'static str, Value)>) -> RockRidge {
    let (mut name, mut target) = (Name::default(), Target::default());
    let mut found = RockRidge::default();
    let mut others = Vec::new();
    for entry in area.entries() {
        name.piece(&entry, |_| ());
        target.piece(&entry, |_| ());
        if let Some((px, serial)) = entry.px() {
            let mode = px.mode.get();
            found.kind = Some(match mode & 0o170_000 {
                0o040_000 => "directory",
                0o100_000 => "file",
                0o120_000 => "symlink",
                _ => "special",
            });
            fields.push(("mode", format!("{mode:o}").into()));
            fields.push(("owner", format!("{}:{}", px.uid.get(), px.gid.get()).into()));
            fields.push(("links", both32(px.links)));
            fields.extend(serial.map(|serial| ("serial", both32(serial.serial))));
        } else if let Some(pn) = entry.pn() {
            fields.push(("device", format!("{},{}", pn.high.get(), pn.low.get()).into()));
        } else if let Some(times) = entry.tf() {
            let kinds = [
                ("created", Tf::CREATION),
                ("mtime", Tf::MODIFY),
                ("atime", Tf::ACCESS),
                ("ctime", Tf::ATTRIBUTES),
                ("backup", Tf::BACKUP),
                ("expires", Tf::EXPIRATION),
                ("effective", Tf::EFFECTIVE),
            ];
            for (key, kind) in kinds {
                fields.extend(times.get(kind).map(|time| (key, moment(time))));
            }
        } else if let Some(link) = entry.cl() {
            fields.push(("movedTo", both32(link.block)));
        } else if let Some(link) = entry.pl() {
            fields.push(("movedFrom", both32(link.block)));
        } else if let Some(zf) = entry.zf() {
            fields.push(("compressed", text(&zf.algorithm)));
            fields.push(("uncompressedLength", both32(zf.size)));
        } else if entry.nm().is_none() && entry.sl().is_none() && entry.ce().is_none() {
            others.push(Value::from(entry.signature()));
        }
    }
    if !others.is_empty() {
        fields.push(("others", others.into()));
    }
    if !area.continuations.is_empty() {
        fields.push(("continuations", area.continuations.len().into()));
    }
    if !area.faults.is_empty() {
        fields.push(("faults", area.faults.len().into()));
    }
    if target.pieces > 0 {
        fields.push(("target", text(&target.text)));
    }
    found.name = (!name.text.is_empty()).then_some(name.text);
    found
}
