//! `image` through a real Nix: the fixture flake, as root and as an ordinary user.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
};

use image_model::Manifest;

use crate::common::{Project, Ran, has_proven_store, has_treemap, program, which};

/// A project beside a copy of a fixture flake and a Nix that builds it without network.
pub(crate) struct Rig {
    pub(crate) project: Project,
    env: Vec<(String, String)>,
}

pub(crate) fn tests_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests")
}

impl Rig {
    pub(crate) fn new() -> Self {
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(tests_dir().join("fixtures/wsl-flake"));
        Self::with_flake(&mut copy)
    }

    /// `copy`, with the folder `flake` of the project as its last argument, puts the flake there.
    pub(crate) fn with_flake(copy: &mut Command) -> Self {
        for (tool, package) in [("nix", "nix-bin"), ("pigz", "pigz"), ("git", "git")] {
            which(tool, package);
        }
        let project = Project::new();
        Ran::of(copy.arg(project.path("flake"))).exits(0);
        let mut script = Command::new(tests_dir().join("tools/nix-env.sh"));
        let exports = Ran::of(script.arg(project.path("nix"))).exits(0).out;
        let variable = |line: &str| {
            let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
            (name.to_owned(), value.trim_matches('\'').to_owned())
        };
        Self { project, env: exports.lines().map(variable).collect() }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = self.project.command();
        command.env("PATH", std::env::var_os("PATH").unwrap()).envs(self.env.iter().cloned());
        command
    }

    fn image(&self, args: &[&str]) -> Ran {
        Ran::of(self.command().args(["image", "wsl"]).args(args))
    }

    fn file(&self) -> Vec<u8> {
        fs::read(self.project.path("dist/wsl/nixos.wsl")).unwrap()
    }
}

#[test]
fn a_flake_becomes_an_image_and_twice_the_same() {
    let rig = Rig::new();
    rig.image(&["--flake", "path:flake#wsl"]).exits(0).says("dist/wsl/nixos.wsl");
    let first = rig.file();
    rig.image(&["--flake", "path:./flake"]).exits(0);
    assert!(first == rig.file());
    Ran::of(rig.command().args(["verify", "dist/wsl/nixos.wsl"])).exits(0);
    has_proven_store(&rig.project.path("dist/wsl"));
    has_treemap(&rig.project.path("dist/wsl/nixos.wsl"));

    let text = fs::read_to_string(rig.project.path("dist/wsl/manifest.json")).unwrap();
    let dir = rig.project.dir.path().to_str().unwrap();
    let manifest: Manifest = serde_json::from_str(&text).unwrap();
    let source = manifest.source;
    assert_eq!(source.flake.as_deref(), Some("path:./flake"));
    assert!(source.locked.is_some_and(|locked| locked.contains("narHash=")), "{text}");
    assert!(source.nar_hash.is_some_and(|hash| hash.starts_with("sha256-")), "{text}");
    assert!(source.derivation.is_some_and(|path| path.ends_with(".drv")));
    // The store of this test lies in the project; of a real one, /nix/store is the place.
    let elsewhere = text.replace(&format!("{dir}/nix/store"), "");
    assert!(!elsewhere.contains(dir), "a path of this machine in {text}");
}

#[test]
fn an_ordinary_user_makes_the_same_image() {
    let rig = Rig::new();
    rig.image(&["--flake", "path:flake"]).exits(0);
    let as_root = rig.file();
    let program = rig.project.path("xtask");
    program::copy(env!("CARGO_BIN_EXE_xtask").as_ref(), &program);
    let args = ["image", "wsl", "--flake", "path:flake"];
    // Whoever runs the tests without root is that user.
    let ran = if image_host::user::is_root() {
        let user = Rig::new();
        let program = user.project.path("xtask");
        program::copy(env!("CARGO_BIN_EXE_xtask").as_ref(), &program);
        let etc = user.project.path("etc");
        fs::create_dir(&etc).unwrap();
        let mut give = Command::new("chown");
        Ran::of(give.args(["-R", "4242:4242"]).arg(user.project.dir.path())).exits(0);
        chown(&etc, Some(0), Some(0)).unwrap();
        let mut command = Command::new(tests_dir().join("tools/as-user.sh"));
        command.arg(&etc).arg("65536").arg(&program).args(args);
        command.current_dir(user.project.dir.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", user.project.dir.path());
        let ran = Ran::of(command.envs(user.env.iter().cloned())).exits(0);
        assert!(as_root == user.file(), "root's image is another");
        ran
    } else {
        rig.image(&args[2..]).exits(0)
    };
    ran.says("as root of a user namespace");
}

#[test]
fn a_defective_image_is_not_published() {
    let rig = Rig::new();
    rig.image(&["--flake", "path:flake"]).exits(0);
    let good = rig.file();
    let ran = rig.image(&["--flake", "path:flake#defective"]).exits(1);
    assert!(ran.out.contains("defective") && ran.out.contains("not published"), "{}", ran.out);
    assert!(good == rig.file());
    assert_eq!(rig.project.list("dist"), ["wsl"]);
}

#[test]
fn failures_of_nix_are_told_apart() {
    let rig = Rig::new();
    let failing = |attribute: &str| {
        rig.image(&["--flake", "path:flake", "--attribute", &format!("failures.{attribute}")])
            .exits(3)
    };
    failing("evaluation").says("this option was removed");
    failing("builder").says("nix log ").says("line 30");
    failing("hash").says("hash mismatch");
    failing("feature").says("no-such-feature");
    failing("platform").says("platform");
    rig.image(&["--flake", "path:flake#wls"]).exits(3).says("did you mean wsl?");
    rig.image(&["--flake", "./absent"]).exits(3).says("absent does not exist");
    assert_eq!(rig.project.list("dist"), [""; 0]);
}
