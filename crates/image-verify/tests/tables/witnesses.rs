//! Second witnesses: other people's tools and crates see the same tables, and what they call broken
//! is an error here.

use std::io::Cursor;

use image_formats::gpt::Guid;
use image_verify::disk::{Disk, PartitionType, Table};

use super::{TWINS, failed, image::*, judge};

/// A partition as `sfdisk --json` tells it: number, first sector, sectors, type, bootable.
type Told = (u32, u64, u64, String, bool);

fn sfdisk_json(bytes: &[u8]) -> (String, Vec<Told>) {
    let file = File::new(bytes);
    let output = run("fdisk", &["sfdisk", "--json", file.path()], "");
    let json: serde_json::Value = serde_json::from_str(&output.text).unwrap();
    let table = &json["partitiontable"];
    let each = table["partitions"].as_array().unwrap().iter().map(|partition| {
        let node = partition["node"].as_str().unwrap();
        let number = node.strip_prefix(file.path()).unwrap().parse().unwrap();
        let (start, size) = (&partition["start"], &partition["size"]);
        let attributes = partition["attrs"].as_str().unwrap_or_default();
        let bootable = partition["bootable"].as_bool().unwrap_or_default()
            || attributes.contains("LegacyBIOSBootable");
        let kind = partition["type"].as_str().unwrap().to_owned();
        (number, start.as_u64().unwrap(), size.as_u64().unwrap(), kind, bootable)
    });
    // An extended partition is none, here.
    let each = each.filter(|(.., kind, _)| !["5", "f", "85"].contains(&kind.as_str()));
    (table["id"].as_str().unwrap().to_owned(), each.collect())
}

fn ours(disk: &Disk) -> (String, Vec<Told>) {
    let block = disk.block_size.bytes();
    let partitions = disk.partitions.iter().map(|p| {
        let kind = match p.kind {
            PartitionType::None => String::new(),
            PartitionType::Mbr(kind) => format!("{kind:x}"),
            PartitionType::Gpt { kind, .. } => kind.to_string(),
        };
        (p.number, p.region.start().0 / block, p.len / block, kind, p.bootable)
    });
    let id = match disk.table.unwrap() {
        Table::Mbr { signature } => format!("{signature:#010x}"),
        Table::Gpt { guid } => guid.to_string(),
    };
    (id, partitions.collect())
}

#[test]
fn sfdisk_sees_the_same_partitions() {
    for (name, bytes) in good().into_iter().filter(|(name, _)| *name != "gpt-4096") {
        let (disk, _) = judge(bytes.to_vec());
        assert_eq!(ours(&disk), sfdisk_json(bytes), "{name}");
    }
}

/// `sfdisk` tells errors and exits with 0.
fn sfdisk_verify(bytes: &[u8]) -> String {
    let file = File::new(bytes);
    run("fdisk", &["sfdisk", "--verify", file.path()], "").text
}

/// `sgdisk` takes a disk without a GPT for one to convert.
fn sgdisk_verify(bytes: &[u8]) -> String {
    let file = File::new(bytes);
    run("gdisk", &["sgdisk", "--verify", file.path()], "").text
}

#[test]
fn tools_find_nothing_wrong_with_good_disks() {
    for (name, bytes) in good().into_iter().filter(|(name, _)| *name != "gpt-4096") {
        let text = sfdisk_verify(bytes);
        // A hybrid is one to `sfdisk` as well, which says so and goes on.
        assert!(text.contains("No errors detected."), "{name}: {text}");
        if name.contains("gpt") || ["hybrid", "long"].contains(&name) {
            let text = sgdisk_verify(bytes);
            assert!(text.contains("No problems found."), "{name}: {text}");
        }
    }
}

#[test]
fn fdisk_sees_blocks_of_4096_bytes() {
    let file = File::new(&GPT_4096);
    let text = run("fdisk", &["fdisk", "--sector-size", "4096", "--list", file.path()], "").text;
    let (disk, _) = judge(GPT_4096.clone());
    let (id, partitions) = ours(&disk);
    assert!(text.contains(&id), "{text}");
    for (_, start, size, ..) in partitions {
        let words = [start, start + size - 1, size].map(|number| number.to_string());
        let has = |line: &str| words.iter().all(|word| line.split(' ').any(|w| w == word));
        assert!(text.lines().any(has), "{words:?} in {text}");
    }
    assert!(!text.contains("corrupt"), "{text}");
}

