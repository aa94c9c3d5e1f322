//! VHD: footers, the header of a dynamic disk, and its blocks, also where they are broken.

use std::{io, sync::Arc};

use image_formats::{
    bytes::{ReadAt, Region},
    vhd::{
        BlockAllocationTable, DiskType, SECTOR,
        raw::{DynamicHeader, Footer},
    },
};
use image_host::interrupt;

use super::{Printer, Structure, disk, disk::machine, hex, structure, text};

/// How many blocks are printed.
const MAX_BLOCKS: usize = 64;

/// Prints what there is, as far as it can be read.
pub(super) fn inspect(raw: &Arc<dyn ReadAt>, out: &mut Printer) -> io::Result<()> {
    let file = Region::whole(Arc::clone(raw))?;
    let end = file.len().saturating_sub(SECTOR);
    let read = |at| disk::present(Footer::read(&file, "VHD footer", at)).map_err(machine);
    let is_one = |footer: &Footer| footer.has_cookie();
    let (first, last) = (read(0)?.filter(is_one), read(end)?.filter(is_one));
    if let Some(copy) = first.filter(|_| end != 0) {
        out.print(&footer("vhd footer copy", 0, &copy))?;
    }
    let Some(which) = last.or(first) else { return Ok(()) };
    if matches!(which.kind(), DiskType::Dynamic | DiskType::Differencing) {
        dynamic(&file, which.data_offset.get(), out)?;
    }
    last.map_or(Ok(()), |last| out.print(&footer("vhd footer", end, &last)))
}

fn footer(name: &'static str, at: u64, footer: &Footer) -> Structure {
    let kind = match footer.kind() {
        DiskType::Fixed => "fixed".into(),
        DiskType::Dynamic => "dynamic".into(),
        DiskType::Differencing => "differencing".into(),
        DiskType::Other(number) => number.into(),
    };
    let geometry = footer.disk_geometry;
    let (cylinders, heads, sectors) = (geometry.cylinder.get(), geometry.heads, geometry.sectors);
    structure(
        name,
        "raw",
        at,
        [
            ("type", kind),
            ("size", footer.current_size.get().into()),
            ("originalSize", footer.original_size.get().into()),
            ("geometry", format!("{cylinders}/{heads}/{sectors}").into()),
            ("version", hex(footer.file_format_version.get())),
            ("features", hex(footer.features.get())),
            ("creator", text(&footer.creator_application)),
            ("host", text(&footer.creator_host_os)),
            ("timeStamp", footer.time_stamp.get().into()),
            ("checksum", hex(footer.checksum.get())),
            ("savedState", footer.saved_state.into()),
        ],
    )
}

fn dynamic(file: &Region, at: u64, out: &mut Printer) -> io::Result<()> {
    let Some(header) = disk::present(DynamicHeader::read(file, at)).map_err(machine)? else {
        return Ok(());
    };
    let (table, entries) = (header.table_offset.get(), header.max_table_entries.get());
    out.print(&structure(
        "vhd dynamic header",
        "raw",
        at,
        [
            ("cookie", text(&header.cookie)),
            ("version", hex(header.header_version.get())),
            ("tableOffset", table.into()),
            ("entries", entries.into()),
            ("blockSize", header.block_size.get().into()),
            ("checksum", hex(header.checksum.get())),
        ],
    ))?;
    let blocks = BlockAllocationTable::new(file, table, entries);
    let Some(blocks) = disk::present(blocks).map_err(machine)? else { return Ok(()) };
    let mut used = 0_usize;
    for (number, entry) in blocks.entries().enumerate() {
        interrupt::check()?;
        let sector = entry.map_err(machine)?;
        if sector == BlockAllocationTable::UNUSED {
            continue;
        }
        if used < MAX_BLOCKS {
            let at = u64::from(sector) * SECTOR;
            out.print(&structure("vhd block", "raw", at, [("number", number.into())]))?;
        }
        used += 1;
    }
    out.print(&structure("vhd table", "raw", table, [("blocks", used.into())]))
}
