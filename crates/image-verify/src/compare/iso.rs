//! ISO 9660: what the volume descriptors say, the boot catalog, and where everything is.

use std::collections::BTreeSet;

use image_formats::{
    bytes::{ReadError, Region},
    el_torito::{self, Catalog},
    iso9660::{
        Block, BlockSize, ByteOrder, Descriptor, Descriptors, PathTable, Record, SECTOR,
        raw::{DescriptorHeader, VolumeDescriptor},
    },
};
use image_model::{Difference, ImageSpace};
use zerocopy::IntoBytes as _;

use super::{
    fields::{
        self, Field,
        Show::{self, Bytes, Digits, Number, Text},
        field,
    },
    kinds::{Kind as Way, *},
    map::{Builder, Map, Table, What},
    out::{Out, Told, VolumeNumber},
    present, table,
};
use crate::{
    tree::{Kind, Tree},
    volume::Volume,
};

const fn at(at: usize, len: u32, name: &'static str, kind: &'static Way, show: Show) -> Field {
    field(at as u32, len, name, kind, show)
}

/// A primary, supplementary or enhanced volume descriptor.
static DESCRIPTOR: &[Field] = &[
    at(0, 7, "Volume Descriptor Type", &ISO_PARAMETERS, Bytes),
    at(7, 1, "Volume Flags", &ISO_PARAMETERS, Number),
    at(8, 32, "System Identifier", &ISO_IDENTIFIER, Text),
    at(40, 32, "Volume Identifier", &ISO_LABEL, Text),
    at(72, 8, "Unused", &ISO_PARAMETERS, Bytes),
    at(80, 4, "Volume Space Size", &ISO_SIZE, Number),
    at(84, 4, "Volume Space Size, big-endian", &ISO_SIZE, Bytes),
    at(88, 32, "Escape Sequences", &ISO_PARAMETERS, Text),
    at(120, 4, "Volume Set Size", &ISO_PARAMETERS, Bytes),
    at(124, 4, "Volume Sequence Number", &ISO_PARAMETERS, Bytes),
    at(128, 4, "Logical Block Size", &ISO_PARAMETERS, Bytes),
    at(132, 4, "Path Table Size", &ISO_LAYOUT, Number),
    at(136, 4, "Path Table Size, big-endian", &ISO_LAYOUT, Bytes),
    at(140, 4, "Location of Type L Path Table", &ISO_LAYOUT, Number),
    at(144, 4, "Location of Optional Type L Path Table", &ISO_LAYOUT, Number),
    at(148, 4, "Location of Type M Path Table", &ISO_LAYOUT, Bytes),
    at(152, 4, "Location of Optional Type M Path Table", &ISO_LAYOUT, Bytes),
    at(156, 18, "Directory Record for Root Directory", &ISO_LAYOUT, Bytes),
    at(174, 7, "Recording Date of Root Directory", &ISO_VOLUME_DATE, Bytes),
    at(181, 9, "Directory Record for Root Directory", &ISO_PARAMETERS, Bytes),
    at(190, 128, "Volume Set Identifier", &ISO_IDENTIFIER, Text),
    at(318, 128, "Publisher Identifier", &ISO_IDENTIFIER, Text),
    at(446, 128, "Data Preparer Identifier", &ISO_IDENTIFIER, Text),
    at(574, 128, "Application Identifier", &ISO_IDENTIFIER, Text),
    at(702, 37, "Copyright File Identifier", &ISO_IDENTIFIER, Text),
    at(739, 37, "Abstract File Identifier", &ISO_IDENTIFIER, Text),
    at(776, 37, "Bibliographic File Identifier", &ISO_IDENTIFIER, Text),
    at(813, 17, "Volume Creation Date and Time", &ISO_VOLUME_DATE, Digits),
    at(830, 17, "Volume Modification Date and Time", &ISO_VOLUME_DATE, Digits),
    at(847, 17, "Volume Expiration Date and Time", &ISO_VOLUME_DATE, Digits),
    at(864, 17, "Volume Effective Date and Time", &ISO_VOLUME_DATE, Digits),
    at(881, 1, "File Structure Version", &ISO_PARAMETERS, Number),
    at(882, 1, "Reserved", &ISO_PARAMETERS, Number),
    at(883, 512, "Application Use", &ISO_PARAMETERS, Bytes),
    at(1395, 653, "Reserved", &ISO_PARAMETERS, Bytes),
];

