//! `diff`: two images, compressed or not, and a folder in place of one.

use std::{fs, path::Path, process::Command};

use image_model::{Comparison, PackageChange};

use crate::{
    common::{Project, Ran, which},
    nix::Rig,
};

/// Runs a tool of the machine in the project.
fn tool(project: &Project, name: &str, args: &[&str]) -> String {
    let mut command = Command::new("timeout");
    command.args(["60", name]).args(args).current_dir(project.dir.path());
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TZ", "UTC");
    Ran::of(&mut command).exits(0).out
}

/// An ext4 file system of the folder `root`, with this seed for hashes.
fn ext4(project: &Project, name: &str, seed: &str) {
    fs::File::create(project.path(name)).unwrap().set_len(4 << 20).unwrap();
    let seed = format!("hash_seed={seed}");
    let fixed = ["-f", "@2026-01-02 03:04:05", "mke2fs", "-q", "-t", "ext4", "-d", "root"];
    let uuid = ["-U", "44444444-4444-4444-8888-888888888888", "-E", &seed, name];
    which("faketime", "faketime");
    tool(project, "faketime", &[&fixed[..], &uuid].concat());
}

/// A project with the folder `root`.
fn project() -> Project {
    let project = Project::new();
    fs::create_dir_all(project.path("root/etc")).unwrap();
    fs::write(project.path("root/etc/motd"), "welcome\n").unwrap();
    tool(&project, "find", &["root", "-exec", "touch", "-d", "@1000000000", "{}", "+"]);
    // What was read once does not change when it is read again.
    tool(&project, "sh", &["-c", "tar -cf - root | wc -c"]);
    project
}

#[test]
fn a_hash_seed_is_named_also_behind_compression() {
    let project = project();
    ext4(&project, "a.img", "11111111-1111-4111-8111-111111111111");
    ext4(&project, "b.img", "22222222-2222-4222-8222-222222222222");
    project.run(&["diff", "a.img", "a.img"]).exits(0).says("a.img and a.img: the same\n");
    let ran = project.run(&["diff", "a.img", "b.img"]).exits(1);
    assert_eq!(
        ran.out,
        "a.img and b.img: 1 difference\n\
         file systems\n\
         \x20 ext4-hash-seed  disk, ext4 superblock, s_hash_seed at 0x4ec: \
         11111111-1111-4111-8111-111111111111 → 22222222-2222-4222-8222-222222222222 (16 bytes)\n\
         20 of 4194304 bytes differ, and all of them are explained\n"
    );
    tool(&project, "gzip", &["-nk", "a.img"]);
    tool(&project, "zstd", &["-q", "b.img"]);
    project.run(&["diff", "a.img.gz", "a.img"]).exits(1).says("  compression  file: gzip → none\n");
    let ran = project.run(&["diff", "a.img.gz", "b.img.zst", "--work", ".", "--format", "json"]);
    let comparison: Comparison = serde_json::from_value(ran.exits(1).json()).unwrap();
    let ids: Vec<_> = comparison.differences.iter().map(|d| d.id.as_ref()).collect();
    assert_eq!(ids, ["compression", "ext4-hash-seed"]);
    assert_eq!(comparison.bytes.unwrap().unexplained(), 0);
    project.run(&["explain", "ext4-hash-seed"]).exits(0).says("`mke2fs` draws it at random");
    project.run(&["explain", "ext4-hash-sed"]).exits(2).says("did you mean \"ext4-hash-seed\"?");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let project = project();
    fs::write(project.path("a"), "plain text").unwrap();
    fs::write(project.path("b"), "PLain text").unwrap();
    project.run(&["diff", "a", "absent"]).exits(2).says("absent");
    let ran = project.run(&["diff", "a", "b"]).exits(1);
    let ran = ran.says("not compared: the first image, of no known format\n");
    ran.says("2 of 10 bytes differ, and 2 of them are not explained\n");
}

#[test]
fn an_image_that_breaks_off_is_told() {
    let project = project();
    ext4(&project, "a.img", "11111111-1111-4111-8111-111111111111");
    tool(&project, "gzip", &["-nk", "a.img"]);
    let whole = fs::read(project.path("a.img.gz")).unwrap();
    fs::write(project.path("half.img.gz"), &whole[..whole.len() / 2]).unwrap();
    let ran = project.run(&["diff", "half.img.gz", "a.img.gz", "--work", "."]).exits(1);
    ran.says("not compared: the rest of the first image: its bytes after ").says("image-size");
    let ran = project.run(&["sizes", "half.img.gz", "--work", "."]).exits(0);
    assert!(ran.err.starts_with("warning: half.img.gz: its bytes after "), "{ran:?}");
    let ran = project.run(&["inspect", "half.img.gz", "--work", "."]).exits(0);
    assert!(ran.err.starts_with("warning: half.img.gz: its bytes after "), "{ran:?}");
    assert_eq!(project.run(&["sizes", "a.img.gz", "--work", "."]).exits(0).err, "");
    project
        .run(&["sbom", "half.img.gz"])
        .exits(1)
        .says("it is defective: see `verify half.img.gz`");
}

