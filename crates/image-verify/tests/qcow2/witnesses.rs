//! What QEMU makes, and what `qemu-img check` says of it.

use std::{collections::BTreeSet, fs};

use super::{
    failed,
    folder::Folder,
    image::{Edit, good, plain},
    judge, told,
    twins::TWINS,
};

/// What `qemu-img check` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Clean,
    Leaks,
    /// Errors, or it does not even open it.
    Errors,
}

fn witness(folder: &Folder, path: &str) -> Verdict {
    match folder.tool(&["qemu-img", "check", "-q", "-f", "qcow2", path]).status.code() {
        Some(0) => Verdict::Clean,
        Some(3) => Verdict::Leaks,
        Some(1 | 2) => Verdict::Errors,
        other => panic!("{other:?}"),
    }
}

fn verdict(bytes: &[u8]) -> Verdict {
    let report = judge(bytes);
    if !report.passed() {
        Verdict::Errors
    } else if failed(&report.findings).contains("qcow2-leak") {
        Verdict::Leaks
    } else {
        Verdict::Clean
    }
}

#[test]
fn what_qemu_makes_has_no_findings() {
    let folder = Folder::new();
    let options = [
        "compat=0.10",
        "compat=0.10,cluster_size=512",
        "compat=1.1",
        "cluster_size=512",
        "cluster_size=4k",
        "cluster_size=2M",
        "refcount_bits=1",
        "refcount_bits=2",
        "refcount_bits=4",
        "refcount_bits=8,cluster_size=1k",
        "refcount_bits=32",
        "refcount_bits=64,cluster_size=512",
        "lazy_refcounts=on",
        "extended_l2=on,cluster_size=16k",
        "extended_l2=on,cluster_size=128k",
        "preallocation=metadata",
        "preallocation=falloc",
        "preallocation=full,cluster_size=4k",
        "preallocation=metadata,extended_l2=on",
        "compression_type=zstd",
        "compression_type=zstd,cluster_size=512",
        "compression_type=zstd,extended_l2=on,cluster_size=32k",
    ];
    for options in options {
        for size in ["0", "1000000", "64M"] {
            let path = folder.make(options, size, &[]);
            let see = |step: &str| {
                let bytes = fs::read(&path).unwrap();
                let report = judge(&bytes);
                let mut findings = told(&report.findings);
                // That is the only thing that is wrong with it.
                findings.retain(|finding| size != "0" || !finding.contains("qcow2-size"));
                // Room that the deleted one had.
                findings.retain(|finding| !finding.starts_with("info qcow2-unused-end"));
                assert_eq!(findings, [""; 0], "{options} {size} {step}");
                assert_eq!(witness(&folder, &path), Verdict::Clean, "{options} {size} {step}");
            };
            see("new");
            if size != "64M" {
                continue;
            }
            folder.write_to(
                &path,
                &["write -P 1 0 100k", "write -P 2 5M 1k", "write -z 10M 3M", "discard 32k 32k"],
            );
            see("written");
            if !options.contains("preallocation") {
                folder.write_to(&path, &["write -c -P 3 20M 2M", "write -c -P 4 30M 6M"]);
                see("compressed");
            }
            // Narrow refcounts leave no room for them.
            let is_narrow = ["=1", "=2", "=4", "=8"]
                .iter()
                .any(|bits| options.starts_with(&format!("refcount_bits{bits}")));
            if !is_narrow {
                folder.succeed(&["qemu-img", "snapshot", "-c", "one", &path]);
                folder.write_to(&path, &["write -P 5 0 40k", "write -z 20M 1M"]);
                folder.succeed(&["qemu-img", "snapshot", "-c", "two", &path]);
                see("snapshots");
                folder.succeed(&["qemu-img", "snapshot", "-d", "one", &path]);
                folder.write_to(&path, &["write -P 6 30M 1M"]);
                see("one snapshot less");
            }
            if !options.contains("0.10") {
                folder.succeed(&["qemu-img", "bitmap", "--add", &path, "changes"]);
                folder.write_to(&path, &["write -P 7 60M 1M"]);
                see("a bitmap");
            }
        }
    }
}

/// Images as they are made for others: all that is there, compressed.
#[test]
fn what_qemu_converts_has_no_findings() {
    let folder = Folder::new();
    let from = folder.make("cluster_size=64k", "9M", &["write -P 1 0 3M", "write -P 2 8M 1M"]);
    let to = folder.path("to.qcow2").to_str().unwrap().to_owned();
    for options in
        ["compat=0.10", "compression_type=zlib", "compression_type=zstd", "cluster_size=4k"]
    {
        for compress in [&["-c"][..], &[]] {
            let argv = ["qemu-img", "convert", "-O", "qcow2", "-o", options];
            folder.succeed(&[&argv[..], compress, &[&from, &to]].concat());
            let bytes = fs::read(&to).unwrap();
            let report = judge(&bytes);
            assert_eq!(told(&report.findings), [""; 0], "{options} {compress:?}");
            let compressed = report.outcomes["qcow2-compressed-data"];
            assert_eq!(compressed, image_model::Outcome::Held);
            assert_eq!(witness(&folder, &to), Verdict::Clean);
        }
    }
}

