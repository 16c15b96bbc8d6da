//! The queue before a shard's log: commands that arrive while an entry is under way share the next one.
//!
//! One entry of a shard is under way at a time: what an entry costs three nodes is ten times what a command in
//! it costs, so that fewer and larger ones are faster even where they wait for each other
//! (docs/performance.md). Bounded in count and bytes; when it is full the answer is "overloaded" at once, never an election.
//!
//! A command is for one leader, and Raft's core refuses it if another leads by then, be it this node in a later term:
//! who asked has turned to the next leader and must not be overtaken by what it sent to the one before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::errors::ClientWriteError;
use openraft::impls::OneshotResponder;
use parking_lot::{Mutex, RwLock};
use raft_store::type_config::LeaderId;
use raft_store::{EntryData, EntryReply};
use timer_core::command::{Entry, Envelope, Reply};
use timer_core::limits::{COMMANDS_PER_ENTRY_MAX, ENTRY_BYTES_MAX};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::office::FenceGuard;
use super::raft::Raft;
use crate::environment::Clock;

/// Why a command got no reply.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProposeError {
    /// This node does not lead the shard: nothing was done. The leader, if it is known.
    #[error("not the leader")]
    NotLeader(Option<LeaderId>),
    /// The queue is full: nothing was done.
    #[error("too many commands wait")]
    Overloaded,
    /// The leader changed or Raft ended while it was under way: it may or may not be done.
    #[error("the outcome is not known: {0}")]
    Unknown(String),
    /// This node's disk has no room for more: nothing was done.
    #[error("the disk is almost full")]
    DiskFull,
    /// This node's clock must not stamp commands: nothing was done.
    #[error("{0}")]
    Untrusted(String),
    /// The shard has no such group, or one of another generation: nothing was read.
    #[error("there is no such group here")]
    GroupNotFound,
}

/// Bounds of a queue, and how long it lingers.
#[derive(Clone, Copy, Debug)]
pub struct QueueBounds {
    /// Commands that wait.
    pub commands_max: usize,
    /// Bytes of the commands that wait.
    pub bytes_max: usize,
    /// How long an entry at most waits for as many commands as there were lately.
    pub linger: Duration,
}

/// Says why this node must not stamp commands now, or that it may.
pub type StampCheck = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

struct Proposal {
    leader: LeaderId,
    envelope: Envelope,
    bytes: usize,
    reply: oneshot::Sender<Result<Reply, ProposeError>>,
    /// Kept until the command's fate is known: while it may still be applied, no attempt of what it takes
    /// out of force may start.
    fence: Option<FenceGuard>,
    _permit: OwnedSemaphorePermit,
}

/// The handle. Clones share the queue.
#[derive(Clone)]
pub struct Proposer {
    queue: mpsc::Sender<Proposal>,
    bytes: Arc<Semaphore>,
    bytes_max: usize,
    applied_index: Arc<AtomicU64>,
    under_way: Arc<UnderWay>,
}

/// Since when an entry is under way, if one is.
type UnderWay = Mutex<Option<Instant>>;

/// What the loop needs.
pub struct ProposerLoop {
    queue: mpsc::Receiver<Proposal>,
    applied_index: Arc<AtomicU64>,
    under_way: Arc<UnderWay>,
    raft: Arc<RwLock<Option<Raft>>>,
    clock: Arc<dyn Clock>,
    stamp_check: StampCheck,
    linger: Duration,
    on_entry: Arc<dyn Fn(usize) + Send + Sync>,
}

