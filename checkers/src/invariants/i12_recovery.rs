//! I12: after a heal or a kill a shard takes writes again by itself, within `recoveryBoundMs`.
//!
//! A start is the moment from which a shard must work: its becoming able (a heal, or the begin of the run), or the
//! begin or end of a fault that took effect while it was able (a kill of its leader). From there to the first write
//! that was called after it and succeeded is the recovery. Sound because a start is dropped if the shard became
//! unable before the bound had passed, and because a late success alone proves nothing: there must be a write that
//! was called after the start, and that the shard was still failing when the bound had passed. If nobody tried,
//! that is a doubt. Deliberately not here: reads, and how long the grace time of I2 is.

use std::collections::BTreeSet;

use crate::history::Outcome;
use crate::index::{History, Operation};
use crate::verdict::{Breach, Findings, Invariant, Violation};

/// How long one shard took to accept writes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The shard.
    pub shard: u16,
    /// From when it had to work, in nanoseconds.
    pub from_ns: u64,
    /// When the first write returned that was called after that; `None` if none did.
    pub written_ns: Option<u64>,
    /// The line of a write that shows that the shard did not work when the bound had passed.
    pub failing: Option<u64>,
}

/// Shards that did not recover in time.
#[must_use]
pub fn check(history: &History) -> Findings {
    let bound_ns = history.run.recovery_bound_ms.saturating_mul(1_000_000);
    let mut findings = Findings::default();
    let mut untried = 0_u64;
    for Recovery { shard, from_ns, written_ns, failing } in recoveries(history) {
        let took_ns = written_ns.unwrap_or(history.end_ns).saturating_sub(from_ns);
        if took_ns <= bound_ns {
            continue;
        }
        let Some(line) = failing else {
            untried += 1;
            continue;
        };
        let until = if written_ns.is_some() { "" } else { " until the end" };
        let took_ms = took_ns / 1_000_000;
        let from_ms = from_ns / 1_000_000;
        let sentence = format!(
            "shard {shard} had to work again from {from_ms} ms and took no write{until} for {took_ms} ms"
        );
        let why = (Invariant::I12, Breach::NotRecovered);
        findings.violations.push(Violation::new(why, None, [line], sentence));
    }
    if untried > 0 {
        let doubt =
            format!("I12: {untried} times a shard had to recover and nobody tried to write to it in time");
        findings.doubts.push(doubt);
    }
    findings
}

/// Every start that can be judged, with what came of it.
#[must_use]
pub fn recoveries(history: &History) -> Vec<Recovery> {
    let bound_ns = history.run.recovery_bound_ms.saturating_mul(1_000_000);
    let mut found = Vec::new();
    for shard in 0..history.run.shards {
        let writes = Writes::of(history, shard);
        for from_ns in starts(history, shard) {
            let written_ns = writes.written(from_ns);
            let limit_ns = from_ns.saturating_add(bound_ns);
            let judged_ns = written_ns.unwrap_or(u64::MAX).min(limit_ns);
            if able_until(history, shard, from_ns) >= judged_ns {
                let failing = writes.failing(from_ns, limit_ns, written_ns.unwrap_or(u64::MAX));
                found.push(Recovery { shard, from_ns, written_ns, failing });
            }
        }
    }
    found
}

fn starts(history: &History, shard: u16) -> BTreeSet<u64> {
    let changes = history.timeline.changes(shard);
    let heals = changes.iter().filter(|(_, able)| *able).map(|(at_ns, _)| *at_ns);
    let effective = history.timeline.faults.iter().filter(|fault| fault.effective);
    let faults = effective.flat_map(|fault| [fault.begin_ns, fault.end_ns]);
    let while_able = faults.filter(|at_ns| {
        let past = changes.partition_point(|(change_ns, _)| change_ns <= at_ns);
        past.checked_sub(1).and_then(|last| changes.get(last)).is_some_and(|(_, able)| *able)
    });
    heals.chain(while_able).collect()
}

/// When the shard became unable after `from_ns`; never, if it did not.
fn able_until(history: &History, shard: u16, from_ns: u64) -> u64 {
    let changes = history.timeline.changes(shard);
    let after = changes.iter().filter(|(at_ns, able)| *at_ns > from_ns && !able);
    after.map(|(at_ns, _)| *at_ns).next().unwrap_or(u64::MAX)
}

/// The writes to a shard by the time of their calls.
struct Writes<'a> {
    called: Vec<&'a Operation>,
    /// For each place in `called`, the earliest successful return of it and those after it.
    earliest: Vec<Option<u64>>,
}

impl<'a> Writes<'a> {
    fn of(history: &'a History, shard: u16) -> Self {
        let timers = history.timers.iter().filter(|timer| timer.shard == Some(shard));
        let operations = timers.flat_map(|timer| &timer.operations);
        let mut called: Vec<_> = operations.filter(|operation| operation.action.is_mutation()).collect();
        called.sort_by_key(|operation| operation.call_ns);
        let mut earliest = vec![None; called.len()];
        let mut best: Option<u64> = None;
        for (place, operation) in called.iter().enumerate().rev() {
            let here = operation.answer().map(|_| operation.return_ns);
            best = here.into_iter().chain(best).min();
            earliest[place] = best;
        }
        Self { called, earliest }
    }

    /// The place of the first that was called at `from_ns` or later.
    fn first(&self, from_ns: u64) -> usize {
        self.called.partition_point(|operation| operation.call_ns < from_ns)
    }

    /// When the first write that was called at `from_ns` or later succeeded.
    fn written(&self, from_ns: u64) -> Option<u64> {
        self.earliest.get(self.first(from_ns)).copied().flatten()
    }

    /// The line of a write that was called at `from_ns` or later and was not through at `limit_ns`, of those before
    /// the first success at `written_ns`.
    fn failing(&self, from_ns: u64, limit_ns: u64, written_ns: u64) -> Option<u64> {
        if written_ns <= limit_ns {
            return None;
        }
        let tried = self.called.iter().skip(self.first(from_ns));
        let mut tried = tried.take_while(|operation| operation.call_ns < written_ns);
        let failing = tried.find(|operation| {
            let late = operation.back_ns.is_some_and(|back_ns| back_ns > limit_ns);
            match &operation.outcome {
                // It waited all the while.
                Outcome::Ok(_) => operation.call_ns <= limit_ns && late,
                // What is refused with 4xx has been decided by the shard.
                Outcome::Refused(refusal) => !(400..500).contains(&refusal.status) && late,
                Outcome::Unknown { .. } => late,
            }
        });
        failing.map(|operation| operation.line())
    }
}
