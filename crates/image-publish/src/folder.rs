//! A folder of this machine: each version is a folder in it, which appears at once.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use image_host::{interrupt, publish, sparse::SparseFile, workdir::WorkDir};
use image_model::{Digests, ReleaseManifest, Sha256};
use sha2::Digest as _;

use crate::{
    Object, PublishError, Published,
    blocking::blocking,
    flow::{self, Found, Place, Seen},
    work::Work,
};

/// What is read at once, in bytes.
const CHUNK: usize = 1 << 20;

/// Publishes a release there.
pub(crate) async fn publish(
    folder: &Path,
    release: &Path,
    manifest: &ReleaseManifest,
    objects: &[Object],
    work: &Work<'_>,
) -> Result<Published, PublishError> {
    let folder = Folder::new(folder, &manifest.version);
    // What is written there would be of the release, which is complete.
    if real(&folder.to).starts_with(real(release)) {
        let needs = vec![format!("it lies in the release, {}", release.display())];
        return Err(PublishError::Unmet { place: folder.name(), needs });
    }
    flow::run(&folder, objects, work).await
}

/// Where a path leads, through all links; the end of it need not be there yet.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let resolved = |above: &Path| {
        let rest = path.strip_prefix(above).ok()?;
        Some(fs::canonicalize(above).ok()?.join(rest))
    };
    path.ancestors().find_map(resolved).unwrap_or_else(|| path.clone())
}

/// A version in a folder.
pub(crate) struct Folder {
    /// The folder of all versions.
    folder: PathBuf,
    /// That of the version.
    to: PathBuf,
    /// Where it is built, and the lock on that: taken with the first object.
    beside: tokio::sync::Mutex<Option<Arc<WorkDir>>>,
    /// Nobody waits for the copies any more.
    stopped: Arc<AtomicBool>,
}

