//! Commands, one message each; outcomes are in [`crate::attempt`], with what the history keeps of them.

use timer_core::command::{
    AdvanceCursor, Command, Delete, Expire, Fence, Fire, HandOver, OpenSession, Patch, Precondition, Put,
    Redrive, RemoveSigningSecret, patch::RetryPatch,
};
use timer_core::definition::{DeadOn, LatePolicy, Payload};
use timer_core::ids::{NodeId, Sequence, TimerKey};
use timer_core::time::{Millis, Span};

use crate::error::{DecodeError, required};
use crate::numbers::{Numbered, known, known_or_none};
use crate::wire::store as wire;
use crate::wire::store::envelope::Command as Kind;

impl From<&Command> for Kind {
    fn from(command: &Command) -> Self {
        match command {
            Command::Put(put) => Self::Put((&**put).into()),
            Command::Patch(patch) => Self::Patch((&**patch).into()),
            Command::Delete(delete) => Self::Delete(delete.into()),
            Command::Fire(Fire { key, precondition }) => Self::Fire(wire::Fire {
                group: key.group.clone(),
                id: key.id.clone(),
                precondition: precondition_to_wire(precondition),
            }),
            Command::Redrive(Redrive { key, precondition }) => Self::Redrive(wire::Redrive {
                group: key.group.clone(),
                id: key.id.clone(),
                precondition: precondition_to_wire(precondition),
            }),
            Command::Outcome(outcome) => Self::Outcome((&**outcome).into()),
            Command::OpenSession(open) => Self::OpenSession(wire::OpenSession { node: open.node.0 }),
            Command::HandOver(HandOver { session, attempts }) => Self::HandOver(wire::HandOver {
                session: *session,
                attempts: attempts.iter().map(Into::into).collect(),
            }),
            Command::AdvanceCursor(AdvanceCursor { session, to }) => {
                Self::AdvanceCursor(wire::AdvanceCursor { session: *session, to_ms: to.0 })
            }
            Command::Expire(expire) => Self::Expire(expire.into()),
            Command::PutGroup(put) => Self::PutGroup((&**put).into()),
            Command::StepGroup(step) => Self::StepGroup(step.into()),
            Command::SetGroup(set) => Self::SetGroup((&**set).into()),
            Command::AddSigningSecret(add) => Self::AddSigningSecret(add.into()),
            Command::RemoveSigningSecret(RemoveSigningSecret { group, id }) => {
                Self::RemoveSigningSecret(wire::RemoveSigningSecret { group: group.clone(), id: id.0 })
            }
            Command::PauseGroup(pause) => Self::PauseGroup(pause.into()),
            Command::Park(park) => Self::Park(park.into()),
            Command::Release(release) => Self::Release(release.into()),
        }
    }
}

impl TryFrom<Kind> for Command {
    type Error = DecodeError;

    fn try_from(wire: Kind) -> Result<Self, DecodeError> {
        Ok(match wire {
            Kind::Put(put) => Self::Put(Box::new(put.try_into()?)),
            Kind::Patch(patch) => Self::Patch(Box::new(patch.try_into()?)),
            Kind::Delete(delete) => Self::Delete(delete.into()),
            Kind::Fire(wire) => Self::Fire(Fire {
                key: TimerKey::new(wire.group, wire.id),
                precondition: precondition_from_wire(wire.precondition),
            }),
            Kind::Redrive(wire) => Self::Redrive(Redrive {
                key: TimerKey::new(wire.group, wire.id),
                precondition: precondition_from_wire(wire.precondition),
            }),
            Kind::Outcome(outcome) => Self::Outcome(Box::new(outcome.try_into()?)),
            Kind::OpenSession(wire) => Self::OpenSession(OpenSession { node: NodeId(wire.node) }),
            Kind::HandOver(wire) => Self::HandOver(HandOver {
                session: wire.session,
                attempts: wire.attempts.into_iter().map(Into::into).collect(),
            }),
            Kind::AdvanceCursor(wire) => {
                Self::AdvanceCursor(AdvanceCursor { session: wire.session, to: Millis(wire.to_ms) })
            }
            Kind::Expire(expire) => Self::Expire(expire.into()),
            Kind::PutGroup(put) => Self::PutGroup(Box::new(put.try_into()?)),
            Kind::StepGroup(step) => Self::StepGroup(step.try_into()?),
            Kind::SetGroup(set) => Self::SetGroup(Box::new(set.try_into()?)),
            Kind::AddSigningSecret(add) => Self::AddSigningSecret(add.try_into()?),
            Kind::RemoveSigningSecret(wire) => {
                Self::RemoveSigningSecret(RemoveSigningSecret { group: wire.group, id: Sequence(wire.id) })
            }
            Kind::PauseGroup(pause) => Self::PauseGroup(pause.try_into()?),
            Kind::Park(park) => Self::Park(park.into()),
            Kind::Release(release) => Self::Release(release.into()),
        })
    }
}

