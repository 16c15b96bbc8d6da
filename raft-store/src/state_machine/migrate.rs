//! Brings what an earlier version has written to the present format, when it is opened or received.

use std::ops::ControlFlow;

use timer_core::tables::index_keys;

use crate::engine::{Batch, Engine};
use crate::error::StoreError;
use crate::keys::timer;
use crate::state_machine::apply::{decode_timer, put_listing};

/// Timers whose keys are written at a time.
const TIMERS_AT_ONCE: usize = 4096;

/// From format 1 to 2: gives the timers of an incarnation their keys in the lists. Nobody else may write meanwhile. What a
/// crash leaves of it is written again.
pub(super) fn add_listing(engine: &dyn Engine, shard: u16, incarnation: u32) -> Result<(), StoreError> {
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
