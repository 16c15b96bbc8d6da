//! What is known of a shard's log in memory: where it begins and ends, and its newest entries.
//!
//! Changed by the shard's Raft alone, before the change is queued for the disk; so a reader sees an entry
//! as soon as `append` returns, and the disk is only read for entries that are durable there.

use std::collections::VecDeque;

use tokio::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::StoreError;
use crate::log::record::{self, GENESIS, Record};
use crate::type_config::{Entry, LogId, Vote};

/// The end of a log as a term and an index.
pub(crate) type Place = Option<(u64, u64)>;

/// One entry in memory.
#[derive(Clone, Debug)]
pub(crate) struct Cached {
    pub(crate) record: Record,
    bytes: usize,
}

/// See the module. Invariants: `first <= end`; the cache ends at `end`; entries from `durable_end` on are
/// all in the cache; `purged` ends at `first` where it is there.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) shard: u16,
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    pub(crate) purged: Option<LogId>,
    /// The checksum that the first entry is chained to.
    base_chain: u64,
    last: Option<LogId>,
    last_chain: u64,
    /// Index of the first entry that is there, or `end`.
    pub(crate) first: u64,
    /// Index behind the last entry.
    pub(crate) end: u64,
    /// Index behind the last entry that is durable.
    pub(crate) durable_end: u64,
    cache: VecDeque<Cached>,
    cache_bytes: usize,
    cache_bytes_max: usize,
    /// Grows when entries go: a reader of the disk compares it.
    pub(crate) version: u64,
    /// Grows with each truncation: an index may mean another entry then.
    pub(crate) epoch: u64,
    backlog: Backlog,
}

impl Tail {
    /// A blank log.
    pub(crate) fn new(shard: u16, cache_bytes_max: usize) -> Self {
        Self {
            shard,
            vote: None,
            committed: None,
            purged: None,
            base_chain: GENESIS,
            last: None,
            last_chain: GENESIS,
            first: 0,
            end: 0,
            durable_end: 0,
            cache: VecDeque::new(),
            cache_bytes: 0,
            cache_bytes_max,
            version: 0,
            epoch: 0,
            backlog: Backlog::default(),
        }
    }

    /// A log whose entries up to `id` were removed.
    pub(crate) fn anchored(mut self, id: LogId, chain: u64) -> Self {
        self.set_anchor(id, chain);
        self.durable_end = self.end;
        self
    }

    fn set_anchor(&mut self, id: LogId, chain: u64) {
        self.purged = Some(id);
        self.base_chain = chain;
        self.first = id.index() + 1;
        if self.end <= self.first {
            self.end = self.first;
            self.last = Some(id);
            self.last_chain = chain;
        }
    }

