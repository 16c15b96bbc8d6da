//! The receiver's side: chunks go under a new incarnation that nobody reads until it is installed.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use timer_core::ids::ShardId;
use timer_core::mutant::Mutant;
use xxhash_rust::xxh3::Xxh3;

use super::frame::{Body, Header, Totals, WITH_GROUPS, decode, take_record};
use crate::engine::{Loader, blocking};
use crate::state_machine::check::hash_record;
use crate::state_machine::{SnapshotData, SnapshotError, StateInner, meta, migrate};
use crate::type_config::{Snapshot, SnapshotMeta, Vote};

/// A snapshot being received. Dropped, it leaves nothing. All calls block for the disk.
pub struct SnapshotReceiver {
    inner: Arc<StateInner>,
    header: Header,
    incarnation: Incarnation,
    loader: Box<dyn Loader>,
    next: u64,
    last_key: Bytes,
    records: u64,
    hash: Xxh3,
    totals: Option<Totals>,
}

impl std::fmt::Debug for SnapshotReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotReceiver").field("header", &self.header).field("next", &self.next).finish()
    }
}

/// Removes the incarnation when it is dropped, unless it was installed.
#[derive(Debug)]
struct Incarnation {
    inner: Arc<StateInner>,
    number: Option<u32>,
}

impl Drop for Incarnation {
    fn drop(&mut self) {
        if let Some(number) = self.number.take()
            && let Err(error) = self.inner.discard(number)
        {
            // The next open removes it.
            tracing::warn!(%error, "a received snapshot could not be removed");
        }
    }
}

/// A completely received snapshot: install it by way of openraft, or drop it and nothing is left.
#[derive(Clone, Debug)]
pub struct ReceivedSnapshot {
    pub(super) header: Header,
    incarnation: Arc<Mutex<Incarnation>>,
}

impl ReceivedSnapshot {
    /// What it is of.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The incarnation; from now on the caller's to remove. None if it was taken before.
    pub(super) fn take(&self) -> Option<u32> {
        self.incarnation.lock().number.take()
    }
}

impl SnapshotReceiver {
    pub(crate) fn begin(
        inner: Arc<StateInner>,
        shard: ShardId,
        header: &Bytes,
    ) -> Result<Self, SnapshotError> {
        let header = Header::decode(header)?;
        let here = (&inner.cluster_id, shard);
        if (&header.cluster_id, header.shard) != here || usize::from(shard.0) >= inner.replicas.len() {
            return Err(SnapshotError::Foreign {
                found: format!("cluster {}, shard {}", header.cluster_id, header.shard),
                here: format!("cluster {}, shard {shard}", inner.cluster_id),
            });
        }
        let number = inner.allocate()?;
        let incarnation = Incarnation { inner: inner.clone(), number: Some(number) };
        let loader = inner.engine.loader(number)?;
        Ok(Self {
            inner,
            header,
            incarnation,
            loader,
            next: 0,
            last_key: Bytes::new(),
            records: 0,
            hash: Xxh3::new(),
            totals: None,
        })
    }

    /// What it is of.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The chunk that is expected next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes a chunk and gives the one that is expected next. One that came before is ignored, so that a
    /// sender that does not know may repeat it.
    ///
    /// # Errors
    /// When it is damaged or out of order, or the disk can't take it. After [`SnapshotError::OutOfOrder`]
    /// the transfer may go on with the right chunk; after another error it can't.
    pub fn chunk(&mut self, bytes: &Bytes) -> Result<u64, SnapshotError> {
        let chunk = decode(bytes)?;
        if chunk.sequence < self.next {
            return Ok(self.next);
        }
        if chunk.sequence > self.next || self.totals.is_some() {
            return Err(SnapshotError::OutOfOrder { expected: self.next, found: chunk.sequence });
        }
        match chunk.body {
            Body::Records(records) => blocking(self.inner.engine.blocks(), || self.load(records))?,
            Body::Last(totals) => {
                let found = Totals { records: self.records, hash: self.hash.digest() };
                if totals != found {
                    return Err(SnapshotError::Damaged(format!("{found:?} came, {totals:?} were sent")));
                }
                self.totals = Some(totals);
            }
        }
        self.next += 1;
        Ok(self.next)
    }

    fn load(&mut self, mut records: Bytes) -> Result<(), SnapshotError> {
        let prefix = self.incarnation.number.unwrap_or_default().to_be_bytes();
        while let Some((key, value)) = take_record(&mut records)? {
            if key <= self.last_key {
                return Err(SnapshotError::Damaged("keys are not in order".into()));
            }
            hash_record(&mut self.hash, &key, &value);
            self.records += 1;
            if !(Mutant::TimerDroppedAtSnapshot.is_on() && is_dropped(&key)) {
                self.loader.put([&prefix, &key[..]].concat(), value)?;
            }
            self.last_key = key;
        }
        Ok(())
    }

    /// Makes the received data readable and gives a snapshot for `Raft::install_full_snapshot` under the
    /// leader's `vote`. Refuses what openraft would panic at.
    ///
    /// # Errors
    /// When chunks are missing, the data are not what the header says, or contradict the vote or the
    /// replica here.
    pub fn finish(self, vote: &Vote) -> Result<Snapshot, SnapshotError> {
        let applied = self.header.applied;
        if *applied.committed_leader_id() > vote.leader_id {
            let why = format!("its last entry {applied} is of a later leader than the sender's vote {vote}");
            return Err(SnapshotError::Inconsistent(why));
        }
        let here = self.inner.replicas[usize::from(self.header.shard.0)].current().applied;
        if let Some(here) = here
            && applied > here
            && applied.index() <= here.index()
        {
            let why = format!("it ends at {applied}, but {here} was applied here");
            return Err(SnapshotError::Inconsistent(why));
        }
        let header = self.header.clone();
        let received = self.finish_unchecked()?;
        let meta = SnapshotMeta { last_log_id: Some(header.applied), last_membership: header.membership };
        Ok(Snapshot { meta, snapshot: SnapshotData::Received(received) })
    }

    pub(crate) fn finish_unchecked(self) -> Result<ReceivedSnapshot, SnapshotError> {
        let Self { inner, header, incarnation, loader, totals, .. } = self;
        if totals.is_none() {
            return Err(SnapshotError::Damaged("its last chunk is missing".into()));
        }
        blocking(inner.engine.blocks(), || loader.finish())?;
        let loaded = meta::load(&*inner.engine, header.shard.0, incarnation.number.unwrap_or_default())?;
        if loaded.applied != Some(header.applied) || loaded.membership != header.membership {
            return Err(SnapshotError::Damaged("its header does not match its data".into()));
        }
        if header.format < WITH_GROUPS {
            let number = incarnation.number.unwrap_or_default();
            blocking(inner.engine.blocks(), || migrate::derive(&*inner.engine, header.shard.0, number))?;
        }
        Ok(ReceivedSnapshot { header, incarnation: Arc::new(Mutex::new(incarnation)) })
    }
}

/// Whether the mutant drops it: every fourth slot of the wheel, so that those timers are there and never fire.
fn is_dropped(key: &[u8]) -> bool {
    key.first() == Some(&crate::keys::state_tag::WHEEL) && key.last().is_some_and(|byte| byte % 4 == 0)
}
