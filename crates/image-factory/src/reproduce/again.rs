//! Makes the bytes of an image once more: each driver in its own way.

use std::{
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

use image_nix::{Nix, Part, RebuildRequest, Rebuilt, store::Place};

use super::{ReproduceError, Reproduction, Run, count, is_absent, other};
use crate::{
    driver::{self, BuildOutput},
    event::{Event, Events},
    make::{self, MakeError},
    nix::Options,
    plan::{Input, Plan},
    reproduce::Pair,
};

/// What was made the second time.
pub(super) struct Again<'a> {
    /// `None`: Nix says that it is something else, and it is not on this machine.
    pub(super) built: Option<BuildOutput>,
    /// The store path that Nix says is something else.
    pub(super) differs: Option<String>,
    /// What Nix keeps until we are done.
    pub(super) kept: Option<Kept<'a>>,
}

/// The second output, in the store beside the first one. It goes with this value.
pub(super) struct Kept<'a> {
    rebuild: Rebuild<'a>,
    output: String,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        let Rebuild { nix, options, events, .. } = &self.rebuild;
        if !nix.forget_check(&self.output, options) {
            let output = &self.output;
            let text = format!("{output}.check stays until Nix collects garbage");
            events(Event::Notice(text));
        }
    }
}

/// By which Nix, and how.
#[derive(Clone, Copy)]
struct Rebuild<'a> {
    nix: &'a Nix,
    options: &'a Options,
    tmp: &'a Path,
    cores: NonZero<usize>,
    events: Events<'a>,
}

impl<'a> Rebuild<'a> {
    fn new(nix: &'a Nix, options: &'a Options, tmp: &'a Path, events: Events<'a>) -> Self {
        let cores = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        Self { nix, options, tmp, cores: other(cores), events }
    }

    /// Builds a derivation again. `None`: the same came of it.
    fn run(
        self,
        derivation: &str,
        output: &str,
    ) -> Result<Option<(Kept<'a>, Option<PathBuf>)>, ReproduceError> {
        let Self { nix, options, tmp, cores, events } = self;
        events(Event::Driver(driver::Event::Step(format!("building {derivation} again"))));
        let request = RebuildRequest { derivation, output, options, tmp, cores: cores.get() };
        let rebuilt = nix.rebuild(&request, &mut |event| events(Event::Nix(event)));
        let rebuilt = rebuilt
            .map_err(|cause| ReproduceError::Again { derivation: derivation.to_owned(), cause })?;
        Ok(match rebuilt {
            Rebuilt::Same => None,
            Rebuilt::Differs { check } => {
                Some((Kept { rebuild: self, output: output.to_owned() }, check))
            }
        })
    }
}

/// A file that Nix built, and of what.
struct Origin {
    derivation: String,
    /// Store path of the output that it is in.
    output: String,
    /// The file below it; empty if it is the output.
    below: PathBuf,
}

/// Makes the bytes again, out of the same things, in the folders of `run`.
pub(super) fn build<'a>(
    plan: &'a Plan,
    first: &BuildOutput,
    run: &'a Run,
    told: &mut Reproduction,
    events: Events<'a>,
) -> Result<Again<'a>, ReproduceError> {
    let same = |built| Again { built: Some(built), differs: None, kept: None };
    match &plan.input {
        Input::Prebuilt { file } => {
            told.notes.push(format!("{} exists, and was not made again", file.display()));
            Ok(same(first.clone()))
        }
        Input::Mini { .. } => {
            told.made.push("laid out twice".to_owned());
            Ok(same(make::build(plan, &run.build, events)?))
        }
        Input::NixosWsl(input) => {
            let rebuild = Rebuild::new(&input.nix, &input.options, &run.tmp, events);
            let (derivation, output) = made_of(first)?;
            let again = rebuild.run(&derivation, &output)?;
            told.rebuilt(&derivation, rebuild);
            let place = Place::of_store(input.options.effective_store().as_deref());
            let program = place.physical(&output).unwrap_or_else(|| output.clone().into());
            let program = match &again {
                None => program,
                Some((_, Some(check))) => {
                    told.made.push(format!(
                        "the tarball builder {output} is another one when it is built again; each \
                         made one of the images"
                    ));
                    check.clone()
                }
                Some((_, None)) => return Ok(told.out_of_reach(output, None)),
            };
            told.made.push("laid out by the tarball builder in two folders".to_owned());
            let origin = (first.source.clone(), first.tools.clone());
            let built = make::run_builder(plan, input, &program, origin, &run.build, events)?;
            let kept = again.map(|(kept, _)| kept);
            Ok(Again { built: Some(built), differs: None, kept })
        }
        Input::NixImage(input) | Input::NixosGenerators(input) => {
            let rebuild = Rebuild::new(&input.nix, &input.options, &run.tmp, events);
            let origin = origin(first, rebuild.nix, rebuild.options)?;
            parts(&origin.derivation, rebuild, told, run)?;
            let again = rebuild.run(&origin.derivation, &origin.output)?;
            told.rebuilt(&origin.derivation, rebuild);
            second(first, origin, again, told)
        }
    }
}

