//! One pass over a file: it is read and hashed, uncompressed, and judged, in threads that hand each
//! other a few buffers.

use std::{io, io::BufRead as _, sync::Arc, thread};

use image_formats::{
    bytes::{ReadAt, ReadError, Region},
    units::ByteOffset,
};
use image_model::{Compression, Digests, Sha256};
use sha2::Digest as _;

use crate::{
    Expected, Limits, Recorder, Scratch, VerifyError, container,
    container::{Head, RawFormat, file_at, open_raw},
    gzip,
    meter::Meter,
    stream::{self, RawStream, Sink, Source},
    structures::{self, Structures, Wanted},
    tar::{self, Spool},
    tree::Tree,
};

/// How often the file is read again for contents that turned out to be wanted after they went by:
/// one file may name another.
const MAX_EXTRA_PASSES: usize = 3;

/// The first bytes of the file.
pub(crate) fn read_head(source: &dyn ReadAt, file_len: u64) -> Result<Vec<u8>, VerifyError> {
    let len = file_len.min(container::HEAD_LEN as u64);
    let mut head = vec![0; len as usize];
    let read = source.read_exact_at(0, &mut head);
    read.map_err(|cause| VerifyError::Read { offset: 0, len, cause })?;
    Ok(head)
}

/// Who gets the raw bytes.
pub(crate) struct Sinks<'a> {
    pub(crate) raw: Option<&'a mut dyn io::Write>,
    pub(crate) scratch: Option<&'a mut dyn Scratch>,
}

/// What one pass over the file found out, but for the findings.
pub(crate) struct Passed {
    pub(crate) file: Digests,
    pub(crate) raw: Option<Digests>,
    /// What the raw bytes start like.
    pub(crate) format: Option<RawFormat>,
    /// What was found out about a disk or a disc; of a compressed one, only where all of it is
    /// there.
    pub(crate) structures: Option<Structures>,
    /// The contents of an archive whose tree was made, as far as they are asked for: those of a Nix
    /// store. `None` where it is compressed, and there was no place for them.
    pub(crate) archive: Option<tar::TarFiles>,
}

/// What the reader of raw bytes found out about them.
#[derive(Default)]
struct Judged {
    /// What they start like.
    format: Option<RawFormat>,
    /// They were read to their end.
    whole: bool,
    /// There were none.
    empty: bool,
    /// All of them, where they were compressed and were kept.
    kept: Option<Arc<dyn ReadAt>>,
    /// See [`Passed`].
    archive: Option<tar::TarFiles>,
}

/// What a thread found out about a disk or a disc.
type Found = Result<(Structures, Recorder), ReadError>;

/// What is read, and what that may cost.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) source: &'a Arc<dyn ReadAt>,
    pub(crate) file_len: u64,
    pub(crate) limits: Limits,
    pub(crate) meter: &'a Meter<'a>,
    pub(crate) wanted: Wanted<'a>,
}

