//! Brings what an earlier version has written to the present format, when it is opened or received.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use timer_core::group::GroupCounts;
use timer_core::tables::index_keys;

use crate::engine::{Batch, Engine};
use crate::error::StoreError;
use crate::keys::timer;
use crate::state_machine::apply::{decode_timer, put_counts, put_listing};

/// The format of states and of snapshots. 1: without the tables of the lists. 2: without groups, without the meta shard,
/// the last one. 3: without histories of attempts and without what is parked.
pub(super) const FORMAT: u8 = 4;
/// The first format with everything that [`derive`] writes, and with a meta shard.
pub(super) const WITH_GROUPS: u8 = 3;
/// Timers whose keys are written at a time.
const TIMERS_AT_ONCE: usize = 4096;

/// Writes what formats before this one did not have and what follows from the timers of an incarnation: their keys in the
/// lists (since format 2), and how many each group has (since 3). Nobody else may write meanwhile. What a crash leaves of
/// it is written again.
///
/// For format 4 there is nothing to write: nobody knows what was attempted, and nothing was parked. The number keeps out
/// versions that would erase a timer and leave its history, or never look at what is parked.
pub(super) fn derive(engine: &dyn Engine, shard: u16, incarnation: u32) -> Result<(), StoreError> {
    let (mut from, to) = timer::range(incarnation);
    let mut groups = BTreeMap::<String, GroupCounts>::new();
    loop {
        let (mut batch, mut timers, mut last) = (Batch::default(), 0, Vec::new());
        engine.scan(&from, &to, &mut |key, value| {
            let found = decode_timer(shard, value)?;
            put_listing(&mut batch, incarnation, &found.key, index_keys(Some(&found)).listing);
            groups.entry(found.key.group).or_default().0[found.state as usize] += 1;
            timers += 1;
            last = key.to_vec();
            Ok(if timers < TIMERS_AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if timers == 0 {
            for (name, counts) in &groups {
                put_counts(&mut batch, incarnation, name, counts);
            }
            return engine.write(batch, false);
        }
        engine.write(batch, false)?;
        // The least key behind it.
        last.push(0);
        from = last;
    }
}
