//! The broken twins: a good disk with one edit, and the check that fails.

use super::{
    image::*,
    twin::{Twin, twin, with},
};

fn edited(good: &[u8], edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut disk = good.to_vec();
    edit(&mut disk);
    disk
}

/// Where the entries of a master boot record are.
const ENTRY: [usize; 4] = [0x1be, 0x1ce, 0x1de, 0x1ee];

/// The GPT with the same edit in both headers, whose checksums are right.
fn headers(edit: impl Fn(&mut [u8])) -> Vec<u8> {
    edited(&GPT, |disk| {
        let backup = disk.len() - 512;
        edit(&mut disk[512..1024]);
        edit(&mut disk[backup..]);
        seal(disk);
    })
}

/// The GPT with an edit of the header at its end, whose checksums are right.
fn backup_header(edit: impl Fn(&mut [u8])) -> Vec<u8> {
    edited(&GPT, |disk| {
        let backup = disk.len() - 512;
        edit(&mut disk[backup..]);
        seal(disk);
    })
}

/// The GPT with the same edit in both entry arrays; checksums are right.
fn entries(edit: impl Fn(&mut [u8])) -> Vec<u8> {
    edited(&GPT, |disk| {
        let backup = disk.len() - 33 * 512;
        edit(&mut disk[1024..1024 + 16384]);
        edit(&mut disk[backup..backup + 16384]);
        seal(disk);
    })
}

/// The card, with its entries and a third one of this type, place and size.
fn third_entry(kind: u8, first: u32, blocks: u32) -> Vec<u8> {
    edited(&CARD, |disk| put(disk, ENTRY[2], &entry(kind, first, blocks)))
}

fn entry(kind: u8, first: u32, blocks: u32) -> [u8; 16] {
    let mut entry = [0; 16];
    entry[4] = kind;
    entry[8..12].copy_from_slice(&first.to_le_bytes());
    entry[12..].copy_from_slice(&blocks.to_le_bytes());
    entry
}

