//! I3: no attempt is received before `executeAt`, by the harness's wall clock.
//!
//! Both times are whole milliseconds, the moment of reception rounded down, so a callback that was received at
//! or after its time never looks early. A fault of clocks that was in force within an attempt's time-out before
//! the reception allows `maxClockOffsetMs`; without one there is no tolerance. The time is the one that was asked
//! for, not the one in the callback's headers, if any answer or request tells it. Deliberately not here: the
//! times of retries (I8).

use crate::index::{Generation, History, TimerHistory};
use crate::verdict::{Breach, Findings, Invariant, Violation};

/// Deliveries before their time.
#[must_use]
pub fn check(history: &History) -> Findings {
    let mut violations = Vec::new();
    for timer in &history.timers {
        for generation in timer.generations.values() {
            violations.extend(of_generation(history, timer, generation));
        }
    }
    Findings { violations, doubts: Vec::new() }
}

fn of_generation<'a>(
    history: &'a History,
    timer: &'a TimerHistory,
    generation: &'a Generation,
) -> impl Iterator<Item = Violation> + 'a {
    let deliveries = generation.deliveries.iter().filter_map(|position| timer.deliveries.get(*position));
    deliveries.filter_map(move |received| {
        let delivery = &received.delivery;
        let asked_ms = generation.execute_at_ms?;
        let early_ms = asked_ms.saturating_sub(delivery.received_ms);
        // Hardly any delivery is early, so that the faults are seldom looked through.
        if early_ms == 0 || early_ms <= history.clock_slack_ms(delivery.at_ns) {
            return None;
        }
        let sentence = format!(
            "generation {}, attempt {} was received {early_ms} ms before its time ({asked_ms} ms)",
            delivery.generation, delivery.attempt
        );
        let maker = generation.made_by.and_then(|position| timer.operations.get(position));
        let lines = maker.into_iter().flat_map(crate::index::Operation::lines).chain([received.line]);
        Some(Violation::new((Invariant::I3, Breach::Early), Some(&timer.name), lines, sentence))
    })
}
