//! The last step of making an image: one new file, deterministic, and its digests.
//!
//! The input is judged by the same checks as the finished file, because a damaged input must not
//! come out looking good. If it is compressed, that is its only reading, and its raw bytes are kept
//! in a file of the work folder whose zeros take no room; a plain one stays where it is.
//!
//! What comes then depends on what it is, which its bytes tell. The members of an [archive] are
//! sorted and written again. Of a [disk] or [disc] no byte is changed, and none of an archive in
//! which digests name the members, a [container] or an [appliance]. All go through a compressor
//! (`encode`) whose output does not depend on how many threads it has, on how the input was
//! compressed, nor on time.
//!
//! Memory grows with the number of members of an archive, by some 200 bytes for each, and not with
//! their size, nor with the size of a disk.
//!
//! [archive]: image_model::ImageKind::Wsl
//! [disk]: image_model::ImageKind::Sd
//! [disc]: image_model::ImageKind::Iso
//! [container]: image_model::ImageKind::Docker
//! [appliance]: image_model::ImageKind::Virtualbox

mod archive;
mod bmap;
mod deflate;
mod disk;
mod encode;
mod free;
mod gzip;
mod index;
mod tar;

use std::{
    borrow::Cow,
    fmt,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Seek as _, Write},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use image_host::{
    disk::{Needed, NoRoom},
    interrupt::{self, Interrupted},
};
use image_model::{
    Artifact, Compression, CompressionSpec, Digests, Finding, ImageKind, Severity,
    VerificationReport,
};
use image_verify::{
    Expected, Request, VerifyError,
    container::{self, RawFormat},
};

pub use index::{Defect, Refusal};

use crate::verify::{
    Interruptible,
    scratch::{Scratch, ScratchError},
};

/// Checks of severity error that an archive may fail, because rewriting mends what they found, or
/// refuses it with a better message.
pub const MENDED: &[&str] = &[
    // The data of all members is one stream for every reader that reads them all, and we do.
    "gzip-single-member",
    // Every reader takes the slash away; the finished archive has none.
    "tar-name-absolute",
    // All names start with `./` afterwards.
    "tar-name-prefix",
    // Files do not care where their content was; a link to nothing is refused.
    "tar-hard-link-target",
    // The root becomes 0755, root's.
    "tar-root-usable",
];

/// The same for a disk or disc.
pub const MENDED_DISK: &[&str] = &[
    // The data of all members, and of all frames, is one stream.
    "gzip-single-member",
    // The finished file has it.
    "zstd-content-size",
];

/// One file to be made from another.
#[derive(Clone, Copy, Debug)]
pub struct FinishJob<'a> {
    /// What it is for: it decides what is done to it, and an input of another kind is refused.
    pub kind: ImageKind,
    /// A tar archive, a disk or a disc: plain, or in gzip, xz or zstd.
    pub input: &'a Path,
    /// A folder for temporary files. There must be room for the raw bytes of a compressed input,
    /// but for its zeros.
    pub work: &'a Path,
    /// The new file. It is complete and on the disk when [`finish`] returns.
    pub output: &'a Path,
    /// What is put around the raw bytes.
    pub compression: CompressionSpec,
    /// Write a block map of a disk or disc beside it, under the name where `bmaptool copy` looks
    /// for it.
    pub bmap: bool,
    /// How many threads compress. The output does not depend on it.
    pub threads: usize,
}

impl FinishJob<'_> {
    /// Name of the output.
    fn file_name(&self) -> Cow<'_, str> {
        self.output.file_name().map(|name| name.to_string_lossy()).unwrap_or_default()
    }

    /// Name of the block map. `bmaptool copy card.img.zst` looks for `card.img.zst.bmap`, and then
    /// for `card.img.bmap`.
    fn map_name(&self) -> String {
        let name = self.file_name();
        let suffix = match self.compression.format() {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Xz => ".xz",
            Compression::Zstd => ".zst",
        };
        format!("{}.bmap", name.strip_suffix(suffix).unwrap_or(&name))
    }
}

/// What was made, and from what.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The new files: the image, and its block map if one was asked for.
    pub artifacts: Vec<Artifact>,
    /// The input, as it was read.
    pub input: Digests,
    /// What was left out of the image, one sentence each.
    pub notices: Vec<String>,
}

/// Is told how many bytes the current pass has done, and of how many if that is known. There are
/// two: reading a compressed input, and writing its raw bytes, or the contents of its members.
pub type Progress<'a> = &'a (dyn Fn(u64, Option<u64>) + Sync);

