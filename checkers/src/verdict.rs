//! What checkers find, and what a run amounts to. Deliberately not here: figures ([`crate::report`]).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A promise of RELIABILITY.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Invariant {
    /// Linearizability per timer; one request makes at most one generation.
    I1,
    /// Nothing lost.
    I2,
    /// Never early.
    I3,
    /// A delete is definite.
    I4,
    /// A replace is definite.
    I5,
    /// An attempt is made once per session.
    I6,
    /// Silence after a completion that somebody has seen.
    I7,
    /// Retries keep to their policy.
    I8,
    /// Equal state at equal applied index.
    I10,
    /// Recovery without an operator.
    I12,
    /// Accepted is kept; the rest is refused.
    I13,
    /// The run was not empty.
    I14,
}

/// A way in which a promise can be broken. One each, so that a test and a person can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Breach {
    /// I1: no order of the operations explains the answers.
    NotLinearizable,
    /// I1: a generation was delivered that nobody asked for.
    Ghost,
    /// I2: never delivered.
    Lost,
    /// I2: the service says that it was delivered, or dead, and no receiver has seen it.
    FinishedUnseen,
    /// I2: delivered, but too late.
    TooLate,
    /// I2: a failed attempt was followed by nothing.
    NeverRetried,
    /// I3: delivered before its time.
    Early,
    /// I4, I5: delivered after a clean answer.
    AfterCleanAnswer,
    /// I4, I5: delivered after the moment that the answer had named.
    AfterInFlightEnd,
    /// I4, I5: an attempt that had not begun was made after the answer.
    BegunAfterAnswer,
    /// I6: one session made the same attempt twice.
    TwiceInOneSession,
    /// I6: an attempt was made again by a later leader though its outcome could have been known long before.
    RepeatedLate,
    /// I6: a fencing token came from two nodes.
    TokenOfTwoNodes,
    /// I6: a fencing token was used twice.
    TokenUsedTwice,
    /// I6: a later attempt carries a lower token.
    TokenDidNotGrow,
    /// I7: delivered after somebody had seen it completed.
    AfterCompletion,
    /// I8: more attempts than the policy allows.
    TooManyAttempts,
    /// I8: an attempt came before its wait was over.
    RetriedTooSoon,
    /// I8: an attempt was planned for after the longest duration.
    RetriedTooLong,
    /// I8: an attempt followed one that had ended the timer.
    RetriedAfterEnd,
    /// I8: dead though attempts were left.
    DeadTooEarly,
    /// I8: pending though no attempt was left.
    NotDead,
    /// I8: the service says delivered and no receiver had agreed.
    DeliveredWithoutConsent,
    /// I10: two replicas differ.
    HashesDiffer,
    /// I12: no write succeeded in time.
    NotRecovered,
    /// I13: something else was kept than what was accepted.
    KeptOtherwise,
    /// I13: accepted, and then not there.
    AcceptedAndGone,
    /// I13: neither accepted nor refused with 4xx.
    NotRefusedProperly,
}

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// Which promise.
    pub invariant: Invariant,
    /// In what way.
    pub breach: Breach,
    /// The timer, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<String>,
    /// The lines of the history that show it, ascending.
    pub lines: Vec<u64>,
    /// One sentence for a person at 3 a.m.
    pub sentence: String,
}

/// What a checker has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Broken promises.
    pub violations: Vec<Violation>,
    /// Why something could not be judged. Each makes the verdict [`Verdict::Unknown`] at best.
    pub doubts: Vec<String>,
}

/// What a run amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Every promise was put to the test and kept.
    Pass,
    /// A promise was broken.
    Violation,
    /// None was seen broken, but not all were put to the test.
    Unknown,
}

impl Invariant {
    /// All that are checked, in order.
    pub const ALL: [Self; 12] = [
        Self::I1,
        Self::I2,
        Self::I3,
        Self::I4,
        Self::I5,
        Self::I6,
        Self::I7,
        Self::I8,
        Self::I10,
        Self::I12,
        Self::I13,
        Self::I14,
    ];
}

impl Violation {
    /// A violation shown by `lines`, in any order.
    #[must_use]
    pub fn new(
        (invariant, breach): (Invariant, Breach),
        timer: Option<&str>,
        lines: impl IntoIterator<Item = u64>,
        sentence: String,
    ) -> Self {
        let mut lines: Vec<u64> = lines.into_iter().collect();
        lines.sort_unstable();
        lines.dedup();
        Self { invariant, breach, timer: timer.map(str::to_owned), lines, sentence }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.invariant, self.breach)?;
        if let Some(timer) = &self.timer {
            write!(f, " timer {timer}")?;
        }
        write!(f, " lines {:?}: {}", self.lines, self.sentence)
    }
}

impl Findings {
    /// Adds what another checker found.
    pub fn merge(&mut self, other: Self) {
        self.violations.extend(other.violations);
        self.doubts.extend(other.doubts);
    }

    /// The verdict that follows: one violation outweighs any doubt.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if !self.violations.is_empty() {
            Verdict::Violation
        } else if !self.doubts.is_empty() {
            Verdict::Unknown
        } else {
            Verdict::Pass
        }
    }

    /// Violations by their kind.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Breach, u64> {
        let mut counts = BTreeMap::new();
        for violation in &self.violations {
            *counts.entry(violation.breach).or_default() += 1;
        }
        counts
    }
}

impl Verdict {
    /// The exit status of a harness: 0 pass, 1 violation, 2 unknown.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Violation => 1,
            Self::Unknown => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_outweighs_a_doubt_and_a_doubt_outweighs_a_pass() {
        let mut findings = Findings::default();
        assert_eq!(findings.verdict(), Verdict::Pass);
        findings.doubts.push("no leader changed".into());
        assert_eq!((findings.verdict(), findings.verdict().exit_code()), (Verdict::Unknown, 2));
        let why = (Invariant::I3, Breach::Early);
        findings.violations.push(Violation::new(why, Some("a"), [7, 3, 7], "it came early".into()));
        assert_eq!((findings.verdict(), findings.verdict().exit_code()), (Verdict::Violation, 1));
        assert_eq!(findings.violations[0].to_string(), "I3 Early timer a lines [3, 7]: it came early");
        assert_eq!(findings.counts(), [(Breach::Early, 1)].into());
    }
}
