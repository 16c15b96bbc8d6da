//! Reads of a shard's state beside Raft: for the leader's dispatcher, for GET, and for probes.

use std::cmp::Reverse;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use timer_core::attempt::Attempt;
use timer_core::command::Moment;
use timer_core::group::{Group, GroupCounts};
use timer_core::ids::{Sequence, ShardId, TimerKey};
use timer_core::list::ListQuery;
use timer_core::shard_state::ShardState;
use timer_core::tables::Tables;
use timer_core::time::Millis;
use timer_core::timer::Timer;

use crate::error::StoreError;
use crate::keys::{KeyRange, expiry, group, parked, timer, wheel};
use crate::limits::SCAN_ITEMS_MAX;
use crate::state_machine::apply::{Stored, decode_group};
use crate::state_machine::replica::Replica;
use crate::state_machine::{StateInner, check, history, list};
use crate::type_config::LogId;

pub use crate::state_machine::check::IndexFault;
pub use crate::state_machine::list::ListPart;

/// Reads one shard's state. Each call sees the state after some entry; the next may see a later one.
/// Calls block for the disk where the record is not in memory.
#[derive(Clone, Debug)]
pub struct StateReader {
    inner: Arc<StateInner>,
    replica: Arc<Replica>,
}

/// A place in an index: when, and which timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// In the wheel: the position. In the expiry table: when the record may go.
    pub at: Millis,
    /// In the wheel: the generation. In the expiry table: the version.
    pub sequence: Sequence,
    /// The timer.
    pub key: TimerKey,
}

impl StateReader {
    pub(crate) fn new(inner: Arc<StateInner>, replica: Arc<Replica>) -> Self {
        Self { inner, replica }
    }

