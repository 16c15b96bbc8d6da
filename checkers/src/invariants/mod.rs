//! One file per promise: each takes an indexed history and says what is broken. Deliberately not here: I9 and
//! I11, which have nothing to be checked against yet (see the crate's documentation).

pub mod i10_equal_hashes;
pub mod i12_recovery;
pub mod i13_boundaries;
pub mod i14_not_empty;
pub mod i1_ghosts;
pub mod i1_linearizable;
pub mod i2_nothing_lost;
pub mod i3_never_early;
pub mod i4_definite_delete;
pub mod i5_definite_replace;
pub mod i6_attempts_once;
pub mod i7_silence_after_completion;
pub mod i8_retries;

mod definite;

use crate::index::History;
use crate::verdict::Findings;

/// Everything that is wrong with `history`, in the order of the invariants.
#[must_use]
pub fn check_all(history: &History) -> Findings {
    let checks = [
        i1_linearizable::check,
        i1_ghosts::check,
        i2_nothing_lost::check,
        i3_never_early::check,
        i4_definite_delete::check,
        i5_definite_replace::check,
        i6_attempts_once::check,
        i7_silence_after_completion::check,
        i8_retries::check,
        i10_equal_hashes::check,
        i12_recovery::check,
        i13_boundaries::check,
        i14_not_empty::check,
    ];
    let mut findings = Findings::default();
    for check in checks {
        findings.merge(check(history));
    }
    findings
}

#[cfg(test)]
mod tests;
