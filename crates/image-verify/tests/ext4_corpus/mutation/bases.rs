//! Small file systems with everything inside that a check looks at; the same bytes in every run.

use std::{fmt::Write as _, fs, os::unix::fs::FileExt as _};

use image_formats::ext4::{Ino, Inode};

use super::super::{
    image::{Image, ok, pattern, run},
    rig::{Disk, on_two_threads, reader},
};

/// What is put into a base.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    /// Files, links, devices, attributes, a directory with an index.
    Plain,
    /// A folder with folded names too.
    Folded,
    /// Encrypted files too.
    Encrypted,
}

struct Plan {
    name: &'static str,
    args: &'static [&'static str],
    mib: u64,
    fill: Fill,
}

const fn plan(name: &'static str, mib: u64, args: &'static [&'static str]) -> Plan {
    Plan { name, args, mib, fill: Fill::Plain }
}

const PLANS: &[Plan] = &[
    plan("ext4", 4, &["-t", "ext4", "-b", "1024", "-g", "2048"]),
    plan("ext4, 4 KiB", 8, &["-t", "ext4", "-b", "4096", "-O", "^resize_inode,sparse_super2"]),
    plan("ext4 without sums", 4, &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum"]),
    plan(
        "uninit_bg",
        4,
        &["-t", "ext4", "-b", "1024", "-g", "1024", "-O", "^metadata_csum,uninit_bg"],
    ),
    plan("ext2", 2, &["-t", "ext2", "-b", "1024", "-I", "128", "-g", "1024"]),
    plan("ext3", 4, &["-t", "ext3", "-b", "1024", "-I", "256"]),
    plan("bigalloc", 8, &["-t", "ext4", "-b", "1024", "-C", "4096", "-O", "bigalloc"]),
    plan("inline_data", 2, &["-t", "ext4", "-b", "1024", "-O", "inline_data,^has_journal"]),
    plan("quota", 4, &["-t", "ext4", "-b", "1024", "-O", "quota,project,^has_journal"]),
    plan("ea_inode", 4, &["-t", "ext4", "-b", "1024", "-O", "ea_inode,^has_journal"]),
    plan(
        "meta_bg",
        4,
        &["-t", "ext4", "-b", "1024", "-g", "512", "-O", "meta_bg,^resize_inode,^has_journal"],
    ),
    plan(
        "orphan_file",
        4,
        &["-t", "ext4", "-b", "1024", "-O", "orphan_file,mmp,metadata_csum_seed,large_dir"],
    ),
    Plan {
        fill: Fill::Folded,
        ..plan("casefold", 2, &["-t", "ext4", "-b", "1024", "-O", "casefold,^has_journal"])
    },
    Plan {
        fill: Fill::Encrypted,
        ..plan("encrypt", 2, &["-t", "ext4", "-b", "1024", "-O", "encrypt,verity,^has_journal"])
    },
];

/// A file system that edits are made in.
pub(crate) struct Base {
    pub(crate) name: String,
    pub(crate) image: Image,
}

/// All of them.
pub(crate) fn all() -> Vec<Base> {
    on_two_threads(PLANS, make)
}

/// Those of e2fsprogs' own tests that are small, as e2fsck leaves them: made by hand, by old kernels, by
/// other systems.
pub(crate) fn of_e2fsprogs() -> Vec<Base> {
    let images = super::super::corpus::images();
    let bases = on_two_threads(&images, |(name, path)| {
        let disk = Disk::expand(reader(path));
        let small = disk.path.metadata().unwrap().len() <= 8 << 20;
        // e2fsck would draw a UUID, and the edits are the same in each run.
        let named = disk.bytes().get(0x468..0x478).is_some_and(|uuid| uuid != [0; 16]);
        // What is said of the next mount would be said of all edits.
        (small && named && disk.mend() && disk.judge().is_empty())
            .then(|| Base { name: name.clone(), image: Image { bytes: disk.bytes() } })
    });
    bases.into_iter().flatten().collect()
}

fn make(plan: &Plan) -> Base {
    let disk = super::super::image::OnDisk::new(b"");
    fs::File::create(&disk.path).unwrap().set_len(plan.mib << 20).unwrap();
    // Nothing in it depends on a clock or on the order of a folder.
    let fixed = ["env", "E2FSPROGS_FAKE_TIME=1700000000"];
    let uuid = "44444444-4444-4444-8888-888888888888";
    let seed = "hash_seed=55555555-5555-4555-9555-555555555555";
    let common = ["mke2fs", "-q", "-F", "-N", "256", "-U", uuid, "-E", seed];
    ok("e2fsprogs", &[&fixed[..], &common, plan.args, &[disk.name()]].concat());

    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("small"), b"small\n").unwrap();
    fs::write(at("long"), pattern(40_000)).unwrap();
    fs::write(at("value"), pattern(100)).unwrap();
    fs::write(at("context"), [&[2, 1, 4, 0][..], &pattern(36)].concat()).unwrap();
    let sparse = fs::File::create(at("sparse")).unwrap();
    for piece in 0..24 {
        sparse.write_all_at(&pattern(100), piece * 16384).unwrap();
    }
    fs::write(at("script"), script(plan, &at)).unwrap();
    let debugfs = ["debugfs", "-w", "-f", &at("script"), disk.name()];
    ok("e2fsprogs", &[&fixed[..], &debugfs].concat());
    if plan.fill == Fill::Encrypted {
        let mut image = Image { bytes: disk.bytes() };
        name_contexts(&mut image);
        fs::write(&disk.path, &image.bytes).unwrap();
    }
    // Indexes, link counts, and what `debugfs` does not count.
    let fixed = ["env", "E2FSCK_TIME=1700000000", "E2FSPROGS_FAKE_TIME=1700000000"];
    let output = run("e2fsprogs", &[&fixed[..], &["e2fsck", "-fyD", disk.name()]].concat());
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}: {output:?}", plan.name);
    Base { name: plan.name.to_owned(), image: Image { bytes: disk.bytes() } }
}

