//! `release`: what lies in `dist/release/`, that other people's tools accept it, what is refused, and
//! that nothing is left behind.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use image_host::workdir::WorkDir;
use image_model::{FileRole, Manifest, ReleaseManifest, Sha256, VerificationReport};

use crate::{
    common::{Project, Ran, list, which},
    nix::{Rig, tests_dir},
};

/// `SOURCE_DATE_EPOCH` of all releases here.
const EPOCH: &str = "1787204541";

/// A mini system, released without keys.
const MINI: [&str; 6] = ["release", "--version", "26.05.1", "--unsigned", "--allow-mini", "wsl"];

fn release(project: &Project, args: &[&str]) -> Ran {
    Ran::of(project.command().env("SOURCE_DATE_EPOCH", EPOCH).args(args))
}

/// A project with a mini system in `dist/wsl`.
fn made() -> Project {
    let project = Project::new();
    project.run(&["image", "wsl", "--driver", "mini"]).exits(0);
    project
}

fn manifest(folder: &Path) -> ReleaseManifest {
    serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

/// All files of a folder, with their bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    list(folder)
        .into_iter()
        .map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()))
        .collect()
}

/// The folder has the files of its manifest and no others, and `sha256sum` accepts each list.
#[track_caller]
fn is_complete(folder: &Path) -> ReleaseManifest {
    let manifest = manifest(folder);
    let mut names: Vec<_> = manifest.files.iter().map(|file| file.file.clone()).collect();
    assert!(names.is_sorted(), "{names:?}");
    names.extend(manifest.signatures.iter().map(|signature| signature.file.clone()));
    names.extend(["SHA256SUMS", "manifest.json"].map(str::to_owned));
    names.sort();
    assert_eq!(names, list(folder));
    let is_twin = |name: &&String| name.ends_with(".sha256");
    for sums in names.iter().filter(is_twin).map(String::as_str).chain(["SHA256SUMS"]) {
        let mut check = Command::new("sha256sum");
        let ran = Ran::of(check.args(["--strict", "-c", sums]).current_dir(folder)).exits(0);
        let lines = fs::read_to_string(folder.join(sums)).unwrap();
        assert_eq!(ran.out.lines().count(), lines.lines().count());
    }
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let listed: Vec<_> = sums.lines().map(|line| line[66..].to_owned()).collect();
    assert!(listed.is_sorted(), "{sums}");
    // All but itself and its signatures.
    assert_eq!(listed.len(), names.len() - 1 - manifest.signatures.len());
    for file in &manifest.files {
        let bytes = fs::read(folder.join(&file.file)).unwrap();
        assert_eq!(file.size, bytes.len() as u64, "{}", file.file);
        assert!(sums.contains(&format!("{}  {}\n", file.sha256, file.file)), "{}", file.file);
    }
    manifest
}

