//! What outcomes leave in the history of their timer, and that those that are history only leave nothing else.

use super::*;
use crate::attempt::Trigger;
use crate::command::Envelope;
use crate::limits::{ATTEMPTS_KEPT_MAX, RETENTION};
use crate::shard_state::ShardState;
use crate::testing::{
    START, Shard, delete, done, envelope, failed, failure, fire, key, open, outcome, put, recorded, redrive,
};

/// The outcome of the next attempt of timer `a`, made for the reason that its record gives.
fn next(shard: &Shard, at: u64, result: AttemptResult) -> Outcome {
    let timer = shard.timer("a");
    let mut next = recorded(outcome("a", timer.generation, timer.next_attempt(), at, result));
    if let Some(details) = &mut next.details {
        details.trigger = timer.next_trigger();
    }
    next
}

/// A shard with the pending timer `a`, due at once.
fn with_timer() -> Shard {
    let mut shard = Shard::new();
    shard.run(START, put("a", START));
    shard
}

fn attempt(shard: &mut Shard, at: u64, result: AttemptResult) -> Outcome {
    let outcome = next(shard, at, result);
    assert_eq!(shard.run(at, outcome.clone()), Reply::Outcome(true));
    outcome
}

#[test]
fn each_outcome_is_in_the_history_newest_first_with_all_that_is_known_of_it() {
    let mut shard = with_timer();
    let generation = shard.timer("a").generation;
    let failed = attempt(&mut shard, START + 5, failed(START + 5));
    let deferred = AttemptResult::Deferred { until: Millis(START + 9000) };
    attempt(&mut shard, START + 1005, deferred.clone());
    attempt(&mut shard, START + 9000, AttemptResult::Delivered);
    let history = shard.history("a");
    let seen: Vec<_> = history.iter().map(|a| (a.number, a.counted, a.result.clone())).collect();
    assert_eq!(
        seen,
        [(3, true, AttemptResult::Delivered), (2, true, deferred), (1, true, failed.result.clone())]
    );
    let first = &history[2];
    assert_eq!((first.generation, first.session, first.recorded), (generation, 1, Sequence::new(3, 0)));
    assert_eq!((first.started_at, first.finished_at), (failed.started_at, failed.finished_at));
    assert_eq!(Some(&first.details), failed.details.as_ref());
}

#[test]
fn a_skipped_timer_says_so_in_its_history() {
    let mut shard = with_timer();
    attempt(&mut shard, START + 5, AttemptResult::Skipped);
    assert_eq!(shard.history("a")[0].result, AttemptResult::Skipped);
}

#[test]
fn the_history_says_why_each_attempt_was_made() {
    let mut shard = with_timer();
    attempt(&mut shard, START, failed(START));
    attempt(&mut shard, START + 1000, AttemptResult::Deferred { until: Millis(START + 9000) });
    shard.run(START + 2000, fire("a"));
    attempt(&mut shard, START + 2000, failure(START + 2000, None, true));
    assert_eq!(shard.timer("a").state, State::Dead);
    shard.run(START + 3000, redrive("a"));
    // It is due anyway: that it was given a new life says more.
    shard.run(START + 3000, fire("a"));
    attempt(&mut shard, START + 3000, AttemptResult::Deferred { until: Millis(START + 9000) });
    attempt(&mut shard, START + 9000, failed(START + 9000));
    attempt(&mut shard, START + 10_000, AttemptResult::Delivered);
    let triggers: Vec<_> = shard.history("a").iter().rev().map(|a| a.details.trigger).collect();
    use Trigger::{Fire, Redrive, Retry, Schedule};
    assert_eq!(triggers, [Schedule, Retry, Fire, Redrive, Retry, Retry]);
    let numbers: Vec<_> = shard.history("a").iter().map(|a| a.number).collect();
    assert_eq!(numbers, [6, 5, 4, 3, 2, 1], "they go on after a redrive");
}

#[test]
fn the_history_keeps_the_newest_and_no_more() {
    let mut shard = with_timer();
    for n in 0..u64::from(ATTEMPTS_KEPT_MAX) * 2 + 3 {
        attempt(&mut shard, START + n, AttemptResult::Deferred { until: Millis(START) });
        let kept = (n + 1).min(ATTEMPTS_KEPT_MAX.into());
        let numbers: Vec<u64> = shard.history("a").iter().map(|a| a.number.into()).collect();
        assert_eq!(numbers, (n + 2 - kept..=n + 1).rev().collect::<Vec<_>>());
    }
}

#[test]
fn what_is_history_only_changes_nothing_but_the_history() {
    let mut shard = with_timer();
    let old = shard.timer("a").generation;
    attempt(&mut shard, START, failed(START));
    shard.run(START + 1, put("a", START + 50));
    let before = shard.timer("a").clone();
    let state = shard.state.clone();
    let late = recorded(outcome("a", old, 2, START + 2, AttemptResult::Delivered));
    assert_eq!(shard.run(START + 2, late), Reply::Outcome(false));
    assert_eq!(*shard.timer("a"), Timer { attempts_recorded: 2, ..before });
    assert_eq!(shard.state, ShardState { last_time: Millis(START + 2), ..state });
    assert_eq!(shard.notices, []);
    let history = shard.history("a");
    assert_eq!((history[0].generation, history[0].number, history[0].counted), (old, 2, false));
    assert_eq!((history[1].generation, history[1].number, history[1].counted), (old, 1, true));
}

