//! What a leader in office knows beside the replicated state: what is due soon, what is under way, and what is
//! fenced. All of it is volatile; a new leader rebuilds it from the tables.
//!
//! A *fence* on a timer's key keeps attempts from starting while a command that takes a definition out of
//! force is on its way. It is set before the proposal and says in it what was under way: that makes the
//! answer of a cancel definite.

mod desk;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use raft_store::type_config::LeaderId;
use timer_core::command::{Fence, Notice};
use timer_core::ids::{Sequence, TimerKey};
use timer_core::limits::{CALLBACK_TIMEOUT_MAX, CLOCK_OFFSET_MAX};
use timer_core::mutant::Mutant;
use timer_core::shard_state::OpenAttempt;
use timer_core::time::{Millis, Span};
use timer_core::timer::InFlight;
use timer_core::wheel::Wheel;
use tokio::sync::Notify;

pub use self::desk::Due;
use self::desk::{Desk, UnderWay};
use super::dispatcher::LookAhead;
use super::token::TokenMaker;

/// How long an attempt waits for the one before it to be over.
const UNDER_WAY_HOLD: Span = Span(200);

/// Whether an attempt may go on to read its record and send.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is marked as under way.
    Admitted,
    /// It is kept until a fence falls, or comes again later: nothing to do now.
    Kept,
}

/// The office of one session.
#[derive(Debug)]
pub struct Office {
    /// The session's number.
    pub session: u64,
    /// This node, in the Raft term that the office belongs to.
    pub leader: LeaderId,
    desk: Mutex<Desk>,
    /// Wakes the dispatcher.
    pub wake: Notify,
}

/// Sizes for metrics and for bounding.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfficeSizes {
    /// In the memory wheel.
    pub waiting: usize,
    /// Due, and not started for want of room.
    pub ready: usize,
    /// Started.
    pub under_way: usize,
    /// Due, in whatever stage, and not settled.
    pub unsettled: usize,
    /// Settled since the session began.
    pub settled: u64,
}

impl Office {
    /// An office at `now`, whose frontier is the cursor. `awaited`: what the predecessor handed over.
    #[must_use]
    pub fn new(session: u64, leader: LeaderId, now: Millis, cursor: Millis, awaited: &[OpenAttempt]) -> Self {
        let mut waits: HashMap<TimerKey, Vec<UnderWay>> = HashMap::new();
        for open in awaited {
            let under_way =
                UnderWay { generation: open.generation, attempt: open.attempt, until: open.until };
            waits.entry(open.key.clone()).or_default().push(under_way);
        }
        let read_below = if Mutant::NoScanAfterElection.is_on() { now + Span(60_000) } else { cursor };
        let desk = Desk {
            wheel: Wheel::new(now),
            wheel_bytes: 0,
            frontier: (read_below, Sequence(0)),
            unsettled: BTreeMap::new(),
            ready: VecDeque::new(),
            under_way: HashMap::new(),
            fenced: HashMap::new(),
            to_park: Vec::new(),
            due: 0,
            awaited: waits,
            tokens: TokenMaker::new(session),
            stopped: false,
            handed_over: false,
            left: false,
            settled: 0,
        };
        Self { session, leader, desk: Mutex::new(desk), wake: Notify::new() }
    }

    /// Fences `key` until the guard is dropped, and says what was under way at that moment.
    #[must_use]
    pub fn fence(self: &Arc<Self>, key: &TimerKey) -> FenceGuard {
        let mut desk = self.desk.lock();
        desk.fenced.entry(key.clone()).or_default().fences += 1;
        let attempt = desk
            .under_way
            .get(key)
            .and_then(|attempts| attempts.iter().max_by_key(|a| a.until))
            .map(|a| (a.generation, a.until));
        let fence = Fence { session: self.session, attempt };
        drop(desk);
        FenceGuard { office: self.clone(), key: key.clone(), fence }
    }

