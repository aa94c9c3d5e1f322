//! The last step of making an image: one new file, deterministic, and its digests.
//!
//! The input is judged by the same checks as the finished file, because a damaged input must not
//! come out looking good. If it is compressed, that is its only reading, and its raw bytes are kept
//! in a file of the work folder; a plain archive stays where it is. Its members are sorted
//! (`index`) and written again (`tar`) through a parallel compressor (`gzip`).
//!
//! Memory grows with the number of members, by some 200 bytes for each, and not with their size.

mod deflate;
mod gzip;
mod index;
mod tar;

use std::{
    ffi::OsStr,
    fmt,
    fs::{self, File},
    io::{self, BufReader, Read as _, Seek as _, Write},
    panic::resume_unwind,
    path::{Path, PathBuf},
    thread,
};

use image_host::{
    disk,
    interrupt::{self, Interrupted},
};
use image_model::{Artifact, Compression, CompressionSpec, Digests, Severity, VerificationReport};
use image_verify::{Request, VerifyError, container};

use gzip::GzipWriter;
use index::{Index, IndexError};
use tar::WriteError;

pub use index::{Defect, Refusal};

use crate::verify::Interruptible;

/// Checks of severity error that the input may fail, because rewriting mends what they found, or
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

/// How much of an archive is read at once for its headers.
const READ_AHEAD: usize = 256 << 10;

/// One file to be made from another.
#[derive(Clone, Copy, Debug)]
pub struct FinishJob<'a> {
    /// A tar archive: plain, or in gzip, xz or zstd.
    pub input: &'a Path,
    /// A folder for temporary files. There must be room for the raw bytes of the input.
    pub work: &'a Path,
    /// The new file. It is complete and on the disk when [`finish`] returns.
    pub output: &'a Path,
    /// What is put around the raw bytes.
    pub compression: CompressionSpec,
    /// How many threads compress. The output does not depend on it.
    pub threads: usize,
}

/// What was made, and from what.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The new file.
    pub artifact: Artifact,
    /// The input, as it was read.
    pub input: Digests,
    /// What was left out of the image, one sentence each.
    pub notices: Vec<String>,
}

/// Is told how many bytes the current pass has done, and of how many if that is known. There are two:
/// reading a compressed input, and writing the contents of its members.
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
    #[error("{} has errors that only making it again can mend: {}", path.display(), Errors(report))]
    Defective {
        /// The input.
        path: PathBuf,
        /// What is wrong with it.
        report: Box<VerificationReport>,
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
    #[error(
        "no room for {what} in {}: {written} bytes were written and {available} are left; {needed}",
        path.display()
    )]
    NoRoom {
        /// The folder.
        path: PathBuf,
        /// What was to be written.
        what: &'static str,
        /// How many bytes of it were written.
        written: u64,
        /// How many bytes are left there.
        available: u64,
        /// How many it takes.
        needed: Needed,
        /// Why.
        #[source]
        cause: io::Error,
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

/// How many bytes a file takes, as far as that is known before it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// Nobody knows until the input has been uncompressed.
    Unknown,
    /// Not more than this.
    AtMost(u64),
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("how many it takes is not known before its end"),
            Self::AtMost(bytes) => write!(f, "it takes {bytes} at most"),
        }
    }
}

/// The first error of a report and how many more there are.
struct Errors<'a>(&'a VerificationReport);

impl fmt::Display for Errors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut errors = unmended(self.0);
        if let Some(first) = errors.next() {
            write!(f, "{}: {} [{}]", first.at, first.message, first.check)?;
        }
        match errors.count() {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

fn unmended(report: &VerificationReport) -> impl Iterator<Item = &image_model::Finding> {
    report
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Error && !MENDED.contains(&f.check.as_ref()))
}

impl FinishError {
    /// True if the input is at fault, false if the machine is.
    pub fn is_defect(&self) -> bool {
        matches!(self, Self::Defective { .. } | Self::Refused { .. })
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
        // It may never have been made.
        let _ = fs::remove_file(job.output);
    }
    result
}

fn try_finish(job: &FinishJob<'_>, progress: Progress<'_>) -> Result<Finished, FinishError> {
    let input_error = |cause| FinishError::Input { path: job.input.to_owned(), cause };
    let input = File::open(job.input).map_err(input_error)?;
    let (report, rewritten) = if is_plain(&input).map_err(input_error)? {
        // What is written while the input is still being judged does not outlive a bad report.
        thread::scope(|scope| {
            let judge = scope.spawn(|| judge(job, &input, None, &|_, _| {}));
            let rewritten = rewrite(job, &input, progress);
            let report = judge.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            Ok::<_, FinishError>((sound(job, report)?, rewritten))
        })?
    } else {
        let spool = tempfile::tempfile_in(job.work).map_err(|cause| {
            let path = job.work.to_owned();
            FinishError::Output { path, cause }
        })?;
        let report = sound(job, judge(job, &input, Some(&spool), progress)?)?;
        (report, rewrite(job, &spool, progress))
    };
    let rewritten = rewritten.map_err(|error| match error {
        RewriteError::Refused(refusal) => {
            let (path, report) = (job.input.to_owned(), Box::new(report.clone()));
            FinishError::Refused { path, refusal, report }
        }
        RewriteError::Finish(error) => error,
    })?;
    let name = job.output.file_name().unwrap_or(OsStr::new(""));
    Ok(Finished {
        artifact: Artifact {
            file: name.to_string_lossy().into_owned(),
            format: "tar".to_owned(),
            compression: match job.compression {
                CompressionSpec::Gzip { .. } => Compression::Gzip,
            },
            digests: rewritten.compressed,
            raw: rewritten.raw,
        },
        input: report.subject.digests,
        notices: rewritten.notices,
    })
}

