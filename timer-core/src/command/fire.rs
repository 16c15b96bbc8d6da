//! Deliver a pending timer now instead of at its time.

use alloc::boxed::Box;

use crate::command::{Context, Precondition, Refusal, Reply, answers};
use crate::ids::TimerKey;
use crate::tables::{Overlay, Tables};
use crate::timer::Effect;

/// Fire now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fire {
    /// The timer.
    pub key: TimerKey,
    /// What must hold.
    pub precondition: Precondition,
}

/// Makes a pending timer due now: same generation, another version. An attempt that is overdue keeps its
/// time, because what may have been sent of it is judged by that.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    fire: &Fire,
) -> Result<Reply, T::Error> {
    let Some(mut timer) = overlay.timer(&fire.key)?.cloned() else {
        return Ok(Reply::Refused(Refusal::NotFound));
    };
    if let Some(reply) = answers::replay(&timer, context) {
        return Ok(reply);
    }
    if let Some(refusal) = fire.precondition.fault(Some(&timer), Some(&timer)) {
        return Ok(Reply::Refused(refusal));
    }
    let Some(due) = timer.next_attempt_at else {
        return Ok(Reply::Refused(Refusal::Finished(Box::new(timer))));
    };
    timer.wait(due.min(context.now), overlay.state.cursor, context.now);
    timer.manual = true;
    timer.version = context.sequence;
    timer.updated_at = context.now;
    answers::keep(&mut timer, context, Effect::Fired);
    overlay.put(timer.clone());
    let in_flight = timer.in_flight;
    Ok(Reply::done(Effect::Fired, timer, in_flight))
}