static DESCRIPTOR_MAP: Table =
    Table { fields: DESCRIPTOR, rest: &ISO_PARAMETERS, other: &ISO_PARAMETERS };

/// A record of the boot catalog.
static CATALOG_RECORD: &[Field] = &[field(0, 32, "record", &ISO_BOOT_CATALOG, Bytes)];

/// The volume descriptors, as far as they can be read.
fn descriptors(region: &Region) -> Result<Vec<Descriptor>, ReadError> {
    let mut found = Vec::new();
    for descriptor in Descriptors::new(region) {
        match present(descriptor)? {
            Some(descriptor) if descriptor.is_one() => found.push(descriptor),
            _ => break,
        }
    }
    Ok(found)
}

/// What people call a descriptor.
fn name_of(descriptor: &Descriptor) -> &'static str {
    match descriptor.header().kind {
        DescriptorHeader::PRIMARY => "primary volume descriptor",
        DescriptorHeader::SUPPLEMENTARY if descriptor.volume().joliet().is_some() => {
            "Joliet volume descriptor"
        }
        DescriptorHeader::SUPPLEMENTARY => "supplementary volume descriptor",
        DescriptorHeader::BOOT_RECORD => "boot record",
        DescriptorHeader::TERMINATOR => "terminator",
        _ => "volume descriptor",
    }
}

fn is_volume(descriptor: &Descriptor) -> bool {
    let kind = descriptor.header().kind;
    matches!(kind, DescriptorHeader::PRIMARY | DescriptorHeader::SUPPLEMENTARY)
}

/// Compares what two file systems say of themselves.
pub(super) fn compare(
    a: &Region,
    b: &Region,
    volume: VolumeNumber,
    name: &str,
    out: &mut Out,
) -> Result<(), ReadError> {
    let (all_a, all_b) = (descriptors(a)?, descriptors(b)?);
    let names = |all: &[Descriptor]| all.iter().map(name_of).collect::<Vec<_>>().join(", ");
    if names(&all_a) != names(&all_b) {
        let place = format!("{name}, volume descriptors");
        let told = Told { volume, place: &place };
        let difference = told.difference(&ISO_PARAMETERS, &place);
        let (a, b) = (Some(names(&all_a)), Some(names(&all_b)));
        out.push(volume, &ISO_PARAMETERS, Difference { a, b, ..difference });
    }
    let volumes = |all: Vec<Descriptor>| all.into_iter().filter(is_volume).collect::<Vec<_>>();
    let (all_a, all_b) = (volumes(all_a), volumes(all_b));
    let mut left: Vec<_> = all_b.iter().collect();
    for of_a in &all_a {
        let Some(at) = left.iter().position(|of_b| name_of(of_b) == name_of(of_a)) else {
            continue;
        };
        let of_b = left.remove(at);
        let place = format!("{name}, {}", name_of(of_a));
        let told = Told { volume, place: &place };
        let (bytes_a, bytes_b) = (of_a.volume(), of_b.volume());
        let at = |region: &Region, of: &Descriptor| region.absolute(of.offset).0;
        let (a, b) = ((bytes_a.as_bytes(), at(a, of_a)), (bytes_b.as_bytes(), at(b, of_b)));
        fields::compare(out, &told, DESCRIPTOR, a, b);
    }
    catalogs(a, b, volume, name, out)
}

/// The boot catalog and where it is, where there is one.
fn catalog(region: &Region) -> Result<Option<(u64, Catalog)>, ReadError> {
    let record = el_torito::raw::BootRecord::SECTOR;
    let record = present(el_torito::raw::BootRecord::read(region, record))?;
    let Some(record) = record.filter(|r| r.is_boot_record() && r.names_el_torito()) else {
        return Ok(None);
    };
    let at = u64::from(record.boot_catalog.get()).saturating_mul(SECTOR);
    Ok(present(Catalog::read(region, at))?.map(|catalog| (at, catalog)))
}

