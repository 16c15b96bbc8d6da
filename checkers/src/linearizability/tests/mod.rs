//! Hand-made histories of one timer: those that look wrong and are right, and each way to be wrong.

mod agreement;
mod keys;

use super::{Judgement, Misfit, judge};
use crate::history::{Action, State};
use crate::testing::{Script, after, answer, create, delete, due, label, move_to, put, refused, unknown};

const GET: Action = Action::Get;
const PURGE: Action = Action::Delete { if_match: None, purge: true };

fn judgement(script: Script) -> Judgement {
    judge(&script.history().timers[0])
}

#[track_caller]
fn fits(script: Script) {
    assert_eq!(judgement(script), Judgement::Linearizable);
}

#[track_caller]
fn misfit(script: Script) -> Misfit {
    match judgement(script) {
        Judgement::NotLinearizable(stuck) => stuck.why,
        other @ (Judgement::Linearizable | Judgement::Undecided(_)) => panic!("{other:?}"),
    }
}

/// A timer that was created as generation 10 for 9000 and is answered at 10.
fn created() -> Script {
    Script::new().ok(0, 10, create(due(9000)), answer(201, 10, 10, 9000))
}

fn absent() -> crate::history::Outcome {
    refused(404, "TIMER_NOT_FOUND", None, None)
}

fn mismatch(version: Option<u64>) -> crate::history::Outcome {
    refused(412, "VERSION_MISMATCH", version, None)
}

#[test]
fn a_life_from_create_to_cancel_and_again_fits() {
    fits(
        created()
            .ok(20, 30, GET, answer(200, 10, 10, 9000))
            .ok(40, 50, move_to(8000, Some(10)), answer(200, 20, 20, 8000))
            .op(60, 70, move_to(7000, Some(10)), mismatch(Some(20)))
            .ok(80, 90, delete(None), after(answer(200, 20, 30, 8000), State::Cancelled, 0))
            .ok(91, 92, delete(None), after(answer(200, 20, 30, 8000), State::Cancelled, 0))
            .ok(100, 110, create(due(9000)), answer(201, 40, 40, 9000))
            .op(120, 130, create(due(9000)), mismatch(Some(40))),
    );
}

#[test]
fn the_service_may_change_a_pending_timer_by_itself() {
    fits(
        created()
            .ok(9100, 9110, GET, after(answer(200, 10, 20, 9000), State::Retrying, 1))
            .ok(9200, 9210, GET, after(answer(200, 10, 40, 9000), State::Delivered, 3))
            .op(
                9300,
                9310,
                delete(None),
                refused(
                    409,
                    "TIMER_FINISHED",
                    None,
                    Some(after(answer(409, 10, 40, 9000), State::Delivered, 3)),
                ),
            ),
    );
}

#[test]
fn a_finished_timer_is_replaced_with_200_and_a_cancelled_one_created_with_201() {
    let finished = created().ok(9100, 9110, GET, after(answer(200, 10, 20, 9000), State::Delivered, 1));
    fits(finished.ok(9200, 9210, put(due(9500)), answer(200, 30, 30, 9500)));
    let cancelled = created().ok(20, 30, delete(None), after(answer(200, 10, 20, 9000), State::Cancelled, 0));
    fits(cancelled.ok(40, 50, put(due(9000)), answer(201, 30, 30, 9000)));
    let cancelled = created().ok(20, 30, delete(None), after(answer(200, 10, 20, 9000), State::Cancelled, 0));
    assert_eq!(misfit(cancelled.ok(40, 50, put(due(9000)), answer(200, 30, 30, 9000))), Misfit::Status);
}

#[test]
fn the_same_definition_again_is_answered_as_it_stands() {
    fits(created().ok(20, 30, put(due(9000)), answer(200, 10, 10, 9000)));
    let replaced = created().ok(20, 30, put(due(9000)), answer(200, 20, 20, 9000));
    assert_eq!(misfit(replaced), Misfit::OtherGeneration, "a repeated PUT must not fire twice");
    let patched = created().ok(20, 30, label(5, None), {
        let mut answer = answer(200, 10, 20, 9000);
        answer.label = 5;
        answer
    });
    fits(patched.ok(40, 50, put(due(9000)), answer(200, 30, 30, 9000)));
}

