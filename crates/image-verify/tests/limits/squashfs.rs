//! SquashFS that tries to cost more than it may.

use std::sync::Arc;

use image_formats::bytes::Region;
use image_model::{ImageSpace, Location, Severity};
use image_verify::{Recorded, Recorder, UNUSED_WAIVER, squashfs, volume::Trouble};

use crate::{LESS, MEMORY as ALLOCATED, alone, finds, limited, made::Made};

/// Memory that a SquashFS may take.
const MEMORY: usize = 256 << 20;

/// The most bytes of a block of metadata.
const BLOCK: usize = 8192;

/// The most blocks that are judged.
const MAX_BLOCKS: u64 = 1 << 22;

/// The most metadata blocks of a table that are read.
const MAX_METADATA_BLOCKS: usize = 1 << 16;

/// What all that are open may take; what each of them takes without its tree, and a file without
/// its name.
const ALL_OPEN: usize = 226 << 20;
const OPEN: usize = 2 << 20;
const NODE: usize = 192;

/// A table that is not there.
const NONE: u64 = u64::MAX;

/// What a file system is made of.
struct Squash {
    inodes: Vec<u8>,
    count: u32,
    root: usize,
    directories: Vec<u8>,
    fragments: Vec<u8>,
    fragment_count: u32,
    xattrs: Vec<u8>,
    xattr_ids: Vec<u8>,
    /// Bytes of data, zeros but for what it starts with.
    data_len: u64,
    data: Vec<u8>,
}

/// Metadata as it is, in blocks of 8 KiB, and where each starts.
fn stream(bytes: &[u8], start: u64) -> (Vec<u8>, Vec<u64>) {
    let (mut made, mut starts) = (Vec::new(), Vec::new());
    for block in bytes.chunks(BLOCK) {
        starts.push(start + made.len() as u64);
        made.extend((block.len() as u16 | 0x8000).to_le_bytes());
        made.extend(block);
    }
    (made, starts)
}

/// Where a byte of a table is: block and byte.
fn place(at: usize) -> (u32, u16) {
    ((at / BLOCK * (BLOCK + 2)) as u32, (at % BLOCK) as u16)
}

impl Squash {
    fn new() -> Self {
        Self {
            inodes: Vec::new(),
            count: 0,
            root: 0,
            directories: Vec::new(),
            fragments: Vec::new(),
            fragment_count: 0,
            xattrs: Vec::new(),
            xattr_ids: Vec::new(),
            data_len: 0,
            data: Vec::new(),
        }
    }

    /// Adds what all inodes start with, and returns where that is.
    fn header(&mut self, kind: u16) -> usize {
        let at = self.inodes.len();
        self.count += 1;
        for half in [kind, 0o644, 0, 0] {
            self.inodes.extend(half.to_le_bytes());
        }
        self.inodes.extend([0; 4]);
        self.inodes.extend(self.count.to_le_bytes());
        at
    }

    /// A directory with a list that is at a byte of the table.
    fn directory(&mut self, list: usize, len: usize, links: u32, parent: u32) -> usize {
        let at = self.header(8);
        let (block, offset) = place(list);
        for word in [links, len as u32 + 3, block, parent] {
            self.inodes.extend(word.to_le_bytes());
        }
        self.inodes.extend([0, 0]);
        self.inodes.extend(offset.to_le_bytes());
        self.inodes.extend(u32::MAX.to_le_bytes());
        at
    }

    /// A file with these sizes of blocks, which lie from the first byte of the data on.
    fn file(&mut self, size: u64, sparse: u64, links: u32, blocks: &[u32]) -> usize {
        let at = self.header(9);
        for word in [96, size, sparse] {
            self.inodes.extend(word.to_le_bytes());
        }
        for word in [links, u32::MAX, 0, u32::MAX] {
            self.inodes.extend(word.to_le_bytes());
        }
        blocks.iter().for_each(|size| self.inodes.extend(size.to_le_bytes()));
        at
    }

