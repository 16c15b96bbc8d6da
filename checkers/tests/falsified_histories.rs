//! One answer or delivery of a random valid history is changed, and the promise that this breaks is named. Every case
//! says which breach it expects, so that a checker that finds something else does not pass.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeMap;

use checkers::history::{Action, Answer, Call, Delivery, Event, Outcome, Refusal, Return, State};
use checkers::specimen::Specimen;
use checkers::verdict::Breach;
use common::history;
use proptest::prelude::*;

mod common;

const MS: u64 = 1_000_000;

fn events(seed: u64) -> Vec<Event> {
    Specimen { seed, timers: 12, operations: 20, unknown_permille: 0 }.events()
}

/// The breaches of `timer`.
fn breaches(events: Vec<Event>, timer: &str) -> Vec<Breach> {
    let report = checkers::check(&history(events));
    let of_timer = report.violations.into_iter().filter(|one| one.timer.as_deref() == Some(timer));
    of_timer.map(|one| one.breach).collect()
}

fn wall_ms_at_zero(events: &[Event]) -> u64 {
    events
        .iter()
        .find_map(|event| if let Event::Run(run) = event { Some(run.wall_ms_at_zero) } else { None })
        .unwrap()
}

/// The calls by their names.
fn calls(events: &[Event]) -> BTreeMap<u64, Call> {
    let call =
        |event: &Event| if let Event::Call(call) = event { Some((call.op, call.clone())) } else { None };
    events.iter().filter_map(call).collect()
}

/// An operation that was answered 2xx for the first time.
struct Answered {
    /// The place of its return.
    place: usize,
    call: Call,
    back_ns: u64,
    answer: Answer,
}

fn answered(events: &[Event]) -> Vec<Answered> {
    let calls = calls(events);
    let mut found = Vec::new();
    for (place, event) in events.iter().enumerate() {
        if let Event::Return(Return { op, at_ns, outcome: Outcome::Ok(answer) }) = event
            && !answer.replayed
        {
            let (call, answer) = (calls[op].clone(), answer.clone());
            found.push(Answered { place, call, back_ns: *at_ns, answer });
        }
    }
    found
}

/// The places of deliveries.
fn deliveries(events: &[Event]) -> Vec<usize> {
    (0..events.len()).filter(|place| matches!(events[*place], Event::Delivery(_))).collect()
}

fn delivery(events: &mut [Event], place: usize) -> &mut Delivery {
    let Event::Delivery(delivery) = &mut events[place] else { panic!("there is a delivery at {place}") };
    delivery
}

fn answer(events: &mut [Event], place: usize) -> &mut Answer {
    let Event::Return(Return { outcome: Outcome::Ok(answer), .. }) = &mut events[place] else {
        panic!("there is an answer at {place}")
    };
    answer
}

fn pick<T>(mut from: Vec<T>, which: usize) -> Option<T> {
    let count = from.len();
    if count == 0 { None } else { Some(from.swap_remove(which % count)) }
}