#[test]
fn concurrent_reads_may_see_either_side_of_a_change_but_not_go_back() {
    let both = |first: u64, second: u64| {
        created()
            .ok(20, 90, move_to(8000, None), answer(200, 20, 20, 8000))
            .ok(30, 40, GET, if first == 10 { answer(200, 10, 10, 9000) } else { answer(200, 20, 20, 8000) })
            .ok(50, 60, GET, if second == 10 { answer(200, 10, 10, 9000) } else { answer(200, 20, 20, 8000) })
    };
    fits(both(10, 10));
    fits(both(10, 20));
    fits(both(20, 20));
    assert_eq!(misfit(both(20, 10)), Misfit::OtherGeneration);
}

#[test]
fn a_stale_read_is_caught() {
    let stale = created()
        .ok(20, 30, label(5, None), {
            let mut answer = answer(200, 10, 20, 9000);
            answer.label = 5;
            answer
        })
        .ok(40, 50, GET, answer(200, 10, 10, 9000));
    assert_eq!(misfit(stale), Misfit::OlderVersion);
}

#[test]
fn a_write_that_was_acknowledged_and_then_is_gone_is_caught() {
    assert_eq!(misfit(created().op(20, 30, GET, absent())), Misfit::Present);
    let lost = created().ok(20, 30, move_to(8000, None), answer(200, 20, 20, 8000)).ok(
        40,
        50,
        GET,
        answer(200, 10, 10, 9000),
    );
    assert_eq!(misfit(lost), Misfit::OtherGeneration);
}

#[test]
fn an_unknown_operation_may_take_effect_or_never_or_late() {
    let moved = || created().op(20, 30, move_to(8000, None), unknown());
    fits(moved().ok(40, 50, GET, answer(200, 10, 10, 9000)));
    fits(moved().ok(40, 50, GET, answer(200, 20, 20, 8000)));
    fits(moved().ok(40, 50, GET, answer(200, 10, 10, 9000)).ok(60, 70, GET, answer(200, 20, 20, 8000)));
    let back = moved().ok(40, 50, GET, answer(200, 20, 20, 8000)).ok(60, 70, GET, answer(200, 10, 10, 9000));
    assert_eq!(misfit(back), Misfit::OtherGeneration, "it can't be undone");
}

#[test]
fn an_unknown_create_explains_a_timer_that_nobody_acknowledged() {
    let tried = || Script::new().op(0, 10, create(due(9000)), unknown());
    fits(tried().ok(20, 30, GET, answer(200, 10, 10, 9000)));
    fits(tried().op(20, 30, GET, absent()));
    fits(tried().op(20, 30, create(due(9000)), mismatch(Some(10))));
    let other = tried().ok(20, 30, GET, answer(200, 10, 10, 9001));
    assert_eq!(misfit(other), Misfit::Definition, "nobody asked for this time");
    let untried = Script::new().ok(20, 30, GET, answer(200, 10, 10, 9000));
    assert_eq!(misfit(untried), Misfit::Absent);
}

#[test]
fn an_unknown_operation_takes_effect_once() {
    let twice = Script::new()
        .op(0, 10, put(due(9000)), unknown())
        .ok(20, 30, GET, answer(200, 10, 10, 9000))
        .ok(40, 50, delete(None), after(answer(200, 10, 20, 9000), State::Cancelled, 0))
        .ok(60, 70, GET, answer(200, 30, 30, 9000));
    assert_eq!(misfit(twice), Misfit::OtherGeneration);
}

