//! Nothing below is pending any more.

use crate::command::Reply;
use crate::mutant::Mutant;
use crate::tables::{Overlay, Tables};
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
/// a one has no effect either. And it goes no further than the first timer that waits, whatever the leader
/// believes: below the cursor nobody looks again, so that a leader that forgot a timer would make all after it
/// forget it too.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    advance: AdvanceCursor,
) -> Result<Reply, T::Error> {
    let state = &overlay.state;
    if state.is_open(advance.session) && advance.to > state.cursor && advance.to <= state.last_time {
        let waits = overlay.first_position(state.cursor, advance.to)?;
        let waits = waits.filter(|_| !Mutant::CursorOvertakes.is_on());
        overlay.state.cursor = waits.unwrap_or(advance.to);
    }
    Ok(Reply::Ack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, Shard, delete, envelope, put};

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
    fn it_stops_at_the_first_timer_that_waits_whatever_the_leader_believes() {
        let mut shard = Shard::new();
        let advance = |to| AdvanceCursor { session: 1, to: Millis(to) };
        shard.run(START, advance(START - 100));
        shard.run(START, put("late", START));
        shard.run(START + 90, put("a", START + 50));
        shard.run(START + 90, advance(START + 80));
        assert_eq!(shard.state.cursor, Millis(START));
        // In one entry with what settles the first, and with what comes in its place.
        let settled = vec![
            envelope(None, delete("late")),
            envelope(None, put("late", START + 40)),
            envelope(None, advance(START + 80)),
        ];
        shard.entry(START + 91, settled);
        assert_eq!(shard.state.cursor, Millis(START + 80));
        shard.run(START + 91, advance(START + 91));
        assert_eq!(shard.state.cursor, Millis(START + 90));
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
