//! Finishing of disks: any compression in, one out, and no raw byte changed.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{LazyLock, Mutex},
};

use image_factory::finish::{FinishError, FinishJob, Finished, finish};
use image_model::{Compression, CompressionSpec, ImageKind, Sha256};
use sha2::Digest as _;

const MIB: usize = 1 << 20;
const FAT_AT: usize = MIB;
const FAT_LEN: usize = 12 * MIB;
const EXT4_AT: usize = 16 * MIB;
const EXT4_LEN: usize = 32 * MIB;

const NONE: CompressionSpec = CompressionSpec::None;
const GZIP: CompressionSpec = CompressionSpec::Gzip { level: 1 };
const ZSTD: CompressionSpec = CompressionSpec::Zstd { level: 3 };
const XZ: CompressionSpec = CompressionSpec::Xz { level: 0 };

/// A card made by real tools: an MBR, FAT16, ext4 of 32 MiB with free space, and a gap between.
static CARD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (fat, ext4, tree) = (path("fat.img"), path("ext4.img"), path("tree"));
    fs::create_dir_all(tree.join("boot")).unwrap();
    fs::write(tree.join("boot/kernel"), noise(9 * MIB, 1)).unwrap();
    fs::write(tree.join("zeros"), vec![0; 3 * MIB]).unwrap();
    File::create(&fat).unwrap().set_len(FAT_LEN as u64).unwrap();
    run(
        "mkfs.vfat",
        "dosfstools",
        ["--invariant", "-F", "16"].map(OsStr::new).iter().chain([&fat.as_os_str()]),
    );
    fs::write(path("config.txt"), "arm_64bit=1\n").unwrap();
    fs::write(path("start.elf"), noise(3 * MIB, 2)).unwrap();
    for name in ["config.txt", "start.elf"] {
        let file = path(name);
        let args = [OsStr::new("-i"), fat.as_os_str(), file.as_os_str(), OsStr::new("::/")];
        run("mcopy", "mtools", args);
    }
    File::create(&ext4).unwrap().set_len(EXT4_LEN as u64).unwrap();
    let args = [OsStr::new("-q"), "-F".as_ref(), "-d".as_ref(), tree.as_ref(), ext4.as_ref()];
    run("mkfs.ext4", "e2fsprogs", args);
    let mut card = vec![0; EXT4_AT + EXT4_LEN];
    card[FAT_AT..FAT_AT + FAT_LEN].copy_from_slice(&fs::read(&fat).unwrap());
    card[EXT4_AT..].copy_from_slice(&fs::read(&ext4).unwrap());
    let disk = path("card.img");
    fs::write(&disk, &card).unwrap();
    let table = "label: dos\nlabel-id: 0x2178694e\nstart=1M, size=12M, type=b\n\
                 start=16M, type=83, bootable\n";
    let args = ["--no-reread", "--no-tell-kernel", "-q"].map(OsStr::new);
    pipe("sfdisk", "fdisk", args.into_iter().chain([disk.as_os_str()]), table.as_bytes());
    fs::read(&disk).unwrap()
});

/// Bytes that compress to about a half.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 60) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Runs a tool on some bytes.
fn try_pipe(
    tool: &str,
    package: &str,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    input: &[u8],
) -> Output {
    let mut child = Command::new(tool)
        .args(args)
        .env("LC_ALL", "C")
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool}: {error}: apt-get install {package}"));
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A tool that fails early is told about by its status.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    })
}

/// What a tool that succeeds says.
fn pipe(
    tool: &str,
    package: &str,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    input: &[u8],
) -> Vec<u8> {
    let output = try_pipe(tool, package, args, input);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool}: {text}");
    output.stdout
}

fn run(tool: &str, package: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Vec<u8> {
    pipe(tool, package, args, b"")
}

/// A folder with a finished card.
struct Made {
    dir: tempfile::TempDir,
    finished: Finished,
}

impl Made {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn image(&self) -> PathBuf {
        self.path(&self.finished.artifacts[0].file)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.image()).unwrap()
    }
}

