//! Bytes that were made to hurt.

use std::{
    io::{self, Read as _},
    ops::Range,
    sync::Arc,
    time::Instant,
};

use image_formats::{
    bytes::ReadAt,
    squashfs::raw::{DirectoryInode, FileInode, InodeHeader, LongFileInode, SymlinkInode},
};
use image_model::Outcome;
use proptest::prelude::*;

use super::{
    edit::{BLOCK, Edit, bomb, good, indexed},
    limit::LIMIT,
    *,
};

/// Judges bytes, and reads the start of every file of a volume that comes out of it.
fn judge_any(bytes: Vec<u8>) -> BTreeSet<String> {
    let region = Region::from(bytes);
    let (recorded, volume) = judge(&region);
    let ids: BTreeSet<_> = squashfs::CHECKS.iter().map(|check| check.id).collect();
    for finding in &recorded.findings {
        assert!(ids.contains(finding.check.as_ref()), "{}", finding.check);
        assert_eq!(recorded.outcomes[&finding.check], Outcome::Failed);
    }
    if let Some(volume) = volume {
        for id in volume.tree.below(Tree::ROOT) {
            if let Ok(file) = volume.open(id) {
                let _ = file.take(1 << 20).read_to_end(&mut Vec::new());
            }
        }
    }
    failed(&recorded.findings)
}

fn has(found: &BTreeSet<String>, checks: &[&str]) {
    for check in checks {
        assert!(found.contains(*check), "{check} in {found:?}");
    }
}

/// Makes the list of a directory that of another one.
fn same_list(edit: &mut Edit, to: &str, from: &str) {
    let mut list = (0, 0, 0);
    let copy = |inode: &mut DirectoryInode| {
        list = (inode.start_block.get(), inode.offset.get(), inode.file_size.get());
    };
    match from {
        "" => edit.at(edit.root().0 + 16, copy),
        from => edit.inode(from, copy),
    }
    edit.inode::<DirectoryInode>(to, |inode| {
        inode.start_block.set(list.0);
        inode.offset.set(list.1);
        inode.file_size.set(list.2);
    });
}

#[test]
fn directories_that_contain_themselves() {
    // All that is below is below it again.
    let mut edit = Edit { bytes: good().to_vec() };
    same_list(&mut edit, "directory/inner", "directory");
    has(&judge_any(edit.bytes), &["squashfs-directory-list", "squashfs-unreachable"]);
    let mut edit = Edit { bytes: good().to_vec() };
    same_list(&mut edit, "directory/inner", "");
    has(&judge_any(edit.bytes), &["squashfs-directory-list", "squashfs-unreachable"]);
}

#[test]
fn numbers_that_are_too_large() {
    for at in (0..96).step_by(4) {
        for value in [0, 1, 0x7fff_ffff, 0xffff_fffe, u32::MAX] {
            let mut bytes = good().to_vec();
            bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
            judge_any(bytes);
        }
    }
    let mut edit = Edit { bytes: good().to_vec() };
    edit.inode::<SymlinkInode>("symlink", |inode| inode.symlink_size.set(u32::MAX));
    has(&judge_any(edit.bytes), &["squashfs-symlink", "squashfs-inode"]);
    let mut edit = Edit { bytes: good().to_vec() };
    edit.inode::<LongFileInode>("sparse", |inode| inode.file_size.set(i64::MAX as u64));
    has(&judge_any(edit.bytes), &["squashfs-inode"]);
    let mut edit = Edit { bytes: good().to_vec() };
    edit.inode::<FileInode>("one block", |inode| inode.start_block.set(u32::MAX));
    has(&judge_any(edit.bytes), &["squashfs-block-range"]);
    let mut edit = Edit { bytes: good().to_vec() };
    edit.inode::<DirectoryInode>("directory", |inode| inode.file_size.set(u16::MAX));
    has(&judge_any(edit.bytes), &["squashfs-directory-list"]);
    let mut edit = Edit { bytes: good().to_vec() };
    edit.xattr_id(0, |id| id.count.set(u32::MAX));
    has(&judge_any(edit.bytes), &["squashfs-limits"]);
    let mut edit = Edit { bytes: good().to_vec() };
    edit.xattr_id(0, |id| id.count.set(1 << 16));
    has(&judge_any(edit.bytes), &["squashfs-xattr"]);
    // A header of a directory, with more entries than Linux takes.
    let mut edit = Edit { bytes: good().to_vec() };
    edit.header("zero", |header| header.count.set(256));
    has(&judge_any(edit.bytes), &["squashfs-directory-list"]);
    let mut edit = Edit { bytes: indexed().to_vec() };
    let inode = edit.find("big").inode;
    edit.bytes[inode + 40 + 8..inode + 40 + 12].fill(0xff);
    has(&judge_any(edit.bytes), &["squashfs-inode"]);
}

