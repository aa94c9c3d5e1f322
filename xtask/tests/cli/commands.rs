//! The commands beside `image`.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use crate::common::{Project, Ran};

#[test]
fn list_names_the_definitions() {
    let project = Project::new();
    let card = include_str!("../../../images/sd-aarch64.toml");
    let card = card.replace("nix/locks/sd-aarch64.lock", "nix/locks/card.lock");
    fs::write(project.path("images/card.toml"), card).unwrap();
    assert_eq!(
        project.run(&["list"]).exits(0).out,
        "image  kind  route              system         lock                 can be built here\n\
         card   sd    nix-image/sd-card  aarch64-linux  nix/locks/card.lock  no: nix\n\
         wsl    wsl   nixos-wsl          x86_64-linux   the flake's          no: nix\n"
    );
    let list = project.run(&["list", "--format", "json"]).exits(0).json();
    assert_eq!(list[0]["lock"], "nix/locks/card.lock");
    let wsl = &list[1];
    assert_eq!(
        (&wsl["name"], &wsl["kind"], &wsl["route"]),
        (&"wsl".into(), &"wsl".into(), &"nixos-wsl".into())
    );
    assert!(wsl["lock"].is_null() && wsl["ready"] == false, "{wsl}");
    assert_eq!(wsl["missing"][0]["what"], "nix");
    assert_eq!(wsl["definition"]["title"], "NixOS for WSL");
    // Also from a folder below.
    Ran::of(project.command().arg("list").current_dir(project.path("images"))).exits(0);
    let elsewhere = tempfile::tempdir().unwrap();
    Ran::of(project.command().arg("list").current_dir(elsewhere.path()))
        .exits(2)
        .says("images/*.toml");
}

#[test]
fn explain_knows_every_check() {
    let project = Project::new();
    let all = project.run(&["explain", "--format", "json"]).exits(0).json();
    let all = all.as_array().unwrap();
    assert!(all.len() > 50, "{}", all.len());
    for check in all.iter().step_by(10) {
        let id = check["id"].as_str().unwrap();
        project.run(&["explain", id]).exits(0).says(id);
    }
    let id = all[0]["id"].as_str().unwrap();
    let typo = &id[..id.len() - 1];
    project.run(&["explain", typo]).exits(2).says(&format!("did you mean {id:?}?"));
}

#[test]
fn doctor_names_what_is_missing_and_the_command() {
    let project = Project::new();
    let ran = project.run(&["doctor"]).exits(3).says("wsl (nixos-wsl): not ready");
    assert!(ran.out.contains("missing: nix\n") && ran.out.contains("    $ "), "{}", ran.out);
    // It is also found where no `PATH` leads.
    project.program("nix", "#!/bin/sh\necho 'nix (Nix) 2.34.8'\n");
    fs::create_dir(project.path("elsewhere")).unwrap();
    let nix = project.path("elsewhere/nix");
    fs::rename(project.path("bin/nix"), &nix).unwrap();
    let places = format!("{}:{}", project.path("absent/nix").display(), nix.display());
    let found = Ran::of(project.command().arg("doctor").env("IMAGE_FACTORY_NIX_PLACES", places));
    assert!(!found.out.contains("missing: nix\n"), "{}", found.out);
    let mini = include_str!("../../../images/wsl.toml").replace("\"nixos-wsl\"", "\"mini\"");
    project.define(&mini);
    project.run(&["doctor"]).exits(0).says("wsl (mini): ready");
    let rows = project.run(&["doctor", "wsl", "--format", "json"]).exits(0).json();
    assert_eq!(rows[0]["missing"].as_array().unwrap().len(), 0);
}

/// libFuzzer is C++, and this is all that the command needs of the machine and others do not.
#[test]
fn fuzz_says_that_it_needs_a_compiler_of_cpp() {
    let project = Project::new();
    for target in ["ext4", "fat"] {
        project.run(&["fuzz", target, "--seconds", "1"]).exits(3).says("apt-get install g++");
    }
    project.run(&["fuzz", "ntfs"]).exits(2).says("ext4, fat");
    project.run(&["fuzz", "ext4", "--replay", "nothing"]).exits(2).says("cannot read");
}

/// A small run: that the inputs are made, that our part judges them, and that a second run finds them.
#[test]
fn bench_compares_checkers_of_file_systems() {
    let project = Project::new();
    for format in ["human", "json"] {
        let mut command = project.command();
        command.env("PATH", std::env::var_os("PATH").unwrap());
        let args = ["bench", "fsck", "--files", "400", "--runs", "1", "--work", "work"];
        fs::create_dir_all(project.path("work")).unwrap();
        let ran = Ran::of(command.args(args).args(["--format", format])).exits(0);
        if format == "human" {
            let ran = ran.says("ext4    400 files: ").says("fat      80 files: ");
            ran.says("times the time for a file");
        } else {
            assert_eq!(ran.json().as_array().unwrap().len(), 6);
        }
    }
}

