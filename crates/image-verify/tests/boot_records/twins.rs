//! A broken twin for each check: a good disc with one edit that makes it fail.

use super::{
    image::*,
    twin::{Twin, twin, with},
};

fn edited(good: &[u8], edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut disc = good.to_vec();
    edit(&mut disc);
    disc
}

/// An edit of one record of the catalog.
fn record(good: &[u8], index: usize, edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    edited(good, |disc| {
        let at = catalog(disc) + index * 32;
        edit(&mut disc[at..at + 32]);
    })
}

/// An edit of the validation entry, whose checksum is right.
fn validation(edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut disc = record(&BIOS_ONLY, 0, edit);
    seal_catalog(&mut disc);
    disc
}

/// An edit of the image for a BIOS.
fn isolinux(good: &[u8], edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    edited(good, |disc| {
        let at = image(disc, 1);
        edit(&mut disc[at..]);
    })
}

/// Where the partition records are.
const ENTRY: [usize; 4] = [0x1be, 0x1ce, 0x1de, 0x1ee];

/// The same edit of both entry arrays of the GPT, whose checksums are right.
fn gpt(edit: impl Fn(&mut [u8])) -> Vec<u8> {
    edited(&ALL, |disc| {
        for header in [512, number(disc, 512 + 32) * 512] {
            let array = number(disc, header + 72) * 512;
            edit(&mut disc[array..array + 1024]);
        }
        seal_gpt(disc);
    })
}

/// An edit of a number of 32 bits.
fn add(bytes: &mut [u8], at: usize, more: u32) {
    let sum = (number(bytes, at) as u32).wrapping_add(more);
    put(bytes, at, &sum.to_le_bytes());
}

/// The catalog moves behind the end of a disc that has one entry, and gets a section with this many
/// others.
fn many(count: u16) -> Vec<u8> {
    edited(&EFI_ONLY, |disc| {
        let old = catalog(disc);
        let new = disc.len();
        let (validation, entry) = (disc[old..old + 32].to_vec(), disc[old + 32..old + 64].to_vec());
        let mut header = [0; 32];
        header[..2].copy_from_slice(&[0x91, 0xef]);
        header[2..4].copy_from_slice(&count.to_le_bytes());
        let entries = entry.repeat(usize::from(count));
        disc.extend([validation, entry, header.to_vec(), entries].concat());
        disc.resize(disc.len().next_multiple_of(SECTOR), 0);
        put(disc, RECORD + 0x47, &((new / SECTOR) as u32).to_le_bytes());
    })
}

