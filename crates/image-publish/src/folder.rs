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

use image_host::{
    interrupt, publish,
    sparse::SparseFile,
    workdir::{WorkDir, WorkDirError},
};
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
    /// Where files are written: taken with the first one.
    beside: tokio::sync::Mutex<Option<Beside>>,
    /// Nobody waits for the copies any more.
    stopped: Arc<AtomicBool>,
}

/// A folder beside the version, and the lock on it.
#[derive(Clone)]
struct Beside {
    dir: Arc<WorkDir>,
    /// The version is there, begun by other programs: each file gets its name in it when it is
    /// complete. Otherwise all of them appear at once.
    completes: bool,
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
        match &*self.beside.lock().await {
            Some(Beside { dir, completes: false }) => dir.path().join(name),
            _ => self.to.join(name),
        }
    }

    /// Where files are to be written. What a killed run left there is gone.
    async fn beside(&self) -> Result<Beside, PublishError> {
        let mut beside = self.beside.lock().await;
        if let Some(beside) = &*beside {
            return Ok(beside.clone());
        }
        let version = self.to.file_name().unwrap_or_default().to_string_lossy();
        let dir = WorkDir::take(&self.folder.join(format!(".{version}.publish")));
        let dir = dir.map_err(|error| match error {
            WorkDirError::Io { cause, .. } => self.failure("cannot write into", cause),
            busy => {
                PublishError::place(format!("cannot write into {}", self.folder.display()), busy)
            }
        })?;
        let taken = Beside { dir: Arc::new(dir), completes: self.to.exists() };
        Ok(beside.insert(taken).clone())
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
        let beside = self.beside().await?;
        let (from, stopped) = (object.path.clone(), self.stopped.clone());
        let (name, version) = (object.name.clone(), self.to.clone());
        let expected = Digests { size: object.size, sha256: object.sha256 };
        // With the last copy that still goes on, the folder that it writes into goes away.
        let copied = blocking(move || {
            let to = beside.dir.path().join(&name);
            let digests = copy(&from, &to, &stopped)?;
            if beside.completes && digests == expected {
                let name = version.join(&name);
                let appears = make_way(&name).and_then(|()| publish::rename_new(&to, &name));
                appears.map_err(Side::To)?;
            }
            Ok(digests)
        });
        let digests = match copied.await {
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
        match digests == expected {
            true => Ok(()),
            false => Err(PublishError::Changed { path: object.path.clone() }),
        }
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
        match self.beside.lock().await.take() {
            Some(Beside { dir, completes: false }) => publish::new_dir(dir.path(), &self.to)
                .map_err(|source| self.failure("cannot put the version into", source)),
            _ => Ok(()),
        }
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

/// Makes the folder that `path` is in.
fn make_way(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Copies a file, or shares its bytes, and hashes them.
fn copy(from: &Path, to: &Path, stopped: &AtomicBool) -> Result<Digests, Side> {
    let from = &File::open(from).map_err(Side::From)?;
    let to = make_way(to).and_then(|()| File::create_new(to)).map_err(Side::To)?;
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
