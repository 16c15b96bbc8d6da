//! Names a definition, and a request, by a hash of what was sent. Hashes are kept with timers: a change of
//! the encoding makes a repeated PUT replace instead of doing nothing, so a golden test guards it.

use sha2::{Digest as _, Sha256};
use timer_core::command::Precondition;
use timer_core::command::patch::RetryPatch;
use timer_core::definition::{DeadOn, LatePolicy, Payload};
use timer_core::ids::TimerKey;
use timer_core::list::{ListOrder, ListQuery};
use timer_core::time::Millis;
use timer_core::timer::Fingerprint;

use super::callback::{BODY_MODES, METHODS};
use super::group::SentGroup;
use super::sent::{Sent, When};

/// A hash over named parts. A part is its name, its length and its bytes, so that no two lists of parts
/// have the same encoding.
struct Parts(Sha256);

impl Parts {
    fn new(domain: &str) -> Self {
        let mut parts = Self(Sha256::new());
        parts.part("domain", domain.as_bytes());
        parts
    }

    fn part(&mut self, name: &str, bytes: &[u8]) {
        for text in [name.as_bytes(), bytes] {
            self.0.update((text.len() as u64).to_be_bytes());
            self.0.update(text);
        }
    }

    fn number(&mut self, name: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.part(name, &number.to_be_bytes());
        }
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.part(name, text.as_bytes());
        }
    }

    fn finish(self) -> Fingerprint {
        let hash = self.0.finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&hash[..16]);
        Fingerprint(first)
    }
}

/// The fingerprint of a place in a list, whatever page of it was asked for.
#[must_use]
pub fn of_place(query: &ListQuery, execute_at: Millis, id: &str) -> Fingerprint {
    let ListQuery { group, states, order, id_prefix, execute_after, execute_before, after: _ } = query;
    let mut parts = Parts::new("place/1");
    parts.part("group", group.as_bytes());
    for state in states {
        parts.part("state", state.as_str().as_bytes());
    }
    let order = match order {
        ListOrder::Id => "id",
        ListOrder::ExecuteAt => "executeAt",
    };
    parts.part("order", order.as_bytes());
    parts.part("idPrefix", id_prefix.as_bytes());
    for (name, at) in [("after", execute_after), ("before", execute_before), ("executeAt", &execute_at)] {
        parts.number(name, Some(at.0));
    }
    parts.part("id", id.as_bytes());
    parts.finish()
}

/// The fingerprint of what was sent about a timer, without its id: times as instants, spans and numbers by
/// value, the payload by bytes, headers and labels in any order.
#[must_use]
pub fn of_sent(sent: &Sent) -> Fingerprint {
    let mut parts = Parts::new("timer/1");
    match sent.when {
        Some(When::At(at)) => parts.number("executeAt", Some(at.0)),
        Some(When::After(delay)) => parts.number("delay", Some(delay.0)),
        None => {}
    }
    parts.text("callbackUrl", sent.url.as_deref());
    parts.text("callbackMethod", name_of(&METHODS, sent.method));
    let mut headers: Vec<_> = sent.headers.iter().collect();
    headers.sort();
    for (name, value) in headers {
        parts.text("header", Some(name));
        parts.text("value", value.as_deref());
    }
    parts.number("callbackTimeout", sent.timeout.map(|span| span.0));
    parts.text("callbackBody", name_of(&BODY_MODES, sent.body));
    match &sent.payload {
        Some(Payload::Json(bytes)) => parts.part("payload", bytes),
        Some(Payload::Binary { bytes, content_type }) => {
            parts.part("payloadBase64", bytes);
            parts.text("contentType", Some(content_type));
        }
        Some(Payload::None) => parts.part("noPayload", &[]),
        None => {}
    }
    retry(&mut parts, &sent.retry);
    match sent.late {
        Some(LatePolicy::Fire) => parts.part("fire", &[]),
        Some(LatePolicy::Skip { grace_window }) => parts.number("graceWindow", Some(grace_window.0)),
        None => {}
    }
    for (key, value) in &sent.labels {
        parts.text("label", Some(key));
        parts.text("value", value.as_deref());
    }
    parts.finish()
}

