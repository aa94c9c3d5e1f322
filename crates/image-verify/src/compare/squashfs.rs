//! SquashFS: what the superblock says, and where its parts are.

use image_formats::{
    bytes::{ReadError, Region},
    squashfs::raw::SuperBlock,
};
use zerocopy::IntoBytes as _;

use super::{
    fields::{
        self, Field,
        Show::{Hex, Number, Time},
        field,
    },
    kinds::*,
    map::{Map, Table, What},
    out::{Out, Told, VolumeNumber},
    present,
};

/// `struct squashfs_super_block`.
static SUPERBLOCK: &[Field] = &[
    field(0, 4, "s_magic", &SQUASHFS_LAYOUT, Hex),
    field(4, 4, "inodes", &SQUASHFS_COUNTS, Number),
    field(8, 4, "mkfs_time", &SQUASHFS_MKFS_TIME, Time),
    field(12, 4, "block_size", &SQUASHFS_BLOCK_SIZE, Number),
    field(16, 4, "fragments", &SQUASHFS_COUNTS, Number),
    field(20, 2, "compression", &SQUASHFS_COMPRESSION, Number),
    field(22, 2, "block_log", &SQUASHFS_BLOCK_SIZE, Number),
    field(24, 2, "flags", &SQUASHFS_COMPRESSION, Hex),
    field(26, 2, "no_ids", &SQUASHFS_COUNTS, Number),
    field(28, 2, "s_major", &SQUASHFS_LAYOUT, Number),
    field(30, 2, "s_minor", &SQUASHFS_LAYOUT, Number),
    field(32, 8, "root_inode", &SQUASHFS_LAYOUT, Hex),
    field(40, 8, "bytes_used", &SQUASHFS_LAYOUT, Number),
    field(48, 8, "id_table_start", &SQUASHFS_LAYOUT, Hex),
    field(56, 8, "xattr_id_table_start", &SQUASHFS_LAYOUT, Hex),
    field(64, 8, "inode_table_start", &SQUASHFS_LAYOUT, Hex),
    field(72, 8, "directory_table_start", &SQUASHFS_LAYOUT, Hex),
    field(80, 8, "fragment_table_start", &SQUASHFS_LAYOUT, Hex),
    field(88, 8, "lookup_table_start", &SQUASHFS_LAYOUT, Hex),
];

static SUPERBLOCK_MAP: Table =
    Table { fields: SUPERBLOCK, rest: &SQUASHFS_LAYOUT, other: &SQUASHFS_LAYOUT };

/// Compares the superblocks of two file systems.
pub(super) fn compare(
    region_a: &Region,
    region_b: &Region,
    volume: VolumeNumber,
    name: &str,
    out: &mut Out,
) -> Result<(), ReadError> {
    let read = |region: &Region| present(SuperBlock::read(region));
    let (Some(bytes_a), Some(bytes_b)) = (read(region_a)?, read(region_b)?) else { return Ok(()) };
    let place = format!("{name}, SquashFS superblock");
    let told = Told { volume, place: &place };
    let (a, b) =
        ((bytes_a.as_bytes(), region_a.start().0), (bytes_b.as_bytes(), region_b.start().0));
    fields::compare(out, &told, SUPERBLOCK, a, b);
    let options = |region: &Region, of: &SuperBlock| {
        let has = of.has(SuperBlock::COMPRESSOR_OPTIONS);
        if !has {
            return Ok(None);
        }
        present(region.array::<OPTIONS_LEN>("SquashFS compressor options", SuperBlock::SIZE as u64))
    };
    let (options_a, options_b) = (options(region_a, &bytes_a)?, options(region_b, &bytes_b)?);
    if let (Some(options_a), Some(options_b)) = (options_a, options_b) {
        let at = |region: &Region| region.absolute(SuperBlock::SIZE as u64).0;
        let (a, b) = ((&options_a[..], at(region_a)), (&options_b[..], at(region_b)));
        fields::compare(out, &told, OPTIONS, a, b);
    }
    Ok(())
}

/// Bytes of the shortest compressor options, behind two bytes that say how many there are.
const OPTIONS_LEN: usize = 6;

static OPTIONS: &[Field] = &[field(2, 4, "compressor options", &SQUASHFS_COMPRESSION, Number)];

/// The parts of a file system. Files are compressed, and share blocks.
pub(super) fn map(
    region: &Region,
    volume: VolumeNumber,
    name: &str,
    map: &mut Map,
) -> Result<(), ReadError> {
    let Some(superblock) = present(SuperBlock::read(region))? else { return Ok(()) };
    let used = superblock.bytes_used.get().min(region.len());
    let tables = superblock.inode_table_start.get().min(used);
    let mut layer = map.layer(volume);
    let place = layer.name(format!("{name}, SquashFS superblock"));
    layer.fields(region.start().0, SuperBlock::SIZE as u32, &SUPERBLOCK_MAP, place);
    let place = layer.name(format!("{name}, SquashFS data blocks"));
    let head = SuperBlock::SIZE as u64;
    let data = tables.saturating_sub(head);
    layer.add(region.absolute(head).0, data, What::Kind(&SQUASHFS_DATA), place);
    let place = layer.name(format!("{name}, SquashFS tables"));
    layer.add(region.absolute(tables).0, used - tables, What::Kind(&SQUASHFS_TABLES), place);
    layer.finish();
    Ok(())
}