/// `fdisk` divides a disk with blocks of 4096 bytes, and it is found right.
#[test]
fn a_disk_that_fdisk_divides_in_blocks_of_4096_bytes() {
    let file = File::new(&vec![0; 8 * MIB]);
    let argv = ["fdisk", "--sector-size", "4096", file.path()];
    must("fdisk", &argv, "g\nn\n\n\n+2M\nn\n\n\n\nw\n");
    let (disk, findings) = judge(file.read());
    assert_eq!(findings, []);
    assert_eq!((disk.block_size.bytes(), disk.partitions.len()), (4096, 2));
}

/// What a tool says of a disk.
type Tool = fn(&[u8]) -> String;

/// What each tool says about a twin, where it says something.
#[test]
fn tools_see_what_is_broken() {
    let told: &[(&str, Tool, &str)] = &[
        ("disk-partition-overlap", sfdisk_verify, "overlap"),
        ("disk-partition-inside", sfdisk_verify, "Total allocated sectors"),
        ("mbr-extended-chain", sfdisk_verify, "Invalid flag"),
        ("mbr-logical-inside", sfdisk_verify, "not entirely in partition 2"),
        ("gpt-header-crc", sgdisk_verify, "CRC"),
        ("gpt-header-crc", sfdisk_verify, "corrupt"),
        ("gpt-entries-crc", sgdisk_verify, "CRC"),
        ("gpt-signature", sgdisk_verify, "backup"),
        ("gpt-my-lba", sgdisk_verify, "backup"),
        ("gpt-copies-agree", sgdisk_verify, "GUID"),
        ("gpt-alternate-lba", sgdisk_verify, "backup"),
        ("gpt-alternate-last", sgdisk_verify, "end of the disk"),
    ];
    let mut silent = Vec::new();
    for (check, tool, word) in told {
        let twin = TWINS.iter().find(|twin| twin.check == *check).unwrap();
        let text = tool(&(twin.make)());
        if !text.contains(word) {
            silent.push(format!("{check}: {text}"));
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

/// The crates `gpt` and `mbrman` read what the tools wrote.
#[test]
fn crates_see_the_same_partitions() {
    for bytes in [&*GPT, &*HYBRID, &*LONG, &*GPT_4096] {
        let (disk, _) = judge(bytes.clone());
        let size = u32::try_from(disk.block_size.bytes()).unwrap();
        let size = if size == 4096 {
            gpt::disk::LogicalBlockSize::Lb4096
        } else {
            gpt::disk::LogicalBlockSize::Lb512
        };
        let config = gpt::GptConfig::new().logical_block_size(size);
        let table = config.open_from_device(Cursor::new(bytes.clone())).unwrap();
        let theirs = table.partitions().iter().map(|(number, p)| {
            let unique = Guid(p.part_guid.to_bytes_le());
            (*number, p.first_lba, p.last_lba, Some(p.name.clone()), unique)
        });
        let ours = disk.partitions.iter().map(|p| {
            let block = disk.block_size.bytes();
            let first = p.region.start().0 / block;
            let PartitionType::Gpt { unique, .. } = p.kind else { panic!("{:?}", p.kind) };
            (p.number, first, first + p.len / block - 1, p.label.clone(), unique)
        });
        assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>());
    }
    for bytes in [&*CARD, &*LOGICAL, &*MBRMAN] {
        let table = mbrman::MBR::read_from(&mut Cursor::new(bytes), 512).unwrap();
        let used = table.iter().filter(|(_, p)| p.is_used() && !p.is_extended());
        let theirs = used.map(|(number, p)| {
            (number as u32, u64::from(p.starting_lba), u64::from(p.sectors), p.sys)
        });
        let (disk, _) = judge(bytes.clone());
        let ours = disk.partitions.iter().map(|p| {
            let PartitionType::Mbr(kind) = p.kind else { panic!("{:?}", p.kind) };
            (p.number, p.region.start().0 / 512, p.len / 512, kind)
        });
        assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>());
    }
}

/// No twin makes `sfdisk` complain and us keep silent.
#[test]
fn sfdisk_refuses_nothing_that_passes() {
    for twin in TWINS {
        let bytes = (twin.make)();
        let text = sfdisk_verify(&bytes);
        if text.contains("overlap") || text.contains("corrupt") || text.contains("does not contain")
        {
            assert!(!failed(bytes).is_empty(), "{}: {text}", twin.check);
        }
    }
}
