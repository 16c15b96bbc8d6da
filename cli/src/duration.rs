//! Durations of timerctl's own options. Those that a timer is made of go to the server as they are, which
//! judges them.

use std::time::Duration;

/// Units from the largest to the smallest, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads numbers with units, the largest first: `1h30m`, `50ms`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let fault = || format!("{text:?} is no duration: write numbers with units, as in 250ms, 30s, 1h30m");
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut millis: u64 = 0;
    while !rest.is_empty() || millis == 0 && units.len() == UNITS.len() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let at = units.iter().position(|(name, _)| *name == unit).ok_or_else(fault)?;
        let number: u64 = number.parse().map_err(|_| fault())?;
        let part = number.checked_mul(units[at].1).ok_or_else(fault)?;
        millis = millis.checked_add(part).ok_or_else(fault)?;
        units = &units[at + 1..];
        rest = next;
    }
    Ok(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_are_read_and_nothing_else() {
        for (text, millis) in
            [("250ms", 250), ("30s", 30_000), ("1h30m", 5_400_000), ("0s", 0), ("1d1ms", 86_400_001)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "1.5s", "1m1h", "1s1s", " 1s", "-1s", "99999999999999999999s", "1S"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
