//! A shard on this node: starts its Raft, keeps it running, and answers commands and reads while it leads.
//!
//! openraft's core can end for good (a storage fault, or #2116: a purge that races with apply). It is started
//! again on the same stores, and counted; a fault of the stores themselves ends the process elsewhere.

use std::sync::Arc;
use std::time::Duration;

use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver;
use parking_lot::{Mutex, RwLock};
use raft_store::state_machine::StateReader;
use raft_store::type_config::LeaderId;
use raft_store::{StoreError, Stores};
use timer_core::attempt::Attempt;
use timer_core::command::{Command, Envelope, Fence, Reply};
use timer_core::group::{DEFAULT_GROUP, Group};
use timer_core::ids::{Sequence, ShardId, TimerKey};
use timer_core::list::ListQuery;
use timer_core::timer::Timer;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dispatcher::{DispatchContext, ForwardOutcome};
use super::feed::Feed;
use super::lead::CallBounds;
use super::leadership::Leadership;
use super::office::{FenceGuard, Office};
use super::proposer::{ProposeError, Proposer, QueueBounds, StampCheck, proposer};
use super::raft::{self, Raft, RaftTiming};
use super::reader::{ReadBarrier, read_barrier};
use crate::backend::{Listed, TimerView};
use crate::blocking::away;
use crate::disk_room::DiskRoom;
use crate::peer::clocks::{Clocks, Verdict};
use crate::peer::network::NetworkFactory;

/// The wait before Raft is started again after it ended.
const RESTART_WAIT: Duration = Duration::from_secs(1);

/// What a host is made of.
pub struct HostParts {
    /// This node.
    pub node: u64,
    /// The shard.
    pub shard: u16,
    /// The cluster's name, for Raft's logs.
    pub cluster_name: String,
    /// How many voters the shard has.
    pub voters: usize,
    /// Times.
    pub timing: RaftTiming,
    /// Bounds of the queue of commands.
    pub queue: QueueBounds,
    /// The node's stores.
    pub stores: Arc<Stores>,
    /// Talks to the other replicas.
    pub network: NetworkFactory,
    /// The comparison of clocks.
    pub clocks: Clocks,
    /// The room on this node's disk.
    pub disk: Arc<DiskRoom>,
    /// Shared by all shards.
    pub context: DispatchContext,
    /// For outcomes after an office has ended.
    pub forward: ForwardOutcome,
}

/// The shard's handle.
pub struct ShardHost {
    /// The shard.
    pub shard: u16,
    node: u64,
    voters: usize,
    timing: RaftTiming,
    raft: Arc<RwLock<Option<Raft>>>,
    proposer: Proposer,
    barrier: ReadBarrier,
    reader: StateReader,
    feed: Feed,
    office: watch::Receiver<Option<Arc<Office>>>,
    leadership: Arc<Leadership>,
    disk: Arc<DiskRoom>,
    /// Votes are granted from then on: a lease may be held that this node acknowledged before it restarted.
    votes_from: Mutex<Option<Instant>>,
}

