//! Shards' states: what is read is written as bytes that are read as the same, in one form.

use proto::record;

use super::record::same_again;

/// The bytes as a shard's state.
pub fn holds(data: &[u8]) -> bool {
    let Ok(read) = record::decode_shard_state(data) else { return false };
    same_again(
        &read,
        &record::encode_shard_state(&read),
        record::encode_shard_state,
        record::decode_shard_state,
    );
    true
}
