//! What `mke2fs` makes, in all sizes and with all features that it knows, filled with what a checker
//! looks at: no false alarm.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    os::unix::fs::{FileExt as _, symlink},
    path::Path,
};

use super::{
    image::{ok, pattern, run},
    rig::*,
};

const BLOCK_SIZES: [u32; 4] = [1024, 2048, 4096, 65536];
const INODE_SIZES: [u32; 4] = [256, 128, 512, 1024];

/// What is asked of `mke2fs`, beside the sizes.
struct Features {
    name: &'static str,
    args: &'static [&'static str],
    /// The least inode that they go together with.
    least_inode: u32,
}

const fn features(name: &'static str, args: &'static [&'static str]) -> Features {
    Features { name, args, least_inode: 128 }
}

/// These keep something in the part of an inode that ext2 does not have.
const fn large(name: &'static str, args: &'static [&'static str]) -> Features {
    Features { name, args, least_inode: 256 }
}

const FEATURES: &[Features] = &[
    features("ext2", &["-t", "ext2"]),
    features("ext3", &["-t", "ext3"]),
    features("ext4", &["-t", "ext4"]),
    features("no journal", &["-t", "ext4", "-O", "^has_journal"]),
    features("no resize_inode", &["-t", "ext4", "-O", "^resize_inode"]),
    features("meta_bg", &["-t", "ext4", "-O", "meta_bg,^resize_inode"]),
    features("meta_bg, 32 bits", &["-t", "ext4", "-O", "meta_bg,^resize_inode,^64bit"]),
    features("bigalloc", &["-t", "ext4", "-O", "bigalloc"]),
    features("bigalloc, large", &["-t", "ext4", "-O", "bigalloc", "-C", "262144"]),
    features("sparse_super2", &["-t", "ext4", "-O", "sparse_super2,^resize_inode"]),
    features("one backup", &["-t", "ext4", "-O", "sparse_super2", "-E", "num_backup_sb=1"]),
    features("no backup", &["-t", "ext4", "-O", "sparse_super2", "-E", "num_backup_sb=0"]),
    features("flex_bg of 1", &["-t", "ext4", "-G", "1"]),
    features("flex_bg of 2, small groups", &["-t", "ext4", "-G", "2", "-g", "1024"]),
    features("no flex_bg, small groups", &["-t", "ext4", "-O", "^flex_bg", "-g", "1024"]),
    features("32 bits", &["-t", "ext4", "-O", "^64bit"]),
    features("32 bits, no sums", &["-t", "ext4", "-O", "^64bit,^metadata_csum"]),
    features("uninit_bg", &["-t", "ext4", "-O", "^metadata_csum,uninit_bg", "-g", "1024"]),
    features("uninit_bg, 32 bits", &["-t", "ext4", "-O", "^64bit,^metadata_csum,uninit_bg"]),
    features("no sums", &["-t", "ext4", "-O", "^metadata_csum"]),
    large("inline_data", &["-t", "ext4", "-O", "inline_data"]),
    large("ea_inode", &["-t", "ext4", "-O", "ea_inode"]),
    features("encrypt", &["-t", "ext4", "-O", "encrypt"]),
    features("casefold", &["-t", "ext4", "-O", "casefold"]),
    features("large_dir", &["-t", "ext4", "-O", "large_dir"]),
    features("quota", &["-t", "ext4", "-O", "quota"]),
    large("project", &["-t", "ext4", "-O", "quota,project"]),
    features("mmp", &["-t", "ext4", "-O", "mmp"]),
    features("orphan_file", &["-t", "ext4", "-O", "orphan_file"]),
    features("metadata_csum_seed", &["-t", "ext4", "-O", "metadata_csum_seed"]),
    features("no dir_nlink", &["-t", "ext4", "-O", "^dir_nlink"]),
    features("no huge_file", &["-t", "ext4", "-O", "^huge_file"]),
    features("no extra_isize", &["-t", "ext4", "-O", "^extra_isize"]),
    features("stable_inodes", &["-t", "ext4", "-O", "stable_inodes,encrypt"]),
    features("verity", &["-t", "ext4", "-O", "verity"]),
    features("fast_commit", &["-t", "ext4", "-O", "fast_commit"]),
    features("large journal", &["-t", "ext4", "-J", "size=64"]),
    features("no extents", &["-t", "ext4", "-O", "^extent,^64bit"]),
    features("no filetype", &["-t", "ext2", "-O", "^filetype"]),
    features("no dir_index", &["-t", "ext4", "-O", "^dir_index"]),
    features("no ext_attr", &["-t", "ext2", "-O", "^ext_attr"]),
    features("all backups", &["-t", "ext2", "-O", "^sparse_super,^resize_inode", "-g", "2048"]),
    features("packed", &["-t", "ext4", "-E", "packed_meta_blocks=1"]),
    features("written at once", &["-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0"]),
    features("room to grow", &["-t", "ext4", "-E", "resize=100000000"]),
    features("RAID", &["-t", "ext4", "-E", "stride=4,stripe_width=16"]),
    features("few inodes", &["-t", "ext4", "-N", "2000"]),
    features("Hurd", &["-t", "ext2", "-o", "hurd"]),
    large(
        "all at once",
        &[
            "-t",
            "ext4",
            "-O",
            "bigalloc,inline_data,ea_inode,large_dir,quota,project,mmp,casefold,encrypt,orphan_file,\
             metadata_csum_seed,stable_inodes,verity,fast_commit",
        ],
    ),
];

/// What we say of a file system that e2fsck calls clean, with the reason. It may only shrink.
const EXCEPTIONS: &str = "";

const LATER_EXCEPTIONS: &str = "\
larger_inodes tune2fs -I moves the journal, and leaves its old blocks in s_jnl_blocks
";

/// A folder with what is hard about files, but devices and attributes.
fn content() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let mut deep = root.join("deep");
    fs::create_dir(&deep).unwrap();
    for number in 0..60 {
        deep.push(format!("{number}"));
        fs::create_dir(&deep).unwrap();
    }
    // An index of two levels where blocks have 1 KiB.
    let wide = root.join("wide");
    fs::create_dir(&wide).unwrap();
    for number in 0..520 {
        fs::write(wide.join(format!("{number:03}{}", "w".repeat(245))), b"").unwrap();
    }
    let files = root.join("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("empty"), b"").unwrap();
    fs::write(files.join("small"), b"small\n").unwrap();
    fs::write(files.join("tail"), pattern(150)).unwrap();
    fs::write(files.join("long"), pattern(3 << 20)).unwrap();
    let sparse = File::create(files.join("sparse")).unwrap();
    for piece in 0..350 {
        sparse.write_all_at(&pattern(100), piece * 8192 + 4096).unwrap();
    }
    sparse.set_len(40 << 20).unwrap();
    for len in [1, 58, 59, 60, 61, 144, 145, 1000] {
        symlink("t".repeat(len), files.join(format!("link{len}"))).unwrap();
    }
    for number in 0..30 {
        fs::hard_link(files.join("small"), files.join(format!("hard{number}"))).unwrap();
    }
    dir
}

/// The attributes and devices, for `debugfs`. An ACL is in the form that programs use.
fn script(dir: &Path, case: &Case) -> String {
    let mut script = String::new();
    let mut say = |line: &str| writeln!(script, "{line}").unwrap();
    for device in ["console c 5 1", "disk b 8 300", "fifo p"] {
        say(&format!("mknod files/{device}"));
    }
    say("mkdir lone");
    if case.attributes {
        let entry = |tag: u16, bits: u16, id: u32| {
            [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let entries = [(1, 7, !0), (2, 5, 1000), (4, 5, !0), (16, 5, !0), (32, 4, !0)];
        let entries = entries.map(|(tag, bits, id)| entry(tag, bits, id)).concat();
        fs::write(dir.join("acl"), [&2_u32.to_le_bytes()[..], &entries].concat()).unwrap();
        fs::write(dir.join("value"), pattern(400)).unwrap();
        for file in ["files/small", "files", "deep/0", "files/link1000"] {
            say(&format!("ea_set {file} user.note short"));
        }
        for (file, name) in [("files/tail", "access"), ("files", "access"), ("files", "default")] {
            let acl = dir.join("acl");
            say(&format!("ea_set -f {} {file} system.posix_acl_{name}", acl.display()));
        }
        say("ea_set files/long security.capability 0100000200000000");
        say(&format!("ea_set -f {} files/small user.value", dir.join("value").display()));
        say("ea_set files/small trusted.empty \"\"");
    }
    if case.large_attributes {
        fs::write(dir.join("large"), pattern(60_000)).unwrap();
        // The same value twice: one inode may hold it for both.
        for file in ["files/tail", "files/long"] {
            say(&format!("ea_set -f {} {file} user.large", dir.join("large").display()));
        }
    }
    script
}

struct Case {
    name: String,
    args: Vec<String>,
    mib: u64,
    attributes: bool,
    /// Attributes that have no room in a block.
    large_attributes: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (row, features) in FEATURES.iter().enumerate() {
        for (column, block) in BLOCK_SIZES.iter().enumerate() {
            // Not all with all: each feature with each size of a block, and with each of an inode.
            let sizes: Vec<_> =
                INODE_SIZES.iter().filter(|size| **size >= features.least_inode).collect();
            let inode = *sizes[(row + column) % sizes.len()];
            let mut args: Vec<_> = features.args.iter().map(|arg| (*arg).to_owned()).collect();
            args.extend(["-b", &block.to_string(), "-I", &inode.to_string()].map(str::to_owned));
            // What `mke2fs` gives where blocks are large are fewer inodes than there are files.
            if *block > 4096 && !args.contains(&"-N".to_owned()) {
                args.extend(["-N", "2000"].map(str::to_owned));
            }
            cases.push(Case {
                name: format!("{}, blocks {block}, inodes {inode}", features.name),
                args,
                mib: if *block > 4096 { 384 } else { 160 },
                attributes: features.name != "no ext_attr",
                large_attributes: features.args.iter().any(|arg| arg.contains("ea_inode")),
            });
        }
    }
    cases
}

/// Makes it and fills it.
fn make(case: &Case, content: &Path) -> Disk {
    let disk = Disk::expand(&[][..]);
    File::create(&disk.path).unwrap().set_len(case.mib << 20).unwrap();
    let mut argv = vec!["mke2fs", "-q", "-F", "-d", content.to_str().unwrap()];
    argv.extend(case.args.iter().map(String::as_str));
    argv.push(disk.name());
    ok("e2fsprogs", &argv);
    let dir = tempfile::tempdir().unwrap();
    let commands = dir.path().join("script");
    fs::write(&commands, script(dir.path(), case)).unwrap();
    ok("e2fsprogs", &["debugfs", "-w", "-f", commands.to_str().unwrap(), disk.name()]);
    disk
}

/// What is wrong with what we say of it. Where e2fsck finds something, so do we.
fn compare_verdicts(disk: &Disk) -> Vec<String> {
    let theirs = disk.e2fsck(60).unwrap();
    let found = disk.judge();
    if theirs.clean() {
        let found = found.iter().filter(|f| !OF_THE_NEXT_MOUNT.contains(&f.check.as_ref()));
        return found.map(|f| format!("{}: {}", f.check, f.message)).collect();
    }
    let missed = errors(&found).is_empty();
    missed
        .then(|| format!("nothing, and e2fsck {}: {}", theirs.status, theirs.words()))
        .into_iter()
        .collect()
}

/// Lets e2fsck make indexes and count what `debugfs` does not.
fn mend(disk: &Disk, name: &str) {
    let output = run("e2fsprogs", &["e2fsck", "-fyD", disk.name()]);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{name}: {output:?}");
    let theirs = disk.e2fsck(60).unwrap();
    assert!(theirs.clean(), "{name}: {}", theirs.text);
}

fn compare_all(what: &str, exceptions: &'static str, cases: &[Case], wrong: Vec<Vec<String>>) {
    let mut found = BTreeMap::new();
    for (case, wrong) in cases.iter().zip(wrong) {
        if !wrong.is_empty() {
            print(&format!("{}: {}", case.name, wrong.join("; ")));
            found.insert(case.name.replace(' ', "_"), wrong.join("; "));
        }
    }
    print(&format!("{what}: {} file systems, we are wrong about {}", cases.len(), found.len()));
    compare("the exceptions", &listed(exceptions), &found);
}

#[test]
fn what_mke2fs_makes_is_silent() {
    let content = content();
    let cases = cases();
    let wrong = on_two_threads(&cases, |case| {
        let disk = make(case, content.path());
        let mut wrong = compare_verdicts(&disk);
        mend(&disk, &case.name);
        wrong.extend(compare_verdicts(&disk));
        wrong
    });
    compare_all("mke2fs", EXCEPTIONS, &cases, wrong);
}

/// What is done to a file system that is there.
struct Later {
    name: &'static str,
    args: &'static [&'static str],
    /// Programs, one after the other; `DISK` stands for the file.
    steps: &'static [&'static [&'static str]],
}

const fn later(
    name: &'static str,
    args: &'static [&'static str],
    steps: &'static [&'static [&'static str]],
) -> Later {
    Later { name, args, steps }
}

const LATER: &[Later] = &[
    later("larger", &["-t", "ext4"], &[&["resize2fs", "DISK", "300M"]]),
    later(
        "larger, small groups",
        &["-t", "ext4", "-b", "1024", "-g", "1024"],
        &[&["resize2fs", "DISK", "300M"]],
    ),
    later(
        "larger, no resize_inode",
        &["-t", "ext4", "-O", "^resize_inode"],
        &[&["resize2fs", "DISK", "300M"]],
    ),
    later("larger, ext3", &["-t", "ext3", "-b", "1024"], &[&["resize2fs", "DISK", "300M"]]),
    later("larger, bigalloc", &["-t", "ext4", "-O", "bigalloc"], &[&["resize2fs", "DISK", "300M"]]),
    later(
        "larger, sparse_super2",
        &["-t", "ext4", "-O", "sparse_super2,^resize_inode", "-b", "1024"],
        &[&["resize2fs", "DISK", "300M"]],
    ),
    later("as small as it can be", &["-t", "ext4", "-b", "1024"], &[&["resize2fs", "-M", "DISK"]]),
    later("as small as it can be, ext2", &["-t", "ext2"], &[&["resize2fs", "-M", "DISK"]]),
    later("64 bits later", &["-t", "ext4", "-O", "^64bit"], &[&["resize2fs", "-b", "DISK"]]),
    later("32 bits later", &["-t", "ext4"], &[&["resize2fs", "-s", "DISK"]]),
    later(
        "sums later",
        &["-t", "ext4", "-O", "^metadata_csum"],
        &[&["tune2fs", "-O", "metadata_csum", "DISK"]],
    ),
    later("no sums later", &["-t", "ext4"], &[&["tune2fs", "-O", "^metadata_csum", "DISK"]]),
    later(
        "another uuid",
        &["-t", "ext4"],
        &[&["tune2fs", "-O", "metadata_csum_seed", "DISK"], &["tune2fs", "-U", "random", "DISK"]],
    ),
    later(
        "larger inodes",
        &["-t", "ext4", "-I", "256", "-O", "^flex_bg"],
        &[&["tune2fs", "-I", "512", "DISK"]],
    ),
    later(
        "quota later",
        &["-t", "ext4"],
        &[&["tune2fs", "-O", "quota,project", "-Q", "usrquota,grpquota,prjquota", "DISK"]],
    ),
    later("ext3 later", &["-t", "ext2"], &[&["tune2fs", "-j", "DISK"]]),
    later(
        "ext4 later",
        &["-t", "ext3", "-b", "1024"],
        &[&["tune2fs", "-O", "extent,uninit_bg,dir_index,huge_file,dir_nlink,extra_isize", "DISK"]],
    ),
    later("no journal later", &["-t", "ext4"], &[&["tune2fs", "-O", "^has_journal", "DISK"]]),
    later("orphan file later", &["-t", "ext4"], &[&["tune2fs", "-O", "orphan_file", "DISK"]]),
    later("mmp later", &["-t", "ext4"], &[&["tune2fs", "-O", "mmp", "DISK"]]),
    later(
        "extents later",
        &["-t", "ext3", "-b", "1024", "-O", "extent"],
        &[&["e2fsck", "-fyE", "bmap2extent", "DISK"]],
    ),
    later(
        "things removed",
        &["-t", "ext4", "-b", "1024"],
        &[
            &["debugfs", "-w", "-R", "rm files/sparse", "DISK"],
            &["debugfs", "-w", "-R", "rm files/link1000", "DISK"],
            &["debugfs", "-w", "-R", "rmdir lone", "DISK"],
            &["debugfs", "-w", "-R", "punch files/long 100 2000", "DISK"],
            &["debugfs", "-w", "-R", "fallocate files/empty 5 4000", "DISK"],
        ],
    ),
];

/// What the other tools leave.
#[test]
fn what_is_done_to_it_later_is_silent() {
    let content = content();
    let cases = LATER.iter().map(|later| Case {
        name: later.name.to_owned(),
        args: later.args.iter().map(|arg| (*arg).to_owned()).collect(),
        mib: 160,
        attributes: true,
        large_attributes: false,
    });
    let cases: Vec<_> = cases.collect();
    let numbers: Vec<_> = (0..cases.len()).collect();
    let wrong = on_two_threads(&numbers, |number| {
        let case = &cases[*number];
        let disk = make(case, content.path());
        mend(&disk, &case.name);
        let mut wrong = Vec::new();
        for step in LATER[*number].steps {
            let argv: Vec<_> =
                step.iter().map(|word| if *word == "DISK" { disk.name() } else { word }).collect();
            let output = run("e2fsprogs", &argv);
            assert!(matches!(output.status.code(), Some(0 | 1)), "{}: {output:?}", case.name);
            wrong.extend(compare_verdicts(&disk));
        }
        mend(&disk, &case.name);
        wrong.extend(compare_verdicts(&disk));
        wrong
    });
    compare_all("resize2fs, tune2fs, debugfs", LATER_EXCEPTIONS, &cases, wrong);
}

/// Many small files, and a folder with an index of two levels in blocks of 4 KiB.
#[test]
fn a_hundred_thousand_files_are_silent() {
    let content = tempfile::tempdir().unwrap();
    for folder in 0..200 {
        let folder = content.path().join(format!("{folder:03}"));
        fs::create_dir(&folder).unwrap();
        for file in 0..500 {
            fs::write(folder.join(format!("file-{file}")), format!("{file}\n")).unwrap();
        }
    }
    let disk = Disk::expand(&[][..]);
    File::create(&disk.path).unwrap().set_len(768 << 20).unwrap();
    let content = content.path().to_str().unwrap();
    ok(
        "e2fsprogs",
        &["mke2fs", "-q", "-F", "-t", "ext4", "-N", "120000", "-d", content, disk.name()],
    );
    let output = run("e2fsprogs", &["e2fsck", "-fyD", disk.name()]);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let findings = disk.judge();
    assert_eq!(findings, []);
    assert!(disk.e2fsck(60).unwrap().clean());
}
