//! Whether an attempt of a definition that goes out of force may still arrive. "No" is a promise: it is given
//! only when no leader, present or past, can have one on its way.
//!
//! What is known comes from four sides, and all are asked:
//! - the fence: the leader's dispatcher stopped the timer before it proposed the command, and says what it had
//!   sent. It counts if it is of the open session.
//! - the list of a leader that handed over: nothing else was on its way, and what has an outcome is not any
//!   more.
//! - leaders that vanished: whatever was due when the session after them was opened may have been sent until
//!   then, and is over a callback time-out later.
//! - the record itself: what an earlier delete or replace of the same id had found, while it lasts.

use crate::command::Fence;
use crate::limits::CLOCK_OFFSET_MAX;
use crate::shard_state::{Lost, OpenAttempt, Predecessor, Session};
use crate::time::Millis;
use crate::timer::{InFlight, Timer};

/// What may be on its way of `timer` and of earlier definitions of its id, at `now`.
///
/// `fence` is `None` where the attempt itself has just been answered, so that its leader has nothing more of
/// this timer on its way.
#[must_use]
pub fn in_flight(session: Option<&Session>, timer: &Timer, fence: Option<Fence>, now: Millis) -> InFlight {
    let mut found = ahead(timer.in_flight, now);
    // Without a session nobody has ever started an attempt.
    let Some(session) = session else { return found };
    if let Some(fence) = fence {
        let fenced =
            if fence.session == session.number { of_fence(fence) } else { of_session(session, timer, now) };
        found = both(found, ahead(fenced, now));
    }
    if let Predecessor::HandedOver(attempts) = &session.predecessor {
        found = both(found, ahead(of_list(attempts, timer), now));
    }
    let lost = session.lost.map_or(InFlight::No, |lost| of_lost(&lost, timer));
    both(found, ahead(lost, now))
}

/// What the dispatcher of the open session had on its way. An attempt of an older generation counts too: the
/// answer is about all of them.
fn of_fence(fence: Fence) -> InFlight {
    fence.attempt.map_or(InFlight::No, |(_, until)| InFlight::Yes { until })
}

/// What the open session may have on its way when its dispatcher was not asked: the command comes from a new
/// leader that has not opened its session yet. The old leader starts nothing more, but may have started until
/// just now whatever is due.
fn of_session(session: &Session, timer: &Timer, now: Millis) -> InFlight {
    if let Some(attempts) = &session.handed_over {
        return of_list(attempts, timer);
    }
    if timer.next_attempt_at.is_some_and(|due| due <= now + CLOCK_OFFSET_MAX) {
        return InFlight::Possible { until: now + timer.definition.callback.timeout + CLOCK_OFFSET_MAX };
    }
    InFlight::No
}

/// What a leader that handed over had on its way and has no outcome yet.
fn of_list(attempts: &[OpenAttempt], timer: &Timer) -> InFlight {
    let open = attempts.iter().filter(|open| {
        open.generation == timer.generation && open.attempt >= timer.next_attempt() && open.key == timer.key
    });
    open.map(|open| open.until).max().map_or(InFlight::No, |until| InFlight::Yes { until })
}

/// What leaders that vanished may have sent.
fn of_lost(lost: &Lost, timer: &Timer) -> InFlight {
    // A definition made in the session after them is none that they knew.
    if timer.generation.index() >= lost.session {
        return InFlight::No;
    }
    let due = timer.next_attempt_at.is_some_and(|due| due <= lost.opened_at + CLOCK_OFFSET_MAX);
    // When it was due then can't be seen any more if an attempt since has been answered. Other changes leave
    // the time as it was, or make it earlier.
    let answered = !timer.state.is_pending() || timer.next_attempt() > 1;
    if due || (answered && timer.updated_at >= lost.since) {
        let until = lost.opened_at + timer.definition.callback.timeout + CLOCK_OFFSET_MAX;
        return InFlight::Possible { until };
    }
    InFlight::No
}

/// `in_flight` unless it is over at `now`.
fn ahead(in_flight: InFlight, now: Millis) -> InFlight {
    match in_flight {
        InFlight::Yes { until } | InFlight::Possible { until } if until <= now => InFlight::No,
        InFlight::No | InFlight::Yes { .. } | InFlight::Possible { .. } => in_flight,
    }
}

/// Both together: the more certain word, the later end.
fn both(a: InFlight, b: InFlight) -> InFlight {
    use InFlight::{No, Possible, Yes};
    match (a, b) {
        (No, other) | (other, No) => other,
        (Possible { until: a }, Possible { until: b }) => Possible { until: a.max(b) },
        (Yes { until: a } | Possible { until: a }, Yes { until: b } | Possible { until: b }) => {
            Yes { until: a.max(b) }
        }
    }
}