pub(crate) const TWINS: &[Twin] = &[
    twin("el-torito-boot-record-place", || {
        edited(&BIOS_ONLY, |disc| {
            // It and the descriptor of Joliet change places.
            let (first, second) = disc[RECORD..RECORD + 2 * SECTOR].split_at_mut(SECTOR);
            first.swap_with_slice(second);
        })
    }),
    twin("el-torito-boot-record", || edited(&BIOS_ONLY, |disc| disc[RECORD + 6] = 2)),
    twin("el-torito-system-id", || edited(&BIOS_ONLY, |disc| disc[RECORD + 7] = b'e')),
    twin("el-torito-boot-record-unused", || edited(&BIOS_ONLY, |disc| disc[RECORD + 200] = 1)),
    twin("el-torito-catalog-place", || {
        edited(&BIOS_ONLY, |disc| put(disc, RECORD + 0x47, &[0xff; 3]))
    }),
    twin("el-torito-validation-header", || validation(|entry| entry[0] = 2)),
    twin("el-torito-key", || validation(|entry| entry[30..].copy_from_slice(&[0xaa, 0x55]))),
    twin("el-torito-checksum", || record(&BIOS_ONLY, 0, |entry| entry[4] = b'n')),
    twin("el-torito-platform", || record(&ALL, 2, |header| header[1] = 0xee)),
    with("el-torito-section-header", &["el-torito-catalog-end"], || {
        record(&ALL, 2, |header| header[0] = 0x92)
    }),
    twin("el-torito-section-last", || record(&ALL, 2, |header| header[0] = 0x90)),
    twin("el-torito-section-count", || record(&ALL, 2, |header| header[2] = 2)),
    twin("el-torito-extension", || record(&ALL, 3, |entry| entry[1] = 1 << 5)),
    twin("el-torito-catalog-size", || many(62)),
    twin("el-torito-catalog-end", || record(&ALL, 40, |nothing| nothing[0] = 1)),
    twin("el-torito-boot-indicator", || record(&BIOS_ONLY, 1, |entry| entry[0] = 0x89)),
    twin("el-torito-bootable", || record(&BIOS_ONLY, 1, |entry| entry[0] = 0)),
    twin("el-torito-media-type", || record(&ALL, 3, |entry| entry[1] = 5)),
    twin("el-torito-efi-emulation", || record(&ALL, 3, |entry| entry[1] = 2)),
    twin("el-torito-entry-unused", || record(&BIOS_ONLY, 1, |entry| entry[5] = 1)),
    with("el-torito-image-place", &["el-torito-image-length"], || {
        record(&EFI_ONLY, 1, |entry| entry[6..8].fill(0xff))
    }),
    twin("el-torito-image-zero", || isolinux(&BIOS_ONLY, |image| image[..SECTOR].fill(0))),
    twin("el-torito-image-file", || record(&BIOS_ONLY, 1, |entry| add(entry, 8, 1))),
    twin("el-torito-image-hidden", || APPENDED_ALL.clone()),
    twin("el-torito-image-length", || record(&EFI_ONLY, 1, |entry| entry[6] += 4)),
    with("el-torito-sector-count", &["el-torito-sector-count-usual"], || {
        record(&BIOS_ONLY, 1, |entry| entry[6] = 0)
    }),
    with("el-torito-sector-count-few", &["el-torito-sector-count-usual"], || {
        record(&BIOS_ONLY, 1, |entry| entry[6] = 3)
    }),
    twin("el-torito-sector-count-usual", || record(&BIOS_ONLY, 1, |entry| entry[6] = 8)),
    twin("el-torito-load-segment", || record(&BIOS_ONLY, 1, |entry| entry[3] = 0x10)),
    twin("el-torito-floppy", || record(&FLOPPY, 1, |entry| entry[1] = 1)),
    twin("el-torito-hard-disk", || record(&HARD_DISK, 1, |entry| entry[4] = 7)),
    twin("el-torito-loader-start", || isolinux(&BIOS_ONLY, |image| image[2] ^= 1)),
    twin("el-torito-info-table", || isolinux(&BIOS_ONLY, |image| image[8..24].fill(0))),
    twin("el-torito-info-pvd", || isolinux(&BIOS_ONLY, |image| image[8] = 17)),
    twin("el-torito-info-file", || isolinux(&BIOS_ONLY, |image| image[12] ^= 1)),
    twin("el-torito-info-length", || isolinux(&BIOS_ONLY, |image| image[16] += 4)),
    twin("el-torito-info-checksum", || isolinux(&BIOS_ONLY, |image| image[30_000] ^= 1)),
    twin("el-torito-info-reserved", || isolinux(&BIOS_ONLY, |image| image[24] = 1)),
    twin("el-torito-efi-fat", || {
        edited(&EFI_ONLY, |disc| {
            let at = image(disc, 1);
            disc[at..at + 512].fill(0);
        })
    }),
    twin("el-torito-efi-size", || {
        record(&EFI_ONLY, 1, |entry| entry[6..8].copy_from_slice(&[8, 0]))
    }),
    twin("isohybrid-signature", || edited(&ALL, |disc| disc[510] = 0)),
    twin("isohybrid-boot-indicator", || edited(&ALL, |disc| disc[ENTRY[1]] = 1)),
    twin("isohybrid-boot-code", || edited(&ALL, |disc| disc[..440].fill(0))),
    twin("isohybrid-code-damaged", || edited(&ALL, |disc| disc[100] ^= 1)),
    twin("isohybrid-code-known", || edited(&ALL, |disc| disc[..432].fill(0x90))),
    twin("isohybrid-boot-address", || edited(&ALL, |disc| disc[432] ^= 4)),
    twin("isohybrid-isolinux", || {
        edited(&ALL, |disc| {
            let at = image(disc, 1);
            disc[at + 64] ^= 1;
            seal_info(disc, at);
        })
    }),
    twin("isohybrid-grub-block", || {
        edited(&GRUB_ALL, |disc| {
            let at = image(disc, 1);
            disc[at + 2548] ^= 1;
            seal_info(disc, at);
        })
    }),
    twin("isohybrid-active", || edited(&ALL, |disc| disc[ENTRY[1]] = 0x80)),
    twin("isohybrid-protective", || edited(&GRUB_ALL, |disc| disc[ENTRY[0]] = 0x80)),
    twin("isohybrid-unused", || edited(&ALL, |disc| disc[ENTRY[2] + 4] = 0x83)),
    twin("isohybrid-type", || edited(&BIOS_USB, |disc| disc[ENTRY[0] + 4] = 0x77)),
    with("isohybrid-cover", &["isohybrid-end"], || {
        edited(&BIOS_USB, |disc| put(disc, ENTRY[0] + 12, &[8, 0, 0, 0]))
    }),
    twin("isohybrid-end", || edited(&BIOS_USB, |disc| add(disc, ENTRY[0] + 12, 1))),
    with("isohybrid-efi-partition", &["isohybrid-efi-other"], || {
        edited(&ALL, |disc| disc[ENTRY[1] + 11] = 1)
    }),
    twin("isohybrid-efi-size", || edited(&ALL, |disc| add(disc, ENTRY[1] + 12, 4))),
    twin("isohybrid-efi-other", || TWO_EFI.clone()),
    twin("isohybrid-efi-type", || edited(&ALL, |disc| disc[ENTRY[1] + 4] = 0x0c)),
    twin("isohybrid-overlap", || edited(&ALL, |disc| disc[ENTRY[0] + 4] = 0x17)),
    twin("isohybrid-gpt-backup", || {
        edited(&ALL, |disc| {
            let last = disc.len() - 512;
            disc[last] = b'e';
        })
    }),
    twin("isohybrid-gpt-inside", || gpt(|entries| entries[43] = 1)),
    twin("isohybrid-gpt-efi", || gpt(|entries| add(entries, 128 + 32, 4))),
    twin("isohybrid-apm-block-size", || edited(&APM, |disc| disc[2] = 0x10)),
    twin("isohybrid-apm-entry", || edited(&APM, |disc| disc[2 * SECTOR] = b'p')),
    twin("isohybrid-apm-type", || edited(&APM, |disc| disc[2 * SECTOR + 0x30] = b'a')),
    twin("isohybrid-apm-inside", || edited(&APM, |disc| disc[2 * SECTOR + 8] = 1)),
    twin("isohybrid-apm-hfs", || edited(&APM, |disc| disc[2 * SECTOR + 15] ^= 1)),
];
