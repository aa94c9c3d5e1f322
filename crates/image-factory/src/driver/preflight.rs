//! What a driver needs and this machine does not have, before anything is started: for `doctor`.

use std::path::Path;

use image_host::disk;
use image_model::Driver;
use image_nix::{Nix, Options, lock::Pin, version::OLDEST_FOR_NIXPKGS};

use super::{
    busybox::{Busybox, BusyboxError},
    machine, nix_image,
    route::{self, Lack},
    temporary::{self, Unfit},
};
use crate::lock::ImageLock;

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What, in a few words.
    pub what: String,
    /// Why it is needed, or why what is there does not do.
    pub why: String,
    /// The command that mends it, where one does.
    pub mend: Option<String>,
}

/// What an image is asked to be made with.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The system of the image, in Nix's words.
    pub system: &'a str,
    /// Where the work folder is, or will be.
    pub work: &'a Path,
    /// Nix, if it is there and of a version that does, and what is handed on to it.
    pub nix: Option<(&'a Nix, &'a Options)>,
    /// The image is built inside a virtual machine.
    pub in_vm: bool,
    /// `nixos-generate` must be there, and is not.
    pub no_generator: bool,
    /// What `--busybox` names.
    pub busybox: Option<&'a Path>,
    /// `--sudo` is given.
    pub sudo: bool,
}

/// Room for the mini system twice, as it is laid out and as it is finished.
const MINI_BYTES: u64 = 32 << 20;

/// What `driver` needs and this machine does not have. Nothing for a file that exists: it is not
/// known yet.
pub fn missing(driver: Driver, question: &Question<'_>) -> Vec<Missing> {
    match driver {
        Driver::NixosWsl => nixos_wsl(question),
        Driver::Mini => mini(question),
        Driver::NixImage | Driver::NixosGenerators => flake_image(question),
        Driver::Prebuilt => Vec::new(),
    }
}

fn missing_one(what: &str, why: impl ToString, mend: Option<&str>) -> Missing {
    Missing { what: what.to_owned(), why: why.to_string(), mend: mend.map(str::to_owned) }
}

fn mini(question: &Question<'_>) -> Vec<Missing> {
    let mut missing = Vec::new();
    if let Err(error) = Busybox::find(question.busybox, question.system) {
        let install = match error {
            BusyboxError::NotFound | BusyboxError::Dynamic { .. } => {
                Some("sudo apt-get install busybox-static")
            }
            _ => None,
        };
        missing.push(missing_one("a static busybox", &error, install));
    }
    let available = disk::available(nearest(question.work)).unwrap_or(u64::MAX);
    if available < MINI_BYTES {
        let why = format!("{} MiB are left, {} are needed", available >> 20, MINI_BYTES >> 20);
        missing.push(missing_one("room in the work folder", why, None));
    }
    missing
}

/// The package of Debian and Ubuntu that sets Nix up with its daemon.
const INSTALL_NIX: &str = "sudo apt-get install nix-setup-systemd";

/// What an image asks for that Nix builds from a flake. The flake is not asked: that takes as long
/// as evaluating a system does.
fn flake_image(question: &Question<'_>) -> Vec<Missing> {
    let Some((nix, options)) = question.nix else {
        return vec![missing_one("nix", "Nix builds the image", Some(INSTALL_NIX))];
    };
    let machine = nix_image::missing(nix, options, question.system, question.in_vm);
    let mut missing = machine.unwrap_or_else(|error| {
        vec![missing_one("the settings of Nix", format!("they cannot be read: {error}"), None)]
    });
    missing.extend(question.no_generator.then(nix_image::missing_program));
    missing
}

fn nixos_wsl(question: &Question<'_>) -> Vec<Missing> {
    let mut missing = Vec::new();
    if question.nix.is_none() {
        missing.push(missing_one("nix", "Nix builds the tarball builder", Some(INSTALL_NIX)));
    }
    if let Err(error) = route::choose(&machine::route_facts(question.sudo)) {
        // Of the three ways, a namespace is the one that a user can mend for good.
        let lacks = if error.user_namespace.iter().any(|lack| lack.mend.is_some()) {
            &error.user_namespace
        } else {
            &error.direct
        };
        missing.extend(lacks.iter().map(|Lack { what, mend }| Missing {
            what: "a way to run the tarball builder as root".to_owned(),
            why: what.clone(),
            mend: mend.clone(),
        }));
    }
    if let Err(error) = machine::runs(question.system) {
        let mend = "sudo apt-get install qemu-user-static binfmt-support";
        missing.push(missing_one("an interpreter for a foreign system", error, Some(mend)));
    }
    let candidates = machine::temporary_candidates(nearest(question.work));
    if let Err(error) = temporary::choose(&candidates, temporary::needed(None)) {
        let closed = error.unfit.iter().find_map(|(_, unfit)| match unfit {
            Unfit::Closed(dir) => Some(format!("chmod o+rx {}", dir.display())),
            _ => None,
        });
        missing.push(missing_one("a temporary folder", &error, closed.as_deref()));
    }
    missing
}

/// When nixpkgs began to ask for a later Nix than the factory does: 2025-09-01, a few days after.
const ASKS_SINCE: u64 = 1_756_684_800;

/// A later Nix, where the one that is here does not evaluate the nixpkgs that the image is locked
/// to. nixpkgs says so itself, after it was fetched.
pub(crate) fn newer_nix(nix: &Nix, lock: &ImageLock) -> Option<Missing> {
    if nix.version().evaluates_nixpkgs() {
        return None;
    }
    let asks = |time: Option<u64>| time.is_none_or(|time| time >= ASKS_SINCE);
    let (input, nixpkgs) = lock.lock.inputs().into_iter().find_map(|input| match input.pin {
        Pin::Locked(locked) if locked.is_nixpkgs() && asks(locked.last_modified) => {
            Some((input.path, locked))
        }
        _ => None,
    })?;
    let (major, minor) = OLDEST_FOR_NIXPKGS;
    let why = format!(
        "{nix} is too old: {input} in {} is {} {nixpkgs}, which needs Nix {major}.{minor} or later",
        lock.file, nixpkgs.source
    );
    Some(missing_one("a newer nix", why, None))
}

/// The folder `path`, or the one above it that is there.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("."))
}
