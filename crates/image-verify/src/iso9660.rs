//! Checks of ISO 9660. ECMA-119, 4th edition; IEEE P1281 (SUSP) and P1282 (Rock Ridge); Joliet.

#[expect(dead_code, reason = "no walk hands records to it yet")]
pub mod rock_ridge;

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
