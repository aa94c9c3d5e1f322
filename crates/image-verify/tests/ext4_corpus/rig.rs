//! What all of these tests use: images in files, e2fsck with a time limit, two threads, and lists of
//! disagreements that may only shrink.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{Read, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use image_formats::bytes::Region;
use image_model::{Finding, Severity};
use image_verify::ext4;

/// What is told about the next mount, and not about the structure. `e2fsck -fn` exits with 0 for
/// these alone: it leaves the journal and the orphans to a run that may write, and the marks in
/// `s_state` are its reason to look, not something that it finds.
pub(crate) const OF_THE_NEXT_MOUNT: &[&str] = &[
    "ext4-journal-replay",
    "ext4-journal-log",
    "ext4-journal-fast-commit",
    "ext4-errors",
    "ext4-clean",
    "ext4-orphans",
];

/// The folder of file systems that `tests/setup.sh` fetches.
pub(crate) fn fetched(path: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/file-systems");
    let path = target.join(path);
    assert!(path.exists(), "{} is not there: run tests/setup.sh", path.display());
    path
}

/// The entries of a folder, by name.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let names: BTreeSet<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.into_iter().collect()
}

/// What a compressed file has inside. The end of its name tells how it is compressed.
pub(crate) fn reader(path: &Path) -> Box<dyn Read> {
    let file = File::open(path).unwrap();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("xz") => Box::new(liblzma::read::XzDecoder::new_multi_decoder(file)),
        // No crate of ours reads it, and `dpkg-dev`, without which there are no images, needs it.
        Some("bz2") => {
            let child = Command::new("bzip2")
                .args(["-dc"])
                .stdin(file)
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit())
                .spawn()
                .expect("`bzip2`: run `apt-get install bzip2`");
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", path.display());
            Box::new(std::io::Cursor::new(output.stdout))
        }
        _ => Box::new(file),
    }
}

/// Makes a file in which the zeros of the input are holes.
pub(crate) fn expand(mut from: impl Read, to: &Path) {
    let file = File::create(to).unwrap();
    let mut piece = vec![0; 64 << 10];
    let mut at = 0;
    loop {
        let mut filled = 0;
        while filled < piece.len() {
            match from.read(&mut piece[filled..]).unwrap() {
                0 => break,
                len => filled += len,
            }
        }
        if piece[..filled].iter().any(|byte| *byte != 0) {
            file.write_all_at(&piece[..filled], at).unwrap();
        }
        at += filled as u64;
        if filled < piece.len() {
            break;
        }
    }
    file.set_len(at).unwrap();
}

/// A file system in a file, and what is said about it.
pub(crate) struct Disk {
    dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Disk {
    pub(crate) fn expand(from: impl Read) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        expand(from, &path);
        Self { dir, path }
    }

    pub(crate) fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    /// What we find.
    pub(crate) fn judge(&self) -> Vec<Finding> {
        let file = File::open(&self.path).unwrap();
        ext4::check(&Region::whole(Arc::new(file)).unwrap()).unwrap().findings
    }

    /// What `e2fsck -fn` says. `None`: it did not end within so many seconds.
    pub(crate) fn e2fsck(&self, seconds: u32) -> Option<E2fsck> {
        self.run_e2fsck("-fn", seconds)
    }

    /// What `e2fsck -fy` says, which replays the log. `None`: it did not end.
    pub(crate) fn replay(&self, seconds: u32) -> Option<E2fsck> {
        self.run_e2fsck("-fy", seconds)
    }

    /// Lets e2fsck mend it, and again until it has nothing more to say. False: it cannot.
    pub(crate) fn mend(&self) -> bool {
        for _ in 0..3 {
            self.run_e2fsck("-fy", 60);
            if self.e2fsck(60).is_some_and(|said| said.clean()) {
                return true;
            }
        }
        false
    }

    fn run_e2fsck(&self, how: &str, seconds: u32) -> Option<E2fsck> {
        let seconds = seconds.to_string();
        let output = Command::new("timeout")
            .args(["-k", "5", &seconds, "e2fsck", how, "-N", "disk", self.name()])
            .current_dir(self.dir.path())
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("PATH", format!("/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap_or_default()))
            // Settings of the machine do not count, nor does its clock: all images are older.
            .env("E2FSCK_CONFIG", "/dev/null")
            .env("BLKID_FILE", "/dev/null")
            .env("E2FSCK_TIME", "1767225600")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(127) => panic!("`e2fsck`: run `apt-get install e2fsprogs`"),
            Some(124 | 137) => None,
            // One that crashes did not find it clean either.
            code => Some(E2fsck { status: code.unwrap_or(-1), text }),
        }
    }
}

/// What e2fsck said.
#[derive(Clone, Debug)]
pub(crate) struct E2fsck {
    pub(crate) status: i32,
    pub(crate) text: String,
}

impl E2fsck {
    pub(crate) fn clean(&self) -> bool {
        self.status == 0
    }

    /// The lines that are neither banner nor summary.
    pub(crate) fn words(&self) -> String {
        let idle = ["e2fsck 1.", "Pass ", "disk: ", "\n"];
        let lines = self
            .text
            .lines()
            .filter(|line| !line.is_empty() && !idle.iter().any(|start| line.starts_with(start)));
        lines.take(6).collect::<Vec<_>>().join(" | ")
    }
}

/// The checks of severity error that failed, without those of the next mount.
pub(crate) fn errors(findings: &[Finding]) -> BTreeSet<String> {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let ids = errors.map(|finding| finding.check.as_ref());
    ids.filter(|id| !OF_THE_NEXT_MOUNT.contains(id)).map(str::to_owned).collect()
}

/// Does something with all items, on two threads; the answers are in the order of the items.
pub(crate) fn on_two_threads<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((at, item)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    items.get(at).map(|item| (at, item))
                } {
                    let result = work(item);
                    done.lock().unwrap().insert(at, result);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

/// Prints a line even where the test passes: what was compared is worth as much as that it agreed.
pub(crate) fn print(line: &str) {
    // Not through the macros, whose output is only shown when a test fails.
    writeln!(std::io::stdout().lock(), "{line}").unwrap();
}

/// A committed list of exceptions: a name a line, then its reason. Lines of `#` are comments.
pub(crate) fn listed(text: &'static str) -> BTreeMap<&'static str, &'static str> {
    let mut list = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, reason) = line.split_once(' ').expect("a name and a reason");
        assert!(list.insert(name, reason.trim()).is_none(), "{name} is there twice");
    }
    list
}

/// Compares what is not as it should be with what is listed: a list may only shrink.
pub(crate) fn compare(
    list: &str,
    listed: &BTreeMap<&'static str, &'static str>,
    found: &BTreeMap<String, String>,
) {
    let mut wrong = Vec::new();
    for (name, what) in found {
        if !listed.contains_key(name.as_str()) {
            wrong.push(format!("{name} is not in {list}: {what}"));
        }
    }
    for name in listed.keys() {
        if !found.contains_key(*name) {
            wrong.push(format!("{name} is in {list}, and nothing is wrong with it: take it out"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
