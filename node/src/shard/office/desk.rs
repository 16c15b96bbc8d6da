//! The volatile state of an office: what is due soon, ready, under way and fenced. Who may ask for what when is the
//! office's business.

use std::collections::{BTreeMap, HashMap, VecDeque};

use timer_core::ids::{Sequence, TimerKey};
use timer_core::limits::CLOCK_OFFSET_MAX;
use timer_core::mutant::Mutant;
use timer_core::time::Millis;
use timer_core::wheel::Wheel;

use super::super::token::TokenMaker;

/// A [`Due`], its place in the wheel and two allocations.
const DUE_BYTES: usize = 160;

/// A pending attempt: a key of the wheel table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The timer.
    pub key: TimerKey,
    /// The generation that is due.
    pub generation: Sequence,
    /// Its wheel position.
    pub position: Millis,
}

/// An attempt that was started and whose outcome is not applied yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnderWay {
    pub(super) generation: Sequence,
    /// 0 until the record was read.
    pub(super) attempt: u32,
    pub(super) until: Millis,
}

/// What keeps a key from starting.
#[derive(Debug, Default)]
pub(super) struct Fenced {
    pub(super) fences: u32,
    pub(super) held: Vec<Due>,
}

/// The volatile state, under one lock that is never held across an await.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) wheel: Wheel<Due>,
    pub(super) wheel_bytes: usize,
    /// Every pending attempt of the tables below it is in the wheel or further on.
    pub(super) frontier: (Millis, Sequence),
    /// Positions of what left the wheel and is not settled, with their number. What waits in the wheel for a time
    /// later than its position is among them: the wheel's times say nothing about it.
    pub(super) unsettled: BTreeMap<Millis, u32>,
    pub(super) ready: VecDeque<Due>,
    pub(super) under_way: HashMap<TimerKey, Vec<UnderWay>>,
    pub(super) fenced: HashMap<TimerKey, Fenced>,
    /// Due, and to be parked.
    pub(super) to_park: Vec<Due>,
    /// How many are unsettled.
    pub(super) due: usize,
    /// What the predecessor had on its way when it handed over.
    pub(super) awaited: HashMap<TimerKey, Vec<UnderWay>>,
    pub(super) tokens: TokenMaker,
    pub(super) stopped: bool,
    /// What was under way when it stopped is committed.
    pub(super) handed_over: bool,
    /// This node leads no more, or leads again with another office.
    pub(super) left: bool,
    pub(super) settled: u64,
}

impl Due {
    /// About the memory that it takes in the wheel.
    pub(super) fn bytes(&self) -> usize {
        DUE_BYTES + self.key.group.len() + self.key.id.len()
    }
}

impl Desk {
    /// Puts into the wheel.
    pub(super) fn keep(&mut self, at: Millis, due: Due) {
        self.wheel_bytes += due.bytes();
        self.wheel.insert(at, due);
    }

    /// Lets it come again at `at`. If that is later than its position, the position stays unsettled meanwhile, or
    /// the cursor would overtake it and a later leader would not find it.
    pub(super) fn defer(&mut self, due: Due, at: Millis) {
        if at <= due.position || Mutant::CursorOvertakes.is_on() {
            self.settle(due.position);
        }
        self.keep(at.max(due.position), due);
    }

    pub(super) fn is_under_way(&self, key: &TimerKey, generation: Sequence) -> bool {
        self.under_way.get(key).is_some_and(|attempts| attempts.iter().any(|a| a.generation == generation))
    }

    /// Until when the predecessor's attempt of `due` may still be answered.
    pub(super) fn awaited_until(&mut self, due: &Due, now: Millis) -> Option<Millis> {
        let attempts = self.awaited.get_mut(&due.key)?;
        // The predecessor's clock may be behind by the offset that is tolerated (timer-core's `flight`).
        attempts.retain(|a| a.until + CLOCK_OFFSET_MAX > now);
        let until = attempts.iter().filter(|a| a.generation == due.generation).map(|a| a.until).max();
        let until = until.map(|until| until + CLOCK_OFFSET_MAX);
        if attempts.is_empty() {
            self.awaited.remove(&due.key);
        }
        until
    }

    pub(super) fn settle(&mut self, position: Millis) {
        if let Some(number) = self.unsettled.get_mut(&position) {
            self.due -= 1;
            *number -= 1;
            if *number == 0 {
                self.unsettled.remove(&position);
            }
        }
    }

    pub(super) fn withdraw(&mut self, due: &Due) {
        if let Some(attempts) = self.under_way.get_mut(&due.key) {
            attempts.retain(|a| a.generation != due.generation);
            if attempts.is_empty() {
                self.under_way.remove(&due.key);
            }
        }
    }
}
