//! Raw bytes without an opinion.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Write as _},
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

/// The raw bytes of an image, readable anywhere: the file itself, or what is inside its
/// compression, as far as that can be read, in a file without a name in the folder `work`.
pub fn raw(file: File, work: &Path) -> io::Result<Arc<dyn ReadAt>> {
    let file = Interruptible(file);
    let mut head = vec![0; file.len()?.min(512) as usize];
    file.read_exact_at(0, &mut head)?;
    if matches!(container::compression(&head), None | Some(Compression::None)) {
        return Ok(Arc::new(file));
    }
    let mut scratch = Scratch::new(work);
    let mut raw = image_verify::open_raw(BufReader::with_capacity(BUFFER, &file.0))?;
    loop {
        interrupt::check()?;
        // What is damaged ends there.
        let Ok(bytes) = raw.fill_buf() else { break };
        if bytes.is_empty() {
            break;
        }
        scratch.write_all(bytes)?;
        let len = bytes.len();
        raw.consume(len);
    }
    image_verify::Scratch::finish(&mut scratch)
}
