//! Groups: the record, its copy in a command, and the counts beside it.

use bytes::Bytes;
use prost::Message as _;
use timer_core::command::{PauseGroup, PutGroup, SetGroup, StepGroup};
use timer_core::group::{Group, GroupCounts, GroupSettings, KeptGroupAnswer};
use timer_core::ids::Sequence;
use timer_core::secret::SigningSecret;
use timer_core::time::{Millis, Span};
use timer_core::timer::RequestKey;

use crate::command::{precondition_from_wire, precondition_to_wire};
use crate::error::{DecodeError, narrow, required};
use crate::numbers::{Numbered, known};
use crate::wire::store as wire;

/// A group's record as stored.
#[must_use]
pub fn encode(group: &Group) -> Bytes {
    wire::Group::from(group).encode_to_vec().into()
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// When it is not a record of a group, or of a kind that only a newer version knows.
pub fn decode(bytes: &[u8]) -> Result<Group, DecodeError> {
    wire::Group::decode(bytes).map_err(|fault| DecodeError::Wire { message: "Group", fault })?.try_into()
}

/// A group's counts as stored.
#[must_use]
pub fn encode_counts(counts: &GroupCounts) -> Bytes {
    wire::Counts::from(*counts).encode_to_vec().into()
}

/// Reads what [`encode_counts`] wrote.
///
/// # Errors
/// When they are no counts.
pub fn decode_counts(bytes: &[u8]) -> Result<GroupCounts, DecodeError> {
    let counts =
        wire::Counts::decode(bytes).map_err(|fault| DecodeError::Wire { message: "Counts", fault })?;
    Ok(counts.into())
}

impl From<GroupCounts> for wire::Counts {
    fn from(counts: GroupCounts) -> Self {
        let GroupCounts([scheduled, retrying, delivered, dead, skipped, cancelled]) = counts;
        Self { scheduled, retrying, delivered, dead, skipped, cancelled }
    }
}

impl From<wire::Counts> for GroupCounts {
    fn from(wire: wire::Counts) -> Self {
        let wire::Counts { scheduled, retrying, delivered, dead, skipped, cancelled } = wire;
        Self([scheduled, retrying, delivered, dead, skipped, cancelled])
    }
}

impl From<&GroupSettings> for wire::GroupSettings {
    fn from(settings: &GroupSettings) -> Self {
        Self {
            shards: settings.shards.into(),
            retention_ms: settings.retention.0,
            dead_retention_ms: settings.dead_retention.0,
            retain_payload: settings.retain_payload,
            horizon_max_ms: settings.horizon_max.0,
            pending_max: settings.pending_max,
        }
    }
}

impl TryFrom<wire::GroupSettings> for GroupSettings {
    type Error = DecodeError;

    fn try_from(wire: wire::GroupSettings) -> Result<Self, DecodeError> {
        Ok(Self {
            shards: narrow(wire.shards, "GroupSettings", "shards")?,
            retention: Span(wire.retention_ms),
            dead_retention: Span(wire.dead_retention_ms),
            retain_payload: wire.retain_payload,
            horizon_max: Span(wire.horizon_max_ms),
            pending_max: wire.pending_max,
        })
    }
}

impl From<&Group> for wire::Group {
    fn from(group: &Group) -> Self {
        Self {
            name: group.name.clone(),
            generation: group.generation.0,
            version: group.version.0,
            phase: group.phase.number(),
            settings: Some((&group.settings).into()),
            created_at_ms: group.created_at.0,
            updated_at_ms: group.updated_at.0,
            settled: group.settled,
            paused_at_ms: group.paused_at.map(|at| at.0),
            answers: group.answers.iter().map(Into::into).collect(),
            secrets: group.secrets.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Group> for Group {
    type Error = DecodeError;

    fn try_from(wire: wire::Group) -> Result<Self, DecodeError> {
        const MESSAGE: &str = "Group";
        Ok(Self {
            name: wire.name,
            generation: Sequence(wire.generation),
            version: Sequence(wire.version),
            phase: known(wire.phase, MESSAGE, "phase")?,
            settings: required(wire.settings, MESSAGE, "settings")?.try_into()?,
            created_at: Millis(wire.created_at_ms),
            updated_at: Millis(wire.updated_at_ms),
            settled: wire.settled,
            paused_at: wire.paused_at_ms.map(Millis),
            answers: wire.answers.into_iter().map(KeptGroupAnswer::try_from).collect::<Result<_, _>>()?,
            secrets: wire.secrets.into_iter().map(SigningSecret::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&KeptGroupAnswer> for wire::KeptGroupAnswer {
    fn from(kept: &KeptGroupAnswer) -> Self {
        Self {
            request: Some((&kept.request).into()),
            at_ms: kept.at.0,
            effect: kept.effect.number(),
            version: kept.version.0,
        }
    }
}

impl TryFrom<wire::KeptGroupAnswer> for KeptGroupAnswer {
    type Error = DecodeError;

    fn try_from(wire: wire::KeptGroupAnswer) -> Result<Self, DecodeError> {
        const MESSAGE: &str = "KeptGroupAnswer";
        Ok(Self {
            request: RequestKey::try_from(required(wire.request, MESSAGE, "request")?)?,
            at: Millis(wire.at_ms),
            effect: known(wire.effect, MESSAGE, "effect")?,
            version: Sequence(wire.version),
        })
    }
}

impl From<&PutGroup> for wire::PutGroup {
    fn from(put: &PutGroup) -> Self {
        Self {
            name: put.name.clone(),
            settings: Some((&put.settings).into()),
            keeps_shards: put.keeps_shards,
            precondition: precondition_to_wire(&put.precondition),
        }
    }
}

impl TryFrom<wire::PutGroup> for PutGroup {
    type Error = DecodeError;

    fn try_from(wire: wire::PutGroup) -> Result<Self, DecodeError> {
        Ok(Self {
            name: wire.name,
            settings: required(wire.settings, "PutGroup", "settings")?.try_into()?,
            keeps_shards: wire.keeps_shards,
            precondition: precondition_from_wire(wire.precondition),
        })
    }
}

impl From<&StepGroup> for wire::StepGroup {
    fn from(step: &StepGroup) -> Self {
        Self { name: step.name.clone(), version: step.version.0, step: step.step.number() }
    }
}

impl TryFrom<wire::StepGroup> for StepGroup {
    type Error = DecodeError;

    fn try_from(wire: wire::StepGroup) -> Result<Self, DecodeError> {
        let step = known(wire.step, "StepGroup", "step")?;
        Ok(Self { name: wire.name, version: Sequence(wire.version), step })
    }
}

impl From<&PauseGroup> for wire::PauseGroup {
    fn from(pause: &PauseGroup) -> Self {
        Self {
            name: pause.name.clone(),
            paused: pause.paused,
            shards: pause.shards.into(),
            precondition: precondition_to_wire(&pause.precondition),
        }
    }
}

impl TryFrom<wire::PauseGroup> for PauseGroup {
    type Error = DecodeError;

    fn try_from(wire: wire::PauseGroup) -> Result<Self, DecodeError> {
        let shards = narrow(wire.shards, "PauseGroup", "shards")?;
        let precondition = precondition_from_wire(wire.precondition);
        Ok(Self { name: wire.name, paused: wire.paused, shards, precondition })
    }
}

impl From<&SetGroup> for wire::SetGroup {
    fn from(set: &SetGroup) -> Self {
        Self { group: Some((&set.group).into()) }
    }
}

impl TryFrom<wire::SetGroup> for SetGroup {
    type Error = DecodeError;

    fn try_from(wire: wire::SetGroup) -> Result<Self, DecodeError> {
        Ok(Self { group: required(wire.group, "SetGroup", "group")?.try_into()? })
    }
}
