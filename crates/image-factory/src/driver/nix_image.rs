//! The drivers `nix-image` and `nixos-generators`: an image that Nix builds from a NixOS
//! configuration.
//!
//! A configuration may have the same image in several places, made in several ways, so the flake is
//! asked first what it has; [`formats`] knows what the image is called in each.

pub mod formats;
mod locate;
mod promise;
pub(super) mod question;
mod resolve;

use std::path::{Path, PathBuf};

use image_host::interrupt::{self, Interrupted};
use image_model::{Boot, Driver, ManifestTool, Source};
use image_nix::{
    BuildRequest, Extension, Failure, FlakeRef, GenerateError, GenerateRequest, Nix, NixError,
    Options,
    generator::PROGRAM,
    request,
    store::{FlakeMetadata, Place},
};

pub(crate) use self::resolve::HOSTS;
use self::{
    formats::GENERIC,
    locate::Store,
    question::{Derivation, Host},
    resolve::{Chosen, Facts, Wanted, Way},
};
pub use self::{
    locate::{NoImage, Unreadable},
    promise::Unkept,
    resolve::NoWay,
};
use super::{
    BuildOutput, Event, Fault,
    around::{self, AroundError},
    machine, platform,
    preflight::Missing,
};
use crate::{
    event::{self, Events},
    plan::{NixImageInput, Target, is_host},
};

/// What a NixOS is called in the name of a file.
pub(crate) const DISTRIBUTION: &str = "nixos";

/// What nixos-generators is called in lock files.
const GENERATORS: &str = "nixos-generators";

/// There is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NixImageError {
    /// Where the flake should be, there is none.
    #[error("there is no flake at {flake}: name the one to build with --flake REF#NAME")]
    NoFlake {
        /// The flake.
        flake: String,
        /// What Nix says.
        #[source]
        cause: NixError,
    },
    /// The flake has no such configuration or derivation.
    #[error(
        "{flake} has no {attribute}: name one that it has with --flake REF#NAME{}",
        if is_host(attribute) { "" } else { "; a NAME with dots goes in quotes, REF#'\"a.b\"'" }
    )]
    NoAttribute {
        /// The flake.
        flake: String,
        /// What was looked for.
        attribute: String,
        /// What Nix says, with the names that there are.
        #[source]
        cause: Box<NixError>,
    },
    /// Nix refused.
    #[error(transparent)]
    Nix(#[from] NixError),
    /// The flake has no such image.
    #[error(transparent)]
    NoWay(#[from] NoWay),
    /// The flake cannot be changed as it was asked for.
    #[error(transparent)]
    Around(AroundError),
    /// The profiles do not reach the image.
    #[error(
        "--profile changes {host}, and the image would be {way}, which is not made of that: name \
         another --route"
    )]
    ProfilesElsewhere {
        /// The attribute of the configuration.
        host: String,
        /// The way to the image.
        way: String,
    },
    /// The configuration is for another system.
    #[error(
        "{attribute} is for {found}, and the definition says {wanted}: one of them is wrong, or the \
         host does not set nixpkgs.hostPlatform"
    )]
    OtherSystem {
        /// The attribute of the configuration.
        attribute: String,
        /// The system that it is for.
        found: String,
        /// The system that the definition says.
        wanted: String,
    },
    /// The configuration does not make what the definition promises.
    #[error(transparent)]
    Unkept(#[from] Unkept),
    /// No machine that Nix knows can build it.
    #[error("nothing here can build for {system}: {}", lacks(missing))]
    CannotBuild {
        /// The system.
        system: String,
        /// What is missing, and what mends it.
        missing: Vec<Missing>,
    },
    /// The program makes images in the store of this machine only.
    #[error("nixos-generate cannot use the store {store}; the other routes can")]
    OtherStore {
        /// What `--store` says.
        store: String,
    },
    /// `nixos-generate` made no image.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// What was built has no image, or several.
    #[error(transparent)]
    NoImage(#[from] NoImage),
    /// What was built cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Somebody asked the factory to stop.
    #[error("stopped")]
    Interrupted(#[from] Interrupted),
}

impl From<AroundError> for NixImageError {
    fn from(error: AroundError) -> Self {
        match error {
            AroundError::Nix(error) => Self::Nix(error),
            error => Self::Around(error),
        }
    }
}

fn lacks(missing: &[Missing]) -> String {
    let one = |missing: &Missing| match &missing.mend {
        Some(mend) => format!("{} is missing ({}): {mend}", missing.what, missing.why),
        None => format!("{} is missing ({})", missing.what, missing.why),
    };
    missing.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl NixImageError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::OtherStore { .. }
            | Self::NoFlake { .. }
            | Self::NoAttribute { .. }
            | Self::ProfilesElsewhere { .. }
            | Self::Unkept(_) => Fault::Usage,
            Self::Around(error) => error.fault(),
            _ => Fault::Host,
        }
    }
}

