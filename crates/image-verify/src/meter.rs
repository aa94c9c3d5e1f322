//! How far the judging is, told by whichever thread gets on.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::{Progress, store::Proof};

/// After so many bytes of stores it is told how far they are: most files are smaller.
const STEP: u64 = 1 << 20;

/// Adds up what the threads do.
pub(crate) struct Meter<'a> {
    told: &'a (dyn Fn(Progress) + Sync),
    /// What was told last.
    now: Mutex<Progress>,
    /// Bytes of stores that were read, also those that were not yet told.
    proven: AtomicU64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(told: &'a (dyn Fn(Progress) + Sync), total: u64) -> Self {
        let now = Progress { read: 0, total, raw: 0, proven: 0, to_prove: 0 };
        Self { told, now: Mutex::new(now), proven: AtomicU64::new(0) }
    }

    /// So much of the file was read, and so many raw bytes came out of it.
    pub(crate) fn read(&self, read: u64, raw: u64) {
        self.tell(|now| (now.read, now.raw) = (read, raw));
    }

    /// All of the file was read: what came out last did before its last bytes.
    pub(crate) fn all_read(&self) {
        self.tell(|now| now.read = now.total);
    }

    /// The contents of a store are read.
    pub(crate) fn prove(&self, proof: Proof) {
        match proof {
            Proof::Begins(len) => {
                self.tell(|now| now.to_prove = now.to_prove.saturating_add(len));
            }
            Proof::Read(len) => {
                let before = self.proven.fetch_add(len, Ordering::Relaxed);
                if before / STEP != before.wrapping_add(len) / STEP {
                    self.tell(|_| ());
                }
            }
            Proof::Ends => self.tell(|_| ()),
        }
    }

    /// One at a time, so that what is told never gets less.
    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut now);
        now.proven = self.proven.load(Ordering::Relaxed).min(now.to_prove);
        (self.told)(*now);
    }
}
