//! Makes what was applied durable, so that the log before it may go.

use std::ops::ControlFlow;

use timer_core::ids::ShardId;
use timer_core::time::Millis;

use crate::engine::blocking;
use crate::error::StoreError;
use crate::keys::{KeyRange, wheel};
use crate::state_machine::StateDb;
use crate::type_config::LogId;

/// What a shard has durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persisted {
    /// The shard.
    pub shard: ShardId,
    /// The last entry whose effect is durable.
    pub applied: Option<LogId>,
}

impl StateDb {
    /// Makes everything applied so far durable, for all shards at once, and gives what each has. To let
    /// openraft remove the log, trigger a snapshot of each shard afterwards: it is metadata only. Blocks for
    /// the disk.
    ///
    /// # Errors
    /// When it may not be durable.
    pub fn flush(&self) -> Result<Vec<Persisted>, StoreError> {
        self.inner.noted(blocking(self.inner.engine.blocks(), || self.flush_now()))
    }

    fn flush_now(&self) -> Result<Vec<Persisted>, StoreError> {
        let _one = self.inner.flushing.lock();
        let before: Vec<_> = self
            .inner
            .replicas
            .iter()
            .map(|replica| {
                let current = replica.current();
                (replica, current.meta(), current.incarnation, current.state.cursor)
            })
            .collect();
        self.inner.engine.flush()?;
        let mut persisted = Vec::with_capacity(before.len());
        for (replica, meta, incarnation, cursor) in before {
            replica.set_persisted(meta);
            let applied = replica.persisted_meta().last_log_id;
            persisted.push(Persisted { shard: ShardId(replica.shard), applied });
            self.drop_closed(wheel::range(incarnation, Millis(0), cursor))?;
        }
        Ok(persisted)
    }

    /// Whole files of closed wheel slots go. Only below a cursor that is durable: a crash undoes an advance
    /// of the cursor, but not this. And only if the slots are empty, as the cursor promises.
    fn drop_closed(&self, range: KeyRange) -> Result<(), StoreError> {
        if range.0 >= range.1 {
            return Ok(());
        }
        let mut empty = true;
        self.inner.engine.scan(&range.0, &range.1, &mut |_, _| {
            empty = false;
            Ok(ControlFlow::Break(()))
        })?;
        if empty { self.inner.drop_files(&range) } else { Ok(()) }
    }
}
