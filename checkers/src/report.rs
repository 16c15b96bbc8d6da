//! What a run amounts to, in figures and in words: the line for `results.jsonl`, and the findings behind it.
//! Deliberately not here: printing, and the fields that only a harness knows (`commit`, `date`, `profile`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use serde::{Deserialize, Serialize};

use crate::history::{HistoryReader, ReadError};
use crate::index::{Generation, History, HistoryBuilder, HistoryError, TimerHistory};
use crate::invariants::check_all;
use crate::invariants::i12_recovery::recoveries;
use crate::verdict::{Breach, Findings, Verdict, Violation};

/// The verdict, what it rests on, and the figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// For `results.jsonl`.
    pub summary: Summary,
    /// What is broken, in the order of the invariants.
    pub violations: Vec<Violation>,
    /// Why the verdict can't be a pass.
    pub doubts: Vec<String>,
}

/// The figures of one run, named as in RELIABILITY.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Of the run.
    pub seed: u64,
    /// Of the cluster.
    pub nodes: u32,
    /// Of the cluster.
    pub shards: u16,
    /// Time in which at least one fault was in force, in whole seconds.
    pub fault_seconds: u64,
    /// Kinds of fault that took effect.
    pub fault_kinds: Vec<String>,
    /// Faults that took effect.
    pub faults_effective: u64,
    /// Of these, those of the kinds `powerCut…`.
    pub power_cuts: u64,
    /// Of these, those of the kinds `bitFlip…`.
    pub bit_flips: u64,
    /// Operations that took effect or read.
    pub operations_ok: u64,
    /// Operations that were definitely refused.
    pub operations_refused: u64,
    /// Operations whose outcome is unknown.
    pub operations_unknown: u64,
    /// Generations that a client was told of when it made them.
    pub acked: u64,
    /// Generations that were delivered at least once.
    pub fired: u64,
    /// Generations lost: never delivered, or never retried.
    pub lost: u64,
    /// Generations delivered too late.
    pub late: u64,
    /// Deliveries before their time.
    pub early: u64,
    /// Generations delivered that nobody made, and deliveries after a clean cancel or replace.
    pub ghost: u64,
    /// Deliveries of an attempt that had been received before.
    pub duplicates: u64,
    /// Of these, those of an attempt that had been answered before. The others had hung or been reset: they would have been
    /// called again without any fault, as the next attempt.
    pub duplicates_answered: u64,
    /// Of all, those with a lower token than one that was received before for the timer.
    pub duplicates_fenced: u64,
    /// Of all, the others: only `webhook-id` tells them.
    pub duplicates_unfenced: u64,
    /// Deliveries with a lower token than one that was received before for the timer.
    pub zombies: u64,
    /// From the time that a timer was due, or made if that was later, to its first delivery.
    pub lateness_ms: Lateness,
    /// The longest recovery of a shard, in milliseconds (I12).
    pub recovery_ms_max: u64,
    /// What it amounts to.
    pub verdict: Verdict,
}

/// Percentiles in milliseconds; all 0 if nothing fired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    /// The median.
    pub p50: u64,
    /// 99 of 100 were no later.
    pub p99: u64,
    /// The latest.
    pub max: u64,
}

/// Why a history can't be judged.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its lines do not add up.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// Reads and indexes a history.
///
/// # Errors
/// When the stream fails, a line is not an event, or the lines do not add up.
pub fn read(from: impl BufRead) -> Result<History, LoadError> {
    let mut builder = HistoryBuilder::new();
    for event in HistoryReader::new(from) {
        let (line, event) = event?;
        builder.push(line, event)?;
    }
    Ok(builder.finish()?)
}

/// Judges a history by every invariant.
#[must_use]
pub fn check(history: &History) -> Report {
    let findings = check_all(history);
    let summary = summary(history, &findings);
    Report { summary, violations: findings.violations, doubts: findings.doubts }
}