impl From<&Put> for wire::Put {
    fn from(put: &Put) -> Self {
        Self {
            group: put.key.group.clone(),
            id: put.key.id.clone(),
            definition: Some((&put.definition).into()),
            fingerprint: Some(put.fingerprint.into()),
            mode: put.mode.number(),
            precondition: precondition_to_wire(&put.precondition),
            fence: fence_to_wire(put.fence),
            delay_ms: put.delay.map(|delay| delay.0),
        }
    }
}

impl TryFrom<wire::Put> for Put {
    type Error = DecodeError;

    fn try_from(wire: wire::Put) -> Result<Self, DecodeError> {
        const MESSAGE: &str = "Put";
        Ok(Self {
            key: TimerKey::new(wire.group, wire.id),
            definition: required(wire.definition, MESSAGE, "definition")?.try_into()?,
            fingerprint: required(wire.fingerprint, MESSAGE, "fingerprint")?.into(),
            mode: known(wire.mode, MESSAGE, "mode")?,
            precondition: precondition_from_wire(wire.precondition),
            fence: fence_from_wire(wire.fence),
            delay: wire.delay_ms.map(Span),
        })
    }
}

impl From<&Patch> for wire::Patch {
    fn from(patch: &Patch) -> Self {
        let change =
            |name: &String, value: &Option<String>| wire::Change { name: name.clone(), value: value.clone() };
        Self {
            group: patch.key.group.clone(),
            id: patch.key.id.clone(),
            execute_at_ms: patch.execute_at.map(|at| at.0),
            url: patch.url.clone(),
            method: patch.method.map_or(0, Numbered::number),
            headers: patch.headers.iter().map(|(name, value)| change(name, value)).collect(),
            timeout_ms: patch.timeout.map(|timeout| timeout.0),
            body: patch.body.map_or(0, Numbered::number),
            payload: patch.payload.as_ref().map(Into::into),
            retry: retry_patch_to_wire(&patch.retry),
            late: patch.late.map(Into::into),
            labels: patch.labels.iter().map(|(name, value)| change(name, value)).collect(),
            precondition: precondition_to_wire(&patch.precondition),
            fence: fence_to_wire(patch.fence),
            delay_ms: patch.delay.map(|delay| delay.0),
        }
    }
}

impl TryFrom<wire::Patch> for Patch {
    type Error = DecodeError;

    fn try_from(wire: wire::Patch) -> Result<Self, DecodeError> {
        const MESSAGE: &str = "Patch";
        let change = |change: wire::Change| (change.name, change.value);
        Ok(Self {
            key: TimerKey::new(wire.group, wire.id),
            execute_at: wire.execute_at_ms.map(Millis),
            delay: wire.delay_ms.map(Span),
            url: wire.url,
            method: known_or_none(wire.method, MESSAGE, "method")?,
            headers: wire.headers.into_iter().map(change).collect(),
            timeout: wire.timeout_ms.map(Span),
            body: known_or_none(wire.body, MESSAGE, "body")?,
            payload: wire.payload.map(Payload::try_from).transpose()?,
            retry: wire.retry.map_or_else(|| Ok(RetryPatch::default()), retry_patch_from_wire)?,
            late: wire.late.map(LatePolicy::try_from).transpose()?,
            labels: wire.labels.into_iter().map(change).collect(),
            precondition: precondition_from_wire(wire.precondition),
            fence: fence_from_wire(wire.fence),
        })
    }
}

