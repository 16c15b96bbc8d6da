//! What came of a timer's attempts.

use serde::{Deserialize, Serialize};

/// The last attempts of a timer, newest first.
#[derive(Clone, Debug, Deserialize)]
pub struct AttemptList {
    /// At most 20.
    pub attempts: Vec<Attempt>,
}

/// An attempt whose outcome is known.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The definition that was sent.
    pub generation: u64,
    /// From 1 within a generation.
    pub number: u32,
    /// Why it was made.
    pub trigger: Trigger,
    /// When it was due.
    pub scheduled_at: String,
    /// When it began.
    pub started_at: String,
    /// How long it took.
    pub duration: String,
    /// What it came to.
    pub outcome: AttemptOutcome,
    /// False if it changed nothing: its generation was out of force, or another attempt of its number had been counted.
    pub counted: bool,
    /// The time that the receiver asked for.
    #[serde(default)]
    pub next_execute_at: Option<String>,
    /// The receiver's status, if it answered.
    #[serde(default)]
    pub status_code: Option<u16>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<AttemptError>,
    /// The begin of the answer's body, if that is text.
    #[serde(default)]
    pub answer: Option<String>,
    /// The same where it is not.
    #[serde(default)]
    pub answer_base64: Option<String>,
    /// Whether the body went on.
    #[serde(default)]
    pub answer_truncated: bool,
}

/// What came of a callback that was sent as a test.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestedCallback {
    /// When it began.
    pub started_at: String,
    /// How long it took.
    pub duration: String,
    /// What a timer would take it for.
    pub outcome: AttemptOutcome,
    /// The time that the receiver asked for.
    #[serde(default)]
    pub next_execute_at: Option<String>,
    /// The receiver's status, if it answered.
    #[serde(default)]
    pub status_code: Option<u16>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<AttemptError>,
    /// The begin of the answer's body, if that is text.
    #[serde(default)]
    pub answer: Option<String>,
    /// The same where it is not.
    #[serde(default)]
    pub answer_base64: Option<String>,
    /// Whether the body went on.
    #[serde(default)]
    pub answer_truncated: bool,
}

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trigger {
    /// Its time had come.
    Schedule,
    /// The one before it failed, or was answered "not yet".
    Retry,
    /// A user wanted it at once.
    Fire,
    /// It is the first since a user gave the dead timer a new life.
    Redrive,
    /// One that this client does not know yet.
    #[serde(other)]
    Unknown,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptOutcome {
    /// The receiver took it.
    Delivered,
    /// It did not, or there was no answer.
    Failed,
    /// The receiver said "not yet".
    Deferred,
    /// Nothing was sent: it was too late.
    Skipped,
    /// One that this client does not know yet.
    #[serde(other)]
    Unknown,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AttemptError {
    /// The list is in `api.yaml`.
    pub kind: String,
    /// For people.
    pub message: String,
}

impl Trigger {
    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Retry => "retry",
            Self::Fire => "fire",
            Self::Redrive => "redrive",
            Self::Unknown => "unknown to this client",
        }
    }
}

impl AttemptOutcome {
    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Deferred => "deferred",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown to this client",
        }
    }
}
