//! What can go wrong in a store, in words that tell the operator what to do. Nothing is repaired silently.

use std::io;
use std::path::PathBuf;

/// A store could not be opened, read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// What is on disk is not what was written.
    #[error(
        "{what} is damaged: {detail}. This replica can't be trusted: stop the node, move its data directory \
         away and let it join again as a new node"
    )]
    Corrupted {
        /// Which store, and which part of it.
        what: String,
        /// What was found; names the file if it is known.
        detail: String,
    },
    /// The log ends before what this node has acknowledged.
    #[error(
        "the log of shard {shard} went back: it has {found}, but {mark} had been acknowledged. A file was \
         lost or replaced by an older one, or the disk lies about syncs. This node must not vote: move its \
         data directory away and let it join again as a new node"
    )]
    LogWentBack {
        /// The shard.
        shard: u16,
        /// What the log has.
        found: String,
        /// What the high-water mark says.
        mark: String,
    },
    /// Part of the data directory is gone.
    #[error(
        "{missing} is missing in {dir:?} although the rest is there. This node must not vote: move its data \
         directory away and let it join again as a new node"
    )]
    Missing {
        /// What is missing.
        missing: &'static str,
        /// Where.
        dir: PathBuf,
    },
    /// The state is older than the log that was kept.
    #[error(
        "the state of shard {shard} ends at entry {applied}, but the log before entry {purged} was removed \
         because the state had it. Move the data directory away and let the node join again as a new node"
    )]
    StateWentBack {
        /// The shard.
        shard: u16,
        /// What the state has; 0 also if it has nothing.
        applied: u64,
        /// The last entry that the log does not have any more.
        purged: u64,
    },
    /// Another process has the directory open.
    #[error("{dir:?} is in use by another process; stop it first")]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// Written by a later version.
    #[error("{what} has format {found}, and this version knows {known} at most: install a newer version")]
    NewerFormat {
        /// Which store.
        what: &'static str,
        /// What was found.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// The number of shards can't change.
    #[error("the data is of {stored} shards, but {asked} are configured: the number can't change")]
    ShardCount {
        /// What the data says.
        stored: u16,
        /// What was asked for.
        asked: u16,
    },
    /// The disk has no room.
    #[error("no room on the disk for {what}: {detail}")]
    DiskFull {
        /// Which store.
        what: String,
        /// What the system said.
        detail: String,
    },
    /// The system refused a read or write.
    #[error("{what}: {detail}")]
    Io {
        /// Which store.
        what: String,
        /// What the system said.
        detail: String,
    },
    /// An earlier write failed, and whether it took effect can't be known; or the state can't be used. Nothing is
    /// written after it.
    #[error("nothing more is written since a store failed: {0}")]
    Failed(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A caller broke the rules of the log; nothing was written.
    #[error("shard {shard}: {detail}")]
    Misuse {
        /// The shard.
        shard: u16,
        /// What was asked for.
        detail: String,
    },
}

impl StoreError {
    /// A damage found by ourselves.
    pub(crate) fn corrupted(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Corrupted { what: what.into(), detail: detail.into() }
    }

    /// The system's refusal.
    pub(crate) fn io(what: impl Into<String>, error: &io::Error) -> Self {
        let (what, detail) = (what.into(), error.to_string());
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::DiskFull { what, detail }
        } else {
            Self::Io { what, detail }
        }
    }

    /// Whether the disk was full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        let kind = if error.is_disk_full() {
            io::ErrorKind::StorageFull
        } else if matches!(error, StoreError::Corrupted { .. }) {
            io::ErrorKind::InvalidData
        } else {
            io::ErrorKind::Other
        };
        Self::new(kind, error)
    }
}
