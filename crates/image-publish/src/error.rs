//! Why a release was not published.

use std::{error::Error, io, path::PathBuf};

use image_factory::Fault;
use image_host::interrupt::Interrupted;

use crate::ObjectsError;

/// More differences than these are counted, and not told.
const MAX_DIFFERENCES: usize = 20;

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
    /// The version is there with other bytes, which stay. Nothing was sent, unless somebody else put
    /// them there meanwhile.
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

    /// What is there is something else. Names in `differences` are those that strangers chose.
    pub(crate) fn conflict(place: String, differences: Vec<String>) -> Self {
        let more = differences.len().saturating_sub(MAX_DIFFERENCES);
        let shown = differences.into_iter().take(MAX_DIFFERENCES);
        let mut differences: Vec<_> =
            shown.map(|text| text.replace(char::is_control, "\u{fffd}")).collect();
        if more > 0 {
            differences.push(format!("and {more} more"));
        }
        Self::Conflict { place, differences }
    }

    pub(crate) fn place(
        what: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Place { what: what.into(), hint: None, source: source.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_strangers_move_no_cursor_and_fill_no_screen() {
        let names = (0..1000).map(|n| format!("\x1b[2J{n} is there")).collect();
        let error = PublishError::conflict("s3://b".to_owned(), names).to_string();
        assert!(!error.contains(char::is_control) && error.contains("[2J0 is there"), "{error}");
        assert!(error.ends_with("; and 980 more"), "{error}");
    }
}
