//! `reproduce`: images that are made twice, by real Nix and without it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    common::{Project, Ran, list, which},
    nix::{Rig, tests_dir},
};

/// A card of the fixture whose disks differ from build to build.
const CARD: &str = r#"kind = "sd"
system = "aarch64-linux"
title = "A disk"

[build]
driver = "nix-image"
flake = "path:flake"
attribute = "nixosConfigurations.stable"
variant = "sd-card"

[finish]
compression = { format = "zstd", level = 3 }
bmap = true
"#;

/// The fixture beside a project, with one definition.
fn rig(definition: &str) -> Rig {
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(tests_dir().join("fixtures/unstable-flake"));
    let rig = Rig::with_flake(&mut copy);
    fs::write(rig.project.path("images/card.toml"), definition).unwrap();
    rig
}

/// A release of Nix; Debian 12's by default.
fn release(name: &str) -> Option<PathBuf> {
    if name == "2.8" {
        return None;
    }
    let versions = tests_dir().parent().unwrap().join("target/nix-versions");
    let program = versions.join(format!("nix-{name}"));
    assert!(program.is_file(), "{} is missing: run tests/setup.sh", program.display());
    Some(program)
}

fn reproduce(rig: &Rig, nix: Option<&Path>, flavor: &str, more: &[&str]) -> Ran {
    let mut command = rig.command();
    if let Some(nix) = nix {
        command.env("IMAGE_FACTORY_NIX", nix);
    }
    let attribute = format!("nixosConfigurations.{flavor}");
    let args = ["reproduce", "card", "--attribute", &attribute];
    Ran::of(command.args(["--format", "json"]).args(args).args(more))
}

/// The result for the only image.
fn told(ran: &Ran) -> Value {
    let json = ran.json();
    assert_eq!(json.as_array().unwrap().len(), 1, "{json}");
    json[0].clone()
}

/// The ids of what differs in a file.
fn ids(told: &Value, file: &str) -> Vec<String> {
    let pairs = told["pairs"].as_array().unwrap();
    let pair = pairs.iter().find(|pair| pair["name"] == file).unwrap_or_else(|| panic!("{told:#}"));
    assert_eq!(pair["same"], pair["comparison"].is_null(), "{pair:#}");
    let differences = pair["comparison"]["differences"].as_array();
    let mut ids: Vec<_> = differences
        .into_iter()
        .flatten()
        .map(|difference| difference["id"].as_str().unwrap().to_owned())
        .collect();
    ids.dedup();
    ids
}

const IMAGE: &str = "nixos-card.img.zst";

/// One test for each function and release, so that they run at the same time.
macro_rules! each_release {
    ($($name:ident)+) => {$(
        mod $name {
            #[test]
            fn bookworm() {
                super::$name("2.8");
            }
            #[test]
            fn trixie() {
                super::$name("2.26");
            }
            #[test]
            fn forky() {
                super::$name("2.34");
            }
        }
    )+};
}

each_release! { what_differs_is_named }

fn what_differs_is_named(nix: &str) {
    let rig = rig(CARD);
    let nix = release(nix);
    let reproduce = |flavor: &str| reproduce(&rig, nix.as_deref(), flavor, &[]);

    let same = told(&reproduce("stable").exits(0));
    assert_eq!(same["verdict"], "reproducible", "{same:#}");
    assert!(ids(&same, "root.img").is_empty() && ids(&same, IMAGE).is_empty());

    // The ext4 is a derivation of its own, which `nix build --rebuild` of the card does not build.
    let seed = told(&reproduce("seed").exits(1));
    assert_eq!(seed["verdict"], "differs");
    assert_eq!(ids(&seed, "root.img"), ["ext4-hash-seed"], "{seed:#}");
    assert!(ids(&seed, IMAGE).is_empty());
    let differences = &seed["pairs"][0]["comparison"]["differences"];
    assert_ne!(differences[0]["a"], differences[0]["b"]);
    assert!(!differences[0]["a"].is_null(), "{differences:#}");

    let serial = told(&reproduce("serial").exits(1));
    assert_eq!(ids(&serial, IMAGE), ["fat-serial"], "{serial:#}");
    assert!(ids(&serial, "root.img").is_empty());
    let image = serial["pairs"].as_array().unwrap().iter().find(|pair| pair["name"] == IMAGE);
    let at = &image.unwrap()["comparison"]["differences"][0]["at"];
    assert!(at["structure"].as_str().unwrap().contains("partition 1"), "{at:#}");

    // Nothing is left but what Nix had built.
    assert_eq!(rig.project.list("dist"), [""; 0]);
    let stores = rig.project.list("nix/store");
    assert!(!stores.iter().any(|name| name.ends_with(".check")), "{stores:?}");
    assert_eq!(rig.project.list("nix/var/builds"), [""; 0]);
}

