//! Writes the history of a run as it happens, from many tasks at once. Deliberately not here: what the events mean.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use checkers::history::{Event, HistoryWriter, PhaseChange, PhaseName, Run};
use parking_lot::Mutex;

use crate::clock::RunClock;

/// A cheap handle on the one history.
#[derive(Clone, Debug)]
pub struct Recorder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: RunClock,
    /// None once it is finished.
    writer: Mutex<Option<HistoryWriter<BufWriter<File>>>>,
    /// What went wrong first, so that the run says it instead of judging half a history.
    failed: Mutex<Option<String>>,
    next: AtomicU64,
}

impl Recorder {
    /// A new history at `path` that begins with `run`.
    pub fn create(path: &Path, clock: RunClock, run: Run) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("can't write {}", path.display()))?;
        let writer = Mutex::new(Some(HistoryWriter::new(BufWriter::new(file))));
        let inner = Inner { clock, writer, failed: Mutex::default(), next: AtomicU64::new(1) };
        let recorder = Self { inner: Arc::new(inner) };
        recorder.write(&Event::Run(run));
        Ok(recorder)
    }

    /// Nanoseconds since the run began.
    pub fn now_ns(&self) -> u64 {
        self.inner.clock.now_ns()
    }

    /// The clock.
    pub fn clock(&self) -> RunClock {
        self.inner.clock
    }

    /// A number that names an operation or a fault, once.
    pub fn next_number(&self) -> u64 {
        self.inner.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes one event. What comes after the end is of no run and is dropped.
    pub fn write(&self, event: &Event) {
        let written = self.inner.writer.lock().as_mut().map(|writer| writer.write(event));
        if let Some(Err(e)) = written {
            self.inner.failed.lock().get_or_insert(e.to_string());
        }
    }

    /// The run goes on to `phase` now.
    pub fn phase(&self, phase: PhaseName) {
        self.write(&Event::Phase(PhaseChange { at_ns: self.now_ns(), phase }));
    }

    /// Everything to the file, and whether all of it was written.
    pub fn finish(&self) -> anyhow::Result<()> {
        if let Some(reason) = self.inner.failed.lock().take() {
            anyhow::bail!("the history is not whole: {reason}");
        }
        let writer = self.inner.writer.lock().take().context("the history was finished before")?;
        writer.into_inner().flush().context("the history could not be flushed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let run = crate::bounds::head(1, 3, 4, &[], RunClock::start(), Default::default());
        let recorder = Recorder::create(&path, RunClock::start(), run).unwrap();
        recorder.phase(PhaseName::Calm);
        recorder.phase(PhaseName::Final);
        recorder.finish().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), 3);
        let history = checkers::read(text.as_bytes()).unwrap();
        assert_eq!(history.timeline.phases.len(), 2);
        assert!(history.timeline.phases[0].0 <= history.timeline.phases[1].0);
    }

    #[test]
    fn names_are_given_once() {
        let dir = tempfile::tempdir().unwrap();
        let run = crate::bounds::head(1, 3, 4, &[], RunClock::start(), Default::default());
        let recorder = Recorder::create(&dir.path().join("h"), RunClock::start(), run).unwrap();
        assert_ne!(recorder.next_number(), recorder.clone().next_number());
    }
}
