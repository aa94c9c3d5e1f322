//! A file system in a file, and what is said about it.

use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use image_formats::bytes::Region;
use image_model::{Finding, Severity};
use image_verify::fat;

/// How long fsck.fat may run.
const SECONDS: &str = "60";

/// A folder of its own for a file system.
pub(crate) struct Volume {
    dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Volume {
    /// With no file yet.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        Self { dir, path }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn region(&self) -> Region {
        Region::whole(Arc::new(File::open(&self.path).unwrap())).unwrap()
    }

    /// Keeps only the first partition of a disk that has a master boot record, and no boot sector.
    pub(crate) fn keep_partition(&self) {
        let disk = self.region();
        let sector = disk.array::<512>("first sector", 0).unwrap();
        if sector[11..13] != [0, 0] {
            return;
        }
        let number =
            |at: usize| u64::from(u32::from_le_bytes(sector[at..at + 4].try_into().unwrap()));
        let (start, len) = (number(446 + 8) * 512, number(446 + 12) * 512);
        let partition = disk.bytes("partition", start, len, 256 << 20).unwrap();
        std::fs::write(&self.path, partition).unwrap();
    }

    /// What we find.
    pub(crate) fn judge(&self) -> Vec<Finding> {
        fat::check(&self.region()).unwrap().findings
    }

    /// What `fsck.fat -n` says.
    pub(crate) fn fsck(&self) -> Fsck {
        let output = Command::new("timeout")
            .args(["-k", "5", SECONDS, "fsck.fat", "-n", "image"])
            .current_dir(self.dir.path())
            .env("LC_ALL", "C.UTF-8")
            .env("PATH", format!("/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap_or_default()))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(127) => panic!("`fsck.fat`: run `apt-get install dosfstools`"),
            // It takes the cube of the bad names of a directory, and finds new ones for all.
            Some(124 | 137) if text.contains("Bad short file name") => Fsck { status: 1, text },
            Some(124 | 137) => panic!("fsck.fat does not end: {text}"),
            // One that crashes did not find it clean either.
            code => Fsck { status: code.unwrap_or(-1), text },
        }
    }
}

/// What fsck.fat said.
#[derive(Clone, Debug)]
pub(crate) struct Fsck {
    pub(crate) status: i32,
    pub(crate) text: String,
}

impl Fsck {
    pub(crate) fn clean(&self) -> bool {
        self.status == 0
    }

    /// The lines that are neither banner nor summary.
    pub(crate) fn words(&self) -> String {
        let idle = ["fsck.fat 4.", "image: ", "Leaving filesystem"];
        let lines = self.text.lines().map(str::trim);
        let lines = lines
            .filter(|line| !line.is_empty() && !idle.iter().any(|idle| line.starts_with(idle)));
        lines.take(8).collect::<Vec<_>>().join(" | ")
    }
}

/// The checks of severity error that failed.
pub(crate) fn errors(findings: &[Finding]) -> BTreeSet<String> {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| finding.check.to_string()).collect()
}

/// Findings for people.
pub(crate) fn told(findings: &[Finding]) -> String {
    let told =
        |f: &Finding| format!("{}: {} at {}: {}", f.severity.as_str(), f.check, f.at, f.message);
    findings.iter().map(told).collect::<Vec<_>>().join(" | ")
}
