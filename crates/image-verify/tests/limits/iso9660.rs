//! Discs that try to cost more than they may.

use std::sync::Arc;

use image_formats::bytes::{ReadAt, Region};
use image_model::VerificationReport;
use image_verify::{Recorder, disc, iso9660};

use crate::{
    LESS, alone, finds, limited,
    made::{Made, SECTOR},
};

/// Memory that a disc may take.
const MEMORY: usize = 256 << 20;

/// The sector that the root directory starts at, where nothing else is said.
const ROOT: u64 = 20;

fn both(number: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// A directory record.
fn record(name: &[u8], extent: u32, len: u32, directory: bool, more: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 33];
    bytes[2..10].copy_from_slice(&both(extent));
    bytes[10..18].copy_from_slice(&both(len));
    bytes[18..25].copy_from_slice(&[100, 1, 1, 0, 0, 0, 0]);
    bytes[25] = u8::from(directory) * 2;
    bytes[28..32].copy_from_slice(&[1, 0, 0, 1]);
    bytes[32] = name.len() as u8;
    bytes.extend(name);
    if name.len().is_multiple_of(2) {
        bytes.push(0);
    }
    bytes.extend(more);
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes[0] = bytes.len() as u8;
    bytes
}

/// Fills a sector of a directory; records that do not fit are left out.
fn fill(sector: &mut [u8], records: &[Vec<u8>]) {
    let mut at = 0;
    for record in records {
        let Some(room) = sector.get_mut(at..at + record.len()) else { return };
        room.copy_from_slice(record);
        at += record.len();
    }
}

/// The first two records of a directory.
fn dots(own: u32, own_len: u32, parent: u32, parent_len: u32) -> Vec<Vec<u8>> {
    vec![record(&[0], own, own_len, true, &[]), record(&[1], parent, parent_len, true, &[])]
}

/// A disc with a root directory of this many bytes, whose sectors from [`ROOT`] on follow `rule`.
fn iso(root_len: u32, rule: impl Fn(u64, &mut [u8]) + Send + Sync + 'static) -> Made {
    let blocks = u32::MAX;
    let mut primary = vec![0; SECTOR];
    primary[..7].copy_from_slice(b"\x01CD001\x01");
    primary[8..72].fill(b' ');
    primary[40..44].copy_from_slice(b"DISC");
    primary[80..88].copy_from_slice(&both(blocks));
    for at in [120, 124] {
        primary[at..at + 4].copy_from_slice(&[1, 0, 0, 1]);
    }
    primary[128..132].copy_from_slice(&[0, 8, 8, 0]);
    primary[132..140].copy_from_slice(&both(10));
    primary[140..144].copy_from_slice(&18_u32.to_le_bytes());
    primary[148..152].copy_from_slice(&19_u32.to_be_bytes());
    primary[156..190].copy_from_slice(&record(&[0], ROOT as u32, root_len, true, &[]));
    primary[190..813].fill(b' ');
    for at in [813, 830, 847, 864] {
        primary[at..at + 16].fill(b'0');
    }
    primary[881] = 1;
    let mut terminator = vec![0; SECTOR];
    terminator[..7].copy_from_slice(b"\xffCD001\x01");
    let mut table = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    (table[2], table[6]) = (ROOT as u8, 1);
    let mut big = table;
    big[2..8].copy_from_slice(&[0, 0, 0, ROOT as u8, 0, 1]);
    let mut made = Made::new(u64::from(blocks) * SECTOR as u64);
    made.pieces = [(16, primary), (17, terminator), (18, table.to_vec()), (19, big.to_vec())]
        .map(|(sector, bytes)| (sector * SECTOR as u64, bytes))
        .into();
    made.rule = Some((ROOT, Box::new(rule)));
    made
}

/// Judges the file system.
fn judge(made: Made) -> VerificationReport {
    let region = Region::whole(Arc::new(made)).unwrap();
    limited(MEMORY, || iso9660::check(&region).unwrap())
}

/// Judges the disc with all that it boots, which opens the file system.
fn judge_disc(made: Made) {
    let bytes: Arc<dyn ReadAt> = Arc::new(made);
    let region = Region::whole(Arc::clone(&bytes)).unwrap();
    let mut open = false;
    limited(MEMORY, || {
        open = disc::verify(&bytes, &mut Recorder::default()).unwrap().volume.is_some();
        iso9660::check(&region).unwrap()
    });
    assert!(open);
}

/// A chain of directories, each in the one before it.
#[test]
fn deep_directories() {
    let _alone = alone();
    let count = 100_000 / LESS;
    let len = SECTOR as u32;
    let report = judge(iso(len, move |number, sector| {
        if number > count {
            return;
        }
        let (own, parent) = (ROOT + number, ROOT + number.saturating_sub(1));
        let mut records = dots(own as u32, len, parent as u32, len);
        records.push(record(b"D", own as u32 + 1, len, true, &[]));
        fill(sector, &records);
    }));
    finds(&report, "iso9660-limits");
}

