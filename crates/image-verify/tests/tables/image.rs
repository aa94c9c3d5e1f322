//! Good disks, small, made by the tools and crates that others use. Sizes are in bytes, places in
//! blocks of 512 bytes where not said otherwise.

use std::{
    io::{Cursor, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
};

use tempfile::TempDir;

pub(crate) const MIB: usize = 1 << 20;

/// What a tool printed on both of its outputs, in that order.
pub(crate) struct Output {
    pub(crate) text: String,
    pub(crate) success: bool,
}

/// Runs a tool with `input` on its standard input.
pub(crate) fn run(package: &str, argv: &[&str], input: &str) -> Output {
    let child = Command::new(argv[0])
        .args(&argv[1..])
        // Debian keeps tools for disks out of the path of users.
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child =
        child.unwrap_or_else(|e| panic!("{}: {e}; run `apt-get install {package}`", argv[0]));
    // A program that needs no input may be gone before it is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    Output { text: String::from_utf8_lossy(&text).into_owned(), success: output.status.success() }
}

/// Runs a tool that has to succeed.
pub(crate) fn must(package: &str, argv: &[&str], input: &str) {
    let output = run(package, argv, input);
    assert!(output.success, "{argv:?}: {}", output.text);
}

/// A file with these bytes, for tools.
pub(crate) struct File {
    _dir: TempDir,
    path: String,
}

impl File {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img").to_str().unwrap().to_owned();
        std::fs::write(&path, bytes).unwrap();
        Self { _dir: dir, path }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn read(&self) -> Vec<u8> {
        std::fs::read(Path::new(&self.path)).unwrap()
    }
}

/// Zeros that a tool wrote something into; `{}` in its arguments is the file.
fn made(len: usize, package: &str, argv: &[&str], input: &str) -> Vec<u8> {
    let file = File::new(&vec![0; len]);
    let argv: Vec<_> =
        argv.iter().map(|arg| if *arg == "{}" { file.path() } else { arg }).collect();
    must(package, &argv, input);
    file.read()
}

pub(crate) fn fat(len: usize) -> Vec<u8> {
    let argv = ["mkfs.vfat", "--invariant", "-i", "2178694e", "-n", "FIRMWARE", "{}"];
    made(len, "dosfstools", &argv, "")
}

pub(crate) fn ext4(len: usize) -> Vec<u8> {
    let uuid = "44444444-4444-4444-8888-888888888888";
    let seed = "hash_seed=55555555-5555-4555-8555-555555555555";
    let argv = ["mkfs.ext4", "-q", "-F", "-L", "NIXOS_SD", "-U", uuid, "-E", seed, "{}"];
    made(len, "e2fsprogs", &argv, "")
}

fn swap(len: usize) -> Vec<u8> {
    made(len, "util-linux", &["mkswap", "{}"], "")
}

/// Puts `content` into `disk` where a partition starts.
pub(crate) fn put(disk: &mut [u8], at: usize, content: &[u8]) {
    disk[at..at + content.len()].copy_from_slice(content);
}

/// A disk that `sfdisk` divides, as nixpkgs calls it.
pub(crate) fn sfdisk(len: usize, script: &str) -> Vec<u8> {
    let argv = ["sfdisk", "--no-reread", "--no-tell-kernel", "{}"];
    made(len, "fdisk", &argv, script)
}

/// Runs `sgdisk` on a disk.
pub(crate) fn sgdisk(disk: &[u8], arguments: &[&str]) -> Vec<u8> {
    let file = File::new(disk);
    must("gdisk", &[&["sgdisk"], arguments, &[file.path()]].concat(), "");
    file.read()
}

static FAT_1: LazyLock<Vec<u8>> = LazyLock::new(|| fat(MIB));
static EXT4_3: LazyLock<Vec<u8>> = LazyLock::new(|| ext4(3 * MIB));

/// The SD card of nixpkgs, but smaller: a FAT16 or FAT12 of type 0x0b, and a bootable root.
pub(crate) static CARD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let script = "label: dos\nlabel-id: 0x2178694e\n\n\
        start=1M, size=2048, type=b\nstart=2M, type=83, bootable\n";
    let mut disk = sfdisk(5 * MIB, script);
    put(&mut disk, MIB, &FAT_1);
    put(&mut disk, 2 * MIB, &EXT4_3);
    disk
});

/// Two logical partitions: zeros, and swap. Behind the extended one is room.
pub(crate) static LOGICAL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let script = "label: dos\nlabel-id: 0x2178694e\n\n\
        start=1M, size=1M, type=c, bootable\nstart=2M, size=4M, type=5\n\
        start=3M, size=1M, type=83\nstart=5M, size=1M, type=82\n";
    let mut disk = sfdisk(8 * MIB, script);
    put(&mut disk, MIB, &FAT_1);
    put(&mut disk, 5 * MIB, &swap(MIB));
    disk
});

