//! Refuses callbacks of a sender that was replaced and does not know it yet.
//!
//! Deliberately absent: persistence. A guard in memory starts empty after a restart; where that matters,
//! compare `Timer-Fencing-Token` in the same transaction that does the work.

use std::collections::{BTreeMap, VecDeque};

use crate::path::TimerName;
use crate::receiver::CallbackHeaders;

/// Keeps the largest fencing token of each timer.
///
/// ```
/// use durable_timer::TimerName;
/// use durable_timer::receiver::{Admission, FencingGuard};
///
/// let mut guard = FencingGuard::new(100_000);
/// let timer = TimerName::new("default", "a");
/// assert_eq!(guard.admit(&timer, 7), Admission::New);
/// assert_eq!(guard.admit(&timer, 9), Admission::New);
/// assert_eq!(guard.admit(&timer, 8), Admission::Stale { largest: 9 });
/// ```
#[derive(Debug)]
pub struct FencingGuard {
    timers_max: usize,
    largest: BTreeMap<TimerName, u64>,
    /// Timers in the order they were first seen: the first is forgotten first.
    order: VecDeque<TimerName>,
}

/// What the guard says of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Its token is larger than any before: take it.
    New,
    /// The very same attempt came before: something between repeated the request. Answer as before.
    Repeated,
    /// It comes from a sender that was replaced: refuse it (409 will do; the sender's record of it is history).
    Stale {
        /// The largest token seen.
        largest: u64,
    },
}

impl FencingGuard {
    /// A guard of at most `timers_max` timers, at least one; beyond that the one seen first is forgotten.
    #[must_use]
    pub fn new(timers_max: usize) -> Self {
        Self { timers_max: timers_max.max(1), largest: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Judges a callback of `timer` with `token`, and remembers it.
    pub fn admit(&mut self, timer: &TimerName, token: u64) -> Admission {
        if let Some(largest) = self.largest.get_mut(timer) {
            return match token.cmp(largest) {
                std::cmp::Ordering::Less => Admission::Stale { largest: *largest },
                std::cmp::Ordering::Equal => Admission::Repeated,
                std::cmp::Ordering::Greater => {
                    *largest = token;
                    Admission::New
                }
            };
        }
        if self.order.len() >= self.timers_max
            && let Some(first) = self.order.pop_front()
        {
            self.largest.remove(&first);
        }
        self.order.push_back(timer.clone());
        self.largest.insert(timer.clone(), token);
        assert_eq!(self.order.len(), self.largest.len(), "each timer is in both");
        Admission::New
    }

    /// As [`FencingGuard::admit`], of a callback's headers.
    pub fn admit_callback(&mut self, headers: &CallbackHeaders) -> Admission {
        self.admit(&headers.timer, headers.fencing_token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_one_timer_say_nothing_about_another() {
        let mut guard = FencingGuard::new(10);
        let (a, b) = (TimerName::new("g", "a"), TimerName::new("g", "b"));
        assert_eq!(guard.admit(&a, 10), Admission::New);
        assert_eq!(guard.admit(&b, 5), Admission::New);
        assert_eq!(guard.admit(&a, 10), Admission::Repeated);
        assert_eq!(guard.admit(&a, 5), Admission::Stale { largest: 10 });
    }

    #[test]
    fn a_full_guard_forgets_the_timer_it_saw_first() {
        let mut guard = FencingGuard::new(2);
        let timers: Vec<_> = ["a", "b", "c"].map(|id| TimerName::new("g", id)).into();
        for timer in &timers {
            assert_eq!(guard.admit(timer, 5), Admission::New);
        }
        assert_eq!(guard.admit(&timers[2], 4), Admission::Stale { largest: 5 });
        assert_eq!(guard.admit(&timers[0], 4), Admission::New);
        assert_eq!(guard.largest.len(), 2);
    }
}