/// A key of each kind, as its own tool makes it, without a passphrase.
fn keys(project: &Project) -> [PathBuf; 3] {
    let path = |name: &str| project.path(name);
    let run = |program: &str, package: &str, args: &[&str]| {
        let mut command = Command::new(which(program, package));
        command.args(args).current_dir(project.dir.path()).env("GNUPGHOME", path("gnupg"));
        Ran::of(&mut command).exits(0)
    };
    run("minisign", "minisign", &["-G", "-W", "-p", "mini.pub", "-s", "mini.key"]);
    let ssh = ["-q", "-t", "ed25519", "-N", "", "-C", "factory", "-f", "ssh.key"];
    run("ssh-keygen", "openssh-client", &ssh);
    fs::create_dir(path("gnupg")).unwrap();
    let gpg = ["--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "factory"];
    run("gpg", "gpg", &[&gpg[..], &["ed25519", "sign", "never"]].concat());
    run("gpg", "gpg", &["--batch", "--armor", "--output", "gpg.key", "--export-secret-keys"]);
    for key in ["mini.key", "ssh.key", "gpg.key"] {
        let mut private = Command::new("chmod");
        Ran::of(private.args(["600", key]).current_dir(project.dir.path())).exits(0);
    }
    ["mini.key", "ssh.key", "gpg.key"].map(path)
}

/// The tools of all kinds accept the signatures with the keys that came with the release, and not
/// those of another list.
#[track_caller]
fn is_signed(folder: &Path) {
    let home = tempfile::tempdir().unwrap();
    let sh = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(folder).env("GNUPGHOME", home.path());
        Ran::of(&mut command)
    };
    sh("gpg --quiet --import openpgp.asc").exits(0);
    let verify = [
        "minisign -V -q -p minisign.pub -x SHA256SUMS.minisig -m LIST",
        "ssh-keygen -Y verify -f allowed_signers -I \"$(cut -d' ' -f1 allowed_signers)\" -n file \
         -s SHA256SUMS.sig <LIST",
        "gpg --verify SHA256SUMS.gpg LIST",
    ];
    let other = home.path().join("other");
    let mut sums = fs::read(folder.join("SHA256SUMS")).unwrap();
    sums[70] ^= 1;
    fs::write(&other, sums).unwrap();
    for command in verify {
        sh(&command.replace("LIST", "SHA256SUMS")).exits(0);
        let ran = sh(&command.replace("LIST", other.to_str().unwrap()));
        assert_ne!(ran.code, Some(0), "{ran:#?}");
    }
}

