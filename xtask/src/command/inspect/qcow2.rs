//! qcow2: the header, its extensions, the tables and the snapshots, also where they are broken.

use std::{io, sync::Arc};

use image_formats::{
    bytes::{ReadAt, Region},
    qcow2::{
        ClusterSize, CompressionType, Entries, Extension, ExtensionType, Extensions, L1Entry,
        TableEntry,
        raw::{AdditionalFields, Header, HeaderV3, SnapshotEntry},
    },
};
use image_host::interrupt;
use serde_json::Value;
use zerocopy::transmute;

use super::{Printer, Structure, disk, disk::machine, shown, structure, text};

/// How many entries of each table are printed.
const MAX_ENTRIES: usize = 64;

/// The most bytes of extensions that are read.
const MAX_AREA: u64 = 2 << 20;

/// The longest text that is printed.
const MAX_TEXT: u64 = 1023;

/// Prints what there is, as far as it can be read.
pub(super) fn inspect(raw: &Arc<dyn ReadAt>, out: &mut Printer) -> io::Result<()> {
    let file = Region::whole(Arc::clone(raw))?;
    let Some(first) = disk::present(Header::read(&file)).map_err(machine)? else { return Ok(()) };
    out.print(&header(&file, &first)?)?;
    let v3 = if first.version.get() == 2 {
        None
    } else {
        disk::present(HeaderV3::read(&file)).map_err(machine)?
    };
    let mut start = Header::SIZE as u64;
    if let Some(v3) = v3 {
        start = v3.header_length.get().into();
        out.print(&version_3(&file, &v3)?)?;
    }
    let Some(cluster) = ClusterSize::new(first.cluster_bits.get()) else { return Ok(()) };
    extensions(&file, &first, cluster, start, out)?;
    let refcounts = (
        first.refcount_table_offset.get(),
        cluster.offset(first.refcount_table_clusters.get().into()) / 8,
    );
    let block = |entry| TableEntry(entry).refcount_block();
    table(&file, "qcow2 refcount block", refcounts, out, |entry| {
        vec![("at", block(entry).into())]
    })?;
    snapshots(&file, &first, out)?;
    let l1 = (first.l1_table_offset.get(), first.l1_size.get().into());
    table(&file, "qcow2 l2 table", l1, out, |entry| {
        let entry = L1Entry(entry);
        vec![("at", entry.offset().into()), ("copied", entry.is_copied().into())]
    })
}

fn header(file: &Region, first: &Header) -> io::Result<Structure> {
    let (at, len) = (first.backing_file_offset.get(), first.backing_file_size.get().into());
    let name = if at == 0 {
        Value::Null
    } else {
        let name = disk::present(file.bytes("name of a backing file", at, len, MAX_TEXT));
        name.map_err(machine)?.map_or(Value::Null, |name| text(&name))
    };
    let fields = [
        ("version", first.version.get().into()),
        ("size", first.size.get().into()),
        ("clusterBits", first.cluster_bits.get().into()),
        ("backingFile", name),
        ("crypt", first.crypt_method.get().into()),
        ("l1", first.l1_table_offset.get().into()),
        ("l1Entries", first.l1_size.get().into()),
        ("refcountTable", first.refcount_table_offset.get().into()),
        ("refcountTableClusters", first.refcount_table_clusters.get().into()),
        ("snapshots", first.nb_snapshots.get().into()),
        ("snapshotTable", first.snapshots_offset.get().into()),
    ];
    Ok(structure("qcow2 header", "raw", 0, fields))
}

fn version_3(file: &Region, v3: &HeaderV3) -> io::Result<Structure> {
    let additional = if v3.header_length.get() > 104 {
        disk::present(AdditionalFields::read(file)).map_err(machine)?
    } else {
        None
    };
    let number = additional.map_or(0, |fields| fields.compression_type);
    let compression = CompressionType::of(number).map_or(number.into(), |c| c.as_str().into());
    let wide = |number: u64| format!("{number:#x}").into();
    let fields = [
        ("incompatible", wide(v3.incompatible_features.get())),
        ("compatible", wide(v3.compatible_features.get())),
        ("autoclear", wide(v3.autoclear_features.get())),
        ("refcountOrder", v3.refcount_order.get().into()),
        ("headerLength", v3.header_length.get().into()),
        ("compression", compression),
    ];
    Ok(structure("qcow2 header 3", "raw", 72, fields))
}

