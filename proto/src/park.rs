//! Parking and releasing timers.

use timer_core::command::{Park, Parked, Release};
use timer_core::ids::{Sequence, TimerKey};
use timer_core::time::Millis;

use crate::wire::store as wire;

impl From<&Park> for wire::Park {
    fn from(park: &Park) -> Self {
        Self { session: park.session, timers: park.timers.iter().map(Into::into).collect() }
    }
}

impl From<wire::Park> for Park {
    fn from(wire: wire::Park) -> Self {
        Self { session: wire.session, timers: wire.timers.into_iter().map(Into::into).collect() }
    }
}

impl From<&Release> for wire::Release {
    fn from(release: &Release) -> Self {
        Self { session: release.session, timers: release.timers.iter().map(Into::into).collect() }
    }
}

impl From<wire::Release> for Release {
    fn from(wire: wire::Release) -> Self {
        Self { session: wire.session, timers: wire.timers.into_iter().map(Into::into).collect() }
    }
}

impl From<&Parked> for wire::Parked {
    fn from(parked: &Parked) -> Self {
        Self {
            group: parked.key.group.clone(),
            id: parked.key.id.clone(),
            generation: parked.generation.0,
            position_ms: parked.position.0,
        }
    }
}

impl From<wire::Parked> for Parked {
    fn from(wire: wire::Parked) -> Self {
        Self {
            key: TimerKey::new(wire.group, wire.id),
            generation: Sequence(wire.generation),
            position: Millis(wire.position_ms),
        }
    }
}
