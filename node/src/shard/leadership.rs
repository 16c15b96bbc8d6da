//! Takes office when this node leads the shard, and leaves it: in order, or because the lead is lost.
//!
//! Office is taken by committing `OpenSession`; until then nothing starts and no command is taken, since only
//! an office can say what is under way.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use openraft::{Instant as _, ServerState};
use parking_lot::Mutex;
use raft_store::TypeConfig;
use raft_store::state_machine::StateReader;
use raft_store::type_config::LeaderId;
use timer_core::command::{Command, Envelope, HandOver, OpenSession, Reply};
use timer_core::ids::NodeId;
use timer_core::mutant::Mutant;
use timer_core::shard_state::{OpenAttempt, Predecessor};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dispatcher::{DispatchContext, Dispatcher, ForwardOutcome};
use super::feed::Feed;
use super::office::Office;
use super::proposer::{ProposeError, Proposer};
use super::raft::Raft;
use crate::delivery::MaySend;
use crate::peer::clocks::{Clocks, Verdict};

/// The wait before another try to open a session.
const RETRY: Duration = Duration::from_millis(50);
/// How often a leader in office asks whether its clock may still be trusted. Meanwhile it neither stamps nor starts
/// anything, so this bounds only how long the shard stands still.
const CLOCK_CHECK: Duration = Duration::from_millis(500);
/// How long a hand-over waits for a quorum, and then for another leader, before it is given up.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(3);

/// What leading a shard needs. One per shard for the node's life.
pub struct Leadership {
    /// This node.
    pub node: u64,
    /// The shard.
    pub shard: u16,
    /// The leader's lease: attempts start only while a quorum has answered within it.
    pub lease: Duration,
    /// No attempt starts while an entry has been under way for that long.
    pub commit_patience: Duration,
    /// Replicates the session's own commands.
    pub proposer: Proposer,
    /// The shard's state.
    pub reader: StateReader,
    /// What applied commands mean.
    pub feed: Feed,
    /// For outcomes after the office has ended.
    pub forward: ForwardOutcome,
    /// Shared by all shards.
    pub context: DispatchContext,
    /// The comparison of clocks.
    pub clocks: Clocks,
    /// The office, while there is one.
    pub office: watch::Sender<Option<Arc<Office>>>,
    /// Set while this node hands over or shuts down: no office is taken.
    pub leaving: watch::Sender<bool>,
    /// What ends the present office's dispatcher.
    pub present: Mutex<Option<CancellationToken>>,
}

/// Whether `metrics` show that this node leads, and in which term.
fn leads(metrics: &RaftServerMetrics<TypeConfig>) -> Option<LeaderId> {
    (metrics.state == ServerState::Leader).then_some(metrics.vote.leader_id)
}

impl Leadership {
    /// Follows one Raft instance until `stop` or until that instance ends.
    pub async fn follow(self: Arc<Self>, raft: Raft, stop: CancellationToken) {
        // Not `metrics()`, which changes several times with each entry. The channel closes when Raft ends.
        let mut metrics = raft.server_metrics();
        let mut leaving = self.leaving.subscribe();
        let mut in_office = None;
        loop {
            let leader = leads(&metrics.borrow_watched());
            let wanted = leader.filter(|_| !*leaving.borrow_and_update());
            if in_office.is_some() && (in_office != wanted || self.ahead_ms().is_some()) {
                self.leave_office();
                in_office = None;
            }
            if let Some(leader) = wanted
                && in_office.is_none()
                && self.take_office(&raft, leader).await
            {
                in_office = Some(leader);
            }
            let retry = wanted.is_some() && in_office.is_none();
            tokio::select! {
                () = stop.cancelled() => break,
                changed = metrics.changed() => if changed.is_err() { break },
                _ = leaving.changed() => {}
                () = tokio::time::sleep(RETRY), if retry => {}
                () = tokio::time::sleep(CLOCK_CHECK), if !retry && wanted.is_some() => {}
            }
        }
        self.leave_office();
    }

    /// How far this node's clock is ahead, if that is too far to lead.
    fn ahead_ms(&self) -> Option<i64> {
        if let Verdict::Ahead(ms) = self.clocks.verdict() { Some(ms) } else { None }
    }