#[test]
fn an_unknown_delete_or_label_shows_later() {
    let cancelled = created()
        .op(20, 30, delete(None), unknown())
        .ok(40, 50, GET, answer(200, 10, 10, 9000))
        .ok(60, 70, GET, after(answer(200, 10, 20, 9000), State::Cancelled, 0));
    fits(cancelled);
    let mut labelled = after(answer(200, 10, 30, 9000), State::Retrying, 2);
    labelled.label = 5;
    fits(created().op(20, 30, label(5, None), unknown()).ok(9100, 9110, GET, labelled));
    let uncalled = created().ok(60, 70, GET, after(answer(200, 10, 20, 9000), State::Cancelled, 0));
    assert_eq!(misfit(uncalled), Misfit::State);
}

#[test]
fn an_unknown_operation_called_after_a_read_cannot_explain_it() {
    let foreseen =
        created().ok(20, 30, GET, answer(200, 20, 20, 8000)).op(40, 50, move_to(8000, None), unknown());
    assert_eq!(misfit(foreseen), Misfit::OtherGeneration);
}

#[test]
fn a_compare_and_set_on_an_old_version_is_caught() {
    let ignored = created().ok(20, 30, move_to(8000, Some(10)), answer(200, 20, 20, 8000)).ok(
        40,
        50,
        move_to(7000, Some(10)),
        answer(200, 30, 30, 7000),
    );
    assert_eq!(misfit(ignored), Misfit::Precondition);
    let cancelled = created().ok(20, 30, move_to(8000, None), answer(200, 20, 20, 8000)).ok(
        40,
        50,
        delete(Some(10)),
        after(answer(200, 20, 30, 8000), State::Cancelled, 0),
    );
    assert_eq!(misfit(cancelled), Misfit::Precondition);
}

#[test]
fn two_compare_and_sets_of_one_version_cannot_both_succeed() {
    let both = created().ok(20, 90, move_to(8000, Some(10)), answer(200, 20, 20, 8000)).ok(
        20,
        90,
        move_to(7000, Some(10)),
        answer(200, 30, 30, 7000),
    );
    assert_eq!(misfit(both), Misfit::Precondition);
}

#[test]
fn a_refused_compare_and_set_whose_version_was_in_force_is_caught() {
    let refused = created()
        .ok(20, 30, delete(None), after(answer(200, 10, 20, 9000), State::Cancelled, 0))
        .op(40, 50, Action::Put { definition: due(8000), if_match: Some(20) }, mismatch(None));
    assert_eq!(misfit(refused), Misfit::Refusal);
    let named = created().op(20, 30, move_to(8000, Some(10)), mismatch(Some(10)));
    assert_eq!(misfit(named), Misfit::Refusal);
    let other = created().op(20, 30, move_to(8000, Some(9)), mismatch(Some(11)));
    assert_eq!(misfit(other.ok(40, 50, GET, answer(200, 10, 10, 9000))), Misfit::OlderVersion);
}

#[test]
fn a_mismatch_without_a_version_says_that_there_is_no_timer() {
    let on = |version| Action::Put { definition: due(8000), if_match: Some(version) };
    fits(Script::new().op(0, 10, on(9), mismatch(None)));
    assert_eq!(misfit(created().op(20, 30, on(9), mismatch(None))), Misfit::Refusal);
    assert_eq!(misfit(created().op(20, 30, create(due(8000)), mismatch(None))), Misfit::Refusal);
    assert_eq!(misfit(Script::new().op(0, 10, on(9), mismatch(Some(8)))), Misfit::Absent);
}

#[test]
fn an_unknown_purge_of_a_version_that_was_pending_erases_nothing() {
    let purge = |if_match| Action::Delete { if_match: Some(if_match), purge: true };
    let tried = |version| created().op(9100, 9110, purge(version), unknown());
    assert_eq!(misfit(tried(10).op(9200, 9210, GET, absent())), Misfit::Present);
    fits(tried(20).op(9200, 9210, GET, absent()));
}

