//! Bytes that were made to hurt.

use std::{collections::BTreeSet, io::Read as _, sync::OnceLock, time::Instant};

use image_formats::bytes::Region;
use image_model::Outcome;
use image_verify::{
    iso9660,
    tree::{Kind, Tree},
};
use proptest::prelude::*;

use super::{failed, image::*, judge, judge_bytes, limit::LIMIT};

/// Judges bytes, and reads every file of a volume that comes out of it.
fn judge_any(bytes: Vec<u8>) -> BTreeSet<String> {
    let region = Region::from(bytes);
    let (recorded, volume) = judge(&region);
    let checks = iso9660::CHECKS.iter().chain(iso9660::rock_ridge::CHECKS);
    let ids: BTreeSet<_> = checks.map(|check| check.id).collect();
    for finding in &recorded.findings {
        assert!(ids.contains(finding.check.as_ref()), "{}", finding.check);
        assert_eq!(recorded.outcomes[&finding.check], Outcome::Failed);
        assert!(finding.at.offset <= region.len() + 2048, "{finding:?}");
    }
    if let Some(volume) = volume {
        for id in volume.tree.below(Tree::ROOT) {
            if matches!(volume.tree.node(id).kind, Kind::File(_)) {
                let _ = volume.region(id);
                if let Ok(file) = volume.open(id) {
                    let _ = file.take(1 << 20).read_to_end(&mut Vec::new());
                }
            }
        }
    }
    failed(&recorded)
}

fn has(found: &BTreeSet<String>, checks: &[&str]) {
    for check in checks {
        assert!(found.contains(*check), "{check} in {found:?}");
    }
}

#[test]
fn a_directory_that_contains_itself() {
    for path in [&[&b"MANY"[..]][..], &[b"EFI", b"BOOT"], &[b"LEER"]] {
        for image in [nixos(), plain()] {
            let mut edit = Edit::new(image);
            let (at, parent) = (edit.record(path), edit.record(&path[..path.len() - 1]));
            let (extent, len) = (edit.u32(parent + EXTENT.0), edit.u32(parent + LEN.0));
            edit.field(at, EXTENT, extent);
            edit.field(at, LEN, len);
            has(&judge_any(edit.bytes), &["iso9660-directory-shared"]);
        }
    }
}

/// Two directories that have a sector in common, and neither starts where the other one does.
#[test]
fn directories_that_overlap() {
    let mut edit = Edit::new(rock());
    let (many, empty) = (edit.record(&[b"MANY"]), edit.record(&[b"LEER"]));
    let extent = edit.u32(many + EXTENT.0);
    edit.field(empty, EXTENT, extent + 1);
    has(&judge_any(edit.bytes), &["iso9660-directory-shared"]);
    let mut edit = Edit::new(rock());
    let extent = edit.u32(empty + EXTENT.0);
    edit.field(many, EXTENT, extent - 1);
    has(&judge_any(edit.bytes), &["iso9660-directory-shared"]);
}

#[test]
fn numbers_that_are_too_large() {
    let mut edit = Edit::new(nixos());
    edit.both(PVD + 80, 4, u32::MAX);
    has(&judge_any(edit.bytes), &["iso9660-volume-size"]);
    for field in [EXTENT, LEN] {
        for path in [&[][..], &[&b"MANY"[..]], &[b"KERNEL8.IMG;1"]] {
            let mut edit = Edit::new(rock());
            let at = edit.record(path);
            edit.field(at, field, u32::MAX);
            has(&judge_any(edit.bytes), &["iso9660-extent"]);
        }
    }
    for at in [140, 144] {
        let mut edit = Edit::new(nixos());
        edit.put(PVD + at, &u32::MAX.to_le_bytes());
        let check = if at == 140 { "iso9660-path-table" } else { "iso9660-path-table-copy" };
        has(&judge_any(edit.bytes), &[check]);
    }
}

/// A directory of zeros, as large as the image, in every record.
#[test]
fn records_that_are_all_directories() {
    let mut edit = Edit::new(plain());
    let many = edit.record(&[b"MANY"]);
    let blocks = edit.bytes.len() as u32 / 2048;
    for at in edit.records(many).into_iter().skip(2) {
        edit.put(at + 25, &[2]);
        edit.field(at, LEN, blocks / 2 * 2048);
    }
    has(&judge_any(edit.bytes), &["iso9660-directory-shared"]);
}

/// The record of a directory, with its two halves.
pub(crate) fn record(name: &[u8], block: u32, len: u32, flags: u8) -> Vec<u8> {
    let mut record = vec![0; 33];
    record[2..6].copy_from_slice(&block.to_le_bytes());
    record[6..10].copy_from_slice(&block.to_be_bytes());
    record[10..14].copy_from_slice(&len.to_le_bytes());
    record[14..18].copy_from_slice(&len.to_be_bytes());
    record[25] = flags;
    record[28..32].copy_from_slice(&[1, 0, 0, 1]);
    record[32] = name.len() as u8;
    record.extend(name);
    if name.len().is_multiple_of(2) {
        record.push(0);
    }
    record[0] = record.len() as u8;
    record
}

