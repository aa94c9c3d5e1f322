//! Bytes that nobody wrote in good faith: a finding in bounded time, and no panic.

use std::{
    io::Read as _,
    sync::{Arc, OnceLock},
    time::Instant,
};

use image_formats::{
    bytes::Region,
    ext4::{Ino, Inode, ro_compat},
};
use image_verify::{
    Recorded,
    tree::{Kind, Tree},
    volume::Volume,
};
use proptest::prelude::*;

use super::{image::*, limit::LIMIT, twins};

fn good() -> &'static [u8] {
    twins::Base::Usual.bytes()
}

/// The same without checksums: a hostile writer makes them right, and then they are in no way.
fn good_without_sums() -> &'static [u8] {
    static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
    GOOD.get_or_init(|| {
        let disk = OnDisk::new(good());
        ok("e2fsprogs", &["tune2fs", "-O", "^metadata_csum", disk.name()]);
        let output = run("e2fsprogs", &["e2fsck", "-fyD", disk.name()]);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        disk.bytes()
    })
}

/// Reads the start of everything that is said to be readable.
fn read_all(volume: &Volume) {
    for id in volume.tree.below(Tree::ROOT) {
        if matches!(volume.tree.node(id).kind, Kind::File(_))
            && let Ok(file) = volume.open(id)
        {
            let mut bytes = Vec::new();
            let _ = file.take(1 << 16).read_to_end(&mut bytes);
        }
    }
}

fn judge_hostile(bytes: &[u8]) -> Recorded {
    let start = Instant::now();
    let (report, volume) = judge(bytes);
    if let Some(volume) = &volume {
        read_all(volume);
    }
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    report
}

#[test]
fn hostile_numbers_are_findings() {
    type Edit = fn(&mut Image);
    let cases: &[(&str, Edit)] = &[
        ("ext4-descriptor-size", |i| i.edit_superblock(|raw| raw.s_desc_size.set(8))),
        ("ext4-block-size", |i| i.edit_superblock(|raw| raw.s_log_block_size.set(30))),
        ("ext4-block-size", |i| i.edit_superblock(|raw| raw.s_log_block_size.set(u32::MAX))),
        ("ext4-inode-size", |i| i.edit_superblock(|raw| raw.s_inode_size.set(0))),
        ("ext4-inode-size", |i| i.edit_superblock(|raw| raw.s_inode_size.set(65535))),
        ("ext4-group-size", |i| i.edit_superblock(|raw| raw.s_blocks_per_group.set(0))),
        ("ext4-group-size", |i| i.edit_superblock(|raw| raw.s_blocks_per_group.set(1))),
        ("ext4-blocks-count", |i| i.edit_superblock(|raw| raw.s_blocks_count_hi.set(u32::MAX))),
        ("ext4-blocks-count", |i| i.edit_superblock(|raw| raw.s_blocks_count_lo.set(0))),
        ("ext4-first-data-block", |i| {
            i.edit_superblock(|raw| raw.s_first_data_block.set(u32::MAX));
        }),
        ("ext4-extent-header", |i| {
            let ino = i.ino("/boot/kernel");
            i.edit_inode(ino, |raw| raw.i_block[6..8].fill(0xff));
        }),
        ("ext4-directory-parent", |i| {
            let Ino(deep) = i.ino("/deep");
            let child = i.ino("/deep/0/1/2");
            i.edit_directory(child, |block| {
                let at = entry_at(block, "3");
                block[at..at + 4].copy_from_slice(&deep.to_le_bytes());
            });
        }),
        ("ext4-directory-parent", |i| {
            let child = i.ino("/deep/0");
            i.edit_directory(child, |block| {
                let at = entry_at(block, "1");
                block[at..at + 4].copy_from_slice(&2_u32.to_le_bytes());
            });
        }),
        ("ext4-directory-entry", |i| {
            let ino = i.ino("/etc");
            i.edit_directory(ino, |block| {
                let at = entry_at(block, "hostname");
                block[at + 4..at + 6].fill(0);
            });
        }),
        // More entries in a node of the index than a block has: `ext4-view` would panic.
        ("ext4-directory-index", |i| {
            let ino = i.ino("/many");
            i.edit_directory(ino, |block| block[0x22..0x24].fill(0xff));
        }),
    ];
    for good in [good(), good_without_sums()] {
        for (check, edit) in cases {
            let mut image = Image { bytes: good.to_vec() };
            if *check == "ext4-descriptor-size" {
                assert!(image.superblock().desc_size() == 64);
            }
            edit(&mut image);
            let report = judge_hostile(&image.bytes);
            let found = super::failed(&report);
            assert!(found.contains(check), "{check}: {found:?}");
        }
    }
}

