//! The history of a run while it is made, in memory: all hosts of a simulation share one thread. Deliberately
//! absent: judging, which `checkers` does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::rc::Rc;

use checkers::history::{Event, HistoryWriter};
use checkers::index::HistoryBuilder;
use checkers::report::{Report, check};

/// Takes events from every part of a simulation. Clones share it.
#[derive(Clone, Default)]
pub struct Recorder {
    events: Rc<RefCell<Vec<Event>>>,
    next_op: Rc<RefCell<u64>>,
    /// Who acknowledged what: the timers that are read at the end.
    timers: Rc<RefCell<BTreeMap<String, u16>>>,
}

impl Recorder {
    /// Notes an event.
    pub fn note(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    /// A number for an operation.
    #[must_use]
    pub fn next_op(&self) -> u64 {
        let mut next = self.next_op.borrow_mut();
        *next += 1;
        *next
    }

    /// Notes that `timer` of `shard` was asked for.
    pub fn touched(&self, timer: &str, shard: u16) {
        self.timers.borrow_mut().entry(timer.to_owned()).or_insert(shard);
    }

    /// Every timer that was asked for, with its shard.
    #[must_use]
    pub fn timers(&self) -> Vec<(String, u16)> {
        self.timers.borrow().iter().map(|(name, shard)| (name.clone(), *shard)).collect()
    }

    /// Writes the history to a file.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut writer = HistoryWriter::new(BufWriter::new(File::create(path)?));
        for event in self.events.borrow().iter() {
            writer.write(event)?;
        }
        writer.into_inner().flush()?;
        Ok(())
    }

    /// What the checkers say.
    ///
    /// # Errors
    /// When the events do not add up: the harness is wrong, not the product.
    pub fn judge(&self) -> anyhow::Result<Report> {
        let mut builder = HistoryBuilder::new();
        for (line, event) in (1..).zip(self.events.borrow().iter()) {
            builder.push(line, event.clone())?;
        }
        Ok(check(&builder.finish()?))
    }
}