/// The report, if nothing that it says keeps the input from being rewritten.
fn sound(
    job: &FinishJob<'_>,
    report: VerificationReport,
) -> Result<VerificationReport, FinishError> {
    if unmended(&report).next().is_none() {
        return Ok(report);
    }
    let path = job.input.to_owned();
    Err(FinishError::Defective { path, report: Box::new(report) })
}

/// True if the file is a tar without compression: then its raw bytes are itself.
fn is_plain(file: &File) -> io::Result<bool> {
    let mut head = Vec::new();
    file.take(512).read_to_end(&mut head)?;
    Ok(container::compression(&head) == Some(Compression::None))
}

/// Judges the input; its raw bytes go to `spool`, a file without a name that goes with the process.
fn judge(
    job: &FinishJob<'_>,
    input: &File,
    spool: Option<&File>,
    progress: Progress<'_>,
) -> Result<VerificationReport, FinishError> {
    let mut sink = spool;
    let request = Request {
        raw_sink: sink.as_mut().map(|file| file as &mut dyn Write),
        progress: &|now: image_verify::Progress| progress(now.read, Some(now.total)),
        ..Request::default()
    };
    image_verify::verify(&Interruptible(input), request).map_err(|error| match error {
        VerifyError::Sink(cause) => stopped(&cause).unwrap_or_else(|| {
            let written = spool.and_then(|mut file| file.stream_position().ok());
            no_room(job.work, "the raw bytes", written, Needed::Unknown, cause)
        }),
        cause => stopped(&cause)
            .unwrap_or_else(|| FinishError::Verify { path: job.input.to_owned(), cause }),
    })
}

/// An archive that was written again.
struct Rewritten {
    compressed: Digests,
    raw: Digests,
    notices: Vec<String>,
}

/// Why it was not: the input is at fault, or something else is.
enum RewriteError {
    Refused(Box<Refusal>),
    Finish(FinishError),
}

/// Writes the output from the raw bytes of the input.
fn rewrite(
    job: &FinishJob<'_>,
    mut raw: &File,
    progress: Progress<'_>,
) -> Result<Rewritten, RewriteError> {
    let input_error = |cause| {
        let path = job.input.to_owned();
        RewriteError::Finish(stopped(&cause).unwrap_or(FinishError::Input { path, cause }))
    };
    raw.rewind().map_err(input_error)?;
    let index = Index::read(BufReader::with_capacity(READ_AHEAD, raw));
    let index = index.map_err(|error| match error {
        IndexError::Refused(refusal) => RewriteError::Refused(refusal),
        IndexError::Io(cause) => input_error(cause),
    })?;
    let total = Some(index.content);
    let written = write(job, &index, raw, &|done| progress(done, total));
    let done = written.map_err(|error| match error {
        WriteError::Refused(refusal) => RewriteError::Refused(refusal),
        WriteError::Input(cause) => input_error(cause),
        WriteError::Output(cause) => RewriteError::Finish(output_error(job, &index, cause)),
        WriteError::Interrupted(interrupted) => RewriteError::Finish(interrupted.into()),
    })?;
    Ok(Rewritten { compressed: done.compressed, raw: done.raw, notices: notices(&index) })
}

fn write(
    job: &FinishJob<'_>,
    index: &Index,
    raw: &File,
    progress: &dyn Fn(u64),
) -> Result<gzip::Finished<File>, WriteError> {
    let CompressionSpec::Gzip { level } = job.compression;
    let output = File::create(job.output).map_err(WriteError::Output)?;
    let mut gzip = GzipWriter::new(output, level, job.threads).map_err(WriteError::Output)?;
    tar::write(index, raw, &mut gzip, progress)?;
    let done = gzip.finish().map_err(WriteError::Output)?;
    interrupt::check()?;
    done.output.sync_all().map_err(WriteError::Output)?;
    Ok(done)
}

fn notices(index: &Index) -> Vec<String> {
    let mut notices = Vec::new();
    if index.foreign_attributes > 0 {
        notices.push(format!(
            "{} files had security.selinux, security.ima or security.evm attributes, which belong to \
             the machine that made the archive; they were left out",
            index.foreign_attributes
        ));
    }
    notices
}

/// The error to give if `error` comes from Ctrl-C.
fn stopped(error: &(dyn std::error::Error + 'static)) -> Option<FinishError> {
    interrupt::caused(error).then_some(FinishError::Interrupted(Interrupted))
}

fn output_error(job: &FinishJob<'_>, index: &Index, cause: io::Error) -> FinishError {
    let written = fs::metadata(job.output).ok().map(|file| file.len());
    // Of a member there is at most its content, three blocks and what its attributes take.
    let heads = index.entries.len() as u64 * 2048;
    let needed = Needed::AtMost(index.content.saturating_add(heads));
    let path = job.output.parent().unwrap_or(job.output);
    no_room(path, "the finished file", written, needed, cause)
}

fn no_room(
    path: &Path,
    what: &'static str,
    written: Option<u64>,
    needed: Needed,
    cause: io::Error,
) -> FinishError {
    let path = path.to_owned();
    if !matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return FinishError::Output { path, cause };
    }
    let available = disk::available(&path).unwrap_or_default();
    FinishError::NoRoom {
        path,
        what,
        written: written.unwrap_or_default(),
        available,
        needed,
        cause,
    }
}
