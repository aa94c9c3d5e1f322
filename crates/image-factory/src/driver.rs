//! Who makes the bytes that the factory finishes: Nix alone, Nix with NixOS-WSL's builder, the
//! embedded mini system, or somebody else.
//!
//! A driver is a function from its job to a [`BuildOutput`]. It writes into the work folder that it
//! is given, and nowhere else but into a temporary folder of its own that is gone afterwards.

use std::{collections::BTreeMap, path::PathBuf};

use image_model::{Driver, ManifestTool, Source};

pub mod around;
pub mod binfmt;
pub mod busybox;
pub mod machine;
pub mod mini;
pub mod nix_image;
pub mod nixos_wsl;
mod platform;
pub mod prebuilt;
pub mod preflight;
pub mod route;
pub mod temporary;

/// What a driver made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOutput {
    /// The image, before it is finished: a tar, a disk or a disc, in any compression that the
    /// finisher knows.
    pub file: PathBuf,
    /// What it was made from, for the manifest. The finisher, which reads the file, adds its
    /// digest.
    pub source: Source,
    /// Programs that took part, for the manifest.
    pub tools: Vec<ManifestTool>,
    /// `nixos`, or what else was made; `{distribution}` in a template of a file name.
    pub distribution: String,
}

/// What a driver tells while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What is done now, in a few words.
    Step(String),
    /// A line of somebody's log.
    Log(String),
    /// A line that speaks of an error or a warning, although the run goes on.
    Warning(String),
}

/// Whose fault it is that there is no output. It decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The command line asks for what cannot be.
    Usage,
    /// The image that was handed in is no image.
    Image,
    /// The machine, or a program on it.
    Host,
}

/// There is no output.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The busybox for the mini system cannot be used.
    #[error(transparent)]
    Busybox(#[from] busybox::BusyboxError),
    /// The mini system cannot be laid out.
    #[error(transparent)]
    Mini(#[from] mini::MiniError),
    /// The file that exists cannot be used.
    #[error(transparent)]
    Prebuilt(#[from] prebuilt::PrebuiltError),
    /// NixOS-WSL's builder did not make an image.
    #[error(transparent)]
    NixosWsl(#[from] nixos_wsl::NixosWslError),
    /// Nix did not make an image.
    #[error(transparent)]
    NixImage(Box<nix_image::NixImageError>),
}

impl From<nix_image::NixImageError> for DriverError {
    fn from(error: nix_image::NixImageError) -> Self {
        Self::NixImage(Box::new(error))
    }
}

impl DriverError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Prebuilt(error) => error.fault(),
            Self::Busybox(error) => error.fault(),
            Self::NixImage(error) => error.fault(),
            Self::Mini(_) | Self::NixosWsl(_) => Fault::Host,
        }
    }
}

/// A source of which only the driver and the route are known.
fn source(driver: Driver, route: &str) -> Source {
    Source {
        driver,
        route: route.to_owned(),
        flake: None,
        locked: None,
        inputs: BTreeMap::new(),
        attribute: None,
        profiles: Vec::new(),
        derivation: None,
        store_path: None,
        nar_hash: None,
        input_sha256: None,
    }
}
