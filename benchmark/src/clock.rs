//! The wall clock: the only file that reads it. Lateness is a difference of wall-clock times of two processes
//! on one machine, so a monotonic clock will not do.
#![allow(clippy::disallowed_methods, reason = "this file is the seam")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Microseconds since 1970.
pub fn now_us() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}

/// The present time cut to whole milliseconds, plus `ahead`, as microseconds since 1970.
pub fn from_now_us(ahead: Duration) -> u64 {
    let ahead_us = u64::try_from(ahead.as_micros()).unwrap_or(u64::MAX);
    now_us().saturating_add(ahead_us) / 1000 * 1000
}

/// How long until `at_us`; zero when it has passed.
pub fn until(at_us: u64) -> Duration {
    Duration::from_micros(at_us.saturating_sub(now_us()))
}

/// RFC 3339 in UTC. A time after the year 9999 has no such form and gives an empty text.
pub fn rfc3339(at_us: u64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_us) * 1000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_its_milliseconds() {
        assert_eq!(rfc3339(1_764_000_000_123_000), "2025-11-24T16:00:00.123Z");
    }
}
