//! Checks a release the way a careful user would: signatures, sums, every file, nothing extra, and
//! whether all of it says the same.

mod folder;
mod source;

pub use folder::Folder;
pub use source::{Entry, EntryKind, Opened, Source};

/// The most files of a release. There are a dozen for each image.
pub const MAX_ENTRIES: usize = 1 << 14;
