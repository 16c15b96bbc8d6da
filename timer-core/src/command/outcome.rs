//! What came of an attempt.

use alloc::format;

use crate::attempt::{Attempt, Details};
use crate::command::{Context, Reply, flight, group};
use crate::definition::Payload;
use crate::group::GroupSettings;
use crate::ids::{Sequence, TimerKey};
use crate::limits::{DEFERRAL_DELAY_MIN, DEFERRALS_MAX};
use crate::mutant::Mutant;
use crate::retry;
use crate::tables::{Overlay, Tables};
use crate::time::Millis;
use crate::timer::{ErrorKind, LastError, State, Timer};

/// The outcome of one attempt. It counts only if `generation` is in force and `attempt` is the next; else it
/// is history: a superseded definition, or a second leader's duplicate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The timer.
    pub key: TimerKey,
    /// The generation that was sent.
    pub generation: Sequence,
    /// The attempt's number: attempts + deferrals known before it, plus 1.
    pub attempt: u32,
    /// The session that sent it.
    pub session: u64,
    /// When it began.
    pub started_at: Millis,
    /// When it was answered, or given up.
    pub finished_at: Millis,
    /// What it came to.
    pub result: AttemptResult,
    /// For the history. None from a version that kept none: such an outcome leaves no trace in it, so that an entry does
    /// the same whichever version applies it.
    pub details: Option<Details>,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// The receiver took it.
    Delivered,
    /// The receiver took it and named the time of the next generation.
    DeliveredNext {
        /// When the next generation is due.
        execute_at: Millis,
        /// Its payload, if it is to be another.
        payload: Option<Payload>,
    },
    /// It failed.
    Failed {
        /// Why.
        error: LastError,
        /// The receiver asked to be left alone until then.
        retry_after: Option<Millis>,
        /// No later attempt can do better: dead at once.
        permanent: bool,
    },
    /// The receiver says "not yet": no attempt of the policy is used.
    Deferred {
        /// When to try again.
        until: Millis,
    },
    /// Nothing was sent: it was later than the grace window.
    Skipped,
}

/// Counts the outcome of the attempt that is next, and says whether it did. The session is not asked: the
/// attempt's number alone says whether its outcome is still awaited, also when a leader that has handed over
/// forwards it. Any other outcome of a timer that is there goes into its history and changes nothing else.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    outcome: &Outcome,
) -> Result<Reply, T::Error> {
    let Some(mut timer) = overlay.timer(&outcome.key)?.cloned() else {
        return Ok(Reply::Outcome(false));
    };
    let counts = is_awaited(&timer, outcome);
    if counts {
        let settings = group::settings(overlay, &outcome.key)?;
        take_effect(overlay, context, &mut timer, outcome, &settings);
    } else if outcome.details.is_none() || is_recorded(overlay, outcome)? {
        return Ok(Reply::Outcome(false));
    }
    if let Some(details) = &outcome.details {
        overlay.record(&mut timer, Attempt::of(outcome, details, context.sequence, counts));
    }
    overlay.put(timer);
    Ok(Reply::Outcome(counts))
}

fn is_awaited(timer: &Timer, outcome: &Outcome) -> bool {
    timer.state.is_pending()
        && (timer.generation == outcome.generation || Mutant::GenerationNotCompared.is_on())
        && timer.next_attempt() == outcome.attempt
}

/// Whether the history has this very outcome: a leader that does not learn what became of it sends it again.
fn is_recorded<T: Tables>(overlay: &Overlay<'_, T>, outcome: &Outcome) -> Result<bool, T::Error> {
    Ok(overlay.attempts(&outcome.key)?.values().any(|attempt| attempt.is_of(outcome)))
}