fn name(compression: CompressionSpec) -> &'static str {
    match compression.format() {
        Compression::None => "card.img",
        Compression::Gzip => "card.img.gz",
        Compression::Xz => "card.img.xz",
        Compression::Zstd => "card.img.zst",
    }
}

/// Finishes `input`; on failure nothing may be left.
fn try_finish(
    kind: ImageKind,
    input: &[u8],
    compression: CompressionSpec,
    threads: usize,
) -> Result<Made, FinishError> {
    let dir = tempfile::tempdir().unwrap();
    let (from, work) = (dir.path().join("input"), dir.path().join("work"));
    fs::write(&from, input).unwrap();
    fs::create_dir(&work).unwrap();
    let output = dir.path().join(name(compression));
    let job = FinishJob {
        kind,
        input: &from,
        work: &work,
        output: &output,
        compression,
        bmap: true,
        threads,
    };
    let result = finish(&job, &|_, _| {});
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0, "the work folder is empty");
    let files = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, if result.is_ok() { 4 } else { 2 });
    result.map(|finished| Made { dir, finished })
}

fn finished(input: &[u8], compression: CompressionSpec, threads: usize) -> Made {
    try_finish(ImageKind::Sd, input, compression, threads).unwrap()
}

fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

fn gzip(raw: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let level = flate2::Compression::fast();
    flate2::bufread::GzEncoder::new(raw, level).read_to_end(&mut file).unwrap();
    file
}

/// As `zstd` compresses a pipe: the content size is not known.
fn zstd_of_a_pipe(raw: &[u8]) -> Vec<u8> {
    pipe("zstd", "zstd", ["-q", "-1", "-c"], raw)
}

#[test]
fn any_compression_comes_in_and_one_comes_out() {
    let card = &*CARD;
    let (half, rest) = card.split_at(17 * MIB + 5);
    let skippable = b"\x50\x2a\x4d\x18\x04\0\0\0size";
    let first = finished(card, ZSTD, 2);
    for input in [
        gzip(card),
        [gzip(half), gzip(rest)].concat(),
        pipe("xz", "xz-utils", ["-0", "-c"], card),
        pipe("pigz", "pigz", ["-1", "-c"], card),
        zstd_of_a_pipe(card),
        [&skippable[..], &zstd_of_a_pipe(half), skippable, &zstd_of_a_pipe(rest)].concat(),
        first.bytes(),
    ] {
        let made = finished(&input, ZSTD, 2);
        assert!(made.bytes() == first.bytes());
        assert_eq!(made.finished.artifacts, first.finished.artifacts);
        assert_eq!(made.finished.input.sha256, sha256(&input));
    }
}

#[test]
fn real_tools_read_every_compression() {
    let card = &*CARD;
    for compression in [NONE, GZIP, ZSTD, XZ] {
        let made = finished(card, compression, 2);
        let (image, artifact) = (made.image(), &made.finished.artifacts[0]);
        let bytes = made.bytes();
        assert_eq!(artifact.digests.sha256, sha256(&bytes));
        assert_eq!(artifact.digests.size, bytes.len() as u64);
        assert_eq!(artifact.raw.sha256, sha256(card));
        assert_eq!(artifact.raw.size, card.len() as u64);
        assert_eq!(made.finished.input, artifact.raw);
        let raw = match compression.format() {
            Compression::None => {
                let blocks = fs::metadata(&image).unwrap().blocks();
                assert!(blocks * 512 < card.len() as u64 / 2, "zeros take no room");
                bytes
            }
            Compression::Gzip => {
                pipe("gzip", "gzip", ["-t"], &bytes);
                pipe("pigz", "pigz", ["-dc"], &bytes)
            }
            Compression::Zstd => {
                run("zstd", "zstd", [OsStr::new("-tq"), image.as_os_str()]);
                let list = run("zstd", "zstd", [OsStr::new("-lv"), image.as_os_str()]);
                let list = String::from_utf8(list).unwrap();
                for words in
                    ["# Zstandard Frames: 1\n", &format!("({} B)\n", card.len()), "Check: XXH64"]
                {
                    assert!(list.contains(words), "{list}");
                }
                pipe("zstd", "zstd", ["-dc"], &bytes)
            }
            Compression::Xz => {
                run("xz", "xz-utils", [OsStr::new("-t"), image.as_os_str()]);
                let args = [OsStr::new("--robot"), OsStr::new("-l"), image.as_os_str()];
                let list = String::from_utf8(run("xz", "xz-utils", args)).unwrap();
                let file = list.lines().find(|line| line.starts_with("file\t")).unwrap();
                let file: Vec<_> = file.split('\t').collect();
                // Streams, blocks, compressed and uncompressed size, ratio, check.
                assert_eq!(file[1..3], ["1", "2"], "{list}");
                assert_eq!((file[4], file[6]), (&*card.len().to_string(), "CRC64"));
                pipe("xz", "xz-utils", ["-dc"], &bytes)
            }
        };
        assert!(raw == *card, "{compression:?}");
    }
}