#[test]
fn flakes_become_a_release_that_other_tools_accept() {
    let rig = Rig::new();
    let project = &rig.project;
    for (script, flake) in [("sd-flake.sh", "sd"), ("iso-flake.sh", "iso")] {
        let mut copy = Command::new(tests_dir().join("tools").join(script));
        Ran::of(copy.arg(project.path(flake))).exits(0);
    }
    let card = include_str!("../../../images/sd-aarch64.toml");
    // The firmware of the fixture has files for these.
    let boards = card.find("boards = ").unwrap();
    let card = format!("{}boards = [\"pi-3\", \"pi-4\"]\n", &card[..boards]);
    fs::write(project.path("images/sd-aarch64.toml"), card).unwrap();
    let disc = include_str!("../../../images/iso.toml");
    fs::write(project.path("images/iso.toml"), disc).unwrap();
    let toml = "title = \"Fleet\"\nname = \"fleet\"\n\
                base-url = \"https://images.example.org/fleet/{version}\"\n\
                latest-url = \"https://images.example.org/fleet/latest\"\n\
                website = \"https://example.org/\"\nicon = \"https://example.org/icon.svg\"\n";
    fs::write(project.path("release.toml"), toml).unwrap();
    for (image, flake) in
        [("wsl", "path:flake#wsl"), ("sd-aarch64", "path:sd#sd"), ("iso", "path:iso#iso")]
    {
        Ran::of(rig.command().args(["image", image, "--flake", flake])).exits(0);
    }

    let keys = keys(project);
    let mut args = vec!["release", "--version", "26.05.1", "wsl", "sd-aarch64", "iso"];
    args.extend(keys.iter().flat_map(|key| ["--key", key.to_str().unwrap()]));
    let ran = release(project, &args).exits(0);
    assert!(ran.out.ends_with("dist/release/26.05.1\n"), "{}", ran.out);
    for said in [
        "wsl: NixOS for WSL, x86_64-linux, verified",
        "  nixos-sd-aarch64-26.05.1.img.zst  ",
        "signed with minisign key ",
        "signed with ssh key SHA256:",
        "signed with openpgp key ",
        "balenaEtcher does not read zstd",
    ] {
        assert!(ran.out.contains(said), "no {said:?} in {}", ran.out);
    }
    let folder = project.path("dist/release/26.05.1");
    let manifest = is_complete(&folder);
    is_signed(&folder);
    assert_eq!(list(&project.path("dist/release")), ["26.05.1"]);
    // As whoever has the keys checks it.
    let mut check = vec!["verify-release", "dist/release/26.05.1"];
    check.extend(["mini.pub", "ssh.key.pub"].iter().flat_map(|key| ["--key", key]));
    project.run(&check).exits(0).says("good\n");
    // Where the bytes of each are, as the verification found it.
    let page = fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(page.matches("<svg").count() >= 3, "{} drawings", page.matches("<svg").count());

    let names: Vec<_> =
        manifest.images.iter().map(|image| image.artifacts[0].file.as_str()).collect();
    let expected =
        ["nixos-26.05.1.wsl", "nixos-sd-aarch64-26.05.1.img.zst", "nixos-iso-26.05.1.iso"];
    assert_eq!(names, expected);
    assert_eq!(manifest.created.as_deref(), Some("2026-08-20T05:42:21Z"));
    let dir = project.dir.path().to_str().unwrap();
    for (image, of) in names.iter().zip(["wsl", "sd-aarch64", "iso"]) {
        for beside in [
            "sha256",
            "manifest.json",
            "verification.json",
            "cdx.json",
            "spdx.json",
            "intoto.jsonl",
            "report.html",
        ] {
            let name = format!("{image}.{beside}");
            let file = manifest.files.iter().find(|file| file.file == name);
            let file = file.unwrap_or_else(|| panic!("no {name}"));
            assert_eq!(file.of.as_deref(), Some(*image), "{name}");
            // The store of this test lies in the project; of a real one, /nix/store is the place.
            let text = fs::read_to_string(folder.join(&name)).unwrap();
            let elsewhere = text.replace(&format!("{dir}/nix/store"), "");
            assert!(!elsewhere.contains(dir), "a path of this machine in {name}: {text}");
        }
        // The report is the one that the gate read.
        let dist = project.path("dist").join(of);
        let report = fs::read(folder.join(format!("{image}.verification.json"))).unwrap();
        assert!(report == fs::read(dist.join("verification.json")).unwrap());
        let text = fs::read(folder.join(format!("{image}.manifest.json"))).unwrap();
        let released: Manifest = serde_json::from_slice(&text).unwrap();
        let made: Manifest =
            serde_json::from_slice(&fs::read(dist.join("manifest.json")).unwrap()).unwrap();
        assert_eq!(released.artifacts[0].digests, made.artifacts[0].digests);
        assert_eq!(released.verification.file, format!("{image}.verification.json"));
        let bill = fs::read_to_string(folder.join(format!("{image}.cdx.json"))).unwrap();
        assert!(bill.contains(&format!("\"name\": \"{image}\"")), "{bill}");
    }
    assert!(list(&folder).contains(&"nixos-sd-aarch64-26.05.1.img.bmap".to_owned()));
    let role = |name: &str| manifest.files.iter().find(|f| f.file == name).map(|f| f.role);
    assert_eq!(role("index.html"), Some(FileRole::Page));
    assert_eq!(role("nixos-sd-aarch64-26.05.1.img.bmap"), Some(FileRole::Payload));

    // Again, on one processor: the same bytes.
    let first = files(&folder);
    let mut again = Command::new(which("taskset", "util-linux"));
    let again = again.arg("-c").arg(first_processor()).arg(env!("CARGO_BIN_EXE_xtask")).args(&args);
    again.current_dir(project.dir.path()).env("SOURCE_DATE_EPOCH", EPOCH);
    Ran::of(again).exits(0);
    for (before, after) in first.iter().zip(files(&folder)) {
        assert!(*before == after, "{} and {}", before.0, after.0);
    }
    is_complete(&folder);

    crate::release_all::goes_everywhere(project, &folder, &is_signed);
}

/// A processor that this test may run on.
fn first_processor() -> String {
    let ran = Ran::of(Command::new("taskset").args(["-cp", &std::process::id().to_string()]));
    let list = ran.exits(0).out;
    let list = list.trim_end().rsplit(": ").next().unwrap().to_owned();
    list.split([',', '-']).next().unwrap().to_owned()
}