/// Compares the boot catalogs, record by record.
fn catalogs(
    a: &Region,
    b: &Region,
    volume: VolumeNumber,
    name: &str,
    out: &mut Out,
) -> Result<(), ReadError> {
    let (found_a, found_b) = (catalog(a)?, catalog(b)?);
    let place = format!("{name}, boot catalog");
    let told = Told { volume, place: &place };
    let count = |found: &Option<(u64, Catalog)>| {
        found.as_ref().map(|(_, catalog)| format!("{} records", catalog.records.len() + 1))
    };
    let (count_a, count_b) = (count(&found_a), count(&found_b));
    if count_a != count_b {
        let difference = told.difference(&ISO_BOOT_CATALOG, &place);
        out.push(volume, &ISO_BOOT_CATALOG, Difference { a: count_a, b: count_b, ..difference });
        return Ok(());
    }
    let (Some((at_a, of_a)), Some((at_b, of_b))) = (found_a, found_b) else { return Ok(()) };
    let places = |at: u64, catalog: &Catalog| {
        let records = catalog.records.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        std::iter::once(at).chain(records)
    };
    for (number, (at_a, at_b)) in places(at_a, &of_a).zip(places(at_b, &of_b)).enumerate() {
        let (record_a, record_b) =
            (a.array::<32>("boot catalog", at_a)?, b.array::<32>("boot catalog", at_b)?);
        let place = format!("{place}, record {number}");
        let told = Told { volume, place: &place };
        // Where an image lies follows from what is before it.
        let (place_a, place_b) = (a.absolute(at_a).0, b.absolute(at_b).0);
        let fields = CATALOG_RECORD;
        fields::compare(out, &told, fields, (&record_a, place_a), (&record_b, place_b));
    }
    Ok(())
}

/// The structures of a file system, and the places of its files.
pub(super) fn map(
    region: &Region,
    opened: Option<&Volume>,
    volume: VolumeNumber,
    name: &str,
    map: &mut Map,
) -> Result<(), ReadError> {
    let start = region.start().0;
    let mut below = map.layer(volume);
    let area = below.name(format!("{name}, system area"));
    let padding = below.name(format!("{name}, blocks of no file"));
    below.add(start, 16 * SECTOR, What::Kind(&ISO_SYSTEM_AREA), area);
    let rest = region.len().saturating_sub(16 * SECTOR);
    let known = if opened.is_some() { &ISO_PADDING } else { &BYTES };
    below.add(region.absolute(16 * SECTOR).0, rest, What::Kind(known), padding);
    below.finish();
    let mut layer = map.layer(volume);
    let mut walk = Walk { region, name, layer: &mut layer, directories: BTreeSet::new() };
    walk.descriptors()?;
    if let Some(opened) = opened {
        walk.files(opened);
    }
    layer.finish();
    // A stick sees tables in the same bytes.
    if start == 0 {
        let mut tables = map.layer(super::out::AROUND);
        let is_record = present(region.array::<512>("boot record", 0))?
            .is_some_and(|bytes| bytes.ends_with(&[0x55, 0xaa]));
        if is_record {
            table::map_records(region, image_formats::units::BlockSize::B512, &mut tables)?;
        }
        table::map_apm(region, &mut tables)?;
        tables.finish();
    }
    Ok(())
}

struct Walk<'a, 'l, 'm> {
    region: &'a Region,
    name: &'a str,
    layer: &'l mut Builder<'m>,
    /// Where directories start that are known.
    directories: BTreeSet<u64>,
}

