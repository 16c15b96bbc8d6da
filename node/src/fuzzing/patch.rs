//! Merge patches: what one does to a timer is what RFC 7396 does to the timer's JSON; and a definition that is shown can be
//! sent again as the same.

use std::str::from_utf8;

use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use proto::entry;
use timer_core::command::{Command, Envelope, Precondition};
use timer_core::definition::Definition;
use timer_core::ids::{Sequence, TimerKey};
use timer_core::time::Millis;
use timer_core::timer::{InFlight, State, Timer};

use super::input::Object;
use crate::cluster::serve::url_check;
use crate::delivery::AddressPolicy;
use crate::http::input::batch::Operation;
use crate::http::input::{Rules, Sent, Shape, fingerprint};
use crate::http::limits::FAULTS_MAX;
use crate::http::output::{Reveal, timer_json};
use crate::http::problem::{Code, Problem};

/// 2026-11-25T01:02:03.456Z
const NOW: Millis = Millis(1_795_568_523_456);

/// What is patched where the bytes name nothing that could be.
const TIMER: &str = r#"{"executeAt":"2026-11-26T00:00:00Z","callbackUrl":"https://example.com/a",
"callbackHeaders":{"x-a":"1","x-b":"2"},"payload":{"n":[1, 2.50]},"retryPolicy":{"maxAttempts":3,"deadOn":"4xx"},
"latePolicy":"skip","graceWindow":"1m","labels":{"k":"v","l":"w"}}"#;

/// Members of a timer that a client may send.
const SENT: [&str; 14] = [
    "callbackBody",
    "callbackHeaders",
    "callbackMethod",
    "callbackTimeout",
    "callbackUrl",
    "contentType",
    "delay",
    "executeAt",
    "graceWindow",
    "labels",
    "latePolicy",
    "payload",
    "payloadBase64",
    "retryPolicy",
];

/// The bytes as a line of a whole definition and one of a patch; or of a patch alone.
pub fn holds(data: &[u8]) -> bool {
    let first = |body: &[u8]| read(body, Shape::Whole).map(|sent| definition(&sent));
    let (whole, patch) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (TIMER.as_bytes(), data),
    };
    let old = first(whole).or_else(|problem| {
        is_told(&problem);
        first(TIMER.as_bytes())
    });
    let old = old.unwrap_or_else(|problem| panic!("{}", problem.detail));
    comes_back(&old);
    match read(patch, Shape::Patch) {
        Ok(sent) => {
            merges(&sent, patch, &old);
            in_any_order(&sent, patch);
            in_a_batch(&sent, patch);
            true
        }
        Err(problem) => {
            is_told(&problem);
            false
        }
    }
}

fn read(body: &[u8], shape: Shape) -> Result<Sent, Problem> {
    let policy = AddressPolicy::from_settings(&[]);
    let url_check = policy.map_or_else(|fault| panic!("{fault}"), url_check);
    Sent::read(body, shape, Rules { now: NOW, url_check: &url_check })
}

/// With the time that a leader would make of a delay now.
fn definition(sent: &Sent) -> Definition {
    let definition = sent.definition(NOW);
    Definition { execute_at: sent.delay().map_or(definition.execute_at, |delay| NOW + delay), ..definition }
}

/// Every fault of a client's is told to it as such, in an answer of bounded length.
fn is_told(problem: &Problem) {
    use Code::{BlockedAddress, InvalidArgument, OutOfRange, PayloadTooLarge};
    let codes = [BlockedAddress, InvalidArgument, OutOfRange, PayloadTooLarge];
    assert!(codes.contains(&problem.code), "{problem:?}");
    assert!((1..=FAULTS_MAX).contains(&problem.errors.len()), "{problem:?}");
    let bounded = |text: &str| !text.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control);
    assert!(problem.errors.iter().all(|e| bounded(&e.field) && bounded(&e.message)), "{problem:?}");
}

/// What is shown of a definition is taken for the same definition.
fn comes_back(definition: &Definition) {
    let shown = shown(definition);
    match read(shown.text().as_bytes(), Shape::Whole) {
        Ok(sent) => assert_eq!(sent.definition(NOW), *definition, "{}", shown.text()),
        Err(problem) => panic!("{}: {}", shown.text(), problem.detail),
    }
}