    /// What is under way of `generation`, for a GET.
    #[must_use]
    pub fn in_flight(&self, key: &TimerKey, generation: Sequence) -> InFlight {
        let desk = self.desk.lock();
        let attempts = desk.under_way.get(key).map_or(&[][..], Vec::as_slice);
        let newest = attempts.iter().filter(|a| a.generation == generation).map(|a| a.until).max();
        newest.map_or(InFlight::No, |until| InFlight::Yes { until })
    }

    /// Takes note of what commands have changed.
    pub fn notice(&self, notices: impl IntoIterator<Item = Notice>) {
        let mut desk = self.desk.lock();
        for notice in notices {
            match notice {
                Notice::Scheduled { key, position, generation } => {
                    // It has a new position: the outcome that was awaited has come.
                    if let Some(awaited) = desk.awaited.get_mut(&key) {
                        awaited.retain(|a| a.generation != generation);
                    }
                    // Beyond the frontier the tables are read when their time comes near.
                    if (position, generation) < desk.frontier {
                        desk.keep(position, Due { key, generation, position });
                    }
                }
                // The record is read before an attempt starts: nothing to remove.
                Notice::Unscheduled { .. } => {}
            }
        }
    }

    /// How far the tables were read: every pending attempt below it is in memory.
    #[must_use]
    pub fn frontier(&self) -> Millis {
        self.desk.lock().frontier.0
    }

    /// What of the tables is to be read next: from the frontier (inclusive) to `horizon`, unless that was
    /// read or memory has its fill. Marks it as read: what is scheduled there meanwhile is noticed.
    pub fn begin_load(&self, horizon: Millis, bounds: &LookAhead) -> Option<(Millis, Sequence)> {
        let mut desk = self.desk.lock();
        // Not what waits for a place at its destination: one that hangs must not keep the others' timers from being read.
        let timers = desk.wheel.len() + desk.ready.len() + desk.to_park.len();
        let full = timers >= bounds.timers_max || desk.wheel_bytes >= bounds.bytes_max;
        if desk.frontier.0 >= horizon || full {
            return None;
        }
        let from = desk.frontier;
        desk.frontier = (horizon, Sequence(0));
        Some(from)
    }

    /// Takes what was read; `next` is where reading has to go on when the limit cut it off.
    pub fn end_load(&self, found: Vec<Due>, next: Option<(Millis, Sequence)>) {
        let mut desk = self.desk.lock();
        for due in found {
            desk.keep(due.position, due);
        }
        if let Some(next) = next {
            desk.frontier = desk.frontier.min(next);
        }
    }

    /// Reading failed: it begins at `from` again.
    pub fn abort_load(&self, from: (Millis, Sequence)) {
        let mut desk = self.desk.lock();
        desk.frontier = desk.frontier.min(from);
    }

    /// The wall clock went back: forgets the wheel and reads the tables from `cursor` again.
    pub fn rewind(&self, now: Millis, cursor: Millis) {
        let mut desk = self.desk.lock();
        desk.wheel = Wheel::new(now);
        desk.wheel_bytes = 0;
        desk.frontier = (cursor, Sequence(0));
        desk.ready.clear();
        desk.fenced.values_mut().for_each(|fenced| fenced.held.clear());
        desk.to_park.clear();
        desk.unsettled.clear();
        desk.due = 0;
    }

    /// Moves what is due at `now` from the wheel to the ready queue.
    pub fn collect_due(&self, now: Millis) {
        let mut due = Vec::new();
        let mut desk = self.desk.lock();
        desk.wheel.advance(now, &mut due);
        for (at, item) in due {
            desk.wheel_bytes = desk.wheel_bytes.saturating_sub(item.bytes());
            // One that was deferred has been counted before.
            if at <= item.position {
                *desk.unsettled.entry(item.position).or_default() += 1;
                desk.due += 1;
            }
            desk.ready.push_back(item);
        }
    }

