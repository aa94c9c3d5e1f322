//! A release in a folder of this machine.
//!
//! All is opened relative to the folder, name by name, and no symlink is followed, so nothing
//! outside of it is read; and what is no regular file is never opened.

use std::{
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
}

impl Source for Folder {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn version(&self) -> Option<String> {
        version_in_name(self.path.file_name()?.to_str()?)
    }

    fn list(&self) -> io::Result<Option<Vec<Entry>>> {
        let mut entries = Vec::new();
        let mut waiting = vec![(String::new(), 0, folder_in(&self.root, ".")?)];
        // Bounded: each round takes a folder that is there, and stops at `MAX_ENTRIES` names.
        while let Some((path, depth, folder)) = waiting.pop() {
            let before = entries.len();
            let mut folders = 0_usize;
            for entry in Dir::read_from(&folder)? {
                interrupt::check()?;
                let entry = entry?;
                let bytes = entry.file_name().to_bytes();
                if matches!(bytes, b"." | b"..") {
                    continue;
                }
                if entries.len() + waiting.len() > MAX_ENTRIES {
                    entries.sort_unstable();
                    return Ok(Some(entries));
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
                    FileType::Directory if depth < MAX_DEPTH => {
                        folders += 1;
                        let below = folder_in(&folder, entry.file_name())?;
                        waiting.push((name, depth + 1, below));
                        continue;
                    }
                    FileType::Directory => EntryKind::Folder,
                    _ => EntryKind::Special,
                };
                entries.push(Entry { name, kind });
            }
            if depth > 0 && entries.len() == before && folders == 0 {
                entries.push(Entry { name: path, kind: EntryKind::Folder });
            }
        }
        entries.sort_unstable();
        Ok(Some(entries))
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
}
