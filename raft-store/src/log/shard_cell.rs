//! A shard's log as its Raft, its readers and the writer share it.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::engine::{Engine, View};
use crate::error::StoreError;
use crate::keys::log_entry;
use crate::log::record::{self, Record};
use crate::log::tail::Tail;
use crate::type_config::Entry;

/// Reads of the disk without the lock before one that holds it.
const FREE_READS_MAX: usize = 3;

/// See the module.
pub(crate) struct ShardCell {
    shard: u16,
    tail: Mutex<Tail>,
    /// Index behind the last durable entry.
    durable: watch::Sender<u64>,
}

impl ShardCell {
    pub(crate) fn new(tail: Tail) -> Arc<Self> {
        let durable = watch::Sender::new(tail.durable_end);
        Arc::new(Self { shard: tail.shard, tail: Mutex::new(tail), durable })
    }

    pub(crate) fn shard(&self) -> u16 {
        self.shard
    }

    /// The tail, locked.
    pub(crate) fn tail(&self) -> parking_lot::MutexGuard<'_, Tail> {
        self.tail.lock()
    }

    pub(crate) fn durable(&self) -> watch::Receiver<u64> {
        self.durable.subscribe()
    }

    /// Entries before `end` are durable. Said of a log that was truncated since (`epoch` tells) it means
    /// nothing: the truncation's own acknowledgement says what is durable then.
    pub(crate) fn set_durable(&self, epoch: u64, end: u64) {
        let mut tail = self.tail.lock();
        if tail.epoch == epoch {
            tail.set_durable(end);
            self.durable.send_replace(tail.durable_end);
        }
    }

    /// Tells of a durable end that a truncation or a purge changed.
    pub(crate) fn tell_durable(&self, tail: &Tail) {
        self.durable.send_replace(tail.durable_end);
    }

    /// The entries from `start` to before `end` that are there, at least one if any is, until their bytes
    /// come to `bytes_max`.
    ///
    /// # Errors
    /// When the disk can't be read or what it holds is not what was written.
    pub(crate) fn read(
        &self,
        engine: &dyn Engine,
        start: u64,
        end: u64,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        for _ in 0..FREE_READS_MAX {
            let (plan, version) = {
                let tail = self.tail.lock();
                (Plan::new(&tail, start, end, bytes_max), tail.version)
            };
            match plan {
                Plan::Done(entries) => return Ok(entries),
                Plan::Disk { start, until } => {
                    let found = read_disk(engine, self.shard, start, until, bytes_max)?;
                    let tail = self.tail.lock();
                    // Entries may have gone meanwhile; then what was read means nothing.
                    if tail.version == version {
                        return join(&tail, found, start, until, end, bytes_max);
                    }
                }
            }
        }
        let tail = self.tail.lock();
        match Plan::new(&tail, start, end, bytes_max) {
            Plan::Done(entries) => Ok(entries),
            Plan::Disk { start, until } => {
                let found = read_disk(engine, self.shard, start, until, bytes_max)?;
                join(&tail, found, start, until, end, bytes_max)
            }
        }
    }

    /// The record of the entry at `index`, which is there.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn record(&self, tail: &Tail, engine: &dyn Engine, index: u64) -> Result<Record, StoreError> {
        if let Some(record) = tail.cached(index) {
            return Ok(record.clone());
        }
        let bytes = engine.get(&log_entry::encode(self.shard, index))?;
        record::decode(self.shard, index, &bytes.ok_or_else(|| hole(self.shard, index))?)
    }
}

/// Where the entries of a read are.
enum Plan {
    /// In memory, or nowhere.
    Done(Vec<Entry>),
    /// On disk, from `start` to before `until`, and behind that perhaps in memory.
    Disk { start: u64, until: u64 },
}

