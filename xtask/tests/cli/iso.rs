//! `image`, `verify` and `inspect` on ISO images that real tools make of real parts.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use image_model::{Compression, Manifest};
use serde_json::Value;

use crate::{
    common::{Project, Ran, has_proven_store, has_treemap, which},
    nix::{Rig, tests_dir},
};

const ISO: &str = include_str!("../../../images/iso.toml");
const INSTALLER: &str = include_str!("../../../images/iso-installer.toml");

/// An image of the fixture.
fn disc(host: &str, variant: &str) -> PathBuf {
    let mut build = Command::new(tests_dir().join("tools/build-iso.sh"));
    PathBuf::from(Ran::of(build.args([host, variant])).exits(0).out.trim_end())
}

/// Puts the definitions of this repository into a project.
fn define(project: &Project) {
    fs::write(project.path("images/iso.toml"), ISO).unwrap();
    fs::write(project.path("images/iso-installer.toml"), INSTALLER).unwrap();
}

fn verify(project: &Project, file: &Path, boots: &[&str]) -> Ran {
    let boots = boots.iter().flat_map(|boot| ["--boots", boot]);
    let args = ["--format", "json", "verify", "--kind", "iso", "--work", "."];
    Ran::of(project.command().args(args).arg(file).args(boots))
}

