//! Pairs of images, each of which differ in one way.

use std::fs;

use image_formats::{
    bytes::Region,
    ext4::{Descriptor, Geometry, GroupIndex, Superblock},
};
use image_verify::{
    Recorder, ext4 as ext4_checker, fat as fat_checker,
    volume::{Trouble, Volume},
};

use crate::{folder::Folder, image::*};

/// Two images.
pub(crate) type Two = (Vec<u8>, Vec<u8>);

/// Two images, and in what they differ.
pub(crate) struct Pair {
    pub(crate) id: &'static str,
    /// What cannot but differ as well.
    pub(crate) also: &'static [&'static str],
    pub(crate) make: fn() -> Two,
}

const fn pair(id: &'static str, make: fn() -> Two) -> Pair {
    Pair { id, also: &[], make }
}

const fn with(id: &'static str, also: &'static [&'static str], make: fn() -> Two) -> Pair {
    Pair { id, also, make }
}

/// An image, and the same with other bytes somewhere.
fn edit(image: &[u8], at: usize, bytes: &[u8]) -> Two {
    let mut other = image.to_vec();
    assert_ne!(other[at..at + bytes.len()], *bytes, "at {at:#x}");
    other[at..at + bytes.len()].copy_from_slice(bytes);
    (image.to_vec(), other)
}

/// An image, and the same with one bit turned.
fn flip(image: &[u8], at: usize) -> Two {
    edit(image, at, &[image[at] ^ 1])
}

fn two(a: &[u8], b: &[u8]) -> Two {
    (a.to_vec(), b.to_vec())
}

/// What a program of the machine makes of bytes.
fn filter(argv: &[&str], input: &[u8]) -> Vec<u8> {
    let folder = Folder::new();
    let input = folder.write("input", input);
    let output = folder.path("output");
    let command = format!("{} < '{input}' > '{}'", argv.join(" "), output.display());
    folder.succeed(&["sh", "-c", &command]);
    fs::read(output).unwrap()
}

fn gzip() -> Vec<u8> {
    filter(&["gzip", "-n"], &plain_tar())
}

fn zstd(level: &str) -> Vec<u8> {
    filter(&["zstd", "-q", level], &EXT4)
}

/// Where the superblock is.
const SUPERBLOCK: usize = 1024;

/// A field of the superblock, other than it was.
fn superblock(field: usize) -> Two {
    flip(&EXT4, SUPERBLOCK + field)
}

/// The file system, opened.
fn volume(image: &[u8], ext4: bool) -> Volume {
    let region = Region::from(image.to_vec());
    let (trouble, mut out) = (Trouble::default(), Recorder::default());
    let opened = if ext4 {
        ext4_checker::verify(&region, "disk", &trouble, &mut out)
    } else {
        fat_checker::verify(&region, "disk", &trouble, &mut out)
    };
    opened.unwrap().unwrap()
}

/// Where what describes a file is.
fn entry(image: &[u8], ext4: bool, path: &str) -> usize {
    let volume = volume(image, ext4);
    let id = volume.find(path.as_bytes()).unwrap();
    volume.tree.node(id).offset.unwrap() as usize
}

/// A byte of an inode, other than it was.
fn inode(field: usize) -> Two {
    flip(&EXT4, entry(&EXT4, true, "/etc/motd") + field)
}

/// A byte of the entry of a file in FAT, other than it was.
fn slot(field: usize) -> Two {
    flip(&FAT, entry(&FAT, false, "/motd") + field)
}

/// The first group of the file system.
fn group() -> (Geometry, Descriptor) {
    let region = Region::from(EXT4.clone());
    let geometry = Geometry::new(&Superblock::read(&region).unwrap()).unwrap();
    let mut bytes = vec![0; usize::from(geometry.desc_size)];
    region.fill("descriptor", geometry.descriptor(GroupIndex(0)), &mut bytes).unwrap();
    (geometry, Descriptor::new(&bytes))
}

/// Where the content of an inode with extents starts.
fn first_block(inode: usize) -> usize {
    let extent = inode + 0x28 + 12;
    let low = u32::from_le_bytes(EXT4[extent + 8..extent + 12].try_into().unwrap());
    low as usize * 1024
}

/// Where a text is in an image.
fn find(image: &[u8], text: &[u8]) -> usize {
    image.windows(text.len()).position(|window| window == text).unwrap()
}

/// Two archives, of which the second has an edited header.
fn header(name: &'static str, set: fn(&mut tar::Header)) -> Two {
    let edited = tar(MEMBERS, |of, header| {
        if of == name {
            set(header);
        }
    });
    (plain_tar(), edited)
}

/// Two archives, of which the second has these members more, and is not longer.
fn more(members: &[(&'static str, &'static [u8])]) -> Two {
    let (mut a, mut b) = (plain_tar(), tar(&[MEMBERS, members].concat(), |_, _| ()));
    let len = a.len().max(b.len());
    a.resize(len, 0);
    b.resize(len, 0);
    (a, b)
}

/// Two disks, by the words of `sfdisk`.
fn disks(script: &str, from: &str, to: &str) -> Two {
    assert!(script.contains(from), "{script}");
    (mbr(script), mbr(&script.replace(from, to)))
}

/// A disk with logical partitions.
const LOGICAL: &str = "label: dos\nlabel-id: 0x2178694e\n\
    start=2048, size=12288, type=05\nstart=4096, size=2048, type=83\nstart=8192, size=2048, type=83\n";

/// One more partition.
const THIRD: &str = "start=14336, size=1024, type=83\n";

/// A partition with bytes that nobody knows.
fn unknown() -> Vec<u8> {
    disk(MBR_SCRIPT, &[(1, &[b'x'; 8192])])
}

/// A file system whose clusters are numbers of 32 bits.
fn fat32() -> Vec<u8> {
    fat(&Folder::new(), &["-F", "32", "-s", "1"], &[])
}

/// Two SquashFS of the same files, in another order.
fn sorted() -> Two {
    let folder = Folder::new();
    let root = tree(&folder, "root");
    let plain = ["-mkfs-time", "1000000000", "-noD", "-noF", "-noI", "-no-fragments"];
    let make = |first: &str, second: &str| {
        let sort = folder.write("sort", format!("{first} 100\n{second} 50\n").as_bytes());
        squashfs(&folder, &root, &[&plain[..], &["-sort", &sort]].concat())
    };
    (make("etc/motd", "etc/hosts"), make("etc/hosts", "etc/motd"))
}

/// A SquashFS whose contents are compressed, and the same with one of them damaged.
fn unreadable() -> Two {
    let folder = Folder::new();
    let root = tree(&folder, "root");
    folder.write("root/boot/kernel", "a kernel of some bytes\n".repeat(1000).as_bytes());
    same_time(&folder, &root);
    let image = squashfs(&folder, &root, &["-mkfs-time", "1000000000", "-no-fragments"]);
    // The first block is that of the first file, behind the header of zlib.
    let at = 96 + 2;
    edit(&image, at, &[0xff, 0xff, 0xff])
}

/// A sector of the disc.
fn sector(number: usize) -> usize {
    number * 2048
}

/// The sector that a number in the disc names.
fn pointed(at: usize) -> usize {
    sector(u32::from_le_bytes(ISO[at..at + 4].try_into().unwrap()) as usize)
}

pub(crate) static PAIRS: &[Pair] = &[
    pair("compression", || (gzip(), plain_tar())),
    pair("gzip-mtime", || edit(&gzip(), 4, &[1, 2, 3, 4])),
    pair("gzip-os", || edit(&gzip(), 9, &[255])),
    pair("gzip-header", || edit(&gzip(), 8, &[2])),
    pair("xz-header", || {
        let xz = |check| filter(&["xz", "-T1", check], &plain_tar());
        (xz("--check=crc32"), xz("--check=crc64"))
    }),
    pair("zstd-frames", || {
        let whole = plain_tar();
        let (first, second) = whole.split_at(1024);
        let frames = [filter(&["zstd", "-q"], first), filter(&["zstd", "-q"], second)].concat();
        (filter(&["zstd", "-q"], &whole), frames)
    }),
    pair("compression-stream", || (zstd("-1"), zstd("-19"))),
    with("image-format", &["image-size"], || (plain_tar(), b"plain text".repeat(100))),
    pair("image-size", || {
        let (a, mut b) = (plain_tar(), plain_tar());
        b.resize(b.len() + 1024, 0);
        (a, b)
    }),
    with("table-kind", &["mbr-disk-signature"], || two(&MBR, &GPT)),
    pair("mbr-disk-signature", || flip(&MBR, 0x1b8)),
    pair("mbr-boot-code", || flip(&MBR, 0)),
    pair("mbr-chs", || flip(&MBR, 0x1bf)),
    pair("mbr-fields", || flip(&MBR, 0x1bc)),
    // An address that nothing reads.
    pair("mbr-extended", || flip(&disk(LOGICAL, &[]), (1 << 20) + 0x1bf)),
    pair("gpt-disk-guid", || disks(GPT_SCRIPT, "-555555555555", "-555555555556")),
    pair("gpt-partition-guid", || disks(GPT_SCRIPT, "uuid=77777777", "uuid=77777778")),
    pair("gpt-partition-name", || disks(GPT_SCRIPT, "name=root", "name=boot")),
    pair("gpt-header", || flip(&GPT, 512 + 0x14)),
    pair("gpt-checksum", || flip(&GPT, 512 + 0x10)),
    pair("apm", || flip(&HYBRID, 2048 + 0x20)),
    pair("partition-added", || (mbr(MBR_SCRIPT), mbr(&format!("{MBR_SCRIPT}{THIRD}")))),
    pair("partition-removed", || (mbr(&format!("{MBR_SCRIPT}{THIRD}")), mbr(MBR_SCRIPT))),
    pair("partition-moved", || {
        let moved = MBR_SCRIPT.replace("start=6144, size=8192", "start=8192, size=8192");
        (mbr(MBR_SCRIPT), disk(&moved, &[(1, &FAT), (4, &EXT4)]))
    }),
    pair("partition-resized", || disks(MBR_SCRIPT, "size=8192", "size=9216")),
    pair("partition-type", || disks(MBR_SCRIPT, "type=0b", "type=0c")),
    pair("partition-flags", || disks(MBR_SCRIPT, ", bootable", "")),
    pair("partition-content", || two(&disk(MBR_SCRIPT, &[(1, &FAT)]), &unknown())),
    pair("disk-gap", || flip(&MBR, 8192)),
    pair("ext4-uuid", || superblock(0x68)),
    pair("ext4-label", || superblock(0x78)),
    pair("ext4-hash-seed", || superblock(0xec)),
    pair("ext4-mkfs-time", || superblock(0x108)),
    pair("ext4-write-time", || superblock(0x30)),
    pair("ext4-mount", || superblock(0x34)),
    pair("ext4-check-time", || superblock(0x40)),
    pair("ext4-features", || superblock(0x5c)),
    pair("ext4-size", || superblock(0x08)),
    pair("ext4-free", || superblock(0x10)),
    pair("ext4-state", || superblock(0x194)),
    pair("ext4-parameters", || superblock(0x48)),
    pair("ext4-checksum", || flip(&EXT4_CHECKSUMS, SUPERBLOCK + 0x3fc)),
    pair("ext4-groups", || {
        let at = group().0.descriptor(GroupIndex(0)) as usize;
        flip(&EXT4, at + 0x14)
    }),
    pair("ext4-bitmap", || {
        let (geometry, group) = group();
        let at = geometry.offset(group.inode_bitmap()) as usize;
        flip(&EXT4, at + 1023)
    }),
    pair("ext4-inode-times", || inode(0x0c)),
    pair("ext4-generation", || inode(0x64)),
    // Behind the only extent.
    pair("ext4-block-map", || inode(0x28 + 50)),
    pair("ext4-inode", || inode(0x70)),
    pair("ext4-xattr", || inode(0xf0)),
    pair("ext4-journal", || {
        let (geometry, group) = group();
        let inode = geometry.offset(group.inode_table()) as usize + 7 * 256;
        flip(&EXT4, first_block(inode) + 2000)
    }),
    // Behind the last name.
    pair("ext4-directory", || {
        let at = first_block(entry(&EXT4, true, "/etc"));
        flip(&EXT4, at + 1023)
    }),
    pair("ext4-reserved", || {
        let (geometry, _) = group();
        flip(&EXT4, geometry.descriptor(GroupIndex(0)) as usize + 1024)
    }),
    pair("ext4-free-block", || flip(&EXT4, EXT4.len() - 1024)),
    pair("fat-serial", || flip(&FAT, 39)),
    pair("fat-label", || {
        let folder = Folder::new();
        // The last of these options counts.
        (fat(&folder, &[], &[]), fat(&folder, &["-n", "FIRMWARE"], &[]))
    }),
    pair("fat-oem-name", || flip(&FAT, 3)),
    pair("fat-geometry", || flip(&FAT, 19)),
    pair("fat-boot-code", || flip(&FAT, 0x100)),
    pair("fat-parameters", || flip(&FAT, 26)),
    pair("fat-free", || flip(&fat32(), 512 + 488)),
    pair("fat-table", || {
        let image = fat32();
        let (a, mut b) = edit(&image, 32 * 512 + 4 * 1000, &0x0fff_fff7_u32.to_le_bytes());
        let fats = image_formats::fat::raw::BootSector::read(&Region::from(image), 0).unwrap();
        let second = 32 * 512 + fats.fat32().fat_sz32.get() as usize * 512 + 4 * 1000;
        b[second..second + 4].copy_from_slice(&0x0fff_fff7_u32.to_le_bytes());
        (a, b)
    }),
    pair("fat-date", || slot(16)),
    pair("fat-directory", || edit(&FAT, entry(&FAT, false, "/motd") + 11, &[0])),
    pair("fat-free-cluster", || flip(&FAT, FAT.len() - 1024)),
    pair("iso-volume-date", || flip(&ISO, sector(16) + 813 + 15)),
    pair("iso-label", || flip(&ISO, sector(16) + 44)),
    pair("iso-identifier", || edit(&ISO, sector(16) + 318, b"ME")),
    pair("iso-size", || flip(&ISO, sector(16) + 87)),
    pair("iso-layout", || flip(&ISO, sector(16) + 139)),
    pair("iso-parameters", || flip(&ISO, sector(16) + 1394)),
    with("iso-boot-catalog", &["file-content"], || flip(&ISO, pointed(sector(17) + 0x47) + 4)),
    pair("iso-path-table", || flip(&ISO, pointed(sector(16) + 140) + 2047)),
    pair("iso-directory", || flip(&ISO, pointed(sector(16) + 158) + 2047)),
    pair("iso-system-area", || flip(&ISO, 0x4000)),
    pair("iso-padding", || flip(&ISO, ISO.len() - 1)),
    pair("squashfs-mkfs-time", || flip(&SQUASHFS, 8)),
    pair("squashfs-compression", || flip(&SQUASHFS, 20)),
    pair("squashfs-block-size", || flip(&SQUASHFS, 12)),
    pair("squashfs-counts", || flip(&SQUASHFS, 16)),
    pair("squashfs-layout", || flip(&SQUASHFS, 32)),
    pair("squashfs-tables", || {
        let tables = u64::from_le_bytes(SQUASHFS[64..72].try_into().unwrap()) as usize;
        flip(&SQUASHFS, tables + 10)
    }),
    with("squashfs-data", &["squashfs-tables"], sorted),
    with("tar-order", &["file-moved"], || {
        let mut members = MEMBERS.to_vec();
        members.swap(1, 2);
        (plain_tar(), tar(&members, |_, _| ()))
    }),
    pair("tar-header", || header("etc/motd", |header| header.set_username("root").unwrap())),
    pair("tar-padding", || {
        let image = plain_tar();
        let at = find(&image, b"welcome\n");
        flip(&image, at + 100)
    }),
    with("file-moved", &["fat-directory"], || {
        let folder = Folder::new();
        let root = tree(&folder, "root");
        let (motd, kernel) = (format!("{root}/etc/motd"), format!("{root}/boot/kernel"));
        (fat(&folder, &[], &[&motd, &kernel]), fat(&folder, &[], &[&kernel, &motd]))
    }),
    pair("file-slack", || {
        let at = first_block(entry(&EXT4, true, "/etc/motd"));
        assert!(EXT4[at..].starts_with(b"welcome\n"));
        flip(&EXT4, at + 100)
    }),
    pair("store-path-added", || {
        more(&[("nix/store/s76mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.13", b"#!/bin/sh\n")])
    }),
    pair("store-path-removed", || {
        let (a, b) =
            more(&[("nix/store/s76mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.13", b"#!/bin/sh\n")]);
        (b, a)
    }),
    with("store-path-changed", &["file-content"], || {
        let image = plain_tar();
        let at = find(&image, b"#!/bin/sh\n");
        edit(&image, at, b"#!/bin/zh\n")
    }),
    pair("file-added", || more(&[("etc/new", b"new\n")])),
    pair("file-removed", || {
        let (a, b) = more(&[("etc/new", b"new\n")]);
        (b, a)
    }),
    pair("file-type", || {
        let members: Vec<_> = MEMBERS
            .iter()
            .map(|(name, content)| match *name {
                "etc/link@" => ("etc/link", *content),
                name => (name, *content),
            })
            .collect();
        (plain_tar(), tar(&members, |_, _| ()))
    }),
    pair("file-content", || {
        let image = plain_tar();
        let at = find(&image, b"welcome\n");
        edit(&image, at, b"Welcome\n")
    }),
    pair("file-mode", || header("etc/motd", |header| header.set_mode(0o600))),
    pair("file-owner", || header("etc/motd", |header| header.set_uid(1000))),
    pair("file-mtime", || header("etc/motd", |header| header.set_mtime(2))),
    pair("file-target", || header("etc/link", |header| header.set_link_name("moto").unwrap())),
    pair("file-unreadable", unreadable),
    pair("bytes", || flip(&unknown(), (1 << 20) + 100)),
];

/// The tools that make all of them write what they were told.
#[test]
fn bases_are_as_they_are_called() {
    assert!(volume(&EXT4, true).find(HELLO.as_bytes()).is_some());
    assert_eq!(volume(&FAT, false).label, "BOOT");
}