/// What an outcome that counts does to its timer.
fn take_effect<T: Tables>(
    overlay: &Overlay<'_, T>,
    context: &Context<'_>,
    timer: &mut Timer,
    outcome: &Outcome,
    settings: &GroupSettings,
) {
    let (now, cursor) = (context.now, overlay.state.cursor);
    timer.manual = false;
    match &outcome.result {
        AttemptResult::Delivered => {
            count(timer, outcome);
            timer.executed_at = Some(outcome.finished_at);
            timer.end(State::Delivered, now, settings);
        }
        AttemptResult::DeliveredNext { execute_at, .. }
            if group::horizon_fault(settings, *execute_at, now).is_some() =>
        {
            count(timer, outcome);
            timer.last_error = Some(too_far(outcome));
            die(timer, outcome, now, settings);
        }
        AttemptResult::DeliveredNext { execute_at, payload } => {
            // Counted first: what has been answered is not on its way any more.
            count(timer, outcome);
            timer.in_flight = flight::in_flight(overlay.state.session.as_ref(), timer, None, now);
            timer.definition.execute_at = (*execute_at).max(now + DEFERRAL_DELAY_MIN);
            // A method without a body has no use for a payload.
            if let (Some(payload), true) = (payload, timer.definition.callback.method.has_body()) {
                timer.definition.payload = payload.clone();
            }
            timer.renew(context.sequence, cursor, now);
        }
        AttemptResult::Failed { error, retry_after, permanent } => {
            count(timer, outcome);
            timer.last_error = Some(error.clone());
            match retry_at(timer, outcome, *retry_after, now).filter(|_| !permanent) {
                Some(at) => {
                    timer.state = State::Retrying;
                    timer.wait(at, cursor, now);
                }
                None => die(timer, outcome, now, settings),
            }
        }
        AttemptResult::Deferred { until } => {
            timer.deferrals += 1;
            if timer.deferrals > DEFERRALS_MAX {
                timer.last_error = Some(too_many_deferrals(outcome));
                die(timer, outcome, now, settings);
            } else {
                timer.state = if timer.attempts == 0 { State::Scheduled } else { State::Retrying };
                timer.wait((*until).max(now + DEFERRAL_DELAY_MIN), cursor, now);
            }
        }
        AttemptResult::Skipped => timer.end(State::Skipped, now, settings),
    }
    timer.version = context.sequence;
    timer.updated_at = now;
}

/// Counts an attempt that the policy counts.
fn count(timer: &mut Timer, outcome: &Outcome) {
    timer.attempts += 1;
    timer.first_attempt_at = timer.first_attempt_at.or(Some(outcome.started_at));
}

fn die(timer: &mut Timer, outcome: &Outcome, now: Millis, settings: &GroupSettings) {
    timer.executed_at = Some(outcome.finished_at);
    timer.end(State::Dead, now, settings);
}

/// When to try again after the failure that has just been counted, or `None` if the policy has no more.
///
/// `Retry-After` can make the wait longer, but not beyond the policy's longest interval from now, nor so long
/// that `duration_max` ends the timer.
fn retry_at(timer: &Timer, outcome: &Outcome, retry_after: Option<Millis>, now: Millis) -> Option<Millis> {
    let policy = &timer.definition.retry;
    let failures = timer.attempts - timer.attempts_forgiven;
    if failures >= policy.attempts_max {
        return None;
    }
    let last = timer.first_attempt_at? + policy.duration_max;
    let wait = retry::backoff(policy, failures, timer.generation, outcome.attempt);
    let asked = retry_after.map(|at| at.min(now + policy.interval_max).min(last));
    let at = (outcome.finished_at + wait).max(now).max(asked.unwrap_or_default());
    (at <= last).then_some(at)
}

fn too_far(outcome: &Outcome) -> LastError {
    LastError {
        kind: ErrorKind::InvalidCallbackAnswer,
        newer_kind: None,
        status: None,
        message: "nextExecuteAt lies further ahead than the group allows".into(),
        at: outcome.finished_at,
    }
}

fn too_many_deferrals(outcome: &Outcome) -> LastError {
    LastError {
        kind: ErrorKind::TooManyDeferrals,
        newer_kind: None,
        status: None,
        message: format!("the receiver answered \"not yet\" more than {DEFERRALS_MAX} times"),
        at: outcome.finished_at,
    }
}

