//! `bench`: ours and the tools that people use instead, in turn, on the same input.
//!
//! Everything that is timed is a whole process, ours too. Times on a shared machine say little;
//! what counts is the ratio of two runs that follow each other, and of several ratios the median.

mod eval;
mod fsck;
mod iso;
#[cfg(feature = "release")]
mod release;
mod single_file;
mod store;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use image_factory::{
    Verification,
    finish::{self, FinishJob},
    verify,
};
use image_host::tool::Tool;
use image_model::{CompressionSpec, ImageKind};
use image_verify::Expected;
use serde::{Deserialize, Serialize};

use super::{Context, print, print_json};
use crate::{
    Verdict,
    args::{BenchArgs, BenchPart, BenchWhat, Format},
    failure::Failure,
    text,
};

/// Memory that our part may take at its peak, in bytes.
const MAX_PEAK: u64 = 256 << 20;

/// A chain of tools that does what one of our parts does.
struct Peer {
    part: BenchPart,
    chain: &'static str,
    /// How many times faster ours should be.
    target: f64,
}

const PEERS: &[Peer] = &[
    Peer {
        part: BenchPart::Finish,
        chain: "tar --sort=name --mtime=@1 --numeric-owner -C rootfs -c . | pigz > peer.tar.gz \
                && sha256sum peer.tar.gz",
        target: 3.0,
    },
    Peer {
        part: BenchPart::Verify,
        chain: "gzip -dc image.tar.gz | tar t > /dev/null && sha256sum image.tar.gz image.tar",
        target: 4.0,
    },
    Peer {
        part: BenchPart::Verify,
        chain: "pigz -dc image.tar.gz | tar t > /dev/null \
                && openssl dgst -sha256 image.tar.gz image.tar",
        target: 1.5,
    },
    Peer {
        part: BenchPart::Card,
        chain: "zstd -dc card.img.zst > peer.img && sfdisk --verify peer.img \
                && dd if=peer.img of=peer.fat bs=1M skip=8 count=30 status=none \
                && fsck.fat -n peer.fat && e2fsck -fn 'peer.img?offset=39845888' \
                && sha256sum card.img.zst peer.img && rm peer.img peer.fat",
        target: 1.5,
    },
];

/// What our part says about itself.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    peak_bytes: u64,
    output_bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    ours: String,
    peer: &'static str,
    ours_seconds: f64,
    peer_seconds: f64,
    ratio: f64,
    target: f64,
    peak_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_bytes: Option<(u64, u64)>,
}

impl Row {
    fn reached(&self) -> bool {
        let smaller = self.output_bytes.is_none_or(|(ours, peer)| ours <= peer);
        self.ratio >= self.target && self.peak_bytes < MAX_PEAK && smaller
    }
}

pub(super) fn run(context: Context, args: &BenchArgs) -> Result<Verdict, Failure> {
    let fail = |e| Failure::host("cannot use the work folder", e);
    let temporary = tempfile::tempdir_in("/var/tmp").map_err(fail)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let work = args.work.clone().unwrap_or_else(|| match args.what {
        // These take a minute to make, and are the same each time.
        Some(BenchWhat::Iso | BenchWhat::Store | BenchWhat::Release) => root.join("target/bench"),
        _ => temporary.path().to_owned(),
    });
    let work = std::path::absolute(work).map_err(fail)?;
    fs::create_dir_all(&work).map_err(fail)?;
    if let Some(part) = args.part {
        return do_part(context, part, &work, args);
    }
    match args.what {
        Some(BenchWhat::Eval) => return eval::run(context, args, &work),
        Some(BenchWhat::Fsck) => return fsck::run(context, args, &work),
        Some(BenchWhat::Iso) => return iso::run(context, args, &work),
        Some(BenchWhat::Store) => return store::run(context, args, &work),
        #[cfg(feature = "release")]
        Some(BenchWhat::Release) => return release::run(context, args, &work),
        #[cfg(not(feature = "release"))]
        Some(BenchWhat::Release) => return super::grow::run(context),
        None => {}
    }
    let size = prepare(args, &work)?;
    let rows = PEERS
        .iter()
        .map(|peer| compare(peer, &work, args.runs.max(1)))
        .collect::<Result<Vec<_>, _>>()?;
    match context.format {
        Format::Json => print_json(&rows),
        Format::Human => print(&table(&rows, "real files", size)),
    }
}

