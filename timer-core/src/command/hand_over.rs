//! A leader leaves office in order: it has stopped starting attempts and names those on their way.

use alloc::vec::Vec;

use crate::shard_state::OpenAttempt;

/// The last command of a leader that leaves in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// Its session: if another is open by now, this has no effect.
    pub session: u64,
    /// What is on its way.
    pub attempts: Vec<OpenAttempt>,
}
