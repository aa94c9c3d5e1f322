//! Sizes of a file.

use std::{borrow::Cow, fs::File, io, path::Path};

use image_formats::bytes::{ReadAt, ReadError};
use image_model::Compression;
use image_verify::{
    Recorder,
    container::{compression_of, raw_format, refine},
    opened::{self, Opened},
};

use super::{Sizes, human, svg};
use crate::{
    folder::{self, FolderError},
    verify::Raw,
};

/// What is known of the sizes of a file.
#[derive(Debug)]
pub struct Measured {
    /// Bytes of the file.
    pub file: u64,
    /// What is around its raw bytes.
    pub compression: Compression,
    /// How those lie.
    pub format: Cow<'static, str>,
    /// How many there are.
    pub raw: u64,
    /// Why they end before the image does, where they do: a sentence about the image.
    pub cut: Option<String>,
    /// What they are.
    pub sizes: Sizes,
}

impl Measured {
    /// What the image is, and how large, with `bytes` to write counts of bytes.
    pub fn about(&self, bytes: impl Fn(u64) -> String) -> String {
        let mut about = self.format.to_string();
        if self.compression != Compression::None {
            about += &format!(" in {}", self.compression.as_str());
        }
        about += &format!(", {}", bytes(self.file));
        if self.raw != self.file {
            about += &format!(", {} unpacked", bytes(self.raw));
        }
        about
    }

    /// A treemap of it.
    pub fn svg(&self) -> String {
        svg(&self.sizes, &self.about(human))
    }
}

/// The sizes of a file cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// It is no image.
    #[error("it is no image that the factory knows")]
    NoImage,
    /// It cannot be read, or its raw bytes cannot be kept.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It cannot be read where something of the image is.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is a folder that cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// Measures a folder as if it were an image.
pub fn measure_folder(path: &Path, name: &str) -> Result<Measured, MeasureError> {
    let sizes = Sizes::of_volume(&folder::open(path)?, name);
    let bytes = sizes.entry(Sizes::ROOT).bytes;
    let (compression, format) = (Compression::None, Cow::Borrowed("folder"));
    Ok(Measured { file: bytes, compression, format, raw: bytes, cut: None, sizes })
}

/// Measures an image, which `name` is the name of. The raw bytes of a compressed one are kept in the
/// folder `work` for as long as that takes. What is damaged is measured as far as it can be read.
pub fn measure(file: File, name: &str, work: &Path) -> Result<Measured, MeasureError> {
    let len = ReadAt::len(&file)?;
    let compression = compression_of(&file)?.unwrap_or(Compression::None);
    let format = raw_format(&file)?.ok_or(MeasureError::NoImage)?;
    let Raw { bytes: raw, cut } = crate::verify::raw(file, work)?;
    let format = refine(format, &*raw)?;
    let opened = opened::open(&raw, format, &mut Recorder::default())?;
    let raw = raw.len()?;
    Ok(Measured {
        file: len,
        compression,
        format: Cow::Borrowed(match &opened {
            Opened::Disk(disk) => disk.format(),
            _ => format.as_str(),
        }),
        raw,
        cut,
        sizes: Sizes::of(&opened, name, raw),
    })
}