#[test]
fn a_version_below_its_generation_is_caught() {
    // A refusal tells version 20 of a put that nobody was answered, and the read a generation above that.
    let told =
        Script::new().op(0, 10, put(due(9000)), unknown()).op(20, 30, create(due(9000)), mismatch(Some(20)));
    assert_eq!(misfit(told.ok(40, 50, GET, answer(200, 30, 20, 9000))), Misfit::OlderVersion);
}

#[test]
fn two_creates_cannot_both_succeed_and_one_is_not_refused_without_reason() {
    let both = Script::new().ok(0, 90, create(due(9000)), answer(201, 10, 10, 9000)).ok(
        0,
        90,
        create(due(8000)),
        answer(201, 20, 20, 8000),
    );
    assert_eq!(misfit(both), Misfit::Present);
    assert_eq!(misfit(Script::new().op(0, 10, create(due(9000)), mismatch(None))), Misfit::Refusal);
}

#[test]
fn numbers_that_are_used_again_or_go_back_are_caught() {
    let again = created().ok(20, 30, delete(None), after(answer(200, 10, 20, 9000), State::Cancelled, 0)).ok(
        40,
        50,
        create(due(9000)),
        answer(201, 15, 15, 9000),
    );
    assert_eq!(misfit(again), Misfit::NotNew);
    let apart = Script::new().ok(0, 10, create(due(9000)), answer(201, 10, 11, 9000));
    assert_eq!(misfit(apart), Misfit::NotNew);
    let unchanged = created().ok(20, 30, delete(None), after(answer(200, 10, 10, 9000), State::Cancelled, 0));
    assert_eq!(misfit(unchanged), Misfit::NotNew);
    let replaced = created().ok(20, 30, put(due(8000)), answer(200, 10, 10, 8000));
    assert_eq!(misfit(replaced), Misfit::NotNew);
}

#[test]
fn a_cancel_of_what_was_finished_and_a_patch_of_what_was_cancelled_are_caught() {
    let finished = || created().ok(9100, 9110, GET, after(answer(200, 10, 20, 9000), State::Delivered, 1));
    let cancelled = after(answer(200, 10, 30, 9000), State::Cancelled, 1);
    assert_eq!(misfit(finished().ok(9200, 9210, delete(None), cancelled)), Misfit::Finished);
    let patched = created()
        .ok(20, 30, delete(None), after(answer(200, 10, 20, 9000), State::Cancelled, 0))
        .ok(40, 50, move_to(8000, None), answer(200, 30, 30, 8000));
    assert_eq!(misfit(patched), Misfit::Finished);
}

#[test]
fn a_change_that_nobody_made_is_caught() {
    let finished = created().ok(9100, 9110, GET, after(answer(200, 10, 20, 9000), State::Delivered, 1)).ok(
        9200,
        9210,
        GET,
        after(answer(200, 10, 30, 9000), State::Delivered, 1),
    );
    assert_eq!(misfit(finished), Misfit::ChangedByNobody);
    let version_only = created().ok(20, 30, GET, answer(200, 10, 20, 9000));
    assert_eq!(misfit(version_only), Misfit::State, "an attempt is counted with each");
    let attempts_only = created().ok(20, 30, GET, after(answer(200, 10, 10, 9000), State::Scheduled, 1));
    assert_eq!(misfit(attempts_only), Misfit::State);
    let woken = created().ok(20, 30, delete(None), after(answer(200, 10, 20, 9000), State::Cancelled, 0)).ok(
        40,
        50,
        GET,
        after(answer(200, 10, 30, 9000), State::Dead, 3),
    );
    assert_eq!(misfit(woken), Misfit::ChangedByNobody);
    let skipped = created().ok(20, 30, GET, after(answer(200, 10, 20, 9000), State::Skipped, 0));
    assert_eq!(misfit(skipped), Misfit::State);
    let mut labelled = answer(200, 10, 10, 9000);
    labelled.label = 1;
    assert_eq!(misfit(created().ok(20, 30, GET, labelled)), Misfit::Definition);
    let mut emptied = answer(200, 10, 10, 9000);
    emptied.payload = None;
    assert_eq!(misfit(created().ok(20, 30, GET, emptied)), Misfit::Definition);
}

