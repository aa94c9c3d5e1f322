//! Where the raw bytes of a compressed image lie while they are needed.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use image_formats::bytes::ReadAt;
use image_host::{
    disk::{Needed, NoRoom},
    sparse::SparseFile,
};

use super::Interruptible;

/// A file without a name in a folder for temporary files; it goes with the process. Its zeros take
/// no room. It is made when the first byte comes: most archives, and all disks that are not
/// compressed, need none.
#[derive(Debug)]
pub(crate) struct Scratch<'a> {
    folder: &'a Path,
    file: Option<SparseFile>,
}

/// The raw bytes cannot be kept. It is inside the [`io::Error`] of a write.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The disk is full.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// Something else is wrong with the folder.
    #[error("cannot write into {}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl<'a> Scratch<'a> {
    /// No file yet, in `folder`.
    pub(crate) fn new(folder: &'a Path) -> Self {
        Self { folder, file: None }
    }

    /// The file, with all that was written.
    pub(crate) fn finish(&mut self) -> io::Result<File> {
        let folder = self.folder;
        let finished = self.file().and_then(|file| file.finish()?.try_clone());
        finished.map_err(|cause| error(folder, 0, cause))
    }

    fn file(&mut self) -> io::Result<&mut SparseFile> {
        match &mut self.file {
            Some(file) => Ok(file),
            empty => Ok(empty.insert(SparseFile::new(tempfile::tempfile_in(self.folder)?))),
        }
    }
}

fn error(folder: &Path, written: u64, cause: io::Error) -> io::Error {
    let kind = cause.kind();
    let error = match NoRoom::explain(folder, "the raw bytes", written, Needed::Unknown, cause) {
        Ok(full) => full.into(),
        Err(cause) => ScratchError::Io { folder: folder.to_owned(), cause },
    };
    io::Error::new(kind, error)
}

impl Write for Scratch<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let folder = self.folder;
        let file = self.file().map_err(|cause| error(folder, 0, cause))?;
        file.write(data).map_err(|cause| error(folder, file.written(), cause))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl image_verify::Scratch for Scratch<'_> {
    fn finish(&mut self) -> io::Result<Arc<dyn ReadAt>> {
        Ok(Arc::new(Interruptible(Scratch::finish(self)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_named_when_it_is_needed() {
        let mut scratch = Scratch::new(Path::new("/nonexistent/folder"));
        let error = scratch.write(b"x").unwrap_err();
        assert_eq!(error.to_string(), "cannot write into /nonexistent/folder");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_was_written_is_read_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::new(folder.path());
        scratch.write_all(&[0; 5000]).unwrap();
        scratch.write_all(b"end").unwrap();
        let raw = image_verify::Scratch::finish(&mut scratch).unwrap();
        let mut end = [1; 4];
        raw.read_exact_at(4999, &mut end).unwrap();
        assert_eq!((&end, raw.len().unwrap()), (b"\0end", 5003));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
