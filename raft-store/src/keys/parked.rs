//! State: timers that are due and may not go, by group. `[incarnation u32][9][group][0][position u64][generation u64]`; a
//! group's name has no zero byte. The value is group, 0, id.

use timer_core::ids::Sequence;
use timer_core::time::Millis;

use super::state_tag::PARKED;
use super::{KeyRange, int, table};

/// The key of a parked timer's place.
#[must_use]
pub fn encode(incarnation: u32, group: &str, position: Millis, generation: Sequence) -> Vec<u8> {
    let mut key = prefix(incarnation, group);
    key.push(0);
    key.extend_from_slice(&position.0.to_be_bytes());
    key.extend_from_slice(&generation.0.to_be_bytes());
    key
}

/// Its group, position and generation, or none if it is not such a key.
#[must_use]
pub fn decode(key: &[u8]) -> Option<(String, Millis, Sequence)> {
    let [_, _, _, _, PARKED, rest @ ..] = key else { return None };
    let zero = rest.iter().position(|byte| *byte == 0)?;
    if rest.len() != zero + 17 {
        return None;
    }
    let group = String::from_utf8(rest[..zero].to_vec()).ok()?;
    let number = |at| int(rest, at).map(u64::from_be_bytes);
    Some((group, Millis(number(zero + 1)?), Sequence(number(zero + 9)?)))
}

/// What is parked of a group, in the order of positions.
#[must_use]
pub fn of_group(incarnation: u32, group: &str) -> KeyRange {
    let prefix = prefix(incarnation, group);
    ([&prefix[..], &[0]].concat(), [&prefix[..], &[1]].concat())
}

/// What is parked of the groups behind `group`, in the order of names; of all groups behind the empty name.
#[must_use]
pub fn behind(incarnation: u32, group: &str) -> KeyRange {
    (of_group(incarnation, group).1, table(incarnation, PARKED + 1))
}

/// All that is parked in an incarnation.
#[must_use]
pub fn all(incarnation: u32) -> KeyRange {
    (table(incarnation, PARKED), table(incarnation, PARKED + 1))
}

fn prefix(incarnation: u32, group: &str) -> Vec<u8> {
    let mut key = table(incarnation, PARKED);
    key.extend_from_slice(group.as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persisted_layout_never_changes() {
        let key = encode(1, "ab", Millis(0x0102), Sequence(3));
        assert_eq!(key, [0, 0, 0, 1, 9, b'a', b'b', 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(decode(&key), Some(("ab".to_owned(), Millis(0x0102), Sequence(3))));
        for len in 0..key.len() {
            assert_eq!(decode(&key[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn a_group_s_lie_together_in_the_order_of_time_and_groups_in_the_order_of_names() {
        let key = |group, at| encode(7, group, Millis(at), Sequence(at));
        let inside = |(from, to): KeyRange, key: Vec<u8>| from <= key && key < to;
        assert!(
            key("a", 1) < key("a", 256) && key("a", u64::MAX) < key("a-1", 0) && key("a-1", 9) < key("b", 0)
        );
        assert!(inside(of_group(7, "a"), key("a", u64::MAX)) && !inside(of_group(7, "a"), key("a-1", 0)));
        assert!(inside(behind(7, "a"), key("a-1", 0)) && !inside(behind(7, "a"), key("a", u64::MAX)));
        assert!(inside(behind(7, ""), key("0", 0)) && inside(all(7), key("z", 0)));
        assert!(!inside(behind(7, "a"), encode(8, "b", Millis(0), Sequence(0))));
    }
}
