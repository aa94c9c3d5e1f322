//! The gate: what may be released.
//!
//! An image passes if its file has the bytes that a passing report of this version of the factory
//! speaks of. What its manifest, its report and its bytes say of each other has to agree in any case:
//! where it does not, the folder is damaged, and nobody can allow that. What may be allowed is an
//! image that others verified, that was found to be defective, or that is not NixOS.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use image_factory::{
    event::Events,
    manifest::{self, ManifestError},
    sizes,
};
use image_model::{
    Artifact, Digests, Driver, ImageKind, Manifest, REPORT_SCHEMA, Severity, Sha256,
    VerificationReport,
};
use sha2::Digest as _;

use crate::{
    check::MAX_DOCUMENT,
    hash::{Opened, hash_all},
    names::check_file,
};

/// Who has to have verified an image.
const VERIFIER: &str = "image-verify";

/// The version of it. All crates of the factory have the same one.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What may pass all the same. It is recorded in the manifest and shown on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Images without a passing report of this version of the factory.
    pub unverified: bool,
    /// Images of the driver `mini`.
    pub mini: bool,
}

/// An image may not be released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// All that is refused, and why.
    #[error("{}", refused(refusals))]
    Refused {
        /// In the order of the images; an image may be refused for several reasons.
        refusals: Vec<Refusal>,
    },
    /// No image is named.
    #[error("no image is named")]
    Nothing,
    /// An image is named twice.
    #[error("{image} is named twice")]
    Twice {
        /// Which.
        image: String,
    },
    /// Something is named that no image is called.
    #[error("no image is called {image:?}")]
    NoName {
        /// What.
        image: String,
    },
    /// The machine failed.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Why an image may not be released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The image.
    pub image: String,
    /// What is wrong, as a sentence without its full stop.
    pub why: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.image, self.why, self.mend)
    }
}

fn refused(refusals: &[Refusal]) -> String {
    let images: BTreeSet<_> = refusals.iter().map(|refusal| refusal.image.as_str()).collect();
    let mut text = match images.len() {
        1 => "an image may not be released".to_owned(),
        count => format!("{count} images may not be released"),
    };
    for refusal in refusals {
        text += &format!("\n  {refusal}");
    }
    text
}

/// An image that may be released.
#[derive(Debug)]
pub(crate) struct Passed {
    /// Its manifest, with the names of `dist/`.
    pub(crate) manifest: Manifest,
    pub(crate) report: VerificationReport,
    /// The report as it was written: its digest is in the manifest.
    pub(crate) report_text: Vec<u8>,
    /// Why it is not verified, and was let in.
    pub(crate) unverified: Option<String>,
    /// What the first frame of a zstd file says of its length.
    pub(crate) content_size: Option<u64>,
    /// Digest of what is hashed before the image, and of the image.
    pub(crate) combined: Option<Sha256>,
    /// The treemap.
    pub(crate) sizes: Option<String>,
    /// The files, in the order of the manifest.
    pub(crate) files: Vec<(PathBuf, Opened)>,
}

/// Judges the images called `names` in the folder `dist`, all of them, before anything is done.
/// `prefix` is asked for what is hashed before an image for [`Passed::combined`].
pub(crate) fn judge(
    dist: &Path,
    names: &[String],
    allowed: Allowed,
    prefix: &dyn Fn(&Manifest) -> Option<Vec<u8>>,
    events: Events<'_>,
) -> Result<Vec<Passed>, GateError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if check_file("", name).is_err() {
            return Err(GateError::NoName { image: name.clone() });
        }
        if !seen.insert(name) {
            return Err(GateError::Twice { image: name.clone() });
        }
    }
    if names.is_empty() {
        return Err(GateError::Nothing);
    }
    let mut refusals = Vec::new();
    let mut images = Vec::new();
    for name in names {
        let mut image = Judge { name, folder: dist.join(name), allowed, refusals: Vec::new() };
        images.push(match image.records() {
            Ok(passed) => passed,
            Err(Problem::Refused) => None,
            Err(Problem::Host(error)) => return Err(error),
        });
        refusals.push(image.refusals);
    }
    for image in images.iter_mut().flatten() {
        let Passed { manifest, files, .. } = image;
        if let Some((_, opened)) = files.first_mut() {
            opened.prefix = prefix(manifest);
        }
    }
    bytes(&mut images, &mut refusals, events)?;
    let refusals: Vec<_> = refusals.into_iter().flatten().collect();
    if refusals.is_empty() {
        Ok(images.into_iter().flatten().collect())
    } else {
        Err(GateError::Refused { refusals })
    }
}

