//! How long a sync has been under way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Tells from another thread how long something has been running.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    origin: Instant,
    /// Microseconds from `origin` to the start, plus 1; 0: not running.
    started: AtomicU64,
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self { origin: Instant::now(), started: AtomicU64::new(0) }
    }
}

impl Stopwatch {
    pub(crate) fn start(&self) -> Running<'_> {
        self.started.store(self.micros() + 1, Ordering::Relaxed);
        Running(self)
    }

    pub(crate) fn running_for(&self) -> Duration {
        match self.started.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            started => Duration::from_micros((self.micros() + 1).saturating_sub(started)),
        }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX - 1)
    }
}

/// Running until it is dropped.
pub(crate) struct Running<'a>(&'a Stopwatch);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.started.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_from_start_to_drop() {
        let watch = Stopwatch::default();
        assert_eq!(watch.running_for(), Duration::ZERO);
        let running = watch.start();
        while watch.running_for() == Duration::ZERO {}
        drop(running);
        assert_eq!(watch.running_for(), Duration::ZERO);
    }
}
