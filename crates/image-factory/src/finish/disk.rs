//! Finishing of disks and discs: the same raw bytes, compressed as the definition says, and their
//! block map.

use std::{
    fs::File,
    io::{self, Write as _},
    panic::resume_unwind,
    sync::Arc,
    thread,
};

use image_formats::bytes::ReadAt;
use image_host::{disk::Needed, interrupt};
use image_model::{Artifact, Compression, Digests, ImageKind, Sha256};
use image_verify::container::{self, RawFormat};
use sha2::Digest as _;

use super::{
    FinishError, FinishJob, Finished, MENDED_DISK, Progress, bmap::BlockMap, encode::Encoder, free,
    gzip,
};
use crate::verify::{Interruptible, scratch::Scratch};

/// How much is read at once. Ctrl-C is looked at as often.
const STEP: usize = 1 << 20;

/// Blocks of disks have 512 bytes or a multiple.
const BLOCK: u64 = 512;

/// Makes `job.output` from a disk or disc, which begins like one of `format`. `is_plain`: its raw
/// bytes are the file itself.
pub(super) fn finish(
    job: &FinishJob<'_>,
    input: &File,
    is_plain: bool,
    format: Option<RawFormat>,
    progress: Progress<'_>,
) -> Result<Finished, FinishError> {
    let input_error = |cause| FinishError::Input { path: job.input.to_owned(), cause };
    let judge = |scratch: Option<&mut Scratch<'_>>, progress: Progress<'_>| {
        super::sound(job, super::judge(job, input, scratch, progress)?, MENDED_DISK)
    };
    let (report, written) = if is_plain {
        let raw = Interruptible(input.try_clone().map_err(input_error)?);
        // What is written while the input is still being judged does not outlive a bad report.
        thread::scope(|scope| {
            let judge = scope.spawn(|| judge(None, &|_, _| {}));
            let written = write(job, &(Arc::new(raw) as Arc<dyn ReadAt>), format, progress);
            let report = judge.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            Ok::<_, FinishError>((report, written?))
        })?
    } else {
        let mut scratch = Scratch::new(job.work);
        let report = judge(Some(&mut scratch), progress)?;
        let raw = image_verify::Scratch::finish(&mut scratch);
        let raw = raw.map_err(|cause| super::scratch_error(job, cause))?;
        (report, write(job, &raw, format, progress)?)
    };
    // All of it was read, or the report would not be sound.
    let judged = report.subject.raw.unwrap_or(crate::verify::digests(&report));
    let Written { image, map, format } = written;
    if judged != image.raw {
        let (path, written) = (job.input.to_owned(), image.raw);
        return Err(FinishError::Changed { path, judged, written });
    }
    let mut artifacts = vec![super::artifact(job, format, image.compressed, image.raw)];
    if let Some(map) = map {
        artifacts.push(publish(job, &map)?);
    }
    Ok(Finished { artifacts, input: crate::verify::digests(&report), notices: Vec::new() })
}

struct Written {
    image: gzip::Finished<File>,
    map: Option<String>,
    format: &'static str,
}

/// Writes the output from the raw bytes, and makes their block map.
fn write(
    job: &FinishJob<'_>,
    raw: &Arc<dyn ReadAt>,
    format: Option<RawFormat>,
    progress: Progress<'_>,
) -> Result<Written, FinishError> {
    let input_error = |cause| {
        let path = job.input.to_owned();
        super::stopped(&cause).unwrap_or(FinishError::Input { path, cause })
    };
    let len = raw.len().map_err(input_error)?;
    // What begins like a disk may turn out to be a fixed VHD.
    let begins = format.unwrap_or(RawFormat::Disk);
    let found = container::refine(begins, &**raw).map_err(input_error)?;
    if format.is_some() && !super::suits(job.kind, found, true) {
        return Err(super::wrong_kind(job, found));
    }
    // Where others end, they say themselves, and the checks compare.
    if job.kind == ImageKind::Sd && len % BLOCK != 0 {
        return Err(FinishError::WrongSize { path: job.input.to_owned(), len });
    }
    // Compressors add something to what they cannot compress.
    let needed = Needed::AtMost(len + len / 100 + (1 << 20));
    let output_error = |cause| super::output_error(job, needed, cause);
    let free = || match job.kind {
        ImageKind::Sd => free::free(raw),
        // All of a disc is files, also where an EFI system partition in it has free space.
        _ => Ok(Vec::new()),
    };
    let free = job.bmap.then(free).transpose().map_err(input_error)?;
    let mut map = free.map(BlockMap::new);
    let output = File::create(job.output).map_err(output_error)?;
    let encoder = Encoder::new(output, job.compression, len, job.threads);
    let mut encoder = encoder.map_err(output_error)?;
    let mut buffer = vec![0; STEP];
    let mut at = 0;
    while at < len {
        let step = (len - at).min(STEP as u64);
        let bytes = &mut buffer[..step as usize];
        raw.read_exact_at(at, bytes).map_err(input_error)?;
        if let Some(map) = &mut map {
            map.update(bytes);
        }
        encoder.write_all(bytes).map_err(output_error)?;
        at += step;
        progress(at, Some(len));
    }
    let image = encoder.finish().map_err(output_error)?;
    interrupt::check()?;
    image.output.sync_all().map_err(output_error)?;
    Ok(Written { image, map: map.map(BlockMap::finish), format: found.as_str() })
}

/// Writes the block map.
fn publish(job: &FinishJob<'_>, map: &str) -> Result<Artifact, FinishError> {
    let file = job.map_name();
    let path = job.output.with_file_name(&file);
    let write = || -> io::Result<()> {
        let mut output = File::create(&path)?;
        output.write_all(map.as_bytes())?;
        output.sync_all()
    };
    write().map_err(|cause| FinishError::Output { path: path.clone(), cause })?;
    let sha256 = Sha256(sha2::Sha256::digest(map).into());
    let digests = Digests { size: map.len() as u64, sha256 };
    let compression = Compression::None;
    Ok(Artifact { file, format: "bmap".to_owned(), compression, digests, raw: digests })
}
