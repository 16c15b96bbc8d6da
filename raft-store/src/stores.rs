//! All stores of a node: opened together, checked against each other, closed together.
//!
//! Layout of the data directory: `log/` and `state/` are RocksDB, `mark` is the high-water mark.
//! `identity` beside them is the node's own.

#[cfg(feature = "rocksdb")]
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use timer_core::ids::ShardId;
use tokio::sync::watch;
use tokio::time::Duration;

use crate::engine::Engine;
use crate::engine::memory::{MemoryDisk, Role, SyncTime};
#[cfg(feature = "rocksdb")]
use crate::engine::rocks::{RocksEngine, RocksLimits};
use crate::error::StoreError;
use crate::health::Health;
use crate::limits::SHARDS_MAX;
use crate::log::mark::MarkFile;
use crate::log::{self, LogDb, LogStatus, ShardLog};
use crate::state_machine::{DurableLog, state_is_blank};
use crate::state_machine::{NoticeSink, Persisted, ShardStateMachine, StateDb, StateReader};

/// How to open the stores.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The cluster's id: a snapshot of another is refused.
    pub cluster_id: String,
    /// Bytes of log entries of all shards together that stay in memory once they are durable.
    pub log_cache_bytes_max: usize,
    /// Memory and files of RocksDB.
    #[cfg(feature = "rocksdb")]
    pub rocks: RocksLimits,
}

impl StoreOptions {
    /// The defaults for a cluster.
    #[must_use]
    pub fn new(cluster_id: impl Into<String>) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            log_cache_bytes_max: 32 << 20,
            #[cfg(feature = "rocksdb")]
            rocks: RocksLimits::default(),
        }
    }
}

/// The stores of a node. Shut every shard's Raft down before they are closed or dropped.
#[derive(Debug)]
pub struct Stores {
    log: LogDb,
    state: StateDb,
    shards: u16,
}

/// The stores of one shard.
#[derive(Debug)]
pub struct ShardStores {
    /// For `Raft::new`.
    pub log: ShardLog,
    /// For `Raft::new`.
    pub state_machine: ShardStateMachine,
    /// Reads beside Raft.
    pub reader: StateReader,
}

impl Stores {
    /// Opens the stores in `dir`, or makes them in a blank one. Reads the whole log.
    ///
    /// # Errors
    /// When anything is not as it was left: the text says what to do.
    #[cfg(feature = "rocksdb")]
    pub fn open(dir: &Path, shards: u16, options: &StoreOptions) -> Result<Self, StoreError> {
        let (log_dir, state_dir) = (dir.join("log"), dir.join("state"));
        let mark = crate::log::mark::DiskMark::new(&dir.join("mark"));
        let log = RocksEngine::open(&log_dir, Role::Log, &options.rocks)?;
        let state = RocksEngine::open(&state_dir, Role::State, &options.rocks)?;
        let parts = Parts {
            dir: dir.to_owned(),
            log: Arc::new(log),
            state: Arc::new(state),
            mark: Box::new(mark),
            sync_time: None,
        };
        Self::assemble(parts, shards, options)
    }

    /// Opens the stores on a disk in memory. Nothing runs in threads; if its syncs take time, a task of the runtime
    /// that this is called in makes them.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn memory(disk: &MemoryDisk, shards: u16, options: &StoreOptions) -> Result<Self, StoreError> {
        let parts = Parts {
            dir: PathBuf::from("memory"),
            log: Arc::new(disk.engine(Role::Log)),
            state: Arc::new(disk.engine(Role::State)),
            mark: Box::new(disk.mark()),
            sync_time: disk.sync_time(),
        };
        Self::assemble(parts, shards, options)
    }

    fn assemble(mut parts: Parts, shards: u16, options: &StoreOptions) -> Result<Self, StoreError> {
        if shards == 0 || shards > SHARDS_MAX {
            return Err(StoreError::ShardCount { stored: SHARDS_MAX, asked: shards });
        }
        parts.check_complete()?;
        let tail_bytes_max = options.log_cache_bytes_max / usize::from(shards);
        let log = log::open(parts.log, parts.mark, parts.sync_time, shards, tail_bytes_max)?;
        let state = StateDb::open(parts.state, shards, options.cluster_id.clone(), log.latch().clone())?;
        for shard in (0..shards).map(ShardId) {
            let purged = log.status(shard).purged.map_or(0, |id| id.index());
            let applied = state.reader(shard).applied().map_or(0, |id| id.index());
            if applied < purged {
                return Err(StoreError::StateWentBack { shard: shard.0, applied, purged });
            }
        }
        Ok(Self { log, state, shards })
    }

    /// The stores of one shard. May be called again when its Raft has been shut down and is to be restarted.
    /// `sink` hears what applied entries mean for the dispatcher.
    ///
    /// # Errors
    /// When there is no such shard.
    pub fn shard(
        &self,
        shard: ShardId,
        sink: Option<Arc<dyn NoticeSink>>,
    ) -> Result<ShardStores, StoreError> {
        if shard.0 >= self.shards {
            return Err(StoreError::ShardCount { stored: self.shards, asked: shard.0.saturating_add(1) });
        }
        let durable = DurableLog { end: self.log.durable(shard.0), health: self.health() };
        Ok(ShardStores {
            log: self.log.shard(shard.0, Some(self.state.persisted(shard))),
            state_machine: self.state.shard(shard.0, Some(durable), sink),
            reader: self.state.reader(shard),
        })
    }

    /// Whether calls can wait for a disk, so that threads are worth having.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.state.blocks()
    }

    /// How many shards there are.
    #[must_use]
    pub fn shard_count(&self) -> u16 {
        self.shards
    }

    /// Where a shard's log stands.
    #[must_use]
    pub fn log_status(&self, shard: ShardId) -> LogStatus {
        self.log.status(shard)
    }

    /// Tells when the log or the state fails.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.log.latch().subscribe()
    }

    /// See [`LogDb::sync_stalled_for`].
    #[must_use]
    pub fn sync_stalled_for(&self) -> Duration {
        self.log.sync_stalled_for()
    }

    /// The logs of all shards.
    #[must_use]
    pub fn log(&self) -> &LogDb {
        &self.log
    }

    /// The states of all shards.
    #[must_use]
    pub fn state(&self) -> &StateDb {
        &self.state
    }

    /// See [`StateDb::flush`].
    ///
    /// # Errors
    /// When it may not be durable.
    pub fn flush(&self) -> Result<Vec<Persisted>, StoreError> {
        self.state.flush()
    }

    /// Finishes what is queued, makes the state durable and ends the threads. Blocks for the disk.
    ///
    /// # Errors
    /// When the state could not be flushed: the next start replays more of the log then.
    pub fn close(&self) -> Result<(), StoreError> {
        self.log.close();
        self.state.flush().map(drop)
    }
}

struct Parts {
    dir: PathBuf,
    log: Arc<dyn Engine>,
    state: Arc<dyn Engine>,
    mark: Box<dyn MarkFile>,
    /// Of a disk in memory.
    sync_time: Option<SyncTime>,
}

impl Parts {
    /// All of it is blank, or none of it is missing. What was made by a first start that was cut short
    /// counts as blank.
    fn check_complete(&mut self) -> Result<(), StoreError> {
        let log_blank = log::is_blank(&*self.log)?;
        let missing = if self.mark.read()?.is_none() && !log_blank {
            "the high-water mark (file `mark`)"
        } else if log_blank && !state_is_blank(&*self.state)? {
            "the log (directory `log`)"
        } else {
            return Ok(());
        };
        Err(StoreError::Missing { missing, dir: self.dir.clone() })
    }
}
