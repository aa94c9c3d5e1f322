//! Bytes that were made to hurt.

use std::{collections::BTreeSet, io::Read as _, sync::OnceLock, time::Instant};

use image_formats::bytes::Region;
use image_model::Outcome;
use image_verify::{
    fat,
    tree::{Kind, Tree},
};
use proptest::prelude::*;

use super::{failed, image::*, judge, judge_bytes, limit::LIMIT};

/// Judges bytes, and reads every file of a volume that comes out of it.
fn judge_any(bytes: Vec<u8>) -> BTreeSet<String> {
    let region = Region::from(bytes);
    let (recorded, volume) = judge(&region);
    let ids: BTreeSet<_> = fat::CHECKS.iter().map(|check| check.id).collect();
    for finding in &recorded.findings {
        assert!(ids.contains(finding.check.as_ref()), "{}", finding.check);
        assert_eq!(recorded.outcomes[&finding.check], Outcome::Failed);
        assert!(finding.at.offset <= region.len() + 512);
    }
    if let Some(volume) = volume {
        for id in volume.tree.below(Tree::ROOT) {
            if matches!(volume.tree.node(id).kind, Kind::File(_))
                && let Ok(mut file) = volume.open(id)
            {
                let _ = file.read_to_end(&mut Vec::new());
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
    let mut edit = Edit::new(fat16());
    let (a, first) = (edit.first(b"A          "), edit.first(b"DEEP       "));
    edit.change(b"DEEP       ", |entry| entry.fst_clus_lo.set(a as u16));
    assert_ne!(a, first);
    has(&judge_any(edit.bytes), &["fat-cross-link"]);

    let mut edit = Edit::new(fat32());
    edit.change(b"A          ", |entry| entry.fst_clus_lo.set(2));
    has(&judge_any(edit.bytes), &["fat-cross-link"]);

    let mut edit = Edit::new(fat32());
    edit.change(b"A          ", |entry| entry.fst_clus_lo.set(0));
    has(&judge_any(edit.bytes), &["fat-first-cluster"]);
}

/// Every cluster leads to the next one, and the last one to the first.
#[test]
fn one_large_cycle() {
    for image in [fat12(), fat16(), fat32()] {
        let mut edit = Edit::new(image);
        let last = edit.free().next().unwrap();
        for cluster in 2..last {
            edit.set(cluster, cluster + 1);
        }
        edit.set(last, 2);
        let found = judge_any(edit.bytes);
        has(&found, &["fat-cycle"]);
    }
}

#[test]
fn a_root_directory_that_is_a_cycle() {
    let mut edit = Edit::new(fat32());
    edit.set(2, 2);
    has(&judge_any(edit.bytes), &["fat-cycle"]);
}

#[test]
fn numbers_that_are_too_large() {
    let mut edit = Edit::new(fat32());
    edit.boot(32, &u32::MAX.to_le_bytes());
    has(&judge_any(edit.bytes), &["fat-size"]);

    let mut edit = Edit::new(fat32());
    edit.boot(36, &u32::MAX.to_le_bytes());
    has(&judge_any(edit.bytes), &["fat-data"]);

    let mut edit = Edit::new(fat32());
    edit.boot(44, &u32::MAX.to_le_bytes());
    has(&judge_any(edit.bytes), &["fat-root-cluster"]);

    let mut edit = Edit::new(fat32());
    edit.boot(48, &0x1234_u16.to_le_bytes());
    has(&judge_any(edit.bytes), &["fat-fsinfo"]);

    let mut edit = Edit::new(fat32());
    edit.boot(50, &0x1234_u16.to_le_bytes());
    has(&judge_any(edit.bytes), &["fat-backup-boot"]);
}

/// Many directories with the same name, and all files in one cluster: a bounded number of findings.
#[test]
fn everything_is_wrong_everywhere() {
    let mut edit = Edit::new(fat16());
    let at = edit.entry(b"CONFIG  TXT");
    let entry = edit.bytes[at..at + 32].to_vec();
    let start = edit.entry(b"FIRMWARE   ");
    for slot in 0..512 {
        edit.put(start + slot * 32, &entry);
    }
    let (recorded, _) = judge_bytes(&edit.bytes);
    has(&failed(&recorded), &["fat-duplicate-name", "fat-cross-link"]);
    assert!(recorded.findings.len() < 64);
    assert!(recorded.omitted["fat-duplicate-name"] > 400);
}

/// Directories that are nested ten thousand deep: all are judged, and no path that is told is long.
#[test]
fn a_very_deep_tree() {
    let mut edit = Edit::new(fat32());
    let mut parent = edit.first(b"LEER       ");
    let mut slot = edit.cluster(parent) + 64;
    for cluster in edit.free().take(10_000) {
        edit.set(cluster, edit.end());
        edit.put(slot, &entry(b"DOWN       ", 0x10, cluster));
        let at = edit.cluster(cluster);
        edit.put(at, &entry(b".          ", 0x10, cluster));
        edit.put(at + 32, &entry(b"..         ", 0x10, parent));
        (parent, slot) = (cluster, at + 64);
    }
    edit.put(slot, &entry(b"BAD*       ", 0x20, 1));
    let start = Instant::now();
    let (recorded, volume) = judge_bytes(&edit.bytes);
    let want = ["fat-depth", "fat-first-cluster", "fat-free-count", "fat-short-name"];
    assert_eq!(failed(&recorded), want.map(str::to_owned).into());
    assert!(volume.is_none());
    for finding in &recorded.findings {
        assert!(finding.at.path.as_ref().is_none_or(|path| path.len() < 1000), "{finding:?}");
    }
    assert!(start.elapsed() < LIMIT);
}

/// Every file but one leads into the chain of that one, from its end to its start: no cluster is
/// looked at again and again.
#[test]
fn files_that_all_end_in_another() {
    let mut edit = Edit::new(fat32());
    let free: Vec<u32> = edit.free().collect();
    let (long, rest) = free.split_at(30_000);
    for pair in long.windows(2) {
        edit.set(pair[0], pair[1]);
    }
    edit.set(long[29_999], edit.end());
    // A directory of 600 clusters, each with 14 files and more, of one cluster each.
    let (directory, tails) = rest.split_at(600);
    let first = edit.first(b"LEER       ");
    edit.set(first, directory[0]);
    for pair in directory.windows(2) {
        edit.set(pair[0], pair[1]);
    }
    edit.set(directory[599], edit.end());
    let start = edit.cluster(first) + 64;
    edit.put(start, &entry(b"LONG       ", 0x20, long[0]));
    for (index, tail) in tails.iter().take(600 * 16).enumerate() {
        let name = format!("{index:011}").into_bytes().try_into().unwrap();
        let at = edit.cluster(directory[index / 16]) + index % 16 * 32;
        edit.put(at, &entry(&name, 0x20, *tail));
        edit.set(*tail, long[29_999 - index]);
    }
    let start = Instant::now();
    let (recorded, volume) = judge_bytes(&edit.bytes);
    has(&failed(&recorded), &["fat-cross-link", "fat-file-size"]);
    assert_eq!(recorded.omitted["fat-cross-link"], 600 * 16 - 16);
    assert!(volume.is_none());
    assert!(start.elapsed() < LIMIT);
}

/// A cut in the metadata is an error, never a panic.
#[test]
fn cuts() {
    for len in [0, 1, 511, 512, 513, 4096, 65536, 79872, 100_000] {
        for image in [fat12(), fat16(), fat32()] {
            let (recorded, volume) = judge_bytes(&image[..len]);
            assert!(recorded.totals.errors > 0 && volume.is_none());
        }
    }
}

/// The bytes of an image that are no content of files: boot sector, FATs as far as they are used,
/// and directories.
pub(crate) fn metadata(image: &[u8]) -> Vec<usize> {
    let edit = Edit::new(image);
    let names = [b"FIRMWARE   ", b"OVERLAYS   ", b"DEEP       ", b"BOOT       "];
    let slots = names.iter().flat_map(|name| {
        let root = **name == *b"FIRMWARE   ";
        let at = if root { edit.entry(name) } else { edit.cluster(edit.first(name)) };
        at..at + 1024
    });
    let fats = [0, 1].into_iter().flat_map(|copy| edit.table(copy)..edit.table(copy) + 600);
    (0..1024).chain(slots).chain(fats).collect()
}

/// The images, and where their metadata is.
fn images() -> &'static [(&'static [u8], Vec<usize>); 3] {
    static IMAGES: OnceLock<[(&[u8], Vec<usize>); 3]> = OnceLock::new();
    IMAGES.get_or_init(|| [fat12(), fat16(), fat32()].map(|image| (image, metadata(image))))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        judge_any(bytes);
    }

    /// Boot sectors that are nearly right, before few bytes.
    #[test]
    fn random_boot_sectors_do_not_panic(
        edits in prop::collection::vec((11_usize..64, any::<u8>()), 0..6),
        from in 0_usize..3,
    ) {
        let mut bytes = [fat12(), fat16(), fat32()][from][..200_000].to_vec();
        for (at, value) in edits {
            bytes[at] = value;
        }
        judge_any(bytes);
    }

    #[test]
    fn random_metadata_does_not_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        large in 0_usize..10,
    ) {
        // Most on the floppy, which is the fastest.
        let (image, metadata) = &images()[match large { 0 => 2, 1 | 2 => 1, _ => 0 }];
        let mut bytes = image.to_vec();
        for (at, value) in edits {
            bytes[*at.get(metadata)] = value;
        }
        let start = Instant::now();
        judge_any(bytes);
        prop_assert!(start.elapsed() < LIMIT);
    }
}

/// `..` with a long name before it: who reads the files must not take it for a directory of that
/// name, whose chain nobody judged.
#[test]
fn a_long_name_makes_no_file_of_dots() {
    for loops in [false, true] {
        let mut edit = Edit::new(fat16());
        let start = edit.cluster(edit.first(b"A          "));
        let lost = edit.free().next().unwrap();
        let to = if loops { lost } else { 0xffff };
        edit.set(lost, lost);
        let name = *b"..         ";
        let mut piece = vec![0xff; 32];
        piece[0] = 0x41;
        piece[1..5].copy_from_slice(b"e\0v\0");
        piece[5..7].fill(0);
        piece[11..14].copy_from_slice(&[0x0f, 0, image_formats::fat::short_checksum(&name)]);
        piece[26..28].fill(0);
        edit.put(start, &piece);
        edit.put(start + 32, &entry(&name, 0x10, to));
        has(&judge_any(edit.bytes), &["fat-dot-entries"]);
    }
}
