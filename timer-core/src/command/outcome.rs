//! What came of an attempt.

use crate::definition::Payload;
use crate::ids::{Sequence, TimerKey};
use crate::time::Millis;
use crate::timer::LastError;

/// The outcome of one attempt. It counts only if `generation` is in force and `attempt` is the next; else it
/// is history: a superseded definition, or a second leader's duplicate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The timer.
    pub key: TimerKey,
    /// The generation that was sent.
    pub generation: Sequence,
    /// The attempt's number: attempts + deferrals known before it, plus 1.
    pub attempt: u32,
    /// The session that sent it.
    pub session: u64,
    /// When it began.
    pub started_at: Millis,
    /// When it was answered, or given up.
    pub finished_at: Millis,
    /// What it came to.
    pub result: AttemptResult,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// The receiver took it.
    Delivered,
    /// The receiver took it and named the time of the next generation.
    DeliveredNext {
        /// When the next generation is due.
        execute_at: Millis,
        /// Its payload, if it is to be another.
        payload: Option<Payload>,
    },
    /// It failed.
    Failed {
        /// Why.
        error: LastError,
        /// The receiver asked to be left alone until then.
        retry_after: Option<Millis>,
        /// No later attempt can do better: dead at once.
        permanent: bool,
    },
    /// The receiver says "not yet": no attempt of the policy is used.
    Deferred {
        /// When to try again.
        until: Millis,
    },
    /// Nothing was sent: it was later than the grace window.
    Skipped,
}