fn retry_patch_to_wire(patch: &RetryPatch) -> Option<wire::RetryPatch> {
    let RetryPatch {
        attempts_max,
        duration_max,
        initial_interval,
        multiplier_milli,
        interval_max,
        jitter_milli,
        dead_on,
    } = patch;
    (*patch != RetryPatch::default()).then(|| wire::RetryPatch {
        attempts_max: *attempts_max,
        duration_max_ms: duration_max.map(|span| span.0),
        initial_interval_ms: initial_interval.map(|span| span.0),
        multiplier_milli: *multiplier_milli,
        interval_max_ms: interval_max.map(|span| span.0),
        jitter_milli: *jitter_milli,
        dead_on: dead_on.as_ref().map(Into::into),
    })
}

fn retry_patch_from_wire(wire: wire::RetryPatch) -> Result<RetryPatch, DecodeError> {
    Ok(RetryPatch {
        attempts_max: wire.attempts_max,
        duration_max: wire.duration_max_ms.map(Span),
        initial_interval: wire.initial_interval_ms.map(Span),
        multiplier_milli: wire.multiplier_milli,
        interval_max: wire.interval_max_ms.map(Span),
        jitter_milli: wire.jitter_milli,
        dead_on: wire.dead_on.map(DeadOn::try_from).transpose()?,
    })
}

impl From<&Delete> for wire::Delete {
    fn from(delete: &Delete) -> Self {
        Self {
            group: delete.key.group.clone(),
            id: delete.key.id.clone(),
            purge: delete.purge,
            precondition: precondition_to_wire(&delete.precondition),
            fence: fence_to_wire(delete.fence),
        }
    }
}

impl From<wire::Delete> for Delete {
    fn from(wire: wire::Delete) -> Self {
        Self {
            key: TimerKey::new(wire.group, wire.id),
            purge: wire.purge,
            precondition: precondition_from_wire(wire.precondition),
            fence: fence_from_wire(wire.fence),
        }
    }
}

impl From<&Expire> for wire::Expire {
    fn from(expire: &Expire) -> Self {
        let expired = |(key, version): &(TimerKey, Sequence)| wire::Expired {
            group: key.group.clone(),
            id: key.id.clone(),
            version: version.0,
        };
        Self { timers: expire.timers.iter().map(expired).collect() }
    }
}

impl From<wire::Expire> for Expire {
    fn from(wire: wire::Expire) -> Self {
        let timer = |e: wire::Expired| (TimerKey::new(e.group, e.id), Sequence(e.version));
        Self { timers: wire.timers.into_iter().map(timer).collect() }
    }
}

/// No precondition, the usual case, takes no bytes.
pub(crate) fn precondition_to_wire(precondition: &Precondition) -> Option<wire::Precondition> {
    let Precondition { absent, versions, present, generation, nothing_in_flight } = precondition;
    (*precondition != Precondition::default()).then(|| wire::Precondition {
        absent: *absent,
        versions: versions.iter().map(|version| version.0).collect(),
        present: *present,
        generation: generation.map(|generation| generation.0),
        nothing_in_flight: *nothing_in_flight,
    })
}

pub(crate) fn precondition_from_wire(wire: Option<wire::Precondition>) -> Precondition {
    wire.map_or_else(Precondition::default, |wire| Precondition {
        absent: wire.absent,
        versions: wire.versions.into_iter().map(Sequence).collect(),
        present: wire.present,
        generation: wire.generation.map(Sequence),
        nothing_in_flight: wire.nothing_in_flight,
    })
}

fn fence_to_wire(fence: Fence) -> Option<wire::Fence> {
    let attempt = |(generation, until): (Sequence, Millis)| wire::FencedAttempt {
        generation: generation.0,
        until_ms: until.0,
    };
    (fence != Fence::default())
        .then(|| wire::Fence { session: fence.session, attempt: fence.attempt.map(attempt) })
}

fn fence_from_wire(wire: Option<wire::Fence>) -> Fence {
    let attempt = |a: wire::FencedAttempt| (Sequence(a.generation), Millis(a.until_ms));
    wire.map_or_else(Fence::default, |wire| Fence {
        session: wire.session,
        attempt: wire.attempt.map(attempt),
    })
}
