//! Puts events in order as they come. Deliberately not here: reading, which [`crate::history`] does, so that a
//! simulator can push events without writing them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::generations::generations;
use super::timeline::TimelineBuilder;
use super::{History, Operation, Received, TimerHistory};
use crate::history::{Boundary, Call, Event, Outcome, PhaseName, Probe, Return, Run};

/// Takes events in the order of their lines.
#[derive(Debug, Default)]
pub struct HistoryBuilder {
    run: Option<Run>,
    timers: BTreeMap<String, Parts>,
    /// Where an operation is that has not returned: timer, position.
    open: BTreeMap<u64, (String, usize)>,
    called: std::collections::BTreeSet<u64>,
    timeline: TimelineBuilder,
    probes: Vec<(u64, Probe)>,
    boundaries: Vec<(u64, Boundary)>,
    end_ns: u64,
}

#[derive(Debug, Default)]
struct Parts {
    shard: Option<u16>,
    operations: Vec<Operation>,
    deliveries: Vec<Received>,
}

/// Why lines do not add up to a history: the harness is wrong, not the product.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// There is no head.
    #[error("the history does not begin with a `run` line")]
    NoRun,
    /// There are two heads.
    #[error("line {line}: a second `run` line")]
    SecondRun {
        /// The line.
        line: u64,
    },
    /// Two operations have the same name.
    #[error("line {line}: operation {op} was called before")]
    CalledTwice {
        /// The line.
        line: u64,
        /// The operation.
        op: u64,
    },
    /// An operation returns that is not under way.
    #[error("line {line}: operation {op} returns without a call, or a second time")]
    ReturnWithoutCall {
        /// The line.
        line: u64,
        /// The operation.
        op: u64,
    },
    /// Time runs backwards.
    #[error("line {line}: it ends before it began")]
    EndsBeforeBegin {
        /// The line.
        line: u64,
    },
    /// A fault begins twice, or ends without having begun.
    #[error("line {line}: fault {fault} begins twice, or ends without having begun")]
    FaultOutOfTurn {
        /// The line.
        line: u64,
        /// The fault.
        fault: u64,
    },
    /// A timer has two shards.
    #[error("line {line}: timer {timer} was in another shard before")]
    TwoShards {
        /// The line.
        line: u64,
        /// The timer.
        timer: String,
    },
}

impl HistoryBuilder {
    /// An empty history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one event that stands at `line`.
    ///
    /// # Errors
    /// When it does not fit what came before.
    pub fn push(&mut self, line: u64, event: Event) -> Result<(), HistoryError> {
        if self.run.is_none() && !matches!(event, Event::Run(_)) {
            return Err(HistoryError::NoRun);
        }
        match event {
            Event::Run(run) => {
                if self.run.replace(run).is_some() {
                    return Err(HistoryError::SecondRun { line });
                }
            }
            Event::Phase(change) => {
                self.see(change.at_ns);
                self.timeline.phases.push((change.at_ns, change.phase));
            }
            Event::Call(call) => self.call(line, call)?,
            Event::Return(returned) => self.returned(line, returned)?,
            Event::Delivery(delivery) => {
                self.see(delivery.answered_ns.unwrap_or_default().max(delivery.at_ns));
                if delivery.answered_ns.is_some_and(|answered| answered < delivery.at_ns) {
                    return Err(HistoryError::EndsBeforeBegin { line });
                }
                let parts = self.timers.entry(delivery.timer.clone()).or_default();
                parts.deliveries.push(Received { line, delivery });
            }
            Event::FaultBegin(begin) => {
                self.see(begin.at_ns);
                self.timeline.fault_begin(line, begin)?;
            }
            Event::FaultEnd(end) => {
                self.see(end.at_ns);
                self.timeline.fault_end(line, end)?;
            }
            Event::Health(health) => {
                self.see(health.at_ns);
                self.timeline.health.push(health);
            }
            Event::Leader(leader) => {
                self.see(leader.at_ns);
                self.timeline.leaders.push((line, leader));
            }
            Event::Probe(probe) => {
                self.see(probe.at_ns);
                self.probes.push((line, probe));
            }
            Event::Boundary(boundary) => {
                self.see(boundary.at_ns);
                self.boundaries.push((line, boundary));
            }
        }
        Ok(())
    }

    /// Puts everything in order.
    ///
    /// # Errors
    /// When there was no head.
    pub fn finish(self) -> Result<History, HistoryError> {
        let run = self.run.ok_or(HistoryError::NoRun)?;
        let timeline = self.timeline.finish(&run, self.end_ns);
        let timers = self.timers.into_iter().map(|(name, parts)| parts.finish(name, &run, &timeline.phases));
        let timers = timers.collect();
        let (probes, boundaries) = (self.probes, self.boundaries);
        Ok(History { run, timers, timeline, probes, boundaries, end_ns: self.end_ns })
    }

    fn see(&mut self, at_ns: u64) {
        self.end_ns = self.end_ns.max(at_ns);
    }

    fn call(&mut self, line: u64, call: Call) -> Result<(), HistoryError> {
        self.see(call.at_ns);
        if !self.called.insert(call.op) {
            return Err(HistoryError::CalledTwice { line, op: call.op });
        }
        let parts = self.timers.entry(call.timer.clone()).or_default();
        if *parts.shard.get_or_insert(call.shard) != call.shard {
            return Err(HistoryError::TwoShards { line, timer: call.timer });
        }
        self.open.insert(call.op, (call.timer, parts.operations.len()));
        parts.operations.push(Operation {
            op: call.op,
            process: call.process,
            key: call.key,
            action: call.action,
            outcome: Outcome::Unknown { detail: "it never returned".into() },
            call_ns: call.at_ns,
            return_ns: u64::MAX,
            back_ns: None,
            call_line: line,
            return_line: None,
            phase: None,
        });
        Ok(())
    }

    fn returned(&mut self, line: u64, returned: Return) -> Result<(), HistoryError> {
        self.see(returned.at_ns);
        let Entry::Occupied(open) = self.open.entry(returned.op) else {
            return Err(HistoryError::ReturnWithoutCall { line, op: returned.op });
        };
        let (timer, position) = open.remove();
        let operation = self.timers.get_mut(&timer).and_then(|parts| parts.operations.get_mut(position));
        let Some(operation) = operation else {
            return Err(HistoryError::ReturnWithoutCall { line, op: returned.op });
        };
        if returned.at_ns < operation.call_ns {
            return Err(HistoryError::EndsBeforeBegin { line });
        }
        operation.outcome = returned.outcome;
        operation.return_ns = if operation.is_unknown() { u64::MAX } else { returned.at_ns };
        operation.back_ns = Some(returned.at_ns);
        operation.return_line = Some(line);
        Ok(())
    }
}

impl Parts {
    fn finish(mut self, name: String, run: &Run, phases: &[(u64, PhaseName)]) -> TimerHistory {
        self.operations.sort_by_key(|operation| (operation.call_ns, operation.op));
        self.deliveries.sort_by_key(|received| (received.delivery.at_ns, received.line));
        for operation in &mut self.operations {
            let past = phases.partition_point(|(at_ns, _)| *at_ns <= operation.call_ns);
            operation.phase = past.checked_sub(1).and_then(|last| phases.get(last)).map(|(_, phase)| *phase);
        }
        let generations = generations(run, &self.operations, &self.deliveries);
        let Self { shard, operations, deliveries } = self;
        TimerHistory { name, shard, operations, deliveries, generations }
    }
}