/// What `debugfs` is told.
fn script(plan: &Plan, at: &impl Fn(&str) -> String) -> String {
    let mut script = String::new();
    let mut say = |line: &str| writeln!(script, "{line}").unwrap();
    for name in ["dir", "dir/sub", "dir/sub/deeper", "many", "empty"] {
        say(&format!("mkdir {name}"));
    }
    say(&format!("write {} dir/small", at("small")));
    say(&format!("write {} dir/long", at("long")));
    say(&format!("write {} dir/sparse", at("sparse")));
    say(&format!("write {} dir/sub/both", at("small")));
    say("ln dir/sub/both dir/again");
    say("set_inode_field dir/again links_count 2");
    say("symlink dir/fast small");
    say(&format!("symlink dir/slow {}", "s/".repeat(60)));
    say("mknod dir/console c 5 1");
    say("mknod dir/disk b 8 300");
    say("mknod dir/fifo p");
    say("ea_set dir/small user.note short");
    say(&format!("ea_set -f {} dir/sub/both user.value", at("value")));
    say("ea_set dir/sub/both user.other x");
    say("ea_set dir user.empty \"\"");
    if plan.args.iter().any(|arg| arg.contains("ea_inode")) {
        say(&format!("ea_set -f {} dir/small user.large", at("sparse")));
    }
    if plan.args.contains(&"ext4") {
        say("fallocate dir/small 100 120");
    }
    for number in 0..64 {
        say(&format!("symlink many/{number:03}{} x", "n".repeat(40)));
    }
    match plan.fill {
        Fill::Plain => {}
        Fill::Folded => {
            say("mkdir Folded");
            say(&format!("set_inode_field Folded flags {:#x}", Inode::EXTENTS | Inode::CASEFOLD));
            for number in 0..20 {
                say(&format!("symlink Folded/Name{number}{} x", "N".repeat(80)));
            }
        }
        Fill::Encrypted => {
            // The names have the length that encrypted ones have.
            let files = ["secret", "secret/0123456789abcdef", "secret/fedcba9876543210"];
            say("mkdir secret");
            say(&format!("write {} {}", at("long"), files[1]));
            say(&format!("write {} {}", at("small"), files[2]));
            for file in files {
                say(&format!("ea_set -f {} {file} user.c", at("context")));
                let flags = Inode::EXTENTS | Inode::ENCRYPT;
                say(&format!("set_inode_field {file} flags {flags:#x}"));
            }
        }
    }
    script
}

/// Gives attributes `user.c` the index of encryption contexts, which `debugfs` cannot name.
fn name_contexts(image: &mut Image) {
    let count = image.superblock().raw.s_inodes_count.get();
    for ino in (1..=count).map(Ino) {
        if image.inode(ino).has(Inode::ENCRYPT) {
            image.edit_inode_bytes(ino, |bytes| {
                // After `i_extra_isize` and the magic number: the length of the name, its index.
                let at = 128 + usize::from(bytes[128]) + 4;
                assert_eq!((&bytes[at..at + 2], bytes[at + 16]), (&[1, 1][..], b'c'));
                bytes[at + 1] = 9;
            });
        }
    }
}
