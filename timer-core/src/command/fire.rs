//! Deliver a pending timer now instead of at its time.

use crate::command::Precondition;
use crate::ids::TimerKey;

/// Fire now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fire {
    /// The timer.
    pub key: TimerKey,
    /// What must hold.
    pub precondition: Precondition,
}
