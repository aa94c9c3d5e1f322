//! Moves the inputs of one image, and leaves everything else as it is.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use image_host::{
    publish,
    workdir::{WorkDir, WorkDirError},
};
use image_nix::{
    LockFile, Nix, UpdateRequest,
    lock::{Change, Input, Pin, diff},
};

use super::{ImageLockError, flake, normal, of_flake, own, own_path};
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
    /// What it began with: itself, or the lock of the flake where it was not there yet. `None`:
    /// nothing, since the flake has none either.
    pub start: Option<String>,
    /// False if it is as it was. Nix may write it anew, and no revision moves: it also says which
    /// branch an input is of.
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
    let work = Work::take(definition)?;
    let work = work.dir.path();
    let own = match own(definition) {
        Err(ImageLockError::Absent { .. }) => None,
        own => own?,
    };
    let exists = own.is_some();
    let start = own.map_or_else(|| of_flake(definition, options), Ok)?;
    // What is no name of anything is not for Nix to say.
    if let Some(odd) = inputs.iter().find(|name| !is_path(name)) {
        return Err(unknown(image, odd, &start.lock.inputs()));
    }
    // Nix begins with what was read here, also where that is nothing. Left to itself, it would take
    // the lock file of the flake from the index of Git, which may have none, or another one.
    let reference = work.join("start.lock");
    let written = fs::write(&reference, start.lock.json().to_string());
    written.map_err(|cause| ImageLockError::Write { path: reference.clone(), cause })?;
    let folder = work.join("update");
    let made = fs::create_dir(&folder);
    made.map_err(|cause| ImageLockError::Write { path: folder.clone(), cause })?;
    let request = UpdateRequest {
        flake: flake(definition).locked_by(Some(reference)),
        inputs: inputs.to_vec(),
        work: folder,
        options: options.clone(),
    };
    let text = nix.update_lock(&request, &mut |event| events(Event::Nix(event)))?;
    let new = LockFile::parse(&text).map_err(|cause| {
        let flake = request.flake.to_string();
        ImageLockError::Answer { flake, cause }
    })?;
    check_inputs(image, inputs, &start.lock, &new)?;
    let changes = diff(&start.lock, &new);
    let written = !exists || start.lock != new;
    if written {
        write(&path, &text).map_err(|cause| ImageLockError::Write { path, cause })?;
    }
    let begun = exists || !start.lock.inputs().is_empty();
    Ok(Updated { file, start: begun.then_some(start.file), written, changes })
}

/// A folder for the work, which another run on the same lock file cannot have, of whatever image
/// that is. All of it goes with the value.
struct Work {
    dir: WorkDir,
    _dist: Made,
}

/// A folder that is removed if nobody put anything into it.
struct Made(Option<PathBuf>);

impl Work {
    fn take(definition: &Definition) -> Result<Self, WorkDirError> {
        let dist = definition.root.join(DIST_DIR);
        let dist = std::path::absolute(&dist)
            .map_err(|cause| WorkDirError::Io { path: dist.clone(), cause })?;
        let made = Made((!dist.exists()).then(|| dist.clone()));
        // Nix before 2.19 is given the folder in a URL. Two names that become one only wait for each
        // other.
        let file = normal(definition).unwrap_or_default().display().to_string();
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let name: String = file.chars().map(plain).collect();
        let dir = WorkDir::take(&dist.join(format!(".{name}.update")))?;
        Ok(Self { dir, _dist: made })
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // It is not empty if another run is at work.
        let _ = self.0.as_ref().map(fs::remove_dir);
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    publish::publish(path, |file| file.write_all(text.as_bytes()))
}

/// Nix only warns of an input that is not there, and writes the file as it was. Only what it wrote
/// says what the flake has: an input may be new, and one that is gone was there before.
fn check_inputs(
    image: &str,
    names: &[String],
    old: &LockFile,
    new: &LockFile,
) -> Result<(), ImageLockError> {
    let (inputs, before) = (new.inputs(), old.inputs());
    for name in names {
        match inputs.iter().find(|input| input.path == *name) {
            Some(Input { pin: Pin::Locked(_), .. }) => {}
            Some(Input { pin: Pin::Follows(target), .. }) => {
                let (input, target) = (name.clone(), target.clone());
                return Err(ImageLockError::Follows { input, target });
            }
            None if before.iter().any(|input| input.path == *name) => {}
            None => return Err(unknown(image, name, &inputs)),
        }
    }
    Ok(())
}

/// True for what may be the path of an input: names as Nix takes them, with `/` between.
fn is_path(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-'".contains(c);
    name.split('/').all(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(plain)
    })
}

fn unknown(image: &str, input: &str, inputs: &[Input]) -> ImageLockError {
    let movable = inputs.iter().filter(|input| matches!(input.pin, Pin::Locked(_)));
    let known: Vec<_> = movable.map(|input| input.path.clone()).collect();
    let nearest = nearest(input, known.iter().map(String::as_str));
    let (image, input) = (image.to_owned(), input.to_owned());
    ImageLockError::UnknownInput { image, input, nearest, known }
}
