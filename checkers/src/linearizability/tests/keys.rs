//! Repeated requests: what a key must and need not give again.

use super::{GET, fits, misfit};
use crate::history::{Answer, Outcome};
use crate::linearizability::Misfit;
use crate::testing::{Script, answer, create, due, move_to, put, unknown};

/// The create with the key `k` comes again, and is told `generation`.
fn again(script: Script, call: u64, generation: u64) -> Script {
    let told = Answer { replayed: true, ..answer(201, generation, generation, 8000) };
    script.keyed(call, call + 10, Some("k"), create(due(9000)), Outcome::Ok(told))
}

#[test]
fn a_repeated_key_gets_its_first_answer_whatever_came_between() {
    let first =
        || {
            Script::new()
                .keyed(0, 10, Some("k"), create(due(9000)), Outcome::Ok(answer(201, 10, 10, 9000)))
                .ok(20, 30, move_to(8000, None), answer(200, 20, 20, 8000))
        };
    fits(again(first(), 40, 10).ok(60, 70, GET, answer(200, 20, 20, 8000)));
    assert_eq!(misfit(again(first(), 40, 30)), Misfit::Kept);
}

#[test]
fn a_repeated_key_tells_what_an_unknown_call_had_made() {
    let first = || {
        Script::new().keyed(0, 10, Some("k"), create(due(9000)), unknown()).ok(
            20,
            30,
            put(due(8000)),
            answer(200, 20, 20, 8000),
        )
    };
    fits(again(first(), 40, 10));
    assert_eq!(misfit(again(first(), 40, 25)), Misfit::Kept, "it was made before the put");
}

#[test]
fn a_repeated_key_does_not_take_effect_again() {
    let first = Script::new()
        .keyed(0, 10, Some("k"), put(due(9000)), Outcome::Ok(answer(201, 10, 10, 9000)))
        .ok(20, 30, put(due(8000)), answer(200, 20, 20, 8000));
    let anew = Outcome::Ok(answer(200, 30, 30, 9000));
    assert_eq!(misfit(first.keyed(40, 50, Some("k"), put(due(9000)), anew)), Misfit::Kept);
}

#[test]
fn a_key_is_forgotten_after_four_later_answers() {
    let mut script =
        Script::new().keyed(0, 10, Some("k"), put(due(9000)), Outcome::Ok(answer(201, 10, 10, 9000)));
    for n in 1..=4 {
        script = script.ok(n * 20, n * 20 + 10, put(due(n)), answer(200, n * 100, n * 100, n));
    }
    let anew = Outcome::Ok(answer(200, 999, 999, 9000));
    fits(script.keyed(200, 210, Some("k"), put(due(9000)), anew));
}

#[test]
fn an_answer_that_is_given_again_says_so_and_has_the_status_of_the_first() {
    let first =
        || Script::new().keyed(0, 10, Some("k"), create(due(9000)), Outcome::Ok(answer(201, 10, 10, 9000)));
    let second = |told| first().keyed(20, 30, Some("k"), create(due(9000)), Outcome::Ok(told));
    fits(second(Answer { replayed: true, ..answer(201, 10, 10, 9000) }));
    assert_eq!(misfit(second(answer(201, 10, 10, 9000))), Misfit::Kept);
    assert_eq!(misfit(second(Answer { replayed: true, ..answer(200, 10, 10, 9000) })), Misfit::Kept);
}

#[test]
fn an_unknown_call_keeps_the_status_of_what_it_did() {
    let tried = |status| {
        let told = Answer { replayed: true, ..answer(status, 20, 20, 9000) };
        Script::new()
            .ok(0, 10, create(due(8000)), answer(201, 10, 10, 8000))
            .keyed(20, 30, Some("k"), put(due(9000)), unknown())
            .keyed(40, 50, Some("k"), put(due(9000)), Outcome::Ok(told))
    };
    fits(tried(200));
    assert_eq!(misfit(tried(201)), Misfit::Kept, "whichever of the two did it, it was no create");
}

#[test]
fn a_key_of_a_request_that_changed_nothing_is_kept_as_well() {
    let replaced_after = |first| {
        Script::new()
            .ok(0, 10, create(due(9000)), answer(201, 10, 10, 9000))
            .keyed(20, 30, Some("k"), put(due(9000)), first)
            .ok(40, 50, put(due(8000)), answer(200, 20, 20, 8000))
    };
    let unchanged = || Outcome::Ok(answer(200, 10, 10, 9000));
    let again = || Outcome::Ok(Answer { replayed: true, ..answer(200, 10, 10, 8000) });
    let anew = || Outcome::Ok(answer(200, 30, 30, 9000));
    let repeated = |first, second| replaced_after(first).keyed(60, 70, Some("k"), put(due(9000)), second);
    fits(repeated(unchanged(), again()));
    fits(repeated(unknown(), again()));
    fits(repeated(unknown(), anew()));
    assert_eq!(misfit(repeated(unchanged(), anew())), Misfit::Kept);
}
