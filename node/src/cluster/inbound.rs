//! What the node does for its peers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use raft_store::Stores;
use raft_store::type_config::LeaderId;
use timer_core::ids::{Sequence, ShardId};

use super::node::{Node, Running};
use super::search::failure_out;
use crate::peer::codec;
use crate::peer::frame::{
    AttemptsReply, AttemptsRequest, Failure, GroupsReply, GroupsRequest, Hello, History, ListReply,
    ListRequest, LogEnd, Member, OutcomesRequest, ProbeReply, ProbeRequest, ReadReply, ReadRequest, Refusal,
    SnapshotBegin, SubmitReply, SubmitRequest, TransferRequest, VoteReply, VoteRequest, attempts_reply,
    failure, groups_reply, list_reply, read_reply, submit_reply,
};
use crate::peer::server::{Inbound, SnapshotSink};
use crate::peer::snapshot_receiver;
use crate::peer::{history_codec, list_codec, reply_codec};
use crate::shard::host::ShardHost;
use crate::shard::proposer::ProposeError;
use crate::shard::raft::Raft;

const STARTING: &str = "the node is starting";

impl Node {
    fn host(&self, shard: u16) -> Result<&Arc<ShardHost>, String> {
        let running = self.running().ok_or(STARTING)?;
        running.hosts.get(usize::from(shard)).ok_or_else(|| format!("there is no shard {shard}"))
    }
}

impl Inbound for Node {
    fn probe(&self, _request: ProbeRequest) -> ProbeReply {
        let cluster = self.cluster_identity();
        ProbeReply {
            cluster_name: self.settings.cluster.name.clone(),
            node_id: self.node_id,
            node_name: self.settings.node.name.clone(),
            cluster_id: cluster.as_ref().map(|c| c.id.clone()).unwrap_or_default(),
            members: cluster.iter().flat_map(|c| &c.members).map(member_out).collect(),
            shards: u32::from(cluster.as_ref().map_or(self.settings.cluster.shards, |c| c.shards)),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            http_url: self.http_url.clone(),
        }
    }

    fn hello(&self, theirs: &Hello) -> Result<Hello, Refusal> {
        // Nobody is at fault then, and every peer tries again at once: not worth a line.
        let not_yet = || Refusal { reason: STARTING.to_owned(), lost_log: false };
        let running = self.running().ok_or_else(not_yet)?;
        let refuse = |reason: String, lost_log| {
            tracing::warn!(peer = theirs.node_name, reason, "refused a peer");
            Err(Refusal { reason, lost_log })
        };
        if let Err(reason) = running.check_hello(theirs) {
            return refuse(reason, false);
        }
        match running.lost_log(theirs) {
            Some(reason) => refuse(reason, true),
            None => Ok(running.hello(theirs.lane())),
        }
    }

    fn raft(&self, shard: u16) -> Result<Raft, String> {
        self.host(shard)?.raft().ok_or_else(|| STARTING.to_owned())
    }

