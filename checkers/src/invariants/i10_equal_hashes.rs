//! I10: replicas of a shard that have applied the same index have the same state.
//!
//! Computed from probes, grouped by shard and applied index; a node that is probed twice at one index is held to
//! it as well. Sound because apply is a function of the log alone. If no index was probed on two nodes nothing was
//! compared, which I14 says. Deliberately not here: that the wheel's keys are those of the timers' table, which
//! takes an offline scan with the storage crate.

use std::collections::BTreeMap;

use crate::index::History;
use crate::verdict::{Breach, Findings, Invariant, Violation};

/// Probes that differ from the first of their index.
#[must_use]
pub fn check(history: &History) -> Findings {
    let mut first = BTreeMap::new();
    let mut violations = Vec::new();
    for (line, probe) in &history.probes {
        let (first_line, first) = *first.entry((probe.shard, probe.applied_index)).or_insert((line, probe));
        if probe.hash != first.hash {
            let sentence = format!(
                "shard {} at applied index {}: node {} has state {}, node {} has {}",
                probe.shard, probe.applied_index, first.node, first.hash, probe.node, probe.hash
            );
            let lines = [*first_line, *line];
            violations.push(Violation::new((Invariant::I10, Breach::HashesDiffer), None, lines, sentence));
        }
    }
    Findings { violations, doubts: Vec::new() }
}
