//! Times as the API writes them: RFC 3339 with a mandatory offset, to the millisecond.
//!
//! Leap seconds are deliberately absent: a clock in milliseconds since 1970 has no place for `:60`.

use timer_core::time::Millis;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
const SECOND_MS: i64 = 1000;
/// From 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_EPOCH: i64 = 719_468;
/// Days of 400 years of the Gregorian calendar, after which it repeats.
const DAYS_OF_ERA: i64 = 146_097;

/// Why a text is no time. `Display` completes the sentence "the field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rfc3339Fault {
    /// It is not written as RFC 3339 wants it.
    #[error("must be an RFC 3339 time like \"2030-01-31T09:00:00Z\" or \"2030-01-31T09:00:00.250+02:00\"")]
    Syntax,
    /// It is a local time: nobody knows when that is.
    #[error("must end with an offset: \"Z\", or one like \"+02:00\"")]
    NoOffset,
    /// An offset beyond 23:59.
    #[error("must have an offset from -23:59 to +23:59")]
    ImpossibleOffset,
    /// There is no such day.
    #[error("must name a day that exists: {0:04}-{1:02} has no day {2}")]
    ImpossibleDate(u16, u8, u8),
    /// There is no such month.
    #[error("must have a month from 01 to 12, not {0:02}")]
    ImpossibleMonth(u8),
    /// There is no such time of day.
    #[error("must have a time of day from 00:00:00 to 23:59:59 (midnight is 00:00 of the next day)")]
    ImpossibleTime,
    /// A second 60.
    #[error("must not name a leap second: write the second after it as \":00\" of the next minute")]
    LeapSecond,
    /// Later than can be written.
    #[error("must not be later than 9999-12-31T23:59:59.999Z")]
    OutOfRange,
}

/// Reads a time. More than three fraction digits are rounded up to the next millisecond, so that nothing is
/// early; a time before 1970 is [`Millis`] 0, since both are simply past.
///
/// # Errors
/// When `text` is no RFC 3339 time with an offset, or lies beyond [`Millis::MAX`].
pub fn parse(text: &str) -> Result<Millis, Rfc3339Fault> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.digits(4)?;
    rest.expect(b"-")?;
    let month = rest.two()?;
    rest.expect(b"-")?;
    let day = rest.two()?;
    rest.expect(b"Tt")?;
    let hour = rest.two()?;
    rest.expect(b":")?;
    let minute = rest.two()?;
    rest.expect(b":")?;
    let second = rest.two()?;
    let fraction_ms = rest.fraction()?;
    let offset_ms = rest.offset()?;

    if !(1..=12).contains(&month) {
        return Err(Rfc3339Fault::ImpossibleMonth(month));
    }
    if day == 0 || day > days_of_month(year, month) {
        return Err(Rfc3339Fault::ImpossibleDate(year, month, day));
    }
    if hour > 23 || minute > 59 || second > 60 {
        return Err(Rfc3339Fault::ImpossibleTime);
    }
    if second == 60 {
        return Err(Rfc3339Fault::LeapSecond);
    }
    let local = days_from_date(year, month, day) * DAY_MS
        + i64::from(hour) * HOUR_MS
        + i64::from(minute) * MINUTE_MS
        + i64::from(second) * SECOND_MS
        + fraction_ms;
    let at = Millis(u64::try_from(local - offset_ms).unwrap_or(0));
    if at > Millis::MAX { Err(Rfc3339Fault::OutOfRange) } else { Ok(at) }
}

