//! One writer for the logs of all shards: what is pending becomes one batch and one sync.
//!
//! Two stages, each a thread: the first writes and syncs the log, the second raises and syncs the high-water
//! mark and only then acknowledges, while the first writes the next batch. On an engine in memory both run inline,
//! at once or, in simulation, when a task finds that a sync has taken its time.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use timer_core::mutant::Mutant;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::engine::Engine;
use crate::engine::memory::SyncTime;
use crate::error::StoreError;
use crate::failpoint::Failpoint;
use crate::health::Latch;
use crate::limits::{PENDING_BYTES_MAX, UNMARKED_BATCHES_MAX};
use crate::log::job::{Ack, Change, Group, Job, refuse};
use crate::log::mark::Mark;
use crate::log::stopwatch::Stopwatch;
use crate::log::tail::Place;

/// What the second stage is given.
enum ToMark {
    /// A batch that is durable in the log.
    Written { changes: Vec<Change>, acks: Vec<Ack> },
    /// Lower a place, and say when that is durable.
    Lower { shard: u16, to: Place, done: Sender<Result<(), StoreError>> },
}

/// Where the first stage hands on, in order.
trait SecondStage {
    /// A batch is durable in the log.
    fn written(&mut self, changes: Vec<Change>, acks: Vec<Ack>);

    /// Lowers a place of the mark and waits until that is durable.
    fn lower(&mut self, shard: u16, to: Place) -> Result<(), StoreError>;
}

/// To the second thread.
struct Channel<'a>(&'a SyncSender<ToMark>);

impl SecondStage for Channel<'_> {
    fn written(&mut self, changes: Vec<Change>, acks: Vec<Ack>) {
        // The second stage outlives the first unless it panicked; then the acks say so.
        if let Err(lost) = self.0.send(ToMark::Written { changes, acks })
            && let ToMark::Written { acks, .. } = lost.0
        {
            refuse(acks, &StoreError::Failed("the marking thread is gone".into()));
        }
    }

    fn lower(&mut self, shard: u16, to: Place) -> Result<(), StoreError> {
        let (done, outcome) = channel();
        self.0.send(ToMark::Lower { shard, to, done }).map_err(|_| StoreError::Closed)?;
        outcome.recv().unwrap_or(Err(StoreError::Closed))
    }
}

/// Without threads.
struct Inline<'a> {
    writer: &'a Writer,
    mark: &'a mut Mark,
}

impl SecondStage for Inline<'_> {
    fn written(&mut self, changes: Vec<Change>, acks: Vec<Ack>) {
        self.writer.settle(self.mark, &changes, acks);
    }

    fn lower(&mut self, shard: u16, to: Place) -> Result<(), StoreError> {
        self.mark.place(shard).log = to;
        self.mark.save()
    }
}

/// The queue in front of the writer, and what both stages share.
pub(crate) struct Writer {
    engine: Arc<dyn Engine>,
    queue: Mutex<Queue>,
    wake: Condvar,
    room: Arc<Semaphore>,
    failed: OnceLock<StoreError>,
    health: Latch,
    log_sync: Stopwatch,
    mark_sync: Stopwatch,
    /// Set on an engine in memory: no threads.
    inline: Option<Mutex<Mark>>,
    /// Set if syncs then take time: wakes the task that waits for them.
    late: Option<Arc<Notify>>,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    /// Somebody waits for one of them.
    urgent: bool,
    closing: bool,
}

/// What works for a writer, ended by [`Threads::join`].
#[derive(Debug)]
pub(crate) enum Threads {
    /// Its two stages.
    Stages(Vec<JoinHandle<()>>),
    /// The task of [`Writer::late`].
    Task(AbortHandle),
}

impl Writer {
    /// A writer without threads: every job is done when [`Self::submit`] returns.
    pub(crate) fn inline(engine: Arc<dyn Engine>, mark: Mark) -> Arc<Self> {
        Arc::new(Self::new(engine, Some(Mutex::new(mark))))
    }

    /// A writer without threads whose jobs are done by a task of the present runtime, each after a sync's time.
    pub(crate) fn late(engine: Arc<dyn Engine>, mark: Mark, time: SyncTime) -> (Arc<Self>, Threads) {
        let late = Some(Arc::new(Notify::new()));
        let writer = Arc::new(Self { late, ..Self::new(engine, Some(Mutex::new(mark))) });
        let task = tokio::spawn(Self::run_late(Arc::downgrade(&writer), writer.late.clone(), time));
        (writer, Threads::Task(task.abort_handle()))
    }

