//! I1: the operations on each timer take effect in one order that respects real time, and one request takes
//! effect once.
//!
//! Computed per timer by [`crate::linearizability`]: the order by versions first, a search for what that does
//! not prove. Sound because timers share nothing that a client can see (linearizability is local: Herlihy and
//! Wing, "Linearizability", TOPLAS 12(3), 1990), and because an operation with unknown outcome may be placed at
//! any time after its call, or nowhere. A repeated key is one request: while its answer is kept, the rules let
//! it do nothing but give that answer again. Deliberately not here: what receivers saw.

use crate::index::{History, TimerHistory};
use crate::linearizability::{Judgement, Stuck, judge};
use crate::verdict::{Breach, Findings, Invariant, Violation};

/// Timers whose operations no order explains; doubts for those that nobody could judge.
#[must_use]
pub fn check(history: &History) -> Findings {
    let mut findings = Findings::default();
    for timer in &history.timers {
        match judge(timer) {
            Judgement::Linearizable => {}
            Judgement::NotLinearizable(stuck) => findings.violations.push(violation(timer, &stuck)),
            Judgement::Undecided(why) => findings.doubts.push(format!("I1: timer {}: {why}", timer.name)),
        }
    }
    findings
}

fn violation(timer: &TimerHistory, stuck: &Stuck) -> Violation {
    let (name, line) = timer
        .operations
        .get(stuck.operation)
        .map_or(("operation", 0), |operation| (operation.action.name(), operation.line()));
    let sentence = format!(
        "no order explains the answers of this timer: after {} operations that fit, the {name} answered in line \
         {line} fits nowhere, because {}",
        stuck.explained, stuck.why
    );
    let lines = timer.operations.iter().flat_map(crate::index::Operation::lines);
    Violation::new((Invariant::I1, Breach::NotLinearizable), Some(&timer.name), lines, sentence)
}
