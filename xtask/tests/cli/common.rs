//! A project folder, a machine without Nix, and the program under test.

#[path = "../../../crates/image-nix/tests/support/program.rs"]
pub(crate) mod program;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use image_model::{Manifest, PathVerdict, StorePath, VerificationReport};
use tempfile::TempDir;

/// A folder with the definition `wsl`, and a `PATH` that has only what is put there.
pub(crate) struct Project {
    pub(crate) dir: TempDir,
}

impl Project {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["images", "bin"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let project = Self { dir };
        project.define(include_str!("../../../images/wsl.toml"));
        symlink(which("busybox", "busybox-static"), project.path("bin/busybox")).unwrap();
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn define(&self, text: &str) {
        fs::write(self.path("images/wsl.toml"), text).unwrap();
    }

    /// A program that behaves as `script` says, in `PATH`.
    pub(crate) fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.path("bin").join(name);
        program::write(&path, script);
        path
    }

    /// The program under test, in the project, with an environment of its own.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.current_dir(self.dir.path()).env_clear().env("PATH", self.path("bin"));
        command.env("HOME", self.dir.path());
        // Without a Nix in `PATH` there is none, whatever this machine has.
        command.env("IMAGE_FACTORY_NIX_PLACES", "");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command().args(args))
    }

    /// Names in a folder, sorted; empty where it is not there.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        list(&self.path(name))
    }
}

pub(crate) fn list(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text) || self.out.contains(text), "no {text:?} in {self:#?}");
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

/// An image was published, and its Nix store is what was registered: that is in the report, and its
/// paths are in the manifest.
#[track_caller]
pub(crate) fn has_proven_store(dist: &Path) {
    let read = |name: &str| fs::read(dist.join(name)).unwrap();
    let report: VerificationReport = serde_json::from_slice(&read("verification.json")).unwrap();
    let manifest: Manifest = serde_json::from_slice(&read("manifest.json")).unwrap();
    let [store] = &report.stores[..] else { panic!("{} stores", report.stores.len()) };
    assert!(store.paths.len() >= 5, "{store:?}");
    let is_intact = |path: &StorePath| path.verdict == PathVerdict::Intact;
    assert!(store.paths.iter().all(is_intact), "{store:#?}");
    let closure = manifest.closure.iter().map(|path| (&path.path, path.nar_hash));
    let stored = store.paths.iter().map(|path| (&path.path, path.nar.unwrap().nar_hash));
    assert!(closure.eq(stored), "{:#?}", manifest.closure);
}

/// The treemap beside a published image is the one that `sizes` draws of the file, and listed.
#[track_caller]
pub(crate) fn has_treemap(image: &Path) {
    let (dist, name) = (image.parent().unwrap(), image.file_name().unwrap().to_str().unwrap());
    let project = Project::new();
    let drawn = project.path("drawn.svg");
    Ran::of(project.command().args(["sizes", "--svg"]).args([&drawn, image])).exits(0);
    let beside = format!("{name}.sizes.svg");
    assert!(fs::read(dist.join(&beside)).unwrap() == fs::read(drawn).unwrap(), "{beside}");
    let sums = fs::read_to_string(dist.join("SHA256SUMS")).unwrap();
    assert!(sums.contains(&format!("  {beside}\n")), "{sums}");
}

/// A program of the machine.
#[track_caller]
pub(crate) fn which(name: &str, package: &str) -> PathBuf {
    let dirs = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&dirs)
        .map(|dir| dir.join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("the tests need {name}: apt-get install {package}"))
}
