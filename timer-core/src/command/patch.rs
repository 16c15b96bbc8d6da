//! Change some of a pending timer.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::command::{Context, Fence, Precondition, Refusal, Reply, answers, flight, group};
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
    /// A new time instead of that, as a span from when this takes effect; see [`Put::delay`](super::Put::delay).
    pub delay: Option<Span>,
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
/// version, with attempts and schedule as they are. A patch that changes nothing leaves the version.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    patch: &Patch,
) -> Result<Reply, T::Error> {
    let record = overlay.timer(&patch.key)?.cloned();
    if let Some(reply) = answers::earlier(&overlay.state, record.as_ref(), context) {
        return Ok(reply);
    }
    let Some(mut timer) = record else {
        return Ok(Reply::Refused(Refusal::NotFound));
    };
    if let Some(refusal) = patch.precondition.fault(Some(&timer), Some(&timer)) {
        return Ok(Reply::Refused(refusal));
    }
    if !timer.state.is_pending() {
        return Ok(Reply::Refused(Refusal::Finished(Box::new(timer))));
    }
    let definition = patch.onto(&timer.definition, context.now);
    if definition == timer.definition {
        return Ok(answers::unchanged(overlay, timer, context, Effect::Patched));
    }
    if let Some((field, message)) = definition.fault() {
        return Ok(Reply::Refused(Refusal::Invalid { field: field.into(), message: message.into() }));
    }
    let moved = (definition.execute_at != timer.definition.execute_at).then_some(definition.execute_at);
    if let Some(refusal) = group::fault(overlay, &patch.key, true, moved, context.now)? {
        return Ok(Reply::Refused(refusal));
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
    /// `definition` with what is given here, at `now`.
    #[must_use]
    pub fn onto(&self, definition: &Definition, now: Millis) -> Definition {
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
            execute_at: self
                .delay
                .map(|delay| now + delay)
                .or(self.execute_at)
                .unwrap_or(definition.execute_at),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{BodyMode, LatePolicy};
    use crate::ids::Sequence;
    use crate::limits::CLOCK_OFFSET_MAX;
    use crate::testing::{START, Shard, definition, delete, done, failed, fence, patch, put, refused};
    use crate::timer::{InFlight, State};

    fn retrying() -> Shard {
        let mut shard = Shard::new();
        shard.run(START, put("a", START));
        shard.outcome(START + 1, "a", failed(START + 1));
        shard
    }

    #[test]
    fn another_time_callback_or_payload_is_a_new_generation_without_attempts() {
        for change in [
            Patch { execute_at: Some(Millis(START + 9)), ..patch("a") },
            Patch { url: Some("http://other/".into()), ..patch("a") },
            Patch { headers: vec![("x".into(), Some("1".into()))], ..patch("a") },
            Patch { timeout: Some(Span(5000)), ..patch("a") },
            Patch { body: Some(BodyMode::Payload), ..patch("a") },
            Patch { payload: Some(Payload::None), ..patch("a") },
        ] {
            let mut shard = retrying();
            let timer = done(shard.run(START + 5, change)).timer;
            let sequence = Sequence::new(4, 0);
            assert_eq!((timer.generation, timer.version), (sequence, sequence));
            assert_eq!((timer.state, timer.attempts, timer.fingerprint), (State::Scheduled, 0, None));
            assert_eq!(timer.next_attempt_at, Some(timer.definition.execute_at));
            assert_eq!(*shard.timer("a"), timer);
        }
    }

    #[test]
    fn labels_and_policies_are_a_new_version_with_the_schedule_kept() {
        let label = [("k".into(), Some("v".into()))].into();
        for change in [
            Patch { labels: label, ..patch("a") },
            Patch { late: Some(LatePolicy::Skip { grace_window: Span(1) }), ..patch("a") },
            Patch { retry: RetryPatch { attempts_max: Some(3), ..RetryPatch::default() }, ..patch("a") },
        ] {
            let mut shard = retrying();
            let before = shard.timer("a").clone();
            let timer = done(shard.run(START + 5, change)).timer;
            assert_eq!((timer.generation, timer.version), (before.generation, Sequence::new(4, 0)));
            assert_eq!((timer.position, timer.attempts), (before.position, 1));
            assert!(shard.notices.is_empty());
        }
    }

    #[test]
    fn values_that_are_there_already_change_nothing() {
        let mut shard = retrying();
        let before = shard.timer("a").clone();
        let change = Patch {
            execute_at: Some(before.definition.execute_at),
            headers: vec![("absent".into(), None)],
            payload: Some(definition(START).payload),
            ..patch("a")
        };
        assert_eq!(done(shard.run(START + 5, change)).timer, before);
        assert_eq!(*shard.timer("a"), before);
    }

    #[test]
    fn headers_and_labels_that_are_not_named_stay() {
        let mut old = definition(START);
        let header = |name: &str, value: &str| (String::from(name), String::from(value));
        old.callback.headers = vec![header("a", "1"), header("b", "2"), header("c", "3"), header("b", "4")];
        old.labels = [header("k", "1"), header("l", "2")].into();
        let change = Patch {
            headers: vec![("b".into(), Some("5".into())), ("a".into(), None), ("d".into(), Some("6".into()))],
            labels: [("k".into(), None), ("m".into(), Some("3".into()))].into(),
            ..patch("a")
        };
        let new = change.onto(&old, Millis(START));
        assert_eq!(new.callback.headers, [header("b", "5"), header("c", "3"), header("d", "6")]);
        assert_eq!(new.labels, [header("l", "2"), header("m", "3")].into());
    }

    #[test]
    fn a_definition_that_only_the_whole_shows_to_be_wrong_is_refused() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START + 50));
        let before = shard.timer("a").clone();
        let longer = RetryPatch { initial_interval: Some(Span::from_secs(7200)), ..RetryPatch::default() };
        let many = |n: usize| (0..n).map(|n| (n.to_string(), Some("v".into())));
        let big = vec![("x".into(), Some("v".repeat(9000)))];
        for (change, name) in [
            (Patch { method: Some(Method::Get), ..patch("a") }, "payload"),
            (Patch { retry: longer, ..patch("a") }, "retryPolicy.maxInterval"),
            (Patch { headers: many(21).collect(), ..patch("a") }, "callbackHeaders"),
            (Patch { headers: big, ..patch("a") }, "callbackHeaders"),
            (Patch { labels: many(17).collect(), ..patch("a") }, "labels"),
        ] {
            let refusal = refused(shard.run(START, change));
            assert!(matches!(&refusal, Refusal::Invalid { field, .. } if field == name), "{refusal:?}");
        }
        assert_eq!(*shard.timer("a"), before);
        let both = Patch { method: Some(Method::Get), payload: Some(Payload::None), ..patch("a") };
        assert_eq!(done(shard.run(START, both)).effect, Effect::Patched);
    }

    #[test]
    fn a_finished_or_unknown_timer_is_refused() {
        let mut shard = Shard::new();
        assert_eq!(refused(shard.run(START, patch("a"))), Refusal::NotFound);
        shard.run(START, put("a", START + 50));
        shard.run(START, delete("a"));
        let change = Patch { execute_at: Some(Millis(START + 9)), ..patch("a") };
        assert!(matches!(refused(shard.run(START, change)), Refusal::Finished(_)));
    }

    #[test]
    fn a_new_generation_says_what_was_on_its_way_and_labels_ask_for_nothing() {
        let mut shard = Shard::new();
        let generation = done(shard.run(START, put("a", START))).timer.generation;
        let fence = fence(1, Some((generation, START + 9)));
        let precondition = Precondition { nothing_in_flight: true, ..Precondition::default() };
        let label = [("k".into(), Some("v".into()))].into();
        let labels = Patch { labels: label, fence, precondition: precondition.clone(), ..patch("a") };
        assert_eq!(done(shard.run(START + 1, labels)).effect, Effect::Patched);
        let later = Patch { execute_at: Some(Millis(START + 99)), fence, ..patch("a") };
        let sent = InFlight::Yes { until: Millis(START + 9) + CLOCK_OFFSET_MAX };
        let refusing = Patch { precondition, ..later.clone() };
        assert_eq!(refused(shard.run(START + 1, refusing)), Refusal::AttemptInFlight(sent));
        assert_eq!(done(shard.run(START + 1, later)).in_flight, sent);
    }
}
