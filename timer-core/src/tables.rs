//! The seam between the rules and a store: what apply reads, and what it wants written.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::attempt::{Attempt, slot_after, slots};
use crate::command::{self, Context, Entry, Notice, Reply};
use crate::group::{DEFAULT_GROUP, Group, GroupCounts, GroupTerms};
use crate::ids::{Sequence, TimerKey};
use crate::shard_state::ShardState;
use crate::time::Millis;
use crate::timer::{State, Timer};

/// What apply may read of a shard.
pub trait Tables {
    /// The store's own failure. Apply gives it back unchanged and writes nothing.
    type Error;

    /// The timer of `key`, in any state.
    ///
    /// # Errors
    /// When the store can't be read.
    fn timer(&self, key: &TimerKey) -> Result<Option<Timer>, Self::Error>;

    /// The record of the group `name`, also of one that is gone.
    ///
    /// # Errors
    /// When the store can't be read.
    fn group(&self, name: &str) -> Result<Option<Group>, Self::Error>;

    /// How many timers the group `name` has here.
    ///
    /// # Errors
    /// When the store can't be read.
    fn group_counts(&self, name: &str) -> Result<GroupCounts, Self::Error>;

    /// The lowest position of the wheel from `from` to before `until` that a timer waits at for which `counts`
    /// holds.
    ///
    /// # Errors
    /// When the store can't be read.
    fn first_position(
        &self,
        from: Millis,
        until: Millis,
        counts: &dyn Fn(&TimerKey) -> bool,
    ) -> Result<Option<Millis>, Self::Error>;

    /// The history of `key` by slots. Asked only about an outcome that is history.
    ///
    /// # Errors
    /// When the store can't be read.
    fn attempts(&self, key: &TimerKey) -> Result<BTreeMap<u8, Attempt>, Self::Error>;
}

/// The state of a shard on top of a store: what a batch of entries has changed and the store does not have
/// yet. The second command of an entry sees what the first did.
#[derive(Debug)]
pub struct Overlay<'a, T: Tables> {
    tables: &'a T,
    /// The shard's state, changed in place.
    pub state: ShardState,
    /// Each timer that was read or written: as the store has it, and as it is now.
    timers: BTreeMap<TimerKey, TimerCell>,
    groups: BTreeMap<String, GroupCell>,
}

/// One record in an overlay.
#[derive(Debug)]
struct Cell<T> {
    before: Option<T>,
    now: Option<T>,
}

/// One timer in an overlay.
#[derive(Debug)]
struct TimerCell {
    record: Cell<Timer>,
    /// What was recorded in its history, by slots.
    attempts: BTreeMap<u8, Attempt>,
    /// Whether it was erased in between: the history that the store has is not its own.
    erased: bool,
}

/// One group in an overlay.
#[derive(Debug)]
struct GroupCell {
    record: Cell<Group>,
    counts_before: GroupCounts,
    counts: GroupCounts,
}

/// What a batch changed.
#[derive(Debug)]
pub struct Changes {
    /// The shard's new state.
    pub state: ShardState,
    /// Each timer that changed, before and after; `None` where there is none.
    pub timers: Vec<TimerChange>,
    /// Each group whose record changed, as it is to be.
    pub groups: Vec<Group>,
    /// Each group whose timers are others than before, and how many it has now.
    pub group_counts: Vec<(String, GroupCounts)>,
    /// For the leader's dispatcher.
    pub notices: Vec<Notice>,
}

/// A timer before and after a batch.
#[derive(Debug)]
pub struct TimerChange {
    /// The timer.
    pub key: TimerKey,
    /// As the store has it.
    pub before: Option<Timer>,
    /// As it is to be.
    pub after: Option<Timer>,
    /// What its history has in these slots from now on.
    pub attempts: BTreeMap<u8, Attempt>,
}

/// The index keys of a timer. A store keeps exactly these beside each record: [`index_keys`] is the only
/// place that says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexKeys {
    /// In the wheel: position, generation.
    pub wheel: Option<(Millis, Sequence)>,
    /// Among what is parked of its group: the same.
    pub parked: Option<(Millis, Sequence)>,
    /// In the table of what expires: purge time, version.
    pub expiry: Option<(Millis, Sequence)>,
    /// In the lists: state and time.
    pub listing: Option<(State, Millis)>,
    /// In the history: so many slots, from 0 on. Those of [`TimerChange::attempts`] are written, and those that are no
    /// more are removed; no other changes.
    pub attempts: u8,
}

/// The lowest position from `from` to before `until` that one of `timers` waits at.
pub fn lowest_position<'a>(
    timers: impl Iterator<Item = &'a Timer>,
    from: Millis,
    until: Millis,
) -> Option<Millis> {
    timers
        .filter_map(|timer| index_keys(Some(timer)).wheel)
        .map(|(at, _)| at)
        .filter(|at| (from..until).contains(at))
        .min()
}