#[test]
fn the_number_of_threads_does_not_change_the_file() {
    // Four jobs of zstd, and two blocks of xz.
    let disk = &CARD[..26 * MIB];
    for compression in [GZIP, ZSTD, CompressionSpec::Zstd { level: 9 }, XZ] {
        let first = finished(disk, compression, 1).bytes();
        for threads in [2, 3, 8] {
            assert!(finished(disk, compression, threads).bytes() == first, "{threads}");
        }
    }
}

/// The multi-threaded encoder of zstd steps aside for what is smaller than half a mebibyte.
#[test]
fn small_disks_are_disks() {
    for len in [512, 4096, 5 * 512, 512 << 10, (512 << 10) + 512, (8 << 20) + 512] {
        let mut disk = noise(len, 3);
        disk[510..512].copy_from_slice(b"\x55\xaa");
        for compression in [NONE, GZIP, ZSTD, XZ] {
            let first = finished(&disk, compression, 1);
            assert!(finished(&disk, compression, 4).bytes() == first.bytes());
            let again = finished(&first.bytes(), NONE, 1);
            assert!(again.bytes() == disk);
        }
    }
}

#[test]
fn the_name_of_the_map_is_the_one_that_bmaptool_looks_for() {
    for compression in [NONE, GZIP, ZSTD, XZ] {
        let made = finished(&CARD, compression, 2);
        let [_, map] = &made.finished.artifacts[..] else { panic!() };
        assert_eq!((&*map.file, &*map.format), ("card.img.bmap", "bmap"));
        assert_eq!(map.digests.sha256, sha256(&fs::read(made.path(&map.file)).unwrap()));
        let (image, out) = (made.image(), made.path("out"));
        let args = [OsStr::new("copy"), image.as_ref(), out.as_ref()];
        let output = try_pipe("bmaptool", "bmap-tools", args, b"");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("discovered bmap file"), "{text}");
        assert!(fs::read(&out).unwrap() == *CARD);
    }
}

/// The mapped bytes of a map: `<Range chksum="…"> first-last </Range>`.
fn ranges(map: &str, len: usize) -> Vec<std::ops::Range<usize>> {
    let lines = map.lines().filter(|line| line.trim_start().starts_with("<Range"));
    let blocks = lines.map(|line| line.split(['>', '<']).nth(2).unwrap().trim());
    blocks
        .map(|blocks| {
            let (first, last) = blocks.split_once('-').unwrap_or((blocks, blocks));
            let block = |text: &str| text.parse::<usize>().unwrap() * 4096;
            block(first)..(block(last) + 4096).min(len)
        })
        .collect()
}

