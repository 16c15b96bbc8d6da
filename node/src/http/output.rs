//! A timer as the API shows it: flat, times in UTC with three fraction digits, spans in canonical form, the
//! values of headers hidden, the payload spliced in as the bytes that were sent.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use timer_core::definition::{BodyMode, DeadOn, Definition, LatePolicy, Method, Payload, RetryPolicy};
use timer_core::ids::Sequence;
use timer_core::time::Millis;
use timer_core::timer::{ErrorKind, InFlight, LastError, Timer};

use super::input::callback::{BODY_MODES, METHODS, REDACTED};
use super::input::policy::ALL_4XX;
use super::problem::Problem;
use super::{duration, problem::Code};
use crate::rfc3339;

/// Whether the values of callback headers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reveal {
    /// `[redacted]` stands for each.
    No,
    /// As they are.
    Yes,
}

/// All members but the payload, which is spliced in behind them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TimerBody<'a> {
    group: &'a str,
    id: &'a str,
    shard: u16,
    generation: u64,
    version: u64,
    state: &'static str,
    execute_at: String,
    next_attempt_at: Option<String>,
    attempts: u32,
    deferrals: u32,
    created_at: String,
    updated_at: String,
    executed_at: Option<String>,
    last_error: Option<ErrorBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_in_flight: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_in_flight_until: Option<String>,
    callback_url: &'a str,
    callback_method: &'static str,
    callback_headers: Headers<'a>,
    callback_timeout: String,
    callback_body: &'static str,
    retry_policy: RetryBody<'a>,
    late_policy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_window: Option<String>,
    labels: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    message: &'a str,
    at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RetryBody<'a> {
    max_attempts: u32,
    max_duration: String,
    initial_interval: String,
    backoff_multiplier: f64,
    max_interval: String,
    jitter: f64,
    dead_on: Codes<'a>,
}

/// An array of codes, or a name for many.
#[derive(Serialize)]
#[serde(untagged)]
enum Codes<'a> {
    These(&'a [u16]),
    Named(&'static str),
}

/// Headers as a map in their own order.
struct Headers<'a>(&'a [(String, String)], Reveal);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(headers, reveal) = self;
        let mut map = serializer.serialize_map(Some(headers.len()))?;
        for (name, value) in *headers {
            let shown = if *reveal == Reveal::Yes { value.as_str() } else { REDACTED };
            map.serialize_entry(name, shown)?;
        }
        map.end()
    }
}

fn body<'a>(timer: &'a Timer, shard: u16, in_flight: Option<InFlight>, reveal: Reveal) -> TimerBody<'a> {
    let Definition { execute_at, callback, retry, late, labels, payload: _ } = &timer.definition;
    TimerBody {
        group: &timer.key.group,
        id: &timer.key.id,
        shard,
        generation: timer.generation.0,
        version: timer.version.0,
        state: timer.state.as_str(),
        execute_at: rfc3339::format(*execute_at),
        next_attempt_at: timer.next_attempt_at.map(rfc3339::format),
        attempts: timer.attempts,
        deferrals: timer.deferrals,
        created_at: rfc3339::format(timer.created_at),
        updated_at: rfc3339::format(timer.updated_at),
        executed_at: timer.executed_at.map(rfc3339::format),
        last_error: timer.last_error.as_ref().map(error_body),
        attempt_in_flight: in_flight.map(|in_flight| in_flight.as_str()),
        attempt_in_flight_until: in_flight.and_then(in_flight_until).map(rfc3339::format),
        callback_url: &callback.url,
        callback_method: method_name(callback.method),
        callback_headers: Headers(&callback.headers, reveal),
        callback_timeout: duration::format(callback.timeout),
        callback_body: body_mode_name(callback.body),
        retry_policy: retry_body(retry),
        late_policy: if *late == LatePolicy::Fire { "fire" } else { "skip" },
        grace_window: match late {
            LatePolicy::Fire => None,
            LatePolicy::Skip { grace_window } => Some(duration::format(*grace_window)),
        },
        labels,
    }
}

fn retry_body(retry: &RetryPolicy) -> RetryBody<'_> {
    RetryBody {
        max_attempts: retry.attempts_max,
        max_duration: duration::format(retry.duration_max),
        initial_interval: duration::format(retry.initial_interval),
        backoff_multiplier: f64::from(retry.multiplier_milli) / 1000.0,
        max_interval: duration::format(retry.interval_max),
        jitter: f64::from(retry.jitter_milli) / 1000.0,
        dead_on: match &retry.dead_on {
            DeadOn::Codes(codes) => Codes::These(codes),
            DeadOn::All4xx => Codes::Named(ALL_4XX),
        },
    }
}

fn error_body(error: &LastError) -> ErrorBody<'_> {
    ErrorBody {
        kind: error_kind(error.kind),
        status_code: error.status,
        message: &error.message,
        at: rfc3339::format(error.at),
    }
}

