//! What would be done for an image: everything resolved and printable, nothing run yet.

use std::{fmt, num::NonZero, path::PathBuf, thread};

use image_model::{Driver, ImageSpec};
use image_nix::{FlakeRef, Nix, Options as NixOptions};
use serde::Serialize;

use crate::{definition::Definition, driver::preflight, file_name::Template};

/// The folder where images are published, below the root of a project.
pub const DIST_DIR: &str = "dist";

/// What a user may say about a run, beside the definition.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Use this driver; what it needs must be there.
    pub driver: Option<Driver>,
    /// Finish and verify this file instead of building one.
    pub from: Option<PathBuf>,
    /// Build this flake instead of the one that the definition names.
    pub flake: Option<String>,
    /// Build this attribute of it.
    pub attribute: Option<String>,
    /// Handed on to Nix.
    pub nix: NixOptions,
    /// The busybox of a mini system.
    pub busybox: Option<PathBuf>,
    /// `sudo` may be used for what needs root.
    pub sudo: bool,
    /// Compress on this many threads; as many as there are cores where it is not given.
    pub threads: Option<NonZero<usize>>,
    /// Publish into this folder instead of `dist/`.
    pub dist: Option<PathBuf>,
}

/// Everything that is known before anything is run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Name of the definition.
    pub image: String,
    /// The definition.
    pub definition: ImageSpec,
    /// Where the bytes come from.
    pub input: Input,
    /// A sentence that the user should read before anything else: why the driver is another than
    /// the definition's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// The folder that will be replaced by the new one.
    pub dist: PathBuf,
    /// The folder of the run, on the same file system.
    pub work: PathBuf,
    /// Threads that compress. They do not change the bytes.
    pub threads: NonZero<usize>,
}

/// Where the bytes come from: the driver, with all that it needs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", tag = "driver")]
pub enum Input {
    /// NixOS-WSL's tarball builder.
    NixosWsl(Box<NixosWslInput>),
    /// A file that exists.
    Prebuilt {
        /// The file.
        file: PathBuf,
    },
    /// The embedded system.
    Mini {
        /// The busybox that the user named.
        #[serde(skip_serializing_if = "Option::is_none")]
        busybox: Option<PathBuf>,
    },
}

/// What NixOS-WSL's tarball builder is built from, and how.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NixosWslInput {
    /// The flake as it was asked for, unless that is a place on this machine: manifests name none.
    #[serde(skip)]
    pub asked: Option<String>,
    /// The flake, as Nix will be given it.
    #[serde(serialize_with = "as_text")]
    pub flake: FlakeRef,
    /// Its attribute.
    pub attribute: String,
    /// Handed on to Nix.
    #[serde(skip)]
    pub options: NixOptions,
    /// The Nix that was found.
    #[serde(serialize_with = "as_text")]
    pub nix: Nix,
    /// `sudo` may be used.
    pub sudo: bool,
}

