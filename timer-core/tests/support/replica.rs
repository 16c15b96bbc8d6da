//! A replica: a store that writes what an overlay changed, keeps the indexes of a real one, and checks what must
//! hold after every batch. And what a leader's dispatcher learns from notices.

use std::collections::BTreeMap;
use std::convert::Infallible;

use timer_core::attempt::Attempt;
use timer_core::command::{Entry, Notice, Reply};
use timer_core::group::{Group, GroupCounts};
use timer_core::ids::{Sequence, TimerKey};
use timer_core::shard_state::ShardState;
use timer_core::tables::{Overlay, Tables, apply, index_keys, lowest_position};
use timer_core::time::Millis;
use timer_core::timer::{State, Timer};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    pub timers: BTreeMap<TimerKey, Timer>,
    attempts: BTreeMap<(TimerKey, u8), Attempt>,
}

impl Tables for Store {
    type Error = Infallible;

    fn timer(&self, key: &TimerKey) -> Result<Option<Timer>, Infallible> {
        Ok(self.timers.get(key).cloned())
    }

    fn group(&self, _: &str) -> Result<Option<Group>, Infallible> {
        Ok(None)
    }

    fn group_counts(&self, name: &str) -> Result<GroupCounts, Infallible> {
        let mut counts = GroupCounts::default();
        for timer in self.timers.values().filter(|timer| timer.key.group == name) {
            counts.0[timer.state as usize] += 1;
        }
        Ok(counts)
    }

    fn first_position(
        &self,
        from: Millis,
        until: Millis,
        counts: &dyn Fn(&TimerKey) -> bool,
    ) -> Result<Option<Millis>, Infallible> {
        let timers = self.timers.iter().filter(|(key, _)| counts(key)).map(|(_, timer)| timer);
        Ok(lowest_position(timers, from, until))
    }

    fn attempts(&self, key: &TimerKey) -> Result<BTreeMap<u8, Attempt>, Infallible> {
        let of_key = self.attempts.iter().filter(|((timer, _), _)| timer == key);
        Ok(of_key.map(|((_, slot), attempt)| (*slot, attempt.clone())).collect())
    }
}

impl Store {
    /// A timer's history, newest first.
    pub fn history(&self, key: &TimerKey) -> Vec<Attempt> {
        let Ok(slots) = self.attempts(key);
        let mut attempts: Vec<Attempt> = slots.into_values().collect();
        attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.recorded));
        attempts
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replica {
    pub store: Store,
    pub state: ShardState,
    wheel: BTreeMap<(Millis, Sequence), TimerKey>,
    expiry: BTreeMap<(Millis, Sequence), TimerKey>,
    /// What a dispatcher that has heard every notice would call, and when.
    dispatcher: BTreeMap<(TimerKey, Sequence), Millis>,
}

impl Replica {
    /// Applies `entries` as one batch.
    pub fn apply(&mut self, entries: &[(u64, Entry)]) -> Vec<Reply> {
        let before = self.state.clone();
        let mut overlay = Overlay::new(&self.store, self.state.clone());
        let mut replies = Vec::new();
        for (index, entry) in entries {
            let Ok(mut more) = apply(&mut overlay, *index, entry);
            assert_eq!(more.len(), entry.commands.len(), "a reply for every command");
            replies.append(&mut more);
        }
        let changes = overlay.into_changes();
        for change in changes.timers {
            assert_eq!(
                change.before.as_ref(),
                self.store.timers.get(&change.key),
                "before is what is stored"
            );
            let (old, new) = (index_keys(change.before.as_ref()), index_keys(change.after.as_ref()));
            // All that goes, then all that comes, as a write batch does it.
            for (table, old, new) in
                [(&mut self.wheel, old.wheel, new.wheel), (&mut self.expiry, old.expiry, new.expiry)]
            {
                assert!(old.is_none_or(|at| table.remove(&at).is_some()), "an index key that is not there");
                let taken = new.is_some_and(|at| table.insert(at, change.key.clone()).is_some());
                assert!(!taken, "an index key that another timer has");
            }
            for slot in new.attempts..old.attempts {
                let gone = self.store.attempts.remove(&(change.key.clone(), slot));
                assert!(gone.is_some(), "a slot that is not there");
            }
            let recorded = change.attempts.into_iter();
            self.store.attempts.extend(recorded.map(|(slot, attempt)| ((change.key.clone(), slot), attempt)));
            match change.after {
                Some(timer) => self.store.timers.insert(change.key, timer),
                None => self.store.timers.remove(&change.key),
            };
        }
        for notice in changes.notices {
            match notice {
                Notice::Scheduled { key, position, generation } => {
                    self.dispatcher.insert((key, generation), position);
                }
                Notice::Unscheduled { key, generation } => {
                    self.dispatcher.remove(&(key, generation));
                }
            }
        }
        self.state = changes.state;
        self.check(&before);
        replies
    }

    fn check(&self, before: &ShardState) {
        assert!(self.state.last_time >= before.last_time, "time went back");
        assert!(self.state.cursor >= before.cursor, "the cursor went back");
        let (mut counts, mut wheel, mut expiry, mut due) =
            ([0; State::ALL.len()], BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut slots = Vec::new();
        for (key, timer) in &self.store.timers {
            timer.check();
            assert_eq!(*key, timer.key);
            counts[timer.state as usize] += 1;
            let keys = index_keys(Some(timer));
            wheel.extend(keys.wheel.map(|at| (at, key.clone())));
            expiry.extend(keys.expiry.map(|at| (at, key.clone())));
            slots.extend((0..keys.attempts).map(|slot| (key.clone(), slot)));
            if let Some(position) = timer.position {
                assert!(position >= self.state.cursor, "{key} is below the cursor");
                due.insert((key.clone(), timer.generation), position);
            }
        }
        assert_eq!(self.state.counts, counts, "kept counts");
        assert_eq!((&self.wheel, &self.expiry), (&wheel, &expiry), "indexes");
        assert!(self.store.attempts.keys().eq(&slots), "histories: {:?}", self.store.attempts.keys());
        assert_eq!(self.dispatcher, due, "what the dispatcher knows");
    }
}
