//! All metrics of a node: typed handles in one place, so that `docs/metrics.md` can be held against them. No
//! label names a host, a node, a group or a timer: their number is not ours to bound. A shard's number is one where
//! the shards' sum would say nothing: there are as many as the cluster was formed with.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use timer_core::command::{AttemptResult, Command, Reply};
use timer_core::time::Millis;
use timer_core::timer::State;
use tokio::time::Instant;

mod registration;

use super::labels::{
    CALLBACK_RESULTS, CommandLabels, HttpLabels, OperationLabel, ResultLabel, SKIPPED, ShardLabel,
    SnapshotLabels, StateLabel, WITHHELD, answer_name, attempt_name, command_name, forwarded_label,
    snapshot_labels, state_name,
};
pub use super::labels::{Forwarded, SnapshotDirection};
use super::process::ProcessStats;
use crate::backend::BackendError;

/// The `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// From a lateness of a millisecond, which is on time, to an hour, which is an outage.
const LATENESS_BUCKETS: [f64; 17] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0];
/// Up to the longest time-out of a callback.
const CALLBACK_BUCKETS: [f64; 14] =
    [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0];
const HTTP_BUCKETS: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Up to the most commands that an entry can have.
const COMMANDS_BUCKETS: [f64; 13] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];

type Seconds = Gauge<f64, AtomicU64>;
type HistogramFamily = Family<OperationLabel, Histogram, fn() -> Histogram>;

