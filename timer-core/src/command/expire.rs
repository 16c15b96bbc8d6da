//! Erase finished timers whose retention is over.

use alloc::vec::Vec;

use crate::command::{Context, Reply};
use crate::ids::{Sequence, TimerKey};
use crate::tables::{Overlay, Tables};

/// Names what to erase, so that apply reads no index: a timer that has changed since (another version), or
/// whose `purge_at` lies ahead, stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expire {
    /// Timers and their versions.
    pub timers: Vec<(TimerKey, Sequence)>,
}

/// Erases those that are still as they were named and whose time is over.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    expire: &Expire,
) -> Result<Reply, T::Error> {
    for (key, version) in &expire.timers {
        let over = overlay.timer(key)?.is_some_and(|timer| {
            timer.version == *version && timer.purge_at.is_some_and(|at| at <= context.now)
        });
        if over {
            overlay.erase(key);
        }
    }
    Ok(Reply::Ack)
}
