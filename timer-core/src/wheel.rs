//! A hierarchical timing wheel: what is due next, in amortised constant time per item. It holds no clock; the
//! caller says what time it is. Nothing can be taken out: the owner checks an item when it comes due.
//!
//! After Varghese and Lauck, "Hashed and hierarchical timing wheels", SOSP 1987, scheme 7.

use alloc::vec::Vec;
use core::mem;

use crate::time::Millis;

/// Slots of a level: one bit each in a word.
const SLOTS: usize = 64;
/// Bits of a slot's number.
const SLOT_BITS: u32 = 6;
/// Eleven levels of six bits cover every `u64`.
const LEVELS: usize = 11;

/// Items by the millisecond in which they are due.
///
/// Invariant: an item lies at the level of the highest six-bit digit in which its time differs from `now`, in
/// the slot that its own digit names. So all items of one millisecond always lie in one slot, in the order in
/// which they came, and every item of a level is due before every item of the levels above.
#[derive(Debug)]
pub struct Wheel<T> {
    now: u64,
    len: usize,
    levels: Vec<Level<T>>,
    /// Due before `now` when they came.
    late: Slot<T>,
}

#[derive(Debug)]
struct Level<T> {
    /// Bit n: slot n is not empty.
    occupied: u64,
    slots: Vec<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    /// The least time of `items`; `u64::MAX` if there is none.
    earliest: u64,
    items: Vec<(Millis, T)>,
}

impl<T> Slot<T> {
    const fn new() -> Self {
        Self { earliest: u64::MAX, items: Vec::new() }
    }

    fn push(&mut self, at: Millis, item: T) {
        self.earliest = self.earliest.min(at.0);
        self.items.push((at, item));
    }

    fn take(&mut self) -> Vec<(Millis, T)> {
        mem::replace(self, Self::new()).items
    }
}

impl<T> Wheel<T> {
    /// An empty wheel that stands at `now`.
    #[must_use]
    pub fn new(now: Millis) -> Self {
        let level = || Level { occupied: 0, slots: (0..SLOTS).map(|_| Slot::new()).collect() };
        Self { now: now.0, len: 0, levels: (0..LEVELS).map(|_| level()).collect(), late: Slot::new() }
    }

    /// Puts in an item that is due at `at`. If that has passed, the next [`advance`](Self::advance) yields it.
    pub fn insert(&mut self, at: Millis, item: T) {
        self.len += 1;
        self.place(at, item);
    }

    /// Turns the wheel to `to` and appends what is due by then to `due`: by time, items of one millisecond in
    /// the order in which they came. A `to` that lies behind counts as the present position.
    pub fn advance(&mut self, to: Millis, due: &mut Vec<(Millis, T)>) {
        let to = to.0.max(self.now);
        let before = due.len();
        let mut late = self.late.take();
        late.sort_by_key(|(at, _)| *at);
        due.append(&mut late);
        while let Some((level, slot)) = self.next_slot() {
            let start = slot_start(self.now, level, slot);
            if start > to {
                break;
            }
            self.now = start;
            self.levels[level].occupied &= !(1 << slot);
            let mut items = self.levels[level].slots[slot].take();
            if level == 0 {
                due.append(&mut items);
            } else {
                items.into_iter().for_each(|(at, item)| self.place(at, item));
            }
        }
        self.now = to;
        self.len -= due.len() - before;
    }