fn retry(parts: &mut Parts, retry: &RetryPatch) {
    parts.number("maxAttempts", retry.attempts_max.map(u64::from));
    parts.number("maxDuration", retry.duration_max.map(|span| span.0));
    parts.number("initialInterval", retry.initial_interval.map(|span| span.0));
    parts.number("backoffMultiplier", retry.multiplier_milli.map(u64::from));
    parts.number("maxInterval", retry.interval_max.map(|span| span.0));
    parts.number("jitter", retry.jitter_milli.map(u64::from));
    match &retry.dead_on {
        Some(DeadOn::Codes(codes)) => {
            let bytes: Vec<u8> = codes.iter().flat_map(|code| code.to_be_bytes()).collect();
            parts.part("deadOn", &bytes);
        }
        Some(DeadOn::All4xx) => parts.part("deadOn4xx", &[]),
        None => {}
    }
}

fn name_of<T: PartialEq + Copy>(names: &[(&'static str, T)], value: Option<T>) -> Option<&'static str> {
    names.iter().find(|(_, other)| Some(*other) == value).map(|(name, _)| *name)
}

/// The fingerprint of a whole request: what it does (`operation`), to what, under which conditions, and with
/// what body.
#[must_use]
pub fn of_request(
    operation: &str,
    key: &TimerKey,
    precondition: &Precondition,
    body: Option<Fingerprint>,
) -> Fingerprint {
    let mut parts = Parts::new("request/1");
    parts.text("operation", Some(operation));
    parts.text("group", Some(&key.group));
    parts.text("id", Some(&key.id));
    let Precondition { absent, versions, present, generation, nothing_in_flight } = precondition;
    parts.number("absent", absent.then_some(1));
    for version in versions {
        parts.number("version", Some(version.0));
    }
    parts.number("present", present.then_some(1));
    parts.number("generation", generation.map(|generation| generation.0));
    parts.number("nothingInFlight", nothing_in_flight.then_some(1));
    if let Some(Fingerprint(bytes)) = body {
        parts.part("body", &bytes);
    }
    parts.finish()
}

/// The fingerprint of a request about a group.
#[must_use]
pub fn of_group_request(
    operation: &str,
    name: &str,
    precondition: &Precondition,
    sent: Option<&SentGroup>,
) -> Fingerprint {
    let mut parts = Parts::new("group/1");
    parts.text("operation", Some(operation));
    parts.text("group", Some(name));
    let Precondition { absent, versions, present, generation: _, nothing_in_flight: _ } = precondition;
    parts.number("absent", absent.then_some(1));
    for version in versions {
        parts.number("version", Some(version.0));
    }
    parts.number("present", present.then_some(1));
    if let Some(sent) = sent {
        let SentGroup { shards, retention, dead_retention, retain_payload, horizon_max, pending_max } = sent;
        parts.number("shards", shards.map(u64::from));
        parts.number("retention", retention.map(|span| span.0));
        parts.number("deadRetention", dead_retention.map(|span| span.0));
        parts.number("retainPayload", retain_payload.map(u64::from));
        parts.number("maxHorizon", horizon_max.map(|span| span.0));
        match pending_max {
            Some(Some(most)) => parts.number("maxPending", Some(*most)),
            Some(None) => parts.part("noMaxPending", &[]),
            None => {}
        }
    }
    parts.finish()
}

/// The id of a timer that a POST makes without naming one, from its `Idempotency-Key`: the same key meets
/// the same shard and the same timer. 26 characters of 5 bits.
#[must_use]
pub fn derived_id(group: &str, idempotency_key: &str) -> String {
    let mut parts = Parts::new("id/1");
    parts.text("group", Some(group));
    parts.text("key", Some(idempotency_key));
    let hash = parts.0.finalize();
    id_of_bytes(&hash)
}

/// The `Idempotency-Key` of operation `number`, from 0, of a batch that came with `idempotency_key`: the same batch again
/// repeats each operation with its own key.
#[must_use]
pub fn key_of_operation(idempotency_key: &str, number: usize) -> String {
    let mut parts = Parts::new("batch/1");
    parts.text("key", Some(idempotency_key));
    parts.number("number", Some(number as u64));
    format!("batch-{}", id_of_bytes(&parts.0.finalize()))
}

/// 26 characters of a-z and 2-7 from the first 17 of `bytes`, which are random or a hash.
#[must_use]
pub fn id_of_bytes(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let five = |n: usize| (0..5).fold(0_u8, |sum, at| sum << 1 | bit(n * 5 + at));
    (0..26).map(|n| char::from(ALPHABET[usize::from(five(n))])).collect()
}