    fn vote(&self, shard: u16, request: VoteRequest) -> BoxFuture<'_, Result<VoteReply, String>> {
        async move {
            let host = self.host(shard)?;
            // A node that was restarted does not know whose lease it acknowledged before.
            if !host.may_vote() && !request.leadership_transfer {
                return Err("no votes within a lease of the start".to_owned());
            }
            let raft = self.raft(shard)?;
            let rpc = codec::vote_request_in(&request).map_err(|e| e.to_string())?;
            let answered = if request.pre_vote { raft.pre_vote(rpc).await } else { raft.vote(rpc).await };
            answered.map(|reply| codec::vote_reply_out(&reply)).map_err(|e| e.to_string())
        }
        .boxed()
    }

    fn transfer(&self, shard: u16, request: TransferRequest) -> BoxFuture<'_, Result<(), String>> {
        async move {
            let raft = self.raft(shard)?;
            let rpc = codec::transfer_in(&request).map_err(|e| e.to_string())?;
            match raft.handle_transfer_leader(rpc).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(e)) => Err(e.to_string()),
                Err(e) => Err(e.to_string()),
            }
        }
        .boxed()
    }

    fn now_ms(&self) -> u64 {
        self.clock.now().0
    }

    fn submit(&self, shard: u16, request: SubmitRequest) -> BoxFuture<'_, SubmitReply> {
        async move {
            let result = self.submit_here(shard, &request).await;
            let result = match result {
                Ok(reply) => submit_reply::Result::Reply(reply_codec::reply_out(&reply)),
                Err(failure) => submit_reply::Result::Failure(failure),
            };
            SubmitReply { result: Some(result) }
        }
        .boxed()
    }

    fn read(&self, shard: u16, request: ReadRequest) -> BoxFuture<'_, ReadReply> {
        async move {
            let result = match self.read_here(shard, request).await {
                Ok(found) => read_reply::Result::Found(found),
                Err(failure) => read_reply::Result::Failure(failure),
            };
            ReadReply { result: Some(result) }
        }
        .boxed()
    }

    fn list(&self, shard: u16, request: ListRequest) -> BoxFuture<'_, ListReply> {
        async move {
            let result = match self.list_here(shard, request).await {
                Ok(listed) => list_reply::Result::Listed(listed),
                Err(failure) => list_reply::Result::Failure(failure),
            };
            ListReply { result: Some(result) }
        }
        .boxed()
    }

    fn groups(&self, shard: u16, request: GroupsRequest) -> BoxFuture<'_, GroupsReply> {
        async move {
            let result = match self.groups_here(shard, &request).await {
                Ok(groups) => groups_reply::Result::Groups(groups),
                Err(failure) => groups_reply::Result::Failure(failure),
            };
            GroupsReply { result: Some(result) }
        }
        .boxed()
    }

    fn attempts(&self, shard: u16, request: AttemptsRequest) -> BoxFuture<'_, AttemptsReply> {
        async move {
            let result = match self.attempts_here(shard, request).await {
                Ok(history) => attempts_reply::Result::History(history),
                Err(failure) => attempts_reply::Result::Failure(failure),
            };
            AttemptsReply { result: Some(result) }
        }
        .boxed()
    }

    fn outcomes(&self, shard: u16, request: OutcomesRequest) -> BoxFuture<'_, bool> {
        async move {
            let Ok(host) = self.host(shard) else { return false };
            let Ok(entry) = proto::entry::decode(&request.entry) else { return false };
            let submits = entry.commands.into_iter().map(|envelope| host.submit_own(envelope));
            futures_util::future::join_all(submits).await.iter().all(Result::is_ok)
        }
        .boxed()
    }

    fn snapshot(
        &self,
        shard: u16,
        begin: SnapshotBegin,
    ) -> BoxFuture<'_, Result<Box<dyn SnapshotSink>, String>> {
        async move {
            let raft = self.raft(shard)?;
            let running = self.running().ok_or(STARTING)?;
            snapshot_receiver::begin(&running.stores, shard, raft, begin, self.metrics.clone()).await
        }
        .boxed()
    }
}

impl Node {
    async fn submit_here(
        &self,
        shard: u16,
        request: &SubmitRequest,
    ) -> Result<timer_core::command::Reply, Failure> {
        let host = self.host(shard).map_err(not_leader)?;
        let envelope =
            proto::entry::decode_envelope(&request.envelope).map_err(|e| internal(&e.to_string()))?;
        let wait = Duration::from_millis(request.deadline_ms);
        // Nobody waits for it any more, and its client may repeat it through another node.
        if wait.is_zero() {
            return Err(not_leader("it came after its deadline".to_owned()));
        }
        let leader = LeaderId { term: request.leader_term, node_id: self.node_id };
        match tokio::time::timeout(wait, host.submit(leader, envelope)).await {
            Ok(result) => result.map_err(|e| failure_out(&e)),
            Err(_) => Err(failure_out(&ProposeError::Unknown("it is not replicated yet".to_owned()))),
        }
    }

    async fn read_here(
        &self,
        shard: u16,
        request: ReadRequest,
    ) -> Result<crate::peer::frame::Found, Failure> {
        let host = self.host(shard).map_err(not_leader)?;
        let group = Sequence(request.group_generation);
        let key = timer_core::ids::TimerKey::new(request.group, request.timer_id);
        let wait = Duration::from_millis(request.deadline_ms);
        match tokio::time::timeout(wait, host.get(&key, group)).await {
            Ok(Ok(view)) => Ok(reply_codec::found_out(view.as_ref())),
            Ok(Err(e)) => Err(failure_out(&e)),
            Err(_) => Err(failure_out(&ProposeError::NotLeader(None))),
        }
    }

