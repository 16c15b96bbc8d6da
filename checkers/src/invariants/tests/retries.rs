//! I8: when retries come, how many, and how they end.

use crate::history::{Action, Answer, Event, Reply, State};
use crate::invariants::i8_retries;
use crate::testing::{Script, WALL, after, answer, create, delivery, due, status, token, unknown};
use crate::verdict::Breach;

/// A timer for 100 with the policy of the tests: 1 s, 2 s, at most 3 attempts, dead on 400 and 410.
fn created() -> Script {
    Script::new().ok(0, 10, create(due(100)), answer(201, 10, 10, 100))
}

fn broken(script: Script) -> Vec<Breach> {
    script.breaches(i8_retries::check)
}

/// The attempt `attempt` at `at`; a failure unless said otherwise.
fn attempt(script: Script, at: u64, attempt: u32, reply: Reply) -> Script {
    script.delivery(at, 10, attempt, token(10 + u64::from(attempt), 1), reply)
}

fn first(reply: Reply) -> Script {
    attempt(created(), 100, 1, reply)
}

#[test]
fn a_retry_waits_for_its_backoff_from_the_answer() {
    // The wait is 1000 ms after the answer at 101, and may be a millisecond less by rounding.
    assert!(broken(attempt(first(status(500)), 1100, 2, status(200))).is_empty());
    assert_eq!(broken(attempt(first(status(500)), 1099, 2, status(200))), [Breach::RetriedTooSoon]);
    let third = |at| attempt(attempt(first(status(500)), 1101, 2, status(500)), at, 3, status(200));
    assert!(broken(third(3102)).is_empty());
    assert_eq!(broken(third(3000)), [Breach::RetriedTooSoon]);
}

#[test]
fn jitter_shortens_a_wait_by_its_share_at_most() {
    let jittered =
        |at| attempt(first(status(500)), at, 2, status(200)).with_run(|run| run.retry.jitter_milli = 200);
    assert!(broken(jittered(900)).is_empty());
    assert_eq!(broken(jittered(899)), [Breach::RetriedTooSoon]);
}

#[test]
fn attempts_that_nobody_received_are_not_missed_but_their_waits_are() {
    assert!(broken(attempt(first(status(500)), 3100, 3, status(200))).is_empty());
    assert_eq!(broken(attempt(first(status(500)), 3000, 3, status(200))), [Breach::RetriedTooSoon]);
}

#[test]
fn retry_after_is_honoured_where_it_counts_and_up_to_the_longest_interval() {
    let asked = |code, seconds| Reply::Status { status: code, retry_after_s: Some(seconds) };
    let again = |code, seconds, at| broken(attempt(first(asked(code, seconds)), at, 2, status(200)));
    assert!(again(503, 5, 5101).is_empty());
    assert_eq!(again(503, 5, 3000), [Breach::RetriedTooSoon]);
    assert_eq!(again(429, 5, 3000), [Breach::RetriedTooSoon]);
    assert!(again(500, 5, 3000).is_empty(), "not with 500");
    assert!(again(503, 500, 8101).is_empty(), "the longest interval is 8 s");
    assert_eq!(again(503, 500, 6000), [Breach::RetriedTooSoon]);
}

#[test]
fn under_a_fault_the_answer_may_be_lost_and_only_the_reception_counts() {
    let fault = || first(status(200)).fault(50, 500, "partition", None);
    assert!(broken(attempt(fault(), 1100, 2, status(200))).is_empty());
    assert_eq!(broken(attempt(fault(), 900, 2, status(200))), [Breach::RetriedTooSoon]);
    let asked = Reply::Status { status: 503, retry_after_s: Some(5) };
    let lost = attempt(first(asked).fault(50, 500, "partition", None), 1100, 2, status(200));
    assert!(broken(lost).is_empty());
}

#[test]
fn a_fault_of_clocks_allows_the_difference_of_two_leaders() {
    let skewed =
        |at| attempt(first(status(500)).fault(50, 5000, "clockOffset", Some(250)), at, 2, status(200));
    assert!(broken(skewed(600)).is_empty());
    assert_eq!(broken(skewed(598)), [Breach::RetriedTooSoon]);
}

#[test]
fn a_second_reception_of_the_same_attempt_does_not_start_the_wait_anew() {
    let twice = first(status(500)).delivery(1000, 10, 1, token(12, 1), status(500));
    assert!(broken(attempt(twice, 1101, 2, status(200))).is_empty());
}

