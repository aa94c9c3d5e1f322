//! Work folders: one for an image at a time, gone when the run ends.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    process,
};

/// A folder that belongs to this process alone. It is removed when the value is dropped, and a
/// folder that a killed run left behind is removed by the next run.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    lock_path: PathBuf,
    lock: File,
}

/// A work folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum WorkDirError {
    /// Another run works on the same image.
    #[error("{} is in use by another run with process id {pid}", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
        /// What the other run wrote into its lock.
        pid: String,
    },
    /// The machine failed.
    #[error("cannot prepare the work folder {}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl WorkDir {
    /// Takes the folder `path`, which must be on the file system where its contents will be
    /// published. The lock beside it, `<path>.lock`, is held by the kernel, so that it goes with
    /// the process however that ends.
    pub fn take(path: &Path) -> Result<Self, WorkDirError> {
        let io = |cause| WorkDirError::Io { path: path.to_owned(), cause };
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        let mut lock = loop {
            let mut lock = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&lock_path)
                .map_err(io)?;
            match lock.try_lock() {
                Ok(()) if is_current(&lock, &lock_path) => break lock,
                // The run before us removed the file between our open and our lock.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut pid = String::new();
                    lock.read_to_string(&mut pid).map_err(io)?;
                    let pid = pid.trim_end().to_owned();
                    return Err(WorkDirError::Busy { path: path.to_owned(), pid });
                }
                Err(TryLockError::Error(cause)) => return Err(io(cause)),
            }
        };
        lock.set_len(0).and_then(|()| lock.rewind()).map_err(io)?;
        writeln!(lock, "{}", process::id()).map_err(io)?;
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        fs::create_dir(path).map_err(io)?;
        Ok(Self { path: path.to_owned(), lock_path, lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn is_current(lock: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same = |a: &fs::Metadata, b: &fs::Metadata| a.dev() == b.dev() && a.ino() == b.ino();
    match (lock.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => same(&open, &named),
        _ => false,
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; the next run tries again.
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.lock_path);
        let _ = self.lock.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_run_is_told_the_pid_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".work");
        let first = WorkDir::take(&path).unwrap();
        fs::write(first.path().join("half"), "").unwrap();
        let error = WorkDir::take(&path).unwrap_err().to_string();
        assert!(error.ends_with(&format!("process id {}", process::id())), "{error}");
        drop(first);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".work");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("half"), "").unwrap();
        let second = WorkDir::take(&path).unwrap();
        assert_eq!(fs::read_dir(second.path()).unwrap().count(), 0);
    }
}
