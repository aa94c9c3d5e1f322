//! Brings a file into a folder, without copying its bytes where the file system can do without.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::{fd::AsRawFd as _, unix::fs::FileExt as _},
    path::Path,
};

use rustix::fs::{AtFlags, CWD, linkat};

use crate::{interrupt, publish::share, sparse::SparseFile};

/// Bytes that are copied at a time.
const PIECE: usize = 1 << 20;

/// How a file came to where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is a file of its own that shares its blocks with the other one until either is written
    /// to: Btrfs, XFS, bcachefs, ZFS.
    Reflink,
    /// It is another name of the same file.
    Link,
    /// Its bytes were copied.
    Copy,
}

/// Brings the file that is open as `from` to `to`, where nothing is yet. It is exactly this file,
/// whatever has its name by now. A failure leaves nothing behind.
///
/// The bytes of a link change if somebody writes to the other name of it. Who replaces that by
/// renaming, as [`publish`](crate::publish) does, does not.
pub fn place(from: &File, to: &Path) -> io::Result<Placed> {
    if reflink(from, to)? {
        return Ok(Placed::Reflink);
    }
    // By the descriptor: its name could be that of another file by now. It fails where the other
    // place is another file system, or knows no links, and where the file is somebody else's.
    let open = format!("/proc/self/fd/{}", from.as_raw_fd());
    if linkat(CWD, open, CWD, to, AtFlags::SYMLINK_FOLLOW).is_ok() {
        return Ok(Placed::Link);
    }
    copy(from, to)?;
    Ok(Placed::Copy)
}

/// Copies the bytes of the file that is open as `from` to `to`, where nothing is yet. Blocks of
/// zeros become holes.
pub fn copy(from: &File, to: &Path) -> io::Result<()> {
    let file = create(to)?;
    let copied = copy_to(from, file);
    if copied.is_err() {
        // The error that is told is the first one.
        let _ = fs::remove_file(to);
    }
    copied
}

fn reflink(from: &File, to: &Path) -> io::Result<bool> {
    let file = create(to)?;
    if share(from, &file).is_ok() {
        return Ok(true);
    }
    drop(file);
    fs::remove_file(to)?;
    Ok(false)
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn copy_to(from: &File, to: File) -> io::Result<()> {
    let len = from.metadata()?.len();
    let mut to = SparseFile::new(to);
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < len {
        interrupt::check()?;
        let wanted = usize::try_from(len - at).unwrap_or(PIECE).min(PIECE);
        from.read_exact_at(&mut piece[..wanted], at)?;
        to.write_all(&piece[..wanted])?;
        at += wanted as u64;
    }
    to.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn source(dir: &Path) -> (File, Vec<u8>) {
        let mut bytes = vec![0; PIECE * 2 + 4711];
        bytes[5] = 1;
        bytes[PIECE + 9..PIECE + 99].fill(2);
        fs::write(dir.join("from"), &bytes).unwrap();
        (File::open(dir.join("from")).unwrap(), bytes)
    }

    #[test]
    fn within_a_file_system_nothing_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let (from, bytes) = source(dir.path());
        // Its name is that of another file by now.
        fs::write(dir.path().join("other"), "other").unwrap();
        fs::rename(dir.path().join("from"), dir.path().join("kept")).unwrap();
        fs::rename(dir.path().join("other"), dir.path().join("from")).unwrap();
        let to = dir.path().join("to");
        let placed = place(&from, &to).unwrap();
        assert!(fs::read(&to).unwrap() == bytes);
        match placed {
            Placed::Link => {
                assert_eq!(fs::metadata(&to).unwrap().ino(), from.metadata().unwrap().ino());
            }
            Placed::Reflink => {
                assert_ne!(fs::metadata(&to).unwrap().ino(), from.metadata().unwrap().ino());
            }
            Placed::Copy => panic!("the folder of temporary files knows no links"),
        }
    }

    #[test]
    fn over_file_systems_it_is_copied_with_its_holes() {
        let near = tempfile::tempdir_in("/var/tmp").unwrap();
        let far = tempfile::tempdir_in("/dev/shm").unwrap();
        let device = |path: &Path| fs::metadata(path).unwrap().dev();
        assert_ne!(device(near.path()), device(far.path()), "/var/tmp is in memory");
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (from, bytes) = source(from.path());
            let to = to.path().join("to");
            assert_eq!(place(&from, &to).unwrap(), Placed::Copy);
            assert!(fs::read(&to).unwrap() == bytes);
            let metadata = fs::metadata(&to).unwrap();
            assert!(metadata.blocks() * 512 <= 64 << 10, "{metadata:?}");
            assert_ne!(metadata.ino(), from.metadata().unwrap().ino());
        }
    }

    #[test]
    fn what_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (from, _) = source(dir.path());
        let to = dir.path().join("to");
        fs::write(&to, "mine").unwrap();
        for result in [place(&from, &to).map(drop), copy(&from, &to)] {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read(&to).unwrap(), b"mine");
        assert!(place(&from, &dir.path().join("absent/to")).is_err());
    }

    #[test]
    fn half_a_copy_is_not_left() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("to");
        // A folder has a length, and cannot be read.
        let folder = File::open(dir.path()).unwrap();
        assert!(copy(&folder, &to).is_err());
        assert!(!to.exists());
    }
}
