//! I14: the run was not empty. Counts what must have happened for the other verdicts to mean something; whatever is
//! missing is a doubt, so that the verdict is unknown and never a pass by default.
//!
//! Deliberately not here: violations. An empty run breaks no promise.

use std::collections::BTreeSet;

use crate::history::PhaseName;
use crate::index::History;
use crate::verdict::Findings;

/// What did not happen.
#[must_use]
pub fn check(history: &History) -> Findings {
    let mut doubts = Vec::new();
    rates(history, &mut doubts);
    final_reads(history, &mut doubts);
    probes(history, &mut doubts);
    if !history.run.fault_kinds.is_empty() {
        faults(history, &mut doubts);
    }
    Findings { violations: Vec::new(), doubts }
}

fn rates(history: &History, doubts: &mut Vec<String>) {
    let operations = || history.timers.iter().flat_map(|timer| &timer.operations);
    let answered = operations().filter(|operation| operation.answer().is_some());
    if !answered.clone().any(|operation| operation.action.makes_definitions()) {
        doubts.push("I14: no timer was acknowledged".into());
    }
    if !answered.clone().any(|operation| !operation.action.is_mutation()) {
        doubts.push("I14: no read was answered".into());
    }
    if history.timers.iter().all(|timer| timer.deliveries.is_empty()) {
        doubts.push("I14: no timer fired".into());
    }
}

/// Every timer that was acknowledged is read in the final phase.
fn final_reads(history: &History, doubts: &mut Vec<String>) {
    let unread = history.timers.iter().filter(|timer| {
        let acknowledged = timer.operations.iter().any(|operation| operation.answer().is_some());
        let read = timer.operations.iter().any(|operation| {
            let told = !operation.is_unknown() && !operation.action.is_mutation();
            told && operation.phase == Some(PhaseName::Final)
        });
        acknowledged && !read
    });
    let unread = unread.count();
    if unread > 0 {
        doubts.push(format!("I14: {unread} timers were not read in the final phase"));
    }
}

/// On some shard two replicas were compared at one index, if the harness can do that at all.
fn probes(history: &History, doubts: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    let mut indexes = BTreeSet::new();
    for (_, probe) in &history.probes {
        if seen.insert((probe.shard, probe.applied_index, probe.node)) {
            indexes.insert((probe.shard, probe.applied_index));
        }
    }
    if history.run.replicas_seen && history.run.nodes > 1 && seen.len() == indexes.len() {
        doubts.push("I14: no two replicas were compared at one applied index".into());
    }
}

fn faults(history: &History, doubts: &mut Vec<String>) {
    let effective = || history.timeline.faults.iter().filter(|fault| fault.effective);
    let kinds: BTreeSet<&str> = effective().map(|fault| fault.kind.as_str()).collect();
    let asked: BTreeSet<&str> = history.run.fault_kinds.iter().map(String::as_str).collect();
    for kind in asked.difference(&kinds) {
        doubts.push(format!("I14: the fault {kind} was asked for and never took effect"));
    }
    let deliveries = history.timers.iter().flat_map(|timer| &timer.deliveries);
    let spans: Vec<_> = effective().collect();
    let mut during = deliveries.filter(|received| {
        let at_ns = received.delivery.at_ns;
        spans.iter().any(|fault| fault.overlaps(at_ns, at_ns))
    });
    if during.next().is_none() {
        doubts.push("I14: no timer fired while a fault was in force".into());
    }
    // The first session of a shard is its beginning, not a change.
    if history.run.nodes > 1 && history.timeline.sessions.values().all(|sessions| sessions.len() < 2) {
        doubts.push("I14: no leader changed".into());
    }
}
