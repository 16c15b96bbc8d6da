//! What the history of a timer keeps of each attempt. Deliberately not here: when attempts are made, which the leader
//! decides, and what an outcome does to its timer ([`crate::command::outcome`]).

use alloc::sync::Arc;

use crate::command::{AttemptResult, Outcome};
use crate::ids::Sequence;
use crate::limits::{ANSWER_KEPT_BYTES_MAX, ATTEMPTS_KEPT_MAX};
use crate::time::Millis;

/// An attempt whose outcome is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The command that recorded it: the history's order.
    pub recorded: Sequence,
    /// The generation that was sent.
    pub generation: Sequence,
    /// Its number within the generation, from 1.
    pub number: u32,
    /// The session that made it. No session makes two of one generation and number.
    pub session: u64,
    /// Whether its outcome changed the timer. Otherwise its generation was out of force by then, or another attempt of
    /// its number had been counted.
    pub counted: bool,
    /// When it began.
    pub started_at: Millis,
    /// When it was answered, or given up.
    pub finished_at: Millis,
    /// What it came to; without the next generation's payload.
    pub result: AttemptResult,
    /// The rest.
    pub details: Details,
}

/// What is known of an attempt beside what it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// When it was due.
    pub scheduled_at: Millis,
    /// Why it was made.
    pub trigger: Trigger,
    /// What the receiver answered, if it did.
    pub answer: Option<Answer>,
}

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// It is the first of its generation, and its time had come.
    Schedule,
    /// The one before it failed, or was answered "not yet".
    Retry,
    /// A user wanted it at once.
    Fire,
    /// It is the first since a user gave the dead timer a new life.
    Redrive,
}

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    body: Arc<[u8]>,
    truncated: bool,
}

impl Attempt {
    /// What is kept of `outcome`.
    pub(crate) fn of(outcome: &Outcome, details: &Details, recorded: Sequence, counted: bool) -> Self {
        let mut result = outcome.result.clone();
        if let AttemptResult::DeliveredNext { payload, .. } = &mut result {
            *payload = None;
        }
        Self {
            recorded,
            generation: outcome.generation,
            number: outcome.attempt,
            session: outcome.session,
            counted,
            started_at: outcome.started_at,
            finished_at: outcome.finished_at,
            result,
            details: details.clone(),
        }
    }

    /// Whether it is what is kept of `outcome`.
    pub(crate) fn is_of(&self, outcome: &Outcome) -> bool {
        (self.generation, self.number, self.session) == (outcome.generation, outcome.attempt, outcome.session)
    }
}

impl Answer {
    /// An answer whose body begins with `body`; `more` says that it went on. Only [`ANSWER_KEPT_BYTES_MAX`] bytes are
    /// kept. Where text is cut off, its last character is whole.
    #[must_use]
    pub fn new(status: u16, body: &[u8], more: bool) -> Self {
        let kept = &body[..body.len().min(ANSWER_KEPT_BYTES_MAX)];
        let truncated = more || kept.len() < body.len();
        Self { status, body: if truncated { whole_characters(kept) } else { kept }.into(), truncated }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The first bytes of the body.
    #[must_use]
    pub const fn body(&self) -> &Arc<[u8]> {
        &self.body
    }

    /// Whether the body went on.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.truncated
    }
}

/// `bytes` without a character that has begun at their end, if they are text up to there.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match core::str::from_utf8(bytes) {
        Err(fault) if fault.error_len().is_none() => &bytes[..fault.valid_up_to()],
        Ok(_) | Err(_) => bytes,
    }
}

/// How many slots of a history are in use after `recorded` attempts: those from 0 on.
#[must_use]
pub const fn slots(recorded: u64) -> u8 {
    if recorded < ATTEMPTS_KEPT_MAX as u64 { recorded as u8 } else { ATTEMPTS_KEPT_MAX }
}

/// The slot of the attempt that is recorded after `recorded` others. The oldest one's, once all are in use.
#[must_use]
pub const fn slot_after(recorded: u64) -> u8 {
    (recorded % ATTEMPTS_KEPT_MAX as u64) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_within_the_bound_is_kept_as_it_is() {
        let full = [b'x'; ANSWER_KEPT_BYTES_MAX];
        for body in [&b""[..], b"ok", b"\xff\xfe", "é".as_bytes(), b"half a character \xc3", &full] {
            let answer = Answer::new(503, body, false);
            assert_eq!((&answer.body()[..], answer.is_truncated(), answer.status()), (body, false, 503));
        }
    }

    #[test]
    fn text_that_is_cut_off_ends_with_a_whole_character() {
        let text = "é".repeat(ANSWER_KEPT_BYTES_MAX);
        let odd = format!("x{text}");
        for (body, kept) in [(&text, ANSWER_KEPT_BYTES_MAX), (&odd, ANSWER_KEPT_BYTES_MAX - 1)] {
            let answer = Answer::new(200, body.as_bytes(), false);
            assert_eq!((answer.body().len(), answer.is_truncated()), (kept, true));
            assert!(body.starts_with(core::str::from_utf8(answer.body()).unwrap()));
        }
        let broken_off = Answer::new(200, b"half a character \xc3", true);
        assert_eq!((&broken_off.body()[..], broken_off.is_truncated()), (&b"half a character "[..], true));
    }

    #[test]
    fn bytes_that_are_no_text_are_cut_at_the_bound() {
        let answer = Answer::new(200, &[0xff; ANSWER_KEPT_BYTES_MAX + 1], false);
        assert_eq!((answer.body().len(), answer.is_truncated()), (ANSWER_KEPT_BYTES_MAX, true));
    }

    #[test]
    fn what_was_kept_once_stays_as_it_is() {
        for body in ["x".repeat(2000), "é".repeat(2000), format!("x{}", "😀".repeat(2000))] {
            let once = Answer::new(200, body.as_bytes(), false);
            assert_eq!(Answer::new(200, once.body(), once.is_truncated()), once);
        }
    }

    #[test]
    fn the_slots_are_a_ring() {
        let max = u64::from(ATTEMPTS_KEPT_MAX);
        assert_eq!([0, 1, max - 1, max, max + 7].map(slots), [0, 1, 19, 20, 20]);
        assert_eq!([0, 1, max - 1, max, max + 7].map(slot_after), [0, 1, 19, 0, 7]);
    }
}