fn extensions(
    file: &Region,
    first: &Header,
    cluster: ClusterSize,
    start: u64,
    out: &mut Printer,
) -> io::Result<()> {
    let end = match first.backing_file_offset.get() {
        0 => cluster.bytes(),
        name => name.min(cluster.bytes()),
    };
    let len = end.min(file.len()).saturating_sub(start);
    let area = disk::present(file.bytes("qcow2 header extensions", start, len, MAX_AREA));
    let area = area.map_err(machine)?.unwrap_or_default();
    for extension in Extensions::new(&area).map_while(Result::ok) {
        let Extension { at, kind, data } = extension;
        let name = match kind {
            ExtensionType::End => "end".into(),
            ExtensionType::BackingFormat => "backing format".into(),
            ExtensionType::FeatureNames => "feature names".into(),
            ExtensionType::Bitmaps => "bitmaps".into(),
            ExtensionType::Encryption => "encryption".into(),
            ExtensionType::ExternalData => "external data".into(),
            ExtensionType::Other(number) => format!("{number:#x}"),
        };
        let is_text = matches!(kind, ExtensionType::BackingFormat | ExtensionType::ExternalData);
        let mut fields = vec![("type", name.into()), ("length", data.len().into())];
        let data = data.get(..data.len().min(MAX_TEXT as usize)).unwrap_or_default();
        fields.extend(is_text.then(|| ("text", shown(data).into())));
        out.print(&structure("qcow2 extension", "raw", start + at, fields))?;
    }
    Ok(())
}

/// Prints the first entries of a table that lead somewhere, and how many there are.
fn table(
    file: &Region,
    name: &'static str,
    (at, entries): (u64, u64),
    out: &mut Printer,
    fields: impl Fn(u64) -> Vec<(&'static str, Value)>,
) -> io::Result<()> {
    let Some(all) = disk::present(Entries::new(file, name, at, entries)).map_err(machine)? else {
        return Ok(());
    };
    let mut used = 0_usize;
    for (number, entry) in (0_u64..).zip(all.iter()) {
        interrupt::check()?;
        let entry = entry.map_err(machine)?;
        if entry == 0 {
            continue;
        }
        if used < MAX_ENTRIES {
            let fields = [("number", number.into())].into_iter().chain(fields(entry));
            out.print(&structure(name, "raw", at.saturating_add(8 * number), fields))?;
        }
        used += 1;
    }
    if used > MAX_ENTRIES {
        out.print(&structure(name, "raw", at, [("all", used.into())]))?;
    }
    Ok(())
}

fn snapshots(file: &Region, first: &Header, out: &mut Printer) -> io::Result<()> {
    let mut at = first.snapshots_offset.get();
    for _ in 0..first.nb_snapshots.get().min(MAX_ENTRIES as u32) {
        let what = "qcow2 snapshot table entry";
        let bytes = file.array::<{ SnapshotEntry::SIZE }>(what, at);
        let Some(bytes) = disk::present(bytes).map_err(machine)? else { return Ok(()) };
        let entry: SnapshotEntry = transmute!(bytes);
        let (id, name) = (u64::from(entry.id_size.get()), u64::from(entry.name_size.get()));
        let words = at
            .saturating_add(SnapshotEntry::SIZE as u64)
            .saturating_add(entry.extra_data_size.get().into());
        let read = |at: u64, len: u64| -> io::Result<Value> {
            let bytes = file.bytes(what, at, len.min(MAX_TEXT), MAX_TEXT);
            Ok(disk::present(bytes).map_err(machine)?.map_or(Value::Null, |bytes| text(&bytes)))
        };
        let fields = [
            ("id", read(words, id)?),
            ("name", read(words.saturating_add(id), name)?),
            ("l1", entry.l1_table_offset.get().into()),
            ("l1Entries", entry.l1_size.get().into()),
            ("seconds", entry.date_sec.get().into()),
            ("vmState", entry.vm_state_size.get().into()),
        ];
        out.print(&structure("qcow2 snapshot", "raw", at, fields))?;
        let Some(next) = words.saturating_add(id + name).checked_next_multiple_of(8) else {
            return Ok(());
        };
        at = next;
    }
    Ok(())
}
