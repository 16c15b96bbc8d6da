//! State, incarnation 0: what belongs to the node and not to a replica.
//! `[0u32][0]` the format, `[0u32][1]` the next incarnation, `[0u32][2][shard u16]` the shard's incarnation.

use super::int;

/// The format record.
#[must_use]
pub fn format() -> Vec<u8> {
    vec![0, 0, 0, 0, 0]
}

/// The incarnation that is given out next.
#[must_use]
pub fn next() -> Vec<u8> {
    vec![0, 0, 0, 0, 1]
}

/// The incarnation of `shard`.
#[must_use]
pub fn encode(shard: u16) -> Vec<u8> {
    let [high, low] = shard.to_be_bytes();
    vec![0, 0, 0, 0, 2, high, low]
}

/// The shard, or none if it is not such a key.
#[must_use]
pub fn decode(key: &[u8]) -> Option<u16> {
    if key.len() != 7 || key[..5] != [0, 0, 0, 0, 2] { None } else { Some(u16::from_be_bytes(int(key, 5)?)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        assert_eq!(decode(&encode(0x0304)), Some(0x0304));
        assert_eq!(encode(0x0304), [0, 0, 0, 0, 2, 3, 4]);
        assert_eq!(decode(&next()), None);
        assert!(format() < next() && next() < encode(0));
        assert!(encode(u16::MAX) < super::super::incarnation_range(1).0);
    }
}
