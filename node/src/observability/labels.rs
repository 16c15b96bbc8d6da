//! The labels of metrics, all of them from closed sets: a name that a caller could choose would let callers make
//! series without end.

use prometheus_client::encoding::EncodeLabelSet;
use timer_core::command::{AttemptResult, Command, Refusal, Reply};
use timer_core::timer::State;

use crate::backend::{Applied, BackendError};

/// A message for a request that was brought to another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// The leader answered.
    Answered,
    /// The node asked does not lead the shard.
    NotLeader,
    /// No connection, or no answer in time.
    Failed,
}

/// Which way a snapshot goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotDirection {
    /// To a follower.
    Sent,
    /// From the leader.
    Received,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct CommandLabels {
    pub command: &'static str,
    pub result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct HttpLabels {
    pub operation: &'static str,
    pub status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct OperationLabel {
    pub operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ResultLabel {
    pub result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct StateLabel {
    pub state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct SnapshotLabels {
    pub direction: &'static str,
    pub result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ShardLabel {
    pub shard: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct VersionLabel {
    pub version: &'static str,
}

pub(super) const SKIPPED: &str = "skipped";
pub(super) const WITHHELD: &str = "withheld";
pub(super) const CALLBACK_RESULTS: [&str; 6] =
    ["delivered", "failed", "failed_for_good", "deferred", SKIPPED, WITHHELD];

pub(super) fn attempt_name(result: &AttemptResult) -> &'static str {
    match result {
        AttemptResult::Delivered | AttemptResult::DeliveredNext { .. } => "delivered",
        AttemptResult::Failed { permanent: false, .. } => "failed",
        AttemptResult::Failed { permanent: true, .. } => "failed_for_good",
        AttemptResult::Deferred { .. } => "deferred",
        AttemptResult::Skipped => SKIPPED,
    }
}

pub(super) fn command_name(command: &Command) -> &'static str {
    match command {
        Command::Put(_) => "put",
        Command::Patch(_) => "patch",
        Command::Delete(_) => "delete",
        Command::Fire(_) => "fire",
        Command::Redrive(_) => "redrive",
        Command::PutGroup(_) => "put_group",
        Command::AddSigningSecret(_) => "add_signing_secret",
        Command::RemoveSigningSecret(_) => "remove_signing_secret",
        Command::PauseGroup(_) => "pause_group",
        Command::Outcome(_)
        | Command::OpenSession(_)
        | Command::HandOver(_)
        | Command::AdvanceCursor(_)
        | Command::Expire(_)
        | Command::StepGroup(_)
        | Command::SetGroup(_)
        | Command::Park(_)
        | Command::Release(_) => "internal",
    }
}

pub(super) fn answer_name(answer: &Result<Reply, BackendError>) -> &'static str {
    match answer {
        Ok(Reply::Refused(Refusal::Forgotten)) => "unknown",
        Ok(Reply::Refused(_)) => "refused",
        Ok(
            Reply::Done(_)
            | Reply::Outcome(_)
            | Reply::SessionOpened(_)
            | Reply::Group(_)
            | Reply::GroupHeld(_)
            | Reply::Ack,
        ) => "done",
        Err(BackendError::Unavailable { outcome: Applied::NotApplied, .. }) => "unavailable",
        Err(BackendError::TimedOut { outcome: Applied::NotApplied, .. }) => "timed_out",
        Err(
            BackendError::Unavailable { outcome: Applied::Unknown, .. }
            | BackendError::TimedOut { outcome: Applied::Unknown, .. },
        ) => "unknown",
        Err(BackendError::Overloaded { .. }) => "overloaded",
        Err(BackendError::DiskFull) => "disk_full",
        Err(BackendError::GroupNotFound) => "refused",
        Err(BackendError::Internal(_)) => "internal_error",
    }
}

pub(super) fn forwarded_label(result: Forwarded) -> ResultLabel {
    let result = match result {
        Forwarded::Answered => "answered",
        Forwarded::NotLeader => "not_leader",
        Forwarded::Failed => "failed",
    };
    ResultLabel { result }
}

pub(super) fn snapshot_labels(direction: SnapshotDirection, ok: bool) -> SnapshotLabels {
    let direction = match direction {
        SnapshotDirection::Sent => "sent",
        SnapshotDirection::Received => "received",
    };
    SnapshotLabels { direction, result: if ok { "ok" } else { "failed" } }
}

pub(super) fn state_name(state: State) -> &'static str {
    match state {
        State::Scheduled => "scheduled",
        State::Retrying => "retrying",
        State::Delivered => "delivered",
        State::Dead => "dead",
        State::Skipped => "skipped",
        State::Cancelled => "cancelled",
    }
}
