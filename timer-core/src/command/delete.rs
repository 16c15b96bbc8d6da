//! Cancel a pending timer, or erase a finished one.

use alloc::boxed::Box;

use crate::command::{Context, Fence, Precondition, Refusal, Reply, answers, flight, group};
use crate::ids::TimerKey;
use crate::tables::{Overlay, Tables};
use crate::timer::{Effect, State};

/// DELETE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// The timer.
    pub key: TimerKey,
    /// Erase the record of a finished one.
    pub purge: bool,
    /// What must hold.
    pub precondition: Precondition,
    /// What was on its way.
    pub fence: Fence,
}

/// Cancels a pending timer; with `purge`, erases a finished one.
///
/// A cancelled one gives what the first delete had found, so that a repeated delete has the same answer.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    delete: &Delete,
) -> Result<Reply, T::Error> {
    let record = overlay.timer(&delete.key)?.cloned();
    if let Some(reply) = answers::earlier(&overlay.state, record.as_ref(), context) {
        return Ok(reply);
    }
    let Some(mut timer) = record else {
        return Ok(Reply::Refused(Refusal::NotFound));
    };
    if let Some(refusal) = delete.precondition.fault(Some(&timer), Some(&timer)) {
        return Ok(Reply::Refused(refusal));
    }
    if delete.purge && timer.state.is_pending() {
        return Ok(Reply::Refused(Refusal::NotFinished(Box::new(timer))));
    }
    if !delete.purge && timer.state == State::Cancelled {
        return Ok(answers::unchanged(overlay, timer, context, Effect::AlreadyCancelled));
    }
    if !delete.purge && !timer.state.is_pending() {
        return Ok(Reply::Refused(Refusal::Finished(Box::new(timer))));
    }
    let session = overlay.state.session.as_ref();
    let in_flight = flight::in_flight(session, &timer, Some(delete.fence), context.now);
    if let Some(refusal) = delete.precondition.flight_fault(in_flight) {
        return Ok(Reply::Refused(refusal));
    }
    if delete.purge {
        overlay.erase(&delete.key, context.sequence);
        return Ok(Reply::done(Effect::Purged, timer, in_flight));
    }
    let settings = group::settings(overlay, &delete.key)?;
    timer.end(State::Cancelled, context.now, &settings);
    timer.version = context.sequence;
    timer.updated_at = context.now;
    timer.in_flight = in_flight;
    answers::keep(&mut timer, context, Effect::Cancelled);
    overlay.put(timer.clone());
    Ok(Reply::done(Effect::Cancelled, timer, in_flight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::AttemptResult;
    use crate::definition::Payload;
    use crate::ids::Sequence;
    use crate::limits::{CLOCK_OFFSET_MAX, RETENTION};
    use crate::testing::{START, Shard, delete, done, fence, put, refused};
    use crate::time::Millis;
    use crate::timer::InFlight;

    fn purge(id: &str) -> Delete {
        Delete { purge: true, ..delete(id) }
    }

    #[test]
    fn a_pending_timer_is_cancelled_and_kept_for_the_retention() {
        let mut shard = Shard::new();
        let put = done(shard.run(START, put("a", START + 50))).timer;
        assert_eq!(done(shard.run(START + 1, delete("a"))).effect, Effect::Cancelled);
        let timer = shard.timer("a");
        assert_eq!((timer.state, timer.purge_at), (State::Cancelled, Some(Millis(START + 1) + RETENTION)));
        assert_eq!((timer.generation, timer.version), (put.generation, Sequence::new(3, 0)));
        assert_eq!((&timer.definition.payload, timer.executed_at), (&Payload::None, None));
        assert_eq!(shard.state.counts, [0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_repeated_delete_gives_what_the_first_found_even_when_that_is_over() {
        let mut shard = Shard::new();
        let generation = done(shard.run(START, put("a", START))).timer.generation;
        let fenced = Delete { fence: fence(1, Some((generation, START + 9))), ..delete("a") };
        let first = done(shard.run(START + 1, fenced));
        assert_eq!(first.in_flight, InFlight::Yes { until: Millis(START + 9) + CLOCK_OFFSET_MAX });
        let again = done(shard.run(START + 1000, delete("a")));
        assert_eq!((again.effect, again.in_flight), (Effect::AlreadyCancelled, first.in_flight));
        assert_eq!(*shard.timer("a"), first.timer);
    }

    #[test]
    fn a_delete_that_found_it_cancelled_does_not_cancel_what_came_after() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START + 50));
        shard.run(START + 1, delete("a"));
        shard.request(START + 2, "r", 1, delete("a"));
        shard.run(START + 3, put("a", START + 60));
        let again = done(shard.request(START + 4, "r", 1, delete("a")));
        assert_eq!((again.effect, again.replayed), (Effect::AlreadyCancelled, true));
        assert_eq!(shard.timer("a").state, State::Scheduled);
    }

    #[test]
    fn a_repeated_request_gets_cancelled_again_after_the_id_was_created_anew() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START + 50));
        shard.request(START + 1, "r", 1, delete("a"));
        shard.run(START + 2, put("a", START + 60));
        let again = done(shard.request(START + 3, "r", 1, delete("a")));
        assert_eq!((again.effect, again.timer.state), (Effect::Cancelled, State::Cancelled));
        assert_eq!(shard.timer("a").state, State::Scheduled);
    }

    #[test]
    fn an_unknown_timer_is_not_found() {
        let mut shard = Shard::new();
        assert_eq!(refused(shard.run(START, delete("a"))), Refusal::NotFound);
        assert_eq!(refused(shard.run(START, purge("a"))), Refusal::NotFound);
    }

    #[test]
    fn a_delivered_timer_is_not_cancelled_but_can_be_purged() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START));
        shard.outcome(START + 1, "a", AttemptResult::Delivered);
        assert!(matches!(refused(shard.run(START + 2, delete("a"))), Refusal::Finished(_)));
        let purged = done(shard.run(START + 3, purge("a")));
        assert_eq!((purged.effect, purged.timer.state), (Effect::Purged, State::Delivered));
        assert!(!shard.has("a"));
        assert_eq!(shard.state.counts, [0; 6]);
    }

    #[test]
    fn a_pending_timer_is_not_purged_and_a_cancelled_one_is() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START + 50));
        assert!(matches!(refused(shard.run(START, purge("a"))), Refusal::NotFinished(_)));
        shard.run(START, delete("a"));
        assert_eq!(done(shard.run(START, purge("a"))).effect, Effect::Purged);
    }

    #[test]
    fn a_delete_of_another_version_or_generation_changes_nothing() {
        let mut shard = Shard::new();
        let timer = done(shard.run(START, put("a", START + 50))).timer;
        let stale = Sequence::new(1, 0);
        for precondition in [
            Precondition { versions: vec![stale], ..Precondition::default() },
            Precondition { generation: Some(stale), ..Precondition::default() },
            Precondition { absent: true, ..Precondition::default() },
        ] {
            let reply = shard.run(START, Delete { precondition, ..delete("a") });
            assert_eq!(refused(reply), Refusal::VersionMismatch(Some(timer.version)));
        }
        let precondition = Precondition {
            versions: vec![stale, timer.version],
            generation: Some(timer.generation),
            present: true,
            ..Precondition::default()
        };
        assert_eq!(done(shard.run(START, Delete { precondition, ..delete("a") })).effect, Effect::Cancelled);
    }

    #[test]
    fn a_delete_that_must_find_nothing_on_its_way_is_refused_otherwise() {
        let mut shard = Shard::new();
        let generation = done(shard.run(START, put("a", START))).timer.generation;
        let delete = Delete {
            precondition: Precondition { nothing_in_flight: true, ..Precondition::default() },
            fence: fence(1, Some((generation, START + 9))),
            ..delete("a")
        };
        let sent = InFlight::Yes { until: Millis(START + 9) + CLOCK_OFFSET_MAX };
        assert_eq!(refused(shard.run(START + 8, delete.clone())), Refusal::AttemptInFlight(sent));
        let over = START + 9 + CLOCK_OFFSET_MAX.0;
        assert_eq!(done(shard.run(over, delete)).in_flight, InFlight::No);
    }
}
