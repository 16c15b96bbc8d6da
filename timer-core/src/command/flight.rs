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
//!
//! Every end that is found here has [`CLOCK_OFFSET_MAX`] on top: the next leader's clock may be ahead of the
//! one by which the time-out was set.

use crate::command::Fence;
use crate::limits::CLOCK_OFFSET_MAX;
use crate::mutant::Mutant;
use crate::shard_state::{Lost, OpenAttempt, Predecessor, Session};
use crate::time::Millis;
use crate::timer::{InFlight, Timer};

/// What may be on its way of `timer` and of earlier definitions of its id, at `now`.
///
/// `fence` is `None` where the attempt itself has just been answered, so that its leader has nothing more of
/// this timer on its way.
#[must_use]
pub fn in_flight(session: Option<&Session>, timer: &Timer, fence: Option<Fence>, now: Millis) -> InFlight {
    if Mutant::DeleteIgnoresInFlight.is_on() {
        return InFlight::No;
    }
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
    fence.attempt.map_or(InFlight::No, |(_, until)| InFlight::Yes { until: until + CLOCK_OFFSET_MAX })
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
    let until = open.map(|open| open.until + CLOCK_OFFSET_MAX).max();
    until.map_or(InFlight::No, |until| InFlight::Yes { until })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{AttemptResult, Delete, HandOver, Patch, Put};
    use crate::ids::Sequence;
    use crate::testing::{START, Shard, delete, done, failed, fence, fire, key, open, patch, put};

    const TIMEOUT: u64 = 30_000;
    const OFFSET: u64 = CLOCK_OFFSET_MAX.0;

    /// What a delete of `id` at `at` finds when the dispatcher of session `session` knows of nothing.
    fn cancel(shard: &mut Shard, at: u64, id: &str, session: u64) -> InFlight {
        done(shard.run(at, Delete { fence: fence(session, None), ..delete(id) })).in_flight
    }

    fn possible(until: u64) -> InFlight {
        InFlight::Possible { until: Millis(until) }
    }

    fn yes(until: u64) -> InFlight {
        InFlight::Yes { until: Millis(until) }
    }

    fn open_attempt(id: &str, generation: Sequence, attempt: u32, until: u64) -> OpenAttempt {
        OpenAttempt { key: key(id), generation, attempt, until: Millis(until) }
    }

    /// Timers `a` due and `b` far ahead, then a leader that vanishes and one that opens session 4.
    fn after_a_lost_leader() -> Shard {
        let mut shard = Shard::new();
        shard.run(START, put("a", START));
        shard.run(START, put("b", START + 3_600_000));
        shard.run(START + 1000, open(2));
        shard
    }

    #[test]
    fn what_was_due_when_a_leader_vanished_is_possible_for_a_time_out() {
        let mut shard = after_a_lost_leader();
        assert_eq!(cancel(&mut shard, START + 1001, "a", 4), possible(START + 1000 + TIMEOUT + OFFSET));
        assert_eq!(cancel(&mut shard, START + 1001, "b", 4), InFlight::No);
        let mut shard = after_a_lost_leader();
        assert_eq!(cancel(&mut shard, START + 1000 + TIMEOUT + OFFSET, "a", 4), InFlight::No);
    }

    #[test]
    fn what_the_clock_of_the_vanished_leader_may_have_shown_as_due_is_possible() {
        for (due, found) in [(OFFSET, possible(START + TIMEOUT + OFFSET)), (OFFSET + 1, InFlight::No)] {
            let mut shard = Shard::new();
            shard.run(START, put("a", START + due));
            shard.run(START, open(2));
            assert_eq!(cancel(&mut shard, START, "a", 3), found);
        }
    }

    #[test]
    fn what_was_made_after_the_leader_vanished_is_not_possible() {
        let mut shard = after_a_lost_leader();
        shard.run(START + 1001, put("c", START));
        assert_eq!(cancel(&mut shard, START + 1002, "c", 4), InFlight::No);
    }

    #[test]
    fn an_answered_attempt_does_not_hide_the_one_of_the_vanished_leader() {
        let mut shard = after_a_lost_leader();
        shard.outcome(START + 1500, "a", failed(START + 1500));
        let until = START + 1000 + TIMEOUT + OFFSET;
        assert_eq!(cancel(&mut shard, START + 1501, "a", 4), possible(until));
        let mut shard = after_a_lost_leader();
        shard.outcome(START + 1500, "a", AttemptResult::Delivered);
        let replaced = done(shard.run(START + 1501, Put { fence: fence(4, None), ..put("a", 5) }));
        assert_eq!(replaced.in_flight, possible(until));
    }

    #[test]
    fn a_fire_of_what_was_due_does_not_hide_it() {
        let mut shard = after_a_lost_leader();
        shard.run(START + 2000, fire("a"));
        shard.run(START + 2000, fire("b"));
        assert_eq!(cancel(&mut shard, START + 2001, "a", 4), possible(START + 1000 + TIMEOUT + OFFSET));
        assert_eq!(cancel(&mut shard, START + 2001, "b", 4), InFlight::No);
    }

    #[test]
    fn leaders_that_vanish_one_after_the_other_count_together() {
        let mut shard = after_a_lost_leader();
        shard.outcome(START + 1500, "a", failed(START + 1500));
        shard.run(START + 1600, open(3));
        // Due after session 6 was opened, but leader 1 may have sent its first attempt.
        assert_eq!(cancel(&mut shard, START + 1700, "a", 6), possible(START + 1600 + TIMEOUT + OFFSET));
    }

    #[test]
    fn a_hand_over_does_not_hide_a_leader_that_vanished_before() {
        let mut shard = after_a_lost_leader();
        shard.run(START + 1100, HandOver { session: 4, attempts: Vec::new() });
        shard.run(START + 1200, open(1));
        assert_eq!(cancel(&mut shard, START + 1300, "a", 6), possible(START + 1000 + TIMEOUT + OFFSET));
    }

    #[test]
    fn after_a_hand_over_only_what_is_on_the_list_is_on_its_way() {
        let mut shard = Shard::new();
        let generation = done(shard.run(START, put("a", START))).timer.generation;
        shard.run(START, put("b", START));
        let attempts = vec![open_attempt("a", generation, 1, START + 700)];
        shard.run(START + 100, HandOver { session: 1, attempts });
        shard.run(START + 200, open(2));
        assert_eq!(cancel(&mut shard, START + 300, "a", 5), yes(START + 700 + OFFSET));
        assert_eq!(cancel(&mut shard, START + 300, "b", 5), InFlight::No);
    }

    #[test]
    fn a_handed_over_attempt_ends_with_its_outcome_or_its_time_out() {
        for answered in [true, false] {
            let mut shard = Shard::new();
            let generation = done(shard.run(START, put("a", START))).timer.generation;
            let attempts = vec![open_attempt("a", generation, 1, START + 700)];
            shard.run(START + 100, HandOver { session: 1, attempts });
            shard.run(START + 200, open(2));
            if answered {
                shard.outcome(START + 300, "a", failed(START + 300));
            }
            let at = if answered { START + 301 } else { START + 700 + OFFSET };
            assert_eq!(cancel(&mut shard, at, "a", 4), InFlight::No);
        }
    }

    #[test]
    fn an_attempt_of_an_older_generation_that_the_fence_names_is_on_its_way() {
        let mut shard = Shard::new();
        let generation = done(shard.run(START, put("a", START))).timer.generation;
        // Another leader's attempt of the same number has been answered first.
        let execute_at = Millis(START + 9000);
        shard.outcome(START + 300, "a", AttemptResult::DeliveredNext { execute_at, payload: None });
        let fence = fence(1, Some((generation, START + 700)));
        let cancelled = done(shard.run(START + 301, Delete { fence, ..delete("a") }));
        assert_eq!(cancelled.in_flight, yes(START + 700 + OFFSET));
    }

    #[test]
    fn a_handed_over_attempt_that_names_the_next_time_is_not_on_its_way() {
        let mut shard = Shard::new();
        let generation = done(shard.run(START, put("a", START))).timer.generation;
        let attempts = vec![open_attempt("a", generation, 1, START + 700)];
        shard.run(START + 100, HandOver { session: 1, attempts });
        shard.run(START + 200, open(2));
        let execute_at = Millis(START + 9000);
        shard.outcome(START + 300, "a", AttemptResult::DeliveredNext { execute_at, payload: None });
        assert_eq!(cancel(&mut shard, START + 301, "a", 4), InFlight::No);
    }

    #[test]
    fn before_a_new_leader_has_opened_its_session_whatever_is_due_is_possible() {
        let mut shard = Shard::new();
        for (id, due) in [("a", START), ("b", START + 10 + OFFSET), ("c", START + 11 + OFFSET)] {
            shard.run(START, put(id, due));
        }
        let until = START + 10 + TIMEOUT + OFFSET;
        assert_eq!(cancel(&mut shard, START + 10, "a", 0), possible(until));
        assert_eq!(cancel(&mut shard, START + 10, "b", 0), possible(until));
        assert_eq!(cancel(&mut shard, START + 10, "c", 0), InFlight::No);
    }

    #[test]
    fn between_hand_over_and_the_next_session_the_list_is_asked() {
        let mut shard = Shard::new();
        let generation = done(shard.run(START, put("a", START))).timer.generation;
        shard.run(START, put("b", START));
        let attempts = vec![open_attempt("a", generation, 1, START + 700)];
        shard.run(START + 100, HandOver { session: 1, attempts });
        assert_eq!(cancel(&mut shard, START + 300, "a", 0), yes(START + 700 + OFFSET));
        assert_eq!(cancel(&mut shard, START + 300, "b", 0), InFlight::No);
    }

    #[test]
    fn without_any_session_nothing_was_ever_sent() {
        let mut shard = Shard::default();
        shard.run(START, put("a", 5));
        assert_eq!(cancel(&mut shard, START, "a", 0), InFlight::No);
    }

    #[test]
    fn what_an_older_generation_left_on_its_way_is_carried_on_while_it_lasts() {
        let mut shard = Shard::new();
        let generation = done(shard.run(START, put("a", START))).timer.generation;
        let sent = fence(1, Some((generation, START + 700)));
        done(shard.run(START + 1, Put { fence: sent, ..put("a", START + 5000) }));
        let later = Patch { execute_at: Some(Millis(START + 6000)), ..patch("a") };
        assert_eq!(done(shard.run(START + 2, later)).in_flight, yes(START + 700 + OFFSET));
        assert_eq!(cancel(&mut shard, START + 3, "a", 1), yes(START + 700 + OFFSET));
        assert_eq!(done(shard.run(START + 4, put("a", START + 9000))).in_flight, yes(START + 700 + OFFSET));
        assert_eq!(cancel(&mut shard, START + 700 + OFFSET, "a", 1), InFlight::No);
    }

    #[test]
    fn a_next_generation_remembers_what_a_vanished_leader_may_have_sent() {
        let mut shard = after_a_lost_leader();
        let execute_at = Millis(START + 9000);
        shard.outcome(START + 1500, "a", AttemptResult::DeliveredNext { execute_at, payload: None });
        assert_eq!(cancel(&mut shard, START + 1600, "a", 4), possible(START + 1000 + TIMEOUT + OFFSET));
    }
}
