//! What would be done for an image: everything resolved and printable, nothing run yet.

mod target;

use std::{fmt, num::NonZero, path::PathBuf, thread};

use image_model::{Driver, ImageKind, ImageSpec, Route};
use image_nix::{Extension, FlakeRef, Generator, Nix, Options as NixOptions};
use serde::Serialize;

use crate::{
    definition::Definition,
    driver::{
        nix_image::{HOSTS, formats::UnknownFormat},
        preflight,
    },
    file_name::Template,
    lock::{self, ImageLock, ImageLockError},
};

pub use target::Target;
pub(crate) use target::{is_host, usual_variant};

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
    /// Build this image of the configuration, instead of the one that the definition names.
    pub variant: Option<String>,
    /// Take this way to it.
    pub route: Option<Route>,
    /// Give the configuration these package profiles, whatever it sets itself; as it is where there
    /// are none.
    pub profiles: Vec<String>,
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
    /// A sentence that the user should read before anything else: why the driver, or the lock file,
    /// is another than the definition's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// The revisions of the flake's inputs, as far as they are known without Nix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<ImageLock>,
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
    /// An image that Nix builds.
    NixImage(Box<NixImageInput>),
    /// The same, by nixos-generators only.
    NixosGenerators(Box<NixImageInput>),
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
    /// How the configuration of that is changed.
    #[serde(rename = "profiles", serialize_with = "profiles")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<Extension>,
    /// Handed on to Nix.
    #[serde(skip)]
    pub options: NixOptions,
    /// The Nix that was found.
    #[serde(serialize_with = "as_text")]
    pub nix: Nix,
    /// `sudo` may be used.
    pub sudo: bool,
}

/// What an image is built from by Nix alone, and how.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NixImageInput {
    /// The flake as it was asked for, unless that is a place on this machine.
    #[serde(skip)]
    pub asked: Option<String>,
    /// The flake, as Nix will be given it.
    #[serde(serialize_with = "as_text")]
    pub flake: FlakeRef,
    /// What of it.
    pub target: Target,
    /// How the configuration of that is changed.
    #[serde(rename = "profiles", serialize_with = "profiles")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<Extension>,
    /// By which way.
    pub route: Route,
    /// Handed on to Nix.
    #[serde(skip)]
    pub options: NixOptions,
    /// The Nix that was found.
    #[serde(serialize_with = "as_text")]
    pub nix: Nix,
    /// The program `nixos-generate`, where it is on this machine.
    #[serde(skip)]
    pub generator: Option<Generator>,
}