/// Directories that are in each other, or in themselves.
#[test]
fn directories_in_a_ring() {
    let _alone = alone();
    for ring in [1, 2, 1000] {
        let len = SECTOR as u32;
        let report = judge(iso(len, move |number, sector| {
            let at = |number: u64| (ROOT + number % ring) as u32;
            let mut records = dots(at(number), len, at(number + ring - 1), len);
            for name in 0..30_u64 {
                let name = format!("D{name:02}");
                records.push(record(name.as_bytes(), at(number + 1), len, true, &[]));
            }
            fill(sector, &records);
        }));
        finds(&report, "iso9660-directory-shared");
    }
}

/// A directory with a million entries: files without content, files that share their content, and
/// that overlap; directories of their own, and directories that are all the same.
#[test]
fn a_directory_of_a_million() {
    let _alone = alone();
    const PER_SECTOR: u64 = 48;
    let sectors = 1_000_000 / LESS / PER_SECTOR;
    let len = (sectors * SECTOR as u64) as u32;
    let first = ROOT + sectors;
    for kind in 0..6 {
        let made = iso(len, move |number, sector| {
            let mut records = Vec::new();
            if number == 0 {
                records = dots(ROOT as u32, len, ROOT as u32, len);
            } else if number >= sectors {
                records = dots((ROOT + number) as u32, SECTOR as u32, ROOT as u32, len);
            }
            for n in 0..PER_SECTOR {
                let n = number * PER_SECTOR + n;
                let name = format!("{n:07}");
                let (extent, len, directory) = match kind {
                    _ if number >= sectors => break,
                    0 => (0, 0, false),
                    1 => (first, 4096, false),
                    2 => (first + n / 2, 6000, false),
                    3 => (first + n, SECTOR as u32, true),
                    4 => (first, SECTOR as u32, true),
                    // The same name again and again.
                    _ => {
                        records.push(record(b"SAME", 0, 0, false, &[]));
                        continue;
                    }
                };
                records.push(record(name.as_bytes(), extent as u32, len, directory, &[]));
            }
            fill(sector, &records);
        });
        let check = match kind {
            2 => "iso9660-overlap",
            4 => "iso9660-directory-shared",
            5 => "iso9660-duplicate-name",
            _ => {
                judge_disc(made);
                continue;
            }
        };
        finds(&judge(made), check);
    }
}

/// As much as there may be of path tables, and more.
#[test]
fn path_tables_without_end() {
    let _alone = alone();
    for size in [32 << 20, u32::MAX] {
        let mut disc = iso(SECTOR as u32, |number, sector| {
            if number == 0 {
                fill(sector, &dots(ROOT as u32, SECTOR as u32, ROOT as u32, SECTOR as u32));
            } else {
                // Entries of the same directory, of ten bytes, as far as they go.
                for entry in sector.chunks_exact_mut(10) {
                    entry[0] = 1;
                    entry[8] = b'A';
                }
            }
        });
        let primary = &mut disc.pieces[0].1;
        primary[132..140].copy_from_slice(&both(size));
        for at in [140, 144] {
            primary[at..at + 4].copy_from_slice(&21_u32.to_le_bytes());
            primary[at + 8..at + 12].copy_from_slice(&21_u32.to_be_bytes());
        }
        judge(disc);
    }
}

/// A hundred thousand files whose attributes go on, in a circle or in the same large area.
#[test]
fn areas_that_go_on_elsewhere() {
    let _alone = alone();
    const PER_SECTOR: u64 = 20;
    let sectors = 100_000 / LESS / PER_SECTOR;
    let len = (sectors * SECTOR as u64) as u32;
    for area_len in [28, 65536, u32::MAX] {
        let area = (ROOT + sectors) as u32;
        let go_on = move |block: u32| {
            [&b"CE\x1c\x01"[..], &both(block), &both(0), &both(area_len)].concat()
        };
        judge(iso(len, move |number, sector| {
            if number >= sectors {
                // It goes on where it is.
                sector[..28].copy_from_slice(&go_on(area));
                return;
            }
            let mut records = Vec::new();
            if number == 0 {
                let first = [&b"SP\x07\x01\xbe\xef\0"[..], &go_on(area)].concat();
                records = dots(ROOT as u32, len, ROOT as u32, len);
                records[0] = record(&[0], ROOT as u32, len, true, &first);
            }
            for n in 0..PER_SECTOR {
                let name = format!("{:07}", number * PER_SECTOR + n);
                records.push(record(name.as_bytes(), 0, 0, false, &go_on(area)));
            }
            fill(sector, &records);
        }));
    }
}
