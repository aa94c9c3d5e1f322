//! Raw bytes without an opinion.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Write as _},
    path::Path,
    sync::Arc,
};

use image_formats::bytes::ReadAt;
use image_host::interrupt;
use image_model::Compression;
use image_verify::container;

use super::{Interruptible, scratch::Scratch};

/// How much of a file is read at once.
const BUFFER: usize = 256 << 10;

/// The raw bytes of an image, readable anywhere.
pub struct Raw {
    /// The file itself, or what is inside its compression, as far as that can be read.
    pub bytes: Arc<dyn ReadAt>,
    /// Why there is no more, where there should be: a sentence about the image.
    pub cut: Option<String>,
}

/// The raw bytes of an image; those of a compressed one are in a file without a name in the folder
/// `work`.
pub fn raw(file: File, work: &Path) -> io::Result<Raw> {
    let file = Interruptible(file);
    if matches!(container::compression_of(&file)?, None | Some(Compression::None)) {
        return Ok(Raw { bytes: Arc::new(file), cut: None });
    }
    let mut scratch = Scratch::new(work);
    let cut = decompress(&file.0, &mut scratch)?;
    Ok(Raw { bytes: image_verify::Scratch::finish(&mut scratch)?, cut })
}

/// Decompresses until the end, or until what is damaged, and then says so. An error is the
/// machine's.
fn decompress(file: impl Read, scratch: &mut Scratch<'_>) -> io::Result<Option<String>> {
    let failed = Cell::new(None);
    let watched = BufReader::with_capacity(BUFFER, Watched { file, failed: &failed });
    let mut raw = image_verify::open_raw(watched).map_err(|e| failed.take().unwrap_or(e))?;
    let mut len = 0_u64;
    loop {
        interrupt::check()?;
        let bytes = match raw.fill_buf() {
            Ok([]) => return Ok(None),
            Ok(bytes) => bytes,
            Err(cause) => match failed.take() {
                Some(failure) => return Err(failure),
                None => {
                    return Ok(Some(format!(
                        "its bytes after {len} cannot be decompressed: {cause}"
                    )));
                }
            },
        };
        scratch.write_all(bytes)?;
        let done = bytes.len();
        len += done as u64;
        raw.consume(done);
    }
}

/// Remembers a failure of the machine, which a decoder reports like any other.
struct Watched<'a, R> {
    file: R,
    failed: &'a Cell<Option<io::Error>>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf).map_err(|error| {
            let kind = error.kind();
            // A read that a signal interrupts is begun again.
            if kind != io::ErrorKind::Interrupted {
                self.failed.set(Some(error));
            }
            kind.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with a bad sector.
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("bad sector"))
        }
    }

    /// Two pieces that cannot be compressed, so that the first comes out before the second is read.
    fn compressed() -> Vec<u8> {
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let content: Vec<u8> = (0..1 << 20).map(|_| random()).collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_failure_of_the_machine_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, mut scratch) = (compressed(), Scratch::new(folder.path()));
        let half = &whole[..whole.len() / 2];
        let error = decompress(half.chain(Broken), &mut scratch).unwrap_err();
        assert_eq!(error.to_string(), "bad sector");
        assert_eq!(decompress(&whole[..], &mut Scratch::new(folder.path())).unwrap(), None);
    }

    #[test]
    fn what_is_cut_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, mut scratch) = (compressed(), Scratch::new(folder.path()));
        let cut = decompress(&whole[..whole.len() / 2], &mut scratch).unwrap().unwrap();
        let len = ReadAt::len(&Scratch::finish(&mut scratch).unwrap()).unwrap();
        assert!(len > 256 << 10, "{len}");
        assert!(
            cut.starts_with(&format!("its bytes after {len} cannot be decompressed: ")),
            "{cut}"
        );
    }
}
