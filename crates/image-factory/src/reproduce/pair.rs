//! Two files that should be the same.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use image_model::{Comparison, Digests};
use serde::Serialize;

use crate::{
    compare,
    event::{Event, Events, Step},
};

/// Two files that should be the same, and in what they differ.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pair {
    /// What it is: the name of a file.
    pub name: String,
    /// The derivation, of a part of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub derivation: Option<String>,
    /// The first one; absent where nobody needs to know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<Digests>,
    /// The second one; absent where it is not on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<Digests>,
    /// They are the same, byte for byte.
    pub same: bool,
    /// What differs; absent where nothing does, and where one of them is not on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// Two files cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// One cannot be opened, or its raw bytes cannot be kept while they are needed.
    #[error("cannot read {}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// One of them cannot be read to its end.
    #[error("cannot compare {} with {}", a.display(), b.display())]
    Read {
        /// The first one.
        a: PathBuf,
        /// The second one.
        b: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl Pair {
    /// Compares two files. The raw bytes of compressed ones lie in `work` meanwhile, in files
    /// without names.
    pub(super) fn of(
        name: String,
        a: &Path,
        b: &Path,
        work: &Path,
        events: Events<'_>,
    ) -> Result<Self, CompareError> {
        let source = |path: &Path| {
            let fail = |cause| CompareError::Open { path: path.to_owned(), cause };
            compare::source(File::open(path).map_err(fail)?, work).map_err(fail)
        };
        let (source_a, source_b) = (source(a)?, source(b)?);
        let len = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let total = Some(len(a).max(len(b)));
        let compared = compare::images(&source_a, &source_b, &|done| {
            events(Event::Progress { step: Step::Compare, done, total });
        });
        let comparison = compared.map_err(|cause| CompareError::Read {
            a: a.to_owned(),
            b: b.to_owned(),
            cause,
        })?;
        let (a, b, same) = (comparison.a.file, comparison.b.file, comparison.same);
        let comparison = (!same).then_some(comparison);
        Ok(Self { name, derivation: None, a, b, same, comparison })
    }

    /// Two that are the same.
    pub(super) fn same(name: String, digests: Option<Digests>) -> Self {
        Self { name, derivation: None, a: digests, b: digests, same: true, comparison: None }
    }
}