fn as_text<S: serde::Serializer>(value: &impl fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

impl Input {
    /// The driver.
    pub fn driver(&self) -> Driver {
        match self {
            Self::NixosWsl(_) => Driver::NixosWsl,
            Self::Prebuilt { .. } => Driver::Prebuilt,
            Self::Mini { .. } => Driver::Mini,
        }
    }
}

/// There is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The driver that was insisted on needs Nix.
    #[error(
        "the driver {driver} needs Nix, which is not on this machine; {GET_NIX}, or leave \
         --driver out for the mini system"
    )]
    NoNix {
        /// The driver.
        driver: Driver,
    },
    /// The driver `prebuilt` finishes a file that exists, and none was named.
    #[error("the driver prebuilt needs a file: --from FILE")]
    NoFile,
    /// A file was named, and a driver that does not take one.
    #[error("--from FILE goes with the driver prebuilt, not with {driver}")]
    FileUnwanted {
        /// The driver.
        driver: Driver,
    },
    /// There is a Nix, and it cannot be used.
    #[error("cannot use Nix")]
    Nix(#[source] image_nix::NixError),
    /// A folder cannot be named.
    #[error("cannot tell where {} is", path.display())]
    Path {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

/// How to get Nix, in half a sentence.
const GET_NIX: &str = "install it (https://nixos.org/download, or `apt-get install \
                       nix-setup-systemd` on Debian and Ubuntu)";

/// Decides how `definition` is made with `options` on this machine.
pub fn plan(definition: &Definition, options: &Options) -> Result<Plan, PlanError> {
    let (input, notice) = input(definition, options)?;
    let dist = options.dist.clone().unwrap_or_else(|| definition.root.join(DIST_DIR));
    let dist = std::path::absolute(&dist).map_err(|cause| PlanError::Path { path: dist, cause })?;
    let cores = || thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    Ok(Plan {
        image: definition.name.clone(),
        definition: definition.spec.clone(),
        input,
        notice,
        work: dist.join(format!(".{}.work", definition.name)),
        dist: dist.join(&definition.name),
        threads: options.threads.unwrap_or_else(cores),
    })
}

fn input(definition: &Definition, options: &Options) -> Result<(Input, Option<String>), PlanError> {
    let build = &definition.spec.build;
    let wanted = match (options.driver, &options.from) {
        (Some(driver), Some(_)) if driver != Driver::Prebuilt => {
            return Err(PlanError::FileUnwanted { driver });
        }
        (Some(driver), _) => driver,
        (None, Some(_)) => Driver::Prebuilt,
        (None, None) => build.driver,
    };
    let mini = || Input::Mini { busybox: options.busybox.clone() };
    match wanted {
        Driver::Prebuilt => {
            let file = options.from.clone().ok_or(PlanError::NoFile)?;
            Ok((Input::Prebuilt { file }, None))
        }
        Driver::Mini => Ok((mini(), None)),
        Driver::NixosWsl => match Nix::discover().map_err(PlanError::Nix)? {
            Some(nix) => {
                let (typed, base) = match &options.flake {
                    // What a person types counts from where that person is.
                    Some(flake) => (flake, current_dir()?),
                    None => (&build.flake, definition.root.clone()),
                };
                let flake = FlakeRef::new(typed, &base);
                let asked = (!is_absolute(typed)).then(|| typed.clone());
                let attribute = attribute(definition, options, &flake);
                let (options, sudo) = (options.nix.clone(), options.sudo);
                let input = NixosWslInput { asked, flake, attribute, options, nix, sudo };
                Ok((Input::NixosWsl(Box::new(input)), None))
            }
            // Whoever names a driver or a flake wants that, and not something else in its place.
            None if options.driver.is_some() || options.flake.is_some() => {
                Err(PlanError::NoNix { driver: wanted })
            }
            None => {
                let notice = format!(
                    "Nix is not on this machine: making the embedded mini system, which is not \
                     NixOS. For NixOS, {GET_NIX}."
                );
                Ok((mini(), Some(notice)))
            }
        },
    }
}

fn current_dir() -> Result<PathBuf, PlanError> {
    let here = PathBuf::from(".");
    std::env::current_dir().map_err(|cause| PlanError::Path { path: here, cause })
}

/// True for a flake that names a folder from the root of this machine on.
fn is_absolute(flake: &str) -> bool {
    let schemes = ["path:", "git+file:", "file:", "tarball+file:"];
    let path = schemes.iter().find_map(|scheme| flake.strip_prefix(scheme)).unwrap_or(flake);
    path.starts_with(['/', '~'])
}

/// `--attribute` if there is one; else what the user put behind the `#` of the flake, which names a
/// configuration as `nixos-rebuild --flake` takes it; else the definition's.
fn attribute(definition: &Definition, options: &Options, flake: &FlakeRef) -> String {
    let fragment = flake.fragment.as_ref().filter(|name| !name.is_empty());
    match (&options.attribute, fragment) {
        (Some(attribute), _) => attribute.clone(),
        (None, Some(name)) if name.contains('.') => name.clone(),
        (None, Some(name)) => {
            format!("nixosConfigurations.{name}.config.system.build.tarballBuilder")
        }
        (None, None) => definition.spec.build.attribute.clone(),
    }
}

impl Plan {
    /// The name that the artifact has if the driver makes `distribution`.
    pub fn file_name(&self, distribution: &str) -> String {
        let template = Template::parse(&self.definition.finish.file_name)
            .expect("the definition was checked when it was loaded");
        template.expand(&self.definition, &self.image, distribution)
    }

    /// What the plan needs and this machine does not have.
    pub fn missing(&self) -> Vec<preflight::Missing> {
        let (busybox, nix, sudo) = match &self.input {
            Input::Mini { busybox } => (busybox.as_deref(), false, false),
            Input::NixosWsl(input) => (None, true, input.sudo),
            Input::Prebuilt { .. } => (None, false, false),
        };
        let question = preflight::Question {
            system: &self.definition.system,
            work: &self.work,
            nix,
            busybox,
            sudo,
        };
        preflight::missing(self.input.driver(), &question)
    }
}
