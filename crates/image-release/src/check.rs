//! Checks a release the way a careful user would: signatures, sums, every file, nothing extra, and
//! whether all of it says the same.

use std::io;

/// Where a release is read from.
pub trait Source: Send + Sync {
    /// Where that is, for people.
    fn name(&self) -> String;

    /// Names of all files, sorted, with those in folders as `folder/name`; `None` where nobody can
    /// list them.
    fn list(&self) -> io::Result<Option<Vec<String>>>;

    /// A file, from its first byte; `None` where there is none of that name.
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn io::Read + Send>>>;
}
