//! `Retry-After`: seconds and the three forms of a date are read, and nothing else is taken for one of them.

use ::time::OffsetDateTime;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue};
use timer_core::time::{Millis, Span};

use super::input::Input;
use crate::delivery::retry_after::retry_after;

/// 2026-11-25T01:02:03.456Z
const NOW: Millis = Millis(1_795_568_523_456);

/// The bytes as a header's value, and their beginning as a time that a receiver names.
pub fn holds(data: &[u8]) -> bool {
    let named = Millis(Input::new(data).number() % (Millis::MAX.0 + 1) / 1000 * 1000);
    for (form, text) in dates(named).into_iter().enumerate() {
        // Two digits of a year are enough for about a hundred years.
        if form != RFC_850 || named < NOW + CENTURY_HALF && NOW < named + CENTURY_HALF {
            assert_eq!(read(text.as_bytes()), Some(named), "{text}");
        }
    }
    let Some(at) = read(data) else { return false };
    let text = String::from_utf8_lossy(data);
    let text = text.trim();
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let asked =
            text.bytes().fold(0_u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
        assert_eq!(at, NOW + Span(asked.saturating_mul(1000)), "{text}");
    } else {
        // What lies before 1970 is 0, and is past like it.
        let known =
            at == Millis(0) || dates(at).iter().any(|date| without_weekday(date) == without_weekday(text));
        assert!(known, "{text:?} is read as {:?}", dates(at));
    }
    true
}

/// Which of [`dates`] has a year of two digits.
const RFC_850: usize = 1;
/// Less than 50 years, by more than any leap day.
const CENTURY_HALF: Span = Span::from_secs(49 * 365 * 24 * 3600);

fn read(value: &[u8]) -> Option<Millis> {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_bytes(value).ok()?);
    let at = retry_after(&headers, NOW);
    assert!(at.is_none_or(|at| at <= Millis::MAX));
    at
}

/// The words of a date but for the name of its day, which nobody needs, and the zeros that numbers may begin with.
fn without_weekday(date: &str) -> Vec<String> {
    date.split_ascii_whitespace().skip(1).map(|word| word.trim_start_matches('0').to_owned()).collect()
}

/// A time in every form of HTTP, to the second.
fn dates(at: Millis) -> [String; 3] {
    let seconds = i64::try_from(at.0 / 1000).unwrap_or_default();
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
    let (short_day, month, day, year) = (&weekday[..3], &month[..3], at.day(), at.year());
    let time = format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second());
    [
        format!("{short_day}, {day:02} {month} {year:04} {time} GMT"),
        format!("{weekday}, {day:02}-{month}-{:02} {time} GMT", year % 100),
        format!("{short_day} {month} {day:2} {time} {year:04}"),
    ]
}