/// A queue before the Raft that `raft` holds at the time.
#[must_use]
pub fn proposer(
    raft: Arc<RwLock<Option<Raft>>>,
    clock: Arc<dyn Clock>,
    stamp_check: StampCheck,
    bounds: QueueBounds,
    on_entry: Arc<dyn Fn(usize) + Send + Sync>,
) -> (Proposer, ProposerLoop) {
    let (tx, rx) = mpsc::channel(bounds.commands_max);
    let (applied_index, under_way) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(None)));
    let bytes_max = bounds.bytes_max.min(Semaphore::MAX_PERMITS);
    let handle = Proposer {
        queue: tx,
        bytes: Arc::new(Semaphore::new(bytes_max)),
        bytes_max,
        applied_index: applied_index.clone(),
        under_way: under_way.clone(),
    };
    let linger = bounds.linger;
    let behind =
        ProposerLoop { queue: rx, applied_index, under_way, raft, clock, stamp_check, linger, on_entry };
    (handle, behind)
}

impl Proposer {
    /// Replicates a command while `leader`, which is this node in one of its terms, leads, and waits until it is
    /// applied here. Dropping the future does not take it back.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn propose(
        &self,
        leader: LeaderId,
        envelope: Envelope,
        fence: Option<FenceGuard>,
    ) -> Result<Reply, ProposeError> {
        let bytes = proto::entry::envelope_len(&envelope);
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX);
        let permit =
            self.bytes.clone().try_acquire_many_owned(wanted).map_err(|_| ProposeError::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        let proposal = Proposal { leader, envelope, bytes, reply, fence, _permit: permit };
        self.queue.try_send(proposal).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => ProposeError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => ProposeError::NotLeader(None),
        })?;
        answer.await.unwrap_or_else(|_| Err(ProposeError::Unknown("the node is shutting down".into())))
    }

    /// Commands that wait, and their bytes.
    #[must_use]
    pub fn queue(&self) -> (usize, usize) {
        let commands = self.queue.max_capacity() - self.queue.capacity();
        (commands, self.bytes_max.saturating_sub(self.bytes.available_permits()))
    }

    /// How long the entry that is under way has been so; zero if none is.
    #[must_use]
    pub fn under_way_for(&self) -> Duration {
        self.under_way.lock().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The largest log index that a reply has shown to be applied.
    #[must_use]
    pub fn applied_index(&self) -> u64 {
        self.applied_index.load(Ordering::Acquire)
    }
}

/// The commands of one entry, all for one leader.
struct Batch {
    proposals: Vec<Proposal>,
    bytes: usize,
    /// What did not fit any more, or is for another leader: the first of the next entry.
    left_over: Option<Proposal>,
}

impl Batch {
    fn new(first: Proposal) -> Self {
        Self { bytes: first.bytes, proposals: vec![first], left_over: None }
    }

    fn has_room(&self) -> bool {
        self.left_over.is_none() && self.proposals.len() < COMMANDS_PER_ENTRY_MAX as usize
    }

    fn leader(&self) -> LeaderId {
        self.proposals[0].leader
    }

    fn push(&mut self, next: Proposal) {
        self.bytes += next.bytes;
        if self.bytes > ENTRY_BYTES_MAX || next.leader != self.leader() {
            self.left_over = Some(next);
        } else {
            self.proposals.push(next);
        }
    }
}

type Answers = Vec<(oneshot::Sender<Result<Reply, ProposeError>>, Option<FenceGuard>)>;

