//! Compares two images, each of which is a file or a folder: `image-verify`, with Ctrl-C.

use std::{fs::File, io, path::Path, sync::Arc};

use image_formats::bytes::{ReadAt, ReadCause, ReadError};
use image_host::interrupt;
use image_model::Comparison;
use image_verify::compare::{Source, compare};

use crate::{
    folder::{self, FolderError},
    verify::{Interruptible, Raw, raw},
};

/// A file of an image, with its raw bytes: those of a compressed one go into a file without a name
/// in the folder `work`. Where there is no room for them, a
/// [`ScratchError`](crate::verify::ScratchError) is among the causes of the error.
pub fn source(file: File, work: &Path) -> io::Result<Source> {
    let Raw { bytes: raw, cut } = raw(file.try_clone()?, work)?;
    Ok(Source::File { file: Arc::new(Interruptible(file)) as Arc<dyn ReadAt>, raw, cut })
}

/// A folder of this machine, in place of an image: of what was unpacked, or goes into one.
pub fn folder(path: &Path) -> Result<Source, FolderError> {
    Ok(Source::Folder(Box::new(folder::open(path)?)))
}

/// Compares two images. `progress` is told of bytes that were compared.
pub fn images(a: &Source, b: &Source, progress: &(dyn Fn(u64) + Sync)) -> io::Result<Comparison> {
    let compared = compare(a, b, progress);
    // Whatever was being read then did not fail by itself.
    interrupt::check()?;
    compared.map_err(machine)
}

fn machine(error: ReadError) -> io::Error {
    match error.cause {
        ReadCause::Io(cause) => cause,
        cause => io::Error::other(cause.to_string()),
    }
}
