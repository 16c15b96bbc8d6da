//! What the HTTP layer asks of the rest of the node: the seam between the REST contract and the cluster.
//!
//! Implemented by [`crate::cluster`]; the HTTP layer's tests bring a fake.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use timer_core::attempt::{Answer, Attempt};
use timer_core::command::{
    AddSigningSecret, AttemptResult, Command, Precondition, PutGroup, Refusal, RemoveSigningSecret, Reply,
};
use timer_core::definition::Definition;
use timer_core::group::{Group, GroupCounts};
use timer_core::ids::TimerKey;
use timer_core::list::ListQuery;
use timer_core::time::Millis;
use timer_core::timer::{InFlight, RequestKey, Timer};

/// What belongs to one request whatever it asks for.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// `X-Request-Id`: for logs.
    pub request_id: String,
    /// The client's `Idempotency-Key` or a minted one, and the body's fingerprint. None for reads.
    pub request: Option<RequestKey>,
    /// Who asks; empty without authentication.
    pub principal: String,
    /// The W3C `traceparent`.
    pub traceparent: Option<String>,
    /// How long the caller waits for an answer, from now.
    pub deadline: Duration,
}

/// A timer and what its shard's leader alone knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerView {
    /// The record.
    pub timer: Timer,
    /// An attempt of the generation in force that is on its way.
    pub attempt_in_flight: InFlight,
}

/// A page of a list, or a shard's part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The timers, in the list's order.
    pub timers: Vec<TimerView>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// Why the cluster could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The shard has no leader, or none that can be reached. `applied` says what is known of the effect.
    #[error("shard {shard} has no leader that answers: {reason}")]
    Unavailable {
        /// The shard.
        shard: u16,
        /// What may have happened.
        outcome: Applied,
        /// For people.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// A queue is full; nothing was done.
    #[error("overloaded: {reason}")]
    Overloaded {
        /// Which queue.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The deadline passed.
    #[error("no answer within {waited:?}")]
    TimedOut {
        /// What may have happened.
        outcome: Applied,
        /// How long the request waited.
        waited: Duration,
    },
    /// The disk has no room; nothing was done.
    #[error("the disk is full")]
    DiskFull,
    /// There is no such group.
    #[error("there is no such group")]
    GroupNotFound,
    /// A fault of ours; the log has more.
    #[error("internal error: {0}")]
    Internal(String),
}

/// What came of a callback that was sent as a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestedCallback {
    /// What it would have come to for a timer.
    pub result: AttemptResult,
    /// What the receiver answered, if it did.
    pub answer: Option<Answer>,
    /// When it began.
    pub started_at: Millis,
    /// When it was answered, or given up.
    pub finished_at: Millis,
}

/// What came of the delete of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupDeleted {
    /// It is gone.
    Deleted,
    /// It holds timers and stays.
    NotEmpty(GroupCounts),
    /// It stays.
    Refused(Refusal),
}

/// What is known about the effect of a request that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Applied {
    /// It had none and will have none.
    NotApplied,
    /// It may have had, or may still have: repeat it with the same `Idempotency-Key` to learn which.
    Unknown,
}

