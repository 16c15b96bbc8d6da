//! Keys of the stores: they sort as what they name does, lie in their ranges, and what is no key is not read as one.

use std::cmp::Ordering;

use raft_store::keys::{
    attempt, expiry, incarnation_range, listing, log_anchor, log_committed, log_entry, log_vote, pointer,
    timer, wheel,
};
use timer_core::ids::{Sequence, TimerKey, group_name_fault, timer_id_fault};
use timer_core::list::{ListOrder, Place};
use timer_core::time::Millis;
use timer_core::timer::State;

use super::input::Input;

/// What two keys are made of.
struct Parts {
    incarnation: u32,
    shard: u16,
    key: TimerKey,
    state: State,
    at: Millis,
    sequence: Sequence,
}

/// The bytes as a key, and as what two timers' keys are made of.
pub fn holds(data: &[u8]) -> bool {
    let known = only_keys_are_read(data);
    let mut input = Input::new(data);
    let (one, other) = (parts(&mut input), parts(&mut input));
    numbers_sort(&one, &other);
    let valid = |parts: &Parts| {
        group_name_fault(&parts.key.group).is_none() && timer_id_fault(&parts.key.id).is_none()
    };
    if valid(&one) && valid(&other) {
        names_sort(&one, &other);
    }
    known
}

fn parts(input: &mut Input<'_>) -> Parts {
    let incarnation = if input.byte() < 128 { 1 } else { u32::try_from(input.number() >> 32).unwrap_or(1) };
    Parts {
        incarnation,
        shard: u16::from(input.byte()),
        key: TimerKey::new(input.text(), input.text()),
        state: input.one_of(&State::ALL),
        at: Millis(input.near()),
        sequence: Sequence(input.near()),
    }
}

/// What is read of a key makes the same key. Says whether anything was.
fn only_keys_are_read(key: &[u8]) -> bool {
    let incarnation = key.first_chunk().copied().map(u32::from_be_bytes).unwrap_or_default();
    let again = [
        timer::decode(key).map(|name| timer::encode(incarnation, &name)),
        wheel::decode(key).map(|(at, generation)| wheel::encode(incarnation, at, generation)),
        attempt::decode(key).map(|(timer, slot)| attempt::encode(incarnation, &timer, slot)),
        expiry::decode(key).map(|(at, version)| expiry::encode(incarnation, at, version)),
        pointer::decode(key).map(pointer::encode),
        log_anchor::decode(key).map(log_anchor::encode),
        log_committed::decode(key).map(log_committed::encode),
        log_entry::decode(key).map(|(shard, index)| log_entry::encode(shard, index)),
        log_vote::decode(key).map(log_vote::encode),
    ];
    for again in again.iter().flatten() {
        assert_eq!(again, key);
    }
    // A key of a list does not say which list it is of, so only its end can be compared.
    let in_list = [ListOrder::Id, ListOrder::ExecuteAt].map(|order| listing::place(key, order));
    for place in in_list.iter().flatten() {
        assert!(key.ends_with(place.id.as_bytes()), "{place:?}");
    }
    again.iter().flatten().count() + in_list.iter().flatten().count() > 0
}

fn numbers_sort(one: &Parts, other: &Parts) {
    let keys = |p: &Parts| {
        let (wheel, expiry) =
            (wheel::encode(p.incarnation, p.at, p.sequence), expiry::encode(p.incarnation, p.at, p.sequence));
        (wheel, expiry, log_entry::encode(p.shard, p.sequence.0))
    };
    let (keys_one, keys_other) = (keys(one), keys(other));
    let numbers = |p: &Parts| (p.incarnation, p.at, p.sequence);
    let order = numbers(one).cmp(&numbers(other));
    assert_eq!(keys_one.0.cmp(&keys_other.0), order);
    assert_eq!(keys_one.1.cmp(&keys_other.1), order);
    assert_eq!(keys_one.2.cmp(&keys_other.2), (one.shard, one.sequence).cmp(&(other.shard, other.sequence)));
    assert_eq!(wheel::decode(&keys_one.0), Some((one.at, one.sequence)));
    assert_eq!(expiry::decode(&keys_one.1), Some((one.at, one.sequence)));
    assert_eq!(log_entry::decode(&keys_one.2), Some((one.shard, one.sequence.0)));
    inside(&keys_one.0, &wheel::all(one.incarnation));
    inside(&keys_one.1, &expiry::all(one.incarnation));
    inside(&keys_one.0, &incarnation_range(one.incarnation));
    inside(&keys_one.2, &log_entry::range_from(one.shard, one.sequence.0));
    // A range of times has what is in it and nothing else.
    let (from, to) = wheel::range(one.incarnation, one.at, other.at);
    let has = one.incarnation == other.incarnation && (one.at..other.at).contains(&other.at);
    assert_eq!((from..to).contains(&keys_other.0), has);
}

fn names_sort(one: &Parts, other: &Parts) {
    let key = |p: &Parts| timer::encode(p.incarnation, &p.key);
    let by_name = (one.incarnation, &one.key).cmp(&(other.incarnation, &other.key));
    assert_eq!(key(one).cmp(&key(other)), by_name);
    assert_eq!(timer::decode(&key(one)).as_ref(), Some(&one.key));
    inside(&key(one), &timer::range(one.incarnation));
    for (n, order) in [ListOrder::Id, ListOrder::ExecuteAt].into_iter().enumerate() {
        let key = |p: &Parts| listing::keys(p.incarnation, &p.key, (p.state, p.at))[n].clone();
        let place = |p: &Parts| Place { execute_at: p.at, id: p.key.id.clone() };
        let list = |p: &Parts| (p.incarnation, p.key.group.clone(), p.state);
        let (from, to) = (
            listing::from(one.incarnation, &one.key.group, order, one.state, &place(one)),
            listing::end(one.incarnation, &one.key.group, order, one.state),
        );
        inside(&key(one), &listing::all(one.incarnation));
        assert_eq!(from, key(one), "a list goes on with its timer");
        let by_place = order.compare(&place(one), &place(other));
        let behind = list(one) == list(other) && by_place != Ordering::Greater;
        assert_eq!((from..to).contains(&key(other)), behind, "{order:?}");
        if list(one) == list(other) {
            assert_eq!(key(one).cmp(&key(other)), by_place, "{order:?}");
        }
        let known = if order == ListOrder::Id { Millis(0) } else { one.at };
        assert_eq!(listing::place(&key(one), order), Some(Place { execute_at: known, ..place(one) }));
    }
}

fn inside(key: &[u8], (from, to): &(Vec<u8>, Vec<u8>)) {
    assert!(from.as_slice() <= key && key < to.as_slice(), "{key:?} is not in {from:?} to {to:?}");
}
