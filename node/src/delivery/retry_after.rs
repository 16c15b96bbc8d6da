//! When a receiver wants to be left alone: the header `Retry-After`, in seconds or as a date.

use timer_core::time::{Millis, Span};

use crate::rfc3339;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The time that `value` names, of an answer that came at `now`; `None` for nonsense. The policy bounds it.
#[must_use]
pub fn parse(value: &str, now: Millis) -> Option<Millis> {
    let value = value.trim_matches([' ', '\t']);
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // Seconds that no integer holds are longer than any policy allows, like those that one does.
        let seconds = value.parse::<u64>().unwrap_or(u64::MAX);
        return Some(now + Span(seconds.saturating_mul(1000)));
    }
    http_date(value, now)
}

/// RFC 9110 has three forms of a date, all in GMT, and wants all of them read:
/// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
fn http_date(value: &str, now: Millis) -> Option<Millis> {
    let parts: Vec<&str> = value.split(' ').filter(|part| !part.is_empty()).collect();
    let (day, month, year, time) = match *parts.as_slice() {
        [weekday, day, month, year, time, "GMT"] if weekday.ends_with(',') => {
            (day, month, year.to_owned(), time)
        }
        [weekday, date, time, "GMT"] if weekday.ends_with(',') => {
            let mut date = date.split('-');
            let (day, month, year) = (date.next()?, date.next()?, date.next()?);
            (day, month, full_year(year, now)?, time)
        }
        [_weekday, month, day, time, year] => (day, month, year.to_owned(), time),
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    rfc3339::parse(&format!("{year}-{month:02}-{day:0>2}T{time}Z")).ok()
}

/// A year of two digits is the last one that ends so and is not more than 50 years ahead.
fn full_year(two_digits: &str, now: Millis) -> Option<String> {
    let digits: i64 = two_digits.parse().ok().filter(|_| two_digits.len() == 2)?;
    let this_year: i64 = rfc3339::format(now).get(..4)?.parse().ok()?;
    let year = (this_year + 50) - (this_year + 50 - digits).rem_euclid(100);
    Some(format!("{year:04}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-25T01:02:03.456Z.
    const NOW: Millis = Millis(1_795_568_523_456);

    #[test]
    fn seconds_count_from_the_answer() {
        for (value, span) in [("0", 0), ("120", 120_000), (" 5 ", 5000), ("86400", 86_400_000), ("007", 7000)]
        {
            assert_eq!(parse(value, NOW), Some(NOW + Span(span)), "{value}");
        }
        assert_eq!(parse("99999999999999999999", NOW), Some(Millis::MAX));
    }

    #[test]
    fn all_three_forms_of_a_date_are_read() {
        for value in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(parse(value, NOW), Some(Millis(784_111_777_000)), "{value}");
        }
        let next_year = rfc3339::parse("2027-01-02T03:04:05Z").unwrap();
        assert_eq!(parse("Sat, 02 Jan 2027 03:04:05 GMT", NOW), Some(next_year));
        assert_eq!(parse("Saturday, 02-Jan-27 03:04:05 GMT", NOW), Some(next_year));
    }

    #[test]
    fn nonsense_is_none() {
        for value in [
            "",
            "-5",
            "+5",
            "1.5",
            "abc",
            "5s",
            "120, 120",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "Sun, 31 Feb 2027 00:00:00 GMT",
            "Sun, 06 Foo 2027 00:00:00 GMT",
            "Sun, 006 Nov 2027 00:00:00 GMT",
            "Sun, 06 Nov 2027 24:00:00 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06-Nov 08:49:37 GMT",
            "2027-01-02T03:04:05Z",
        ] {
            assert_eq!(parse(value, NOW), None, "{value}");
        }
    }

    #[test]
    fn a_year_of_two_digits_is_within_fifty_years() {
        for (digits, year) in [("26", "2026"), ("76", "2076"), ("77", "1977"), ("00", "2000"), ("99", "1999")]
        {
            assert_eq!(full_year(digits, NOW).as_deref(), Some(year));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(value in ".{0,40}", date in "[A-Za-z]{3},? [0-9A-Za-z -]{0,14} [0-9:]{0,8} (GMT|[0-9]{4})") {
            let _ = parse(&value, NOW);
            let _ = parse(&date, NOW);
        }
    }
}
