//! Put parked timers into the wheel again, when they may go. How many at a time is the leader's business.

use alloc::vec::Vec;

use crate::command::{Context, Parked, Reply, group};
use crate::tables::{Overlay, Tables};

/// Release these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The session that says so; of another session it has no effect.
    pub session: u64,
    /// At most [`PARKED_AT_ONCE_MAX`](crate::limits::PARKED_AT_ONCE_MAX).
    pub timers: Vec<Parked>,
}

/// Releases those that are still parked at their place and whose group is not paused: they are due at once, as late as
/// they are. The retry policy does not count the time for which they were parked.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    release: &Release,
) -> Result<Reply, T::Error> {
    if !overlay.state.is_open(release.session) {
        return Ok(Reply::Ack);
    }
    for place in &release.timers {
        let Some(mut timer) = overlay.timer(&place.key)?.filter(|timer| place.is_of(timer)).cloned() else {
            continue;
        };
        let Some(parked_at) = timer.parked_at else { continue };
        if group::is_paused(overlay, &place.key)? {
            continue;
        }
        let parked = context.now.since(parked_at);
        timer.first_attempt_at = timer.first_attempt_at.map(|first| first + parked);
        timer.wait(timer.due_at(), overlay.state.cursor, context.now);
        overlay.put(timer);
    }
    Ok(Reply::Ack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{AdvanceCursor, Notice, Park, SetGroup};
    use crate::definition::RetryPolicy;
    use crate::group::Group;
    use crate::ids::{Sequence, TimerKey};
    use crate::tables::index_keys;
    use crate::testing::{START, Shard, done, failed, group_in, outcome, place, put};
    use crate::time::{Millis, Span};
    use crate::timer::{State, Timer};

    fn set(shard: &mut Shard, version: u64, paused: bool) {
        let paused_at = paused.then_some(Millis(START));
        let group = Group { version: Sequence(version), paused_at, ..group_in("a", 10) };
        shard.run(START, SetGroup { group });
    }

    /// Timer `t` of the paused group `a`, which gives up a minute after its first attempt, parked at `at`.
    fn parked(at: u64) -> (Shard, Timer) {
        let mut shard = Shard::new();
        set(&mut shard, 10, false);
        let mut put = put("t", START);
        put.key = TimerKey::new("a", "t");
        put.definition.retry = RetryPolicy { duration_max: Span(60_000), ..put.definition.retry };
        done(shard.run(START, put));
        let generation = shard.store_timer("a", "t").generation;
        let mut first = outcome("t", generation, 1, START, failed(START));
        first.key = TimerKey::new("a", "t");
        shard.run(START, first);
        set(&mut shard, 11, true);
        let t = shard.store_timer("a", "t").clone();
        shard.run(at, Park { session: 1, timers: Vec::from([place(&t)]) });
        let t = shard.store_timer("a", "t").clone();
        assert_eq!((t.state, t.parked_at), (State::Retrying, Some(Millis(at))));
        (shard, t)
    }

    fn release(timer: &Timer) -> Release {
        Release { session: 1, timers: Vec::from([place(timer)]) }
    }

    #[test]
    fn a_released_timer_is_due_at_once_and_its_pause_is_not_counted() {
        let (mut shard, t) = parked(START + 5_000);
        shard.run(START + 6_000, AdvanceCursor { session: 1, to: Millis(START + 6_000) });
        set(&mut shard, 12, false);
        shard.run(START + 95_000, release(&t));
        let at = Millis(START + 95_000);
        let after = shard.store_timer("a", "t").clone();
        assert_eq!(
            (after.position, after.next_attempt_at),
            (Some(at), t.next_attempt_at),
            "as late as it is"
        );
        assert_eq!((after.parked_at, after.version), (None, t.version));
        assert_eq!(after.first_attempt_at, Some(Millis(START + 90_000)));
        assert_eq!((index_keys(Some(&after)).parked, shard.state.parked), (None, 0));
        let notice = Notice::Scheduled { key: t.key.clone(), position: at, generation: t.generation };
        assert_eq!(shard.notices, [notice]);
        // Without the pause its minute would be over.
        let mut second = outcome("t", t.generation, 2, START + 96_000, failed(START + 96_000));
        second.key = t.key;
        shard.run(START + 96_000, second);
        assert_eq!(shard.store_timer("a", "t").state, State::Retrying);
    }

    #[test]
    fn what_may_not_go_or_is_said_by_another_session_stays_parked() {
        let (mut shard, t) = parked(START + 5_000);
        shard.run(START + 6_000, release(&t));
        set(&mut shard, 12, false);
        shard.run(START + 6_000, Release { session: 2, ..release(&t) });
        assert_eq!((shard.state.parked, shard.store_timer("a", "t")), (1, &t));
        // Released twice, as when its leader did not learn of the first.
        shard.run(START + 6_000, release(&t));
        let released = shard.store_timer("a", "t").clone();
        shard.run(START + 7_000, release(&t));
        assert_eq!((shard.state.parked, shard.store_timer("a", "t")), (0, &released));
    }
}
