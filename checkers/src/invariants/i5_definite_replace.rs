//! I5: a replace is definite. After the answer of a PUT or PATCH that shows a generation, no attempt of an older
//! one is received, or only those that had begun and only until the moment that the answer names.
//!
//! Computed by joining deliveries with answers on the generation. Sound as I4 is; a PUT or PATCH that changed
//! nothing repeats what was found when its generation came into force, so it can be held to the same. Deliberately
//! not here: GET, whose `attemptInFlight` is about the generation in force.

use super::definite::{Definite, broken};
use crate::history::Action;
use crate::index::History;
use crate::verdict::{Findings, Invariant};

/// Deliveries that a replace had ruled out.
#[must_use]
pub fn check(history: &History) -> Findings {
    let mut findings = Findings::default();
    for timer in history.timers.iter().filter(|timer| !timer.deliveries.is_empty()) {
        for operation in &timer.operations {
            let replaces = match &operation.action {
                Action::Create { .. } | Action::Put { .. } | Action::Patch { .. } => true,
                Action::Get | Action::Delete { .. } => false,
            };
            let (true, Some(answer)) = (replaces, operation.answer()) else { continue };
            // What was counted of the old generation does not stand in the answer about the new one.
            let definite = Definite { operation, answer, below: answer.generation, attempts: None };
            findings.violations.extend(broken(history, timer, Invariant::I5, &definite));
        }
    }
    findings
}