#[test]
fn refusals_about_the_end_must_be_true() {
    let pending = refused(409, "TIMER_FINISHED", None, Some(answer(409, 10, 10, 9000)));
    assert_eq!(misfit(created().op(20, 30, delete(None), pending)), Misfit::Refusal);
    let cancelled =
        || created().ok(20, 30, delete(None), after(answer(200, 10, 20, 9000), State::Cancelled, 0));
    let bare = || refused(409, "TIMER_FINISHED", None, None);
    assert_eq!(misfit(cancelled().op(40, 50, delete(None), bare())), Misfit::Refusal);
    fits(cancelled().op(40, 50, move_to(8000, None), bare()));
    let unfinished = || refused(409, "TIMER_NOT_FINISHED", None, None);
    fits(created().op(20, 30, PURGE, unfinished()));
    assert_eq!(misfit(cancelled().op(40, 50, PURGE, unfinished())), Misfit::Refusal);
}

#[test]
fn a_purged_timer_is_absent_and_its_numbers_stay_used() {
    let purged = || {
        created().ok(20, 30, delete(None), after(answer(200, 10, 20, 9000), State::Cancelled, 0)).ok(
            40,
            50,
            PURGE,
            after(answer(200, 10, 20, 9000), State::Cancelled, 0),
        )
    };
    fits(purged().op(60, 70, GET, absent()).ok(80, 90, create(due(9000)), answer(201, 30, 30, 9000)));
    assert_eq!(
        misfit(purged().ok(60, 70, GET, after(answer(200, 10, 20, 9000), State::Cancelled, 0))),
        Misfit::Absent
    );
    assert_eq!(misfit(purged().ok(80, 90, create(due(9000)), answer(201, 20, 20, 9000))), Misfit::NotNew);
    assert_eq!(misfit(created().ok(20, 30, PURGE, answer(200, 10, 10, 9000))), Misfit::NotFinished);
    let perhaps = created()
        .ok(20, 30, delete(None), after(answer(200, 10, 20, 9000), State::Cancelled, 0))
        .op(40, 50, PURGE, unknown());
    fits(perhaps.op(60, 70, GET, absent()));
}

#[test]
fn what_says_nothing_about_the_timer_is_ignored() {
    fits(
        created()
            .op(20, 30, GET, unknown())
            .op(40, 50, put(due(8000)), refused(503, "SHARD_UNAVAILABLE", None, None))
            .op(60, 70, put(due(8000)), refused(422, "OUT_OF_RANGE", None, None))
            .op(80, 90, delete(None), refused(409, "ATTEMPT_IN_FLIGHT", None, None))
            .ok(100, 110, GET, answer(200, 10, 10, 9000)),
    );
    let applied = created().op(20, 30, put(due(8000)), refused(503, "SHARD_UNAVAILABLE", None, None)).ok(
        40,
        50,
        GET,
        answer(200, 20, 20, 8000),
    );
    assert_eq!(misfit(applied), Misfit::OtherGeneration, "not applied means never");
}

#[test]
fn more_operations_than_can_be_judged_are_undecided() {
    let mut script = created();
    for n in 0..100 {
        script = script.ok(20 + n, 21 + n, GET, answer(200, 10, 10, 9000));
    }
    assert!(matches!(judgement(script), Judgement::Undecided(why) if why.contains("101 operations")));
}

#[test]
fn the_operation_in_the_way_is_named_with_how_far_the_order_came() {
    let script = created().ok(20, 30, GET, answer(200, 10, 10, 9000)).op(40, 50, GET, absent());
    let Judgement::NotLinearizable(stuck) = judgement(script) else { panic!("it can't fit") };
    assert_eq!((stuck.operation, stuck.explained), (2, 2));
}
