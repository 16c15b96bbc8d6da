//! I2: what is lost, what is late, and what only looks so.

use crate::history::{Action, PhaseName, Reply, State};
use crate::index::History;
use crate::invariants::i2_nothing_lost;
use crate::testing::{
    Script, after, answer, create, delete, due, label, move_to, put, refused, status, token, unknown,
};
use crate::verdict::{Breach, Findings};

/// Created for 100, then the run goes on until 20,000.
fn acknowledged() -> Script {
    Script::new().ok(0, 10, create(due(100)), answer(201, 10, 10, 100)).phase(20_000, PhaseName::Final)
}

fn found(script: Script) -> Findings {
    i2_nothing_lost::check(&script.history())
}

#[track_caller]
fn broken(script: Script, breach: Breach) {
    let found = found(script);
    assert_eq!(found.violations.iter().map(|v| v.breach).collect::<Vec<_>>(), [breach]);
}

#[track_caller]
fn kept(script: Script) {
    assert_eq!(found(script), Findings::default());
}

#[test]
fn what_was_acknowledged_and_never_delivered_is_lost() {
    broken(acknowledged(), Breach::Lost);
}

#[test]
fn what_was_delivered_within_the_bound_is_kept_and_after_it_too_late() {
    kept(acknowledged().delivery(5100, 10, 1, token(10, 1), status(200)));
    broken(acknowledged().delivery(5101, 10, 1, token(10, 1), status(200)), Breach::TooLate);
}

#[test]
fn time_without_a_healthy_quorum_does_not_count() {
    kept(acknowledged().health(1000, false).health(10_000, true).delivery(
        14_100,
        10,
        1,
        token(10, 1),
        status(200),
    ));
    broken(acknowledged().health(1000, false).health(10_000, true), Breach::Lost);
    let never = acknowledged().health(1000, false);
    assert_eq!(found(never).doubts.len(), 1, "nobody can say");
}

#[test]
fn the_grace_after_a_heal_does_not_count() {
    let late =
        |at| {
            acknowledged()
                .with_run(|run| run.grace_ms = 1000)
                .health(50, false)
                .health(10_000, true)
                .delivery(at, 10, 1, token(10, 1), status(200))
        };
    kept(late(16_000));
    broken(late(16_001), Breach::TooLate);
}

#[test]
fn what_is_within_its_bound_at_the_end_is_a_doubt_and_what_is_not_due_is_nothing() {
    let short =
        Script::new().ok(0, 10, create(due(100)), answer(201, 10, 10, 100)).phase(5000, PhaseName::Final);
    assert_eq!(found(short).doubts.len(), 1);
    let far = Script::new().ok(0, 10, create(due(99_999)), answer(201, 10, 10, 99_999));
    kept(far.phase(20_000, PhaseName::Final));
}

#[test]
fn a_timer_made_for_the_past_is_due_when_it_is_acknowledged() {
    let past = || {
        Script::new()
            .ok(9000, 9010, create(due(100)), answer(201, 10, 10, 100))
            .phase(30_000, PhaseName::Final)
    };
    kept(past().delivery(14_010, 10, 1, token(10, 1), status(200)));
    broken(past(), Breach::Lost);
}

#[test]
fn an_unacknowledged_timer_may_be_lost() {
    let script = Script::new().op(0, 10, create(due(100)), unknown());
    kept(script.phase(20_000, PhaseName::Final));
}

#[test]
fn a_timer_that_only_a_read_has_shown_must_fire_too() {
    let script = Script::new()
        .op(0, 10, create(due(100)), unknown())
        .ok(20, 30, Action::Get, answer(200, 10, 10, 100))
        .phase(20_000, PhaseName::Final);
    broken(script, Breach::Lost);
}

#[test]
fn what_was_cancelled_or_replaced_before_its_bound_need_not_fire() {
    let cancelled = after(answer(200, 10, 20, 100), State::Cancelled, 0);
    kept(acknowledged().ok(5000, 5010, delete(None), cancelled));
    kept(acknowledged().ok(5000, 5010, move_to(90_000, None), answer(200, 20, 20, 90_000)));
}

#[test]
fn a_cancel_long_after_the_bound_does_not_excuse() {
    let cancelled = after(answer(200, 10, 20, 100), State::Cancelled, 0);
    broken(acknowledged().ok(15_000, 15_010, delete(None), cancelled), Breach::Lost);
}

#[test]
fn an_operation_that_may_have_ended_it_excuses_unless_a_later_read_shows_it() {
    kept(acknowledged().op(50, 60, delete(None), unknown()));
    kept(acknowledged().op(50, 60, put(due(90_000)), unknown()));
    let seen = acknowledged().op(50, 60, delete(None), unknown()).ok(
        15_000,
        15_010,
        Action::Get,
        answer(200, 10, 10, 100),
    );
    broken(seen, Breach::Lost);
}

#[test]
fn an_operation_that_cannot_have_ended_it_does_not_excuse() {
    broken(acknowledged().op(50, 60, create(due(90_000)), unknown()), Breach::Lost);
    broken(acknowledged().op(50, 60, label(3, None), unknown()), Breach::Lost);
    broken(acknowledged().op(50, 60, delete(Some(9)), unknown()), Breach::Lost);
    kept(acknowledged().op(50, 60, delete(Some(10)), unknown()));
    broken(
        acknowledged().op(50, 60, delete(None), refused(503, "SHARD_UNAVAILABLE", None, None)),
        Breach::Lost,
    );
}

