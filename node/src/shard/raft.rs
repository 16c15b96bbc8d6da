//! A shard's Raft: its settings, with the reasons, and its start.

use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};
use raft_store::TypeConfig;
use raft_store::log::ShardLog;
use raft_store::state_machine::ShardStateMachine;
use timer_core::mutant::Mutant;

use crate::peer::network::NetworkFactory;

/// A shard's Raft handle.
pub type Raft = openraft::Raft<TypeConfig, ShardStateMachine>;

/// What an operator can set.
#[derive(Clone, Copy, Debug)]
pub struct RaftTiming {
    /// How often a leader says that it is there.
    pub heartbeat: Duration,
    /// The shortest and longest wait for a leader before an election; the longest is the leader's lease too.
    pub election_min: Duration,
    /// See `election_min`.
    pub election_max: Duration,
    /// At least lease + longest election time-out: see [`config`].
    pub probe: Duration,
    /// Entries kept behind a snapshot, for followers that lag and because openraft's purge can race with
    /// apply (OPENRAFT.md, point 6).
    pub log_keep_entries: u64,
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The settings of a shard's Raft.
///
/// # Errors
/// openraft's own words when the times contradict each other.
pub fn config(cluster: &str, shard: u16, timing: &RaftTiming) -> Result<Arc<Config>, String> {
    let config = Config {
        cluster_name: format!("{cluster}/{shard}"),
        heartbeat_interval: ms(timing.heartbeat),
        election_timeout_min: ms(timing.election_min),
        election_timeout_max: ms(timing.election_max),
        // By default one append carries 300 entries; ours may have a MiB each. The log store bounds the
        // bytes of an append (`limited_get_log_entries`), this bounds their number.
        max_payload_entries: 64,
        replication_lag_threshold: timing.log_keep_entries,
        // The node flushes the state and then asks for a snapshot that is metadata only; openraft's own
        // policy would build one every 5,000 entries.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: timing.log_keep_entries,
        purge_batch_size: 256,
        install_snapshot_timeout: 600_000,
        // A follower that is cut off must not come back with a higher term and unseat a good leader.
        enable_pre_vote: Some(true),
        // Without it a partition in which one node sees both sides can block elections for ever
        // (openraft #2080); off by default.
        quorum_loss_probe_interval: (!Mutant::NoQuorumProbe.is_on()).then(|| ms(timing.probe)),
        // By default a restarted leader goes on in its old term; its state may be older than what it had
        // shown, since the state DB has no WAL.
        enable_leader_restore: Some(false),
        // Elections begin when the host allows them: not within a lease of the start.
        enable_elect: false,
        ..Config::default()
    };
    config.validate().map(Arc::new).map_err(|e| e.to_string())
}

/// Starts the Raft of a shard on its stores.
///
/// # Errors
/// One line: what the stores had.
pub async fn start(
    node: u64,
    config: Arc<Config>,
    network: NetworkFactory,
    log: ShardLog,
    machine: ShardStateMachine,
) -> Result<Raft, String> {
    Raft::new(node, config, network, log, machine).await.map_err(|e| format!("Raft did not start: {e}"))
}
