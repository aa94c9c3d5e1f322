//! A broken twin for every check: a good disk with one edit.

use super::image::{BLOCK, FIRST, HEADER, SECOND, Vhd, dynamic, fixed};

/// A check, and a disk that fails it.
pub(crate) struct Twin {
    pub(crate) check: &'static str,
    /// Checks that cannot but fail with it.
    pub(crate) also: &'static [&'static str],
    disk: fn() -> Vhd,
    edit: fn(&mut Vhd),
}

impl Twin {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut disk = (self.disk)();
        (self.edit)(&mut disk);
        disk.bytes
    }
}

const fn twin(check: &'static str, edit: fn(&mut Vhd)) -> Twin {
    Twin { check, also: &[], disk: dynamic, edit }
}

const fn with(check: &'static str, also: &'static [&'static str], edit: fn(&mut Vhd)) -> Twin {
    Twin { check, also, disk: dynamic, edit }
}

pub(crate) const TWINS: &[Twin] = &[
    twin("vhd-footer", |d| d.bytes.truncate(d.end())),
    with("vhd-footer-checksum", &["vhd-footer-copy"], |d| {
        let end = d.end();
        d.bytes[end + 200] = 1;
    }),
    twin("vhd-footer-copy", |d| d.bytes[68] ^= 1),
    twin("vhd-version", |d| d.footer(|f| f.file_format_version.set(0x0002_0000))),
    twin("vhd-features", |d| d.footer(|f| f.features.set(3))),
    twin("vhd-saved-state", |d| d.footer(|f| f.saved_state = 1)),
    twin("vhd-disk-type", |d| d.footer(|f| f.disk_type.set(5))),
    twin("vhd-parent", |d| d.footer(|f| f.disk_type.set(4))),
    twin("vhd-size", |d| d.footer(|f| f.current_size.set(f.current_size.get() + 1))),
    twin("vhd-geometry", |d| d.footer(|f| f.disk_geometry.heads = 5)),
    twin("vhd-two-sizes", |d| {
        d.footer(|f| {
            f.creator_application = *b"qemu";
            f.current_size.set(f.current_size.get() + 512);
        });
    }),
    Twin {
        check: "vhd-fixed-length",
        also: &[],
        disk: fixed,
        edit: |d| {
            d.bytes.drain(512..1024);
        },
    },
    twin("vhd-dynamic-header", |d| d.bytes[HEADER] = b'C'),
    twin("vhd-dynamic-checksum", |d| d.bytes[HEADER + 100] = 1),
    twin("vhd-block-size", |d| d.header(|h| h.block_size.set(BLOCK as u32 - 512))),
    twin("vhd-table", |d| d.header(|h| h.max_table_entries.set(8))),
    twin("vhd-block-inside", |d| d.entry(8, SECOND + 512)),
    twin("vhd-block-overlap", |d| d.entry(8, FIRST + 512)),
    twin("vhd-sector-bitmap", |d| d.bytes[SECOND] = 0),
    twin("vhd-unused-end", |d| {
        let footer = d.bytes.split_off(d.end());
        d.bytes.resize(d.bytes.len() + (1 << 20) + 512, 0);
        d.bytes.extend(footer);
    }),
    twin("vhd-limits", |d| {
        // The table takes all that comes behind it.
        let footer = d.bytes.split_off(d.end());
        d.bytes.resize(HEADER + 1024 + (4 << 24) + 4096, 0xff);
        d.bytes.extend(footer);
        d.header(|h| h.max_table_entries.set((1 << 24) + 1));
    }),
];