/// What the definition says of the image.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'a> {
    /// The system that it is for.
    pub system: &'a str,
    /// The ways in which it promises to boot, if it is a disc.
    pub boots: &'a [Boot],
}

/// What is to be built, and what the flake says of it.
#[derive(Debug)]
struct Resolved {
    chosen: Chosen,
    /// The system that it is built on.
    build_system: String,
    /// It is built inside a virtual machine.
    in_vm: bool,
    /// Where the configuration says that the image is, below the output.
    promised: Option<String>,
}

/// Asks the flake, builds, and finds the image.
pub fn build(
    driver: Driver,
    input: &NixImageInput,
    purpose: Purpose<'_>,
    work: &Path,
    events: Events<'_>,
) -> Result<BuildOutput, NixImageError> {
    let NixImageInput { flake, options, nix, extension, .. } = input;
    let tell = |event: Event| events(event::Event::Driver(event));
    interrupt::check()?;
    let flake = flake.clone().frozen(work)?;
    let input = &NixImageInput { flake, ..input.clone() };
    let flake = &input.flake;
    tell(Event::Step(format!("asking {flake} for its images")));
    let metadata =
        nix.metadata(flake, options).map_err(|error| no_flake(flake.to_string(), error))?;
    let flake = flake_around(input, &metadata, work)?;
    let input = &NixImageInput { flake, ..input.clone() };
    let resolved = resolve(driver, input, purpose, &metadata)?;
    reaches(extension.as_ref(), &resolved.chosen.way)?;
    for notice in &resolved.chosen.notices {
        events(event::Event::Notice(notice.clone()));
    }
    tell(Event::Step(format!("building {}", resolved.chosen.way)));
    check_machine(&resolved, input, &tell)?;
    let made = match &resolved.chosen.way {
        Way::Attribute(attribute) => build_attribute(attribute, input, metadata, work, events)?,
        Way::Program(format) => {
            // The program asks Nix by itself, and knows of no lock file but a flake's own.
            let flake = nix.complete(&input.flake, &metadata, work)?;
            let input = &NixImageInput { flake, ..input.clone() };
            run_program(format, input, purpose.system, metadata, work, &tell)?
        }
    };
    let store = Store::of(&made.store_path, &made.physical);
    let listing = store.list(&made.store_path)?;
    let promised = resolved.promised.as_deref();
    let image = locate::choose(&made.store_path, &listing, promised, made.named.as_deref())?;
    tell(Event::Step(format!("the image is {}", image.display())));
    let nix = ManifestTool { name: "nix".to_owned(), version: nix.version().text.clone() };
    Ok(BuildOutput {
        file: store.physical(&image),
        source: Source {
            driver,
            route: resolved.chosen.route,
            flake: input.asked.clone(),
            locked: Some(made.metadata.locked),
            inputs: made.metadata.inputs,
            attribute: Some(made.attribute),
            profiles: extension.as_ref().map_or_else(Vec::new, |e| e.profiles.clone()),
            derivation: made.derivation,
            store_path: Some(made.store_path),
            nar_hash: made.nar_hash,
            input_sha256: None,
        },
        tools: vec![nix],
        distribution: DISTRIBUTION.to_owned(),
    })
}

fn no_flake(flake: String, error: NixError) -> NixImageError {
    match error.failure() {
        Some(Failure::Flake { .. }) => NixImageError::NoFlake { flake, cause: error },
        _ => error.into(),
    }
}

fn no_attribute(flake: &FlakeRef, attribute: &str, cause: NixError) -> NixImageError {
    let (flake, attribute) = (flake.to_string(), attribute.to_owned());
    NixImageError::NoAttribute { flake, attribute, cause: Box::new(cause) }
}

/// The flake that Nix is given.
fn flake_around(
    input: &NixImageInput,
    metadata: &FlakeMetadata,
    work: &Path,
) -> Result<FlakeRef, NixImageError> {
    let NixImageInput { flake, options, nix, extension, .. } = input;
    let extension = extension.as_ref();
    around::flake(nix, options, flake, metadata, extension, work).map_err(|error| match error {
        AroundError::Nix(error) if is_absent(&error) => {
            let host = extension.map(Extension::attribute).unwrap_or_default();
            no_attribute(flake, &host, error)
        }
        error => error.into(),
    })
}

