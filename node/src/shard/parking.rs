//! Parks what is due while its group is paused, so that it holds back neither the cursor nor memory, and lets it go again when
//! the pause is over: a few at first, so that a receiver which comes back is not met by everything at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use raft_store::StoreError;
use raft_store::state_machine::{Slot, StateReader};
use timer_core::command::{Command, Envelope, Park, Parked, Release};
use timer_core::group::Group;
use timer_core::limits::PARKED_AT_ONCE_MAX;
use timer_core::mutant::Mutant;
use timer_core::time::Span;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::dispatcher::Dispatcher;
use super::office::Due;
use crate::blocking::away;

/// How often something is let go.
const INTERVAL: Duration = Duration::from_millis(250);
/// Timers of a group that a shard lets go at first; each time twice as many, up to [`PARKED_AT_ONCE_MAX`].
const FIRST: usize = 8;
/// Groups of which something is let go each time.
const GROUPS_AT_ONCE: usize = 32;
/// Timers that are due and not settled, beyond which nothing is let go.
const UNSETTLED_MAX: usize = 50_000;
/// The wait before what could not be parked is looked at again.
const RETRY: Span = Span(1_000);

/// What an office does about parked timers.
#[derive(Debug)]
pub struct Parking {
    interval: Interval,
    parks: Arc<AtomicBool>,
    releases: Arc<AtomicBool>,
    pace: Arc<Mutex<Pace>>,
}

/// How many go at a time, by group.
#[derive(Debug, Default)]
struct Pace {
    last: BTreeMap<String, usize>,
    /// Whose turn it was last.
    group: String,
}

impl Pace {
    /// How many of `group` go next.
    fn next(&self, group: &str) -> usize {
        self.last.get(group).map_or(FIRST, |last| (last * 2).min(PARKED_AT_ONCE_MAX))
    }
}

/// Cleared when the task that has set it is over, however it ends.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn take(flag: &Arc<AtomicBool>) -> Option<Self> {
        (!flag.swap(true, Ordering::AcqRel)).then(|| Self(flag.clone()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Default for Parking {
    fn default() -> Self {
        let mut interval = interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, parks: Arc::default(), releases: Arc::default(), pace: Arc::default() }
    }
}

impl Parking {
    /// Resolves when it is time to look at what may go.
    pub async fn tick(&mut self) {
        self.interval.tick().await;
    }

    /// Parks what the office of `dispatcher` has to park, one command at a time.
    pub fn park(&self, dispatcher: &Dispatcher) {
        let Some(busy) = Busy::take(&self.parks) else { return };
        let dues = dispatcher.office.take_to_park(PARKED_AT_ONCE_MAX);
        if dues.is_empty() {
            return;
        }
        let this = dispatcher.clone();
        dispatcher.context.attempts.spawn(async move {
            let park = Park { session: this.office.session, timers: dues.iter().map(place).collect() };
            let envelope = Envelope::own(Command::Park(park));
            let parked = this.proposer.propose(this.office.leader, envelope, None).await;
            // Before the office wakes its dispatcher: else that would find it busy, and look again only much later.
            drop(busy);
            match parked {
                Ok(_) => this.office.parked(&dues),
                Err(_) => {
                    let at = this.context.clock.now() + RETRY;
                    dues.into_iter().for_each(|due| this.office.defer(due, at));
                }
            }
        });
    }

    /// Lets go what may go, as many as it is time for.
    pub fn release(&self, dispatcher: &Dispatcher) {
        if dispatcher.reader.shard_state().parked == 0 || Mutant::ParkedForgotten.is_on() {
            *self.pace.lock() = Pace::default();
            return;
        }
        if dispatcher.office.sizes().unsettled > UNSETTLED_MAX {
            return;
        }
        let Some(busy) = Busy::take(&self.releases) else { return };
        let (this, pace) = (dispatcher.clone(), self.pace.clone());
        dispatcher.context.attempts.spawn(async move {
            let _busy = busy;
            for _ in 0..GROUPS_AT_ONCE {
                if this.ended.is_cancelled() || !release_next(&this, &pace).await {
                    return;
                }
            }
        });
    }
}

/// Lets go some of the next group that has parked timers and is not paused; `false` at the end of a round through all groups.
async fn release_next(dispatcher: &Dispatcher, pace: &Arc<Mutex<Pace>>) -> bool {
    let after = pace.lock().group.clone();
    let (reader, asked) = (dispatcher.reader.clone(), pace.clone());
    let read = away(reader.blocks(), move || -> Result<Option<(String, usize, Vec<Slot>)>, StoreError> {
        let Some(group) = reader.next_parked_group(&after)? else { return Ok(None) };
        if is_paused(&reader, &group) {
            return Ok(Some((group, 0, Vec::new())));
        }
        let step = asked.lock().next(&group);
        let slots = reader.scan_parked(&group, step)?;
        Ok(Some((group, step, slots)))
    });
    let (group, step, slots) = match read.await {
        Ok(Ok(Some(found))) => found,
        Ok(Ok(None)) => {
            pace.lock().group.clear();
            return false;
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "can't read what is parked");
            return false;
        }
        Err(_) => return false,
    };
    let is_released = !slots.is_empty();
    if is_released {
        let timers = slots.into_iter().map(|slot| {
            let Slot { key, sequence: generation, at: position } = slot;
            Parked { key, generation, position }
        });
        let release = Release { session: dispatcher.office.session, timers: timers.collect() };
        let envelope = Envelope::own(Command::Release(release));
        if dispatcher.proposer.propose(dispatcher.office.leader, envelope, None).await.is_err() {
            return false;
        }
    }
    let mut pace = pace.lock();
    if is_released {
        pace.last.insert(group.clone(), step);
    } else {
        pace.last.remove(&group);
    }
    pace.group = group;
    true
}

fn place(due: &Due) -> Parked {
    Parked { key: due.key.clone(), generation: due.generation, position: due.position }
}

/// Whether `group` keeps attempts of its timers from starting.
pub(super) fn holds_back(group: Option<&Group>) -> bool {
    group.is_some_and(|group| group.paused_at.is_some()) && !Mutant::PauseIgnored.is_on()
}

/// Whether no attempt of the group's timers may start, as far as commands are applied here. One that can't be read counts as
/// paused: what is parked is looked at again.
pub(super) fn is_paused(reader: &StateReader, group: &str) -> bool {
    match reader.group(group) {
        Ok(record) => holds_back(record.as_ref()),
        Err(error) => {
            tracing::error!(group, %error, "can't read a group");
            true
        }
    }
}