/// The index keys that belong to `timer`.
#[must_use]
pub fn index_keys(timer: Option<&Timer>) -> IndexKeys {
    timer.map_or_else(IndexKeys::default, |t| {
        let place = t.position.map(|at| (at, t.generation));
        let (wheel, parked) = if t.parked_at.is_none() { (place, None) } else { (None, place) };
        IndexKeys {
            wheel,
            parked,
            expiry: t.purge_at.map(|at| (at, t.version)),
            listing: Some((t.state, t.definition.execute_at)),
            attempts: slots(t.attempts_recorded),
        }
    })
}

impl<'a, T: Tables> Overlay<'a, T> {
    /// An overlay that has changed nothing yet, on `tables` and the shard's state that belongs to them.
    #[must_use]
    pub const fn new(tables: &'a T, state: ShardState) -> Self {
        Self { tables, state, timers: BTreeMap::new(), groups: BTreeMap::new() }
    }

    /// The record of the group `name` as it is now, also of one that is gone.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn group(&mut self, name: &str) -> Result<Option<&Group>, T::Error> {
        Ok(self.group_cell(name)?.record.now.as_ref())
    }

    /// What holds for timers of the group `name` now; none if there is no such group here.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn group_terms(&mut self, name: &str) -> Result<Option<GroupTerms>, T::Error> {
        let record = self.group(name)?.map(Group::terms);
        Ok(record.unwrap_or_else(|| (name == DEFAULT_GROUP).then(GroupTerms::default)))
    }

    /// How many timers the group `name` has now.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn group_counts(&mut self, name: &str) -> Result<GroupCounts, T::Error> {
        Ok(self.group_cell(name)?.counts)
    }

    /// Stores `group`, which must have been read with [`group`](Self::group) before.
    ///
    /// Panics if the record breaks an invariant: a replica must not store such a one.
    pub fn put_group(&mut self, group: Group) {
        group.check();
        let cell = self.groups.get_mut(&group.name);
        assert!(cell.is_some(), "{}: written without being read", group.name);
        let Some(cell) = cell else { return };
        if cell.record.now.is_none() {
            self.state.groups += 1;
        }
        cell.record.now = Some(group);
    }

    fn group_cell(&mut self, name: &str) -> Result<&mut GroupCell, T::Error> {
        if !self.groups.contains_key(name) {
            let before = self.tables.group(name)?;
            let counts = self.tables.group_counts(name)?;
            let record = Cell { now: before.clone(), before };
            self.groups.insert(name.into(), GroupCell { record, counts_before: counts, counts });
        }
        let cell = self.groups.get_mut(name);
        Ok(cell.unwrap_or_else(|| unreachable!("{name}: it has just been read")))
    }

    /// The timer of `key` as it is now.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn timer(&mut self, key: &TimerKey) -> Result<Option<&Timer>, T::Error> {
        if !self.timers.contains_key(key) {
            // Whatever happens to the timer, its group's counts may change.
            self.group_cell(&key.group)?;
            let before = self.tables.timer(key)?;
            let record = Cell { now: before.clone(), before };
            let cell = TimerCell { record, attempts: BTreeMap::new(), erased: false };
            self.timers.insert(key.clone(), cell);
        }
        Ok(self.timers.get(key).and_then(|cell| cell.record.now.as_ref()))
    }

    /// Stores `timer`, whose key must have been read with [`timer`](Self::timer) before.
    ///
    /// Panics if the record breaks an invariant: a replica must not store such a one.
    pub fn put(&mut self, timer: Timer) {
        timer.check();
        let cursor = self.state.cursor;
        let place = index_keys(Some(&timer)).wheel;
        assert!(place.is_none_or(|(at, _)| at >= cursor), "{}: below the cursor", timer.key);
        let key = timer.key.clone();
        self.set(&key, Some(timer));
    }

    /// Adds `attempt` to the history of `timer`, which the caller [`put`](Self::put)s afterwards.
    pub(crate) fn record(&mut self, timer: &mut Timer, attempt: Attempt) {
        let cell = self.timers.get_mut(&timer.key);
        assert!(cell.is_some(), "{}: recorded without being read", timer.key);
        let Some(cell) = cell else { return };
        cell.attempts.insert(slot_after(timer.attempts_recorded), attempt);
        timer.attempts_recorded += 1;
    }

    /// The history of `key` as it is now, by slots.
    ///
    /// # Errors
    /// When the store can't be read.
    pub(crate) fn attempts(&self, key: &TimerKey) -> Result<BTreeMap<u8, Attempt>, T::Error> {
        let Some(cell) = self.timers.get(key) else { return self.tables.attempts(key) };
        let mut attempts = if cell.erased { BTreeMap::new() } else { self.tables.attempts(key)? };
        attempts.extend(cell.attempts.iter().map(|(slot, attempt)| (*slot, attempt.clone())));
        Ok(attempts)
    }

    /// The lowest position of the wheel from `from` to before `until` that a timer waits at now.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn first_position(&self, from: Millis, until: Millis) -> Result<Option<Millis>, T::Error> {
        let stored = self.tables.first_position(from, until, &|key| !self.timers.contains_key(key))?;
        let here = self.timers.values().filter_map(|cell| cell.record.now.as_ref());
        Ok(lowest_position(here, from, until).into_iter().chain(stored).min())
    }

    /// Erases the timer of `key`, which must have been read with [`timer`](Self::timer) before, and its history. `change`
    /// is its last one, this included if a client asked for it: its answer is not kept, there is nothing to keep it with.
    pub fn erase(&mut self, key: &TimerKey, change: Sequence) {
        self.set(key, None);
        if let Some(cell) = self.timers.get_mut(key) {
            cell.attempts.clear();
            cell.erased = true;
        }
        self.state.newest_erased = self.state.newest_erased.max(Some(change));
    }

    fn set(&mut self, key: &TimerKey, now: Option<Timer>) {
        let cell = self.timers.get_mut(key);
        assert!(cell.is_some(), "{key}: written without being read");
        let Some(cell) = cell else { return };
        let group = self.groups.get_mut(&key.group);
        assert!(group.is_some(), "{key}: its group was not read");
        let Some(group) = group else { return };
        for counts in [&mut self.state.counts, &mut group.counts.0] {
            if let Some(timer) = &cell.record.now {
                let count = &mut counts[timer.state as usize];
                assert!(*count > 0, "{key}: more timers leave a state than are in it");
                *count -= 1;
            }
            if let Some(timer) = &now {
                counts[timer.state as usize] += 1;
            }
        }
        let parked = |timer: &Option<Timer>| u64::from(timer.as_ref().is_some_and(|t| t.parked_at.is_some()));
        self.state.parked = self.state.parked + parked(&now) - parked(&cell.record.now);
        cell.record.now = now;
    }

    /// What the batch changed, in the order of keys.
    #[must_use]
    pub fn into_changes(self) -> Changes {
        let timers: Vec<TimerChange> = self
            .timers
            .into_iter()
            .filter(|(_, cell)| cell.record.before != cell.record.now)
            .map(|(key, TimerCell { record, attempts, .. })| TimerChange {
                key,
                before: record.before,
                after: record.now,
                attempts,
            })
            .collect();
        let notices = timers.iter().flat_map(notices).collect();
        let (mut groups, mut group_counts) = (Vec::new(), Vec::new());
        for (name, cell) in self.groups {
            if cell.record.before != cell.record.now {
                groups.extend(cell.record.now);
            }
            if cell.counts_before != cell.counts {
                group_counts.push((name, cell.counts));
            }
        }
        Changes { state: self.state, timers, groups, group_counts, notices }
    }
}