/// Reads the files of all images that were not refused yet, and compares them with their manifests.
fn bytes(
    images: &mut [Option<Passed>],
    refusals: &mut [Vec<Refusal>],
    events: Events<'_>,
) -> Result<(), GateError> {
    let files: Vec<_> = images.iter().flatten().flat_map(|image| &image.files).collect();
    let opened: Vec<_> = files.iter().map(|(_, opened)| opened).collect();
    let mut hashed = Vec::new();
    for (result, (path, _)) in hash_all(&opened, events).into_iter().zip(&files) {
        hashed.push(result.map_err(|cause| GateError::Read { path: path.clone(), cause })?);
    }
    let mut hashed = hashed.into_iter();
    for (image, refusals) in images.iter_mut().zip(refusals) {
        let Some(image) = image else { continue };
        for (index, artifact) in image.manifest.artifacts.iter().enumerate() {
            let Some(file) = hashed.next() else { continue };
            if index == 0 {
                image.content_size = file.content_size;
                image.combined = file.combined;
            }
            if file.digests != artifact.digests {
                let why = format!(
                    "{} was changed after it was verified: its manifest has sha256 {}, and the \
                     file has {}",
                    artifact.file, artifact.digests.sha256, file.digests.sha256
                );
                refusals.push(again(&image.manifest.image, why));
            }
        }
    }
    Ok(())
}

/// A refusal that only making the image again helps against.
fn again(image: &str, why: String) -> Refusal {
    Refusal { image: image.to_owned(), why, mend: format!("cargo xtask image {image}") }
}

/// Why there is nothing to go on with.
enum Problem {
    /// The refusal is noted.
    Refused,
    Host(GateError),
}

/// Judges an image by what is written of it.
struct Judge<'a> {
    name: &'a str,
    folder: PathBuf,
    allowed: Allowed,
    refusals: Vec<Refusal>,
}

