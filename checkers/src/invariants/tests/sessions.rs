//! I6: how often an attempt is made, and with which tokens.

use crate::history::{Event, Reply};
use crate::invariants::i6_attempts_once;
use crate::testing::{Script, answer, create, delivery, due, status, token};
use crate::verdict::{Breach, Findings};

/// A timer for 100; session 1 of node 1 from the begin.
fn created() -> Script {
    Script::new().leader(0, 1, 1).ok(0, 10, create(due(100)), answer(201, 4096, 4096, 100))
}

fn found(script: Script) -> Findings {
    i6_attempts_once::check(&script.history())
}

fn broken(script: Script) -> Vec<Breach> {
    found(script).violations.into_iter().map(|violation| violation.breach).collect()
}

/// The first attempt with `token`, from `node`.
fn sent(script: Script, at: u64, token: u64, node: u32) -> Script {
    let mut delivery = delivery(at, 4096, 1, token, status(500));
    delivery.node = Some(node);
    script.event(Event::Delivery(delivery))
}

#[test]
fn an_attempt_twice_in_one_session_is_caught() {
    let twice = created().delivery(110, 4096, 1, token(5, 1), status(500));
    assert_eq!(broken(twice.delivery(120, 4096, 1, token(5, 2), status(500))), [Breach::TwiceInOneSession]);
}

#[test]
fn an_attempt_without_an_answer_may_be_sent_once_more_as_it_was_at_once() {
    let same = |script: Script, at, reply| script.delivery(at, 4096, 1, token(5, 1), reply);
    let first = || same(created(), 110, Reply::Reset);
    assert_eq!(broken(same(first(), 120, status(500))), []);
    assert_eq!(broken(same(first(), 2_200, status(500))), [Breach::TokenUsedTwice], "much later");
    let answered = same(created(), 110, status(500));
    assert_eq!(broken(same(answered, 120, status(500))), [Breach::TokenUsedTwice], "it had an answer");
    let twice = same(first(), 120, Reply::Reset);
    assert_eq!(broken(same(twice, 130, status(500))), [Breach::TokenUsedTwice], "and again");
}

#[test]
fn an_attempt_is_made_again_by_the_next_session_once() {
    let again = || {
        created().delivery(110, 4096, 1, token(5, 1), Reply::Hang).leader(500, 20, 2).delivery(
            600,
            4096,
            1,
            token(20, 1),
            status(200),
        )
    };
    assert!(broken(again()).is_empty());
    assert_eq!(
        broken(again().delivery(700, 4096, 1, token(21, 1), status(200))),
        [Breach::TwiceInOneSession],
        "twice in the second"
    );
    assert!(broken(again().leader(650, 30, 3).delivery(700, 4096, 1, token(30, 1), status(200))).is_empty());
}

#[test]
fn a_zombie_of_the_old_session_may_come_after_the_new_ones_attempt() {
    let zombie = created().leader(500, 20, 2).delivery(600, 4096, 1, token(20, 1), status(200)).delivery(
        900,
        4096,
        1,
        token(5, 1),
        status(200),
    );
    assert!(broken(zombie).is_empty());
}

#[test]
fn a_session_that_begins_long_after_the_answer_knows_the_outcome() {
    let again = |opened| {
        created().delivery(110, 4096, 1, token(5, 1), status(200)).leader(opened, 20, 2).delivery(
            opened + 10,
            4096,
            1,
            token(20, 1),
            status(200),
        )
    };
    assert!(broken(again(7110)).is_empty(), "a time-out and the bound");
    assert_eq!(broken(again(7111)), [Breach::RepeatedLate]);
    let unhealthy = again(9000).health(200, false).health(8000, true);
    assert!(broken(unhealthy).is_empty(), "nothing could be replicated");
}

#[test]
fn without_all_sessions_a_repetition_is_a_doubt() {
    let twice = created()
        .delivery(110, 4096, 1, token(5, 1), status(500))
        .delivery(120, 4096, 1, token(5, 2), status(500))
        .with_run(|run| run.sessions_complete = false);
    let found = found(twice);
    assert_eq!((found.violations.len(), found.doubts.len()), (0, 1));
}

#[test]
fn two_nodes_without_a_session_in_between_are_caught() {
    let both = sent(sent(created(), 110, token(5, 1), 1), 120, token(5, 2), 2);
    assert_eq!(broken(both), [Breach::TwiceInOneSession]);
}

#[test]
fn a_token_from_two_nodes_is_caught() {
    let both = sent(sent(created(), 110, token(5, 1), 1), 120, token(5, 1), 2);
    let broken = broken(both);
    assert!(broken.contains(&Breach::TokenOfTwoNodes) && broken.contains(&Breach::TokenUsedTwice));
}

#[test]
fn a_token_used_for_two_attempts_or_two_timers_is_caught() {
    let attempts = created().delivery(110, 4096, 1, token(5, 1), status(500)).delivery(
        1200,
        4096,
        2,
        token(5, 1),
        status(200),
    );
    assert_eq!(broken(attempts), [Breach::TokenUsedTwice]);
    let once = created().delivery(110, 4096, 1, token(5, 1), status(500));
    assert_eq!(
        broken(once.delivery(120, 4096, 1, token(5, 1), status(500))),
        [Breach::TokenUsedTwice],
        "one attempt received twice with one token"
    );
    let mut other = delivery(120, 8192, 1, token(5, 1), status(200));
    other.timer = "u".into();
    let mut called = crate::history::Call {
        at_ns: 0,
        op: 99,
        process: 1,
        timer: "u".into(),
        shard: 0,
        key: None,
        action: create(due(100)),
    };
    let timers = |call| {
        created()
            .delivery(110, 4096, 1, token(5, 1), status(500))
            .event(Event::Call(call))
            .event(Event::Delivery(other.clone()))
    };
    assert_eq!(broken(timers(called.clone())), [Breach::TokenUsedTwice]);
    called.shard = 1;
    assert!(broken(timers(called)).is_empty(), "tokens of two shards are strangers");
}

#[test]
fn a_later_attempt_or_generation_with_a_lower_token_is_caught() {
    let first = || created().delivery(110, 4096, 1, token(9, 1), status(500));
    assert_eq!(broken(first().delivery(1200, 4096, 2, token(8, 1), status(200))), [Breach::TokenDidNotGrow]);
    assert_eq!(broken(first().delivery(1200, 8192, 1, token(8, 1), status(200))), [Breach::TokenDidNotGrow]);
    assert!(broken(first().delivery(1200, 4096, 2, token(10, 1), status(200))).is_empty());
}
