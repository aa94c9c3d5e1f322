//! Judges a file: `image-verify`, with Ctrl-C and progress.

use std::{fs::File, io};

use image_formats::bytes::ReadAt;
use image_host::interrupt;
use image_model::{ImageKind, VerificationReport, Waiver};
use image_verify::{Request, VerifyError};

use crate::event::{Event, Events, Step};

/// How a file is judged.
#[derive(Clone, Copy, Debug)]
pub struct Verification<'a> {
    /// What the image is for; `None` judges its format only.
    pub kind: Option<ImageKind>,
    /// The system it must be for, in Nix's words.
    pub system: Option<&'a str>,
    /// The name that the file will have for those who download it.
    pub file_name: Option<&'a str>,
    /// Checks that may fail.
    pub waivers: &'a [Waiver],
}

/// A file that cannot be read any more once somebody asked the factory to stop.
pub(crate) struct Interruptible<'a>(pub(crate) &'a File);

impl ReadAt for Interruptible<'_> {
    fn len(&self) -> io::Result<u64> {
        ReadAt::len(self.0)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        interrupt::check()?;
        ReadAt::read_exact_at(self.0, offset, buf)
    }
}

/// Judges `file`.
pub fn file(
    file: &File,
    verification: &Verification<'_>,
    events: Events<'_>,
) -> Result<VerificationReport, VerifyError> {
    let request = Request {
        kind: verification.kind,
        system: verification.system,
        file_name: verification.file_name,
        waivers: verification.waivers,
        progress: &|progress| {
            let (done, total) = (progress.read, Some(progress.total));
            events(Event::Progress { step: Step::Verify, done, total });
        },
        ..Request::default()
    };
    image_verify::verify(&Interruptible(file), request)
}