impl ProposerLoop {
    /// Runs until `stop`; what waits then is answered as not done.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut left_over = None;
        let mut expected = 0;
        while let Some(batch) = self.next_batch(left_over.take(), expected, &stop).await {
            let (leader, commands) = (batch.leader(), batch.proposals.len());
            left_over = batch.left_over;
            self.send(leader, batch.proposals).await;
            // Who was answered is likely to ask again, beside those who wait already.
            expected = commands + self.queue.len() + usize::from(left_over.is_some());
        }
        self.queue.close();
        while let Ok(proposal) = self.queue.try_recv() {
            let _ = proposal.reply.send(Err(ProposeError::NotLeader(None)));
        }
    }

    /// Waits for a command, then for at most `linger` until there are `expected`: a lone client never waits,
    /// and many get their commands into one entry. None: it is time to stop.
    async fn next_batch(
        &mut self,
        left_over: Option<Proposal>,
        expected: usize,
        stop: &CancellationToken,
    ) -> Option<Batch> {
        let first = match left_over {
            Some(proposal) => proposal,
            None => tokio::select! {
                () = stop.cancelled() => return None,
                first = self.queue.recv() => first?,
            },
        };
        let mut batch = Batch::new(first);
        let until = Instant::now() + self.linger;
        while batch.has_room() {
            let next = match self.queue.try_recv() {
                Ok(next) => next,
                Err(_) if batch.proposals.len() >= expected => break,
                Err(_) => match timeout_at(until, self.queue.recv()).await {
                    Ok(Some(next)) => next,
                    Ok(None) | Err(_) => break,
                },
            };
            batch.push(next);
        }
        Some(batch)
    }

    /// Proposes one entry and answers everybody in it.
    async fn send(&self, leader: LeaderId, batch: Vec<Proposal>) {
        let mut answers: Answers = Vec::with_capacity(batch.len());
        let mut commands = Vec::with_capacity(batch.len());
        let mut permits = Vec::with_capacity(batch.len());
        for proposal in batch {
            commands.push(proposal.envelope);
            answers.push((proposal.reply, proposal.fence));
            permits.push(proposal._permit);
        }
        (self.on_entry)(commands.len());
        let entry = Entry { proposed_at: self.clock.now(), commands };
        let checked = (self.stamp_check)();
        *self.under_way.lock() = Some(Instant::now());
        let raft = self.raft.read().clone();
        let outcome = match (checked, raft) {
            (Err(reason), _) => Err(ProposeError::Untrusted(reason)),
            (Ok(()), None) => Err(ProposeError::NotLeader(None)),
            (Ok(()), Some(raft)) => write(&raft, leader, &entry, &self.applied_index).await,
        };
        *self.under_way.lock() = None;
        distribute(outcome, answers);
        drop(permits);
    }
}

async fn write(
    raft: &Raft,
    leader: LeaderId,
    entry: &Entry,
    applied_index: &AtomicU64,
) -> Result<Vec<Reply>, ProposeError> {
    let data = EntryData(proto::entry::encode(entry));
    let (responder, answer) = OneshotResponder::new_pair();
    let sent = raft.write(data).with_leader(leader).responder(responder).await;
    sent.map_err(|fatal| ProposeError::Unknown(fatal.to_string()))?;
    match answer.await.map_err(|_| ProposeError::Unknown("Raft ended".into()))? {
        Ok(written) => {
            applied_index.fetch_max(written.log_id.index, Ordering::AcqRel);
            match written.data {
                EntryReply::Replies(replies) => Ok(replies),
                EntryReply::None => Err(ProposeError::Unknown("no reply from the state machine".into())),
            }
        }
        // It names who leads, but not in which term.
        Err(ClientWriteError::ForwardToLeader(_)) => Err(ProposeError::NotLeader(None)),
        // It can be read as "ask the leader", but the entry may be committed by the next one.
        Err(ClientWriteError::LogEntryDiscarded(_)) => {
            Err(ProposeError::Unknown("the leader changed".into()))
        }
        Err(e) => Err(ProposeError::Unknown(e.to_string())),
    }
}

fn distribute(outcome: Result<Vec<Reply>, ProposeError>, answers: Answers) {
    match outcome {
        Ok(replies) if replies.len() == answers.len() => {
            for ((reply, fence), answer) in answers.into_iter().zip(replies) {
                drop(fence);
                let _ = reply.send(Ok(answer));
            }
        }
        Ok(replies) => {
            let fault = format!("{} replies to {} commands", replies.len(), answers.len());
            distribute(Err(ProposeError::Unknown(fault)), answers);
        }
        Err(e) => {
            for (reply, fence) in answers {
                drop(fence);
                let _ = reply.send(Err(e.clone()));
            }
        }
    }
}

#[cfg(test)]
#[path = "proposer_tests.rs"]
mod tests;
