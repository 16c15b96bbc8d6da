//! Give a dead timer a new life: same generation, attempt numbers go on, the policy starts anew.

use crate::command::Precondition;
use crate::ids::TimerKey;

/// Redrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The timer.
    pub key: TimerKey,
    /// What must hold.
    pub precondition: Precondition,
}
