//! What all places share while they work: who hears of it, how much goes on at the same time, and
//! how often something is tried.

use std::{
    error::Error,
    future::Future,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use image_factory::{
    Step,
    event::{Event, Events},
};

/// A multiple of this is told, in bytes.
const TELL: u64 = 1 << 20;

/// How often something is tried, and how long is waited in between.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often something is tried in all.
    pub tries: u32,
    /// The first wait. Each one is twice as long as the one before, and up to half longer by chance:
    /// those who failed together do not come back together.
    pub first: Duration,
    /// No wait is longer, but for that half.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries: 6, first: Duration::from_millis(500), longest: Duration::from_secs(10) }
    }
}

impl Patience {
    /// The wait after try number `tried`, which begins with 1; `None` where it was the last.
    pub(crate) fn wait(self, tried: u32) -> Option<Duration> {
        if tried >= self.tries {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << (tried - 1).min(16)).min(self.longest);
        let chance = RandomState::new().build_hasher().finish() % 512;
        Some(doubled + doubled * u32::try_from(chance).unwrap_or(0) / 1024)
    }
}

/// A try that failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Another try may end better: a connection broke, a server was busy.
    Transient(Box<dyn Error + Send + Sync>),
    /// Another try would end in the same way.
    Final(Box<dyn Error + Send + Sync>),
}

impl Trouble {
    pub(crate) fn into_source(self) -> Box<dyn Error + Send + Sync> {
        match self {
            Self::Transient(source) | Self::Final(source) => source,
        }
    }
}

/// The work of one call.
pub(crate) struct Work<'a> {
    events: Events<'a>,
    /// How many requests with a body are under way at the same time.
    pub(crate) parallel: usize,
    pub(crate) patience: Patience,
    /// Only what is there is looked at, and nothing is sent.
    pub(crate) only_looks: bool,
    done: AtomicU64,
    total: AtomicU64,
}

impl<'a> Work<'a> {
    pub(crate) fn new(events: Events<'a>, parallel: usize, patience: Patience) -> Self {
        let (done, total) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { events, parallel, patience, only_looks: false, done, total }
    }

    /// A sentence that the user should read.
    pub(crate) fn notice(&self, text: impl Into<String>) {
        (self.events)(Event::Notice(text.into()));
    }

    /// So many bytes more will be sent or read back.
    pub(crate) fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many of them were.
    pub(crate) fn advance(&self, bytes: u64) {
        let before = self.done.fetch_add(bytes, Ordering::Relaxed);
        let total = self.total.load(Ordering::Relaxed);
        // What had to be sent twice is no more work than was expected.
        let done = (before + bytes).min(total);
        if done / TELL != before / TELL || done == total {
            (self.events)(Event::Progress { step: Step::Send, done, total: Some(total) });
        }
    }

    /// Does `attempt` until it ends well, or in a way that another try does not change.
    pub(crate) async fn retry<T, F>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Box<dyn Error + Send + Sync>>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let mut tried = 0;
        loop {
            tried += 1;
            let source = match attempt().await {
                Ok(value) => return Ok(value),
                Err(trouble @ Trouble::Final(_)) => return Err(trouble.into_source()),
                Err(Trouble::Transient(source)) => source,
            };
            let Some(wait) = self.patience.wait(tried) else { return Err(source) };
            let mut why = source.to_string();
            let mut cause = source.source();
            while let Some(error) = cause {
                why = error.to_string();
                cause = error.source();
            }
            let of = self.patience.tries;
            self.notice(format!("{what}: try {tried} of {of} failed, and is repeated: {why}"));
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const HASTE: Patience =
        Patience { tries: 3, first: Duration::from_millis(1), longest: Duration::from_millis(2) };

    fn retry(results: &[Result<u32, bool>]) -> (Result<u32, String>, Vec<String>) {
        let told = Mutex::new(Vec::new());
        let events = |event| told.lock().unwrap().push(format!("{event:?}"));
        let work = Work::new(&events, 4, HASTE);
        let mut results = results.iter();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let result = runtime.block_on(work.retry("x", || {
            let result = *results.next().expect("no more tries than results");
            std::future::ready(result.map_err(|transient| match transient {
                true => Trouble::Transient("busy".into()),
                false => Trouble::Final("forbidden".into()),
            }))
        }));
        assert!(results.next().is_none(), "it gave up too early");
        (result.map_err(|error| error.to_string()), told.into_inner().unwrap())
    }

    #[test]
    fn what_is_transient_is_tried_again_and_nothing_else() {
        let (result, told) = retry(&[Err(true), Err(true), Ok(7)]);
        assert_eq!(result, Ok(7));
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(retry(&[Err(false)]), (Err("forbidden".to_owned()), vec![]));
        assert_eq!(retry(&[Err(true), Err(true), Err(true)]).0, Err("busy".to_owned()));
    }

    #[test]
    fn waits_grow_to_a_limit() {
        let patience = Patience::default();
        let mut sum = Duration::ZERO;
        for tried in 1..patience.tries {
            let wait = patience.wait(tried).unwrap();
            assert!(wait >= patience.first && wait <= patience.longest * 3 / 2, "{wait:?}");
            sum += wait;
        }
        assert!(sum < Duration::from_secs(30));
        assert_eq!(patience.wait(patience.tries), None);
    }
}