    /// Opens a session and starts its dispatcher; `false` if it is to be tried again.
    async fn take_office(&self, raft: &Raft, leader: LeaderId) -> bool {
        if let Some(ms) = self.ahead_ms() {
            tracing::error!(
                shard = self.shard,
                ahead_ms = ms,
                "this node's clock is ahead: it must not lead"
            );
            give_up_lead(raft, self.node).await;
            return false;
        }
        let notices = self.feed.subscribe();
        let session = match self.open_session(leader).await {
            Ok(session) => session,
            Err(e) => {
                tracing::debug!(shard = self.shard, term = leader.term, error = %e, "no session yet");
                return false;
            }
        };
        let state = self.reader.shard_state();
        let awaited = match state.session.as_ref().map(|s| &s.predecessor) {
            Some(Predecessor::HandedOver(attempts)) => attempts.clone(),
            Some(Predecessor::Lost | Predecessor::None) | None => Vec::new(),
        };
        let now = self.context.clock.now();
        let office = Arc::new(Office::new(session, leader, now, state.cursor, &awaited));
        let ended = CancellationToken::new();
        let dispatcher = Dispatcher {
            office: office.clone(),
            reader: self.reader.clone(),
            proposer: self.proposer.clone(),
            may_start: self.may_start(raft.clone()),
            forward: self.forward.clone(),
            context: self.context.clone(),
            ended: ended.clone(),
        };
        *self.present.lock() = Some(ended);
        self.context.attempts.spawn(dispatcher.run(notices));
        tracing::info!(
            shard = self.shard,
            term = leader.term,
            session,
            awaited = awaited.len(),
            "took office"
        );
        self.context.metrics.office_taken();
        self.office.send_replace(Some(office));
        true
    }

    async fn open_session(&self, leader: LeaderId) -> Result<u64, ProposeError> {
        let command = Command::OpenSession(OpenSession { node: NodeId(self.node) });
        match self.proposer.propose(leader, Envelope::own(command), None).await? {
            Reply::SessionOpened(number) => Ok(number),
            other @ (Reply::Done(_) | Reply::Refused(_) | Reply::Outcome(_) | Reply::Ack) => {
                Err(ProposeError::Unknown(format!("unexpected reply {other:?}")))
            }
        }
    }

    /// Attempts start only while a quorum has answered within the lease, the clock may be trusted, and entries are
    /// committed: what a leader that was just cut off calls before its lease ends, its successor calls again.
    fn may_start(&self, raft: Raft) -> MaySend {
        let (lease, clocks, proposer) = (self.lease, self.clocks.clone(), self.proposer.clone());
        let commit_patience = self.commit_patience;
        let commits = move || proposer.under_way_for() < commit_patience;
        Arc::new(move || match clocks.verdict() {
            Verdict::Alone => raft.is_leader() && commits(),
            Verdict::Trusted | Verdict::Behind(_) if Mutant::SendWithoutLease.is_on() => true,
            // Late is better than not at all, until another leads.
            Verdict::Trusted | Verdict::Behind(_) => {
                let acknowledged = raft.as_leader().ok().and_then(|leader| leader.last_quorum_acked());
                acknowledged.is_some_and(|at| at.elapsed() < lease) && commits()
            }
            Verdict::NotCompared | Verdict::Ahead(_) => false,
        })
    }

    fn leave_office(&self) {
        if let Some(ended) = self.present.lock().take() {
            ended.cancel();
        }
        if let Some(office) = self.office.send_replace(None) {
            let under_way = office.leave();
            tracing::info!(shard = self.shard, session = office.session, under_way, "left office");
        }
    }

    /// Leaves office in order: stops starting, commits what is under way, and passes the lead on. Gives
    /// whether another node leads now; if not, and the node is not shutting down, it takes office again.
    pub async fn hand_over(&self, raft: &Raft, target: Option<u64>) -> bool {
        let Some(office) = self.office.borrow().clone() else { return true };
        let attempts: Vec<OpenAttempt> = office.close();
        let number = attempts.len();
        let command = Command::HandOver(HandOver { session: office.session, attempts });
        // Without a quorum it is never committed, and a node that is to stop must stop. If it is committed
        // later it is still true: this office starts nothing more.
        let proposed = self.proposer.propose(office.leader, Envelope::own(command), None);
        let proposed = tokio::time::timeout(TRANSFER_TIMEOUT, proposed).await;
        if matches!(proposed, Ok(Ok(_))) {
            office.hand_over();
        }
        self.leaving.send_replace(true);
        let Some(target) = target.filter(|_| matches!(proposed, Ok(Ok(_)))) else { return false };
        tracing::info!(shard = self.shard, to = target, under_way = number, "handing over");
        if raft.trigger().transfer_leader(target).await.is_err() {
            return false;
        }
        wait_for_other_leader(raft, self.node).await
    }
}

async fn wait_for_other_leader(raft: &Raft, node: u64) -> bool {
    let mut metrics = raft.server_metrics();
    let deadline = Instant::now() + TRANSFER_TIMEOUT;
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

/// The voter that is most caught up, as this leader sees it.
#[must_use]
pub fn successor(raft: &Raft, node: u64) -> Option<u64> {
    let metrics = raft.metrics().borrow_watched().clone();
    let voters: Vec<u64> = metrics.membership_config.membership().voter_ids().collect();
    let replication = metrics.replication?;
    replication
        .into_iter()
        .filter(|(id, _)| *id != node && voters.contains(id))
        .max_by_key(|(_, matching)| *matching)
        .map(|(id, _)| id)
}

async fn give_up_lead(raft: &Raft, node: u64) {
    if let Some(target) = successor(raft, node) {
        let _ = raft.trigger().transfer_leader(target).await;
    }
}