impl Job<'_> {
    /// Reads the file, which starts like `head`, once and judges it.
    pub(crate) fn pass(
        self,
        head: Head,
        sinks: Sinks<'_>,
        tree: Option<&mut Tree>,
        out: &mut Recorder,
    ) -> Result<Passed, VerifyError> {
        let Self { source, file_len, limits, meter, .. } = self;
        let (file_sink, file_source) = stream::pipe();
        let (file, judged, raw, found) = thread::scope(|scope| {
            let file = scope.spawn(move || read_file(&**source, file_len, file_sink));
            let (compression, plain) = match head {
                Head::Compressed(compression) => (compression, None),
                Head::Raw(format) => (Compression::None, Some(format)),
                Head::Other(_) => {
                    drop(file_source);
                    return Ok((join(file)?, Judged::default(), None, None));
                }
            };
            // A disk that is not compressed is judged where it lies, while it is hashed.
            let structures = plain
                .filter(|format| self.wants_structures(*format))
                .map(|format| scope.spawn(move || self.structures(source, format)));
            let (decoder, raw_source) = if compression == Compression::None {
                (None, file_source)
            } else {
                let (sink, raw_source) = stream::pipe();
                let decoder = scope.spawn(move || decode(compression, file_source, sink));
                (Some(decoder), raw_source)
            };
            let compressed = decoder.is_some();
            let Sinks { raw: raw_sink, scratch } = sinks;
            let mut raw = RawStream::new(raw_source, raw_sink, meter, limits, compressed);
            let judged = self.judge(&mut raw, plain, scratch, tree, out);
            let (raw_len, raw_digest, over_limit) = (raw.len, raw.digest(), raw.over_limit.take());
            // Dropping it ends the decoder where the image was given up.
            drop(raw);
            let decoded = decoder.map(join);
            let found = structures.map(join);
            let file = join(file)?;
            meter.all_read();
            let judged = judged?;
            let mut whole = judged.whole && over_limit.is_none();
            if let Some(decoded) = decoded {
                whole &= decoded.whole;
                out.absorb(decoded.out);
                // Somebody writes it to a card or a stick.
                let is_written = matches!(judged.format, Some(RawFormat::Disk | RawFormat::Iso));
                if compression == Compression::Zstd && is_written {
                    let at = decoded.unsized_frame;
                    out.expect(&container::ZSTD_CONTENT_SIZE, at.is_none(), || {
                        let message = "the frame does not tell the size of its content".to_owned();
                        (file_at("zstd frame header", at.map_or(0, |at| at.0), 0), message)
                    });
                }
            }
            if whole && judged.empty {
                out.expect(&container::TAR_INSIDE, false, || {
                    (file_at("file", 0, file_len), "inside the compression is nothing".to_owned())
                });
            }
            out.expect(&container::EXPANSION_LIMIT, over_limit.is_none(), || {
                let message = over_limit.unwrap_or_default();
                (file_at("file", 0, file_len), format!("{message}; reading stopped there"))
            });
            let sha256 = raw_digest.map_or(file.sha256, Sha256);
            let raw = whole.then_some(Digests { size: raw_len, sha256 });
            Ok::<_, VerifyError>((file, judged, raw, found))
        })?;
        let Judged { format, kept, archive, .. } = judged;
        let found = match (found, kept, format) {
            (None, Some(kept), Some(format)) if raw.is_some() && self.wants_structures(format) => {
                Some(self.structures(&kept, format))
            }
            (found, _, _) => found,
        };
        let structures = match found.transpose().map_err(VerifyError::Raw)? {
            Some((structures, recorded)) => {
                out.absorb(recorded);
                Some(structures)
            }
            None => None,
        };
        Ok(Passed { file, raw, format, structures, archive })
    }

    /// True if more is asked of these raw bytes than their digest.
    fn wants_structures(self, format: RawFormat) -> bool {
        format.is_kept() && self.wanted.expected != Expected::AnyImage
    }

    fn structures(self, bytes: &Arc<dyn ReadAt>, format: RawFormat) -> Found {
        let mut out = Recorder::default();
        let structures = structures::judge(bytes, format, self.wanted, &mut out)?;
        Ok((structures, out))
    }

    /// Judges raw bytes: those of an archive as they pass by; those of a disk are kept. `plain`:
    /// what they are, where they are the file itself.
    fn judge(
        self,
        raw: &mut RawStream<'_, '_>,
        plain: Option<RawFormat>,
        scratch: Option<&mut dyn Scratch>,
        tree: Option<&mut Tree>,
        out: &mut Recorder,
    ) -> Result<Judged, VerifyError> {
        let first = raw.fill_buf().map_err(VerifyError::Sink)?;
        let head: Vec<u8> = first.iter().copied().take(container::HEAD_LEN).collect();
        if head.is_empty() {
            // Whether that is a defect of its own depends on why nothing came.
            return Ok(Judged { whole: true, empty: true, ..Judged::default() });
        }
        let (mut format, what) = match plain.map_or_else(|| container::sniff(&head), Head::Raw) {
            Head::Raw(format) => (Some(format), ""),
            Head::Compressed(_) => (None, "compressed a second time"),
            Head::Other(what) => (None, what),
        };
        let is_kept = format.is_some_and(RawFormat::is_kept);
        if is_kept {
            raw.is_disk();
        }
        out.expect(&container::TAR_INSIDE, format.is_some(), || {
            let message =
                format!("inside the compression is {what}, not a tar archive, a disk or a disc");
            (container::raw_at("raw bytes", 0, 0), message)
        });
        let (mut kept, mut archive) = (None, None);
        let mut whole = true;
        match (format, self.wanted.expected, scratch) {
            (
                Some(RawFormat::Tar),
                Expected::Guess | Expected::Kind(_) | Expected::AnyKind,
                scratch,
            ) => {
                out.announce(tar::CHECKS);
                let mut spool = match scratch {
                    _ if tree.is_none() => Spool::Nowhere,
                    _ if plain.is_some() => {
                        let region = Region::whole(Arc::clone(self.source));
                        Spool::InPlace(region.map_err(VerifyError::Sink)?, Vec::new())
                    }
                    Some(scratch) => Spool::into_scratch(scratch),
                    None => Spool::Nowhere,
                };
                let judged = tar::judge_stream(raw, &self.limits, tree, &mut spool, out);
                whole = judged.map_err(VerifyError::Sink)?;
                archive = spool.finish().map_err(VerifyError::Sink)?;
            }
            // The file is what is asked for.
            (_, _, _) if plain.is_some() => drain(raw, None)?,
            (_, expected, Some(scratch)) if is_kept || expected == Expected::AnyImage => {
                drain(raw, Some(scratch))?;
                let all = scratch.finish().map_err(VerifyError::Sink)?;
                if let Some(format) = &mut format {
                    *format = container::refine(*format, &*all).map_err(VerifyError::Sink)?;
                }
                kept = Some(all);
            }
            (_, expected, None) if is_kept && expected != Expected::AnyImage => {
                return Err(VerifyError::NoScratch);
            }
            (_, _, _) => drain(raw, None)?,
        }
        Ok(Judged { format, whole, empty: false, kept, archive })
    }

    /// Reads the file again as often as the tree wants more contents.
    pub(crate) fn supply_missing(self, tree: &mut Tree) -> Result<(), VerifyError> {
        for _ in 0..MAX_EXTRA_PASSES {
            if tree.missing().is_empty() {
                break;
            }
            self.supply(tree)?;
        }
        Ok(())
    }

    /// Reads the file again, for the contents that a tree found out too late that it wants. All
    /// limits were met the first time, or apply again.
    fn supply(self, tree: &mut Tree) -> Result<(), VerifyError> {
        let Self { source, file_len, limits, .. } = self;
        let (file_sink, file_source) = stream::pipe();
        thread::scope(|scope| {
            let file = scope.spawn(move || read_file(&**source, file_len, file_sink));
            // What cannot be read is known since the first pass.
            if let Ok(raw) = open_raw(file_source) {
                let raw = io::BufReader::new(io::Read::take(raw, limits.raw_len));
                let _ = tar::supply(raw, tree);
            }
            join(file).map(|_| ())
        })
    }
}

