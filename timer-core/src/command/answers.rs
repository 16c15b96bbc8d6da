//! Kept answers: a request that comes again gets the answer that it got first, and does nothing.
//!
//! They stay with the id when it is replaced, or created again after a cancel. A purge takes them along: who
//! repeats it is told that there is no such timer.
//!
//! A node that lost the answer of a leader asks the next one (`Envelope::asked_since`), and its client has to get a
//! true answer. What a first copy may have done and is not kept any more is then said to be unknown
//! (docs/adr/2026-11-30-commands-that-come-late.md).

use alloc::boxed::Box;

use crate::command::{Context, Done, Refusal, Reply};
use crate::limits::{KEPT_ANSWER_AGE_MAX, KEPT_ANSWERS_MAX};
use crate::shard_state::ShardState;
use crate::tables::{Overlay, Tables};
use crate::timer::{Effect, KeptAnswer, Timer};

/// What answers this request before it is looked at: its first answer, if `record` keeps it, or that nobody knows
/// any more whether there was one.
pub(super) fn earlier(state: &ShardState, record: Option<&Timer>, context: &Context<'_>) -> Option<Reply> {
    if let Some(reply) = record.and_then(|timer| replay(timer, context)) {
        return Some(reply);
    }
    let since = context.asked_since?;
    // Answers are kept in the order of their times, and the oldest goes first: one that is older than the first copy
    // shows that the first copy's own has not gone.
    let dropped = record.is_some_and(|timer| {
        timer.answers.len() >= KEPT_ANSWERS_MAX
            && timer.answers.first().is_some_and(|oldest| oldest.at >= since.time)
    });
    // What was created before has not been gone meanwhile.
    let was_there = record.is_some_and(|timer| timer.created_at < since.time);
    let erased = !was_there && state.newest_erased.is_some_and(|erased| erased.index() > since.index);
    (dropped || erased).then_some(Reply::Refused(Refusal::Forgotten))
}

/// The first answer of this request, if it is one that `timer` remembers; a refusal if the request's id was
/// used for another body.
fn replay(timer: &Timer, context: &Context<'_>) -> Option<Reply> {
    let request = context.request?;
    // What answered the first copy is not too old, whatever the clocks have done meanwhile.
    let is_young = |kept: &&KeptAnswer| {
        context.now.since(kept.at) <= KEPT_ANSWER_AGE_MAX
            || context.asked_since.is_some_and(|since| kept.at >= since.time)
    };
    let of_request = |kept: &&KeptAnswer| kept.request.id == request.id;
    let kept = timer.answers.iter().filter(is_young).find(of_request)?;
    if kept.request.body != request.body {
        return Some(Reply::Refused(Refusal::RequestKeyReused));
    }
    let timer =
        Timer { generation: kept.generation, version: kept.version, state: kept.state, ..timer.clone() };
    let (effect, in_flight) = (kept.effect, kept.in_flight);
    Some(Reply::Done(Box::new(Done { effect, timer, in_flight, replayed: true })))
}

/// The answer to a request that found `timer` as it was to be. It is kept too if the client named its request:
/// repeated after others have changed the timer, the request must not take effect then.
pub(super) fn unchanged<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    mut timer: Timer,
    context: &Context<'_>,
    effect: Effect,
) -> Reply {
    let in_flight = timer.in_flight;
    if context.request.is_some_and(|request| !request.is_minted()) {
        keep(&mut timer, context, effect);
        overlay.put(timer.clone());
    }
    Reply::done(effect, timer, in_flight)
}

