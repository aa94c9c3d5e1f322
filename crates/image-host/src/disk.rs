//! Room on file systems.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// Bytes that an ordinary user may still write on the file system that holds `path`.
pub fn available(path: &Path) -> io::Result<u64> {
    let fs = rustix::fs::statvfs(path)?;
    Ok(fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// True if no program can be started from the file system that holds `path`: it is mounted
/// `noexec`.
#[cfg(target_os = "linux")]
pub fn forbids_programs(path: &Path) -> io::Result<bool> {
    let fs = rustix::fs::statvfs(path)?;
    Ok(fs.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC))
}

/// Always false: `statvfs` says it on Linux only. Images are built there, so elsewhere nothing is
/// started from that folder.
#[cfg(not(target_os = "linux"))]
pub fn forbids_programs(path: &Path) -> io::Result<bool> {
    rustix::fs::statvfs(path)?;
    Ok(false)
}

/// A file system is full.
#[derive(Debug, thiserror::Error)]
#[error(
    "no room for {what} in {}: {written} bytes were written and {available} are left; {needed}",
    path.display()
)]
pub struct NoRoom {
    /// The folder.
    pub path: PathBuf,
    /// What was to be written.
    pub what: &'static str,
    /// How many bytes of it were written.
    pub written: u64,
    /// How many bytes are left there.
    pub available: u64,
    /// How many it takes.
    pub needed: Needed,
    /// Why.
    #[source]
    pub cause: io::Error,
}

/// How many bytes a file takes, as far as that is known before it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// Nobody knows until the input has been uncompressed.
    Unknown,
    /// Not more than this.
    AtMost(u64),
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("how many it takes is not known before its end"),
            Self::AtMost(bytes) => write!(f, "it takes {bytes} at most"),
        }
    }
}

impl NoRoom {
    /// What to tell where writing into the folder `path` ended with `cause`, which is given back
    /// where it has nothing to do with room.
    pub fn explain(
        path: &Path,
        what: &'static str,
        written: u64,
        needed: Needed,
        cause: io::Error,
    ) -> Result<Self, io::Error> {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        if !matches!(cause.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
            return Err(cause);
        }
        let available = available(path).unwrap_or_default();
        Ok(Self { path: path.to_owned(), what, written, available, needed, cause })
    }
}
