//! How far away a time is, for people: the two largest units.

use time::{Duration, OffsetDateTime};

use crate::clock;

/// `2026-12-01T08:00:00.000Z (in 29d 23h)`; a text that is no time as it is.
pub fn with_distance(text: &str, now: OffsetDateTime) -> String {
    match clock::parse(text) {
        Some(at) => format!("{text} ({})", distance(at - now)),
        None => text.to_owned(),
    }
}

/// `in 29d 23h`, `3s ago`, `in 250ms`, `now`.
pub fn distance(from_now: Duration) -> String {
    let text = span(from_now);
    match (text.is_empty(), from_now.is_negative()) {
        (true, _) => "now".to_owned(),
        (false, true) => format!("{text} ago"),
        (false, false) => format!("in {text}"),
    }
}

fn span(span: Duration) -> String {
    let seconds = span.whole_seconds().unsigned_abs();
    if seconds == 0 {
        let millis = span.subsec_milliseconds().unsigned_abs();
        return if millis == 0 { String::new() } else { format!("{millis}ms") };
    }
    let units =
        [("d", seconds / 86_400), ("h", seconds / 3600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let first = units.iter().position(|(_, number)| *number > 0).unwrap_or(3);
    let shown: Vec<String> = units[first..]
        .iter()
        .take(2)
        .filter(|(_, number)| *number > 0)
        .map(|(unit, number)| format!("{number}{unit}"))
        .collect();
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_say_how_far_away_a_time_is() {
        for (seconds, text) in [
            (30 * 86_400 - 1, "in 29d 23h"),
            (86_400, "in 1d"),
            (86_400 + 60, "in 1d"),
            (3661, "in 1h 1m"),
            (59, "in 59s"),
            (0, "now"),
            (-3, "3s ago"),
            (-3600, "1h ago"),
        ] {
            assert_eq!(distance(Duration::seconds(seconds)), text);
        }
        assert_eq!(distance(Duration::milliseconds(-250)), "250ms ago");
        assert_eq!(distance(Duration::microseconds(900)), "now");
        assert_eq!(with_distance("soon", clock::now()), "soon");
    }
}
