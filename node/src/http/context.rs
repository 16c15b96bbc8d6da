//! What belongs to one request whatever it asks for: its id, its `Idempotency-Key`, its trace.

use axum::http::{HeaderMap, HeaderName};
use timer_core::limits::REQUEST_ID_BYTES_MAX as KEY_BYTES_MAX;
use timer_core::timer::{Fingerprint, RequestKey};

use super::HttpState;
use super::limits::REQUEST_ID_BYTES_MAX;
use super::problem::Problem;
use crate::backend::RequestContext;
use crate::environment::Entropy;

/// The header of a request's id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header that makes a repeated change known as such.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The W3C's header of a trace.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The id of a request, which the outermost layer leaves in its extensions.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The client's own id if it is fit for logs, else a new one.
#[must_use]
pub fn request_id(headers: &HeaderMap, entropy: &dyn Entropy) -> String {
    let fits = |text: &&str| {
        (1..=REQUEST_ID_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let own = headers.get(&X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(fits);
    own.map_or_else(|| mint(entropy), str::to_owned)
}

/// 32 random hexadecimal digits.
fn mint(entropy: &dyn Entropy) -> String {
    format!("{:016x}{:016x}", entropy.next_u64(), entropy.next_u64())
}

/// The client's `Idempotency-Key`, if there is one.
///
/// # Errors
/// `INVALID_ARGUMENT` when it is empty, too long, not printable ASCII, or there are several.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let fault = |message: &str| Problem::invalid("Idempotency-Key", message);
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let (Some(value), rest) = (values.next(), values.next()) else { return Ok(None) };
    if rest.is_some() {
        return Err(fault("must not be given twice"));
    }
    let bytes = value.as_bytes();
    let printable = bytes.iter().all(|b| (b' '..=b'~').contains(b));
    match (printable, (1..=KEY_BYTES_MAX).contains(&bytes.len())) {
        (true, true) => Ok(Some(String::from_utf8_lossy(bytes).into_owned())),
        (false, _) => Err(fault("must be printable ASCII")),
        (true, false) => Err(fault("must have 1 to 255 bytes")),
    }
}

/// The context of a read.
#[must_use]
pub fn of_read(state: &HttpState, id: &RequestId, headers: &HeaderMap) -> RequestContext {
    RequestContext {
        request_id: id.0.clone(),
        request: None,
        principal: String::new(),
        traceparent: traceparent(headers),
        deadline: state.settings.deadline,
    }
}

/// The context of a change whose request has the fingerprint `body`. Without an `Idempotency-Key` an id is
/// minted, so that a node that sends the change on may repeat it.
#[must_use]
pub fn of_change(
    state: &HttpState,
    id: &RequestId,
    headers: &HeaderMap,
    idempotency_key: Option<String>,
    body: Fingerprint,
) -> RequestContext {
    let minted = || format!("{}{}", RequestKey::MINTED, mint(state.entropy.as_ref()));
    let request = RequestKey { id: idempotency_key.unwrap_or_else(minted), body };
    RequestContext { request: Some(request), ..of_read(state, id, headers) }
}

/// The `traceparent` if it is valid. By the W3C's rules an invalid one is ignored, not refused.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(&TRACEPARENT).iter();
    let text = values.next()?.to_str().ok()?;
    if values.next().is_some() || !is_traceparent(text) { None } else { Some(text.to_owned()) }
}

/// Version 00 of the W3C's Trace Context, level 1 and 2.
fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let not_zero = |part: &str| part.bytes().any(|b| b != b'0');
    let mut parts = text.split('-');
    let mut part = || parts.next().unwrap_or_default();
    let (version, trace, parent, flags) = (part(), part(), part(), part());
    version == "00"
        && hex(trace, 32)
        && not_zero(trace)
        && hex(parent, 16)
        && not_zero(parent)
        && hex(flags, 2)
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_traceparent_is_kept() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        for bad in [
            "",
            "00",
            &good.to_uppercase(),
            &good[..54],
            &format!("{good}-00"),
            &good.replace("00-4bf", "ff-4bf"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
