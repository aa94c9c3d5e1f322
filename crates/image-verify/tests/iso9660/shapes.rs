//! What the standard has and no tool writes: small discs that are made by hand.

use std::fs;

use image_verify::volume::Volume;

use super::{hostile::record, image::*, judge_bytes};

/// Sectors of path tables, root directory and contents.
const TABLES: [usize; 4] = [18, 19, 20, 21];
const ROOT: usize = 22;
const CONTENTS: usize = 24;

/// A disc with these records in its root directory of two sectors, and these contents from sector
/// [`CONTENTS`] on.
fn disc(block: usize, records: &[Vec<u8>], contents: &[u8]) -> Vec<u8> {
    let sectors = CONTENTS + contents.len().div_ceil(2048);
    let mut edit = Edit::new(&vec![0; sectors * 2048]);
    let per_sector = 2048 / block;
    edit.put(PVD, b"\x01CD001\x01");
    edit.put(PVD + 8, &[b' '; 64]);
    edit.put(PVD + 40, b"SHAPES");
    edit.both(PVD + 80, 4, (sectors * per_sector) as u32);
    edit.both(PVD + 120, 2, 1);
    edit.both(PVD + 124, 2, 1);
    edit.both(PVD + 128, 2, block as u32);
    edit.both(PVD + 132, 4, 10);
    let root = (ROOT * per_sector) as u32;
    for (index, sector) in TABLES.into_iter().enumerate() {
        let at = (sector * per_sector) as u32;
        // Two little-endian ones, then two big-endian ones.
        let little = index < 2;
        let bytes = |number: u32| if little { number.to_le_bytes() } else { number.to_be_bytes() };
        edit.put(PVD + 140 + index * 4, &bytes(at));
        edit.put(sector * 2048, &[1, 0]);
        edit.put(sector * 2048 + 2, &bytes(root));
        edit.put(sector * 2048 + 6, if little { &[1, 0] } else { &[0, 1] });
    }
    edit.put(PVD + 156, &record(&[0], root, 4096, 2));
    for date in 0..4 {
        edit.put(PVD + 813 + date * 17, b"2000010112345600");
    }
    edit.put(PVD + 881, &[1]);
    edit.put(PVD + 2048, b"\xffCD001\x01");
    let mut at = ROOT * 2048;
    let dots = [record(&[0], root, 4096, 2), record(&[1], root, 4096, 2)];
    for record in dots.iter().chain(records) {
        if at / 2048 != (at + record.len() - 1) / 2048 {
            at = at.next_multiple_of(2048);
        }
        edit.put(at, record);
        at += record.len();
    }
    edit.put(CONTENTS * 2048, contents);
    edit.bytes
}

/// The volume of a disc that nothing is wrong with.
fn silent(bytes: &[u8]) -> Volume {
    let (recorded, volume) = judge_bytes(bytes);
    assert_eq!(recorded.findings, []);
    volume.unwrap()
}

fn content(volume: &Volume, name: &str) -> Vec<u8> {
    volume.content(volume.find_file(name.as_bytes()).unwrap(), 1 << 20).unwrap()
}

/// Where the content of a file lies in one piece.
fn region(volume: &Volume, name: &str) -> Option<(u64, u64)> {
    let region = volume.region(volume.find_file(name.as_bytes()).unwrap())?;
    Some((region.start().0, region.len()))
}

/// The content of a file, as bsdtar reads it.
fn bsdtar(bytes: &[u8], name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disc.iso");
    fs::write(&image, bytes).unwrap();
    succeed("libarchive-tools", &["bsdtar", "-xOf", image.to_str().unwrap(), name])
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 2048 * 50 + at % 50) as u8).collect()
}

const START: u32 = CONTENTS as u32;

