//! `bench fsck`: our checkers against `e2fsck -fn` and `fsck.fat -n`, on file systems with many
//! files, of three sizes: what grows faster than the number of files shows.

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::Arc,
};

use image_formats::{
    bytes::{ReadError, Region},
    ext4::Superblock,
};
use image_model::VerificationReport;
use serde::Serialize;

use super::{super::Context, Part, median, ours, peak, shell};
use crate::{
    Verdict,
    args::{BenchArgs, BenchPart, Format},
    command::{print, print_json},
    failure::Failure,
    text,
};

/// How many times faster ours should be.
const TARGET: f64 = 1.0;

/// How much more time a file may take in the largest file system than in the smallest.
const MAX_GROWTH: f64 = 1.3;

/// Bytes of an average file: 1 GiB in 200,000 of them.
const FILE_SIZE: u64 = (1 << 30) / 200_000;

/// How many times fewer files the FAT file systems have.
const FEWER_IN_FAT: u64 = 5;

/// What our part may take in memory, but for what it needs for each inode.
const MAX_PEAK: u64 = 64 << 20;

/// What our part may take in memory for each inode.
const PEAK_OF_INODE: u64 = 40;

struct Kind {
    name: &'static str,
    part: BenchPart,
    peer: &'static str,
    /// Makes `image` of `tree`, which has `$files` files that take `$mib` MiB.
    recipe: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "ext4",
        part: BenchPart::FsckExt4,
        peer: "e2fsck -fn",
        // As the kernel would, e2fsck makes the indexes of directories; 1 is that it did.
        recipe: "
export E2FSPROGS_FAKE_TIME=1700000000
truncate -s $((mib * 9 / 4 + 64))M image
mke2fs -q -F -t ext4 -O metadata_csum -b 4096 -N $((files * 5 / 4 + 1000)) \
    -U 01234567-89ab-4cde-8f01-23456789abcd \
    -E hash_seed=01234567-89ab-4cde-8f01-23456789abcd,lazy_itable_init=0 -d tree image
status=0
e2fsck -fyD image > e2fsck.log || status=$?
test $status -le 1",
    },
    Kind {
        name: "fat",
        part: BenchPart::FsckFat,
        peer: "fsck.fat -n",
        recipe: "
truncate -s $((mib * 2 + 300))M image
mkfs.fat -F 32 -s 8 --invariant image > mkfs.log
mcopy -s -m -i image tree/* ::/",
    },
];

/// One size of one kind.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    kind: &'static str,
    peer: &'static str,
    files: u64,
    ours_seconds: f64,
    peer_seconds: f64,
    ratio: f64,
    target: f64,
    peak_bytes: u64,
    max_peak_bytes: u64,
}

/// What the peers and the makers of images are, and the packages that they come from.
const TOOLS: [(&str, &str); 5] = [
    ("mke2fs", "e2fsprogs"),
    ("e2fsck", "e2fsprogs"),
    ("mkfs.fat", "dosfstools"),
    ("fsck.fat", "dosfstools"),
    ("mcopy", "mtools"),
];

pub(super) fn run(context: Context, args: &BenchArgs, work: &Path) -> Result<Verdict, Failure> {
    for (tool, package) in TOOLS {
        shell(work, &format!("command -v {tool}")).map_err(|_| {
            let text =
                format!("bench needs {tool}, which is not in PATH: apt-get install {package}");
            Failure::new(Verdict::Failed, text)
        })?;
    }
    let mut rows = Vec::new();
    for kind in &KINDS {
        let fewer = if kind.part == BenchPart::FsckFat { FEWER_IN_FAT } else { 1 };
        for divisor in [4, 2, 1] {
            let files = (args.files / divisor / fewer).max(1);
            let image = prepare(kind, files, work)?;
            rows.push(compare(kind, files, &image, work, args.runs.max(1))?);
        }
    }
    match context.format {
        Format::Json => print_json(&rows),
        Format::Human => print(&table(&rows)),
    }
}

/// Makes a file system with so many files, if it is not there, and returns its name.
fn prepare(kind: &Kind, files: u64, work: &Path) -> Result<String, Failure> {
    let name = format!("fsck-{}-{files}.img", kind.name);
    if work.join(&name).exists() {
        return Ok(name);
    }
    eprintln!("bench: making {name}");
    let tree = work.join("tree");
    let fail = |e| Failure::host(format!("cannot fill {}", tree.display()), e);
    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(fail)?;
    }
    fill(&tree, files).map_err(fail)?;
    let mib = (files * FILE_SIZE) >> 20;
    shell(work, &format!("rm -f image; files={files} mib={mib}{}", kind.recipe))?;
    fs::remove_dir_all(&tree).map_err(fail)?;
    fs::rename(work.join("image"), work.join(&name)).map_err(fail)?;
    Ok(name)
}

/// Writes files into folders of some hundred, and some thousand, as a store of packages has them.
fn fill(tree: &Path, files: u64) -> io::Result<()> {
    // Zeros would be holes.
    let content: Vec<u8> = (0..2 * FILE_SIZE).map(|at| (at % 251) as u8 + 1).collect();
    let mut dir = tree.to_owned();
    for file in 0..files {
        let group = if file * 4 < files { 3000 } else { 300 };
        if file % group == 0 {
            dir = tree.join(format!("part-{}", file / 30_000)).join(format!("package-{file:06}"));
            fs::create_dir_all(&dir)?;
        }
        // Names that start with their numbers: for others mtools takes minutes to find short ones.
        let len = (file * 7919) % (2 * FILE_SIZE);
        fs::write(dir.join(format!("{file:06}-file-of-a-package.txt")), &content[..len as usize])?;
    }
    Ok(())
}

fn compare(kind: &Kind, files: u64, image: &str, work: &Path, runs: usize) -> Result<Row, Failure> {
    eprintln!("bench: {} against {} {image}", kind.name, kind.peer);
    let inodes = match kind.part {
        BenchPart::FsckExt4 => {
            let fail = |e| Failure::host(format!("cannot read {image}"), e);
            let superblock = Superblock::read(&region(&work.join(image))?).map_err(fail)?;
            u64::from(superblock.raw.s_inodes_count.get())
        }
        _ => 0,
    };
    let peer = format!("{} {image}", kind.peer);
    let (mut ours_all, mut peer_all, mut ratios, mut peak) = (vec![], vec![], vec![], 0);
    // The first pair warms the page cache and is not counted.
    for run in 0..=runs {
        let (ours_seconds, part) = ours(work, kind.part, &["--image", image])?;
        let peer_seconds = shell(work, &peer)?;
        peak = peak.max(part.peak_bytes);
        if run > 0 {
            ours_all.push(ours_seconds);
            peer_all.push(peer_seconds);
            ratios.push(peer_seconds / ours_seconds);
        }
    }
    Ok(Row {
        kind: kind.name,
        peer: kind.peer,
        files,
        ours_seconds: median(ours_all),
        peer_seconds: median(peer_all),
        ratio: median(ratios),
        target: TARGET,
        peak_bytes: peak,
        max_peak_bytes: MAX_PEAK + inodes * PEAK_OF_INODE,
    })
}

/// Our part: judges `image`, in a process of its own.
pub(super) fn part(
    image: &Path,
    check: fn(&Region) -> Result<VerificationReport, ReadError>,
) -> Result<Part, Failure> {
    let report = check(&region(image)?).map_err(|e| Failure::host("cannot check", e))?;
    if !report.passed() {
        let text = format!("the input has errors: {:?}", report.findings);
        return Err(Failure::new(Verdict::Failed, text));
    }
    let peak_bytes = peak().map_err(|e| Failure::host("no peak of memory", e))?;
    Ok(Part { peak_bytes, output_bytes: report.subject.size })
}

fn region(image: &Path) -> Result<Region, Failure> {
    let open = || Region::whole(Arc::new(File::open(image)?));
    open().map_err(|e| Failure::file(format!("cannot read {}", image.display()), e))
}

fn table(rows: &[Row]) -> String {
    let verdict = |holds: bool| if holds { "reached" } else { "MISSED" };
    let each = |row: &Row| row.ours_seconds / row.files as f64;
    let mut text = "medians of pairs\n".to_owned();
    for row in rows {
        text += &format!(
            "{:4} {:6} files: {:.2}x faster than {} (target {:.1}x: {}), {:.3} s against {:.3} s, \
             {:.2} us a file\n  peak {} (at most {}: {})\n",
            row.kind,
            row.files,
            row.ratio,
            row.peer,
            row.target,
            verdict(row.ratio > row.target),
            row.ours_seconds,
            row.peer_seconds,
            each(row) * 1e6,
            text::bytes(row.peak_bytes),
            text::bytes(row.max_peak_bytes),
            verdict(row.peak_bytes < row.max_peak_bytes),
        );
    }
    for kind in rows.chunk_by(|a, b| a.kind == b.kind) {
        if let [small, .., large] = kind {
            let growth = each(large) / each(small);
            text += &format!(
                "{:4} from {} files to {}: {growth:.2} times the time for a file (at most \
                 {MAX_GROWTH:.1}: {})\n",
                small.kind,
                small.files,
                large.files,
                verdict(growth <= MAX_GROWTH),
            );
        }
    }
    text
}