/// What is made of another attribute, or by a program, is made without the profiles.
fn reaches(extension: Option<&Extension>, way: &Way) -> Result<(), NixImageError> {
    let Some(extension) = extension else { return Ok(()) };
    match way {
        Way::Attribute(way) if Extension::of(way, Vec::new()).is_some() => Ok(()),
        way => {
            let (host, way) = (extension.attribute(), way.to_string());
            Err(NixImageError::ProfilesElsewhere { host, way })
        }
    }
}

/// True if what Nix was asked about is not there.
fn is_absent(error: &NixError) -> bool {
    matches!(error.failure(), Some(Failure::Attribute { .. }))
}

fn resolve(
    driver: Driver,
    input: &NixImageInput,
    purpose: Purpose<'_>,
    metadata: &FlakeMetadata,
) -> Result<Resolved, NixImageError> {
    let system = purpose.system;
    let (host, name, format) = match &input.target {
        Target::Attribute(attribute) => {
            let way = Way::Attribute(attribute.clone());
            let chosen = Chosen { way, route: "attribute".to_owned(), notices: Vec::new() };
            return resolve_derivation(chosen, attribute, input, system);
        }
        Target::Host { attribute, name, format } => (attribute, name, *format),
    };
    let NixImageInput { flake, options, nix, route, generator, .. } = input;
    let routes = resolve::routes(driver, *route);
    let variant = format.variant.filter(|_| routes.contains(&image_model::Route::Variant));
    let function = question::about_host(variant);
    // A flake may have packages made by nixos-generators, and no configuration.
    let (answer, absent) = match question::ask::<Host>(nix, flake, host, &function, options) {
        Ok(answer) => (Some(answer), None),
        Err(error) if is_absent(&error) => (None, Some(error)),
        Err(error) => return Err(error.into()),
    };
    let facts = Facts {
        host: answer.as_ref(),
        has_generators: metadata.projects.contains(GENERATORS),
        has_program: generator.is_some(),
    };
    let wanted = Wanted { driver, route: *route, host, format, name, system };
    let packages = || names_of_packages(nix, input, system, options);
    let chosen = match (resolve::choose(&wanted, &facts, packages)?, absent) {
        (Ok(chosen), _) => chosen,
        // The name of the host is what is wrong, and Nix says which there are.
        (Err(_), Some(absent)) => return Err(no_attribute(flake, host, absent)),
        (Err(no_way), None) => return Err(no_way.into()),
    };
    let Some(answer) = answer else {
        let attribute = chosen.way.to_string();
        return resolve_derivation(chosen, &attribute, input, system);
    };
    same_system(host, answer.system.as_deref(), system)?;
    keeps_promises(&chosen, &answer, purpose)?;
    let promised = answer.file_path.filter(|_| chosen.route.starts_with("images."));
    let build_system = answer.build_system.unwrap_or_else(|| system.to_owned());
    Ok(Resolved { chosen, build_system, in_vm: format.in_vm, promised })
}

/// Compares what is promised of an ISO image with what the configuration sets, where that is known.
fn keeps_promises(chosen: &Chosen, host: &Host, purpose: Purpose<'_>) -> Result<(), NixImageError> {
    let variant = chosen.route.strip_prefix("images.");
    let (iso, place) = match (variant, chosen.route.as_str()) {
        (Some(variant), _) => {
            (host.variant_iso, format!("in image.modules.{variant} of the configuration"))
        }
        (None, "isoImage" | GENERIC) => (host.iso, "in the configuration".to_owned()),
        _ => return Ok(()),
    };
    let (boots, options) = promise::unkept(purpose.boots, purpose.system, &iso.unwrap_or_default());
    if boots.is_empty() {
        return Ok(());
    }
    let image = chosen.way.to_string();
    Err(Unkept { image, boots, options, place }.into())
}

/// What is built is a derivation and not a part of a configuration, so that is what can be asked.
fn resolve_derivation(
    chosen: Chosen,
    attribute: &str,
    input: &NixImageInput,
    system: &str,
) -> Result<Resolved, NixImageError> {
    let function = question::about_derivation();
    let NixImageInput { flake, options, nix, .. } = input;
    let answer: Derivation =
        question::ask(nix, flake, attribute, &function, options).map_err(|error| {
            if is_absent(&error) { no_attribute(flake, attribute, error) } else { error.into() }
        })?;
    same_system(attribute, answer.system.as_deref(), system)?;
    Ok(Resolved {
        chosen,
        build_system: answer.build_system.unwrap_or_else(|| system.to_owned()),
        in_vm: answer.features.iter().any(|feature| feature == "kvm"),
        promised: answer.file_path,
    })
}

/// The names in the output `packages.<system>`; none where it is not there.
fn names_of_packages(
    nix: &Nix,
    input: &NixImageInput,
    system: &str,
    options: &Options,
) -> Result<Vec<String>, NixError> {
    let packages = format!("packages.{system}");
    match question::ask(nix, &input.flake, &packages, "builtins.attrNames", options) {
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        names => names,
    }
}

