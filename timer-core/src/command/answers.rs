//! Kept answers: a request that comes again gets the answer that it got first, and does nothing.
//!
//! They stay with the id when it is replaced, or created again after a cancel. A purge takes them along: who
//! repeats it is told that there is no such timer.

use alloc::boxed::Box;

use crate::command::{Context, Done, Refusal, Reply};
use crate::limits::{KEPT_ANSWER_AGE_MAX, KEPT_ANSWERS_MAX};
use crate::tables::{Overlay, Tables};
use crate::timer::{Effect, KeptAnswer, Timer};

/// The first answer of this request, if it is one that `timer` remembers; a refusal if the request's id was
/// used for another body.
pub(super) fn replay(timer: &Timer, context: &Context<'_>) -> Option<Reply> {
    let request = context.request?;
    let kept = timer
        .answers
        .iter()
        .find(|kept| kept.request.id == request.id && context.now.since(kept.at) <= KEPT_ANSWER_AGE_MAX)?;
    if kept.request.body != request.body {
        return Some(Reply::Refused(Refusal::RequestKeyReused));
    }
    let timer =
        Timer { generation: kept.generation, version: kept.version, state: kept.state, ..timer.clone() };
    let (effect, in_flight) = (kept.effect, kept.in_flight);
    Some(Reply::Done(Box::new(Done { effect, timer, in_flight, replayed: true })))
}

/// The answer to a request that found `timer` as it was to be. It is kept too if the client named its request:
/// repeated after others have changed the timer, the request must not take effect then.
pub(super) fn unchanged<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    mut timer: Timer,
    context: &Context<'_>,
    effect: Effect,
) -> Reply {
    let in_flight = timer.in_flight;
    if context.request.is_some_and(|request| !request.is_minted()) {
        keep(&mut timer, context, effect);
        overlay.put(timer.clone());
    }
    Reply::done(effect, timer, in_flight)
}

/// Keeps what has been done to `timer`, which is as it will be stored. The oldest answer goes when there are
/// too many.
pub(super) fn keep(timer: &mut Timer, context: &Context<'_>, effect: Effect) {
    let Some(request) = context.request else { return };
    // An answer of the same id is here only if it is too old to be given.
    timer.answers.retain(|kept| kept.request.id != request.id);
    if timer.answers.len() >= KEPT_ANSWERS_MAX {
        timer.answers.remove(0);
    }
    timer.answers.push(KeptAnswer {
        request: request.clone(),
        at: context.now,
        effect,
        generation: timer.generation,
        version: timer.version,
        state: timer.state,
        in_flight: timer.in_flight,
    });
}