    /// When the first item is due, exactly; `None` if the wheel is empty.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        if !self.late.items.is_empty() {
            return Some(Millis(self.late.earliest));
        }
        self.next_slot().map(|(level, slot)| Millis(self.levels[level].slots[slot].earliest))
    }

    /// How many items it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops all items; the position stays.
    pub fn clear(&mut self) {
        *self = Self::new(Millis(self.now));
    }

    fn place(&mut self, at: Millis, item: T) {
        if at.0 < self.now {
            self.late.push(at, item);
            return;
        }
        // The lowest bit is set so that an item that is due right now goes to level 0.
        let level = ((at.0 ^ self.now) | 1).ilog2() / SLOT_BITS;
        let slot = (at.0 >> (level * SLOT_BITS)) as usize % SLOTS;
        let level = &mut self.levels[level as usize];
        level.occupied |= 1 << slot;
        level.slots[slot].push(at, item);
    }

    /// The level and number of the first slot that holds something. Slots behind the position are empty, so
    /// the lowest bit is the first.
    fn next_slot(&self) -> Option<(usize, usize)> {
        let level = self.levels.iter().position(|level| level.occupied != 0)?;
        Some((level, self.levels[level].occupied.trailing_zeros() as usize))
    }
}

/// The first millisecond of a slot, given that it lies in the present turn of its level.
const fn slot_start(now: u64, level: usize, slot: usize) -> u64 {
    let shift = level as u32 * SLOT_BITS;
    let turn = now >> shift >> SLOT_BITS << SLOT_BITS;
    (turn | slot as u64) << shift
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn take(wheel: &mut Wheel<u32>, to: u64) -> Vec<(u64, u32)> {
        let mut due = Vec::new();
        wheel.advance(Millis(to), &mut due);
        due.into_iter().map(|(at, item)| (at.0, item)).collect()
    }

    #[test]
    fn an_item_is_due_in_its_own_millisecond_and_not_before() {
        let mut wheel = Wheel::new(Millis(1000));
        wheel.insert(Millis(5096), 1);
        assert_eq!(wheel.next_due(), Some(Millis(5096)));
        assert_eq!(take(&mut wheel, 5095), []);
        assert_eq!(wheel.next_due(), Some(Millis(5096)));
        assert_eq!(take(&mut wheel, 5096), [(5096, 1)]);
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_late_item_is_due_at_the_next_advance_even_if_time_stands_still() {
        let mut wheel = Wheel::new(Millis(100));
        for (at, item) in [(100, 1), (7, 2), (3, 3), (7, 4)] {
            wheel.insert(Millis(at), item);
        }
        assert_eq!(wheel.next_due(), Some(Millis(3)));
        assert_eq!(take(&mut wheel, 50), [(3, 3), (7, 2), (7, 4), (100, 1)]);
    }

    #[test]
    fn clear_drops_all() {
        let mut wheel = Wheel::new(Millis(0));
        wheel.insert(Millis(5), 1);
        wheel.clear();
        assert_eq!((wheel.len(), wheel.next_due()), (0, None));
        assert_eq!(take(&mut wheel, 9), []);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(i64),
        Advance(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Near, far and very far, so that every level and both sides of a level's bound are met.
        let near = prop_oneof![-50_i64..200, -5000_i64..300_000, 0_i64..1 << 44];
        let forward = prop_oneof![0_u64..100, 0_u64..10_000, 0_u64..1 << 43];
        prop_oneof![3 => near.prop_map(Step::Insert), 1 => forward.prop_map(Step::Advance)]
    }

    proptest! {
        #[test]
        fn it_yields_what_a_sorted_map_yields(start in 0_u64..1 << 47, steps in prop::collection::vec(step(), 1..200)) {
            let mut wheel = Wheel::new(Millis(start));
            let mut model: BTreeMap<(u64, u32), u32> = BTreeMap::new();
            let mut now = start;
            for (n, step) in (0..).zip(steps) {
                match step {
                    Step::Insert(offset) => {
                        let at = now.saturating_add_signed(offset);
                        wheel.insert(Millis(at), n);
                        model.insert((at, n), n);
                    }
                    Step::Advance(by) => {
                        now += by;
                        let rest = model.split_off(&(now + 1, 0));
                        let want: Vec<_> = model.into_iter().map(|((at, _), n)| (at, n)).collect();
                        model = rest;
                        prop_assert_eq!(take(&mut wheel, now), want);
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                prop_assert_eq!(wheel.next_due(), model.keys().next().map(|(at, _)| Millis(*at)));
            }
        }
    }
}