#[test]
fn what_is_expected_is_told_apart() {
    let expect = |id: &str, reason: &str| {
        format!("\n[[reproduce.expect]]\ndifference = \"{id}\"\nreason = \"{reason}\"\n")
    };
    let random = expect("ext4-hash-seed", "mke2fs draws it at random");
    let rig = rig(&format!("{CARD}{random}{}", expect("fat-serial", "it is of the clock")));
    let seed = told(&reproduce(&rig, None, "seed", &[]).exits(0));
    assert_eq!(seed["verdict"], "differs-as-expected");
    assert_eq!(seed["expected"][0]["difference"], "ext4-hash-seed");
    assert_eq!(seed["expected"][0]["reason"], "mke2fs draws it at random");
    assert_eq!(seed["unused"][0]["difference"], "fat-serial");
    assert_eq!(seed["unexpected"], serde_json::json!({}));

    // Beside what is expected, something that is not.
    let all = told(&reproduce(&rig, None, "all", &[]).exits(1));
    assert_eq!(all["verdict"], "differs");
    assert_eq!(all["expected"].as_array().unwrap().len(), 2);
    assert!(all["unexpected"]["file-content"].as_u64().is_some_and(|count| count > 0), "{all:#}");

    let args = ["reproduce", "card", "--attribute", "nixosConfigurations.seed"];
    let ran = Ran::of(rig.command().args(args)).exits(0);
    ran.says("card: differs as expected")
        .says("   ext4-hash-seed  disk, ext4 superblock, s_hash_seed at 0x4ec: ")
        .says(" (expected)\n")
        .says("ext4-hash-seed: mke2fs draws it at random")
        .says("made both times of the first root.img")
        .says("expected, and it is the same: fat-serial");

    let wrong = expect("ext4-hash-sed", "x");
    fs::write(rig.project.path("images/card.toml"), format!("{CARD}{wrong}")).unwrap();
    let ran = Ran::of(rig.command().args(["reproduce", "card"])).exits(2);
    ran.says("no difference is called \"ext4-hash-sed\"; did you mean \"ext4-hash-seed\"?");
}

#[test]
fn what_depends_on_the_machine_shows() {
    let rig = rig(CARD);
    let file = told(&reproduce(&rig, None, "file", &[]).exits(1));
    let text = file.to_string();
    assert!(text.contains("/nix/store/00000000000000000000000000000000-hello/bin/hello"), "{text}");
    let cores = told(&reproduce(&rig, None, "cores", &[]).exits(1));
    assert!(ids(&cores, "root.img").contains(&"file-content".to_owned()), "{cores:#}");

    // Of what Nix built, only the image is shipped.
    let beside = told(&reproduce(&rig, None, "beside", &[]).exits(0));
    assert_eq!(beside["verdict"], "reproducible");
    assert!(beside.to_string().contains("differs in other files than the image"), "{beside:#}");
}

