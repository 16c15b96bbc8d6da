//! Places inside a node where a fault test can end the process or hold it up: between two steps that must look like one
//! from outside. In a build with the feature `failpoints`, which no release has; without it [`Failpoint::pass`] is empty.
//!
//! The environment of the process names one, `DURABLE_TIMER_FAILPOINT=state-written:500`: at the 500th pass the process
//! aborts, with nothing cleaned up. `state-written:500:30` holds every 500th pass up for 30 ms instead.

/// A place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// The log is synced, its high-water mark is not raised, nobody was told.
    LogSynced,
    /// Log and mark are durable, nobody was told.
    LogMarked,
    /// Entries took effect, and who asked for them has no answer.
    StateWritten,
    /// A received snapshot is whole, and the shard does not point to it.
    SnapshotLoaded,
    /// The shard points to the snapshot, durably; the state before it is still there.
    SnapshotFlipped,
    /// A receiver has answered, and the outcome is not proposed.
    CallbackAnswered,
}

impl Failpoint {
    /// Passes by: does what the environment says.
    #[cfg(not(feature = "failpoints"))]
    #[inline(always)]
    pub const fn pass(self) {}

    /// Passes by: does what the environment says.
    #[cfg(feature = "failpoints")]
    pub fn pass(self) {
        active::pass(self);
    }

    /// The name in the environment.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogSynced => "log-synced",
            Self::LogMarked => "log-marked",
            Self::StateWritten => "state-written",
            Self::SnapshotLoaded => "snapshot-loaded",
            Self::SnapshotFlipped => "snapshot-flipped",
            Self::CallbackAnswered => "callback-answered",
        }
    }
}

/// What is to happen where.
#[cfg(any(test, feature = "failpoints"))]
#[derive(Debug, PartialEq, Eq)]
struct Order {
    point: String,
    every: u64,
    /// None: the process aborts.
    hold_ms: Option<u64>,
}

#[cfg(any(test, feature = "failpoints"))]
impl Order {
    /// Reads `name:number` or `name:number:ms`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let point = parts.next()?.to_owned();
        let every = parts.next()?.parse().ok().filter(|every| *every > 0)?;
        let hold_ms = parts.next().map(str::parse).transpose().ok()?;
        parts.next().is_none().then_some(Self { point, every, hold_ms })
    }
}

#[cfg(feature = "failpoints")]
mod active {
    use std::io::Write as _;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Failpoint, Order};

    static ORDER: OnceLock<Option<Order>> = OnceLock::new();
    static PASSES: AtomicU64 = AtomicU64::new(0);

    fn read() -> Option<Order> {
        let text = std::env::var("DURABLE_TIMER_FAILPOINT").ok()?;
        let order = Order::parse(&text);
        if order.is_none() {
            say(&format!("not a failpoint: {text}"));
        }
        order
    }

    fn say(line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    #[allow(clippy::disallowed_methods, reason = "holding a thread up is what was asked for")]
    pub(super) fn pass(here: Failpoint) {
        let Some(order) = ORDER.get_or_init(read) else { return };
        if order.point != here.name() {
            return;
        }
        let pass = PASSES.fetch_add(1, Ordering::Relaxed) + 1;
        if !pass.is_multiple_of(order.every) {
            return;
        }
        match order.hold_ms {
            Some(ms) => std::thread::sleep(std::time::Duration::from_millis(ms)),
            None => {
                say(&format!("failpoint {}: pass {pass}, aborting", order.point));
                std::process::abort();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_name_a_number_and_perhaps_a_time() {
        let order = |point: &str, every, hold_ms| Some(Order { point: point.into(), every, hold_ms });
        assert_eq!(Order::parse("log-synced:7"), order("log-synced", 7, None));
        assert_eq!(Order::parse("log-synced:7:30"), order("log-synced", 7, Some(30)));
        for wrong in ["log-synced", "log-synced:", "log-synced:0", "log-synced:7:", "log-synced:7:1:1"] {
            assert_eq!(Order::parse(wrong), None, "{wrong}");
        }
    }
}
