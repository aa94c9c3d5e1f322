//! `bench iso`: `verify` of an ISO that is full of a SquashFS, against what people would run to
//! know as much: `xorriso -check_media`, `unsquashfs` into memory, `sha256sum`.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use super::{super::Context, Row, median, ours, shell, table};
use crate::{
    Verdict,
    args::{BenchArgs, BenchPart, Format},
    command::{print, print_json},
    failure::Failure,
};

/// How many times faster ours should be.
const TARGET: f64 = 1.5;

/// How many bytes come out of each byte of the SquashFS, of what is written here.
const EXPANSION: u64 = 3;

/// The packages that the tools come from.
const TOOLS: [(&str, &str); 3] =
    [("xorriso", "xorriso"), ("mksquashfs", "squashfs-tools"), ("unsquashfs", "squashfs-tools")];

/// What is compared. `$ram` is a folder in memory.
const CHAIN: &str = "xorriso -indev $iso -check_media -- \
                     && unsquashfs -no-progress -offset $offset -d $ram/out $iso \
                     && sha256sum $iso";

/// Makes `$iso` of the files in `tree`, with the flags of nixpkgs but for the level: compressing is
/// not what is compared.
const RECIPE: &str = "
export SOURCE_DATE_EPOCH=1700000000
rm -rf disc image && mkdir disc
mksquashfs tree disc/nix-store.squashfs -no-progress -no-hardlinks -all-root -b 1048576 \
    -comp zstd -Xcompression-level 3
rm -rf tree
echo 26.05 > disc/version.txt
xorriso -as mkisofs -iso-level 3 -volid nixos-bench -appid nixos -publisher nixos -graft-points \
    -full-iso9660-filenames -joliet -r -output image disc
rm -r disc
mv image $iso";

/// Where the SquashFS begins, in blocks of 2 KiB.
const LOCATE: &str = "
xorriso -indev $iso -find /nix-store.squashfs -exec report_lba -- \
    | sed -n 's/^File data lba: *[0-9]* , *\\([0-9]*\\) .*/\\1/p' > $iso.lba
test -s $iso.lba";

pub(super) fn run(context: Context, args: &BenchArgs, work: &Path) -> Result<Verdict, Failure> {
    for (tool, package) in TOOLS {
        shell(work, &format!("command -v {tool}")).map_err(|_| {
            let text =
                format!("bench needs {tool}, which is not in PATH: apt-get install {package}");
            Failure::new(Verdict::Failed, text)
        })?;
    }
    let fail = |e| Failure::host(format!("cannot use {}", work.display()), e);
    let iso = format!("{}.iso", args.size);
    if !work.join(&iso).exists() {
        eprintln!("bench: making an ISO of {} MiB", args.size);
        let tree = work.join("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree).map_err(fail)?;
        }
        let files = fill(&tree, (args.size << 20) * EXPANSION).map_err(fail)?;
        eprintln!("bench: {files} files are in it");
        shell(work, &format!("iso={iso}{RECIPE}"))?;
    }
    shell(work, &format!("iso={iso}{LOCATE}"))?;
    let lba = fs::read_to_string(work.join(format!("{iso}.lba"))).map_err(fail)?;
    let offset = lba.trim().parse::<u64>().map_err(|e| fail(io::Error::other(e)))? * 2048;
    let row = compare(&iso, offset, work, args.runs.max(1))?;
    let size = fs::metadata(work.join(&iso)).map_err(fail)?.len();
    match context.format {
        Format::Json => print_json(&[row]),
        Format::Human => print(&table(&[row], "an ISO", size)),
    }
}

