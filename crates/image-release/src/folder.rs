//! The folder of a release: built beside, and renamed.

/// A file of the folder cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {}
