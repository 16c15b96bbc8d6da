//! A shard's state, and the sessions and open attempts that commands share with it.

use timer_core::group::GroupCounts;
use timer_core::ids::{NodeId, Sequence, TimerKey};
use timer_core::shard_state::{Lost, OpenAttempt, Predecessor, Session, ShardState};
use timer_core::time::Millis;

use crate::error::{DecodeError, required};
use crate::wire::store as wire;

impl From<&ShardState> for wire::ShardState {
    fn from(state: &ShardState) -> Self {
        Self {
            last_time_ms: state.last_time.0,
            cursor_ms: state.cursor.0,
            session: state.session.as_ref().map(Into::into),
            counts: Some(GroupCounts(state.counts).into()),
            newest_erased: state.newest_erased.map(|change| change.0),
            groups: state.groups,
            parked: state.parked,
        }
    }
}

impl TryFrom<wire::ShardState> for ShardState {
    type Error = DecodeError;

    fn try_from(wire: wire::ShardState) -> Result<Self, DecodeError> {
        let GroupCounts(counts) = required(wire.counts, "ShardState", "counts")?.into();
        Ok(Self {
            last_time: Millis(wire.last_time_ms),
            cursor: Millis(wire.cursor_ms),
            session: wire.session.map(Session::try_from).transpose()?,
            counts,
            newest_erased: wire.newest_erased.map(Sequence),
            groups: wire.groups,
            parked: wire.parked,
        })
    }
}

impl From<&Session> for wire::Session {
    fn from(session: &Session) -> Self {
        use wire::predecessor::Kind;
        let predecessor = match &session.predecessor {
            Predecessor::None => None,
            Predecessor::Lost => Some(Kind::Lost(true)),
            Predecessor::HandedOver(attempts) => Some(Kind::HandedOver(to_wire(attempts))),
        };
        Self {
            number: session.number,
            node: session.node.0,
            opened_at_ms: session.opened_at.0,
            predecessor: predecessor.map(|kind| wire::Predecessor { kind: Some(kind) }),
            handed_over: session.handed_over.as_deref().map(to_wire),
            lost: session.lost.map(|lost| wire::Lost {
                session: lost.session,
                opened_at_ms: lost.opened_at.0,
                since_ms: lost.since.0,
            }),
        }
    }
}

impl TryFrom<wire::Session> for Session {
    type Error = DecodeError;

    fn try_from(wire: wire::Session) -> Result<Self, DecodeError> {
        use wire::predecessor::Kind;
        let predecessor = match wire.predecessor {
            None => Predecessor::None,
            Some(predecessor) => match required(predecessor.kind, "Predecessor", "kind")? {
                Kind::Lost(_) => Predecessor::Lost,
                Kind::HandedOver(attempts) => Predecessor::HandedOver(from_wire(attempts)),
            },
        };
        Ok(Self {
            number: wire.number,
            node: NodeId(wire.node),
            opened_at: Millis(wire.opened_at_ms),
            predecessor,
            lost: wire.lost.map(|lost| Lost {
                session: lost.session,
                opened_at: Millis(lost.opened_at_ms),
                since: Millis(lost.since_ms),
            }),
            handed_over: wire.handed_over.map(from_wire),
        })
    }
}

fn to_wire(attempts: &[OpenAttempt]) -> wire::OpenAttempts {
    wire::OpenAttempts { attempts: attempts.iter().map(Into::into).collect() }
}

fn from_wire(wire: wire::OpenAttempts) -> Vec<OpenAttempt> {
    wire.attempts.into_iter().map(Into::into).collect()
}

impl From<&OpenAttempt> for wire::OpenAttempt {
    fn from(attempt: &OpenAttempt) -> Self {
        Self {
            group: attempt.key.group.clone(),
            id: attempt.key.id.clone(),
            generation: attempt.generation.0,
            attempt: attempt.attempt,
            until_ms: attempt.until.0,
        }
    }
}

impl From<wire::OpenAttempt> for OpenAttempt {
    fn from(wire: wire::OpenAttempt) -> Self {
        Self {
            key: TimerKey::new(wire.group, wire.id),
            generation: Sequence(wire.generation),
            attempt: wire.attempt,
            until: Millis(wire.until_ms),
        }
    }
}
