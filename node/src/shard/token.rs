//! Fencing tokens: strictly growing per shard, also across leaders, so that a receiver which keeps the
//! largest can refuse a stale sender.
//!
//! 63 bits: restore epoch (6), log index (41), number (16). The index is the largest that this leader knows
//! to be applied, at least its session's. A later leader's session has a larger index than whatever an
//! earlier leader saw applied while it led, so its tokens are larger. The number counts attempts since the
//! index moved; outcomes are log entries, so the index moves with the attempts.

use timer_core::limits::LOG_INDEX_MAX;
use timer_core::mutant::Mutant;

const NUMBER_BITS: u32 = 16;

/// Makes the tokens of one session.
#[derive(Debug)]
pub struct TokenMaker {
    index: u64,
    number: u64,
}

impl TokenMaker {
    /// For the session whose number (a log index) is `session`.
    #[must_use]
    pub fn new(session: u64) -> Self {
        Self { index: session, number: 0 }
    }

    /// The next token, with `applied_index` the largest index known to be applied; none when 65,535 tokens
    /// were made since the index moved: wait for an outcome then.
    pub fn next(&mut self, applied_index: u64) -> Option<u64> {
        if applied_index > self.index {
            self.index = applied_index;
            self.number = 0;
        }
        assert!(self.index <= LOG_INDEX_MAX, "log index below its bound");
        if self.number + 1 >= 1 << NUMBER_BITS {
            return None;
        }
        if !Mutant::TokenUsedAgain.is_on() || self.number == 0 {
            self.number += 1;
        }
        Some((self.index << NUMBER_BITS) | self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_grow_within_a_session_and_across_sessions() {
        let mut old = TokenMaker::new(10);
        let mut last = 0;
        for applied in [0, 10, 11, 11, 11, 19] {
            let token = old.next(applied).unwrap();
            assert!(token > last);
            last = token;
        }
        assert!(TokenMaker::new(20).next(20).unwrap() > last, "a later session has a later index");
        assert!(TokenMaker::new(LOG_INDEX_MAX).next(0).unwrap() < 1 << 63);
    }

    #[test]
    fn a_session_that_runs_out_waits_for_an_outcome() {
        let mut tokens = TokenMaker::new(1);
        let made = std::iter::from_fn(|| tokens.next(1)).count();
        assert_eq!(made, 65_535);
        assert!(tokens.next(2).is_some());
    }
}
