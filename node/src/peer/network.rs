//! openraft's network: one client per shard and peer, on the lanes that all shards share.
//!
//! Every call has a time-out of its own, since openraft does not enforce one (#1810, #1811). A follower whose
//! log went back behind what it had acknowledged is refused here: openraft only debug-asserts it, and a voter
//! that forgot its log breaks Raft.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a newer peer may send frames that this version does not know"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{Backoff, RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use parking_lot::Mutex;
use raft_store::state_machine::SnapshotData;
use raft_store::type_config::Snapshot;
use raft_store::{PeerNode, TypeConfig};

use super::append_stream;
use super::codec::{self, LogId};
use super::frame::{Body, Hello, Lane, frame};
use super::lanes::Lanes;
use super::link::{Link, LinkError};
use super::snapshot_sender;
use crate::observability::metrics::{Metrics, SnapshotDirection};

/// How long an append with entries may take: longer than a slow sync, shorter than what a person waits.
const APPEND_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a vote may take.
const VOTE_TIMEOUT: Duration = Duration::from_millis(500);
/// The wait after an unreachable peer was met; the lane itself reconnects in the background.
const BACKOFF: Duration = Duration::from_millis(100);

type C = TypeConfig;

/// The largest log id that each follower is known to have acknowledged, by (node, shard). A node's memory:
/// it ends with the process, which is why the store's own high-water mark comes first.
#[derive(Debug, Default)]
pub struct Acknowledged {
    table: Mutex<HashMap<(u64, u16), LogId>>,
    /// The start of each node's process that was last found to have lost nothing.
    boots: Mutex<HashMap<u64, u64>>,
}

impl Acknowledged {
    fn note(&self, node: u64, shard: u16, log_id: LogId) {
        let mut table = self.table.lock();
        let known = table.entry((node, shard)).or_insert(log_id);
        *known = (*known).max(log_id);
    }

    /// What a follower's process had lost when it started, or none. It is asked once a start: while a process
    /// runs, its log grows, and what it says on one connection can be older than what it acknowledges meanwhile
    /// on another.
    #[must_use]
    pub fn lost_at_start(&self, theirs: &Hello) -> Option<String> {
        let mut boots = self.boots.lock();
        if boots.get(&theirs.node_id) == Some(&theirs.boot) {
            return None;
        }
        let lost = theirs.log_ends.iter().find_map(|end| {
            let last = end.last.as_ref().map(codec::log_id_in);
            self.fault(theirs.node_id, end.shard as u16, last, end.vote_term)
        });
        if lost.is_none() {
            boots.insert(theirs.node_id, theirs.boot);
        }
        lost
    }

    /// What a follower has lost that says that its log ends at `end` and that it last voted in `vote_term`, or
    /// none. A leader of a later term may rightly have cut what this one had appended but not committed, and
    /// what follows the cut may not have come yet.
    #[must_use]
    fn fault(&self, node: u64, shard: u16, end: Option<LogId>, vote_term: u64) -> Option<String> {
        let known = *self.table.lock().get(&(node, shard))?;
        let behind = end.is_none_or(|end| end < known) && vote_term <= known.leader_id.term;
        behind.then(|| {
            let end = end.map_or("nothing".to_owned(), |end| end.to_string());
            format!("shard {shard}: the node's log ends at {end}, but it had acknowledged {known}")
        })
    }
}

/// Makes the clients of one shard.
#[derive(Clone)]
pub struct NetworkFactory {
    /// The shard.
    pub shard: u16,
    /// The lanes.
    pub lanes: Arc<Lanes>,
    /// What followers acknowledged.
    pub acknowledged: Arc<Acknowledged>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

impl RaftNetworkFactory<C> for NetworkFactory {
    type Network = Network;

    async fn new_client(&mut self, target: u64, _node: &PeerNode) -> Network {
        Network { factory: self.clone(), target, lane: Lane::Append }
    }

    async fn new_heartbeat_client(&mut self, target: u64, _node: &PeerNode) -> Network {
        Network { factory: self.clone(), target, lane: Lane::Control }
    }