impl Folder {
    pub(crate) fn new(folder: &Path, version: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            to: folder.join(version),
            beside: tokio::sync::Mutex::new(None),
            stopped: Arc::default(),
        }
    }

    /// Where an object is now: in the version, or where that is built.
    async fn path(&self, name: &str) -> PathBuf {
        let beside = self.beside.lock().await;
        beside.as_ref().map_or(self.to.as_path(), |beside| beside.path()).join(name)
    }

    /// Where an object is to be written.
    async fn prepare(&self, name: &str) -> Result<(PathBuf, Option<Arc<WorkDir>>), PublishError> {
        let fail = |source: io::Error| self.failure("cannot write into", source);
        let mut beside = self.beside.lock().await;
        // What was begun by other programs in the folder of the version is completed there.
        if beside.is_none() && !self.to.exists() {
            fs::create_dir_all(&self.folder).map_err(fail)?;
            let version = self.to.file_name().unwrap_or_default().to_string_lossy();
            let path = self.folder.join(format!(".{version}.publish"));
            let taken = WorkDir::take(&path).map_err(|error| {
                PublishError::place(format!("cannot write into {}", self.folder.display()), error)
            })?;
            *beside = Some(Arc::new(taken));
        }
        let path = beside.as_ref().map_or(self.to.as_path(), |beside| beside.path()).join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(fail)?;
        }
        Ok((path, beside.clone()))
    }

    fn failure(&self, what: &str, source: io::Error) -> PublishError {
        if let Some(stopped) = source.get_ref().and_then(|e| e.downcast_ref()) {
            return PublishError::Interrupted(*stopped);
        }
        let hint = match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => {
                Some("the version does not appear there; make room, and publish again")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Some("this user may not write there")
            }
            _ => None,
        };
        let what = format!("{what} {}", self.folder.display());
        PublishError::Place { what, hint, source: source.into() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

impl Place for Folder {
    fn name(&self) -> String {
        self.to.display().to_string()
    }

    async fn look(&self, objects: &[Object], _work: &Work<'_>) -> Result<Seen, PublishError> {
        let fail = |source| self.failure("cannot look into", source);
        match fs::metadata(&self.folder) {
            Ok(metadata) if !metadata.is_dir() => {
                return Err(fail(io::Error::from(io::ErrorKind::NotADirectory)));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        let found =
            objects.iter().map(|object| match fs::symlink_metadata(self.to.join(&object.name)) {
                Ok(there) if !there.is_file() => {
                    Ok(Found::Other(format!("{} is no regular file there", object.name)))
                }
                Ok(there) if there.len() != object.size => Ok(Found::Other(format!(
                    "{} has {} bytes there, not {}",
                    object.name,
                    there.len(),
                    object.size
                ))),
                Ok(_) => Ok(Found::Like),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Absent),
                Err(error) => Err(fail(error)),
            });
        let found = found.collect::<Result<_, _>>()?;
        Ok(Seen { found, strangers: strangers(&self.to, objects).map_err(fail)? })
    }

    async fn send(&self, object: &Object, work: &Work<'_>) -> Result<(), PublishError> {
        let (to, beside) = self.prepare(&object.name).await?;
        let (from, stopped) = (object.path.clone(), self.stopped.clone());
        // With the last copy that still goes on, the folder that it writes into goes away.
        let copied = blocking(move || copy(&from, &to, beside.is_some(), &stopped)).await;
        let digests = match copied {
            Ok(digests) => digests,
            Err(Side::From(source)) => {
                return Err(match source.get_ref().and_then(|e| e.downcast_ref()) {
                    Some(stopped) => PublishError::Interrupted(*stopped),
                    None => PublishError::Read { path: object.path.clone(), source },
                });
            }
            Err(Side::To(source)) => {
                return Err(self.failure(&format!("cannot write {} into", object.name), source));
            }
        };
        work.advance(object.size);
        if digests != (Digests { size: object.size, sha256: object.sha256 }) {
            return Err(PublishError::Changed { path: object.path.clone() });
        }
        Ok(())
    }

    async fn read_back(&self, object: &Object, work: &Work<'_>) -> Result<Digests, PublishError> {
        let path = self.path(&object.name).await;
        let stopped = self.stopped.clone();
        let read = blocking(move || {
            let file = File::open(path)?;
            publish::forget(&file);
            hash(&file, &stopped)
        });
        let digests =
            read.await.map_err(|e| self.failure(&format!("cannot read {} in", object.name), e))?;
        work.advance(object.size);
        Ok(digests)
    }

    async fn finish(&self, _work: &Work<'_>) -> Result<(), PublishError> {
        let Some(beside) = self.beside.lock().await.take() else { return Ok(()) };
        publish::new_dir(beside.path(), &self.to)
            .map_err(|source| self.failure("cannot put the version into", source))
    }
}

/// What is in the folder of the version and of no object.
fn strangers(to: &Path, objects: &[Object]) -> io::Result<Vec<String>> {
    let mut known = BTreeSet::new();
    for object in objects {
        let mut path = Path::new(&object.name);
        known.insert(to.join(path));
        while let Some(parent) = path.parent() {
            known.insert(to.join(parent));
            path = parent;
        }
    }
    let mut strangers = BTreeSet::new();
    let mut todo = vec![to.to_owned()];
    while let Some(dir) = todo.pop() {
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if !known.contains(&path) {
                let name = path.strip_prefix(to).unwrap_or(&path).display();
                strangers.insert(format!("{name} is there, and not of this release"));
            } else if entry.file_type()?.is_dir() {
                todo.push(path);
            }
        }
    }
    Ok(strangers.into_iter().collect())
}

/// Which of two files an error is about.
enum Side {
    From(io::Error),
    To(io::Error),
}

/// Copies a file, or shares its bytes, and hashes them. Beside the version it appears under its
/// name at once, elsewhere when it is complete.
fn copy(from: &Path, to: &Path, is_beside: bool, stopped: &AtomicBool) -> Result<Digests, Side> {
    let from = File::open(from).map_err(Side::From)?;
    if is_beside {
        return File::create_new(to).map_err(Side::To).and_then(|to| fill(&from, to, stopped));
    }
    // The closure of `publish_new` knows errors of one kind.
    let mut result = None;
    let published = publish::publish_new(to, |file| {
        let filled = file.try_clone().map_err(Side::To).and_then(|to| fill(&from, to, stopped));
        match result.insert(filled) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::other("unfinished")),
        }
    });
    match (result, published) {
        (Some(Err(side)), _) => Err(side),
        (_, Err(error)) => Err(Side::To(error)),
        (Some(Ok(digests)), Ok(())) => Ok(digests),
        (None, Ok(())) => Err(Side::To(io::Error::other("nothing was written"))),
    }
}

fn fill(from: &File, to: File, stopped: &AtomicBool) -> Result<Digests, Side> {
    publish::make_world_readable(&to).map_err(Side::To)?;
    if publish::share(from, &to).is_ok() {
        let digests = hash(from, stopped).map_err(Side::From)?;
        to.sync_all().map_err(Side::To)?;
        return Ok(digests);
    }
    let mut sparse = SparseFile::new(to);
    let mut refused = None;
    let hashed = each_chunk(from, stopped, |chunk| {
        sparse.write_all(chunk).inspect_err(|error| refused = Some(copy_of(error)))
    });
    let digests = match (hashed, refused) {
        (Err(_), Some(error)) => return Err(Side::To(error)),
        (Err(error), None) => return Err(Side::From(error)),
        (Ok(digests), _) => digests,
    };
    sparse.finish().and_then(File::sync_all).map_err(Side::To)?;
    Ok(digests)
}

fn copy_of(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// Length and SHA-256 of a file; an error where somebody wants the program, or this, to stop.
pub(crate) fn hash(file: &File, stopped: &AtomicBool) -> io::Result<Digests> {
    each_chunk(file, stopped, |_| Ok(()))
}

/// Reads a file from where it stands to its end, hashes it, and shows it to `show`.
fn each_chunk(
    mut file: &File,
    stopped: &AtomicBool,
    mut show: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Digests> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        interrupt::check()?;
        if stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody waits for it"));
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Digests { size, sha256: Sha256(hasher.finalize().into()) }),
            Ok(len) => {
                hasher.update(&buffer[..len]);
                show(&buffer[..len])?;
                size += len as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
