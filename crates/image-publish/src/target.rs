//! Where a release goes: what `--to` says.

use std::{path::PathBuf, str::FromStr};

/// A place for releases. Each version has a folder, a prefix or a tag of its own there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A folder of this machine.
    Folder(PathBuf),
    /// Storage that speaks S3: `s3://bucket/prefix`.
    S3 {
        /// The bucket.
        bucket: String,
        /// What names begin with, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// A registry that speaks the OCI distribution specification: `oci://registry/repository`.
    Oci {
        /// Host, and port where it is not the usual one.
        registry: String,
        /// The repository.
        repository: String,
    },
    /// Releases on GitHub: `github:owner/repository`.
    Github {
        /// Owner and repository.
        repository: String,
    },
}

/// No place is called so.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} is no place to publish to: a folder, s3://BUCKET/PREFIX, oci://REGISTRY/REPOSITORY, or github:OWNER/REPOSITORY"
)]
pub struct TargetError {
    text: String,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Err(TargetError { text: text.to_owned() })
    }
}
