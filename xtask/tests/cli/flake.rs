//! `flake check`, by real Nix: on the flake of this repository with stand-ins for its inputs, and on
//! one in which each kind of output is wrong in some way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    common::{Ran, which},
    nix::{Rig, tests_dir},
};

/// What an ordinary run says of stand-ins.
pub(crate) const STAND_IN: &str = "stand-in: this is no evaluation of NixOS";

fn root() -> PathBuf {
    tests_dir().parent().unwrap().to_owned()
}

/// The flake of this repository, as `./nix` means it there.
fn our_flake() -> String {
    format!("git+file://{}?dir=nix", root().display())
}

/// A Nix that `tests/setup.sh` fetched.
fn release(name: &str) -> PathBuf {
    let dir = std::env::var_os("IMAGE_FACTORY_NIX_DIR");
    let dir = dir.map_or_else(|| root().join("target/nix-versions"), Into::into);
    let program = dir.join(format!("nix-{name}"));
    assert!(program.is_file(), "no {}: run tests/tools/fetch-nix.sh", program.display());
    program
}

/// The folders of the stand-ins, by the names of the inputs in whose place they are.
fn stand_ins() -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(tests_dir().join("fixtures/stand-in")).unwrap();
    let path = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().path();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries.map(path).map(|path| (name(&path), path)).collect()
}

/// A copy of the fixture flake, and a store.
pub(crate) struct Check {
    pub(crate) rig: Rig,
    pub(crate) nix: PathBuf,
}

impl Check {
    pub(crate) fn new(nix: &str) -> Self {
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(tests_dir().join("fixtures/check-flake"));
        Self { rig: Rig::with_flake(&mut copy), nix: release(nix) }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.rig.command();
        command.args(["flake", "check"]).args(args).env("IMAGE_FACTORY_NIX", &self.nix);
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// On the flake of this repository, whose inputs are called `prefix` and their names.
    fn ours(&self, flake: &str, prefix: &str, args: &[&str]) -> Ran {
        let mut command = self.command(args);
        command.args(["--flake", flake, "--jobs", "2"]);
        for (name, path) in stand_ins() {
            command.arg("--override-input").arg(format!("{prefix}{name}")).arg(path);
        }
        Ran::of(&mut command)
    }
}

/// All of them, or a hint.
#[track_caller]
fn evaluates(ran: Ran) -> Ran {
    let hint = "what the stand-ins lack is added to tests/fixtures/stand-in, and a package to \
                nixpkgs/packages.txt there";
    assert_eq!(ran.code, Some(0), "{hint}: {ran:#?}");
    ran
}

fn attributes(rows: &Value) -> BTreeSet<&str> {
    rows.as_array().unwrap().iter().map(|row| row["attribute"].as_str().unwrap()).collect()
}

#[test]
fn every_output_evaluates_with_nix_2_26() {
    // For people, with the flags that the usual inputs have.
    let check = Check::new("2.26");
    let mut command = check.command(&["--flake", &our_flake(), "--jobs", "2"]);
    for (name, path) in stand_ins() {
        match name.as_str() {
            "nixpkgs" | "flake-parts" | "nixos-wsl" | "home-manager" => {
                command.arg(format!("--{name}")).arg(path);
            }
            _ => {
                command.arg("--override-input").arg(name).arg(path);
            }
        }
    }
    let ran = evaluates(Ran::of(&mut command)).says(" attributes evaluate, in ");
    // First and last: whoever copies the table copies this.
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines[0].contains(STAND_IN), "{}", ran.out);
    assert!(lines[lines.len() - 1].contains(STAND_IN), "{}", ran.out);
    ran.says("Nix 2.26").says("nixpkgs          0-stand-in, sha256-");
}

#[test]
fn every_output_evaluates_with_nix_2_34() {
    let check = Check::new("2.34");
    let json = check.ours(&our_flake(), "", &["--format", "json"]);
    let json = evaluates(json).says("flake check: ").json();
    assert_eq!(json["refused"], Value::Array(Vec::new()));
    let rows = attributes(&json["rows"]);
    for entry in fs::read_dir(root().join("images")).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        for output in [format!("images.{name}"), format!("nixosConfigurations.{name}")] {
            assert!(rows.contains(output.as_str()), "{output} is not among {rows:?}");
        }
    }
    for row in json["rows"].as_array().unwrap() {
        let derivation = row["derivation"].as_str();
        assert!(derivation.is_none_or(|path| path.ends_with(".drv")), "{row}");
        assert_eq!(row["what"] == "derivation", row["system"].is_string(), "{row}");
    }
    // What is no real thing says so, and is told of.
    assert!(json["standIn"].as_str().unwrap().contains(STAND_IN));
    let told = json["header"]["standIns"].as_array().unwrap();
    for (name, path) in stand_ins() {
        let flake = path.join("flake.nix").is_file();
        assert_eq!(told.contains(&Value::from(name.as_str())), flake, "{name}");
    }
}

