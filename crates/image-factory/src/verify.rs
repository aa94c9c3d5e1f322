//! Judges a file: `image-verify`, with Ctrl-C and progress.

use std::{collections::BTreeMap, fs::File, io, path::Path, sync::Arc};

use image_formats::bytes::ReadAt;
use image_host::interrupt;
use image_model::{Board, Boot, Digests, Manifest, VerificationReport, Waiver};
use image_verify::{Expected, Request, UnderWay, VerifyError, opened::Tell};

use crate::{
    event::{Event, Events, Step},
    trust::Trust,
};

mod raw;
pub(crate) mod scratch;

pub use raw::{Raw, raw};
use scratch::Scratch;
pub use scratch::ScratchError;

/// How a file is judged.
#[derive(Clone, Copy, Debug)]
pub struct Verification<'a> {
    /// What the image is expected to be.
    pub expected: Expected,
    /// The system it must be for, in Nix's words.
    pub system: Option<&'a str>,
    /// The name that the file will have for those who download it.
    pub file_name: Option<&'a str>,
    /// The boards that it promises to boot on.
    pub boards: &'a [Board],
    /// The ways in which a disc promises to boot.
    pub boots: &'a [Boot],
    /// Checks that may fail.
    pub waivers: &'a [Waiver],
    /// Whose signatures of store paths count; nobody's where it is not given.
    pub trust: Option<&'a Trust>,
    /// The manifest that the image has to be as.
    pub manifest: Option<&'a Manifest>,
    /// Where the raw bytes of a compressed disk go: a folder with room for those that are not
    /// zeros.
    pub work: &'a Path,
}

/// A file that cannot be read any more once somebody asked the factory to stop.
#[derive(Debug)]
pub(crate) struct Interruptible(pub(crate) File);

impl ReadAt for Interruptible {
    fn len(&self) -> io::Result<u64> {
        ReadAt::len(&self.0)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        interrupt::check()?;
        ReadAt::read_exact_at(&self.0, offset, buf)
    }
}

/// The digests of a file that was judged: all of it was read.
pub(crate) fn digests(report: &VerificationReport) -> Digests {
    report.subject.digests().expect("what judges a file hashes it")
}

/// Judges `file`. Where there is no room for its raw bytes, a [`ScratchError`] is among the causes
/// of the error.
pub fn file(
    file: File,
    verification: &Verification<'_>,
    events: Events<'_>,
) -> Result<VerificationReport, VerifyError> {
    judge(file, verification, None, events)
}

/// The same; `opened` is shown what was opened for it.
pub(crate) fn judge(
    file: File,
    verification: &Verification<'_>,
    opened: Option<&Tell<'_>>,
    events: Events<'_>,
) -> Result<VerificationReport, VerifyError> {
    let mut scratch = Scratch::new(verification.work);
    let nobody = Trust::default();
    let trust = verification.trust.unwrap_or(&nobody);
    let ask = |paths: &[&str]| match trust.signatures(paths, verification.manifest) {
        Ok(known) => known,
        Err(_) if interrupt::check().is_err() => BTreeMap::new(),
        Err(error) => {
            let why = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            let why = why.unwrap_or_default();
            events(Event::Notice(format!("signatures are not known: {error}{why}")));
            BTreeMap::new()
        }
    };
    let request = Request {
        expected: verification.expected,
        boards: verification.boards,
        boots: verification.boots,
        system: verification.system,
        file_name: verification.file_name,
        waivers: verification.waivers,
        trusted_keys: trust.keys(),
        signatures: &ask,
        manifest: verification.manifest,
        scratch: Some(&mut scratch),
        opened,
        progress: &|progress| {
            let (under_way, done, total) = progress.under_way();
            let step = match under_way {
                UnderWay::Reading => Step::Verify,
                UnderWay::Proof => Step::Prove,
            };
            events(Event::Progress { step, done, total: Some(total) });
        },
        ..Request::default()
    };
    image_verify::verify(Arc::new(Interruptible(file)), request).map_err(|error| {
        // Whatever was being read then did not fail by itself.
        let stopped = |cause: interrupt::Interrupted| (0, 0, cause.into());
        match interrupt::check().map_err(stopped) {
            Err((offset, len, cause)) => VerifyError::Read { offset, len, cause },
            Ok(()) => error,
        }
    })
}