/// Writes a time in UTC with exactly three fraction digits. What lies beyond [`Millis::MAX`] is written as
/// that.
#[must_use]
pub fn format(at: Millis) -> String {
    // At most Millis::MAX, so that no conversion below can fail and the year has four digits.
    let ms = i64::try_from(at.0.min(Millis::MAX.0)).unwrap_or(0);
    let (days, of_day) = (ms / DAY_MS, ms % DAY_MS);
    let (year, month, day) = date_from_days(days);
    let mut text = Vec::with_capacity(24);
    let mut put = |number: i64, width: u32, end: u8| {
        for place in (0..width).rev() {
            text.push(b'0' + u8::try_from(number / 10_i64.pow(place) % 10).unwrap_or(0));
        }
        text.push(end);
    };
    put(year, 4, b'-');
    put(month, 2, b'-');
    put(day, 2, b'T');
    put(of_day / HOUR_MS, 2, b':');
    put(of_day / MINUTE_MS % 60, 2, b':');
    put(of_day / SECOND_MS % 60, 2, b'.');
    put(of_day % SECOND_MS, 3, b'Z');
    text.into_iter().map(char::from).collect()
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn expect(&mut self, any_of: &[u8]) -> Result<(), Rfc3339Fault> {
        match self.next() {
            Some(found) if any_of.contains(&found) => Ok(()),
            _ => Err(Rfc3339Fault::Syntax),
        }
    }

    fn digits(&mut self, count: u32) -> Result<u16, Rfc3339Fault> {
        (0..count).try_fold(0, |number, _| match self.next() {
            Some(digit @ b'0'..=b'9') => Ok(number * 10 + u16::from(digit - b'0')),
            _ => Err(Rfc3339Fault::Syntax),
        })
    }

    fn two(&mut self) -> Result<u8, Rfc3339Fault> {
        u8::try_from(self.digits(2)?).map_err(|_| Rfc3339Fault::Syntax)
    }

    /// Thousandths, rounded up: 0 to 1000.
    fn fraction(&mut self) -> Result<i64, Rfc3339Fault> {
        if self.0.first() != Some(&b'.') {
            return Ok(0);
        }
        self.next();
        let (mut ms, mut place, mut count, mut rest) = (0, 100, 0, false);
        while let Some(digit) = self.0.first().filter(|b| b.is_ascii_digit()).map(|b| b - b'0') {
            self.next();
            count += 1;
            ms += i64::from(digit) * place;
            rest |= place == 0 && digit != 0;
            place /= 10;
        }
        if count == 0 { Err(Rfc3339Fault::Syntax) } else { Ok(ms + i64::from(rest)) }
    }

    /// Milliseconds east of UTC, up to the end of the text.
    fn offset(&mut self) -> Result<i64, Rfc3339Fault> {
        let sign = match self.next() {
            None => return Err(Rfc3339Fault::NoOffset),
            Some(b'Z' | b'z') => 0,
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return Err(Rfc3339Fault::Syntax),
        };
        let mut ms = 0;
        if sign != 0 {
            let hours = self.two()?;
            self.expect(b":")?;
            let minutes = self.two()?;
            if hours > 23 || minutes > 59 {
                return Err(Rfc3339Fault::ImpossibleOffset);
            }
            ms = i64::from(hours) * HOUR_MS + i64::from(minutes) * MINUTE_MS;
        }
        if self.0.is_empty() { Ok(sign * ms) } else { Err(Rfc3339Fault::Syntax) }
    }
}

