//! Lock files on this machine: reads them, and lets Nix move what is in one.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    around,
    build::{Nix, NixError},
    failure::Failure,
    lock::{LockError, LockFile},
    log::Event,
    request::{self, FlakeRef, Options},
    store::FlakeMetadata,
};

/// Largest file that is taken for a lock file. Those of hundreds of inputs have a few 100 KiB.
const MAX_BYTES: u64 = 16 << 20;

/// Name of the lock file of a flake.
const LOCK: &str = "flake.lock";

/// A lock file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadLockError {
    /// The machine did not give it.
    #[error("cannot read the lock file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// What is in it makes no sense.
    #[error("{} {cause}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why. It is part of the sentence, and no source.
        cause: LockError,
    },
}

impl ReadLockError {
    /// True if there is no such file.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Read { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads a lock file.
pub fn read(path: &Path) -> Result<LockFile, ReadLockError> {
    let fail = |cause| ReadLockError::Read { path: path.to_owned(), cause };
    let invalid = |what| {
        let cause = LockError::Shape(what);
        ReadLockError::Invalid { path: path.to_owned(), cause }
    };
    // Opening a pipe waits for somebody who writes into it.
    if !fs::metadata(path).map_err(fail)?.is_file() {
        return Err(invalid("it is no ordinary file".to_owned()));
    }
    let file = File::open(path).map_err(fail)?;
    let mut text = String::new();
    let length = file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(fail)?;
    if length as u64 > MAX_BYTES {
        return Err(invalid(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
    }
    LockFile::parse(&text).map_err(|cause| ReadLockError::Invalid { path: path.to_owned(), cause })
}

/// Inputs that are to move.
#[derive(Clone, Debug)]
pub struct UpdateRequest {
    /// The flake, with the lock file to start with.
    pub flake: FlakeRef,
    /// The paths of the inputs; all inputs where there are none.
    pub inputs: Vec<String>,
    /// An empty folder, from the root of this machine on.
    pub work: PathBuf,
    /// What the user hands on.
    pub options: Options,
}

impl Nix {
    /// Moves inputs of a flake to what they are today, and returns the text of the new lock file.
    /// The old one, and the flake's own, stay as they are.
    pub fn update_lock(
        &self,
        request: &UpdateRequest,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<String, NixError> {
        let UpdateRequest { flake, inputs, work, options } = request;
        let output = work.join(LOCK);
        if self.version().updates_by_name() {
            let args = request::update(flake, inputs, &output, options);
            self.run(&args, options, on_event)?;
        } else {
            let on_event = &mut but_of_other_locks(on_event);
            self.copy_flake(flake, options, work, on_event)?;
            self.run(&request::update_in(work, inputs, options), options, on_event)?;
        }
        fs::read_to_string(&output).map_err(|cause| NixError::Work { path: output, cause })
    }

    /// The flake to evaluate, of which `metadata` tells. It is another one where the lock file is
    /// not the flake's own and Nix is older than 2.15: one around it that has this lock file, below
    /// `work`.
    pub fn in_force(
        &self,
        flake: &FlakeRef,
        metadata: &FlakeMetadata,
        options: &Options,
        work: &Path,
    ) -> Result<FlakeRef, NixError> {
        if flake.lock.is_none() || self.version().has_reference_lock() {
            return Ok(flake.clone());
        }
        // A lock file in a generated flake is believed, whether it fits the flake or not.
        let copy = create_folder(work, "fit")?;
        self.copy_flake(flake, options, &copy, &mut |_| ())?;
        let fits = self.run(&request::fits(&copy, options), options, &mut |_| ());
        fits.map_err(|error| error.about_lock(flake))?;
        self.complete(flake, metadata, work)
    }

    /// A flake that is evaluated with this lock file by whoever knows of no other than a flake's
    /// own. It is `flake` itself where it has no other, else one around it, below `work`.
    pub fn complete(
        &self,
        flake: &FlakeRef,
        metadata: &FlakeMetadata,
        work: &Path,
    ) -> Result<FlakeRef, NixError> {
        if flake.lock.is_none() {
            return Ok(flake.clone());
        }
        let folder = create_folder(work, "locked")?;
        let written = around::around(metadata, None, None)?.write(&folder);
        written.map_err(|cause| NixError::Work { path: folder, cause })
    }

    /// Copies the folder with `flake.nix`, with the lock file to start with in it. The inputs of a
    /// flake are literals, and its outputs are not evaluated here, so the rest of the source is
    /// not missed.
    fn copy_flake(
        &self,
        flake: &FlakeRef,
        options: &Options,
        to: &Path,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(), NixError> {
        let args = request::metadata_whatever_is_locked(flake, options);
        let answer = self.json(&args, options, on_event)?;
        let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
        let place = options.evaluation_place();
        let Some(source) = text("/path").and_then(|path| place.physical(path)) else {
            return Err(self.unreadable(&args, answer.to_string()));
        };
        let folder = source.join(text("/resolved/dir").unwrap_or_default());
        copy(&folder, to).map_err(|(path, cause)| NixError::Work { path, cause })?;
        let start = flake.lock_in_force().map_or_else(|| folder.join(LOCK), Path::to_owned);
        let lock = to.join(LOCK);
        match fs::read(&start) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && flake.lock.is_none() => Ok(()),
            Err(cause) => Err(NixError::Work { path: start, cause }),
            Ok(text) => {
                fs::write(&lock, text).map_err(|cause| NixError::Work { path: lock, cause })
            }
        }
    }
}

/// Without what Nix says of a lock file that does not count: that of a copy, or the flake's own.
pub(crate) fn but_of_other_locks(on_event: &mut dyn FnMut(Event)) -> impl FnMut(Event) + use<'_> {
    |event| match &event {
        Event::Message { text, .. }
            if text.contains("ing lock file '")
                || text.contains("not writing modified lock file of") => {}
        _ => on_event(event),
    }
}

impl NixError {
    /// Of a flake that has another lock file than its own, the advice is another.
    pub(crate) fn about_lock(self, flake: &FlakeRef) -> Self {
        match (self, &flake.lock) {
            (Self::Failed { command, failure }, Some(lock)) => match *failure {
                Failure::LockFile { message } => {
                    Self::LockDoesNotFit { lock: lock.clone(), message }
                }
                _ => Self::Failed { command, failure },
            },
            (error, _) => error,
        }
    }
}

impl FlakeRef {
    /// The same flake, evaluated with what its lock file says now, whoever moves that meanwhile.
    /// What Nix is asked for in one run has one answer then. The copy is in `work`.
    pub fn frozen(self, work: &Path) -> Result<Self, NixError> {
        let Some(lock) = &self.lock else { return Ok(self) };
        let text = read(lock)?.json().to_string();
        let path = work.join("reference.lock");
        match fs::write(&path, text) {
            Ok(()) => Ok(self.with_copy(path)),
            Err(cause) => Err(NixError::Work { path, cause }),
        }
    }
}

fn create_folder(work: &Path, name: &str) -> Result<PathBuf, NixError> {
    let path = work.join(name);
    match fs::create_dir(&path) {
        Ok(()) => Ok(path),
        Err(cause) => Err(NixError::Work { path, cause }),
    }
}

/// Copies what is in `from` into the folder `to`, but for the lock file, which is written to.
fn copy(from: &Path, to: &Path) -> Result<(), (PathBuf, io::Error)> {
    let lock = from.join(LOCK);
    let mut folders = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = folders.pop() {
        let fail = |cause| (from.clone(), cause);
        for entry in fs::read_dir(&from).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let (path, target) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type().map_err(fail)?;
            let copied = if kind.is_dir() {
                folders.push((path.clone(), target.clone()));
                fs::create_dir(&target)
            } else if kind.is_symlink() {
                fs::read_link(&path).and_then(|leads| symlink(leads, &target))
            } else if path == lock {
                Ok(())
            } else {
                fs::copy(&path, &target).map(|_| ())
            };
            copied.map_err(|cause| (path, cause))?;
        }
    }
    Ok(())
}
