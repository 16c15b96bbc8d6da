//! Faults of processes: killed, paused, restarted in order, and starved of CPU.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::Effect;
use crate::node::Node;
use crate::plan::Planned;
use crate::shell::blocking;
use crate::stage::Stage;

/// How long an orderly stop may take.
const TERMINATE_TIME_MAX: Duration = Duration::from_secs(20);
/// Of 100 ms, how many microseconds a starved node gets.
const STARVED_US: &str = "5000";

/// The nodes of a fault that nobody else has, taken.
pub(super) fn take(stage: &Stage, planned: &Planned) -> anyhow::Result<Vec<Arc<Node>>> {
    let mut taken = Vec::new();
    for number in &planned.nodes {
        let node = stage.node(*number)?;
        if node.take() {
            taken.push(node);
        }
    }
    Ok(taken)
}

/// The same, or nothing if one of them is not to be had; a node that stays away for its damaged files does not count.
pub(super) fn take_all(stage: &Stage, planned: &Planned) -> anyhow::Result<Vec<Arc<Node>>> {
    let taken = take(stage, planned)?;
    let mut wanted = 0;
    for number in &planned.nodes {
        wanted += usize::from(stage.node(*number)?.damage().is_none());
    }
    if taken.len() == wanted {
        return Ok(taken);
    }
    taken.iter().for_each(|node| node.release());
    Ok(Vec::new())
}

/// Starts nodes again that the fault had ended, waits until they answer, and lets go of them.
pub(super) async fn bring_back(stage: &Stage, nodes: &[Arc<Node>]) -> anyhow::Result<()> {
    for node in nodes {
        let started = node.start(&stage.spawner);
        stage.book.up(node.number);
        started?;
    }
    for node in nodes {
        stage.wait_back(node).await;
        node.release();
    }
    Ok(())
}

/// SIGKILL, a time without the nodes, and their start.
pub(super) async fn kill(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let nodes = take_all(stage, planned)?;
    if nodes.is_empty() {
        return Ok(Effect::none("a node was not running"));
    }
    nodes.iter().for_each(|node| stage.book.down(node.number));
    let pids: Vec<u32> = nodes.iter().filter_map(|node| node.pid()).collect();
    let victims = nodes.clone();
    let killed = blocking(move || victims.iter().try_for_each(|node| node.kill())).await;
    let gone = pids.iter().all(|pid| !crate::network::is_alive(*pid));
    stage.hold(planned.length_ms).await;
    bring_back(stage, &nodes).await?;
    killed?;
    Ok(Effect::when(gone, format!("{} of {} processes gone", pids.len(), planned.nodes.len())))
}

/// SIGSTOP and SIGCONT.
pub(super) async fn pause(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let nodes = take(stage, planned)?;
    let Some(node) = nodes.first().cloned() else { return Ok(Effect::none("the node was not running")) };
    stage.book.down(node.number);
    let paused = node.clone();
    let stopped = blocking(move || paused.stop()).await;
    stage.hold(planned.length_ms).await;
    let still = node.is_stopped();
    let goes_on = node.go_on();
    stage.book.up(node.number);
    node.release();
    stopped?;
    goes_on?;
    Ok(Effect::when(still, "all of its threads stood still to the end"))
}

/// SIGTERM, which hands leaderships over, and a start.
pub(super) async fn restart(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let nodes = take(stage, planned)?;
    let Some(node) = nodes.first().cloned() else { return Ok(Effect::none("the node was not running")) };
    stage.book.down(node.number);
    let leaving = node.clone();
    let code = blocking(move || leaving.terminate(TERMINATE_TIME_MAX)).await;
    if !matches!(code, Ok(Some(0))) {
        stage.surprise(node.number, &format!("SIGTERM did not end it in order: {code:?}"));
    }
    stage.hold(planned.length_ms).await;
    bring_back(stage, &nodes).await?;
    Ok(Effect::when(matches!(code, Ok(Some(_))), format!("it ended in order: {code:?}")))
}

/// A twentieth of one CPU.
pub(super) async fn starve(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let nodes = take(stage, planned)?;
    let Some(node) = nodes.first() else { return Ok(Effect::none("the node was not running")) };
    let group = node.cgroup().context("the node has no control group")?;
    let throttled = || -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(group.join("cpu.stat"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        Ok(line.context("no nr_throttled")?.trim().parse()?)
    };
    let quota = group.join("cpu.cfs_quota_us");
    let before = throttled();
    stage.book.down(node.number);
    let starved = std::fs::write(&quota, STARVED_US);
    stage.hold(planned.length_ms).await;
    let after = throttled();
    let fed = std::fs::write(&quota, "-1");
    stage.book.up(node.number);
    stage.wait_back(node).await;
    node.release();
    starved?;
    fed?;
    let times = after?.saturating_sub(before?);
    Ok(Effect::when(times > 0, format!("the kernel held it back {times} times")))
}