const fn days_of_month(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date that exists. Years are counted from March, so that the leap day is the
/// last of its year and the lengths of months follow one line.
fn days_from_date(year: u16, month: u8, day: u8) -> i64 {
    let (month, day) = (i64::from(month), i64::from(day));
    let year = i64::from(year) - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * DAYS_OF_ERA + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - DAYS_BEFORE_EPOCH
}

/// The inverse of [`days_from_date`]: year, month, day.
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_BEFORE_EPOCH;
    let (era, of_era) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_standard_allows_is_read() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00z", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("2026-11-25T01:02:03.456Z", 1_795_568_523_456),
            ("2026-11-25T03:32:03.456+02:30", 1_795_568_523_456),
            ("2026-11-24T20:02:03.456-05:00", 1_795_568_523_456),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2024-02-29T23:59:59.9Z", 1_709_251_199_900),
            ("1970-01-01T23:59:00+23:59", 0),
            ("1970-01-01T00:00:00-23:59", 86_340_000),
            ("9999-12-31T23:59:59.999Z", Millis::MAX.0),
        ];
        for (text, ms) in cases {
            assert_eq!(parse(text), Ok(Millis(ms)), "{text}");
        }
    }

    #[test]
    fn digits_beyond_the_millisecond_round_up() {
        let cases = [
            ("1970-01-01T00:00:00.0000Z", 0),
            ("1970-01-01T00:00:00.0001Z", 1),
            ("1970-01-01T00:00:00.00000000000000000000000000000001Z", 1),
            ("1970-01-01T00:00:00.1Z", 100),
            ("1970-01-01T00:00:00.1234Z", 124),
            ("1970-01-01T00:00:00.1230000Z", 123),
            ("1970-01-01T00:00:00.999000001Z", 1000),
        ];
        for (text, ms) in cases {
            assert_eq!(parse(text), Ok(Millis(ms)), "{text}");
        }
    }

    #[test]
    fn a_time_before_1970_is_the_first_there_is() {
        for text in ["0000-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00+00:01"] {
            assert_eq!(parse(text), Ok(Millis(0)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_why() {
        use Rfc3339Fault::*;
        let cases = [
            ("", Syntax),
            ("tomorrow", Syntax),
            ("2030-01-31", Syntax),
            ("2030-01-31 09:00:00Z", Syntax),
            ("2030-01-31T09:00Z", Syntax),
            ("2030-1-31T09:00:00Z", Syntax),
            ("10000-01-01T00:00:00Z", Syntax),
            ("+2030-01-01T00:00:00Z", Syntax),
            ("2030-01-31T09:00:00.Z", Syntax),
            ("2030-01-31T09:00:00,5Z", Syntax),
            ("2030-01-31T09:00:00+0200", Syntax),
            ("2030-01-31T09:00:00+02", Syntax),
            ("2030-01-31T09:00:00Zz", Syntax),
            ("2030-01-31T09:00:00+02:00Z", Syntax),
            (" 2030-01-31T09:00:00Z", Syntax),
            ("２030-01-31T09:00:00Z", Syntax),
            ("2030-01-31T09:00:00", NoOffset),
            ("2030-01-31T09:00:00.5", NoOffset),
            ("2030-01-31T09:00:00+24:00", ImpossibleOffset),
            ("2030-01-31T09:00:00-00:60", ImpossibleOffset),
            ("2030-00-31T09:00:00Z", ImpossibleMonth(0)),
            ("2030-13-31T09:00:00Z", ImpossibleMonth(13)),
            ("2030-02-29T09:00:00Z", ImpossibleDate(2030, 2, 29)),
            ("2100-02-29T09:00:00Z", ImpossibleDate(2100, 2, 29)),
            ("2030-04-31T09:00:00Z", ImpossibleDate(2030, 4, 31)),
            ("2030-04-00T09:00:00Z", ImpossibleDate(2030, 4, 0)),
            ("2030-01-31T24:00:00Z", ImpossibleTime),
            ("2030-01-31T23:60:00Z", ImpossibleTime),
            ("2030-01-31T23:00:61Z", ImpossibleTime),
            ("2016-12-31T23:59:60Z", LeapSecond),
            ("9999-12-31T23:59:59.9991Z", OutOfRange),
            ("9999-12-31T23:59:59-00:01", OutOfRange),
        ];
        for (text, fault) in cases {
            assert_eq!(parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn times_are_written_in_utc_with_three_digits() {
        assert_eq!(format(Millis(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(format(Millis(1_795_568_523_456)), "2026-11-25T01:02:03.456Z");
        assert_eq!(format(Millis::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(format(Millis(u64::MAX)), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn every_day_of_the_calendar_follows_the_one_before() {
        let mut days = days_from_date(0, 1, 1);
        for year in 0..=9999 {
            for month in 1..=12 {
                for day in 1..=days_of_month(year, month) {
                    assert_eq!(days_from_date(year, month, day), days);
                    assert_eq!(date_from_days(days), (year.into(), month.into(), day.into()));
                    days += 1;
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(ms in 0..=Millis::MAX.0) {
            prop_assert_eq!(parse(&format(Millis(ms))), Ok(Millis(ms)));
        }

        #[test]
        fn an_offset_says_the_same_instant(ms in DAY_MS.unsigned_abs()..Millis::MAX.0 - 86_400_000,
                                           minutes in -1439_i64..=1439) {
            let east = minutes * MINUTE_MS;
            let local = Millis(ms.checked_add_signed(east).unwrap());
            let sign = if minutes < 0 { '-' } else { '+' };
            let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
            let text = format(local).replace('Z', &format!("{sign}{hours:02}:{minutes:02}"));
            prop_assert_eq!(parse(&text), Ok(Millis(ms)));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_text_that_nearly_fits_panics(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,30})?[Z+-][0-9:]{0,6}") {
            let _ = parse(&text);
        }
    }
}