pub(crate) const TWINS: &[Twin] = &[
    twin("disk-size", || edited(&CARD, |disk| disk.extend(b"cut"))),
    twin("disk-table", || edited(&CARD, |disk| disk[..512].fill(0))),
    twin("disk-one-table", || edited(&CARD, |disk| put(disk, 512, &GPT[512..17408]))),
    twin("disk-stale-gpt", || {
        edited(&CARD, |disk| {
            disk.resize(GPT.len(), 0);
            let tail = disk.len() - 33 * 512;
            put(disk, tail, &GPT[tail..]);
        })
    }),
    twin("disk-no-partitions", || edited(&CARD, |disk| disk[ENTRY[0]..510].fill(0))),
    twin("disk-partition-limit", || {
        edited(&LONG, |disk| {
            // Entry 255 becomes entry 256.
            let backup = disk.len() - 65 * 512;
            for array in [1024, backup] {
                disk.copy_within(array + 254 * 128..array + 255 * 128, array + 255 * 128);
                disk[array + 254 * 128..array + 255 * 128].fill(0);
            }
            seal(disk);
        })
    }),
    twin("disk-partition-inside", || edited(&CARD, |disk| disk.truncate(3 * MIB))),
    twin("disk-partition-overlap", || {
        edited(&CARD, |disk| put(disk, ENTRY[0], &entry(0x0b, 2048, 2049)))
    }),
    twin("disk-partition-over-table", || third_entry(0xda, 0, 1)),
    twin("disk-partition-alignment", || {
        edited(&LOGICAL, |disk| {
            let partition = disk[MIB..2 * MIB - 512].to_vec();
            put(disk, ENTRY[0], &entry(0x0c, 2049, 2047));
            put(disk, MIB + 512, &partition);
        })
    }),
    twin("disk-esp-fat", || edited(&GPT, |disk| disk[MIB..MIB + 512].fill(0))),
    twin("disk-type-content", || edited(&CARD, |disk| disk[ENTRY[0] + 4] = 0x83)),
    twin("mbr-signature", || edited(&GPT, |disk| disk[510] = 0)),
    twin("mbr-boot-indicator", || edited(&CARD, |disk| disk[ENTRY[0]] = 0x01)),
    twin("mbr-active", || edited(&CARD, |disk| disk[ENTRY[0]] = 0x80)),
    twin("mbr-disk-signature", || edited(&CARD, |disk| disk[0x1b8..0x1bc].fill(0))),
    twin("mbr-entry", || third_entry(0, 2048, 2048)),
    twin("mbr-extended-single", || {
        edited(&LOGICAL, |disk| {
            put(disk, ENTRY[2], &entry(0x05, 14336, 2048));
            put(disk, 7 * MIB + 510, b"\x55\xaa");
        })
    }),
    // The second record of the chain.
    twin("mbr-extended-chain", || edited(&LOGICAL, |disk| disk[4 * MIB + 510] = 0)),
    twin("mbr-extended-record", || {
        edited(&LOGICAL, |disk| put(disk, 2 * MIB + ENTRY[2], &entry(0x83, 128, 128)))
    }),
    twin("mbr-logical-inside", || {
        edited(&LOGICAL, |disk| put(disk, 4 * MIB + ENTRY[0], &entry(0x82, 2048, 2049)))
    }),
    twin("gpt-protective-mbr", || edited(&GPT, |disk| disk[ENTRY[0] + 8] = 0)),
    twin("gpt-protective-size", || edited(&GPT, |disk| disk[ENTRY[0] + 12] ^= 1)),
    twin("gpt-hybrid-mbr", || edited(&HYBRID, |disk| disk[ENTRY[1] + 12] ^= 1)),
    twin("gpt-signature", || {
        edited(&GPT, |disk| {
            let backup = disk.len() - 512;
            disk[backup] = b'e';
        })
    }),
    twin("gpt-header-size", || headers(|header| header[12] = 91)),
    twin("gpt-header-crc", || edited(&GPT, |disk| disk[512 + 16] ^= 1)),
    twin("gpt-revision", || headers(|header| header[10] = 2)),
    twin("gpt-reserved", || edited(&GPT, |disk| disk[1023] = 1)),
    twin("gpt-my-lba", || backup_header(|header| header[24] ^= 1)),
    // The card was cut short, behind its last partition.
    with("gpt-alternate-lba", &["gpt-protective-size"], || {
        edited(&GPT, |disk| disk.truncate(6 * MIB - 64 * 512))
    }),
    // The card was grown.
    with("gpt-alternate-last", &["gpt-protective-size"], || {
        edited(&GPT, |disk| disk.resize(8 * MIB, 0))
    }),
    twin("gpt-entry-size", || headers(|header| header[84] = 0x7f)),
    twin("gpt-entry-size-linux", || {
        edited(&GPT, |disk| {
            let backup = disk.len() - 33 * 512;
            for array in [1024, backup] {
                for index in [2, 1] {
                    let from = array + index * 128;
                    disk.copy_within(from..from + 128, array + index * 256);
                    disk[from..from + 128].fill(0);
                }
            }
            let headers = [512, disk.len() - 512];
            for header in headers {
                put(disk, header + 80, &64_u32.to_le_bytes());
                put(disk, header + 84, &256_u32.to_le_bytes());
            }
            seal(disk);
        })
    }),
    twin("gpt-entry-array", || backup_header(|header| header[76] = 1)),
    twin("gpt-entries-crc", || {
        edited(&GPT, |disk| {
            let last = disk.len() - 513;
            disk[last] ^= 1;
        })
    }),
    twin("gpt-usable-range", || headers(|header| header[40] = 33)),
    twin("gpt-copies-agree", || backup_header(|header| header[56] ^= 1)),
    twin("gpt-partition-range", || headers(|header| header[40] = 35)),
    twin("gpt-guids", || entries(|array| array.copy_within(16..32, 128 + 16))),
    twin("gpt-attributes", || entries(|array| array[48] |= 1 << 5)),
    twin("gpt-bootable", || entries(|array| array[48] |= 1 << 2)),
    twin("gpt-name", || entries(|array| array[56..58].copy_from_slice(b"\x00\xd8"))),
];