#[test]
fn bmaptool_refuses_what_is_damaged() {
    let made = finished(&CARD, NONE, 2);
    let (image, map, out) = (made.image(), made.path("card.img.bmap"), made.path("out"));
    let copy = || {
        let args =
            [OsStr::new("copy"), "--bmap".as_ref(), map.as_ref(), image.as_ref(), out.as_ref()];
        try_pipe("bmaptool", "bmap-tools", args, b"")
    };
    let text = fs::read_to_string(&map).unwrap();
    let ranges = ranges(&text, CARD.len());
    assert!(copy().status.success());
    for range in &ranges {
        for at in [range.start, range.end - 1] {
            let file = File::options().write(true).open(&image).unwrap();
            file.write_all_at(&[!CARD[at]], at as u64).unwrap();
            let output = copy();
            assert!(!output.status.success(), "{at:#x}");
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(text.contains("checksum mismatch"), "{text}");
            file.write_all_at(&CARD[at..=at], at as u64).unwrap();
        }
    }
    assert!(copy().status.success());
    fs::write(&map, text.replacen(" 0-", " 1-", 1)).unwrap();
    let output = copy();
    assert!(!output.status.success(), "the map has a checksum of its own");
}

fn error(kind: ImageKind, input: &[u8]) -> FinishError {
    try_finish(kind, input, ZSTD, 1).map(|_| ()).unwrap_err()
}

#[test]
fn an_image_of_another_kind_is_refused() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_path("file").unwrap();
    header.set_size(0);
    header.set_cksum();
    tar.append(&header, &b""[..]).unwrap();
    let tar = tar.into_inner().unwrap();
    for tar in [&gzip(&tar), &zstd_of_a_pipe(&tar), &tar] {
        let error = error(ImageKind::Sd, tar);
        assert!(error.is_defect());
        let text = error.to_string();
        assert!(text.ends_with("is a tar archive, and no image for sd is made of that"), "{text}");
    }
    for disk in [&gzip(&CARD), &zstd_of_a_pipe(&CARD), &*CARD] {
        let error = error(ImageKind::Wsl, disk);
        assert!(error.is_defect());
        let text = error.to_string();
        assert!(text.ends_with("is a disk, and no image for wsl is made of that"), "{text}");
    }
    for neither in [&b""[..], b"text\n", &gzip(b"text\n"), &gzip(b"")] {
        assert!(matches!(error(ImageKind::Sd, neither), FinishError::Defective { .. }));
    }
}

#[test]
fn a_disk_that_ends_within_a_block_is_refused() {
    let cut = &CARD[..20 * MIB + 100];
    for input in [cut, &gzip(cut)] {
        let error = error(ImageKind::Sd, input);
        assert!(error.is_defect());
        let text = error.to_string();
        assert!(
            text.contains(" is a disk of 20971620 bytes, which is no multiple of 512"),
            "{text}"
        );
    }
}

#[test]
fn a_damaged_input_does_not_come_out_looking_good() {
    let (zstd, xz) = (zstd_of_a_pipe(&CARD), pipe("xz", "xz-utils", ["-0", "-c"], &CARD));
    let flipped = |file: &[u8]| {
        let mut file = file.to_vec();
        let at = file.len() / 2;
        file[at] ^= 1;
        file
    };
    let garbage = |file: &[u8]| [file, b"garbage"].concat();
    let cut = |file: &[u8]| file[..file.len() - 9].to_vec();
    for (input, check) in [
        (flipped(&zstd), "[zstd-data]"),
        (garbage(&zstd), "[zstd-data]"),
        (cut(&zstd), "[zstd-data]"),
        (flipped(&xz), "[xz-data]"),
        (garbage(&xz), "[xz-data]"),
        (cut(&xz), "[xz-data]"),
        (garbage(&gzip(&CARD)), "[gzip-trailing-bytes]"),
        (cut(&gzip(&CARD)), "[gzip-truncated]"),
    ] {
        let error = error(ImageKind::Sd, &input);
        assert!(error.report().is_some());
        let text = error.to_string();
        assert!(text.contains(check), "{text}");
    }
}

