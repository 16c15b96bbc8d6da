//! A shard's state machine as openraft wants it.

use std::io;
use std::sync::Arc;

use futures_util::{FutureExt, Stream, StreamExt};
use openraft::OptionalSend;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use tokio::sync::watch;

use crate::engine::blocking;
use crate::error::StoreError;
use crate::health::Health;
use crate::limits::{APPLY_BYTES_MAX, APPLY_ENTRIES_MAX};
use crate::state_machine::replica::Replica;
use crate::state_machine::snapshot::install;
use crate::state_machine::{NoticeSink, OutgoingSnapshot, SnapshotData, StateDb, apply};
use crate::type_config::{LogId, Payload, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};

/// How much of the log is durable on this disk: a quorum may have an entry that this node could still lose,
/// and a state must never be ahead of its log.
#[derive(Clone, Debug)]
pub(crate) struct DurableLog {
    /// Index behind the last durable entry.
    pub(crate) end: watch::Receiver<u64>,
    /// Ends the wait when the log fails.
    pub(crate) health: watch::Receiver<Health>,
}

impl DurableLog {
    async fn reached(&mut self, index: u64) -> Result<(), StoreError> {
        tokio::select! {
            biased;
            reached = self.end.wait_for(|end| *end > index) => {
                reached.map(|_| ()).map_err(|_| StoreError::Closed)
            }
            failed = self.health.wait_for(|health| *health != Health::Healthy) => match failed.as_deref() {
                Ok(Health::Failed(why)) => Err(StoreError::Failed(why.clone())),
                _ => Err(StoreError::Closed),
            },
        }
    }
}

/// The state of one shard.
pub struct ShardStateMachine {
    db: StateDb,
    replica: Arc<Replica>,
    durable: Option<DurableLog>,
    sink: Option<Arc<dyn NoticeSink>>,
}

impl std::fmt::Debug for ShardStateMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ShardStateMachine").field(&self.replica.shard).finish()
    }
}

impl ShardStateMachine {
    pub(crate) fn new(
        db: StateDb,
        replica: Arc<Replica>,
        durable: Option<DurableLog>,
        sink: Option<Arc<dyn NoticeSink>>,
    ) -> Self {
        Self { db, replica, durable, sink }
    }

    fn outgoing(&self) -> SnapshotData {
        SnapshotData::Outgoing(OutgoingSnapshot::new(self.db.inner().clone(), self.replica.clone()))
    }
}

/// Takes what is ready, so that one write serves many entries.
async fn next_batch<S>(entries: &mut S) -> io::Result<Vec<EntryResponder<TypeConfig>>>
where
    S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin,
{
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut item = entries.next().await;
    while let Some(next) = item {
        let next = next?;
        bytes += match &next.0.payload {
            Payload::Normal(data) => data.0.len(),
            Payload::Blank | Payload::Membership(_) => 0,
        };
        batch.push(next);
        if batch.len() >= APPLY_ENTRIES_MAX || bytes >= APPLY_BYTES_MAX {
            break;
        }
        item = entries.next().now_or_never().flatten();
    }
    Ok(batch)
}

impl RaftStateMachine<TypeConfig> for ShardStateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = ShardSnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let current = self.replica.current();
        Ok((current.applied, current.membership.clone()))
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut entries = entries.fuse();
        loop {
            let batch = next_batch(&mut entries).await?;
            let Some((last, _)) = batch.last() else { return Ok(()) };
            if let Some(durable) = &mut self.durable {
                durable.reached(last.log_id.index()).await?;
            }
            let inner = self.db.inner();
            inner.noted(apply::apply_batch(inner, &self.replica, self.sink.as_deref(), batch))?;
        }
    }

    async fn get_snapshot_builder(&mut self) -> ShardSnapshotBuilder {
        ShardSnapshotBuilder { db: self.db.clone(), replica: self.replica.clone(), data: self.outgoing() }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        let received = match snapshot {
            SnapshotData::Received(received) => received,
            // A snapshot of this very process: it was never sent, so it is received here.
            SnapshotData::Outgoing(outgoing) => {
                let mut stream = outgoing.open()?;
                let mut receiver =
                    self.db.receive(timer_core::ids::ShardId(self.replica.shard), stream.header())?;
                while let Some(chunk) = stream.next().await {
                    receiver.chunk(&chunk?)?;
                }
                receiver.finish_unchecked()?
            }
        };
        let inner = self.db.inner();
        let installed =
            blocking(inner.engine.blocks(), || install::install(inner, &self.replica, meta, received));
        inner.noted_snapshot(installed)?;
        if let Some(sink) = &self.sink {
            sink.replaced(meta.last_log_id);
        }
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        Ok(self.replica.snapshot().map(|meta| Snapshot { meta, snapshot: self.outgoing() }))
    }
}

/// Makes metadata-only snapshots: they tell openraft what the state has durably, so that the log before it
/// may go. The data are read when a snapshot is sent.
#[derive(Debug)]
pub struct ShardSnapshotBuilder {
    db: StateDb,
    replica: Arc<Replica>,
    data: SnapshotData,
}

impl RaftSnapshotBuilder<TypeConfig> for ShardSnapshotBuilder {
    type SnapshotData = SnapshotData;

    /// Costs a flush only where the last flush is covered by a snapshot already.
    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let covered = self.replica.snapshot().and_then(|meta| meta.last_log_id);
        if self.replica.persisted_meta().last_log_id <= covered {
            self.db.flush()?;
        }
        let meta = self.replica.persisted_meta();
        self.replica.set_snapshot(meta.clone());
        Ok(Snapshot { meta, snapshot: self.data.clone() })
    }
}
