//! Shards' states: what is read is written as bytes that are read as the same, in one form.

use proto::record;

use super::record::is_one;

/// The bytes as a shard's state.
pub fn holds(data: &[u8]) -> bool {
    is_one(data, record::encode_shard_state, record::decode_shard_state)
}
