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
            overlay.erase(key, *version);
        }
    }
    Ok(Reply::Ack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::RETENTION;
    use crate::testing::{START, Shard, delete, put};

    #[test]
    fn only_what_is_unchanged_and_over_is_erased() {
        let mut shard = Shard::new();
        let over = START + RETENTION.0;
        for id in ["over", "changed", "pending"] {
            shard.run(START, put(id, START + 50));
        }
        for id in ["over", "changed"] {
            shard.run(START, delete(id));
        }
        let name = |id: &str| (shard.timer(id).key.clone(), shard.timer(id).version);
        let mut timers: Vec<_> = ["over", "changed", "pending"].map(name).to_vec();
        timers.push((TimerKey::new("default", "unknown"), Sequence(5)));
        shard.run(START, put("changed", START + 60));
        shard.run(over - 1, Expire { timers: timers.clone() });
        assert_eq!(shard.state.counts, [2, 0, 0, 0, 0, 1]);
        shard.run(over, Expire { timers });
        assert!(!shard.has("over") && shard.has("changed") && shard.has("pending"));
        assert_eq!(shard.state.counts, [2, 0, 0, 0, 0, 0]);
    }
}
