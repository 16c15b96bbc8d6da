//! The clock and the entropy of a node: the only file that reads either. Everything else takes them as
//! arguments, so that a test or a simulation brings its own.
//!
//! Monotonic time is deliberately absent: time-outs and leases use tokio's timers, which a simulation
//! drives as well.
#![allow(clippy::disallowed_methods, reason = "this file is the seam")]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use timer_core::time::{Millis, Span};
use tokio::sync::watch;

/// A wall clock. Dispatch goes by it; it may jump.
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// The present time.
    fn now(&self) -> Millis;

    /// Resolves when `now()` is at or after `at`. Never early; it notices a jump within a second.
    fn sleep_until(&self, at: Millis) -> BoxFuture<'static, ()>;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

/// The longest sleep before the wall clock is read again, so that a jump is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(1);

fn system_now() -> Millis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// The time from now to the first instant at which [`system_now`] gives `at`, or zero.
fn system_wait(at: Millis) -> Duration {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(at.0).saturating_sub(since_epoch)
}

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        system_now()
    }

    fn sleep_until(&self, at: Millis) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            loop {
                let wait = system_wait(at);
                if wait.is_zero() {
                    return;
                }
                tokio::time::sleep(wait.min(SLEEP_MAX)).await;
            }
        })
    }
}

/// A clock that stands still until it is told to go on (`timerd dev --clock manual`). Clones share it.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<watch::Sender<Millis>>,
    set: Arc<Mutex<()>>,
}

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn new(start: Millis) -> Self {
        Self { now: Arc::new(watch::Sender::new(start)), set: Arc::default() }
    }

    /// A clock that stands at the machine's present time.
    #[must_use]
    pub fn at_system_time() -> Self {
        Self::new(system_now())
    }

    /// Goes on by `span` and gives the new time.
    pub fn advance(&self, span: Span) -> Millis {
        let _one_at_a_time = self.set.lock();
        let to = *self.now.borrow() + span;
        self.now.send_replace(to);
        to
    }

    /// Goes on to `to`; a time that has passed is refused with the present time.
    ///
    /// # Errors
    /// The present time, if `to` lies before it.
    pub fn advance_to(&self, to: Millis) -> Result<Millis, Millis> {
        let _one_at_a_time = self.set.lock();
        let now = *self.now.borrow();
        if to < now {
            return Err(now);
        }
        self.now.send_replace(to);
        Ok(to)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        *self.now.borrow()
    }

    fn sleep_until(&self, at: Millis) -> BoxFuture<'static, ()> {
        let mut changes = self.now.subscribe();
        Box::pin(async move {
            // The sender lives as long as any clone of the clock; without one, time never comes.
            if changes.wait_for(|now| *now >= at).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

/// A source of random bytes.
pub trait Entropy: Send + Sync + std::fmt::Debug + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// A random number.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// The operating system's entropy, fetched in larger pieces: a request needs several ids of a few bytes.
#[derive(Default)]
pub struct SystemEntropy {
    stock: Mutex<Stock>,
}

/// Random bytes that were not given out yet.
struct Stock {
    bytes: [u8; STOCK_BYTES],
    used: usize,
}

/// One system call's worth; the kernel gives up to 256 bytes without being interrupted.
const STOCK_BYTES: usize = 256;

impl Default for Stock {
    fn default() -> Self {
        Self { bytes: [0; STOCK_BYTES], used: STOCK_BYTES }
    }
}

impl std::fmt::Debug for SystemEntropy {
    /// What will be given out is nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemEntropy")
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut stock = self.stock.lock();
        for piece in bytes.chunks_mut(STOCK_BYTES) {
            if stock.used + piece.len() > STOCK_BYTES {
                // Without entropy no id is safe to mint: there is nothing sensible to do but to end.
                #[allow(clippy::expect_used, reason = "no safe way on without entropy")]
                getrandom::fill(&mut stock.bytes).expect("the operating system gives random bytes");
                stock.used = 0;
            }
            let used = stock.used;
            piece.copy_from_slice(&stock.bytes[used..used + piece.len()]);
            stock.bytes[used..used + piece.len()].fill(0);
            stock.used += piece.len();
        }
    }
}