/// Zeros without an end, in a few kilobytes: what they expand to takes no room, and is limited.
#[test]
fn a_bomb_ends_at_the_limit() {
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let mut disk = vec![0; MIB];
    disk[510..512].copy_from_slice(b"\x55\xaa");
    bomb.write_all(&disk).unwrap();
    disk.fill(0);
    (0..5 << 10).for_each(|_| bomb.write_all(&disk).unwrap());
    let bomb = bomb.finish().unwrap();
    let error = error(ImageKind::Sd, &bomb);
    let text = error.to_string();
    assert!(text.contains("[file-expansion-limit]"), "{text}");
}

#[test]
fn a_full_disk_is_told_with_numbers() {
    for compression in [NONE, GZIP, ZSTD, XZ] {
        let dir = tempfile::tempdir().unwrap();
        let (input, output) = (dir.path().join("input"), dir.path().join("output"));
        fs::write(&input, &*CARD).unwrap();
        std::os::unix::fs::symlink("/dev/full", &output).unwrap();
        let (kind, work) = (ImageKind::Sd, dir.path());
        let job = FinishJob {
            kind,
            input: &input,
            work,
            output: &output,
            compression,
            bmap: false,
            threads: 1,
        };
        let error = finish(&job, &|_, _| {}).unwrap_err();
        assert!(!error.is_defect());
        let text = error.to_string();
        assert!(text.starts_with("no room for the finished file in "), "{text}");
        assert!(text.contains(": 0 bytes were written and "), "{text}");
        assert!(!output.exists(), "nothing is left");
    }
}

/// The variable that tells a test that it is the child of a test.
const LIMITED: &str = "FINISH_DISK_TEST_IS_LIMITED";