/// There is no new file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FinishError {
    /// The input cannot be read.
    #[error("cannot read {}", path.display())]
    Input {
        /// The input.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The input cannot be judged.
    #[error("cannot verify {}", path.display())]
    Verify {
        /// The input.
        path: PathBuf,
        /// Why.
        #[source]
        cause: VerifyError,
    },
    /// The input has errors that rewriting does not mend.
    #[error("{} has errors that only making it again can mend: {}", path.display(), Errors(report, mended))]
    Defective {
        /// The input.
        path: PathBuf,
        /// What is wrong with it.
        report: Box<VerificationReport>,
        /// Checks whose failure is not meant.
        mended: &'static [&'static str],
    },
    /// The input is no image of the kind that is wanted.
    #[error("{} is {is}, and no image for {kind} is made of that", path.display())]
    WrongKind {
        /// The input.
        path: PathBuf,
        /// What it is.
        is: &'static str,
        /// What is wanted.
        kind: ImageKind,
    },
    /// A disk that ends within a block.
    #[error("{} is a disk of {len} bytes, which is no multiple of 512: its end is missing", path.display())]
    WrongSize {
        /// The input.
        path: PathBuf,
        /// Length of its raw bytes.
        len: u64,
    },
    /// The members of the input cannot be written again as they were meant.
    #[error("{} cannot be rewritten", path.display())]
    Refused {
        /// The input.
        path: PathBuf,
        /// Which member, where and why.
        #[source]
        refusal: Box<Refusal>,
        /// What the checks say about the input.
        report: Box<VerificationReport>,
    },
    /// The disk is full.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// What was read for writing is not what was judged.
    #[error("{} was read as {judged:?} and then as {written:?}: it was changed meanwhile, or the disk or the memory of this machine is bad", path.display())]
    Changed {
        /// The input.
        path: PathBuf,
        /// Its raw bytes when they were judged.
        judged: Digests,
        /// Its raw bytes when they were written.
        written: Digests,
    },
    /// The output, or a temporary file, cannot be written.
    #[error("cannot write {}", path.display())]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Somebody asked the factory to stop.
    #[error("stopped")]
    Interrupted(#[from] Interrupted),
}

/// The first error of a report and how many more there are.
struct Errors<'a>(&'a VerificationReport, &'static [&'static str]);

impl fmt::Display for Errors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut errors = unmended(self.0, self.1);
        if let Some(first) = errors.next() {
            write!(f, "{}: {} [{}]", first.at, first.message, first.check)?;
        }
        match errors.count() {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

fn unmended<'a>(
    report: &'a VerificationReport,
    mended: &'static [&'static str],
) -> impl Iterator<Item = &'a Finding> {
    report
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Error && !mended.contains(&f.check.as_ref()))
}

impl FinishError {
    /// True if the input is at fault, false if the machine is.
    pub fn is_defect(&self) -> bool {
        matches!(
            self,
            Self::Defective { .. }
                | Self::Refused { .. }
                | Self::WrongKind { .. }
                | Self::WrongSize { .. }
        )
    }

    /// What the checks say about an input that is at fault.
    pub fn report(&self) -> Option<&VerificationReport> {
        match self {
            Self::Defective { report, .. } | Self::Refused { report, .. } => Some(report),
            _ => None,
        }
    }
}

/// Makes `job.output` from `job.input`. If that fails, the output is not there.
pub fn finish(job: &FinishJob<'_>, progress: Progress<'_>) -> Result<Finished, FinishError> {
    let result = try_finish(job, progress);
    if result.is_err() {
        // They may never have been made.
        let _ = fs::remove_file(job.output);
        let _ = fs::remove_file(job.output.with_file_name(job.map_name()));
    }
    result
}

fn try_finish(job: &FinishJob<'_>, progress: Progress<'_>) -> Result<Finished, FinishError> {
    let input_error = |cause| FinishError::Input { path: job.input.to_owned(), cause };
    let input = File::open(job.input).map_err(input_error)?;
    let mut start = BufReader::new(&input);
    let head = start.fill_buf().map_err(input_error)?;
    let around = container::compression(head);
    let format = container::raw_format(&input).map_err(input_error)?;
    // A fixed VHD begins like nothing where the disk in it does.
    let is_plain = around.map_or(format.is_some(), |around| around == Compression::None);
    (&input).rewind().map_err(input_error)?;
    // What is nothing that is known has errors, which the checks name.
    if let Some(found) = format.filter(|format| !suits(job.kind, *format, is_plain)) {
        return Err(wrong_kind(job, found));
    }
    match job.kind {
        ImageKind::Wsl => archive::finish(job, &input, is_plain, progress),
        ImageKind::Sd
        | ImageKind::Iso
        | ImageKind::Vm
        | ImageKind::Docker
        | ImageKind::Virtualbox
        | ImageKind::Amazon => disk::finish(job, &input, is_plain, format, progress),
    }
}