    /// Adds a list of names, each with the byte of the inode that it is for, its number, and its
    /// type. Returns where it is, and how long.
    fn list(&mut self, names: &[(String, usize, u32, u16)]) -> (usize, usize) {
        let start = self.directories.len();
        let mut rest = names;
        while let Some((_, first, number, _)) = rest.first() {
            let block = place(*first).0;
            let same = rest.iter().take(256).take_while(|name| place(name.1).0 == block).count();
            let (now, later) = rest.split_at(same);
            for word in [same as u32 - 1, block, *number] {
                self.directories.extend(word.to_le_bytes());
            }
            for (name, at, this, kind) in now {
                self.directories.extend(place(*at).1.to_le_bytes());
                self.directories.extend((this.wrapping_sub(*number) as u16).to_le_bytes());
                self.directories.extend(kind.to_le_bytes());
                self.directories.extend((name.len() as u16 - 1).to_le_bytes());
                self.directories.extend(name.as_bytes());
            }
            rest = later;
        }
        (start, self.directories.len() - start)
    }

    fn made(self, edit: impl FnOnce(&mut [u8])) -> Made {
        let mut first = vec![0; 96];
        let mut tail = Vec::new();
        let start = 96 + self.data_len;
        let mut table = |bytes: &[u8], indexed: bool| {
            let at = start + tail.len() as u64;
            let (made, starts) = stream(bytes, at);
            tail.extend(made);
            let index = start + tail.len() as u64;
            if indexed {
                starts.iter().for_each(|start| tail.extend(start.to_le_bytes()));
            }
            if indexed { index } else { at }
        };
        let inodes = table(&self.inodes, false);
        let directories = table(&self.directories, false);
        let fragments = if self.fragment_count > 0 { table(&self.fragments, true) } else { NONE };
        let ids = table(&[0; 4], true);
        let mut xattrs = NONE;
        if !self.xattr_ids.is_empty() {
            let values = table(&self.xattrs, false);
            let at = start + tail.len() as u64;
            let (made, starts) = stream(&self.xattr_ids, at);
            tail.extend(made);
            xattrs = start + tail.len() as u64;
            tail.extend(values.to_le_bytes());
            tail.extend((self.xattr_ids.len() as u32 / 16).to_le_bytes());
            tail.extend([0; 4]);
            starts.iter().for_each(|start| tail.extend(start.to_le_bytes()));
        }
        let end = start + tail.len() as u64;
        let (block, offset) = place(self.root);
        let mut put = |at: usize, bytes: &[u8]| first[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"hsqs");
        put(4, &self.count.to_le_bytes());
        put(12, &(1_u32 << 20).to_le_bytes());
        put(16, &self.fragment_count.to_le_bytes());
        // zstd; 1 MiB; nothing of metadata is compressed.
        put(20, &[6, 0, 20, 0, 0x01, 0x09, 1, 0, 4, 0, 0, 0]);
        put(32, &(u64::from(block) << 16 | u64::from(offset)).to_le_bytes());
        let places = [end, ids, xattrs, inodes, directories, fragments, NONE];
        for (number, at) in places.into_iter().enumerate() {
            put(40 + number * 8, &at.to_le_bytes());
        }
        edit(&mut first);
        let mut made = Made::new(end.next_multiple_of(4096));
        made.pieces = vec![(0, first), (96, self.data), (start, tail)];
        made
    }

    fn judge(self) -> Recorded {
        self.judge_with(|_| ())
    }

    fn judge_with(self, edit: impl FnOnce(&mut [u8])) -> Recorded {
        judged(self.made(edit))
    }
}

/// Judges a file system and opens it, in the memory that it may take.
fn judged(made: Made) -> Recorded {
    let region = Region::whole(Arc::new(made)).unwrap();
    limited(MEMORY, || {
        let mut out = Recorder::default();
        let volume = squashfs::verify(&region, "disk", &Trouble::default(), &mut out).unwrap();
        finish(out, if volume.is_some() { "opened" } else { "not opened" })
    })
}

/// What was found in all of it.
fn finish(out: Recorder, structure: &'static str) -> Recorded {
    let space = ImageSpace::Raw;
    let whole = Location { structure: structure.into(), space, offset: 0, len: 0, path: None };
    out.finish(&[], &UNUSED_WAIVER, &whole)
}

