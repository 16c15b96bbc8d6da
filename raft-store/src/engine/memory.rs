//! Ordered keys in memory, with a model of what a power cut leaves: for `make try`, tests and simulation.
//!
//! Every step that changes what a disk holds passes [`Power`], so that a test can cut the power or fail a
//! call at any of them.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::engine::{Batch, Engine, Loader, Op, ReadView, View, Visit};
use crate::error::StoreError;

type Map = BTreeMap<Vec<u8>, Bytes>;

/// What a test does to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power goes before the step takes effect.
    PowerCut,
    /// The call fails with EIO.
    Io,
    /// The call fails with ENOSPC.
    Full,
}

/// Counts the steps that change a disk, and breaks one of them.
#[derive(Clone, Debug, Default)]
pub struct Power(Arc<Mutex<PowerState>>);

#[derive(Debug, Default)]
struct PowerState {
    steps: u64,
    plan: Option<(u64, Fault)>,
    epoch: u64,
    off: bool,
}

impl Power {
    /// Breaks the step with this number, counted from 0 since the disk is new.
    pub fn plan(&self, step: u64, fault: Fault) {
        self.0.lock().plan = Some((step, fault));
    }

    /// Steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.0.lock().steps
    }

    /// Whether the power has gone by a [`Fault::PowerCut`] and was not restored.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.lock().off
    }

    fn epoch(&self) -> u64 {
        self.0.lock().epoch
    }

    /// Whoever opened the disk before has lost it.
    fn restore(&self) {
        let mut state = self.0.lock();
        state.epoch += 1;
        state.off = false;
        state.plan = None;
    }

    fn check(&self, epoch: u64, what: &str) -> Result<(), StoreError> {
        let state = self.0.lock();
        if state.off || state.epoch != epoch { Err(power_is_off(what)) } else { Ok(()) }
    }

    /// One step of the holder of `epoch`.
    pub(crate) fn step(&self, epoch: u64, what: &str) -> Result<(), StoreError> {
        let mut state = self.0.lock();
        if state.off || state.epoch != epoch {
            return Err(power_is_off(what));
        }
        let step = state.steps;
        state.steps += 1;
        match state.plan {
            Some((at, fault)) if at == step => match fault {
                Fault::PowerCut => {
                    state.off = true;
                    Err(power_is_off(what))
                }
                Fault::Io => Err(StoreError::Io { what: what.into(), detail: "injected EIO".into() }),
                Fault::Full => {
                    Err(StoreError::DiskFull { what: what.into(), detail: "injected ENOSPC".into() })
                }
            },
            _ => Ok(()),
        }
    }
}

fn power_is_off(what: &str) -> StoreError {
    StoreError::Io { what: what.into(), detail: "the power is off".into() }
}

/// What an engine keeps, and when that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Durable by synced writes.
    Log,
    /// Durable by flushes.
    State,
}

/// Says how long the next sync of the log takes.
#[derive(Clone)]
pub struct SyncTime(pub Arc<dyn Fn() -> Duration + Send + Sync>);

impl std::fmt::Debug for SyncTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SyncTime")
    }
}

/// The disk of a simulated node: it outlives the stores that are opened on it.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    sync_time: Option<SyncTime>,
    power: Power,
    log: Arc<Mutex<Disk>>,
    state: Arc<Mutex<Disk>>,
    mark: Arc<Mutex<MarkDisk>>,
}

impl MemoryDisk {
    /// A blank disk. Without a crash model it keeps no second copy, and a [`Self::crash`] loses nothing.
    #[must_use]
    pub fn new(crash_model: bool) -> Self {
        let disk = || Arc::new(Mutex::new(Disk { durable: crash_model.then(Map::new), ..Disk::default() }));
        Self { sync_time: None, power: Power::default(), log: disk(), state: disk(), mark: Arc::default() }
    }

