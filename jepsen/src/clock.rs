//! The harness's clocks: the only file here that reads them. Nodes may be lied to about the time; this is the truth
//! that they are judged by.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The clock of one run.
#[derive(Clone, Copy, Debug)]
pub struct RunClock {
    began: Instant,
    wall_ms_at_zero: u64,
}

impl RunClock {
    /// Begins now.
    pub fn start() -> Self {
        Self { began: Instant::now(), wall_ms_at_zero: wall_ms() }
    }

    /// Nanoseconds of monotonic time since the begin.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The wall clock at the begin, in ms since 1970.
    pub const fn wall_ms_at_zero(&self) -> u64 {
        self.wall_ms_at_zero
    }

    /// A moment of the wall clock in nanoseconds since the begin; 0 if it was before.
    pub const fn ns_of_wall(&self, wall_ms: u64) -> u64 {
        wall_ms.saturating_sub(self.wall_ms_at_zero).saturating_mul(1_000_000)
    }
}

/// The wall clock in ms since 1970, rounded down.
#[allow(clippy::disallowed_methods)] // This is the seam.
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Waits in a thread of its own kind, where there is no executor to wait in.
#[allow(clippy::disallowed_methods)] // For polling the kernel, which announces nothing.
pub fn wait_blocking(time: Duration) {
    std::thread::sleep(time);
}
