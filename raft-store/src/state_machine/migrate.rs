//! Brings what an earlier version has written to the present format, when it is opened or received.

use std::ops::ControlFlow;

use timer_core::tables::index_keys;

use crate::engine::{Batch, Engine};
use crate::error::StoreError;
use crate::keys::timer;
use crate::state_machine::apply::{decode_timer, put_listing};

/// The format of states and of snapshots. 1: without the tables of the lists. 2: without histories of attempts.
pub(super) const FORMAT: u8 = 3;
/// The first with lists.
const LISTING: u32 = 2;
/// Timers whose keys are written at a time.
const TIMERS_AT_ONCE: usize = 4096;

/// Brings an incarnation from format `from` to the present one. Nobody else may write meanwhile. What a crash leaves of it
/// is written again.
///
/// From 2 to 3 there is nothing to write: nobody knows what was attempted, and records say that nothing was recorded. The
/// number keeps out versions that would erase a timer and leave its history.
pub(super) fn bring(engine: &dyn Engine, shard: u16, incarnation: u32, from: u32) -> Result<(), StoreError> {
    if from < LISTING { add_listing(engine, shard, incarnation) } else { Ok(()) }
}

/// Gives the timers of an incarnation their keys in the lists.
fn add_listing(engine: &dyn Engine, shard: u16, incarnation: u32) -> Result<(), StoreError> {
    let (mut from, to) = timer::range(incarnation);
    loop {
        let (mut batch, mut timers, mut last) = (Batch::default(), 0, Vec::new());
        engine.scan(&from, &to, &mut |key, value| {
            let found = decode_timer(shard, value)?;
            put_listing(&mut batch, incarnation, &found.key, index_keys(Some(&found)).listing);
            timers += 1;
            last = key.to_vec();
            Ok(if timers < TIMERS_AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if timers == 0 {
            return Ok(());
        }
        engine.write(batch, false)?;
        // The least key behind it.
        last.push(0);
        from = last;
    }
}