#[test]
fn nothing_follows_an_answer_that_ends_a_timer_in_calm() {
    assert_eq!(broken(attempt(first(status(204)), 1200, 2, status(200))), [Breach::RetriedAfterEnd]);
    assert_eq!(broken(attempt(first(status(410)), 1200, 2, status(200))), [Breach::RetriedAfterEnd]);
    assert!(broken(attempt(first(status(404)), 1200, 2, status(200))).is_empty(), "not one of deadOn");
}

#[test]
fn an_answer_at_the_edge_of_the_time_out_may_not_have_been_heard() {
    let mut slow = delivery(100, 10, 1, token(11, 1), status(200));
    slow.answered_ns = Some(1_100_000_000);
    let script = created().event(Event::Delivery(slow));
    assert!(broken(attempt(script, 3200, 2, status(200))).is_empty());
}

#[test]
fn more_attempts_than_allowed_are_caught() {
    let fourth = attempt(
        attempt(attempt(first(status(500)), 1200, 2, status(500)), 3300, 3, status(500)),
        8000,
        4,
        status(200),
    );
    assert_eq!(broken(fourth), [Breach::TooManyAttempts]);
}

#[test]
fn an_attempt_planned_for_after_the_longest_duration_is_caught_and_one_that_is_only_late_is_not() {
    let second = |planned| {
        let mut second = delivery(9000, 10, 2, token(12, 1), status(200));
        second.scheduled_at_ms = WALL + planned;
        first(status(500)).with_run(|run| run.retry.max_duration_ms = 5000).event(Event::Delivery(second))
    };
    assert!(broken(second(5100)).is_empty());
    assert_eq!(broken(second(5101)), [Breach::RetriedTooLong]);
}

fn read(script: Script, state: State, attempts: u32) -> Script {
    let shown: Answer = after(answer(200, 10, 20, 100), state, attempts);
    script.ok(50_000, 50_010, Action::Get, shown)
}

#[test]
fn dead_before_the_last_attempt_needs_a_reason() {
    assert_eq!(broken(read(first(status(500)), State::Dead, 1)), [Breach::DeadTooEarly]);
    assert!(broken(read(first(status(410)), State::Dead, 1)).is_empty());
    let brief = read(first(status(500)), State::Dead, 1).with_run(|run| run.retry.max_duration_ms = 900);
    assert!(broken(brief).is_empty());
    let unseen = attempt(created(), 1100, 2, status(500));
    assert!(broken(read(unseen, State::Dead, 2)).is_empty(), "the first may have taken any time");
}

#[test]
fn more_attempts_counted_than_allowed_are_caught() {
    assert_eq!(broken(read(first(status(500)), State::Dead, 4)), [Breach::TooManyAttempts]);
    assert!(broken(read(first(status(500)), State::Cancelled, 2)).is_empty());
}

#[test]
fn pending_after_the_last_attempt_is_caught() {
    assert_eq!(broken(read(first(status(500)), State::Retrying, 3)), [Breach::NotDead]);
    assert!(broken(read(first(status(500)), State::Retrying, 2)).is_empty());
    assert!(broken(read(first(status(500)), State::Dead, 3)).is_empty());
}

#[test]
fn delivered_needs_a_receiver_that_agreed() {
    assert_eq!(broken(read(first(status(500)), State::Delivered, 1)), [Breach::DeliveredWithoutConsent]);
    assert!(broken(read(first(status(200)), State::Delivered, 1)).is_empty());
}

#[test]
fn a_definitions_own_policy_counts_and_without_any_nothing_is_judged() {
    let mut patient = due(100);
    patient.retry =
        Some(crate::history::RetryPolicy { initial_interval_ms: 5000, ..crate::testing::policy() });
    let own = Script::new().ok(0, 10, create(patient.clone()), answer(201, 10, 10, 100));
    let own = attempt(attempt(own, 100, 1, status(500)), 1200, 2, status(200));
    assert_eq!(broken(own), [Breach::RetriedTooSoon]);
    let either = Script::new().op(0, 10, create(patient), unknown()).op(20, 30, create(due(100)), unknown());
    let either = attempt(attempt(either, 100, 1, status(500)), 1200, 2, status(200));
    assert!(broken(either).is_empty());
}

#[test]
fn no_wait_counts_from_a_zombie_and_each_counts_from_the_leader_before() {
    let second_by_new = |opened| {
        created()
            .leader(0, 5, 1)
            .leader(opened, 12, 2)
            .delivery(500, 10, 1, token(11, 1), status(500))
            .delivery(1300, 10, 2, token(12, 1), status(200))
    };
    assert!(broken(second_by_new(400)).is_empty(), "the new one's first attempt met a closed port");
    assert_eq!(broken(second_by_new(600)), [Breach::RetriedTooSoon], "a new leader keeps to the wait");
}
