//! Log: what wrote it. `[0xFFFF][0]`, a shard number that no shard has.

use super::log_tag::FORMAT;

/// The key.
#[must_use]
pub fn encode() -> Vec<u8> {
    vec![0xFF, 0xFF, FORMAT]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SHARDS_MAX;

    #[test]
    fn it_lies_beyond_every_shard() {
        assert!(super::super::log_entry::encode(SHARDS_MAX, u64::MAX) < encode());
    }
}
