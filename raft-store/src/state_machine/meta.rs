//! What a replica knows beside its timers, as records.

use bytes::Bytes;
use prost::Message;
use timer_core::shard_state::ShardState;

use crate::engine::{Batch, View};
use crate::error::StoreError;
use crate::keys::meta::{Meta, encode};
use crate::membership::{LogIdRecord, StoredRecord, from_stored_record, stored_record};
use crate::state_machine::replica::Current;
use crate::type_config::{LogId, StoredMembership};

/// Reads what is known of an incarnation; a blank one knows nothing.
pub(super) fn load(view: &dyn View, shard: u16, incarnation: u32) -> Result<Current, StoreError> {
    let damaged = |detail: String| StoreError::corrupted(format!("the state of shard {shard}"), detail);
    let get = |which| view.get(&encode(incarnation, which));
    let Some(applied) = get(Meta::Applied)? else {
        return Ok(Current { incarnation, ..Current::default() });
    };
    let applied = LogIdRecord::decode(applied).map_err(|e| damaged(format!("applied log id: {e}")))?;
    let membership = match get(Meta::Membership)? {
        Some(bytes) => StoredRecord::decode(bytes)
            .map_err(|e| e.to_string())
            .and_then(|record| from_stored_record(&record))
            .map_err(|e| damaged(format!("membership: {e}")))?,
        None => StoredMembership::default(),
    };
    let state = get(Meta::ShardState)?.ok_or_else(|| damaged("the shard's state is missing".into()))?;
    let state =
        proto::record::decode_shard_state(&state).map_err(|e| damaged(format!("shard state: {e}")))?;
    Ok(Current { incarnation, applied: Some(LogId::from(&applied)), membership, state })
}

/// Writes what was applied.
pub(super) fn put_applied(batch: &mut Batch, incarnation: u32, applied: &LogId, state: &ShardState) {
    let id = LogIdRecord::from(applied).encode_to_vec();
    batch.put(encode(incarnation, Meta::Applied), id);
    batch.put(encode(incarnation, Meta::ShardState), proto::record::encode_shard_state(state));
}

/// Writes the membership.
pub(super) fn put_membership(batch: &mut Batch, incarnation: u32, membership: &StoredMembership) {
    let record = stored_record(membership).encode_to_vec();
    batch.put(encode(incarnation, Meta::Membership), Bytes::from(record));
}
