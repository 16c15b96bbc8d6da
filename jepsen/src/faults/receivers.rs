//! Faults of receivers: errors, silence, resets, bodies that drip, redirects, refused connections, and a move to another
//! address.

use anyhow::Context as _;

use super::Effect;
use crate::plan::Planned;
use crate::script::Mood;
use crate::shell::blocking;
use crate::stage::Stage;

/// One receiver answers wrongly for a while.
pub(super) async fn spoil(stage: &Stage, planned: &Planned, mood: Mood) -> anyhow::Result<Effect> {
    let receiver = planned.receiver.context("no receiver was chosen")?;
    let moods = &stage.receivers.moods;
    let before = moods.spoilt(receiver);
    moods.set(receiver, mood);
    stage.hold(planned.length_ms).await;
    moods.set(receiver, Mood::Well);
    let answers = moods.spoilt(receiver) - before;
    Ok(Effect::when(answers > 0, format!("receiver {} answered {answers} callbacks so", receiver + 1)))
}

/// One receiver's port is closed. Its callbacks can't be received, so nothing is asked of the cluster meanwhile.
pub(super) async fn refuse(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let receiver = planned.receiver.context("no receiver was chosen")?;
    let network = stage.network.clone();
    let before = blocking(move || network.refused_ports()).await?;
    stage.book.excuse();
    let network = stage.network.clone();
    let closed = blocking(move || network.close_port(receiver, true)).await;
    stage.hold(planned.length_ms).await;
    let network = stage.network.clone();
    let after = blocking(move || network.refused_ports()).await;
    let network = stage.network.clone();
    let opened = blocking(move || network.close_port(receiver, false)).await;
    stage.book.demand();
    closed?;
    opened?;
    let packets = after?.saturating_sub(before);
    Ok(Effect::when(packets > 0, format!("receiver {} refused {packets} packets", receiver + 1)))
}

/// One receiver moves: its name leads to its other address, and the old one refuses whoever comes or stays.
pub(super) async fn relocate(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let receiver = planned.receiver.context("no receiver was chosen")?;
    let before = stage.receivers.at_other_address(receiver);
    let network = stage.network.clone();
    let moved = blocking(move || network.relocate(receiver, true)).await;
    stage.hold(planned.length_ms).await;
    let network = stage.network.clone();
    let back = blocking(move || network.relocate(receiver, false)).await;
    moved?;
    back?;
    let callbacks = stage.receivers.at_other_address(receiver) - before;
    Ok(Effect::when(
        callbacks > 0,
        format!("receiver {} got {callbacks} callbacks where it had moved", receiver + 1),
    ))
}
