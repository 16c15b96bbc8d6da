//! Give a dead timer a new life: same generation, attempt numbers go on, the policy starts anew.

use alloc::boxed::Box;

use crate::command::{Context, Precondition, Refusal, Reply, answers};
use crate::ids::TimerKey;
use crate::tables::{Overlay, Tables};
use crate::timer::{Effect, State};

/// Redrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The timer.
    pub key: TimerKey,
    /// What must hold.
    pub precondition: Precondition,
}

/// Makes a dead timer due now. What it had tried is forgiven: "not yet" answers are counted as attempts from
/// now on, so that attempt numbers go on while the policy and its bound on such answers begin anew.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    redrive: &Redrive,
) -> Result<Reply, T::Error> {
    let Some(mut timer) = overlay.timer(&redrive.key)?.cloned() else {
        return Ok(Reply::Refused(Refusal::NotFound));
    };
    if let Some(reply) = answers::replay(&timer, context) {
        return Ok(reply);
    }
    if let Some(refusal) = redrive.precondition.fault(Some(&timer), Some(&timer)) {
        return Ok(Reply::Refused(refusal));
    }
    match timer.state {
        State::Dead => {}
        State::Scheduled | State::Retrying => {
            return Ok(Reply::Refused(Refusal::NotFinished(Box::new(timer))));
        }
        State::Delivered | State::Skipped | State::Cancelled => {
            return Ok(Reply::Refused(Refusal::Finished(Box::new(timer))));
        }
    }
    timer.attempts += timer.deferrals;
    timer.deferrals = 0;
    timer.attempts_forgiven = timer.attempts;
    timer.first_attempt_at = None;
    timer.state = State::Retrying;
    timer.wait(context.now, overlay.state.cursor, context.now);
    timer.version = context.sequence;
    timer.updated_at = context.now;
    answers::keep(&mut timer, context, Effect::Redriven);
    overlay.put(timer.clone());
    let in_flight = timer.in_flight;
    Ok(Reply::done(Effect::Redriven, timer, in_flight))
}
