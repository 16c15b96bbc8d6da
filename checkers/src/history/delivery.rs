//! What a receiver saw of a callback and what its plan made it answer. Deliberately not here: answers that
//! schedule or defer (`nextExecuteAt`), which the harnesses' receivers do not give.

use serde::{Deserialize, Serialize};

/// A receiver got a callback. Written also when no answer is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// When its headers had been read, and before anything was answered.
    pub at_ns: u64,
    /// The same moment by the wall clock.
    pub received_ms: u64,
    /// Which receiver.
    pub receiver: u32,
    /// The node it came from, by its address; `None` if that can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
    /// The timer, named as in [`Call`](super::Call).
    pub timer: String,
    /// `Timer-Generation`.
    pub generation: u64,
    /// `Timer-Attempt`, from 1.
    pub attempt: u32,
    /// `Timer-Fencing-Token`; a string in JSON, because it may be larger than 2^53.
    #[serde(with = "decimal")]
    pub token: u64,
    /// `Timer-Scheduled-At`, in wall-clock milliseconds; `executeAt` for the first attempt.
    pub scheduled_at_ms: u64,
    /// What was answered.
    pub reply: Reply,
    /// When the answer was complete and about to be written, so never later than its sender can have read it;
    /// `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ns: Option<u64>,
}

/// What a receiver's plan made it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Reply {
    /// An answer with this status, and no body that says otherwise.
    Status {
        /// The HTTP status.
        status: u16,
        /// `Retry-After` in seconds; counts with 429 and 503.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_s: Option<u64>,
    },
    /// None: the sender runs into its time-out.
    Hang,
    /// The connection is reset.
    Reset,
}

impl Reply {
    /// Whether it means delivered, if the sender gets it.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Status { status: 200..=299, .. })
    }

    /// The status, if there is one.
    #[must_use]
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(status),
            Self::Hang | Self::Reset => None,
        }
    }

    /// How long the receiver asks to be left alone, if it does so where it counts, in milliseconds.
    #[must_use]
    pub const fn retry_after_ms(self) -> Option<u64> {
        match self {
            Self::Status { status: 429 | 503, retry_after_s: Some(seconds) } => {
                Some(seconds.saturating_mul(1000))
            }
            Self::Status { .. } | Self::Hang | Self::Reset => None,
        }
    }
}

/// Writes a number as a decimal string.
mod decimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom("a fencing token is a decimal number below 2^64"))
    }
}