    /// Whose state it is.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        ShardId(self.replica.shard)
    }

    /// Whether calls can wait for a disk, so that threads are worth having.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.inner.engine.blocks()
    }

    /// The timer of `key`, in any state.
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn timer(&self, key: &TimerKey) -> Result<Option<Timer>, StoreError> {
        self.stored(|stored| stored.timer(key))
    }

    fn stored<T>(&self, read: impl FnOnce(&Stored<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let current = self.replica.current();
        let view = &*self.inner.engine;
        let stored = Stored { view, shard: self.replica.shard, incarnation: current.incarnation };
        self.inner.noted(read(&stored))
    }

    /// The record of the group `name`, also of one that is gone.
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn group(&self, name: &str) -> Result<Option<Group>, StoreError> {
        self.stored(|stored| stored.group(name))
    }

    /// How many timers the group `name` has in this shard.
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn group_counts(&self, name: &str) -> Result<GroupCounts, StoreError> {
        self.stored(|stored| stored.group_counts(name))
    }

    /// Records of groups from the name `from` on, also of those that are gone, in the order of names; at most `limit` (and
    /// [`SCAN_ITEMS_MAX`]).
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn groups(&self, from: &str, limit: usize) -> Result<Vec<Group>, StoreError> {
        let current = self.replica.current();
        let limit = limit.min(SCAN_ITEMS_MAX);
        let (from, to) = group::range_from(current.incarnation, from);
        let mut groups = Vec::new();
        let scanned = self.inner.engine.scan(&from, &to, &mut |_, value| {
            if groups.len() >= limit {
                return Ok(ControlFlow::Break(()));
            }
            groups.push(decode_group(self.replica.shard, value)?);
            Ok(ControlFlow::Continue(()))
        });
        self.inner.noted(scanned)?;
        Ok(groups)
    }

    /// The history of the timer of `key`, newest first; none if there is no such timer.
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn attempts(&self, key: &TimerKey) -> Result<Option<Vec<Attempt>>, StoreError> {
        // Held, so that no entry is applied between the two reads.
        let current = self.replica.current();
        let (view, shard, incarnation) = (&*self.inner.engine, self.replica.shard, current.incarnation);
        let read = || {
            if view.get(&timer::encode(incarnation, key))?.is_none() {
                return Ok(None);
            }
            let slots = history::load(view, shard, incarnation, key)?;
            let mut attempts: Vec<Attempt> = slots.into_values().collect();
            attempts.sort_by_key(|attempt| Reverse(attempt.recorded));
            Ok(Some(attempts))
        };
        self.inner.noted(read())
    }

    /// Pending timers in the order of their wheel positions, from `from` to before `until`; at most `limit`
    /// (and [`SCAN_ITEMS_MAX`]). Begin at the shard's cursor: below it there are none.
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn scan_wheel(
        &self,
        from: Bound<(Millis, Sequence)>,
        until: Millis,
        limit: usize,
    ) -> Result<Vec<Slot>, StoreError> {
        let current = self.replica.current();
        let incarnation = current.incarnation;
        let start = match from {
            Bound::Included((at, sequence)) => wheel::encode(incarnation, at, sequence),
            Bound::Excluded((at, sequence)) => {
                let mut key = wheel::encode(incarnation, at, sequence);
                // The least key behind it.
                key.push(0);
                key
            }
            Bound::Unbounded => wheel::all(incarnation).0,
        };
        let end = wheel::encode(incarnation, until, Sequence(0));
        self.scan((start, end), limit, wheel::decode)
    }

    /// Parked timers of `group` in the order of their positions; at most `limit` (and [`SCAN_ITEMS_MAX`]).
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn scan_parked(&self, group: &str, limit: usize) -> Result<Vec<Slot>, StoreError> {
        let current = self.replica.current();
        let range = parked::of_group(current.incarnation, group);
        self.scan(range, limit, |key| parked::decode(key).map(|(_, at, generation)| (at, generation)))
    }

    /// The first group behind `group`, in the order of names, of which something is parked.
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn next_parked_group(&self, group: &str) -> Result<Option<String>, StoreError> {
        let current = self.replica.current();
        let (from, to) = parked::behind(current.incarnation, group);
        let mut found = None;
        let scanned = self.inner.engine.scan(&from, &to, &mut |key, _| {
            found = parked::decode(key).map(|(group, ..)| group);
            Ok(ControlFlow::Break(()))
        });
        self.inner.noted(scanned)?;
        Ok(found)
    }

    /// Finished timers whose records may go before `until`, oldest first; at most `limit` (and
    /// [`SCAN_ITEMS_MAX`]).
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn scan_expiry(&self, until: Millis, limit: usize) -> Result<Vec<Slot>, StoreError> {
        let current = self.replica.current();
        let range = expiry::range(current.incarnation, Millis(0), until);
        self.scan(range, limit, expiry::decode)
    }

    /// The first timers of a list, at most `limit` (and [`SCAN_ITEMS_MAX`]), and about `bytes_max` of them, but one if
    /// there is one. All are of the same moment.
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn list(&self, query: &ListQuery, limit: usize, bytes_max: usize) -> Result<ListPart, StoreError> {
        self.inner.noted(list::list(&self.inner, &self.replica, query, limit.min(SCAN_ITEMS_MAX), bytes_max))
    }

    /// The caller holds the replica: its incarnation must not go meanwhile.
    fn scan(
        &self,
        (from, to): KeyRange,
        limit: usize,
        decode: fn(&[u8]) -> Option<(Millis, Sequence)>,
    ) -> Result<Vec<Slot>, StoreError> {
        let limit = limit.min(SCAN_ITEMS_MAX);
        let mut slots = Vec::new();
        if limit == 0 {
            return Ok(slots);
        }
        let scanned = self.inner.engine.scan(&from, &to, &mut |key, value| {
            let slot = decode(key).zip(timer::parse(value));
            let Some(((at, sequence), key)) = slot else {
                let store = format!("the state of shard {}", self.replica.shard);
                return Err(StoreError::corrupted(store, "an index key that is none of ours"));
            };
            slots.push(Slot { at, sequence, key });
            Ok(if slots.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        });
        self.inner.noted(scanned)?;
        Ok(slots)
    }

    /// The shard's state.
    #[must_use]
    pub fn shard_state(&self) -> ShardState {
        self.replica.current().state.clone()
    }

    /// What is applied here, or was a moment ago: what is applied later comes after it. Unlike the other calls it never
    /// waits for the disk.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.replica.moment()
    }

    /// The last applied entry.
    #[must_use]
    pub fn applied(&self) -> Option<LogId> {
        self.replica.current().applied
    }

    /// A hash of everything the shard holds, with the entry that it is after. Equal on all replicas after
    /// the same entry. Reads the whole shard.
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn state_hash(&self) -> Result<(Option<LogId>, u64), StoreError> {
        self.inner.noted(check::state_hash(&self.inner, &self.replica))
    }

    /// Compares the indexes with the timers: None if they agree. Reads the whole shard.
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn check_indexes(&self) -> Result<Option<IndexFault>, StoreError> {
        self.inner.noted(check::check_indexes(&self.inner, &self.replica))
    }
}