/// Reads the rest of the raw bytes, into `scratch` where there is one.
fn drain(
    raw: &mut RawStream<'_, '_>,
    mut scratch: Option<&mut dyn Scratch>,
) -> Result<(), VerifyError> {
    loop {
        let bytes = raw.fill_buf().map_err(VerifyError::Sink)?;
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(scratch) = &mut scratch {
            scratch.write_all(bytes).map_err(VerifyError::Sink)?;
        }
        let len = bytes.len();
        raw.consume(len);
    }
}

/// What a decoder found out.
struct Decoded {
    out: Recorder,
    /// All could be read.
    whole: bool,
    /// The first frame of zstd that does not tell the size of its content.
    unsized_frame: Option<ByteOffset>,
}

/// Takes the compression off.
fn decode(compression: Compression, source: Source, mut sink: Sink) -> Decoded {
    let mut out = Recorder::default();
    let (whole, unsized_frame) = match compression {
        Compression::Gzip => (gzip::decode(source, &mut sink, &mut out), None),
        Compression::Zstd => container::decode_zstd(source, &mut sink, &mut out),
        _ => (container::decode_xz(source, &mut sink, &mut out), None),
    };
    // Where the other side has gone nobody wants the rest.
    let _ = sink.flush();
    Decoded { out, whole, unsized_frame }
}

/// The result of a thread. Where it panicked, so do we.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Reads and hashes the whole file, and hands it on as long as somebody listens.
fn read_file(source: &dyn ReadAt, file_len: u64, mut sink: Sink) -> Result<Digests, VerifyError> {
    let mut hash = sha2::Sha256::new();
    let mut offset = 0;
    let mut wanted = true;
    let mut unwanted = vec![0; 0];
    while offset < file_len {
        let space = if wanted { sink.space() } else { &mut unwanted[..] };
        let len = (file_len - offset).min(space.len() as u64);
        let bytes = &mut space[..len as usize];
        let read = source.read_exact_at(offset, bytes);
        read.map_err(|cause| VerifyError::Read { offset, len, cause })?;
        hash.update(&*bytes);
        offset += len;
        if wanted && sink.written(len as usize, offset).is_err() {
            wanted = false;
            unwanted = vec![0; stream::CHUNK];
        }
    }
    // Nobody may be there any more, and then nobody wants it.
    let _ = sink.flush();
    Ok(Digests { size: file_len, sha256: Sha256(hash.finalize().into()) })
}