#[test]
fn an_outcome_after_the_cancel_and_the_attempts_before_it_stay_when_the_id_is_created_again() {
    let mut shard = with_timer();
    let old = shard.timer("a").generation;
    attempt(&mut shard, START, failed(START));
    shard.run(START + 1, delete("a"));
    shard.run(START + 2, recorded(outcome("a", old, 2, START + 2, AttemptResult::Delivered)));
    assert_eq!(shard.timer("a").state, State::Cancelled);
    shard.run(START + 3, put("a", START + 3));
    attempt(&mut shard, START + 3, AttemptResult::Delivered);
    let new = shard.timer("a").generation;
    let seen: Vec<_> = shard.history("a").iter().map(|a| (a.generation, a.number, a.counted)).collect();
    assert_eq!(seen, [(new, 1, true), (old, 2, false), (old, 1, true)]);
}

#[test]
fn an_outcome_that_its_leader_sends_again_is_in_the_history_once_and_another_leaders_is_too() {
    let mut shard = with_timer();
    let sent = attempt(&mut shard, START, failed(START));
    assert_eq!(shard.run(START + 1, sent.clone()), Reply::Outcome(false));
    shard.run(START + 2, open(2));
    let session = shard.state.session.as_ref().map_or(0, |session| session.number);
    let duplicate = Outcome { session, ..sent.clone() };
    assert_eq!(shard.run(START + 3, duplicate.clone()), Reply::Outcome(false));
    assert_eq!(shard.run(START + 3, duplicate), Reply::Outcome(false));
    let seen: Vec<_> = shard.history("a").iter().map(|a| (a.number, a.session, a.counted)).collect();
    assert_eq!(seen, [(1, session, false), (1, 1, true)]);
    assert_eq!(shard.timer("a").attempts, 1);
    // Also within one entry.
    let next = next(&shard, START + 1000, AttemptResult::Delivered);
    let both = [next.clone(), next].map(|outcome| Envelope::own(outcome.into()));
    assert_eq!(shard.entry(START + 1000, both.to_vec()), [Reply::Outcome(true), Reply::Outcome(false)]);
    assert_eq!(shard.history("a").len(), 3);
}

#[test]
fn an_entry_of_a_version_without_a_history_leaves_none() {
    let mut shard = with_timer();
    let generation = shard.timer("a").generation;
    let old = outcome("a", generation, 1, START, failed(START));
    assert_eq!(shard.run(START, old.clone()), Reply::Outcome(true));
    assert_eq!(shard.run(START, old), Reply::Outcome(false));
    assert_eq!((shard.history("a").len(), shard.timer("a").attempts_recorded), (0, 0));
}

#[test]
fn a_next_generation_leaves_its_payload_out_of_the_history() {
    let mut shard = with_timer();
    let old = shard.timer("a").generation;
    let payload = Payload::Json(b"2".as_slice().into());
    let execute_at = Millis(START + 5000);
    attempt(&mut shard, START, AttemptResult::DeliveredNext { execute_at, payload: Some(payload.clone()) });
    assert_eq!(shard.timer("a").definition.payload, payload);
    let first = &shard.history("a")[0];
    assert_eq!(first.result, AttemptResult::DeliveredNext { execute_at, payload: None });
    assert_eq!(first.generation, old);
}

#[test]
fn the_history_goes_with_the_timer() {
    let mut shard = with_timer();
    attempt(&mut shard, START, failed(START));
    attempt(&mut shard, START + 1000, AttemptResult::Delivered);
    let purge = crate::command::Delete { purge: true, ..delete("a") };
    done(shard.run(START + 2000, purge.clone()));
    assert_eq!(shard.history("a"), []);
    let unknown = recorded(outcome("a", Sequence(5), 3, START, AttemptResult::Delivered));
    assert_eq!(shard.run(START + 2000, unknown), Reply::Outcome(false));
    assert_eq!(shard.history("a"), [], "there is nothing to keep it with");

    shard.run(START + 3000, put("a", START + 3000));
    attempt(&mut shard, START + 3000, failed(START + 3000));
    attempt(&mut shard, START + 4000, failed(START + 4000));
    attempt(&mut shard, START + 6000, AttemptResult::Delivered);
    // Erased, created and attempted again in one entry: nothing of before is left in any slot.
    let generation = Sequence::new(shard.index + 1, 1);
    let again = recorded(outcome("a", generation, 1, START + 7000, AttemptResult::Delivered));
    let commands = vec![envelope(None, purge), envelope(None, put("a", START + 7000)), envelope(None, again)];
    shard.entry(START + 7000, commands);
    let seen: Vec<_> = shard.history("a").iter().map(|a| (a.generation, a.number)).collect();
    assert_eq!(seen, [(generation, 1)]);
    let version = shard.timer("a").version;
    let expire = crate::command::Expire { timers: vec![(key("a"), version)] };
    shard.run(START + 7000 + RETENTION.0, expire);
    assert_eq!((shard.has("a"), shard.history("a").len()), (false, 0));
}
