//! The history of a timer's attempts: its rows, as apply and readers see them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use timer_core::attempt::Attempt;
use timer_core::ids::TimerKey;

use crate::engine::{Batch, View};
use crate::error::StoreError;
use crate::keys::attempt;

/// All rows of `timer`, by slots.
pub(super) fn load(
    view: &dyn View,
    shard: u16,
    incarnation: u32,
    timer: &TimerKey,
) -> Result<BTreeMap<u8, Attempt>, StoreError> {
    let (from, to) = attempt::of_timer(incarnation, timer);
    let mut attempts = BTreeMap::new();
    view.scan(&from, &to, &mut |key, value| {
        let (_, slot) = decode_key(shard, key)?;
        attempts.insert(slot, decode(shard, value)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(attempts)
}

/// Writes what was recorded, and removes the slots from `kept` to before `before`, which are no more.
pub(super) fn put(
    batch: &mut Batch,
    incarnation: u32,
    timer: &TimerKey,
    recorded: &BTreeMap<u8, Attempt>,
    (before, kept): (u8, u8),
) {
    for slot in kept..before {
        batch.delete(attempt::encode(incarnation, timer, slot));
    }
    for (slot, row) in recorded {
        batch.put(attempt::encode(incarnation, timer, *slot), proto::record::encode_attempt(row));
    }
}

/// Reads the key of a row.
pub(super) fn decode_key(shard: u16, key: &[u8]) -> Result<(TimerKey, u8), StoreError> {
    attempt::decode(key).ok_or_else(|| {
        StoreError::corrupted(
            format!("the state of shard {shard}"),
            "a history has a key that is none of ours",
        )
    })
}

/// Reads a row.
pub(super) fn decode(shard: u16, bytes: &[u8]) -> Result<Attempt, StoreError> {
    proto::record::decode_attempt(bytes)
        .map_err(|e| StoreError::corrupted(format!("the state of shard {shard}"), format!("an attempt: {e}")))
}
