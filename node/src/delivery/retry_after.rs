//! Reads `Retry-After`: seconds, or a date in any of the three forms that HTTP has had (RFC 9110, 5.6.7).

use http::HeaderMap;
use http::header::RETRY_AFTER;
use timer_core::time::{Millis, Span};

use crate::rfc3339;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Until when the receiver asks to be left alone, by its first `Retry-After`; nonsense asks for nothing.
pub(crate) fn retry_after(headers: &HeaderMap, now: Millis) -> Option<Millis> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a number has are a wait without end, which the policy bounds.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(now + Span(seconds.saturating_mul(1000)));
    }
    http_date(text, now)
}

fn http_date(text: &str, now: Millis) -> Option<Millis> {
    // No form has more than 33 bytes.
    if text.len() > 40 {
        return None;
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (year, month, day, time) = match words.as_slice() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        [_, day, month, year, time, "GMT"] => ((*year).to_owned(), *month, *day, *time),
        // Sunday, 06-Nov-94 08:49:37 GMT
        [_, date, time, "GMT"] => {
            let parts: Vec<&str> = date.split('-').collect();
            let [day, month, year] = parts.as_slice() else { return None };
            (full_year(year, now)?, *month, *day, *time)
        }
        // Sun Nov  6 08:49:37 1994
        [_, month, day, time, year] => ((*year).to_owned(), *month, *day, *time),
        _ => return None,
    };
    // HTTP's dates have no fraction of a second.
    if time.len() != "08:49:37".len() {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    rfc3339::parse(&format!("{year}-{month:02}-{day:0>2}T{time}Z")).ok()
}

/// The year that ends in these two digits and is at most 50 years ahead.
fn full_year(two_digits: &str, now: Millis) -> Option<String> {
    if two_digits.len() != 2 || !two_digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let year: u32 = two_digits.parse().ok()?;
    let this_year: u32 = rfc3339::format(now).get(..4)?.parse().ok()?;
    let year = this_year - this_year % 100 + year;
    Some(format!("{:04}", if year > this_year + 50 { year - 100 } else { year }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-25T01:02:03.456Z
    const NOW: Millis = Millis(1_795_568_523_456);

    fn read(value: &str) -> Option<Millis> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, NOW)
    }

    #[test]
    fn seconds_count_from_the_answer() {
        for (text, seconds) in [("120", 120), ("0", 0), ("86400", 86_400), (" 7 ", 7), ("007", 7)] {
            assert_eq!(read(text), Some(NOW + Span::from_secs(seconds)), "{text}");
        }
        assert_eq!(read("99999999999999999999999"), Some(Millis::MAX));
    }

    #[test]
    fn dates_in_every_form_of_http() {
        let at = rfc3339::parse("2026-11-25T03:04:05Z").ok();
        for text in
            ["Wed, 25 Nov 2026 03:04:05 GMT", "Wednesday, 25-Nov-26 03:04:05 GMT", "Wed Nov 25 03:04:05 2026"]
        {
            assert_eq!(read(text), at, "{text}");
        }
        assert_eq!(read("Sun Nov  6 08:49:37 1994"), rfc3339::parse("1994-11-06T08:49:37Z").ok());
        assert_eq!(read("Sunday, 06-Nov-94 08:49:37 GMT"), rfc3339::parse("1994-11-06T08:49:37Z").ok());
    }

    #[test]
    fn nonsense_asks_for_nothing() {
        for text in [
            "-5",
            "+5",
            "abc",
            "",
            "1.5",
            "1 minute",
            "0x10",
            "Wed, 25 Nov 2026 03:04:05",
            "Wed, 25 Nov 2026 03:04:05 CET",
            "Wed, 31 Nov 2026 03:04:05 GMT",
            "Wed, 25 Foo 2026 03:04:05 GMT",
            "Wed, 25 Nov 2026 03:04:05.5 GMT",
            "Wednesday, 25-Nov-2026 03:04:05 GMT",
            "Wednesday, 25-Nov-+6 03:04:05 GMT",
            "Wednesday, 25-Nov-26-1 03:04:05 GMT",
            "2026-11-25T03:04:05Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), NOW), None);
    }
}
