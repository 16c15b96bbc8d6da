//! Cancel a pending timer, or erase a finished one.

use crate::command::{Fence, Precondition};
use crate::ids::TimerKey;

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