/// It is good, or larger than what is judged, which is told and no error.
fn is_judged(report: &Recorded, whole: bool) {
    is_within(report, whole);
    assert_eq!(report.findings.len(), usize::from(!whole), "{:?}", report.findings);
}

/// The same, whatever else is wrong.
fn is_within(report: &Recorded, whole: bool) {
    let mut limits = report.findings.iter().filter(|finding| finding.check == "squashfs-limits");
    // It may be told of several tables.
    let severity = limits.next().map(|finding| finding.severity);
    let want = (!whole).then_some(Severity::Warning);
    assert_eq!(severity, want, "{:?}", report.findings);
}

/// A file system whose root has one file, with this many bytes and these blocks.
fn one_file(size: u64, sparse: u64, blocks: &[u32]) -> Squash {
    let mut squash = Squash::new();
    let at = squash.file(size, sparse, 1, blocks);
    let (list, len) = squash.list(&[("file".to_owned(), at, 1, 2)]);
    squash.root = squash.directory(list, len, 2, 3);
    squash
}

#[test]
fn small_ones_are_good() {
    let _alone = alone();
    let report = one_file(0, 0, &[]).judge();
    assert_eq!(report.findings, []);
    let report = one_file(3 << 20, 3 << 20, &[0, 0, 0]).judge();
    assert_eq!(report.findings, []);
}

/// A chain of directories, each in the one before it.
#[test]
fn deep_directories() {
    let _alone = alone();
    let count = 100_000 / LESS as u32;
    let mut squash = Squash::new();
    let (mut list, mut len) = (0, 0);
    for number in 1..=count {
        let links = if number == 1 { 2 } else { 3 };
        let at = squash.directory(list, len, links, number + 1);
        squash.root = at;
        (list, len) = squash.list(&[("d".to_owned(), at, number, 1)]);
    }
    squash.judge();
}

/// A directory with as many names as are judged: of as many files, of one file, and of one
/// directory.
#[test]
fn a_directory_of_a_million() {
    let _alone = alone();
    let count = ((1 << 20) - 1) / LESS as u32;
    for kind in 0..3 {
        let mut squash = Squash::new();
        let mut names = Vec::new();
        let mut at = 0;
        for number in 1..=count {
            let (this, entry) = match kind {
                0 => {
                    at = squash.file(0, 0, 1, &[]);
                    (number, 2)
                }
                1 => {
                    at = if number == 1 { squash.file(0, 0, count, &[]) } else { at };
                    (1, 2)
                }
                _ => {
                    at = if number == 1 { squash.directory(0, 0, 2, 2) } else { at };
                    (1, 1)
                }
            };
            names.push((format!("{number:07}"), at, this, entry));
        }
        let (list, len) = squash.list(&names);
        squash.root = squash.directory(list, len, if kind == 2 { 2 + count } else { 2 }, 0);
        let report = squash.judge();
        if kind == 2 {
            finds(&report, "squashfs-directory-link");
        } else {
            assert_eq!(report.findings, []);
        }
    }
}

/// Thousands of directories with the same long list.
#[test]
fn lists_that_directories_share() {
    let _alone = alone();
    let count = 20_000 / LESS as u32;
    let mut squash = Squash::new();
    let names: Vec<_> =
        (0..count).map(|n| (format!("{n:06}"), 40 * n as usize, n + 1, 1)).collect();
    let (list, len) = squash.list(&names);
    for _ in 0..count {
        squash.directory(list, len, 2, count + 1);
    }
    squash.root = squash.directory(list, len, 2 + count, count + 2);
    finds(&squash.judge(), "squashfs-directory-list");
}

/// Files that are larger than any disk, and mostly holes.
#[test]
fn files_of_holes() {
    let _alone = alone();
    one_file(1 << 60, 1 << 60, &[0; 1000]).judge();
    one_file(u64::MAX, u64::MAX, &[0; 1000]).judge();
    let blocks = 16_000_000 / LESS as usize;
    let size = (blocks as u64) << 20;
    assert_eq!(one_file(size, size - 1, &vec![0; blocks]).judge().findings, []);
}

