//! Spans of time as the API writes them: `1h30m`, `250ms`, `1.5s`, `7d`.
//!
//! Grammar: one or more of number and unit (`d`, `h`, `m`, `s`, `ms`), largest unit first, each at most
//! once; only the last number may have a fraction. The whole must be a number of milliseconds.

use std::fmt::Write as _;

use timer_core::time::Span;

/// Units from the largest to the smallest, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 24 * 3600 * 1000), ("h", 3600 * 1000), ("m", 60 * 1000), ("s", 1000), ("ms", 1)];

/// Digits of one number, so that none overflows in its unit.
const DIGITS_MAX: usize = 12;

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationFault {
    /// Not numbers and units.
    #[error(
        "must be numbers with units, the largest unit first, as in \"1h30m\", \"250ms\", \"1.5s\", \"7d\""
    )]
    Syntax,
    /// Not whole milliseconds.
    #[error("must not be finer than a millisecond")]
    TooFine,
    /// A number of too many digits.
    #[error("must have numbers of at most 12 digits")]
    TooLong,
}

/// Reads a duration.
///
/// # Errors
/// When `text` is outside the grammar of this file.
pub fn parse(text: &str) -> Result<Span, DurationFault> {
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total: u64 = 0;
    loop {
        let (whole, after) = split_digits(rest)?;
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after).map(|(digits, after)| (Some(digits), after))?,
            None => (None, after),
        };
        let unit_end = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let at = units.iter().position(|(name, _)| *name == unit).ok_or(DurationFault::Syntax)?;
        let unit_ms = units[at].1;
        units = &units[at + 1..];
        let whole_ms = number(whole)?.saturating_mul(unit_ms);
        total = total.saturating_add(whole_ms).saturating_add(fraction_ms(fraction, unit_ms)?);
        if next.is_empty() {
            return Ok(Span(total));
        }
        if fraction.is_some() {
            return Err(DurationFault::Syntax);
        }
        rest = next;
    }
}

/// The digits that `text` begins with, at least one, and what follows.
fn split_digits(text: &str) -> Result<(&str, &str), DurationFault> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    match end {
        0 => Err(DurationFault::Syntax),
        _ if end > DIGITS_MAX => Err(DurationFault::TooLong),
        _ => Ok(text.split_at(end)),
    }
}

fn number(digits: &str) -> Result<u64, DurationFault> {
    digits.parse().map_err(|_| DurationFault::TooLong)
}

/// The milliseconds of `0.<digits>` of a unit.
fn fraction_ms(digits: Option<&str>, unit_ms: u64) -> Result<u64, DurationFault> {
    let digits = digits.unwrap_or("").trim_end_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let scale = 10_u128.pow(u32::try_from(digits.len()).map_err(|_| DurationFault::TooLong)?);
    let parts = u128::from(number(digits)?) * u128::from(unit_ms);
    if parts % scale != 0 {
        return Err(DurationFault::TooFine);
    }
    u64::try_from(parts / scale).map_err(|_| DurationFault::TooLong)
}

/// The canonical form: no unit twice, none that is zero; below a second in `ms`, else seconds with a
/// fraction; `0s` for nothing.
#[must_use]
pub fn format(span: Span) -> String {
    if span.0 == 0 {
        return "0s".to_owned();
    }
    if span.0 < 1000 {
        return format!("{}ms", span.0);
    }
    let mut text = String::new();
    let mut rest = span.0;
    for (name, unit_ms) in &UNITS[..3] {
        if rest >= *unit_ms {
            // Writing to a string does not fail.
            let _ = write!(text, "{}{name}", rest / unit_ms);
            rest %= unit_ms;
        }
    }
    if rest > 0 {
        let fraction = format!("{:03}", rest % 1000);
        let fraction = fraction.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        let _ = write!(text, "{}{dot}{fraction}s", rest / 1000);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_of_the_documentation_are_read() {
        for (text, ms) in [
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("1.5s", 1500),
            ("7d", 604_800_000),
            ("0s", 0),
            ("1d2h3m4s5ms", 93_784_005),
            ("0.001s", 1),
            ("1.50s", 1500),
            ("90m", 5_400_000),
            ("1h0.5s", 3_600_500),
        ] {
            assert_eq!(parse(text), Ok(Span(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in [
            "", "5", "s", "1.s", ".5s", "30m1h", "1s1s", "1h 30m", " 1s", "1S", "-1s", "+1s", "1.5h30m",
            "1w", "1e3s", "١s",
        ] {
            assert_eq!(parse(text), Err(DurationFault::Syntax), "{text}");
        }
        assert_eq!(parse("0.0001s"), Err(DurationFault::TooFine));
        assert_eq!(parse("1.5ms"), Err(DurationFault::TooFine));
        assert_eq!(parse("1234567890123s"), Err(DurationFault::TooLong));
    }

    #[test]
    fn the_canonical_form_is_short() {
        for (ms, text) in [
            (0, "0s"),
            (250, "250ms"),
            (1500, "1.5s"),
            (5_400_000, "1h30m"),
            (604_800_000, "7d"),
            (61_001, "1m1.001s"),
            (3_600_005, "1h0.005s"),
        ] {
            assert_eq!(format(Span(ms)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(ms in 0_u64..=10_000_000_000_000) {
            prop_assert_eq!(parse(&format(Span(ms))), Ok(Span(ms)));
        }
    }
}
