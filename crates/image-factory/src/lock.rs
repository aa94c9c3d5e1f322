//! Which lock file an image is built with: one of its own, or that of its flake.
//!
//! A definition may name a lock file (`lock` in `[build]`). Its image is then built with the
//! revisions that this says, from the same flake and the same modules as all others, and can be
//! moved alone.

mod update;

use std::{
    collections::BTreeMap,
    error::Error,
    io,
    path::{Component, Path, PathBuf},
};

use image_host::{interrupt, workdir::WorkDirError};
use image_nix::{FlakeRef, LockError, LockFile, Nix, NixError, ReadLockError, read_lock};
use serde::{Serialize, Serializer};

pub use image_nix::lock::{Change, Input, Pin, diff};

pub use self::update::{Updated, update};
use crate::{definition::Definition, nix::Options};

/// Name of the lock file beside `flake.nix`.
const FLAKE_LOCK: &str = "flake.lock";

/// The lock file that counts for an image, or for its flake.
#[derive(Clone, Debug, Serialize)]
pub struct ImageLock {
    /// The file as people know it: below the root of the project where it is there, else the
    /// flake.
    pub file: String,
    /// Whose it is.
    pub origin: Origin,
    /// What it says.
    #[serde(rename = "inputs", serialize_with = "inputs")]
    pub lock: LockFile,
}

fn inputs<S: Serializer>(lock: &LockFile, to: S) -> Result<S::Ok, S::Error> {
    lock.inputs().serialize(to)
}

/// Whose lock file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The image has it for itself.
    Own,
    /// It is that of the flake.
    Flake,
}

/// There is no such lock file, or nothing can be done with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageLockError {
    /// The image is built with the lock of the flake.
    #[error(
        "{image} has no lock of its own: add `lock = \"nix/locks/{image}.lock\"` to [build] in \
         images/{image}.toml"
    )]
    None {
        /// Name of the image.
        image: String,
    },
    /// The definition names a file that is not there.
    #[error("images/{image}.toml names {file}, which is not there: `lock update {image}` makes it")]
    Absent {
        /// Name of the image.
        image: String,
        /// The file, as the definition names it.
        file: String,
    },
    /// The file cannot be used.
    #[error(transparent)]
    Read(#[from] ReadLockError),
    /// The image has no such input.
    #[error(
        "{image} has no input {input:?}{}; it has {}",
        nearest.as_ref().map(|name| format!(", did you mean {name:?}?")).unwrap_or_default(),
        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
    )]
    UnknownInput {
        /// Name of the image.
        image: String,
        /// What was asked for.
        input: String,
        /// The path that looks most like it.
        nearest: Option<String>,
        /// The paths of all inputs that can be moved.
        known: Vec<String>,
    },
    /// The input is another one.
    #[error("{input} follows {target}: move that one", target = if target.is_empty() { "the flake itself" } else { target })]
    Follows {
        /// What was asked for.
        input: String,
        /// The path of the other one.
        target: String,
    },
    /// Only Nix knows the lock of a flake that is not on this machine, and only Nix moves one.
    #[error("{what} needs Nix, which is not on this machine: see `doctor`")]
    NoNix {
        /// What was to be done.
        what: String,
    },
    /// Nix refused.
    #[error(transparent)]
    Nix(#[from] NixError),
    /// What Nix says is no lock file.
    #[error("the lock file of {flake} {cause}")]
    Answer {
        /// The flake.
        flake: String,
        /// Why. It is part of the sentence, and no source.
        cause: LockError,
    },
    /// Another run moves the same lock file, or there is no place for the work.
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
    /// The new file could not be put into place; the old one is as it was.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl ImageLockError {
    /// True if the command line, or the definition, asks for what cannot be.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::None { .. }
                | Self::Absent { .. }
                | Self::UnknownInput { .. }
                | Self::Follows { .. }
        )
    }
}

/// The lock file of an image's own, below the root of the project; `None` where it has none.
pub fn own_path(definition: &Definition) -> Option<PathBuf> {
    definition.spec.build.lock.as_ref().map(|lock| definition.root.join(lock))
}

/// Names of the other images among `all` that have the same lock file for their own. They move
/// together, as the image of an installer and the one that it installs may want to.
pub fn shared_with<'a>(definition: &Definition, all: &'a [Definition]) -> Vec<&'a str> {
    let Some(file) = normal(definition) else { return Vec::new() };
    let others = all.iter().filter(|other| {
        other.name != definition.name && normal(other).is_some_and(|other| other == file)
    });
    others.map(|other| other.name.as_str()).collect()
}

/// The name of the lock file of an image's own, which has one spelling here.
fn normal(definition: &Definition) -> Option<PathBuf> {
    let parts = Path::new(definition.spec.build.lock.as_ref()?).components();
    Some(parts.filter(|part| *part != Component::CurDir).collect())
}

/// The flake that the definition names, without a lock of the image's own.
fn flake(definition: &Definition) -> FlakeRef {
    FlakeRef::new(&definition.spec.build.flake, &definition.root)
}

/// The lock file of an image's own; `None` where its definition names none.
pub fn own(definition: &Definition) -> Result<Option<ImageLock>, ImageLockError> {
    let (Some(path), Some(file)) = (own_path(definition), &definition.spec.build.lock) else {
        return Ok(None);
    };
    match read_lock(&path) {
        Ok(lock) => Ok(Some(ImageLock { file: file.clone(), origin: Origin::Own, lock })),
        Err(error) if error.is_absent() => {
            let (image, file) = (definition.name.clone(), file.clone());
            Err(ImageLockError::Absent { image, file })
        }
        Err(error) => Err(error.into()),
    }
}

