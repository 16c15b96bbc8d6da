//! Durations: what is read is the sum of its parts, and is written in one form that is read again as the same.

use std::str::from_utf8;

use timer_core::time::Span;

use super::input::Input;
use crate::http::duration;

/// The bytes as a text that may be a duration, and their beginning as one that is written.
pub fn holds(data: &[u8]) -> bool {
    written(Span(Input::new(data).number()));
    let Ok(text) = from_utf8(data) else { return false };
    let Ok(span) = duration::parse(text) else { return false };
    assert_eq!(sum(text), Some(span), "{text}");
    written(span);
    true
}

fn written(span: Span) {
    let text = duration::format(span);
    assert_eq!(duration::parse(&text), Ok(span), "{text}");
    assert_eq!(sum(&text), Some(span), "{text}");
}

/// The same by another way: every part as a fraction of whole milliseconds. None: it is finer than a millisecond, or not
/// a duration at all.
fn sum(text: &str) -> Option<Span> {
    let (mut total, mut rest) = (0_u128, text);
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| c.is_ascii_lowercase())?;
        let (number, after) = rest.split_at(unit_at);
        let next_at = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, next) = after.split_at(next_at);
        let unit_ms = match unit {
            "d" => 86_400_000,
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let scaled = format!("{whole}{fraction}").parse::<u128>().ok()?.checked_mul(unit_ms)?;
        if scaled % scale != 0 {
            return None;
        }
        total += scaled / scale;
        rest = next;
    }
    // What no number of milliseconds holds is the largest one, and beyond every bound.
    Some(Span(u64::try_from(total).unwrap_or(u64::MAX)))
}