impl Judge<'_> {
    fn refuse(&mut self, why: impl Into<String>) {
        self.refusals.push(again(self.name, why.into()));
    }

    fn stop<T>(&mut self, why: impl Into<String>) -> Result<T, Problem> {
        self.refuse(why);
        Err(Problem::Refused)
    }

    /// What its manifest and its report say. `None` if it is refused.
    fn records(&mut self) -> Result<Option<Passed>, Problem> {
        let manifest = self.manifest()?;
        let (report, report_text) = self.report(&manifest)?;
        let is_mini = manifest.source.driver == Driver::Mini || manifest.distribution == "mini";
        if is_mini && !self.allowed.mini {
            self.refusals.push(Refusal {
                image: self.name.to_owned(),
                why: "it is a mini system, and not NixOS".to_owned(),
                mend: format!(
                    "cargo xtask image {} on a machine with Nix, or --allow-mini",
                    self.name
                ),
            });
        }
        let unverified = unverified(manifest.kind, VERSION, &report);
        if let Some(why) = unverified.as_ref().filter(|_| !self.allowed.unverified) {
            self.refusals.push(Refusal {
                image: self.name.to_owned(),
                why: why.clone(),
                mend: format!("cargo xtask image {}, or --allow-unverified", self.name),
            });
        }
        let sizes = self.sizes(&manifest)?;
        let mut files = Vec::new();
        for artifact in &manifest.artifacts {
            files.extend(self.open(artifact)?);
        }
        let passed = Passed {
            manifest,
            report,
            report_text,
            unverified,
            content_size: None,
            combined: None,
            sizes,
            files,
        };
        Ok(self.refusals.is_empty().then_some(passed))
    }

    fn manifest(&mut self) -> Result<Manifest, Problem> {
        let path = self.folder.join(image_factory::MANIFEST);
        let manifest = match manifest::read(&path) {
            Ok(manifest) => manifest,
            Err(ManifestError::Read { cause, .. }) if is_absent(&cause) => {
                let what = if self.folder.is_dir() { &path } else { &self.folder };
                let why = format!("{} is not there", what.display());
                return self.stop(why);
            }
            Err(ManifestError::Read { path, cause }) => {
                return Err(Problem::Host(GateError::Read { path, cause }));
            }
            Err(error) => return self.stop(error.to_string()),
        };
        if manifest.image != self.name {
            return self.stop(format!("{} is that of {}", path.display(), manifest.image));
        }
        let Some(image) = manifest.artifacts.first() else {
            return self.stop(format!("{} names no file", path.display()));
        };
        let mut names = BTreeSet::new();
        let files = manifest.artifacts.iter().map(|artifact| artifact.file.as_str());
        for file in files.chain([manifest.verification.file.as_str()]) {
            if let Err(error) = check_file(self.name, file) {
                return self.stop(format!("{}: {error}", path.display()));
            }
            if !names.insert(file) {
                return self.stop(format!("{} names {file} twice", path.display()));
            }
        }
        if image.digests.size == 0 {
            return self.stop(format!("{} is empty", image.file));
        }
        Ok(manifest)
    }

    /// The report that the manifest names, and its text.
    fn report(&mut self, manifest: &Manifest) -> Result<(VerificationReport, Vec<u8>), Problem> {
        let summary = &manifest.verification;
        let path = self.folder.join(&summary.file);
        let Some(text) = self.document(&path)? else {
            return self.stop(format!("{}, its report, is not there", path.display()));
        };
        if Sha256(sha2::Sha256::digest(&text).into()) != summary.sha256 {
            return self.stop(format!("{} was changed after it was written", path.display()));
        }
        let report: VerificationReport = match serde_json::from_slice(&text) {
            Ok(report) => report,
            Err(error) => {
                let why = "is no report that this version of the factory knows";
                return self.stop(format!("{} {why}: {error}", path.display()));
            }
        };
        if report.schema != REPORT_SCHEMA {
            let shape = report.schema;
            let why = format!("{} has schema {shape}, not {REPORT_SCHEMA}", path.display());
            return self.stop(why);
        }
        if let Some(what) = contradiction(manifest, &report) {
            return self.stop(format!("{} and the manifest do not agree: {what}", path.display()));
        }
        Ok((report, text))
    }

    /// The treemap, if there is one that the sums of the folder have.
    fn sizes(&mut self, manifest: &Manifest) -> Result<Option<String>, Problem> {
        let Some(image) = manifest.artifacts.first() else { return Ok(None) };
        let name = format!("{}.{}", image.file, sizes::SVG);
        let path = self.folder.join(&name);
        let Some(bytes) = self.document(&path)? else { return Ok(None) };
        let sums = self.document(&self.folder.join(image_factory::SUMS))?.unwrap_or_default();
        let sums = String::from_utf8_lossy(&sums);
        let mut lines = sums.lines().filter_map(|line| line.split_once("  "));
        // Whatever nobody vouches for is somebody else's.
        let Some((sum, _)) = lines.find(|(_, file)| *file == name) else { return Ok(None) };
        let written = Sha256(sha2::Sha256::digest(&bytes).into()).to_string();
        match String::from_utf8(bytes) {
            Ok(svg) if sum == written => Ok(Some(svg)),
            _ => {
                self.refuse(format!("{} was changed after it was written", path.display()));
                Ok(None)
            }
        }
    }

    fn open(&mut self, artifact: &Artifact) -> Result<Option<(PathBuf, Opened)>, Problem> {
        let path = self.folder.join(&artifact.file);
        let fail = |cause| Problem::Host(GateError::Read { path: path.clone(), cause });
        match fs::metadata(&path) {
            Err(error) if is_absent(&error) => {
                self.refuse(format!("{} is not there", path.display()));
                return Ok(None);
            }
            Err(error) => return Err(fail(error)),
            // Before it is opened: opening a pipe waits for somebody at its other end.
            Ok(metadata) if !metadata.is_file() => {
                self.refuse(format!("{} is no regular file", path.display()));
                return Ok(None);
            }
            Ok(_) => {}
        }
        let opened = Opened::new(File::open(&path).map_err(fail)?).map_err(fail)?;
        let Digests { size, .. } = artifact.digests;
        if opened.size != size {
            let here = opened.size;
            self.refuse(format!("{} has {here} bytes, and not {size}", path.display()));
            return Ok(None);
        }
        Ok(Some((path, opened)))
    }

    /// A small file; `None` where there is none.
    fn document(&mut self, path: &Path) -> Result<Option<Vec<u8>>, Problem> {
        let fail = |cause| Problem::Host(GateError::Read { path: path.to_owned(), cause });
        match fs::metadata(path) {
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(fail(error)),
            Ok(metadata) if !metadata.is_file() => {
                return self.stop(format!("{} is no regular file", path.display()));
            }
            Ok(_) => {}
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(fail)?;
        file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            return self.stop(format!("{} is too long to be read", path.display()));
        }
        Ok(Some(bytes))
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Where the report speaks of another file than the manifest does. The factory never writes that.
fn contradiction(manifest: &Manifest, report: &VerificationReport) -> Option<String> {
    let image = manifest.artifacts.first()?;
    let subject = &report.subject;
    if subject.digests() != Some(image.digests) {
        let of =
            subject.sha256.map_or("a part of a file".to_owned(), |sum| format!("sha256 {sum}"));
        return Some(format!("it is about {of}, and {} has {}", image.file, image.digests.sha256));
    }
    if subject.compression != image.compression
        || subject.raw.is_some_and(|raw| raw != image.raw)
        || subject.format.as_ref().is_some_and(|format| *format != image.format)
    {
        return Some("they tell another format, compression or length".to_owned());
    }
    (report.totals != manifest.verification.totals).then(|| "their totals differ".to_owned())
}

/// Why an image of this kind counts as not verified by the version `version` of the factory.
pub(crate) fn unverified(
    kind: ImageKind,
    version: &str,
    report: &VerificationReport,
) -> Option<String> {
    let verifier = &report.verifier;
    if verifier.name != VERIFIER || verifier.version != version {
        return Some(format!(
            "it was verified by {} {}, and this is {VERIFIER} {version}",
            verifier.name, verifier.version
        ));
    }
    let is_loud =
        |finding: &&image_model::Finding| finding.severity == Severity::Error && !finding.waived;
    // The findings count as well as their number does.
    let found = report.findings.iter().filter(is_loud).count() as u64;
    let errors = report.totals.errors.max(found);
    if errors > 0 || !report.passed() {
        let first = report.findings.iter().find(is_loud);
        let first = first.map(|finding| format!(", such as {}", finding.check)).unwrap_or_default();
        let errors = if errors == 1 { "an error".to_owned() } else { format!("{errors} errors") };
        return Some(format!("its report has {errors}{first}"));
    }
    match report.kind {
        Some(judged) if judged == kind => None,
        Some(judged) => Some(format!("it was judged as {judged}, and is to be {kind}")),
        None => Some(format!("only its format was judged, and not that it is {kind}")),
    }
}