/// Seen with `jepsen run --profile mix --time 180 --seed 109`: a create was answered 504 and took effect, all attempts
/// met a receiver whose port was closed for a while, and minutes later the last read was the first to tell of it.
#[test]
fn attempts_may_have_failed_to_connect_before_anybody_was_told_of_the_timer() {
    let told_late = || {
        let shown = after(answer(200, 10, 20, 100), State::Dead, 3);
        Script::new().op(0, 40, create(due(100)), unknown()).ok(5000, 5010, Action::Get, shown)
    };
    kept(told_late().fault(90, 900, "receiverRefuse", None));
    broken(told_late(), Breach::FinishedUnseen);
}

#[test]
fn what_the_service_calls_delivered_must_have_been_received() {
    let read = |state, attempts| {
        let shown = after(answer(200, 10, 20, 100), state, attempts);
        acknowledged().ok(1000, 1010, Action::Get, shown)
    };
    broken(read(State::Delivered, 1), Breach::FinishedUnseen);
    broken(read(State::Dead, 0), Breach::FinishedUnseen);
    broken(read(State::Skipped, 0), Breach::FinishedUnseen);
    broken(read(State::Dead, 3), Breach::FinishedUnseen);
    kept(read(State::Dead, 3).fault(90, 900, "partition", None));
    broken(read(State::Dead, 0).fault(90, 900, "partition", None), Breach::FinishedUnseen);
    kept(read(State::Delivered, 1).delivery(120, 10, 1, token(10, 1), status(200)));
}

#[test]
fn a_failed_attempt_must_be_followed_by_another() {
    let failed = |reply| acknowledged().delivery(110, 10, 1, token(10, 1), reply);
    broken(failed(status(500)), Breach::NeverRetried);
    broken(failed(Reply::Hang), Breach::NeverRetried);
    broken(failed(Reply::Reset), Breach::NeverRetried);
    kept(failed(status(400)));
    kept(failed(status(500)).delivery(1200, 10, 2, token(20, 1), status(204)));
    let died = after(answer(200, 10, 20, 100), State::Dead, 1);
    kept(failed(status(500)).ok(15_000, 15_010, Action::Get, died));
    let asked = Reply::Status { status: 503, retry_after_s: Some(8) };
    let short = acknowledged().delivery(110, 10, 1, token(10, 1), asked);
    broken(short, Breach::NeverRetried);
}

#[test]
fn the_last_attempt_of_a_policy_needs_no_follower_nor_one_beyond_the_longest_duration() {
    let last = acknowledged()
        .delivery(110, 10, 1, token(10, 1), status(500))
        .delivery(1200, 10, 2, token(20, 1), status(500))
        .delivery(3300, 10, 3, token(30, 1), status(500));
    kept(last);
    let brief = acknowledged().with_run(|run| run.retry.max_duration_ms = 900).delivery(
        110,
        10,
        1,
        token(10, 1),
        status(500),
    );
    kept(brief);
}

#[test]
fn a_timer_whose_shard_nobody_knows_is_left_to_others() {
    let history: History = Script::new().delivery(100, 10, 1, 1, status(200)).history();
    assert_eq!(i2_nothing_lost::check(&history), Findings::default());
}

#[test]
fn a_retry_that_was_asked_for_later_is_due_later() {
    let asked = Reply::Status { status: 503, retry_after_s: Some(8) };
    // Due 8 s after a time-out: 10,110; the bound is 5 s.
    let until = |end| {
        Script::new()
            .ok(0, 10, create(due(100)), answer(201, 10, 10, 100))
            .delivery(110, 10, 1, token(10, 1), asked)
            .phase(end, PhaseName::Final)
    };
    let found_at = |end| (found(until(end)).violations.len(), found(until(end)).doubts.len());
    assert_eq!(found_at(15_110), (0, 1));
    assert_eq!(found_at(15_111), (1, 0));
}

#[test]
fn a_retry_is_missed_that_would_come_within_the_longest_duration() {
    // Planned for at most 110 + 2000 + 1000 ms.
    let with = |most| {
        acknowledged().with_run(|run| run.retry.max_duration_ms = most).delivery(
            110,
            10,
            1,
            token(10, 1),
            status(500),
        )
    };
    kept(with(3000));
    broken(with(3001), Breach::NeverRetried);
}

#[test]
fn the_end_of_another_generation_does_not_excuse_this_one() {
    let next = acknowledged().ok(9000, 9010, put(due(90_000)), answer(200, 20, 20, 90_000)).ok(
        9100,
        9110,
        Action::Get,
        after(answer(200, 20, 30, 90_000), State::Dead, 3),
    );
    broken(next.delivery(9050, 20, 1, token(20, 1), status(200)), Breach::Lost);
    let again = acknowledged().op(
        50,
        60,
        delete(Some(10)),
        refused(409, "TIMER_FINISHED", None, Some(after(answer(409, 10, 20, 100), State::Dead, 3))),
    );
    kept(again.fault(20, 900, "partition", None));
}
