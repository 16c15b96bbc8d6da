//! Durations as the API writes them. Deliberately absent: a parser, because the server is strict and says
//! what is wrong.

use std::fmt::Write as _;
use std::time::Duration;

/// `duration` in whole milliseconds, rounded up so that nothing is early.
///
/// ```
/// use std::time::Duration;
/// use durable_timer::duration::format;
///
/// assert_eq!(format(Duration::from_secs(5400)), "1h30m");
/// assert_eq!(format(Duration::from_millis(61_250)), "1m1s250ms");
/// assert_eq!(format(Duration::from_nanos(1)), "1ms");
/// assert_eq!(format(Duration::ZERO), "0s");
/// ```
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut rest = duration.as_nanos().div_ceil(1_000_000);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if rest >= millis {
            // Writing to a string does not fail.
            let _ = write!(text, "{}{unit}", rest / millis);
            rest %= millis;
        }
    }
    text
}
