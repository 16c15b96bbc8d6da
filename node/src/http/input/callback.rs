//! Whom to call: the fields of the callback's request.

use axum::http::{HeaderName, HeaderValue};
use serde_json::value::RawValue;
use timer_core::definition::{BodyMode, Method};
use timer_core::limits::{HEADERS_BYTES_MAX, HEADERS_MAX, URL_BYTES_MAX};

use super::faults::{Breaks, Fault, Faults};
use super::json;
use super::reader::{Reader, quote};
use super::values;
use super::{Shape, UrlCheck, UrlFault};

/// What an answer shows instead of a header's value; as input it would overwrite a secret.
pub const REDACTED: &str = "[redacted]";

/// Methods by name.
pub const METHODS: [(&str, Method); 5] = [
    ("POST", Method::Post),
    ("PUT", Method::Put),
    ("PATCH", Method::Patch),
    ("GET", Method::Get),
    ("DELETE", Method::Delete),
];

/// Kinds of body by name.
pub const BODY_MODES: [(&str, BodyMode); 2] =
    [("envelope", BodyMode::Envelope), ("payload", BodyMode::Payload)];

/// Names that belong to the connection or to the message's framing, not to the user.
const RESERVED_HEADERS: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Beginnings of names that the service sets itself.
const RESERVED_PREFIXES: [&str; 2] = ["timer-", "webhook-"];

/// A URL that callbacks may go to.
///
/// # Errors
/// When it is no such URL.
pub fn url(raw: &RawValue, check: &UrlCheck) -> Result<String, Fault> {
    let text = values::string(raw)?;
    if text.len() > URL_BYTES_MAX {
        return Err(Fault::limit(format!("must not be longer than {URL_BYTES_MAX} bytes")));
    }
    match check.check(&text) {
        Ok(()) => Ok(text.into_owned()),
        Err(UrlFault::Invalid(message)) => Err(Fault::schema(message)),
        Err(UrlFault::Blocked(message)) => Err(Fault { breaks: Breaks::AddressPolicy, message }),
    }
}

/// Headers, in the order given, names in lower case; a patch removes one by null.
///
/// # Errors
/// When `raw` is no object. What is wrong with one header goes to `faults`.
pub fn headers(
    raw: &RawValue,
    shape: Shape,
    faults: &mut Faults,
) -> Result<Vec<(String, Option<String>)>, Fault> {
    let mut reader = Reader::new(raw.get(), "callbackHeaders.", faults)?;
    let mut headers: Vec<(String, Option<String>)> = Vec::new();
    let mut bytes = 0;
    for (name, raw) in reader.take_all() {
        match header(&name, raw, shape) {
            Ok((lower, _)) if headers.iter().any(|(other, _)| *other == lower) => {
                reader
                    .fault(&quote(&name), Fault::schema("is given twice: case does not tell headers apart"));
            }
            Ok((lower, value)) => {
                bytes += lower.len() + value.as_ref().map_or(0, String::len);
                headers.push((lower, value));
            }
            Err(fault) => reader.fault(&quote(&name), fault),
        }
    }
    // What a patch removes does not count.
    if headers.iter().filter(|(_, value)| value.is_some()).count() > HEADERS_MAX {
        return Err(Fault::limit(format!("must not be more than {HEADERS_MAX} headers")));
    }
    if bytes > HEADERS_BYTES_MAX {
        return Err(Fault::limit(format!("must not have more than {HEADERS_BYTES_MAX} bytes together")));
    }
    Ok(headers)
}

fn header(name: &str, raw: &RawValue, shape: Shape) -> Result<(String, Option<String>), Fault> {
    let parsed =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| Fault::schema("is not a header's name"))?;
    let lower = parsed.as_str();
    if RESERVED_HEADERS.contains(&lower) || RESERVED_PREFIXES.iter().any(|p| lower.starts_with(p)) {
        return Err(Fault::schema("is a header that only the service itself may set"));
    }
    if shape == Shape::Patch && json::is_null(raw) {
        return Ok((lower.to_owned(), None));
    }
    let value = values::string(raw)?;
    if value == REDACTED {
        return Err(Fault::schema("must be the value itself: \"[redacted]\" only stands for it in answers"));
    }
    if HeaderValue::from_str(&value).is_err() || !value.is_ascii() || value.trim() != value {
        return Err(Fault::schema("must be printable ASCII without spaces around it"));
    }
    Ok((lower.to_owned(), Some(value.into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, shape: Shape) -> Result<Vec<(String, Option<String>)>, String> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let mut faults = Faults::default();
        match headers(raw, shape, &mut faults) {
            Ok(headers) => faults.into_result(Some(headers)).map_err(|p| p.detail),
            Err(fault) => Err(fault.message),
        }
    }

    #[test]
    fn headers_of_the_connection_and_of_the_service_are_refused_in_any_case() {
        for name in ["Host", "Transfer-Encoding", "TIMER-Id", "webhook-signature", "te", "a b", "", "é"] {
            let json = format!("{{{}: \"x\"}}", serde_json::Value::from(name));
            assert!(read(&json, Shape::Whole).is_err(), "{name}");
        }
    }

    #[test]
    fn values_that_are_no_header_or_a_redacted_one_are_refused() {
        for value in ["\"[redacted]\"", "\"a\\nb\"", "\" a\"", "\"é\"", "1", "null"] {
            assert!(read(&format!("{{\"x-a\": {value}}}"), Shape::Whole).is_err(), "{value}");
        }
        assert!(read(r#"{"X-A": "1", "x-a": "2"}"#, Shape::Whole).is_err());
    }

    #[test]
    fn a_patch_removes_a_header_by_null() {
        let headers = read(r#"{"X-A": null, "Authorization": "Bearer x"}"#, Shape::Patch).unwrap();
        assert_eq!(
            headers,
            [("x-a".to_owned(), None), ("authorization".to_owned(), Some("Bearer x".to_owned()))]
        );
    }

    #[test]
    fn more_headers_or_bytes_than_the_limit_are_refused() {
        let many: Vec<_> = (0..=HEADERS_MAX).map(|n| format!("\"x-{n}\": \"\"")).collect();
        assert!(read(&format!("{{{}}}", many.join(",")), Shape::Whole).is_err());
        assert!(read(&format!("{{{}}}", many[1..].join(",")), Shape::Whole).is_ok());
        assert!(read(&format!("{{\"x\": \"{}\"}}", "a".repeat(HEADERS_BYTES_MAX)), Shape::Whole).is_err());
    }
}