/// A folder is compared as the archive of it would be.
#[test]
fn a_folder_stands_for_what_is_in_it() {
    let project = project();
    let numeric = ["--numeric-owner", "-cf", "root.tar", "-C", "root", "."];
    tool(&project, "tar", &numeric);
    project.run(&["diff", "root.tar", "root"]).exits(1).says("image-format");
    fs::write(project.path("root/etc/motd"), "goodbye\n").unwrap();
    fs::write(project.path("root/etc/new"), "new\n").unwrap();
    let ran = project.run(&["diff", "root.tar", "root"]).exits(1);
    let ran = ran.says("  file-content  archive /etc/motd: 8 bytes\n");
    ran.says("+ file-added  archive /etc/new: file, 4 B\n");
    project.run(&["diff", "root", "root"]).exits(0).says("the same");
}

/// Two closures in the store of a real Nix, and the same store paths in two archives: the packages
/// that `nix store diff-closures` tells are those that we tell.
#[test]
fn packages_are_those_of_diff_closures() {
    let rig = Rig::new();
    let project = &rig.project;
    let make = |name: &str, len: usize| {
        fs::create_dir_all(project.path(name)).unwrap();
        fs::write(project.path(name).join("file"), "x".repeat(len)).unwrap();
    };
    // One version for another, one that grows, one that goes, one that comes, and one that stays.
    for (name, len) in [
        ("hello-2.12.1", 100_000),
        ("hello-2.13", 300_000),
        ("same-1.0", 1000),
        ("grown-1.0", 1000),
        ("gone-1.0-lib", 20_000),
        ("new", 50_000),
    ] {
        make(&format!("parts/{name}"), len);
    }
    make("parts/grown/grown-1.0", 101_000);
    let nix = |args: &[&str]| {
        let mut nix = Command::new(which("nix", "nix-bin"));
        let environment = rig.command();
        nix.envs(environment.get_envs().filter_map(|(key, value)| Some((key, value?))));
        nix.args(["--extra-experimental-features", "nix-command"]);
        Ran::of(nix.args(args)).exits(0).out
    };
    let closure = |name: &str, parts: &[&str]| {
        let part = |part: &&str| {
            let name = Path::new(part).file_name().unwrap().to_str().unwrap();
            let path = project.path("parts").join(part);
            format!("${{builtins.path {{ name = \"{name}\"; path = {}; }}}}", path.display())
        };
        let parts: Vec<_> = parts.iter().map(part).collect();
        let text = format!("builtins.toFile \"{name}\" \"{}\"", parts.join(" "));
        nix(&["eval", "--impure", "--raw", "--expr", &text])
    };
    let a = closure("closure-1", &["hello-2.12.1", "same-1.0", "grown-1.0", "gone-1.0-lib"]);
    let b = closure("closure-1", &["hello-2.13", "same-1.0", "grown/grown-1.0", "new"]);
    for (name, closure) in [("a", &a), ("b", &b)] {
        let store = project.path(name).join("nix/store");
        fs::create_dir_all(&store).unwrap();
        for path in nix(&["path-info", "-r", closure]).lines() {
            tool(project, "cp", &["-r", path, store.to_str().unwrap()]);
        }
        tool(project, "tar", &["-cf", &format!("{name}.tar"), "-C", name, "."]);
    }
    let ran = project.run(&["diff", "a.tar", "b.tar", "--format", "json"]).exits(1);
    let comparison: Comparison = serde_json::from_value(ran.json()).unwrap();
    let [change] = &comparison.stores[..] else { panic!("{:?}", comparison.stores) };
    let line = |package: &PackageChange| {
        let versions = |versions: &[String]| {
            let shown = |version: &String| match version.as_str() {
                "" => "ε".to_owned(),
                version => version.to_owned(),
            };
            match versions {
                [] => "∅".to_owned(),
                versions => versions.iter().map(shown).collect::<Vec<_>>().join(", "),
            }
        };
        let size = |size: Option<u64>| size.unwrap_or(0) as f64;
        let delta = (size(package.sizes.b) - size(package.sizes.a)) / 1024.0;
        let mut items = Vec::new();
        if !package.a.is_empty() || !package.b.is_empty() {
            items.push(format!("{} → {}", versions(&package.a), versions(&package.b)));
        }
        if delta.abs() >= 8.0 {
            items.push(format!("{delta:+.1} KiB"));
        }
        (!items.is_empty()).then(|| format!("{}: {}", package.name, items.join(", ")))
    };
    let ours: Vec<_> = change.packages.iter().filter_map(line).collect();
    let theirs = nix(&["store", "diff-closures", &a, &b]);
    // Colors of sizes.
    let plain = theirs.replace("\x1b[31;1m", "").replace("\x1b[32;1m", "").replace("\x1b[0m", "");
    assert_eq!(ours, plain.lines().collect::<Vec<_>>(), "{theirs}");
    project.run(&["diff", "a.tar", "b.tar"]).exits(1).says("  hello 2.12.1 → 2.13 (+");
}
