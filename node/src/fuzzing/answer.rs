//! A receiver's answer: whatever it says, what it means is within bounds, and can be stored and shown.

use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::response::Parts;
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Duration;
use timer_core::command::AttemptResult;
use timer_core::definition::{DeadOn, Payload};
use timer_core::limits::{ERROR_BYTES_MAX, HORIZON_MAX};
use timer_core::time::Millis;
use timer_core::timer::{ErrorKind, LastError};

use crate::delivery::answer::{Body, meaning};
use crate::delivery::failure::Failure;
use crate::http::input::faults::Faults;
use crate::http::input::reader::Reader;
use crate::http::input::{Shape, payload};

/// 2026-11-25T01:02:03.456Z
const NOW: Millis = Millis(1_795_568_523_456);

/// The bytes as an answer: a line of the status and the media type, one that is `Retry-After` and `Location` alike, and
/// the body.
pub fn holds(data: &[u8]) -> bool {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let (first, second, body) = (next(), next(), Bytes::copy_from_slice(next()));
    let head = head(first, second);
    let failure =
        || Failure::timed_out(ErrorKind::ReadTimedOut, Duration::from_secs(1), "the answer did not end");
    let broken = || Body::Broken { begin: body.clone(), failure: failure() };
    for dead_on in [DeadOn::default(), DeadOn::All4xx] {
        for body in [Body::Whole(body.clone()), Body::CutOff(body.clone()), broken()] {
            can_be_kept(&meaning(&head, body, &dead_on, NOW), &head, &dead_on);
        }
    }
    let whole = meaning(&head, Body::Whole(body.clone()), &DeadOn::default(), NOW);
    if head.status.is_success()
        && head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json")
    {
        is_what_was_said(&whole, &body);
    }
    whole != AttemptResult::Delivered
}

fn head(first: &[u8], second: &[u8]) -> Parts {
    let (status, kind) = first.split_at(first.len().min(3));
    let status = StatusCode::from_bytes(status).unwrap_or(StatusCode::OK);
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = status;
    for (name, value) in [(CONTENT_TYPE, kind.trim_ascii()), (RETRY_AFTER, second), (LOCATION, second)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            head.headers.insert(name, value);
        }
    }
    head
}

fn can_be_kept(result: &AttemptResult, head: &Parts, dead_on: &DeadOn) {
    let status = head.status;
    match result {
        AttemptResult::Delivered => assert!(status.is_success()),
        AttemptResult::DeliveredNext { execute_at, payload } => {
            assert!(status.is_success() && *execute_at <= NOW + HORIZON_MAX);
            payload.iter().for_each(could_have_been_sent);
        }
        AttemptResult::Deferred { until } => assert!(status.is_success() && *until <= NOW + HORIZON_MAX),
        AttemptResult::Failed { error, retry_after, permanent } => {
            is_told(error, status);
            let asked_to_wait = matches!(status.as_u16(), 429 | 503);
            assert!(retry_after.is_none() || asked_to_wait);
            assert!(retry_after.is_none_or(|at| at <= Millis::MAX));
            let unusable = error.kind == ErrorKind::InvalidCallbackAnswer;
            assert_eq!(*permanent, dead_on.contains(status.as_u16()) || unusable);
        }
        AttemptResult::Skipped => panic!("an answer to nothing"),
    }
}

/// A payload that a receiver names is held to what a client's is, since it is shown and sent like one.
fn could_have_been_sent(named: &Payload) {
    let Payload::Json(bytes) = named else { panic!("{named:?}") };
    let text = format!("{{\"payload\":{}}}", String::from_utf8_lossy(bytes));
    let mut faults = Faults::default();
    let sent = match Reader::new(&text, "", &mut faults) {
        Ok(mut reader) => payload::read(&mut reader, Shape::Whole),
        Err(fault) => panic!("a payload that {}", fault.message),
    };
    let faults = faults.into_result(Some(())).map_err(|problem| problem.detail);
    assert_eq!(faults, Ok(()));
    assert_eq!(sent.as_ref(), Some(named));
}

/// One line, of bounded length.
fn is_told(error: &LastError, status: StatusCode) {
    assert_eq!((error.at, error.status), (NOW, Some(status.as_u16())));
    assert!(
        !error.message.is_empty() && error.message.len() <= ERROR_BYTES_MAX,
        "{} bytes",
        error.message.len()
    );
    assert!(!error.message.chars().any(char::is_control), "{:?}", error.message);
}

/// Read in another way, the body says the same.
fn is_what_was_said(result: &AttemptResult, body: &[u8]) {
    // It reads less deep than we do.
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        let broken = serde_json::from_slice::<&RawValue>(body).is_err();
        assert!(!broken || *result == AttemptResult::Delivered, "{result:?}");
        return;
    };
    let ok = value.as_object().and_then(|object| object.get("ok")).and_then(Value::as_bool);
    let next = value.get("nextExecuteAt").filter(|next| !next.is_null());
    match (ok, next) {
        (None, _) | (Some(true), None) => assert_eq!(*result, AttemptResult::Delivered),
        (Some(true), Some(_)) => {
            assert!(matches!(
                result,
                AttemptResult::DeliveredNext { .. } | AttemptResult::Failed { permanent: true, .. }
            ));
        }
        (Some(false), None) => assert!(matches!(result, AttemptResult::Failed { permanent: false, .. })),
        (Some(false), Some(_)) => {
            assert!(matches!(
                result,
                AttemptResult::Deferred { .. } | AttemptResult::Failed { permanent: true, .. }
            ));
        }
    }
}