#[test]
fn a_file_of_several_extents() {
    let contents = bytes(5 * 2048);
    let extent = |block, len, flags| record(b"BIG.BIN;1", START + block, len, flags);
    let other = record(b"A.BIN;1", START + 4, 5, 0);

    // One after the other: it can be read as if it were one.
    let row = [other.clone(), extent(0, 4096, 0x80), extent(2, 2048, 0x80), extent(3, 100, 0)];
    let image = disc(2048, &row, &contents);
    let volume = silent(&image);
    assert_eq!(content(&volume, "BIG.BIN"), contents[..6244]);
    assert_eq!(region(&volume, "BIG.BIN"), Some((24 * 2048, 6244)));
    assert_eq!(content(&volume, "A.BIN"), contents[4 * 2048..4 * 2048 + 5]);
    assert_eq!(bsdtar(&image, "BIG.BIN"), contents[..6244]);

    // Here and there. bsdtar reads no other order.
    let apart = [other, extent(0, 2048, 0x80), extent(2, 2048, 0x80), extent(3, 100, 0)];
    let image = disc(2048, &apart, &contents);
    let volume = silent(&image);
    let want = [&contents[..2048], &contents[2 * 2048..3 * 2048 + 100]].concat();
    assert_eq!(content(&volume, "BIG.BIN"), want);
    assert_eq!(region(&volume, "BIG.BIN"), None);
    assert_eq!(bsdtar(&image, "BIG.BIN"), want);
}

/// The records of a file are in two sectors of its directory.
#[test]
fn extents_across_a_sector() {
    let contents = bytes(3 * 2048);
    for before in 40..46 {
        let fillers =
            (0..before).map(|index| record(format!("A{index:02}.;1").as_bytes(), 0, 0, 0));
        let extents = (0..3).map(|block| {
            record(b"BIG.BIN;1", START + block, 2048, if block < 2 { 0x80 } else { 0 })
        });
        let records: Vec<_> = fillers.chain(extents).collect();
        let image = disc(2048, &records, &contents);
        let volume = silent(&image);
        assert_eq!(content(&volume, "BIG.BIN"), contents, "{before}");
        assert_eq!(region(&volume, "BIG.BIN"), Some((24 * 2048, 3 * 2048)), "{before}");
        assert_eq!(volume.tree.len(), before + 2);
    }
}

/// Blocks of 512 and 1024 bytes: contents start within sectors.
#[test]
fn small_blocks() {
    for block in [512, 1024] {
        let contents = bytes(4096);
        let start = (CONTENTS * 2048 / block) as u32;
        let records = [record(b"A.BIN;1", start + 1, 700, 0), record(b"B.BIN;1", start + 3, 10, 0)];
        let image = disc(block, &records, &contents);
        let volume = silent(&image);
        assert_eq!(content(&volume, "A.BIN"), contents[block..block + 700]);
        assert_eq!(content(&volume, "B.BIN"), contents[3 * block..3 * block + 10]);
        assert_eq!(region(&volume, "A.BIN"), Some(((CONTENTS * 2048 + block) as u64, 700)));
    }
}

/// An extended attribute record comes before the content.
#[test]
fn extended_attributes() {
    let contents = bytes(2 * 2048);
    let mut file = record(b"A.BIN;1", START, 100, 0);
    file[1] = 1;
    let volume = silent(&disc(2048, &[file], &contents));
    assert_eq!(content(&volume, "A.BIN"), contents[2048..2148]);
    assert_eq!(region(&volume, "A.BIN"), Some((25 * 2048, 100)));
}

/// Of a file and what is associated with it, Linux shows the file.
#[test]
fn associated_files() {
    let contents = bytes(2 * 2048);
    let records = [record(b"A.BIN;1", START, 100, 4), record(b"A.BIN;1", START + 1, 50, 0)];
    let volume = silent(&disc(2048, &records, &contents));
    assert_eq!(content(&volume, "A.BIN"), contents[2048..2098]);
}

/// Files that share all of their content are hard links, and no overlap.
#[test]
fn hard_links() {
    let contents = bytes(2 * 2048);
    let records = ["A.;1", "B.;1", "C.;1"].map(|name| record(name.as_bytes(), START, 3000, 0));
    let volume = silent(&disc(2048, &records, &contents));
    for name in ["A", "B", "C"] {
        assert_eq!(content(&volume, name), contents[..3000]);
    }
}
