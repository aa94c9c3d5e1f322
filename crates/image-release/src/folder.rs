//! The folder of a release: built beside, and renamed.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use image_factory::NotReplaceable;
use image_host::{
    interrupt::{self, Interrupted},
    place, publish,
    workdir::{WorkDir, WorkDirError},
};
use image_model::ReleaseManifest;

use crate::{Document, MANIFEST, SUMS, hash::Opened};

/// The folder of all releases, below that of the images.
pub const RELEASES_DIR: &str = "release";

/// A file of the folder cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Another run makes the same release, or there is no place for the work.
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
    /// A file cannot be written, or the folder cannot be renamed.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// An image cannot be brought into the folder.
    #[error("cannot bring {} to {}", from.display(), to.display())]
    Place {
        /// The image.
        from: PathBuf,
        /// Where it should be.
        to: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// What stands where the release belongs is not ours to replace.
    #[error(transparent)]
    NotReplaceable(#[from] NotReplaceable),
    /// Somebody asked to stop.
    #[error("stopped")]
    Interrupted(#[from] Interrupted),
}

impl FolderError {
    /// True if the machine is not to blame.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NotReplaceable(_))
    }
}

/// Where the release of a version goes.
pub(crate) fn of_version(dist: &Path, version: &str) -> PathBuf {
    dist.join(RELEASES_DIR).join(version)
}

/// Looks whether `folder` may be replaced by another release of the same version.
pub(crate) fn check_replaceable(folder: &Path) -> Result<(), NotReplaceable> {
    image_factory::check_replaceable(folder, "release", |manifest: ReleaseManifest| {
        let files = manifest.files.into_iter().map(|file| file.file);
        let signatures = manifest.signatures.into_iter().map(|signature| signature.file);
        files.chain(signatures).chain([MANIFEST, SUMS].map(str::to_owned)).collect()
    })
}

/// A folder that is being filled. It is gone if it is not [published](Self::publish).
#[derive(Debug)]
pub(crate) struct Folder {
    work: WorkDir,
    filled: PathBuf,
    to: PathBuf,
}

impl Folder {
    /// The folder that will be `to`.
    pub(crate) fn new(to: &Path) -> Result<Self, FolderError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(to.file_name().unwrap_or_default());
        name.push(".work");
        let work = WorkDir::take(&to.with_file_name(name))?;
        let filled = work.path().join("out");
        fs::create_dir(&filled)
            .map_err(|cause| FolderError::Write { path: filled.clone(), cause })?;
        Ok(Self { work, filled, to: to.to_owned() })
    }

    /// Writes a file.
    pub(crate) fn write(&self, document: &Document) -> Result<(), FolderError> {
        interrupt::check()?;
        let path = self.filled.join(&document.file);
        let write = || File::create_new(&path)?.write_all(&document.bytes);
        write().map_err(|cause| FolderError::Write { path: path.clone(), cause })
    }

    /// Brings an image into the folder, which is `from` and was hashed as such.
    pub(crate) fn place(
        &self,
        (from, opened): &(PathBuf, Opened),
        name: &str,
    ) -> Result<(), FolderError> {
        interrupt::check()?;
        let to = self.filled.join(name);
        // What was written to meanwhile is not what was hashed.
        let place = || place::place(&opened.file, &to).and_then(|_| opened.unchanged());
        place().map_err(|cause| FolderError::Place {
            from: from.clone(),
            to: self.to.join(name),
            cause,
        })
    }

    /// Puts the folder into its place.
    pub(crate) fn publish(self) -> Result<(), FolderError> {
        interrupt::check()?;
        // Hashing takes its time, in which somebody may have put something there.
        check_replaceable(&self.to)?;
        let published = publish::replace_dir(&self.filled, &self.to);
        drop(self.work);
        published.map_err(|cause| FolderError::Write { path: self.to, cause })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use image_model::FileRole;

    use super::*;

    fn document(file: &str) -> Document {
        Document {
            file: file.to_owned(),
            also: None,
            role: FileRole::Page,
            media_type: "text/plain",
            bytes: file.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_folder_appears_as_a_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let to = of_version(dir.path(), "26.05");
        fs::write(dir.path().join("image"), "bytes").unwrap();
        let path = dir.path().join("image");
        let image = (path.clone(), Opened::new(File::open(&path).unwrap()).unwrap());
        let fill = || {
            let folder = Folder::new(&to).unwrap();
            folder.place(&image, "nixos.wsl").unwrap();
            folder.write(&document("a")).unwrap();
            folder
        };
        drop(fill());
        assert_eq!(fs::read_dir(dir.path().join(RELEASES_DIR)).unwrap().count(), 0);
        let folder = fill();
        assert!(folder.write(&document("a")).is_err(), "it is there");
        folder.publish().unwrap();
        assert_eq!(fs::read(to.join("nixos.wsl")).unwrap(), b"bytes");
        assert_eq!(fs::read_dir(dir.path().join(RELEASES_DIR)).unwrap().count(), 1);

        // What somebody puts there meanwhile stays.
        let folder = fill();
        fs::write(to.join("thesis.txt"), "years").unwrap();
        fs::write(to.join(MANIFEST), "{}").unwrap();
        assert!(folder.publish().unwrap_err().is_usage());
        assert_eq!(fs::read(to.join("thesis.txt")).unwrap(), b"years");

        // An image that somebody writes to after it was hashed. The clock of the file system has steps
        // that all of this may fit into.
        fs::write(&path, "other").unwrap();
        let later = File::options().write(true).open(&path).unwrap();
        later.set_modified(SystemTime::now() + Duration::from_secs(1)).unwrap();
        let error = Folder::new(&to).unwrap().place(&image, "nixos.wsl").unwrap_err();
        assert!(error.to_string().ends_with("26.05/nixos.wsl"), "{error}");
        assert_eq!(fs::read_dir(dir.path().join(RELEASES_DIR)).unwrap().count(), 1);
    }

    #[test]
    fn somebody_else_has_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("26.05");
        let what = || check_replaceable(&folder).map_err(|error| error.to_string());
        assert_eq!(what(), Ok(()));
        fs::create_dir(&folder).unwrap();
        assert_eq!(what(), Ok(()));
        fs::write(folder.join("thesis.txt"), "years").unwrap();
        assert!(what().unwrap_err().contains("has thesis.txt in it: it is not an earlier release"));
        fs::write(folder.join(MANIFEST), "{}").unwrap();
        assert!(what().is_err());
        fs::remove_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(dir.path(), &folder).unwrap();
        assert!(what().unwrap_err().contains("is no folder"));
    }
}