fn summary(history: &History, findings: &Findings) -> Summary {
    let counts = findings.counts();
    let count = |breaches: &[Breach]| breaches.iter().filter_map(|breach| counts.get(breach)).sum();
    let effective = || history.timeline.faults.iter().filter(|fault| fault.effective);
    let of_kind = |start: &str| effective().filter(|fault| fault.kind.starts_with(start)).count() as u64;
    let operations = || history.timers.iter().flat_map(|timer| &timer.operations);
    let unknown = operations().filter(|operation| operation.is_unknown()).count() as u64;
    let ok = operations().filter(|operation| operation.answer().is_some()).count() as u64;
    let firing = firing(history);
    let recovered = recoveries(history)
        .into_iter()
        .filter_map(|recovery| Some(recovery.written_ns?.saturating_sub(recovery.from_ns) / 1_000_000));
    Summary {
        seed: history.run.seed,
        nodes: history.run.nodes,
        shards: history.run.shards,
        fault_seconds: fault_ns(history) / 1_000_000_000,
        fault_kinds: effective()
            .map(|fault| fault.kind.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        faults_effective: effective().count() as u64,
        power_cuts: of_kind("powerCut"),
        bit_flips: of_kind("bitFlip"),
        operations_ok: ok,
        operations_refused: operations().count() as u64 - ok - unknown,
        operations_unknown: unknown,
        acked: firing.acked,
        fired: firing.fired,
        lost: count(&[Breach::Lost, Breach::FinishedUnseen, Breach::NeverRetried]),
        late: count(&[Breach::TooLate]),
        early: count(&[Breach::Early]),
        ghost: count(&[Breach::Ghost, Breach::AfterCleanAnswer]),
        duplicates: firing.duplicates_fenced + firing.duplicates_unfenced,
        duplicates_answered: firing.duplicates_answered,
        duplicates_fenced: firing.duplicates_fenced,
        duplicates_unfenced: firing.duplicates_unfenced,
        zombies: firing.zombies,
        lateness_ms: lateness(firing.lateness_ms),
        recovery_ms_max: recovered.max().unwrap_or(0),
        verdict: findings.verdict(),
    }
}

#[derive(Default)]
struct Firing {
    acked: u64,
    fired: u64,
    duplicates_answered: u64,
    duplicates_fenced: u64,
    duplicates_unfenced: u64,
    zombies: u64,
    lateness_ms: Vec<u64>,
}

fn firing(history: &History) -> Firing {
    let mut firing = Firing::default();
    for timer in &history.timers {
        for generation in timer.generations.values() {
            firing.acked += u64::from(generation.made_by.is_some());
            firing.fired += u64::from(!generation.deliveries.is_empty());
            firing.lateness_ms.extend(late_by(history, timer, generation));
        }
        // Whether it was answered, by attempt.
        let mut seen: BTreeMap<_, bool> = BTreeMap::new();
        let mut newest = None;
        for received in &timer.deliveries {
            let stale = newest > Some(received.delivery.token);
            let before = seen.get(&received.attempt()).copied();
            let (again, answered) = (before.is_some(), before == Some(true));
            let answered_now = received.delivery.answered_ns.is_some();
            seen.insert(received.attempt(), answered || answered_now);
            firing.duplicates_answered += u64::from(answered);
            firing.zombies += u64::from(stale);
            firing.duplicates_fenced += u64::from(again && stale);
            firing.duplicates_unfenced += u64::from(again && !stale);
            newest = newest.max(Some(received.delivery.token));
        }
    }
    firing
}

/// How late the first delivery was, in milliseconds.
fn late_by(history: &History, timer: &TimerHistory, generation: &Generation) -> Option<u64> {
    let first = generation.deliveries.first().and_then(|position| timer.deliveries.get(*position))?;
    let made = generation.made_by.and_then(|position| timer.operations.get(position));
    let made_ms = made.map_or(0, |operation| history.wall_ms(operation.call_ns));
    let due_ms = generation.execute_at_ms?.max(made_ms);
    Some(first.delivery.received_ms.saturating_sub(due_ms))
}

fn lateness(mut of_all: Vec<u64>) -> Lateness {
    of_all.sort_unstable();
    let at = |permille: usize| {
        let rank = (of_all.len() * permille).div_ceil(1000).max(1);
        of_all.get(rank - 1).copied().unwrap_or(0)
    };
    Lateness { p50: at(500), p99: at(990), max: at(1000) }
}

/// The time covered by faults that took effect, overlaps counted once.
fn fault_ns(history: &History) -> u64 {
    let mut covered_ns = 0;
    let mut until_ns = 0;
    for fault in history.timeline.faults.iter().filter(|fault| fault.effective) {
        covered_ns += fault.end_ns.saturating_sub(fault.begin_ns.max(until_ns));
        until_ns = until_ns.max(fault.end_ns);
    }
    covered_ns
}

impl Report {
    /// The verdict.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.summary.verdict
    }

    /// Violations and doubts as lines for people: at most `lines_max` of each kind, then how many more there are.
    #[must_use]
    pub fn lines(&self, lines_max: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut of_kind: BTreeMap<Breach, usize> = BTreeMap::new();
        for violation in &self.violations {
            let seen = of_kind.entry(violation.breach).or_default();
            *seen += 1;
            if *seen <= lines_max {
                lines.push(format!("VIOLATION {violation}"));
            }
        }
        for (breach, seen) in of_kind {
            if seen > lines_max {
                lines.push(format!("VIOLATION {breach:?}: {} more", seen - lines_max));
            }
        }
        lines.extend(self.doubts.iter().take(lines_max).map(|doubt| format!("UNKNOWN {doubt}")));
        if self.doubts.len() > lines_max {
            lines.push(format!("UNKNOWN: {} more", self.doubts.len() - lines_max));
        }
        lines
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
