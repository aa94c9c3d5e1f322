//! Time and memory that ext4, ISO 9660, SquashFS, qcow2, VHD, appliances, container images and Nix
//! stores may cost, on those that try to cost more.
//!
//! None of them is an image: they are made while they are read, and most are larger than any disk
//! of whoever runs the tests.

#![expect(clippy::print_stdout, reason = "what it cost is told")]

mod archives;
mod contents;
mod disk;
mod iso9660;
#[path = "../support/limit.rs"]
mod limit;
mod made;
mod squashfs;
mod store;
mod vm_disks;

use std::{
    alloc::System,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use cap::Cap;
use image_formats::bytes::Region;
use image_model::{Finding, VerificationReport};
use image_verify::{Recorded, ext4};

use disk::{Disk, EXTENTS, INDEX, directory, inode, node};
use limit::LIMIT;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

const DIRECTORY: u16 = 0o040_755;
const FILE: u16 = 0o100_644;

/// How much smaller all is in a build without optimization.
const LESS: u64 = if cfg!(debug_assertions) { 8 } else { 1 };

/// Blocks of the file systems whose blocks lead to others.
const BLOCKS: u64 = 100_000 / LESS;

/// Judges an ext4 file system in the memory that it may take.
fn judge(disk: Disk) -> VerificationReport {
    let (inodes, clusters) = (disk.inodes_count() as usize, disk.blocks_count() as usize);
    let region = Region::whole(Arc::new(disk)).unwrap();
    let limit = (64 << 20) + 40 * inodes + clusters / 4;
    let report = limited(limit, || ext4::check(&region).unwrap());
    assert!(!report.passed());
    report
}

/// Until it goes no other test takes memory, which is counted for all.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What has findings.
trait Judged {
    fn findings(&self) -> &[Finding];
}

impl Judged for VerificationReport {
    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

impl Judged for Recorded {
    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// Judges with so much memory: what cannot be allocated aborts.
fn limited<R: Judged>(limit: usize, judge: impl FnOnce() -> R) -> R {
    let before = MEMORY.allocated();
    MEMORY.set_limit(before + limit).unwrap();
    let start = Instant::now();
    let report = judge();
    MEMORY.set_limit(usize::MAX).unwrap();
    let peak = MEMORY.max_allocated().saturating_sub(before);
    let seconds = start.elapsed().as_secs_f64();
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    println!("{name}: {seconds:.2} s, {} MiB at most so far", peak >> 20);
    let found: std::collections::BTreeSet<_> =
        report.findings().iter().map(|f| &*f.check).collect();
    println!("    {found:?}");
    assert!(start.elapsed() < LIMIT, "{seconds} s");
    report
}

fn finds(report: &impl Judged, check: &str) {
    let found: Vec<_> = report.findings().iter().map(|finding| &*finding.check).collect();
    assert!(found.contains(&check), "{check}: {found:?}");
}

/// A chain of directories, each in the one before it; `..` of directory `n` is `up(n)`.
fn chain(count: u32, up: fn(u32) -> u32, from_root: bool) -> Disk {
    let mut disk = Disk::new(1024, u64::from(count) + 11, u64::from(count) + 10);
    let place = Disk::new(1024, u64::from(count) + 11, u64::from(count) + 10);
    disk.inode = Box::new(move |ino, raw| {
        let number = if ino == 2 { 0 } else { ino.wrapping_sub(10) };
        if number <= count && (ino == 2 || ino > 10) {
            let block = place.data(u64::from(number));
            inode(raw, DIRECTORY, 3, 1024, EXTENTS, &node(4, 0, &[(0, 1, block)]));
        }
    });
    disk.block = Box::new(move |number, raw| {
        let number = number as u32;
        if number > count {
            return;
        }
        let ino = |number: u32| if number == 0 { 2 } else { number + 10 };
        let next = if number == 0 && !from_root { 0 } else { number % count + 1 };
        directory(raw, &[(ino(number), ".", 2), (ino(up(number)), "..", 2), (ino(next), "d", 2)]);
    });
    disk
}

#[test]
fn deep_directories() {
    let _alone = alone();
    let count = (100_000 / LESS) as u32;
    judge(chain(count, |number| number.saturating_sub(1), true));
}

/// Directories that are in each other, and not in the root.
#[test]
fn directories_in_a_ring() {
    let _alone = alone();
    let count = (100_000 / LESS) as u32;
    finds(&judge(chain(count, |number| number.saturating_sub(1), false)), "ext4-directory-loop");
    judge(chain(count, |_| 2, false));
    judge(chain(count, |number| number ^ 1, false));
}

/// Directories with the same blocks, and with runs that are free but for their last block.
#[test]
fn blocks_that_all_directories_want() {
    let _alone = alone();
    for size in [1024, 4096, 65536] {
        for len in [1, 32768_u16] {
            let mut disk = Disk::new(size, 65536 * 4 / LESS, 70_000);
            if size < 65536 {
                // A run of this length lies in one group.
                disk.incompat = 0x200;
            }
            let first = disk.data(5);
            disk.inode = Box::new(move |ino, raw| {
                let bytes = u64::from(len) * u64::from(size);
                let map =
                    if ino == 2 { (0, 1, first + u64::from(len) - 1) } else { (0, len, first) };
                if ino == 2 || ino > 10 {
                    inode(raw, DIRECTORY, 2, bytes, EXTENTS, &node(4, 0, &[map]));
                }
            });
            disk.block = Box::new(|_, raw| directory(raw, &[(2, ".", 2), (2, "..", 2)]));
            finds(&judge(disk), "ext4-block-claim");
        }
    }
}

/// Each node leads to nodes, which lead back.
#[test]
fn extent_trees_that_lead_to_each_other() {
    let _alone = alone();
    let mut disk = Disk::new(4096, (1 << 16) / LESS, BLOCKS);
    let place = Disk::new(4096, (1 << 16) / LESS, BLOCKS);
    disk.inode = Box::new(move |ino, raw| {
        if ino == 2 || ino > 10 {
            let blocks =
                [0, 1, 2, 3].map(|n| place.data((u64::from(ino) * 7919 + n) % (BLOCKS - 9)));
            let slots = blocks.map(|block| (block as u32 % 4, 0, block));
            inode(raw, FILE, 1, 1 << 40, EXTENTS, &node(4, 5, &slots));
        }
    });
    let place = Disk::new(4096, (1 << 16) / LESS, BLOCKS);
    disk.block = Box::new(move |number, raw| {
        let slots: Vec<_> =
            (0..340).map(|n| (n, 0, place.data((number + u64::from(n)) % (BLOCKS - 9)))).collect();
        let node = node(340, (number % 6) as u16, &slots);
        raw[..node.len()].copy_from_slice(&node);
    });
    judge(disk);
}

/// Tiny inodes that all name one large block of attributes, and those that all name another one.
#[test]
fn attributes_that_all_inodes_have() {
    let _alone = alone();
    for shared in [true, false] {
        let mut disk = Disk::new(65536, (1 << 20) / LESS, 20_000);
        let place = Disk::new(65536, (1 << 20) / LESS, 20_000);
        disk.inode = Box::new(move |ino, raw| {
            if ino == 2 || ino > 10 {
                inode(raw, FILE, 1, 0, EXTENTS, &node(4, 0, &[]));
                let number = if shared { 1 } else { u64::from(ino) % 10_000 };
                raw[0x68..0x6c].copy_from_slice(&(place.data(number) as u32).to_le_bytes());
            }
        });
        disk.block = Box::new(|_, raw| {
            raw[..4].copy_from_slice(&0xea02_0000_u32.to_le_bytes());
            raw[4..8].copy_from_slice(&1024_u32.to_le_bytes());
            raw[8..12].copy_from_slice(&1_u32.to_le_bytes());
            // Names of one byte without a value, of all there is.
            for entry in raw[32..60_000].chunks_exact_mut(20) {
                entry[..2].copy_from_slice(&[1, 1]);
                entry[16] = b'a';
            }
        });
        judge(disk);
    }
}

/// Terabytes of groups, each with little in it.
#[test]
fn groups_as_many_as_there_can_be() {
    let _alone = alone();
    let mut disk = Disk::new(4096, 1, 1);
    (disk.groups, disk.blocks_per_group, disk.inodes_per_group) =
        ((1 << 17) / LESS as u32, 8192, 32);
    judge(disk);
    // All of them name the same bitmaps and tables.
    let mut disk = Disk::new(4096, 1, 1);
    (disk.groups, disk.blocks_per_group, disk.inodes_per_group) =
        ((1 << 17) / LESS as u32, 8192, 32);
    disk.incompat = 0x200;
    disk.descriptor = Some(Box::new(|_, raw| {
        [0, 4, 8].iter().for_each(|at| raw[*at..at + 4].copy_from_slice(&9000_u32.to_le_bytes()));
    }));
    judge(disk);
}

/// Millions of inodes, none of them in use.
#[test]
fn inodes_that_nobody_uses() {
    let _alone = alone();
    let mut disk = Disk::new(4096, 1, 1);
    (disk.groups, disk.blocks_per_group, disk.inodes_per_group) = (4096 / LESS as u32, 2048, 32768);
    judge(disk);
}

/// Files of all sizes that there are not, and directories that are mostly holes.
#[test]
fn sizes_that_nobody_has() {
    let _alone = alone();
    let mut disk = Disk::new(4096, (1 << 16) / LESS, BLOCKS);
    let place = Disk::new(4096, (1 << 16) / LESS, BLOCKS);
    disk.inode = Box::new(move |ino, raw| {
        let block = place.data(u64::from(ino));
        let (mode, size) = match ino % 4 {
            _ if ino != 2 && ino <= 10 => return,
            0 => (FILE, u64::MAX),
            1 => (FILE, 1 << 63),
            2 => (DIRECTORY, 1 << 43),
            _ => (DIRECTORY, 1 << 40),
        };
        let flags = if mode == DIRECTORY { EXTENTS | INDEX } else { EXTENTS };
        inode(raw, mode, 1, size, flags, &node(4, 0, &[(u32::MAX - 1, 1, block)]));
    });
    judge(disk);
    // Without extents: three levels of blocks that list blocks.
    let mut disk = Disk::new(4096, (1 << 16) / LESS, BLOCKS);
    let place = Disk::new(4096, (1 << 16) / LESS, BLOCKS);
    disk.inode = Box::new(move |ino, raw| {
        if ino == 2 || ino > 10 {
            let mut map = [0; 60];
            let block = place.data(u64::from(ino)) as u32;
            map[56..].copy_from_slice(&block.to_le_bytes());
            let mode = if ino % 2 == 0 { DIRECTORY } else { FILE };
            inode(raw, mode, 1, u64::MAX >> 1, 0, &map);
        }
    });
    let place = Disk::new(4096, (1 << 16) / LESS, BLOCKS);
    disk.block = Box::new(move |number, raw| {
        for (entry, n) in raw.chunks_exact_mut(4).zip(1..) {
            let block = place.data((number * 1024 + n) % BLOCKS) as u32;
            entry.copy_from_slice(&block.to_le_bytes());
        }
    });
    judge(disk);
}

/// One directory with as many names as there is room for, all the same; and one whose index leads
/// everywhere.
#[test]
fn names_without_end() {
    let _alone = alone();
    for flags in [EXTENTS, EXTENTS | INDEX] {
        for same in [true, false] {
            let blocks = 60_000 / LESS;
            let mut disk = Disk::new(1024, 30_000, blocks + 100);
            let place = Disk::new(1024, 30_000, blocks + 100);
            disk.inode = Box::new(move |ino, raw| match ino {
                2 => {
                    // As long as a group has room, in four runs.
                    let per = 5000_u32.min(blocks as u32 / 4);
                    let runs = [0, 1, 2, 3]
                        .map(|n| (n * per, per as u16, place.data(u64::from(n) * place.free())));
                    inode(raw, DIRECTORY, 2, u64::from(per) * 4096, flags, &node(4, 0, &runs));
                }
                11.. => inode(raw, FILE, 1, 0, EXTENTS, &node(4, 0, &[])),
                _ => (),
            });
            disk.block = Box::new(move |number, raw| {
                let start = if number == 0 { 24 } else { 0 };
                if number == 0 {
                    directory(&mut raw[..24], &[(2, ".", 2), (2, "..", 2)]);
                }
                for (entry, n) in raw[start..].chunks_exact_mut(16).zip(0_u32..) {
                    let name = if same { 7 } else { number as u32 * 64 + n };
                    entry[..4].copy_from_slice(&(11 + n % 40).to_le_bytes());
                    entry[4..8].copy_from_slice(&[16, 0, 8, 1]);
                    entry[8..].copy_from_slice(format!("{name:08x}").as_bytes());
                }
                if number == 0 {
                    raw[1008 + 4] = 24;
                }
            });
            judge(disk);
        }
    }
}
