//! The state of all shards of a node: one engine without a WAL, rebuilt from the log after a crash.
//!
//! Everything that applying a batch of entries changes, with the applied log id, is one write to one ordered
//! space; so what a crash leaves is the state after some entry, and never half of one.

mod apply;
mod check;
mod flush;
mod history;
mod list;
mod meta;
mod migrate;
mod open;
mod reader;
mod replica;
mod shard;
pub mod snapshot;

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use timer_core::command::Notice;
use timer_core::ids::ShardId;
use tokio::sync::watch;

pub use self::flush::Persisted;
pub(crate) use self::open::is_blank as state_is_blank;
pub use self::reader::{IndexFault, ListPart, Slot, StateReader};
use self::replica::Replica;
pub(crate) use self::shard::DurableLog;
pub use self::shard::{ShardSnapshotBuilder, ShardStateMachine};
pub use self::snapshot::{OutgoingSnapshot, ReceivedSnapshot, SnapshotData, SnapshotError, SnapshotReceiver};
use crate::engine::Engine;
use crate::error::StoreError;
use crate::health::Latch;
use crate::type_config::LogId;

/// Who wants to hear what applied entries mean for the dispatcher of a shard. Called in the order of the
/// log, after the state has changed and before the replies go out; must not block.
pub trait NoticeSink: Send + Sync + 'static {
    /// Whether anybody listens: a follower's notices are not even collected.
    fn listens(&self) -> bool;

    /// Entries up to `applied` have been applied.
    fn applied(&self, applied: LogId, notices: Vec<Notice>);

    /// A snapshot took the place of the whole state: what was known before means nothing.
    fn replaced(&self, applied: Option<LogId>);
}

/// The states of a node's shards. Cheap to clone; all clones are the same.
#[derive(Clone, Debug)]
pub struct StateDb {
    inner: Arc<StateInner>,
}

#[derive(Debug)]
pub(crate) struct StateInner {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) cluster_id: String,
    /// A state that can't be read or written is a fault of the whole node.
    health: Latch,
    pub(crate) replicas: Vec<Arc<Replica>>,
    /// The incarnation that is given out next.
    next_incarnation: Mutex<u32>,
    /// One flush at a time.
    flushing: Mutex<()>,
    /// Held for reading while a view is sent: files may not be dropped under it, because unlike deletes
    /// that is not versioned.
    pub(crate) files: RwLock<()>,
}

impl StateDb {
    /// What a shard has durably: the log may be removed to there.
    #[must_use]
    pub fn persisted(&self, shard: ShardId) -> watch::Receiver<Option<LogId>> {
        self.replica(shard.0).persisted()
    }

    /// Reads a shard's state.
    #[must_use]
    pub fn reader(&self, shard: ShardId) -> StateReader {
        StateReader::new(self.inner.clone(), self.replica(shard.0).clone())
    }

    /// Begins to receive a snapshot for one of this node's shards; `header` is the sender's first message.
    /// Blocks for the disk.
    ///
    /// # Errors
    /// When it is of another cluster, shard or format, or the disk can't take it.
    pub fn receive(&self, shard: ShardId, header: &Bytes) -> Result<SnapshotReceiver, SnapshotError> {
        SnapshotReceiver::begin(self.inner.clone(), shard, header)
    }

    /// Whether calls can wait for a disk, so that threads are worth having.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.inner.engine.blocks()
    }

    pub(crate) fn replica(&self, shard: u16) -> &Arc<Replica> {
        &self.inner.replicas[usize::from(shard)]
    }

    /// A shard's state machine. `durable` tells how much of the log is durable here: None only in
    /// openraft's own suite, which applies entries that no log has.
    pub(crate) fn shard(
        &self,
        shard: u16,
        durable: Option<DurableLog>,
        sink: Option<Arc<dyn NoticeSink>>,
    ) -> ShardStateMachine {
        ShardStateMachine::new(self.clone(), self.replica(shard).clone(), durable, sink)
    }

    pub(crate) fn inner(&self) -> &Arc<StateInner> {
        &self.inner
    }
}

impl StateInner {
    /// Passes a result on, and its error to [`note`](Self::note).
    pub(crate) fn noted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|error| self.note(error))
    }

    /// Notes a state that is damaged or can't be read or written. A leader with an unreadable wheel would fire
    /// nothing, and an entry that can't be applied will not be applied at the next try either.
    pub(crate) fn note(&self, error: &StoreError) {
        if matches!(error, StoreError::Corrupted { .. } | StoreError::Io { .. }) {
            self.health.fail(&error.to_string());
        }
    }

    /// The same for what a snapshot meets: of its faults only those of this node's own store count.
    pub(crate) fn noted_snapshot<T>(&self, result: Result<T, SnapshotError>) -> Result<T, SnapshotError> {
        result.inspect_err(|error| {
            if let SnapshotError::Store(error) = error {
                self.note(error);
            }
        })
    }

    /// A new incarnation that nothing was ever written under.
    fn allocate(&self) -> Result<u32, StoreError> {
        let mut next = self.next_incarnation.lock();
        let incarnation = *next;
        let mut batch = crate::engine::Batch::default();
        batch.put(crate::keys::pointer::next(), (incarnation + 1).to_be_bytes().to_vec());
        self.engine.write(batch, false)?;
        *next += 1;
        Ok(incarnation)
    }

    /// Removes what an incarnation holds. Nothing must point to it any more, durably.
    fn discard(&self, incarnation: u32) -> Result<(), StoreError> {
        let range = crate::keys::incarnation_range(incarnation);
        let mut batch = crate::engine::Batch::default();
        batch.delete_range(range.clone());
        self.engine.write(batch, false)?;
        self.drop_files(&range)
    }

    /// Drops whole files of a range, unless a view is being sent; then compaction removes them later.
    fn drop_files(&self, (from, to): &(Vec<u8>, Vec<u8>)) -> Result<(), StoreError> {
        match self.files.try_write() {
            Some(_nobody_reads) => self.engine.drop_files(from, to),
            None => Ok(()),
        }
    }
}
