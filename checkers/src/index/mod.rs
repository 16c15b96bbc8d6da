//! A history put in order: operations with both their ends, deliveries by timer, faults as spans. Deliberately
//! not here: any verdict, and the lines themselves, which are only kept as numbers.

mod builder;
mod generations;
mod timeline;

pub use builder::{HistoryBuilder, HistoryError};
pub use generations::Generation;
pub use timeline::{FaultSpan, Session, Timeline};

use std::collections::BTreeMap;

use crate::history::{Action, Answer, Boundary, Delivery, Outcome, PhaseName, Probe, Run};

/// An indexed history.
#[derive(Clone, Debug)]
pub struct History {
    /// The head.
    pub run: Run,
    /// By name, in the order of names.
    pub timers: Vec<TimerHistory>,
    /// What happened to the cluster.
    pub timeline: Timeline,
    /// With their lines.
    pub probes: Vec<(u64, Probe)>,
    /// With their lines.
    pub boundaries: Vec<(u64, Boundary)>,
    /// The latest time in the history, in nanoseconds.
    pub end_ns: u64,
}

/// What happened to one timer.
#[derive(Clone, Debug)]
pub struct TimerHistory {
    /// Its name.
    pub name: String,
    /// Its shard; `None` if nobody ever called it.
    pub shard: Option<u16>,
    /// By the time of their call.
    pub operations: Vec<Operation>,
    /// By the time they were received.
    pub deliveries: Vec<Received>,
    /// Every generation that an answer or a delivery tells of.
    pub generations: BTreeMap<u64, Generation>,
}

/// A call and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Names it.
    pub op: u64,
    /// Who asked.
    pub process: u32,
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
    /// What was asked for.
    pub action: Action,
    /// What came of it: unknown if it never returned.
    pub outcome: Outcome,
    /// When it was called.
    pub call_ns: u64,
    /// When it returned; [`u64::MAX`] if it never did, or with an unknown outcome, since it may still take effect.
    pub return_ns: u64,
    /// When the client had its answer or gave up; `None` if it never came back.
    pub back_ns: Option<u64>,
    /// The line of the call.
    pub call_line: u64,
    /// The line of the return, if there is one.
    pub return_line: Option<u64>,
    /// The phase in which it was called; `None` before the first.
    pub phase: Option<PhaseName>,
}

/// A delivery and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its line.
    pub line: u64,
    /// What was received.
    pub delivery: Delivery,
}

impl Operation {
    /// The answer of an operation that took effect or read.
    #[must_use]
    pub const fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Ok(answer) => Some(answer),
            Outcome::Refused(_) | Outcome::Unknown { .. } => None,
        }
    }

    /// The timer that the answer shows, also inside a refusal.
    #[must_use]
    pub fn shown(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Ok(answer) => Some(answer),
            Outcome::Refused(refusal) => refusal.timer.as_ref(),
            Outcome::Unknown { .. } => None,
        }
    }

    /// The timer that the answer shows as it was between call and return; `None` for an answer that is given
    /// again.
    #[must_use]
    pub fn shown_now(&self) -> Option<&Answer> {
        self.shown().filter(|answer| !answer.replayed)
    }

    /// Whether it is not known what became of it.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self.outcome, Outcome::Unknown { .. })
    }

    /// Its lines.
    #[must_use]
    pub fn lines(&self) -> Vec<u64> {
        std::iter::once(self.call_line).chain(self.return_line).collect()
    }

    /// The line that tells most: that of the return, if there is one.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.return_line.unwrap_or(self.call_line)
    }
}

impl Received {
    /// What names the attempt within its timer.
    #[must_use]
    pub const fn attempt(&self) -> (u64, u32) {
        (self.delivery.generation, self.delivery.attempt)
    }
}

impl History {
    /// The nanosecond of the harness's clock at a wall-clock millisecond; 0 for what was before the run.
    #[must_use]
    pub const fn ns_of(&self, wall_ms: u64) -> u64 {
        wall_ms.saturating_sub(self.run.wall_ms_at_zero).saturating_mul(1_000_000)
    }

    /// The wall-clock millisecond at a nanosecond of the harness's clock, rounded down.
    #[must_use]
    pub const fn wall_ms(&self, ns: u64) -> u64 {
        self.run.wall_ms_at_zero.saturating_add(ns / 1_000_000)
    }

    /// By how many milliseconds the sender of what was received at `received_ns` may have been wrong about the
    /// time: 0 unless a fault of clocks was in force within an attempt's time-out before it.
    #[must_use]
    pub fn clock_slack_ms(&self, received_ns: u64) -> u64 {
        let since = received_ns.saturating_sub(self.run.attempt_timeout_ms.saturating_mul(1_000_000));
        let off = self.timeline.faults.iter().any(|fault| {
            fault.effective && fault.clock_offset_ms.is_some() && fault.overlaps(since, received_ns)
        });
        if off { self.run.max_clock_offset_ms } else { 0 }
    }
}
