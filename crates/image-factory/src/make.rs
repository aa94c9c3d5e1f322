//! The spine: build, finish, verify, publish.

use std::{
    fs::{self, File},
    io,
    num::NonZero,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use image_host::{
    epoch::{self, EpochError},
    interrupt::{self, Interrupted},
    workdir::{WorkDir, WorkDirError},
};
use image_model::{
    Artifact, Generator, MANIFEST_SCHEMA, Manifest, ManifestTool, Source, VerificationReport,
};
use image_verify::{Expected, VerifyError, opened::Opened};

use crate::{
    dist::{self, Dist, DistError, NotReplaceable},
    driver::{
        self, BuildOutput, DriverError, around::AroundError, mini, nix_image, nixos_wsl, prebuilt,
        preflight::Missing,
    },
    event::{Event, Events, Step},
    finish::{self, FinishError, FinishJob, Finished},
    nix::{self, NixError},
    plan::{Input, NixosWslInput, Plan},
    sbom,
    sizes::{Measured, Sizes},
    trust::Trust,
};

/// What came of a run that did not fail.
#[derive(Clone, Debug)]
pub struct Made {
    /// What the verification said.
    pub report: VerificationReport,
    /// The manifest, if the image passed and was published.
    pub manifest: Option<Manifest>,
    /// The folder of the image.
    pub dist: PathBuf,
}

/// There is no image, and not because it was judged to be bad.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// The time of what is made cannot be told.
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// Another run makes the same image, or there is no place for the work.
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
    /// Nix would fetch what the image is made of, and then refuse to evaluate it.
    #[error("{} is missing: {}", missing.what, missing.why)]
    Lacks {
        /// What is missing.
        missing: Missing,
    },
    /// Nix did not build.
    #[error(transparent)]
    Nix(#[from] NixError),
    /// The flake cannot be changed as it was asked for.
    #[error(transparent)]
    Around(AroundError),
    /// The driver did not make an image.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The bytes could not be put into their final form.
    #[error(transparent)]
    Finish(#[from] FinishError),
    /// The file could not be judged.
    #[error("cannot verify {}", path.display())]
    Verify {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: VerifyError,
    },
    /// The file that was read back is not the file that was written.
    #[error("{} was written as {written:?} and read back as {read:?}: the disk or the memory of this machine is bad", path.display())]
    ReadBack {
        /// The file.
        path: PathBuf,
        /// What was written.
        written: image_model::Digests,
        /// What was read.
        read: image_model::Digests,
    },
    /// What stands where the folder belongs is not ours to replace.
    #[error(transparent)]
    NotReplaceable(#[from] NotReplaceable),
    /// The folder could not be published.
    #[error(transparent)]
    Dist(#[from] DistError),
    /// A file cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Somebody asked the factory to stop.
    #[error("stopped")]
    Interrupted(#[from] Interrupted),
}

impl From<AroundError> for MakeError {
    fn from(error: AroundError) -> Self {
        match error {
            AroundError::Nix(error) => Self::Nix(error),
            error => Self::Around(error),
        }
    }
}

impl MakeError {
    /// Whose fault it is.
    pub fn fault(&self) -> driver::Fault {
        match self {
            Self::Driver(error) => error.fault(),
            Self::Around(error) => error.fault(),
            Self::NotReplaceable(_) | Self::Epoch(_) => driver::Fault::Usage,
            Self::Finish(error) if error.is_defect() => driver::Fault::Image,
            _ => driver::Fault::Host,
        }
    }

    /// The report on the bytes that the driver handed over, if they were so bad that they could not
    /// be finished.
    pub fn report(&self) -> Option<&VerificationReport> {
        match self {
            Self::Finish(error) => error.report(),
            _ => None,
        }
    }
}

/// Makes an image by its plan. Nothing is published unless it is complete and no check of severity
/// error failed; an earlier folder stays as it was until then.
pub fn make(plan: &Plan, events: Events<'_>) -> Result<Made, MakeError> {
    begin(plan, events)?;
    let epoch = epoch::source_date_epoch()?;
    dist::check_replaceable(&plan.dist, "image", dist::files)?;
    let work = take(&plan.work)?;
    let out = create_dir(&work.path().join("out"))?;

    events(Event::Started(Step::Build));
    let built = build(plan, &create_dir(&work.path().join("build"))?, events)?;
    events(Event::Finished(Step::Build));

    let file = out.join(plan.file_name(&built.distribution));
    let scratch = create_dir(&work.path().join("finish"))?;
    let finished = finish(plan, &built, &file, &scratch, plan.threads, events)?;
    let mut artifacts = finished.artifacts;

    events(Event::Started(Step::Verify));
    let image = artifacts.first_mut().expect("the image is the first of the finished files");
    let (report, treemap) = verify(plan, &file, image, events)?;
    // A disk is told to be one; the verification knows its table.
    if let Some(format) = &report.subject.format {
        image.format = format.clone().into_owned();
    }
    events(Event::Finished(Step::Verify));
    interrupt::check()?;
    if !report.passed() {
        return Ok(Made { report, manifest: None, dist: plan.dist.clone() });
    }

    events(Event::Started(Step::Publish));
    let folder = Dist::new(&out);
    let summary = folder.report(&report)?;
    let title = Some(plan.definition.title.as_str());
    let mut records = match sbom::Image::of(&artifacts[0].file, title, &report, epoch) {
        Some(image) => folder.sboms(&image)?,
        None => Vec::new(),
    };
    if let Some(svg) = treemap {
        records.push(folder.treemap(&artifacts[0].file, &svg)?);
    }
    folder.sums(&artifacts, &summary, &records)?;
    let manifest = Manifest {
        schema: MANIFEST_SCHEMA,
        generator: Generator {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        image: plan.image.clone(),
        kind: plan.definition.kind,
        system: plan.definition.system.clone(),
        title: plan.definition.title.clone(),
        distribution: built.distribution,
        source: Source { input_sha256: Some(finished.input.sha256), ..built.source },
        tools: built.tools,
        artifacts,
        closure: image_verify::manifest::closure(&report.stores),
        verification: summary,
    };
    folder.publish(&manifest, &plan.dist)?;
    events(Event::Finished(Step::Publish));
    Ok(Made { report, manifest: Some(manifest), dist: plan.dist.clone() })
}

/// What is told, and refused, before anything is done.
pub(crate) fn begin(plan: &Plan, events: Events<'_>) -> Result<(), MakeError> {
    if let Some(notice) = &plan.notice {
        events(Event::Notice(notice.clone()));
    }
    plan.newer_nix().map_or(Ok(()), |missing| Err(MakeError::Lacks { missing }))
}

/// Takes the work folder. What a killed run left there may belong to the ids of a user namespace,
/// and then only root of such a namespace can remove it.
pub(crate) fn take(path: &Path) -> Result<WorkDir, WorkDirError> {
    match WorkDir::take(path) {
        Err(WorkDirError::Io { .. })
            if nixos_wsl::remove(path, driver::route::Route::UserNamespace).is_ok() =>
        {
            WorkDir::take(path)
        }
        taken => taken,
    }
}

/// Lets the driver of the plan make the bytes, in the folder `work`.
pub(crate) fn build(
    plan: &Plan,
    work: &Path,
    events: Events<'_>,
) -> Result<BuildOutput, MakeError> {
    let system = plan.definition.system.as_str();
    match &plan.input {
        Input::Prebuilt { file } => Ok(prebuilt::build(file).map_err(DriverError::from)?),
        Input::Mini { busybox } => {
            let busybox = busybox.as_deref();
            Ok(mini::build(&mini::MiniJob { system, busybox, work })?)
        }
        Input::NixosWsl(input) => {
            let made = nix::build(input, work, events)?;
            let nix::Output { path, source, tools } = made;
            run_builder(plan, input, &path, (source, tools), work, events)
        }
        Input::NixImage(input) | Input::NixosGenerators(input) => {
            let boots = &plan.definition.verify.boots;
            let purpose = nix_image::Purpose { system, boots };
            let built = nix_image::build(plan.input.driver(), input, purpose, work, events);
            Ok(built.map_err(DriverError::from)?)
        }
    }
}

/// Runs the tarball builder in `output`, the folder that Nix made.
pub(crate) fn run_builder(
    plan: &Plan,
    input: &NixosWslInput,
    output: &Path,
    (source, tools): (Source, Vec<ManifestTool>),
    work: &Path,
    events: Events<'_>,
) -> Result<BuildOutput, MakeError> {
    let job = nixos_wsl::TarballBuilder {
        program: &output.join("bin/nixos-wsl-tarball-builder"),
        system: &plan.definition.system,
        closure: None,
        work,
        sudo: input.sudo,
        source,
        tools,
    };
    let built = nixos_wsl::build(job, &mut |event| events(Event::Driver(event)));
    Ok(built.map_err(DriverError::from)?)
}

/// Puts what the driver made into its final form: the file `output`, and what belongs beside it.
pub(crate) fn finish(
    plan: &Plan,
    built: &BuildOutput,
    output: &Path,
    work: &Path,
    threads: NonZero<usize>,
    events: Events<'_>,
) -> Result<Finished, MakeError> {
    events(Event::Started(Step::Finish));
    let job = FinishJob {
        kind: plan.definition.kind,
        input: &built.file,
        work,
        output,
        compression: plan.definition.compression(),
        bmap: plan.definition.finish.bmap,
        threads: threads.get(),
    };
    let progress = |done, total| events(Event::Progress { step: Step::Finish, done, total });
    let finished = finish::finish(&job, &progress)?;
    for notice in &finished.notices {
        events(Event::Notice(notice.clone()));
    }
    events(Event::Finished(Step::Finish));
    Ok(finished)
}

/// Judges the finished file, from the disk: what is shipped is what was judged. Returns its treemap
/// as well, where its files could be seen.
fn verify(
    plan: &Plan,
    path: &Path,
    artifact: &Artifact,
    events: Events<'_>,
) -> Result<(VerificationReport, Option<String>), MakeError> {
    let io = |cause| MakeError::Io { path: path.to_owned(), cause };
    let file = File::open(path).map_err(io)?;
    let trust = match &plan.input {
        Input::NixosWsl(input) => Trust::of_nix(Some((input.nix.clone(), input.options.clone()))),
        Input::NixImage(input) | Input::NixosGenerators(input) => {
            Trust::of_nix(Some((input.nix.clone(), input.options.clone())))
        }
        Input::Prebuilt { .. } | Input::Mini { .. } => Trust::of_machine(),
    };
    let verification = crate::verify::Verification {
        expected: Expected::Kind(plan.definition.kind),
        boards: &plan.definition.verify.boards,
        boots: &plan.definition.verify.boots,
        work: &plan.work,
        system: Some(&plan.definition.system),
        file_name: Some(&artifact.file),
        waivers: &plan.definition.verify.waive,
        trust: Some(&trust),
        manifest: None,
    };
    let seen = Mutex::new(None);
    let see = |opened: &Opened| {
        let sizes = Sizes::of(opened, &artifact.file, artifact.raw.size);
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(sizes);
    };
    let report = crate::verify::judge(file, &verification, Some(&see), events)
        .map_err(|cause| MakeError::Verify { path: path.to_owned(), cause })?;
    let read = crate::verify::digests(&report);
    if read != artifact.digests || report.subject.raw.is_some_and(|raw| raw != artifact.raw) {
        let (path, written) = (path.to_owned(), artifact.digests);
        return Err(MakeError::ReadBack { path, written, read });
    }
    let sizes = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let format = report.subject.format.clone().unwrap_or_default();
    let treemap = sizes.map(|sizes| {
        let (file, raw, compression) =
            (artifact.digests.size, artifact.raw.size, artifact.compression);
        Measured { file, compression, format, raw, cut: None, sizes }.svg()
    });
    Ok((report, treemap))
}

pub(crate) fn create_dir(path: &Path) -> Result<PathBuf, MakeError> {
    fs::create_dir(path).map_err(|cause| MakeError::Io { path: path.to_owned(), cause })?;
    Ok(path.to_owned())
}
