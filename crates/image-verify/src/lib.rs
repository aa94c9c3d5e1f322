//! Judges images: one function a format, one constant a check. No effects: the same bytes give the
//! same report.
//!
//! [`verify`] reads an image once, from front to back: the file is read and hashed, uncompressed,
//! and judged at the same time, in three threads that hand each other a few buffers. Memory grows
//! with the number of members and not with their size.

/// Declares checks as constants and collects them in a table. The documentation of each constant
/// is also what `cargo xtask explain` prints, so the two cannot differ. It stands before the modules
/// because these see it only then.
macro_rules! checks {
    (
        $(#[doc = $table_doc:literal])* $table:ident:
        $(
            $(#[doc = $doc:literal])+
            $name:ident = $id:literal, $severity:ident;
            reads $reads:literal;
            spec $spec:literal;
        )+
    ) => {
        $(
            $(#[doc = $doc])+
            pub static $name: image_model::Check = image_model::Check {
                id: $id,
                severity: image_model::Severity::$severity,
                reads: $reads,
                spec: $spec,
                explain: concat!($($doc, "\n"),+),
            };
        )+
        $(#[doc = $table_doc])*
        pub static $table: &[&image_model::Check] = &[$(&$name),+];
    };
}

pub mod container;
pub mod gzip;
pub mod kind;
mod names;
mod record;
mod stream;
pub mod tar;
pub mod tree;

use std::{borrow::Cow, io, thread};

use image_formats::bytes::ReadAt;
use image_model::{
    Check, Compression, Digests, ImageKind, REPORT_SCHEMA, Sha256, Subject, VerificationReport,
    Verifier, Waiver,
};
use sha2::Digest as _;

pub use container::open_raw;
use container::{Head, file_at};
pub use record::{MAX_FINDINGS_PER_CHECK, Recorded, Recorder};
use stream::{RawStream, Sink, Source};
use tree::Tree;

checks! {
    /// The checks of the verification itself.
    CHECKS:

    /// The image definition waives a check that did not fail. The waiver hides the next failure.
    UNUSED_WAIVER = "verify-unused-waiver", Warning;
    reads "the waivers of the image definition";
    spec "docs/architecture.md";
}

/// All checks there are.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    let tables = [
        container::CHECKS,
        gzip::CHECKS,
        container::XZ_CHECKS,
        container::ZSTD_CHECKS,
        tar::CHECKS,
        kind::wsl::CHECKS,
        kind::wsl::NIXOS_CHECKS,
        CHECKS,
    ];
    tables.into_iter().flatten().copied()
}

/// What an image may cost. What exceeds a limit is a finding, and reading stops.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most raw bytes.
    pub raw_len: u64,
    /// Up to so many raw bytes the ratio does not matter.
    pub unchecked_raw_len: u64,
    /// The most raw bytes for each byte of the file.
    pub ratio: u64,
    /// The most members.
    pub members: u64,
    /// The most bytes in all paths together.
    pub names_len: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            raw_len: 64 << 30,
            unchecked_raw_len: 1 << 30,
            ratio: 200,
            members: 1 << 21,
            names_len: 256 << 20,
        }
    }
}

/// How far the reading is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Bytes of the file that were read.
    pub read: u64,
    /// All bytes of the file.
    pub total: u64,
    /// Raw bytes that came out of them.
    pub raw: u64,
}

/// What to judge, and how.
pub struct Request<'a> {
    /// What the image is for; `None` judges its format only.
    pub kind: Option<ImageKind>,
    /// Name of the file, for the rules about names.
    pub file_name: Option<&'a str>,
    /// The system that the image is for, in Nix's words, where somebody said so.
    pub system: Option<&'a str>,
    /// Checks that may fail.
    pub waivers: &'a [Waiver],
    /// What the image may cost.
    pub limits: Limits,
    /// Gets every raw byte.
    pub raw_sink: Option<&'a mut dyn io::Write>,
    /// Is told how far the reading is, some thousand times a gigabyte.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            kind: None,
            file_name: None,
            system: None,
            waivers: &[],
            limits: Limits::default(),
            raw_sink: None,
            progress: &|_| {},
        }
    }
}