/// The cluster as the HTTP layer sees it.
pub trait Backend: Send + Sync + 'static {
    /// Replicates `command`, wherever its shard's leader is, and gives its reply. The implementation fills
    /// in the command's `fence`.
    fn submit(&self, context: RequestContext, command: Command)
    -> BoxFuture<'_, Result<Reply, BackendError>>;

    /// Reads a timer, linearizably.
    fn get(
        &self,
        context: RequestContext,
        key: TimerKey,
    ) -> BoxFuture<'_, Result<Option<TimerView>, BackendError>>;

    /// Reads the history of a timer's attempts, linearizably and newest first; none if there is no such timer.
    fn attempts(
        &self,
        context: RequestContext,
        key: TimerKey,
    ) -> BoxFuture<'_, Result<Option<Vec<Attempt>>, BackendError>>;

    /// Reads the first timers of a list over all shards, at most `limit`, and about `bytes_max` of them. What each shard
    /// contributes is linearizable; the shards are not read at one moment.
    fn list(
        &self,
        context: RequestContext,
        query: ListQuery,
        limit: usize,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Listed, BackendError>>;

    /// Whether there is a group `name`, as far as this node knows without asking anew: for what has no timer to ask about.
    fn find_group(&self, context: RequestContext, name: String) -> BoxFuture<'_, Result<(), BackendError>>;

    /// Makes or changes a group. The answer comes when all its shards have it.
    fn put_group(&self, context: RequestContext, put: PutGroup)
    -> BoxFuture<'_, Result<Reply, BackendError>>;

    /// Pauses a group or lets it go on, if `precondition` holds. The answer comes when all its shards know: from then on no
    /// attempt of a paused group starts.
    fn pause_group(
        &self,
        context: RequestContext,
        name: String,
        paused: bool,
        precondition: Precondition,
    ) -> BoxFuture<'_, Result<Reply, BackendError>>;

    /// Gives a group one more signing secret. The answer comes when all its shards sign with it.
    fn add_signing_secret(
        &self,
        context: RequestContext,
        add: AddSigningSecret,
    ) -> BoxFuture<'_, Result<Reply, BackendError>>;

    /// Takes a signing secret from a group. The answer comes when none of its shards signs with it any more.
    fn remove_signing_secret(
        &self,
        context: RequestContext,
        remove: RemoveSigningSecret,
    ) -> BoxFuture<'_, Result<Reply, BackendError>>;

    /// Deletes a group that holds no timers, if `precondition` holds.
    fn delete_group(
        &self,
        context: RequestContext,
        name: String,
        precondition: Precondition,
    ) -> BoxFuture<'_, Result<GroupDeleted, BackendError>>;

    /// Sends a callback of `definition`, as the timer `key` of its group would, and waits for what comes of it. There is no
    /// such timer.
    fn test_callback(
        &self,
        context: RequestContext,
        key: TimerKey,
        definition: Definition,
    ) -> BoxFuture<'_, Result<TestedCallback, BackendError>>;

    /// Reads a group, linearizably.
    fn group(
        &self,
        context: RequestContext,
        name: String,
    ) -> BoxFuture<'_, Result<Option<Group>, BackendError>>;

    /// Reads the groups behind the name `after`, or from the first, in the order of names, linearizably; at most `limit`.
    fn groups(
        &self,
        context: RequestContext,
        after: Option<String>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Group>, BackendError>>;

    /// The shard that `key` belongs to, as far as this node knows its group.
    fn shard_of(&self, key: &TimerKey) -> u16;

    /// How many shards the cluster has for timers.
    fn cluster_shards(&self) -> u16;

    /// The present time of this node's clock.
    fn now(&self) -> Millis;

    /// The cluster as this node sees it.
    fn cluster(&self) -> BoxFuture<'_, ClusterView>;

    /// Whether this node should get requests: `Err` says why not.
    ///
    /// # Errors
    /// One line for the operator.
    fn ready(&self) -> Result<(), String>;

    /// The manual clock of `timerd dev --clock manual`, or none.
    fn manual_clock(&self) -> Option<crate::environment::ManualClock>;

    /// All metrics in Prometheus' text format.
    fn metrics(&self) -> String;

    /// A request was answered; for metrics.
    fn answered(&self, operation: &'static str, status: u16, took: Duration);
}

/// `GET /cluster`, `/cluster/routing` and `/info` are made of this.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterView {
    /// The cluster's id, minted when it formed.
    pub cluster_id: String,
    /// Its configured name.
    pub cluster_name: String,
    /// The node that answers.
    pub node_id: u64,
    /// The node's configured name.
    pub node_name: String,
    /// Members, by name.
    pub nodes: Vec<NodeView>,
    /// Shards, by number.
    pub shards: Vec<ShardView>,
}

/// A member.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    /// Its id.
    pub id: u64,
    /// Its configured name.
    pub name: String,
    /// Where peers reach it, `host:port`.
    pub peer_address: String,
    /// Where clients reach it, as it says itself: a URL.
    pub http_url: String,
    /// Its software's version, if it is known.
    pub version: Option<String>,
    /// Whether this node can talk to it now.
    pub reachable: bool,
    /// Its clock less ours in ms, if it was compared.
    pub clock_offset_ms: Option<i64>,
}

/// A shard.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardView {
    /// Its number.
    pub shard: u16,
    /// The leader's id, if there is one.
    pub leader: Option<u64>,
    /// The Raft term.
    pub term: u64,
    /// The voters' ids.
    pub voters: Vec<u64>,
    /// What this node has applied.
    pub applied_index: u64,
    /// Whether a quorum is there, as far as this node knows.
    pub healthy: bool,
}
