//! Whether one timer's operations can be put in one order that explains every answer (I1).
//!
//! A candidate order that the answers' version numbers suggest is tried first (`fast_path.rs`); what it does not
//! prove is searched (`search.rs`). Both ask the same sequential rules (`rules.rs`), so the fast path can be
//! wrong in one direction only: it may give up. Deliberately not here: other invariants, and time beyond call
//! and return.

mod fast_path;
mod operations;
mod register;
mod rules;
mod search;

#[cfg(test)]
mod tests;

pub use rules::Misfit;

use crate::index::TimerHistory;

/// Operations of a timer that can be judged; the harnesses keep to it.
pub const OPERATIONS_MAX: usize = 100;

/// What is known of one timer's operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// There is an order that explains them.
    Linearizable,
    /// There is none.
    NotLinearizable(Stuck),
    /// Nobody can say: too many operations, or a search beyond its bound.
    Undecided(String),
}

/// Where the longest order that explains the operations ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// The operation that fits nowhere: its position in the timer's operations.
    pub operation: usize,
    /// Why it does not fit where the longest order ends.
    pub why: Misfit,
    /// How many operations that order explains.
    pub explained: usize,
}

/// Judges the operations of one timer.
#[must_use]
pub fn judge(timer: &TimerHistory) -> Judgement {
    let prepared = operations::prepare(&timer.operations);
    if prepared.len() > OPERATIONS_MAX {
        return Judgement::Undecided(format!(
            "{} operations, of which at most {OPERATIONS_MAX} can be judged",
            prepared.len()
        ));
    }
    if fast_path::proves(&prepared) {
        return Judgement::Linearizable;
    }
    search::search(&prepared)
}