/// The machine failed. The image is not at fault.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The file cannot be read.
    #[error("image: cannot read {len} bytes at {offset:#x}")]
    Read {
        /// Where.
        offset: u64,
        /// How many.
        len: u64,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The raw bytes cannot be written.
    #[error("cannot write the raw bytes of the image")]
    Sink(#[source] io::Error),
}

/// How often the file is read again for contents that turned out to be wanted after they went by:
/// one file may name another.
const MAX_EXTRA_PASSES: usize = 3;

/// Judges the image in `source`.
pub fn verify(
    source: &dyn ReadAt,
    request: Request<'_>,
) -> Result<VerificationReport, VerifyError> {
    let file_len = source.len().map_err(|cause| VerifyError::Read { offset: 0, len: 0, cause })?;
    let mut out = Recorder::default();
    out.announce(container::CHECKS);
    out.announce(CHECKS);

    let head = read_head(source, file_len)?;
    let compression = match container::sniff(&head) {
        Head::Image(compression) => Some(compression),
        Head::Other(_) if file_len == 0 => {
            out.expect(&container::NOT_EMPTY, false, || {
                (file_at("file", 0, 0), "the file has no bytes".to_owned())
            });
            None
        }
        Head::Other(what) => {
            out.expect(&container::CONTAINER, false, || {
                let message = format!("the file is {what}, not a tar archive in gzip");
                (file_at("file", 0, 0), message)
            });
            None
        }
    };
    if let Some(compression) = compression {
        let here = || (file_at("file", 0, 0), String::new());
        out.expect(&container::NOT_EMPTY, true, here);
        out.expect(&container::CONTAINER, true, here);
        out.announce(tables(compression));
        out.announce(tar::CHECKS);
    }

    let mut tree = request.kind.map(|kind| match kind {
        ImageKind::Wsl => Tree::new(&kind::wsl::INTERESTS),
    });
    let job = Job { source, file_len, limits: request.limits, progress: request.progress };
    let passed = job.pass(compression, request.raw_sink, tree.as_mut(), &mut out)?;
    if let Some(tree) = &mut tree {
        for _ in 0..MAX_EXTRA_PASSES {
            if tree.missing().is_empty() {
                break;
            }
            job.supply(tree)?;
        }
    }
    if let (Some(kind), Some(tree)) = (request.kind, &tree) {
        let Request { file_name, system, .. } = request;
        let compression = compression.unwrap_or(Compression::None);
        let image = kind::Image { tree, compression, file_name, system };
        match kind {
            ImageKind::Wsl => out.announce(kind::wsl::CHECKS),
        }
        // Of a part of an image nobody knows what is missing in the whole.
        if passed.is_tar && passed.raw.is_some() && tree.is_complete() && !tree.is_empty() {
            match kind {
                ImageKind::Wsl => kind::wsl::verify(&image, &mut out),
            }
        }
    }
    let recorded = out.finish(request.waivers, &UNUSED_WAIVER, &file_at("file", 0, file_len));
    Ok(VerificationReport {
        schema: REPORT_SCHEMA,
        verifier: Verifier {
            name: Cow::Borrowed(env!("CARGO_PKG_NAME")),
            version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        },
        subject: Subject {
            format: passed.is_tar.then_some(Cow::Borrowed("tar")),
            compression: compression.unwrap_or(Compression::None),
            digests: passed.file,
            raw: passed.raw,
        },
        kind: request.kind,
        waivers: request.waivers.to_vec(),
        totals: recorded.totals,
        outcomes: recorded.outcomes,
        findings: recorded.findings,
        omitted: recorded.omitted,
    })
}

/// The checks of a compression.
fn tables(compression: Compression) -> &'static [&'static Check] {
    match compression {
        Compression::None => &[],
        Compression::Gzip => gzip::CHECKS,
        Compression::Xz => container::XZ_CHECKS,
        Compression::Zstd => container::ZSTD_CHECKS,
    }
}

