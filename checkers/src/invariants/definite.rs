//! What I4 and I5 share: a definite answer, and the deliveries that it rules out. An answer is about what the
//! request took out of force and what came before that, but not about what a purge had erased by then, since the
//! record of that was gone: the purge itself has answered for it. Deliberately not here: which operations give
//! such answers.

use crate::history::{Action, Answer, InFlight, Outcome};
use crate::index::{History, Operation, Received, TimerHistory};
use crate::verdict::{Breach, Invariant, Violation};

/// An answer about all generations below a number.
pub(super) struct Definite<'a> {
    pub(super) operation: &'a Operation,
    pub(super) answer: &'a Answer,
    /// The smallest generation that it is not about.
    pub(super) below: u64,
    /// The generation that was taken out of force, if the answer shows it, with the attempts counted then.
    pub(super) attempts: Option<(u64, u32)>,
}

/// Deliveries that `definite` rules out. They are received after the client had the answer, so that no order of
/// the two can excuse them.
pub(super) fn broken(
    history: &History,
    timer: &TimerHistory,
    invariant: Invariant,
    definite: &Definite<'_>,
) -> Vec<Violation> {
    let after = timer.deliveries.iter().filter(|received| {
        received.delivery.at_ns > definite.operation.return_ns
            && received.delivery.generation < definite.below
            && !may_be_purged(timer, definite.operation, received.delivery.generation)
    });
    after.filter_map(|received| judge(history, timer, invariant, definite, received)).collect()
}

/// Whether another operation may have erased `generation` before `operation` took effect.
fn may_be_purged(timer: &TimerHistory, operation: &Operation, generation: u64) -> bool {
    timer.operations.iter().any(|other| {
        let erased = match &other.outcome {
            Outcome::Ok(answer) => generation <= answer.generation,
            Outcome::Unknown { .. } => true,
            Outcome::Refused(_) => false,
        };
        erased
            && other.op != operation.op
            && matches!(other.action, Action::Delete { purge: true, .. })
            && other.call_ns < operation.return_ns
    })
}

fn judge(
    history: &History,
    timer: &TimerHistory,
    invariant: Invariant,
    definite: &Definite<'_>,
    received: &Received,
) -> Option<Violation> {
    let delivery = &received.delivery;
    let what = definite.operation.action.name();
    let (breach, why) = match definite.answer.in_flight {
        InFlight::No => (Breach::AfterCleanAnswer, format!("the {what} had been answered clean")),
        InFlight::Yes | InFlight::Possible => {
            // Its sender counts the attempt that is on its way as the next.
            let begun = definite.attempts.is_none_or(|(generation, attempts)| {
                delivery.generation != generation || delivery.attempt <= attempts.saturating_add(1)
            });
            let until_ms = in_flight_until(history, definite);
            if !begun {
                let why = format!("the {what} had been answered, and that attempt can't have begun before");
                (Breach::BegunAfterAnswer, why)
            } else if delivery.received_ms > until_ms {
                (
                    Breach::AfterInFlightEnd,
                    format!("the {what} had said that none arrives after {until_ms} ms"),
                )
            } else {
                return None;
            }
        }
    };
    let sentence =
        format!("generation {}, attempt {} was received after {why}", delivery.generation, delivery.attempt);
    let lines = definite.operation.lines().into_iter().chain([received.line]);
    Some(Violation::new((invariant, breach), Some(&timer.name), lines, sentence))
}

/// The last millisecond at which an attempt may arrive that was on its way. The sender's clock may be wrong if
/// there was a fault of clocks, and a request may lie in a queue after its sender has given it up.
fn in_flight_until(history: &History, definite: &Definite<'_>) -> u64 {
    let run = &history.run;
    let answered_ms = history.wall_ms(definite.operation.return_ns);
    let until_ms = definite.answer.in_flight_until_ms.unwrap_or_else(|| {
        answered_ms.saturating_add(run.attempt_timeout_ms).saturating_add(run.max_clock_offset_ms)
    });
    let slack_ms = history.clock_slack_ms(history.ns_of(until_ms));
    until_ms.saturating_add(slack_ms).saturating_add(run.transit_slack_ms)
}
