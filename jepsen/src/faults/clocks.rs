//! Faults of clocks: one node's wall clock is off by less than is allowed, from one moment to the next or slowly, or by
//! far more. Its monotonic clock goes on as before, as it would on a machine.

use std::time::Duration;

use anyhow::Context as _;

use super::Effect;
use super::processes::take;
use crate::bounds::CLOCK_OFFSET_MAX_MS;
use crate::clock::wall_ms;
use crate::node::Node;
use crate::plan::Planned;
use crate::random::Random;
use crate::stage::Stage;
use crate::wire::parse_rfc3339;

/// What asking for the time may take without making the answer useless.
const ASK_TIME_MAX: Duration = Duration::from_secs(1);

/// By how much a clock is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shift {
    /// Less than the product allows.
    Allowed,
    /// The same, but it gets there little by little.
    Drifting,
    /// Seconds.
    Far,
}

/// Sets the clock off, holds, sets it right.
pub(super) async fn shift(stage: &Stage, planned: &Planned, shift: Shift) -> anyhow::Result<Effect> {
    let nodes = take(stage, planned)?;
    let Some(node) = nodes.first() else { return Ok(Effect::none("the node was not running")) };
    let lies = node.lies()?;
    let offset_ms = offset(planned.draw, shift);
    let within = offset_ms.unsigned_abs() <= CLOCK_OFFSET_MAX_MS;
    if !within {
        // It must not lead, so the others must do.
        stage.book.down(node.number);
    }
    let shifted = match shift {
        Shift::Allowed | Shift::Far => lies.shift_clock(offset_ms),
        Shift::Drifting => lies.drift_clock(offset_ms * 1_000_000 / planned.length_ms.max(1).cast_signed()),
    };
    stage.hold(planned.length_ms).await;
    let shown = shown_offset(stage, node).await;
    let righted = lies.shift_clock(0);
    if !within {
        stage.book.up(node.number);
    }
    node.release();
    shifted?;
    righted?;
    let (shown_ms, error_ms) = shown.context("the node did not tell its time")?;
    let effective = shown_ms.abs_diff(offset_ms) <= error_ms.unsigned_abs() + 20;
    let how = if shift == Shift::Drifting { "drifted" } else { "set off" };
    let established = format!("{how} by {offset_ms} ms, it told {shown_ms} ms (give or take {error_ms})");
    Ok(Effect { clock_offset_ms: Some(offset_ms), ..Effect::when(effective, established) })
}

/// By how much, in ms.
fn offset(draw: u64, shift: Shift) -> i64 {
    let mut random = Random::new(draw);
    let most = CLOCK_OFFSET_MAX_MS - 50;
    let size = match shift {
        Shift::Allowed | Shift::Drifting => random.between(50, most),
        Shift::Far => random.between(1_000, 30_000),
    };
    let size = i64::try_from(size).unwrap_or(0);
    if random.chance(50) { size } else { -size }
}

/// By how much the node's clock is ahead as it tells it, and how exact that is, in ms.
async fn shown_offset(stage: &Stage, node: &Node) -> Option<(i64, i64)> {
    let before = wall_ms();
    let info = stage.http.get(&format!("{}/api/v1/info", node.url()), ASK_TIME_MAX).await?;
    let after = wall_ms();
    let told = i64::try_from(parse_rfc3339(info["serverTime"].as_str()?)?).ok()?;
    let middle = i64::try_from(before.midpoint(after)).ok()?;
    Some((told - middle, i64::try_from(after - before).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_allowed_and_a_jump_is_not() {
        for draw in 0..200 {
            assert!(offset(draw, Shift::Allowed).unsigned_abs() < CLOCK_OFFSET_MAX_MS);
            assert!(offset(draw, Shift::Drifting).unsigned_abs() < CLOCK_OFFSET_MAX_MS);
            assert!(offset(draw, Shift::Far).unsigned_abs() > 2 * CLOCK_OFFSET_MAX_MS);
        }
    }
}
