//! One shard's replica in memory: which incarnation holds it, and what was applied.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use timer_core::command::Moment;
use timer_core::shard_state::ShardState;
use tokio::sync::watch;

use crate::type_config::{LogId, SnapshotMeta, StoredMembership};

/// What is in the engine now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Current {
    pub(crate) incarnation: u32,
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: StoredMembership,
    pub(crate) state: ShardState,
}

impl Current {
    pub(crate) fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() }
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { index: self.applied.map_or(0, |applied| applied.index), time: self.state.last_time }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) shard: u16,
    /// Written together with the engine: whoever holds it for reading sees both agree.
    current: RwLock<Current>,
    /// Of what `current` holds, or held a moment ago. By itself, since `current` is locked across the disk.
    moment: Mutex<Moment>,
    persisted: watch::Sender<Option<LogId>>,
    /// What was durable after the last flush.
    persisted_meta: Mutex<SnapshotMeta>,
    /// What openraft was last told is a snapshot.
    snapshot: Mutex<Option<SnapshotMeta>>,
}

impl Replica {
    /// A replica as it was found on disk: all of it is durable.
    pub(crate) fn new(shard: u16, current: Current) -> Arc<Self> {
        let meta = current.meta();
        Arc::new(Self {
            shard,
            persisted: watch::Sender::new(current.applied),
            snapshot: Mutex::new(current.applied.is_some().then(|| meta.clone())),
            persisted_meta: Mutex::new(meta),
            moment: Mutex::new(current.moment()),
            current: RwLock::new(current),
        })
    }

    pub(crate) fn current(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read()
    }

    pub(crate) fn current_mut(&self) -> RwLockWriteGuard<'_, Current> {
        self.current.write()
    }

    /// What is applied here, or was a moment ago; never waits for the disk.
    pub(crate) fn moment(&self) -> Moment {
        *self.moment.lock()
    }

    /// To be called when `current` has changed.
    pub(crate) fn set_moment(&self, moment: Moment) {
        *self.moment.lock() = moment;
    }

    pub(crate) fn persisted(&self) -> watch::Receiver<Option<LogId>> {
        self.persisted.subscribe()
    }

    pub(crate) fn persisted_meta(&self) -> SnapshotMeta {
        self.persisted_meta.lock().clone()
    }

    /// `meta` is durable. An older one than is known changes nothing: a snapshot may have been installed
    /// while the flush ran.
    pub(crate) fn set_persisted(&self, meta: SnapshotMeta) {
        let mut known = self.persisted_meta.lock();
        if meta.last_log_id > known.last_log_id {
            let last = meta.last_log_id;
            *known = meta;
            self.persisted.send_replace(last);
        }
    }

    pub(crate) fn snapshot(&self) -> Option<SnapshotMeta> {
        self.snapshot.lock().clone()
    }

    pub(crate) fn set_snapshot(&self, meta: SnapshotMeta) {
        *self.snapshot.lock() = Some(meta);
    }
}
