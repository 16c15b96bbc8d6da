//! Errors as `application/problem+json` (RFC 9457), and the one mapping from what the cluster says to them.
//! Deliberately not here: the request's id, which only the outermost layer ([`super::shell`]) writes in.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use timer_core::command::Refusal;
use timer_core::timer::{InFlight, Timer};

use crate::backend::{Applied, BackendError};
use crate::rfc3339;

pub use super::code::Code;
use super::duration;
use super::input::faults::{Fault, Faults};
use super::input::sent;
use super::limits::FAULTS_MAX;
use super::output;

/// What a client is told to wait before it repeats a request whose effect nobody knows any more. The leader that could not
/// tell is there, so it is the shortest that the header can say.
const FORGOTTEN_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a client is told to wait while a group is being deleted: it is gone by then, or open again.
const CLOSED_RETRY_AFTER: Duration = Duration::from_secs(1);
/// What a client is told to wait that has used up its quota: timers fire meanwhile.
const QUOTA_RETRY_AFTER: Duration = Duration::from_secs(10);

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldFault {
    /// The field's path (`retryPolicy.maxAttempts`), a query parameter's or a header's name.
    pub field: String,
    /// For people.
    pub message: String,
}

impl FieldFault {
    /// A fault of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// An answer that says what went wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What kind.
    pub code: Code,
    /// What is wrong with this very request.
    pub detail: String,
    /// Every fault of the input that was found.
    pub errors: Vec<FieldFault>,
    /// What is known of the effect; with 503 and 504.
    pub outcome: Option<Applied>,
    /// When to try again; with 429 and 503.
    pub retry_after: Option<Duration>,
    /// Further members. Boxed, because every operation's result has room for a problem.
    more: Box<More>,
}

/// Members of some problems only.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct More {
    #[serde(skip_serializing_if = "Option::is_none")]
    timer: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_in_flight: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_in_flight_until: Option<String>,
}

/// The members in their order on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldFault],
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Applied>,
    #[serde(flatten)]
    more: &'a More,
}

impl Problem {
    /// A problem of `code`.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            outcome: None,
            retry_after: None,
            more: Box::default(),
        }
    }

    /// `INVALID_ARGUMENT` because of one field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let fault = FieldFault::new(field, message);
        Self::with_faults(Code::InvalidArgument, vec![fault])
    }

    /// A problem of `code` that lists `errors`, of which there is at least one.
    #[must_use]
    pub fn with_faults(code: Code, mut errors: Vec<FieldFault>) -> Self {
        let found = errors.len();
        let first = errors.first().map(|e| format!("{}: {}", e.field, e.message)).unwrap_or_default();
        let detail = if found > 1 { format!("{first} (and {} more)", found - 1) } else { first };
        errors.truncate(FAULTS_MAX);
        Self { errors, ..Self::new(code, detail) }
    }

    /// A fault of ours. `reason` goes to the log only.
    #[must_use]
    pub fn internal(reason: &str) -> Self {
        tracing::error!(reason, "a request failed by a fault of ours");
        Self::new(Code::Internal, "a fault of the server; its log says more under this requestId")
    }

    /// With what is known of the effect.
    #[must_use]
    pub fn with_outcome(self, outcome: Applied) -> Self {
        Self { outcome: Some(outcome), ..self }
    }

    /// With the timer as it is.
    #[must_use]
    pub fn with_timer(mut self, timer: &Timer, shard: u16) -> Self {
        self.more.version = Some(timer.version.0);
        self.more.timer = output::timer_json(timer, shard, None, output::Reveal::No)
            .ok()
            .and_then(|json| String::from_utf8(json).ok())
            .and_then(|json| RawValue::from_string(json).ok());
        self
    }

    /// The body, with the id of the request.
    #[must_use]
    pub fn to_json(&self, request_id: Option<&str>) -> Vec<u8> {
        let body = Body {
            r#type: self.code.type_uri(),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            request_id,
            errors: &self.errors,
            outcome: self.outcome,
            more: &self.more,
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// The whole answer.
    #[must_use]
    pub fn to_response(&self, request_id: Option<&str>) -> Response {
        let mut response = (self.code.status(), self.to_json(request_id)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
    }
}

/// Rounded up, so that nobody comes back too early; at least 1.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    let up = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(up).max(1)
}

/// The problem travels in the answer's extensions to the outermost layer, which knows the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        *response.status_mut() = self.code.status();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<BackendError> for Problem {
    fn from(error: BackendError) -> Self {
        let detail = error.to_string();
        if error == BackendError::GroupNotFound {
            return of_unknown_group();
        }
        let (code, outcome, retry_after) = match error {
            BackendError::Unavailable { outcome, retry_after, .. } => {
                (Code::ShardUnavailable, Some(outcome), Some(retry_after))
            }
            BackendError::Overloaded { retry_after, .. } => {
                (Code::Overloaded, Some(Applied::NotApplied), Some(retry_after))
            }
            BackendError::TimedOut { outcome, .. } => (Code::Timeout, Some(outcome), None),
            BackendError::DiskFull => (Code::DiskFull, Some(Applied::NotApplied), None),
            BackendError::GroupNotFound => (Code::GroupNotFound, None, None),
            BackendError::Internal(reason) => return Self::internal(&reason),
        };
        Self { outcome, retry_after, ..Self::new(code, detail) }
    }
}