/// As many data blocks as are judged, and more; of one byte each, and all the same.
#[test]
fn blocks_as_many_as_there_can_be() {
    let _alone = alone();
    for count in [4_000_000, 5_000_000] {
        let count = count / LESS;
        let mut squash = one_file(count << 20, 0, &vec![1 | 1 << 24; count as usize]);
        squash.data_len = count;
        is_within(&squash.judge(), count <= MAX_BLOCKS);
    }
    let mut squash = Squash::new();
    let names: Vec<_> = (1..=30_000 / LESS as u32)
        .map(|n| {
            let at = squash.file(100 << 20, 0, 1, &[1 | 1 << 24; 100]);
            (format!("{n:06}"), at, n, 2)
        })
        .collect();
    squash.data_len = 100;
    let (list, len) = squash.list(&names);
    squash.root = squash.directory(list, len, 2, 0);
    // All files have the same blocks, which count once each.
    is_within(&squash.judge(), names.len() as u64 * 100 <= MAX_BLOCKS);
}

/// Little that becomes much: as much as it may, and more.
#[test]
fn blocks_that_inflate() {
    let _alone = alone();
    let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 3).unwrap();
    for count in [4000, 4_000_000] {
        let count = count / LESS;
        let mut squash = one_file(count << 20, 0, &vec![bomb.len() as u32; count as usize]);
        squash.data = bomb.repeat(count as usize);
        squash.data_len = squash.data.len() as u64;
        let report = squash.judge();
        if count << 20 > 4 << 30 {
            finds(&report, "squashfs-expansion-limit");
        } else {
            assert_eq!(report.findings, []);
        }
    }
}

/// Metadata that inflates as well: both tables are one block, again and again.
#[test]
fn tables_that_inflate() {
    let _alone = alone();
    let squash = one_file(0, 0, &[]);
    let mut made = squash.made(|_| ());
    let block = zstd::bulk::compress(&[0; BLOCK], 3).unwrap();
    let block = [&(block.len() as u16).to_le_bytes()[..], &block].concat();
    let count = 100_000 / LESS as usize;
    let table = block.repeat(count);
    let (inodes, directories) = (96_u64, 96 + table.len() as u64);
    let end = directories + table.len() as u64;
    let first = &mut made.pieces[0].1;
    first[64..72].copy_from_slice(&inodes.to_le_bytes());
    first[72..80].copy_from_slice(&directories.to_le_bytes());
    let ids = [&[4, 0x80, 0, 0, 0, 0][..], &end.to_le_bytes()].concat();
    first[40..48].copy_from_slice(&(end + ids.len() as u64).to_le_bytes());
    first[48..56].copy_from_slice(&(end + 6).to_le_bytes());
    let first = first.clone();
    made.len = (end + ids.len() as u64).next_multiple_of(4096);
    made.pieces = vec![(0, first), (inodes, table.clone()), (directories, table), (end, ids)];
    let report = judged(made);
    is_within(&report, count <= MAX_METADATA_BLOCKS);
}

/// Counts that nothing stands behind.
#[test]
fn counts_without_end() {
    let _alone = alone();
    for at in [4, 16] {
        let report = one_file(0, 0, &[])
            .judge_with(|first| first[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes()));
        finds(&report, "squashfs-limits");
    }
    for at in (32..96).step_by(8) {
        one_file(0, 0, &[]).judge_with(|first| first[at..at + 8].fill(0xfe));
        one_file(0, 0, &[]).judge_with(|first| first[at..at + 8].fill(0));
    }
}

/// Two million fragments of one byte.
#[test]
fn fragments_by_the_million() {
    let _alone = alone();
    let count = 2_000_000 / LESS as u32;
    let mut squash = one_file(0, 0, &[]);
    squash.fragment_count = count;
    squash.data_len = count.into();
    for number in 0..u64::from(count) {
        squash.fragments.extend((96 + number).to_le_bytes());
        squash.fragments.extend((1_u64 | 1 << 24).to_le_bytes());
    }
    is_judged(&squash.judge(), u64::from(count) <= MAX_BLOCKS / 2);
}

