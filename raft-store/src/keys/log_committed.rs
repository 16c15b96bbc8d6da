//! Log: the last entry known to be committed. `[shard u16][2]`.

use super::log_tag::COMMITTED;

/// The key of `shard`.
#[must_use]
pub fn encode(shard: u16) -> Vec<u8> {
    let [high, low] = shard.to_be_bytes();
    vec![high, low, COMMITTED]
}

/// The shard, or none if it is not such a key.
#[must_use]
pub fn decode(key: &[u8]) -> Option<u16> {
    match *key {
        [high, low, COMMITTED] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        assert_eq!(decode(&encode(0x0102)), Some(0x0102));
        assert_eq!(encode(0x0102), [1, 2, 2]);
        assert_eq!(decode(&[1, 2]), None);
    }
}
