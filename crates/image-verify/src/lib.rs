//! Judges images: one function a format, one constant a check. No effects: the same bytes give the
//! same report.
//!
//! [`verify`] reads a file once, from front to back: it is read and hashed, uncompressed, and an
//! archive is judged, at the same time, in three threads that hand each other a few buffers. The
//! raw bytes of a disk are kept, and judged when all are there. Memory grows with the number of
//! files and not with their size.

/// Declares checks as constants and collects them in a table. The documentation of each constant is
/// also what `cargo xtask explain` prints, so the two cannot differ. It stands before the modules
/// because these see it only then.
macro_rules! checks {
    (
        $(#[doc = $table_doc:literal])* $table:ident:
        $(
            $(#[doc = $doc:literal])+
            $name:ident = $id:literal, $severity:ident;
            reads $reads:literal;
            spec $spec:literal;
        )*
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
        )*
        $(#[doc = $table_doc])*
        pub static $table: &[&image_model::Check] = &[$(&$name),*];
    };
}

pub mod container;
pub mod disc;
pub mod disk;
pub mod el_torito;
pub mod ext4;
pub mod fat;
pub mod gpt;
pub mod gzip;
pub mod hybrid;
pub mod iso9660;
pub mod kind;
pub mod mbr;
mod names;
mod record;
pub mod squashfs;
mod stream;
pub mod tar;
pub mod tree;
pub mod volume;

use std::{borrow::Cow, io, io::BufRead as _, sync::Arc, thread};

use image_formats::{
    bytes::{ReadAt, ReadError, Region},
    units::ByteOffset,
};
use image_model::{
    Board, Boot, Check, Compression, Digests, ImageKind, Location, REPORT_SCHEMA, Sha256, Subject,
    VerificationReport, Verifier, Waiver,
};
use sha2::Digest as _;

pub use container::open_raw;
use container::{Head, RawFormat, file_at};
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
        disk::CHECKS,
        mbr::CHECKS,
        gpt::CHECKS,
        fat::CHECKS,
        ext4::CHECKS,
        iso9660::CHECKS,
        el_torito::CHECKS,
        hybrid::CHECKS,
        squashfs::CHECKS,
        kind::wsl::CHECKS,
        kind::wsl::NIXOS_CHECKS,
        kind::sd::CHECKS,
        kind::iso::CHECKS,
        CHECKS,
    ];
    tables.into_iter().flatten().copied()
}

/// What an image may cost. What exceeds a limit is a finding, and reading stops.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most raw bytes.
    pub raw_len: u64,
    /// Up to so many raw bytes of an archive the ratio does not matter.
    pub unchecked_raw_len: u64,
    /// Up to so many raw bytes of a disk the ratio does not matter: a new card is mostly zeros.
    pub unchecked_disk_len: u64,
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
            unchecked_disk_len: 4 << 30,
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

/// What an image is expected to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// An archive is for WSL, a disk with a partition table for a board, a disc to boot from where
    /// there is something to boot.
    #[default]
    Guess,
    /// An image for this.
    Kind(ImageKind),
    /// Whatever it is for: only its format is judged.
    AnyKind,
    /// Whatever it is: only what is around the raw bytes is judged.
    AnyImage,
}

/// Where the raw bytes of a compressed disk go: its structures refer to each other in all
/// directions, so they cannot be judged as they pass by.
pub trait Scratch: io::Write {
    /// All that was written.
    fn finish(&mut self) -> io::Result<Arc<dyn ReadAt>>;
}

/// In memory: for small images.
impl Scratch for Vec<u8> {
    fn finish(&mut self) -> io::Result<Arc<dyn ReadAt>> {
        Ok(Arc::new(std::mem::take(self)))
    }
}

