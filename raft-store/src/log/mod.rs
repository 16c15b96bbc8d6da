//! The durability of everything: the Raft logs of all shards of a node, in one engine with one writer.
//!
//! Deliberately absent: repair. A log that is not what was written is refused, because a voter that forgot
//! what it acknowledged breaks Raft.

mod job;
pub mod mark;
mod open;
pub mod record;
mod shard;
mod shard_cell;
mod stopwatch;
mod tail;
mod writer;

use std::sync::Arc;

use parking_lot::Mutex;
use timer_core::ids::ShardId;
use tokio::sync::watch;
use tokio::time::Duration;

pub(crate) use self::open::{is_blank, open};
pub use self::shard::ShardLog;
use self::shard_cell::ShardCell;
use self::writer::{Threads, Writer};
use crate::engine::Engine;
use crate::health::Latch;
use crate::type_config::LogId;

/// The logs of a node's shards. Dropping it closes them.
pub struct LogDb {
    pub(crate) engine: Arc<dyn Engine>,
    cells: Vec<Arc<ShardCell>>,
    writer: Arc<Writer>,
    threads: Mutex<Option<Threads>>,
}

impl std::fmt::Debug for LogDb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogDb").field("shards", &self.cells.len()).finish_non_exhaustive()
    }
}

/// What of a shard's log is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogStatus {
    /// The last entry, there or removed.
    pub last: Option<LogId>,
    /// The last removed entry.
    pub purged: Option<LogId>,
    /// The term of the last vote; 0 before the first.
    pub vote_term: u64,
    /// Bytes of the entries that are there, to within 64 KiB.
    pub bytes: u64,
    /// How long ago the oldest of them was appended, or found at the start.
    pub age: Duration,
}

impl LogDb {
    /// Where a shard's log stands. The peers' handshake wants it as it was found at the start.
    #[must_use]
    pub fn status(&self, shard: ShardId) -> LogStatus {
        let tail = self.cells[usize::from(shard.0)].tail();
        let (bytes, age) = tail.backlog();
        let vote_term = tail.vote.map_or(0, |vote| vote.leader_id.term);
        LogStatus { last: tail.last(), purged: tail.purged, vote_term, bytes, age }
    }

    /// Where the first fault is noted.
    pub(crate) fn latch(&self) -> &Latch {
        self.writer.latch()
    }

    /// How long the sync that is under way has been so; zero if none is. Beyond
    /// [`SYNC_STALL_MAX`](crate::limits::SYNC_STALL_MAX) the node is to give up leadership.
    #[must_use]
    pub fn sync_stalled_for(&self) -> Duration {
        self.writer.stalled_for()
    }

    /// Finishes what is queued and ends the threads. Later appends fail. Blocks for the last sync.
    pub fn close(&self) {
        self.writer.close();
        if let Some(mut threads) = self.threads.lock().take() {
            threads.join();
        }
    }

    /// The log of one shard.
    pub(crate) fn shard(&self, shard: u16, persisted: Option<watch::Receiver<Option<LogId>>>) -> ShardLog {
        let cell = self.cells[usize::from(shard)].clone();
        ShardLog::new(self.engine.clone(), cell, self.writer.clone(), persisted)
    }

    /// Index behind a shard's last durable entry.
    pub(crate) fn durable(&self, shard: u16) -> watch::Receiver<u64> {
        self.cells[usize::from(shard)].durable()
    }
}

impl Drop for LogDb {
    fn drop(&mut self) {
        self.close();
    }
}