/// The problem of a refusal of `shard`.
#[must_use]
pub fn of_refusal(refusal: &Refusal, shard: u16) -> Problem {
    match refusal {
        Refusal::NotFound => Problem::new(Code::TimerNotFound, "the group has no timer of this id"),
        Refusal::Exists(timer) => {
            let detail = "a timer with another definition has this id; PUT replaces it";
            Problem::new(Code::TimerExists, detail).with_timer(timer, shard)
        }
        Refusal::Finished(timer) => finished(timer, shard),
        // A redrive of what ended otherwise than dead comes here too: it is finished, but not as it must be.
        Refusal::NotFinished(timer) if timer.state.is_pending() => {
            let detail = format!("the timer is {}: this needs a finished one", timer.state.as_str());
            Problem::new(Code::TimerNotFinished, detail).with_timer(timer, shard)
        }
        Refusal::NotFinished(timer) => finished(timer, shard),
        Refusal::VersionMismatch(version) => version_mismatch(version.map(|v| v.0)),
        Refusal::AttemptInFlight(in_flight) => attempt_in_flight(*in_flight),
        Refusal::RequestKeyReused => Problem::new(
            Code::IdempotencyKeyReused,
            "this Idempotency-Key came before with another request for this timer",
        ),
        Refusal::Forgotten => Problem {
            retry_after: Some(FORGOTTEN_RETRY_AFTER),
            ..Problem::new(
                Code::ShardUnavailable,
                "the leader changed while the request was under way, and what it did, if anything, is not kept any more",
            )
        }
        .with_outcome(Applied::Unknown),
        Refusal::OutOfRange { field, most } => {
            let message = format!("must not be further ahead than {}, as the group says", duration::format(*most));
            let mut faults = Faults::default();
            faults.add(field, Fault::limit(message));
            faults.into_problem()
        }
        Refusal::GroupNotFound => of_unknown_group(),
        Refusal::GroupClosed => Problem {
            retry_after: Some(CLOSED_RETRY_AFTER),
            ..Problem::new(Code::ShardUnavailable, "the group is being deleted and takes no new timers")
        }
        .with_outcome(Applied::NotApplied),
        Refusal::GroupPaused => Problem::new(
            Code::GroupPaused,
            "the group is paused: nothing of it is delivered until it is resumed",
        ),
        Refusal::QuotaExceeded => quota("the group has as many pending timers as its maxPending allows"),
        Refusal::TooManyGroups => quota("the cluster has had as many groups as it takes"),
        Refusal::Invalid { field, message } => {
            let mut faults = Faults::default();
            faults.add(field, sent::whole_fault(field, message));
            faults.into_problem()
        }
    }
}

/// Why a group was not changed.
#[must_use]
pub fn of_group_refusal(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::VersionMismatch(Some(version)) => {
            let detail = format!("the group is at version {version}, which the request's conditions exclude");
            let more = More { version: Some(version.0), ..More::default() };
            Problem { more: Box::new(more), ..Problem::new(Code::VersionMismatch, detail) }
        }
        Refusal::VersionMismatch(None) => {
            let detail = "the request's conditions need a group of this name and there is none";
            Problem::new(Code::VersionMismatch, detail)
        }
        Refusal::Invalid { field, message } => {
            let mut faults = Faults::default();
            faults.add(field, Fault::limit(message));
            faults.into_problem()
        }
        Refusal::NotFound => of_unknown_secret(),
        // The others are the same for a group as for a timer, or are none of a group's; no shard shows in them.
        Refusal::Exists(_)
        | Refusal::Finished(_)
        | Refusal::NotFinished(_)
        | Refusal::AttemptInFlight(_)
        | Refusal::RequestKeyReused
        | Refusal::Forgotten
        | Refusal::OutOfRange { .. }
        | Refusal::GroupNotFound
        | Refusal::GroupClosed
        | Refusal::GroupPaused
        | Refusal::QuotaExceeded
        | Refusal::TooManyGroups => of_refusal(refusal, 0),
    }
}

/// There is no such group.
#[must_use]
pub fn of_unknown_group() -> Problem {
    Problem::new(Code::GroupNotFound, "there is no group of this name")
}

/// There is no such signing secret.
#[must_use]
pub fn of_unknown_secret() -> Problem {
    Problem::new(Code::SigningSecretNotFound, "the group has no signing secret of this id")
}

fn quota(detail: &str) -> Problem {
    Problem { retry_after: Some(QUOTA_RETRY_AFTER), ..Problem::new(Code::QuotaExceeded, detail) }
}

fn finished(timer: &Timer, shard: u16) -> Problem {
    let detail = format!("the timer is finished: {}", timer.state.as_str());
    Problem::new(Code::TimerFinished, detail).with_timer(timer, shard)
}

fn version_mismatch(version: Option<u64>) -> Problem {
    let detail = match version {
        Some(version) => format!("the timer is at version {version}, which the request's conditions exclude"),
        None => "the request's conditions need a timer of this id and there is none".to_owned(),
    };
    let more = More { version, ..More::default() };
    Problem { more: Box::new(more), ..Problem::new(Code::VersionMismatch, detail) }
}

fn attempt_in_flight(in_flight: InFlight) -> Problem {
    let until = output::in_flight_until(in_flight).map(rfc3339::format);
    let more = More {
        attempt_in_flight: Some(in_flight.as_str()),
        attempt_in_flight_until: until,
        ..More::default()
    };
    let detail = "an attempt is or may be on its way, and ifInFlight=refuse was asked for; nothing changed";
    Problem { more: Box::new(more), ..Problem::new(Code::AttemptInFlight, detail) }
}