/// Attributes that all inodes share, which are long.
#[test]
fn attributes_that_are_shared() {
    let _alone = alone();
    let count = 1_000_000 / LESS as usize;
    let mut squash = one_file(0, 0, &[]);
    // Attributes of one letter with an empty value.
    for _ in 0..10_000 {
        squash.xattrs.extend([0, 0, 1, 0, b'a', 0, 0, 0, 0]);
    }
    for _ in 0..count {
        squash.xattr_ids.extend(0_u64.to_le_bytes());
        squash.xattr_ids.extend(10_000_u32.to_le_bytes());
        squash.xattr_ids.extend(70_000_u32.to_le_bytes());
    }
    finds(&squash.judge(), "squashfs-xattr");
}

/// One file with more names than are judged.
#[test]
fn names_of_one_file() {
    let _alone = alone();
    let count = 1 << 20;
    let mut squash = Squash::new();
    let at = squash.file(0, 0, count, &[]);
    let names: Vec<_> = (0..count).map(|number| (format!("{number:05x}"), at, 1, 2)).collect();
    let (list, len) = squash.list(&names);
    squash.root = squash.directory(list, len, 2, 0);
    finds(&squash.judge(), "squashfs-limits");
}

/// As many names, as long as names can be.
#[test]
fn names_that_are_long() {
    let _alone = alone();
    let count = 900_000 / LESS as u32;
    let mut squash = Squash::new();
    let at = squash.file(0, 0, count, &[]);
    let names: Vec<_> = (0..count).map(|number| (format!("{number:0255}"), at, 1, 2)).collect();
    let (list, len) = squash.list(&names);
    squash.root = squash.directory(list, len, 2, 0);
    is_judged(&squash.judge(), count as usize * (NODE + 255) + OPEN <= ALL_OPEN);
}

/// One more than are judged, in all builds.
#[test]
fn one_block_too_much() {
    let _alone = alone();
    let count = MAX_BLOCKS + 1;
    let mut squash = one_file(count << 20, 0, &vec![1 | 1 << 24; count as usize]);
    squash.data_len = count;
    is_within(&squash.judge(), false);
}

/// Files whose blocks lie over each other: all of them start at the first byte.
#[test]
fn blocks_that_overlap() {
    let _alone = alone();
    let mut squash = Squash::new();
    let names: Vec<_> = (1..=100_000 / LESS as u32)
        .map(|n| (format!("{n:06}"), squash.file(1, 0, 1, &[(1 << 20) - n]), n, 2))
        .collect();
    squash.data_len = 2 << 20;
    let (list, len) = squash.list(&names);
    squash.root = squash.directory(list, len, 2, 0);
    let report = squash.judge();
    finds(&report, "squashfs-block-overlap");
    // None of them was read.
    assert!(report.findings.iter().all(|finding| finding.check != "squashfs-data"));
}

/// Names that lead from one block of inodes to another one, and back.
#[test]
fn names_that_jump() {
    let _alone = alone();
    let mut squash = Squash::new();
    // Each takes half a block.
    let inodes: Vec<_> =
        (1..=4000).map(|n| (squash.file(1014 << 20, 1 << 20, 1, &[0; 1014]), n)).collect();
    let names: Vec<_> = (0..250_000)
        .map(|name| {
            let (at, number) = inodes[name * 1237 % inodes.len()];
            (format!("{name:06}"), at, number, 2)
        })
        .collect();
    let (list, len) = squash.list(&names);
    squash.root = squash.directory(list, len, 2, 0);
    let report = squash.judge();
    let limits = report.findings.iter().filter(|finding| finding.check == "squashfs-limits");
    let messages: Vec<_> = limits.map(|finding| &*finding.message).collect();
    assert!(messages.len() == 1 && messages[0].contains("more metadata blocks"), "{messages:?}");
}

