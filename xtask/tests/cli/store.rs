//! The Nix store in an image: whether we say of it what Nix says of the same files. The closure is
//! built by real Nix, and laid into an image of each kind by the builders of the fixtures.

mod agreement;
mod bill;
mod damage;
mod progress;
mod signed;
mod tree;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use image_model::{Severity, StorePath, StoreReport, VerificationReport};

use crate::{
    common::{Project, Ran, which},
    nix::tests_dir,
};

/// What has a store in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A tar for WSL, with a database.
    Wsl,
    /// An SD card with ext4, and a list.
    Card,
    /// An ISO image with a SquashFS, and a list.
    Disc,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Wsl => "wsl",
            Self::Card => "img",
            Self::Disc => "iso",
        }
    }

    /// The good image.
    fn image(self) -> PathBuf {
        tool("closure-images.sh").join(format!("good.{}", self.suffix()))
    }

    /// The file in which the image says what is registered.
    fn registration(self) -> &'static str {
        match self {
            Self::Wsl => "/nix/var/nix/db/db.sqlite",
            Self::Card | Self::Disc => "/nix-path-registration",
        }
    }
}

/// The folder that a tool of the tests makes.
pub(crate) fn tool(name: &str) -> PathBuf {
    let mut command = Command::new(tests_dir().join("tools").join(name));
    PathBuf::from(Ran::of(&mut command).exits(0).out.trim_end())
}

/// What `verify` says, on a machine without Nix.
fn verify(project: &Project, file: &Path, more: &[&str]) -> (Ran, VerificationReport) {
    let mut command = project.command();
    command.args(["--format", "json", "verify", "--work", "."]).arg(file).args(more);
    let ran = Ran::of(&mut command);
    let report = serde_json::from_value(ran.json()["report"].clone()).unwrap();
    (ran, report)
}

/// The one store of an image.
#[track_caller]
fn store(report: &VerificationReport) -> &StoreReport {
    let [store] = &report.stores[..] else { panic!("{} stores", report.stores.len()) };
    store
}

/// Paths by their names without hashes.
fn by_name(store: &StoreReport) -> BTreeMap<&str, &StorePath> {
    let name = |path: &str| path.len() - path["/nix/store/".len()..].len() + 33;
    store.paths.iter().map(|path| (&path.path[name(&path.path)..], path)).collect()
}

/// The findings that are about stores, as loud as warnings or louder: check and message, with the
/// path where they name one.
fn findings(report: &VerificationReport) -> Vec<String> {
    let about = |check: &str| {
        let start = |start| check.starts_with(start);
        start("store-") || start("wsl-nixos-") || check.contains("-registration")
    };
    let mut told: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Info && about(&finding.check))
        .map(|finding| {
            let at = finding.at.path.as_deref().unwrap_or_default();
            format!("{}: {at}: {}", finding.check, finding.message)
        })
        .collect();
    told.sort();
    told
}

/// A program of Nix, which sees nothing of this machine's Nix.
fn nix(program: &Path) -> Command {
    let mut command = Command::new(which("timeout", "coreutils"));
    command.arg("300").arg(program);
    for name in ["NIX_REMOTE", "NIX_STORE_DIR", "NIX_STATE_DIR", "NIX_LOG_DIR", "NIX_PATH"] {
        command.env_remove(name);
    }
    command.envs([("NIX_USER_CONF_FILES", "/dev/null"), ("NIX_CONF_DIR", "/nonexistent")]);
    command
}

/// The versions of `nix` that there are, the machine's first.
fn versions() -> Vec<PathBuf> {
    let dir = tests_dir().parent().unwrap().join("target/nix-versions");
    let mut others: Vec<_> = crate::common::list(&dir)
        .into_iter()
        .filter(|name| name.starts_with("nix-"))
        .map(|name| dir.join(name))
        .collect();
    assert!(others.len() >= 2, "{} has not two versions of Nix: run tests/setup.sh", dir.display());
    others.insert(0, which("nix", "nix-bin"));
    others
}
