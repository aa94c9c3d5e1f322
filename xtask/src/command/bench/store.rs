//! `bench store`: the proof of a Nix store in an image, against hashing alone and against
//! `nix-store --verify --check-contents` of the same store.
//!
//! Three processes in turn: ours, which opens the image and compares each path with what is
//! registered; one that only hashes as many bytes on one core; and Nix. The store has many small
//! files and some large ones, is the same each time, and Nix itself registers it.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    num::NonZero,
    path::Path,
    sync::Arc,
    thread,
    time::Instant,
};

use image_formats::bytes::{ReadAt, Region};
use image_model::PathVerdict;
use image_verify::{
    Recorder,
    container::RawFormat,
    opened::{self, Opened},
    squashfs, store,
    volume::{Trouble, Volume},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{super::Context, MAX_PEAK, median, peak, shell};
use crate::{
    Verdict,
    args::{BenchArgs, BenchPart, Format},
    command::{print, print_json},
    failure::Failure,
    text,
};

/// How much of what hashing alone reaches on one core, times the cores, the proof should reach.
const TARGET_OF_HASHING: f64 = 0.8;

/// How many times faster than Nix the proof should be.
const TARGET_OF_NIX: f64 = 1.5;

/// An image of the store.
struct Kind {
    name: &'static str,
    /// Makes `image.tmp` of `root`.
    recipe: &'static str,
    /// Its files lie there as they are: nothing but hashing has to be done.
    is_plain: bool,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "ext4",
        recipe: "
truncate -s $((mib * 5 / 4 + 256))M image.tmp
mke2fs -q -F -t ext4 -b 4096 -E root_owner=0:0 -d root image.tmp",
        is_plain: true,
    },
    Kind {
        name: "tar",
        recipe: "tar --sort=name --owner=0 --group=0 --numeric-owner -C root -cf image.tmp .",
        is_plain: true,
    },
    Kind {
        name: "squashfs",
        recipe: "
mksquashfs root/nix/store/*-* root/nix-path-registration image.tmp -quiet -no-progress -all-root \
    -comp zstd -Xcompression-level 6 > mksquashfs.log",
        is_plain: false,
    },
];

/// What the makers of images and the peer are, and the packages that they come from.
const TOOLS: [(&str, &str); 4] = [
    ("nix-store", "nix-bin"),
    ("mke2fs", "e2fsprogs"),
    ("mksquashfs", "squashfs-tools"),
    ("tar", "tar"),
];

/// A Nix that has everything below the work folder, and whose paths are called `/nix/store/…`.
const NIX: &str = "
export NIX_CONF_DIR=$PWD/etc NIX_USER_CONF_FILES=/dev/null XDG_CACHE_HOME=$PWD/cache NIX_REMOTE=
mkdir -p etc && printf 'sandbox = false\nbuild-users-group =\nsubstituters =\n' > etc/nix.conf
";

/// What our part says about itself.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Proof {
    /// Bytes of all paths as archives.
    bytes: u64,
    paths: usize,
    /// Seconds for the proof alone, without opening the image.
    seconds: f64,
    /// Seconds of processors that it took.
    processor_seconds: f64,
    /// The same without all that is not hashing: contents are not searched for paths.
    bare_seconds: f64,
    bare_processor_seconds: f64,
    threads: usize,
    peak_bytes: u64,
}

/// One image.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    image: &'static str,
    paths: usize,
    bytes: u64,
    threads: usize,
    /// Of the proof alone.
    proof_seconds: f64,
    proof_processor_seconds: f64,
    /// Of hashing as many bytes on one core.
    hash_seconds: f64,
    /// What the proof reaches of what hashing alone does, times the cores.
    ratio_of_hashing: f64,
    /// The same in time of processors, which does not depend on who else uses them.
    ratio_of_processors: f64,
    /// Of hashing in as many threads at once: two processors may share what hashes.
    ratio_of_hashing_at_once: f64,
    /// Both where archives are hashed, and contents are not searched for paths.
    bare_ratio_of_hashing: f64,
    bare_ratio_of_processors: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_of_hashing: Option<f64>,
    /// Of the whole process, which opens the image and judges its structure as well.
    ours_seconds: f64,
    nix_seconds: f64,
    ratio_of_nix: f64,
    target_of_nix: f64,
    peak_bytes: u64,
}

pub(super) fn run(context: Context, args: &BenchArgs, work: &Path) -> Result<Verdict, Failure> {
    for (tool, package) in TOOLS {
        shell(work, &format!("command -v {tool}")).map_err(|_| {
            let text =
                format!("bench needs {tool}, which is not in PATH: apt-get install {package}");
            Failure::new(Verdict::Failed, text)
        })?;
    }
    let work = work.join(format!("store-{}", args.size));
    prepare(&work, args.size)?;
    let rows = KINDS
        .iter()
        .map(|kind| compare(kind, &work, args.runs.max(1)))
        .collect::<Result<Vec<_>, _>>()?;
    match context.format {
        Format::Json => print_json(&rows),
        Format::Human => print(&table(&rows)),
    }
}

/// Makes the store and its images, where they are not there.
fn prepare(work: &Path, mib: u64) -> Result<(), Failure> {
    let fail = |e| Failure::host(format!("cannot fill {}", work.display()), e);
    fs::create_dir_all(work).map_err(fail)?;
    if !work.join("root").exists() {
        eprintln!("bench: making a store of {mib} MiB");
        shell(work, "test ! -e half || chmod -R u+w half; rm -rf half packages")?;
        fill(&work.join("packages"), mib << 20).map_err(fail)?;
        shell(
            work,
            &format!(
                "{NIX}
find packages -mindepth 1 -maxdepth 1 | sort | xargs nix-store --store \"$PWD/half\" --add > added
nix-store --store \"$PWD/half\" --dump-db > half/nix-path-registration
rm -rf packages && mv half root"
            ),
        )?;
    }
    for kind in &KINDS {
        let image = work.join(kind.name);
        if !image.exists() {
            eprintln!("bench: making {}", kind.name);
            shell(work, &format!("rm -f image.tmp; mib={mib}; {}", kind.recipe))?;
            fs::rename(work.join("image.tmp"), image).map_err(fail)?;
        }
    }
    Ok(())
}

/// Writes packages: a quarter of the bytes in files of some KiB, as of sources and documents, a
/// quarter in files of some hundred, as of libraries, and the rest in large ones.
fn fill(packages: &Path, bytes: u64) -> io::Result<()> {
    let mut content = Content::default();
    for (name, share, files, len) in [
        ("small", bytes / 4, 300, 1..12 << 10),
        ("middle", bytes / 4, 20, 64 << 10..1 << 20),
        ("large", bytes / 2, 1, 16 << 20..96 << 20),
    ] {
        let (mut written, mut number) = (0, 0);
        while written < share {
            let package = packages.join(format!("{name}-{number:04}"));
            for file in 0..files {
                let dir = package.join(format!("part-{}", file / 40));
                fs::create_dir_all(&dir)?;
                let len = len.start + content.next() % (len.end - len.start);
                content.write(File::create(dir.join(format!("file-{file:03}")))?, len)?;
                written += len;
            }
            number += 1;
        }
    }
    Ok(())
}

/// Numbers that look random, and are the same each time. G. Marsaglia, *Xorshift RNGs*.
pub(super) struct Content(u64);

impl Default for Content {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Content {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Half of it is random, the other half is text: it compresses as programs do.
    pub(super) fn write(&mut self, file: File, len: u64) -> io::Result<()> {
        let mut file = io::BufWriter::with_capacity(1 << 20, file);
        let mut left = len;
        while left > 0 {
            let mut block = Vec::with_capacity(4096);
            while block.len() < 2048 {
                block.extend_from_slice(&self.next().to_le_bytes());
            }
            let line = format!("{:08x} is a word of a text of a program\n", self.next() as u32);
            while block.len() < 4096 {
                block.extend_from_slice(line.as_bytes());
            }
            let len = left.min(4096);
            file.write_all(&block[..len as usize])?;
            left -= len;
        }
        file.flush()
    }
}

fn compare(kind: &Kind, work: &Path, runs: usize) -> Result<Row, Failure> {
    eprintln!("bench: the proof of the store in {} against hashing alone and Nix", kind.name);
    let nix = format!("{NIX} nix-store --store \"$PWD/root\" --verify --check-contents 2> nix.log");
    let mut turns = Vec::new();
    // The first turn warms the page cache and is not counted.
    for run in 0..=runs {
        let (ours_seconds, proof): (_, Proof) =
            part(work, BenchPart::Store, &["--image", kind.name])?;
        let (_, hash): (_, Hash) =
            part(work, BenchPart::Hash, &["--size", &(proof.bytes >> 20).to_string()])?;
        let nix_seconds = shell(work, &nix)?;
        if run > 0 {
            // The second run over the contents is only for the bench.
            let ours_seconds = ours_seconds - proof.bare_seconds;
            turns.push(Turn { ours_seconds, proof, hash, nix_seconds });
        }
    }
    let all = |of: fn(&Turn) -> f64| median(turns.iter().map(of).collect());
    let first = &turns[0].proof;
    Ok(Row {
        image: kind.name,
        paths: first.paths,
        bytes: first.bytes,
        threads: first.threads,
        proof_seconds: all(|turn| turn.proof.seconds),
        proof_processor_seconds: all(|turn| turn.proof.processor_seconds),
        hash_seconds: all(|turn| {
            turn.proof.bytes as f64 / turn.hash.bytes as f64 * turn.hash.seconds
        }),
        ratio_of_hashing: all(|turn| turn.of_hashing(turn.proof.seconds)),
        ratio_of_processors: all(|turn| turn.of_processors(turn.proof.processor_seconds)),
        ratio_of_hashing_at_once: all(|turn| {
            turn.hash.at_once_seconds / turn.hash.seconds * turn.of_hashing(turn.proof.seconds)
        }),
        bare_ratio_of_hashing: all(|turn| turn.of_hashing(turn.proof.bare_seconds)),
        bare_ratio_of_processors: all(|turn| turn.of_processors(turn.proof.bare_processor_seconds)),
        target_of_hashing: kind.is_plain.then_some(TARGET_OF_HASHING),
        ours_seconds: all(|turn| turn.ours_seconds),
        nix_seconds: all(|turn| turn.nix_seconds),
        ratio_of_nix: all(|turn| turn.nix_seconds / turn.ours_seconds),
        target_of_nix: TARGET_OF_NIX,
        peak_bytes: turns.iter().map(|turn| turn.proof.peak_bytes).max().unwrap_or_default(),
    })
}

/// Ours, hashing alone and Nix, one after the other.
struct Turn {
    ours_seconds: f64,
    proof: Proof,
    hash: Hash,
    nix_seconds: f64,
}

impl Turn {
    /// What we reach in so many seconds of what hashing alone does on one core, times the cores.
    fn of_hashing(&self, seconds: f64) -> f64 {
        let ours = self.proof.bytes as f64 / seconds;
        ours / (self.hash.bytes as f64 / self.hash.seconds * self.proof.threads as f64)
    }

    fn of_processors(&self, seconds: f64) -> f64 {
        let ours = self.proof.bytes as f64 / seconds;
        ours / (self.hash.bytes as f64 / self.hash.processor_seconds)
    }
}

/// Runs one of our parts, in a process of its own.
fn part<T: for<'de> Deserialize<'de>>(
    work: &Path,
    part: BenchPart,
    more: &[&str],
) -> Result<(f64, T), Failure> {
    let (seconds, out) = super::run_part(work, part, more)?;
    let part = serde_json::from_slice(&out).map_err(|e| Failure::host("our part says", e))?;
    Ok((seconds, part))
}

/// Our part: opens an image, and proves its store.
pub(super) fn prove(image: &Path) -> Result<Proof, Failure> {
    let fail = |e| Failure::host(format!("cannot read {}", image.display()), e);
    let cannot = |e| Failure::host("cannot open the image", e);
    let file: Arc<dyn ReadAt> = Arc::new(File::open(image).map_err(fail)?);
    let mut out = Recorder::default();
    let name = image.file_name().unwrap_or_default();
    let opened = if name == "squashfs" {
        let region = Region::whole(file).map_err(fail)?;
        let volume = squashfs::verify(&region, "squashfs", &Trouble::default(), &mut out);
        volume.map_err(cannot)?.map(Opened::Archive)
    } else {
        let format = if name == "tar" { RawFormat::Tar } else { RawFormat::Disk };
        Some(opened::open(&file, format, &mut out).map_err(cannot)?)
    };
    let volumes = opened.iter().flat_map(Opened::volumes);
    let volume: Option<&Volume> = volumes.into_iter().next();
    let defective = |what: String| Failure::new(Verdict::Failed, what);
    let volume = volume.ok_or_else(|| defective("the image cannot be opened".to_owned()))?;
    let (judged, (seconds, processor_seconds)) =
        timed(|| store::verify(volume, &store::Asked::default(), &mut out)).map_err(fail)?;
    let judged = judged.ok_or_else(|| defective("there is no store".to_owned()))?;
    let paths = &judged.report.paths;
    if let Some(bad) = paths.iter().find(|path| path.verdict != PathVerdict::Intact) {
        return Err(defective(format!("{}: {:?}", bad.path, bad.verdict)));
    }
    let bytes = paths.iter().filter_map(|path| path.nar).map(|nar| nar.nar_size).sum();
    let in_store =
        |path: &str| store::find(volume)?.named(path.strip_prefix("/nix/store/")?.as_bytes());
    let nodes: Vec<_> = paths.iter().filter_map(|path| in_store(&path.path)).collect();
    let (hashed, (bare_seconds, bare_processor_seconds)) =
        timed(|| store::hash(volume, &nodes)).map_err(fail)?;
    let digests: Vec<_> = hashed.into_iter().map(Result::ok).collect();
    if digests != paths.iter().map(|path| path.nar).collect::<Vec<_>>() {
        return Err(defective("the same paths have other hashes".to_owned()));
    }
    Ok(Proof {
        bytes,
        paths: paths.len(),
        seconds,
        processor_seconds,
        bare_seconds,
        bare_processor_seconds,
        threads: threads(),
        peak_bytes: peak().map_err(fail)?,
    })
}

/// Does something, and tells how many seconds it took, and how many of processors.
fn timed<T>(what: impl FnOnce() -> T) -> io::Result<(T, (f64, f64))> {
    let (began, processors) = (Instant::now(), processor_seconds()?);
    let done = what();
    Ok((done, (began.elapsed().as_secs_f64(), processor_seconds()? - processors)))
}

/// Hashing alone.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hash {
    pub(super) bytes: u64,
    seconds: f64,
    pub(super) processor_seconds: f64,
    /// Where each of as many threads as the proof has hashes as much.
    pub(super) at_once_seconds: f64,
}

/// What is hashed alone lies in memory, and in no cache of a core, as what was read from a file.
const PIECE: usize = 64 << 20;

/// Hashes so many MiB on one core, and then as many on each.
pub(super) fn hash(mib: u64) -> Result<Hash, Failure> {
    let fail = |e| Failure::host("no time of processors", e);
    let piece: Vec<u8> = (0..PIECE).map(|at| (at % 251) as u8).collect();
    let bytes = mib << 20;
    let one = || {
        let mut hash = Sha256::new();
        let mut left = bytes;
        while left > 0 {
            let len = left.min(PIECE as u64);
            hash.update(&piece[..len as usize]);
            left -= len;
        }
        std::hint::black_box(hash.finalize());
    };
    let ((), (seconds, processor_seconds)) = timed(one).map_err(fail)?;
    let each = || thread::scope(|scope| (0..threads()).for_each(|_| drop(scope.spawn(one))));
    let ((), (at_once_seconds, _)) = timed(each).map_err(fail)?;
    Ok(Hash { bytes, seconds, processor_seconds, at_once_seconds })
}

/// How many threads the proof has.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Seconds that this process has had of all processors. proc_pid_stat(5), fields 14 and 15, in
/// hundredths on every Linux that there is.
pub(super) fn processor_seconds() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name of the program is in brackets, and may have anything in it.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2));
    let ticks = fields.into_iter().flatten().filter_map(|field| field.parse::<u64>().ok());
    Ok(ticks.sum::<u64>() as f64 / 100.0)
}

fn table(rows: &[Row]) -> String {
    let verdict = |holds: bool| if holds { "reached" } else { "MISSED" };
    let mut text = "medians of turns\n".to_owned();
    for row in rows {
        let speed = row.bytes as f64 / row.proof_seconds / (1 << 20) as f64;
        let target = match row.target_of_hashing {
            Some(target) => {
                format!("target {target:.1}: {}", verdict(row.ratio_of_hashing >= target))
            }
            None => "no target: it is decompressed as well".to_owned(),
        };
        text += &format!(
            "{:8} {} paths, {}: {:.2} s, {speed:.0} MiB/s in {} threads\n  \
             {:.2} of hashing alone times the cores ({target}), which takes {:.2} s on one; \
             {:.2} in time of processors; {:.2} of hashing in all threads at once\n  \
             {:.2} where contents are only hashed, and not searched for paths; {:.2} in time of \
             processors\n  \
             {:.2}x faster than nix-store --verify --check-contents (target {:.1}x: {}), {:.2} s \
             against {:.2} s, image opened and judged\n  peak {} (at most {}: {})\n",
            row.image,
            row.paths,
            text::bytes(row.bytes),
            row.proof_seconds,
            row.threads,
            row.ratio_of_hashing,
            row.hash_seconds,
            row.ratio_of_processors,
            row.ratio_of_hashing_at_once,
            row.bare_ratio_of_hashing,
            row.bare_ratio_of_processors,
            row.ratio_of_nix,
            row.target_of_nix,
            verdict(row.ratio_of_nix >= row.target_of_nix),
            row.ours_seconds,
            row.nix_seconds,
            text::bytes(row.peak_bytes),
            text::bytes(MAX_PEAK),
            verdict(row.peak_bytes < MAX_PEAK),
        );
    }
    text
}
