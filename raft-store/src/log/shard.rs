//! A shard's log as openraft wants it.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use futures_util::{Stream, stream};
use openraft::OptionalSend;
use openraft::errors::LeaderChanged;
use openraft::storage::{
    IOFlushed, LeaderBoundedStreamError, LeaderBoundedStreamResult, LogState, RaftLogReader, RaftLogStorage,
};
use tokio::sync::{oneshot, watch};

use crate::engine::{Engine, blocking};
use crate::error::StoreError;
use crate::limits::READ_BYTES_MAX;
use crate::log::job::Job;
use crate::log::record;
use crate::log::shard_cell::{ShardCell, entry_bytes};
use crate::log::tail::{Tail, fresh_chain, place_of};
use crate::log::writer::Writer;
use crate::type_config::{Entry, LeaderId, LogId, TypeConfig, Vote};

/// The log of one shard: storage for its Raft, and a reader for its replication tasks when cloned.
#[derive(Clone)]
pub struct ShardLog {
    engine: Arc<dyn Engine>,
    cell: Arc<ShardCell>,
    writer: Arc<Writer>,
    /// What the state has durably: the log must not be removed beyond. None only in openraft's own suite,
    /// which purges what nobody has applied.
    persisted: Option<watch::Receiver<Option<LogId>>>,
}

impl Debug for ShardLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ShardLog").field(&self.cell.shard()).finish()
    }
}

impl ShardLog {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        cell: Arc<ShardCell>,
        writer: Arc<Writer>,
        persisted: Option<watch::Receiver<Option<LogId>>>,
    ) -> Self {
        Self { engine, cell, writer, persisted }
    }

    fn read(&self, start: u64, end: u64, bytes_max: usize) -> Result<Vec<Entry>, StoreError> {
        // Only what is not in memory goes to the disk, and then seldom: behind a slow follower.
        let on_disk = start < self.cell.tail().cached_from();
        let read = || self.cell.read(&*self.engine, start, end, bytes_max);
        if on_disk { blocking(self.engine.blocks(), read) } else { read() }
    }

    /// Id and checksum of the entry at `index`, or of the one before the first.
    fn chain_at(&self, tail: &Tail, index: u64) -> Result<(Option<LogId>, u64), StoreError> {
        match tail.chain_at(index) {
            Some(found) => Ok(found),
            None => {
                let record = self.cell.record(tail, &*self.engine, index)?;
                Ok((Some(record.entry.log_id), record.own))
            }
        }
    }

    async fn done(outcome: oneshot::Receiver<Result<(), StoreError>>) -> io::Result<()> {
        Ok(outcome.await.unwrap_or(Err(StoreError::Closed))?)
    }

    /// The next piece of a stream, and where the one after it begins.
    fn piece(&self, start: u64, end: u64) -> io::Result<Option<(Vec<Entry>, u64)>> {
        let entries = self.read(start, end, READ_BYTES_MAX)?;
        Ok(entries.last().map(|last| last.log_id.index() + 1).map(|next| (entries, next)))
    }
}

/// A range as start (inclusive) and end (exclusive).
fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(at) => *at,
        Bound::Excluded(at) => at.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(at) => at.saturating_add(1),
        Bound::Excluded(at) => *at,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogReader<TypeConfig> for ShardLog {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let (start, end) = bounds(&range);
        Ok(self.read(start, end, usize::MAX)?)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.cell.tail().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        Ok(self.read(start, end, READ_BYTES_MAX)?)
    }

    /// Reads piece by piece, so that a slow follower does not have all that it lacks in memory at once.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = bounds(&range);
        let pieces = stream::try_unfold((self.clone(), start), move |(log, at)| async move {
            let piece = log.piece(at, end)?;
            Ok::<_, io::Error>(piece.map(|(entries, next)| (ok_stream(entries), (log, next))))
        });
        Box::pin(futures_util::TryStreamExt::try_flatten(pieces))
    }

    async fn leader_bounded_stream<RB>(
        &mut self,
        leader: LeaderId,
        range: RB,
    ) -> impl Stream<Item = LeaderBoundedStreamResult<TypeConfig>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = bounds(&range);
        let pieces = stream::try_unfold((self.clone(), start), move |(log, at)| async move {
            let check = || {
                let vote = log.cell.tail().vote;
                let leads = vote.is_some_and(|v| v.committed && v.leader_id == leader);
                if leads { Ok(()) } else { Err(LeaderChanged::new(leader, vote)) }
            };
            check()?;
            let piece = log.piece(at, end)?;
            // Entries may only be used if they were the leader's when they had been read.
            check()?;
            Ok::<_, LeaderBoundedStreamError<TypeConfig>>(
                piece.map(|(entries, next)| (ok_stream(entries), (log, next))),
            )
        });
        Box::pin(futures_util::TryStreamExt::try_flatten(pieces))
    }
}

