//! What the harness did to the cluster and saw of it from outside. Deliberately not here: how faults are made,
//! and how a harness decides that a shard is healthy; it alone knows what it has broken.

use serde::{Deserialize, Serialize};

/// A fault was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultBegin {
    /// When it was asked for.
    pub at_ns: u64,
    /// Names the fault; unique in the history.
    pub fault: u64,
    /// Its kind, e.g. `kill`, `partitionBridge`, `powerCut`, `bitFlip`, `clockOffset`.
    pub fault_kind: String,
    /// The nodes concerned.
    pub nodes: Vec<u32>,
    /// Whether it took effect.
    pub effective: bool,
    /// How that was established, for people: "process gone", "ping lost 100%".
    pub established: String,
    /// By how much the clocks are off at most, in milliseconds, if it is a fault of clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i64>,
}

/// A fault was taken back, and its end was established.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultEnd {
    /// When.
    pub at_ns: u64,
    /// Which.
    pub fault: u64,
}

/// A shard became able, or unable, to work, by the harness's own book of faults: able means that a quorum of
/// its replicas is up, connected and not stalled, that clients reach it, and that it reaches the receivers.
/// Before the first line a shard counts as unable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// When.
    pub at_ns: u64,
    /// The shard.
    pub shard: u16,
    /// Whether it is able.
    pub healthy: bool,
}

/// A leader opened its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leader {
    /// When it was seen; never before it happened.
    pub at_ns: u64,
    /// The shard.
    pub shard: u16,
    /// The Raft term.
    pub term: u64,
    /// The session: the log index of its `OpenSession`.
    pub session: u64,
    /// The leader.
    pub node: u32,
}

/// A replica's state at a point of its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// When.
    pub at_ns: u64,
    /// The node.
    pub node: u32,
    /// The shard.
    pub shard: u16,
    /// The index that was applied last.
    pub applied_index: u64,
    /// The hash of its state there.
    pub hash: String,
}

/// An input at the edge of what is allowed: sent, and read back if it was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Boundary {
    /// When it was sent.
    pub called_ns: u64,
    /// When it was answered, or given up.
    pub at_ns: u64,
    /// What the case is about, for people: "payload of 256 KiB and one byte".
    pub case: String,
    /// The timer.
    pub timer: String,
    /// The HTTP status of the answer; 0 if there was none.
    pub status: u16,
    /// What was sent, in canonical form.
    pub sent: String,
    /// What was read back, in canonical form; `None` if there was nothing to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}