fn compare(iso: &str, offset: u64, work: &Path, runs: usize) -> Result<Row, Failure> {
    eprintln!("bench: iso against {CHAIN}");
    let (mut ours_all, mut peer_all, mut ratios, mut peak_bytes) = (vec![], vec![], vec![], 0);
    // The first pair warms the page cache and is not counted.
    for run in 0..=runs {
        let (ours_seconds, part) = ours(work, BenchPart::Iso, &["--image", iso])?;
        let ram = tempfile::tempdir_in("/dev/shm")
            .map_err(|e| Failure::host("no folder in memory for the peer", e))?;
        let place = ram.path().display();
        let peer_seconds = shell(work, &format!("iso={iso} offset={offset} ram={place}\n{CHAIN}"))?;
        // It takes the memory of the machine, and removing it takes time that is nobody's.
        ram.close().map_err(|e| Failure::host("cannot empty the folder in memory", e))?;
        peak_bytes = peak_bytes.max(part.peak_bytes);
        if run > 0 {
            ours_all.push(ours_seconds);
            peer_all.push(peer_seconds);
            ratios.push(peer_seconds / ours_seconds);
        }
    }
    Ok(Row {
        ours: "iso".to_owned(),
        peer: CHAIN,
        ours_seconds: median(ours_all),
        peer_seconds: median(peer_all),
        ratio: median(ratios),
        target: TARGET,
        peak_bytes,
        output_bytes: None,
    })
}

/// Writes files as a store of packages has them, until there are `total` bytes: small ones and few
/// that are large, of text, code and tables. Returns how many. They are the same each time, and
/// are compressed as well as those of a system are.
fn fill(tree: &Path, total: u64) -> io::Result<u64> {
    const FILES_OF_PACKAGE: u64 = 40;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let words: Vec<Vec<u8>> = (0..4096)
        .map(|_| (0..2 + random.below(9)).map(|_| b'a' + random.below(26) as u8).collect())
        .collect();
    let (mut written, mut files) = (0, 0);
    while written < total {
        let package = format!("{:016x}-package-{}", random.any(), files / FILES_OF_PACKAGE);
        let dir = tree.join(package);
        fs::create_dir_all(dir.join("lib"))?;
        for file in files..files + FILES_OF_PACKAGE {
            let len = (256 << random.below(12)) + random.below(4096);
            let name = if file % 2 == 0 { format!("lib/{file}") } else { format!("{file}.txt") };
            let mut out = BufWriter::new(File::create(dir.join(name))?);
            let mut rest = len;
            while rest > 0 {
                let piece = random.piece(file % 3, &words);
                let part = &piece[..piece.len().min(rest as usize)];
                out.write_all(part)?;
                rest -= part.len() as u64;
            }
            out.into_inner()?;
            written += len;
        }
        files += FILES_OF_PACKAGE;
    }
    Ok(files)
}

/// Numbers that look drawn at random: `xorshift64*` of Marsaglia and Vigna.
struct Random(u64);

impl Random {
    fn any(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.any() >> 32) % end
    }

    /// A word, most often one of the first.
    fn word<'a>(&mut self, words: &'a [Vec<u8>]) -> &'a [u8] {
        let mut digit = || self.below(64).min(self.below(64));
        &words[(digit() * 64 + digit()) as usize]
    }

    /// The next bytes of a file.
    fn piece(&mut self, kind: u64, words: &[Vec<u8>]) -> Vec<u8> {
        let word = self.word(words);
        match kind {
            0 => [word, if self.below(12) == 0 { b"\n" } else { b" " }].concat(),
            // Instructions that come again, with few bits that are new.
            1 => {
                let word = &word[..word.len().min(5)];
                let operand = [0x48, 0x8b, self.any() as u8 & 0x3f, 0, 0, 0];
                [word, if self.below(3) == 0 { &operand } else { &operand[..3] }].concat()
            }
            _ => {
                let size = self.below(1000);
                [b"\t{ .name = \"", word, format!("\", .size = {size:6} }},\n").as_bytes()].concat()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_the_same_each_time() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let counts = dirs.each_ref().map(|dir| fill(dir.path(), 1 << 20).unwrap());
        assert_eq!(counts[0], counts[1]);
        let list = |dir: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(list(dirs[0].path()), list(dirs[1].path()));
    }
}