impl Walk<'_, '_, '_> {
    fn descriptors(&mut self) -> Result<(), ReadError> {
        let region = self.region;
        for descriptor in descriptors(region)? {
            let place = self.layer.name(format!("{}, {}", self.name, name_of(&descriptor)));
            let at = region.absolute(descriptor.offset).0;
            if is_volume(&descriptor) {
                self.layer.fields(at, SECTOR as u32, &DESCRIPTOR_MAP, place);
                self.tables(&descriptor.volume())?;
            } else if descriptor.header().kind == DescriptorHeader::BOOT_RECORD {
                self.layer.add(at, SECTOR, What::Kind(&ISO_BOOT_CATALOG), place);
            } else {
                self.layer.add(at, SECTOR, What::Kind(&ISO_PARAMETERS), place);
            }
        }
        if let Some((at, _)) = catalog(region)? {
            let place = self.layer.name(format!("{}, boot catalog", self.name));
            let at = region.absolute(at).0;
            self.layer.add(at, SECTOR, What::Kind(&ISO_BOOT_CATALOG), place);
        }
        Ok(())
    }

    /// The path tables of a descriptor, and the directories that they list.
    fn tables(&mut self, descriptor: &VolumeDescriptor) -> Result<(), ReadError> {
        /// The longest path table that is read; discs have a few KiB.
        const MAX_PATH_TABLE: u64 = 32 << 20;
        let Some(size) = descriptor.block_size() else { return Ok(()) };
        let len = u64::from(descriptor.path_table_size.get());
        let place = self.layer.name(format!("{}, path tables", self.name));
        let first = descriptor.type_l_path_table.get();
        for block in [
            first,
            descriptor.optional_type_l_path_table.get(),
            descriptor.type_m_path_table.get(),
            descriptor.optional_type_m_path_table.get(),
        ] {
            if block != 0 {
                let at = self.region.absolute(size.offset(Block(block))).0;
                let len = len.next_multiple_of(size.bytes());
                self.layer.add(at, len, What::Kind(&ISO_PATH_TABLE), place);
            }
        }
        let place = self.layer.name(format!("{}, directories", self.name));
        self.directory(descriptor.root.record.extent.get(), size, place)?;
        let at = size.offset(Block(first));
        let Some(bytes) = present(self.region.bytes("path table", at, len, MAX_PATH_TABLE))? else {
            return Ok(());
        };
        for entry in PathTable::new(&bytes, ByteOrder::Little) {
            let Ok(entry) = entry else { break };
            self.directory(entry.extent.0, size, place)?;
        }
        Ok(())
    }

    /// A directory: its first record says how long it is.
    fn directory(&mut self, block: u32, size: BlockSize, place: u32) -> Result<(), ReadError> {
        let at = size.offset(Block(block));
        if !self.directories.insert(at) {
            return Ok(());
        }
        let Some(bytes) = present(self.region.array::<255>("directory record", at))? else {
            return Ok(());
        };
        if let Ok(Some(record)) = Record::parse(&bytes, at) {
            let at = self.region.absolute(at).0;
            let len = u64::from(record.raw.data_len.get());
            self.layer.add(at, len, What::Kind(&ISO_DIRECTORY), place);
        }
        Ok(())
    }

    fn files(&mut self, volume: &Volume) {
        let contents = self.layer.name(format!("{}, contents of files", self.name));
        let slack = self.layer.name(format!("{}, ends of files", self.name));
        for node in volume.tree.below(Tree::ROOT) {
            if !matches!(volume.tree.node(node).kind, Kind::File(_)) {
                continue;
            }
            // What has gaps is not mapped, and comes out as bytes of no file.
            let Some(content) = volume.region(node) else { continue };
            let (at, len) = (content.start().0, content.len());
            self.layer.add(at, len, What::Content { node, from: 0 }, contents);
            let end = len.next_multiple_of(SECTOR);
            self.layer.add(at.saturating_add(len), end - len, What::Kind(&FILE_SLACK), slack);
        }
    }
}

/// Compares the tables that a stick sees in the first bytes of two discs.
pub(super) fn sticks(a: &Region, b: &Region, out: &mut Out) -> Result<(), ReadError> {
    let has = |region: &Region| {
        let bytes = present(region.array::<512>("boot record", 0))?;
        Ok(bytes.is_some_and(|bytes| bytes.ends_with(&[0x55, 0xaa])))
    };
    match (has(a)?, has(b)?) {
        (true, true) => table::sticks(a, b, out),
        (false, false) => Ok(()),
        (of_a, _) => {
            let told = Told { volume: super::out::AROUND, place: "system area" };
            let mut difference = told.difference(&TABLE_KIND, told.place);
            let name = |has: bool| if has { "master boot record" } else { "none" };
            difference.a = Some(name(of_a).to_owned());
            difference.b = Some(name(!of_a).to_owned());
            difference.at.space = Some(ImageSpace::Raw);
            out.push(told.volume, &TABLE_KIND, difference);
            Ok(())
        }
    }
}
