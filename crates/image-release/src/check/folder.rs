//! A release in a folder of this machine.
//!
//! All is opened relative to the folder, name by name, and no symlink is followed, so nothing
//! outside of it is read; and what is no regular file is never opened.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use image_host::interrupt;
use image_verify::tree::display;
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};

use super::{Entry, EntryKind, MAX_ENTRIES, Opened, Source, source::version_in_name};

/// How deep folders in a release may be. What clients look for lies in `streams/v1`.
const MAX_DEPTH: usize = 4;

/// A folder of this machine.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    root: OwnedFd,
}

impl Folder {
    /// The folder at `path`, which may be a symlink to one.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { path: path.to_owned(), root })
    }

    /// All that is in it; at most a little more than `most`, and then more than that.
    fn entries(&self, most: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut waiting = vec![Waiting::default()];
        // Bounded: each round takes a folder that is there, and stops at so many names.
        while let Some(Waiting { path, names }) = waiting.pop() {
            // From the top, as only one of them is open at a time.
            let folder = match folder_below(&self.root, &names) {
                // Somebody took it away meanwhile, or put something else there.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !names.is_empty() => continue,
                folder => folder?,
            };
            let before = entries.len();
            let mut folders = 0_usize;
            for entry in Dir::read_from(&folder)? {
                interrupt::check()?;
                let entry = entry?;
                let bytes = entry.file_name().to_bytes();
                if matches!(bytes, b"." | b"..") {
                    continue;
                }
                if entries.len() + waiting.len() > most {
                    // What was not looked into is there all the same, and makes it too much.
                    let folder = |waiting: Waiting| (waiting.path, EntryKind::Folder);
                    let rest = waiting.into_iter().map(folder);
                    entries.extend(rest.map(|(name, kind)| Entry { name, kind }));
                    entries.sort_unstable();
                    return Ok(entries);
                }
                let stat = match statat(&folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    // Somebody took it away meanwhile.
                    Err(Errno::NOENT) => continue,
                    stat => stat?,
                };
                let name =
                    std::str::from_utf8(bytes).map_or_else(|_| display(bytes), str::to_owned);
                let name = if path.is_empty() { name } else { format!("{path}/{name}") };
                let kind = match FileType::from_raw_mode(stat.st_mode) {
                    FileType::RegularFile => EntryKind::File,
                    FileType::Symlink => EntryKind::Link,
                    FileType::Directory if names.len() < MAX_DEPTH => {
                        folders += 1;
                        let mut names = names.clone();
                        names.push(entry.file_name().to_owned());
                        waiting.push(Waiting { path: name, names });
                        continue;
                    }
                    FileType::Directory => EntryKind::Folder,
                    _ => EntryKind::Special,
                };
                entries.push(Entry { name, kind });
            }
            if !names.is_empty() && entries.len() == before && folders == 0 {
                entries.push(Entry { name: path, kind: EntryKind::Folder });
            }
        }
        entries.sort_unstable();
        Ok(entries)
    }
}

/// A folder that was seen, and not looked into yet.
#[derive(Default)]
struct Waiting {
    /// What it is called in an [`Entry`].
    path: String,
    /// The names on the way to it.
    names: Vec<CString>,
}

impl Source for Folder {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn version(&self) -> Option<String> {
        if let Some(name) = self.path.file_name() {
            return version_in_name(name.to_str()?);
        }
        // Such as the current folder.
        version_in_name(self.path.canonicalize().ok()?.file_name()?.to_str()?)
    }

    fn list(&self) -> io::Result<Option<Vec<Entry>>> {
        self.entries(MAX_ENTRIES).map(Some)
    }