/// Inodes of another type than the one that was written: what follows is read as something else.
#[test]
fn inodes_of_all_types() {
    for path in ["zero", "file", "directory", "empty", "special/char", "special/fifo", "symlink"] {
        for kind in 0..16 {
            let mut edit = Edit { bytes: good().to_vec() };
            let at = edit.find(path).inode;
            let mut same = false;
            edit.at::<InodeHeader>(at, |header| {
                same = header.inode_type.get() == kind;
                header.inode_type.set(kind);
            });
            assert_eq!(judge_any(edit.bytes).is_empty(), same, "{path} as {kind}");
        }
    }
}

/// Four gigabytes in a few kilobytes are not decompressed.
#[test]
fn little_that_claims_to_be_much() {
    let bomb = bomb();
    let start = Instant::now();
    has(&judge_any(bomb), &["squashfs-expansion-limit"]);
    assert!(start.elapsed() < LIMIT);
}

/// A cut is an error, wherever it is.
#[test]
fn cuts() {
    let used = Edit { bytes: good().to_vec() }.superblock().bytes_used.get() as usize;
    for len in [0, 1, 95, 96, 97, 98, 4096, used / 2, used - 100, used - 1] {
        let (recorded, volume) = judge_bytes(&good()[..len]);
        assert!(recorded.totals.errors > 0 && volume.is_none(), "{len}");
    }
}

/// Offsets are those of the whole image, not of the file system.
#[test]
fn offsets_are_absolute() {
    let mut edit = Edit { bytes: good().to_vec() };
    let at = edit.find("one block").inode;
    edit.at::<InodeHeader>(at, |header| header.uid.set(7));
    let len = edit.bytes.len() as u64;
    let table = edit.superblock().inode_table_start.get();
    let disk = Region::from([vec![0; 1 << 20], edit.bytes].concat());
    let (recorded, volume) = judge(&disk.sub("file", 1 << 20, len).unwrap());
    let [finding] = &recorded.findings[..] else { panic!("{:?}", recorded.findings) };
    assert_eq!(finding.at.offset, (1 << 20) + table);
    assert_eq!(finding.at.path.as_deref(), Some("/one block"));
    let volume = volume.unwrap();
    let id = volume.find_file(b"/one block").unwrap();
    assert_eq!(volume.content(id, 1 << 20).unwrap().len(), BLOCK);
    assert_eq!(volume.tree.node(id).offset, Some((1 << 20) + table));
}

/// A disk of which some bytes cannot be read.
struct Bad {
    bytes: &'static [u8],
    bad: Range<u64>,
}

impl ReadAt for Bad {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if offset < self.bad.end && offset + buf.len() as u64 > self.bad.start {
            return Err(io::Error::other("a bad disk"));
        }
        let start = offset as usize;
        buf.copy_from_slice(&self.bytes[start..start + buf.len()]);
        Ok(())
    }
}

/// What the machine does wrong is not the fault of the image.
#[test]
fn a_disk_that_cannot_be_read_is_an_error_of_the_machine() {
    let mut edit = Edit { bytes: indexed().to_vec() };
    let sb = edit.superblock();
    let places = [
        0,
        // The last fragment block; what is not compressed is not read.
        sb.inode_table_start.get() - 10,
        sb.inode_table_start.get() + 2,
        sb.directory_table_start.get() + 2,
        sb.fragment_table_start.get(),
        sb.id_table_start.get(),
    ];
    for at in places {
        let source = Bad { bytes: indexed(), bad: at..at + 1 };
        let region = Region::whole(Arc::new(source)).unwrap();
        let trouble = Trouble::default();
        let error = squashfs::verify(&region, "disk", &trouble, &mut Recorder::default());
        assert!(error.is_err_and(|error| !error.is_defect()), "{at:#x}");
    }
}

/// The report is the same, in whichever order the threads come to the blocks.
#[test]
fn the_same_bytes_give_the_same_report() {
    let mut bytes = indexed().to_vec();
    let data = Edit { bytes: bytes.clone() }.superblock().inode_table_start.get() as usize;
    for at in (200..data).step_by(41) {
        bytes[at] ^= 0x55;
    }
    let first = squashfs::check(&Region::from(bytes.clone())).unwrap();
    assert!(first.totals.errors > 10, "{:?}", first.totals);
    for _ in 0..5 {
        assert_eq!(squashfs::check(&Region::from(bytes.clone())).unwrap(), first);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_not_panic(
        edits in prop::collection::vec((any::<u32>(), any::<u8>()), 1..12),
        words in prop::collection::vec((0_u32..24, any::<u16>()), 0..2),
    ) {
        let mut edit = Edit { bytes: good().to_vec() };
        let (start, end) = {
            let sb = edit.superblock();
            (sb.inode_table_start.get() as u32, sb.bytes_used.get() as u32)
        };
        for (at, value) in edits {
            edit.bytes[(start + at % (end - start)) as usize] = value;
        }
        for (at, value) in words {
            let at = 4 * at as usize;
            edit.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        judge_any(edit.bytes);
    }
}