    async fn new_snapshot_client(&mut self, target: u64, _node: &PeerNode) -> Network {
        Network { factory: self.clone(), target, lane: Lane::Bulk }
    }
}

/// A client of one shard's replica on one peer.
pub struct Network {
    factory: NetworkFactory,
    target: u64,
    lane: Lane,
}

impl Network {
    fn link(&self, lane: Lane) -> Result<&Link, RPCError<C>> {
        self.factory.lanes.lane(self.target, lane).ok_or_else(|| {
            RPCError::Unreachable(Unreachable::from_string(format!("node {} is no member", self.target)))
        })
    }

    fn error(&self, e: LinkError, action: RPCTypes) -> RPCError<C> {
        rpc_error(e, action, self.target)
    }

    async fn control(&self, body: Body, action: RPCTypes) -> Result<Body, RPCError<C>> {
        let call = self.link(Lane::Control)?.call(frame(self.factory.shard, body), VOTE_TIMEOUT);
        call.await.map_err(|e| self.error(e, action))
    }

    async fn ask_vote(&self, rpc: VoteRequest<C>, pre_vote: bool) -> Result<VoteResponse<C>, RPCError<C>> {
        let body = Body::Vote(codec::vote_request_out(&rpc, pre_vote));
        match self.control(body, RPCTypes::Vote).await? {
            Body::VoteReply(reply) => codec::vote_reply_in(&reply).map_err(|e| not_understood(&e)),
            _ => Err(not_understood(&codec::CodecError("vote_reply"))),
        }
    }
}

fn rpc_error(e: LinkError, action: RPCTypes, target: u64) -> RPCError<C> {
    match e {
        LinkError::NotSent(_) | LinkError::Refused { .. } => RPCError::Unreachable(Unreachable::new(&e)),
        LinkError::Broken(_) => RPCError::Network(NetworkError::new(&e)),
        LinkError::TimedOut { waited, .. } => {
            RPCError::Timeout(Timeout { action, id: target, target, timeout: waited })
        }
    }
}

fn not_understood(e: &codec::CodecError) -> RPCError<C> {
    RPCError::Network(NetworkError::new(e))
}

/// One append's answer, with the check that the follower's log has not gone back.
fn append_answer(
    answer: Result<Body, LinkError>,
    factory: &NetworkFactory,
    target: u64,
) -> Result<StreamAppendResult<C>, RPCError<C>> {
    if let Err(LinkError::TimedOut { peer, waited }) = &answer {
        // A peer that is away is told of by its lanes; one that is there and silent by nobody else.
        tracing::warn!(peer, shard = factory.shard, ?waited, "a peer does not answer appends");
    }
    let body = answer.map_err(|e| rpc_error(e, RPCTypes::AppendEntries, target))?;
    let Body::AppendReply(reply) = body else {
        return Err(not_understood(&codec::CodecError("append_reply")));
    };
    let result = codec::append_result_in(&reply).map_err(|e| not_understood(&e))?;
    match &result {
        Ok(Some(matching)) => factory.acknowledged.note(target, factory.shard, *matching),
        Ok(None) | Err(StreamAppendError::HigherVote(_)) => {}
        Err(StreamAppendError::Conflict(prev)) => {
            if let Some(known) = factory.acknowledged.table.lock().get(&(target, factory.shard))
                && prev <= known
            {
                let fault = format!(
                    "node {target} has lost log entries of shard {}: it has no {prev}, but had acknowledged {known}",
                    factory.shard
                );
                tracing::error!(node = target, shard = factory.shard, "{fault}; it is refused");
                return Err(RPCError::Unreachable(Unreachable::from_string(fault)));
            }
        }
    }
    Ok(result)
}

impl RaftNetworkV2<C> for Network {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<C>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<C>, RPCError<C>> {
        let link = self.link(self.lane)?.clone();
        let asked = frame(self.factory.shard, Body::Append(codec::append_out(rpc)));
        let answer = link.call(asked, APPEND_TIMEOUT).await;
        Ok(append_answer(answer, &self.factory, self.target)?.into())
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<StreamAppendResult<C>, RPCError<C>>>, RPCError<C>>>
    where
        S: Stream<Item = AppendEntriesRequest<C>> + OptionalSend + Unpin + 'static,
    {
        let link = self.link(self.lane).cloned();
        let (factory, target) = (self.factory.clone(), self.target);
        Box::pin(async move {
            let link = link?;
            let shard = factory.shard;
            let ask = move |rpc| {
                let (link, asked) = (link.clone(), frame(shard, Body::Append(codec::append_out(rpc))));
                async move { link.call(asked, APPEND_TIMEOUT).await }
            };
            let answers =
                append_stream::in_turn(input, ask).map(move |answer| append_answer(answer, &factory, target));
            // The stream ends with the first answer that is no success: what follows it was sent in vain.
            let until_failure = answers.scan(false, |failed, answer| {
                let ended = *failed;
                *failed = !matches!(answer, Ok(Ok(_)));
                futures_util::future::ready((!ended).then_some(answer))
            });
            let boxed: BoxStream<'s, _> = Box::pin(until_failure);
            Ok(boxed)
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<C>,
        _option: RPCOption,
    ) -> Result<VoteResponse<C>, RPCError<C>> {
        self.ask_vote(rpc, false).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<C>,
        _option: RPCOption,
    ) -> Result<VoteResponse<C>, RPCError<C>> {
        self.ask_vote(rpc, true).await
    }

    async fn full_snapshot(
        &mut self,
        vote: codec::Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<C>, StreamingError<C>> {
        let link = self.link(Lane::Bulk).map_err(StreamingError::from)?.clone();
        if !*link.connected().borrow() {
            // Raft asks again and again while a peer is away: no transfer begins, and none has failed.
            let away = Unreachable::from_string(format!("not connected to node {}", self.target));
            return Err(StreamingError::from(RPCError::Unreachable(away)));
        }
        let send = snapshot_sender::send(&link, self.factory.shard, self.target, vote, snapshot);
        let sent = tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send => sent,
        };
        self.factory.metrics.snapshot(SnapshotDirection::Sent, sent.is_ok());
        sent
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<C>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<C>, RPCError<C>> {
        let body = Body::Transfer(codec::transfer_out(&rpc));
        match self.control(body, RPCTypes::TransferLeader).await? {
            Body::TransferReply(reply) if reply.refusal.is_empty() => Ok(Ok(())),
            Body::TransferReply(reply) => Err(RPCError::Unreachable(Unreachable::from_string(reply.refusal))),
            _ => Err(not_understood(&codec::CodecError("transfer_reply"))),
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(BACKOFF)))
    }
}

#[cfg(test)]
mod tests {
    use raft_store::type_config::log_id;

    use super::super::frame::LogEnd;
    use super::*;

    #[test]
    fn what_is_acknowledged_while_a_process_runs_is_not_held_against_what_it_said_before() {
        let acknowledged = Acknowledged::default();
        let hello = |boot, index| Hello {
            node_id: 7,
            boot,
            log_ends: vec![LogEnd {
                shard: 0,
                last: Some(codec::log_id_out(&log_id(3, 1, index))),
                vote_term: 3,
            }],
            ..Hello::default()
        };
        assert!(acknowledged.lost_at_start(&hello(1, 40)).is_none());
        acknowledged.note(7, 0, log_id(3, 1, 50));
        assert!(acknowledged.lost_at_start(&hello(1, 40)).is_none(), "the same process on another lane");
        for _ in 0..2 {
            assert!(acknowledged.lost_at_start(&hello(2, 49)).is_some(), "a later process has less");
        }
        assert!(acknowledged.lost_at_start(&hello(3, 50)).is_none());
    }

    #[test]
    fn a_log_that_went_back_within_its_term_is_a_fault_and_one_that_was_cut_by_a_later_leader_is_not() {
        let acknowledged = Acknowledged::default();
        acknowledged.note(7, 0, log_id(3, 1, 50));
        let fault = |end, vote_term| acknowledged.fault(7, 0, end, vote_term).is_some();
        assert!(!fault(Some(log_id(3, 1, 50)), 3));
        assert!(!fault(Some(log_id(4, 2, 46)), 4));
        assert!(fault(Some(log_id(3, 1, 49)), 3));
        assert!(fault(None, 0));
        assert!(!fault(Some(log_id(3, 1, 45)), 4), "it may have been cut");
        assert!(acknowledged.fault(8, 0, None, 0).is_none(), "nothing is known of it");
        assert!(acknowledged.fault(7, 1, None, 0).is_none(), "nor of another shard");
    }
}
