//! What an answer means: the contract's table, as a pure function.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde_json::value::RawValue;
use timer_core::command::outcome::AttemptResult;
use timer_core::definition::{DeadOn, Payload};
use timer_core::limits::HORIZON_MAX;
use timer_core::time::Millis;
use timer_core::timer::{ErrorKind, LastError};

use super::retry_after;
use super::text;
use crate::rfc3339;

/// An answer, its body read to the bound.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// The body's first bytes.
    pub body: Vec<u8>,
    /// How the body ended.
    pub body_end: BodyEnd,
}

/// How reading a body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// It is all there.
    Whole,
    /// There was more than is read.
    CutOff,
    /// The connection broke; why.
    Broken(String),
    /// The attempt's time was over.
    TimedOut,
}

/// By what an answer is judged, beside itself.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Status codes that end a timer at once.
    pub dead_on: &'a DeadOn,
    /// How long the whole attempt could take.
    pub timeout: Duration,
    /// When the answer was there.
    pub now: Millis,
}

/// What `answer` makes of the attempt.
///
/// A status that means failure does so whatever becomes of its body. A 2xx counts only when its body has ended
/// in order, since the body may say otherwise.
#[must_use]
pub fn judge(answer: &Answer, terms: Terms<'_>) -> AttemptResult {
    let status = answer.status;
    if !status.is_success() {
        let retry_after = match (status, &answer.retry_after) {
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(value)) => {
                retry_after::parse(value, terms.now)
            }
            _ => None,
        };
        let error = error(ErrorKind::HttpStatus, answer, terms, &refusal(answer));
        return AttemptResult::Failed {
            error,
            retry_after,
            permanent: terms.dead_on.contains(status.as_u16()),
        };
    }
    let told = match &answer.body_end {
        BodyEnd::Broken(reason) => {
            let message = format!("answered {status}, but the connection broke in its body: {reason}");
            return failed(error(ErrorKind::Transport, answer, terms, &message));
        }
        BodyEnd::TimedOut => {
            let message = format!("answered {status}, but its body had no end within {:?}", terms.timeout);
            return failed(error(ErrorKind::TimedOut, answer, terms, &message));
        }
        BodyEnd::CutOff => None,
        BodyEnd::Whole if is_json(answer.content_type.as_deref()) => Told::read(&answer.body),
        BodyEnd::Whole => None,
    };
    told.map_or(AttemptResult::Delivered, |told| told.judge(answer, terms))
}

/// A receiver's own words: an object with a boolean `ok`.
struct Told {
    ok: bool,
    next_execute_at: Option<Box<RawValue>>,
    payload: Option<Box<RawValue>>,
}

impl Told {
    /// `None` when `body` is none; then the status alone counts.
    fn read(body: &[u8]) -> Option<Self> {
        let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).ok()?;
        let ok = match members.get("ok")?.get() {
            "true" => true,
            "false" => false,
            _ => return None,
        };
        // Many receivers write an optional member that they have not as null, and a time can't be null.
        let next_execute_at = members.remove("nextExecuteAt").filter(|raw| raw.get() != "null");
        Some(Self { ok, next_execute_at, payload: members.remove("payload") })
    }

    fn judge(self, answer: &Answer, terms: Terms<'_>) -> AttemptResult {
        let Some(raw) = self.next_execute_at else {
            if self.ok {
                return AttemptResult::Delivered;
            }
            let message = format!("answered ok: false: {}", text::snippet(&answer.body));
            return failed(error(ErrorKind::ReceiverRefused, answer, terms, &message));
        };
        match (usable_time(raw.get(), terms.now), self.ok) {
            (Ok(execute_at), true) => {
                let payload = self.payload.map(|raw| Payload::Json(raw.get().as_bytes().into()));
                AttemptResult::DeliveredNext { execute_at, payload }
            }
            (Ok(until), false) => AttemptResult::Deferred { until },
            (Err(reason), _) => {
                let time = text::snippet(raw.get().as_bytes());
                let message = format!("answered nextExecuteAt {time}, which {reason}");
                let error = error(ErrorKind::InvalidCallbackAnswer, answer, terms, &message);
                AttemptResult::Failed { error, retry_after: None, permanent: true }
            }
        }
    }
}

/// The time in the JSON text `raw`, or why it can't be used.
fn usable_time(raw: &str, now: Millis) -> Result<Millis, String> {
    let text: String = serde_json::from_str(raw).map_err(|_| "must be a text".to_owned())?;
    let at = rfc3339::parse(&text).map_err(|fault| fault.to_string())?;
    if at > now + HORIZON_MAX {
        let last = rfc3339::format(now + HORIZON_MAX);
        return Err(format!("must not be later than {last}, the horizon"));
    }
    Ok(at)
}

/// Whether a media type is JSON: `application/json`, `text/json` or anything that ends with `+json`.
fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/json" | "text/json")
        || essence.split_once('/').is_some_and(|(_, subtype)| subtype.ends_with("+json"))
}

fn refusal(answer: &Answer) -> String {
    let mut message = format!("answered {}", answer.status);
    if answer.status.is_redirection() {
        message.push_str(" (redirects are not followed)");
        if let Some(location) = &answer.location {
            message.push_str(&format!(" to {}", text::snippet(location.as_bytes())));
        }
    }
    let said = text::snippet(&answer.body);
    if said.is_empty() { message } else { format!("{message}: {said}") }
}

fn error(kind: ErrorKind, answer: &Answer, terms: Terms<'_>, message: &str) -> LastError {
    let message = text::bounded(message.to_owned());
    LastError { kind, status: Some(answer.status.as_u16()), message, at: terms.now }
}

/// A failure that a later attempt may not meet.
const fn failed(error: LastError) -> AttemptResult {
    AttemptResult::Failed { error, retry_after: None, permanent: false }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
