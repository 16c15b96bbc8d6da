//! Nothing below is pending any more.

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