/// The first bytes of the file.
fn read_head(source: &dyn ReadAt, file_len: u64) -> Result<Vec<u8>, VerifyError> {
    let len = file_len.min(container::HEAD_LEN as u64);
    let mut head = vec![0; len as usize];
    let read = source.read_exact_at(0, &mut head);
    read.map_err(|cause| VerifyError::Read { offset: 0, len, cause })?;
    Ok(head)
}

/// What one pass over the file found out, but for the findings.
struct Passed {
    file: Digests,
    raw: Option<Digests>,
    is_tar: bool,
}

/// What is read, and what that may cost.
#[derive(Clone, Copy)]
struct Job<'a> {
    source: &'a dyn ReadAt,
    file_len: u64,
    limits: Limits,
    progress: &'a (dyn Fn(Progress) + Sync),
}

impl Job<'_> {
    /// Reads the file once and judges it.
    fn pass(
        self,
        compression: Option<Compression>,
        raw_sink: Option<&mut dyn io::Write>,
        tree: Option<&mut Tree>,
        out: &mut Recorder,
    ) -> Result<Passed, VerifyError> {
        let Self { source, file_len, limits, progress } = self;
        let (file_sink, file_source) = stream::pipe();
        thread::scope(|scope| {
            let file = scope.spawn(move || read_file(source, file_len, file_sink));
            let Some(compression) = compression else {
                drop(file_source);
                return Ok(Passed { file: join(file)?, raw: None, is_tar: false });
            };
            let (decoder, raw_source) = if compression == Compression::None {
                (None, file_source)
            } else {
                let (sink, raw_source) = stream::pipe();
                let decoder = scope.spawn(move || decode(compression, file_source, sink));
                (Some(decoder), raw_source)
            };
            let compressed = decoder.is_some();
            let mut raw =
                RawStream::new(raw_source, raw_sink, progress, limits, file_len, compressed);
            let judged = tar::judge_stream(&mut raw, &limits, tree, out);
            let (raw_len, raw_digest, over_limit) = (raw.len, raw.digest(), raw.over_limit.take());
            // Dropping it ends the decoder where the tar was given up.
            drop(raw);
            let (decoded, whole) = decoder.map(join).unwrap_or((Recorder::default(), true));
            let file = join(file)?;
            let judged = judged.map_err(VerifyError::Sink)?;
            out.absorb(decoded);
            let whole = whole && judged.whole && over_limit.is_none();
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
            Ok(Passed { file, raw, is_tar: judged.is_tar })
        })
    }

    /// Reads the file again, for the contents that a tree found out too late that it wants. All
    /// limits were met the first time, or apply again.
    fn supply(self, tree: &mut Tree) -> Result<(), VerifyError> {
        let Self { source, file_len, limits, .. } = self;
        let (file_sink, file_source) = stream::pipe();
        thread::scope(|scope| {
            let file = scope.spawn(move || read_file(source, file_len, file_sink));
            // What cannot be read is known since the first pass.
            if let Ok(raw) = open_raw(file_source) {
                let raw = io::BufReader::new(io::Read::take(raw, limits.raw_len));
                let _ = tar::supply(raw, tree);
            }
            join(file).map(|_| ())
        })
    }
}

/// Takes the compression off. What was seen, and whether all could be read.
fn decode(compression: Compression, source: Source, mut sink: Sink) -> (Recorder, bool) {
    let mut out = Recorder::default();
    let whole = match compression {
        Compression::Gzip => gzip::decode(source, &mut sink, &mut out),
        _ => container::decode(compression, source, &mut sink, &mut out),
    };
    // Where the other side has gone nobody wants the rest.
    let _ = sink.flush();
    (out, whole)
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