    fn open(&self, name: &str) -> io::Result<Option<Opened>> {
        match open_file(&self.root, name) {
            Ok(opened) => Ok(opened),
            // A part of the name is missing, is a file or a symlink, or can be no name.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn folder_below(root: &OwnedFd, names: &[CString]) -> Result<OwnedFd, Errno> {
    names.iter().try_fold(folder_in(root, ".")?, |folder, name| folder_in(&folder, name))
}

fn folder_in(folder: &OwnedFd, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

fn open_file(root: &OwnedFd, name: &str) -> Result<Option<Opened>, Errno> {
    let mut names: Vec<_> = name.split('/').collect();
    let plain = |name: &&str| !matches!(*name, "" | "." | "..") && !name.contains('\0');
    if names.len() > MAX_DEPTH + 1 || !names.iter().all(plain) {
        return Ok(None);
    }
    let last = names.pop().unwrap_or_default();
    let mut folder = folder_in(root, ".")?;
    for name in names {
        folder = folder_in(&folder, name)?;
    }
    // Before it is opened: that alone would wake who waits at the other end of a pipe.
    let stat = statat(&folder, last, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(&folder, last, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    // Somebody put another one there meanwhile.
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let len = u64::try_from(stat.st_size).ok();
    Ok(Some(Opened { len, reader: Box::new(File::from(file)) }))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read as _, os::unix::fs::symlink};

    use image_host::tool::Tool;

    use super::*;

    #[test]
    fn only_regular_files_of_the_folder_are_read() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        fs::write(path.join("a"), "bytes").unwrap();
        fs::create_dir_all(path.join("streams/v1")).unwrap();
        fs::write(path.join("streams/v1/index.json"), "{}").unwrap();
        fs::create_dir_all(path.join("empty")).unwrap();
        fs::create_dir_all(path.join("1/2/3/4/5/6")).unwrap();
        symlink(outside.path().join("secret"), path.join("link")).unwrap();
        symlink(outside.path(), path.join("out")).unwrap();
        Tool::find("mkfifo").unwrap().run([path.join("pipe")]).output().unwrap();
        fs::write(path.join("two\nlines"), "").unwrap();

        let folder = Folder::open(path).unwrap();
        let entry = |name: &str, kind| Entry { name: name.to_owned(), kind };
        let list = folder.list().unwrap().unwrap();
        let expected = [
            entry("1/2/3/4/5", EntryKind::Folder),
            entry("a", EntryKind::File),
            entry("empty", EntryKind::Folder),
            entry("link", EntryKind::Link),
            entry("out", EntryKind::Link),
            entry("pipe", EntryKind::Special),
            entry("streams/v1/index.json", EntryKind::File),
            entry("two\nlines", EntryKind::File),
        ];
        assert_eq!(list, expected);

        let mut text = String::new();
        let mut opened = folder.open("streams/v1/index.json").unwrap().unwrap();
        opened.reader.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), opened.len), ("{}", Some(2)));
        let long = "x".repeat(300);
        for name in [
            "",
            ".",
            "..",
            "/a",
            "a/",
            "a/b",
            "b",
            "link",
            "out/secret",
            "../secret",
            "pipe",
            "streams",
            "a\0",
            &long,
        ] {
            assert!(folder.open(name).unwrap().is_none(), "{name:?}");
        }
    }

    #[test]
    fn more_folders_than_are_looked_into_are_too_many() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..=20 {
            fs::create_dir(dir.path().join(number.to_string())).unwrap();
        }
        let folder = Folder::open(dir.path()).unwrap();
        for most in [10, 19, 20, 21, 30] {
            let list = folder.entries(most).unwrap();
            assert!(list.len() == 21 || list.len() > most, "{most}: {}", list.len());
            assert!(list.iter().all(|entry| entry.kind == EntryKind::Folder));
        }
    }

    #[test]
    fn a_folder_is_called_by_its_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("26.05.1");
        fs::create_dir_all(path.join("below")).unwrap();
        fs::create_dir(dir.path().join("latest")).unwrap();
        symlink(&path, dir.path().join("26.05.2")).unwrap();
        let version = |path: &str| Folder::open(&dir.path().join(path)).unwrap().version();
        for (path, expected) in [
            ("26.05.1", Some("26.05.1")),
            ("26.05.1/", Some("26.05.1")),
            ("26.05.1/below/..", Some("26.05.1")),
            // What whoever asks calls it.
            ("26.05.2", Some("26.05.2")),
            ("latest", None),
        ] {
            assert_eq!(version(path).as_deref(), expected, "{path}");
        }
    }
}
