//! What an answer means: the table of the API, as a pure function.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use http::{StatusCode, response};
use serde_json::value::RawValue;
use timer_core::command::AttemptResult;
use timer_core::definition::{DeadOn, Payload};
use timer_core::limits::HORIZON_MAX;
use timer_core::time::Millis;
use timer_core::timer::{ErrorKind, LastError};

use super::failure::{Failure, error};
use super::retry_after::retry_after;
use crate::payload_depth::{PAYLOAD_DEPTH_MAX, depth};
use crate::rfc3339;

/// Bytes of an answer's body that are read. What comes after them is dropped with the connection.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Bytes of an answer that are quoted in a timer's last error.
const EXCERPT_BYTES_MAX: usize = 512;

/// What was read of an answer's body.
#[derive(Debug)]
pub(crate) enum Body {
    /// All of it.
    Whole(Bytes),
    /// More than [`ANSWER_BYTES_MAX`]: its beginning.
    CutOff(Bytes),
    /// It did not come to an end.
    Broken {
        /// What had come by then.
        begin: Bytes,
        /// Why no more came.
        failure: Failure,
    },
}

impl Body {
    /// What was read.
    pub(super) const fn bytes(&self) -> &Bytes {
        match self {
            Self::Whole(bytes) | Self::CutOff(bytes) | Self::Broken { begin: bytes, .. } => bytes,
        }
    }

    /// Whether that is all of it.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }
}

/// The meaning of an answer that came at `now`. `dead_on` are the statuses after which no retry makes sense.
pub(crate) fn meaning(head: &response::Parts, body: Body, dead_on: &DeadOn, now: Millis) -> AttemptResult {
    if head.status.is_success() {
        return match body {
            Body::Whole(bytes) if is_json(&head.headers) => report(head.status, &bytes, now),
            Body::Whole(_) | Body::CutOff(_) => AttemptResult::Delivered,
            Body::Broken { failure, .. } => failure.result(Some(head.status), now),
        };
    }
    // The status alone says what comes next, so a body that broke off changes nothing.
    AttemptResult::Failed {
        error: error(ErrorKind::HttpStatus, Some(head.status), describe(head, body.bytes()), now),
        retry_after: match head.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                retry_after(&head.headers, now)
            }
            _ => None,
        },
        permanent: dead_on.contains(head.status.as_u16()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/json" | "text/json") || essence.ends_with("+json")
}

/// The meaning of a JSON body with status 2xx. One that is no object with a boolean `ok` says nothing.
fn report(status: StatusCode, bytes: &Bytes, now: Millis) -> AttemptResult {
    let Ok(members) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(bytes) else {
        return AttemptResult::Delivered;
    };
    let raw = |name: &str| members.get(name).map(|raw| raw.get());
    let next = raw("nextExecuteAt").filter(|text| *text != "null").map(|text| next_time(text, now));
    let unusable = |why| AttemptResult::Failed {
        error: error(ErrorKind::InvalidCallbackAnswer, Some(status), why, now),
        retry_after: None,
        permanent: true,
    };
    match (raw("ok"), next) {
        (Some("true"), None) => AttemptResult::Delivered,
        (Some("true"), Some(Ok(execute_at))) => match raw("payload").map(next_payload).transpose() {
            Ok(payload) => AttemptResult::DeliveredNext { execute_at, payload },
            Err(why) => unusable(why),
        },
        (Some("false"), Some(Ok(until))) => AttemptResult::Deferred { until },
        (Some("true" | "false"), Some(Err(why))) => unusable(why),
        (Some("false"), None) => {
            AttemptResult::Failed { error: refused(status, bytes, now), retry_after: None, permanent: false }
        }
        _ => AttemptResult::Delivered,
    }
}

/// A time that a receiver names. One that has passed is as good as the next possible moment.
fn next_time(json: &str, now: Millis) -> Result<Millis, String> {
    let text: String = serde_json::from_str(json).map_err(|_| {
        format!("nextExecuteAt in the answer must be a string, not {}", excerpt(json.as_bytes()))
    })?;
    let at = rfc3339::parse(&text).map_err(|fault| {
        format!("nextExecuteAt in the answer is {:?}: it {fault}", excerpt(text.as_bytes()))
    })?;
    if at > now + HORIZON_MAX {
        return Err(format!(
            "nextExecuteAt in the answer is {text:?}: it must not be more than 10 years ahead"
        ));
    }
    Ok(at)
}

/// A payload that a receiver names. It is shorter than any that a client may send, since the whole answer is.
fn next_payload(json: &str) -> Result<Payload, String> {
    if depth(json) > PAYLOAD_DEPTH_MAX {
        return Err(format!("payload in the answer must not nest deeper than {PAYLOAD_DEPTH_MAX} levels"));
    }
    Ok(Payload::Json(json.as_bytes().into()))
}

fn refused(status: StatusCode, bytes: &Bytes, now: Millis) -> LastError {
    let message = format!("the receiver answered {}: {}", status.as_u16(), excerpt(bytes));
    error(ErrorKind::ReceiverRefused, Some(status), message, now)
}

fn describe(head: &response::Parts, body: &Bytes) -> String {
    let mut text = format!("the receiver answered {}", head.status.as_u16());
    if let Some(reason) = head.status.canonical_reason() {
        text = format!("{text} {reason}");
    }
    if head.status.is_redirection() {
        text.push_str("; redirects are not followed");
        if let Some(location) = head.headers.get(LOCATION) {
            text = format!("{text}, this one goes to {}", excerpt(location.as_bytes()));
        }
    }
    if !body.is_empty() {
        text = format!("{text}: {}", excerpt(body));
    }
    text
}

/// The beginning of a text from outside, on one line.
fn excerpt(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(EXCERPT_BYTES_MAX)];
    let text = String::from_utf8_lossy(cut);
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut.len() < bytes.len() {
        line.push('…');
    }
    line
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
