//! I4, I5 and I7: what may still arrive after an answer.

use crate::history::{Action, Answer, InFlight, State};
use crate::index::History;
use crate::invariants::{i4_definite_delete, i5_definite_replace, i7_silence_after_completion};
use crate::testing::{
    Script, WALL, after, answer, create, delete, due, label, move_to, put, status, token, unknown,
};
use crate::verdict::{Breach, Findings};

const GET: Action = Action::Get;

fn created() -> Script {
    Script::new().ok(0, 10, create(due(100)), answer(201, 10, 10, 100))
}

fn cancelled(attempts: u32) -> Answer {
    after(answer(200, 10, 20, 100), State::Cancelled, attempts)
}

fn in_flight(answer: Answer, in_flight: InFlight, until: Option<u64>) -> Answer {
    Answer { in_flight, in_flight_until_ms: until.map(|at| WALL + at), ..answer }
}

fn by_both(history: &History) -> Findings {
    let mut findings = i4_definite_delete::check(history);
    findings.merge(i5_definite_replace::check(history));
    findings
}

fn broken(script: Script) -> Vec<Breach> {
    script.breaches(by_both)
}

#[test]
fn nothing_arrives_after_a_clean_delete() {
    let deleted = || created().ok(150, 160, delete(None), cancelled(0));
    assert_eq!(broken(deleted().delivery(161, 10, 1, token(10, 1), status(200))), [Breach::AfterCleanAnswer]);
    assert!(
        broken(deleted().delivery(160, 10, 1, token(10, 1), status(200))).is_empty(),
        "not after the answer"
    );
    assert!(broken(deleted().delivery(155, 10, 1, token(10, 1), status(200))).is_empty(), "while it ran");
    assert!(
        broken(deleted().delivery(161, 30, 1, token(30, 1), status(200))).is_empty(),
        "a later generation"
    );
    let older = deleted().delivery(161, 5, 1, token(5, 1), status(200));
    assert_eq!(older.breaches(i4_definite_delete::check), [Breach::AfterCleanAnswer], "an older generation");
}

#[test]
fn a_delete_with_unknown_outcome_promises_nothing() {
    let deleted = created().op(150, 160, delete(None), unknown());
    assert!(broken(deleted.delivery(161, 10, 1, token(10, 1), status(200))).is_empty());
}

#[test]
fn what_was_in_flight_arrives_until_the_moment_that_was_named() {
    for kind in [InFlight::Yes, InFlight::Possible] {
        let deleted = || created().ok(150, 160, delete(None), in_flight(cancelled(0), kind, Some(2000)));
        assert!(broken(deleted().delivery(2000, 10, 1, token(10, 1), status(200))).is_empty());
        let late = deleted().delivery(2001, 10, 1, token(10, 1), status(200));
        assert_eq!(broken(late), [Breach::AfterInFlightEnd]);
        let slack = deleted().delivery(2001, 10, 1, token(10, 1), status(200));
        assert!(broken(slack.with_run(|run| run.transit_slack_ms = 1)).is_empty());
    }
}

#[test]
fn without_a_moment_the_time_out_of_an_attempt_counts_from_the_answer() {
    let deleted = || created().ok(150, 160, delete(None), in_flight(cancelled(0), InFlight::Yes, None));
    assert!(broken(deleted().delivery(2410, 10, 1, token(10, 1), status(200))).is_empty());
    assert_eq!(
        broken(deleted().delivery(2411, 10, 1, token(10, 1), status(200))),
        [Breach::AfterInFlightEnd]
    );
}

#[test]
fn an_attempt_that_had_not_begun_does_not_arrive_even_in_time() {
    let deleted = || created().ok(150, 160, delete(None), in_flight(cancelled(1), InFlight::Yes, Some(9000)));
    assert!(broken(deleted().delivery(1200, 10, 2, token(10, 2), status(200))).is_empty());
    assert_eq!(
        broken(deleted().delivery(1200, 10, 3, token(10, 3), status(200))),
        [Breach::BegunAfterAnswer]
    );
}

#[test]
fn a_fault_of_clocks_makes_the_named_moment_as_uncertain_as_clocks_may_be() {
    let deleted = |at| {
        created()
            .ok(150, 160, delete(None), in_flight(cancelled(0), InFlight::Yes, Some(2000)))
            .fault(100, 5000, "clockOffset", Some(-250))
            .delivery(at, 10, 1, token(10, 1), status(200))
    };
    assert!(broken(deleted(2250)).is_empty());
    assert_eq!(broken(deleted(2251)), [Breach::AfterInFlightEnd]);
}

#[test]
fn nothing_of_the_old_generation_arrives_after_a_clean_replace() {
    let moved = || created().ok(150, 160, move_to(9000, None), answer(200, 20, 20, 9000));
    assert_eq!(broken(moved().delivery(161, 10, 1, token(10, 1), status(200))), [Breach::AfterCleanAnswer]);
    assert!(broken(moved().delivery(9001, 20, 1, token(20, 1), status(200))).is_empty());
    let put = || {
        created().ok(150, 160, put(due(9000)), in_flight(answer(200, 20, 20, 9000), InFlight::Yes, Some(900)))
    };
    assert!(broken(put().delivery(900, 10, 1, token(10, 1), status(200))).is_empty());
    assert_eq!(broken(put().delivery(901, 10, 1, token(10, 1), status(200))), [Breach::AfterInFlightEnd]);
}