impl Plan {
    fn new(tail: &Tail, start: u64, end: u64, bytes_max: usize) -> Self {
        let (start, end) = (start.max(tail.first), end.min(tail.end));
        if start >= end {
            return Self::Done(Vec::new());
        }
        if start < tail.cached_from() {
            return Self::Disk { start, until: end.min(tail.cached_from()) };
        }
        let mut entries = Vec::new();
        from_memory(tail, start, end, bytes_max, &mut entries);
        Self::Done(entries)
    }
}

fn from_memory(tail: &Tail, start: u64, end: u64, bytes_max: usize, entries: &mut Vec<Entry>) {
    let mut bytes: usize = entries.iter().map(entry_bytes).sum();
    for index in start..end.min(tail.end) {
        let Some(record) = tail.cached(index) else { return };
        bytes += entry_bytes(&record.entry);
        if bytes > bytes_max && !entries.is_empty() {
            return;
        }
        entries.push(record.entry.clone());
    }
}

/// Bytes of an entry's payload, about.
pub(crate) fn entry_bytes(entry: &Entry) -> usize {
    match &entry.payload {
        crate::type_config::Payload::Normal(data) => data.0.len() + 64,
        crate::type_config::Payload::Blank => 64,
        crate::type_config::Payload::Membership(_) => 1024,
    }
}

/// What was found on disk, and what follows it in memory.
fn join(
    tail: &Tail,
    found: Vec<Record>,
    start: u64,
    until: u64,
    end: u64,
    bytes_max: usize,
) -> Result<Vec<Entry>, StoreError> {
    let reached = start + found.len() as u64;
    let bytes: usize = found.iter().map(|r| entry_bytes(&r.entry)).sum();
    if reached < until && bytes <= bytes_max {
        return Err(hole(tail.shard, reached));
    }
    if let (Some(last), Some(next)) = (found.last(), tail.cached(reached))
        && last.own != next.previous
    {
        return Err(unchained(tail.shard, reached));
    }
    let mut entries: Vec<Entry> = found.into_iter().map(|r| r.entry).collect();
    if reached == until && bytes <= bytes_max {
        from_memory(tail, until, end, bytes_max, &mut entries);
    }
    Ok(entries)
}

/// Reads and checks records until one is missing or `bytes_max` is passed.
fn read_disk(
    engine: &dyn View,
    shard: u16,
    start: u64,
    end: u64,
    bytes_max: usize,
) -> Result<Vec<Record>, StoreError> {
    let mut records: Vec<Record> = Vec::new();
    let mut bytes = 0;
    scan(engine, shard, start, &log_entry::range(shard, start, end), &mut |record, _| {
        bytes += entry_bytes(&record.entry);
        records.push(record);
        Ok(if bytes > bytes_max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(records)
}

/// Visits the records of a range that must begin at `start`, and checks that each is whole and chained to
/// the one before.
pub(crate) fn scan(
    engine: &dyn View,
    shard: u16,
    start: u64,
    (from, to): &(Vec<u8>, Vec<u8>),
    visit: &mut dyn FnMut(Record, usize) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let mut next = start;
    let mut chain = None;
    engine.scan(from, to, &mut |key, value| {
        let Some((_, index)) = log_entry::decode(key) else {
            let store = format!("the log of shard {shard}");
            return Err(StoreError::corrupted(store, "a key that is none of ours"));
        };
        if index != next {
            return Err(hole(shard, next));
        }
        let record = record::decode(shard, index, &Bytes::copy_from_slice(value))?;
        if chain.is_some_and(|chain| chain != record.previous) {
            return Err(unchained(shard, index));
        }
        chain = Some(record.own);
        next += 1;
        visit(record, value.len())
    })
}

/// An entry that should be there is not.
pub(crate) fn hole(shard: u16, index: u64) -> StoreError {
    StoreError::corrupted(format!("the log of shard {shard}"), format!("entry {index} is missing"))
}

/// An entry does not follow the one before it.
pub(crate) fn unchained(shard: u16, index: u64) -> StoreError {
    let detail = format!("entry {index} does not follow the entry before it");
    StoreError::corrupted(format!("the log of shard {shard}"), detail)
}
