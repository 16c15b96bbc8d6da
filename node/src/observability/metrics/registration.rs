//! The names and descriptions under which the metrics are published, as `docs/metrics.md` has them.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;
use crate::observability::labels::VersionLabel;

impl Metrics {
    pub(super) fn register(&self) -> Registry {
        let mut root = Registry::default();
        self.register_process(&mut root);
        let registry = root.sub_registry_with_prefix("timerd");
        self.register_requests(registry);
        self.register_delivery(registry);
        self.register_replication(registry);
        root
    }

    fn register_process(&self, root: &mut Registry) {
        root.register("process_resident_memory_bytes", "Memory of the process", self.resident_bytes.clone());
        root.register("process_open_fds", "Open files and sockets", self.open_fds.clone());
        root.register("process_max_fds", "How many files and sockets may be open", self.fds_max.clone());
    }

    fn register_requests(&self, registry: &mut Registry) {
        let build = Family::<VersionLabel, Gauge>::default();
        build.get_or_create(&VersionLabel { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build_info", "Always 1; the label says which version runs", build);
        registry.register("uptime_seconds", "Time since the process started", self.uptime.clone());
        registry.register(
            "commands",
            "Commands of clients that this node answered, by what came of them",
            self.commands.clone(),
        );
        registry.register(
            "http_requests",
            "Requests answered, by operation and status",
            self.http_requests.clone(),
        );
        registry.register(
            "http_request_duration_seconds",
            "Time from a request's head to its answer",
            self.http_duration.clone(),
        );
        registry.register(
            "forwarded",
            "Requests that this node brought to another, by what came of it",
            self.forwarded.clone(),
        );
        registry.register(
            "tls_certificate_expiry_timestamp_seconds",
            "End of the certificate that the REST API shows, in seconds since 1970; 0 without TLS",
            self.certificate_expiry.clone(),
        );
        registry.register(
            "tls_certificate_refused",
            "1 while the certificate files hold what is not good, and the certificate before is served on; the log says why",
            self.certificate_refused.clone(),
        );
    }

    fn register_delivery(&self, registry: &mut Registry) {
        registry.register(
            "callbacks",
            "Attempts that ended, by result; of the withheld ones nothing was sent",
            self.callbacks.clone(),
        );
        registry.register(
            "callback_lateness_seconds",
            "Start of an attempt less the time at which it was wanted",
            self.callback_lateness.clone(),
        );
        registry.register(
            "callback_duration_seconds",
            "Time from the start of an attempt to its end",
            self.callback_duration.clone(),
        );
        registry.register("attempts_in_flight", "Attempts on their way", self.attempts_in_flight.clone());
        registry.register(
            "timers",
            "Timers of the shards that this node leads, by state: the sum over all nodes is the cluster's",
            self.timers.clone(),
        );
        registry.register(
            "timers_overdue",
            "Timers of the shards that this node leads whose time has come and whose attempt waits for a place",
            self.overdue.clone(),
        );
        registry.register(
            "timers_parked",
            "Timers of the shards that this node leads that are due and wait for the end of their group's pause",
            self.parked.clone(),
        );
    }

    fn register_replication(&self, registry: &mut Registry) {
        registry.register("raft_elections", "Shards that this node took the lead of", self.elections.clone());
        registry.register(
            "cursor_held",
            "Timers that a leader had forgotten and that were found again: above 0 is a bug of this program",
            self.cursor_held.clone(),
        );
        registry.register("raft_leader_shards", "Shards that this node leads", self.leader_shards.clone());
        registry.register(
            "raft_shards_without_leader",
            "Shards of which this node knows no leader",
            self.shards_without_leader.clone(),
        );
        registry.register(
            "raft_restarts",
            "Shards whose Raft ended by itself and was started again",
            self.raft_restarts.clone(),
        );
        registry.register(
            "proposal_commands",
            "Commands of a proposed log entry",
            self.proposal_commands.clone(),
        );
        registry.register(
            "proposal_queue_commands",
            "Commands that wait to be proposed",
            self.proposal_queue_commands.clone(),
        );
        registry.register(
            "proposal_queue_bytes",
            "Bytes of commands that wait to be proposed",
            self.proposal_queue_bytes.clone(),
        );
        registry.register(
            "log_sync_stalled_seconds",
            "Time that the sync under way has taken; 0 without one",
            self.log_sync_stalled.clone(),
        );
        registry.register(
            "disk_free_bytes",
            "Room on the disk of the data directory; below `storage.disk_reserve_bytes` creates are refused",
            self.disk_free.clone(),
        );
        registry.register(
            "raft_last_log_index",
            "The newest entry of the shard's log here",
            self.last_log_index.clone(),
        );
        registry.register(
            "raft_applied_index",
            "The newest entry that is applied here; compare nodes to see who is behind",
            self.applied_index.clone(),
        );
        registry.register(
            "raft_purged_index",
            "The newest entry that the log here no longer has; a follower further behind gets a snapshot",
            self.purged_index.clone(),
        );
        registry.register("snapshots", "Transfers of snapshots that ended", self.snapshots.clone());
        registry.register(
            "peers_connected",
            "Peers that this node is connected to",
            self.peers_connected.clone(),
        );
        registry.register(
            "clock_offset_seconds",
            "The clock of the peer that differs most, less this node's",
            self.clock_offset.clone(),
        );
    }
}
