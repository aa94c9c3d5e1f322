//! Every check of disks and their tables has a broken twin here; disks that real tools made are
//! found right, and these tools see the same partitions in them.

mod image;
#[path = "../support/twin.rs"]
mod twin;
mod twins;
mod witnesses;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use image::*;
use image_formats::{bytes::ReadAt, gpt::Guid};
use image_model::{Finding, LayoutPart};
use image_verify::{
    Recorder, container,
    disk::{self, Content, Disk, PartitionType, Table},
    gpt as gpt_checks, mbr as mbr_checks,
    opened::Opened,
};
use proptest::prelude::*;
use twin::Twin;
use twins::TWINS;

/// Judges a disk, and only a disk.
fn judge(bytes: Vec<u8>) -> (Disk, Vec<Finding>) {
    let len = bytes.len() as u64;
    let bytes: Arc<dyn ReadAt> = Arc::new(bytes);
    let mut out = Recorder::default();
    let disk = disk::verify(&bytes, &mut out).unwrap();
    let whole = image_model::Location {
        structure: "disk".into(),
        space: image_model::ImageSpace::Raw,
        offset: 0,
        len,
        path: None,
    };
    (disk, out.finish(&[], &container::CONTAINER, &whole).findings)
}

/// The findings about tables; others judge file systems, and have tests of their own.
fn about_tables(findings: &[Finding]) -> BTreeSet<String> {
    let ids = findings.iter().map(|finding| finding.check.to_string());
    ids.filter(|id| ["disk", "mbr", "gpt"].contains(&id.split('-').next().unwrap())).collect()
}

fn failed(bytes: Vec<u8>) -> BTreeSet<String> {
    about_tables(&judge(bytes).1)
}

#[test]
fn good_disks_are_silent() {
    for (name, bytes) in good() {
        let (disk, findings) = judge(bytes.to_vec());
        assert_eq!(findings, [], "{name}");
        assert_eq!(disk.block_size.bytes(), if name == "gpt-4096" { 4096 } else { 512 });
    }
}

