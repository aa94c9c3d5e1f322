//! Judges images: one function a format, one constant a check. No effects: the same bytes give the
//! same report.
//!
//! [`verify`] reads a file once, from front to back: it is read and hashed, uncompressed, and an
//! archive is judged, at the same time, in three threads that hand each other a few buffers. A disk
//! or a disc is judged where it lies while it is hashed; the raw bytes of a compressed one are
//! kept, and judged when all are there. Memory grows with the number of files and not with their
//! size.

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

mod archive;
pub mod compare;
pub mod container;
pub mod disc;
pub mod disk;
pub mod docker;
pub mod el_torito;
pub mod ext4;
pub mod fat;
pub mod gpt;
pub mod gzip;
pub mod hybrid;
pub mod iso9660;
pub mod kind;
pub mod manifest;
pub mod mbr;
mod members;
mod meter;
mod names;
pub mod opened;
pub mod ova;
mod pass;
pub mod qcow2;
mod record;
pub mod release;
mod request;
pub mod squashfs;
pub mod store;
mod stream;
mod structures;
pub mod tar;
pub mod tree;
pub mod vhd;
pub mod vmdk;
pub mod volume;

use std::{borrow::Cow, sync::Arc};

use image_formats::bytes::{ReadAt, Region};
use image_model::{
    Check, Compression, ImageKind, Location, REPORT_SCHEMA, Subject, VerificationReport, Verifier,
    Waiver,
};

pub use container::open_raw;
use container::{Head, RawFormat, file_at};
use meter::Meter;
use pass::{Job, Sinks};
pub use record::{MAX_FINDINGS_PER_CHECK, Recorded, Recorder};
pub use request::{
    AskSignatures, Expected, Limits, PathSignatures, Progress, Request, Scratch, UnderWay,
    VerifyError,
};
use structures::Wanted;
use tree::Tree;

checks! {
    /// The checks of the verification itself.
    CHECKS:

    /// The image definition waives a check that did not fail. The waiver hides the next failure.
    UNUSED_WAIVER = "verify-unused-waiver", Warning;
    reads "the waivers of the image definition";
    spec "docs/architecture.md";
}

/// All checks of images there are. Those of releases are [`release::CHECKS`].
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
        iso9660::rock_ridge::CHECKS,
        el_torito::CHECKS,
        hybrid::CHECKS,
        squashfs::CHECKS,
        qcow2::CHECKS,
        vhd::CHECKS,
        kind::wsl::CHECKS,
        kind::wsl::NIXOS_CHECKS,
        kind::sd::CHECKS,
        kind::iso::CHECKS,
        kind::vm::CHECKS,
        ova::CHECKS,
        vmdk::CHECKS,
        kind::virtualbox::CHECKS,
        docker::CHECKS,
        kind::docker::CHECKS,
        store::CHECKS,
        store::trust::CHECKS,
        manifest::CHECKS,
        CHECKS,
    ];
    tables.into_iter().flatten().copied()
}