/// Another person's question: is this file what the flake makes?
#[test]
fn a_file_that_somebody_has_is_compared() {
    let rig = Rig::new();
    let against = |flake: &str, file: &str| {
        let args = ["--format", "json", "reproduce", "wsl", "--flake", flake, "--against", file];
        Ran::of(rig.command().args(args))
    };
    against("path:flake", "dist").exits(2).says("is not there: publish it with `image wsl`");
    Ran::of(rig.command().args(["image", "wsl", "--flake", "path:flake"])).exits(0);
    let dist = rig.project.path("dist/wsl");
    let bytes = || -> Vec<_> {
        list(&dist).iter().map(|file| fs::read(dist.join(file)).unwrap()).collect()
    };
    let before = bytes();
    let same = told(&against("path:flake", "dist").exits(0));
    assert_eq!(same["verdict"], "reproducible");
    let made = same["made"][0].as_str().unwrap();
    assert!(made.starts_with("both are made of the derivation /"), "{same:#}");

    // Another system, by the same name.
    let other = told(&against("path:flake#defective", "dist").exits(1));
    assert!(other["made"][0].as_str().unwrap().contains(", and here of /"), "{other:#}");
    assert!(ids(&other, "nixos.wsl").contains(&"file-removed".to_owned()), "{other:#}");
    assert_eq!(before, bytes());
    assert_eq!(rig.project.list("dist"), ["wsl"]);

    // Damaged since.
    let image = dist.join("nixos.wsl");
    let mut damaged = fs::read(&image).unwrap();
    damaged[9] ^= 1;
    fs::write(&image, &damaged).unwrap();
    let found = told(&against("path:flake", "dist").exits(1));
    assert_eq!(ids(&found, "nixos.wsl"), ["gzip-os"], "{found:#}");
    assert!(found["made"][0].as_str().unwrap().contains("it was changed since"), "{found:#}");
    damaged[9] ^= 1;
    fs::write(&image, &damaged).unwrap();

    // Downloaded, without its manifest.
    let file = rig.project.path("downloaded.wsl");
    fs::copy(dist.join("nixos.wsl"), &file).unwrap();
    let file = file.to_str().unwrap();
    against("path:flake", file).exits(0).says("is not known: there is no manifest.json");
    against("path:flake", "absent.wsl").exits(2).says("cannot read absent.wsl");
    against("path:flake", "images").exits(2).says("no regular file");
}

/// Without Nix: what the factory makes by itself is the same.
#[test]
fn the_mini_system_and_a_file_are_the_same_twice() {
    let project = Project::new();
    let ran = project.run(&["--format", "json", "reproduce", "wsl", "--driver", "mini"]).exits(0);
    assert_eq!(told(&ran)["verdict"], "reproducible");
    assert_eq!(project.list("dist"), [""; 0]);
    project.run(&["image", "wsl", "--driver", "mini"]).exits(0);
    let from = ["--from", "dist/wsl/mini.wsl", "--threads", "3"];
    let args = [&["--format", "json", "reproduce", "wsl"][..], &from].concat();
    let ran = project.run(&args).exits(0);
    ran.says("exists, and was not made again").says("with 3 threads and with 2 threads");
    assert_eq!(project.list("dist"), ["wsl"]);
}

/// The builder of NixOS-WSL runs twice, in folders of other names.
#[test]
fn an_archive_for_wsl_is_laid_out_twice() {
    let rig = Rig::new();
    let args = ["--format", "json", "reproduce", "wsl", "--flake", "path:flake#wsl"];
    let told = told(&Ran::of(rig.command().args(args)).exits(0));
    assert_eq!(told["verdict"], "reproducible", "{told:#}");
    assert!(told.to_string().contains("laid out by the tarball builder in two folders"));
    assert_eq!(list(&rig.project.path("dist")), [""; 0]);
}

/// The card of nixpkgs, by the definition of this repository: what mke2fs draws at random is all
/// that differs, and with it the checksums that begin with it.
#[test]
fn the_card_of_nixpkgs_differs_as_its_definition_says() {
    let rig = Rig::with_flake(&mut Command::new(tests_dir().join("tools/sd-flake.sh")));
    let text = include_str!("../../../images/sd-aarch64.toml");
    let (before, after) = text.split_once("\nlock = ").unwrap();
    let text = format!("{before}\n{}", after.split_once('\n').unwrap().1);
    fs::write(rig.project.path("images/card.toml"), text).unwrap();
    let args = ["--format", "json", "reproduce", "card", "--flake", "path:flake#sd"];
    let card = told(&Ran::of(rig.command().args(args)).exits(0));
    assert_eq!(card["verdict"], "differs-as-expected");
    assert_eq!(ids(&card, IMAGE), ["ext4-hash-seed"], "{card:#}");
    let pairs = card["pairs"].as_array().unwrap();
    let pair = pairs.iter().find(|pair| pair["name"] == IMAGE).unwrap();
    let at = pair["comparison"]["differences"][0]["at"]["structure"].as_str().unwrap();
    assert!(at.starts_with("partition 2, ext4 superblock"), "{at}");
    let bytes = &pair["comparison"]["bytes"];
    assert_eq!(bytes["differ"], bytes["explained"], "{bytes:#}");
    assert!(bytes["differ"].as_u64().is_some_and(|differ| differ >= 16), "{bytes:#}");

    // The other route leads to a link to the card. What made the card is built again.
    let formats = ["--flake", "path:flake#generators", "--route", "generators"];
    let args = [&["--format", "json", "reproduce", "card"][..], &formats].concat();
    let card = told(&Ran::of(rig.command().args(args)).exits(0));
    assert_eq!(ids(&card, IMAGE), ["ext4-hash-seed"], "{card:#}");
}

