//! Records of timers, and what they share with commands: fingerprints, errors, kept answers.

use bytes::Bytes;
use prost::Message as _;
use timer_core::attempt::Attempt;
use timer_core::ids::{Sequence, TimerKey};
use timer_core::shard_state::ShardState;
use timer_core::time::Millis;
use timer_core::timer::{ErrorKind, Fingerprint, InFlight, KeptAnswer, LastError, RequestKey, Timer};

use crate::error::{DecodeError, narrow, required};
use crate::numbers::{Numbered, known};
use crate::wire::store as wire;

/// A timer's record as stored.
#[must_use]
pub fn encode_timer(timer: &Timer) -> Bytes {
    wire::Timer::from(timer).encode_to_vec().into()
}

/// Reads what [`encode_timer`] wrote.
///
/// # Errors
/// When it is not a record of a timer, or of a kind that only a newer version knows.
pub fn decode_timer(bytes: &[u8]) -> Result<Timer, DecodeError> {
    wire::Timer::decode(bytes).map_err(|fault| DecodeError::Wire { message: "Timer", fault })?.try_into()
}

/// An attempt as the history stores it.
#[must_use]
pub fn encode_attempt(attempt: &Attempt) -> Bytes {
    wire::Attempt::from(attempt).encode_to_vec().into()
}

/// Reads what [`encode_attempt`] wrote.
///
/// # Errors
/// When it is not an attempt, or of a kind that only a newer version knows.
pub fn decode_attempt(bytes: &[u8]) -> Result<Attempt, DecodeError> {
    wire::Attempt::decode(bytes).map_err(|fault| DecodeError::Wire { message: "Attempt", fault })?.try_into()
}

/// A shard's state as stored.
#[must_use]
pub fn encode_shard_state(state: &ShardState) -> Bytes {
    wire::ShardState::from(state).encode_to_vec().into()
}

/// Reads what [`encode_shard_state`] wrote.
///
/// # Errors
/// When it is not a shard's state, or of a kind that only a newer version knows.
pub fn decode_shard_state(bytes: &[u8]) -> Result<ShardState, DecodeError> {
    wire::ShardState::decode(bytes)
        .map_err(|fault| DecodeError::Wire { message: "ShardState", fault })?
        .try_into()
}

impl From<&Timer> for wire::Timer {
    fn from(timer: &Timer) -> Self {
        Self {
            group: timer.key.group.clone(),
            id: timer.key.id.clone(),
            generation: timer.generation.0,
            version: timer.version.0,
            state: timer.state.number(),
            definition: Some((&timer.definition).into()),
            fingerprint: timer.fingerprint.map(Into::into),
            next_attempt_at_ms: timer.next_attempt_at.map(|at| at.0),
            position_ms: timer.position.map(|at| at.0),
            parked_at_ms: timer.parked_at.map(|at| at.0),
            attempts: timer.attempts,
            attempts_forgiven: timer.attempts_forgiven,
            first_attempt_at_ms: timer.first_attempt_at.map(|at| at.0),
            deferrals: timer.deferrals,
            attempts_recorded: timer.attempts_recorded,
            manual: timer.manual,
            created_at_ms: timer.created_at.0,
            updated_at_ms: timer.updated_at.0,
            executed_at_ms: timer.executed_at.map(|at| at.0),
            last_error: timer.last_error.as_ref().map(Into::into),
            in_flight: in_flight_to_wire(timer.in_flight),
            answers: timer.answers.iter().map(Into::into).collect(),
            purge_at_ms: timer.purge_at.map(|at| at.0),
            traceparent: timer.traceparent.clone(),
        }
    }
}

impl TryFrom<wire::Timer> for Timer {
    type Error = DecodeError;

    fn try_from(wire: wire::Timer) -> Result<Self, DecodeError> {
        const MESSAGE: &str = "Timer";
        Ok(Self {
            key: TimerKey::new(wire.group, wire.id),
            generation: Sequence(wire.generation),
            version: Sequence(wire.version),
            state: known(wire.state, MESSAGE, "state")?,
            definition: required(wire.definition, MESSAGE, "definition")?.try_into()?,
            fingerprint: wire.fingerprint.map(Into::into),
            next_attempt_at: wire.next_attempt_at_ms.map(Millis),
            position: wire.position_ms.map(Millis),
            parked_at: wire.parked_at_ms.map(Millis),
            attempts: wire.attempts,
            attempts_forgiven: wire.attempts_forgiven,
            first_attempt_at: wire.first_attempt_at_ms.map(Millis),
            deferrals: wire.deferrals,
            attempts_recorded: wire.attempts_recorded,
            manual: wire.manual,
            created_at: Millis(wire.created_at_ms),
            updated_at: Millis(wire.updated_at_ms),
            executed_at: wire.executed_at_ms.map(Millis),
            last_error: wire.last_error.map(LastError::try_from).transpose()?,
            in_flight: in_flight_from_wire(wire.in_flight)?,
            answers: wire.answers.into_iter().map(KeptAnswer::try_from).collect::<Result<_, _>>()?,
            purge_at: wire.purge_at_ms.map(Millis),
            traceparent: wire.traceparent,
        })
    }
}

