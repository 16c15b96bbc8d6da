//! State: the history of a timer's attempts, a ring of slots. `[incarnation u32][8][group][0][id][0][slot u8]`; neither a
//! group's name nor an id has a zero byte. Which slots there are, and which is the next, the timer's record says.

use timer_core::ids::TimerKey;

use super::state_tag::ATTEMPT;
use super::{KeyRange, table, timer};

/// The key of a slot.
#[must_use]
pub fn encode(incarnation: u32, timer: &TimerKey, slot: u8) -> Vec<u8> {
    let mut key = prefix(incarnation, timer);
    key.extend_from_slice(&[0, slot]);
    key
}

/// The timer and the slot, or none if it is not such a key.
#[must_use]
pub fn decode(key: &[u8]) -> Option<(TimerKey, u8)> {
    if *key.get(4)? != ATTEMPT {
        return None;
    }
    let [name @ .., 0, slot] = &key[5..] else { return None };
    Some((timer::parse(name)?, *slot))
}

/// All slots of a timer.
#[must_use]
pub fn of_timer(incarnation: u32, timer: &TimerKey) -> KeyRange {
    let prefix = prefix(incarnation, timer);
    ([&prefix[..], &[0]].concat(), [&prefix[..], &[1]].concat())
}

/// All slots of an incarnation.
#[must_use]
pub fn all(incarnation: u32) -> KeyRange {
    (table(incarnation, ATTEMPT), table(incarnation, ATTEMPT + 1))
}

fn prefix(incarnation: u32, timer: &TimerKey) -> Vec<u8> {
    let mut key = table(incarnation, ATTEMPT);
    timer::append(&mut key, timer);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persisted_layout_never_changes() {
        assert_eq!(encode(1, &TimerKey::new("g", "i"), 19), [0, 0, 0, 1, 8, b'g', 0, b'i', 0, 19]);
    }

    #[test]
    fn round_trip_and_order() {
        for (group, id) in [("a", "x"), ("orders", "é/😀 b"), ("a-1", "…")] {
            let timer = TimerKey::new(group, id);
            for slot in [0, 1, 19] {
                assert_eq!(decode(&encode(4, &timer, slot)), Some((timer.clone(), slot)));
            }
        }
        let key = encode(4, &TimerKey::new("a", "x"), 1);
        assert_eq!(
            (decode(&key[..key.len() - 1]), decode(&timer::encode(4, &TimerKey::new("a", "x")))),
            (None, None)
        );
        let (from, to) = all(4);
        assert!(from < key && key < to);
    }

    #[test]
    fn the_slots_of_a_timer_lie_together_and_no_other_timers_between_them() {
        let one = TimerKey::new("a", "x");
        let (from, to) = of_timer(4, &one);
        let inside = |key: &Vec<u8>| (&from..&to).contains(&key);
        assert!((0..20).all(|slot| inside(&encode(4, &one, slot))));
        for other in ["w", "x ", "x0", "xx", "é"] {
            assert!((0..20).all(|slot| !inside(&encode(4, &TimerKey::new("a", other), slot))), "{other}");
        }
        assert!(!inside(&encode(4, &TimerKey::new("a-", "x"), 0)) && !inside(&encode(5, &one, 0)));
    }
}
