//! Entries of the log and the commands in them, as bytes.

use bytes::Bytes;
use prost::Message as _;
use timer_core::command::{Command, Entry, Envelope, Moment, Patch, Precondition};
use timer_core::definition::{Callback, DeadOn, Definition, Payload, RetryPolicy};
use timer_core::ids::{Sequence, TimerKey};
use timer_core::limits::{COMMANDS_PER_ENTRY_MAX, SECRET_BYTES};
use timer_core::time::Millis;
use timer_core::timer::RequestKey;

use crate::error::{DecodeError, required};
use crate::wire::store as wire;

/// An entry as it stands in the log.
#[must_use]
pub fn encode(entry: &Entry) -> Bytes {
    wire::LogEntry::from(entry).encode_to_vec().into()
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// When it is not an entry, holds a command that only a newer version knows, or too many commands.
pub fn decode(bytes: &[u8]) -> Result<Entry, DecodeError> {
    wire::LogEntry::decode(bytes)
        .map_err(|fault| DecodeError::Wire { message: "LogEntry", fault })?
        .try_into()
}

/// One command with who asked for it, to be sent to the shard's leader.
#[must_use]
pub fn encode_envelope(envelope: &Envelope) -> Bytes {
    wire::Envelope::from(envelope).encode_to_vec().into()
}

/// Reads what [`encode_envelope`] wrote.
///
/// # Errors
/// When it is not an envelope, or its command is one that only a newer version knows.
pub fn decode_envelope(bytes: &[u8]) -> Result<Envelope, DecodeError> {
    wire::Envelope::decode(bytes)
        .map_err(|fault| DecodeError::Wire { message: "Envelope", fault })?
        .try_into()
}

impl From<&Entry> for wire::LogEntry {
    fn from(entry: &Entry) -> Self {
        Self {
            proposed_at_ms: entry.proposed_at.0,
            commands: entry.commands.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::LogEntry> for Entry {
    type Error = DecodeError;

    fn try_from(wire: wire::LogEntry) -> Result<Self, DecodeError> {
        let (value, max) = (wire.commands.len() as u64, u64::from(COMMANDS_PER_ENTRY_MAX));
        if value > max {
            return Err(DecodeError::OutOfRange { message: "LogEntry", field: "commands", value, max });
        }
        Ok(Self {
            proposed_at: Millis(wire.proposed_at_ms),
            commands: wire.commands.into_iter().map(Envelope::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Envelope> for wire::Envelope {
    fn from(envelope: &Envelope) -> Self {
        Self {
            principal: envelope.principal.clone(),
            request: envelope.request.as_ref().map(Into::into),
            traceparent: envelope.traceparent.clone(),
            asked_since: envelope
                .asked_since
                .map(|since| wire::Moment { index: since.index, time_ms: since.time.0 }),
            group_generation: envelope.group.map(|generation| generation.0),
            command: Some((&envelope.command).into()),
        }
    }
}

impl TryFrom<wire::Envelope> for Envelope {
    type Error = DecodeError;

    fn try_from(wire: wire::Envelope) -> Result<Self, DecodeError> {
        Ok(Self {
            principal: wire.principal,
            request: wire.request.map(RequestKey::try_from).transpose()?,
            traceparent: wire.traceparent,
            asked_since: wire
                .asked_since
                .map(|since| Moment { index: since.index, time: Millis(since.time_ms) }),
            group: wire.group_generation.map(Sequence),
            command: required(wire.command, "Envelope", "command")?.try_into()?,
        })
    }
}

/// More than the bytes of all numbers, tags and lengths of any message with a bounded number of fields: a put's are the most, and a
/// test has one with the largest numbers.
const FIXED: usize = 320;
/// More than the tags and lengths around a string in a list, and numbers beside it.
const ITEM: usize = 32;

/// How many bytes `envelope` takes in an entry at the most, without encoding it: for filling entries up to
/// their bound. It is too large by a few hundred bytes at most, and by a few for each item of a list.
#[must_use]
pub fn envelope_len(envelope: &Envelope) -> usize {
    let head = envelope.principal.len()
        + envelope.request.as_ref().map_or(0, |request| request.id.len())
        + envelope.traceparent.as_ref().map_or(0, String::len);
    FIXED + head + command_len(&envelope.command)
}

fn command_len(command: &Command) -> usize {
    use timer_core::command::{AttemptResult, Park, Release};
    match command {
        Command::Put(put) => {
            key_len(&put.key) + precondition_len(&put.precondition) + definition_len(&put.definition)
        }
        Command::Patch(patch) => patch_len(patch),
        Command::Delete(delete) => key_len(&delete.key) + precondition_len(&delete.precondition),
        Command::Fire(fire) => key_len(&fire.key) + precondition_len(&fire.precondition),
        Command::Redrive(redrive) => key_len(&redrive.key) + precondition_len(&redrive.precondition),
        Command::Outcome(outcome) => {
            let answer = outcome.details.as_ref().and_then(|details| details.answer.as_ref());
            key_len(&outcome.key)
                + answer.map_or(0, |answer| answer.body().len())
                + match &outcome.result {
                    AttemptResult::DeliveredNext { payload, .. } => payload.as_ref().map_or(0, payload_len),
                    AttemptResult::Failed { error, .. } => error.message.len(),
                    AttemptResult::Delivered | AttemptResult::Deferred { .. } | AttemptResult::Skipped => 0,
                }
        }
        Command::HandOver(hand_over) => {
            hand_over.attempts.iter().map(|attempt| ITEM + ITEM + key_len(&attempt.key)).sum()
        }
        Command::Expire(expire) => expire.timers.iter().map(|(key, _)| ITEM + key_len(key)).sum(),
        Command::PutGroup(put) => put.name.len() + precondition_len(&put.precondition),
        Command::StepGroup(step) => step.name.len(),
        Command::SetGroup(set) => {
            let answers = set.group.answers.iter().map(|kept| 3 * ITEM + kept.request.id.len());
            let secrets = set.group.secrets.len() * (ITEM + SECRET_BYTES);
            set.group.name.len() + answers.sum::<usize>() + secrets
        }
        Command::AddSigningSecret(add) => add.group.len() + SECRET_BYTES,
        Command::RemoveSigningSecret(remove) => remove.group.len(),
        Command::PauseGroup(pause) => pause.name.len() + precondition_len(&pause.precondition),
        Command::Park(Park { timers, .. }) | Command::Release(Release { timers, .. }) => {
            timers.iter().map(|parked| ITEM + key_len(&parked.key)).sum()
        }
        Command::OpenSession(_) | Command::AdvanceCursor(_) => 0,
    }
}

fn key_len(key: &TimerKey) -> usize {
    key.group.len() + key.id.len()
}

fn precondition_len(precondition: &Precondition) -> usize {
    precondition.versions.len() * 10
}

fn definition_len(definition: &Definition) -> usize {
    let Definition { execute_at: _, callback, payload, retry, late: _, labels } = definition;
    let Callback { url, headers, method: _, timeout: _, body: _ } = callback;
    let RetryPolicy { dead_on, .. } = retry;
    url.len()
        + headers.iter().map(|(name, value)| ITEM + name.len() + value.len()).sum::<usize>()
        + labels.iter().map(|(name, value)| ITEM + name.len() + value.len()).sum::<usize>()
        + payload_len(payload)
        + dead_on_len(dead_on)
}

fn patch_len(patch: &Patch) -> usize {
    let change =
        |name: &String, value: &Option<String>| ITEM + name.len() + value.as_ref().map_or(0, String::len);
    key_len(&patch.key)
        + precondition_len(&patch.precondition)
        + patch.url.as_ref().map_or(0, String::len)
        + patch.headers.iter().map(|(name, value)| change(name, value)).sum::<usize>()
        + patch.labels.iter().map(|(name, value)| change(name, value)).sum::<usize>()
        + patch.payload.as_ref().map_or(0, payload_len)
        + patch.retry.dead_on.as_ref().map_or(0, dead_on_len)
}

fn payload_len(payload: &Payload) -> usize {
    match payload {
        Payload::None => 0,
        Payload::Json(bytes) => bytes.len(),
        Payload::Binary { bytes, content_type } => bytes.len() + content_type.len(),
    }
}

fn dead_on_len(dead_on: &DeadOn) -> usize {
    match dead_on {
        DeadOn::All4xx => 0,
        DeadOn::Codes(codes) => codes.len() * 3,
    }
}
