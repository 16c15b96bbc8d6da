//! Definitions and their parts.

use std::sync::Arc;

use bytes::Bytes;
use timer_core::definition::{Callback, DeadOn, Definition, LatePolicy, Payload, RetryPolicy};
use timer_core::time::{Millis, Span};

use crate::error::{DecodeError, narrow, required};
use crate::numbers::{Numbered, known};
use crate::wire::store as wire;

impl From<&Definition> for wire::Definition {
    fn from(definition: &Definition) -> Self {
        let Definition { execute_at, callback, payload, retry, late, labels } = definition;
        Self {
            execute_at_ms: execute_at.0,
            callback: Some(callback.into()),
            payload: if *payload == Payload::None { None } else { Some(payload.into()) },
            retry: Some(retry.into()),
            late: Some((*late).into()),
            labels: labels.clone(),
        }
    }
}

impl TryFrom<wire::Definition> for Definition {
    type Error = DecodeError;

    fn try_from(wire: wire::Definition) -> Result<Self, DecodeError> {
        const MESSAGE: &str = "Definition";
        Ok(Self {
            execute_at: Millis(wire.execute_at_ms),
            callback: required(wire.callback, MESSAGE, "callback")?.try_into()?,
            payload: wire.payload.map_or(Ok(Payload::None), Payload::try_from)?,
            retry: required(wire.retry, MESSAGE, "retry")?.try_into()?,
            late: required(wire.late, MESSAGE, "late")?.try_into()?,
            labels: wire.labels,
        })
    }
}

impl From<&Callback> for wire::Callback {
    fn from(callback: &Callback) -> Self {
        let Callback { url, method, headers, timeout, body } = callback;
        let header =
            |(name, value): &(String, String)| wire::Header { name: name.clone(), value: value.clone() };
        Self {
            url: url.clone(),
            method: method.number(),
            headers: headers.iter().map(header).collect(),
            timeout_ms: timeout.0,
            body: body.number(),
        }
    }
}

impl TryFrom<wire::Callback> for Callback {
    type Error = DecodeError;

    fn try_from(wire: wire::Callback) -> Result<Self, DecodeError> {
        Ok(Self {
            url: wire.url,
            method: known(wire.method, "Callback", "method")?,
            headers: wire.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            timeout: Span(wire.timeout_ms),
            body: known(wire.body, "Callback", "body")?,
        })
    }
}

impl From<&Payload> for wire::Payload {
    fn from(payload: &Payload) -> Self {
        use wire::payload::Kind;
        let kind = match payload {
            Payload::None => Kind::None(true),
            Payload::Json(bytes) => Kind::Json(share(bytes)),
            Payload::Binary { bytes, content_type } => {
                Kind::Binary(wire::Binary { data: share(bytes), content_type: content_type.clone() })
            }
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<wire::Payload> for Payload {
    type Error = DecodeError;

    fn try_from(wire: wire::Payload) -> Result<Self, DecodeError> {
        use wire::payload::Kind;
        Ok(match required(wire.kind, "Payload", "kind")? {
            Kind::None(_) => Self::None,
            Kind::Json(bytes) => Self::Json(Arc::from(&bytes[..])),
            Kind::Binary(binary) => {
                Self::Binary { bytes: Arc::from(&binary.data[..]), content_type: binary.content_type }
            }
        })
    }
}

/// The same bytes, not a copy of them.
pub(crate) fn share(bytes: &Arc<[u8]>) -> Bytes {
    Bytes::from_owner(Arc::clone(bytes))
}

impl From<&RetryPolicy> for wire::RetryPolicy {
    fn from(policy: &RetryPolicy) -> Self {
        let RetryPolicy {
            attempts_max,
            duration_max,
            initial_interval,
            multiplier_milli,
            interval_max,
            jitter_milli,
            dead_on,
        } = policy;
        Self {
            attempts_max: *attempts_max,
            duration_max_ms: duration_max.0,
            initial_interval_ms: initial_interval.0,
            multiplier_milli: *multiplier_milli,
            interval_max_ms: interval_max.0,
            jitter_milli: *jitter_milli,
            dead_on: Some(dead_on.into()),
        }
    }
}

impl TryFrom<wire::RetryPolicy> for RetryPolicy {
    type Error = DecodeError;

    fn try_from(wire: wire::RetryPolicy) -> Result<Self, DecodeError> {
        Ok(Self {
            attempts_max: wire.attempts_max,
            duration_max: Span(wire.duration_max_ms),
            initial_interval: Span(wire.initial_interval_ms),
            multiplier_milli: wire.multiplier_milli,
            interval_max: Span(wire.interval_max_ms),
            jitter_milli: wire.jitter_milli,
            dead_on: required(wire.dead_on, "RetryPolicy", "dead_on")?.try_into()?,
        })
    }
}

impl From<&DeadOn> for wire::DeadOn {
    fn from(dead_on: &DeadOn) -> Self {
        match dead_on {
            DeadOn::All4xx => Self { all_4xx: true, codes: Vec::new() },
            DeadOn::Codes(codes) => {
                Self { all_4xx: false, codes: codes.iter().map(|code| u32::from(*code)).collect() }
            }
        }
    }
}

impl TryFrom<wire::DeadOn> for DeadOn {
    type Error = DecodeError;

    fn try_from(wire: wire::DeadOn) -> Result<Self, DecodeError> {
        if wire.all_4xx {
            return Ok(Self::All4xx);
        }
        let codes = wire.codes.into_iter().map(|code| narrow(code, "DeadOn", "codes"));
        Ok(Self::Codes(codes.collect::<Result<_, _>>()?))
    }
}

impl From<LatePolicy> for wire::LatePolicy {
    fn from(policy: LatePolicy) -> Self {
        use wire::late_policy::Kind;
        let kind = match policy {
            LatePolicy::Fire => Kind::Fire(true),
            LatePolicy::Skip { grace_window } => Kind::SkipGraceWindowMs(grace_window.0),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<wire::LatePolicy> for LatePolicy {
    type Error = DecodeError;

    fn try_from(wire: wire::LatePolicy) -> Result<Self, DecodeError> {
        use wire::late_policy::Kind;
        Ok(match required(wire.kind, "LatePolicy", "kind")? {
            Kind::Fire(_) => Self::Fire,
            Kind::SkipGraceWindowMs(ms) => Self::Skip { grace_window: Span(ms) },
        })
    }
}