/// What we call an error, and `qemu-img check` does not, with the reason.
const OURS: &[(&str, &str)] = &[
    ("qcow2-backing-file", "QEMU looks for the file, and checks this one alone"),
    ("qcow2-compressed-data", "QEMU does not decompress"),
    ("qcow2-cut", "QEMU reads zeros behind the end of the file"),
    ("qcow2-corrupt", "QEMU opens it to check, and never to run a machine"),
    ("qcow2-encryption", "QEMU asks for the key only when it reads data"),
    ("qcow2-header-length", "QEMU takes a length that is no multiple of 8"),
    ("qcow2-extensions", "QEMU takes an extension that is there twice"),
    ("qcow2-overlap", "QEMU counts, and the number may be right"),
    ("qcow2-l2-entry", "bits that are reserved in version 2, or contradict each other"),
    ("qcow2-snapshots", "QEMU needs no more entries than there are, until it goes back to one"),
    ("qcow2-bitmaps", "QEMU checks tables of bitmaps only when it loads them"),
    ("qcow2-external-data", "QEMU asks for the other file only when it reads data"),
    ("qcow2-l1-entry", "a table at 0 whose refcount is told"),
];

/// Compares the verdicts on an image.
fn compare(folder: &Folder, bytes: &[u8], what: &str, wrong: &mut Vec<String>) -> Verdict {
    let path = folder.write("edited.qcow2", bytes);
    let (theirs, ours) = (witness(folder, &path), verdict(bytes));
    let report = judge(bytes);
    let mut errors: BTreeSet<_> = report
        .findings
        .iter()
        .filter(|f| f.severity == image_model::Severity::Error)
        .map(|f| &*f.check)
        .collect();
    errors.retain(|check| OURS.iter().all(|(ours, _)| check != ours));
    if theirs > ours || (ours == Verdict::Errors && theirs < ours && !errors.is_empty()) {
        let words = folder.tool(&["qemu-img", "check", "-f", "qcow2", &path]);
        let words = String::from_utf8_lossy(&words.stderr).lines().take(3).collect::<String>();
        let found = told(&report.findings);
        wrong.push(format!("{what}: {theirs:?} ({words}), and here {found:#?}"));
    }
    theirs
}

#[test]
fn twins_are_judged_as_qemu_judges_them() {
    let folder = Folder::new();
    let mut wrong = Vec::new();
    for twin in TWINS.iter().filter(|twin| twin.check != "qcow2-limits") {
        compare(&folder, &twin.bytes(), twin.check, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Edits of metadata, one at a time.
#[test]
fn edits_are_judged_as_qemu_judges_them() {
    let folder = Folder::new();
    let mut wrong = Vec::new();
    let mut counts = [0; 3];
    let images = [
        ("good", good()),
        ("version 2", plain("compat=0.10,cluster_size=4k")),
        ("subclusters", plain("extended_l2=on,cluster_size=16k")),
    ];
    for (name, image) in images {
        for (at, value) in edits(&image) {
            let mut edited = image.clone();
            if edited.bytes[at] == value {
                continue;
            }
            edited.bytes[at] = value;
            let what = format!("{name}, {value:#x} at {at:#x}");
            counts[compare(&folder, &edited.bytes, &what, &mut wrong) as usize] += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {counts:?}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(counts[2] > 200, "{counts:?}");
}

/// Bytes of metadata to change, and what to: few of those that are like others.
fn edits(image: &Edit) -> Vec<(usize, u8)> {
    let mut edits = Vec::new();
    let mut zeros = 0;
    for (at, byte) in image.bytes.iter().enumerate() {
        let is_header = at < 112;
        // A byte in the middle of nothing is like the one before it.
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        let content = [1, 2, 3, 4, 5, 6].contains(byte) && image.bytes.get(at + 1) == Some(byte);
        if content || (zeros > 4 && !is_header) {
            continue;
        }
        if is_header {
            edits.extend([(at, byte ^ 0x80), (at, byte ^ 1)]);
        } else if at % 5 == 0 {
            edits.push((at, byte ^ if at % 2 == 0 { 1 } else { 0x80 }));
        }
    }
    edits
}

/// A file that was cut is never called good where qemu-img sees it.
#[test]
fn cuts_are_judged_as_qemu_judges_them() {
    let folder = Folder::new();
    let mut wrong = Vec::new();
    let image = good();
    for len in (0..image.bytes.len()).step_by(2560) {
        compare(&folder, &image.bytes[..len], &format!("{len} bytes"), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
