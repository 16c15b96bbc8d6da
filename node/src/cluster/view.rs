//! The node as the HTTP layer's backend: commands and reads go to the router, the rest is what this node sees.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use openraft::async_runtime::watch::WatchReceiver;
use timer_core::attempt::Attempt;
use timer_core::command::{
    AddSigningSecret, Command, Envelope, PauseGroup, Precondition, PutGroup, RemoveSigningSecret, Reply,
};
use timer_core::definition::Definition;
use timer_core::group::Group;
use timer_core::ids::TimerKey;
use timer_core::list::ListQuery;
use timer_core::time::Millis;
use tokio::time::{Duration, Instant};

use super::node::{Node, Running};
use crate::backend::{
    Applied, Backend, BackendError, ClusterView, GroupDeleted, Listed, NodeView, RequestContext, ShardView,
    TestedCallback, TimerView,
};
use crate::environment::ManualClock;
use crate::shard::host::ShardHost;

/// What a client is told to wait while the node starts.
const RETRY_AFTER_START: Duration = Duration::from_secs(1);
/// A node none of whose shards has had a leader for so long is not ready.
const LEADERLESS_MAX: Duration = Duration::from_secs(10);

/// When a leader was known last, for readiness.
#[derive(Debug)]
pub struct LastLeader(parking_lot::Mutex<Instant>);

impl Default for LastLeader {
    fn default() -> Self {
        Self(parking_lot::Mutex::new(Instant::now()))
    }
}

impl LastLeader {
    /// How long no local shard has had a leader, given whether one has now.
    fn leaderless_for(&self, has_leader: bool) -> Duration {
        let mut last = self.0.lock();
        if has_leader {
            *last = Instant::now();
        }
        last.elapsed()
    }
}

impl Node {
    fn running_or_unavailable(&self) -> Result<&Arc<Running>, BackendError> {
        self.running().ok_or_else(|| BackendError::Unavailable {
            shard: 0,
            outcome: Applied::NotApplied,
            reason: "the node is starting, or waits for its peers to form the cluster".to_owned(),
            retry_after: RETRY_AFTER_START,
        })
    }

    async fn change_group(&self, context: RequestContext, command: Command) -> Result<Reply, BackendError> {
        let running = self.running_or_unavailable()?;
        let (mut envelope, deadline) = envelope_of(context, command);
        running.change_group(&mut envelope, deadline).await
    }
}

/// A command as it is replicated for whoever asked.
fn envelope_of(context: RequestContext, command: Command) -> (Envelope, Instant) {
    let RequestContext { principal, request, traceparent, deadline, .. } = context;
    let envelope = Envelope { principal, request, traceparent, ..Envelope::own(command) };
    (envelope, Instant::now() + deadline)
}