/// Makes the input: a folder of real files, a tar of it in the order of the folder, and the
/// compressed image that the second part reads.
fn prepare(args: &BenchArgs, work: &Path) -> Result<u64, Failure> {
    let fail = |e| Failure::host(format!("cannot fill {}", work.display()), e);
    let rootfs = work.join("rootfs");
    fs::create_dir_all(&rootfs).map_err(fail)?;
    if !work.join("image.tar").exists() {
        eprintln!("bench: copying {} MiB from {}", args.size, args.tree.display());
        copy_files(&args.tree, &rootfs, args.size << 20).map_err(fail)?;
        shell(work, "tar --numeric-owner -C rootfs -cf input.tar .")?;
        shell(work, "tar --sort=name --mtime=@1 --numeric-owner -C rootfs -cf image.tmp .")?;
        shell(work, "pigz -c image.tmp > image.tar.gz && mv image.tmp image.tar")?;
    }
    if !work.join("card.img.zst").exists() {
        eprintln!("bench: making a card of twice the size");
        let total = args.size * 2;
        shell(work, &format!("rm -f card.tmp && truncate -s {total}M card.tmp"))?;
        shell(work, CARD)?;
    }
    Ok(fs::metadata(work.join("input.tar")).map_err(fail)?.len())
}

/// Makes a card as nixpkgs does, of the file tree and the empty `card.tmp`.
const CARD: &str = "\
printf 'label: dos\nstart=8M, size=30M, type=b\nstart=38M, type=83, bootable\n' \
    | sfdisk --quiet --no-reread --no-tell-kernel card.tmp
rm -f fat.tmp root.tmp
truncate -s 30M fat.tmp
mkfs.vfat --invariant -i 2178694e -n FIRMWARE fat.tmp
find rootfs -type f -size -64k | sort | sed -n 1,200p > list.tmp
while read -r file; do mcopy -o -i fat.tmp \"$file\" ::/; done < list.tmp
truncate -s $(($(stat -c %s card.tmp) - (38 << 20))) root.tmp
mkfs.ext4 -q -L NIXOS_SD -d rootfs root.tmp
dd if=fat.tmp of=card.tmp bs=1M seek=8 conv=notrunc,sparse status=none
dd if=root.tmp of=card.tmp bs=1M seek=38 conv=notrunc,sparse status=none
zstd -q -f -T0 card.tmp -o card.zst.tmp
rm card.tmp fat.tmp root.tmp list.tmp
mv card.zst.tmp card.img.zst";

