//! Takes office when this node leads the shard, and leaves it: in order, or because the lead is lost.
//!
//! Office is taken by committing `OpenSession`; until then nothing starts and no command is taken, since only
//! an office can say what is under way.

use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use parking_lot::Mutex;
use raft_store::state_machine::StateReader;
use raft_store::type_config::LeaderId;
use raft_store::{Stores, TypeConfig};
use timer_core::command::{Command, Envelope, HandOver, OpenSession, Reply};
use timer_core::ids::NodeId;
use timer_core::shard_state::{OpenAttempt, Predecessor};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dispatcher::{DispatchContext, Dispatcher, ForwardOutcome};
use super::feed::Feed;
use super::lead::{CallBounds, Lead};
use super::office::Office;
use super::proposer::{ProposeError, Proposer};
use super::raft::Raft;
use super::succession;
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
    /// What bounds the leader's calls.
    pub bounds: CallBounds,
    /// Replicates the session's own commands.
    pub proposer: Proposer,
    /// The node's stores.
    pub stores: Arc<Stores>,
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
    /// Reasons not to take office: a hand-over that is under way, or a shutdown.
    pub leaving: watch::Sender<usize>,
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
            let wanted = leader.filter(|_| *leaving.borrow_and_update() == 0);
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
            succession::give_up_lead(raft, self.node).await;
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
        let lead = Lead {
            raft: raft.clone(),
            clocks: self.clocks.clone(),
            proposer: self.proposer.clone(),
            stores: self.stores.clone(),
            bounds: self.bounds,
        };
        let asked = lead.clone();
        let dispatcher = Dispatcher {
            office: office.clone(),
            reader: self.reader.clone(),
            proposer: self.proposer.clone(),
            confirm: Arc::new(move || {
                let lead = asked.clone();
                Box::pin(async move { lead.confirm().await })
            }),
            may_start: Arc::new(move || lead.may_start()),
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
            other @ (Reply::Done(_)
            | Reply::Refused(_)
            | Reply::Outcome(_)
            | Reply::Group(_)
            | Reply::GroupHeld(_)
            | Reply::Ack) => Err(ProposeError::Unknown(format!("unexpected reply {other:?}"))),
        }
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

    /// Leaves office in order: stops starting, commits what is under way, and passes the lead on. Gives whether another
    /// node leads now, or none was led here. No office is taken meanwhile, nor after it if the node is `shutting_down`.
    pub async fn hand_over(&self, raft: &Raft, shutting_down: bool) -> bool {
        let office = self.office.borrow().clone();
        let named = match &office {
            Some(office) => self.name_under_way(office).await,
            None => false,
        };
        self.leaving.send_modify(|leaving| *leaving += 1);
        let passed = match office {
            None => true,
            Some(_) => named && self.pass_lead(raft).await,
        };
        if !shutting_down {
            // The closed office is left before another may be taken: kept, it would start nothing for as long as it lasts.
            let mut office = self.office.subscribe();
            let left = office.wait_for(|office| office.as_ref().is_none_or(|office| !office.is_closed()));
            let _ = tokio::time::timeout(TRANSFER_TIMEOUT, left).await;
            self.leaving.send_modify(|leaving| *leaving -= 1);
        }
        passed
    }

    /// Closes the office and commits what it has under way; gives whether that is committed.
    async fn name_under_way(&self, office: &Office) -> bool {
        let attempts: Vec<OpenAttempt> = office.close();
        tracing::info!(shard = self.shard, under_way = attempts.len(), "handing over");
        let command = Command::HandOver(HandOver { session: office.session, attempts });
        // Without a quorum it is never committed, and a node that is to stop must stop. If it is committed
        // later it is still true: this office starts nothing more.
        let proposed = self.proposer.propose(office.leader, Envelope::own(command), None);
        let committed = matches!(tokio::time::timeout(TRANSFER_TIMEOUT, proposed).await, Ok(Ok(_)));
        if committed {
            office.hand_over();
        }
        committed
    }

    /// Has another voter stand for election and waits until one leads.
    async fn pass_lead(&self, raft: &Raft) -> bool {
        let deadline = Instant::now() + TRANSFER_TIMEOUT;
        // One that lacks what is committed here could not win, and the shard would wait for an election.
        let caught_up = succession::once_caught_up(raft.metrics(), self.node, self.proposer.applied_index());
        let Ok(Some(target)) = tokio::time::timeout_at(deadline, caught_up).await else { return false };
        tracing::info!(shard = self.shard, to = target, "passing the lead on");
        raft.trigger().transfer_leader(target).await.is_ok()
            && succession::other_leads(raft, self.node, deadline).await
    }
}
