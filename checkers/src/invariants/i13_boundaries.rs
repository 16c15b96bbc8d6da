//! I13: what is accepted is kept as it was sent; what can't be kept is refused with 4xx.
//!
//! Computed from the cases of the boundary generator, which sends an input at the edge of what is allowed and reads
//! it back. Sound because the generator compares canonical forms: equal means the same instant, bytes or id.
//! A 5xx, or no answer, is a violation only in calm, and after a fault not before the grace time is over: else it says
//! nothing about the input. Deliberately not here: which inputs have to be accepted, which the contract's own tests hold.

use crate::history::Boundary;
use crate::index::History;
use crate::verdict::{Breach, Findings, Invariant, Violation};

/// Inputs that were neither kept nor properly refused.
#[must_use]
pub fn check(history: &History) -> Findings {
    let cases = history.boundaries.iter();
    let violations = cases.filter_map(|(line, boundary)| judge(history, *line, boundary)).collect();
    Findings { violations, doubts: Vec::new() }
}

fn judge(history: &History, line: u64, boundary: &Boundary) -> Option<Violation> {
    let Boundary { called_ns, at_ns, case, timer, status, sent, kept } = boundary;
    let from_ns = called_ns.saturating_sub(history.run.grace_ms.saturating_mul(1_000_000));
    let (breach, sentence) = match (status, kept) {
        (200..=299, Some(kept)) if kept == sent => return None,
        (200..=299, Some(kept)) => {
            (Breach::KeptOtherwise, format!("{case}: accepted {sent} and kept {kept}"))
        }
        (200..=299, None) => {
            (Breach::AcceptedAndGone, format!("{case}: accepted {sent}, and then it was not there"))
        }
        (400..=499, None) => return None,
        (400..=499, Some(kept)) => {
            (Breach::KeptOtherwise, format!("{case}: refused with {status}, and kept {kept}"))
        }
        (_, _) if !history.timeline.is_calm(from_ns, *at_ns) => return None,
        (_, _) => {
            (Breach::NotRefusedProperly, format!("{case}: neither accepted nor refused, but status {status}"))
        }
    };
    Some(Violation::new((Invariant::I13, breach), Some(timer), [line], sentence))
}
