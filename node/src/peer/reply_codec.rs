//! Replies of the state machine, and timers that were read, between nodes.

use proto::{DecodeError, Numbered as _, record};
use timer_core::command::{Done, GroupDone, GroupHeld, Refusal, Reply};
use timer_core::ids::Sequence;
use timer_core::time::{Millis, Span};
use timer_core::timer::{Effect, InFlight, Timer};

use super::frame as wire;
use crate::backend::TimerView;

/// A reply from a peer that can't be understood.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// A part is missing, or of a kind that only a newer version knows.
    #[error("a peer's reply has no usable `{0}`")]
    Part(&'static str),
    /// A record in it can't be read.
    #[error(transparent)]
    Record(#[from] DecodeError),
}

mod refusal {
    //! Numbers of refusals; for ever.
    pub const NOT_FOUND: u32 = 1;
    pub const EXISTS: u32 = 2;
    pub const FINISHED: u32 = 3;
    pub const NOT_FINISHED: u32 = 4;
    pub const VERSION_MISMATCH: u32 = 5;
    pub const ATTEMPT_IN_FLIGHT: u32 = 6;
    pub const REQUEST_KEY_REUSED: u32 = 7;
    pub const INVALID: u32 = 8;
    pub const FORGOTTEN: u32 = 9;
    pub const OUT_OF_RANGE: u32 = 10;
    pub const GROUP_NOT_FOUND: u32 = 11;
    pub const GROUP_CLOSED: u32 = 12;
    pub const QUOTA_EXCEEDED: u32 = 13;
    pub const TOO_MANY_GROUPS: u32 = 14;
    pub const GROUP_PAUSED: u32 = 15;
}

fn in_flight_out(in_flight: InFlight) -> wire::InFlight {
    let (kind, until) = match in_flight {
        InFlight::No => (0, Millis(0)),
        InFlight::Yes { until } => (1, until),
        InFlight::Possible { until } => (2, until),
    };
    wire::InFlight { kind, until_ms: until.0 }
}

fn in_flight_in(in_flight: Option<&wire::InFlight>) -> Result<InFlight, ReplyError> {
    let Some(in_flight) = in_flight else { return Ok(InFlight::No) };
    let until = Millis(in_flight.until_ms);
    match in_flight.kind {
        0 => Ok(InFlight::No),
        1 => Ok(InFlight::Yes { until }),
        2 => Ok(InFlight::Possible { until }),
        _ => Err(ReplyError::Part("in_flight")),
    }
}

/// To the wire.
#[must_use]
pub fn reply_out(reply: &Reply) -> wire::Reply {
    use wire::reply::Kind;
    let kind = match reply {
        Reply::Done(done) => Kind::Done(wire::Done {
            effect: u32::try_from(done.effect.number()).unwrap_or(0),
            timer: record::encode_timer(&done.timer),
            in_flight: Some(in_flight_out(done.in_flight)),
            replayed: done.replayed,
        }),
        Reply::Refused(refused) => Kind::Refused(refused_out(refused)),
        Reply::Outcome(counted) => Kind::Outcome(*counted),
        Reply::SessionOpened(number) => Kind::Session(*number),
        Reply::Group(done) => Kind::Group(wire::GroupDone {
            effect: u32::try_from(done.effect.number()).unwrap_or(0),
            group: proto::group::encode(&done.group),
            replayed: done.replayed,
        }),
        Reply::GroupHeld(held) => Kind::GroupHeld(wire::GroupHeld {
            version: held.version.0,
            counts: proto::group::encode_counts(&held.counts),
        }),
        Reply::Ack => Kind::Ack(true),
    };
    wire::Reply { kind: Some(kind) }
}

/// From the wire.
///
/// # Errors
/// See [`ReplyError`].
pub fn reply_in(reply: &wire::Reply) -> Result<Reply, ReplyError> {
    use wire::reply::Kind;
    Ok(match reply.kind.as_ref().ok_or(ReplyError::Part("kind"))? {
        Kind::Done(done) => Reply::Done(Box::new(Done {
            effect: effect_in(done.effect)?,
            timer: record::decode_timer(&done.timer)?,
            in_flight: in_flight_in(done.in_flight.as_ref())?,
            replayed: done.replayed,
        })),
        Kind::Refused(refused) => Reply::Refused(refused_in(refused)?),
        Kind::Outcome(counted) => Reply::Outcome(*counted),
        Kind::Session(number) => Reply::SessionOpened(*number),
        Kind::Ack(_) => Reply::Ack,
        Kind::Group(done) => Reply::Group(Box::new(GroupDone {
            effect: effect_in(done.effect)?,
            group: proto::group::decode(&done.group)?,
            replayed: done.replayed,
        })),
        Kind::GroupHeld(held) => Reply::GroupHeld(GroupHeld {
            version: Sequence(held.version),
            counts: proto::group::decode_counts(&held.counts)?,
        }),
    })
}

fn effect_in(number: u32) -> Result<Effect, ReplyError> {
    i32::try_from(number).ok().and_then(Effect::from_number).ok_or(ReplyError::Part("effect"))
}

fn refused_out(refused: &Refusal) -> wire::Refused {
    let plain = |kind| wire::Refused { kind, ..Default::default() };
    let with_timer = |kind, timer: &Timer| wire::Refused {
        kind,
        timer: record::encode_timer(timer),
        ..Default::default()
    };
    match refused {
        Refusal::NotFound => plain(refusal::NOT_FOUND),
        Refusal::Exists(timer) => with_timer(refusal::EXISTS, timer),
        Refusal::Finished(timer) => with_timer(refusal::FINISHED, timer),
        Refusal::NotFinished(timer) => with_timer(refusal::NOT_FINISHED, timer),
        Refusal::VersionMismatch(version) => wire::Refused {
            kind: refusal::VERSION_MISMATCH,
            version: version.map_or(0, |version| version.0),
            ..Default::default()
        },
        Refusal::AttemptInFlight(in_flight) => wire::Refused {
            kind: refusal::ATTEMPT_IN_FLIGHT,
            in_flight: Some(in_flight_out(*in_flight)),
            ..Default::default()
        },
        Refusal::RequestKeyReused => plain(refusal::REQUEST_KEY_REUSED),
        Refusal::Forgotten => plain(refusal::FORGOTTEN),
        Refusal::OutOfRange { field, most } => wire::Refused {
            kind: refusal::OUT_OF_RANGE,
            field: field.clone(),
            span_ms: most.0,
            ..Default::default()
        },
        Refusal::GroupNotFound => plain(refusal::GROUP_NOT_FOUND),
        Refusal::GroupClosed => plain(refusal::GROUP_CLOSED),
        Refusal::GroupPaused => plain(refusal::GROUP_PAUSED),
        Refusal::QuotaExceeded => plain(refusal::QUOTA_EXCEEDED),
        Refusal::TooManyGroups => plain(refusal::TOO_MANY_GROUPS),
        Refusal::Invalid { field, message } => wire::Refused {
            kind: refusal::INVALID,
            field: field.clone(),
            text: message.clone(),
            ..Default::default()
        },
    }
}

fn refused_in(refused: &wire::Refused) -> Result<Refusal, ReplyError> {
    let timer = || record::decode_timer(&refused.timer).map(Box::new);
    Ok(match refused.kind {
        refusal::NOT_FOUND => Refusal::NotFound,
        refusal::EXISTS => Refusal::Exists(timer()?),
        refusal::FINISHED => Refusal::Finished(timer()?),
        refusal::NOT_FINISHED => Refusal::NotFinished(timer()?),
        refusal::VERSION_MISMATCH => {
            Refusal::VersionMismatch((refused.version != 0).then_some(Sequence(refused.version)))
        }
        refusal::ATTEMPT_IN_FLIGHT => Refusal::AttemptInFlight(in_flight_in(refused.in_flight.as_ref())?),
        refusal::REQUEST_KEY_REUSED => Refusal::RequestKeyReused,
        refusal::FORGOTTEN => Refusal::Forgotten,
        refusal::OUT_OF_RANGE => {
            Refusal::OutOfRange { field: refused.field.clone(), most: Span(refused.span_ms) }
        }
        refusal::GROUP_NOT_FOUND => Refusal::GroupNotFound,
        refusal::GROUP_CLOSED => Refusal::GroupClosed,
        refusal::GROUP_PAUSED => Refusal::GroupPaused,
        refusal::QUOTA_EXCEEDED => Refusal::QuotaExceeded,
        refusal::TOO_MANY_GROUPS => Refusal::TooManyGroups,
        refusal::INVALID => Refusal::Invalid { field: refused.field.clone(), message: refused.text.clone() },
        _ => return Err(ReplyError::Part("refusal")),
    })
}

/// To the wire.
#[must_use]
pub fn found_out(found: Option<&TimerView>) -> wire::Found {
    found.map_or_else(wire::Found::default, |view| wire::Found {
        timer: record::encode_timer(&view.timer),
        in_flight: Some(in_flight_out(view.attempt_in_flight)),
    })
}

/// From the wire.
///
/// # Errors
/// See [`ReplyError`].
pub fn found_in(found: &wire::Found) -> Result<Option<TimerView>, ReplyError> {
    if found.timer.is_empty() {
        return Ok(None);
    }
    Ok(Some(TimerView {
        timer: record::decode_timer(&found.timer)?,
        attempt_in_flight: in_flight_in(found.in_flight.as_ref())?,
    }))
}
