//! Moves the replicated cursor behind what is settled, so that a new leader need not read what is done.
//!
//! It is moved at most once a second and only when attempts were settled since: the log grows with timers,
//! not with time. The new cursor is never beyond the time of the last entry applied here: a command that is
//! still under way gets a later time, and apply puts no timer below its command's time.

use timer_core::command::{AdvanceCursor, Command, Envelope};
use timer_core::mutant::Mutant;
use timer_core::time::Millis;
use tokio::time::{Duration, Interval, MissedTickBehavior, interval};

use super::dispatcher::Dispatcher;
use super::feed::Notices;

/// How often at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// A timer that waits keeps the cursor from passing it. That this office wanted it to pass is a bug: it had
/// forgotten the timer. What the tables hold is read again, so that the bug costs lateness and no more.
fn look_again_if_held(dispatcher: &Dispatcher, to: Millis) {
    let state = dispatcher.reader.shard_state();
    let ours = state.session.is_some_and(|session| session.number == dispatcher.office.session);
    if !ours || state.cursor >= to || Mutant::NoScanAfterElection.is_on() {
        return;
    }
    tracing::error!(
        shard = dispatcher.reader.shard().0,
        cursor = state.cursor.0,
        to = to.0,
        "a timer that waits was forgotten: the tables are read again"
    );
    dispatcher.context.metrics.cursor_held();
    dispatcher.office.rewind(dispatcher.context.clock.now(), state.cursor);
    dispatcher.office.wake.notify_one();
}

/// The state between two moves.
#[derive(Debug)]
pub struct CursorKeeper {
    interval: Interval,
    settled: u64,
    last: Millis,
}

impl CursorKeeper {
    /// For the office of `dispatcher`.
    #[must_use]
    pub fn new(dispatcher: &Dispatcher) -> Self {
        let mut interval = interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, settled: dispatcher.office.sizes().settled, last: Millis(0) }
    }

    /// Resolves when it is time to look.
    pub async fn tick(&mut self) {
        self.interval.tick().await;
    }

    /// Moves the cursor if there is reason to.
    pub fn advance(&mut self, dispatcher: &Dispatcher, notices: &mut Notices) {
        let settled = dispatcher.office.sizes().settled;
        if settled == self.settled {
            return;
        }
        // The order matters: first the time of what is applied, then everything that was noticed by then.
        let state = dispatcher.reader.shard_state();
        while let Ok(batch) = notices.try_recv() {
            dispatcher.office.notice(batch);
        }
        let to = dispatcher.office.settled_below().min(state.last_time);
        if to <= state.cursor.max(self.last) {
            return;
        }
        let command = AdvanceCursor { session: dispatcher.office.session, to };
        let envelope = Envelope::own(Command::AdvanceCursor(command));
        self.settled = settled;
        self.last = to;
        let this = dispatcher.clone();
        dispatcher.context.attempts.spawn(async move {
            // If it fails, the next one says more anyway.
            if this.proposer.propose(this.office.leader, envelope, None).await.is_ok() {
                look_again_if_held(&this, to);
            }
        });
    }
}

#[cfg(test)]
#[path = "cursor_tests.rs"]
pub(super) mod tests;
