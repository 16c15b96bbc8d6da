//! Distributions of durations, kept with three digits.

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest duration that is told apart: ten minutes, in microseconds. Longer ones count as that.
const US_MAX: u64 = 600_000_000;

/// A distribution that is being collected.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

/// What is reported of a distribution, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quantiles {
    /// The median.
    pub p50_ms: f64,
    /// 99 of 100 are at most this.
    pub p99_ms: f64,
    /// The largest.
    pub max_ms: f64,
}

impl Latencies {
    /// An empty distribution.
    pub fn new() -> Self {
        // Three digits up to ten minutes are within the crate's bounds.
        #[allow(clippy::expect_used, reason = "constant bounds")]
        Self(Histogram::new_with_bounds(1, US_MAX, 3).expect("the bounds are valid"))
    }

    /// Adds one duration in microseconds.
    pub fn add(&mut self, us: u64) {
        self.0.saturating_record(us);
    }

    /// Adds all of `other`.
    pub fn add_all(&mut self, other: &Self) {
        let added = self.0.add(&other.0);
        assert!(added.is_ok(), "all distributions have the same bounds");
    }

    /// How many durations it has.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Its quantiles; zeros when it is empty.
    pub fn quantiles(&self) -> Quantiles {
        let ms = |us: u64| (us as f64) / 1000.0;
        Quantiles {
            p50_ms: ms(self.0.value_at_quantile(0.5)),
            p99_ms: ms(self.0.value_at_quantile(0.99)),
            max_ms: ms(self.0.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_all_parts_together() {
        let (mut low, mut high) = (Latencies::new(), Latencies::new());
        (1..=98).for_each(|_| low.add(1000));
        (1..=2).for_each(|_| high.add(50_000));
        low.add_all(&high);
        let quantiles = low.quantiles();
        assert_eq!(low.len(), 100);
        assert!((quantiles.p50_ms - 1.0).abs() < 0.01, "{quantiles:?}");
        assert!((quantiles.p99_ms - 50.0).abs() < 0.1, "{quantiles:?}");
        assert!((quantiles.max_ms - 50.0).abs() < 0.1, "{quantiles:?}");
    }
}
