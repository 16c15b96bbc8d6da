//! What to do when it fails, when it is late, and the user's marks.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use timer_core::command::patch::RetryPatch;
use timer_core::definition::{DeadOn, LatePolicy, RetryPolicy};
use timer_core::limits::{
    ATTEMPTS_MAX, DEAD_ON_MAX, HORIZON_MAX, LABEL_BYTES_MAX, LABELS_MAX, RETRY_DURATION_MAX,
    RETRY_INTERVAL_MAX,
};
use timer_core::time::Span;

use super::Shape;
use super::faults::{Fault, Faults};
use super::json;
use super::reader::{Null, Reader, quote};
use super::values;
use crate::http::limits::MULTIPLIER_MILLI_MAX;

/// The name of [`DeadOn::All4xx`].
pub const ALL_4XX: &str = "4xx";

/// The fields of a retry policy. In a patch, a null sets one back to its default.
///
/// # Errors
/// When `raw` is no object. What is wrong with one field goes to `faults`.
pub fn retry(raw: &RawValue, shape: Shape, faults: &mut Faults) -> Result<RetryPatch, Fault> {
    let mut reader = Reader::new(raw.get(), "retryPolicy.", faults)?;
    let standard = RetryPolicy::default();
    let attempts = |raw| values::integer(raw, 1, u64::from(ATTEMPTS_MAX)).map(to_u32);
    let wait = |raw| values::span(raw, Span(1), RETRY_INTERVAL_MAX);
    let patch = RetryPatch {
        attempts_max: reader.value("maxAttempts", shape.null(standard.attempts_max), attempts),
        duration_max: reader.value("maxDuration", shape.null(standard.duration_max), |raw| {
            values::span(raw, Span(1), RETRY_DURATION_MAX)
        }),
        initial_interval: reader.value("initialInterval", shape.null(standard.initial_interval), wait),
        multiplier_milli: reader.value("backoffMultiplier", shape.null(standard.multiplier_milli), |raw| {
            values::thousandths(raw, 1000, MULTIPLIER_MILLI_MAX)
        }),
        interval_max: reader.value("maxInterval", shape.null(standard.interval_max), wait),
        jitter_milli: reader
            .value("jitter", shape.null(standard.jitter_milli), |raw| values::thousandths(raw, 0, 1000)),
        dead_on: reader.value("deadOn", shape.null(standard.dead_on), dead_on),
    };
    reader.finish();
    Ok(patch)
}

/// Of a number that is known to fit.
fn to_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Every field back to its default: what a null for the whole policy means in a patch.
#[must_use]
pub fn retry_defaults() -> RetryPatch {
    let standard = RetryPolicy::default();
    RetryPatch {
        attempts_max: Some(standard.attempts_max),
        duration_max: Some(standard.duration_max),
        initial_interval: Some(standard.initial_interval),
        multiplier_milli: Some(standard.multiplier_milli),
        interval_max: Some(standard.interval_max),
        jitter_milli: Some(standard.jitter_milli),
        dead_on: Some(standard.dead_on),
    }
}

fn dead_on(raw: &RawValue) -> Result<DeadOn, Fault> {
    if json::text(raw).as_deref() == Some(ALL_4XX) {
        return Ok(DeadOn::All4xx);
    }
    let codes: Vec<&RawValue> = serde_json::from_str(raw.get())
        .map_err(|_| Fault::schema("must be an array of status codes, or \"4xx\""))?;
    if codes.len() > DEAD_ON_MAX {
        return Err(Fault::limit(format!("must not have more than {DEAD_ON_MAX} status codes")));
    }
    // 2xx is never a failure and 1xx is never final.
    let code = |raw: &RawValue| {
        values::integer(raw, 300, 599)
            .and_then(|n| u16::try_from(n).map_err(|_| Fault::limit("must be a status code")))
    };
    let mut codes: Vec<u16> = codes
        .into_iter()
        .map(code)
        .collect::<Result<_, _>>()
        .map_err(|fault| Fault { message: format!("each status code {}", fault.message), ..fault })?;
    codes.sort_unstable();
    codes.dedup();
    Ok(DeadOn::Codes(codes))
}

/// Policies by name; `true` for the one that needs `graceWindow`.
const LATE_POLICIES: [(&str, bool); 2] = [("fire", false), ("skip", true)];

/// Reads `latePolicy` and `graceWindow`, which only say something together.
pub fn late(reader: &mut Reader<'_, '_>, shape: Shape) -> Option<LatePolicy> {
    let had_policy = reader.has("latePolicy");
    let had_window = reader.has("graceWindow");
    let skip = reader.value("latePolicy", shape.null(false), |raw| values::choice(raw, &LATE_POLICIES));
    let window = reader.value("graceWindow", Null::Refused, |raw| values::span(raw, Span(0), HORIZON_MAX));
    match skip {
        Some(true) if !had_window => {
            reader.fault("graceWindow", Fault::schema("is needed with \"latePolicy\": \"skip\""));
            None
        }
        Some(true) => window.map(|grace_window| LatePolicy::Skip { grace_window }),
        Some(false) | None if had_window && (skip.is_some() || !had_policy) => {
            reader.fault("graceWindow", Fault::schema("must stand beside \"latePolicy\": \"skip\""));
            None
        }
        Some(false) => Some(LatePolicy::Fire),
        None => None,
    }
}

/// Labels; a patch removes one by null.
///
/// # Errors
/// When `raw` is no object. What is wrong with one label goes to `faults`.
pub fn labels(
    raw: &RawValue,
    shape: Shape,
    faults: &mut Faults,
) -> Result<BTreeMap<String, Option<String>>, Fault> {
    let mut reader = Reader::new(raw.get(), "labels.", faults)?;
    let mut labels = BTreeMap::new();
    for (key, raw) in reader.take_all() {
        match label(&key, raw, shape) {
            Ok(value) => drop(labels.insert(key, value)),
            Err(fault) => reader.fault(&quote(&key), fault),
        }
    }
    // What a patch removes does not count.
    if labels.values().flatten().count() > LABELS_MAX {
        return Err(Fault::limit(format!("must not be more than {LABELS_MAX} labels")));
    }
    Ok(labels)
}

fn label(key: &str, raw: &RawValue, shape: Shape) -> Result<Option<String>, Fault> {
    let fits = |text: &str| text.len() <= LABEL_BYTES_MAX;
    if key.is_empty() || key.chars().any(char::is_control) {
        return Err(Fault::schema("must have a key, without control characters"));
    }
    if !fits(key) {
        return Err(Fault::limit(format!("must have a key of at most {LABEL_BYTES_MAX} bytes")));
    }
    if shape == Shape::Patch && json::is_null(raw) {
        return Ok(None);
    }
    let value = values::string(raw)?;
    if value.chars().any(char::is_control) {
        return Err(Fault::schema("must not contain control characters"));
    }
    if !fits(&value) {
        return Err(Fault::limit(format!("must not be longer than {LABEL_BYTES_MAX} bytes")));
    }
    Ok(Some(value.into_owned()))
}