/// With stand-ins, so the numbers say little: that both are the same image, and that nothing is copied
/// which does not belong there.
#[test]
fn bench_compares_the_layout_of_the_flake_with_a_single_file() {
    let check = crate::flake::Check::new("2.34");
    for format in ["human", "json"] {
        let mut command = check.rig.command();
        command.env("IMAGE_FACTORY_NIX", &check.nix);
        let args = ["bench", "eval", "--runs", "1", "--format", format];
        let ran = Ran::of(command.args(args)).exits(0).says(crate::flake::STAND_IN);
        if format == "human" {
            ran.says("neither target/ nor dist/ nor what is fetched for tests");
        } else {
            let row = ran.json();
            assert!(row["derivation"].as_str().unwrap().ends_with(".drv"), "{row}");
            assert!(row["copiedFiles"][0].as_u64() > Some(500), "{row}");
            assert_eq!(row["copiedFiles"][1], 2, "{row}");
        }
    }
}

/// Every image is as large as a part that is sent at once.
#[cfg(feature = "release")]
#[test]
fn bench_measures_a_release_and_publishes_it() {
    let project = Project::new();
    let mut command = project.command();
    command.env("PATH", std::env::var_os("PATH").unwrap());
    let args = ["bench", "release", "--size", "32", "--runs", "1", "--work", "bench"];
    let report = Ran::of(command.args(args).args(["--format", "json"])).exits(0).json();
    assert_eq!(report["bytes"], 32 << 20);
    for row in report["releases"].as_array().unwrap() {
        assert!(row["ratio"].as_f64() > Some(0.0), "{report:#}");
    }
    let publish = &report["publish"];
    assert!(publish["objects"].as_u64() > Some(20), "{report:#}");
    assert_eq!(publish["sentAgain"], 0, "{report:#}");
    let (most, target) = (publish["partsAtOnce"].as_u64(), publish["targetParts"].as_u64());
    assert!(most >= target && publish["peakBytes"].as_u64() < Some(256 << 20), "{report:#}");
}

#[test]
fn verify_and_inspect_read_what_image_made() {
    let project = Project::new();
    project.run(&["image", "wsl"]).exits(0);
    let image = "dist/wsl/mini.wsl";
    project.run(&["verify", image]).exits(0).says(": good\n");
    let json = project.run(&["verify", image, "--format", "json"]).exits(0).json();
    assert_eq!(json["report"]["totals"]["errors"], 0);
    project.run(&["verify", image, "--system", "aarch64-linux"]).exits(1).says("aarch64");

    let text = project.run(&["inspect", image]).exits(0).out;
    assert!(text.contains("gzip header"), "{text}");
    assert!(text.contains("path=./etc/wsl-distribution.conf"), "{text}");
    assert!(text.trim_end().lines().any(|line| line.contains("gzip trailer")), "{text}");
    for line in project.run(&["inspect", image, "--format", "json"]).exits(0).out.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

/// A FAT file system without a partition table, whole and with a broken boot sector: what is left of
/// it is printed, and judged.
#[test]
fn a_bare_fat_is_inspected_also_where_it_is_broken() {
    let project = Project::new();
    let image = project.path("boot.fat");
    fs::File::create(&image).unwrap().set_len(36 << 20).unwrap();
    let mkfs = Command::new("mkfs.fat")
        .args(["-F", "32", "-s", "1", "-n", "BARE", "-i", "2178694e"])
        .arg(&image)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output();
    let mkfs = mkfs.expect("mkfs.fat: run `apt-get install dosfstools`");
    assert!(mkfs.status.success(), "{mkfs:?}");
    let good = fs::read(&image).unwrap();
    project.run(&["verify", "boot.fat"]).exits(0);
    let found = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        edit(&mut bytes);
        fs::write(&image, bytes).unwrap();
        let ran = project.run(&["inspect", "boot.fat", "--format", "json"]).exits(0);
        let lines: Vec<serde_json::Value> =
            ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        move |structure: &str, key: &str| {
            let of = |line: &&serde_json::Value| line["structure"] == structure;
            lines.iter().filter(of).map(|line| line[key].to_string()).collect::<Vec<_>>()
        }
    };
    let whole = found(&|_| ());
    assert_eq!(whole("fat boot", "volumeLabel"), ["\"BARE       \""]);
    assert_eq!(whole("fat boot", "width"), ["\"FAT32\""]);
    assert_eq!(whole("fat backup", "equal"), ["true"]);
    assert_eq!(whole("fat backup", "offset"), ["3072"]);
    assert_eq!(whole("fat fsinfo", "offset"), ["512", "3584"]);
    assert_eq!(whole("fat table", "copy"), ["0", "1"]);
    assert_eq!(whole("fat label", "name"), ["\"BARE       \""]);
    assert_eq!(whole("vfat", "label"), ["\"BARE\""]);

    for (edit, equal) in [
        // Without its numbers, without its signature, and without anything.
        (&(|bytes: &mut Vec<u8>| bytes[11..36].fill(0)) as &dyn Fn(&mut Vec<u8>), "false"),
        (&|bytes| bytes[510..512].fill(0), "false"),
        (&|bytes| bytes[..512].fill(0), "false"),
    ] {
        let broken = found(edit);
        assert_eq!(broken("fat backup", "equal"), [equal]);
        assert_eq!(broken("fat backup", "serial"), ["\"0x2178694e\""]);
        project.run(&["verify", "boot.fat"]).says(" fat-");
    }
}

