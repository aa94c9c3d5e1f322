//! Reads a manifest that somebody published.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use image_model::{MANIFEST_SCHEMA, Manifest};

use crate::driver::Fault;

/// Larger ones were not written by the factory.
const MAX_BYTES: u64 = 64 << 20;

/// A manifest cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is a folder, a pipe, a device.
    #[error("{} is no regular file", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// It makes no sense.
    #[error("{} is no manifest that this version of the factory knows: {why}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl ManifestError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Read { .. } if !self.is_absent() => Fault::Host,
            _ => Fault::Usage,
        }
    }

    /// True if there is no such file.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Read { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads the manifest at `path`.
pub fn read(path: &Path) -> Result<Manifest, ManifestError> {
    let fail = |cause| ManifestError::Read { path: path.to_owned(), cause };
    // Before it is opened: opening a pipe waits for somebody at its other end.
    if !fs::metadata(path).map_err(fail)?.is_file() {
        return Err(ManifestError::NotAFile { path: path.to_owned() });
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(fail)?;
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(fail)?;
    let unknown = |why: String| ManifestError::Unknown { path: path.to_owned(), why };
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| unknown(error.to_string()))?;
    match manifest.schema {
        MANIFEST_SCHEMA => Ok(manifest),
        other => Err(unknown(format!("schema {other}, not {MANIFEST_SCHEMA}"))),
    }
}
