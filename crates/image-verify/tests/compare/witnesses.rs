//! Real tools see the same differences, and say the same of what differs.

use std::fs;

use image_model::{Comparison, Difference};

use crate::{diff, folder::Folder, ids, image, told};

/// The difference with an id, which is there once.
fn only<'c>(comparison: &'c Comparison, id: &str) -> &'c Difference {
    let mut found = comparison.differences.iter().filter(|difference| difference.id == id);
    let first = found.next().unwrap_or_else(|| panic!("no {id}: {:#?}", told(comparison)));
    assert!(found.next().is_none(), "{id}: {:#?}", told(comparison));
    first
}

/// Both values of a difference.
fn values(difference: &Difference) -> (String, String) {
    (difference.a.clone().unwrap(), difference.b.clone().unwrap())
}

/// What a tool prints after a word at the start of a line.
fn after(output: &str, word: &str) -> String {
    let line = output.lines().find_map(|line| line.trim().strip_prefix(word));
    let line = line.unwrap_or_else(|| panic!("no {word}: {output}"));
    line.trim_start_matches([':', ' ', '=']).trim().to_owned()
}

fn tool(folder: &Folder, argv: &[&str]) -> String {
    String::from_utf8_lossy(&folder.succeed(argv).stdout).into_owned()
}

/// Two runs of `mke2fs`, with two seeds: `dumpe2fs` prints the same values.
#[test]
fn a_hash_seed_is_that_of_dumpe2fs() {
    let folder = Folder::new();
    let root = image::tree(&folder, "root");
    let make = |seed: &str| image::ext4(&folder, &root, &["-E", seed]);
    let (a, b) = (
        make("hash_seed=11111111-1111-4111-8111-111111111111"),
        make("hash_seed=22222222-2222-4222-8222-222222222222"),
    );
    let comparison = diff(a.clone(), b.clone());
    assert_eq!(ids(&comparison), ["ext4-hash-seed".to_owned()].into(), "{:?}", told(&comparison));
    assert_eq!(comparison.bytes.unwrap().unexplained(), 0);
    let seen = [a, b].map(|bytes| {
        let image = folder.write("seen", &bytes);
        after(&tool(&folder, &["dumpe2fs", "-h", &image]), "Directory Hash Seed")
    });
    assert_eq!(values(only(&comparison, "ext4-hash-seed")), (seen[0].clone(), seen[1].clone()));
}

/// A second later, without anything fixed: every difference has a name.
#[test]
fn a_second_run_of_mke2fs_is_explained() {
    let folder = Folder::new();
    let root = image::tree(&folder, "root");
    let make = |time: &str| {
        let image = folder.write("image", &vec![0; 4 << 20]);
        folder
            .succeed(&["faketime", "-f", time, "mke2fs", "-q", "-t", "ext4", "-d", &root, &image]);
        fs::read(image).unwrap()
    };
    let (a, b) = (make("@2026-01-02 03:04:05"), make("@2026-01-02 03:04:06"));
    let comparison = diff(a.clone(), b.clone());
    let bytes = comparison.bytes.unwrap();
    assert!(bytes.differ > 0 && bytes.unexplained() == 0, "{:#?}", told(&comparison));
    let expected = [
        "ext4-check-time",
        "ext4-hash-seed",
        "ext4-inode-times",
        "ext4-mkfs-time",
        "ext4-uuid",
        "ext4-write-time",
        "file-mtime",
    ];
    assert_eq!(ids(&comparison), expected.map(str::to_owned).into(), "{:#?}", told(&comparison));
    // `cmp` counts the bytes as well.
    let (file_a, file_b) = (folder.write("a", &a), folder.write("b", &b));
    let lines = folder.tool(&["cmp", "-l", &file_a, &file_b]).stdout;
    assert_eq!(bytes.differ, lines.iter().filter(|byte| **byte == b'\n').count() as u64);
    let dumped = |file: &str| tool(&folder, &["dumpe2fs", "-h", file]);
    let seen = [&file_a, &file_b].map(|file| after(&dumped(file), "Filesystem UUID"));
    assert_eq!(values(only(&comparison, "ext4-uuid")), (seen[0].clone(), seen[1].clone()));
}

