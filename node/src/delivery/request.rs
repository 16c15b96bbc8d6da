//! Turns an attempt into an HTTP request: method, headers and body, to the byte. Where it goes and what
//! comes back is not known here.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use timer_core::definition::{BodyMode, Callback, Method as CallbackMethod, Payload};
use timer_core::time::Millis;
use timer_core::timer::Timer;

use super::{Attempt, signature, url_check};
use crate::rfc3339;

/// What the header `Timer-Id` keeps of an id: the characters that a path needs no escape for either.
const ID_ESCAPES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const AGENT: HeaderValue = HeaderValue::from_static(concat!("durable-timer/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const GROUP: HeaderName = HeaderName::from_static("timer-group");
const ID: HeaderName = HeaderName::from_static("timer-id");
const GENERATION: HeaderName = HeaderName::from_static("timer-generation");
const ATTEMPT: HeaderName = HeaderName::from_static("timer-attempt");
const SCHEDULED_AT: HeaderName = HeaderName::from_static("timer-scheduled-at");
const LATE_MS: HeaderName = HeaderName::from_static("timer-late-ms");
const DEFERRALS: HeaderName = HeaderName::from_static("timer-deferrals");
const CLUSTER_ID: HeaderName = HeaderName::from_static("timer-cluster-id");
const FENCING_TOKEN: HeaderName = HeaderName::from_static("timer-fencing-token");
const MANUAL: HeaderName = HeaderName::from_static("timer-manual");

/// Headers of the connection and of the message's framing, which a user's own would break.
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Why no request can be made of a callback. Checks at create keep it from happening, so it says what is
/// wrong with the stored record.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestFault {
    /// The URL.
    #[error("callbackUrl {0}")]
    Url(String),
    /// The URL as the HTTP library sees it.
    #[error("callbackUrl can't be called: {0}")]
    Uri(#[from] http::uri::InvalidUri),
    /// A header of the user.
    #[error("callbackHeaders: {0:?} can't be sent")]
    Header(String),
    /// A value that the service itself makes into a header.
    #[error("a header of the service can't be sent: {0}")]
    OwnHeader(#[from] InvalidHeaderValue),
    /// The envelope.
    #[error("the envelope can't be written: {0}")]
    Envelope(#[from] serde_json::Error),
    /// The signature.
    #[error("the request can't be signed: {0}")]
    Signature(#[from] hmac::digest::InvalidLength),
}

/// The request of `attempt`, sent at `now`.
pub(super) fn request(attempt: &Attempt, now: Millis) -> Result<Request<Bytes>, RequestFault> {
    let callback = &attempt.timer.definition.callback;
    let url = url_check::parse(&callback.url).map_err(RequestFault::Url)?;
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method(callback.method);
    *request.uri_mut() = Uri::try_from(String::from(url))?;
    *request.headers_mut() = headers(attempt, now)?;
    if callback.method.has_body() {
        let (body, content_type) = body(attempt)?;
        if let Some(content_type) = content_type {
            request.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        *request.body_mut() = body;
    }
    sign(&mut request, attempt)?;
    Ok(request)
}

/// Signs what is sent, to the byte: the id and the time as they stand in the headers, and the body.
fn sign(request: &mut Request<Bytes>, attempt: &Attempt) -> Result<(), RequestFault> {
    let bytes = |name| request.headers().get(name).map_or(&[][..], HeaderValue::as_bytes);
    let (id, timestamp) = (bytes(WEBHOOK_ID), bytes(WEBHOOK_TIMESTAMP));
    if let Some(signatures) = signature::header(&attempt.secrets, id, timestamp, request.body())? {
        request.headers_mut().insert(WEBHOOK_SIGNATURE, shared(signatures)?);
    }
    Ok(())
}

const fn method(method: CallbackMethod) -> Method {
    match method {
        CallbackMethod::Post => Method::POST,
        CallbackMethod::Put => Method::PUT,
        CallbackMethod::Patch => Method::PATCH,
        CallbackMethod::Get => Method::GET,
        CallbackMethod::Delete => Method::DELETE,
    }
}

/// The user's headers first, so that ours replace them.
fn headers(attempt: &Attempt, now: Millis) -> Result<HeaderMap, RequestFault> {
    let timer = &attempt.timer;
    let mut headers = HeaderMap::with_capacity(32);
    user_headers(&timer.definition.callback, &mut headers)?;
    headers.insert(USER_AGENT, AGENT);
    headers.insert(GROUP, HeaderValue::from_str(&timer.key.group)?);
    let id = utf8_percent_encode(&timer.key.id, ID_ESCAPES);
    headers.insert(ID, shared(id.to_string())?);
    headers.insert(GENERATION, timer.generation.0.into());
    headers.insert(ATTEMPT, attempt.attempt.into());
    headers.insert(SCHEDULED_AT, shared(rfc3339::format(timer.due_at()))?);
    headers.insert(LATE_MS, attempt.late_ms.into());
    headers.insert(DEFERRALS, timer.deferrals.into());
    headers.insert(CLUSTER_ID, HeaderValue::from_str(&attempt.cluster_id)?);
    headers.insert(FENCING_TOKEN, attempt.fencing_token.into());
    if attempt.manual {
        headers.insert(MANUAL, HeaderValue::from_static("true"));
    }
    if let Some(traceparent) = &timer.traceparent {
        headers.insert(TRACEPARENT, HeaderValue::from_str(traceparent)?);
    }
    headers.insert(WEBHOOK_ID, shared(webhook_id(timer))?);
    headers.insert(WEBHOOK_TIMESTAMP, (now.0 / 1000).into());
    Ok(headers)
}

fn user_headers(callback: &Callback, headers: &mut HeaderMap) -> Result<(), RequestFault> {
    for (name, value) in &callback.headers {
        let fault = || RequestFault::Header(name.clone());
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| fault())?;
        let ours = |name: &str| name.starts_with("timer-") || name.starts_with("webhook-");
        if FRAMING.contains(&header.as_str()) || ours(header.as_str()) {
            return Err(fault());
        }
        headers.append(header, HeaderValue::from_str(value).map_err(|_| fault())?);
    }
    Ok(())
}

/// A value that takes the text over without copying it.
fn shared(text: String) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(text))
}

/// The same for every attempt of one generation, and for no other. Each part is preceded by its length, so
/// that no two timers run together.
fn webhook_id(timer: &Timer) -> String {
    let mut hash = Sha256::new();
    for part in [timer.key.group.as_bytes(), timer.key.id.as_bytes()] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.update(timer.generation.0.to_be_bytes());
    let hash = hash.finalize();
    let mut id = String::with_capacity(36);
    id.push_str("msg_");
    for nibble in hash.iter().take(16).flat_map(|byte| [byte >> 4, byte & 15]) {
        id.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
    }
    id
}

/// The body and its media type; a body of no bytes has none.
fn body(attempt: &Attempt) -> Result<(Bytes, Option<HeaderValue>), RequestFault> {
    let definition = &attempt.timer.definition;
    match (definition.callback.body, &definition.payload) {
        (BodyMode::Envelope, payload) => Ok((envelope(attempt, payload)?.into(), Some(JSON))),
        (BodyMode::Payload, Payload::None) => Ok((Bytes::new(), None)),
        (BodyMode::Payload, Payload::Json(bytes)) => Ok((Bytes::from_owner(bytes.clone()), Some(JSON))),
        (BodyMode::Payload, Payload::Binary { bytes, content_type }) => {
            Ok((Bytes::from_owner(bytes.clone()), Some(HeaderValue::from_str(content_type)?)))
        }
    }
}

/// The JSON object around the payload, whose bytes are taken over as they are: a parser in between would
/// change numbers and the order of members.
fn envelope(attempt: &Attempt, payload: &Payload) -> Result<Vec<u8>, serde_json::Error> {
    let timer = &attempt.timer;
    let payload_bytes = payload.bytes().map_or(0, |bytes| bytes.len().div_ceil(3) * 4);
    let mut json = Vec::with_capacity(256 + timer.key.id.len() + payload_bytes);
    json.extend_from_slice(b"{\"group\":");
    serde_json::to_writer(&mut json, &timer.key.group)?;
    json.extend_from_slice(b",\"id\":");
    serde_json::to_writer(&mut json, &timer.key.id)?;
    json.extend_from_slice(b",\"generation\":");
    serde_json::to_writer(&mut json, &timer.generation.0)?;
    json.extend_from_slice(b",\"attempt\":");
    serde_json::to_writer(&mut json, &attempt.attempt)?;
    json.extend_from_slice(b",\"executeAt\":\"");
    json.extend_from_slice(rfc3339::format(timer.definition.execute_at).as_bytes());
    match payload {
        Payload::None => json.extend_from_slice(b"\",\"payload\":null"),
        Payload::Json(bytes) => {
            json.extend_from_slice(b"\",\"payload\":");
            json.extend_from_slice(bytes);
        }
        Payload::Binary { bytes, content_type } => {
            use base64::Engine as _;
            json.extend_from_slice(b"\",\"payloadBase64\":\"");
            json.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(bytes).as_bytes());
            json.extend_from_slice(b"\",\"contentType\":");
            serde_json::to_writer(&mut json, content_type)?;
        }
    }
    json.push(b'}');
    Ok(json)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
