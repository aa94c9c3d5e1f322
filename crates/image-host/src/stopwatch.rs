//! How long something took. Durations are for people: none goes into an image or a manifest.

use std::time::{Duration, Instant};

/// Counts from the moment that it was made.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Counts from now on.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has been.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
