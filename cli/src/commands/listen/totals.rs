//! What all callbacks together come to.

use std::collections::HashSet;

use durable_timer::receiver::{Admission, FencingGuard};
use hdrhistogram::Histogram;

use super::record::Record;

/// Webhook ids that are remembered; beyond it, distinct ones are counted no more.
const WEBHOOK_IDS_MAX: usize = 1_000_000;
/// Timers whose fencing tokens are remembered.
const FENCED_TIMERS_MAX: usize = 1_000_000;
/// Significant digits of the lateness's percentiles.
const DIGITS: u8 = 3;
/// The longest lateness that is told from a longer one: a day.
const LATENESS_MS_MAX: u64 = 24 * 3600 * 1000;

/// What is known of a callback only by those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its `webhook-id` came before.
    pub duplicate: bool,
    /// A larger fencing token of its timer came before.
    pub stale: bool,
}

/// Counts.
pub struct Totals {
    requests: u64,
    received: u64,
    ids: HashSet<String>,
    fencing: FencingGuard,
    duplicates: u64,
    stale: u64,
    early: u64,
    earliest_ms: i64,
    lateness: Option<Histogram<u64>>,
}

/// The lateness of first attempts in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    pub count: u64,
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

impl Totals {
    /// None yet.
    pub fn new() -> Self {
        Self {
            requests: 0,
            received: 0,
            ids: HashSet::new(),
            fencing: FencingGuard::new(FENCED_TIMERS_MAX),
            duplicates: 0,
            stale: 0,
            early: 0,
            earliest_ms: 0,
            // The bounds are constants that the histogram takes; without one only percentiles would be missing.
            lateness: Histogram::new_with_bounds(1, LATENESS_MS_MAX, DIGITS).ok(),
        }
    }

    /// Counts a request, and says what those before it tell about it.
    pub fn count(&mut self, record: &Record) -> Seen {
        self.requests += 1;
        let Ok(callback) = &record.callback else { return Seen { duplicate: false, stale: false } };
        self.received += 1;
        let duplicate = self.ids.contains(&callback.webhook_id);
        if !duplicate && self.ids.len() < WEBHOOK_IDS_MAX {
            self.ids.insert(callback.webhook_id.clone());
        }
        let stale = matches!(self.fencing.admit_callback(callback), Admission::Stale { .. });
        self.duplicates += u64::from(duplicate);
        self.stale += u64::from(stale);
        // When a retry comes depends on what this receiver answered before.
        if callback.attempt == 1 && !callback.manual && !duplicate {
            self.measure(record.lateness_ms());
        }
        Seen { duplicate, stale }
    }

    fn measure(&mut self, lateness_ms: Option<i64>) {
        let Some(ms) = lateness_ms else { return };
        if ms < 0 {
            self.early += 1;
            self.earliest_ms = self.earliest_ms.min(ms);
        }
        if let Some(histogram) = &mut self.lateness {
            histogram.saturating_record(u64::try_from(ms).unwrap_or(0));
        }
    }

    /// Requests of any kind.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Callbacks.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Different webhook ids, at most a million.
    pub fn distinct(&self) -> usize {
        self.ids.len()
    }

    /// Callbacks whose webhook id had come before: retries, and true duplicates.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Callbacks with a smaller fencing token than one before.
    pub fn stale(&self) -> u64 {
        self.stale
    }

    /// First attempts that came before their time, and by how many ms at most.
    pub fn early(&self) -> (u64, i64) {
        (self.early, self.earliest_ms)
    }

    /// None if there was no first attempt.
    pub fn lateness(&self) -> Option<Lateness> {
        let histogram = self.lateness.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(Lateness {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            max: histogram.max(),
        })
    }
}

#[cfg(test)]
mod tests {
    use durable_timer::TimerName;
    use durable_timer::receiver::CallbackHeaders;
    use time::macros::datetime;

    use super::*;

    fn record(webhook_id: &str, attempt: u32, fencing_token: u64, late_ms: i64) -> Record {
        Record {
            received_at: datetime!(2026-12-01 08:00 UTC) + time::Duration::milliseconds(late_ms),
            callback: Ok(CallbackHeaders {
                timer: TimerName::new("default", "a"),
                generation: 1,
                attempt,
                scheduled_at: "2026-12-01T08:00:00.000Z".to_owned(),
                late_ms: 0,
                deferrals: 0,
                manual: false,
                cluster_id: String::new(),
                fencing_token,
                webhook_id: webhook_id.to_owned(),
                webhook_timestamp: 0,
                traceparent: None,
            }),
            request: String::new(),
            body: Vec::new(),
            answered: 200,
        }
    }

    #[test]
    fn duplicates_and_stale_senders_are_told_by_what_came_before() {
        let mut totals = Totals::new();
        let plain = Seen { duplicate: false, stale: false };
        assert_eq!(totals.count(&record("a", 1, 5, 10)), plain);
        assert_eq!(totals.count(&record("a", 2, 6, 2000)), Seen { duplicate: true, stale: false });
        assert_eq!(totals.count(&record("b", 1, 4, 20)), Seen { duplicate: false, stale: true });
        assert_eq!((totals.received(), totals.distinct(), totals.duplicates(), totals.stale()), (3, 2, 1, 1));
        let lateness = totals.lateness().unwrap();
        assert_eq!((lateness.count, lateness.p50, lateness.max), (2, 10, 20));
    }

    #[test]
    fn what_came_too_early_is_counted_and_never_hidden_in_a_percentile() {
        let mut totals = Totals::new();
        totals.count(&record("a", 1, 1, -3));
        totals.count(&record("b", 1, 2, 4));
        assert_eq!(totals.early(), (1, -3));
    }

    #[test]
    fn a_request_that_is_no_callback_counts_as_a_request_only() {
        let mut totals = Totals::new();
        let callback = Err(durable_timer::receiver::HeaderFault::NotOnce("timer-id"));
        totals.count(&Record { callback, ..record("a", 1, 1, 0) });
        assert_eq!((totals.requests(), totals.received(), totals.lateness()), (1, 0, None));
    }
}