#[cfg(test)]
#[path = "outcome_history_tests.rs"]
mod history_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Notice;
    use crate::definition::{Method, RetryPolicy};
    use crate::limits::{DEAD_RETENTION, RETENTION};
    use crate::testing::{START, Shard, failed, failure, key, open, outcome, put};
    use crate::time::Span;

    /// A shard with the pending timer `a`, due at once, whose policy is `policy`.
    fn with(policy: RetryPolicy) -> Shard {
        let mut shard = Shard::new();
        let mut put = put("a", START);
        put.definition.retry = policy;
        shard.run(START, put);
        shard
    }

    fn steady() -> RetryPolicy {
        RetryPolicy { jitter_milli: 0, ..RetryPolicy::default() }
    }

    fn retry_after(at: u64) -> AttemptResult {
        failure(START, Some(at), false)
    }

    #[test]
    fn delivered_ends_it_without_its_payload() {
        let mut shard = with(steady());
        let generation = shard.timer("a").generation;
        assert_eq!(shard.outcome(START + 9, "a", AttemptResult::Delivered), Reply::Outcome(true));
        let timer = shard.timer("a");
        assert_eq!((timer.state, timer.attempts), (State::Delivered, 1));
        assert_eq!(timer.executed_at, Some(Millis(START + 9)));
        assert_eq!(timer.purge_at, Some(Millis(START + 9) + RETENTION));
        assert_eq!(timer.definition.payload, Payload::None);
        assert_eq!(shard.notices, [Notice::Unscheduled { key: key("a"), generation }]);
    }

    #[test]
    fn an_outcome_counts_once_and_only_for_the_generation_in_force() {
        let mut shard = with(steady());
        let generation = shard.timer("a").generation;
        let first = outcome("a", generation, 1, START, failed(START));
        assert_eq!(shard.run(START, first.clone()), Reply::Outcome(true));
        let before = shard.timer("a").clone();
        let ahead = Outcome { attempt: 3, ..first.clone() };
        let other = Outcome { generation: Sequence(1), attempt: 2, ..first.clone() };
        let unknown = Outcome { key: key("b"), ..first.clone() };
        for history in [first, ahead, other, unknown] {
            assert_eq!(shard.run(START, history), Reply::Outcome(false));
        }
        assert_eq!(*shard.timer("a"), before);
        shard.run(START, put("a", START + 50));
        assert_eq!(
            shard.run(START, outcome("a", generation, 2, START, AttemptResult::Delivered)),
            Reply::Outcome(false)
        );
    }

    #[test]
    fn an_outcome_that_an_earlier_session_forwards_counts() {
        let mut shard = with(steady());
        let generation = shard.timer("a").generation;
        shard.run(START, open(2));
        let forwarded = outcome("a", generation, 1, START, AttemptResult::Delivered);
        assert_eq!(shard.run(START + 1, forwarded), Reply::Outcome(true));
    }

    #[test]
    fn failures_wait_by_the_policy_until_no_attempt_is_left() {
        let mut shard = with(RetryPolicy { attempts_max: 3, ..steady() });
        shard.outcome(START, "a", failed(START));
        assert_eq!(shard.timer("a").next_attempt_at, Some(Millis(START + 1000)));
        shard.outcome(START + 1000, "a", failed(START + 1000));
        assert_eq!(shard.timer("a").next_attempt_at, Some(Millis(START + 3000)));
        assert_eq!(shard.timer("a").state, State::Retrying);
        shard.outcome(START + 3000, "a", failed(START + 3000));
        let timer = shard.timer("a");
        assert_eq!((timer.state, timer.attempts), (State::Dead, 3));
        assert_eq!(timer.purge_at, Some(Millis(START + 3000) + DEAD_RETENTION));
        assert_ne!(timer.definition.payload, Payload::None);
    }

    #[test]
    fn a_permanent_failure_is_the_last() {
        let mut shard = with(steady());
        shard.outcome(START, "a", failure(START, None, true));
        assert_eq!((shard.timer("a").state, shard.timer("a").attempts), (State::Dead, 1));
    }

    #[test]
    fn an_attempt_that_would_start_after_the_longest_duration_is_not_made() {
        let mut shard = with(RetryPolicy { duration_max: Span(3000), ..steady() });
        shard.outcome(START, "a", failed(START));
        shard.outcome(START + 1000, "a", failed(START + 1000));
        assert_eq!(shard.timer("a").next_attempt_at, Some(Millis(START + 3000)), "just in time");
        shard.outcome(START + 3000, "a", failed(START + 3000));
        assert_eq!(shard.timer("a").state, State::Dead);
    }

    #[test]
    fn retry_after_makes_the_wait_longer_within_the_policy() {
        let policy = RetryPolicy { interval_max: Span(60_000), duration_max: Span(80_000), ..steady() };
        for (asked, next) in
            [(500, START + 1000), (START + 7000, START + 7000), (START + 900_000, START + 60_000)]
        {
            let mut shard = with(policy.clone());
            shard.outcome(START, "a", retry_after(asked));
            assert_eq!(shard.timer("a").next_attempt_at, Some(Millis(next)));
        }
        let mut shard = with(policy);
        shard.outcome(START, "a", failed(START));
        shard.outcome(START + 40_000, "a", retry_after(START + 900_000));
        assert_eq!(shard.timer("a").next_attempt_at, Some(Millis(START + 80_000)), "not beyond the duration");
    }

    #[test]
    fn a_retry_in_the_same_millisecond_is_announced() {
        let mut shard = with(RetryPolicy { initial_interval: Span(0), ..steady() });
        let generation = shard.timer("a").generation;
        shard.outcome(START, "a", failed(START));
        let (key, position) = (key("a"), Millis(START));
        assert_eq!(shard.notices, [Notice::Scheduled { key, position, generation }]);
    }

    #[test]
    fn not_yet_uses_no_attempt_and_waits_at_least_a_second() {
        let mut shard = with(RetryPolicy { attempts_max: 1, ..steady() });
        shard.outcome(START, "a", AttemptResult::Deferred { until: Millis(START + 10) });
        let timer = shard.timer("a");
        assert_eq!((timer.state, timer.attempts, timer.deferrals), (State::Scheduled, 0, 1));
        assert_eq!(timer.next_attempt_at, Some(Millis(START + 1000)));
        assert_eq!(timer.first_attempt_at, None, "the longest duration does not begin");
        shard.outcome(START + 1000, "a", AttemptResult::Deferred { until: Millis(START + 9000) });
        assert_eq!(shard.timer("a").next_attempt_at, Some(Millis(START + 9000)));
        shard.outcome(START + 9000, "a", failed(START + 9000));
        assert_eq!(shard.timer("a").state, State::Dead);
    }

    #[test]
    fn more_deferrals_than_the_bound_are_the_end() {
        let mut shard = with(steady());
        for _ in 0..DEFERRALS_MAX {
            shard.outcome(START, "a", AttemptResult::Deferred { until: Millis(START) });
        }
        assert_eq!(shard.timer("a").state, State::Scheduled);
        shard.outcome(START, "a", AttemptResult::Deferred { until: Millis(START) });
        assert_eq!(shard.timer("a").state, State::Dead);
    }

    #[test]
    fn skipped_ends_it_without_an_attempt() {
        let mut shard = with(steady());
        shard.outcome(START + 5, "a", AttemptResult::Skipped);
        let timer = shard.timer("a");
        assert_eq!((timer.state, timer.attempts, timer.executed_at), (State::Skipped, 0, None));
        assert_eq!(timer.purge_at, Some(Millis(START + 5) + RETENTION));
    }

    #[test]
    fn delivered_with_a_next_time_is_the_next_generation_of_the_same_definition() {
        let mut shard = with(steady());
        let before = shard.timer("a").clone();
        let payload = Payload::Json(b"2".as_slice().into());
        let next = |execute_at, payload| AttemptResult::DeliveredNext { execute_at, payload };
        shard.outcome(START, "a", failed(START));
        shard.outcome(START + 1000, "a", next(Millis(START + 5000), Some(payload.clone())));
        let timer = shard.timer("a");
        assert_eq!((timer.state, timer.attempts, timer.next_attempt()), (State::Scheduled, 0, 1));
        assert_eq!((timer.generation, timer.version), (Sequence::new(4, 0), Sequence::new(4, 0)));
        assert_eq!(timer.definition.execute_at, Millis(START + 5000));
        assert_eq!((&timer.definition.payload, &timer.last_error), (&payload, &None));
        assert_eq!((timer.fingerprint, timer.created_at), (before.fingerprint, before.created_at));
        shard.outcome(START + 5000, "a", next(Millis(0), None));
        let timer = shard.timer("a");
        assert_eq!(timer.definition.execute_at, Millis(START + 6000), "at least a second from now");
        assert_eq!(timer.definition.payload, payload, "the same again");
    }

    #[test]
    fn a_next_payload_for_a_method_without_body_is_dropped() {
        let mut shard = Shard::new();
        let mut put = put("a", START);
        (put.definition.callback.method, put.definition.payload) = (Method::Get, Payload::None);
        shard.run(START, put);
        let payload = Some(Payload::Json(b"2".as_slice().into()));
        shard.outcome(START, "a", AttemptResult::DeliveredNext { execute_at: Millis(START), payload });
        assert_eq!(shard.timer("a").definition.payload, Payload::None);
    }
}
