//! `image`, `verify` and `inspect` on disks of virtual machines that QEMU makes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use image_model::Manifest;
use serde_json::Value;

use crate::common::{Project, Ran, which};

const VM: &str = include_str!("../../../images/vm.toml");
const AMAZON: &str = include_str!("../../../images/amazon.toml");

/// A project with a disk in this format, and something in it.
fn project(name: &str, format: &str, options: &str) -> (Project, PathBuf) {
    let project = Project::new();
    fs::write(project.path("images/vm.toml"), VM).unwrap();
    fs::write(project.path("images/amazon.toml"), AMAZON).unwrap();
    let path = project.path(name);
    let run = |tool: &str, args: &[&str], size: &[&str]| {
        let mut command = Command::new(which(tool, "qemu-utils"));
        Ran::of(command.args(args).arg(&path).args(size)).exits(0);
    };
    run("qemu-img", &["create", "-q", "-f", format, "-o", options], &["8M"]);
    run("qemu-io", &["-f", format, "-c", "write -P 7 1M 200k"], &[]);
    (project, path)
}

fn image(project: &Project, kind: &str, from: &Path) -> Ran {
    Ran::of(project.command().args(["image", kind, "--from"]).arg(from))
}

const NOT_VERIFIED: &str = "not verified: the partition table, file systems and boot loader";

#[test]
fn a_disk_that_exists_is_finished_and_judged() {
    for (kind, name, format, options, called) in [
        ("vm", "disk.qcow2", "qcow2", "compat=1.1", "qcow2"),
        ("amazon", "disk.vhd", "vpc", "subformat=dynamic", "vhd"),
        ("amazon", "disk.vhd", "vpc", "subformat=fixed", "vhd"),
    ] {
        let (project, path) = project(name, format, options);
        let file = format!("disk-{kind}.{called}");
        image(&project, kind, &path).exits(0).says(&file).says(NOT_VERIFIED);
        let dist = project.path("dist").join(kind);
        assert!(fs::read(dist.join(&file)).unwrap() == fs::read(&path).unwrap());
        let read = |name: &str| fs::read(dist.join(name)).unwrap();
        let manifest: Manifest = serde_json::from_slice(&read("manifest.json")).unwrap();
        assert_eq!(manifest.artifacts[0].format, called);
        let report: Value = serde_json::from_slice(&read("verification.json")).unwrap();
        assert_eq!(report["kind"], kind);
        assert!(report["notVerified"][0].as_str().unwrap().contains("partition table"));

        // Anybody's, by what it is, and as one of another kind.
        let verify = |args: &[&str]| {
            Ran::of(project.command().args(["verify", "--work", "."]).args(args).arg(&path))
        };
        verify(&[]).exits(0).says(&format!("{name}: {called}, ")).says(NOT_VERIFIED);
        verify(&["--kind", kind]).exits(0);
        verify(&["--kind", "sd"]).exits(1).says("which is no image for sd");
        verify(&["--kind", "wsl"]).exits(1).says("file-kind").says("--vhd");
        let other = if kind == "vm" { "amazon" } else { "vm" };
        verify(&["--kind", other]).exits(1).says("file-kind");
        image(&project, other, &path).exits(1).says("and no image for");
    }
}

#[test]
fn what_is_broken_is_not_published() {
    let (project, path) = project("disk.qcow2", "qcow2", "cluster_size=4k");
    let mut bytes = fs::read(&path).unwrap();
    // The corrupt bit.
    bytes[79] |= 2;
    fs::write(&path, &bytes).unwrap();
    image(&project, "vm", &path).exits(1).says("qcow2-corrupt").says("not published");
    assert_eq!(project.list("dist/vm"), [""; 0]);
}

#[test]
fn structures_are_printed() {
    let cases = [
        ("qcow2", "cluster_size=4k", &["qcow2 header ", "clusterBits=12", "qcow2 l2 table"][..]),
        ("vpc", "subformat=dynamic", &["vhd footer ", "type=dynamic", "creator=qemu", "vhd block"]),
        ("vpc", "subformat=fixed", &["vhd footer ", "type=fixed"]),
    ];
    for (format, options, texts) in cases {
        let (project, path) = project("disk", format, options);
        let inspect = |format: &str| {
            let args = ["--format", format, "inspect", "--work", "."];
            Ran::of(project.command().args(args).arg(&path)).exits(0)
        };
        let human = inspect("human");
        for text in texts {
            assert!(human.out.contains(text), "{text}: {}", human.out);
        }
        for line in inspect("json").out.lines() {
            serde_json::from_str::<Value>(line).unwrap();
        }
    }
    let (project, path) = project("disk", "qcow2", "cluster_size=4k");
    let mut snapshot = Command::new(which("qemu-img", "qemu-utils"));
    Ran::of(snapshot.args(["snapshot", "-c", "before"]).arg(&path)).exits(0);
    let inspect = Ran::of(project.command().arg("inspect").arg(&path)).exits(0);
    inspect.says("qcow2 snapshot").says("name=before");
    let verify = |path: &Path| Ran::of(project.command().arg("verify").arg(path));
    verify(&path).exits(0).says("vm-snapshots");
    // Whatever is missing of it, it ends.
    let bytes = fs::read(&path).unwrap();
    for len in [8, 71, 100, 4096, 4100, bytes.len() / 2] {
        let cut = project.path("cut");
        fs::write(&cut, &bytes[..len]).unwrap();
        Ran::of(project.command().arg("inspect").arg(&cut)).exits(0);
        verify(&cut).exits(1);
    }
}

/// What is left of a fixed VHD that was cut short is a disk, with which nothing is wrong.
#[test]
fn what_a_disk_lacks_is_told() {
    let (project, path) = project("disk.vhd", "vpc", "subformat=fixed");
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 512);
    let verify = |bytes: &[u8], kind: &str| {
        fs::write(&path, bytes).unwrap();
        Ran::of(project.command().args(["verify", "--kind", kind]).arg(&path)).exits(1)
    };
    verify(&bytes, "amazon").says("no footer in the last 512 bytes");
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    verify(&bytes, "amazon").says("no footer in the last 512 bytes");
    verify(&bytes, "vm").says("qemu-img convert -O qcow2");
}
