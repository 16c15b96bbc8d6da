//! The wall clock and the entropy of a simulated node. The clock is the simulation's, off by what a fault has
//! set; it may jump.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use node::environment::{Clock, Entropy};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngCore as _, SeedableRng as _};
use timer_core::time::Millis;

/// When every simulation begins: 2026-01-01T00:00:00Z.
pub const EPOCH_MS: u64 = 1_767_225_600_000;
/// The longest sleep before the wall clock is read again, as in the product's own clock.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// The time since the simulation began; exact within a host.
#[must_use]
pub fn elapsed() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

/// The true time: what no fault touches.
#[must_use]
pub fn true_ms() -> u64 {
    EPOCH_MS + u64::try_from(elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A node's wall clock. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SimClock {
    offset_ms: Arc<AtomicI64>,
}

impl SimClock {
    /// Sets by how much the clock is ahead of the true time.
    pub fn set_offset(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    /// By how much it is ahead.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }
}

impl Clock for SimClock {
    fn now(&self) -> Millis {
        Millis(true_ms().saturating_add_signed(self.offset_ms()))
    }

    fn sleep_until(&self, at: Millis) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        async move {
            loop {
                let wait = Duration::from_millis(at.0.saturating_sub(clock.now().0));
                if wait.is_zero() {
                    return;
                }
                tokio::time::sleep(wait.min(SLEEP_MAX)).await;
            }
        }
        .boxed()
    }
}

/// Random bytes of a seed.
pub struct SeededEntropy(Mutex<SmallRng>);

impl SeededEntropy {
    /// Of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(SmallRng::seed_from_u64(seed)))
    }
}

impl std::fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeededEntropy")
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill_bytes(bytes);
    }
}