/// The name of a kind of failure in the API.
#[must_use]
pub const fn error_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::HttpStatus => "HTTP_STATUS",
        ErrorKind::ReceiverRefused => "RECEIVER_REFUSED",
        ErrorKind::TimedOut => "TIMED_OUT",
        ErrorKind::Connect => "CONNECT",
        ErrorKind::Dns => "DNS",
        ErrorKind::Tls => "TLS",
        ErrorKind::Transport => "TRANSPORT",
        ErrorKind::BlockedAddress => "BLOCKED_ADDRESS",
        ErrorKind::InvalidCallbackAnswer => "INVALID_CALLBACK_ANSWER",
        ErrorKind::TooManyDeferrals => "TOO_MANY_DEFERRALS",
        ErrorKind::InvalidCallback => "INVALID_CALLBACK",
        ErrorKind::TlsCertificateExpired => "TLS_CERTIFICATE_EXPIRED",
        ErrorKind::TlsWrongHost => "TLS_WRONG_HOST",
        ErrorKind::TlsUnknownCa => "TLS_UNKNOWN_CA",
        ErrorKind::TlsProtocol => "TLS_PROTOCOL",
        ErrorKind::ConnectionRefused => "CONNECTION_REFUSED",
        ErrorKind::ConnectionReset => "CONNECTION_RESET",
        ErrorKind::ConnectTimedOut => "CONNECT_TIMED_OUT",
        ErrorKind::AnswerTimedOut => "ANSWER_TIMED_OUT",
        ErrorKind::ReadTimedOut => "READ_TIMED_OUT",
    }
}

fn method_name(method: Method) -> &'static str {
    METHODS.iter().find(|(_, other)| *other == method).map_or("POST", |(name, _)| name)
}

fn body_mode_name(mode: BodyMode) -> &'static str {
    BODY_MODES.iter().find(|(_, other)| *other == mode).map_or("envelope", |(name, _)| name)
}

/// When what is in flight ends.
#[must_use]
pub const fn in_flight_until(in_flight: InFlight) -> Option<Millis> {
    match in_flight {
        InFlight::No => None,
        InFlight::Yes { until } | InFlight::Possible { until } => Some(until),
    }
}

/// `timer` as JSON. `in_flight`: None where nobody knows.
///
/// # Errors
/// `INTERNAL` if it can't be written, which no timer can bring about.
pub fn timer_json(
    timer: &Timer,
    shard: u16,
    in_flight: Option<InFlight>,
    reveal: Reveal,
) -> Result<Vec<u8>, Problem> {
    let mut json = serde_json::to_vec(&body(timer, shard, in_flight, reveal))
        .map_err(|error| Problem::internal(&error.to_string()))?;
    match &timer.definition.payload {
        Payload::None => {}
        Payload::Json(bytes) => splice(&mut json, &[b",\"payload\":", bytes]),
        Payload::Binary { bytes, content_type } => {
            let text = STANDARD.encode(bytes);
            let content_type = serde_json::Value::from(content_type.as_str()).to_string();
            splice(
                &mut json,
                &[b",\"payloadBase64\":\"", text.as_bytes(), b"\",\"contentType\":", content_type.as_bytes()],
            );
        }
    }
    Ok(json)
}

/// Writes `parts` before the object's closing brace.
fn splice(json: &mut Vec<u8>, parts: &[&[u8]]) {
    json.pop();
    for part in parts {
        json.extend_from_slice(part);
    }
    json.push(b'}');
}

/// The answer that shows `timer`, with its `ETag`.
///
/// # Errors
/// `INTERNAL`, see [`timer_json`].
pub fn timer_response(
    status: StatusCode,
    timer: &Timer,
    shard: u16,
    in_flight: InFlight,
    reveal: Reveal,
) -> Result<Response, Problem> {
    let json = timer_json(timer, shard, Some(in_flight), reveal)?;
    let mut response = json_bytes(status, json);
    response.headers_mut().insert(header::ETAG, etag(timer.version)?);
    Ok(response)
}

/// The entity tag of a version.
///
/// # Errors
/// Never, as a number is always a header's value.
pub fn etag(version: Sequence) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(&format!("\"{version}\"")).map_err(|e| Problem::internal(&e.to_string()))
}

/// An answer of JSON. Nothing between may keep it: a read is of this moment.
#[must_use]
pub fn json_bytes(status: StatusCode, json: Vec<u8>) -> Response {
    let mut response = (status, json).into_response();
    mark_json(&mut response);
    response
}

/// Says of an answer that it is JSON, of this moment.
pub fn mark_json(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// An answer of `value` as JSON.
///
/// # Errors
/// `INTERNAL` if `value` can't be written as JSON.
pub fn json_response(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    match serde_json::to_vec(value) {
        Ok(json) => Ok(json_bytes(status, json)),
        Err(error) => Err(Problem::internal(&error.to_string())),
    }
}

/// The problem of a reply that does not belong to the command that was sent.
#[must_use]
pub fn unexpected_reply() -> Problem {
    Problem::new(Code::Internal, "the shard gave an answer of another kind; the log has the requestId")
}
