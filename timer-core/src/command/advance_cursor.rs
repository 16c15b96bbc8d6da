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