/// True if an image of this kind is made of this. `whole`: all of it was looked at. Of a compressed
/// disk the end is not known yet, and a fixed VHD is known by its end.
fn suits(kind: ImageKind, format: RawFormat, whole: bool) -> bool {
    match kind {
        ImageKind::Wsl => format == RawFormat::Tar,
        ImageKind::Sd => format == RawFormat::Disk,
        ImageKind::Iso => format == RawFormat::Iso,
        ImageKind::Vm => format == RawFormat::Qcow2,
        ImageKind::Docker => format == RawFormat::Docker,
        ImageKind::Virtualbox => format == RawFormat::Ova,
        ImageKind::Amazon => format == RawFormat::Vhd || (format == RawFormat::Disk && !whole),
    }
}

/// The error to give for an input that does not suit.
fn wrong_kind(job: &FinishJob<'_>, found: RawFormat) -> FinishError {
    let is = match (job.kind, found) {
        (ImageKind::Docker, RawFormat::Tar) => {
            "a root file system, which is for `docker import` and not for `docker load`"
        }
        _ => found.what(),
    };
    FinishError::WrongKind { path: job.input.to_owned(), is, kind: job.kind }
}

/// Judges the input: an archive in full, of a disk what is around it. Its raw bytes go to
/// `scratch`.
fn judge(
    job: &FinishJob<'_>,
    input: &File,
    scratch: Option<&mut Scratch<'_>>,
    progress: Progress<'_>,
) -> Result<VerificationReport, FinishError> {
    let mut request = Request {
        progress: &|now: image_verify::Progress| {
            let (_, done, total) = now.under_way();
            progress(done, Some(total));
        },
        ..Request::default()
    };
    if job.kind == ImageKind::Wsl {
        request.expected = Expected::AnyKind;
        request.raw_sink = scratch.map(|scratch| scratch as &mut dyn Write);
    } else {
        request.expected = Expected::AnyImage;
        request.scratch = scratch.map(|scratch| scratch as &mut dyn image_verify::Scratch);
    }
    let source = input
        .try_clone()
        .map_err(|cause| FinishError::Input { path: job.input.to_owned(), cause })?;
    image_verify::verify(Arc::new(Interruptible(source)), request).map_err(|error| match error {
        VerifyError::Sink(cause) => scratch_error(job, cause),
        cause => stopped(&cause)
            .unwrap_or_else(|| FinishError::Verify { path: job.input.to_owned(), cause }),
    })
}

/// The report, if all its errors are of checks that are `mended`.
fn sound(
    job: &FinishJob<'_>,
    report: VerificationReport,
    mended: &'static [&'static str],
) -> Result<VerificationReport, FinishError> {
    if unmended(&report, mended).next().is_none() {
        return Ok(report);
    }
    let path = job.input.to_owned();
    Err(FinishError::Defective { path, report: Box::new(report), mended })
}

/// The finished file.
fn artifact(job: &FinishJob<'_>, format: &str, digests: Digests, raw: Digests) -> Artifact {
    Artifact {
        file: job.file_name().into_owned(),
        format: format.to_owned(),
        compression: job.compression.format(),
        digests,
        raw,
    }
}

/// The error to give if `error` comes from Ctrl-C.
fn stopped(error: &(dyn std::error::Error + 'static)) -> Option<FinishError> {
    interrupt::caused(error).then_some(FinishError::Interrupted(Interrupted))
}

/// The raw bytes could not be kept.
fn scratch_error(job: &FinishJob<'_>, cause: io::Error) -> FinishError {
    let stopped = stopped(&cause);
    stopped.unwrap_or_else(|| match cause.downcast() {
        Ok(ScratchError::NoRoom(full)) => full.into(),
        Ok(ScratchError::Io { folder, cause }) => FinishError::Output { path: folder, cause },
        Err(cause) => FinishError::Output { path: job.work.to_owned(), cause },
    })
}

/// The output could not be written.
fn output_error(job: &FinishJob<'_>, needed: Needed, cause: io::Error) -> FinishError {
    if let Some(stopped) = stopped(&cause) {
        return stopped;
    }
    let written = fs::metadata(job.output)
        .map_or(0, |file| file.blocks().saturating_mul(512).min(file.len()));
    let path = job.output.parent().unwrap_or(job.output);
    match NoRoom::explain(path, "the finished file", written, needed, cause) {
        Ok(full) => full.into(),
        Err(cause) => FinishError::Output { path: job.output.to_owned(), cause },
    }
}
