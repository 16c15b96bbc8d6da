//! I1, second half, and I3: who may be called, and when.

use crate::history::{Action, State};
use crate::invariants::{i1_ghosts, i3_never_early};
use crate::testing::{Script, after, answer, create, due, label, move_to, put, status, token, unknown};
use crate::verdict::Breach;

fn ghosts(script: Script) -> Vec<Breach> {
    script.breaches(i1_ghosts::check)
}

fn early(script: Script) -> Vec<Breach> {
    script.breaches(i3_never_early::check)
}

/// Delivers the first attempt of `generation`, planned for `planned`.
fn fires(script: Script, at: u64, generation: u64, planned: u64) -> Script {
    let mut delivery = crate::testing::delivery(at, generation, 1, token(generation, 1), status(200));
    delivery.scheduled_at_ms = crate::testing::WALL + planned;
    script.event(crate::history::Event::Delivery(delivery))
}

#[test]
fn a_create_with_unknown_outcome_may_fire() {
    let script = Script::new().op(0, 10, create(due(100)), unknown());
    assert!(ghosts(fires(script, 101, 10, 100)).is_empty());
}

#[test]
fn a_generation_that_an_answer_tells_of_may_fire() {
    let script = Script::new().ok(0, 10, put(due(100)), answer(201, 10, 10, 100));
    assert!(ghosts(fires(script, 101, 10, 100)).is_empty());
}

#[test]
fn a_timer_that_nobody_ever_named_is_a_ghost() {
    assert_eq!(ghosts(fires(Script::new(), 101, 10, 100)), [Breach::Ghost]);
}

#[test]
fn a_generation_that_was_only_refused_is_a_ghost() {
    let refusal = crate::testing::refused(503, "SHARD_UNAVAILABLE", None, None);
    let script = Script::new().op(0, 10, put(due(100)), refusal);
    assert_eq!(ghosts(fires(script, 101, 10, 100)), [Breach::Ghost]);
}

#[test]
fn one_unknown_request_does_not_explain_two_generations() {
    let script = Script::new().op(0, 10, put(due(100)), unknown());
    let script = fires(fires(script, 101, 10, 100), 102, 20, 100);
    assert_eq!(ghosts(script), [Breach::Ghost]);
}

#[test]
fn two_calls_of_one_key_are_one_request_and_make_one_generation() {
    let calls = |second: &'static str| {
        let script = Script::new().keyed(0, 10, Some("k"), put(due(100)), unknown()).keyed(
            20,
            30,
            Some(second),
            put(due(100)),
            unknown(),
        );
        ghosts(fires(fires(script, 101, 10, 100), 102, 20, 100))
    };
    assert_eq!(calls("k"), [Breach::Ghost]);
    assert!(calls("l").is_empty());
}

#[test]
fn a_key_whose_generation_was_told_makes_no_other() {
    let told = crate::history::Outcome::Ok(answer(201, 10, 10, 100));
    let script = Script::new().keyed(0, 10, Some("k"), put(due(100)), unknown()).keyed(
        20,
        30,
        Some("k"),
        put(due(100)),
        told,
    );
    assert_eq!(ghosts(fires(script, 101, 20, 100)), [Breach::Ghost]);
}

#[test]
fn a_key_whose_answer_was_forgotten_may_make_another_generation() {
    let purge = Action::Delete { if_match: None, purge: true };
    let again = |between: Action| {
        let script = Script::new()
            .keyed(0, 10, Some("k"), put(due(100)), unknown())
            .op(12, 15, between, unknown())
            .keyed(20, 30, Some("k"), put(due(100)), unknown());
        ghosts(fires(fires(script, 101, 10, 100), 102, 20, 100))
    };
    assert!(again(purge).is_empty());
    assert_eq!(again(label(5, None)), [Breach::Ghost]);
}