impl Backend for Node {
    fn submit(
        &self,
        context: RequestContext,
        command: Command,
    ) -> BoxFuture<'_, Result<Reply, BackendError>> {
        async move {
            let running = self.running_or_unavailable()?;
            let Some(key) = command.timer().cloned() else {
                return Err(BackendError::Internal("not a client's command".to_owned()));
            };
            let (mut envelope, deadline) = envelope_of(context, command);
            let answer = running.submit(&key, &mut envelope, deadline).await;
            self.metrics.command_answered(&envelope.command, &answer);
            answer
        }
        .boxed()
    }

    fn get(
        &self,
        context: RequestContext,
        key: TimerKey,
    ) -> BoxFuture<'_, Result<Option<TimerView>, BackendError>> {
        async move { self.running_or_unavailable()?.get(&key, Instant::now() + context.deadline).await }
            .boxed()
    }

    fn attempts(
        &self,
        context: RequestContext,
        key: TimerKey,
    ) -> BoxFuture<'_, Result<Option<Vec<Attempt>>, BackendError>> {
        async move { self.running_or_unavailable()?.attempts(&key, Instant::now() + context.deadline).await }
            .boxed()
    }

    fn list(
        &self,
        context: RequestContext,
        query: ListQuery,
        limit: usize,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Listed, BackendError>> {
        async move {
            let running = self.running_or_unavailable()?;
            running.list(&query, limit, bytes_max, Instant::now() + context.deadline).await
        }
        .boxed()
    }

    fn find_group(&self, context: RequestContext, name: String) -> BoxFuture<'_, Result<(), BackendError>> {
        async move {
            let running = self.running_or_unavailable()?;
            running.known_group(&name, Instant::now() + context.deadline).await.map(drop)
        }
        .boxed()
    }

    fn put_group(
        &self,
        context: RequestContext,
        put: PutGroup,
    ) -> BoxFuture<'_, Result<Reply, BackendError>> {
        self.change_group(context, Command::PutGroup(Box::new(put))).boxed()
    }

    fn add_signing_secret(
        &self,
        context: RequestContext,
        add: AddSigningSecret,
    ) -> BoxFuture<'_, Result<Reply, BackendError>> {
        self.change_group(context, Command::AddSigningSecret(add)).boxed()
    }

    fn remove_signing_secret(
        &self,
        context: RequestContext,
        remove: RemoveSigningSecret,
    ) -> BoxFuture<'_, Result<Reply, BackendError>> {
        self.change_group(context, Command::RemoveSigningSecret(remove)).boxed()
    }

    fn pause_group(
        &self,
        context: RequestContext,
        name: String,
        paused: bool,
        precondition: Precondition,
    ) -> BoxFuture<'_, Result<Reply, BackendError>> {
        let pause = PauseGroup { name, paused, shards: self.cluster_shards(), precondition };
        self.change_group(context, Command::PauseGroup(pause)).boxed()
    }

    fn test_callback(
        &self,
        context: RequestContext,
        key: TimerKey,
        definition: Definition,
    ) -> BoxFuture<'_, Result<TestedCallback, BackendError>> {
        async move { self.running_or_unavailable()?.test_callback(context, key, definition).await }.boxed()
    }

    fn delete_group(
        &self,
        context: RequestContext,
        name: String,
        precondition: Precondition,
    ) -> BoxFuture<'_, Result<GroupDeleted, BackendError>> {
        async move {
            let running = self.running_or_unavailable()?;
            running.delete_group(context, &name, &precondition).await
        }
        .boxed()
    }

    fn group(
        &self,
        context: RequestContext,
        name: String,
    ) -> BoxFuture<'_, Result<Option<Group>, BackendError>> {
        async move {
            let running = self.running_or_unavailable()?;
            running.group(&name, Instant::now() + context.deadline).await
        }
        .boxed()
    }

    fn groups(
        &self,
        context: RequestContext,
        after: Option<String>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Group>, BackendError>> {
        async move {
            let running = self.running_or_unavailable()?;
            running.list_groups(after, limit, Instant::now() + context.deadline).await
        }
        .boxed()
    }

    fn shard_of(&self, key: &TimerKey) -> u16 {
        let shards = self.settings.cluster.shards;
        self.running().map_or_else(
            || shard_router::shard_of(&key.group, &key.id, shards, shards),
            |running| running.shard_of(key),
        )
    }

    fn cluster_shards(&self) -> u16 {
        self.running().map_or(self.settings.cluster.shards, |running| running.cluster.shards)
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }

    fn cluster(&self) -> BoxFuture<'_, ClusterView> {
        let view = self.running().map_or_else(
            || ClusterView {
                cluster_id: String::new(),
                cluster_name: self.settings.cluster.name.clone(),
                node_id: self.node_id,
                node_name: self.settings.node.name.clone(),
                nodes: Vec::new(),
                shards: Vec::new(),
            },
            |running| cluster_view(running),
        );
        futures_util::future::ready(view).boxed()
    }

    fn ready(&self) -> Result<(), String> {
        if self.stop.is_cancelled() || *self.draining.borrow() {
            return Err("the node is shutting down".to_owned());
        }
        if let Some(reason) = self.fatal.borrow().as_ref() {
            return Err(reason.clone());
        }
        let running = self.running().ok_or("the node is starting, or waits for its peers")?;
        let has_leader = running.hosts.iter().any(|host| host.leader().is_some());
        let leaderless = self.last_leader.leaderless_for(has_leader);
        if !has_leader && leaderless >= LEADERLESS_MAX {
            return Err(format!("no local shard has had a leader for {} s", leaderless.as_secs()));
        }
        Ok(())
    }

    fn manual_clock(&self) -> Option<ManualClock> {
        self.manual_clock.clone()
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    fn answered(&self, operation: &'static str, status: u16, took: Duration) {
        self.metrics.http_answered(operation, status, took);
    }
}

fn cluster_view(running: &Running) -> ClusterView {
    let offsets = running.clocks.offsets();
    let nodes = running.cluster.members.iter().map(|member| {
        let own = member.id.0 == running.node_id;
        let peer = running.lanes.peers().find(|(id, _)| *id == member.id.0).map(|(_, peer)| peer);
        NodeView {
            id: member.id.0,
            name: member.name.clone(),
            peer_address: member.peer_address.clone(),
            http_url: member.http_url.clone(),
            version: own.then(|| env!("CARGO_PKG_VERSION").to_owned()),
            reachable: own || peer.is_some_and(crate::peer::lanes::PeerLanes::reachable),
            clock_offset_ms: offsets.get(&member.id.0).copied(),
        }
    });
    ClusterView {
        cluster_id: running.cluster.id.clone(),
        cluster_name: running.cluster.name.clone(),
        node_id: running.node_id,
        node_name: running.node_name.clone(),
        nodes: nodes.collect(),
        shards: running.timer_hosts().iter().map(shard_view).collect(),
    }
}

fn shard_view(host: &Arc<ShardHost>) -> ShardView {
    let Some(raft) = host.raft() else {
        return ShardView {
            shard: host.shard,
            leader: None,
            term: 0,
            voters: Vec::new(),
            applied_index: 0,
            healthy: false,
        };
    };
    let metrics = raft.metrics().borrow_watched().clone();
    ShardView {
        shard: host.shard,
        leader: metrics.current_leader,
        term: metrics.current_term,
        voters: metrics.membership_config.membership().voter_ids().collect(),
        applied_index: metrics.last_applied.map_or(0, |log_id| log_id.index),
        healthy: metrics.running_state.is_ok()
            && metrics.current_leader.is_some_and(|leader| leader != metrics.id || host.has_quorum()),
    }
}