    async fn run_late(writer: Weak<Self>, wake: Option<Arc<Notify>>, time: SyncTime) {
        let Some(wake) = wake else { return };
        loop {
            wake.notified().await;
            let Some(writer) = writer.upgrade() else { return };
            let running = writer.log_sync.start();
            tokio::time::sleep((time.0)()).await;
            drop(running);
            writer.write_queued();
        }
    }

    /// Does what is queued, inline.
    fn write_queued(&self) {
        let Some(mark) = &self.inline else { return };
        let jobs = {
            let mut queue = self.queue.lock();
            queue.urgent = false;
            std::mem::take(&mut queue.jobs)
        };
        self.write_jobs(jobs, &mut Inline { writer: self, mark: &mut mark.lock() });
    }

    /// A writer with its two threads.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(crate) fn start(engine: Arc<dyn Engine>, mark: Mark) -> Result<(Arc<Self>, Threads), StoreError> {
        let writer = Arc::new(Self::new(engine, None));
        let (to_mark, from_writer) = sync_channel(UNMARKED_BATCHES_MAX);
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.into()).spawn(work);
            thread.map_err(|e| StoreError::io("the log's threads", &e))
        };
        let (first, second) = (writer.clone(), writer.clone());
        let marking = spawn("log-mark", Box::new(move || second.run_mark(mark, &from_writer)))?;
        let writing = spawn("log-write", Box::new(move || first.run_log(&to_mark)))?;
        // The writer ends first and with it the channel that the second stage lives on.
        Ok((writer, Threads::Stages(vec![writing, marking])))
    }

    fn new(engine: Arc<dyn Engine>, inline: Option<Mutex<Mark>>) -> Self {
        Self {
            engine,
            queue: Mutex::default(),
            wake: Condvar::new(),
            room: Arc::new(Semaphore::new(PENDING_BYTES_MAX)),
            failed: OnceLock::new(),
            health: Latch::default(),
            log_sync: Stopwatch::default(),
            mark_sync: Stopwatch::default(),
            inline,
            late: None,
        }
    }

    pub(crate) fn latch(&self) -> &Latch {
        &self.health
    }

    /// How long the syncs that are under way have been so: the longer of both.
    pub(crate) fn stalled_for(&self) -> Duration {
        self.log_sync.running_for().max(self.mark_sync.running_for())
    }

    /// Waits until `bytes` more may be pending.
    ///
    /// # Errors
    /// When the log has failed or is closed.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, StoreError> {
        let bytes = u32::try_from(bytes.min(PENDING_BYTES_MAX)).unwrap_or(u32::MAX);
        let room = self.room.clone().acquire_many_owned(bytes).await;
        room.map_err(|_| self.failed.get().cloned().unwrap_or(StoreError::Closed))
    }

    /// Queues a job. Jobs of a shard take effect in the order in which they were submitted.
    ///
    /// # Errors
    /// When the log has failed or is closed; nothing is queued then.
    pub(crate) fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.check()?;
        if let (Some(mark), None) = (&self.inline, &self.late) {
            self.write_jobs(vec![job], &mut Inline { writer: self, mark: &mut mark.lock() });
            return self.check();
        }
        let mut queue = self.queue.lock();
        if queue.closing {
            return Err(StoreError::Closed);
        }
        // What is committed is written when something else is: after a crash an older one serves as well.
        queue.urgent |= !matches!(job, Job::Committed { .. });
        queue.jobs.push(job);
        if queue.urgent {
            self.wake.notify_one();
            if let Some(late) = &self.late {
                late.notify_one();
            }
        }
        Ok(())
    }

    /// The failure that closed the log, if there was one.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.failed.get().cloned().map_or(Ok(()), Err)
    }

    /// Takes no more jobs; the threads end when the queued ones are done.
    pub(crate) fn close(&self) {
        self.queue.lock().closing = true;
        self.wake.notify_all();
        self.room.close();
        self.write_queued();
    }

    /// A write failed: what it left on disk is unknown, so nothing may follow it.
    fn fail(&self, error: &StoreError) {
        // A full disk stays known as such: the node answers 507.
        let as_it_is = error.is_disk_full() || matches!(error, StoreError::Failed(_));
        let closed = if as_it_is { error.clone() } else { StoreError::Failed(error.to_string()) };
        if self.failed.set(closed).is_ok() {
            tracing::error!(%error, "the log failed and takes no more writes");
            self.health.fail(&format!("the log can't be written: {error}"));
        }
        self.room.close();
    }

    fn run_log(&self, to_mark: &SyncSender<ToMark>) {
        let _guard = FailOnPanic(self);
        loop {
            let jobs = {
                let mut queue = self.queue.lock();
                while !queue.urgent && !queue.closing {
                    self.wake.wait(&mut queue);
                }
                queue.urgent = false;
                std::mem::take(&mut queue.jobs)
            };
            if jobs.is_empty() {
                return;
            }
            self.write_jobs(jobs, &mut Channel(to_mark));
        }
    }

    /// Writes jobs in order, as few batches as possible: only a truncation needs the mark lowered, durably,
    /// before it and so begins a new one.
    ///
    /// What was written before a truncation goes to the second stage before the lowering does: behind it, it
    /// would raise the mark again, over a log that has been cut.
    fn write_jobs(&self, jobs: Vec<Job>, stage: &mut dyn SecondStage) {
        let mut group = Group::default();
        for job in jobs {
            if let Job::Truncate { cell, last, .. } = &job {
                self.write_group(std::mem::take(&mut group), stage);
                let lowered = self.check().and_then(|()| stage.lower(cell.shard(), *last));
                if let Err(error) = lowered {
                    self.fail(&error);
                }
            }
            group.add(job);
        }
        self.write_group(group, stage);
    }

    fn write_group(&self, group: Group, stage: &mut dyn SecondStage) {
        if group.batch.is_empty() {
            return;
        }
        let outcome = self.check().and_then(|()| {
            let _running = self.log_sync.start();
            self.engine.write(group.batch, group.sync && !Mutant::AcknowledgeBeforeSync.is_on())
        });
        match outcome {
            Ok(()) => {
                Failpoint::LogSynced.pass();
                stage.written(group.changes, group.acks);
            }
            Err(error) => {
                self.fail(&error);
                refuse(group.acks, &self.failed.get().cloned().unwrap_or(error));
            }
        }
    }

    fn run_mark(&self, mut mark: Mark, from_writer: &Receiver<ToMark>) {
        let _guard = FailOnPanic(self);
        while let Ok(first) = from_writer.recv() {
            let (mut changes, mut acks, mut lowered) = (Vec::new(), Vec::new(), Vec::new());
            // One sync for all that is there.
            for item in std::iter::once(first).chain(from_writer.try_iter().take(UNMARKED_BATCHES_MAX)) {
                match item {
                    ToMark::Written { changes: c, acks: a } => {
                        changes.extend(c);
                        acks.extend(a);
                    }
                    ToMark::Lower { shard, to, done } => {
                        changes.push(Change::Log(shard, to));
                        lowered.push(done);
                    }
                }
            }
            self.settle(&mut mark, &changes, acks);
            for done in lowered {
                // The writer waits for it, unless it panicked.
                let _ = done.send(self.check());
            }
        }
    }

    /// The second stage: mark, then acknowledge in order.
    fn settle(&self, mark: &mut Mark, changes: &[Change], acks: Vec<Ack>) {
        for change in changes {
            match *change {
                Change::Log(shard, to) => mark.place(shard).log = to,
                Change::Vote(shard, vote) => mark.place(shard).vote = Some(vote),
            }
        }
        if !changes.is_empty() && !Mutant::AcknowledgeBeforeSync.is_on() {
            let outcome = self.check().and_then(|()| {
                let _running = self.mark_sync.start();
                mark.save()
            });
            if let Err(error) = outcome {
                self.fail(&error);
                return refuse(acks, &self.failed.get().cloned().unwrap_or(error));
            }
        }
        Failpoint::LogMarked.pass();
        for ack in acks {
            match ack {
                Ack::Append { durable, callback, _room } => {
                    durable.cell.set_durable(durable.epoch, durable.end);
                    callback.io_completed(Ok(()));
                }
                Ack::Truncate { durable, done } => {
                    durable.cell.set_durable(durable.epoch, durable.end);
                    let _ = done.send(Ok(()));
                }
                // Whoever asked may be gone: its shard was shut down.
                Ack::Vote { done } => {
                    let _ = done.send(Ok(()));
                }
            }
        }
    }
}

/// A stage that panics must not leave its callers waiting.
struct FailOnPanic<'a>(&'a Writer);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&StoreError::Failed("a thread of the log panicked".into()));
            self.0.queue.lock().jobs.clear();
        }
    }
}

impl Threads {
    /// Waits for the end of both; a panic in one was reported as a failure.
    pub(crate) fn join(&mut self) {
        match self {
            Self::Stages(threads) => threads.drain(..).for_each(|thread| drop(thread.join())),
            Self::Task(task) => task.abort(),
        }
    }
}
