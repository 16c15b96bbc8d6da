//! State: when a pending timer is due next. `[incarnation u32][3][position u64][generation u64]`; the value is group, 0, id.

use timer_core::ids::Sequence;
use timer_core::time::Millis;

use super::state_tag::WHEEL;
use super::{KeyRange, int, table};

/// The key of a timer's place.
#[must_use]
pub fn encode(incarnation: u32, position: Millis, generation: Sequence) -> Vec<u8> {
    let mut key = table(incarnation, WHEEL);
    key.extend_from_slice(&position.0.to_be_bytes());
    key.extend_from_slice(&generation.0.to_be_bytes());
    key
}

/// Its parts, or none if it is not such a key.
#[must_use]
pub fn decode(key: &[u8]) -> Option<(Millis, Sequence)> {
    if key.len() != 21 || key[4] != WHEEL {
        return None;
    }
    Some((Millis(u64::from_be_bytes(int(key, 5)?)), Sequence(u64::from_be_bytes(int(key, 13)?))))
}

/// The places from `from` (inclusive) to `to` (exclusive).
#[must_use]
pub fn range(incarnation: u32, from: Millis, to: Millis) -> KeyRange {
    (encode(incarnation, from, Sequence(0)), encode(incarnation, to, Sequence(0)))
}

/// All places of an incarnation.
#[must_use]
pub fn all(incarnation: u32) -> KeyRange {
    (table(incarnation, WHEEL), table(incarnation, WHEEL + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_order() {
        let key = encode(2, Millis(0x0102), Sequence(3));
        assert_eq!(key, [0, 0, 0, 2, 3, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(decode(&key), Some((Millis(0x0102), Sequence(3))));
        assert!(encode(2, Millis(5), Sequence(u64::MAX)) < encode(2, Millis(6), Sequence(0)));
        let (from, to) = all(2);
        assert!(from < key && key < to && decode(&key[..20]).is_none());
    }
}
