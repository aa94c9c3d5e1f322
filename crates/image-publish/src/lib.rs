//! Puts releases where others fetch them, and reads them back. The only crate of the workspace that
//! speaks to a network.
//!
//! The order is such that nobody sees half a version: payloads, what is said of them, signatures,
//! sums, catalogs, and the page last. What is there already is compared and not sent again; other
//! bytes under the same version are refused before anything is sent.

mod folder;
mod github;
pub mod http;
mod objects;
mod oci;
mod s3;
mod target;

use std::{num::NonZero, path::PathBuf};

use image_factory::event::Events;

pub use objects::{Object, ObjectsError, objects};
pub use target::{Target, TargetError};

/// What is published, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the release.
    pub release: PathBuf,
    /// Where it goes.
    pub target: Target,
    /// How many parts are under way at the same time.
    pub parallel: NonZero<usize>,
}

/// A release that is where it should be, every byte of it read back.
#[derive(Clone, Debug)]
pub struct Published {
    /// Names of the objects that were sent, in this order.
    pub sent: Vec<String>,
    /// Names of those that were there.
    pub present: Vec<String>,
    /// Where they are.
    pub place: String,
}

/// The release was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The release cannot be read, or is no release.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
}

/// Publishes a release.
pub fn publish(_options: &Options, _events: Events<'_>) -> Result<Published, PublishError> {
    unreachable!("written by its owner")
}
