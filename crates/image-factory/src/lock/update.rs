//! Moves the inputs of one image, and leaves everything else as it is.

use std::{fs, io, io::Write as _, path::Path};

use image_host::{
    publish,
    workdir::{WorkDir, WorkDirError},
};
use image_nix::{
    LockFile, Nix, UpdateRequest,
    lock::{Change, Input, Pin, diff},
};

use super::{ImageLock, ImageLockError, flake, of_flake, own, own_path};
use crate::{
    definition::{Definition, nearest},
    event::{Event, Events},
    nix::Options,
    plan::DIST_DIR,
};

/// What became of a lock file.
#[derive(Clone, Debug)]
pub struct Updated {
    /// The file, as the definition names it.
    pub file: String,
    /// What it began with: itself, or the lock of the flake where it was not there yet.
    pub start: String,
    /// False if it is as it was.
    pub written: bool,
    /// What moved.
    pub changes: Vec<Change>,
}

/// Moves `inputs` of an image, or all of them where none is named, to what they are today. The
/// lock file of the image's own is written whole, or not at all; that of the flake never.
pub fn update(
    definition: &Definition,
    inputs: &[String],
    options: &Options,
    events: Events<'_>,
) -> Result<Updated, ImageLockError> {
    let image = &definition.name;
    let (Some(path), Some(file)) = (own_path(definition), definition.spec.build.lock.clone())
    else {
        return Err(ImageLockError::None { image: image.clone() });
    };
    let what = || format!("moving the inputs of {image}");
    let nix = Nix::discover()?.ok_or_else(|| ImageLockError::NoNix { what: what() })?;
    let work = take(definition)?;
    let own = match own(definition) {
        Err(ImageLockError::Absent { .. }) => None,
        own => own?,
    };
    let exists = own.is_some();
    let start = own.map_or_else(|| of_flake(definition, options), Ok)?;
    check_inputs(image, inputs, &start)?;
    let request = UpdateRequest {
        flake: flake(definition).locked_by(exists.then(|| path.clone())),
        inputs: inputs.to_vec(),
        work: work.path().to_owned(),
        options: options.clone(),
    };
    let text = nix.update_lock(&request, &mut |event| events(Event::Nix(event)))?;
    let new = LockFile::parse(&text).map_err(|cause| {
        let flake = request.flake.to_string();
        ImageLockError::Answer { flake, cause }
    })?;
    let changes = diff(&start.lock, &new);
    let written = !exists || !changes.is_empty();
    if written {
        write(&path, &text).map_err(|cause| ImageLockError::Write { path, cause })?;
    }
    Ok(Updated { file, start: start.file, written, changes })
}

/// A folder for the work, which another run on the same image cannot have.
fn take(definition: &Definition) -> Result<WorkDir, WorkDirError> {
    let path = definition.root.join(DIST_DIR).join(format!(".{}.lock-update", definition.name));
    let path = std::path::absolute(&path).map_err(|cause| WorkDirError::Io { path, cause })?;
    WorkDir::take(&path)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    publish::publish(path, |file| file.write_all(text.as_bytes()))
}

/// Nix only warns of an input that is not there, and writes the file as it was.
fn check_inputs(image: &str, names: &[String], start: &ImageLock) -> Result<(), ImageLockError> {
    let inputs = start.lock.inputs();
    for name in names {
        match inputs.iter().find(|input| input.path == *name) {
            Some(Input { pin: Pin::Locked(_), .. }) => {}
            Some(Input { pin: Pin::Follows(target), .. }) => {
                let (input, target) = (name.clone(), target.clone());
                return Err(ImageLockError::Follows { input, target });
            }
            None => {
                let movable = inputs.iter().filter(|input| matches!(input.pin, Pin::Locked(_)));
                let known: Vec<_> = movable.map(|input| input.path.clone()).collect();
                let nearest = nearest(name, known.iter().map(String::as_str));
                let (image, input) = (image.to_owned(), name.clone());
                return Err(ImageLockError::UnknownInput { image, input, nearest, known });
            }
        }
    }
    Ok(())
}