#[test]
fn a_mini_system_is_released_only_if_somebody_insists() {
    let project = made();
    let strict = ["release", "--version", "26.05.1", "--unsigned", "wsl"];
    release(&project, &strict).exits(1).says("an image may not be released").says(
        "wsl: it is a mini system, and not NixOS (cargo xtask image wsl on a machine with Nix",
    );
    assert_eq!(project.list("dist"), ["wsl"]);
    let ran = release(&project, &MINI).exits(0).says("note: wsl is a mini system, and not NixOS");
    assert!(ran.out.contains("not signed\n"), "{}", ran.out);
    let manifest = is_complete(&project.path("dist/release/26.05.1"));
    assert_eq!(manifest.images[0].distribution, "mini");
    assert!(manifest.signatures.is_empty());

    let json = release(&project, &[&["--format", "json"], &MINI[..]].concat()).exits(0).json();
    assert!(json["folder"].as_str().unwrap().ends_with("dist/release/26.05.1"));
    assert_eq!(json["manifest"], serde_json::to_value(&manifest).unwrap());
    assert_eq!(json["notes"][0], "wsl is a mini system, and not NixOS");
}

#[test]
fn a_release_is_signed_unless_somebody_insists() {
    let project = made();
    let args = ["release", "--version", "1", "--allow-mini", "wsl"];
    release(&project, &args).exits(2).says("a release is signed: --key FILE or $IMAGE_FACTORY_");
    release(&project, &[&args[..], &["--key", "absent"]].concat()).exits(2).says("absent");
    let both = [&args[..], &["--key", "x", "--unsigned"]].concat();
    release(&project, &both).exits(2).says("cannot be used with");
    assert_eq!(project.list("dist"), ["wsl"]);
}

#[test]
fn what_is_asked_for_is_checked_before_anything_is_read() {
    let project = made();
    for (args, says) in [
        (&["--version", "latest"][..], "\"latest\" is no version: it has a digit"),
        (&["--version", "../1"], "\"../1\" is no version"),
        (&["--version", "1", "--base-url", "s3://x/y"], "base-url: \"s3://x/y\" is not for https"),
        (&["--version", "1", "wsl"], "wsl is named twice"),
        (&["--version", "1", "wls"], "no image is called \"wls\"; did you mean \"wsl\"?"),
        (&[], "--version"),
    ] {
        let args = [&["release", "--unsigned", "--allow-mini", "wsl"], args].concat();
        release(&project, &args).exits(2).says(says);
    }
    fs::write(project.path("release.toml"), "title = \"x\"\nbase-ulr = \"y\"\n").unwrap();
    release(&project, &MINI).exits(2).says("release.toml:2:1: unknown field `base-ulr`");
    fs::remove_file(project.path("release.toml")).unwrap();
    let mut wrong = project.command();
    Ran::of(wrong.args(MINI).env("SOURCE_DATE_EPOCH", "now")).exits(2).says("SOURCE_DATE_EPOCH");
    assert_eq!(project.list("dist"), ["wsl"]);
    // A folder of images that came from elsewhere, without their definitions.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut run = project.command();
    run.args(MINI).arg("--dist").arg(project.path("dist")).current_dir(elsewhere.path());
    Ran::of(&mut run).exits(0);
    assert_eq!(project.list("dist/release"), ["26.05.1"]);
}

/// Writes a report anew, and the manifest that has its digest: as somebody would who does not mean
/// it well.
fn rewrite(project: &Project, edit: impl FnOnce(&mut VerificationReport)) {
    use sha2::Digest as _;
    let path = |name: &str| project.path("dist/wsl").join(name);
    let read = |name: &str| fs::read(path(name)).unwrap();
    let mut manifest: Manifest = serde_json::from_slice(&read("manifest.json")).unwrap();
    let mut report: VerificationReport =
        serde_json::from_slice(&read("verification.json")).unwrap();
    edit(&mut report);
    let text = serde_json::to_vec_pretty(&report).unwrap();
    manifest.verification.sha256 = Sha256(sha2::Sha256::digest(&text).into());
    manifest.verification.totals = report.totals;
    fs::write(path("verification.json"), text).unwrap();
    fs::write(path("manifest.json"), serde_json::to_vec_pretty(&manifest).unwrap()).unwrap();
}

