//! Change some of a pending timer.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::command::{Context, Fence, Precondition, Refusal, Reply, answers, flight};
use crate::definition::{BodyMode, Callback, DeadOn, Definition, LatePolicy, Method, Payload, RetryPolicy};
use crate::ids::TimerKey;
use crate::tables::{Overlay, Tables};
use crate::time::{Millis, Span};
use crate::timer::Effect;

/// PATCH: what is `None` stays. The node that took the request has merged what JSON merge patch merges
/// inside a field only where the result does not depend on the timer; maps come as changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The timer.
    pub key: TimerKey,
    /// A new time.
    pub execute_at: Option<Millis>,
    /// A new URL.
    pub url: Option<String>,
    /// A new method.
    pub method: Option<Method>,
    /// Header by header: set, or removed (`None`). Names in lower case.
    pub headers: Vec<(String, Option<String>)>,
    /// A new time-out.
    pub timeout: Option<Span>,
    /// A new kind of body.
    pub body: Option<BodyMode>,
    /// A new payload, whole.
    pub payload: Option<Payload>,
    /// A new retry policy: each field that is given.
    pub retry: RetryPatch,
    /// A new late policy, whole.
    pub late: Option<LatePolicy>,
    /// Label by label: set, or removed (`None`).
    pub labels: BTreeMap<String, Option<String>>,
    /// What must hold.
    pub precondition: Precondition,
    /// What was on its way.
    pub fence: Fence,
}

/// Fields of a retry policy that change; see [`RetryPolicy`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryPatch {
    /// See [`RetryPolicy::attempts_max`].
    pub attempts_max: Option<u32>,
    /// See [`RetryPolicy::duration_max`].
    pub duration_max: Option<Span>,
    /// See [`RetryPolicy::initial_interval`].
    pub initial_interval: Option<Span>,
    /// See [`RetryPolicy::multiplier_milli`].
    pub multiplier_milli: Option<u32>,
    /// See [`RetryPolicy::interval_max`].
    pub interval_max: Option<Span>,
    /// See [`RetryPolicy::jitter_milli`].
    pub jitter_milli: Option<u32>,
    /// See [`RetryPolicy::dead_on`].
    pub dead_on: Option<DeadOn>,
}

impl RetryPatch {
    /// `policy` with what is given here.
    #[must_use]
    pub fn onto(&self, policy: &RetryPolicy) -> RetryPolicy {
        RetryPolicy {
            attempts_max: self.attempts_max.unwrap_or(policy.attempts_max),
            duration_max: self.duration_max.unwrap_or(policy.duration_max),
            initial_interval: self.initial_interval.unwrap_or(policy.initial_interval),
            multiplier_milli: self.multiplier_milli.unwrap_or(policy.multiplier_milli),
            interval_max: self.interval_max.unwrap_or(policy.interval_max),
            jitter_milli: self.jitter_milli.unwrap_or(policy.jitter_milli),
            dead_on: self.dead_on.clone().unwrap_or_else(|| policy.dead_on.clone()),
        }
    }
}

/// Changes a pending timer. Another time, callback or payload is a new generation; the rest only a new
/// version, with attempts and schedule as they are. A patch that changes nothing writes nothing.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    patch: &Patch,
) -> Result<Reply, T::Error> {
    let Some(mut timer) = overlay.timer(&patch.key)?.cloned() else {
        return Ok(Reply::Refused(Refusal::NotFound));
    };
    if let Some(reply) = answers::replay(&timer, context) {
        return Ok(reply);
    }
    if let Some(refusal) = patch.precondition.fault(Some(&timer), Some(&timer)) {
        return Ok(Reply::Refused(refusal));
    }
    if !timer.state.is_pending() {
        return Ok(Reply::Refused(Refusal::Finished(Box::new(timer))));
    }
    let definition = patch.onto(&timer.definition);
    if definition == timer.definition {
        let in_flight = timer.in_flight;
        return Ok(Reply::done(Effect::Patched, timer, in_flight));
    }
    if let Some((field, message)) = definition.fault() {
        return Ok(Reply::Refused(Refusal::Invalid { field: field.into(), message: message.into() }));
    }
    let renewed = definition.makes_new_generation(&timer.definition);
    if renewed {
        let session = overlay.state.session.as_ref();
        let in_flight = flight::in_flight(session, &timer, Some(patch.fence), context.now);
        if let Some(refusal) = patch.precondition.flight_fault(in_flight) {
            return Ok(Reply::Refused(refusal));
        }
        timer.in_flight = in_flight;
    }
    timer.definition = definition;
    if renewed {
        timer.renew(context.sequence, overlay.state.cursor, context.now);
        timer.traceparent = context.traceparent.cloned();
    }
    timer.fingerprint = None;
    timer.version = context.sequence;
    timer.updated_at = context.now;
    answers::keep(&mut timer, context, Effect::Patched);
    overlay.put(timer.clone());
    let in_flight = timer.in_flight;
    Ok(Reply::done(Effect::Patched, timer, in_flight))
}

impl Patch {
    /// `definition` with what is given here.
    #[must_use]
    pub fn onto(&self, definition: &Definition) -> Definition {
        let old = &definition.callback;
        let mut callback = Callback {
            url: self.url.as_ref().unwrap_or(&old.url).clone(),
            method: self.method.unwrap_or(old.method),
            headers: old.headers.clone(),
            timeout: self.timeout.unwrap_or(old.timeout),
            body: self.body.unwrap_or(old.body),
        };
        for (name, value) in &self.headers {
            set_header(&mut callback.headers, name, value.as_ref());
        }
        let mut labels = definition.labels.clone();
        for (key, value) in &self.labels {
            match value {
                Some(value) => labels.insert(key.clone(), value.clone()),
                None => labels.remove(key),
            };
        }
        Definition {
            execute_at: self.execute_at.unwrap_or(definition.execute_at),
            callback,
            payload: self.payload.as_ref().unwrap_or(&definition.payload).clone(),
            retry: self.retry.onto(&definition.retry),
            late: self.late.unwrap_or(definition.late),
            labels,
        }
    }
}

/// Gives the header `name` this one value, in the place that it had, or removes it.
fn set_header(headers: &mut Vec<(String, String)>, name: &str, value: Option<&String>) {
    let place = headers.iter().position(|(present, _)| present == name);
    headers.retain(|(present, _)| present != name);
    if let Some(value) = value {
        // Nothing before the first of this name was removed, so its place is still within bounds.
        headers.insert(place.unwrap_or(headers.len()), (name.into(), value.clone()));
    }
}