    /// A disk whose syncs of the log take time, by tokio's clock: what is under way when the power goes is lost
    /// without having been acknowledged.
    #[must_use]
    pub fn with_sync_time(self, sync_time: SyncTime) -> Self {
        Self { sync_time: Some(sync_time), ..self }
    }

    /// The switch for faults.
    #[must_use]
    pub fn power(&self) -> &Power {
        &self.power
    }

    /// Cuts the power and restores it: what was not durable is gone, and the stores that are open fail.
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// Like [`Self::crash`], but the first `kept` writes that were not durable survive in each engine, as
    /// they can on a real disk.
    pub fn crash_keeping(&self, kept: usize) {
        self.log.lock().crash(kept);
        self.state.lock().crash(kept);
        self.mark.lock().crash();
        self.power.restore();
    }

    /// The data as they are now, to be put back by [`Self::restore_log`].
    #[must_use]
    pub fn copy_log(&self) -> BTreeMap<Vec<u8>, Bytes> {
        BTreeMap::clone(&self.log.lock().live)
    }

    /// Replaces the log by an older copy, as a bad restore would.
    pub fn restore_log(&self, copy: BTreeMap<Vec<u8>, Bytes>) {
        let mut disk = self.log.lock();
        disk.durable = disk.durable.as_ref().map(|_| copy.clone());
        disk.live = Arc::new(copy);
        disk.journal.clear();
    }

    /// Changes the bytes of the high-water mark.
    pub fn damage_mark(&self, damage: impl FnOnce(&mut Vec<u8>)) {
        let mut mark = self.mark.lock();
        damage(&mut mark.durable);
        mark.live = mark.durable.clone();
    }

    pub(crate) fn sync_time(&self) -> Option<SyncTime> {
        self.sync_time.clone()
    }

    pub(crate) fn engine(&self, role: Role) -> MemoryEngine {
        let disk = match role {
            Role::Log => &self.log,
            Role::State => &self.state,
        };
        MemoryEngine { disk: disk.clone(), role, power: self.power.clone(), epoch: self.power.epoch() }
    }

    pub(crate) fn mark(&self) -> MemoryMark {
        MemoryMark { disk: self.mark.clone(), power: self.power.clone(), epoch: self.power.epoch() }
    }
}

#[derive(Debug, Default)]
struct Disk {
    live: Arc<Map>,
    /// None: no crash model.
    durable: Option<Map>,
    /// Writes that are not durable.
    journal: Vec<Batch>,
}

impl Disk {
    fn crash(&mut self, kept: usize) {
        let Some(durable) = &mut self.durable else { return };
        for batch in self.journal.drain(..).take(kept) {
            perform(durable, &batch);
        }
        self.journal.clear();
        self.live = Arc::new(durable.clone());
    }

    fn harden(&mut self) {
        let Some(durable) = &mut self.durable else { return };
        for batch in self.journal.drain(..) {
            perform(durable, &batch);
        }
    }
}

fn perform(map: &mut Map, batch: &Batch) {
    for op in &batch.ops {
        match op {
            Op::Put(key, value) => {
                map.insert(key.clone(), value.clone());
            }
            Op::Delete(key) => {
                map.remove(key);
            }
            Op::DeleteRange(from, to) if from < to => {
                let tail = map.split_off(from);
                map.extend(tail.into_iter().skip_while(|(key, _)| key < to));
            }
            Op::DeleteRange(..) => {}
        }
    }
}

/// One engine on a [`MemoryDisk`].
#[derive(Clone, Debug)]
pub struct MemoryEngine {
    disk: Arc<Mutex<Disk>>,
    role: Role,
    power: Power,
    epoch: u64,
}

impl MemoryEngine {
    fn name(&self) -> &'static str {
        match self.role {
            Role::Log => "log",
            Role::State => "state",
        }
    }
}

struct Frozen(Arc<Map>);

impl View for Frozen {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        for (key, value) in self.0.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to))) {
            if let ControlFlow::Break(()) = visit(key, value)? {
                break;
            }
        }
        Ok(())
    }
}