#[test]
fn verify_says_what_is_wrong_with_which_file() {
    let project = Project::new();
    fs::write(project.path("a.wsl"), "plain text").unwrap();
    project.run(&["verify", "a.wsl"]).exits(1).says("a.wsl: ");
    project.run(&["verify", "absent.wsl"]).exits(2).says("absent.wsl");
    project.run(&["verify", "images"]).exits(2).says("neither a regular file nor a block device");
    // One that cannot be read does not hide the other.
    project.run(&["verify", "absent.wsl", "a.wsl"]).exits(2).says("a.wsl: ");
}

#[test]
fn progress_as_json_is_one_object_a_line() {
    let project = Project::new();
    let ran = project.run(&["image", "wsl", "--progress", "json"]).exits(0);
    let events: Vec<serde_json::Value> =
        ran.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for step in ["build", "finish", "verify", "publish"] {
        assert!(events.iter().any(|e| e["event"] == "finished" && e["step"] == step), "{step}");
    }
}

#[test]
fn completions_and_man_pages_are_written() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish"] {
        project.run(&["completions", shell]).exits(0).says("explain");
    }
    project.run(&["man", "pages"]).exits(0);
    assert!(project.list("pages").contains(&"cargo-xtask-image.1".to_owned()));
}

#[test]
fn it_speaks_of_itself_by_the_name_that_was_typed() {
    let project = Project::new();
    project.run(&["image"]).exits(2).says("Usage: cargo xtask image ");
    project.run(&["--version"]).exits(0).says("cargo xtask 0");

    let installed = project.path("bin/image-factory");
    symlink(env!("CARGO_BIN_EXE_xtask"), &installed).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(&installed);
        Ran::of(command.args(args).current_dir(project.dir.path()).env_clear())
    };
    run(&["image"]).exits(2).says("Usage: image-factory image ");
    run(&["verify", "--help"]).exits(0).says("Usage: image-factory verify ");
    run(&["--version"]).exits(0).says("image-factory 0");
    for shell in ["bash", "zsh", "fish"] {
        run(&["completions", shell]).exits(0).says("image-factory");
    }
    run(&["man", "pages"]).exits(0);
    assert!(project.list("pages").contains(&"image-factory-image.1".to_owned()));
}

#[test]
fn bash_completes_both_names() {
    let project = Project::new();
    let installed = project.path("bin/image-factory");
    symlink(env!("CARGO_BIN_EXE_xtask"), &installed).unwrap();
    for program in [&*installed, Path::new(env!("CARGO_BIN_EXE_xtask"))] {
        let name = program.file_name().unwrap().to_str().unwrap();
        // What bash does when somebody presses the tab key after `verify --k`.
        let script = format!(
            "source <(\"$0\" completions bash); COMP_WORDS=({name} verify --k); COMP_CWORD=2; \
             \"$(complete -p {name} | grep -o -- '-F [^ ]*' | cut -c 4-)\" {name} --k verify; \
             echo \"${{COMPREPLY[@]}}\""
        );
        let ran = Ran::of(Command::new("bash").arg("-c").arg(script).arg(program)).exits(0);
        assert_eq!(ran.out, "--kind\n", "{ran:?}");
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let project = Project::new();
    let script = format!("{} explain | head -n 1", env!("CARGO_BIN_EXE_xtask"));
    let mut run = Command::new("bash");
    run.args(["-o", "pipefail", "-c", &script]).current_dir(project.dir.path());
    Ran::of(&mut run).exits(0);
}

#[test]
fn color_is_for_terminals() {
    let project = Project::new();
    fs::write(project.path("a.wsl"), "plain text").unwrap();
    let ran = project.run(&["verify", "a.wsl"]).exits(1);
    assert!(!ran.out.contains('\x1b'), "{}", ran.out);
}
