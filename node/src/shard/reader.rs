//! Linearizable reads: those that wait together share one round of heartbeats (ReadIndex, Raft thesis 6.4).

use std::sync::Arc;
use std::time::Duration;

use openraft::raft::ReadPolicy;
use parking_lot::RwLock;
use timer_core::mutant::Mutant;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::proposer::ProposeError;
use super::raft::Raft;

/// Reads that wait.
const QUEUE_MAX: usize = 16 * 1024;
/// How long one round may take before everybody in it is told that there is no leader.
const ROUND_TIMEOUT: Duration = Duration::from_secs(2);

type Waiting = oneshot::Sender<Result<(), ProposeError>>;

/// The handle. Clones share the queue.
#[derive(Clone)]
pub struct ReadBarrier {
    queue: mpsc::Sender<Waiting>,
}

/// The loop behind it.
pub struct ReadBarrierLoop {
    queue: mpsc::Receiver<Waiting>,
    raft: Arc<RwLock<Option<Raft>>>,
}

/// A barrier before the Raft that `raft` holds at the time.
#[must_use]
pub fn read_barrier(raft: Arc<RwLock<Option<Raft>>>) -> (ReadBarrier, ReadBarrierLoop) {
    let (tx, rx) = mpsc::channel(QUEUE_MAX);
    (ReadBarrier { queue: tx }, ReadBarrierLoop { queue: rx, raft })
}

impl ReadBarrier {
    /// Resolves when the state here has everything that was acknowledged before the call.
    ///
    /// # Errors
    /// When this node does not lead, or can't show that it does. A read has no effect: nothing is unknown.
    pub async fn wait(&self) -> Result<(), ProposeError> {
        if Mutant::ReadWithoutBarrier.is_on() {
            return Ok(());
        }
        let (tx, rx) = oneshot::channel();
        self.queue.try_send(tx).map_err(|_| ProposeError::Overloaded)?;
        rx.await.unwrap_or(Err(ProposeError::NotLeader(None)))
    }
}

impl ReadBarrierLoop {
    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let first = tokio::select! {
                () = stop.cancelled() => return,
                first = self.queue.recv() => first,
            };
            let Some(first) = first else { return };
            let mut round = vec![first];
            while let Ok(next) = self.queue.try_recv() {
                round.push(next);
            }
            let raft = self.raft.read().clone();
            let result = match raft {
                None => Err(ProposeError::NotLeader(None)),
                Some(raft) => barrier(&raft).await,
            };
            for waiting in round {
                let _ = waiting.send(result.clone());
            }
        }
    }
}

async fn barrier(raft: &Raft) -> Result<(), ProposeError> {
    let round = tokio::time::timeout(ROUND_TIMEOUT, raft.ensure_linearizable(ReadPolicy::ReadIndex));
    match round.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(ProposeError::NotLeader(None)),
    }
}
