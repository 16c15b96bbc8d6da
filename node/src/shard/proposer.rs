//! The queue before a shard's log: commands that arrive while an append is under way share the next entry.
//!
//! Bounded in count and bytes; when it is full the answer is "overloaded" at once, never an election.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openraft::errors::{ClientWriteError, RaftError};
use parking_lot::RwLock;
use raft_store::{EntryData, EntryReply};
use timer_core::command::{Entry, Envelope, Reply};
use timer_core::limits::{COMMANDS_PER_ENTRY_MAX, ENTRY_BYTES_MAX};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::office::FenceGuard;
use super::raft::Raft;
use crate::environment::Clock;

/// Entries of one shard that are under way at the same time. Two keep the disk and the network busy while
/// the entries stay large.
const UNDER_WAY_MAX: usize = 2;

/// Why a command got no reply.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProposeError {
    /// This node does not lead the shard: nothing was done. The leader, if it is known.
    #[error("not the leader")]
    NotLeader(Option<u64>),
    /// The queue is full: nothing was done.
    #[error("too many commands wait")]
    Overloaded,
    /// The leader changed or Raft ended while it was under way: it may or may not be done.
    #[error("the outcome is not known: {0}")]
    Unknown(String),
    /// This node's clock must not stamp commands: nothing was done.
    #[error("{0}")]
    Untrusted(String),
}

/// Bounds of a queue, and how long it lingers.
#[derive(Clone, Copy, Debug)]
pub struct QueueBounds {
    /// Commands that wait.
    pub commands_max: usize,
    /// Bytes of the commands that wait.
    pub bytes_max: usize,
    /// How long the first command of an entry waits for others when nothing is under way.
    pub linger: Duration,
}

/// Says why this node must not stamp commands now, or that it may.
pub type StampCheck = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

struct Proposal {
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
}

/// What the loop needs.
pub struct ProposerLoop {
    queue: mpsc::Receiver<Proposal>,
    applied_index: Arc<AtomicU64>,
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
    let applied_index = Arc::new(AtomicU64::new(0));
    let bytes_max = bounds.bytes_max.min(Semaphore::MAX_PERMITS);
    let handle = Proposer {
        queue: tx,
        bytes: Arc::new(Semaphore::new(bytes_max)),
        bytes_max,
        applied_index: applied_index.clone(),
    };
    let behind =
        ProposerLoop { queue: rx, applied_index, raft, clock, stamp_check, linger: bounds.linger, on_entry };
    (handle, behind)
}

impl Proposer {
    /// Replicates a command and waits until it is applied here. Dropping the future does not take it back.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn propose(
        &self,
        envelope: Envelope,
        fence: Option<FenceGuard>,
    ) -> Result<Reply, ProposeError> {
        let bytes = proto::entry::envelope_len(&envelope);
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX);
        let permit =
            self.bytes.clone().try_acquire_many_owned(wanted).map_err(|_| ProposeError::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        let proposal = Proposal { envelope, bytes, reply, fence, _permit: permit };
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

    /// The largest log index that a reply has shown to be applied.
    #[must_use]
    pub fn applied_index(&self) -> u64 {
        self.applied_index.load(Ordering::Acquire)
    }
}

type Answers = Vec<(oneshot::Sender<Result<Reply, ProposeError>>, Option<FenceGuard>)>;

impl ProposerLoop {
    /// Runs until `stop`; what waits then is answered as not done.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut under_way = FuturesUnordered::new();
        let mut left_over = None;
        loop {
            let next = async {
                match left_over.take() {
                    Some(proposal) => Some(proposal),
                    None => self.queue.recv().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                first = next, if under_way.len() < UNDER_WAY_MAX => {
                    let Some(first) = first else { break };
                    if !self.linger.is_zero() && under_way.is_empty() {
                        tokio::time::sleep(self.linger).await;
                    }
                    let (batch, rest) = self.batch(first);
                    left_over = rest;
                    under_way.push(self.send(batch));
                }
            }
        }
        self.queue.close();
        while let Ok(proposal) = self.queue.try_recv() {
            let _ = proposal.reply.send(Err(ProposeError::NotLeader(None)));
        }
        while under_way.next().await.is_some() {}
    }

    /// Takes what waits, as far as one entry may have it; what does not fit any more comes first next time.
    fn batch(&mut self, first: Proposal) -> (Vec<Proposal>, Option<Proposal>) {
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        while batch.len() < COMMANDS_PER_ENTRY_MAX as usize {
            let Ok(next) = self.queue.try_recv() else { break };
            bytes += next.bytes;
            if bytes > ENTRY_BYTES_MAX {
                return (batch, Some(next));
            }
            batch.push(next);
        }
        (batch, None)
    }

    /// Proposes one entry and answers everybody in it.
    fn send(&self, batch: Vec<Proposal>) -> impl Future<Output = ()> + use<> {
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
        let raft = self.raft.read().clone();
        let applied_index = self.applied_index.clone();
        async move {
            let outcome = match (checked, raft) {
                (Err(reason), _) => Err(ProposeError::Untrusted(reason)),
                (Ok(()), None) => Err(ProposeError::NotLeader(None)),
                (Ok(()), Some(raft)) => write(&raft, &entry, &applied_index).await,
            };
            distribute(outcome, answers);
            drop(permits);
        }
    }
}

async fn write(raft: &Raft, entry: &Entry, applied_index: &AtomicU64) -> Result<Vec<Reply>, ProposeError> {
    let data = EntryData(proto::entry::encode(entry));
    match raft.client_write(data).await {
        Ok(written) => {
            applied_index.fetch_max(written.log_id.index, Ordering::AcqRel);
            match written.data {
                EntryReply::Replies(replies) => Ok(replies),
                EntryReply::None => Err(ProposeError::Unknown("no reply from the state machine".into())),
            }
        }
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
            Err(ProposeError::NotLeader(to.leader_id))
        }
        // It can be read as "ask the leader", but the entry may be committed by the next one.
        Err(RaftError::APIError(ClientWriteError::LogEntryDiscarded(_))) => {
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
