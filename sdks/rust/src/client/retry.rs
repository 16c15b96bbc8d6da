//! How often and when a call is repeated. Pure but for the jitter, whose random number is an argument.

use std::time::Duration;

use crate::error::{Failure, Problem};

/// Bounds of a call and its repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// Tries in all, from 1.
    pub tries_max: u32,
    /// The whole call, waits included. A wait that would end later is not begun.
    pub total_max: Duration,
    /// One try: a little more than the 10 s that a node waits for its cluster, so that the node's own answer,
    /// which knows more, comes first.
    pub try_max: Duration,
    /// The wait before the first repeat; each later one is twice as long. The half of it is random.
    pub wait_first: Duration,
    /// The longest wait that is not asked for by `Retry-After`.
    pub wait_max: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            tries_max: 8,
            total_max: Duration::from_secs(30),
            try_max: Duration::from_secs(12),
            wait_first: Duration::from_millis(100),
            wait_max: Duration::from_secs(5),
        }
    }
}

impl RetrySettings {
    /// One try only.
    #[must_use]
    pub fn once() -> Self {
        Self { tries_max: 1, ..Self::default() }
    }

    /// The wait after the try number `tries`, from 1. `random` is uniform.
    ///
    /// Without `retry_after` between half and the whole of an exponential step, so that clients that failed
    /// together do not come back together. With it never earlier than asked, and up to a tenth later.
    #[must_use]
    pub fn wait(&self, tries: u32, retry_after: Option<Duration>, random: u64) -> Duration {
        let share = |whole: Duration| {
            whole.mul_f64(f64::from(u32::try_from(random >> 32).unwrap_or(0)) / 2_f64.powi(32))
        };
        if let Some(asked) = retry_after {
            return asked + share(asked / 10);
        }
        let doublings = tries.saturating_sub(1).min(16);
        let step = self.wait_first.saturating_mul(1 << doublings).min(self.wait_max);
        step / 2 + share(step / 2)
    }
}

/// What is to be done after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another endpoint has not been tried yet, and nothing was sent to this one.
    TryOtherNow,
    /// Wait, then go on with the next endpoint.
    Wait,
}

/// After `failure` of try number `tries` on one of `endpoints`.
#[must_use]
pub fn after(failure: &Failure, tries: u32, endpoints: usize) -> Next {
    let untried = !all_were_tried(tries, endpoints);
    match failure {
        Failure::Connect(_) | Failure::Tls { .. } if untried => Next::TryOtherNow,
        Failure::Connect(_)
        | Failure::Tls { .. }
        | Failure::Lost(_)
        | Failure::Slow(_)
        | Failure::Busy(_) => Next::Wait,
    }
}

/// Whether `tries` have gone round all endpoints.
#[must_use]
pub fn all_were_tried(tries: u32, endpoints: usize) -> bool {
    usize::try_from(tries).map_or(true, |tries| tries >= endpoints)
}

/// Whether a status is one after which the same request can succeed. 502 comes from proxies only.
#[must_use]
pub fn is_busy(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

/// Whether a failure leaves open if the request took effect.
#[must_use]
pub fn leaves_open(failure: &Failure) -> bool {
    match failure {
        Failure::Connect(_) | Failure::Tls { .. } => false,
        Failure::Lost(_) | Failure::Slow(_) => true,
        Failure::Busy(problem) => problem_leaves_open(problem),
    }
}

/// As [`leaves_open`]. A proxy's answer says nothing, so only 429 is taken for what it promises.
#[must_use]
pub fn problem_leaves_open(problem: &Problem) -> bool {
    match problem.outcome {
        Some(outcome) => outcome == crate::Outcome::Unknown,
        None => problem.status >= 500,
    }
}

/// Reads `Retry-After` in seconds. Its other form, a date, is for clients that know the time; our server
/// never sends it.
#[must_use]
pub fn retry_after(value: Option<&str>) -> Option<Duration> {
    value?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_are_half_random() {
        let settings = RetrySettings::default();
        let bounds = |tries| {
            (settings.wait(tries, None, 0).as_millis(), settings.wait(tries, None, u64::MAX).as_millis())
        };
        assert_eq!(bounds(1), (50, 100));
        assert_eq!(bounds(2), (100, 200));
        assert_eq!(bounds(3), (200, 400));
        assert_eq!(bounds(100), (2500, 4999));
    }

    #[test]
    fn nobody_comes_back_before_the_time_that_was_asked_for() {
        let settings = RetrySettings::default();
        let asked = Some(Duration::from_secs(10));
        assert_eq!(settings.wait(1, asked, 0), Duration::from_secs(10));
        assert!(settings.wait(1, asked, u64::MAX) <= Duration::from_secs(11));
    }

    #[test]
    fn only_whole_seconds_are_taken_for_a_retry_after() {
        assert_eq!(retry_after(Some("120")), Some(Duration::from_secs(120)));
        for nonsense in [None, Some("-5"), Some("abc"), Some(""), Some("Wed, 25 Nov 2026 01:00:00 GMT")] {
            assert_eq!(retry_after(nonsense), None);
        }
    }

    #[test]
    fn a_dead_endpoint_costs_no_wait_while_others_are_untried() {
        let refused = Failure::Connect(String::new());
        assert_eq!(after(&refused, 1, 3), Next::TryOtherNow);
        assert_eq!(after(&refused, 3, 3), Next::Wait);
        assert_eq!(after(&Failure::Lost(String::new()), 1, 3), Next::Wait);
    }
}