#[test]
fn an_unknown_profile_is_an_error_of_nix_that_tells_the_known() {
    let check = Check::new("2.34");
    let flake = check.rig.project.path("unknown");
    fs::create_dir(&flake).unwrap();
    let text = format!(
        r#"{{
            inputs.ours.url = "{}";
            outputs = {{ self, ours }}: {{
              nixosConfigurations.vm = ours.nixosConfigurations.vm.extendModules {{
                modules = [ {{ imageFactory.profiles = [ "kubernets" ]; }} ];
              }};
            }};
          }}"#,
        our_flake()
    );
    fs::write(flake.join("flake.nix"), text).unwrap();
    let flake = format!("path:{}", flake.display());
    check.ours(&flake, "ours/", &[]).exits(1).says("nixosConfigurations.vm: does not evaluate").says(
        "imageFactory.profiles: no profile is called \"kubernets\"; known are ai-ml, development, ",
    );
}

#[test]
fn the_template_evaluates_and_has_the_commands_that_work_there() {
    let check = Check::new("2.34");
    let flake = check.rig.project.path("fleet");
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(root().join("nix/templates/fleet")).arg(&flake);
    assert!(copy.status().unwrap().success());
    let text = fs::read_to_string(flake.join("flake.nix")).unwrap();
    let theirs = "git+https://git.example.org/image-factory?dir=nix";
    assert_eq!(text.matches(theirs).count(), 1);
    fs::write(flake.join("flake.nix"), text.replace(theirs, &our_flake())).unwrap();

    let nixpkgs = tests_dir().join("fixtures/stand-in/nixpkgs");
    let args = ["--override-input", "nixpkgs", nixpkgs.to_str().unwrap(), "--format", "json"];
    let flake = format!("path:{}", flake.display());
    let json = check.ours(&flake, "image-factory/", &args).exits(0).json();
    assert_eq!(json["refused"], Value::Array(Vec::new()));
    let rows = attributes(&json["rows"]);
    for name in ["wsl", "card"] {
        assert!(rows.contains(format!("nixosConfigurations.{name}").as_str()), "{rows:?}");
    }
    // Some want what only the flake of this repository has.
    for (name, is_there) in
        [("image", true), ("install", true), ("lint", true), ("colmena", false), ("deploy", false)]
    {
        let app = format!("apps.x86_64-linux.{name}");
        assert_eq!(rows.contains(app.as_str()), is_there, "{app} in {rows:?}");
    }
}