/// In a sandbox, whose store is below another root, or on another machine. The host `localhost` of
/// `ssh-ng` is reached without ssh: Nix's own tests do so.
#[test]
fn stores_elsewhere_are_rebuilt_in_as_well() {
    let rig = rig(CARD);
    let busybox = which("busybox", "busybox-static");
    let busybox = busybox.display();
    let conf = rig.project.path("nix/etc/nix.conf");
    let settings =
        format!("sandbox = true\nsandbox-paths = /bin/sh={busybox} /bin/busybox={busybox}\n");
    fs::write(&conf, fs::read_to_string(&conf).unwrap() + &settings).unwrap();
    let args = ["reproduce", "card", "--attribute", "packages.x86_64-linux.tiny", "--store"];
    let run = |store: &str, command: &mut Command| {
        told(&Ran::of(command.args(["--format", "json"]).args(args).arg(store)).exits(1))
    };
    // This one has real store paths.
    let below = rig.project.path("below");
    let mut command = rig.command();
    for name in ["NIX_STORE_DIR", "NIX_STATE_DIR", "NIX_LOG_DIR"] {
        command.env_remove(name);
    }
    let found = run(below.to_str().unwrap(), command.env("XDG_CACHE_HOME", below.join("cache")));
    assert_eq!(ids(&found, IMAGE), ["disk-gap"], "{found:#}");
    assert!(!list(&below.join("nix/store")).iter().any(|name| name.ends_with(".check")));

    let remote = rig.project.path("remote");
    let remote = format!("ssh-ng://localhost?remote-store=local?root={}", remote.display());
    let found = run(&remote, &mut rig.command());
    assert_eq!(found["verdict"], "differs");
    assert!(found.to_string().contains("the second output is not on this machine"), "{found:#}");
}

#[test]
fn an_interrupt_while_nix_builds_again_leaves_nothing() {
    let rig = rig(CARD);
    let args = ["reproduce", "card", "--attribute", "nixosConfigurations.slow"];
    let mut run = rig.command().args(args).stderr(Stdio::piped()).spawn().unwrap();
    // What the builder of the second disk has for a temporary folder.
    let tmp = rig.project.path("dist/.card.reproduce/the-second-run/tmp");
    let disk = |name: &String| name.contains("unstable.img");
    let deadline = Instant::now() + Duration::from_secs(120);
    while !list(&tmp).iter().any(disk) {
        assert!(Instant::now() < deadline, "nothing is built again: {:?}", list(&tmp));
        assert!(run.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(rig.project.list("dist"), [".card.reproduce", ".card.reproduce.lock"]);
    Ran::of(Command::new("kill").args(["-INT", &run.id().to_string()])).exits(0);
    let ended = run.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(said.ends_with("interrupted\n"), "{said}");
    assert_eq!(rig.project.list("dist"), [""; 0]);
    let store = rig.project.list("nix/store");
    assert!(!store.iter().any(|name| name.ends_with(".check")), "{store:?}");
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let project = Project::new();
    let dist = project.path("small");
    fs::create_dir(&dist).unwrap();
    // A file system of few MiB, seen by this run only: there is room for the first one.
    let script = format!(
        "mount -t tmpfs -o size=4m tmpfs {0} && \"$0\" reproduce wsl --driver mini --dist {0}; \
         code=$?; ls -A {0}; exit $code",
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