/// What to judge, and how.
pub struct Request<'a> {
    /// What the image is expected to be.
    pub expected: Expected,
    /// Name of the file, for the rules about names.
    pub file_name: Option<&'a str>,
    /// The system that the image is for, in Nix's words, where somebody said so.
    pub system: Option<&'a str>,
    /// The boards that the image promises to boot on; none where nobody promised anything.
    pub boards: &'a [Board],
    /// The ways in which a disc promises to boot; none where nobody promised anything.
    pub boots: &'a [Boot],
    /// Checks that may fail.
    pub waivers: &'a [Waiver],
    /// What the image may cost.
    pub limits: Limits,
    /// Gets every raw byte.
    pub raw_sink: Option<&'a mut dyn io::Write>,
    /// Gets every raw byte of a disk that is compressed, and of everything where
    /// [`Expected::AnyImage`] is asked for.
    pub scratch: Option<&'a mut dyn Scratch>,
    /// Is told how far the reading is, some thousand times a gigabyte.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            expected: Expected::default(),
            file_name: None,
            system: None,
            boards: &[],
            boots: &[],
            waivers: &[],
            limits: Limits::default(),
            raw_sink: None,
            scratch: None,
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
    /// The raw bytes cannot be read where they were written.
    #[error("cannot read the raw bytes of the image")]
    Raw(#[source] ReadError),
    /// A compressed disk, and no place for its raw bytes.
    #[error("a compressed disk cannot be judged without a place for its raw bytes")]
    NoScratch,
}

/// How often the file is read again for contents that turned out to be wanted after they went by:
/// one file may name another.
const MAX_EXTRA_PASSES: usize = 3;

