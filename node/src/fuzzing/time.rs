//! Times: what is read is written in one form and read again as the same instant; no instant becomes an earlier one.

use std::str::from_utf8;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use timer_core::time::Millis;

use super::input::Input;
use crate::rfc3339::{self, Rfc3339Fault};

/// The bytes as a text that may be a time, and their beginning as a time that is written.
pub fn holds(data: &[u8]) -> bool {
    written(Millis(Input::new(data).number() % (Millis::MAX.0 + 1)));
    let Ok(text) = from_utf8(data) else { return false };
    let read = rfc3339::parse(text);
    another_reader_agrees(text, read);
    if let Ok(at) = read {
        written(at);
        no_digit_makes_it_earlier(text, at);
    }
    read.is_ok()
}

fn written(at: Millis) {
    let text = rfc3339::format(at);
    assert_eq!(rfc3339::parse(&text), Ok(at), "{text}");
    assert!(text.len() == 24 && text.ends_with('Z'), "{text}");
    if at < Millis::MAX {
        let next = rfc3339::format(Millis(at.0 + 1));
        assert!(text < next, "{text} sorts behind {next}");
    }
}

/// The digits behind the millisecond add one if they are anything at all.
fn no_digit_makes_it_earlier(text: &str, at: Millis) {
    let Some((before, after)) = text.split_once('.') else { return };
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, offset) = after.split_at(digits);
    if digits <= 3 {
        return;
    }
    let (kept, cut) = fraction.split_at(3);
    let floor = rfc3339::parse(&format!("{before}.{kept}{offset}"));
    let up = cut.bytes().any(|digit| digit != b'0');
    match floor {
        // What lies before 1970 is 0, and so may the millisecond after it be.
        Ok(Millis(0)) => assert!(at.0 <= u64::from(up), "{text}"),
        Ok(floor) => assert_eq!(at.0, floor.0 + u64::from(up), "{text}"),
        Err(fault) => panic!("{text} is read, and without some digits it {fault}"),
    }
}

/// The library's reader and ours take the same texts for the same instants, but for what we refuse by intent.
fn another_reader_agrees(text: &str, read: Result<Millis, Rfc3339Fault>) {
    let Ok(theirs) = OffsetDateTime::parse(text, &Rfc3339) else {
        assert!(read.is_err(), "only we read {text}");
        return;
    };
    // They take anything between date and time, and a leap second.
    let separated = matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    let leap = text.as_bytes().get(17..19) == Some(b"60");
    if !separated || leap {
        assert!(read.is_err(), "{text}");
        return;
    }
    let fraction =
        text.split_once('.').map_or(0, |(_, after)| after.bytes().take_while(u8::is_ascii_digit).count());
    // They drop what is finer than a nanosecond.
    if fraction > 9 {
        return;
    }
    let ms = theirs.unix_timestamp_nanos().max(0).div_euclid(1_000_000);
    let up = i128::from(theirs.unix_timestamp_nanos().max(0) % 1_000_000 != 0);
    let exact = u64::try_from(ms + up).map(Millis);
    match read {
        Ok(at) => assert_eq!(exact, Ok(at), "{text}"),
        Err(Rfc3339Fault::OutOfRange) => assert!(exact.is_ok_and(|at| at > Millis::MAX), "{text}"),
        Err(fault) => panic!("only they read {text}: it {fault}"),
    }
}
