//! State: one record per timer. `[incarnation u32][2][group][0][id]`; a group's name has no zero byte.

use timer_core::ids::TimerKey;

use super::state_tag::TIMER;
use super::{KeyRange, table};

/// The key of the timer's record.
#[must_use]
pub fn encode(incarnation: u32, timer: &TimerKey) -> Vec<u8> {
    let mut key = table(incarnation, TIMER);
    append(&mut key, timer);
    key
}

/// The timer, or none if it is not such a key.
#[must_use]
pub fn decode(key: &[u8]) -> Option<TimerKey> {
    if *key.get(4)? != TIMER { None } else { parse(&key[5..]) }
}

/// All records of an incarnation.
#[must_use]
pub fn range(incarnation: u32) -> KeyRange {
    (table(incarnation, TIMER), table(incarnation, TIMER + 1))
}

/// Group and id as they also stand in the values of the indexes.
pub(crate) fn append(bytes: &mut Vec<u8>, timer: &TimerKey) {
    bytes.extend_from_slice(timer.group.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(timer.id.as_bytes());
}

/// Reads what [`append`] wrote.
pub(crate) fn parse(bytes: &[u8]) -> Option<TimerKey> {
    let at = bytes.iter().position(|b| *b == 0)?;
    let text = |part: &[u8]| std::str::from_utf8(part).ok().map(str::to_owned);
    Some(TimerKey { group: text(&bytes[..at])?, id: text(&bytes[at + 1..])? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_order() {
        for (group, id) in [("a", "x"), ("orders", "é/😀 b"), ("a-1", "…")] {
            let timer = TimerKey::new(group, id);
            assert_eq!(decode(&encode(4, &timer)), Some(timer));
        }
        assert_eq!(encode(1, &TimerKey::new("g", "i")), [0, 0, 0, 1, 2, b'g', 0, b'i']);
        // Groups are contiguous also when one name begins with another's.
        assert!(encode(1, &TimerKey::new("a", "zz")) < encode(1, &TimerKey::new("a-", "a")));
        let (from, to) = range(1);
        let key = encode(1, &TimerKey::new("g", "i"));
        assert!(from < key && key < to);
    }
}
