//! Take timers out of the wheel that are due and may not go, so that they neither hold the cursor back nor take the leader's
//! memory. A timer may not go while its group is paused.

use alloc::vec::Vec;

use crate::command::{Context, Reply, group};
use crate::ids::{Sequence, TimerKey};
use crate::tables::{Overlay, Tables};
use crate::time::Millis;
use crate::timer::Timer;

/// Park these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Park {
    /// The session that says so; of another session it has no effect.
    pub session: u64,
    /// At most [`PARKED_AT_ONCE_MAX`](crate::limits::PARKED_AT_ONCE_MAX).
    pub timers: Vec<Parked>,
}

/// A timer's place, in the wheel or among what is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The timer.
    pub key: TimerKey,
    /// Its generation.
    pub generation: Sequence,
    /// Its position.
    pub position: Millis,
}

impl Parked {
    /// Whether `timer` waits at this place.
    pub(super) fn is_of(&self, timer: &Timer) -> bool {
        timer.generation == self.generation && timer.position == Some(self.position)
    }
}

/// Parks those that are still at their place in the wheel and whose group is paused. Nothing that a user sees changes, so
/// neither does the version.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    park: &Park,
) -> Result<Reply, T::Error> {
    if !overlay.state.is_open(park.session) {
        return Ok(Reply::Ack);
    }
    for place in &park.timers {
        let Some(mut timer) = overlay.timer(&place.key)?.filter(|timer| place.is_of(timer)).cloned() else {
            continue;
        };
        if timer.parked_at.is_none() && group::is_paused(overlay, &place.key)? {
            timer.parked_at = Some(context.now);
            overlay.put(timer);
        }
    }
    Ok(Reply::Ack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{AdvanceCursor, Delete, Fire, Patch, Put, Refusal, SetGroup};
    use crate::definition::RetryPolicy;
    use crate::group::Group;
    use crate::limits::RETENTION;
    use crate::tables::index_keys;
    use crate::testing::{START, Shard, delete, done, failed, fire, group_in, patch, place, put, refused};
    use crate::timer::{State, Timer};

    /// Timer `t` of group `a`, due at [`START`], and the group paused or not.
    fn with_t(paused: bool) -> Shard {
        let mut shard = Shard::new();
        set(&mut shard, 10, paused);
        let put = put("t", START);
        done(shard.run(START, Put { key: TimerKey::new("a", "t"), ..put }));
        shard
    }

    fn set(shard: &mut Shard, version: u64, paused: bool) {
        let paused_at = paused.then_some(Millis(START));
        let group = Group { version: Sequence(version), paused_at, ..group_in("a", 10) };
        shard.run(START, SetGroup { group });
    }

    fn park(timer: &Timer) -> Park {
        Park { session: 1, timers: Vec::from([place(timer)]) }
    }

    #[test]
    fn what_is_parked_holds_no_cursor_back_and_is_as_it_was_for_its_user() {
        let mut shard = with_t(true);
        let before = shard.store_timer("a", "t").clone();
        shard.run(START + 50, park(&before));
        let after = shard.store_timer("a", "t").clone();
        assert_eq!(after, Timer { parked_at: Some(Millis(START + 50)), ..before.clone() });
        let keys = index_keys(Some(&after));
        assert_eq!((keys.wheel, keys.parked), (None, Some((Millis(START), before.generation))));
        assert_eq!((shard.state.parked, shard.notices.len()), (1, 0));
        shard.run(START + 60, AdvanceCursor { session: 1, to: Millis(START + 60) });
        assert_eq!(shard.state.cursor, Millis(START + 60));
    }

    #[test]
    fn what_may_go_or_has_moved_or_is_said_by_another_session_is_not_parked() {
        let mut shard = with_t(false);
        let t = shard.store_timer("a", "t").clone();
        shard.run(START, park(&t));
        set(&mut shard, 11, true);
        shard.run(START, Park { session: 2, ..park(&t) });
        let mut moved = park(&t);
        moved.timers[0].position = Millis(START + 1);
        shard.run(START, moved);
        let mut renewed = park(&t);
        renewed.timers[0].generation = Sequence(7);
        shard.run(START, renewed);
        assert_eq!((shard.state.parked, shard.store_timer("a", "t")), (0, &t));
    }

    #[test]
    fn a_parked_timer_is_cancelled_and_moved_as_any_other() {
        let mut shard = with_t(true);
        let t = shard.store_timer("a", "t").clone();
        shard.run(START, park(&t));
        let labels = Patch { key: t.key.clone(), ..patch("t") };
        let labels = Patch { labels: [("x".into(), Some("y".into()))].into(), ..labels };
        assert!(done(shard.run(START + 1, labels)).timer.parked_at.is_some(), "its labels do not matter");
        let later =
            Patch { execute_at: Some(Millis(START + 500)), ..Patch { key: t.key.clone(), ..patch("t") } };
        assert_eq!(done(shard.run(START + 1, later)).timer.parked_at, None);
        assert_eq!(shard.state.parked, 0);
        let t = shard.store_timer("a", "t").clone();
        shard.run(START + 501, park(&t));
        assert_eq!(shard.state.parked, 1);
        let cancelled = done(shard.run(START + 502, Delete { key: t.key.clone(), ..delete("t") })).timer;
        assert_eq!((cancelled.state, shard.state.parked), (State::Cancelled, 0));
        assert_eq!(cancelled.purge_at, Some(Millis(START + 502) + RETENTION));
    }

    #[test]
    fn an_outcome_that_was_awaited_counts_though_its_timer_is_parked() {
        let mut shard = with_t(true);
        let t = shard.store_timer("a", "t").clone();
        shard.run(START, park(&t));
        let retry = RetryPolicy { initial_interval: crate::time::Span(700), ..t.definition.retry };
        assert!(retry.attempts_max > 1);
        let mut outcome = crate::testing::outcome("t", t.generation, 1, START + 5, failed(START + 5));
        outcome.key = t.key;
        assert_eq!(shard.run(START + 5, outcome), Reply::Outcome(true));
        let t = shard.store_timer("a", "t");
        assert_eq!((t.state, t.parked_at, shard.state.parked), (State::Retrying, None, 0));
    }

    #[test]
    fn nothing_of_a_paused_group_is_delivered_now() {
        let mut shard = with_t(true);
        let fire = Fire { key: TimerKey::new("a", "t"), ..fire("t") };
        assert_eq!(refused(shard.run(START, fire.clone())), Refusal::GroupPaused);
        set(&mut shard, 11, false);
        done(shard.run(START, fire));
    }
}
