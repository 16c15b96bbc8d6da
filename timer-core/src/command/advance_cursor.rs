//! Nothing below is pending any more.

use crate::command::Reply;
use crate::shard_state::ShardState;
use crate::time::Millis;

/// Moves the cursor. The leader keeps `to` at or below the time of the last entry that it had applied, so
/// that no command that is still under way can put a timer below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvanceCursor {
    /// The session that says so; of another session it has no effect.
    pub session: u64,
    /// The new cursor.
    pub to: Millis,
}

/// Moves the cursor forward. Beyond the time of the log it would overtake commands that are under way, so such
/// a one has no effect either.
pub(crate) fn apply(state: &mut ShardState, advance: AdvanceCursor) -> Reply {
    let open = state.session.as_ref().is_some_and(|session| session.number == advance.session);
    if open && advance.to > state.cursor && advance.to <= state.last_time {
        state.cursor = advance.to;
    }
    Reply::Ack
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, Shard, put};

    #[test]
    fn only_the_open_session_moves_it_and_only_forward_and_within_the_log() {
        let mut shard = Shard::new();
        let advance = |session, to| AdvanceCursor { session, to: Millis(to) };
        shard.run(START, advance(1, START - 10));
        assert_eq!(shard.state.cursor, Millis(START - 10));
        for without_effect in [advance(2, START - 5), advance(1, START - 20), advance(1, START + 1)] {
            shard.run(START, without_effect);
            assert_eq!(shard.state.cursor, Millis(START - 10));
        }
    }

    #[test]
    fn a_timer_of_a_clock_that_is_behind_does_not_land_below_it() {
        let mut shard = Shard::new();
        shard.run(START, AdvanceCursor { session: 1, to: Millis(START) });
        shard.run(START - 500, put("a", START - 900));
        assert_eq!(shard.timer("a").position, Some(Millis(START)));
        assert_eq!(shard.state.last_time, Millis(START));
    }
}