/// The checks that failed, as loud as `severity`, each with its first message.
fn findings(ran: &Ran, severity: &str) -> Vec<String> {
    let json = ran.json();
    let all = json["report"]["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut found: Vec<_> = all
        .filter(|finding| finding["severity"] == severity)
        .map(|finding| format!("{}: {}", text(&finding["check"]), text(&finding["message"])))
        .collect();
    found.sort();
    found
}

/// The checks of severity error that failed.
fn errors(ran: &Ran) -> BTreeSet<String> {
    let name = |finding: &String| finding.split_once(':').unwrap().0.to_owned();
    findings(ran, "error").iter().map(name).collect()
}

const ALL: &[&str] = &["bios", "uefi-x86_64", "usb"];

#[test]
fn good_discs_have_no_fault() {
    let project = Project::new();
    for (host, variant, boots) in [
        ("iso", "iso", ALL),
        ("iso-systemd", "iso", ALL),
        ("iso-plain", "iso", &["bios"]),
        ("iso-plain", "iso-installer", ALL),
        ("iso-zstd", "iso", ALL),
        ("iso-aarch64", "iso", &["uefi-aarch64"]),
    ] {
        let ran = verify(&project, &disc(host, variant), boots).exits(0);
        assert_eq!(findings(&ran, "warning"), [""; 0], "{host} {variant}");
        assert_eq!(ran.json()["report"]["kind"], "iso");
        assert_eq!(ran.json()["report"]["format"], Value::Null);
    }
}

/// What a host makes that sets nothing: it is told which of the promises hold.
#[test]
fn promises_that_do_not_hold_are_errors() {
    let project = Project::new();
    let ran = verify(&project, &disc("iso-plain", "iso"), ALL).exits(1);
    let broken = |way: &str| format!("iso-promised-boot: {way} does not boot: ");
    let errors = findings(&ran, "error");
    let ways = ["bios from usb", "uefi-x86_64 from disc", "uefi-x86_64 from usb"].map(broken);
    assert_eq!(errors.len(), ways.len(), "{errors:#?}");
    for (error, way) in errors.iter().zip(ways) {
        assert!(error.starts_with(&way), "{error}");
    }
    let ran = verify(&project, &disc("iso-aarch64", "iso"), &["uefi-x86_64"]).exits(1);
    assert_eq!(
        findings(&ran, "error"),
        [
            "iso-promised-boot: uefi-x86_64 from disc does not boot: no /EFI/BOOT/BOOTX64.EFI in the \
          image for UEFI"
        ]
    );
    project
        .run(&["verify", "x.iso", "--boots", "uefi-x86-64"])
        .exits(2)
        .says("did you mean \"uefi-x86_64\"?");
}

#[test]
fn twins_are_named() {
    let project = Project::new();
    for (host, checks) in [
        ("wrong-label", &["iso-root"][..]),
        ("wrong-init", &["iso-init", "store-entry"]),
        ("no-loader", &["iso-promised-boot"]),
    ] {
        let ran = verify(&project, &disc(host, "iso"), ALL).exits(1);
        assert_eq!(errors(&ran).into_iter().collect::<Vec<_>>(), checks, "{host}");
    }
}

/// Builds an image by a definition of this repository.
fn make(rig: &Rig, image: &str, host: &str, route: &str) -> (Vec<u8>, Manifest) {
    let flake = format!("path:flake#{host}");
    let file = format!("dist/{image}/nixos-{image}.iso");
    let args = ["image", image, "--flake", &flake, "--route", route];
    Ran::of(rig.command().args(args)).exits(0).says(&file);
    let dist = rig.project.path("dist").join(image);
    let mut sums = Command::new("sha256sum");
    Ran::of(sums.args(["-c", "--quiet", "SHA256SUMS"]).current_dir(&dist)).exits(0);
    has_proven_store(&dist);
    has_treemap(&rig.project.path(&file));
    let manifest = fs::read(dist.join("manifest.json")).unwrap();
    (fs::read(rig.project.path(&file)).unwrap(), serde_json::from_slice(&manifest).unwrap())
}

#[test]
fn a_flake_becomes_a_disc_by_each_route() {
    let rig = Rig::with_flake(&mut Command::new(tests_dir().join("tools/iso-flake.sh")));
    define(&rig.project);
    let (first, variant) = make(&rig, "iso", "iso", "auto");
    let (again, same) = make(&rig, "iso", "iso", "variant");
    assert!(first == again && variant == same, "{variant:#?} {same:#?}");
    assert_eq!(variant.source.route, "images.iso");
    let [artifact] = &variant.artifacts[..] else { panic!("{:?}", variant.artifacts) };
    assert_eq!((&*artifact.file, &*artifact.format), ("nixos-iso.iso", "iso9660"));
    assert_eq!((artifact.compression, artifact.raw), (Compression::None, artifact.digests));

    // What nixpkgs compressed comes out as it was before.
    let (decompressed, zstd) = make(&rig, "iso", "iso-zstd", "auto");
    assert_eq!(zstd.source.route, "images.iso");
    assert_eq!(decompressed.len(), first.len());

    let (installer, _) = make(&rig, "iso-installer", "iso", "auto");
    let (module, manifest) = make(&rig, "iso-installer", "module", "module");
    assert_eq!(manifest.source.route, "isoImage");
    // The same derivation.
    assert!(installer == module);
    let (generated, manifest) = make(&rig, "iso-installer", "generators", "generators");
    assert_eq!(manifest.source.route, "formats.install-iso");
    assert!(installer == generated);

    only_the_disk_guid_differs(&first, &fs::read(disc("iso", "iso")).unwrap());
    a_host_that_makes_less_than_is_promised_is_told_what_to_set(&rig);
    a_promise_that_is_broken_is_not_published(&rig);
    another_system_is_another_definition(&rig);
}

/// All that differs when somebody else builds it is what nixpkgs derives from the place of the
/// output.
#[track_caller]
fn only_the_disk_guid_differs(one: &[u8], other: &[u8]) {
    assert_eq!(one.len(), other.len());
    let sectors = one.chunks(512).zip(other.chunks(512)).enumerate();
    let differ: Vec<_> = sectors.filter(|(_, (a, b))| a != b).map(|(sector, _)| sector).collect();
    // Two headers with the GUID, and two arrays of 62 sectors with partitions that have one of it.
    let last = one.len() / 512 - 1;
    assert_eq!(differ, [1, 2, last - 62, last]);
}

/// Before the build: what a host makes that sets nothing is no secret.
#[track_caller]
fn a_host_that_makes_less_than_is_promised_is_told_what_to_set(rig: &Rig) {
    let before = rig.project.list("dist/iso");
    let plain = ["image", "iso", "--flake", "path:flake#iso-plain", "--progress", "plain"];
    let ran = Ran::of(rig.command().args(plain)).exits(2);
    assert!(!ran.err.contains("build: done"), "{ran:#?}");
    ran.says(
        "nixosConfigurations.iso-plain.config.system.build.images.iso will not start by \
         uefi-x86_64, usb, as the definition promises: set isoImage.makeEfiBootable = true and \
         isoImage.makeUsbBootable = true in image.modules.iso of the configuration",
    );
    assert_eq!(rig.project.list("dist/iso"), before);
}

#[track_caller]
fn a_promise_that_is_broken_is_not_published(rig: &Rig) {
    let file = rig.project.path("dist/iso/nixos-iso.iso");
    let before = fs::read(&file).unwrap();
    let broken = ["image", "iso", "--flake", "path:flake#no-loader"];
    Ran::of(rig.command().args(broken))
        .exits(1)
        .says("iso-promised-boot: uefi-x86_64 from disc does not boot: no /EFI/BOOT/BOOTX64.EFI")
        .says("not published");
    assert!(fs::read(&file).unwrap() == before);
}

#[track_caller]
fn another_system_is_another_definition(rig: &Rig) {
    let image = ["image", "iso", "--flake", "path:flake#iso-aarch64"];
    Ran::of(rig.command().args(image))
        .exits(3)
        .says("is for aarch64-linux, and the definition says x86_64-linux");
    let definition = ISO
        .replace("system = \"x86_64-linux\"\ntitle", "system = \"aarch64-linux\"\ntitle")
        .replace("boots = [\"bios\", \"uefi-x86_64\", \"usb\"]", "boots = [\"uefi-aarch64\"]");
    fs::write(rig.project.path("images/iso.toml"), definition).unwrap();
    Ran::of(rig.command().args(image)).exits(0).says("dist/iso/nixos-iso.iso");
}

#[test]
fn a_dry_run_prints_the_plan() {
    // No flake is asked.
    let rig = Rig::with_flake(&mut Command::new("mkdir"));
    define(&rig.project);
    let ran = Ran::of(rig.command().args(["image", "iso-installer", "--dry-run"])).exits(0);
    let dir = rig.project.dir.path().to_str().unwrap();
    let nix = ran.out.lines().find(|line| line.starts_with("nix ")).unwrap().to_owned();
    assert_eq!(
        ran.out.replace(dir, "DIR").replace(&nix, "NIX"),
        "image      iso-installer (NixOS installer on a disc or a USB stick)\n\
         system     x86_64-linux\n\
         driver     nix-image\n\
         flake      DIR/nix\n\
         attribute  nixosConfigurations.iso-installer\n\
         variant    iso-installer\n\
         route      auto\n\
         NIX\n\
         promises   bios, uefi-x86_64, usb\n\
         work       DIR/dist/.iso-installer.work\n\
         output     DIR/dist/iso-installer/nixos-iso-installer.iso\n\
         steps      build, finish, verify, publish\n"
    );
    assert_eq!(rig.project.list("dist"), [""; 0]);
    let doctor = Ran::of(rig.command().args(["doctor", "iso", "iso-installer"])).exits(0);
    doctor.says("iso (nix-image): ready").says("iso-installer (nix-image): ready");
    rig.project
        .run(&["list"])
        .exits(0)
        .says("\niso-installer  iso   nix-image/iso-installer  x86_64-linux");
}

/// Plain and compressed it comes in, and goes out, and no byte of the disc changes.
#[test]
fn a_disc_that_exists_is_finished_and_judged() {
    let project = Project::new();
    define(&project);
    let image = disc("iso", "iso");
    let raw = fs::read(&image).unwrap();
    let from = |file: &Path| {
        let mut command = project.command();
        command.args(["image", "iso", "--from"]).arg(file);
        Ran::of(&mut command)
    };
    from(&image).exits(0).says("dist/iso/iso-iso.iso");
    assert!(fs::read(project.path("dist/iso/iso-iso.iso")).unwrap() == raw);

    // The name that the kind has then.
    let definition = ISO
        .replace("{ format = \"none\" }", "{ format = \"zstd\", level = 1 }")
        .replace("file-name = \"{distribution}-{image}.iso\"\n", "");
    fs::write(project.path("images/iso.toml"), definition).unwrap();
    from(&image).exits(0).says("dist/iso/iso-iso.iso.zst");
    let packed = project.path("dist/iso/iso-iso.iso.zst");
    let mut zstd = Command::new(which("zstd", "zstd"));
    let output = zstd.arg("-dc").arg(&packed).output().unwrap();
    assert!(output.status.success() && output.stdout == raw);
    let manifest = fs::read(project.path("dist/iso/manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest.artifacts[0].format, "iso9660");
    assert_eq!(manifest.artifacts[0].raw.size, raw.len() as u64);

    fs::write(project.path("images/iso.toml"), ISO).unwrap();
    let copy = project.path("copy.iso.zst");
    fs::rename(&packed, &copy).unwrap();
    from(&copy).exits(0).says("dist/iso/copy-iso.iso");
    assert!(fs::read(project.path("dist/iso/copy-iso.iso")).unwrap() == raw);

    // A block map leaves nothing of a disc out.
    fs::write(
        project.path("images/iso.toml"),
        ISO.replace("[finish]\n", "[finish]\nbmap = true\n"),
    )
    .unwrap();
    from(&image).exits(0);
    let (written, target) = (project.path("dist/iso/iso-iso.iso"), project.path("stick"));
    let mut copy = Command::new(which("bmaptool", "bmap-tools"));
    Ran::of(copy.arg("copy").arg(&written).arg(&target)).exits(0).says("discovered bmap file");
    assert!(fs::read(&target).unwrap() == raw);

    let broken = project.path("cut.iso");
    fs::write(&broken, &raw[..raw.len() / 2]).unwrap();
    from(&broken).exits(1).says("iso9660-");
    assert!(project.list("dist/iso").contains(&"iso-iso.iso.bmap".to_owned()), "as it was");
}

#[test]
fn structures_are_printed() {
    let project = Project::new();
    let inspect = |format: &str| {
        let args = ["--format", format, "inspect", "--work", "."];
        Ran::of(project.command().args(args).arg(disc("iso", "iso"))).exits(0)
    };
    let human = inspect("human");
    for text in ["nixos-26.05-x86_64", "/isolinux/isolinux.cfg", "/EFI/BOOT/BOOTX64.EFI"] {
        assert!(human.out.contains(text), "{text}: {}", human.out);
    }
    for line in inspect("json").out.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

/// What comes from outside may be anything: a finding, exit code 1, in a moment.
#[test]
fn broken_discs_are_findings() {
    type Edit<'a> = &'a dyn Fn(&File);
    let project = Project::new();
    let good = disc("iso", "iso");
    let len = fs::metadata(&good).unwrap().len();
    let broken = project.path("broken.iso");
    let edit = |change: Edit<'_>| {
        fs::copy(&good, &broken).unwrap();
        change(&File::options().read(true).write(true).open(&broken).unwrap());
        errors(&verify(&project, &broken, ALL).exits(1))
    };
    let block = |number: u64| number * 2048;
    let cases: [(&str, Edit<'_>); 6] = [
        ("iso9660-volume-size", &|file| file.set_len(len / 2).unwrap()),
        // The root directory, in both byte orders.
        ("iso9660-extent", &|file| file.write_all_at(&[0xff; 8], block(16) + 156 + 2).unwrap()),
        // Where the catalog is.
        ("el-torito-catalog", &|file| file.write_all_at(&[0xff; 4], block(17) + 71).unwrap()),
        ("isohybrid-signature", &|file| file.write_all_at(&[0], 510).unwrap()),
        // The volume identifier, which the command line of the kernel names; Joliet has it as well.
        ("iso-root", &|file| file.write_all_at(b"X", block(16) + 40).unwrap()),
        ("iso9660-signature", &|file| file.write_all_at(b"X", block(16) + 1).unwrap()),
    ];
    for (check, change) in cases {
        let found = edit(change);
        assert!(found.iter().any(|other| other.starts_with(check)), "{check}: {found:?}");
    }
}

/// A disc is no card and no archive for WSL, and those are no discs.
#[test]
fn kinds_are_not_mixed_up() {
    let project = Project::new();
    for kind in ["sd", "wsl"] {
        let args = ["--format", "json", "verify", "--kind", kind];
        let ran = Ran::of(project.command().args(args).arg(disc("iso", "iso"))).exits(1);
        assert!(errors(&ran).contains("file-kind"), "{ran:#?}");
    }
    project.run(&["image", "wsl", "--driver", "mini"]).exits(0);
    let ran = verify(&project, &project.path("dist/wsl/mini.wsl"), &[]).exits(1);
    assert!(errors(&ran).contains("file-kind"), "{ran:#?}");
}