    /// The id of the last entry, there or removed.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.last
    }

    /// The end as the high-water mark counts it.
    pub(crate) fn place(&self) -> Place {
        self.last.as_ref().map(place_of)
    }

    /// The checksum that the next entry is chained to.
    pub(crate) fn chain(&self) -> u64 {
        self.last_chain
    }

    /// Index of the first entry in the cache, or `end`.
    pub(crate) fn cached_from(&self) -> u64 {
        self.end - self.cache.len() as u64
    }

    /// The entry at `index`, if it is in memory.
    pub(crate) fn cached(&self, index: u64) -> Option<&Record> {
        let at = index.checked_sub(self.cached_from())?;
        self.cache.get(usize::try_from(at).ok()?).map(|c| &c.record)
    }

    /// Adds an entry behind the last and gives its record's bytes.
    ///
    /// # Errors
    /// When it would leave a hole.
    pub(crate) fn append(&mut self, entry: Entry) -> Result<bytes::Bytes, StoreError> {
        let index = entry.log_id.index();
        if self.last.is_none() {
            self.first = index;
            self.end = index;
        }
        if index != self.end {
            return Err(self.misuse(format!("entry {index} appended where {} is next", self.end)));
        }
        let (bytes, own) = record::encode(self.shard, &entry, self.last_chain);
        self.push(Record { entry, previous: self.last_chain, own }, bytes.len());
        Ok(bytes)
    }

    /// Takes the next entry as it was found on disk.
    pub(crate) fn recover(&mut self, record: Record, bytes: usize) {
        if self.last.is_none() {
            self.first = record.entry.log_id.index();
            self.end = self.first;
        }
        self.push(record, bytes);
        self.durable_end = self.end;
        self.evict();
    }

    fn push(&mut self, record: Record, bytes: usize) {
        assert_eq!(record.entry.log_id.index(), self.end, "the log has no holes");
        self.backlog.add(self.end, bytes);
        self.last = Some(record.entry.log_id);
        self.last_chain = record.own;
        self.end += 1;
        self.cache_bytes += bytes;
        self.cache.push_back(Cached { record, bytes });
    }

    /// Entries before `end` are durable now.
    pub(crate) fn set_durable(&mut self, end: u64) {
        self.durable_end = self.durable_end.max(end.min(self.end));
        self.evict();
    }

    /// What is not durable is only here, so it stays whatever the bound says.
    fn evict(&mut self) {
        while self.cache_bytes > self.cache_bytes_max && self.cached_from() < self.durable_end {
            let Some(gone) = self.cache.pop_front() else { return };
            self.cache_bytes -= gone.bytes;
        }
    }

    /// Removes the entries from `end` on. `last` is the entry before: its id and checksum, or none if the
    /// log is blank then.
    pub(crate) fn truncate(&mut self, end: u64, last: Option<(LogId, u64)>) {
        assert!(self.first <= end && end < self.end, "a truncation removes entries that are there");
        while self.end > end {
            if let Some(gone) = self.cache.pop_back() {
                self.cache_bytes -= gone.bytes;
            }
            self.end -= 1;
        }
        self.last = last.map(|(id, _)| id);
        self.last_chain = last.map_or(GENESIS, |(_, chain)| chain);
        self.durable_end = self.durable_end.min(end);
        self.version += 1;
        self.epoch += 1;
        self.backlog.truncate(end);
    }

    /// Removes the entries up to `id`, whose checksum is `chain`.
    pub(crate) fn purge(&mut self, id: LogId, chain: u64) {
        let first = id.index() + 1;
        while self.cached_from() < first {
            let Some(gone) = self.cache.pop_front() else { break };
            self.cache_bytes -= gone.bytes;
        }
        self.set_anchor(id, chain);
        self.durable_end = self.durable_end.max(self.first);
        self.version += 1;
        self.backlog.purge(self.first);
    }

    /// Id and checksum of the entry at `index` where memory has them: cached, or the one before the first.
    pub(crate) fn chain_at(&self, index: u64) -> Option<(Option<LogId>, u64)> {
        match self.cached(index) {
            Some(record) => Some((Some(record.entry.log_id), record.own)),
            None if index + 1 == self.first => {
                let id = self.purged.filter(|id| id.index() == index);
                Some((id, self.base_chain))
            }
            None => None,
        }
    }

    /// A caller's mistake.
    pub(crate) fn misuse(&self, detail: String) -> StoreError {
        StoreError::Misuse { shard: self.shard, detail }
    }

    /// Bytes of the entries that were not removed, about, and the age of the oldest.
    pub(crate) fn backlog(&self) -> (u64, Duration) {
        self.backlog.sum(self.end == self.first)
    }
}

/// The chain of an anchor that does not follow from the log: a snapshot took the log's place.
pub(crate) fn fresh_chain(id: &LogId) -> u64 {
    let leader = id.committed_leader_id();
    let mut bytes = Vec::with_capacity(24);
    for part in [leader.term, leader.node_id, id.index()] {
        bytes.extend_from_slice(&part.to_be_bytes());
    }
    xxh3_64(&bytes)
}

/// Term and index.
pub(crate) fn place_of(id: &LogId) -> (u64, u64) {
    (id.committed_leader_id().term, id.index())
}

/// Bytes between two points that are remembered: the sum is exact to this much.
const STRIDE_BYTES: u64 = 64 << 10;

/// How much of the log waits to be removed, without a size per entry.
#[derive(Debug, Default)]
struct Backlog {
    /// Bytes that were ever added.
    total: u64,
    /// Index, bytes added before it, when; in order.
    points: VecDeque<(u64, u64, Instant)>,
}

impl Backlog {
    fn add(&mut self, index: u64, bytes: usize) {
        if self.points.back().is_none_or(|(_, before, _)| self.total - before >= STRIDE_BYTES) {
            self.points.push_back((index, self.total, Instant::now()));
        }
        self.total += bytes as u64;
    }

    fn truncate(&mut self, end: u64) {
        while let Some((_, before, _)) = self.points.pop_back_if(|(index, ..)| *index >= end) {
            self.total = before;
        }
    }

    fn purge(&mut self, first: u64) {
        while self.points.get(1).is_some_and(|(index, ..)| *index <= first) {
            self.points.pop_front();
        }
    }

    fn sum(&self, empty: bool) -> (u64, Duration) {
        match self.points.front() {
            Some((_, before, since)) if !empty => (self.total - before, since.elapsed()),
            _ => (0, Duration::ZERO),
        }
    }
}
