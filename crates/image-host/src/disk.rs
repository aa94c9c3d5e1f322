//! Room on file systems.

use std::{io, path::Path};

/// Bytes that an ordinary user may still write on the file system that holds `path`.
pub fn available(path: &Path) -> io::Result<u64> {
    let fs = rustix::fs::statvfs(path)?;
    Ok(fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// True if no program can be started from the file system that holds `path`: it is mounted
/// `noexec`.
pub fn forbids_programs(path: &Path) -> io::Result<bool> {
    let fs = rustix::fs::statvfs(path)?;
    Ok(fs.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC))
}