/// Judges the image in `source`.
pub fn verify(
    source: Arc<dyn ReadAt>,
    mut request: Request<'_>,
) -> Result<VerificationReport, VerifyError> {
    let file_len = source.len().map_err(|cause| VerifyError::Read { offset: 0, len: 0, cause })?;
    let mut out = Recorder::default();
    out.announce(container::CHECKS);
    out.announce(CHECKS);

    let head = read_head(&*source, file_len)?;
    let compression = match container::sniff(&head) {
        Head::Compressed(compression) => Some(compression),
        Head::Raw(_) => Some(Compression::None),
        Head::Other(_) if file_len == 0 => {
            out.expect(&container::NOT_EMPTY, false, || {
                (file_at("file", 0, 0), "the file has no bytes".to_owned())
            });
            None
        }
        Head::Other(what) => {
            out.expect(&container::CONTAINER, false, || {
                let message = format!("the file is {what}, not an image, compressed or not");
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
    }

    let wants_tree = matches!(request.expected, Expected::Guess | Expected::Kind(ImageKind::Wsl));
    let mut tree = wants_tree.then(|| Tree::new(&kind::wsl::INTERESTS));
    let Request { expected, limits, progress, .. } = request;
    let job = Job { source: &source, file_len, limits, progress, expected };
    let sinks = Sinks { raw: request.raw_sink.take(), scratch: request.scratch.take() };
    let passed = job.pass(compression, sinks, tree.as_mut(), &mut out)?;

    let compression = compression.unwrap_or(Compression::None);
    let (mut kind, mut format) = (None, None);
    match (passed.format, &passed.disk) {
        (Some(RawFormat::Tar), _) => {
            format = Some("tar");
            if let Some(tree) = &mut tree {
                kind = Some(ImageKind::Wsl);
                job.supply_missing(tree)?;
                let Request { file_name, system, .. } = request;
                out.announce(kind::wsl::CHECKS);
                // Of a part of an image nobody knows what is missing in the whole.
                if passed.raw.is_some() && tree.is_complete() && !tree.is_empty() {
                    let image = kind::Image { tree, compression, file_name, system };
                    kind::wsl::verify(&image, &mut out);
                }
            }
        }
        (Some(RawFormat::Disk), _) if expected == Expected::AnyImage => format = Some("disk"),
        (Some(RawFormat::Disk), Some(bytes)) => {
            let disk = disk::verify(bytes, &mut out).map_err(VerifyError::Raw)?;
            format = Some(disk.format());
            let is_sd = match expected {
                Expected::Kind(kind) => kind == ImageKind::Sd,
                Expected::Guess => disk.table.is_some(),
                Expected::AnyKind | Expected::AnyImage => false,
            };
            if is_sd {
                kind = Some(ImageKind::Sd);
                let promise = kind::sd::Promise { boards: request.boards };
                kind::sd::verify(&disk, promise, &mut out);
            }
            disk.trouble().map_err(VerifyError::Raw)?;
        }
        (Some(RawFormat::Iso), _) if expected == Expected::AnyImage => format = Some("iso9660"),
        (Some(RawFormat::Iso), Some(bytes)) => {
            let disc = disc::verify(bytes, &mut out).map_err(VerifyError::Raw)?;
            format = Some("iso9660");
            let is_iso = match expected {
                Expected::Kind(kind) => kind == ImageKind::Iso,
                Expected::Guess => !disc.boot.is_empty(),
                Expected::AnyKind | Expected::AnyImage => false,
            };
            if is_iso {
                kind = Some(ImageKind::Iso);
                let promise = kind::iso::Promise { boots: request.boots };
                kind::iso::verify(&disc, promise, &mut out);
            }
            disc.trouble().map_err(VerifyError::Raw)?;
        }
        _ => {}
    }
    if let (Expected::Kind(wanted), Some(format)) = (expected, format) {
        out.expect(&container::KIND, kind == Some(wanted), || {
            let message = format!("{format}, which is no image for {wanted}");
            (container::raw_at("image", 0, 0), message)
        });
    }
    let kind = kind.or(match expected {
        Expected::Kind(kind) => Some(kind),
        _ => None,
    });
    let subject = Subject {
        format: format.map(Cow::Borrowed),
        compression,
        size: passed.file.size,
        sha256: Some(passed.file.sha256),
        raw: passed.raw,
    };
    let whole = file_at("file", 0, file_len);
    Ok(report(subject, kind, request.waivers, &whole, out))
}

/// The report on a part of an image that was judged alone.
fn report_of_region(
    region: &Region,
    format: Option<&'static str>,
    out: Recorder,
) -> VerificationReport {
    let subject = Subject {
        format: format.map(Cow::Borrowed),
        compression: Compression::None,
        size: region.len(),
        sha256: None,
        raw: None,
    };
    let whole = container::raw_at("region", region.start().0, region.len());
    report(subject, None, &[], &whole, out)
}

fn report(
    subject: Subject,
    kind: Option<ImageKind>,
    waivers: &[Waiver],
    whole: &Location,
    out: Recorder,
) -> VerificationReport {
    let recorded = out.finish(waivers, &UNUSED_WAIVER, whole);
    VerificationReport {
        schema: REPORT_SCHEMA,
        verifier: Verifier {
            name: Cow::Borrowed(env!("CARGO_PKG_NAME")),
            version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        },
        subject,
        kind,
        waivers: waivers.to_vec(),
        totals: recorded.totals,
        outcomes: recorded.outcomes,
        findings: recorded.findings,
        omitted: recorded.omitted,
    }
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

/// Who gets the raw bytes.
struct Sinks<'a> {
    raw: Option<&'a mut dyn io::Write>,
    scratch: Option<&'a mut dyn Scratch>,
}

/// What one pass over the file found out, but for the findings.
struct Passed {
    file: Digests,
    raw: Option<Digests>,
    format: Option<RawFormat>,
    /// The raw bytes of a disk.
    disk: Option<Arc<dyn ReadAt>>,
}

/// What the reader of raw bytes found out about them.
struct Judged {
    /// What they start like.
    format: Option<RawFormat>,
    /// They were read to their end.
    whole: bool,
    /// There were none.
    empty: bool,
    /// All of them, where they were kept.
    kept: Option<Arc<dyn ReadAt>>,
}

/// What is read, and what that may cost.
#[derive(Clone, Copy)]
struct Job<'a> {
    source: &'a Arc<dyn ReadAt>,
    file_len: u64,
    limits: Limits,
    progress: &'a (dyn Fn(Progress) + Sync),
    expected: Expected,
}

impl Job<'_> {
    /// Reads the file once and judges it.
    fn pass(
        self,
        compression: Option<Compression>,
        sinks: Sinks<'_>,
        tree: Option<&mut Tree>,
        out: &mut Recorder,
    ) -> Result<Passed, VerifyError> {
        let Self { source, file_len, limits, progress, .. } = self;
        let (file_sink, file_source) = stream::pipe();
        thread::scope(|scope| {
            let file = scope.spawn(move || read_file(&**source, file_len, file_sink));
            let Some(compression) = compression else {
                drop(file_source);
                return Ok(Passed { file: join(file)?, raw: None, format: None, disk: None });
            };
            let (decoder, raw_source) = if compression == Compression::None {
                (None, file_source)
            } else {
                let (sink, raw_source) = stream::pipe();
                let decoder = scope.spawn(move || decode(compression, file_source, sink));
                (Some(decoder), raw_source)
            };
            let compressed = decoder.is_some();
            let Sinks { raw: raw_sink, scratch } = sinks;
            let mut raw =
                RawStream::new(raw_source, raw_sink, progress, limits, file_len, compressed);
            let judged = self.judge(&mut raw, compressed, scratch, tree, out);
            let (raw_len, raw_digest, over_limit) = (raw.len, raw.digest(), raw.over_limit.take());
            // Dropping it ends the decoder where the image was given up.
            drop(raw);
            let decoded = decoder.map(join);
            let file = join(file)?;
            let judged = judged?;
            let mut whole = judged.whole && over_limit.is_none();
            if let Some(decoded) = decoded {
                whole &= decoded.whole;
                out.absorb(decoded.out);
                if compression == Compression::Zstd && judged.format.is_some_and(RawFormat::is_kept)
                {
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
            let disk = judged.kept.filter(|_| whole);
            Ok(Passed { file, raw, format: judged.format, disk })
        })
    }

    /// Judges raw bytes: those of an archive as they pass by; those of a disk are kept.
    fn judge(
        self,
        raw: &mut RawStream<'_, '_>,
        compressed: bool,
        scratch: Option<&mut dyn Scratch>,
        tree: Option<&mut Tree>,
        out: &mut Recorder,
    ) -> Result<Judged, VerifyError> {
        let first = raw.fill_buf().map_err(VerifyError::Sink)?;
        let head: Vec<u8> = first.iter().copied().take(container::HEAD_LEN).collect();
        if head.is_empty() {
            // Whether that is a defect of its own depends on why nothing came.
            return Ok(Judged { format: None, whole: true, empty: true, kept: None });
        }
        let (format, what) = match container::sniff(&head) {
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
        let mut kept = None;
        let mut whole = true;
        match (format, self.expected, scratch) {
            (Some(RawFormat::Tar), Expected::Guess | Expected::Kind(_) | Expected::AnyKind, _) => {
                out.announce(tar::CHECKS);
                let judged = tar::judge_stream(raw, &self.limits, tree, out);
                whole = judged.map_err(VerifyError::Sink)?;
            }
            // The file is what is asked for.
            (_, _, _) if !compressed => {
                drain(raw, None)?;
                kept = is_kept.then(|| Arc::clone(self.source));
            }
            (_, expected, Some(scratch)) if is_kept || expected == Expected::AnyImage => {
                drain(raw, Some(scratch))?;
                kept = Some(scratch.finish().map_err(VerifyError::Sink)?);
            }
            (_, expected, None) if is_kept && expected != Expected::AnyImage => {
                return Err(VerifyError::NoScratch);
            }
            (_, _, _) => drain(raw, None)?,
        }
        Ok(Judged { format, whole, empty: false, kept })
    }

    /// Reads the file again as often as the tree wants more contents.
    fn supply_missing(self, tree: &mut Tree) -> Result<(), VerifyError> {
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
