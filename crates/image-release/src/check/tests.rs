//! Good releases, and those with one thing wrong.

mod hostile;
mod mixed;
mod stage;
mod twins;

use image_model::Outcome;

use super::*;
use stage::{Memory, Stage, keys};

/// The ids of checks that failed.
fn failed(report: &ReleaseReport) -> Vec<&str> {
    let failed = report.outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::Failed);
    failed.map(|(id, _)| id.as_ref()).collect()
}

/// Checks a release of which both keys are known.
fn check_with_keys(source: &dyn Source) -> ReleaseReport {
    check(source, &keys().public(), &|_| ()).unwrap()
}
