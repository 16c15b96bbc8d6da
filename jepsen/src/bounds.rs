//! The bounds by which a run is judged, in one place, and the head of the history that tells them.

use std::collections::BTreeMap;

use checkers::history::{RetryPolicy, Run};

use crate::clock::RunClock;

/// The `callbackTimeout` of every timer.
pub const CALLBACK_TIMEOUT_MS: u64 = 2_000;
/// The product's `clock.offset_max_ms`.
pub const CLOCK_OFFSET_MAX_MS: u64 = 250;
/// Healthy time within which a due timer is delivered. Two busy cores carry five nodes and their clients here, and a
/// burst of timers that were due in an outage goes out first.
pub const LIVENESS_BOUND_MS: u64 = 15_000;
/// From a quorum's return to healthy time: starting processes, an election, a session.
pub const GRACE_MS: u64 = 5_000;
/// A shard takes writes again within this time.
pub const RECOVERY_BOUND_MS: u64 = 12_000;
/// How long a callback may wait for this harness to read it on a busy machine.
pub const TRANSIT_SLACK_MS: u64 = 1_000;

/// The policy that every timer names.
pub fn retry_policy() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 6,
        max_duration_ms: 3_600_000,
        initial_interval_ms: 200,
        multiplier_milli: 2_000,
        max_interval_ms: 2_000,
        jitter_milli: 200,
        dead_on: vec![410],
    }
}

/// The first line of a history.
pub fn head(
    seed: u64,
    nodes: u32,
    shards: u16,
    fault_kinds: &[String],
    clock: RunClock,
    options: BTreeMap<String, String>,
) -> Run {
    Run {
        seed,
        options,
        nodes,
        shards,
        wall_ms_at_zero: clock.wall_ms_at_zero(),
        attempt_timeout_ms: CALLBACK_TIMEOUT_MS,
        max_clock_offset_ms: CLOCK_OFFSET_MAX_MS,
        liveness_bound_ms: LIVENESS_BOUND_MS,
        grace_ms: GRACE_MS,
        recovery_bound_ms: RECOVERY_BOUND_MS,
        transit_slack_ms: TRANSIT_SLACK_MS,
        // Every node writes each session it opens to its log, which the harness reads to the end.
        sessions_complete: true,
        // Read from the nodes' data at the end.
        replicas_seen: true,
        fault_kinds: fault_kinds.to_vec(),
        retry: retry_policy(),
    }
}
