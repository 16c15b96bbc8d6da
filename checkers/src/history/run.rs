//! The head of a history: what was run, and the bounds that it is judged by. Deliberately not here: defaults;
//! a harness writes every bound out, so that an old history keeps its meaning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The first line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// What all randomness of the run came from.
    pub seed: u64,
    /// The harness's options, for people and for repeating the run.
    pub options: BTreeMap<String, String>,
    /// Nodes of the cluster.
    pub nodes: u32,
    /// Shards of the cluster.
    pub shards: u16,
    /// The harness's wall clock when its monotonic clock stood at 0, in milliseconds since 1970.
    pub wall_ms_at_zero: u64,
    /// The `callbackTimeout` of definitions that name none, in milliseconds.
    pub attempt_timeout_ms: u64,
    /// By how much a node's clock may be off while it leads, in milliseconds.
    pub max_clock_offset_ms: u64,
    /// For how long of healthy time a timer may be due before it is delivered, in milliseconds.
    pub liveness_bound_ms: u64,
    /// How long a shard needs, once a quorum is back, before its time counts as healthy, in milliseconds.
    pub grace_ms: u64,
    /// Within what time of healthy conditions a shard takes writes again, in milliseconds.
    pub recovery_bound_ms: u64,
    /// How long a callback may lie in the network or a receiver's queue after its sender has given it up, in
    /// milliseconds: 0 unless a fault delays packets or stops a receiver.
    pub transit_slack_ms: u64,
    /// Whether the history has a [`Leader`](super::Leader) line for every session that was opened. A harness
    /// that only polls can't know; one that reads the nodes' logs afterwards can.
    pub sessions_complete: bool,
    /// Whether the harness can see a replica's state, to compare it with another's (I10). One that has only the
    /// public interface can't; it says so here, and its report must say that I10 was not judged.
    #[serde(default = "yes")]
    pub replicas_seen: bool,
    /// The kinds of fault that were asked for; each must take effect at least once.
    pub fault_kinds: Vec<String>,
    /// The retry policy of definitions that name none.
    pub retry: RetryPolicy,
}

/// Histories from before the question was asked are held to the stricter answer.
const fn yes() -> bool {
    true
}

/// What to do after a failed attempt; as `timer_core::definition::RetryPolicy`, with `deadOn` as a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// Attempts at most, from 1.
    pub max_attempts: u32,
    /// Counted from the first attempt, in milliseconds.
    pub max_duration_ms: u64,
    /// The wait after the first failure, in milliseconds.
    pub initial_interval_ms: u64,
    /// In thousandths, from 1000: how much longer each wait is than the one before.
    pub multiplier_milli: u32,
    /// The longest wait, in milliseconds.
    pub max_interval_ms: u64,
    /// In thousandths, 0 to 1000: the share of a wait that may be taken off.
    pub jitter_milli: u32,
    /// Status codes that end a timer at once.
    pub dead_on: Vec<u16>,
}

/// The run goes on to `phase`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseChange {
    /// When.
    pub at_ns: u64,
    /// To which.
    pub phase: PhaseName,
}

/// The phases of a run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PhaseName {
    /// No faults yet.
    Calm,
    /// Faults come and go.
    Faults,
    /// All faults are taken back.
    Heal,
    /// No new timers: what is due goes out.
    Quiesce,
    /// Every timer is read once more.
    Final,
}

impl RetryPolicy {
    /// The shortest wait after `failures` >= 1 failed attempts, with all of the jitter taken off, in
    /// milliseconds. Never longer than what `timer_core::retry::backoff` gives.
    #[must_use]
    pub fn wait_min_ms(&self, failures: u32) -> u64 {
        let wait = u128::from(self.wait_max_ms(failures));
        let off = (wait * u128::from(self.jitter_milli.min(1000))).div_ceil(1000);
        // One more for the rounding down of the rules, which count in thousandths while a wait grows.
        u64::try_from(wait - off).unwrap_or(u64::MAX).saturating_sub(1)
    }

    /// The wait after `failures` >= 1 failed attempts without jitter, in milliseconds.
    #[must_use]
    pub fn wait_max_ms(&self, failures: u32) -> u64 {
        let most = u128::from(self.max_interval_ms) * 1000;
        let mut wait = (u128::from(self.initial_interval_ms) * 1000).min(most);
        for _ in 1..failures {
            let longer = (wait * u128::from(self.multiplier_milli) / 1000).min(most);
            if longer <= wait {
                break;
            }
            wait = longer;
        }
        u64::try_from(wait / 1000).unwrap_or(u64::MAX)
    }

    /// Whether `status` ends a timer at once.
    #[must_use]
    pub fn is_dead_on(&self, status: u16) -> bool {
        self.dead_on.contains(&status)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::policy;

    #[test]
    fn waits_grow_to_the_longest_and_jitter_only_shortens_them() {
        let policy = super::RetryPolicy {
            initial_interval_ms: 100,
            max_interval_ms: 350,
            jitter_milli: 200,
            ..policy()
        };
        assert_eq!([1, 2, 3, 9].map(|n| policy.wait_max_ms(n)), [100, 200, 350, 350]);
        assert_eq!([1, 2].map(|n| policy.wait_min_ms(n)), [79, 159]);
    }

    #[test]
    fn extreme_policies_do_not_overflow() {
        let policy = super::RetryPolicy {
            initial_interval_ms: u64::MAX,
            max_interval_ms: u64::MAX,
            multiplier_milli: u32::MAX,
            jitter_milli: 1000,
            ..policy()
        };
        assert_eq!((policy.wait_max_ms(u32::MAX), policy.wait_min_ms(1)), (u64::MAX, 0));
    }
}
