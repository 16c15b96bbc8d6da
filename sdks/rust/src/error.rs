//! What can go wrong, and above all what is then known about the effect of a call.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::timer::{InFlight, Timer};

/// Why no client could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// No endpoint was named.
    #[error("name at least one endpoint")]
    NoEndpoint,
    /// More than [`ENDPOINTS_MAX`](crate::limits::ENDPOINTS_MAX).
    #[error("name at most {max} endpoints, not {named}")]
    TooManyEndpoints {
        /// The bound.
        max: usize,
        /// How many there were.
        named: usize,
    },
    /// An endpoint is not a URL that a server could have.
    #[error("endpoint {endpoint:?}: {reason}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// For people.
        reason: String,
    },
    /// The token can't stand in a header.
    #[error("the token must be printable ASCII")]
    Token,
    /// An endpoint is https, and there is no certificate authority to hold its certificate against.
    #[error("no certificate authorities for https: {0}; install the system's, or name one with `ca_file`")]
    Certificates(String),
    /// A certificate authority that was named can't be read.
    #[error("{file}: {reason}")]
    Authority {
        /// The file, or what stands for the bytes that were given.
        file: String,
        /// For people.
        reason: String,
    },
}

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server answered, and the answer will not change by asking again.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// No try succeeded within the bounds of [`RetrySettings`](crate::RetrySettings).
    #[error("gave up after {tries} tries in {waited:.1?}: {last}")]
    GaveUp {
        /// How often the request was sent, or a connection was tried.
        tries: u32,
        /// From the first try on.
        waited: Duration,
        /// What is known of the effect.
        outcome: Outcome,
        /// What went wrong last.
        last: Failure,
    },
    /// The server's answer can't be understood: is it durable-timer, and of a version that this client knows?
    #[error("status {status}, and an answer that is not of this API: {reason}")]
    Answer {
        /// The HTTP status.
        status: u16,
        /// For people.
        reason: String,
        /// What is known of the effect.
        outcome: Outcome,
    },
    /// The request could not be made, so it was never sent.
    #[error("the request can't be made: {0}")]
    Request(String),
}

/// What went wrong in one try.
#[derive(Debug)]
pub enum Failure {
    /// No connection: nothing was sent.
    Connect(String),
    /// No connection that is safe: nothing was sent. Asking the same server again will not help.
    Tls {
        /// The server.
        endpoint: String,
        /// What is wrong with it.
        fault: TlsFault,
    },
    /// A connection was there and broke before the answer was complete.
    Lost(String),
    /// No answer in the time for one try.
    Slow(Duration),
    /// The server, or something before it, asked to come again later.
    Busy(Box<Problem>),
}

/// Why a server is not safe to talk to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// Its certificate has expired.
    #[error("the server's certificate has expired")]
    Expired,
    /// Its certificate is for another host.
    #[error("the server's certificate is for another host: {0}")]
    WrongHost(String),
    /// Its certificate comes from an authority that this client does not trust.
    #[error("the server's certificate comes from an authority that is not trusted here")]
    UnknownCa,
    /// It does not speak TLS.
    #[error("the server does not speak TLS there; is it http?")]
    NotTls,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// What is known about the effect of a call that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It had none and will have none.
    NotApplied,
    /// It may have had, or may still have: repeat the call with the same `Idempotency-Key` to learn which.
    Unknown,
}

/// An answer that says what went wrong (RFC 9457). Decide by `code`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// Stable; the list is `ProblemCode` in `api.yaml`. Empty for an answer that is not of this API.
    #[serde(default)]
    pub code: String,
    /// The same for every problem of the code.
    #[serde(default)]
    pub title: String,
    /// What is wrong with this request.
    #[serde(default)]
    pub detail: String,
    /// Names the request in the server's log.
    #[serde(default)]
    pub request_id: Option<String>,
    /// Every fault of the input that was found.
    #[serde(default)]
    pub errors: Vec<FieldFault>,
    /// What is known of the effect.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// The timer as it is, where that explains the refusal.
    #[serde(default)]
    pub timer: Option<Box<Timer>>,
    /// The timer's version, where that explains the refusal.
    #[serde(default)]
    pub version: Option<u64>,
    /// With `ATTEMPT_IN_FLIGHT`.
    #[serde(default)]
    pub attempt_in_flight: Option<InFlight>,
    /// When that attempt ends at the latest.
    #[serde(default)]
    pub attempt_in_flight_until: Option<String>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldFault {
    /// Its path, or the name of a query parameter or header.
    pub field: String,
    /// For people.
    pub message: String,
}

impl Error {
    /// What is known about the effect of the call.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(problem) => problem.outcome.unwrap_or(Outcome::NotApplied),
            Self::GaveUp { outcome, .. } | Self::Answer { outcome, .. } => *outcome,
            Self::Request(_) => Outcome::NotApplied,
        }
    }

    /// The server's problem, if it gave one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) | Self::GaveUp { last: Failure::Busy(problem), .. } => Some(problem),
            Self::GaveUp { .. } | Self::Answer { .. } | Self::Request(_) => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.code.is_empty() { "HTTP" } else { &self.code };
        let text = if self.detail.is_empty() { &self.title } else { &self.detail };
        write!(f, "{name} ({}): {text}", self.status)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(reason) => write!(f, "no connection: {reason}"),
            Self::Tls { endpoint, fault } => write!(f, "no secure connection: {endpoint}: {fault}"),
            Self::Lost(reason) => write!(f, "the connection was lost: {reason}"),
            Self::Slow(waited) => write!(f, "no answer within {waited:.1?}"),
            Self::Busy(problem) => problem.fmt(f),
        }
    }
}
