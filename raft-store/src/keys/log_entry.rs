//! Log: one record per entry. `[shard u16][4][index u64]`.

use super::log_tag::ENTRY;
use super::{KeyRange, int};

/// The key of the entry at `index`.
#[must_use]
pub fn encode(shard: u16, index: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(11);
    key.extend_from_slice(&shard.to_be_bytes());
    key.push(ENTRY);
    key.extend_from_slice(&index.to_be_bytes());
    key
}

/// Shard and index, or none if it is not such a key.
#[must_use]
pub fn decode(key: &[u8]) -> Option<(u16, u64)> {
    if key.len() != 11 || key[2] != ENTRY {
        return None;
    }
    Some((u16::from_be_bytes(int(key, 0)?), u64::from_be_bytes(int(key, 3)?)))
}

/// The entries from `start` (inclusive) to `end` (exclusive).
#[must_use]
pub fn range(shard: u16, start: u64, end: u64) -> KeyRange {
    (encode(shard, start), encode(shard, end))
}

/// The entries from `start` on.
#[must_use]
pub fn range_from(shard: u16, start: u64) -> KeyRange {
    let mut end = shard.to_be_bytes().to_vec();
    end.push(ENTRY + 1);
    (encode(shard, start), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_order() {
        assert_eq!(decode(&encode(3, 1 << 40)), Some((3, 1 << 40)));
        assert_eq!(encode(0x0102, 5), [1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 5]);
        assert!(encode(1, 255) < encode(1, 256) && encode(1, u64::MAX) < encode(2, 0));
        let (from, to) = range_from(1, 9);
        assert!(from == encode(1, 9) && encode(1, u64::MAX) < to && to < encode(2, 0));
        assert_eq!(decode(&encode(1, 2)[..10]), None);
    }
}
