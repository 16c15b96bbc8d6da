//! State: where a timer stands in lists. `[incarnation u32][5][group][0][order u8][state u8]`, then in the order of ids (1)
//! `[id]`, in that of times (2) `[executeAt u64][id]`. A timer has one key in each order; the values are empty.
//!
//! The state comes before what orders, so that a list of one state reads only what it shows; one of several states merges
//! them.

use timer_core::ids::TimerKey;
use timer_core::list::{ListOrder, Place};
use timer_core::time::Millis;
use timer_core::timer::State;

use super::state_tag::LISTING;
use super::{KeyRange, int, table};

/// The keys of a timer in `state` that is for `execute_at`.
#[must_use]
pub fn keys(incarnation: u32, timer: &TimerKey, (state, execute_at): (State, Millis)) -> [Vec<u8>; 2] {
    [ListOrder::Id, ListOrder::ExecuteAt].map(|order| {
        let mut key = prefix(incarnation, &timer.group, order, state);
        append(&mut key, order, execute_at, &timer.id);
        key
    })
}

/// The places of `group` in `state` from `from` on.
#[must_use]
pub fn from(incarnation: u32, group: &str, order: ListOrder, state: State, from: &Place) -> Vec<u8> {
    let mut key = prefix(incarnation, group, order, state);
    append(&mut key, order, from.execute_at, &from.id);
    key
}

/// Behind all places of `group` in `state`.
#[must_use]
pub fn end(incarnation: u32, group: &str, order: ListOrder, state: State) -> Vec<u8> {
    let mut key = prefix(incarnation, group, order, state);
    if let Some(last) = key.last_mut() {
        *last += 1;
    }
    key
}

/// The place that a key of such a range names, or none if it is not one. In the order of ids its time is not known.
#[must_use]
pub fn place(key: &[u8], order: ListOrder) -> Option<Place> {
    let group = key.get(5..)?;
    let rest = group.get(group.iter().position(|byte| *byte == 0)? + 3..)?;
    let (execute_at, id) = match order {
        ListOrder::Id => (Millis(0), rest),
        ListOrder::ExecuteAt => (Millis(u64::from_be_bytes(int(rest, 0)?)), rest.get(8..)?),
    };
    Some(Place { execute_at, id: std::str::from_utf8(id).ok()?.to_owned() })
}

/// All places of an incarnation.
#[must_use]
pub fn all(incarnation: u32) -> KeyRange {
    (table(incarnation, LISTING), table(incarnation, LISTING + 1))
}

fn prefix(incarnation: u32, group: &str, order: ListOrder, state: State) -> Vec<u8> {
    let mut key = table(incarnation, LISTING);
    key.extend_from_slice(group.as_bytes());
    key.extend_from_slice(&[0, number_of_order(order), number_of_state(state)]);
    key
}

fn append(key: &mut Vec<u8>, order: ListOrder, execute_at: Millis, id: &str) {
    if order == ListOrder::ExecuteAt {
        key.extend_from_slice(&execute_at.0.to_be_bytes());
    }
    key.extend_from_slice(id.as_bytes());
}

/// For ever.
const fn number_of_order(order: ListOrder) -> u8 {
    match order {
        ListOrder::Id => 1,
        ListOrder::ExecuteAt => 2,
    }
}

/// For ever.
const fn number_of_state(state: State) -> u8 {
    match state {
        State::Scheduled => 1,
        State::Retrying => 2,
        State::Delivered => 3,
        State::Dead => 4,
        State::Skipped => 5,
        State::Cancelled => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persisted_layout_never_changes() {
        let [by_id, by_time] = keys(1, &TimerKey::new("g", "i"), (State::Dead, Millis(0x0102)));
        assert_eq!(by_id, [0, 0, 0, 1, 5, b'g', 0, 1, 4, b'i']);
        assert_eq!(by_time, [0, 0, 0, 1, 5, b'g', 0, 2, 4, 0, 0, 0, 0, 0, 0, 1, 2, b'i']);
        let states = State::ALL.map(number_of_state);
        assert_eq!(states, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_key_that_is_cut_short_names_no_place() {
        let whole = keys(1, &TimerKey::new("g", ""), (State::Dead, Millis(7)));
        for (key, order) in whole.iter().zip([ListOrder::Id, ListOrder::ExecuteAt]) {
            assert_eq!(place(key, order).map(|place| place.id), Some(String::new()));
            for len in 0..key.len() {
                assert_eq!(place(&key[..len], order), None, "{len} bytes");
            }
        }
    }

    #[test]
    fn places_sort_as_lists_do_and_groups_and_states_stay_apart() {
        let key = |group: &str, id: &str, at: u64, state: State| {
            let [by_id, by_time] = keys(7, &TimerKey::new(group, id), (state, Millis(at)));
            assert_eq!(place(&by_id, ListOrder::Id).unwrap().id, id);
            let at_place = Place { execute_at: Millis(at), id: id.to_owned() };
            assert_eq!(place(&by_time, ListOrder::ExecuteAt), Some(at_place));
            (by_id, by_time)
        };
        let one = key("a", "x", 9, State::Scheduled);
        let two = key("a", "é/😀", 5, State::Scheduled);
        assert!(one.0 < two.0 && one.1 > two.1);
        let (other_state, other_group) =
            (key("a", "a", 0, State::Retrying), key("a-", "a", 0, State::Scheduled));
        for (order, n) in [(ListOrder::Id, 0), (ListOrder::ExecuteAt, 1)] {
            let pick = |keys: &(Vec<u8>, Vec<u8>)| if n == 0 { keys.0.clone() } else { keys.1.clone() };
            let start = from(7, "a", order, State::Scheduled, &Place::default());
            let end = end(7, "a", order, State::Scheduled);
            let inside = |keys| (start.clone()..end.clone()).contains(&pick(keys));
            assert!(inside(&one) && inside(&two) && !inside(&other_state) && !inside(&other_group));
            let (first, last) = all(7);
            assert!(first < start && end < last);
        }
    }
}