#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    let tables = [disk::CHECKS, mbr_checks::CHECKS, gpt_checks::CHECKS];
    let declared: BTreeSet<_> = tables.into_iter().flatten().map(|check| check.id).collect();
    let twins: BTreeSet<_> = TWINS.iter().map(|twin| twin.check).collect();
    assert_eq!(declared, twins);
    let mut wrong = Vec::new();
    for Twin { check, also, make } in TWINS {
        let expected: BTreeSet<_> = also.iter().chain([check]).map(|id| (*id).to_owned()).collect();
        let found = failed(make());
        if found != expected {
            wrong.push(format!("{check}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn golden_reports() {
    let reports: BTreeMap<_, _> = TWINS
        .iter()
        .map(|twin| {
            let findings = judge((twin.make)()).1;
            let tables = about_tables(&findings);
            let lines = findings.iter().filter(|f| tables.contains(f.check.as_ref()));
            let lines = lines.map(|f| format!("{}: {}: {}", f.severity.as_str(), f.at, f.message));
            (twin.check, lines.collect::<Vec<_>>())
        })
        .collect();
    insta::assert_json_snapshot!(reports);
}

/// The card of nixpkgs: what is told of it.
#[test]
fn a_card_is_read() {
    let (disk, _) = judge(CARD.clone());
    assert_eq!(disk.table, Some(Table::Mbr { signature: 0x2178_694e }));
    assert_eq!(disk.format(), "mbr");
    let [firmware, root] = &disk.partitions[..] else { panic!("{:?}", disk.partitions) };
    assert_eq!((firmware.name().as_str(), root.name().as_str()), ("partition 1", "partition 2"));
    assert_eq!((firmware.kind, root.kind), (PartitionType::Mbr(0x0b), PartitionType::Mbr(0x83)));
    assert_eq!((firmware.content, root.content), (Content::Fat, Content::Ext));
    assert_eq!((firmware.bootable, root.bootable), (false, true));
    assert_eq!((root.region.start().0, root.region.len()), (2 << 20, 3 << 20));
    assert_eq!(root.entry.0, 0x1ce);
}

#[test]
fn logical_partitions_count_from_five() {
    let (disk, _) = judge(LOGICAL.clone());
    let seen = disk.partitions.iter().map(|p| (p.number, p.region.start().0, p.content));
    let expected = [
        (1, 1 << 20, Content::Fat),
        (5, 3 << 20, Content::Empty),
        (6, 5 << 20, Content::Other("swap")),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    // In the second boot record of the extended partition.
    assert_eq!(disk.partitions[2].entry.0, (4 << 20) + 0x1be);
}

#[test]
fn a_gpt_is_read() {
    let (disk, _) = judge(GPT.clone());
    let Some(Table::Gpt { guid }) = disk.table else { panic!("{:?}", disk.table) };
    assert_eq!(guid.to_string(), "97FD5997-D90B-4AA3-8D16-C1723AEA73C0");
    let [esp, root, loader] = &disk.partitions[..] else { panic!("{:?}", disk.partitions) };
    assert!(esp.kind.is_efi_system() && !root.kind.is_efi_system());
    assert_eq!(esp.label.as_deref(), Some("ESP"));
    assert_eq!(root.label.as_deref(), Some("größer"));
    assert_eq!((esp.bootable, root.bootable, root.attributes), (false, true, 4));
    assert_eq!((loader.region.start().0, loader.content), (34 * 512, Content::Unknown));
    let unique = Guid::new(0xf222_513b, 0xded1, 0x49fa, 0xb591_20ce_86a2_fe7f);
    assert!(matches!(root.kind, PartitionType::Gpt { unique: u, .. } if u == unique));
}

/// What comes after the start of a damaged table still comes from its copy.
#[test]
fn the_copy_is_taken_where_the_first_is_damaged() {
    for damage in [512, 512 + 16, 1024] {
        let mut bytes = GPT.clone();
        bytes[damage] ^= 1;
        let (disk, findings) = judge(bytes);
        assert_eq!(about_tables(&findings).len(), 1, "{findings:?}");
        assert_eq!(disk.partitions.len(), 3);
    }
    // The copy of blocks of 4096 bytes is found as well, with nothing in front of it.
    let mut bytes = GPT_4096.clone();
    bytes[..MIB].fill(0);
    let (disk, findings) = judge(bytes);
    let expected = ["gpt-signature", "mbr-signature"].map(str::to_owned);
    assert_eq!(about_tables(&findings), BTreeSet::from(expected));
    assert_eq!(disk.partitions.len(), 2);
}

/// File systems without a table, also with what their makers put where a table would be.
#[test]
fn a_file_system_is_a_disk() {
    for (bytes, content) in [(fat(MIB), Content::Fat), (ext4(3 * MIB), Content::Ext)] {
        let (disk, findings) = judge(bytes);
        assert_eq!(findings, []);
        let [whole] = &disk.partitions[..] else { panic!("{:?}", disk.partitions) };
        assert_eq!((whole.number, whole.content, whole.name().as_str()), (0, content, "disk"));
        assert_eq!(disk.table, None);
    }
    let file = File::new(&vec![0; MIB]);
    must("dosfstools", &["mkfs.vfat", "--mbr=y", file.path()], "");
    assert_ne!(file.read()[0x1be + 4], 0);
    assert_eq!(judge(file.read()).0.partitions[0].content, Content::Fat);
}

/// The first bytes of file systems that are only named.
#[test]
fn file_systems_are_named() {
    let made = |package: &str, argv: &[&str], len: usize| {
        let file = File::new(&vec![0; len]);
        must(package, &[argv, &[file.path()]].concat(), "");
        judge(file.read()).0.partitions[0].content
    };
    let swap = made("util-linux", &["mkswap"], MIB);
    assert_eq!(swap, Content::Other("swap"));
    let swap = made("util-linux", &["mkswap", "-p", "16384"], MIB);
    assert_eq!(swap, Content::Other("swap"));
    let ext2 = made("e2fsprogs", &["mkfs.ext2", "-q"], MIB);
    assert_eq!(ext2, Content::Ext);
    let fat32 = made("dosfstools", &["mkfs.vfat", "-F", "32"], 64 * MIB);
    assert_eq!(fat32, Content::Fat);
}

/// Tables that are hostile and not damaged: they cost no time, no memory and no panic.
#[test]
fn hostile_tables_are_told() {
    let only = |bytes: Vec<u8>, check: &str| {
        let (disk, findings) = judge(bytes);
        let found = about_tables(&findings);
        assert!(found.contains(check), "{found:?}, without {check}");
        disk
    };
    // 2³² entries of 2³¹ bytes, in both headers.
    let mut huge = GPT.clone();
    for header in [512, huge.len() - 512] {
        put(&mut huge, header + 80, &u32::MAX.to_le_bytes());
        put(&mut huge, header + 84, &(1_u32 << 31).to_le_bytes());
    }
    seal_headers(&mut huge);
    assert_eq!(only(huge, "gpt-entry-array").partitions.len(), 0);
    // A partition at the end of all that can be counted.
    let mut far = GPT.clone();
    let backup = far.len() - 33 * 512;
    for array in [1024, backup] {
        put(&mut far, array + 32, &(u64::MAX - 1).to_le_bytes());
        put(&mut far, array + 40, &u64::MAX.to_le_bytes());
    }
    seal(&mut far);
    let disk = only(far, "disk-partition-inside");
    assert_eq!(disk.partitions[0].region.len(), 0);
    // An extended partition that leads back to its start.
    let mut cycle = LOGICAL.clone();
    put(&mut cycle, (4 << 20) + 0x1ce, &[0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(only(cycle, "mbr-extended-chain").partitions.len(), 3);
    // Its link leads out of it, and out of the disk.
    let mut outside = LOGICAL.clone();
    put(&mut outside, (2 << 20) + 0x1ce + 8, &u32::MAX.to_le_bytes());
    assert_eq!(only(outside, "mbr-extended-chain").partitions.len(), 2);
    // A chain of more records than Linux has numbers for.
    let mut long = LOGICAL.clone();
    for index in 0..300_u32 {
        let at = (2 << 20) + index as usize * 1024;
        put(&mut long, at + 0x1be, &[0; 66]);
        put(&mut long, at + 0x1be + 4, &[0x83, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
        put(&mut long, at + 0x1ce + 4, &[5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]);
        put(&mut long, at + 0x1ce + 8, &((index + 1) * 2).to_le_bytes());
        put(&mut long, at + 510, b"\x55\xaa");
    }
    let (disk, findings) = judge(long);
    let found = about_tables(&findings);
    assert!(found.contains("mbr-extended-chain") && found.contains("disk-partition-limit"));
    assert!(disk.partitions.iter().all(|partition| partition.number <= 255));
}

/// Checksums of the headers alone, where the array that they describe is not there.
fn seal_headers(disk: &mut [u8]) {
    for header in [512, disk.len() - 512] {
        put(disk, header + 16, &[0; 4]);
        let crc = crc32fast::hash(&disk[header..header + 92]);
        put(disk, header + 16, &crc.to_le_bytes());
    }
}

/// A card that was cut anywhere is told, unless nothing but free space is gone.
#[test]
fn every_cut_is_told() {
    for (name, good) in good() {
        for len in [0, 1, 511, 512, 1024, 4096, 17408, MIB, 2 * MIB + 1, good.len() - 512] {
            let mut bytes = good.to_vec();
            bytes.truncate(len);
            let harmless = ["logical", "mbrman"].contains(&name) && len == good.len() - 512;
            assert_eq!(failed(bytes).is_empty(), harmless, "{name} of {len} bytes");
        }
    }
}

/// One bit of a header or of an entry in use, in either copy, is never changed without a word.
#[test]
fn every_byte_of_a_gpt_counts() {
    let mut good = GPT.clone();
    // Zeros are right there as well, and quickly read.
    good[2 * MIB..5 * MIB].fill(0);
    assert_eq!(failed(good.clone()), BTreeSet::new());
    let (headers, arrays) = ([512, good.len() - 512], [1024, good.len() - 33 * 512]);
    let headers = headers.into_iter().flat_map(|at| at..at + 512);
    for at in headers.chain(arrays.into_iter().flat_map(|at| at..at + 3 * 128)) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(!failed(bytes).is_empty(), "{at:#x}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any bytes, in and around the tables, give a report.
    #[test]
    fn damage_never_panics(
        which in 0..7_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16),
        sealed: bool,
    ) {
        let mut bytes = good()[which].1.to_vec();
        let len = bytes.len();
        // The first 32 KiB, the last, and the boot records of extended partitions.
        let places: Vec<usize> = (0..32 << 10)
            .chain(len - (32 << 10)..len)
            .chain((2 << 20)..(2 << 20) + 512)
            .chain((4 << 20)..(4 << 20) + 512)
            .collect();
        for (index, byte) in damage {
            bytes[*index.get(&places)] = byte;
        }
        if sealed {
            seal_headers(&mut bytes);
        }
        judge(bytes);
    }

    /// Hostile numbers in fields, with right checksums.
    #[test]
    fn any_header_gives_a_report(
        fields in prop::collection::vec((0..84_usize, any::<u64>(), 0..64_u32), 1..6),
    ) {
        let mut bytes = GPT.clone();
        let backup = bytes.len() - 512;
        for (at, number, shift) in fields {
            let number = number >> shift;
            for header in [512, backup] {
                put(&mut bytes, header + at.max(12), &number.to_le_bytes());
            }
        }
        seal_headers(&mut bytes);
        judge(bytes);
    }
}

/// What lies where, as reports tell it.
#[test]
fn layouts_are_told() {
    let told = |bytes: Vec<u8>| {
        let layout = Opened::Disk(judge(bytes).0).layout().unwrap().unwrap();
        assert_eq!(layout.omitted, 0);
        let part = |part: &LayoutPart| {
            let LayoutPart { name, start, len, content, label } = part;
            let label = label.as_ref().map_or(String::new(), |label| format!(" {label:?}"));
            format!("{name}: {content}{label} at {start:#x}, {len:#x} bytes")
        };
        let parts: Vec<_> = layout.parts.iter().map(part).collect();
        (layout.table.as_deref().map(str::to_owned), layout.size, parts)
    };
    let told: BTreeMap<_, _> =
        good().into_iter().map(|(name, bytes)| (name, told(bytes.to_vec()))).collect();
    insta::assert_json_snapshot!(told);
}
