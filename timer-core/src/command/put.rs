//! Create a timer, or replace what it was by a new definition.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::command::{Context, Fence, Precondition, Refusal, Reply, answers, flight, group};
use crate::definition::Definition;
use crate::ids::TimerKey;
use crate::tables::{Overlay, Tables};
use crate::time::Span;
use crate::timer::{Effect, Fingerprint, InFlight, State, Timer};

/// PUT and POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The timer.
    pub key: TimerKey,
    /// Its new definition, complete but for its time if `delay` says that.
    pub definition: Definition,
    /// Its time, as a span from when this takes effect by the leader's clock. The clock of the node that took the
    /// request has no part in it.
    pub delay: Option<Span>,
    /// Of the definition as sent (`delay` and not the time that it came to).
    pub fingerprint: Fingerprint,
    /// Whether it may replace.
    pub mode: PutMode,
    /// What must hold.
    pub precondition: Precondition,
    /// What was on its way.
    pub fence: Fence,
}

/// Whether a put may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// PUT.
    CreateOrReplace,
    /// POST.
    CreateOnly,
}

/// Creates, replaces, or finds that there is nothing to do.
///
/// A cancelled timer counts as none. The same definition as before is left alone for as long as the timer is
/// kept, finished or not, so that a repeated PUT never fires twice.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    put: &Put,
) -> Result<Reply, T::Error> {
    let record = overlay.timer(&put.key)?.cloned();
    if let Some(reply) = answers::earlier(&overlay.state, record.as_ref(), context) {
        return Ok(reply);
    }
    let existing = record.as_ref().filter(|record| record.state != State::Cancelled);
    if let Some(refusal) = put.precondition.fault(record.as_ref(), existing) {
        return Ok(Reply::Refused(refusal));
    }
    if let Some(existing) = existing {
        if existing.fingerprint == Some(put.fingerprint) {
            let timer = existing.clone();
            return Ok(answers::unchanged(overlay, timer, context, Effect::Unchanged));
        }
        if put.mode == PutMode::CreateOnly {
            return Ok(Reply::Refused(Refusal::Exists(Box::new(existing.clone()))));
        }
    }
    let in_flight = record.as_ref().map_or(InFlight::No, |record| {
        flight::in_flight(overlay.state.session.as_ref(), record, Some(put.fence), context.now)
    });
    if let Some(refusal) = put.precondition.flight_fault(in_flight) {
        return Ok(Reply::Refused(refusal));
    }
    let execute_at = put.delay.map_or(put.definition.execute_at, |delay| context.now + delay);
    let was_pending = record.as_ref().is_some_and(|record| record.state.is_pending());
    if let Some(refusal) = group::fault(overlay, &put.key, was_pending, Some(execute_at), context.now)? {
        return Ok(Reply::Refused(refusal));
    }
    let effect = if existing.is_some() { Effect::Replaced } else { Effect::Created };
    let created_at = existing.map_or(context.now, |existing| existing.created_at);
    // What was attempted before stays in the history: an outcome that arrives now goes there as well.
    let attempts_recorded = record.as_ref().map_or(0, |record| record.attempts_recorded);
    let answers = record.map_or_else(Vec::new, |record| record.answers);
    let definition = Definition { execute_at, ..put.definition.clone() };
    let mut timer = Timer {
        key: put.key.clone(),
        generation: context.sequence,
        version: context.sequence,
        state: State::Scheduled,
        definition,
        fingerprint: Some(put.fingerprint),
        next_attempt_at: None,
        position: None,
        parked_at: None,
        attempts: 0,
        attempts_forgiven: 0,
        first_attempt_at: None,
        deferrals: 0,
        attempts_recorded,
        manual: false,
        created_at,
        updated_at: context.now,
        executed_at: None,
        last_error: None,
        in_flight,
        answers,
        purge_at: None,
        traceparent: context.traceparent.cloned(),
    };
    timer.wait(timer.definition.execute_at, overlay.state.cursor, context.now);
    answers::keep(&mut timer, context, effect);
    overlay.put(timer.clone());
    Ok(Reply::done(effect, timer, in_flight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{AttemptResult, Patch};
    use crate::ids::Sequence;
    use crate::limits::{CLOCK_OFFSET_MAX, KEPT_ANSWER_AGE_MAX, KEPT_ANSWERS_MAX};
    use crate::testing::{START, Shard, delete, done, envelope, failed, fence, patch, put, refused};
    use crate::time::Millis;
    use crate::timer::RequestKey;

    fn absent(id: &str, at: u64) -> Put {
        Put { precondition: Precondition { absent: true, ..Precondition::default() }, ..put(id, at) }
    }

    #[test]
    fn a_new_id_is_created_with_its_generation_as_version() {
        let mut shard = Shard::new();
        let created = done(shard.run(START + 5, put("a", START + 1000)));
        assert_eq!((created.effect, created.in_flight), (Effect::Created, InFlight::No));
        let timer = shard.timer("a");
        assert_eq!((timer.generation, timer.version), (Sequence::new(2, 0), Sequence::new(2, 0)));
        assert_eq!((timer.created_at, timer.updated_at), (Millis(START + 5), Millis(START + 5)));
        assert_eq!(timer.position, Some(Millis(START + 1000)));
        assert_eq!(shard.state.counts, [1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_delay_counts_from_when_the_command_takes_effect() {
        let mut shard = Shard::new();
        let put = Put { delay: Some(Span(500)), ..put("a", 7) };
        assert_eq!(done(shard.run(START + 5, put.clone())).timer.definition.execute_at, Millis(START + 505));
        assert_eq!(shard.timer("a").position, Some(Millis(START + 505)));
        let again = done(shard.run(START + 900, put));
        assert_eq!(
            (again.effect, again.timer.definition.execute_at),
            (Effect::Unchanged, Millis(START + 505))
        );
        let patch = Patch { delay: Some(Span(40)), ..patch("a") };
        assert_eq!(done(shard.run(START + 1000, patch)).timer.definition.execute_at, Millis(START + 1040));
        assert_eq!(shard.timer("a").position, Some(Millis(START + 1040)));
    }

    #[test]
    fn a_time_that_has_passed_is_due_at_once_but_keeps_its_name() {
        let mut shard = Shard::new();
        shard.run(START + 5, put("a", 7));
        assert_eq!(shard.timer("a").next_attempt_at, Some(Millis(7)));
        assert_eq!(shard.timer("a").position, Some(Millis(START + 5)));
    }

    #[test]
    fn a_request_that_changed_nothing_does_nothing_when_it_comes_again_later() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START));
        let first = done(shard.request(START + 1, "r", 1, put("a", START)));
        let other = done(shard.run(START + 2, put("a", START + 9)));
        let again = done(shard.request(START + 3, "r", 1, put("a", START)));
        assert_eq!((again.effect, again.replayed), (Effect::Unchanged, true));
        assert_eq!(again.timer.version, first.timer.version);
        assert_eq!(shard.timer("a").version, other.timer.version);
        let reused = refused(shard.request(START + 4, "r", 2, put("a", START + 9)));
        assert_eq!(reused, Refusal::RequestKeyReused);
    }

    #[test]
    fn the_same_definition_again_writes_nothing_pending_or_finished() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START));
        let before = shard.timer("a").clone();
        let minted = format!("{}7", RequestKey::MINTED);
        assert_eq!(done(shard.request(START + 1, &minted, 1, put("a", START))).effect, Effect::Unchanged);
        assert_eq!(*shard.timer("a"), before);
        shard.outcome(START + 2, "a", AttemptResult::Delivered);
        assert_eq!(done(shard.run(START + 3, put("a", START))).effect, Effect::Unchanged);
        assert_eq!(shard.timer("a").state, State::Delivered);
    }

    #[test]
    fn another_definition_replaces_and_forgets_the_attempts() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START));
        shard.outcome(START + 1, "a", failed(START + 1));
        let replaced = done(shard.run(START + 9, put("a", START + 50)));
        assert_eq!(replaced.effect, Effect::Replaced);
        let timer = shard.timer("a");
        assert_eq!((timer.attempts, timer.state, &timer.last_error), (0, State::Scheduled, &None));
        assert_eq!((timer.created_at, timer.generation), (Millis(START), Sequence::new(4, 0)));
    }

    #[test]
    fn a_finished_timer_is_replaced_by_another_definition() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START));
        shard.outcome(START + 1, "a", AttemptResult::Delivered);
        assert_eq!(done(shard.run(START + 2, put("a", START + 50))).effect, Effect::Replaced);
        assert_eq!((shard.timer("a").executed_at, shard.timer("a").purge_at), (None, None));
    }

    #[test]
    fn the_second_if_none_match_of_one_entry_sees_the_first() {
        let mut shard = Shard::new();
        let both = vec![envelope(None, absent("a", START)), envelope(None, absent("a", START))];
        let mut replies = shard.entry(START, both);
        let version = Some(Sequence::new(2, 0));
        assert_eq!(refused(replies.remove(1)), Refusal::VersionMismatch(version));
        assert_eq!(done(replies.remove(0)).effect, Effect::Created);
    }

    #[test]
    fn create_only_takes_the_same_definition_and_refuses_another() {
        let mut shard = Shard::new();
        let create = |at| Put { mode: PutMode::CreateOnly, ..put("a", at) };
        assert_eq!(done(shard.run(START, create(START))).effect, Effect::Created);
        assert_eq!(done(shard.run(START, create(START))).effect, Effect::Unchanged);
        assert!(matches!(refused(shard.run(START, create(START + 1))), Refusal::Exists(_)));
    }

    #[test]
    fn after_a_patch_the_old_definition_is_another() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START));
        shard.run(START, Patch { execute_at: Some(Millis(START + 9)), ..patch("a") });
        assert_eq!(done(shard.run(START, put("a", START))).effect, Effect::Replaced);
    }

    #[test]
    fn a_cancelled_id_is_free() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START + 9));
        shard.run(START + 1, delete("a"));
        let create = Put { mode: PutMode::CreateOnly, ..absent("a", START + 9) };
        let created = done(shard.run(START + 2, create));
        assert_eq!((created.effect, created.timer.created_at), (Effect::Created, Millis(START + 2)));
        assert_eq!(shard.state.counts, [1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn if_match_is_checked_before_the_same_definition_is_found() {
        let mut shard = Shard::new();
        let matching = |version| {
            let precondition = Precondition { versions: vec![version], ..Precondition::default() };
            Put { precondition, ..put("a", START) }
        };
        let never = Sequence::new(99, 0);
        assert_eq!(refused(shard.run(START, matching(never))), Refusal::VersionMismatch(None));
        let version = done(shard.run(START, put("a", START))).timer.version;
        assert_eq!(refused(shard.run(START, matching(never))), Refusal::VersionMismatch(Some(version)));
        assert_eq!(done(shard.run(START, matching(version))).effect, Effect::Unchanged);
    }

    #[test]
    fn a_repeated_request_gets_its_first_answer_whatever_came_between() {
        let mut shard = Shard::new();
        let first = done(shard.request(START, "r", 1, absent("a", START + 50)));
        shard.run(START + 1, put("a", START + 60));
        let again = done(shard.request(START + 2, "r", 1, absent("a", START + 50)));
        assert!(again.replayed && !first.replayed);
        assert_eq!(again.effect, Effect::Created);
        assert_eq!(again.timer.version, first.timer.version);
        assert_eq!(shard.timer("a").definition.execute_at, Millis(START + 60));
    }

    #[test]
    fn a_request_id_with_another_body_is_refused() {
        let mut shard = Shard::new();
        shard.request(START, "r", 1, put("a", START + 50));
        assert_eq!(refused(shard.request(START, "r", 2, put("a", START + 60))), Refusal::RequestKeyReused);
    }

    #[test]
    fn answers_are_forgotten_by_age_and_number() {
        let mut shard = Shard::new();
        shard.request(START, "r", 1, put("a", START + 50));
        let last = START + KEPT_ANSWER_AGE_MAX.0;
        assert!(done(shard.request(last, "r", 1, put("a", START + 50))).replayed);
        assert!(!done(shard.request(last + 1, "r", 1, put("a", START + 60))).replayed);
        assert_eq!(shard.timer("a").answers.len(), 1, "the same id is kept once");
        for n in 0..KEPT_ANSWERS_MAX as u64 {
            shard.request(last + 2, &format!("s{n}"), 1, put("a", START + 70 + n));
        }
        assert_eq!(shard.timer("a").answers.len(), KEPT_ANSWERS_MAX);
        assert!(!done(shard.request(last + 3, "r", 1, put("a", START + 60))).replayed);
    }

    #[test]
    fn replace_says_what_is_on_its_way_and_can_refuse_to() {
        let mut shard = Shard::new();
        let generation = done(shard.run(START, put("a", START))).timer.generation;
        let until = START + 30_000;
        let fenced = Put { fence: fence(1, Some((generation, until))), ..put("a", START + 50) };
        let refusing = Put {
            precondition: Precondition { nothing_in_flight: true, ..Precondition::default() },
            ..fenced.clone()
        };
        let sent = InFlight::Yes { until: Millis(until) + CLOCK_OFFSET_MAX };
        assert_eq!(refused(shard.run(START + 1, refusing)), Refusal::AttemptInFlight(sent));
        assert_eq!(shard.timer("a").generation, generation);
        assert_eq!(done(shard.run(START + 1, fenced)).in_flight, sent);
        assert_eq!(shard.timer("a").in_flight, sent);
    }
}
