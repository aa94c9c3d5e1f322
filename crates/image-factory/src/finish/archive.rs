//! Finishing of archives: sorted (`index`), written again (`tar`) through a compressor (`encode`).

use std::{
    fs::File,
    io::{self, BufReader, Seek as _},
    panic::resume_unwind,
    thread,
};

use image_host::{disk::Needed, interrupt};
use image_model::Digests;

use super::{
    FinishError, FinishJob, Finished, MENDED, Progress,
    encode::Encoder,
    gzip,
    index::{Index, IndexError, Refusal},
    tar::{self, WriteError},
};
use crate::verify::scratch::Scratch;

/// How much of an archive is read at once for its headers.
const READ_AHEAD: usize = 256 << 10;

/// Makes `job.output` from an archive. `is_plain`: its raw bytes are the file itself.
pub(super) fn finish(
    job: &FinishJob<'_>,
    input: &File,
    is_plain: bool,
    progress: Progress<'_>,
) -> Result<Finished, FinishError> {
    let (report, rewritten) = if is_plain {
        // What is written while the input is still being judged does not outlive a bad report.
        thread::scope(|scope| {
            let judge = scope.spawn(|| super::judge(job, input, None, &|_, _| {}));
            let rewritten = rewrite(job, input, progress);
            let report = judge.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            Ok::<_, FinishError>((super::sound(job, report, MENDED)?, rewritten))
        })?
    } else {
        let mut scratch = Scratch::new(job.work);
        let report =
            super::sound(job, super::judge(job, input, Some(&mut scratch), progress)?, MENDED)?;
        let raw = scratch.finish().map_err(|cause| super::scratch_error(job, cause))?;
        (report, rewrite(job, &raw, progress))
    };
    let rewritten = rewritten.map_err(|error| match error {
        RewriteError::Refused(refusal) => {
            let (path, report) = (job.input.to_owned(), Box::new(report.clone()));
            FinishError::Refused { path, refusal, report }
        }
        RewriteError::Finish(error) => error,
    })?;
    Ok(Finished {
        artifacts: vec![super::artifact(job, "tar", rewritten.compressed, rewritten.raw)],
        input: crate::verify::digests(&report),
        notices: rewritten.notices,
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
        RewriteError::Finish(super::stopped(&cause).unwrap_or(FinishError::Input { path, cause }))
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
    let output = File::create(job.output).map_err(WriteError::Output)?;
    let encoder = Encoder::new(output, job.compression, tar::len(index)?, job.threads);
    let mut encoder = encoder.map_err(WriteError::Output)?;
    tar::write(index, raw, &mut encoder, progress)?;
    let done = encoder.finish().map_err(WriteError::Output)?;
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

fn output_error(job: &FinishJob<'_>, index: &Index, cause: io::Error) -> FinishError {
    // Of a member there is at most its content, three blocks and what its attributes take.
    let heads = index.entries.len() as u64 * 2048;
    super::output_error(job, Needed::AtMost(index.content.saturating_add(heads)), cause)
}
