//! I4 and I5 around a purge: what it answers for, and what nobody answers for after it.

use crate::history::{Action, Answer, InFlight, Outcome, State};
use crate::index::History;
use crate::invariants::{i4_definite_delete, i5_definite_replace};
use crate::testing::{
    Script, WALL, after, answer, create, delete, due, put, refused, status, token, unknown,
};
use crate::verdict::{Breach, Findings};

const PURGE: Action = Action::Delete { if_match: None, purge: true };

/// Created for 100, delivered, and read as such.
fn delivered() -> Script {
    Script::new().ok(0, 10, create(due(100)), answer(201, 10, 10, 100)).delivery(
        110,
        10,
        1,
        token(10, 1),
        status(200),
    )
}

/// What a purge shows: the timer as it was.
fn shown(in_flight: InFlight, until: Option<u64>) -> Answer {
    let last = after(answer(200, 10, 20, 100), State::Delivered, 1);
    Answer { in_flight, in_flight_until_ms: until.map(|at| WALL + at), ..last }
}

fn purged(in_flight: InFlight, until: Option<u64>) -> Script {
    delivered().ok(150, 160, PURGE, shown(in_flight, until))
}

fn created_anew(script: Script) -> Script {
    script.ok(200, 210, create(due(9000)), answer(201, 30, 30, 9000))
}

fn broken(script: Script) -> Vec<Breach> {
    let by_both = |history: &History| -> Findings {
        let mut findings = i4_definite_delete::check(history);
        findings.merge(i5_definite_replace::check(history));
        findings
    };
    script.breaches(by_both)
}

fn arrives(script: Script, at: u64) -> Vec<Breach> {
    broken(script.delivery(at, 10, 1, token(9, 1), status(200)))
}

#[test]
fn nothing_arrives_after_a_clean_purge() {
    assert_eq!(arrives(purged(InFlight::No, None), 161), [Breach::AfterCleanAnswer]);
    assert!(arrives(purged(InFlight::No, None), 160).is_empty(), "not after the answer");
}

#[test]
fn what_was_in_flight_at_a_purge_arrives_until_the_moment_that_was_named() {
    assert!(arrives(purged(InFlight::Possible, Some(2000)), 2000).is_empty());
    assert_eq!(arrives(purged(InFlight::Possible, Some(2000)), 2001), [Breach::AfterInFlightEnd]);
}

#[test]
fn a_create_after_a_purge_does_not_answer_for_what_was_erased() {
    let anew = || created_anew(purged(InFlight::Yes, Some(2000)));
    assert!(arrives(anew(), 300).is_empty(), "the purge had said so");
    assert_eq!(arrives(anew(), 2001), [Breach::AfterInFlightEnd], "the purge's promise stays");
    let unknown = created_anew(delivered().op(150, 160, PURGE, unknown()));
    assert!(arrives(unknown, 300).is_empty());
}

#[test]
fn a_purge_that_did_nothing_or_came_later_excuses_nothing() {
    let refusal: Outcome = refused(409, "TIMER_NOT_FINISHED", None, None);
    let replaced = |script: Script| script.ok(200, 210, put(due(9000)), answer(200, 30, 30, 9000));
    let refused = replaced(delivered().op(150, 160, PURGE, refusal));
    assert_eq!(arrives(refused, 300), [Breach::AfterCleanAnswer]);
    let later = replaced(delivered()).op(211, 220, PURGE, unknown());
    assert_eq!(arrives(later, 300), [Breach::AfterCleanAnswer]);
    let younger = purged(InFlight::No, None).ok(200, 210, create(due(250)), answer(201, 30, 30, 250)).ok(
        220,
        230,
        delete(None),
        after(answer(200, 30, 40, 250), State::Cancelled, 0),
    );
    assert_eq!(
        broken(younger.delivery(300, 30, 1, token(30, 1), status(200))),
        [Breach::AfterCleanAnswer],
        "it was made after the purge"
    );
}
