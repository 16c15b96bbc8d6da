//! Single values: strings, numbers, times, spans, each with the fault that its field will report.

use std::borrow::Cow;

use serde_json::value::RawValue;
use timer_core::time::{Millis, Span};

use super::faults::Fault;
use super::json;
use super::reader::quote;
use crate::http::duration;
use crate::rfc3339::{self, Rfc3339Fault};

/// A string.
///
/// # Errors
/// When it is another type, or has half of a surrogate pair.
pub fn string(raw: &RawValue) -> Result<Cow<'_, str>, Fault> {
    json::text(raw).ok_or_else(|| Fault::schema("must be a string of Unicode characters"))
}

/// A flag.
///
/// # Errors
/// When it is another type.
pub fn flag(raw: &RawValue) -> Result<bool, Fault> {
    serde_json::from_str(raw.get()).map_err(|_| Fault::schema("must be true or false"))
}

/// One of `choices`, by name.
///
/// # Errors
/// When it is another type or not one of them.
pub fn choice<T: Copy>(raw: &RawValue, choices: &[(&str, T)]) -> Result<T, Fault> {
    let text = string(raw)?;
    choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        Fault::schema(format!("must be {}, not \"{}\"", names.join(" or "), quote(&text)))
    })
}

/// A whole number from `min` to `max`.
///
/// # Errors
/// When it is another type, or outside.
pub fn integer(raw: &RawValue, min: u64, max: u64) -> Result<u64, Fault> {
    let text = raw.get();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::schema("must be a whole number"));
    }
    // A number too long for 64 bits, or negative, is outside in any case.
    text.parse()
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| Fault::limit(format!("must be {min} to {max}")))
}

/// A number in thousandths, from `min` to `max` thousandths.
///
/// # Errors
/// When it is another type, has more than three fraction digits, or is outside.
pub fn thousandths(raw: &RawValue, min: u32, max: u32) -> Result<u32, Fault> {
    let number: f64 = serde_json::from_str(raw.get()).map_err(|_| Fault::schema("must be a number"))?;
    let milli = number * 1000.0;
    if milli < f64::from(min) || milli > f64::from(max) {
        let text = |milli: u32| f64::from(milli) / 1000.0;
        return Err(Fault::limit(format!("must be {} to {}", text(min), text(max))));
    }
    // Decimal fractions are not exact in binary: what lies this near to a thousandth was written as one.
    if (milli - milli.round()).abs() > 1e-6 {
        return Err(Fault::limit("must have at most three fraction digits"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within min and max")]
    Ok(milli.round() as u32)
}

/// A span from `min` to `max`.
///
/// # Errors
/// When it is no duration, or outside.
pub fn span(raw: &RawValue, min: Span, max: Span) -> Result<Span, Fault> {
    let span = duration::parse(&string(raw)?).map_err(|fault| Fault::schema(fault.to_string()))?;
    if (min..=max).contains(&span) {
        return Ok(span);
    }
    Err(Fault::limit(format!("must be {} to {}", duration::format(min), duration::format(max))))
}

/// A point in time.
///
/// # Errors
/// When it is not RFC 3339, or later than it can write.
pub fn instant(raw: &RawValue) -> Result<Millis, Fault> {
    instant_in(&string(raw)?)
}

/// The same, of a text.
///
/// # Errors
/// See [`instant`].
pub fn instant_in(text: &str) -> Result<Millis, Fault> {
    rfc3339::parse(text).map_err(|fault| match fault {
        Rfc3339Fault::OutOfRange => Fault::limit(fault.to_string()),
        Rfc3339Fault::Syntax
        | Rfc3339Fault::NoOffset
        | Rfc3339Fault::ImpossibleOffset
        | Rfc3339Fault::ImpossibleDate(..)
        | Rfc3339Fault::ImpossibleMonth(_)
        | Rfc3339Fault::ImpossibleTime
        | Rfc3339Fault::LeapSecond => Fault::schema(fault.to_string()),
    })
}
