//! Whether a leader in office may call: what it can tell by itself at any moment, and what it asks a quorum.
//!
//! The lease alone makes calls safe: nobody else leads within it. But a leader that has just been cut off holds it for
//! hundreds of milliseconds more, cannot replicate what comes of its calls, and its successor makes them again. So before
//! attempts start, a quorum must have answered just now (docs/adr/2026-12-01-a-quorum-is-asked-before-calls.md).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use openraft::Instant as _;
use openraft::raft::linearizable_read::LinearizerOption;
use raft_store::Stores;
use timer_core::mutant::Mutant;

use super::proposer::Proposer;
use super::raft::{Raft, RaftTiming};
use crate::peer::clocks::{Clocks, Verdict};

/// Asks a quorum whether this node still leads, unless one has said so just now.
pub type ConfirmLead = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// The times that bound a leader's calls.
#[derive(Clone, Copy, Debug)]
pub struct CallBounds {
    /// Attempts start only while a quorum has answered within it, and nobody else leads meanwhile.
    pub lease: Duration,
    /// No attempt starts while an entry has been under way for that long, or a sync of this node's log.
    pub commit_patience: Duration,
    /// A quorum's answer that is younger needs no other one.
    pub fresh: Duration,
}

impl CallBounds {
    /// Those that belong to a shard's Raft.
    #[must_use]
    pub fn of(timing: &RaftTiming) -> Self {
        Self {
            lease: timing.election_min,
            // Heartbeats are set to more than a round trip, which is what an entry takes besides a sync.
            commit_patience: timing.heartbeat / 2,
            // As often as that at most an idle shard's leader asks: 10 ms by default.
            fresh: timing.heartbeat / 20,
        }
    }
}

/// One office's view of its lead.
#[derive(Clone)]
pub struct Lead {
    /// The shard's Raft.
    pub raft: Raft,
    /// The comparison of clocks.
    pub clocks: Clocks,
    /// Knows how long an entry has been under way.
    pub proposer: Proposer,
    /// Know how long a sync has been under way, of any shard: they share the disk.
    pub stores: Arc<Stores>,
    /// The bounds.
    pub bounds: CallBounds,
}

impl Lead {
    /// Whether an attempt may start or be sent now: the lease holds, the clock is trusted, and entries are committed.
    #[must_use]
    pub fn may_start(&self) -> bool {
        match self.clocks.verdict() {
            Verdict::Alone => self.raft.is_leader() && self.commits(),
            Verdict::Trusted | Verdict::Behind(_) if Mutant::SendWithoutLease.is_on() => true,
            // Late is better than not at all, until another leads.
            Verdict::Trusted | Verdict::Behind(_) => self.acked_within(self.bounds.lease) && self.commits(),
            Verdict::NotCompared | Verdict::Ahead(_) => false,
        }
    }

    /// Whether a quorum follows this leader now: its last answer is fresh, or it answers within the lease. Right after a
    /// `true` attempts may start as far as [`Lead::may_start`] lets them.
    pub async fn confirm(&self) -> bool {
        let needless = self.clocks.verdict() == Verdict::Alone || Mutant::SendWithoutLease.is_on();
        if needless || self.acked_within(self.bounds.fresh) {
            return true;
        }
        let option =
            LinearizerOption::new(Some(self.bounds.fresh), true).with_wait_timeout(self.bounds.lease);
        self.raft.get_read_linearizer(option).await.is_ok()
    }

    fn acked_within(&self, age: Duration) -> bool {
        let acknowledged = self.raft.as_leader().ok().and_then(|leader| leader.last_quorum_acked());
        acknowledged.is_some_and(|at| at.elapsed() < age)
    }

    fn commits(&self) -> bool {
        let patience = self.bounds.commit_patience;
        self.proposer.under_way_for() < patience && self.stores.sync_stalled_for() < patience
    }
}