/// Directories that are nested ten thousand deep: bounded, and no path that is told is long.
#[test]
fn a_very_deep_tree() {
    let mut edit = Edit::new(plain());
    let first = edit.bytes.len() as u32 / 2048;
    let at = edit.record(&[b"LEER"]);
    edit.field(at, EXTENT, first);
    for block in first..first + 10_000 {
        let mut sector = [
            record(&[0], block, 2048, 2),
            record(&[1], block - 1, 2048, 2),
            record(b"D", block + 1, 2048, 2),
        ]
        .concat();
        sector.resize(2048, 0);
        edit.bytes.extend(sector);
    }
    let start = Instant::now();
    let (recorded, volume) = judge_bytes(&edit.bytes);
    has(&failed(&recorded), &["iso9660-depth", "iso9660-limits"]);
    assert!(volume.is_none());
    for finding in &recorded.findings {
        assert!(finding.at.path.as_ref().is_none_or(|path| path.len() < 1000), "{finding:?}");
    }
    assert!(start.elapsed() < LIMIT);
}

/// A hundred thousand files in one directory, all of them with the same name and the same content.
#[test]
fn everything_is_wrong_everywhere() {
    let mut edit = Edit::new(plain());
    let first = edit.bytes.len() as u32 / 2048;
    let at = edit.record(&[b"LEER"]);
    let file = record(b"SAME.TXT;1", first, 3000, 0);
    let per_sector = 2048 / file.len();
    let sectors = 100_000 / per_sector as u32;
    edit.field(at, EXTENT, first);
    edit.field(at, LEN, sectors * 2048);
    for _ in 0..sectors {
        let mut sector = file.repeat(per_sector);
        sector.resize(2048, 0);
        edit.bytes.extend(sector);
    }
    let start = Instant::now();
    let (recorded, _) = judge_bytes(&edit.bytes);
    let want =
        ["iso9660-duplicate-name", "iso9660-overlap", "iso9660-self", "iso9660-volume-space"];
    has(&failed(&recorded), &want);
    assert!(recorded.findings.len() < 200);
    assert!(start.elapsed() < LIMIT);
}

/// Thousands of supplementary descriptors, all with trees of their own.
#[test]
fn descriptors_without_end() {
    let mut edit = Edit::new(nixos());
    let joliet = edit.descriptor(2);
    let descriptor = edit.bytes[joliet..joliet + 2048].to_vec();
    edit.bytes.resize(PVD + 2048 * 5000, 0);
    for index in 0..4000_usize {
        let at = joliet + index * 2048;
        edit.put(at, &descriptor);
        edit.both(at + 158, 4, 5000 - index as u32);
    }
    has(&judge_any(edit.bytes), &["iso9660-limits"]);
}

/// A cut in the metadata is an error, never a panic.
#[test]
fn cuts() {
    for len in [0, 1, 2047, 32768, 32769, 34816, 36864, 38912, 40960, 50_000, 100_000] {
        for image in [nixos(), rock(), plain()] {
            let (recorded, _) = judge_bytes(&image[..len]);
            assert!(recorded.totals.errors > 0);
        }
    }
}

/// The bytes of an image that are no content of files: descriptors, path tables and directories.
pub(crate) fn metadata(image: &[u8]) -> Vec<usize> {
    let edit = Edit::new(image);
    let mut end = 0;
    let mut first = usize::MAX;
    for descriptor in [1, 2].map(|kind| edit.descriptor(kind)) {
        let mut pending = vec![descriptor + 156];
        while let Some(at) = pending.pop() {
            let content = edit.content(at);
            first = first.min(content);
            end = end.max(content + edit.u32(at + LEN.0) as usize);
            let records = edit.records(at).into_iter().skip(2);
            pending.extend(records.filter(|at| edit.bytes[at + 25] & 2 != 0));
        }
    }
    // Not what is empty.
    let descriptors = PVD..PVD + 2048 * 3;
    descriptors.chain(first..end).filter(|at| edit.bytes[*at] != 0).collect()
}

/// An image with Rock Ridge and Joliet, and where its metadata is.
fn image() -> &'static (Vec<u8>, Vec<usize>) {
    static IMAGE: OnceLock<(Vec<u8>, Vec<usize>)> = OnceLock::new();
    IMAGE.get_or_init(|| (nixos().to_vec(), metadata(nixos())))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..8000)) {
        let mut image = vec![0; PVD];
        image.extend(b"\x01CD001\x01");
        image.extend(bytes);
        judge_any(image);
    }

    #[test]
    fn random_descriptors_do_not_panic(
        edits in prop::collection::vec((0_usize..200, any::<u8>()), 0..6),
    ) {
        let mut bytes = plain().to_vec();
        for (at, value) in edits {
            bytes[PVD + at] = value;
        }
        judge_any(bytes);
    }

    #[test]
    fn random_metadata_does_not_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let (image, metadata) = image();
        let mut bytes = image.to_vec();
        for (at, value) in edits {
            bytes[*at.get(metadata)] = value;
        }
        let start = Instant::now();
        judge_any(bytes);
        prop_assert!(start.elapsed() < LIMIT);
    }
}
