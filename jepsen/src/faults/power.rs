//! Power cuts: the machines fall silent, their disks keep only what was synced, and later they boot.
//!
//! The processes are stopped first: a filesystem that is being cut can call a sync done that was not, and no
//! machine without power lives to pass that on. Nor does a dead machine say goodbye: its packets are dropped
//! before its process is killed, so that nobody sees a closed connection.

use std::sync::Arc;

use super::Effect;
use super::processes::{bring_back, take_all};
use crate::network::{Network, Rule};
use crate::node::Node;
use crate::plan::Planned;
use crate::shell::blocking;
use crate::stage::Stage;

/// The power of all nodes of the fault goes at the same moment.
pub(super) async fn cut(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let nodes = take_all(stage, planned)?;
    if nodes.is_empty() {
        return Ok(Effect::none("a node was not running"));
    }
    nodes.iter().for_each(|node| stage.book.down(node.number));
    let (victims, network) = (nodes.clone(), stage.network.clone());
    let dead = blocking(move || end(&victims, &network)).await;
    stage.hold(planned.length_ms).await;
    let (victims, network) = (nodes.clone(), stage.network.clone());
    let booted = blocking(move || boot(&victims, &network)).await;
    bring_back(stage, &nodes).await?;
    dead?;
    let lost = booted?;
    let established = format!("an unsynced file was gone from {lost} of {} disks", nodes.len());
    Ok(Effect::when(lost == nodes.len(), established))
}

fn end(nodes: &[Arc<Node>], network: &Network) -> anyhow::Result<()> {
    let stopped = nodes.iter().try_for_each(|node| node.stop());
    let cut = stopped.and_then(|()| {
        nodes.iter().try_for_each(|node| network.apply(node.number, Rule::Dark, node.number))?;
        // One after the other makes no difference, since none of them runs; but between a canary and the cut there
        // must be no time in which the kernel writes it out by itself.
        nodes.iter().try_for_each(|node| {
            node.disk.put_canary()?;
            node.disk.cut_power()
        })
    });
    // Whatever went wrong, they are down now.
    nodes.iter().try_for_each(|node| node.kill())?;
    cut
}

/// Gives how many disks have lost what was not synced.
fn boot(nodes: &[Arc<Node>], network: &Network) -> anyhow::Result<usize> {
    let mut lost = 0;
    for node in nodes {
        node.disk.unmount()?;
        node.disk.mount()?;
        lost += usize::from(node.disk.canary_is_gone());
        network.lift(node.number, Rule::Dark, node.number)?;
    }
    Ok(lost)
}