#[test]
fn a_change_of_labels_leaves_the_generation_to_fire() {
    let labelled = created().ok(150, 160, label(3, None), Answer { label: 3, ..answer(200, 10, 20, 100) });
    assert!(broken(labelled.delivery(161, 10, 1, token(10, 1), status(200))).is_empty());
}

#[test]
fn a_create_after_a_cancel_is_about_the_cancelled_generation_too() {
    let anew = created().op(150, 160, delete(None), unknown()).ok(
        200,
        210,
        create(due(9000)),
        answer(201, 30, 30, 9000),
    );
    assert_eq!(broken(anew.delivery(300, 10, 1, token(10, 1), status(200))), [Breach::AfterCleanAnswer]);
}

fn after_completion(script: Script) -> Vec<Breach> {
    script.breaches(i7_silence_after_completion::check)
}

#[test]
fn nothing_arrives_after_somebody_has_read_that_it_is_over() {
    for state in [State::Delivered, State::Dead] {
        let read = || {
            created().delivery(110, 10, 1, token(10, 1), status(200)).ok(
                150,
                160,
                GET,
                after(answer(200, 10, 20, 100), state, 1),
            )
        };
        assert!(after_completion(read()).is_empty());
        assert_eq!(
            after_completion(read().delivery(161, 10, 2, token(30, 1), status(200))),
            [Breach::AfterCompletion]
        );
        assert_eq!(
            after_completion(read().delivery(161, 10, 1, token(30, 1), status(200))),
            [Breach::AfterCompletion],
            "a new leader that does not know"
        );
        assert!(after_completion(read().delivery(155, 10, 2, token(30, 1), status(200))).is_empty());
        let slack = read().delivery(161, 10, 2, token(30, 1), status(200));
        assert!(after_completion(slack.with_run(|run| run.transit_slack_ms = 1)).is_empty());
    }
}

#[test]
fn a_zombie_with_a_lower_token_may_arrive_after_completion() {
    let read = created().delivery(110, 10, 1, token(20, 1), status(200)).ok(
        150,
        160,
        GET,
        after(answer(200, 10, 30, 100), State::Delivered, 1),
    );
    assert!(after_completion(read.delivery(300, 10, 1, token(10, 1), status(200))).is_empty());
}

#[test]
fn the_completion_of_one_generation_does_not_silence_the_next() {
    let next = created()
        .delivery(110, 10, 1, token(10, 1), status(200))
        .ok(150, 160, GET, after(answer(200, 10, 20, 100), State::Delivered, 1))
        .ok(200, 210, put(due(300)), answer(200, 30, 30, 300));
    assert!(after_completion(next.delivery(301, 30, 1, token(30, 1), status(200))).is_empty());
}

#[test]
fn a_completion_shown_inside_a_refusal_counts_and_one_given_again_does_not() {
    let shown = after(answer(409, 10, 20, 100), State::Delivered, 1);
    let refused = created()
        .delivery(110, 10, 1, token(10, 1), status(200))
        .op(150, 160, delete(None), crate::testing::refused(409, "TIMER_FINISHED", None, Some(shown.clone())))
        .delivery(161, 10, 2, token(30, 1), status(200));
    assert_eq!(after_completion(refused), [Breach::AfterCompletion]);
    let again = Answer { replayed: true, ..shown };
    let replayed =
        created().ok(150, 160, put(due(100)), again).delivery(161, 10, 2, token(30, 1), status(200));
    assert!(after_completion(replayed).is_empty());
}

#[test]
fn a_zombie_whose_receiver_had_refused_the_new_leader_may_arrive_after_completion() {
    let dead = |opened| {
        created().leader(0, 5, 1).leader(opened, 20, 2).ok(
            150,
            160,
            GET,
            after(answer(200, 10, 30, 100), State::Dead, 3),
        )
    };
    let late = |opened, token| dead(opened).delivery(300, 10, 1, token, status(200));
    assert!(after_completion(late(120, token(10, 1))).is_empty());
    let of_the_new = late(120, token(21, 1));
    assert_eq!(after_completion(of_the_new), [Breach::AfterCompletion]);
    let one_session = late(161, token(10, 1));
    assert_eq!(
        after_completion(one_session),
        [Breach::AfterCompletion],
        "it was over before the other began"
    );
}

#[test]
fn a_clean_answer_that_is_given_again_promises_the_same() {
    let again = created()
        .op(150, 160, delete(None), unknown())
        .ok(200, 210, delete(None), Answer { replayed: true, ..cancelled(0) })
        .delivery(211, 10, 1, token(10, 1), status(200));
    assert_eq!(broken(again), [Breach::AfterCleanAnswer]);
}
