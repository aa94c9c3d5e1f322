//! Hashes files: each is read once, and as many at a time as there are processors.

use std::{
    fs::{File, Metadata},
    io,
    num::NonZero,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use image_factory::event::{Event, Events, Step};
use image_formats::zstd::Frames;
use image_host::interrupt;
use image_model::{Digests, Sha256};
use sha2::Digest as _;

/// Bytes that are read at a time: few enough to be hashed out of the cache that they were read
/// into.
const PIECE: usize = 256 << 10;

/// Progress is told when so many more bytes were hashed.
const STRIDE: u64 = 16 << 20;

/// A file that is open, and what it was when it was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) size: u64,
    /// What is hashed before its bytes for [`Hashed::combined`].
    pub(crate) prefix: Option<Vec<u8>>,
    changed: (i64, i64),
}

impl Opened {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { size: metadata.len(), prefix: None, changed: changed(&metadata), file })
    }

    /// An error if somebody wrote to it since it was opened.
    pub(crate) fn unchanged(&self) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        if (metadata.len(), changed(&metadata)) == (self.size, self.changed) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "it was changed while it was read"))
    }
}

/// When the bytes of a file changed. A link to it changes only the time of its inode.
fn changed(metadata: &Metadata) -> (i64, i64) {
    (metadata.mtime(), metadata.mtime_nsec())
}

/// What the bytes of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hashed {
    pub(crate) digests: Digests,
    /// `Frame_Content_Size` of its first frame, where it is a zstd file that has one.
    pub(crate) content_size: Option<u64>,
    /// Digest of its prefix and its bytes, where it has a prefix.
    pub(crate) combined: Option<Sha256>,
}

/// Hashes `files`, and tells how far that is. The results have their order.
pub(crate) fn hash_all(files: &[&Opened], events: Events<'_>) -> Vec<io::Result<Hashed>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(files.len());
    hash_on(files, threads, events)
}

fn hash_on(files: &[&Opened], threads: usize, events: Events<'_>) -> Vec<io::Result<Hashed>> {
    let total = files.iter().map(|opened| opened.size).sum();
    let done = AtomicU64::new(0);
    let tell = |len: u64| {
        let before = done.fetch_add(len, Ordering::Relaxed);
        if before / STRIDE != (before + len) / STRIDE || before + len == total {
            let done = before + len;
            events(Event::Progress { step: Step::Hash, done, total: Some(total) });
        }
    };
    // The longest first, so that no thread begins it when the others are done.
    let mut order: Vec<_> = (0..files.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(files[*index].size));
    let next = AtomicUsize::new(0);
    let results: Vec<_> = files.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let hashed = hash(files[*index], &tell);
                    *results[*index].lock().expect("nobody panics with it") = Some(hashed);
                }
            });
        }
    });
    let result = |slot: Mutex<Option<_>>| slot.into_inner().expect("nobody panics with it");
    results.into_iter().map(|slot| result(slot).expect("each file has its turn")).collect()
}

fn hash(opened: &Opened, tell: &impl Fn(u64)) -> io::Result<Hashed> {
    let mut sha256 = sha2::Sha256::new();
    let mut combined = opened.prefix.as_deref().map(sha2::Sha256::new_with_prefix);
    let mut content_size = None;
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        interrupt::check()?;
        let len = match opened.file.read_at(&mut piece, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            len => len?,
        };
        let read = &piece[..len];
        if len == 0 {
            break;
        }
        if at == 0 {
            Frames::default().feed(read, |frame| {
                content_size = content_size.or(Some(frame.content_size));
            });
        }
        sha256.update(read);
        if let Some(combined) = &mut combined {
            combined.update(read);
        }
        at += len as u64;
        tell(len as u64);
    }
    opened.unchanged()?;
    let digests = Digests { size: at, sha256: Sha256(sha256.finalize().into()) };
    let combined = combined.map(|combined| Sha256(combined.finalize().into()));
    Ok(Hashed { digests, content_size: content_size.flatten(), combined })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn open(path: &Path) -> Opened {
        Opened::new(File::open(path).unwrap()).unwrap()
    }

    #[test]
    fn results_have_the_order_of_the_files_on_any_number_of_threads() {
        let dir = tempfile::tempdir().unwrap();
        let contents: Vec<Vec<u8>> =
            [0, 1, PIECE, 3 * PIECE + 1, 17].map(|len| vec![len as u8; len]).into();
        let files: Vec<_> = contents
            .iter()
            .enumerate()
            .map(|(i, bytes)| {
                let path = dir.path().join(i.to_string());
                fs::write(&path, bytes).unwrap();
                open(&path)
            })
            .collect();
        let files: Vec<_> = files.iter().collect();
        let last = Mutex::new((0, None));
        for threads in [1, 2, 9] {
            let events = |event: Event| {
                let Event::Progress { done, total, .. } = event else { panic!("{event:?}") };
                let mut last = last.lock().unwrap();
                *last = (*last).max((done, total));
            };
            let hashed = hash_on(&files, threads, &events);
            for (bytes, hashed) in contents.iter().zip(hashed) {
                let digests = hashed.unwrap().digests;
                assert_eq!(digests.size, bytes.len() as u64);
                assert_eq!(digests.sha256.0, <[u8; 32]>::from(sha2::Sha256::digest(bytes)));
            }
            let total = contents.iter().map(|bytes| bytes.len() as u64).sum();
            assert_eq!(*last.lock().unwrap(), (total, Some(total)));
        }
        assert!(hash_all(&[], &|_| ()).is_empty());
    }

    #[test]
    fn the_header_of_a_frame_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for (head, expected) in [
            (&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 7, 1, 0, 0][..], Some(7)),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50, 1, 0, 0], None),
            (b"no frame", None),
            (b"", None),
        ] {
            fs::write(&path, head).unwrap();
            let hashed = hash_all(&[&open(&path)], &|_| ()).remove(0).unwrap();
            assert_eq!(hashed.content_size, expected);
        }
    }

    #[test]
    fn a_prefix_is_hashed_before_the_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, vec![7; PIECE + 1]).unwrap();
        let mut opened = open(&path);
        assert_eq!(hash_all(&[&opened], &|_| ()).remove(0).unwrap().combined, None);
        opened.prefix = Some(b"before".to_vec());
        let hashed = hash_all(&[&opened], &|_| ()).remove(0).unwrap();
        let digest = |bytes: &[u8]| Sha256(sha2::Sha256::digest(bytes).into());
        assert_eq!(hashed.digests.sha256, digest(&[7; PIECE + 1]));
        assert_eq!(hashed.combined, Some(digest(&[b"before", &[7; PIECE + 1][..]].concat())));
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, "one").unwrap();
        let opened = open(&path);
        fs::hard_link(&path, dir.path().join("y")).unwrap();
        opened.unchanged().unwrap();
        fs::write(&path, "another").unwrap();
        let error = hash_all(&[&opened], &|_| ()).remove(0).unwrap_err();
        assert_eq!(error.to_string(), "it was changed while it was read");
    }
}
