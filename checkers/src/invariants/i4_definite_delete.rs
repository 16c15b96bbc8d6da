//! I4: a delete is definite. After a clean answer no attempt of the generation, nor of an older one, is received;
//! after "in flight" or "possible" only attempts that had begun, until the moment that the answer names.
//!
//! Computed by joining deliveries with deletes on the generation. Sound because a delivery is held against an
//! answer only if it was received after the client had that answer, and because generations of one timer grow:
//! all that are not larger than the cancelled one were out of force. A purge answers for what it erases in the same
//! words. Deliberately not here: deletes whose outcome is unknown, which promise nothing.

use super::definite::{Definite, broken};
use crate::history::Action;
use crate::index::History;
use crate::verdict::{Findings, Invariant};

/// Deliveries that a delete had ruled out.
#[must_use]
pub fn check(history: &History) -> Findings {
    let mut findings = Findings::default();
    for timer in history.timers.iter().filter(|timer| !timer.deliveries.is_empty()) {
        for operation in &timer.operations {
            let (Action::Delete { .. }, Some(answer)) = (&operation.action, operation.answer()) else {
                continue;
            };
            if answer.state.is_pending() {
                continue;
            }
            let counted = (answer.generation, answer.attempts);
            let definite = Definite {
                operation,
                answer,
                below: answer.generation.saturating_add(1),
                attempts: (!answer.replayed).then_some(counted),
            };
            findings.violations.extend(broken(history, timer, Invariant::I4, &definite));
        }
    }
    findings
}
