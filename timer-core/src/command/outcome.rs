//! What came of an attempt.

use alloc::format;

use crate::command::{Context, Reply, flight};
use crate::definition::Payload;
use crate::ids::{Sequence, TimerKey};
use crate::limits::{DEFERRAL_DELAY_MIN, DEFERRALS_MAX};
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
/// forwards it.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    outcome: &Outcome,
) -> Result<Reply, T::Error> {
    let awaited = |timer: &&Timer| {
        timer.state.is_pending()
            && timer.generation == outcome.generation
            && timer.next_attempt() == outcome.attempt
    };
    let Some(mut timer) = overlay.timer(&outcome.key)?.filter(awaited).cloned() else {
        return Ok(Reply::Outcome(false));
    };
    let (now, cursor) = (context.now, overlay.state.cursor);
    timer.manual = false;
    match &outcome.result {
        AttemptResult::Delivered => {
            count(&mut timer, outcome);
            timer.executed_at = Some(outcome.finished_at);
            timer.end(State::Delivered, now);
        }
        AttemptResult::DeliveredNext { execute_at, payload } => {
            // Counted first: what has been answered is not on its way any more.
            count(&mut timer, outcome);
            timer.in_flight = flight::in_flight(overlay.state.session.as_ref(), &timer, None, now);
            timer.definition.execute_at = (*execute_at).max(now + DEFERRAL_DELAY_MIN);
            // A method without a body has no use for a payload.
            if let (Some(payload), true) = (payload, timer.definition.callback.method.has_body()) {
                timer.definition.payload = payload.clone();
            }
            timer.renew(context.sequence, cursor, now);
        }
        AttemptResult::Failed { error, retry_after, permanent } => {
            count(&mut timer, outcome);
            timer.last_error = Some(error.clone());
            match retry_at(&timer, outcome, *retry_after, now).filter(|_| !permanent) {
                Some(at) => {
                    timer.state = State::Retrying;
                    timer.wait(at, cursor, now);
                }
                None => die(&mut timer, outcome, now),
            }
        }
        AttemptResult::Deferred { until } => {
            timer.deferrals += 1;
            if timer.deferrals > DEFERRALS_MAX {
                timer.last_error = Some(too_many_deferrals(outcome));
                die(&mut timer, outcome, now);
            } else {
                timer.state = if timer.attempts == 0 { State::Scheduled } else { State::Retrying };
                timer.wait((*until).max(now + DEFERRAL_DELAY_MIN), cursor, now);
            }
        }
        AttemptResult::Skipped => timer.end(State::Skipped, now),
    }
    timer.version = context.sequence;
    timer.updated_at = now;
    overlay.put(timer);
    Ok(Reply::Outcome(true))
}

/// Counts an attempt that the policy counts.
fn count(timer: &mut Timer, outcome: &Outcome) {
    timer.attempts += 1;
    timer.first_attempt_at = timer.first_attempt_at.or(Some(outcome.started_at));
}

fn die(timer: &mut Timer, outcome: &Outcome, now: Millis) {
    timer.executed_at = Some(outcome.finished_at);
    timer.end(State::Dead, now);
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

fn too_many_deferrals(outcome: &Outcome) -> LastError {
    LastError {
        kind: ErrorKind::TooManyDeferrals,
        status: None,
        message: format!("the receiver answered \"not yet\" more than {DEFERRALS_MAX} times"),
        at: outcome.finished_at,
    }
}
