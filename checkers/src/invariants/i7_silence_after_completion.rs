//! I7: once a client has read that a generation is delivered or dead, no attempt of it is received any more, but
//! for zombies: attempts with a lower token than one that was received before, or of an older session than the one
//! in which it was over. The second kind needs no earlier reception, because nothing of a session arrives as long
//! as its receiver refuses connections.
//!
//! Computed from the earliest return of a read that shows the completion. Sound because the completion was in
//! force before that return, so whoever sends afterwards from the replicated state knows of it; what was sent
//! before may lie in the network for `transitSlackMs`. Deliberately not here: cancels (I4), and completions that
//! nobody has seen.

use super::i6_attempts_once::index_of;
use crate::history::State;
use crate::index::{History, Operation, Received, TimerHistory};
use crate::verdict::{Breach, Findings, Invariant, Violation};

/// Deliveries after a completion that somebody has seen.
#[must_use]
pub fn check(history: &History) -> Findings {
    let mut violations = Vec::new();
    for timer in history.timers.iter().filter(|timer| !timer.deliveries.is_empty()) {
        for (number, generation) in &timer.generations {
            let shown = generation.shown_by.iter().filter_map(|position| timer.operations.get(*position));
            let completed = shown.filter(|operation| shows_completion(operation, *number));
            let Some(read) = completed.min_by_key(|operation| operation.return_ns) else { continue };
            let of_generation =
                generation.deliveries.iter().filter_map(|position| timer.deliveries.get(*position));
            let after = of_generation.filter(|received| is_after(history, timer, read, received));
            violations.extend(after.map(|received| violation(timer, read, received)));
        }
    }
    Findings { violations, doubts: Vec::new() }
}

fn shows_completion(operation: &Operation, generation: u64) -> bool {
    operation.shown_now().is_some_and(|answer| {
        answer.generation == generation && matches!(answer.state, State::Delivered | State::Dead)
    })
}

fn is_after(history: &History, timer: &TimerHistory, read: &Operation, received: &Received) -> bool {
    let slack_ns = history.run.transit_slack_ms.saturating_mul(1_000_000);
    let at_ns = received.delivery.at_ns;
    if at_ns <= read.return_ns.saturating_add(slack_ns) {
        return false;
    }
    let before = timer.deliveries.iter().take_while(|other| other.delivery.at_ns < at_ns);
    let newest = before.map(|other| other.delivery.token).max();
    let is_newest = newest.is_none_or(|newest| received.delivery.token > newest);
    is_newest && !is_of_older_session(history, timer, read, received)
}

/// Whether a session later than that of `received` had begun before `read` was answered.
fn is_of_older_session(
    history: &History,
    timer: &TimerHistory,
    read: &Operation,
    received: &Received,
) -> bool {
    let Some(shard) = timer.shard else { return false };
    let mut later = history.timeline.sessions_between(shard, index_of(received.delivery.token), u64::MAX);
    later.any(|session| session.at_ns <= read.return_ns)
}

fn violation(timer: &TimerHistory, read: &Operation, received: &Received) -> Violation {
    let delivery = &received.delivery;
    let sentence = format!(
        "generation {}, attempt {} was received although a client had read before (line {}) that it was over",
        delivery.generation,
        delivery.attempt,
        read.line()
    );
    let lines = read.lines().into_iter().chain([received.line]);
    Violation::new((Invariant::I7, Breach::AfterCompletion), Some(&timer.name), lines, sentence)
}
