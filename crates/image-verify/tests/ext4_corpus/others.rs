//! File systems that other people test with, or that were in use: no false alarm.

use std::{collections::BTreeMap, fs::File, os::unix::fs::FileExt as _, path::PathBuf};

use super::rig::*;

/// Of which we say something, each with the reason.
const EXCEPTIONS: &str = "\
forensics/fs.multiple.xz an ext4 with errors, and larger than its partition: e2fsck complains as well
e2fsprogs/blkid/jbd.img.bz2 the journal of another file system: e2fsck and we refuse it
util-linux/jbd.img.xz the journal of another file system: e2fsck and we refuse it
";

/// The images that have a name of ext2, ext3, ext4 or their journal.
pub(crate) fn images() -> Vec<String> {
    let mut images = Vec::new();
    for folder in ["e2fsprogs/blkid", "util-linux", "dissect"] {
        for name in names(&fetched(folder)) {
            let is_ours = name.starts_with("ext") || name.starts_with("jbd");
            if is_ours && ["bz2", "gz", "xz"].iter().any(|end| name.ends_with(end)) {
                images.push(format!("{folder}/{name}"));
            }
        }
    }
    images.extend(["ext2", "ext4", "multiple"].map(|name| format!("forensics/fs.{name}.xz")));
    images
}

/// Every ext2, ext3 and ext4 that begins at a whole MiB of a disk: where partitions begin.
fn partitions(disk: &Disk) -> Vec<Disk> {
    const MIB: u64 = 1 << 20;
    let file = File::open(&disk.path).unwrap();
    let len = file.metadata().unwrap().len();
    let mut found = Vec::new();
    for at in (0..len / MIB).map(|number| number * MIB) {
        let mut bytes = [0; 1024];
        file.read_exact_at(&mut bytes, at + 1024).unwrap();
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        // `s_magic`, and `s_block_group_nr` of the first copy.
        if bytes[0x38..0x3a] == [0x53, 0xef] && bytes[0x5a..0x5c] == [0, 0] {
            let size = u64::from(number(4)) << (10 + number(0x18));
            let part = Part { file: &file, at, end: at + size };
            found.push(Disk::expand(part));
        }
    }
    found
}

/// A part of a file.
struct Part<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl std::io::Read for Part<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap().min(buf.len());
        let len = self.file.read_at(&mut buf[..left], self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

#[test]
fn file_systems_of_other_people_are_silent() {
    let images = images();
    let lines = on_two_threads(&images, |name| {
        let path: PathBuf = fetched(name);
        let disk = Disk::expand(reader(&path));
        let disks = if name.starts_with("forensics") { partitions(&disk) } else { vec![disk] };
        assert!(!disks.is_empty(), "{name}");
        let mut lines = Vec::new();
        for (number, disk) in disks.iter().enumerate() {
            let findings = disk.judge();
            let theirs = disk.e2fsck(60).unwrap();
            assert_eq!(errors(&findings).is_empty(), theirs.clean(), "{name}: {}", theirs.text);
            let name = if disks.len() > 1 { format!("{name}#{number}") } else { name.clone() };
            let found: Vec<_> =
                findings.iter().map(|f| format!("{}: {}", f.check, f.message)).collect();
            lines.push((name, found, theirs));
        }
        lines
    });
    let mut found = BTreeMap::new();
    for (name, findings, theirs) in lines.into_iter().flatten() {
        let findings = findings.join("; ");
        print(&format!("{name}: e2fsck {}, {findings}", theirs.status));
        if !findings.is_empty() {
            found.insert(name, findings);
        }
    }
    compare("EXCEPTIONS", &listed(EXCEPTIONS), &found);
}
