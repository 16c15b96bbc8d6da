//! The order that the version numbers of the answers suggest, tried once. Versions grow with every change and
//! are never used again, so for a history without unknown outcomes there is hardly another order to try: sort
//! by version, changes before reads. The order counts only if the rules explain every answer in it and real
//! time allows it. Deliberately not here: a verdict against; whoever gives up asks the search.
//!
//! Real time allows an order if every operation can take effect between its call and its return, none before
//! the one it follows. The earliest moment that is possible is the latest of the calls so far, which is why one
//! pass is enough (Gibbons and Korach, "Testing shared memories", SIAM J. Comput. 26(4), 1997, on registers
//! whose write order is known).

use super::operations::{Op, OpResult, Reason};
use super::register::Register;
use super::rules::step;
use crate::history::Action;

/// Whether the order by versions explains all answers, with what is unknown never having taken effect.
pub(super) fn proves(operations: &[Op<'_>]) -> bool {
    let mut order: Vec<(u64, Rank, u64, usize)> = Vec::with_capacity(operations.len());
    for (at, op) in operations.iter().enumerate() {
        if let Some((version, rank)) = place(op) {
            order.push((version, rank, op.call_ns, at));
        }
    }
    order.sort_unstable();
    let mut register = Register::default();
    let mut earliest_ns = 0;
    for (_, _, _, at) in order {
        let op = &operations[at];
        earliest_ns = op.call_ns.max(earliest_ns);
        if earliest_ns > op.return_ns {
            return false;
        }
        let Ok(number) = u16::try_from(at) else { return false };
        match step(&register, number, op) {
            Ok(after) => register = after,
            Err(_) => return false,
        }
    }
    true
}

/// What comes first among operations of one version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Makes,
    Reads,
    Erases,
}

/// The version that an operation made or saw, and its rank there; none for what is unknown.
fn place(op: &Op<'_>) -> Option<(u64, Rank)> {
    match op.result {
        OpResult::Unknown => None,
        OpResult::Done(answer) => Some((answer.version, rank(op.action))),
        OpResult::Refused(reason, refusal) => {
            let shown = refusal.timer.as_ref().map(|timer| timer.version).or(refusal.version);
            let version = match reason {
                // No timer: before the first version.
                Reason::NotFound | Reason::Mismatch => shown.unwrap_or(0),
                Reason::Finished | Reason::NotFinished => shown.unwrap_or(u64::MAX),
            };
            Some((version, Rank::Reads))
        }
    }
}

const fn rank(action: &Action) -> Rank {
    match action {
        Action::Get => Rank::Reads,
        Action::Delete { purge: true, .. } => Rank::Erases,
        Action::Create { .. } | Action::Put { .. } | Action::Patch { .. } | Action::Delete { .. } => {
            Rank::Makes
        }
    }
}
