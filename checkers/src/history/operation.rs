//! What clients asked for and what they were answered, in the terms of `api.yaml`. Deliberately not here: fire,
//! redrive and POST, which the harnesses do not send, and groups: a timer is named by one string.

use serde::{Deserialize, Serialize};

use super::RetryPolicy;

/// A client sends a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// When, before the first byte was sent.
    pub at_ns: u64,
    /// Names the operation; unique in the history.
    pub op: u64,
    /// The client process. It has one operation at a time.
    pub process: u32,
    /// The timer, in words of the harness's choice, e.g. `default/a`. Of at most 100 operations on one timer the
    /// order can be judged: a canary that writes often takes another name each time.
    pub timer: String,
    /// The timer's shard, by the hash of API.md.
    pub shard: u16,
    /// The `Idempotency-Key`, if one was sent. A repeated request has the same key and another `op`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What was asked for.
    pub action: Action,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// PUT with `If-None-Match: *`.
    Create {
        /// The definition.
        definition: Definition,
    },
    /// PUT, unconditional or with `If-Match`.
    Put {
        /// The definition.
        definition: Definition,
        /// The version in `If-Match`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<u64>,
    },
    /// PATCH, unconditional or with `If-Match`.
    Patch {
        /// What is to change.
        patch: Patch,
        /// The version in `If-Match`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<u64>,
    },
    /// GET.
    Get,
    /// DELETE.
    Delete {
        /// The version in `If-Match`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<u64>,
        /// Erase a finished one.
        #[serde(default)]
        purge: bool,
    },
}

/// A definition as it was sent. Two are the same for the server exactly if all fields are the same here: a
/// harness sends `executeAt` and not `delay`, the late policy `fire`, and nothing that is not named here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// `executeAt`, in wall-clock milliseconds.
    pub execute_at_ms: u64,
    /// Stands for the payload: other bytes, another number. 0 is none.
    #[serde(default)]
    pub payload: u64,
    /// Stands for the labels: other labels, another number. 0 is none.
    #[serde(default)]
    pub label: u64,
    /// `callbackTimeout`, if it was named, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_timeout_ms: Option<u64>,
    /// `retryPolicy`, if it was named, with every field as it will be in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
}

/// A merge patch. What is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Patch {
    /// Another `executeAt`: a new generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execute_at_ms: Option<u64>,
    /// Another payload: a new generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<u64>,
    /// Other labels: a new version only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<u64>,
}

/// A client has an answer, or has given up. A call without a return is one whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Return {
    /// When, after the last byte was read.
    pub at_ns: u64,
    /// The operation.
    pub op: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Outcome {
    /// 2xx.
    Ok(Answer),
    /// Definitely not done: 4xx, or 503, 504 and 507 with `outcome: notApplied`. Also a connection that was
    /// never made.
    Refused(Refusal),
    /// It may take effect at any later time, or never: time-out, connection lost, 500, and what says
    /// `outcome: unknown`.
    Unknown {
        /// For people.
        detail: String,
    },
}

/// A timer as an answer shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The HTTP status: 201 for created; 200 for replaced, unchanged, changed, cancelled and read. A timer
    /// inside a refusal has the refusal's.
    pub status: u16,
    /// `generation`.
    pub generation: u64,
    /// `version`.
    pub version: u64,
    /// `state`.
    pub state: State,
    /// `executeAt`, in wall-clock milliseconds.
    pub execute_at_ms: u64,
    /// The number that stands for the payload; `None` if there was none in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<u64>,
    /// The number that stands for the labels.
    #[serde(default)]
    pub label: u64,
    /// `attempts`.
    pub attempts: u32,
    /// `attemptInFlight`. Of a delete or replace: what may still arrive of the definitions before it.
    pub in_flight: InFlight,
    /// `attemptInFlightUntil`, in wall-clock milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight_until_ms: Option<u64>,
    /// `Idempotency-Replayed: true`: generation, version, state and what was in flight are those of the first
    /// answer, the rest is as it was now.
    #[serde(default)]
    pub replayed: bool,
}

/// Whether an attempt may still arrive. "No" of a delete or replace is the clean answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InFlight {
    /// None will.
    No,
    /// One had been sent.
    Yes,
    /// A leader that is gone may have sent one.
    Possible,
}

/// Where a timer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Waits for `executeAt`.
    Scheduled,
    /// Waits for its next attempt.
    Retrying,
    /// A receiver took it.
    Delivered,
    /// No receiver took it and no attempt is left.
    Dead,
    /// Its time had passed by more than the grace window. No harness asks for one.
    Skipped,
    /// A user cancelled it.
    Cancelled,
}

/// A refusal: nothing changed, nor will it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The HTTP status; 0 if no connection was made.
    pub status: u16,
    /// The problem's `code`, e.g. `VERSION_MISMATCH`.
    pub code: String,
    /// The problem's `version`. A `VERSION_MISMATCH` without one says that there was no timer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The problem's `timer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<Answer>,
}

impl State {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Scheduled, Self::Retrying, Self::Delivered, Self::Dead, Self::Skipped, Self::Cancelled];

    /// Whether attempts may still start.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Scheduled | Self::Retrying)
    }

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Retrying => "retrying",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Action {
    /// Whether it may change the timer.
    #[must_use]
    pub const fn is_mutation(&self) -> bool {
        match self {
            Self::Create { .. } | Self::Put { .. } | Self::Patch { .. } | Self::Delete { .. } => true,
            Self::Get => false,
        }
    }

    /// The version in `If-Match`.
    #[must_use]
    pub const fn if_match(&self) -> Option<u64> {
        match self {
            Self::Put { if_match, .. } | Self::Patch { if_match, .. } | Self::Delete { if_match, .. } => {
                *if_match
            }
            Self::Create { .. } | Self::Get => None,
        }
    }

    /// What it is called, for people.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Put { .. } => "put",
            Self::Patch { .. } => "patch",
            Self::Get => "get",
            Self::Delete { purge: false, .. } => "delete",
            Self::Delete { purge: true, .. } => "purge",
        }
    }
}