impl ShardHost {
    /// Starts the shard; its loops end with `stop`.
    ///
    /// # Errors
    /// One line, when Raft can't start on its stores.
    pub async fn start(
        parts: HostParts,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Arc<Self>, String> {
        let slot = Arc::new(RwLock::new(None));
        let metrics = parts.context.metrics.clone();
        let (proposer, proposer_loop) = proposer(
            slot.clone(),
            parts.context.clock.clone(),
            stamp_check(&parts.clocks),
            parts.queue,
            Arc::new(move |commands| metrics.entry_proposed(commands)),
        );
        let (barrier, barrier_loop) = read_barrier(slot.clone());
        let reader = parts.stores.state().reader(ShardId(parts.shard));
        let feed = Feed::default();
        let (office_tx, office) = watch::channel(None);
        let leadership = Arc::new(Leadership {
            node: parts.node,
            shard: parts.shard,
            bounds: CallBounds::of(&parts.timing),
            proposer: proposer.clone(),
            stores: parts.stores.clone(),
            reader: reader.clone(),
            feed: feed.clone(),
            forward: parts.forward.clone(),
            context: parts.context.clone(),
            clocks: parts.clocks.clone(),
            office: office_tx,
            leaving: watch::Sender::new(0),
            present: Mutex::new(None),
        });
        let host = Arc::new(Self {
            shard: parts.shard,
            node: parts.node,
            voters: parts.voters,
            timing: parts.timing,
            raft: slot,
            proposer,
            barrier,
            reader,
            feed,
            office,
            leadership,
            disk: parts.disk.clone(),
            votes_from: Mutex::new(None),
        });
        tasks.spawn(proposer_loop.run(stop.clone()));
        tasks.spawn(barrier_loop.run(stop.clone()));
        let first = host.start_raft(&parts).await?;
        tasks.spawn(host.clone().supervise(parts, first, stop.clone()));
        Ok(host)
    }

    async fn start_raft(&self, parts: &HostParts) -> Result<Raft, String> {
        let config = raft::config(&parts.cluster_name, self.shard, &self.timing)?;
        let sink = Arc::new(self.feed.clone());
        let stores = parts.stores.shard(ShardId(self.shard), Some(sink)).map_err(|e| e.to_string())?;
        let network = parts.network.clone();
        let raft = raft::start(self.node, config, network, stores.log, stores.state_machine).await?;
        // A lone voter has nobody who could hold a lease.
        let wait = if self.voters > 1 { self.timing.election_max } else { Duration::ZERO };
        *self.votes_from.lock() = Some(Instant::now() + wait);
        *self.raft.write() = Some(raft.clone());
        Ok(raft)
    }

    /// Keeps Raft running until `stop`.
    async fn supervise(self: Arc<Self>, parts: HostParts, first: Raft, stop: CancellationToken) {
        let mut raft = first;
        loop {
            let ended = self.clone().watch_raft(&raft, &stop).await;
            *self.raft.write() = None;
            let _ = raft.shutdown().await;
            if stop.is_cancelled() {
                return;
            }
            tracing::error!(shard = self.shard, reason = ended, "Raft ended; starting it again");
            parts.context.metrics.raft_restarted();
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RESTART_WAIT) => {}
                }
                match self.start_raft(&parts).await {
                    Ok(again) => {
                        raft = again;
                        break;
                    }
                    Err(reason) => tracing::error!(shard = self.shard, reason, "Raft can't start"),
                }
            }
        }
    }

    /// Follows one Raft instance until it ends; gives the reason.
    async fn watch_raft(self: Arc<Self>, raft: &Raft, stop: &CancellationToken) -> String {
        let allow_elections = async {
            let from = *self.votes_from.lock();
            if let Some(from) = from {
                tokio::time::sleep_until(from).await;
            }
            raft.runtime_config().elect(true);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = self.leadership.clone().follow(raft.clone(), stop.clone()) => {}
            () = allow_elections => {}
        }
        let metrics = raft.metrics().borrow_watched().clone();
        metrics.running_state.err().map_or_else(|| "stopped".to_owned(), |fatal| fatal.to_string())
    }

    /// The shard's Raft, unless it is just being started again.
    #[must_use]
    pub fn raft(&self) -> Option<Raft> {
        self.raft.read().clone()
    }

    /// Whether this replica may grant votes yet.
    #[must_use]
    pub fn may_vote(&self) -> bool {
        self.votes_from.lock().is_some_and(|from| Instant::now() >= from)
    }

    /// The office, while this node leads the shard.
    #[must_use]
    pub fn office(&self) -> Option<Arc<Office>> {
        self.office.borrow().clone()
    }

    /// Changes of the office.
    #[must_use]
    pub fn office_changes(&self) -> watch::Receiver<Option<Arc<Office>>> {
        self.office.clone()
    }

    /// The state, for probes.
    #[must_use]
    pub fn reader(&self) -> &StateReader {
        &self.reader
    }

    /// Commands that wait to be proposed, and their bytes.
    #[must_use]
    pub fn queue(&self) -> (usize, usize) {
        self.proposer.queue()
    }

    /// Who leads, as far as this replica knows.
    #[must_use]
    pub fn leader(&self) -> Option<LeaderId> {
        let metrics = self.raft()?.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.current_leader.map(|_| metrics.vote.leader_id)
    }

    /// What a node that asks for the leader is told by one that is not in office.
    fn not_leader(&self) -> ProposeError {
        ProposeError::NotLeader(self.leader().filter(|leader| leader.node_id != self.node))
    }

    /// Whether a quorum has answered this leader within its lease. A leader that has lost its quorum stays
    /// leader until it hears of another; what it appended meanwhile would have an unknown outcome.
    #[must_use]
    pub fn has_quorum(&self) -> bool {
        if self.voters <= 1 {
            return true;
        }
        let acknowledged = self.raft().and_then(|raft| raft.as_leader().ok()?.last_quorum_acked());
        acknowledged.is_some_and(|at| at.elapsed() < self.timing.election_max)
    }

    /// Replicates a client's command that is for `leader`, who has to be this node in its present office: what was
    /// sent to it in an earlier one comes too late, since whoever sent it may have had an answer from another leader.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn submit(&self, leader: LeaderId, mut envelope: Envelope) -> Result<Reply, ProposeError> {
        let Some(office) = self.office().filter(|office| !office.is_closed()) else {
            return Err(self.not_leader());
        };
        if office.leader != leader {
            return Err(ProposeError::NotLeader(Some(office.leader)));
        }
        if !self.has_quorum() {
            return Err(ProposeError::NotLeader(None));
        }
        if grows(&envelope.command) && !self.disk.is_left() {
            return Err(ProposeError::DiskFull);
        }
        let guard = fence_of(&mut envelope.command).map(|(key, slot)| {
            let guard = office.fence(&key);
            *slot = guard.fence;
            guard
        });
        self.proposer.propose(office.leader, envelope, guard).await
    }

    /// Replicates what the cluster itself proposes, such as an outcome that another node's office had under way. This
    /// node must be in office.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn submit_own(&self, envelope: Envelope) -> Result<Reply, ProposeError> {
        let Some(office) = self.office() else { return Err(self.not_leader()) };
        self.proposer.propose(office.leader, envelope, None::<FenceGuard>).await
    }

    /// Reads a timer, linearizably. This node must be in office.
    ///
    /// # Errors
    /// See [`ProposeError`]; a store that can't be read is `Unknown`.
    pub async fn get(&self, key: &TimerKey, group: Sequence) -> Result<Option<TimerView>, ProposeError> {
        let Some(office) = self.office() else { return Err(self.not_leader()) };
        self.barrier.wait().await?;
        self.check_group(&key.group, group)?;
        let timer = self.reader.timer(key).map_err(|e| ProposeError::Unknown(e.to_string()))?;
        Ok(timer.map(|timer| TimerView { attempt_in_flight: office.in_flight(key, timer.generation), timer }))
    }

    /// Reads the history of a timer's attempts, linearizably; none if there is no such timer. This node must be in
    /// office.
    ///
    /// # Errors
    /// See [`ProposeError`]; a store that can't be read is `Unknown`.
    pub async fn attempts(
        &self,
        key: &TimerKey,
        group: Sequence,
    ) -> Result<Option<Vec<Attempt>>, ProposeError> {
        if self.office().is_none() {
            return Err(self.not_leader());
        }
        self.barrier.wait().await?;
        self.check_group(&key.group, group)?;
        let key = key.clone();
        self.read(move |reader| reader.attempts(&key)).await
    }

    /// Whether this shard has the group `name` with the generation that the asker knows.
    fn check_group(&self, name: &str, known: Sequence) -> Result<(), ProposeError> {
        // `default` is always there and never another one.
        if name == DEFAULT_GROUP {
            return Ok(());
        }
        let here = self.reader.group(name).map_err(|e| ProposeError::Unknown(e.to_string()))?;
        let terms = here.as_ref().and_then(Group::terms);
        let fits = terms.is_some_and(|terms| terms.generation == known);
        if fits { Ok(()) } else { Err(ProposeError::GroupNotFound) }
    }

    /// Reads groups from the name `from` on, linearizably. This node must be in office.
    ///
    /// # Errors
    /// See [`ProposeError`]; a store that can't be read is `Unknown`.
    pub async fn groups(&self, from: &str, limit: usize) -> Result<Vec<Group>, ProposeError> {
        if self.office().is_none() {
            return Err(self.not_leader());
        }
        self.barrier.wait().await?;
        let from = from.to_owned();
        self.read(move |reader| reader.groups(&from, limit)).await
    }

    /// Reads the first timers of a list, linearizably, as far as this shard has them. This node must be in office.
    ///
    /// # Errors
    /// See [`ProposeError`]; a store that can't be read is `Unknown`.
    pub async fn list(
        &self,
        query: &ListQuery,
        group: Sequence,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Listed, ProposeError> {
        let Some(office) = self.office() else { return Err(self.not_leader()) };
        self.barrier.wait().await?;
        self.check_group(&query.group, group)?;
        let query = query.clone();
        let part = self.read(move |reader| reader.list(&query, limit, bytes_max)).await?;
        let view = |timer: Timer| TimerView {
            attempt_in_flight: office.in_flight(&timer.key, timer.generation),
            timer,
        };
        Ok(Listed { timers: part.timers.into_iter().map(view).collect(), more: part.more })
    }

    /// Reads more than one record, away from the executor if the store blocks. The caller has waited for the barrier.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&StateReader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ProposeError> {
        let reader = self.reader.clone();
        let read = away(reader.blocks(), move || read(&reader)).await;
        read.map_err(|e| ProposeError::Unknown(e.to_string()))?
            .map_err(|e| ProposeError::Unknown(e.to_string()))
    }

    /// Hands the lead to another node, in order. Gives whether another leads now, or none was led here.
    pub async fn hand_over(&self, shutting_down: bool) -> bool {
        let Some(raft) = self.raft() else { return true };
        self.leadership.hand_over(&raft, shutting_down).await
    }
}