/// Values of attributes that are empty, and elsewhere; and more attributes of an inode than Linux
/// lists.
#[test]
fn attributes_that_are_elsewhere() {
    const ZEROS: usize = 1 << 16;
    let _alone = alone();
    for (ids, count) in [(1, 70_000_u32), (100, 12_000)] {
        let mut squash = one_file(0, 0, &[]);
        let mut set = |xattrs: &Vec<u8>, count: u32, size: u32| {
            let (block, offset) = place(xattrs.len());
            squash.xattr_ids.extend((u64::from(block) << 16 | u64::from(offset)).to_le_bytes());
            squash.xattr_ids.extend(count.to_le_bytes());
            squash.xattr_ids.extend(size.to_le_bytes());
        };
        // Every four bytes of these are the length of an empty value.
        let mut xattrs = Vec::new();
        let zeros = (ids * count as usize).div_ceil(ZEROS - 4);
        for _ in 0..zeros {
            set(&xattrs, 1, ZEROS as u32 + 7);
            xattrs.extend([0, 0, 1, 0, b'a', 0, 0, 1, 0]);
            xattrs.resize(xattrs.len() + ZEROS, 0);
        }
        for id in 0..ids {
            set(&xattrs, count, count * 7);
            for number in 0..count as usize {
                let value = id * count as usize + number;
                let (pad, byte) = (value / (ZEROS - 4), value % (ZEROS - 4));
                let (block, offset) = place(pad * (9 + ZEROS) + 9 + byte);
                xattrs.extend([0, 1, 1, 0, b'a', 8, 0, 0, 0]);
                xattrs.extend((u64::from(block) << 16 | u64::from(offset)).to_le_bytes());
            }
        }
        squash.xattrs = xattrs;
        let report = squash.judge();
        finds(&report, "squashfs-limits");
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    }
}

/// Many findings in a long list: it is read once for all of their paths.
#[test]
fn paths_in_a_long_list() {
    let _alone = alone();
    let count = 100_000;
    let mut squash = Squash::new();
    let mut names = Vec::new();
    for number in 1..=count {
        let at = squash.file(0, 0, 1, &[]);
        match count - number {
            // No such owner, and a type that is not that of the inode.
            0..16 => squash.inodes[at + 4] = 7,
            16..32 => squash.inodes[at + 3] |= 0xc0,
            _ => {}
        }
        names.push((format!("{number:0200}"), at, number, 2));
    }
    let (list, len) = squash.list(&names);
    squash.root = squash.directory(list, len, 2, 0);
    let report = squash.judge();
    assert_eq!(report.findings.len(), 32, "{:?}", report.findings);
    for (finding, number) in report.findings.iter().zip(count - 31..) {
        assert_eq!(finding.at.path, Some(format!("/{number:0200}")));
    }
}

/// File systems that are open at the same time, as those of a disc are, keep little of what was
/// read.
#[test]
fn open_at_the_same_time() {
    let _alone = alone();
    let mut squash = Squash::new();
    // Each takes half a block.
    let names: Vec<_> = (1..=4000)
        .map(|n| {
            let at = squash.file(1014 << 20, 1 << 20, 1, &[0; 1014]);
            (format!("{n:04}"), at, n, 2)
        })
        .collect();
    let (list, len) = squash.list(&names);
    squash.root = squash.directory(list, len, 2, 0);
    let region = Region::whole(Arc::new(squash.made(|_| ()))).unwrap();
    let before = ALLOCATED.allocated();
    let volumes: Vec<_> = (0..4)
        .map(|_| {
            let mut out = Recorder::default();
            let volume = squashfs::verify(&region, "disk", &Trouble::default(), &mut out).unwrap();
            let volume = volume.unwrap();
            for name in ["0001", "2000", "4000"] {
                let id = volume.find_file(name.as_bytes()).unwrap();
                assert_eq!(volume.head(id, 10).unwrap(), [0; 10]);
            }
            volume
        })
        .collect();
    let each = (ALLOCATED.allocated() - before) / volumes.len();
    assert!(each < 4 << 20, "{each} bytes each");
}