/// Judges the image in `source`.
pub fn verify(
    source: Arc<dyn ReadAt>,
    mut request: Request<'_>,
) -> Result<VerificationReport, VerifyError> {
    let file_len = source.len().map_err(|cause| VerifyError::Read { offset: 0, len: 0, cause })?;
    let mut out = Recorder::default();
    out.announce(container::CHECKS);
    out.announce(CHECKS);

    // Who reads all of the file tells where it cannot be read.
    let tail = container::read_tail(&*source).unwrap_or_default();
    let head = container::sniff_whole(&pass::read_head(&*source, file_len)?, &tail);
    let compression = match head {
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

    let mut tree = match request.expected {
        Expected::Guess | Expected::Kind(ImageKind::Wsl) => Some(Tree::new(&kind::wsl::INTERESTS)),
        Expected::AnyKind => Some(Tree::default()),
        Expected::Kind(_) | Expected::AnyImage => None,
    };
    let Request { expected, system, boards, boots, limits, progress, .. } = request;
    let meter = Meter::new(progress, file_len);
    let store = store::Asked {
        vouchers: store::Vouchers { keys: request.trusted_keys, signatures: request.signatures },
        progress: &|proof| meter.prove(proof),
        ..store::Asked::default()
    };
    let opened = request.opened;
    let wanted = Wanted { expected, system, boards, boots, store, opened, limits };
    let job = Job { source: &source, file_len, limits, meter: &meter, wanted };
    let sinks = Sinks { raw: request.raw_sink.take(), scratch: request.scratch.take() };
    let passed = job.pass(head, sinks, tree.as_mut(), &mut out)?;

    let compression = compression.unwrap_or(Compression::None);
    let (mut kind, mut format, mut ways) = (None, None, Vec::new());
    let (mut stores, mut not_verified, mut layout) = (Vec::new(), Vec::new(), None);
    match passed.format {
        Some(RawFormat::Tar) => {
            format = Some("tar");
            if let Some(mut tree) = tree.take() {
                let is_wsl = expected != Expected::AnyKind;
                if is_wsl {
                    kind = Some(ImageKind::Wsl);
                    job.supply_missing(&mut tree)?;
                    out.announce(kind::wsl::CHECKS);
                }
                // Of a part of an image nobody knows what is missing in the whole.
                if passed.raw.is_some() {
                    let Request { file_name, system, .. } = request;
                    let wsl = |tree: &Tree, out: &mut Recorder| {
                        let image = kind::Image { tree, compression, file_name, system };
                        kind::wsl::verify(&image, out);
                    };
                    let wsl = is_wsl.then_some(&wsl as &archive::Wsl<'_>);
                    let asked = archive::Asked { wsl, store, opened };
                    let judged = archive::judge(tree, passed.archive, asked, &mut out);
                    let judged = judged.map_err(VerifyError::Raw)?;
                    not_verified = judged.not_verified;
                    for store in judged.stores {
                        stores.push(store.report);
                        not_verified.extend(store.not_verified);
                    }
                }
            }
        }
        Some(other) if expected == Expected::AnyImage => format = Some(other.as_str()),
        _ => {}
    }
    if let Some(found) = passed.structures {
        (kind, format, ways) = (found.kind, Some(found.format), found.boots);
        (stores, not_verified, layout) = (found.stores, found.not_verified, found.layout);
    }
    if let (Expected::Kind(wanted), Some(format)) = (expected, format) {
        out.expect(&container::KIND, kind == Some(wanted), || {
            let hint = match (wanted, passed.format) {
                (ImageKind::Docker, Some(RawFormat::Tar)) => {
                    ": a root file system for `docker import`, and not for `docker load`"
                }
                (ImageKind::Wsl, Some(RawFormat::Docker)) => {
                    ": the root file system is in its layers, `docker export` writes it"
                }
                (ImageKind::Wsl, Some(RawFormat::Vhd)) => ": import it with --vhd",
                (ImageKind::Wsl, Some(RawFormat::Qcow2)) => {
                    ": convert it to VHDX, and import that with --vhd"
                }
                (ImageKind::Vm, Some(RawFormat::Disk)) => {
                    ": `qemu-img convert -O qcow2` makes one of it"
                }
                // Of a fixed VHD that was cut short the footer is missing, and the rest is a disk.
                (ImageKind::Amazon, Some(RawFormat::Disk | RawFormat::Tar)) => {
                    ": there is no footer in the last 512 bytes, by which a fixed VHD is known"
                }
                _ => "",
            };
            let message = format!("{format}, which is no image for {wanted}{hint}");
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
    if let (Some(manifest), Some(file)) = (request.manifest, subject.digests()) {
        let (name, raw) = (request.file_name, subject.raw);
        let image = manifest::Image { name, file, raw, stores: &stores };
        manifest::verify(manifest, &image, &whole, &mut out);
    }
    let mut report = report(subject, kind, request.waivers, &whole, out);
    if report.passed() {
        report.boots = ways;
    }
    (report.stores, report.not_verified, report.layout) = (stores, not_verified, layout);
    Ok(report)
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
        boots: Vec::new(),
        not_verified: Vec::new(),
        layout: None,
        stores: Vec::new(),
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