#[test]
fn only_what_was_verified_passes_the_gate() {
    let project = made();
    rewrite(&project, |report| report.verifier.version = "0.0.9".into());
    let allow = [&MINI[..], &["--allow-unverified"]].concat();
    let says = "wsl: it was verified by image-verify 0.0.9, and this is image-verify ";
    release(&project, &MINI).exits(1).says(says).says("(cargo xtask image wsl, or --allow-un");
    let ran = release(&project, &allow).exits(0).says("note: wsl is not verified: it was verified");
    assert!(ran.out.contains("x86_64-linux, not verified\n"), "{}", ran.out);
    let manifest = is_complete(&project.path("dist/release/26.05.1"));
    assert!(manifest.images[0].unverified.is_some());

    project.run(&["image", "wsl", "--driver", "mini"]).exits(0);
    rewrite(&project, |report| report.totals.errors = 3);
    release(&project, &MINI).exits(1).says("wsl: its report has 3 errors");
    release(&project, &allow).exits(0);

    // What nobody can allow: bytes that nobody speaks of.
    project.run(&["image", "wsl", "--driver", "mini"]).exits(0);
    let before = files(&project.path("dist/release/26.05.1"));
    let image = project.path("dist/wsl/mini.wsl");
    let good = fs::read(&image).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    fs::write(&image, bad).unwrap();
    for args in [&MINI[..], &allow] {
        release(&project, args).exits(1).says("mini.wsl was changed after it was verified: its m");
    }
    fs::write(&image, good).unwrap();
    fs::write(project.path("dist/wsl/verification.json"), "{}").unwrap();
    release(&project, &allow).exits(1).says("verification.json was changed after it was written");
    fs::remove_file(project.path("dist/wsl/manifest.json")).unwrap();
    release(&project, &allow).exits(1).says("manifest.json is not there (cargo xtask image wsl)");
    fs::remove_dir_all(project.path("dist/wsl")).unwrap();
    release(&project, &allow).exits(1).says("dist/wsl is not there (cargo xtask image wsl)");
    assert!(before == files(&project.path("dist/release/26.05.1")), "the old release is another");
}

#[test]
fn two_images_do_not_become_one_file() {
    let project = made();
    fs::copy(project.path("images/wsl.toml"), project.path("images/other.toml")).unwrap();
    project.run(&["image", "other", "--driver", "mini"]).exits(0);
    release(&project, &[&MINI[..], &["other"]].concat())
        .exits(2)
        .says("wsl and other would both be called mini-26.05.1.wsl in the release");
    assert_eq!(project.list("dist"), ["other", "wsl"]);
}

#[test]
fn what_others_put_where_the_release_belongs_is_not_removed() {
    let project = made();
    let folder = project.path("dist/release/26.05.1");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("thesis.txt"), "years").unwrap();
    release(&project, &MINI).exits(2).says("has thesis.txt in it: it is not an earlier release");
    assert_eq!(list(&folder), ["thesis.txt"]);
    fs::remove_file(folder.join("thesis.txt")).unwrap();
    release(&project, &MINI).exits(0);
    // Its own, with fewer files now.
    fs::remove_file(folder.join("index.html")).unwrap();
    release(&project, &MINI).exits(0);
    is_complete(&folder);
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    release(&project, &MINI).exits(2).says("has notes.txt in it");
    assert!(list(&folder).contains(&"notes.txt".to_owned()));
}

#[test]
fn a_second_run_is_refused_with_the_pid_of_the_first() {
    let project = made();
    let held = WorkDir::take(&project.path("dist/release/.26.05.1.work")).unwrap();
    let says = format!("in use by another run with process id {}", std::process::id());
    release(&project, &MINI).exits(3).says(&says);
    drop(held);
    release(&project, &MINI).exits(0);
    assert_eq!(project.list("dist/release"), ["26.05.1"]);
}