/// What a change means for the dispatcher: that a generation goes out of force, that an attempt is due.
fn notices(change: &TimerChange) -> impl Iterator<Item = Notice> {
    let before = change.before.as_ref().filter(|timer| timer.state.is_pending());
    let after = change.after.as_ref().filter(|timer| timer.state.is_pending());
    let out = before.filter(|b| after.is_none_or(|a| a.generation != b.generation));
    // The number of the next attempt counts too: a retry may be due in the same millisecond.
    let place = |t: &Timer| index_keys(Some(t)).wheel;
    let due = |t: &Timer| (place(t), t.next_attempt_at, t.attempts, t.deferrals, t.manual);
    let scheduled = after.filter(|a| before.is_none_or(|b| due(a) != due(b)));
    let out = out.map(|t| Notice::Unscheduled { key: t.key.clone(), generation: t.generation });
    let scheduled = scheduled.and_then(|t| {
        let (position, generation) = place(t)?;
        Some(Notice::Scheduled { key: t.key.clone(), position, generation })
    });
    out.into_iter().chain(scheduled)
}

/// Applies the entry at log index `index` and gives one reply per command.
///
/// Time is the newest that the log has seen: `max(entry.proposed_at, state.last_time)`.
///
/// # Errors
/// When the store can't be read; the overlay is then of no use any more.
pub fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    index: u64,
    entry: &Entry,
) -> Result<Vec<Reply>, T::Error> {
    let now = overlay.state.last_time.max(entry.proposed_at);
    overlay.state.last_time = now;
    let commands = (0..).zip(&entry.commands);
    commands
        .map(|(ordinal, envelope)| {
            let context = Context {
                now,
                sequence: Sequence::new(index, ordinal),
                request: envelope.request.as_ref(),
                traceparent: envelope.traceparent.as_ref(),
                group: envelope.group,
                asked_since: envelope.asked_since,
            };
            command::dispatch(overlay, &context, &envelope.command)
        })
        .collect()
}
