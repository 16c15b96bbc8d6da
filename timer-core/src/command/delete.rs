//! Cancel a pending timer, or erase a finished one.

use alloc::boxed::Box;

use crate::command::{Context, Fence, Precondition, Refusal, Reply, answers, flight};
use crate::ids::TimerKey;
use crate::tables::{Overlay, Tables};
use crate::timer::{Effect, State};

/// DELETE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// The timer.
    pub key: TimerKey,
    /// Erase the record of a finished one.
    pub purge: bool,
    /// What must hold.
    pub precondition: Precondition,
    /// What was on its way.
    pub fence: Fence,
}

/// Cancels a pending timer; with `purge`, erases a finished one.
///
/// A cancelled one gives what the first delete had found, so that a repeated delete has the same answer.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    delete: &Delete,
) -> Result<Reply, T::Error> {
    let Some(mut timer) = overlay.timer(&delete.key)?.cloned() else {
        return Ok(Reply::Refused(Refusal::NotFound));
    };
    if let Some(reply) = answers::replay(&timer, context) {
        return Ok(reply);
    }
    if let Some(refusal) = delete.precondition.fault(Some(&timer), Some(&timer)) {
        return Ok(Reply::Refused(refusal));
    }
    if delete.purge && timer.state.is_pending() {
        return Ok(Reply::Refused(Refusal::NotFinished(Box::new(timer))));
    }
    if !delete.purge && timer.state == State::Cancelled {
        let in_flight = timer.in_flight;
        return Ok(Reply::done(Effect::AlreadyCancelled, timer, in_flight));
    }
    if !delete.purge && !timer.state.is_pending() {
        return Ok(Reply::Refused(Refusal::Finished(Box::new(timer))));
    }
    let session = overlay.state.session.as_ref();
    let in_flight = flight::in_flight(session, &timer, Some(delete.fence), context.now);
    if let Some(refusal) = delete.precondition.flight_fault(in_flight) {
        return Ok(Reply::Refused(refusal));
    }
    if delete.purge {
        overlay.erase(&delete.key);
        return Ok(Reply::done(Effect::Purged, timer, in_flight));
    }
    timer.end(State::Cancelled, context.now);
    timer.version = context.sequence;
    timer.updated_at = context.now;
    timer.in_flight = in_flight;
    answers::keep(&mut timer, context, Effect::Cancelled);
    overlay.put(timer.clone());
    Ok(Reply::done(Effect::Cancelled, timer, in_flight))
}