/// Nothing is copied within a file system, and the image in `dist/` stays what it is.
#[test]
fn images_enter_without_being_copied() {
    use std::os::unix::fs::MetadataExt as _;
    let project = made();
    release(&project, &MINI).exits(0);
    let metadata = |name: &str| fs::metadata(project.path("dist").join(name)).unwrap();
    let (made, released) = (metadata("wsl/mini.wsl"), metadata("release/26.05.1/mini-26.05.1.wsl"));
    assert_eq!(made.len(), released.len());
    // On Btrfs, XFS and their like it is a file of its own that shares its blocks.
    assert!(made.ino() == released.ino() || made.nlink() == 1, "{made:?} {released:?}");
    // Another image takes the place of the first, and not of what was released.
    let before = fs::read(project.path("dist/release/26.05.1/mini-26.05.1.wsl")).unwrap();
    let text = include_str!("../../../images/wsl.toml").replace("level = 5", "level = 1");
    project.define(&text);
    project.run(&["image", "wsl", "--driver", "mini"]).exits(0);
    let after = fs::read(project.path("dist/release/26.05.1/mini-26.05.1.wsl")).unwrap();
    assert!(before == after && before != fs::read(project.path("dist/wsl/mini.wsl")).unwrap());
}

#[test]
fn a_full_disk_leaves_the_old_release_or_none() {
    let project = made();
    let small = project.path("small");
    fs::create_dir(&small).unwrap();
    which("unshare", "util-linux");
    // A file system of its own, seen by this run only, which is full but for 16 KiB.
    let script = format!(
        "mount -t tmpfs -o size=64m tmpfs {small} && cp -r {dist}/wsl {small} && \
         \"$0\" release --version 1 --unsigned --allow-mini --dist {small} wsl >/dev/null && \
         {{ cat /dev/zero >{small}/filler 2>/dev/null; truncate -s -16384 {small}/filler; }} && \
         for version in 1 2; do \
             \"$0\" release --version $version --unsigned --allow-mini --dist {small} wsl; \
             echo $?; ls -A {small}/release; \
         done; cd {small}/release/1 && sha256sum --quiet -c SHA256SUMS",
        small = small.display(),
        dist = project.path("dist").display(),
    );
    let mut run = Command::new("unshare");
    run.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(env!("CARGO_BIN_EXE_xtask"))
        .current_dir(project.dir.path());
    let ran = Ran::of(&mut run).exits(0).says("No space left on device");
    assert_eq!(ran.out, "3\n1\n3\n1\n", "{}", ran.err);
}

#[test]
fn an_interrupt_leaves_the_old_release_or_none() {
    let project = made();
    release(&project, &MINI).exits(0);
    let before = files(&project.path("dist/release/26.05.1"));
    // An image that takes minutes to hash, and no room.
    let path = project.path("dist/wsl/manifest.json");
    let mut manifest: Manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest.artifacts[0].digests.size = 1 << 40;
    let digests = manifest.artifacts[0].digests;
    fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    rewrite(&project, |report| report.subject.size = digests.size);
    let image = project.path("dist/wsl/mini.wsl");
    fs::remove_file(&image).unwrap();
    File::create(&image).unwrap().set_len(digests.size).unwrap();
    for version in ["26.05.1", "2"] {
        let mut run = project
            .command()
            .args(["--progress", "json", "release", "--unsigned", "--allow-mini", "wsl"])
            .args(["--version", version])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(run.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"progress\"") {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended by itself");
        }
        let kill = format!("kill -INT {}", run.id());
        Ran::of(Command::new("sh").args(["-c", &kill])).exits(0);
        let mut said = String::new();
        lines.read_to_string(&mut said).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(130), "{said}");
        assert!(said.ends_with("interrupted: nothing was released\n"), "{said}");
        assert_eq!(project.list("dist/release"), ["26.05.1"]);
    }
    assert!(before == files(&project.path("dist/release/26.05.1")));
}
