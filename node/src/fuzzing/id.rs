//! Ids: one that is accepted comes back from every place as the same bytes, whichever way it was named.

use std::str::from_utf8;

use axum::http::{HeaderValue, Uri};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use timer_core::ids::{TimerKey, timer_id_fault};
use timer_core::limits::TIMER_ID_BYTES_MAX;

use crate::http::ids;
use crate::http::input::batch::Operation;
use crate::http::input::fingerprint;
use crate::http::query::Query;

/// The bytes as the last part of a path, and as an id that was meant.
pub fn holds(data: &[u8]) -> bool {
    let Ok(text) = from_utf8(data) else { return false };
    let derived = fingerprint::derived_id("default", text);
    assert_eq!(timer_id_fault(&derived), None, "{derived}");
    in_a_path(text);
    in_a_body(text);
    let fits = timer_id_fault(text).is_none();
    if fits {
        found_again(text);
    }
    fits
}

/// Decoding is strict and happens once.
fn in_a_path(text: &str) {
    let decoded = ids::decode(text);
    let theirs = percent_decode_str(text).decode_utf8();
    let strict = text.split('%').skip(1).all(|after| {
        let digits = after.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    });
    assert_eq!(decoded.is_ok(), strict && theirs.is_ok(), "{text:?}");
    if let (Ok(id), Ok(theirs)) = (&decoded, theirs) {
        assert_eq!(*id, theirs, "{text:?}");
    }
    // A path with more parts names another thing.
    if text.contains('/') {
        return;
    }
    let wanted = decoded.ok().filter(|id| timer_id_fault(id).is_none());
    let key = ids::timer_key(&format!("{}default/timers/{text}", ids::GROUPS_PATH)).ok();
    assert_eq!(key, wanted.map(|id| TimerKey::new("default", id)), "{text:?}");
}

/// An id in a body is judged as one in a path.
fn in_a_body(id: &str) {
    let json = serde_json::Value::from(id).to_string();
    let operation = Operation::read(&Bytes::from(format!("{{\"op\":\"get\",\"id\":{json}}}")));
    assert_eq!(operation.is_ok(), timer_id_fault(id).is_none(), "{id:?}");
    let Ok(operation) = operation else { return };
    assert_eq!(operation.id.as_deref(), Some(id));
    match operation.into_request("default") {
        Ok(request) => {
            assert_eq!(ids::timer_key(request.uri().path()).ok(), Some(TimerKey::new("default", id)))
        }
        Err(problem) => panic!("no request for {id:?}: {}", problem.detail),
    }
}

/// Its location is plain, and leads back to it.
fn found_again(id: &str) {
    let key = TimerKey::new("default", id);
    let location = ids::location(&key);
    assert_eq!(ids::timer_key(&location).ok(), Some(key), "{location}");
    assert!(HeaderValue::from_str(&location).is_ok(), "{location}");
    assert_eq!(Uri::try_from(&location).ok().as_ref().map(Uri::path), Some(location.as_str()));
    assert!(id.len() <= TIMER_ID_BYTES_MAX);
    // The last part, as a query has it.
    let encoded = location.rsplit('/').next().unwrap_or_default();
    let query = Query::parse(Some(&format!("idPrefix={encoded}")), &["idPrefix"]);
    assert_eq!(query.ok().as_ref().and_then(|query| query.get("idPrefix")), Some(id));
}
