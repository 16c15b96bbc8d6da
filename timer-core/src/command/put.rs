//! Create a timer, or replace what it was by a new definition.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::command::{Context, Fence, Precondition, Refusal, Reply, answers, flight};
use crate::definition::Definition;
use crate::ids::TimerKey;
use crate::tables::{Overlay, Tables};
use crate::timer::{Effect, Fingerprint, InFlight, State, Timer};

/// PUT and POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The timer.
    pub key: TimerKey,
    /// Its new definition, complete.
    pub definition: Definition,
    /// Of the definition as sent (`delay` and not the time that it came to).
    pub fingerprint: Fingerprint,
    /// Whether it may replace.
    pub mode: PutMode,
    /// What must hold.
    pub precondition: Precondition,
    /// What was on its way.
    pub fence: Fence,
}

/// Whether a put may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// PUT.
    CreateOrReplace,
    /// POST.
    CreateOnly,
}

/// Creates, replaces, or finds that there is nothing to do.
///
/// A cancelled timer counts as none. The same definition as before is left alone for as long as the timer is
/// kept, finished or not, so that a repeated PUT never fires twice: nothing is written then, not even an
/// answer to keep.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    put: &Put,
) -> Result<Reply, T::Error> {
    let record = overlay.timer(&put.key)?.cloned();
    if let Some(reply) = record.as_ref().and_then(|record| answers::replay(record, context)) {
        return Ok(reply);
    }
    let existing = record.as_ref().filter(|record| record.state != State::Cancelled);
    if let Some(refusal) = put.precondition.fault(record.as_ref(), existing) {
        return Ok(Reply::Refused(refusal));
    }
    if let Some(existing) = existing {
        if existing.fingerprint == Some(put.fingerprint) {
            return Ok(Reply::done(Effect::Unchanged, existing.clone(), existing.in_flight));
        }
        if put.mode == PutMode::CreateOnly {
            return Ok(Reply::Refused(Refusal::Exists(Box::new(existing.clone()))));
        }
    }
    let in_flight = record.as_ref().map_or(InFlight::No, |record| {
        flight::in_flight(overlay.state.session.as_ref(), record, Some(put.fence), context.now)
    });
    if let Some(refusal) = put.precondition.flight_fault(in_flight) {
        return Ok(Reply::Refused(refusal));
    }
    let effect = if existing.is_some() { Effect::Replaced } else { Effect::Created };
    let created_at = existing.map_or(context.now, |existing| existing.created_at);
    let answers = record.map_or_else(Vec::new, |record| record.answers);
    let mut timer = Timer {
        key: put.key.clone(),
        generation: context.sequence,
        version: context.sequence,
        state: State::Scheduled,
        definition: put.definition.clone(),
        fingerprint: Some(put.fingerprint),
        next_attempt_at: None,
        position: None,
        attempts: 0,
        attempts_forgiven: 0,
        first_attempt_at: None,
        deferrals: 0,
        manual: false,
        created_at,
        updated_at: context.now,
        executed_at: None,
        last_error: None,
        in_flight,
        answers,
        purge_at: None,
        traceparent: context.traceparent.cloned(),
    };
    timer.wait(put.definition.execute_at, overlay.state.cursor, context.now);
    answers::keep(&mut timer, context, effect);
    overlay.put(timer.clone());
    Ok(Reply::done(effect, timer, in_flight))
}