/// Asked for one system, a flake may evaluate for another, and say so nowhere:
/// nix-community/nixos-generators#441.
fn same_system(attribute: &str, found: Option<&str>, wanted: &str) -> Result<(), NixImageError> {
    match found {
        Some(found) if found != wanted => Err(NixImageError::OtherSystem {
            attribute: attribute.to_owned(),
            found: found.to_owned(),
            wanted: wanted.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Says what is missing before Nix does, which says it after the downloads and less clearly.
fn check_machine(
    resolved: &Resolved,
    input: &NixImageInput,
    tell: &dyn Fn(Event),
) -> Result<(), NixImageError> {
    let system = resolved.build_system.as_str();
    match missing(&input.nix, &input.options, system, resolved.in_vm) {
        Ok(missing) if missing.is_empty() => Ok(()),
        Ok(missing) => Err(NixImageError::CannotBuild { system: system.to_owned(), missing }),
        Err(error) if interrupt::caused(&error) => Err(error.into()),
        // Nix may do what it does not tell.
        Err(error) => {
            tell(Event::Warning(format!("cannot tell what Nix can build here: {error}")));
            Ok(())
        }
    }
}

/// What the machines that `nix` builds on lack for `system`. Nothing is known of those behind a
/// store on another machine.
pub(crate) fn missing(
    nix: &Nix,
    options: &Options,
    system: &str,
    in_vm: bool,
) -> Result<Vec<Missing>, NixError> {
    if options.effective_store().is_some_and(|store| request::is_remote(&store)) {
        return Ok(Vec::new());
    }
    let config = nix.config(options)?;
    let builders = Nix::builders(&config);
    let facts =
        platform::Facts { builders, config, runs: machine::runs(system), kvm: machine::kvm() };
    Ok(platform::missing(system, in_vm, &facts))
}

/// What a way made.
struct Output {
    attribute: String,
    derivation: Option<String>,
    store_path: String,
    physical: PathBuf,
    nar_hash: Option<String>,
    metadata: FlakeMetadata,
    /// The file that the program named.
    named: Option<PathBuf>,
}

fn build_attribute(
    attribute: &str,
    input: &NixImageInput,
    metadata: FlakeMetadata,
    work: &Path,
    events: Events<'_>,
) -> Result<Output, NixImageError> {
    let request = BuildRequest {
        flake: input.flake.clone(),
        attribute: attribute.to_owned(),
        out_link: work.join("result"),
        options: input.options.clone(),
    };
    let mut on_event = |event| events(event::Event::Nix(event));
    let built = input.nix.build_locked(&request, metadata, &mut on_event)?;
    Ok(Output {
        attribute: attribute.to_owned(),
        derivation: Some(built.derivation),
        store_path: built.store_path,
        physical: built.physical,
        nar_hash: Some(built.nar_hash),
        metadata: built.flake,
        named: None,
    })
}

fn run_program(
    format: &str,
    input: &NixImageInput,
    system: &str,
    metadata: FlakeMetadata,
    work: &Path,
    tell: &dyn Fn(Event),
) -> Result<Output, NixImageError> {
    let Target::Host { attribute, .. } = &input.target else {
        unreachable!("a derivation is never made by the program");
    };
    let options = &input.options;
    let store = options.effective_store();
    if let Some(store) = store.filter(|store| Place::of_store(Some(store)) != Place::Here) {
        return Err(NixImageError::OtherStore { store });
    }
    let generator = input.generator.as_ref().expect("the way is chosen where the program is");
    let request = GenerateRequest {
        flake: input.flake.clone(),
        host: resolve::host_name(attribute).to_owned(),
        format: format.to_owned(),
        system: system.to_owned(),
        out_link: work.join("result"),
        options: Options { store: None, ..options.clone() },
    };
    let line = |line: &str| tell(Event::Log(line.to_owned()));
    let made = generator.generate(&input.nix, &request, line)?;
    let info = input.nix.path_info(&made.store_path, options)?;
    Ok(Output {
        attribute: attribute.clone(),
        derivation: info.deriver,
        physical: PathBuf::from(&made.store_path),
        store_path: made.store_path,
        nar_hash: info.nar_hash,
        metadata,
        named: made.file,
    })
}

/// What the program of nixos-generators is missing for, where the route insists on it.
pub(crate) fn missing_program() -> Missing {
    Missing {
        what: PROGRAM.to_owned(),
        why: format!("the route generators-cli runs {PROGRAM}, and it is not in PATH"),
        mend: Some(resolve::GET_PROGRAM.to_owned()),
    }
}
