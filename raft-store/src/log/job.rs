//! Changes of the logs on their way to the disk, and who waits for them.

use std::sync::Arc;

use bytes::Bytes;
use openraft::storage::IOFlushed;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::engine::Batch;
use crate::error::StoreError;
use crate::keys::{log_anchor, log_committed, log_entry, log_vote};
use crate::log::mark::Place as Marked;
use crate::log::record;
use crate::log::shard_cell::ShardCell;
use crate::log::tail::Place;
use crate::type_config::{TypeConfig, Vote};

/// Where the outcome of a synced change goes.
pub(crate) type Done = oneshot::Sender<Result<(), StoreError>>;

/// A change of a shard's log, already made in memory.
pub(crate) enum Job {
    Append {
        cell: Arc<ShardCell>,
        /// See [`ShardCell::set_durable`].
        epoch: u64,
        first: u64,
        records: Vec<Bytes>,
        last: (u64, u64),
        callback: IOFlushed<TypeConfig>,
        room: OwnedSemaphorePermit,
    },
    Vote {
        cell: Arc<ShardCell>,
        vote: Vote,
        done: Done,
    },
    /// Entries from `end` on go; the log ends at `last` then.
    Truncate {
        cell: Arc<ShardCell>,
        epoch: u64,
        end: u64,
        last: Place,
        done: Done,
    },
    /// Entries from `first` to before `end` go.
    Purge {
        shard: u16,
        first: u64,
        end: u64,
        anchor: Bytes,
    },
    Committed {
        shard: u16,
        id: Bytes,
    },
}

/// What happens once a batch is durable and marked.
pub(super) enum Ack {
    Append { durable: Durable, callback: IOFlushed<TypeConfig>, _room: OwnedSemaphorePermit },
    Truncate { durable: Durable, done: Done },
    Vote { done: Done },
}

/// Entries of a shard before `end` are durable.
pub(super) struct Durable {
    pub(super) cell: Arc<ShardCell>,
    pub(super) epoch: u64,
    pub(super) end: u64,
}

/// A change of the high-water mark.
pub(super) enum Change {
    Log(u16, Place),
    Vote(u16, (u64, u64, bool)),
}

/// A batch under way.
#[derive(Default)]
pub(super) struct Group {
    pub(super) batch: Batch,
    pub(super) sync: bool,
    pub(super) changes: Vec<Change>,
    pub(super) acks: Vec<Ack>,
}

impl Group {
    /// Adds a job's changes, and what they mean once they are durable.
    pub(super) fn add(&mut self, job: Job) {
        match job {
            Job::Append { cell, epoch, first, records, last, callback, room } => {
                let end = first + records.len() as u64;
                for (index, record) in (first..).zip(records) {
                    self.batch.put(log_entry::encode(cell.shard(), index), record);
                }
                self.sync = true;
                self.changes.push(Change::Log(cell.shard(), Some(last)));
                let durable = Durable { cell, epoch, end };
                self.acks.push(Ack::Append { durable, callback, _room: room });
            }
            Job::Vote { cell, vote, done } => {
                self.batch.put(log_vote::encode(cell.shard()), record::encode_vote(cell.shard(), &vote));
                self.sync = true;
                self.changes.push(Change::Vote(cell.shard(), Marked::of_vote(&vote)));
                self.acks.push(Ack::Vote { done });
            }
            Job::Truncate { cell, epoch, end, last: _, done } => {
                self.batch.delete_range(log_entry::range_from(cell.shard(), end));
                self.sync = true;
                self.acks.push(Ack::Truncate { durable: Durable { cell, epoch, end }, done });
            }
            // Neither is needed after a crash, so neither is worth a sync of its own.
            Job::Purge { shard, first, end, anchor } => {
                self.batch.put(log_anchor::encode(shard), anchor);
                self.batch.delete_range(log_entry::range(shard, first, end));
            }
            Job::Committed { shard, id } => self.batch.put(log_committed::encode(shard), id),
        }
    }
}

/// Tells everybody who waits that it failed.
pub(super) fn refuse(acks: Vec<Ack>, error: &StoreError) {
    for ack in acks {
        match ack {
            Ack::Append { callback, .. } => callback.io_completed(Err(error.clone().into())),
            Ack::Truncate { done, .. } | Ack::Vote { done } => {
                let _ = done.send(Err(error.clone()));
            }
        }
    }
}