/// Keeps what has been done to `timer`, which is as it will be stored. The oldest answer goes when there are
/// too many.
pub(super) fn keep(timer: &mut Timer, context: &Context<'_>, effect: Effect) {
    let Some(request) = context.request else { return };
    // An answer of the same id is here only if it is too old to be given.
    timer.answers.retain(|kept| kept.request.id != request.id);
    if timer.answers.len() >= KEPT_ANSWERS_MAX {
        timer.answers.remove(0);
    }
    timer.answers.push(KeptAnswer {
        request: request.clone(),
        at: context.now,
        effect,
        generation: timer.generation,
        version: timer.version,
        state: timer.state,
        in_flight: timer.in_flight,
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::{AttemptResult, Command, Delete, Envelope, Expire, Moment};
    use crate::limits::RETENTION;
    use crate::testing::{START, Shard, delete, done, envelope, key, patch, put, refused};
    use crate::time::Millis;

    /// What a node knows that has applied everything.
    fn now(shard: &Shard) -> Moment {
        Moment { index: shard.index, time: shard.state.last_time }
    }

    /// The request `id` once more, by a node that had sent it at `since`.
    fn again(shard: &mut Shard, at: u64, since: Moment, id: &str, command: impl Into<Command>) -> Reply {
        let envelope = Envelope { asked_since: Some(since), ..envelope(Some((id, 1)), command) };
        shard.entry(at, vec![envelope]).remove(0)
    }

    fn purge(id: &str) -> Delete {
        Delete { purge: true, ..delete(id) }
    }

    #[test]
    fn a_request_asked_again_gets_its_first_answer_or_takes_effect() {
        let mut shard = Shard::new();
        let since = now(&shard);
        let first = done(shard.request(START, "r", 1, put("a", START + 50)));
        let replayed = done(again(&mut shard, START + 9, since, "r", put("a", START + 50)));
        assert!(replayed.replayed && replayed.timer.version == first.timer.version);
        assert!(!done(again(&mut shard, START + 9, since, "s", put("a", START + 60))).replayed);
    }

    #[test]
    fn a_first_answer_is_not_too_old_though_the_clock_has_jumped_by_days() {
        let mut shard = Shard::new();
        let since = now(&shard);
        shard.request(START, "r", 1, put("a", START + 50));
        let later = START + 2 * KEPT_ANSWER_AGE_MAX.0;
        assert!(done(again(&mut shard, later, since, "r", put("a", START + 50))).replayed);
    }

    #[test]
    fn a_purge_asked_again_is_not_said_to_have_found_nothing() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START + 50));
        shard.run(START + 1, delete("a"));
        let since = now(&shard);
        // In the same millisecond as what was applied before it.
        assert_eq!(done(shard.request(START + 1, "r", 1, purge("a"))).effect, Effect::Purged);
        assert_eq!(refused(again(&mut shard, START + 9, since, "r", purge("a"))), Refusal::Forgotten);
        // One that can only have been applied later was not, also if nothing came after the purge.
        let after = Moment { index: since.index + 1, time: Millis(START + 1) };
        assert_eq!(refused(again(&mut shard, START + 9, after, "s", purge("a"))), Refusal::NotFound);
        // Nobody asks a request that was sent once.
        assert_eq!(refused(shard.request(START + 9, "t", 1, purge("a"))), Refusal::NotFound);
    }

    #[test]
    fn a_purge_asked_again_does_not_erase_what_was_created_meanwhile() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START + 50));
        shard.run(START + 1, delete("a"));
        let since = now(&shard);
        shard.request(START + 2, "r", 1, purge("a"));
        shard.run(START + 3, put("a", START + 50));
        shard.outcome(START + 60, "a", AttemptResult::Delivered);
        assert_eq!(refused(again(&mut shard, START + 70, since, "r", purge("a"))), Refusal::Forgotten);
        assert!(shard.has("a"));
    }

    #[test]
    fn a_create_asked_again_does_not_bring_back_what_was_purged_meanwhile() {
        let mut shard = Shard::new();
        let since = now(&shard);
        shard.request(START, "r", 1, put("a", START + 50));
        shard.run(START + 1, delete("a"));
        shard.run(START + 2, purge("a"));
        let reply = again(&mut shard, START + 9, since, "r", put("a", START + 50));
        assert_eq!(refused(reply), Refusal::Forgotten);
        assert!(!shard.has("a"));
    }

    #[test]
    fn a_purge_makes_no_request_forgotten_whose_timer_has_been_there_all_the_time() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START + 50));
        shard.run(START, put("b", START + 50));
        shard.run(START + 1, delete("b"));
        let since = now(&shard);
        shard.run(START + 2, purge("b"));
        assert_eq!(done(again(&mut shard, START + 9, since, "r", delete("a"))).effect, Effect::Cancelled);
    }

    #[test]
    fn a_request_asked_again_whose_answer_gave_way_to_newer_ones_does_nothing() {
        let mut shard = Shard::new();
        let since = now(&shard);
        shard.request(START, "r", 1, put("a", START + 50));
        for n in 1..=KEPT_ANSWERS_MAX as u64 {
            shard.request(START + n, &format!("s{n}"), 1, put("a", START + 50 + n));
        }
        let before = shard.timer("a").clone();
        let asked = |shard: &mut Shard, since| again(shard, START + 9, since, "r", put("a", START + 50));
        assert_eq!(refused(asked(&mut shard, since)), Refusal::Forgotten);
        assert_eq!(*shard.timer("a"), before);
        // The oldest answer that is left is older than the first try.
        let later = Moment { index: since.index + 2, time: Millis(START + 2) };
        assert_eq!(done(asked(&mut shard, later)).effect, Effect::Replaced);
    }

    #[test]
    fn what_ran_out_long_ago_makes_no_request_forgotten() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START + 50));
        shard.run(START + 1, delete("a"));
        let (since, version) = (now(&shard), shard.timer("a").version);
        let over = START + 1 + RETENTION.0;
        shard.run(over, Expire { timers: vec![(key("a"), version)] });
        assert!(!shard.has("a"));
        assert_eq!(
            done(again(&mut shard, over + 9, since, "r", put("a", over + 50))).effect,
            Effect::Created
        );
    }

    /// What may happen to one timer between the first try and the next.
    #[derive(Clone, Copy, Debug)]
    enum Op {
        Put(u8),
        Label(u8),
        Cancel,
        Purge,
        Delivered,
        Expire,
    }

    impl Op {
        fn command(self, shard: &Shard) -> Option<Command> {
            let id = "a";
            Some(match self {
                Self::Put(n) => put(id, START + 1_000_000 + u64::from(n)).into(),
                Self::Label(n) => {
                    let labels = [("n".into(), Some(n.to_string()))].into();
                    crate::command::Patch { labels, ..patch(id) }.into()
                }
                Self::Cancel => delete(id).into(),
                Self::Purge => purge(id).into(),
                Self::Delivered if shard.has(id) => {
                    let (generation, attempt) = (shard.timer(id).generation, shard.timer(id).next_attempt());
                    crate::testing::outcome(id, generation, attempt, START, AttemptResult::Delivered).into()
                }
                Self::Expire if shard.has(id) => {
                    Expire { timers: vec![(key(id), shard.timer(id).version)] }.into()
                }
                Self::Delivered | Self::Expire => return None,
            })
        }

        fn is_a_clients(self) -> bool {
            !matches!(self, Self::Delivered | Self::Expire)
        }
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0..3_u8).prop_map(Op::Put),
            4 => (0..3_u8).prop_map(Op::Label),
            2 => Just(Op::Cancel),
            1 => Just(Op::Purge),
            1 => Just(Op::Delivered),
            1 => Just(Op::Expire),
        ]
    }

    proptest! {
        /// Whichever request of a history is asked again at its end: if it took effect the first time, it does not
        /// do so again, and its answer is the first one or that nobody knows.
        #[test]
        fn no_request_that_is_asked_again_takes_effect_twice(
            ops in proptest::collection::vec((op(), 0..3_u64), 1..24),
            which in any::<prop::sample::Index>(),
        ) {
            let mut shard = Shard::new();
            let mut now = START;
            let mut clients = Vec::new();
            for (n, (op, wait)) in ops.into_iter().enumerate() {
                // Some share a millisecond; expiries come when the retention is over.
                now += if matches!(op, Op::Expire) { RETENTION.0 } else { wait };
                let Some(command) = op.command(&shard) else { continue };
                let since = self::now(&shard);
                let before = shard.has("a").then(|| shard.timer("a").version);
                let id = format!("r{n}");
                let request = op.is_a_clients().then_some((id.as_str(), 1));
                let reply = shard.entry(now, vec![envelope(request, command.clone())]).remove(0);
                if op.is_a_clients() {
                    let changed = before != shard.has("a").then(|| shard.timer("a").version);
                    clients.push((id, command, since, reply, changed));
                }
            }
            prop_assume!(!clients.is_empty());
            let (id, command, since, first, changed) = &clients[which.index(clients.len())];
            let before = shard.has("a").then(|| shard.timer("a").clone());
            let reply = again(&mut shard, now, *since, id, command.clone());
            let after = shard.has("a").then(|| shard.timer("a").clone());
            if *changed {
                match (&reply, first) {
                    (Reply::Done(again), Reply::Done(first)) => {
                        let answer = |done: &Done| (done.effect, done.timer.version, done.timer.generation);
                        prop_assert!(again.replayed);
                        prop_assert_eq!(answer(again), answer(first));
                    }
                    (reply, _) => prop_assert_eq!(reply, &Reply::Refused(Refusal::Forgotten)),
                }
                prop_assert_eq!(before, after);
            } else if reply == Reply::Refused(Refusal::Forgotten) {
                prop_assert_eq!(before, after);
            }
        }
    }
}