fn as_text<S: serde::Serializer>(value: &impl fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn profiles<S: serde::Serializer>(value: &Option<Extension>, to: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(|extension| &extension.profiles).serialize(to)
}

impl Input {
    /// The flake, if it is made of one.
    pub fn flake(&self) -> Option<&FlakeRef> {
        match self {
            Self::NixosWsl(input) => Some(&input.flake),
            Self::NixImage(input) | Self::NixosGenerators(input) => Some(&input.flake),
            Self::Prebuilt { .. } | Self::Mini { .. } => None,
        }
    }

    /// What of the flake.
    fn attribute(&self) -> Option<&str> {
        match self {
            Self::NixosWsl(input) => Some(&input.attribute),
            Self::NixImage(input) | Self::NixosGenerators(input) => Some(input.target.attribute()),
            Self::Prebuilt { .. } | Self::Mini { .. } => None,
        }
    }

    /// The driver.
    pub fn driver(&self) -> Driver {
        match self {
            Self::NixosWsl(_) => Driver::NixosWsl,
            Self::NixImage(_) => Driver::NixImage,
            Self::NixosGenerators(_) => Driver::NixosGenerators,
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
        "the driver {driver} needs Nix, which is not on this machine; {GET_NIX}{}",
        if *mini { ", or leave --driver out for the mini system" } else { "" }
    )]
    NoNix {
        /// The driver.
        driver: Driver,
        /// The mini system could be made instead.
        mini: bool,
    },
    /// The driver makes something else.
    #[error("the driver {driver} makes images of the kind wsl, and {image} is of the kind {kind}")]
    OtherKind {
        /// The driver.
        driver: Driver,
        /// Name of the definition.
        image: String,
        /// Its kind.
        kind: ImageKind,
    },
    /// No image has the name that `--variant` gives.
    #[error(transparent)]
    Variant(#[from] UnknownFormat),
    /// A configuration has many images, and none was named.
    #[error("which image of {attribute}? Name it: --variant NAME, or `variant` in the definition")]
    NoVariant {
        /// The configuration.
        attribute: String,
    },
    /// An image or a way to it was named, where there is nothing to choose.
    #[error(
        "{attribute} is a derivation, which has no other images: --variant and --route go with a \
         NixOS configuration, nixosConfigurations.NAME"
    )]
    NotAHost {
        /// The attribute.
        attribute: String,
    },
    /// An image or a way to it was named, and a driver that knows neither.
    #[error(
        "--variant and --route go with the drivers nix-image and nixos-generators, not with {driver}"
    )]
    VariantUnwanted {
        /// The driver.
        driver: Driver,
    },
    /// The way is not one of nixos-generators.
    #[error("the route {route} is none of nixos-generators: take the driver nix-image")]
    RouteUnwanted {
        /// The way.
        route: Route,
    },
    /// Profiles were named, and a driver that makes its image without a configuration, or of another
    /// one.
    #[error("--profile goes with the drivers nixos-wsl and nix-image, not with {driver}")]
    ProfilesUnwanted {
        /// The driver.
        driver: Driver,
    },
    /// Profiles were named, and an attribute that has none.
    #[error(
        "--profile sets an option of a NixOS configuration, and {attribute} is no part of one: it \
         goes with nixosConfigurations.NAME, and with what is below that"
    )]
    ProfilesOfOther {
        /// The attribute.
        attribute: String,
    },
    /// Profiles were named, and a way that does not build what the flake has.
    #[error("nixos-generate cannot set profiles: --profile goes with the other routes")]
    ProfilesByProgram,
    /// The driver `prebuilt` finishes a file that exists, and none was named.
    #[error("the driver prebuilt needs a file: --from FILE")]
    NoFile,
    /// A file was named, and a driver that does not take one.
    #[error("--from FILE goes with the driver prebuilt, not with {driver}")]
    FileUnwanted {
        /// The driver.
        driver: Driver,
    },
    /// The lock file of the image's own cannot be used.
    #[error(transparent)]
    Lock(#[from] ImageLockError),
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

impl PlanError {
    /// True if the command line, or the definition, asks for what cannot be.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NoNix { .. } | Self::Nix(_) | Self::Path { .. } => false,
            Self::Lock(error) => error.is_usage(),
            _ => true,
        }
    }
}

/// How to get Nix, in half a sentence.
const GET_NIX: &str = "install it (https://nixos.org/download, or `apt-get install \
                       nix-setup-systemd` on Debian and Ubuntu)";