/// With checksums, an edit by `debugfs` or `tune2fs` is all that is told.
#[test]
fn what_tune2fs_and_debugfs_change_is_told() {
    let folder = Folder::new();
    let a = image::EXT4_CHECKSUMS.clone();
    let changed = |argv: &[&str]| {
        let image = folder.write("changed", &a);
        folder.succeed(&[argv, &[&image]].concat());
        diff(a.clone(), fs::read(&image).unwrap())
    };
    let set = |request: &str| changed(&["debugfs", "-w", "-R", request]);
    for (id, comparison) in [
        ("ext4-label", changed(&["tune2fs", "-L", "OTHER"])),
        ("ext4-parameters", changed(&["tune2fs", "-e", "panic"])),
        ("file-mode", set("set_inode_field /etc/motd mode 0100600")),
        ("file-owner", set("set_inode_field /etc/motd uid 1000")),
        ("file-mtime", set("set_inode_field /etc/motd mtime @1000000001")),
        ("ext4-generation", set("set_inode_field /etc/motd generation 7")),
        ("file-removed", set("rm /etc/hosts")),
        ("ext4-xattr", set("ea_set /etc/motd user.a b")),
    ] {
        assert!(ids(&comparison).contains(id), "{id}: {:#?}", told(&comparison));
        assert_eq!(comparison.bytes.unwrap().unexplained(), 0, "{id}: {:#?}", told(&comparison));
        // `tune2fs` notes when it wrote, and a lost file is a problem of the whole.
        let also = ["ext4-write-time", "ext4-mkfs-time", "ext4-state", "ext4-inode-times"];
        let other = ids(&comparison)
            .into_iter()
            .find(|other| other != id && !also.contains(&other.as_str()));
        assert_eq!(other, None, "{id}: {:#?}", told(&comparison));
    }
}

/// Two serial numbers of `mkfs.fat`: `minfo` prints the same ones.
#[test]
fn a_serial_number_is_that_of_minfo() {
    let folder = Folder::new();
    let make = |serial: &str| image::fat(&folder, &["-i", serial], &[]);
    let (a, b) = (make("2178694e"), make("1234abcd"));
    let comparison = diff(a.clone(), b.clone());
    assert_eq!(ids(&comparison), ["fat-serial".to_owned()].into(), "{:?}", told(&comparison));
    let seen = [a, b].map(|bytes| {
        let image = folder.write("seen", &bytes);
        let seen = after(&tool(&folder, &["minfo", "-i", &image, "::"]), "serial number");
        format!("{:#x}", u32::from_str_radix(&seen, 16).unwrap())
    });
    assert_eq!(values(only(&comparison, "fat-serial")), (seen[0].clone(), seen[1].clone()));
}

