//! The request of an attempt: its body and its headers.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Request};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use timer_core::definition::{BodyMode, Method, Payload};
use timer_core::time::Millis;
use timer_core::timer::Timer;

use super::sender::Attempt;
use super::url_check::Target;
use crate::rfc3339;

/// A request that can be sent again.
pub type CallbackRequest = Request<Full<Bytes>>;

/// All but what RFC 3986 leaves alone everywhere.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a record can't be made into a request. What is checked when a timer is made leaves no such record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// The URL can't be called.
    #[error("the URL {0}")]
    Url(String),
    /// A header can't be sent.
    #[error("the header {0} has a name or value that can't be sent")]
    Header(String),
}

/// The request of `attempt`, sent at `now`, and where it goes.
///
/// # Errors
/// When the record holds what no request can.
pub fn build(attempt: &Attempt, now: Millis) -> Result<(CallbackRequest, Target), RequestFault> {
    let callback = &attempt.timer.definition.callback;
    let target = Target::parse(&callback.url).map_err(RequestFault::Url)?;
    let content = Content::of(attempt);
    let mut request = Request::new(Full::new(content.bytes));
    *request.method_mut() = match callback.method {
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Get => http::Method::GET,
        Method::Delete => http::Method::DELETE,
    };
    *request.uri_mut() = target.uri().clone();
    put_own(request.headers_mut(), attempt, now, content.media_type.as_deref())?;
    for (name, value) in &callback.headers {
        let fault = || RequestFault::Header(name.clone());
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| fault())?;
        // A header of ours is never replaced by one of the user's.
        if !request.headers().contains_key(&key) {
            request.headers_mut().insert(key, HeaderValue::from_str(value).map_err(|_| fault())?);
        }
    }
    Ok((request, target))
}

fn put_own(
    headers: &mut HeaderMap,
    attempt: &Attempt,
    now: Millis,
    media_type: Option<&str>,
) -> Result<(), RequestFault> {
    let timer = &attempt.timer;
    let mut put = |name: HeaderName, value: &str| match HeaderValue::from_str(value) {
        Ok(value) => {
            headers.insert(name, value);
            Ok(())
        }
        Err(_) => Err(RequestFault::Header(name.to_string())),
    };
    let own = HeaderName::from_static;
    if let Some(media_type) = media_type {
        put(CONTENT_TYPE, media_type)?;
    }
    put(USER_AGENT, concat!("durable-timer/", env!("CARGO_PKG_VERSION")))?;
    put(own("timer-group"), &timer.key.group)?;
    put(own("timer-id"), &utf8_percent_encode(&timer.key.id, &ESCAPED).to_string())?;
    put(own("timer-generation"), &timer.generation.to_string())?;
    put(own("timer-attempt"), &attempt.attempt.to_string())?;
    put(own("timer-scheduled-at"), &rfc3339::format(timer.definition.execute_at))?;
    put(own("timer-late-ms"), &attempt.late_ms.to_string())?;
    put(own("timer-deferrals"), &timer.deferrals.to_string())?;
    if attempt.manual {
        put(own("timer-manual"), "true")?;
    }
    put(own("timer-cluster-id"), &attempt.cluster_id)?;
    put(own("timer-fencing-token"), &attempt.fencing_token.to_string())?;
    put(own("webhook-id"), &webhook_id(timer))?;
    put(own("webhook-timestamp"), &(now.0 / 1000).to_string())?;
    // It came from a stranger, and an attempt must not fail for it.
    if let Some(Ok(parent)) = timer.traceparent.as_deref().map(HeaderValue::from_str) {
        headers.insert(own("traceparent"), parent);
    }
    Ok(())
}

/// The same for all attempts of a generation, and for no other generation.
fn webhook_id(timer: &Timer) -> String {
    let mut hash = Sha256::new();
    // Neither group nor id contains control characters, so nothing else makes the same text.
    hash.update(format!("{}\0{}\0{}", timer.key.group, timer.key.id, timer.generation));
    format!("msg_{}", URL_SAFE_NO_PAD.encode(&hash.finalize()[..24]))
}

/// A body and its media type.
struct Content {
    bytes: Bytes,
    media_type: Option<String>,
}

impl Content {
    fn of(attempt: &Attempt) -> Self {
        let definition = &attempt.timer.definition;
        if !definition.callback.method.has_body() {
            return Self { bytes: Bytes::new(), media_type: None };
        }
        let json = || Some("application/json".to_owned());
        match (definition.callback.body, &definition.payload) {
            (BodyMode::Envelope, _) => Self { bytes: envelope(attempt).into(), media_type: json() },
            (BodyMode::Payload, Payload::None) => Self { bytes: Bytes::new(), media_type: None },
            (BodyMode::Payload, Payload::Json(bytes)) => {
                Self { bytes: Bytes::from_owner(bytes.clone()), media_type: json() }
            }
            (BodyMode::Payload, Payload::Binary { bytes, content_type }) => {
                Self { bytes: Bytes::from_owner(bytes.clone()), media_type: Some(content_type.clone()) }
            }
        }
    }
}

/// The JSON object that names the timer. A JSON payload stands in it by its exact bytes, which no serializer
/// would keep; other bytes as base64 with their media type.
fn envelope(attempt: &Attempt) -> Vec<u8> {
    let timer = &attempt.timer;
    let head = format!(
        r#"{{"group":{},"id":{},"generation":{},"attempt":{},"executeAt":"{}","#,
        quoted(&timer.key.group),
        quoted(&timer.key.id),
        timer.generation,
        attempt.attempt,
        rfc3339::format(timer.definition.execute_at),
    );
    let mut body = head.into_bytes();
    match &timer.definition.payload {
        Payload::None => body.extend_from_slice(br#""payload":null"#),
        Payload::Json(bytes) => {
            body.extend_from_slice(br#""payload":"#);
            body.extend_from_slice(bytes);
        }
        Payload::Binary { bytes, content_type } => {
            let (text, media_type) = (STANDARD.encode(bytes), quoted(content_type));
            body.extend_from_slice(
                format!(r#""payloadBase64":"{text}","contentType":{media_type}"#).as_bytes(),
            );
        }
    }
    body.push(b'}');
    body
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