fn ok_stream<E>(entries: Vec<Entry>) -> impl Stream<Item = Result<Entry, E>> {
    stream::iter(entries.into_iter().map(Ok))
}

impl RaftLogStorage<TypeConfig> for ShardLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let tail = self.cell.tail();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (done, outcome) = oneshot::channel();
        self.writer.check()?;
        self.cell.tail().vote = Some(*vote);
        self.writer.submit(Job::Vote { cell: self.cell.clone(), vote: *vote, done })?;
        Self::done(outcome).await
    }

    /// Saved with the next batch: it costs no sync, and after a crash an older one serves as well.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let Some(id) = committed else { return Ok(()) };
        let shard = self.cell.shard();
        self.cell.tail().committed = Some(id);
        Ok(self.writer.submit(Job::Committed { shard, id: record::encode_log_id(shard, &id) })?)
    }

    /// Only an id that the log has: one that came with a snapshot may have been saved before the snapshot
    /// was, and openraft would ask for entries that are not there.
    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        let tail = self.cell.tail();
        let Some(id) = tail.committed else { return Ok(None) };
        if tail.purged == Some(id) {
            return Ok(Some(id));
        }
        if id.index() < tail.first || id.index() >= tail.end {
            return Ok(None);
        }
        let found = self.cell.record(&tail, &*self.engine, id.index())?;
        Ok((found.entry.log_id == id).then_some(id))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let Some((first, last)) = entries.first().zip(entries.last()) else {
            callback.io_completed(Ok(()));
            return Ok(());
        };
        let (first, last) = (first.log_id.index(), place_of(&last.log_id));
        let room = self.writer.reserve(entries.iter().map(entry_bytes).sum()).await?;
        let (records, epoch) = {
            let mut tail = self.cell.tail();
            let records: Result<Vec<_>, StoreError> = entries.into_iter().map(|e| tail.append(e)).collect();
            (records?, tail.epoch)
        };
        let cell = self.cell.clone();
        Ok(self.writer.submit(Job::Append { cell, epoch, first, records, last, callback, room })?)
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let end = last_log_id.map_or(0, |id| id.index() + 1);
        let (done, outcome) = oneshot::channel();
        // Submitted without the lock: inline, the acknowledgement takes it.
        let job = {
            let mut tail = self.cell.tail();
            if end >= tail.end {
                return Ok(());
            }
            // Without an id, everything goes; but what was purged stays purged.
            let end = if last_log_id.is_none() { tail.first } else { end };
            if end < tail.first {
                let detail = format!("truncation to {end}, but {} is the first entry", tail.first);
                return Err(tail.misuse(detail).into());
            }
            if end == tail.end {
                return Ok(());
            }
            let before = match end.checked_sub(1) {
                Some(index) => Some(self.chain_at(&tail, index)?),
                None => None,
            };
            let last = before.and_then(|(id, chain)| Some((id?, chain)));
            tail.truncate(end, last);
            self.cell.tell_durable(&tail);
            let (cell, epoch, last) = (self.cell.clone(), tail.epoch, tail.place());
            Job::Truncate { cell, epoch, end, last, done }
        };
        self.writer.submit(job)?;
        Self::done(outcome).await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        if let Some(persisted) = &self.persisted {
            let persisted = *persisted.borrow();
            if persisted.is_none_or(|id| id.index() < log_id.index()) {
                let detail = format!("purge to {log_id}, but the state has durably {persisted:?}");
                return Err(StoreError::Misuse { shard: self.cell.shard(), detail }.into());
            }
        }
        let shard = self.cell.shard();
        let mut tail = self.cell.tail();
        let (index, first) = (log_id.index(), tail.first);
        if tail.purged.is_some_and(|purged| index <= purged.index()) {
            return Ok(());
        }
        let chain = if index >= tail.end {
            fresh_chain(&log_id)
        } else {
            let (found, chain) = self.chain_at(&tail, index)?;
            if found.is_some_and(|id| id != log_id) {
                return Err(tail.misuse(format!("purge to {log_id}, but the log has {found:?}")).into());
            }
            chain
        };
        tail.purge(log_id, chain);
        self.cell.tell_durable(&tail);
        drop(tail);
        let anchor = record::encode_anchor(shard, &log_id, chain);
        Ok(self.writer.submit(Job::Purge { shard, first, end: index + 1, anchor })?)
    }
}