#[test]
fn an_overlay_changes_what_is_in_and_beside_nixos_and_is_told() {
    let check = Check::new("2.34");
    let overlay = check.rig.project.path("overlay.nix");
    fs::write(&overlay, "final: previous: { curl = previous.hello; }\n").unwrap();
    let derivations = |more: &[&str]| -> Vec<String> {
        let wanted = ["packages.x86_64-linux.profile-essential", "images.vm", "--format", "json"];
        let json = check.ours(&our_flake(), "", &[&wanted, more].concat()).exits(0).json();
        assert_eq!(json["header"]["overlay"].is_string(), !more.is_empty());
        let rows = json["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 2, "{json}");
        rows.iter().map(|row| row["derivation"].as_str().unwrap().to_owned()).collect()
    };
    let (plain, changed) = (derivations(&[]), derivations(&["--overlay", "overlay.nix"]));
    assert_eq!(plain, derivations(&[]));
    for (plain, changed) in plain.iter().zip(&changed) {
        assert_ne!(plain, changed);
    }
    let args = ["--overlay", "overlay.nix", "images.wsl"];
    let ran = check.ours(&our_flake(), "", &args).exits(0);
    ran.says("overlay          final: previous: { curl = previous.hello; }");
}

#[test]
fn what_does_not_evaluate_is_told_with_its_reason() {
    for nix in ["2.26", "2.34"] {
        let check = Check::new(nix);
        let ran = check.run(&["--flake", "path:flake", "packages", "overlays"]).exits(1);
        let ran = ran.says("overlays.no-overlay: does not evaluate");
        let ran = ran.says("is not an overlay: not a function of two arguments");
        assert!(!ran.out.contains("packages."), "it went on: {}", ran.out);
        assert!(!ran.out.contains("stand-in"), "{}", ran.out);

        let args = ["--flake", "path:flake", "--keep-going", "--format", "json"];
        let json = check.run(&args).exits(1).json();
        assert_eq!(json["standIn"], Value::Null);
        let reasons = [
            ("apps.x86_64-linux.no-string", "its program is not a string"),
            ("apps.x86_64-linux.no-type", "its type is not \"app\""),
            ("checks.x86_64-linux", "no check has a name"),
            ("hydraJobs.deep.no-job", "is of type int, and not a derivation"),
            ("nixosConfigurations.no-toplevel", "attribute 'toplevel' missing"),
            ("nixosModules.number", "is of type int, and not a module"),
            ("overlays.no-overlay", "not a function of two arguments"),
            ("packages.x86_64-linux.bad", "this package cannot be"),
            ("packages.x86_64-linux.needs", "the input absent is needed"),
            ("packages.x86_64-linux.text", "is of type string, and not a derivation"),
            ("templates.nowhere", "there is no /"),
        ];
        let refused = json["refused"].as_array().unwrap();
        assert_eq!(attributes(&json["refused"]), reasons.map(|(attribute, _)| attribute).into());
        for (attribute, reason) in reasons {
            let it = refused.iter().find(|it| it["attribute"] == attribute).unwrap();
            assert!(it["nix"].as_str().unwrap().contains(reason), "{attribute}: {it}");
            assert_eq!(it["needs"].is_string(), attribute.ends_with(".needs"), "{it}");
        }
        let good = [
            "apps.x86_64-linux.good",
            "homeConfigurations.me",
            "hydraJobs.\"dotted.name\"",
            "hydraJobs.deep.deeper.job",
            "lib.answer",
            "nixosConfigurations.good",
            "nixosModules.file",
            "nixosModules.function",
            "nixosModules.set",
            "overlays.default",
            "packages.x86_64-linux.default",
            "somethingElse",
            "templates.good",
        ];
        assert_eq!(attributes(&json["rows"]), good.into());
    }
}

/// What `tryEval` does not catch, in what lists the outputs.
#[test]
fn an_output_that_cannot_be_listed_is_named() {
    let check = Check::new("2.34");
    let flake = check.rig.project.path("flake");
    let text = "{ outputs = _: { lib.one = 1; packages = { }.nothing; }; }";
    fs::write(flake.join("flake.nix"), text).unwrap();
    fs::remove_file(flake.join("flake.lock")).unwrap();
    let ran = check.run(&["--flake", "path:flake"]).exits(1);
    ran.says("packages: does not evaluate").says("attribute 'nothing' missing");
    check.run(&["--flake", "path:flake", "lib"]).exits(0).says("1 attribute evaluates");
    fs::write(flake.join("flake.nix"), "{ outputs = _: throw \"nothing at all\"; }").unwrap();
    check.run(&["--flake", "path:flake"]).exits(3).says("nothing at all");
}

#[test]
fn what_is_asked_for_must_be_there() {
    let check = Check::new("2.34");
    let flake = ["--flake", "path:flake"];
    let run = |more: &[&str]| check.run(&[&flake, more].concat());
    let known = "known are apps, checks, ";
    run(&["package"]).exits(2).says("no output that begins with package").says(known);
    // One that is there does not hide the other one, also where only evaluation tells what is there.
    let both = ["packages.x86_64-linux.default", "packages.x86_64-linux.defualt"];
    run(&both).exits(2).says("packages.x86_64-linux.defualt; known are packages.x86_64-linux.");
    run(&["hydraJobs.deep.deeper.job", "hydraJobs.deep.deeper.jib"])
        .exits(2)
        .says("hydraJobs.deep.deeper.jib; known are hydraJobs.deep.deeper.job");
    let other = check.rig.project.path("other");
    fs::create_dir(&other).unwrap();
    let text = r#"{
      outputs = _: {
        packages.x86_64-linux.default = derivation { name = "o"; system = "x"; builder = "b"; };
      };
    }"#;
    fs::write(other.join("flake.nix"), text).unwrap();
    let folder = ["--override-input", "abzent", "other", "lib"];
    run(&folder).exits(2).says("the flake has no input abzent; known are absent");
    run(&["--override-input", "absent", "other", "packages.x86_64-linux.needs"]).exits(0);
    run(&[&folder[..3], &folder[..3]].concat()).exits(2).says("two folders are named");
    run(&["--overlay", "nowhere.nix"]).exits(2).says("is not a file");
    run(&["--overlay", "other/flake.nix"]).exits(2).says("nixpkgs that an overlay could be put on");
    run(&["--override-input", "absent", "./nowhere"]).exits(3).says("nowhere");
}

#[test]
fn an_old_nix_is_refused_and_doctor_says_so() {
    let check = Check::new("2.34");
    let old = which("nix", "nix-bin");
    let run =
        |args: &[&str]| Ran::of(check.rig.command().args(args).env("IMAGE_FACTORY_NIX", &old));
    let ran = run(&["flake", "check", "--flake", "path:flake"]).exits(3);
    ran.says("Nix 2.8.0 at ").says("is too old").says("needs Nix 2.18 or later");
    run(&["doctor"]).says("flake check: not ready").says("needs Nix 2.18 or later");
    let mut new = check.rig.command();
    Ran::of(new.arg("doctor").env("IMAGE_FACTORY_NIX", &check.nix)).says("flake check: ready");
}

#[test]
fn an_interrupt_ends_it() {
    let check = Check::new("2.34");
    let mut command = check.command(&["--flake", "path:flake", "--keep-going"]);
    let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut kill = Command::new("kill");
    Ran::of(kill.arg("-INT").arg(child.id().to_string())).exits(0);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(!out.contains("evaluate, in"), "{out}");
}