/// A delivery of `generation` that nobody has made, at `at_ns`, with a token above all others.
fn forged(events: &[Event], timer: &str, generation: u64, at_ns: u64) -> Event {
    let at_ms = wall_ms_at_zero(events) + at_ns / MS;
    let made = |event: &Event| if let Event::Delivery(one) = event { Some(one.clone()) } else { None };
    let model = events.iter().find_map(made).unwrap();
    let token = events.iter().filter_map(made).map(|one| one.token).max().unwrap_or(0) + 1;
    Event::Delivery(Delivery {
        at_ns,
        received_ms: at_ms,
        timer: timer.to_owned(),
        generation,
        token,
        scheduled_at_ms: at_ms,
        answered_ns: None,
        ..model
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_attempt_a_millisecond_before_its_time_is_early(seed: u64, which: usize, by_ms in 1_u64..500) {
        let mut events = events(seed);
        let zero_ms = wall_ms_at_zero(&events);
        let place = pick(deliveries(&events), which);
        prop_assume!(place.is_some());
        let timer = {
            let delivery = delivery(&mut events, place.unwrap());
            // A history begins at 0: nothing is received before.
            prop_assume!(delivery.attempt == 1 && delivery.scheduled_at_ms >= zero_ms + by_ms);
            delivery.received_ms = delivery.scheduled_at_ms - by_ms;
            delivery.at_ns = (delivery.received_ms - zero_ms) * MS;
            delivery.timer.clone()
        };
        prop_assert!(breaches(events, &timer).contains(&Breach::Early));
    }

    #[test]
    fn tokens_that_fall_are_caught(seed: u64, which: usize) {
        let mut events = events(seed);
        let mut of_timer: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for place in deliveries(&events) {
            of_timer.entry(delivery(&mut events, place).timer.clone()).or_default().push(place);
        }
        let pairs = of_timer.into_values().flat_map(|places| places.windows(2).map(<[_]>::to_vec).collect::<Vec<_>>());
        let pair = pick(pairs.collect(), which);
        prop_assume!(pair.is_some());
        let (a, b) = (pair.as_ref().unwrap()[0], pair.unwrap()[1]);
        let (first, second) = (delivery(&mut events, a).token, delivery(&mut events, b).token);
        delivery(&mut events, a).token = second;
        delivery(&mut events, b).token = first;
        let timer = delivery(&mut events, a).timer.clone();
        prop_assert!(breaches(events, &timer).contains(&Breach::TokenDidNotGrow));
    }

    #[test]
    fn a_delivery_after_a_clean_delete_or_replace_is_caught(seed: u64, which: usize, after_ms in 1_u64..5000) {
        let mut events = events(seed);
        // What a purge may have erased by then is not answered for.
        let may_be_purged = |timer: &str, until_ns: u64| {
            let purges = |call: &Call| matches!(call.action, Action::Delete { purge: true, .. });
            let calls = calls(&events);
            calls.values().any(|call| purges(call) && call.timer == timer && call.at_ns < until_ns)
        };
        let ends = answered(&events).into_iter().filter(|one| !may_be_purged(&one.call.timer, one.back_ns));
        let ends = ends.filter_map(|one| {
            // What it answers for: what it cancelled, or what came before the generation that it made.
            let generation = match &one.call.action {
                Action::Delete { purge: false, .. } => one.answer.generation,
                Action::Put { .. } | Action::Patch { .. } if one.answer.status == 200 => one.answer.generation - 1,
                Action::Put { .. } | Action::Create { .. } | Action::Patch { .. } => return None,
                Action::Get | Action::Delete { .. } => return None,
            };
            Some((one.call.timer, generation, one.back_ns))
        });
        let end = pick(ends.collect(), which);
        prop_assume!(end.is_some() && !deliveries(&events).is_empty());
        let (timer, generation, back_ns) = end.unwrap();
        let forged = forged(&events, &timer, generation, back_ns + after_ms * MS);
        events.push(forged);
        let found = breaches(events, &timer);
        prop_assert!(found.contains(&Breach::AfterCleanAnswer), "{:?}", found);
    }

    #[test]
    fn a_delivery_of_a_generation_that_nobody_made_is_a_ghost(seed: u64, which: usize) {
        let mut events = events(seed);
        let place = pick(deliveries(&events), which);
        prop_assume!(place.is_some());
        let timer = {
            let delivery = delivery(&mut events, place.unwrap());
            delivery.generation += 1;
            delivery.timer.clone()
        };
        prop_assert!(breaches(events, &timer).contains(&Breach::Ghost));
    }

    #[test]
    fn a_delivery_after_somebody_has_read_that_it_is_over_is_caught(seed: u64, which: usize) {
        let mut events = events(seed);
        let over = answered(&events)
            .into_iter()
            .filter(|one| one.call.action == Action::Get)
            .filter(|one| matches!(one.answer.state, State::Delivered | State::Dead));
        let read = pick(over.collect(), which);
        prop_assume!(read.is_some());
        let Answered { call, back_ns, answer, .. } = read.unwrap();
        let forged = forged(&events, &call.timer, answer.generation, back_ns + MS);
        events.push(forged);
        prop_assert!(breaches(events, &call.timer).contains(&Breach::AfterCompletion));
    }

    #[test]
    fn a_false_number_in_the_answer_of_a_change_is_caught(seed: u64, which: usize, generation: bool) {
        let mut events = events(seed);
        let all = answered(&events);
        // Only what another answer shows as well can be known to be wrong.
        let twice = |one: &Answered| {
            let same = |other: &&Answered| other.call.timer == one.call.timer && other.answer.version == one.answer.version;
            one.call.action.is_mutation() && all.iter().filter(same).count() > 1
        };
        let places: Vec<_> = all.iter().filter(|one| twice(one)).map(|one| (one.place, one.call.timer.clone())).collect();
        let Some((place, timer)) = pick(places, which) else { return Ok(()) };
        let answer = answer(&mut events, place);
        *(if generation { &mut answer.generation } else { &mut answer.version }) += 1;
        prop_assert!(breaches(events, &timer).contains(&Breach::NotLinearizable));
    }

    #[test]
    fn created_for_replaced_and_replaced_for_created_is_caught(seed: u64, which: usize) {
        let mut events = events(seed);
        let puts = answered(&events).into_iter().filter(|one| one.call.action.definition().is_some());
        let place = pick(puts.map(|one| (one.place, one.call.timer)).collect(), which);
        prop_assume!(place.is_some());
        let (place, timer) = place.unwrap();
        let answer = answer(&mut events, place);
        answer.status = if answer.status == 201 { 200 } else { 201 };
        prop_assert!(breaches(events, &timer).contains(&Breach::NotLinearizable));
    }

    #[test]
    fn a_read_that_finds_nothing_of_what_was_acknowledged_is_caught(seed: u64, which: usize) {
        let mut events = events(seed);
        let purges = |call: &Call| matches!(call.action, Action::Delete { purge: true, .. });
        let purged: Vec<String> =
            calls(&events).into_values().filter(purges).map(|call| call.timer).collect();
        let all = answered(&events);
        let made = |read: &Answered| {
            all.iter().any(|one| {
                one.call.timer == read.call.timer && one.answer.status == 201 && one.back_ns < read.call.at_ns
            })
        };
        let reads = all.iter().filter(|one| {
            one.call.action == Action::Get && !purged.contains(&one.call.timer) && made(one)
        });
        let Some((place, timer)) = pick(reads.map(|one| (one.place, one.call.timer.clone())).collect(), which) else {
            return Ok(());
        };
        let Event::Return(returned) = &mut events[place] else { panic!("there is a return at {place}") };
        let refusal = Refusal { status: 404, code: "TIMER_NOT_FOUND".into(), version: None, timer: None };
        returned.outcome = Outcome::Refused(refusal);
        prop_assert!(breaches(events, &timer).contains(&Breach::NotLinearizable));
    }
}
