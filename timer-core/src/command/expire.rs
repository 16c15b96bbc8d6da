//! Erase finished timers whose retention is over.

use alloc::vec::Vec;

use crate::ids::{Sequence, TimerKey};

/// Names what to erase, so that apply reads no index: a timer that has changed since (another version), or
/// whose `purge_at` lies ahead, stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expire {
    /// Timers and their versions.
    pub timers: Vec<(TimerKey, Sequence)>,
}