/// Copies regular files, in the order of their names, until there are `limit` bytes of them.
fn copy_files(from: &Path, to: &Path, limit: u64) -> io::Result<()> {
    let mut copied = 0;
    let mut todo = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = todo.pop() {
        fs::create_dir_all(&to)?;
        let mut entries = fs::read_dir(&from)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (kind, name) = (entry.file_type()?, entry.file_name());
            if kind.is_dir() {
                todo.push((entry.path(), to.join(name)));
            } else if kind.is_file() {
                copied += fs::copy(entry.path(), to.join(name))?;
                if copied >= limit {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn shell(work: &Path, chain: &str) -> Result<f64, Failure> {
    // Pipelines are the peers' own way; nothing in them comes from outside.
    let bash = Tool::find("bash").map_err(|e| Failure::host("the peers need bash", e))?;
    // Administrators' programs are not in everybody's path.
    let chain = format!("PATH=$PATH:/usr/sbin:/sbin\n{chain}");
    let began = Instant::now();
    bash.run(["-o", "errexit", "-o", "pipefail", "-c", &chain])
        .dir(work)
        .output()
        .map_err(|e| Failure::host("a peer failed", e))?;
    Ok(began.elapsed().as_secs_f64())
}

fn ours(work: &Path, part: BenchPart, more: &[&str]) -> Result<(f64, Part), Failure> {
    let (seconds, out) = run_part(work, part, more)?;
    let part = serde_json::from_slice(&out).map_err(|e| Failure::host("our part says", e))?;
    Ok((seconds, part))
}

/// Runs one of our parts in a process of its own: how long it took, and what it says.
fn run_part(work: &Path, part: BenchPart, more: &[&str]) -> Result<(f64, Vec<u8>), Failure> {
    let fail = |e| Failure::host("cannot run our part", e);
    let this = Tool::at(std::env::current_exe().map_err(fail)?);
    let name = name_of(part);
    let began = Instant::now();
    let out = this
        .run([&["bench", "--part", &*name, "--work", "."], more].concat())
        .dir(work)
        .output()
        .map_err(|e| Failure::host("our part failed", e))?;
    Ok((began.elapsed().as_secs_f64(), out))
}

fn name_of(part: BenchPart) -> String {
    let value = clap::ValueEnum::to_possible_value(&part).expect("no part is hidden");
    value.get_name().to_owned()
}

fn compare(peer: &Peer, work: &Path, runs: usize) -> Result<Row, Failure> {
    eprintln!("bench: {} against {}", name_of(peer.part), peer.chain);
    let (mut ours_all, mut peer_all, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut peak, mut output) = (0, 0);
    // The first pair warms the page cache and is not counted.
    for run in 0..=runs {
        let (ours_seconds, part) = ours(work, peer.part, &[])?;
        let peer_seconds = shell(work, peer.chain)?;
        peak = peak.max(part.peak_bytes);
        output = part.output_bytes;
        if run > 0 {
            ours_all.push(ours_seconds);
            peer_all.push(peer_seconds);
            ratios.push(peer_seconds / ours_seconds);
        }
    }
    let output_bytes = (peer.part == BenchPart::Finish)
        .then(|| fs::metadata(work.join("peer.tar.gz")).map(|m| (output, m.len())))
        .transpose()
        .map_err(|e| Failure::host("the peer wrote nothing", e))?;
    Ok(Row {
        ours: name_of(peer.part),
        peer: peer.chain,
        ours_seconds: median(ours_all),
        peer_seconds: median(peer_all),
        ratio: median(ratios),
        target: peer.target,
        peak_bytes: peak,
        output_bytes,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn table(rows: &[Row], input: &str, size: u64) -> String {
    let mut text = format!("input: {input}, {}; medians of pairs\n", text::bytes(size));
    for row in rows {
        let verdict = if row.reached() { "reached" } else { "MISSED" };
        text += &format!(
            "{:7} {:.2}x faster (target {:.1}x: {verdict}), {:.2} s against {:.2} s, peak {}\n  \
             against: {}\n",
            row.ours,
            row.ratio,
            row.target,
            row.ours_seconds,
            row.peer_seconds,
            text::bytes(row.peak_bytes),
            row.peer
        );
        if let Some((ours, peer)) = row.output_bytes {
            let ratio = ours as f64 / peer as f64;
            text += &format!("  output: {ours} bytes against {peer}, {ratio:.4} of it\n");
        }
    }
    text
}

/// Our part, in a process of its own.
fn do_part(
    #[cfg_attr(feature = "release", expect(unused_variables, reason = "`grow` asks for it"))]
    context: Context,
    part: BenchPart,
    work: &Path,
    args: &BenchArgs,
) -> Result<Verdict, Failure> {
    let image = work.join(args.image.as_deref().unwrap_or(Path::new("image")));
    let path = match part {
        BenchPart::Iso => image,
        BenchPart::FsckExt4 => return print_json(&fsck::part(&image, image_verify::ext4::check)?),
        BenchPart::Store => return print_json(&store::prove(&image)?),
        BenchPart::Hash => return print_json(&store::hash(args.size)?),
        #[cfg(feature = "release")]
        BenchPart::Release => return print_json(&release::release(work)?),
        #[cfg(feature = "release")]
        BenchPart::Read => return print_json(&release::read(work)?),
        #[cfg(feature = "release")]
        BenchPart::Publish => return print_json(&release::send(work)?),
        #[cfg(not(feature = "release"))]
        BenchPart::Release | BenchPart::Read | BenchPart::Publish => {
            return super::grow::run(context);
        }
        BenchPart::FsckFat => return print_json(&fsck::part(&image, image_verify::fat::check)?),
        BenchPart::Finish => finish_input(work)?,
        BenchPart::Verify => work.join("image.tar.gz"),
        BenchPart::Card => work.join("card.img.zst"),
    };
    let fail = |e| Failure::host(format!("cannot read {}", path.display()), e);
    let file = File::open(&path).map_err(fail)?;
    let verification = Verification {
        expected: Expected::AnyKind,
        system: None,
        file_name: None,
        boards: &[],
        boots: &[],
        waivers: &[],
        trust: None,
        manifest: None,
        work,
    };
    let report = verify::file(file, &verification, &|_| ())
        .map_err(|e| Failure::host("cannot verify", e))?;
    if !report.passed() {
        let text = format!("the input has errors: {:?}", report.findings);
        return Err(Failure::new(Verdict::Failed, text));
    }
    let peak_bytes = peak().map_err(fail)?;
    print_json(&Part { peak_bytes, output_bytes: report.subject.size })
}

fn finish_input(work: &Path) -> Result<PathBuf, Failure> {
    let output = work.join("ours.tar.gz");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let job = FinishJob {
        input: &work.join("input.tar"),
        work,
        output: &output,
        kind: ImageKind::Wsl,
        compression: CompressionSpec::Gzip { level: 5 },
        bmap: false,
        threads,
    };
    finish::finish(&job, &|_, _| ()).map_err(|e| Failure::host("cannot finish", e))?;
    Ok(output)
}

/// Peak resident memory of this process, in bytes. proc_pid_status(5).
fn peak() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kib = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok()
    });
    kib.map(|kib: u64| kib << 10).ok_or_else(|| io::Error::other("no VmHWM"))
}
