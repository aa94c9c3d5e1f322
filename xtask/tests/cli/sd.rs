//! `image`, `verify` and `inspect` on SD cards that real tools make of real parts.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use image_model::{Digests, Manifest, Severity, Sha256, VerificationReport};
use serde_json::Value;

use crate::{
    common::{Project, Ran, has_proven_store, has_treemap, which},
    nix::{Rig, tests_dir},
};

/// A card of the fixture, compressed.
fn card(host: &str) -> PathBuf {
    let mut build = Command::new(tests_dir().join("tools/build-sd-card.sh"));
    PathBuf::from(Ran::of(build.arg(host)).exits(0).out.trim_end())
}

/// The same without its compression, in `dir`.
fn raw_card(host: &str, dir: &Path) -> PathBuf {
    let raw = dir.join(format!("{host}.img"));
    let mut zstd = Command::new(which("zstd", "zstd"));
    Ran::of(zstd.arg("-dqf").arg(card(host)).arg("-o").arg(&raw)).exits(0);
    raw
}

fn verify(project: &Project, file: &Path, more: &[&str]) -> Ran {
    Ran::of(
        project.command().args(["--format", "json", "verify", "--work", "."]).arg(file).args(more),
    )
}

/// The checks of severity error that failed.
fn errors(ran: &Ran) -> BTreeSet<String> {
    let json = ran.json();
    let findings = json["report"]["findings"].as_array().unwrap();
    let errors = findings.iter().filter(|finding| finding["severity"] == "error");
    errors.map(|finding| finding["check"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn good_cards_have_no_fault() {
    let project = Project::new();
    for (host, boards) in [("sd", &["pi-3", "pi-4", "u-boot"][..]), ("sd-gpt", &["u-boot", "uefi"])]
    {
        let boards: Vec<_> = boards.iter().flat_map(|board| ["--board", board]).collect();
        let ran = verify(&project, &card(host), &boards).exits(0);
        let findings = ran.json()["report"]["findings"].as_array().unwrap().clone();
        let loud: Vec<_> = findings.iter().filter(|f| f["severity"] != "info").collect();
        assert!(loud.is_empty(), "{host}: {loud:#?}");
        assert_eq!(ran.json()["report"]["kind"], "sd");
    }
}

#[test]
fn twins_are_named() {
    let project = Project::new();
    for (host, check) in [
        ("no-dtb", "sd-promised-board"),
        ("no-inodes", "sd-free-inodes"),
        ("wrong-init", "sd-init"),
    ] {
        let ran = verify(&project, &card(host), &["--board", "pi-3"]).exits(1);
        assert!(errors(&ran).contains(check), "{host}: {:?}", errors(&ran));
    }
}

/// Builds a card by the definition of this repository, with `route` in place of its `auto`.
fn make(rig: &Rig, route: &str, name: &str) -> (Vec<u8>, Manifest) {
    let text = include_str!("../../../images/sd-aarch64.toml");
    let text = text.replace("route = \"auto\"", &format!("route = \"{route}\""));
    // The firmware of the fixture has files for these.
    let boards = text.find("boards = ").unwrap();
    let text = format!("{}boards = [\"pi-3\", \"pi-4\"]\n", &text[..boards]);
    fs::write(rig.project.path("images/sd-aarch64.toml"), text).unwrap();
    let flake = format!("path:flake#{name}");
    let image = ["image", "sd-aarch64", "--flake", &flake];
    Ran::of(rig.command().args(image)).exits(0).says("dist/sd-aarch64/nixos-sd-aarch64.img.zst");
    let dist = rig.project.path("dist/sd-aarch64");
    let mut sums = Command::new("sha256sum");
    Ran::of(sums.args(["-c", "--quiet", "SHA256SUMS"]).current_dir(&dist)).exits(0);
    let sums = fs::read_to_string(dist.join("SHA256SUMS")).unwrap();
    for bill in ["cdx.json", "spdx.json"] {
        assert!(sums.contains(&format!("  nixos-sd-aarch64.img.zst.{bill}\n")), "{sums}");
    }
    has_proven_store(&dist);
    has_treemap(&dist.join("nixos-sd-aarch64.img.zst"));
    let manifest = fs::read(dist.join("manifest.json")).unwrap();
    let image = fs::read(dist.join("nixos-sd-aarch64.img.zst")).unwrap();
    (image, serde_json::from_slice(&manifest).unwrap())
}

#[test]
fn a_flake_becomes_a_card_by_each_route() {
    let rig = Rig::with_flake(&mut Command::new(tests_dir().join("tools/sd-flake.sh")));
    let (first, variant) = make(&rig, "auto", "sd");
    let (again, same) = make(&rig, "variant", "sd");
    assert!(first == again && variant == same, "{variant:#?} {same:#?}");
    assert_eq!(variant.source.route, "images.sd-card");
    let files: Vec<_> = variant.artifacts.iter().map(|artifact| artifact.file.as_str()).collect();
    assert_eq!(files, ["nixos-sd-aarch64.img.zst", "nixos-sd-aarch64.img.bmap"]);

    // The same card, and another derivation.
    let (_, generators) = make(&rig, "generators", "generators");
    assert_eq!(generators.source.route, "formats.sd-aarch64");
    assert_ne!(generators.source.derivation, variant.source.derivation);
    let (_, module) = make(&rig, "module", "module");
    assert_eq!(module.source.route, "sdImage");
    let wrong = ["image", "sd-aarch64", "--flake", "path:flake#ds"];
    let ran = Ran::of(rig.command().args(wrong)).exits(2);
    ran.says("has no nixosConfigurations.ds: name one that it has with --flake").says("mean sd?");
    Ran::of(
        rig.command()
            .args(["verify", "--image", "sd-aarch64", "--work", "."])
            .arg(rig.project.path("dist/sd-aarch64/nixos-sd-aarch64.img.zst")),
    )
    .exits(0);
}

/// What `mkfs.ext4` draws at random is all that differs when somebody else builds the same card, and
/// the report says so.
#[test]
fn built_twice_only_the_hash_seed_differs() {
    let build = |host: &str| {
        let rig = Rig::with_flake(&mut Command::new(tests_dir().join("tools/sd-flake.sh")));
        let (image, manifest) = make(&rig, "auto", host);
        let raw = rig.project.path("raw.img");
        let mut zstd = Command::new(which("zstd", "zstd"));
        let packed = rig.project.path("dist/sd-aarch64/nixos-sd-aarch64.img.zst");
        Ran::of(zstd.arg("-dq").arg(packed).arg("-o").arg(&raw)).exits(0);
        let report = fs::read(rig.project.path("dist/sd-aarch64/verification.json")).unwrap();
        let report: VerificationReport = serde_json::from_slice(&report).unwrap();
        (image, manifest, fs::read(raw).unwrap(), report)
    };
    let (first, again) = (build("sd"), build("sd"));
    // Two stores: two builds.
    assert!(first.0 != again.0);
    let seed = |report: &VerificationReport| {
        let finding = report.findings.iter().find(|f| f.check == "sd-hash-seed").unwrap();
        (finding.severity, finding.message.clone())
    };
    assert_ne!(seed(&first.3), seed(&again.3));
    assert_eq!(seed(&first.3).0, Severity::Info);

    let (mut one, mut other) = (first.1, again.1);
    for manifest in [&mut one, &mut other] {
        let none = Digests { size: 0, sha256: Sha256([0; 32]) };
        manifest.artifacts.iter_mut().for_each(|a| (a.digests, a.raw) = (none, none));
        manifest.verification.sha256 = none.sha256;
        manifest.source.input_sha256 = None;
        manifest.source.nar_hash = None;
        // The store lies in the project here, and its place is part of the hash of each path.
        let name = |path: &mut Option<String>| {
            *path = path.take().map(|path| path.split_once("-nixos").unwrap().1.to_owned());
        };
        name(&mut manifest.source.derivation);
        name(&mut manifest.source.store_path);
    }
    assert_eq!(one, other);

    // Sectors of superblocks, and of what has a checksum that begins with the seed's.
    let differ = first.2.chunks(512).zip(again.2.chunks(512)).filter(|(a, b)| a != b).count();
    assert!((1..100).contains(&differ), "{differ} sectors");
}

#[test]
fn structures_are_printed() {
    let project = Project::new();
    let inspect = |format: &str| {
        let args = ["--format", format, "inspect", "--work", "."];
        Ran::of(project.command().args(args).arg(card("sd"))).exits(0)
    };
    inspect("human").says("/boot/extlinux/extlinux.conf").says("diskSignature=0x2178694e");
    let lines = inspect("json").out;
    let structures: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let labels: Vec<_> = structures.iter().filter_map(|s| s["label"].as_str()).collect();
    assert_eq!(labels, ["FIRMWARE", "NIXOS_SD"]);
}

/// What comes from outside may be anything: a finding, exit code 1, in a moment.
#[test]
fn broken_cards_are_findings() {
    type Edit<'a> = &'a dyn Fn(&File);
    let project = Project::new();
    let good = raw_card("sd", project.dir.path());
    let len = fs::metadata(&good).unwrap().len();
    let broken = project.path("broken.img");
    let edit = |change: Edit<'_>| {
        fs::copy(&good, &broken).unwrap();
        change(&File::options().read(true).write(true).open(&broken).unwrap());
        errors(&verify(&project, &broken, &[]).exits(1))
    };
    let root = 38 << 20;
    let superblock = root + 1024;
    let cases: [(&str, Edit<'_>); 7] = [
        ("disk-size", &|file| file.set_len(len - 1).unwrap()),
        ("disk-partition-inside", &|file| file.set_len((len / 2) & !511).unwrap()),
        // Without it nothing says that this is a disk.
        ("file-container", &|file| file.write_all_at(&[0, 0], 510).unwrap()),
        // An entry that ends behind the disk.
        ("disk-partition-inside", &|file| file.write_all_at(&[0xff; 4], 0x1be + 28).unwrap()),
        // s_desc_size, which other readers do not survive.
        ("ext4-superblock-checksum", &|file| {
            file.write_all_at(&[8, 0], superblock + 0xfe).unwrap();
        }),
        // s_magic.
        ("sd-bootable", &|file| file.write_all_at(&[0, 0], superblock + 0x38).unwrap()),
        // The first cluster that a file has follows itself.
        ("fat-cycle", &|file| file.write_all_at(&[3, 0], (8 << 20) + 4 * 512 + 6).unwrap()),
    ];
    for (check, change) in cases {
        let found = edit(change);
        assert!(found.contains(check), "{check}: {found:?}");
    }

    let cut = project.path("cut.img.zst");
    let compressed = fs::read(card("sd")).unwrap();
    fs::write(&cut, &compressed[..compressed.len() / 2]).unwrap();
    assert!(errors(&verify(&project, &cut, &[]).exits(1)).contains("zstd-data"));
}

/// A card is no archive for WSL, and an archive is no card.
#[test]
fn kinds_are_not_mixed_up() {
    let project = Project::new();
    let ran = verify(&project, &card("sd"), &["--kind", "wsl"]).exits(1);
    assert!(errors(&ran).contains("file-kind"), "{ran:#?}");
    project.run(&["image", "wsl", "--driver", "mini"]).exits(0);
    let ran = verify(&project, &project.path("dist/wsl/mini.wsl"), &["--kind", "sd"]).exits(1);
    assert!(errors(&ran).contains("file-kind"), "{ran:#?}");
}