/// A definition as a client sees it, without what the server adds.
fn shown(definition: &Definition) -> Object {
    let timer = Timer {
        key: TimerKey::new("default", "a"),
        generation: Sequence(1),
        version: Sequence(1),
        state: State::Scheduled,
        definition: definition.clone(),
        fingerprint: None,
        next_attempt_at: Some(definition.execute_at),
        position: Some(definition.execute_at),
        parked_at: None,
        attempts: 0,
        attempts_forgiven: 0,
        first_attempt_at: None,
        deferrals: 0,
        attempts_recorded: 0,
        manual: false,
        created_at: NOW,
        updated_at: NOW,
        executed_at: None,
        last_error: None,
        in_flight: InFlight::No,
        answers: Vec::new(),
        purge_at: None,
        traceparent: None,
    };
    let json = timer_json(&timer, 0, None, Reveal::Yes).map_err(|problem| problem.detail);
    let object = json.ok().and_then(|json| Object::of(&String::from_utf8_lossy(&json)));
    let mut object = object.unwrap_or_default();
    object.retain(|name| SENT.contains(&name));
    object
}

/// The patch does to the timer what merging does to its JSON, and is refused where that would be.
fn merges(sent: &Sent, patch: &[u8], old: &Definition) {
    let command = sent.clone().patch(TimerKey::new("default", "a"), Precondition::default());
    let new = command.onto(old, NOW);
    assert_eq!(command.onto(&new, NOW), new, "a patch has nothing more to do when it is repeated");
    let patch = from_utf8(patch).ok().and_then(Object::of).unwrap_or_default();
    let merged = merged(shown(old), &patch).text();
    match (read(merged.as_bytes(), Shape::Whole), new.fault()) {
        (Ok(whole), None) => assert_eq!(sorted(definition(&whole)), sorted(new), "{merged}"),
        (Err(_), Some(_)) => {}
        (Ok(_), Some((field, message))) => {
            panic!("{merged} is right, but the patch is refused: {field} {message}")
        }
        (Err(problem), None) => panic!("{merged} is refused, but the patch is not: {}", problem.detail),
    }
    let envelope = Envelope::own(Command::Patch(Box::new(command)));
    assert_eq!(entry::decode_envelope(&entry::encode_envelope(&envelope)), Ok(envelope));
}

/// Headers in an order that does not depend on how they came.
fn sorted(mut definition: Definition) -> Definition {
    definition.callback.headers.sort();
    definition
}

/// RFC 7396, but that fields which only say something together are replaced together.
fn merged(mut old: Object, patch: &Object) -> Object {
    for together in [
        &["executeAt", "delay"][..],
        &["payload", "payloadBase64", "contentType"],
        &["latePolicy", "graceWindow"],
    ] {
        if together.iter().any(|name| patch.get(name).is_some()) {
            old.retain(|name| !together.contains(&name));
        }
    }
    for (name, value) in patch.members() {
        match (name, value, Object::of(value)) {
            (_, "null", _) => old.retain(|other| other != name),
            ("callbackHeaders" | "labels" | "retryPolicy", _, Some(changes)) => {
                let mut object = old.get(name).and_then(Object::of).unwrap_or_default();
                for (inner, value) in changes.members() {
                    let inner =
                        if name == "callbackHeaders" { inner.to_ascii_lowercase() } else { inner.to_owned() };
                    object.retain(|other| other != inner);
                    if value != "null" {
                        object.add(&inner, value);
                    }
                }
                old.retain(|other| other != name);
                old.add(name, &object.text());
            }
            _ => {
                old.retain(|other| other != name);
                old.add(name, value);
            }
        }
    }
    old
}

/// The order of members says nothing.
fn in_any_order(sent: &Sent, patch: &[u8]) {
    let mut object = from_utf8(patch).ok().and_then(Object::of).unwrap_or_default();
    object.reverse();
    match read(object.text().as_bytes(), Shape::Patch) {
        Ok(other) => assert_eq!(fingerprint::of_sent(&other), fingerprint::of_sent(sent)),
        Err(problem) => panic!("{}: {}", object.text(), problem.detail),
    }
}

/// As an operation of a batch it is the same request.
fn in_a_batch(sent: &Sent, patch: &[u8]) {
    let mut object = from_utf8(patch).ok().and_then(Object::of).unwrap_or_default();
    object.add("op", "\"patch\"");
    object.add("id", "\"a\"");
    let operation = Operation::read(&object.text().into());
    let request = operation.and_then(|operation| operation.into_request("default"));
    let body = match request {
        Ok(request) => request.into_body().collect().now_or_never(),
        Err(problem) => panic!("{}: {}", object.text(), problem.detail),
    };
    let Some(Ok(body)) = body else { panic!("a body that is there is not read") };
    assert_eq!(read(&body.to_bytes(), Shape::Patch).ok().as_ref(), Some(sent));
}
