//! Why a release was not published.

use std::{error::Error, io, path::PathBuf};

use image_factory::Fault;
use image_host::interrupt::Interrupted;

use crate::ObjectsError;

/// The release was not published, or not all of it: what is there already is found by the next run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The release cannot be read, or is no release.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The place cannot take it. Nothing was sent.
    #[error("{place} cannot take this release: {}", needs.join("; "))]
    Unmet {
        /// The place.
        place: String,
        /// What is in the way.
        needs: Vec<String>,
    },
    /// The version is there with other bytes. Nothing was sent.
    #[error(
        "{place} has this version already, and it is another one; a version is never changed: {}",
        differences.join("; ")
    )]
    Conflict {
        /// The place.
        place: String,
        /// What is not the same.
        differences: Vec<String>,
    },
    /// A file is not what the manifest of its release says.
    #[error("{} was changed after the release was made", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file of the release cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What came back is not what was sent.
    #[error("{place} gave back other bytes than were sent: {found}")]
    ReadBack {
        /// The place.
        place: String,
        /// Name of the object.
        object: String,
        /// What came back.
        found: String,
    },
    /// The place, or the way to it, failed.
    #[error("{what}{}", hint.map(|hint| format!(" ({hint})")).unwrap_or_default())]
    Place {
        /// What was being done, and where.
        what: String,
        /// What to do about it.
        hint: Option<&'static str>,
        /// Why it failed.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Somebody asked the program to stop.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
}

impl PublishError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Objects(ObjectsError::Broken { .. } | ObjectsError::Schema { .. })
            | Self::Unmet { .. }
            | Self::Conflict { .. }
            | Self::Changed { .. } => Fault::Image,
            Self::Objects(ObjectsError::NoRelease { .. }) => Fault::Usage,
            _ => Fault::Host,
        }
    }

    pub(crate) fn place(
        what: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Place { what: what.into(), hint: None, source: source.into() }
    }
}
