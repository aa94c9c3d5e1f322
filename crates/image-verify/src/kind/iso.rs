//! Discs that boot: follows what firmware does from the boot catalog, or the first block of a stick,
//! to the first program of the system.

use image_model::Boot;

use crate::{Recorder, disc::Disc};

checks! {
    /// All checks of this kind.
    CHECKS:
}

/// What an image promises.
#[derive(Clone, Copy, Debug)]
pub struct Promise<'a> {
    /// The ways in which it boots; none where nobody promised anything.
    pub boots: &'a [Boot],
}

/// Judges what a disc boots.
pub fn verify(_disc: &Disc, _promise: Promise<'_>, out: &mut Recorder) {
    out.announce(CHECKS);
}
