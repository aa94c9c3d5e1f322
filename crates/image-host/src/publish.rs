//! Puts finished files where others look for them.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// Creates `path` with what `write` writes, or not at all: readers never see half a file.
pub fn publish(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let dir = parent(path);
    let mut temp = tempfile::NamedTempFile::new_in(dir)?;
    write(temp.as_file_mut())?;
    make_world_readable(temp.as_file())?;
    temp.as_file().sync_all()?;
    temp.persist(path)?;
    sync_dir(dir)
}

/// The same, where there is nothing by that name yet: [`io::ErrorKind::AlreadyExists`] otherwise.
pub fn publish_new(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let dir = parent(path);
    let mut temp = tempfile::NamedTempFile::new_in(dir)?;
    write(temp.as_file_mut())?;
    make_world_readable(temp.as_file())?;
    temp.as_file().sync_all()?;
    temp.persist_noclobber(path)?;
    sync_dir(dir)
}

/// Gives a file the mode that a file made by `open` has under the usual umask. Temporary files
/// are private, and renaming keeps that.
pub fn make_world_readable(file: &File) -> io::Result<()> {
    rustix::fs::fchmod(file, rustix::fs::Mode::from_raw_mode(0o644))?;
    Ok(())
}

/// Replaces the folder `to` by the complete folder `from`, on the same file system. Whoever looks
/// sees the old folder or the new one; where the kernel or the file system cannot exchange two
/// names, there is one moment with neither, and never one with a mixture.
pub fn replace_dir(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    for entry in std::fs::read_dir(from)? {
        File::open(entry?.path())?.sync_all()?;
    }
    sync_dir(from)?;
    match std::fs::symlink_metadata(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::rename(from, to)?,
        Err(error) => return Err(error),
        Ok(_) => {
            if renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE).is_err() {
                let aside = aside(from);
                std::fs::rename(to, &aside)?;
                if let Err(error) = std::fs::rename(from, to) {
                    // What was there is better than nothing.
                    let _ = std::fs::rename(&aside, to);
                    return Err(error);
                }
                std::fs::rename(&aside, from)?;
            }
            // `from` is the old folder now. The new one is there, whatever becomes of it.
            let _ = std::fs::remove_dir_all(from);
        }
    }
    sync_dir(parent(to))
}

/// Gives the complete folder `from` the name `to`, on the same file system, where there is nothing
/// by that name yet: [`io::ErrorKind::AlreadyExists`] otherwise. All folders of it are on the disk
/// then; its files have to be.
pub fn new_dir(from: &Path, to: &Path) -> io::Result<()> {
    sync_dirs(from)?;
    rename_new(from, to)
}

/// The same for whatever is complete and on the disk, such as a file.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::{
        fs::{CWD, RenameFlags, renameat_with},
        io::Errno,
    };
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // File systems that cannot. A folder takes the place of an empty one, and of nothing else.
        Err(Errno::INVAL | Errno::NOSYS) if std::fs::symlink_metadata(to).is_err() => {
            std::fs::rename(from, to)?;
        }
        Err(Errno::INVAL | Errno::NOSYS) => return Err(Errno::EXIST.into()),
        renamed => renamed?,
    }
    sync_dir(parent(to))
}

/// All folders below `top`, and it.
fn sync_dirs(top: &Path) -> io::Result<()> {
    let mut todo = vec![top.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                todo.push(entry.path());
            }
        }
        sync_dir(&dir)?;
    }
    Ok(())
}

/// Makes the empty file `to` share the bytes of `from`, which takes neither time nor room. An error
/// where the file systems cannot: they are two, or know no such thing.
pub fn share(from: &File, to: &File) -> io::Result<()> {
    Ok(rustix::fs::ioctl_ficlone(to, from)?)
}

/// Asks the kernel to forget what it has of `file` in memory: what is read of it next comes from the
/// disk. To be called when it is there.
pub fn forget(file: &File) {
    // A file system that cannot is read from memory, as always.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".old");
    name.into()
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    #[test]
    fn failure_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.json");
        publish(&path, |f| f.write_all(b"old")).unwrap();
        let torn = publish(&path, |f| f.write_all(b"ne").and(Err(io::Error::other("full"))));
        assert!(torn.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_folder_takes_no_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let (new, to) = (dir.path().join(".new"), dir.path().join("26.05"));
        fs::create_dir_all(new.join("streams/v1")).unwrap();
        new_dir(&new, &to).unwrap();
        assert!(to.join("streams/v1").is_dir());
        fs::create_dir(&new).unwrap();
        assert_eq!(new_dir(&new, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(new.exists() && to.join("streams/v1").is_dir());
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (new, dist) = (dir.path().join(".new"), dir.path().join("dist"));
        for (run, name) in ["first", "second"].into_iter().enumerate() {
            fs::create_dir(&new).unwrap();
            fs::write(new.join(name), run.to_string()).unwrap();
            replace_dir(&new, &dist).unwrap();
            assert!(dist.join(name).exists());
            assert_eq!(fs::read_dir(&dist).unwrap().count(), 1);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }
}
