//! Log: the last entry that was removed, and its checksum. `[shard u16][3]`.

use super::log_tag::ANCHOR;

/// The key of `shard`.
#[must_use]
pub fn encode(shard: u16) -> Vec<u8> {
    let [high, low] = shard.to_be_bytes();
    vec![high, low, ANCHOR]
}

/// The shard, or none if it is not such a key.
#[must_use]
pub fn decode(key: &[u8]) -> Option<u16> {
    match *key {
        [high, low, ANCHOR] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        assert_eq!(decode(&encode(0x0102)), Some(0x0102));
        assert_eq!(encode(0x0102), [1, 2, 3]);
        assert_eq!(decode(&[1, 2]), None);
    }
}
