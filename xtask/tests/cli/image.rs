//! `image`: what lies in `dist/`, what is refused, and that nothing is left behind.

use std::{
    fs,
    io::Read as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::common::{Project, Ran, has_treemap, list, which};
use image_host::workdir::WorkDir;
use image_model::{Manifest, Outcome, VerificationReport};

const PUBLISHED: [&str; 6] = [
    "SHA256SUMS",
    "manifest.json",
    "mini.wsl",
    "mini.wsl.sha256",
    "mini.wsl.sizes.svg",
    "verification.json",
];

fn manifest(project: &Project) -> Manifest {
    let text = fs::read_to_string(project.path("dist/wsl/manifest.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn without_nix_the_mini_system_is_made_and_says_so() {
    let project = Project::new();
    let ran = project.run(&["image", "wsl"]).exits(0);
    assert!(ran.err.contains("note: Nix is not on this machine"), "{}", ran.err);
    assert!(ran.out.ends_with("dist/wsl/mini.wsl\n"), "{}", ran.out);
    assert_eq!(project.list("dist/wsl"), PUBLISHED);
    assert_eq!(list(&project.path("dist")), ["wsl"]);

    let dist = project.path("dist/wsl");
    for sums in ["SHA256SUMS", "mini.wsl.sha256"] {
        let mut check = Command::new("sha256sum");
        Ran::of(check.args(["--strict", "-c", sums]).current_dir(&dist)).exits(0);
    }
    let manifest = fs::read_to_string(dist.join("manifest.json")).unwrap();
    assert!(!manifest.to_lowercase().replace("nixos for wsl", "").contains("nixos"), "{manifest}");
    let manifest: Manifest = serde_json::from_str(&manifest).unwrap();
    assert_eq!(
        (manifest.distribution.as_str(), manifest.source.route.as_str()),
        ("mini", "busybox")
    );
    let artifact = &manifest.artifacts[0];
    assert_eq!(artifact.digests.size, fs::metadata(dist.join("mini.wsl")).unwrap().len());
    let report: VerificationReport =
        serde_json::from_slice(&fs::read(dist.join("verification.json")).unwrap()).unwrap();
    assert_eq!(report.subject.digests(), Some(artifact.digests));
    assert_eq!(report.subject.raw, Some(artifact.raw));
    assert_eq!(report.findings, []);
    assert!(report.outcomes.values().filter(|o| **o == Outcome::Held).count() > 30);
    has_treemap(&dist.join("mini.wsl"));
}

#[test]
fn same_input_same_bytes_on_any_number_of_threads() {
    let project = Project::new();
    let mut images = Vec::new();
    for threads in ["1", "2", "7"] {
        project.run(&["image", "wsl", "--threads", threads]).exits(0);
        let files = PUBLISHED.map(|name| fs::read(project.path("dist/wsl").join(name)).unwrap());
        images.push(files);
    }
    assert!(images.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn other_tools_read_the_image() {
    let project = Project::new();
    project.run(&["image", "wsl"]).exits(0);
    let image = project.path("dist/wsl/mini.wsl");
    which("bsdtar", "libarchive-tools");
    Ran::of(Command::new("gzip").arg("-t").arg(&image)).exits(0);
    let listed = Ran::of(Command::new("tar").arg("tzf").arg(&image)).exits(0);
    assert!(listed.out.starts_with("./\n./bin/\n"), "{}", listed.out);
    // As WSL itself does it.
    let root = project.path("root");
    fs::create_dir(&root).unwrap();
    let import = format!(
        "bsdtar -C {} -x -p --xattrs --numeric-owner -f - < {}",
        root.display(),
        image.display()
    );
    Ran::of(Command::new("sh").args(["-c", &import]).env("LANG", "C.UTF-8")).exits(0);
    assert!(root.join("etc/wsl-distribution.conf").exists());
}

#[test]
fn whoever_insists_on_nix_is_not_given_something_else() {
    let project = Project::new();
    for args in [&["image", "wsl", "--driver", "nixos-wsl"][..], &["image", "wsl", "--flake", "."]]
    {
        project.run(args).exits(3).says("needs Nix, which is not on this machine");
    }
    assert_eq!(project.list("dist"), [""; 0]);
}

#[test]
fn a_dry_run_prints_the_plan_and_does_nothing() {
    let project = Project::new();
    let ran = project.run(&["image", "wsl", "--dry-run"]).exits(0);
    assert!(ran.out.contains("driver     mini\n"), "{}", ran.out);
    let plan = project.run(&["image", "wsl", "--dry-run", "--format", "json"]).exits(0).json();
    assert_eq!(plan[0]["input"]["driver"], "mini");
    assert_eq!(project.list("dist"), [""; 0]);
}

#[test]
fn a_file_that_exists_is_finished_and_judged() {
    let project = Project::new();
    project.run(&["image", "wsl"]).exits(0);
    let first = fs::read(project.path("dist/wsl/mini.wsl")).unwrap();
    let digest = manifest(&project).artifacts[0].digests.sha256;
    fs::rename(project.path("dist/wsl/mini.wsl"), project.path("other.tar.gz")).unwrap();
    project.run(&["image", "wsl", "--from", "other.tar.gz"]).exits(0);
    let second = fs::read(project.path("dist/wsl/other.wsl")).unwrap();
    assert_eq!(manifest(&project).source.input_sha256, Some(digest));
    assert!(first == second, "what was finished once is not changed by finishing it again");
}

#[test]
fn bad_input_is_refused_and_the_old_image_stays() {
    let project = Project::new();
    project.run(&["image", "wsl"]).exits(0);
    let good = fs::read(project.path("dist/wsl/mini.wsl")).unwrap();
    let half = good.len() / 2;
    let mut flipped = good.clone();
    flipped[half] ^= 0x10;
    for (name, bytes, says) in [
        ("cut.wsl", &good[..half], "gzip"),
        ("flipped.wsl", &flipped, "gzip"),
        ("text.wsl", &b"hello, this is no image\n"[..], "text"),
        ("zip.wsl", b"PK\x03\x04rest of a zip", "zip"),
    ] {
        fs::write(project.path(name), bytes).unwrap();
        project.run(&["image", "wsl", "--from", name]).exits(1).says(says);
        assert_eq!(project.list("dist"), ["wsl"]);
        assert_eq!(fs::read(project.path("dist/wsl/mini.wsl")).unwrap(), good);
    }
    fs::write(project.path("empty.wsl"), "").unwrap();
    project.run(&["image", "wsl", "--from", "empty.wsl"]).exits(1).says("empty");
    project.run(&["image", "wsl", "--from", "absent.wsl"]).exits(2).says("absent.wsl");
    project.run(&["image", "wsl", "--from", "images"]).exits(2).says("folder");
    project.run(&["image", "wsl", "--from", "x", "--flake", "y"]).exits(2);
    project.run(&["image", "wsl", "--from", "x", "--driver", "mini"]).exits(2);
}

#[test]
fn typos_are_named_with_their_place() {
    let project = Project::new();
    let good = include_str!("../../../images/wsl.toml");
    project.define(&good.replace("driver =", "drivre ="));
    project.run(&["image", "wsl"]).exits(2).says("images/wsl.toml:12:1: unknown field `drivre`");
    project.define(&format!("{good}\n[[verify.waive]]\ncheck = \"gzip-crd\"\nreason = \"x\"\n"));
    project.run(&["image", "wsl"]).exits(2).says("no check is called \"gzip-crd\"; did you mean");
    project.define(&format!("{good}\n[[verify.waive]]\ncheck = \"gzip-crc\"\n"));
    project.run(&["image", "wsl"]).exits(2).says("missing field `reason`");
    project.define(good);
    project.run(&["image", "wls"]).exits(2).says("did you mean \"wsl\"?");
    project.run(&["image"]).exits(2);
    project.run(&["imgae", "wsl"]).exits(2);
}

#[test]
fn what_others_put_where_the_image_belongs_is_not_removed() {
    let project = Project::new();
    fs::create_dir_all(project.path("dist/wsl")).unwrap();
    fs::write(project.path("dist/wsl/thesis.txt"), "years").unwrap();
    project.run(&["image", "wsl"]).exits(2).says("has thesis.txt in it");
    assert_eq!(project.list("dist/wsl"), ["thesis.txt"]);

    fs::remove_dir_all(project.path("dist/wsl")).unwrap();
    fs::write(project.path("dist/wsl"), "a file").unwrap();
    project.run(&["image", "wsl"]).exits(2).says("is no folder");
    fs::remove_file(project.path("dist/wsl")).unwrap();
    std::os::unix::fs::symlink("elsewhere", project.path("dist/wsl")).unwrap();
    project.run(&["image", "wsl"]).exits(2).says("is no folder");

    fs::remove_file(project.path("dist/wsl")).unwrap();
    fs::create_dir(project.path("dist/wsl")).unwrap();
    project.run(&["image", "wsl"]).exits(0);
    project.run(&["image", "wsl"]).exits(0);
    fs::write(project.path("dist/wsl/notes.txt"), "mine").unwrap();
    project.run(&["image", "wsl"]).exits(2).says("has notes.txt in it");
}

#[test]
fn a_second_run_is_refused_with_the_pid_of_the_first() {
    let project = Project::new();
    let held = WorkDir::take(&project.path("dist/.wsl.work")).unwrap();
    let says = format!("in use by another run with process id {}", std::process::id());
    project.run(&["image", "wsl"]).exits(3).says(&says);
    drop(held);
    project.run(&["image", "wsl"]).exits(0);
}

/// A Nix that never ends its build, and says so.
const ENDLESS_NIX: &str = r#"#!/bin/sh
case "$*" in
    *--version*) echo 'nix (Nix) 2.18.1' ;;
    *metadata*) echo '{"url":"path:/x","locked":{"narHash":"sha256-AAAA","type":"path"},"locks":{"nodes":{},"root":"root"}}' ;;
    *) echo "$$" >"$HOME/nix.pid"; exec sleep 1000 ;;
esac
"#;

#[test]
fn an_interrupt_ends_the_build_and_leaves_nothing() {
    let project = Project::new();
    project.program("nix", ENDLESS_NIX);
    for tool in ["sleep", "sh"] {
        std::os::unix::fs::symlink(which(tool, "coreutils"), project.path("bin").join(tool))
            .unwrap();
    }
    let mut run = project
        .command()
        .args(["image", "wsl", "--flake", "github:a/b"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid_file = project.path("nix.pid");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !fs::read_to_string(&pid_file).is_ok_and(|text| text.ends_with('\n')) {
        assert!(Instant::now() < deadline, "Nix was not started");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(project.list("dist"), [".wsl.work", ".wsl.work.lock"]);
    let kill = format!("kill -INT {}", run.id());
    Ran::of(Command::new("sh").args(["-c", &kill])).exits(0);
    let status = run.wait().unwrap();
    let mut said = String::new();
    run.stderr.unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    assert_eq!(project.list("dist"), [""; 0]);
    let nix = fs::read_to_string(&pid_file).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", nix.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "Nix still runs: {stat}");
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let project = Project::new();
    let dist = project.path("small");
    fs::create_dir(&dist).unwrap();
    // A file system of one MiB, seen by this run only.
    let script = format!(
        "mount -t tmpfs -o size=1m tmpfs {0} && \"$0\" image wsl --driver mini --dist {0}; code=$?; \
         ls -A {0}; exit $code",
        dist.display()
    );
    which("unshare", "util-linux");
    let mut run = Command::new("unshare");
    run.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(env!("CARGO_BIN_EXE_xtask"))
        .current_dir(project.dir.path())
        .env("BUSYBOX", project.path("bin/busybox"));
    let ran = Ran::of(&mut run).exits(3).says("No space left on device");
    assert_eq!(ran.out, "");
}