fn stamp_check(clocks: &Clocks) -> StampCheck {
    let clocks = clocks.clone();
    Arc::new(move || match clocks.verdict() {
        Verdict::Ahead(ms) => Err(format!("this node's clock is {ms} ms ahead of the quorum's")),
        // A stamp from before the last one has no effect: time in the log does not go back.
        Verdict::Alone | Verdict::Trusted | Verdict::NotCompared | Verdict::Behind(_) => Ok(()),
    })
}

/// Whether a client's command makes the state larger.
fn grows(command: &Command) -> bool {
    match command {
        Command::Put(_) | Command::Patch(_) | Command::PutGroup(_) | Command::AddSigningSecret(_) => true,
        Command::Delete(_)
        | Command::Fire(_)
        | Command::Redrive(_)
        | Command::Outcome(_)
        | Command::OpenSession(_)
        | Command::HandOver(_)
        | Command::AdvanceCursor(_)
        | Command::Expire(_)
        | Command::StepGroup(_)
        | Command::SetGroup(_)
        | Command::RemoveSigningSecret(_)
        | Command::PauseGroup(_)
        | Command::Park(_)
        | Command::Release(_) => false,
    }
}

/// The key and the fence of a command that takes a definition out of force.
fn fence_of(command: &mut Command) -> Option<(TimerKey, &mut Fence)> {
    match command {
        Command::Put(put) => Some((put.key.clone(), &mut put.fence)),
        Command::Patch(patch) => Some((patch.key.clone(), &mut patch.fence)),
        Command::Delete(delete) => Some((delete.key.clone(), &mut delete.fence)),
        Command::Fire(_)
        | Command::Redrive(_)
        | Command::Outcome(_)
        | Command::OpenSession(_)
        | Command::HandOver(_)
        | Command::AdvanceCursor(_)
        | Command::Expire(_)
        | Command::PutGroup(_)
        | Command::StepGroup(_)
        | Command::SetGroup(_)
        | Command::AddSigningSecret(_)
        | Command::RemoveSigningSecret(_)
        | Command::PauseGroup(_)
        | Command::Park(_)
        | Command::Release(_) => None,
    }
}