/// File systems of one disc, whose trees together take more than they may: those that do not fit
/// are not opened, and this is told of each.
#[test]
fn trees_of_one_image() {
    let _alone = alone();
    let count = 100_000;
    let mut squash = Squash::new();
    let at = squash.file(0, 0, count, &[]);
    let names: Vec<_> = (0..count).map(|number| (format!("{number:0200}"), at, 1, 2)).collect();
    let (list, len) = squash.list(&names);
    squash.root = squash.directory(list, len, 2, 0);
    let region = Region::whole(Arc::new(squash.made(|_| ()))).unwrap();
    let fit = ALL_OPEN / (OPEN + count as usize * (NODE + 200));
    let mut opened = 0;
    let report = limited(MEMORY, || {
        let (mut memory, mut out) = (squashfs::Memory::default(), Recorder::default());
        let trouble = Trouble::default();
        let mut open =
            |name| squashfs::verify_within(&region, name, &mut memory, &trouble, &mut out).unwrap();
        let volumes: Vec<_> = (0..8).filter_map(|_| open("disk")).collect();
        opened = volumes.len();
        finish(out, "8 of them")
    });
    assert_eq!(opened, fit);
    let found: Vec<_> = report.findings.iter().map(|finding| &*finding.check).collect();
    assert_eq!(found, vec!["squashfs-limits"; 8 - fit]);
}

/// Files of an image whose trees take all the memory that they may are read by fewer threads: each
/// has blocks in memory.
#[test]
fn threads_beside_trees() {
    const FULL: u64 = 1 << 20;
    let _alone = alone();
    let squash = |count: u32| {
        let mut squash = Squash::new();
        // Noise, and nothing: it does not inflate much.
        let mut noise = vec![0; FULL as usize];
        let mut state = 1_u32;
        noise[..FULL as usize * 9 / 10].fill_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let packed = zstd::bulk::compress(&noise, 3).unwrap();
        squash.data = [&packed[..], &noise.repeat(2)].concat();
        squash.data_len = squash.data.len() as u64;
        // Two files of a block and all of a fragment block but one byte.
        let mut names = Vec::new();
        for number in 0..2_u32 {
            let at = squash.file(2 * FULL - 1, 0, 1, &[packed.len() as u32]);
            squash.inodes[at + 44..at + 48].copy_from_slice(&number.to_le_bytes());
            squash.inodes[at + 48..at + 52].fill(0);
            let start = 96 + packed.len() as u64 + u64::from(number) * FULL;
            squash.fragments.extend(start.to_le_bytes());
            squash.fragments.extend((FULL | 1 << 24).to_le_bytes());
            squash.fragment_count += 1;
            names.push((format!("{number}"), at, number + 1, 2));
        }
        let at = squash.file(0, 0, count, &[]);
        names.extend((0..count).map(|number| (format!("a{number:0200}"), at, 3, 2)));
        let (list, len) = squash.list(&names);
        squash.root = squash.directory(list, len, 2, 0);
        Region::whole(Arc::new(squash.made(|_| ()))).unwrap()
    };
    let (small, large) = (squash(1), squash(100_000));
    for region in [small, large] {
        let mut most = 0;
        limited(MEMORY, || {
            let (mut memory, mut out) = (squashfs::Memory::default(), Recorder::default());
            let trouble = Trouble::default();
            let mut open = || {
                squashfs::verify_within(&region, "disk", &mut memory, &trouble, &mut out).unwrap()
            };
            let volumes: Vec<_> = (0..6).filter_map(|_| open()).collect();
            let volume = volumes.last().unwrap();
            let contents = volume.files.contents();
            most = contents.most_readers();
            let mut readers: Vec<_> = (0..most.min(16)).map(|_| contents.reader()).collect();
            for reader in &mut readers {
                for name in ["0", "1"] {
                    let id = volume.find_file(name.as_bytes()).unwrap();
                    let mut len = 0;
                    reader.read(&volume.tree, id, &mut |piece| len += piece.len() as u64).unwrap();
                    assert_eq!(len, 2 * FULL - 1);
                }
            }
            drop(readers);
            finish(out, "6 of them")
        });
        assert!(if region.len() < 8 << 20 { most >= 16 } else { most < 8 }, "{most}");
    }
}
