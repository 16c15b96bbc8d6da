//! Opens the states of a node: finds each shard's incarnation and removes what no shard points to.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::engine::{Batch, Engine, View};
use crate::error::StoreError;
use crate::health::Latch;
use crate::keys::{END, incarnation_range, int, pointer};
use crate::state_machine::migrate::{self, FORMAT, WITH_GROUPS};
use crate::state_machine::replica::Replica;
use crate::state_machine::{StateDb, StateInner, meta};

impl StateDb {
    /// Opens the states of `shards` shards.
    ///
    /// # Errors
    /// When anything is not as it was left: see [`StoreError`].
    pub(crate) fn open(
        engine: Arc<dyn Engine>,
        shards: u16,
        cluster_id: String,
        health: Latch,
    ) -> Result<Self, StoreError> {
        let format = check_format(&*engine, shards)?;
        let mut pointers = Vec::with_capacity(usize::from(shards));
        for shard in 0..shards {
            pointers.push(read_u32(&*engine, &pointer::encode(shard))?);
        }
        let used: BTreeSet<u32> = pointers.iter().copied().flatten().collect();
        remove_unused(&*engine, &used)?;
        if format < FORMAT {
            migrate(&*engine, format, shards, &pointers)?;
        }
        let stored_next = read_u32(&*engine, &pointer::next())?.unwrap_or(1);
        let mut next = stored_next.max(used.last().map_or(1, |last| last + 1));
        let mut batch = Batch::default();
        let mut replicas = Vec::with_capacity(pointers.len());
        for (shard, found) in (0..).zip(pointers) {
            let incarnation = found.unwrap_or(next);
            if found.is_none() {
                batch.put(pointer::encode(shard), next.to_be_bytes().to_vec());
                next += 1;
            }
            replicas.push(Replica::new(shard, meta::load(&*engine, shard, incarnation)?));
        }
        batch.put(pointer::next(), next.to_be_bytes().to_vec());
        engine.write(batch, false)?;
        engine.flush()?;
        let inner = StateInner {
            engine,
            cluster_id,
            health,
            replicas,
            next_incarnation: Mutex::new(next),
            flushing: Mutex::new(()),
            files: RwLock::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// Whether no shard has a state: at most the format and the pointers were written.
pub(crate) fn is_blank(engine: &dyn View) -> Result<bool, StoreError> {
    let mut blank = true;
    engine.scan(&incarnation_range(1).0, &END, &mut |_, _| {
        blank = false;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(blank)
}

/// Gives the format that was found; a blank state gets the present one.
fn check_format(engine: &dyn Engine, shards: u16) -> Result<u8, StoreError> {
    match engine.get(&pointer::format())?.as_deref() {
        None => write_format(engine, shards).map(|()| FORMAT),
        Some([format, ..]) if *format > FORMAT => {
            let (found, known) = (u32::from(*format), u32::from(FORMAT));
            Err(StoreError::NewerFormat { what: "the state", found, known })
        }
        Some([format @ 1..=FORMAT, high, low]) => {
            let stored = u16::from_be_bytes([*high, *low]);
            let had_meta = *format >= WITH_GROUPS;
            if stored + u16::from(!had_meta) == shards {
                Ok(*format)
            } else {
                Err(StoreError::ShardCount { stored, asked: shards })
            }
        }
        Some(_) => Err(StoreError::corrupted("the state", "the format record is not one")),
    }
}

fn write_format(engine: &dyn Engine, shards: u16) -> Result<(), StoreError> {
    let [high, low] = shards.to_be_bytes();
    let mut batch = Batch::default();
    batch.put(pointer::format(), vec![FORMAT, high, low]);
    engine.write(batch, false)
}

/// The format is written last, and what was written before it is durable then: a crash leaves the old one, and all of it is
/// done again.
fn migrate(engine: &dyn Engine, from: u8, shards: u16, pointers: &[Option<u32>]) -> Result<(), StoreError> {
    tracing::info!(from, to = FORMAT, "bringing the state to the present format");
    for (shard, incarnation) in (0..).zip(pointers) {
        if let Some(incarnation) = incarnation.as_ref().filter(|_| from < WITH_GROUPS) {
            migrate::derive(engine, shard, *incarnation)?;
        }
    }
    engine.flush()?;
    write_format(engine, shards)?;
    engine.flush()
}

fn read_u32(view: &dyn View, key: &[u8]) -> Result<Option<u32>, StoreError> {
    let Some(bytes) = view.get(key)? else { return Ok(None) };
    let value = int(&bytes, 0).map(u32::from_be_bytes);
    value.map(Some).ok_or_else(|| StoreError::corrupted("the state", "a pointer is not one"))
}

/// Half-received snapshots, and replicas whose place a snapshot took before a crash.
fn remove_unused(engine: &dyn Engine, used: &BTreeSet<u32>) -> Result<(), StoreError> {
    let mut from = incarnation_range(1).0;
    loop {
        let mut found = None;
        engine.scan(&from, &END, &mut |key, _| {
            found = int(key, 0).map(u32::from_be_bytes);
            Ok(ControlFlow::Break(()))
        })?;
        let Some(incarnation) = found else { return Ok(()) };
        let range = incarnation_range(incarnation);
        if !used.contains(&incarnation) {
            tracing::info!(incarnation, "removing a replica that no shard points to");
            let mut batch = Batch::default();
            batch.delete_range(range.clone());
            engine.write(batch, false)?;
            engine.drop_files(&range.0, &range.1)?;
        }
        from = range.1;
    }
}