impl From<Fingerprint> for wire::Fingerprint {
    fn from(fingerprint: Fingerprint) -> Self {
        let number = u128::from_be_bytes(fingerprint.0);
        Self { high: (number >> 64) as u64, low: number as u64 }
    }
}

impl From<wire::Fingerprint> for Fingerprint {
    fn from(wire: wire::Fingerprint) -> Self {
        Self((u128::from(wire.high) << 64 | u128::from(wire.low)).to_be_bytes())
    }
}

impl From<&RequestKey> for wire::RequestKey {
    fn from(key: &RequestKey) -> Self {
        Self { id: key.id.clone(), body: Some(key.body.into()) }
    }
}

impl TryFrom<wire::RequestKey> for RequestKey {
    type Error = DecodeError;

    fn try_from(wire: wire::RequestKey) -> Result<Self, DecodeError> {
        Ok(Self { id: wire.id, body: required(wire.body, "RequestKey", "body")?.into() })
    }
}

impl From<&LastError> for wire::LastError {
    fn from(error: &LastError) -> Self {
        let exact = (error.kind != error.kind.broad()).then(|| error.kind.number());
        Self {
            kind: error.kind.broad().number(),
            exact_kind: error.newer_kind.or(exact).unwrap_or_default(),
            status: error.status.map(Into::into),
            message: error.message.clone(),
            at_ms: error.at.0,
        }
    }
}

impl TryFrom<wire::LastError> for LastError {
    type Error = DecodeError;

    fn try_from(wire: wire::LastError) -> Result<Self, DecodeError> {
        const MESSAGE: &str = "LastError";
        let broad = known(wire.kind, MESSAGE, "kind")?;
        let exact = ErrorKind::from_number(wire.exact_kind);
        Ok(Self {
            kind: exact.unwrap_or(broad),
            newer_kind: (wire.exact_kind != 0 && exact.is_none()).then_some(wire.exact_kind),
            status: wire.status.map(|status| narrow(status, MESSAGE, "status")).transpose()?,
            message: wire.message,
            at: Millis(wire.at_ms),
        })
    }
}

/// "No" is an absent field: it is what nearly every record says.
fn in_flight_to_wire(in_flight: InFlight) -> Option<wire::InFlight> {
    use wire::in_flight::Kind;
    let kind = match in_flight {
        InFlight::No => return None,
        InFlight::Yes { until } => Kind::YesUntilMs(until.0),
        InFlight::Possible { until } => Kind::PossibleUntilMs(until.0),
    };
    Some(wire::InFlight { kind: Some(kind) })
}

fn in_flight_from_wire(wire: Option<wire::InFlight>) -> Result<InFlight, DecodeError> {
    use wire::in_flight::Kind;
    let Some(wire) = wire else { return Ok(InFlight::No) };
    Ok(match required(wire.kind, "InFlight", "kind")? {
        Kind::YesUntilMs(until) => InFlight::Yes { until: Millis(until) },
        Kind::PossibleUntilMs(until) => InFlight::Possible { until: Millis(until) },
    })
}

impl From<&KeptAnswer> for wire::KeptAnswer {
    fn from(answer: &KeptAnswer) -> Self {
        Self {
            request: Some((&answer.request).into()),
            at_ms: answer.at.0,
            effect: answer.effect.number(),
            generation: answer.generation.0,
            version: answer.version.0,
            state: answer.state.number(),
            in_flight: in_flight_to_wire(answer.in_flight),
        }
    }
}

impl TryFrom<wire::KeptAnswer> for KeptAnswer {
    type Error = DecodeError;

    fn try_from(wire: wire::KeptAnswer) -> Result<Self, DecodeError> {
        const MESSAGE: &str = "KeptAnswer";
        Ok(Self {
            request: required(wire.request, MESSAGE, "request")?.try_into()?,
            at: Millis(wire.at_ms),
            effect: known(wire.effect, MESSAGE, "effect")?,
            generation: Sequence(wire.generation),
            version: Sequence(wire.version),
            state: known(wire.state, MESSAGE, "state")?,
            in_flight: in_flight_from_wire(wire.in_flight)?,
        })
    }
}