impl Reproduction {
    fn rebuilt(&mut self, derivation: &str, rebuild: Rebuild<'_>) {
        // What the user says of it counts more.
        let said = rebuild.options.settings.iter().any(|(name, _)| name == "cores");
        let cores = match said {
            true => String::new(),
            false => format!(" on {}", count(rebuild.cores, "processor")),
        };
        self.made.push(format!("built again{cores}: {derivation}"));
    }

    /// Nix says that the output is something else, and we cannot look at that.
    fn out_of_reach<'a>(&mut self, output: String, kept: Option<Kept<'a>>) -> Again<'a> {
        self.notes.push(format!(
            "what differs in {output} is not known: the second output is not on this machine"
        ));
        Again { built: None, differs: Some(output), kept }
    }
}

/// The derivation that the driver built, and its output.
fn made_of(built: &BuildOutput) -> Result<(String, String), ReproduceError> {
    let output = built.source.store_path.clone().unwrap_or_default();
    let unknown = || ReproduceError::NoDerivation { path: output.clone() };
    Ok((built.source.derivation.clone().ok_or_else(unknown)?, output.clone()))
}

/// Where the image comes from. An output may be no more than a link to the image, which another
/// derivation made.
fn origin(built: &BuildOutput, nix: &Nix, options: &Options) -> Result<Origin, ReproduceError> {
    let output = built.source.store_path.clone().unwrap_or_default();
    let place = Place::of_store(options.effective_store().as_deref());
    let physical = place.physical(&output).unwrap_or_else(|| output.clone().into());
    if let Ok(below) = built.file.strip_prefix(&physical) {
        let below = below.to_owned();
        let (derivation, output) = made_of(built)?;
        return Ok(Origin { derivation, output, below });
    }
    let no_derivation = |path: String| ReproduceError::NoDerivation { path };
    let unknown = || no_derivation(built.file.display().to_string());
    let (store, logical) =
        physical.parent().zip(Path::new(&output).parent()).ok_or_else(unknown)?;
    let mut names = built.file.strip_prefix(store).map_err(|_| unknown())?.components();
    let name = names.next().ok_or_else(unknown)?;
    let output = logical.join(name).display().to_string();
    let known = nix.path_info(&output, options).map_err(MakeError::from)?;
    let derivation = known.deriver.ok_or_else(|| no_derivation(output.clone()))?;
    let below = names.as_path().to_owned();
    Ok(Origin { derivation, output, below })
}

/// Builds the parts of the image again, and compares them with the ones that it is made of.
fn parts(
    derivation: &str,
    rebuild: Rebuild<'_>,
    told: &mut Reproduction,
    run: &Run,
) -> Result<(), ReproduceError> {
    let Rebuild { nix, options, events, .. } = rebuild;
    if matches!(Place::of_store(options.effective_store().as_deref()), Place::Elsewhere(_)) {
        told.notes.push(
            "what the image is made of was not built again: it is in the store of another machine"
                .to_owned(),
        );
        return Ok(());
    }
    for Part { derivation, output, physical } in
        nix.parts(derivation, options).map_err(MakeError::from)?
    {
        let again = rebuild.run(&derivation, &output)?;
        told.rebuilt(&derivation, rebuild);
        let name = name_of_store_path(&output);
        let pair = match &again {
            None => Pair::same(name, None),
            Some((_, Some(check))) => Pair::of(name, &physical, check, &run.build, events)?,
            Some((_, None)) => Pair { same: false, ..Pair::same(name, None) },
        };
        told.pairs.push(Pair { derivation: Some(derivation), ..pair });
    }
    told.notes
        .push("all else that the image is made of was taken from the store as it is".to_owned());
    Ok(())
}

/// `root.img` of `/nix/store/<hash>-root.img`.
fn name_of_store_path(path: &str) -> String {
    let base = path.rsplit('/').next().unwrap_or(path);
    base.split_once('-').map_or(base, |(_, name)| name).to_owned()
}

/// The image in the second output.
fn second<'a>(
    first: &BuildOutput,
    origin: Origin,
    again: Option<(Kept<'a>, Option<PathBuf>)>,
    told: &mut Reproduction,
) -> Result<Again<'a>, ReproduceError> {
    let Origin { output, below, .. } = origin;
    let Some((kept, check)) = again else {
        return Ok(Again { built: Some(first.clone()), differs: None, kept: None });
    };
    let Some(check) = check else {
        return Ok(told.out_of_reach(output, Some(kept)));
    };
    let file = if below.as_os_str().is_empty() { check } else { check.join(&below) };
    if fs::symlink_metadata(&file).is_err_and(|error| is_absent(&error)) {
        return Err(ReproduceError::Gone { path: file });
    }
    let built = Some(BuildOutput { file, ..first.clone() });
    Ok(Again { built, differs: Some(output), kept: Some(kept) })
}
