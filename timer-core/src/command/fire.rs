//! Deliver a pending timer now instead of at its time.

use alloc::boxed::Box;

use crate::command::{Context, Precondition, Refusal, Reply, answers, group};
use crate::ids::TimerKey;
use crate::tables::{Overlay, Tables};
use crate::timer::Effect;

/// Fire now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fire {
    /// The timer.
    pub key: TimerKey,
    /// What must hold.
    pub precondition: Precondition,
}

/// Makes a pending timer due now: same generation, another version. An attempt that is overdue keeps its
/// time, because what may have been sent of it is judged by that.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    fire: &Fire,
) -> Result<Reply, T::Error> {
    let record = overlay.timer(&fire.key)?.cloned();
    if let Some(reply) = answers::earlier(&overlay.state, record.as_ref(), context) {
        return Ok(reply);
    }
    let Some(mut timer) = record else {
        return Ok(Reply::Refused(Refusal::NotFound));
    };
    if let Some(refusal) = fire.precondition.fault(Some(&timer), Some(&timer)) {
        return Ok(Reply::Refused(refusal));
    }
    let Some(due) = timer.next_attempt_at else {
        return Ok(Reply::Refused(Refusal::Finished(Box::new(timer))));
    };
    if group::is_paused(overlay, &fire.key)? {
        return Ok(Reply::Refused(Refusal::GroupPaused));
    }
    timer.wait(due.min(context.now), overlay.state.cursor, context.now);
    timer.manual = true;
    timer.version = context.sequence;
    timer.updated_at = context.now;
    answers::keep(&mut timer, context, Effect::Fired);
    overlay.put(timer.clone());
    let in_flight = timer.in_flight;
    Ok(Reply::done(Effect::Fired, timer, in_flight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Notice;
    use crate::testing::{START, Shard, delete, done, failed, fire, key, put, refused};
    use crate::time::Millis;

    #[test]
    fn a_pending_timer_is_due_now_and_keeps_its_generation_and_time() {
        let mut shard = Shard::new();
        let before = done(shard.run(START, put("a", START + 50_000))).timer;
        assert_eq!(done(shard.run(START + 7, fire("a"))).effect, Effect::Fired);
        let timer = shard.timer("a");
        assert_eq!((timer.position, timer.manual), (Some(Millis(START + 7)), true));
        assert_eq!((timer.generation, &timer.definition), (before.generation, &before.definition));
        assert!(timer.version > before.version);
        let (key, position, generation) = (key("a"), Millis(START + 7), before.generation);
        assert_eq!(shard.notices, [Notice::Scheduled { key, position, generation }]);
    }

    #[test]
    fn an_overdue_attempt_keeps_its_time() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START + 5));
        shard.run(START + 100, fire("a"));
        assert_eq!(shard.timer("a").next_attempt_at, Some(Millis(START + 5)));
        assert_eq!(shard.timer("a").position, Some(Millis(START + 100)));
    }

    #[test]
    fn the_attempt_after_a_manual_one_is_not_manual() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START + 50_000));
        shard.run(START + 7, fire("a"));
        shard.outcome(START + 8, "a", failed(START + 8));
        assert!(!shard.timer("a").manual);
    }

    #[test]
    fn a_finished_or_unknown_timer_is_refused() {
        let mut shard = Shard::new();
        assert_eq!(refused(shard.run(START, fire("a"))), Refusal::NotFound);
        shard.run(START, put("a", START + 5));
        shard.run(START, delete("a"));
        assert!(matches!(refused(shard.run(START, fire("a"))), Refusal::Finished(_)));
    }
}