#[test]
fn a_key_that_was_told_of_what_another_request_had_made_may_make_one_later() {
    let script = Script::new()
        .ok(0, 10, put(due(100)), answer(201, 10, 10, 100))
        .keyed(20, 30, Some("k"), put(due(100)), crate::history::Outcome::Ok(answer(200, 10, 10, 100)))
        .op(40, 50, move_to(900, None), unknown())
        .keyed(60, 70, Some("k"), put(due(100)), unknown());
    assert!(ghosts(fires(script, 101, 30, 100)).is_empty());
}

#[test]
fn an_unknown_request_for_another_time_or_after_the_delivery_explains_nothing() {
    let other = Script::new().op(0, 10, put(due(200)), unknown());
    assert_eq!(ghosts(fires(other, 101, 10, 100)), [Breach::Ghost]);
    let later = Script::new().op(500, 510, put(due(100)), unknown());
    assert_eq!(ghosts(fires(later, 101, 10, 100)), [Breach::Ghost]);
    let labels = Script::new().op(0, 10, label(5, None), unknown());
    assert_eq!(ghosts(fires(labels, 101, 10, 100)), [Breach::Ghost]);
}

#[test]
fn requests_are_shared_out_so_that_every_generation_has_one() {
    // The patch of the payload alone fits both; the move fits only the second.
    let payload = Action::Patch {
        patch: crate::history::Patch { payload: Some(9), ..Default::default() },
        if_match: None,
    };
    let script = Script::new().op(0, 10, move_to(200, None), unknown()).op(0, 10, payload, unknown());
    assert!(ghosts(fires(fires(script, 201, 10, 200), 300, 20, 100)).is_empty());
}

#[test]
fn a_generation_that_was_only_read_uses_up_the_request_that_made_it() {
    let script =
        Script::new().op(0, 10, put(due(100)), unknown()).ok(20, 30, Action::Get, answer(200, 10, 10, 100));
    assert_eq!(ghosts(fires(script, 101, 20, 100)), [Breach::Ghost]);
}

#[test]
fn received_at_its_very_millisecond_is_not_early_and_one_before_is() {
    let script = || Script::new().ok(0, 10, put(due(100)), answer(201, 10, 10, 100));
    assert!(early(fires(script(), 100, 10, 100)).is_empty());
    assert_eq!(early(fires(script(), 99, 10, 100)), [Breach::Early]);
}

#[test]
fn the_time_that_was_asked_for_counts_and_not_the_one_in_the_callback() {
    let script = Script::new().ok(0, 10, put(due(100)), answer(201, 10, 10, 100));
    assert_eq!(early(fires(script, 50, 10, 50)), [Breach::Early]);
}

#[test]
fn a_fault_of_clocks_allows_the_offset_and_no_more_and_only_while_it_is_in_force() {
    let script = |offset: Option<i64>, until: u64| {
        Script::new().ok(0, 10, put(due(9000)), answer(201, 10, 10, 9000)).fault(
            100,
            until,
            "clockJump",
            offset,
        )
    };
    assert!(early(fires(script(Some(250), 8000), 8750, 10, 9000)).is_empty(), "within a time-out of its end");
    assert_eq!(early(fires(script(Some(250), 8000), 8749, 10, 9000)), [Breach::Early]);
    assert_eq!(early(fires(script(Some(250), 5000), 8750, 10, 9000)), [Breach::Early], "long over");
    assert_eq!(early(fires(script(None, 8000), 8750, 10, 9000)), [Breach::Early], "no fault of clocks");
}

#[test]
fn a_retry_before_the_time_of_the_timer_is_early_too() {
    let script = Script::new()
        .ok(0, 10, put(due(100)), answer(201, 10, 10, 100))
        .ok(20, 30, Action::Get, after(answer(200, 10, 20, 100), State::Retrying, 1))
        .delivery(50, 10, 2, token(20, 1), status(200));
    assert_eq!(early(script), [Breach::Early]);
}
