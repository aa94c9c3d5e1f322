//! Checks of SquashFS 4.0, as Linux reads it (`fs/squashfs`).

use image_formats::bytes::{ReadError, Region};
use image_model::VerificationReport;

use crate::{
    Recorder,
    volume::{Trouble, Volume},
};

checks! {
    /// All checks of this format.
    CHECKS:
}

/// Judges the file system in `region`, and nothing around it. An error is the machine's.
pub fn check(region: &Region) -> Result<VerificationReport, ReadError> {
    let mut out = Recorder::default();
    out.announce(CHECKS);
    Ok(crate::report_of_region(region, None, out))
}

/// Judges the file system in `region`, which people call `name`, and opens it where that is safe.
/// An error is the machine's.
pub fn verify(
    _region: &Region,
    _name: &str,
    _trouble: &Trouble,
    out: &mut Recorder,
) -> Result<Option<Volume>, ReadError> {
    out.announce(CHECKS);
    Ok(None)
}
