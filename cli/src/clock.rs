//! The only file that reads the clock: everything else takes the time as an argument, so that its tests
//! know what it prints.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The present time.
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// A time of the API, or none if it is not RFC 3339.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// Milliseconds from `earlier` to `later`, negative if the order is the other way round.
pub fn millis_between(earlier: OffsetDateTime, later: OffsetDateTime) -> i64 {
    i64::try_from((later - earlier).whole_milliseconds()).unwrap_or(i64::MAX)
}

/// As the API writes times: UTC, three fraction digits.
pub fn format(at: OffsetDateTime) -> String {
    let (date, time) = (at.date(), at.time());
    let day = format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day());
    format!("{day}T{:02}:{:02}:{:02}.{:03}Z", time.hour(), time.minute(), time.second(), time.millisecond())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn times_are_written_as_the_api_writes_them() {
        assert_eq!(format(datetime!(2026-02-03 04:05:06.007_9 UTC)), "2026-02-03T04:05:06.007Z");
        let at = parse("2026-02-03T04:05:06.007Z").unwrap();
        assert_eq!(millis_between(at, parse("2026-02-03T06:35:06.000+02:30").unwrap()), -7);
    }
}