const GUIDS: &str = "label-id: 97FD5997-D90B-4AA3-8D16-C1723AEA73C0";

/// An EFI system partition and a root. A third partition for a boot loader of the PC lies in front
/// of both, in the order of nixpkgs' `hybrid` layout, and starts at LBA 34.
pub(crate) static GPT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let script = format!(
        "label: gpt\n{GUIDS}\nfirst-lba: 34\n\n\
        start=1M, size=1M, type=uefi, name=ESP, uuid=1C06F03B-704E-4657-B9CD-681A087A2FDC\n\
        start=2M, size=3M, type=linux, name=\"größer\", attrs=\"LegacyBIOSBootable\", \
        uuid=F222513B-DED1-49FA-B591-20CE86A2FE7F\n\
        start=34, size=2014, type=21686148-6449-6E6F-744E-656564454649, \
        uuid=970C694F-AFD0-4B99-B750-CDB7A329AB6F\n"
    );
    let mut disk = sfdisk(6 * MIB, &script);
    disk[34 * 512..60 * 512].fill(0x90);
    put(&mut disk, MIB, &FAT_1);
    put(&mut disk, 2 * MIB, &EXT4_3);
    disk
});

/// The same, and both file systems are in the master boot record.
pub(crate) static HYBRID: LazyLock<Vec<u8>> = LazyLock::new(|| sgdisk(&GPT, &["-h", "1:2"]));

/// 256 entries, the first and the last of them in use.
pub(crate) static LONG: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let empty = vec![0; 6 * MIB];
    let mut disk = sgdisk(
        &empty,
        &[
            "-S",
            "256",
            "-n",
            "1:2048:4095",
            "-t",
            "1:ef00",
            "-n",
            "255:4096:6143",
            "-t",
            "255:8300",
        ],
    );
    put(&mut disk, MIB, &FAT_1);
    disk
});

/// Blocks of 4096 bytes.
pub(crate) static GPT_4096: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut device = Cursor::new(vec![0; 6 * MIB]);
    let blocks = (6 * MIB / 4096 - 1) as u32;
    gpt::mbr::ProtectiveMBR::with_lb_size(blocks).overwrite_lba0(&mut device).unwrap();
    let config = gpt::GptConfig::new().writable(true);
    let config = config.logical_block_size(gpt::disk::LogicalBlockSize::Lb4096);
    let mut table = config.create_from_device(device, None).unwrap();
    let (esp, linux) = (gpt::partition_types::EFI, gpt::partition_types::LINUX_FS);
    table.add_partition("ESP", MIB as u64, esp, 0, Some(256)).unwrap();
    table.add_partition("root", 3 * MIB as u64, linux, 0, Some(256)).unwrap();
    let mut disk = table.write().unwrap().into_inner();
    put(&mut disk, MIB, &FAT_1);
    put(&mut disk, 2 * MIB, &EXT4_3);
    disk
});

/// Made by the crate `mbrman`.
pub(crate) static MBRMAN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut disk = Cursor::new(vec![0; 8 * MIB]);
    let mut table = mbrman::MBR::new_from(&mut disk, 512, *b"Nix!").unwrap();
    let entry = |sys, starting_lba, sectors| mbrman::MBRPartitionEntry {
        boot: mbrman::BOOT_INACTIVE,
        first_chs: mbrman::CHS::empty(),
        sys,
        last_chs: mbrman::CHS::empty(),
        starting_lba,
        sectors,
    };
    table[1] = entry(0x0c, 2048, 2048);
    table[2] = entry(0x05, 4096, 8192);
    // Each with a boot record in front of it, and room up to a multiple of 1 MiB.
    for first in [4096, 8192] {
        table.push(0x83, first, 4096).unwrap();
    }
    table.write_into(&mut disk).unwrap();
    let mut disk = disk.into_inner();
    put(&mut disk, MIB, &FAT_1);
    disk
});

/// All of these, by name.
pub(crate) fn good() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("card", &CARD),
        ("logical", &LOGICAL),
        ("gpt", &GPT),
        ("hybrid", &HYBRID),
        ("long", &LONG),
        ("gpt-4096", &GPT_4096),
        ("mbrman", &MBRMAN),
    ]
}

/// Computes the checksums of both copies of a GPT again, for blocks of 512 bytes.
pub(crate) fn seal(disk: &mut [u8]) {
    for header in [512, disk.len() - 512] {
        let number = |at: usize, len: usize| {
            let bytes = &disk[header + at..header + at + len];
            bytes.iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
        };
        let array = number(72, 8) * 512;
        let len = number(80, 4) * number(84, 4);
        if let Some(entries) = disk.get(array..array + len) {
            let crc = crc32fast::hash(entries);
            put(disk, header + 88, &crc.to_le_bytes());
        }
        put(disk, header + 16, &[0; 4]);
        let crc = crc32fast::hash(&disk[header..header + 92]);
        put(disk, header + 16, &crc.to_le_bytes());
    }
}
