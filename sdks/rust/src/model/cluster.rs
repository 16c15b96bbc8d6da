//! What serves the timers: nodes, shards, and the clock of a development server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Who answers, and what time it is there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// `durable-timer`.
    pub name: String,
    /// Of the software.
    pub version: String,
    /// `v1`.
    pub api_version: String,
    /// RFC 3339.
    pub server_time: String,
    /// Minted when the cluster formed.
    pub cluster_id: String,
    /// Its configured name.
    pub cluster_name: String,
    /// The node that answers.
    pub node_id: u64,
    /// Its configured name.
    pub node_name: String,
}

/// The cluster as the node that answers sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterView {
    /// Minted when the cluster formed.
    pub cluster_id: String,
    /// Its configured name.
    pub cluster_name: String,
    /// The node that answers.
    pub node_id: u64,
    /// Its configured name.
    pub node_name: String,
    /// Members, by name.
    pub nodes: Vec<NodeView>,
    /// By number.
    pub shards: Vec<ShardView>,
    /// Whether every shard has a quorum and every node can be reached.
    #[serde(default)]
    pub healthy: Option<bool>,
    /// The numbers of those that have none.
    #[serde(default)]
    pub shards_without_quorum: Vec<u16>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    /// Its id.
    pub id: u64,
    /// Its configured name.
    pub name: String,
    /// Where peers reach it, `host:port`.
    pub peer_address: String,
    /// Where clients reach it, as it says itself.
    pub http_url: String,
    /// Its software's version, if it is known.
    #[serde(default)]
    pub version: Option<String>,
    /// Whether the node that answers can talk to it now.
    pub reachable: bool,
    /// Its clock less that of the node that answers, in ms, if they were compared.
    #[serde(default)]
    pub clock_offset_ms: Option<i64>,
}

/// A shard.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardView {
    /// Its number.
    pub shard: u16,
    /// The leader's id, if there is one.
    #[serde(default)]
    pub leader: Option<u64>,
    /// The Raft term.
    pub term: u64,
    /// The voters' ids.
    pub voters: Vec<u64>,
    /// What the node that answers has applied.
    pub applied_index: u64,
    /// Whether a quorum is there, as far as the node that answers knows.
    pub healthy: bool,
}

/// What a client needs to go straight to a timer's leader.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Routing {
    /// Names the function from group and id to shard.
    pub algorithm: String,
    /// Minted when the cluster formed.
    pub cluster_id: String,
    /// Fixed when the cluster formed.
    pub cluster_shards: u16,
    /// Each group's number of shards.
    pub groups: BTreeMap<String, u16>,
    /// By number.
    pub shards: Vec<ShardLeader>,
}

/// Who leads a shard.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardLeader {
    /// Its number.
    pub shard: u16,
    /// The leader's id, if there is one.
    #[serde(default)]
    pub leader: Option<u64>,
    /// Where clients reach the leader.
    #[serde(default)]
    pub http_url: Option<String>,
}

/// What the manual clock of a development server shows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clock {
    /// RFC 3339.
    pub now: String,
}

/// How far a manual clock is to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ClockAdvance {
    /// By a duration, as in `30d`.
    By(String),
    /// To a time in RFC 3339.
    To(String),
}
