//! Random histories of a tiny sequential service pass, and a falsehood in one of them is caught.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use checkers::history::{Event, HistoryWriter, Outcome};
use checkers::index::History;
use checkers::specimen::{Falsehood, Specimen, falsify_read};
use checkers::verdict::{Breach, Verdict};
use common::history;
use proptest::prelude::*;

mod common;

fn falsehood() -> impl Strategy<Value = Falsehood> {
    prop_oneof![
        Just(Falsehood::Version),
        Just(Falsehood::Generation),
        Just(Falsehood::Time),
        Just(Falsehood::Label),
        Just(Falsehood::Attempts),
        Just(Falsehood::Payload),
        Just(Falsehood::State),
    ]
}

/// A delivered generation that an answer tells of, by place.
fn acknowledged_delivery(history: &History, which: usize) -> Option<(String, u64)> {
    let mut found = Vec::new();
    for timer in &history.timers {
        for (number, generation) in &timer.generations {
            if generation.made_by.is_some() && !generation.deliveries.is_empty() {
                found.push((timer.name.clone(), *number));
            }
        }
    }
    found.get(which % found.len().max(1)).cloned()
}

/// Whether a request was answered that took the generation out of force, so that it need not be delivered if that
/// was soon enough.
fn was_replaced(history: &History, name: &str, generation: u64) -> bool {
    let timer = history.timers.iter().find(|timer| timer.name == name);
    timer.is_some_and(|timer| {
        timer.operations.iter().any(|operation| {
            operation.action.is_mutation()
                && operation.answer().is_some_and(|answer| answer.version > generation)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_valid_history_passes_whatever_overlaps_and_stays_unknown(
        seed: u64,
        operations in 2_u16..40,
        unknown_permille in 0_u64..300,
    ) {
        let specimen = Specimen { seed, timers: 20, operations, unknown_permille };
        let report = checkers::check(&history(specimen.events()));
        prop_assert!(report.violations.is_empty(), "{}", report.violations[0]);
        // What may be missing in so small a run is said, and nothing else.
        for doubt in &report.doubts {
            prop_assert!(doubt.starts_with("I14") || doubt.starts_with("I12"), "{}", doubt);
        }
    }

    #[test]
    fn a_false_read_is_caught(seed: u64, which: usize, how in falsehood()) {
        let specimen = Specimen { seed, timers: 10, operations: 20, unknown_permille: 0 };
        let mut events = specimen.events();
        prop_assume!(falsify_read(&mut events, which, how));
        let report = checkers::check(&history(events));
        let caught = report.violations.iter().any(|violation| violation.breach == Breach::NotLinearizable);
        prop_assert!(caught, "{:?}", report.lines(3));
    }

    #[test]
    fn a_delivery_that_is_lost_is_missed(seed: u64, which: usize) {
        let specimen = Specimen { seed, timers: 20, operations: 20, unknown_permille: 0 };
        let mut events = specimen.events();
        let whole = history(events.clone());
        let Some((timer, generation)) = acknowledged_delivery(&whole, which) else { return Ok(()) };
        events.retain(|event| {
            !matches!(event, Event::Delivery(d) if d.timer == timer && d.generation == generation)
        });
        let report = checkers::check(&history(events));
        let missed = report.violations.iter().any(|violation| {
            violation.timer.as_deref() == Some(&timer)
                && matches!(violation.breach, Breach::Lost | Breach::FinishedUnseen)
        });
        let excused = report.verdict() != Verdict::Violation && was_replaced(&whole, &timer, generation);
        prop_assert!(missed || excused, "{} {}: {:?}", timer, generation, report.lines(3));
    }

    #[test]
    fn a_delivery_that_comes_again_is_caught(seed: u64, which: usize) {
        let specimen = Specimen { seed, timers: 20, operations: 20, unknown_permille: 0 };
        let mut events = specimen.events();
        let deliveries: Vec<usize> =
            (0..events.len()).filter(|place| matches!(events[*place], Event::Delivery(_))).collect();
        prop_assume!(!deliveries.is_empty());
        let place = deliveries[which % deliveries.len()];
        let again = events[place].clone();
        events.insert(place, again);
        let report = checkers::check(&history(events));
        let caught = report.violations.iter().any(|violation| violation.breach == Breach::TokenUsedTwice);
        prop_assert!(caught, "{:?}", report.lines(3));
    }

    #[test]
    fn what_is_written_is_judged_as_what_is_pushed(seed: u64) {
        let specimen = Specimen { seed, timers: 10, operations: 10, unknown_permille: 100 };
        let events = specimen.events();
        let mut writer = HistoryWriter::new(Vec::new());
        for event in &events {
            writer.write(event).unwrap();
        }
        let read = checkers::read(writer.into_inner().as_slice()).unwrap();
        prop_assert_eq!(checkers::check(&read), checkers::check(&history(events)));
    }

    #[test]
    fn one_seed_makes_one_history(seed: u64) {
        let specimen = Specimen { seed, timers: 5, operations: 20, unknown_permille: 200 };
        let unknown = |event: &Event| {
            matches!(event, Event::Return(returned) if matches!(returned.outcome, Outcome::Unknown { .. }))
        };
        let events = specimen.events();
        prop_assert_eq!(&events, &specimen.events());
        let other = Specimen { seed: seed ^ 1, ..specimen };
        prop_assert_ne!(&events, &other.events());
        let calm = Specimen { unknown_permille: 0, ..specimen };
        prop_assert!(!calm.events().iter().any(unknown));
    }
}