/// The metrics of one node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    started: Instant,
    commands: Family<CommandLabels, Counter>,
    http_requests: Family<HttpLabels, Counter>,
    http_duration: HistogramFamily,
    callbacks: Family<ResultLabel, Counter>,
    callback_lateness: Histogram,
    callback_duration: Histogram,
    attempts_in_flight: Gauge,
    timers: Family<StateLabel, Gauge>,
    overdue: Gauge,
    parked: Gauge,
    elections: Counter,
    cursor_held: Counter,
    leader_shards: Gauge,
    shards_without_leader: Gauge,
    raft_restarts: Counter,
    proposal_commands: Histogram,
    proposal_queue_commands: Gauge,
    proposal_queue_bytes: Gauge,
    log_sync_stalled: Seconds,
    disk_free: Gauge,
    forwarded: Family<ResultLabel, Counter>,
    snapshots: Family<SnapshotLabels, Counter>,
    last_log_index: Family<ShardLabel, Gauge>,
    applied_index: Family<ShardLabel, Gauge>,
    purged_index: Family<ShardLabel, Gauge>,
    peers_connected: Gauge,
    clock_offset: Seconds,
    certificate_expiry: Gauge,
    certificate_refused: Gauge,
    resident_bytes: Gauge,
    open_fds: Gauge,
    fds_max: Gauge,
    uptime: Seconds,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn gauge_value(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

impl Metrics {
    /// New metrics, all zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            started: Instant::now(),
            commands: Family::default(),
            http_requests: Family::default(),
            http_duration: Family::new_with_constructor(|| Histogram::new(HTTP_BUCKETS)),
            callbacks: Family::default(),
            callback_lateness: Histogram::new(LATENESS_BUCKETS),
            callback_duration: Histogram::new(CALLBACK_BUCKETS),
            attempts_in_flight: Gauge::default(),
            timers: Family::default(),
            overdue: Gauge::default(),
            parked: Gauge::default(),
            elections: Counter::default(),
            cursor_held: Counter::default(),
            leader_shards: Gauge::default(),
            shards_without_leader: Gauge::default(),
            raft_restarts: Counter::default(),
            proposal_commands: Histogram::new(COMMANDS_BUCKETS),
            proposal_queue_commands: Gauge::default(),
            proposal_queue_bytes: Gauge::default(),
            log_sync_stalled: Seconds::default(),
            disk_free: Gauge::default(),
            forwarded: Family::default(),
            snapshots: Family::default(),
            last_log_index: Family::default(),
            applied_index: Family::default(),
            purged_index: Family::default(),
            peers_connected: Gauge::default(),
            clock_offset: Seconds::default(),
            certificate_expiry: Gauge::default(),
            certificate_refused: Gauge::default(),
            resident_bytes: Gauge::default(),
            open_fds: Gauge::default(),
            fds_max: Gauge::default(),
            uptime: Seconds::default(),
        };
        metrics.begin_at_zero();
        metrics.registry = metrics.register();
        metrics
    }

    /// Series whose labels are known show from the start: the first event is then an increase, not a birth.
    fn begin_at_zero(&self) {
        for result in CALLBACK_RESULTS {
            drop(self.callbacks.get_or_create(&ResultLabel { result }));
        }
        for result in [Forwarded::Answered, Forwarded::NotLeader, Forwarded::Failed] {
            drop(self.forwarded.get_or_create(&forwarded_label(result)));
        }
        for direction in [SnapshotDirection::Sent, SnapshotDirection::Received] {
            for ok in [true, false] {
                drop(self.snapshots.get_or_create(&snapshot_labels(direction, ok)));
            }
        }
        for state in State::ALL {
            drop(self.timers.get_or_create(&StateLabel { state: state_name(state) }));
        }
    }

    /// A command of a client was answered on this node, wherever its shard's leader is.
    pub fn command_answered(&self, command: &Command, answer: &Result<Reply, BackendError>) {
        let labels = CommandLabels { command: command_name(command), result: answer_name(answer) };
        self.commands.get_or_create(&labels).inc();
    }

    /// A request was answered. `operation` is an `operationId` of `api.yaml`, never part of the path.
    pub fn http_answered(&self, operation: &'static str, status: u16, took: Duration) {
        self.http_requests.get_or_create(&HttpLabels { operation, status }).inc();
        self.http_duration.get_or_create(&OperationLabel { operation }).observe(took.as_secs_f64());
    }

    /// An attempt starts, so much later than it was wanted.
    pub fn attempt_started(&self, late_ms: u64) {
        self.callback_lateness.observe(Duration::from_millis(late_ms).as_secs_f64());
        self.attempts_in_flight.inc();
    }

    /// An attempt that was started has ended.
    pub fn attempt_finished(&self, result: &AttemptResult, took_ms: u64) {
        self.callback_duration.observe(Duration::from_millis(took_ms).as_secs_f64());
        self.attempts_in_flight.dec();
        self.callbacks.get_or_create(&ResultLabel { result: attempt_name(result) }).inc();
    }

    /// An attempt that was started was not sent.
    pub fn attempt_withheld(&self) {
        self.attempts_in_flight.dec();
        self.callbacks.get_or_create(&ResultLabel { result: WITHHELD }).inc();
    }

    /// A timer was skipped without an attempt, being later than its grace window.
    pub fn attempt_skipped(&self) {
        self.callbacks.get_or_create(&ResultLabel { result: SKIPPED }).inc();
    }

    /// An entry with so many commands was proposed.
    #[expect(clippy::cast_precision_loss, reason = "at most 4096")]
    pub fn entry_proposed(&self, commands: usize) {
        self.proposal_commands.observe(commands as f64);
    }

    /// What waits in the proposal queues of all shards.
    pub fn proposal_queue(&self, commands: usize, bytes: usize) {
        self.proposal_queue_commands.set(gauge_value(commands));
        self.proposal_queue_bytes.set(gauge_value(bytes));
    }

    /// How many timers of the shards that this node leads are parked.
    pub fn parked(&self, timers: u64) {
        self.parked.set(gauge_value(timers));
    }

    /// This node took the lead of a shard.
    pub fn office_taken(&self) {
        self.elections.inc();
    }

    /// A timer that waits kept the cursor from passing it.
    pub fn cursor_held(&self) {
        self.cursor_held.inc();
    }

    /// A shard's Raft ended by itself and is started again.
    pub fn raft_restarted(&self) {
        self.raft_restarts.inc();
    }

    /// How many shards this node leads, and how many have no leader that it knows.
    pub fn shards(&self, led: u64, without_leader: u64) {
        self.leader_shards.set(gauge_value(led));
        self.shards_without_leader.set(gauge_value(without_leader));
    }

    /// Timers of the shards that this node leads, in the order of [`State::ALL`].
    pub fn timers_by_state(&self, counts: &[u64; State::ALL.len()]) {
        for (state, count) in State::ALL.into_iter().zip(counts) {
            self.timers.get_or_create(&StateLabel { state: state_name(state) }).set(gauge_value(*count));
        }
    }

    /// Pending timers of the shards that this node leads whose time has come and that wait for a place.
    pub fn overdue(&self, timers: usize) {
        self.overdue.set(gauge_value(timers));
    }

    /// How long the sync that is under way has taken; zero without one.
    pub fn log_sync_stalled(&self, stalled: Duration) {
        self.log_sync_stalled.set(stalled.as_secs_f64());
    }

    /// What is free on the disk of the data directory, in bytes.
    pub fn disk_free(&self, bytes: u64) {
        self.disk_free.set(gauge_value(bytes));
    }

    /// A request was brought to another node.
    pub fn forwarded(&self, result: Forwarded) {
        self.forwarded.get_or_create(&forwarded_label(result)).inc();
    }

    /// A snapshot's transfer ended.
    pub fn snapshot(&self, direction: SnapshotDirection, ok: bool) {
        self.snapshots.get_or_create(&snapshot_labels(direction, ok)).inc();
    }

    /// How far a shard's log reaches here, is applied, and is purged: the difference of `applied` between nodes is
    /// how far one is behind.
    pub fn log_indexes(&self, shard: u16, last: u64, applied: u64, purged: u64) {
        let gauges =
            [(&self.last_log_index, last), (&self.applied_index, applied), (&self.purged_index, purged)];
        for (gauge, index) in gauges {
            gauge.get_or_create(&ShardLabel { shard }).set(gauge_value(index));
        }
    }

    /// Peers that this node has a connection to.
    pub fn peers_connected(&self, peers: usize) {
        self.peers_connected.set(gauge_value(peers));
    }

    /// The peer's clock less ours that differs most.
    pub fn clock_offset(&self, offset_ms: i64) {
        let seconds = Duration::from_millis(offset_ms.unsigned_abs()).as_secs_f64();
        self.clock_offset.set(if offset_ms < 0 { -seconds } else { seconds });
    }

    /// A certificate is served from now on that is good until `expires_at`.
    pub fn certificate_served(&self, expires_at: Millis) {
        self.certificate_expiry.set(gauge_value(expires_at.0 / 1000));
        self.certificate_refused.set(0);
    }

    /// What the files of the certificate hold is not good: what was served before is served on.
    pub fn certificate_refused(&self) {
        self.certificate_refused.set(1);
    }

    /// All metrics in Prometheus' text format, [`CONTENT_TYPE`].
    #[must_use]
    pub fn render(&self) -> String {
        let process = ProcessStats::read();
        self.resident_bytes.set(gauge_value(process.resident_bytes));
        self.open_fds.set(gauge_value(process.open_fds));
        self.fds_max.set(gauge_value(process.fds_max));
        self.uptime.set(self.started.elapsed().as_secs_f64());
        let mut text = String::new();
        // Only a writer can fail, and a string does not.
        let _infallible = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