impl View for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.power.check(self.epoch, self.name())?;
        Ok(self.disk.lock().live.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.power.check(self.epoch, self.name())?;
        let live = self.disk.lock().live.clone();
        Frozen(live).scan(from, to, visit)
    }
}

impl Engine for MemoryEngine {
    fn write(&self, batch: Batch, sync: bool) -> Result<(), StoreError> {
        self.power.step(self.epoch, self.name())?;
        {
            let mut disk = self.disk.lock();
            perform(Arc::make_mut(&mut disk.live), &batch);
            if disk.durable.is_some() {
                disk.journal.push(batch);
            }
        }
        if sync {
            self.power.step(self.epoch, self.name())?;
            self.disk.lock().harden();
        }
        Ok(())
    }

    fn view(&self, read: ReadView<'_>) -> Result<(), StoreError> {
        self.power.check(self.epoch, self.name())?;
        let live = self.disk.lock().live.clone();
        read(&Frozen(live))
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.power.step(self.epoch, self.name())?;
        self.disk.lock().harden();
        Ok(())
    }

    /// The worst that a real store's files can do: what was durable in the range is gone, also after a crash that
    /// undoes the writes before it.
    fn drop_files(&self, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        self.power.step(self.epoch, self.name())?;
        if let Some(durable) = &mut self.disk.lock().durable {
            perform(durable, &Batch { ops: vec![Op::DeleteRange(from.to_vec(), to.to_vec())] });
        }
        Ok(())
    }

    fn loader(&self, _id: u32) -> Result<Box<dyn Loader>, StoreError> {
        Ok(Box::new(MemoryLoader { engine: self.clone(), batch: Batch::default() }))
    }

    fn blocks(&self) -> bool {
        false
    }
}

/// Writes in batches, so that a power cut can leave a part.
struct MemoryLoader {
    engine: MemoryEngine,
    batch: Batch,
}

/// Keys of one write of a load.
const LOAD_KEYS_MAX: usize = 64;

impl Loader for MemoryLoader {
    fn put(&mut self, key: Vec<u8>, value: Bytes) -> Result<(), StoreError> {
        self.batch.put(key, value);
        if self.batch.ops.len() < LOAD_KEYS_MAX {
            return Ok(());
        }
        self.engine.write(std::mem::take(&mut self.batch), false)
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        self.engine.write(self.batch, false)
    }
}

#[derive(Debug, Default)]
struct MarkDisk {
    live: Vec<u8>,
    durable: Vec<u8>,
}

impl MarkDisk {
    fn crash(&mut self) {
        self.live = self.durable.clone();
    }
}

/// The high-water mark's file on a [`MemoryDisk`].
#[derive(Clone, Debug)]
pub(crate) struct MemoryMark {
    disk: Arc<Mutex<MarkDisk>>,
    power: Power,
    epoch: u64,
}

impl crate::log::mark::MarkFile for MemoryMark {
    fn read(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        self.power.check(self.epoch, "mark")?;
        let disk = self.disk.lock();
        Ok((!disk.live.is_empty()).then(|| disk.live.clone()))
    }

    fn create(&mut self, content: &[u8]) -> Result<(), StoreError> {
        self.power.step(self.epoch, "mark")?;
        let mut disk = self.disk.lock();
        disk.live = content.to_vec();
        disk.durable = content.to_vec();
        Ok(())
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        // Torn if the power goes between the halves: a real sector write is no better.
        let half = bytes.len() / 2;
        for (at, part) in [(offset, &bytes[..half]), (offset + half, &bytes[half..])] {
            self.power.step(self.epoch, "mark")?;
            let mut disk = self.disk.lock();
            disk.live[at..at + part.len()].copy_from_slice(part);
            // The worst case for a torn write: the first half reaches the disk before the sync.
            disk.durable[at..at + part.len()].copy_from_slice(part);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.power.step(self.epoch, "mark")?;
        let mut disk = self.disk.lock();
        disk.durable = disk.live.clone();
        Ok(())
    }
}