/// The work folder is full: here, no file may be larger than 4 MiB.
#[test]
fn a_full_work_folder_is_told_with_numbers() {
    if std::env::var_os(LIMITED).is_some() {
        let input = PathBuf::from(std::env::var_os(LIMITED).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("card.img.zst");
        let (kind, work, input) = (ImageKind::Sd, dir.path(), &*input);
        let job = FinishJob {
            kind,
            input,
            work,
            output: &output,
            compression: ZSTD,
            bmap: true,
            threads: 1,
        };
        let error = finish(&job, &|_, _| {}).unwrap_err();
        assert!(!error.is_defect());
        let text = error.to_string();
        assert!(text.starts_with("no room for the raw bytes in "), "{text}");
        assert!(text.ends_with("how many it takes is not known before its end"), "{text}");
        assert!(!text.contains(" 0 bytes were written"), "{text}");
        let file = File::open(input).unwrap();
        let verification = image_factory::Verification {
            expected: image_verify::Expected::AnyKind,
            system: None,
            file_name: None,
            boards: &[],
            boots: &[],
            waivers: &[],
            trust: None,
            manifest: None,
            work,
        };
        let error = image_factory::verify::file(file, &verification, &|_| ()).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.starts_with("no room for the raw bytes in "), "{cause}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("input");
    fs::write(&input, zstd_of_a_pipe(&CARD)).unwrap();
    let test = "a_full_work_folder_is_told_with_numbers";
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8192; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(LIMITED, &input)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn progress_ends_at_the_total() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("input");
    let packed = zstd_of_a_pipe(&CARD);
    fs::write(&input, &packed).unwrap();
    let steps = Mutex::new(Vec::new());
    let output = dir.path().join("card.img.zst");
    let job = FinishJob {
        kind: ImageKind::Sd,
        input: &input,
        work: dir.path(),
        output: &output,
        compression: ZSTD,
        bmap: false,
        threads: 2,
    };
    let finished = finish(&job, &|done, total| steps.lock().unwrap().push((done, total))).unwrap();
    assert_eq!(finished.artifacts.len(), 1, "no map was asked for");
    let steps = steps.into_inner().unwrap();
    for total in [packed.len() as u64, CARD.len() as u64] {
        assert!(steps.contains(&(total, Some(total))));
    }
    assert!(Path::new(&output).exists());
}

/// A card that was used before: what the map leaves out holds something else. The file systems do
/// not notice.
#[test]
fn what_is_not_mapped_may_be_anything() {
    let made = finished(&CARD, NONE, 2);
    let map = fs::read_to_string(made.path("card.img.bmap")).unwrap();
    let ranges = ranges(&map, CARD.len());
    let mapped: usize = ranges.iter().map(|range| range.len()).sum();
    // 9 MiB of the FAT, and 16 MiB of ext4: not its journal of 4 MiB, and not the file of zeros.
    assert!(mapped < CARD.len() - 20 * MIB, "{mapped}");
    let count = format!("<MappedBlocksCount> {} </MappedBlocksCount>", mapped.div_ceil(4096));
    assert!(map.contains(&count), "{count}");
    let mut card = vec![0xff; CARD.len()];
    let mut kept = vec![false; CARD.len() / 4096];
    for range in ranges {
        kept[range.start / 4096..range.end / 4096].fill(true);
        card[range.clone()].copy_from_slice(&CARD[range]);
    }
    for (block, kept) in kept.iter().enumerate() {
        let zero = CARD[block * 4096..][..4096].iter().all(|b| *b == 0);
        let inside = |at: usize, len| (at..at + len).contains(&(block * 4096));
        assert!(*kept || zero && (inside(FAT_AT, FAT_LEN) || inside(EXT4_AT, EXT4_LEN)));
    }

    let (fat, ext4) = (made.path("fat.img"), made.path("ext4.img"));
    fs::write(&fat, &card[FAT_AT..FAT_AT + FAT_LEN]).unwrap();
    fs::write(&ext4, &card[EXT4_AT..]).unwrap();
    run("fsck.vfat", "dosfstools", [OsStr::new("-n"), fat.as_os_str()]);
    run("e2fsck", "e2fsprogs", [OsStr::new("-fn"), ext4.as_os_str()]);
    let cat = |file: &str| {
        let cat = format!("cat {file}");
        run("debugfs", "e2fsprogs", [OsStr::new("-R"), cat.as_ref(), ext4.as_os_str()])
    };
    assert!(cat("/boot/kernel") == noise(9 * MIB, 1));
    assert!(cat("/zeros") == vec![0; 3 * MIB]);
    let args = [OsStr::new("-i"), fat.as_os_str(), OsStr::new("::/start.elf"), OsStr::new("-")];
    assert!(run("mcopy", "mtools", args) == noise(3 * MIB, 2));
}

/// Where file systems are not in order, or share bytes, everything is mapped.
#[test]
fn in_doubt_everything_is_mapped() {
    let all = |edit: &dyn Fn(&mut [u8])| {
        let mut card = CARD.clone();
        edit(&mut card);
        let made = finished(&card, NONE, 1);
        let map = fs::read_to_string(made.path("card.img.bmap")).unwrap();
        ranges(&map, card.len()).iter().map(|range| range.len()).sum::<usize>()
    };
    let usual = all(&|_| ());
    // The second partition from 8 MiB on, which is in the first one.
    let overlap =
        all(&|card| card[446 + 16 + 8..][..4].copy_from_slice(&(8_u32 << 11).to_le_bytes()));
    assert_eq!(overlap, CARD.len());
    // `s_state` 2: errors. The checksum is wrong as well then.
    let errors = all(&|card| card[EXT4_AT + 1024 + 0x3a] = 2);
    assert!(errors > usual + 10 * MIB);
    // A byte of the second FAT, behind one of its beginning.
    let len = u16::from_le_bytes([CARD[FAT_AT + 22], CARD[FAT_AT + 23]]) as usize * 512;
    let reserved = u16::from_le_bytes([CARD[FAT_AT + 14], CARD[FAT_AT + 15]]) as usize * 512;
    let fats = all(&|card| card[FAT_AT + reserved + len + 100] ^= 1);
    assert!(fats > usual + 5 * MIB);
    assert_eq!(all(&|card| card[446..510].fill(0)), CARD.len());
}
