//! Makes a received snapshot what the shard is: one pointer is flipped and flushed, then the old range goes.
//!
//! A crash before the flush leaves the old replica and one that nobody points to, which the next open
//! removes; a crash behind it the new one, and the old is removed then.

use timer_core::mutant::Mutant;

use crate::engine::Batch;
use crate::failpoint::Failpoint;
use crate::keys::pointer;
use crate::state_machine::replica::Replica;
use crate::state_machine::snapshot::ReceivedSnapshot;
use crate::state_machine::{SnapshotError, StateInner, meta};
use crate::type_config::SnapshotMeta;

/// Installs `received` as `snapshot` says.
pub(crate) fn install(
    inner: &StateInner,
    replica: &Replica,
    snapshot: &SnapshotMeta,
    received: ReceivedSnapshot,
) -> Result<(), SnapshotError> {
    let header = &received.header;
    if header.shard.0 != replica.shard || snapshot.last_log_id != Some(header.applied) {
        let why = format!("shard {} at {} for shard {}", header.shard, header.applied, replica.shard);
        return Err(SnapshotError::Inconsistent(why));
    }
    let Some(incarnation) = received.take() else {
        return Err(SnapshotError::Inconsistent("it was installed before".into()));
    };
    let loaded = meta::load(&*inner.engine, replica.shard, incarnation)?;
    Failpoint::SnapshotLoaded.pass();
    let moment = loaded.moment();
    let mut batch = Batch::default();
    batch.put(pointer::encode(replica.shard), incarnation.to_be_bytes().to_vec());
    let old = {
        // Readers wait: what they would read is about to go.
        let mut current = replica.current_mut();
        inner.engine.write(batch, false)?;
        if !Mutant::SnapshotFlipNotDurable.is_on() {
            inner.engine.flush()?;
        }
        std::mem::replace(&mut *current, loaded).incarnation
    };
    replica.set_moment(moment);
    Failpoint::SnapshotFlipped.pass();
    replica.set_persisted(snapshot.clone());
    replica.set_snapshot(snapshot.clone());
    // The new state counts already; what stays of the old one is removed at the next open.
    if let Err(error) = inner.discard(old) {
        tracing::warn!(%error, shard = replica.shard, "the replaced state could not be removed");
    }
    Ok(())
}
