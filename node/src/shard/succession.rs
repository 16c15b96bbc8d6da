//! Who leads a shard next: choosing another voter, and waiting until one leads.

use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::metrics::RaftMetrics;
use openraft::type_config::alias::WatchReceiverOf;
use raft_store::TypeConfig;
use tokio::time::Instant;

use super::raft::Raft;

type Metrics = RaftMetrics<TypeConfig>;

/// The voter besides `node` that is most caught up, as this leader sees it, and the last log index that it has.
fn most_caught_up(metrics: &Metrics, node: u64) -> Option<(u64, Option<u64>)> {
    let voters: Vec<u64> = metrics.membership_config.membership().voter_ids().collect();
    let others = metrics.replication.as_ref()?.iter().filter(|(id, _)| **id != node && voters.contains(id));
    others.map(|(id, matching)| (*id, matching.as_ref().map(|m| m.index))).max_by_key(|(_, index)| *index)
}

/// The voter besides `node` that is most caught up, as this leader sees it.
#[must_use]
pub fn successor(raft: &Raft, node: u64) -> Option<u64> {
    most_caught_up(&raft.metrics().borrow_watched(), node).map(|(id, _)| id)
}

/// The same, once it has the entry at `index`: one that lacks what is committed could not win, and the shard would wait for
/// an election. None: this node leads no more, or there is no other voter.
pub async fn once_caught_up(
    mut metrics: WatchReceiverOf<TypeConfig, Metrics>,
    node: u64,
    index: u64,
) -> Option<u64> {
    loop {
        let (id, has) = most_caught_up(&metrics.borrow_watched(), node)?;
        if has.is_some_and(|has| has >= index) {
            return Some(id);
        }
        metrics.changed().await.ok()?;
    }
}

/// Waits until another node leads, as far as this one hears; `false` if none does at `deadline`.
pub async fn other_leads(raft: &Raft, node: u64, deadline: Instant) -> bool {
    let mut metrics = raft.server_metrics();
    loop {
        let leader = metrics.borrow_watched().current_leader;
        if leader.is_some_and(|leader| leader != node) {
            return true;
        }
        match tokio::time::timeout_at(deadline, metrics.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return false,
        }
    }
}

/// Passes the lead on at once, in whatever state.
pub async fn give_up_lead(raft: &Raft, node: u64) {
    if let Some(target) = successor(raft, node) {
        let _ = raft.trigger().transfer_leader(target).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use openraft::async_runtime::watch::WatchSender as _;
    use openraft::testing::log_id;
    use openraft::type_config::TypeConfigExt as _;
    use openraft::{Membership, StoredMembership};

    use super::*;

    /// What node 1 sees as leader of voters 1 to 3, and of 4, who only learns, when they have these entries.
    fn metrics(matching: [(u64, u64); 3]) -> Metrics {
        let voters = BTreeSet::from([1, 2, 3]);
        let membership = Membership::new_with_defaults(vec![voters], [1, 2, 3, 4]);
        let mut metrics = Metrics::new_initial(1);
        metrics.membership_config = Arc::new(StoredMembership::new(None, membership));
        let ids = matching.map(|(id, index)| (id, Some(log_id::<TypeConfig>(1, 1, index))));
        metrics.replication = Some(BTreeMap::from(ids));
        metrics
    }

    #[tokio::test]
    async fn the_lead_is_passed_to_a_voter_that_has_what_is_committed() {
        let (tx, rx) = TypeConfig::watch_channel(metrics([(2, 6), (3, 7), (4, 9)]));
        let mut chosen = Box::pin(once_caught_up(rx, 1, 8));
        assert!((&mut chosen).now_or_never().is_none(), "no voter has entry 8");
        tx.send(metrics([(2, 8), (3, 7), (4, 9)])).unwrap();
        assert_eq!(chosen.await, Some(2), "another than the one that was ahead before");
    }

    #[tokio::test]
    async fn nobody_is_chosen_by_a_node_that_leads_no_more() {
        let (tx, rx) = TypeConfig::watch_channel(metrics([(2, 6), (3, 7), (4, 9)]));
        let mut chosen = Box::pin(once_caught_up(rx, 1, 8));
        assert!((&mut chosen).now_or_never().is_none());
        tx.send(Metrics::new_initial(1)).unwrap();
        assert_eq!(chosen.await, None);
    }
}