    /// When something becomes due next; exact or earlier.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        self.desk.lock().wheel.next_due()
    }

    /// Takes the next ready one, unless the office is closed.
    #[must_use]
    pub fn pop_ready(&self) -> Option<Due> {
        let mut desk = self.desk.lock();
        if desk.stopped { None } else { desk.ready.pop_front() }
    }

    /// Whether something is ready to start.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        let desk = self.desk.lock();
        !desk.stopped && !desk.ready.is_empty()
    }

    /// Puts one back that found no room: it is first when there is.
    pub fn put_back(&self, due: Due) {
        self.desk.lock().ready.push_front(due);
    }

    /// Comes again at `at`.
    pub fn defer(&self, due: Due, at: Millis) {
        self.desk.lock().defer(due, at);
        self.wake.notify_one();
    }

    /// Asks to start `due`: from `Admitted` on a fence says that it is under way.
    #[must_use]
    pub fn admit(&self, due: &Due, now: Millis) -> Admission {
        let mut desk = self.desk.lock();
        if let Some(fenced) = desk.fenced.get_mut(&due.key) {
            fenced.held.push(due.clone());
            return Admission::Kept;
        }
        // Its retry can be due before whoever made the attempt before it knows that the outcome is applied.
        if desk.is_under_way(&due.key, due.generation) {
            desk.defer(due.clone(), now + UNDER_WAY_HOLD);
            return Admission::Kept;
        }
        if let Some(until) = desk.awaited_until(due, now) {
            desk.defer(due.clone(), until);
            return Admission::Kept;
        }
        let until = now + Span(CALLBACK_TIMEOUT_MAX.0 + CLOCK_OFFSET_MAX.0);
        let under_way = UnderWay { generation: due.generation, attempt: 0, until };
        desk.under_way.entry(due.key.clone()).or_default().push(under_way);
        Admission::Admitted
    }

    /// The next fencing token; none when an outcome has to be waited for.
    #[must_use]
    pub fn next_token(&self, applied_index: u64) -> Option<u64> {
        self.desk.lock().tokens.next(applied_index)
    }

    /// An admitted attempt is over: its outcome is applied, or nothing was sent.
    pub fn finish(&self, due: &Due) {
        let mut desk = self.desk.lock();
        desk.settle(due.position);
        desk.settled += 1;
        desk.withdraw(due);
        drop(desk);
        self.wake.notify_one();
    }

    /// An admitted attempt did not start: it is ready again at `at`.
    pub fn retreat(&self, due: Due, at: Millis) {
        self.desk.lock().withdraw(&due);
        self.defer(due, at);
    }

    /// An admitted attempt may not start, or not be sent, now: it is the first again when it may.
    pub fn hold(&self, due: Due) {
        self.withdraw_waiting(&due);
        self.put_back(due);
        self.wake.notify_one();
    }

    /// An admitted attempt waits for a place at its destination: it is not under way, and not settled.
    pub fn withdraw_waiting(&self, due: &Due) {
        self.desk.lock().withdraw(due);
    }

    /// An admitted attempt may not go while its group is paused: it is to be parked, and not settled until it is.
    pub fn park(&self, due: Due) {
        let mut desk = self.desk.lock();
        desk.withdraw(&due);
        desk.to_park.push(due);
        drop(desk);
        self.wake.notify_one();
    }

    /// Takes what is to be parked, at most `most`.
    #[must_use]
    pub fn take_to_park(&self, most: usize) -> Vec<Due> {
        let mut desk = self.desk.lock();
        let taken = most.min(desk.to_park.len());
        let rest = desk.to_park.split_off(taken);
        std::mem::replace(&mut desk.to_park, rest)
    }

    /// These are parked, or were not to be any more.
    pub fn parked(&self, dues: &[Due]) {
        let mut desk = self.desk.lock();
        for due in dues {
            desk.settle(due.position);
            desk.settled += 1;
        }
        drop(desk);
        self.wake.notify_one();
    }

    /// Starts nothing more, and names what is under way.
    #[must_use]
    pub fn close(&self) -> Vec<OpenAttempt> {
        let mut desk = self.desk.lock();
        desk.stopped = true;
        let mut open = Vec::new();
        for (key, attempts) in &desk.under_way {
            // One whose record is just being read (attempt 0) asks `start` before it sends.
            open.extend(attempts.iter().filter(|a| a.attempt > 0).map(|a| OpenAttempt {
                key: key.clone(),
                generation: a.generation,
                attempt: a.attempt,
                until: a.until,
            }));
        }
        open.sort_by(|a, b| (&a.key, a.generation).cmp(&(&b.key, b.generation)));
        open
    }

    /// What [`Office::close`] has named is committed: whoever leads next waits for it.
    pub fn hand_over(&self) {
        self.desk.lock().handed_over = true;
    }

    /// Closes it for good: this node leads no more, and what is under way is not named to whoever does next, unless that
    /// was done before. Gives how many are.
    pub fn leave(&self) -> usize {
        self.desk.lock().left = true;
        self.close().len()
    }

    /// Whether an attempt under way may still be sent at `now`. `may_start`: as for any attempt of this node. `until`: up
    /// to when it is waited for if it was handed over.
    #[must_use]
    pub fn may_send(&self, may_start: bool, now: Millis, until: Millis) -> bool {
        let desk = self.desk.lock();
        (may_start && !desk.left) || (desk.handed_over && now < until)
    }

    /// Whether it is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.desk.lock().stopped
    }

    /// Names the attempt that was admitted, once its record was read; `false` if the office is closed: then
    /// [`Office::close`] has left it out, and it must not be sent.
    #[must_use]
    pub fn start(&self, due: &Due, attempt: u32, until: Millis) -> bool {
        let mut desk = self.desk.lock();
        if desk.stopped {
            return false;
        }
        let attempts = desk.under_way.get_mut(&due.key).map_or(&mut [][..], Vec::as_mut_slice);
        if let Some(mine) = attempts.iter_mut().find(|a| a.generation == due.generation) {
            mine.attempt = attempt;
            mine.until = until;
        }
        true
    }

    /// The lowest wheel position that is not settled, as far as this office knows: no pending attempt of the
    /// tables lies below it, but for commands that were applied and not noticed yet.
    #[must_use]
    pub fn settled_below(&self) -> Millis {
        let desk = self.desk.lock();
        let unsettled = desk.unsettled.keys().next().copied();
        let waiting = desk.wheel.next_due();
        [unsettled, waiting, Some(desk.frontier.0)].into_iter().flatten().min().unwrap_or(Millis(0))
    }

    /// For metrics and bounds.
    #[must_use]
    pub fn sizes(&self) -> OfficeSizes {
        let desk = self.desk.lock();
        OfficeSizes {
            waiting: desk.wheel.len(),
            ready: desk.ready.len(),
            under_way: desk.under_way.values().map(Vec::len).sum(),
            unsettled: desk.due,
            settled: desk.settled,
        }
    }

    fn unfence(&self, key: &TimerKey) {
        let mut desk = self.desk.lock();
        let Some(fenced) = desk.fenced.get_mut(key) else { return };
        fenced.fences -= 1;
        if fenced.fences == 0 {
            let held = desk.fenced.remove(key).map(|f| f.held).unwrap_or_default();
            desk.ready.extend(held);
            drop(desk);
            self.wake.notify_one();
        }
    }
}

/// Keeps a key fenced; dropped when the command's fate is known.
#[derive(Debug)]
pub struct FenceGuard {
    office: Arc<Office>,
    key: TimerKey,
    /// For the command.
    pub fence: Fence,
}

impl Drop for FenceGuard {
    fn drop(&mut self) {
        self.office.unfence(&self.key);
    }
}

#[cfg(test)]
#[path = "office_tests.rs"]
mod tests;
