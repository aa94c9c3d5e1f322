//! Virtual hard disks of our own, small enough to be edited, and of QEMU.

use image_formats::vhd::{
    SECTOR,
    raw::{DynamicHeader, Footer, Geometry},
};
use zerocopy::{FromBytes as _, FromZeros as _, IntoBytes as _};

/// Sectors of the small disks: one cylinder, four heads.
const SECTORS: u64 = 68;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 4096;

/// Where the parts of the small dynamic disk are.
pub(crate) const HEADER: usize = 512;
pub(crate) const TABLE: usize = 1536;
pub(crate) const FIRST: usize = 2048;
pub(crate) const SECOND: usize = FIRST + 512 + BLOCK;

/// The disk in both of them.
pub(crate) fn content() -> Vec<u8> {
    let mut disk = vec![0; (SECTORS * SECTOR) as usize];
    disk[..BLOCK].fill(0x11);
    // Of this block only one sector was written.
    disk[2 * BLOCK + 1024..2 * BLOCK + 1536].fill(0x22);
    disk
}

fn footer(disk_type: u32) -> Footer {
    let mut footer = Footer::new_zeroed();
    footer.cookie = Footer::COOKIE;
    footer.features.set(Footer::RESERVED);
    footer.file_format_version.set(Footer::VERSION);
    footer.data_offset.set(if disk_type == 2 { u64::MAX } else { HEADER as u64 });
    footer.creator_application = *b"test";
    footer.creator_host_os = *b"Wi2k";
    footer.original_size.set(SECTORS * SECTOR);
    footer.current_size.set(SECTORS * SECTOR);
    footer.disk_geometry = Geometry::of(SECTORS);
    footer.disk_type.set(disk_type);
    footer.unique_id = *b"a unique id, not";
    footer
}

/// A fixed disk.
pub(crate) fn fixed() -> Vhd {
    let mut vhd = Vhd { bytes: content() };
    vhd.bytes.extend(footer(2).as_bytes());
    vhd.footer(|_| ());
    vhd
}

/// A dynamic disk with two blocks of nine.
pub(crate) fn dynamic() -> Vhd {
    let mut header = DynamicHeader::new_zeroed();
    header.cookie = DynamicHeader::COOKIE;
    header.data_offset.set(u64::MAX);
    header.table_offset.set(TABLE as u64);
    header.header_version.set(DynamicHeader::VERSION);
    header.max_table_entries.set(9);
    header.block_size.set(BLOCK as u32);
    let mut table = vec![0xff; 512];
    table[..4].copy_from_slice(&(FIRST as u32 / 512).to_be_bytes());
    table[8..12].copy_from_slice(&(SECOND as u32 / 512).to_be_bytes());
    let disk = content();
    let bitmap = |bits: u8| {
        let mut bitmap = vec![0; 512];
        bitmap[0] = bits;
        bitmap
    };
    let bytes = [
        footer(3).as_bytes(),
        header.as_bytes(),
        &table,
        &bitmap(0xff),
        &disk[..BLOCK],
        &bitmap(0b0010_0000),
        &disk[2 * BLOCK..3 * BLOCK],
        footer(3).as_bytes(),
    ]
    .concat();
    let mut vhd = Vhd { bytes };
    vhd.footer(|_| ());
    vhd.header(|_| ());
    vhd
}

/// A disk that is edited; its checksums are made again.
#[derive(Clone)]
pub(crate) struct Vhd {
    pub(crate) bytes: Vec<u8>,
}

impl Vhd {
    pub(crate) fn end(&self) -> usize {
        self.bytes.len() - 512
    }

    /// Edits the footer, and its copy where there is one.
    pub(crate) fn footer(&mut self, edit: impl Fn(&mut Footer)) {
        self.footer_at(self.end(), &edit);
        if self.bytes.starts_with(&Footer::COOKIE) {
            self.footer_at(0, &edit);
        }
    }

    pub(crate) fn footer_at(&mut self, at: usize, edit: impl Fn(&mut Footer)) {
        let footer = Footer::mut_from_bytes(&mut self.bytes[at..at + 512]).unwrap();
        edit(footer);
        footer.checksum.set(footer.computed_checksum());
    }

    pub(crate) fn header(&mut self, edit: impl Fn(&mut DynamicHeader)) {
        let bytes = &mut self.bytes[HEADER..HEADER + 1024];
        let header = DynamicHeader::mut_from_bytes(bytes).unwrap();
        edit(header);
        header.checksum.set(header.computed_checksum());
    }

    /// Edits an entry of the block allocation table.
    pub(crate) fn entry(&mut self, block: usize, byte: usize) {
        let sector = u32::try_from(byte / 512).unwrap();
        self.bytes[TABLE + 4 * block..][..4].copy_from_slice(&sector.to_be_bytes());
    }
}
