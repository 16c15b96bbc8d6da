//! A timer as the server answers it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A timer with every default written out.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timer {
    /// Its group.
    pub group: String,
    /// Its id within the group.
    pub id: String,
    /// The partition of the cluster that keeps it.
    pub shard: u16,
    /// Names this definition of it.
    pub generation: u64,
    /// Changes with every change; for `If-Match`.
    pub version: u64,
    /// Where it stands.
    pub state: State,
    /// When to call: RFC 3339, UTC, milliseconds.
    pub execute_at: String,
    /// When the next attempt is due; none once it is finished.
    #[serde(default)]
    pub next_attempt_at: Option<String>,
    /// Attempts of this generation whose outcome is known.
    #[serde(default)]
    pub attempts: u32,
    /// The receiver's "not yet" answers.
    #[serde(default)]
    pub deferrals: u32,
    /// When the id was created (again).
    pub created_at: String,
    /// When it changed last.
    pub updated_at: String,
    /// When the attempt that ended it was answered.
    #[serde(default)]
    pub executed_at: Option<String>,
    /// What went wrong last.
    #[serde(default)]
    pub last_error: Option<LastError>,
    /// Whether an attempt may still arrive: see [`InFlight`].
    #[serde(default)]
    pub attempt_in_flight: Option<InFlight>,
    /// When that attempt ends at the latest.
    #[serde(default)]
    pub attempt_in_flight_until: Option<String>,
    /// Whom to call.
    pub callback_url: String,
    /// POST, PUT, PATCH, GET or DELETE.
    pub callback_method: String,
    /// Values are `[redacted]` unless they are asked for.
    #[serde(default)]
    pub callback_headers: BTreeMap<String, String>,
    /// Bounds a whole attempt.
    pub callback_timeout: String,
    /// `envelope` or `payload`.
    pub callback_body: String,
    /// The exact bytes that were sent; none once it has ended otherwise than dead.
    #[serde(default)]
    pub payload: Option<Box<RawValue>>,
    /// A binary payload.
    #[serde(default)]
    pub payload_base64: Option<String>,
    /// Its media type.
    #[serde(default)]
    pub content_type: Option<String>,
    /// What to do after a failed attempt.
    pub retry_policy: RetryPolicy,
    /// `fire` or `skip`.
    pub late_policy: String,
    /// With `skip`: how late is still in time.
    #[serde(default)]
    pub grace_window: Option<String>,
    /// The user's own marks.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Where a timer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Waits for its time.
    Scheduled,
    /// Waits for its next attempt.
    Retrying,
    /// A receiver took it.
    Delivered,
    /// No receiver took it and no attempt is left.
    Dead,
    /// Its time had passed by more than the grace window.
    Skipped,
    /// It was cancelled.
    Cancelled,
    /// One that this client does not know yet.
    #[serde(other)]
    Unknown,
}

impl State {
    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Retrying => "retrying",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown to this client",
        }
    }
}

/// Whether an attempt of the definition that a change took out of force (for a read: of the one in force) may
/// still arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InFlight {
    /// None is, and none will start.
    No,
    /// One had been sent.
    Yes,
    /// A leader that is gone may have sent one.
    Possible,
    /// What this client does not know yet.
    #[serde(other)]
    Unknown,
}

impl InFlight {
    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Possible => "possible",
            Self::Unknown => "unknown to this client",
        }
    }
}

/// What to do after a failed attempt.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// Attempts in all.
    pub max_attempts: u32,
    /// From the start of the first attempt.
    pub max_duration: String,
    /// The wait after the first failed attempt.
    pub initial_interval: String,
    /// How much longer each wait is than the one before.
    pub backoff_multiplier: f64,
    /// The longest wait.
    pub max_interval: String,
    /// The share of a wait that is taken off at random.
    pub jitter: f64,
    /// Status codes that end it at once.
    pub dead_on: DeadOn,
}

/// Status codes that end a timer at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DeadOn {
    /// These.
    Codes(Vec<u16>),
    /// `4xx`: all of 400 to 499.
    Class(String),
}

/// What went wrong in the latest failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// The list is in `api.yaml`.
    pub kind: String,
    /// The receiver's status, if it answered.
    #[serde(default)]
    pub status_code: Option<u16>,
    /// For people.
    pub message: String,
    /// When the attempt ended.
    pub at: String,
}
