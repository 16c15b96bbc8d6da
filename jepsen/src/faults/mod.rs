//! The faults: each is made, held, taken back, and asked whether it took effect. What they share is here; each family
//! has a file of its own. A fault that fails half-way takes back what it has done and says that it had no effect.

mod clocks;
mod crashes;
mod damage;
mod disks;
mod links;
mod power;
mod processes;
mod receivers;

use std::sync::Arc;

use checkers::history::{Event, FaultBegin, FaultEnd};

use self::clocks::Shift;
use self::damage::{Files, Way};
use self::links::{Detours, Shape};
use crate::kind::Kind;
use crate::plan::Planned;
use crate::script::Mood;
use crate::stage::Stage;

/// What is printed of how an effect was established; the history has all of it.
const LINE_CHARS_MAX: usize = 200;

/// What became of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Whether it took effect.
    pub effective: bool,
    /// How that was established, for people.
    pub established: String,
    /// By how much a clock was off, in ms.
    pub clock_offset_ms: Option<i64>,
}

impl Effect {
    /// It took effect, which was seen by `established`.
    pub fn seen(established: impl Into<String>) -> Self {
        Self::when(true, established)
    }

    /// It had no effect.
    pub fn none(why: impl Into<String>) -> Self {
        Self::when(false, why)
    }

    /// It took effect if `effective`.
    pub fn when(effective: bool, established: impl Into<String>) -> Self {
        Self { effective, established: established.into(), clock_offset_ms: None }
    }
}

/// Makes one fault from its begin to its end, and writes both to the history.
pub async fn make(stage: Arc<Stage>, planned: Planned) {
    let fault = stage.recorder.next_number();
    let at_ns = stage.recorder.now_ns();
    let kind = planned.kind;
    let effect = if stage.scene.disabled.contains(&kind) {
        stage.hold(planned.length_ms).await;
        Effect::none("switched off by --disable")
    } else {
        perform(&stage, &planned).await.unwrap_or_else(|e| Effect::none(format!("it failed: {e:#}")))
    };
    let end_ns = stage.recorder.now_ns();
    let Effect { effective, established, clock_offset_ms } = effect;
    let nodes = planned.nodes.clone();
    let word = if effective { "effective" } else { "NO EFFECT" };
    let short: String = established.chars().take(LINE_CHARS_MAX).collect();
    println!("{:>7.1} s  {:<18} {word}: {short}", at_ns as f64 / 1e9, kind.name());
    stage.recorder.write(&Event::FaultBegin(FaultBegin {
        at_ns,
        fault,
        fault_kind: kind.name().to_owned(),
        nodes,
        effective,
        established,
        clock_offset_ms,
    }));
    stage.recorder.write(&Event::FaultEnd(FaultEnd { at_ns: end_ns, fault }));
}

async fn perform(stage: &Arc<Stage>, planned: &Planned) -> anyhow::Result<Effect> {
    match planned.kind {
        Kind::Kill | Kind::KillAll => processes::kill(stage, planned).await,
        Kind::CrashInside => crashes::at_work(stage, planned).await,
        Kind::CrashInSnapshot => crashes::in_snapshot(stage, planned).await,
        Kind::Pause => processes::pause(stage, planned).await,
        Kind::Restart => processes::restart(stage, planned).await,
        Kind::CpuStarve => processes::starve(stage, planned).await,
        Kind::PowerCut | Kind::PowerCutAll => power::cut(stage, planned).await,
        Kind::PartitionMajority => links::cut(stage, planned, Shape::Minority).await,
        Kind::PartitionRing => links::cut(stage, planned, Shape::Ring).await,
        Kind::PartitionBridge => links::cut(stage, planned, Shape::Bridge).await,
        Kind::PartitionOneWay => links::cut(stage, planned, Shape::OneWay).await,
        Kind::RefuseConnections => links::cut(stage, planned, Shape::Refused).await,
        Kind::PacketLoss => links::cut(stage, planned, Shape::Lossy).await,
        Kind::PacketDelay => links::divert(stage, planned, Detours::Late).await,
        Kind::PacketReorder => links::divert(stage, planned, Detours::Shuffled).await,
        Kind::PacketDuplicate => links::divert(stage, planned, Detours::Doubled).await,
        Kind::ClockOffset => clocks::shift(stage, planned, Shift::Allowed).await,
        Kind::ClockDrift => clocks::shift(stage, planned, Shift::Drifting).await,
        Kind::ClockJump => clocks::shift(stage, planned, Shift::Far).await,
        Kind::DiskFull => disks::fill(stage, planned).await,
        Kind::DiskExhausted => disks::exhaust(stage, planned).await,
        Kind::DiskReadOnly => disks::make_read_only(stage, planned).await,
        Kind::DiskStall => disks::stall(stage, planned).await,
        Kind::DiskSlow => disks::slow(stage, planned).await,
        Kind::DiskSyncFails => disks::fail_syncs(stage, planned).await,
        Kind::BitFlipLog => damage::spoil(stage, planned, Files::Log, Way::Flip).await,
        Kind::BitFlipState => damage::spoil(stage, planned, Files::State, Way::Flip).await,
        Kind::BitFlipSide => damage::spoil(stage, planned, Files::Side, Way::Flip).await,
        Kind::FileCut => damage::spoil(stage, planned, Files::Any, Way::Cut).await,
        Kind::ReceiverErrors => receivers::spoil(stage, planned, Mood::Errors).await,
        Kind::ReceiverHang => receivers::spoil(stage, planned, Mood::Hangs).await,
        Kind::ReceiverReset => receivers::spoil(stage, planned, Mood::Resets).await,
        Kind::ReceiverDrip => receivers::spoil(stage, planned, Mood::Drips).await,
        Kind::ReceiverRedirect => receivers::spoil(stage, planned, Mood::Redirects).await,
        Kind::ReceiverRefuse => receivers::refuse(stage, planned).await,
        Kind::ReceiverMoves => receivers::relocate(stage, planned).await,
    }
}