    async fn attempts_here(&self, shard: u16, request: AttemptsRequest) -> Result<History, Failure> {
        let host = self.host(shard).map_err(not_leader)?;
        let group = Sequence(request.group_generation);
        let key = timer_core::ids::TimerKey::new(request.group, request.timer_id);
        let wait = Duration::from_millis(request.deadline_ms);
        match tokio::time::timeout(wait, host.attempts(&key, group)).await {
            Ok(Ok(attempts)) => Ok(history_codec::history_out(attempts.as_deref())),
            Ok(Err(e)) => Err(failure_out(&e)),
            Err(_) => Err(failure_out(&ProposeError::NotLeader(None))),
        }
    }

    async fn list_here(
        &self,
        shard: u16,
        request: ListRequest,
    ) -> Result<crate::peer::frame::Listed, Failure> {
        let host = self.host(shard).map_err(not_leader)?;
        let wait = Duration::from_millis(request.deadline_ms);
        let (limit, bytes_max) = (request.limit as usize, request.bytes_max as usize);
        let group = Sequence(request.group_generation);
        let query = list_codec::query_in(request).map_err(|e| internal(&e.to_string()))?;
        match tokio::time::timeout(wait, host.list(&query, group, limit, bytes_max)).await {
            Ok(Ok(listed)) => Ok(list_codec::listed_out(&listed)),
            Ok(Err(e)) => Err(failure_out(&e)),
            Err(_) => Err(failure_out(&ProposeError::NotLeader(None))),
        }
    }
}

impl Node {
    async fn groups_here(
        &self,
        shard: u16,
        request: &GroupsRequest,
    ) -> Result<crate::peer::frame::Groups, Failure> {
        let host = self.host(shard).map_err(not_leader)?;
        let wait = Duration::from_millis(request.deadline_ms);
        match tokio::time::timeout(wait, host.groups(&request.from, request.limit as usize)).await {
            Ok(Ok(groups)) => {
                Ok(crate::peer::frame::Groups { groups: groups.iter().map(proto::group::encode).collect() })
            }
            Ok(Err(e)) => Err(failure_out(&e)),
            Err(_) => Err(failure_out(&ProposeError::NotLeader(None))),
        }
    }
}

fn not_leader(reason: String) -> Failure {
    Failure { kind: failure::Kind::NotLeader.into(), reason, ..Failure::default() }
}

fn internal(reason: &str) -> Failure {
    Failure { kind: failure::Kind::Internal.into(), reason: reason.to_owned(), ..Failure::default() }
}

/// A member for the wire.
#[must_use]
pub fn member_out(member: &crate::identity::Member) -> Member {
    Member {
        id: member.id.0,
        name: member.name.clone(),
        peer_address: member.peer_address.clone(),
        http_url: member.http_url.clone(),
    }
}

/// Where the logs of `stores` end.
#[must_use]
pub fn log_ends(stores: &Stores, shards: u16) -> Vec<LogEnd> {
    let end = |shard: u16| {
        let status = stores.log_status(ShardId(shard));
        LogEnd {
            shard: u32::from(shard),
            last: status.last.as_ref().map(codec::log_id_out),
            vote_term: status.vote_term,
        }
    };
    (0..shards).map(end).collect()
}

impl Running {
    /// What this node says of itself first.
    #[must_use]
    pub fn hello(&self, lane: crate::peer::frame::Lane) -> Hello {
        Hello {
            lane: lane.into(),
            cluster_id: self.cluster.id.clone(),
            node_id: self.node_id,
            node_name: self.node_name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            http_url: self.http_url.clone(),
            log_ends: self.log_ends.clone(),
            boot: self.boot,
        }
    }

    /// Whether a peer is who it must be.
    ///
    /// # Errors
    /// Why it is not welcome.
    pub fn check_hello(&self, theirs: &Hello) -> Result<(), String> {
        if theirs.cluster_id != self.cluster.id {
            return Err(format!("it belongs to cluster {}, not {}", theirs.cluster_id, self.cluster.id));
        }
        if !self.cluster.members.iter().any(|m| m.id.0 == theirs.node_id && m.name == theirs.node_name) {
            return Err(format!("{} (node {}) is no member", theirs.node_name, theirs.node_id));
        }
        Ok(())
    }

    /// What a peer has lost of what it had acknowledged to this node, if it has.
    #[must_use]
    pub fn lost_log(&self, theirs: &Hello) -> Option<String> {
        self.acknowledged.lost_at_start(theirs)
    }
}