/// The flake of a run with the lock file that counts for it, and what there is to say of that. The
/// lock of an image belongs to the flake of its definition, and fits no other.
pub(crate) fn of_run(asked: FlakeRef, definition: &Definition) -> (FlakeRef, Option<String>) {
    let (Some(path), Some(file)) = (own_path(definition), &definition.spec.build.lock) else {
        return (asked, None);
    };
    let flake = flake(definition);
    let folder = flake.local_folder();
    let same_folder = folder.is_some() && folder == asked.local_folder();
    if same_folder || flake.to_string() == asked.to_string() {
        return (asked.locked_by(Some(path)), None);
    }
    let notice = format!(
        "{file} is the lock file of {}, and {asked} is another flake: it is built as its own lock \
         file says.",
        definition.spec.build.flake
    );
    (asked, Some(notice))
}

/// The lock file of a flake in a folder of this machine; `None` where it is elsewhere.
pub(crate) fn local(flake: &FlakeRef, root: &Path) -> Option<Result<ImageLock, ImageLockError>> {
    let folder = flake.local_folder().filter(|folder| folder.join("flake.nix").is_file())?;
    let path = folder.join(FLAKE_LOCK);
    let file = path.strip_prefix(root).unwrap_or(&path).display().to_string();
    let lock = match read_lock(&path) {
        // A flake without inputs needs none.
        Err(error) if error.is_absent() => LockFile::default(),
        Err(error) => return Some(Err(error.into())),
        Ok(lock) => lock,
    };
    Some(Ok(ImageLock { file, origin: Origin::Flake, lock }))
}

/// The lock file of the flake that an image is built from. A flake in a folder of this machine has
/// it there, and Nix is asked for any other.
pub fn of_flake(definition: &Definition, options: &Options) -> Result<ImageLock, ImageLockError> {
    let flake = flake(definition);
    if let Some(lock) = local(&flake, &definition.root) {
        return lock;
    }
    let what = || format!("the lock file of {flake}");
    let nix = Nix::discover()?.ok_or_else(|| ImageLockError::NoNix { what: what() })?;
    let metadata = nix.metadata(&flake, options)?;
    let lock = LockFile::from_json(metadata.locks)
        .map_err(|cause| ImageLockError::Answer { flake: flake.to_string(), cause })?;
    Ok(ImageLock { file: flake.to_string(), origin: Origin::Flake, lock })
}

/// The lock file that an image is built with.
pub fn of_image(definition: &Definition, options: &Options) -> Result<ImageLock, ImageLockError> {
    match own(definition)? {
        Some(lock) => Ok(lock),
        None => of_flake(definition, options),
    }
}

/// What each image is built with, in their order. Where that cannot be told, why. It is an error
/// only that somebody asked the factory to stop.
pub fn list(
    definitions: &[Definition],
    options: &Options,
) -> Result<Vec<Result<ImageLock, String>>, ImageLockError> {
    // The images of one flake share its lock, and the reason why it is not to be had.
    let mut flakes: BTreeMap<&str, Result<ImageLock, String>> = BTreeMap::new();
    let mut locks = Vec::new();
    for definition in definitions {
        let flake = definition.spec.build.flake.as_str();
        let known = flakes.get(flake).filter(|_| definition.spec.build.lock.is_none());
        let lock = match known.cloned().map_or_else(|| of_image(definition, options).map(Ok), Ok) {
            Ok(lock) => lock,
            Err(error) if interrupt::caused(&error) => return Err(error),
            Err(error) => Err(told(&error)),
        };
        if definition.spec.build.lock.is_none() {
            flakes.insert(flake, lock.clone());
        }
        locks.push(lock);
    }
    Ok(locks)
}

/// The error and its causes in one line; of Nix, only why it refused.
pub fn told(error: &ImageLockError) -> String {
    if let ImageLockError::Nix(error) = error
        && let Some(failure) = error.failure()
    {
        return failure.to_string().replace('\n', " ");
    }
    let mut texts = Vec::new();
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        texts.push(error.to_string().replace('\n', " "));
        cause = error.source();
    }
    // An error that only passes its cause on says the same.
    texts.dedup();
    texts.join(": ")
}

/// What a definition may name as a lock file; otherwise what is wrong with it.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let path = Path::new(name);
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    match path.file_name() {
        _ if path.is_absolute() => Err("a lock file is named from the folder above images/ on"),
        _ if !path.components().all(inside) => {
            Err("a lock file lies below the folder above images/")
        }
        None => Err("a lock file has a name"),
        Some(_) if name.ends_with('/') => Err("a lock file is no folder"),
        Some(name) if name == FLAKE_LOCK => {
            Err("flake.lock is the flake's own, which counts where no other is named")
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;
    use crate::definition;

    #[test]
    fn the_lock_files_of_this_repository_are_those_of_its_images() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let ids = || image_verify::checks().map(|check| check.id);
        let names = definition::names(root).unwrap();
        let images = names.iter().map(|name| definition::load(root, name, ids()).unwrap());
        let named: BTreeSet<_> = images.filter_map(|image| normal(&image)).collect();
        let files = fs::read_dir(root.join("nix/locks")).unwrap();
        let files = files.map(|file| Path::new("nix/locks").join(file.unwrap().file_name()));
        assert_eq!(named, files.collect::<BTreeSet<_>>());
    }

    #[test]
    fn a_lock_file_lies_in_the_project() {
        for good in ["nix/locks/wsl.lock", "./wsl.lock", "a b"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "/etc/x", "../x", "nix/../../x", "nix/", "nix/flake.lock", "nix/.."] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