/// As many groups as 32 bits count, on a disk that is as large: nothing is read, nothing is kept.
#[test]
fn groups_that_nobody_has_cost_nothing() {
    let mut image = Image { bytes: good().to_vec() };
    image.edit_superblock(|raw| {
        raw.s_blocks_per_group.set(8);
        raw.s_clusters_per_group.set(8);
        raw.s_inodes_per_group.set(16);
        raw.s_blocks_count_hi.set(8);
    });
    let source = twins::Padded { bytes: image.bytes, len: 1 << 50 };
    let start = Instant::now();
    let (report, volume) = judge_region(&Region::whole(Arc::new(source)).unwrap());
    assert_eq!(super::failed(&report), ["ext4-limit"].into());
    assert!(volume.is_none());
    assert!(start.elapsed() < LIMIT);
}

/// A file with blocks that were never written is there, and is not read as if they had been.
#[test]
fn what_was_never_written_is_not_shown() {
    let disk = OnDisk::new(good());
    ok("e2fsprogs", &["debugfs", "-w", "-R", "fallocate /etc/hostname 4 9", disk.name()]);
    let bytes = disk.bytes();
    let (report, volume) = judge(&bytes);
    assert_eq!(report.findings, []);
    let volume = volume.unwrap();
    let id = volume.find_file(b"/etc/hostname").unwrap();
    assert_eq!(volume.content(id, 100).unwrap(), b"nixos\n");
    assert!(e2fsck(&bytes).0);
}

/// What nobody judged is not followed: a root that is a broken fifo, a journal in an inode without
/// links.
#[test]
fn maps_that_nobody_judged_are_not_followed() {
    let mut image = Image { bytes: good().to_vec() };
    image.edit_inode(Ino::ROOT, |raw| {
        raw.i_mode.set(0o010_755);
        raw.i_size_lo.set(5);
        raw.i_flags.set(0);
        raw.i_block.fill(0xf0);
    });
    let (report, volume) = judge(&image.bytes);
    assert!(report.totals.errors > 0 && volume.is_none());

    let mut image = Image { bytes: good().to_vec() };
    image.edit_superblock(|raw| raw.s_journal_inum.set(Ino::USER_QUOTA.0));
    image.edit_inode(Ino::USER_QUOTA, |raw| {
        raw.i_mode.set(0o100_600);
        raw.i_flags.set(Inode::EXTENTS);
        // One entry of four, a level below: block 2⁴⁰.
        raw.i_block[..8].copy_from_slice(&[0x0a, 0xf3, 1, 0, 4, 0, 1, 0]);
        raw.i_block[20..22].copy_from_slice(&[0, 1]);
    });
    let report = judge_hostile(&image.bytes);
    assert!(report.totals.errors > 0);
}

#[test]
fn a_cut_anywhere_is_an_error() {
    for len in [0, 1, 1023, 1024, 2047, 2048, 4096, 1 << 20, (24 << 20) - 1] {
        let (report, volume) = judge(&good()[..len]);
        assert!(report.totals.errors > 0 && volume.is_none(), "{len}");
    }
}

/// Where the metadata is: the start with the tables, and the blocks of directories.
fn interesting(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let image = Image { bytes: bytes.to_vec() };
    let mut ranges = vec![1024..2048, 2048..2048 + 3 * 64];
    let size = usize::from(image.geometry().inode_size);
    let offset = |block| image.geometry().offset(block) as usize;
    let table = offset(image.descriptor(image_formats::ext4::GroupIndex(0)).inode_table());
    for path in ["/", "/etc", "/many", "/boot/sparse", "/boot/kernel", "/etc/link900", "<8>"] {
        let ino = image.ino(path);
        ranges.push(table + (ino.0 as usize - 1) * size..table + ino.0 as usize * size);
        if image.inode(ino).has(Inode::EXTENTS) {
            let at = offset(image.first_block(ino));
            ranges.push(at..at + 1024);
        }
    }
    ranges
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edited_metadata_does_not_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u16>(), any::<u8>()), 1..6),
    ) {
        static RANGES: OnceLock<Vec<std::ops::Range<usize>>> = OnceLock::new();
        let good = good_without_sums();
        let ranges = RANGES.get_or_init(|| interesting(good));
        let mut bytes = good.to_vec();
        for (index, at, value) in edits {
            let range = index.get(ranges);
            bytes[range.start + usize::from(at) % range.len()] = value;
        }
        judge_hostile(&bytes);
        // The same with the checksums on: the superblock's is made right.
        let mut image = Image { bytes };
        image.edit_superblock(|raw| {
            let features = raw.s_feature_ro_compat.get();
            raw.s_feature_ro_compat.set(features | ro_compat::METADATA_CSUM);
        });
        judge_hostile(&image.bytes);
    }

    #[test]
    fn random_bytes_do_not_panic(mut bytes in prop::collection::vec(any::<u8>(), 2048..8192)) {
        judge_hostile(&bytes);
        bytes[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
        bytes[1024 + 0x4c..1024 + 0x50].fill(0);
        judge_hostile(&bytes);
    }
}
