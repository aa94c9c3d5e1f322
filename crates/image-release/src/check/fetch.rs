//! Reads files of a release: each once, several at a time.

use std::{
    fmt,
    io::{self, Read as _},
    num::NonZero,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use image_factory::event::{Event, Events, Step};
use image_host::interrupt;
use image_model::Sha256;
use sha2::Digest as _;

use super::Source;

/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;
/// Progress is told when so many more bytes were read.
const STRIDE: u64 = 16 << 20;
/// Files that are read at the same time, at least: a server takes its time for each.
const MIN_THREADS: usize = 4;

/// The release could not be read, which says nothing of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The place does not tell what it has.
    #[error("cannot list what is in {place}")]
    List {
        /// Where.
        place: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {file} of {place}")]
    Read {
        /// Where.
        place: String,
        /// Which.
        file: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// A file to be read.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    pub(super) name: String,
    /// No more bytes than these are read.
    pub(super) limit: u64,
    /// Its bytes are kept.
    pub(super) keep: bool,
    /// Bytes that are hashed before those of the file, for a digest of both.
    pub(super) prefix: Option<Arc<[u8]>>,
}

/// A file that was read.
#[derive(Clone)]
pub(super) struct Fetched {
    /// How many bytes were read.
    pub(super) size: u64,
    pub(super) sha256: Sha256,
    /// It goes on after the limit; the digest is that of what was read.
    pub(super) longer: bool,
    /// Its bytes, where they were to be kept.
    pub(super) bytes: Vec<u8>,
    /// Digest of what is before it and of it.
    pub(super) combined: Option<Sha256>,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched").field("size", &self.size).finish_non_exhaustive()
    }
}

/// How much was read of how much.
pub(super) struct Meter<'a> {
    events: Events<'a>,
    files: AtomicU64,
    done: AtomicU64,
    total: AtomicU64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(events: Events<'a>) -> Self {
        let zero = || AtomicU64::new(0);
        Self { events, files: zero(), done: zero(), total: zero() }
    }

    /// So many bytes more will be read.
    pub(super) fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many files were read, and how many bytes.
    pub(super) fn done(&self) -> (u64, u64) {
        (self.files.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed))
    }

    fn add(&self, len: u64) {
        let before = self.done.fetch_add(len, Ordering::Relaxed);
        let done = before + len;
        let total = self.total.load(Ordering::Relaxed);
        if total > 0 && (before / STRIDE != done / STRIDE || done == total) {
            let total = Some(total.max(done));
            (self.events)(Event::Progress { step: Step::Verify, done, total });
        }
    }
}

/// One small file, kept.
pub(super) fn document(
    source: &dyn Source,
    name: &str,
    limit: u64,
    meter: &Meter<'_>,
) -> Result<Option<Fetched>, CheckError> {
    let wanted = Wanted { name: name.to_owned(), limit, keep: true, prefix: None };
    fetch(source, &wanted, meter)
}

/// Reads all that is wanted; `None` where there is no such file. The results have the order of what
/// is wanted.
pub(super) fn all(
    source: &dyn Source,
    wanted: &[Wanted],
    meter: &Meter<'_>,
) -> Result<Vec<Option<Fetched>>, CheckError> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = processors.max(MIN_THREADS).min(wanted.len());
    // The longest first, so that no thread begins it when the others are done.
    let mut order: Vec<_> = (0..wanted.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(wanted[*index].limit));
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results: Vec<_> = wanted.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if failed.load(Ordering::Relaxed) {
                        return;
                    }
                    let fetched = fetch(source, &wanted[*index], meter);
                    if fetched.is_err() {
                        failed.store(true, Ordering::Relaxed);
                    }
                    *results[*index].lock().expect("nobody panics with it") = Some(fetched);
                }
            });
        }
    });
    let results = results.into_iter().map(|slot| slot.into_inner().expect("nobody panics with it"));
    // Those after one that failed may be missing, and the error is told.
    let (read, missing): (Vec<_>, Vec<_>) = results.partition(Option::is_some);
    let read = read.into_iter().flatten().collect::<Result<Vec<_>, _>>()?;
    debug_assert!(missing.is_empty(), "only after an error");
    Ok(read)
}

fn fetch(
    source: &dyn Source,
    wanted: &Wanted,
    meter: &Meter<'_>,
) -> Result<Option<Fetched>, CheckError> {
    let fail = |cause| CheckError::Read { place: source.name(), file: wanted.name.clone(), cause };
    interrupt::check().map_err(|stopped| fail(stopped.into()))?;
    let Some(opened) = source.open(&wanted.name).map_err(fail)? else { return Ok(None) };
    let mut reader = opened.reader.take(wanted.limit.saturating_add(1));
    let mut hash = sha2::Sha256::new();
    let mut combined = wanted.prefix.as_ref().map(|p| sha2::Sha256::new().chain_update(p));
    let mut fetched = Fetched {
        size: 0,
        sha256: Sha256([0; 32]),
        longer: false,
        bytes: Vec::new(),
        combined: None,
    };
    let mut piece = vec![0; PIECE];
    loop {
        interrupt::check().map_err(|stopped| fail(stopped.into()))?;
        let len = match reader.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            len => len.map_err(fail)?,
        };
        if len == 0 {
            break;
        }
        let mut read = &piece[..len];
        let room = wanted.limit - fetched.size;
        if read.len() as u64 > room {
            fetched.longer = true;
            read = &read[..usize::try_from(room).unwrap_or(0)];
        }
        hash.update(read);
        if let Some(combined) = &mut combined {
            combined.update(read);
        }
        if wanted.keep {
            fetched.bytes.extend_from_slice(read);
        }
        fetched.size += read.len() as u64;
        meter.add(read.len() as u64);
    }
    meter.files.fetch_add(1, Ordering::Relaxed);
    fetched.sha256 = Sha256(hash.finalize().into());
    fetched.combined = combined.map(|hash| Sha256(hash.finalize().into()));
    Ok(Some(fetched))
}