/// Partitions that `sfdisk` moved and called otherwise are told with what `sfdisk -J` tells.
#[test]
fn partitions_are_those_of_sfdisk() {
    let folder = Folder::new();
    let (a, b) = (
        image::GPT.clone(),
        image::mbr(
            &image::GPT_SCRIPT.replace("77777777-", "88888888-").replace("5555\n", "5556\n"),
        ),
    );
    let comparison = diff(a.clone(), b.clone());
    let expected = ["gpt-disk-guid", "gpt-partition-guid"].map(str::to_owned).into();
    assert_eq!(ids(&comparison), expected, "{:?}", told(&comparison));
    let seen = [a, b].map(|bytes| {
        let image = folder.write("seen", &bytes);
        let json = tool(&folder, &["sfdisk", "-J", &image]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let table = &json["partitiontable"];
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (text(&table["id"]), text(&table["partitions"][1]["uuid"]))
    });
    let [(disk_a, part_a), (disk_b, part_b)] = seen;
    assert_eq!(values(only(&comparison, "gpt-disk-guid")), (disk_a, disk_b));
    assert_eq!(values(only(&comparison, "gpt-partition-guid")), (part_a, part_b));
}

/// Discs of two times: `xorriso` prints the same dates.
#[test]
fn dates_of_discs_are_those_of_xorriso() {
    let folder = Folder::new();
    let root = image::tree(&folder, "root");
    let (a, b) = (
        image::iso(&folder, &root, &["--modification-date=2001010203040506"]),
        image::iso(&folder, &root, &["--modification-date=2002010203040506"]),
    );
    let comparison = diff(a.clone(), b.clone());
    assert_eq!(ids(&comparison), ["iso-volume-date".to_owned()].into(), "{:#?}", told(&comparison));
    assert_eq!(comparison.bytes.unwrap().unexplained(), 0);
    let seen = [a, b].map(|bytes| {
        let image = folder.write("seen.iso", &bytes);
        let info = tool(&folder, &["xorriso", "-indev", &image, "-pvd_info"]);
        after(&info, "Modif. Time")
    });
    let dates = |of: &dyn Fn(&Difference) -> String| -> Vec<String> {
        comparison.differences.iter().map(of).collect()
    };
    let digits =
        |text: &str| text.chars().filter(char::is_ascii_digit).take(16).collect::<String>();
    assert!(dates(&|d| digits(d.a.as_ref().unwrap())).contains(&seen[0]), "{seen:?}");
    assert!(dates(&|d| digits(d.b.as_ref().unwrap())).contains(&seen[1]), "{seen:?}");
}

/// A SquashFS in a disc, of two times and with another file: what differs is told of both.
#[test]
fn what_is_nested_in_a_disc_is_compared() {
    let folder = Folder::new();
    let root = image::tree(&folder, "root");
    let make = |time: &str| {
        let inner = image::squashfs(&folder, &root, &["-mkfs-time", time]);
        folder.write("disc/nix-store.squashfs", &inner);
        let disc = folder.path("disc").to_str().unwrap().to_owned();
        image::same_time(&folder, &disc);
        (image::iso(&folder, &disc, &[]), inner)
    };
    let ((a, inner_a), (b, inner_b)) = (make("1000000000"), make("1000000001"));
    let comparison = diff(a.clone(), b);
    let expected = ["squashfs-mkfs-time".to_owned()].into();
    assert_eq!(ids(&comparison), expected, "{:#?}", told(&comparison));
    assert_eq!(comparison.bytes.unwrap().unexplained(), 0);
    let seen = [inner_a, inner_b].map(|bytes| {
        let image = folder.write("seen.squashfs", &bytes);
        after(&tool(&folder, &["unsquashfs", "-mkfs-time", &image]), "")
    });
    assert_eq!(seen, ["1000000000", "1000000001"]);
    let (from, to) = values(only(&comparison, "squashfs-mkfs-time"));
    assert_eq!((from.as_str(), to.as_str()), ("2001-09-09T01:46:40Z", "2001-09-09T01:46:41Z"));

    // With another content in a store path, the path is told, and the file.
    let hello = format!("root{}/bin/hello", image::HELLO);
    folder.write(&hello, b"#!/bin/zh\n");
    image::same_time(&folder, &root);
    let (c, _) = make("1000000000");
    let comparison = diff(a, c);
    let expected = ["store-path-changed", "file-content"].map(str::to_owned).into();
    assert_eq!(ids(&comparison), expected, "{:#?}", told(&comparison));
    let at = &only(&comparison, "store-path-changed").at;
    assert_eq!(at.path.as_deref(), Some(image::HELLO));
    assert!(at.structure.contains("nix-store.squashfs"), "{at:?}");
}

/// The same files in an archive and in an ext4 file system: nothing is told of files but what an
/// archive does not have.
#[test]
fn images_of_two_formats_are_compared_by_their_files() {
    let folder = Folder::new();
    let root = image::tree(&folder, "root");
    let archive = folder.path("a.tar");
    let archive = archive.to_str().unwrap();
    folder.succeed(&[
        "tar",
        "--numeric-owner",
        "--owner=0",
        "--group=0",
        "-cf",
        archive,
        "-C",
        &root,
        ".",
    ]);
    let bytes = fs::read(archive).unwrap();
    folder.write("root/etc/motd", b"goodbye\n");
    image::same_time(&folder, &root);
    let comparison = diff(bytes, image::ext4(&folder, &root, &["-E", "root_owner=0:0"]));
    let content = only(&comparison, "file-content");
    assert_eq!(content.at.path.as_deref(), Some("/etc/motd"));
    let added = only(&comparison, "file-added");
    assert_eq!(added.at.path.as_deref(), Some("/lost+found"));
}