/// Decides how `definition` is made with `options` on this machine.
pub fn plan(definition: &Definition, options: &Options) -> Result<Plan, PlanError> {
    let (input, notice) = input(definition, options)?;
    let lock = match input.flake() {
        Some(flake) if flake.lock.is_some() => lock::own(definition)?,
        // It is told and no more: if it cannot be read, Nix says why.
        Some(flake) => lock::local(flake, &definition.root).and_then(Result::ok),
        None => None,
    };
    let dist = options.dist.clone().unwrap_or_else(|| definition.root.join(DIST_DIR));
    let dist = std::path::absolute(&dist).map_err(|cause| PlanError::Path { path: dist, cause })?;
    let cores = || thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    Ok(Plan {
        image: definition.name.clone(),
        definition: definition.spec.clone(),
        input,
        notice,
        lock,
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
    let kind = definition.spec.kind;
    let for_wsl = matches!(wanted, Driver::Mini | Driver::NixosWsl);
    if for_wsl && kind != ImageKind::Wsl {
        return Err(PlanError::OtherKind { driver: wanted, image: definition.name.clone(), kind });
    }
    let has_variants = matches!(wanted, Driver::NixImage | Driver::NixosGenerators);
    if !has_variants && (options.variant.is_some() || options.route.is_some()) {
        return Err(PlanError::VariantUnwanted { driver: wanted });
    }
    if !options.profiles.is_empty() && !matches!(wanted, Driver::NixosWsl | Driver::NixImage) {
        return Err(PlanError::ProfilesUnwanted { driver: wanted });
    }
    let mini = || Input::Mini { busybox: options.busybox.clone() };
    match wanted {
        Driver::Prebuilt => {
            let file = options.from.clone().ok_or(PlanError::NoFile)?;
            return Ok((Input::Prebuilt { file }, None));
        }
        Driver::Mini => return Ok((mini(), None)),
        Driver::NixosWsl | Driver::NixImage | Driver::NixosGenerators => {}
    }
    let Some(nix) = Nix::discover().map_err(PlanError::Nix)? else {
        // Whoever names a driver, a flake or a profile wants that, and not something else in its place.
        let insists =
            options.driver.is_some() || options.flake.is_some() || !options.profiles.is_empty();
        if insists || kind != ImageKind::Wsl {
            return Err(PlanError::NoNix { driver: wanted, mini: kind == ImageKind::Wsl });
        }
        let notice = format!(
            "Nix is not on this machine: making the embedded mini system, which is not NixOS. For \
             NixOS, {GET_NIX}."
        );
        return Ok((mini(), Some(notice)));
    };
    let (typed, base) = match &options.flake {
        // What a person types counts from where that person is.
        Some(flake) => (flake, current_dir()?),
        None => (&build.flake, definition.root.clone()),
    };
    let (flake, notice) = lock::of_run(FlakeRef::new(typed, &base), definition);
    let asked = (!is_absolute(typed)).then(|| typed.clone());
    if wanted == Driver::NixosWsl {
        let attribute = target::wsl_attribute(definition, options, &flake);
        let extension = extension(&attribute, options)?;
        let (options, sudo) = (options.nix.clone(), options.sudo);
        let input = NixosWslInput { asked, flake, attribute, extension, options, nix, sudo };
        return Ok((Input::NixosWsl(Box::new(input)), notice));
    }
    let route = options.route.unwrap_or(build.route);
    let only_nixpkgs = matches!(route, Route::Variant | Route::Module);
    if wanted == Driver::NixosGenerators && only_nixpkgs {
        return Err(PlanError::RouteUnwanted { route });
    }
    let target = target::resolve(definition, options, &flake)?;
    let extension = extension(target.attribute(), options)?;
    if extension.is_some() && route == Route::GeneratorsCli {
        return Err(PlanError::ProfilesByProgram);
    }
    let generator = Generator::find().ok();
    let options = options.nix.clone();
    let input =
        Box::new(NixImageInput { asked, flake, target, extension, route, options, nix, generator });
    let input = match wanted {
        Driver::NixosGenerators => Input::NixosGenerators(input),
        _ => Input::NixImage(input),
    };
    Ok((input, notice))
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

/// How the configuration that `attribute` is, or is a part of, is changed.
fn extension(attribute: &str, options: &Options) -> Result<Option<Extension>, PlanError> {
    if options.profiles.is_empty() {
        return Ok(None);
    }
    let mut profiles = Vec::new();
    for name in &options.profiles {
        if !profiles.contains(name) {
            profiles.push(name.clone());
        }
    }
    let extension = Extension::of(attribute, profiles);
    let other = || PlanError::ProfilesOfOther { attribute: attribute.to_owned() };
    extension.map(Some).ok_or_else(other)
}

impl Plan {
    /// The name that the artifact has if the driver makes `distribution`.
    pub fn file_name(&self, distribution: &str) -> String {
        let template = Template::parse(self.definition.file_name())
            .expect("the definition was checked when it was loaded");
        template.expand(&self.definition, &self.image, distribution)
    }

    /// What the plan needs and this machine does not have.
    pub fn missing(&self) -> Vec<preflight::Missing> {
        let empty = preflight::Question {
            system: &self.definition.system,
            work: &self.work,
            nix: None,
            in_vm: false,
            no_generator: false,
            busybox: None,
            sudo: false,
        };
        let question = match &self.input {
            Input::Prebuilt { .. } => empty,
            Input::Mini { busybox } => preflight::Question { busybox: busybox.as_deref(), ..empty },
            Input::NixosWsl(input) => preflight::Question {
                nix: Some((&input.nix, &input.options)),
                sudo: input.sudo,
                ..empty
            },
            Input::NixImage(input) | Input::NixosGenerators(input) => preflight::Question {
                nix: Some((&input.nix, &input.options)),
                in_vm: match &input.target {
                    Target::Host { format, .. } => format.in_vm,
                    Target::Attribute(_) => false,
                },
                no_generator: input.route == Route::GeneratorsCli && input.generator.is_none(),
                ..empty
            },
        };
        let mut missing = preflight::missing(self.input.driver(), &question);
        missing.extend(self.newer_nix());
        missing
    }

    /// A later Nix, where it is known that the one of this machine does not evaluate the image.
    pub(crate) fn newer_nix(&self) -> Option<preflight::Missing> {
        let nix = match &self.input {
            Input::NixosWsl(input) => &input.nix,
            Input::NixImage(input) | Input::NixosGenerators(input) => &input.nix,
            Input::Prebuilt { .. } | Input::Mini { .. } => return None,
        };
        let is_host = self.input.attribute().is_some_and(|name| name.starts_with(HOSTS));
        self.lock.as_ref().filter(|_| is_host).and_then(|lock| preflight::newer_nix(nix, lock))
    }
}

#[cfg(test)]
mod tests;
