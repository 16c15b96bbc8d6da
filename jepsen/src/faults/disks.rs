//! Faults of disks: little room left, none at all, no writes, writes that hang, and syncs that are slow or fail.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::Effect;
use super::processes::take;
use crate::node::Node;
use crate::plan::Planned;
use crate::random::Random;
use crate::shell::blocking;
use crate::stage::{DISK_RESERVE_BYTES, Stage};

/// Room that is left: less than the reserve, enough for what is under way.
const LITTLE_BYTES: u64 = DISK_RESERVE_BYTES / 2;

/// Less room than the reserve: creates are refused, what is there fires. All shards are excused, because any
/// of them may be led by this node, which then refuses creates as it should.
pub(super) async fn fill(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let nodes = take(stage, planned)?;
    let Some(node) = nodes.first().cloned() else { return Ok(Effect::none("the node was not running")) };
    stage.book.excuse();
    let full = node.clone();
    let filled = blocking(move || full.disk.fill(LITTLE_BYTES)).await;
    stage.hold(planned.length_ms).await;
    let free = node.disk.free_bytes();
    let emptied = node.disk.empty();
    stage.book.demand();
    stage.wait_back(&node).await;
    node.release();
    filled?;
    emptied?;
    let free = free?;
    Ok(Effect::when(free < DISK_RESERVE_BYTES, format!("{} MiB were free to the end", free >> 20)))
}

/// No room at all: the node can't write its log, and ends.
pub(super) async fn exhaust(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let nodes = take(stage, planned)?;
    let Some(node) = nodes.first().cloned() else { return Ok(Effect::none("the node was not running")) };
    stage.book.down(node.number);
    let full = node.clone();
    let filled = blocking(move || full.disk.fill(0)).await;
    stage.hold(planned.length_ms).await;
    let free = node.disk.free_bytes();
    let emptied = node.disk.empty();
    let ended = node.end();
    let started = if ended.is_some() { node.start(&stage.spawner) } else { Ok(()) };
    stage.book.up(node.number);
    stage.wait_back(&node).await;
    node.release();
    filled?;
    emptied?;
    started?;
    let how = ended.unwrap_or_else(|| "it went on".into());
    let free = free?;
    Ok(Effect::when(free < 1 << 20, format!("{} KiB were free to the end; {how}", free >> 10)))
}

/// Every write fails, until the disk is mounted anew.
pub(super) async fn make_read_only(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let nodes = take(stage, planned)?;
    let Some(node) = nodes.first().cloned() else { return Ok(Effect::none("the node was not running")) };
    stage.book.down(node.number);
    let broken = node.clone();
    let made = blocking(move || broken.disk.make_read_only()).await;
    stage.hold(planned.length_ms).await;
    let refuses = node.disk.refuses_writes();
    let ended = node.end();
    let mended = node.clone();
    let back = blocking(move || {
        mended.kill()?;
        mended.disk.unmount()?;
        mended.disk.mount()
    })
    .await;
    super::processes::bring_back(stage, &nodes).await?;
    made?;
    back?;
    let how = ended.unwrap_or_else(|| "it went on".into());
    Ok(Effect::when(refuses, format!("a write was refused at the end; {how}")))
}

/// Every write hangs.
pub(super) async fn stall(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    /// A write that takes longer hangs.
    const HANGS: Duration = Duration::from_millis(500);
    let nodes = take(stage, planned)?;
    let Some(node) = nodes.first().cloned() else { return Ok(Effect::none("the node was not running")) };
    stage.book.down(node.number);
    let frozen = node.clone();
    let made = blocking(move || frozen.disk.freeze()).await;
    let probe = node.clone();
    let mut write = tokio::spawn(blocking(move || probe.disk.write_probe()));
    let hangs = tokio::time::timeout(HANGS, &mut write).await.is_err();
    stage.hold(planned.length_ms).await;
    let thawed = node.clone();
    let back = blocking(move || thawed.disk.thaw()).await;
    if hangs {
        let _ = write.await;
    }
    let ended = node.end();
    let started = if ended.is_some() { node.start(&stage.spawner) } else { Ok(()) };
    stage.book.up(node.number);
    stage.wait_back(&node).await;
    node.release();
    made?;
    back?;
    started?;
    let how = ended.map(|how| format!("; {how}")).unwrap_or_default();
    Ok(Effect::when(hangs, format!("a write hung until the end{how}")))
}

/// The node, taken, and how many of its syncs were spoilt before; an error leaves it as it is.
fn take_to_lie(stage: &Stage, planned: &Planned) -> anyhow::Result<Option<(Arc<Node>, i64)>> {
    let number = *planned.nodes.first().context("no node was chosen")?;
    let before = stage.node(number)?.lies()?.spoilt_syncs()?;
    Ok(take(stage, planned)?.into_iter().next().map(|node| (node, before)))
}

/// Every sync takes longer by what a busy disk or a remote one takes, and nothing else changes.
pub(super) async fn slow(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let delay_ms = Random::new(planned.draw).between(20, 150).cast_signed();
    let Some((node, before)) = take_to_lie(stage, planned)? else {
        return Ok(Effect::none("the node was not running"));
    };
    let lies = node.lies()?;
    let slowed = lies.delay_syncs(delay_ms);
    stage.hold(planned.length_ms).await;
    let after = lies.spoilt_syncs();
    let mended = lies.delay_syncs(0);
    node.release();
    slowed?;
    mended?;
    let syncs = after? - before;
    Ok(Effect::when(syncs > 0, format!("{syncs} syncs took {delay_ms} ms more")))
}

/// From some sync on all fail. The node must end and say so: what it has written may not be on the disk, and a sync that
/// is tried again may say that all is well when it is not.
pub(super) async fn fail_syncs(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    /// What a node may take to end after a sync has failed, and to have a sync at all.
    const END_TIME_MAX: Duration = Duration::from_secs(10);
    const POLL: Duration = Duration::from_millis(20);
    let Some((node, before)) = take_to_lie(stage, planned)? else {
        return Ok(Effect::none("the node was not running"));
    };
    let lies = node.lies()?;
    let mut random = Random::new(planned.draw);
    let (name, errno) = *random.pick(&[("EIO", 5), ("ENOSPC", 28)]);
    let left = random.below(60).cast_signed();
    stage.book.down(node.number);
    let failing = lies.fail_syncs(errno, left);
    let deadline = tokio::time::Instant::now() + END_TIME_MAX;
    let mut ended = None;
    while ended.is_none() && tokio::time::Instant::now() < deadline && !stage.stop.is_cancelled() {
        tokio::time::sleep(POLL).await;
        ended = node.end();
    }
    let said = stage.logs.last(node.number);
    stage.hold(planned.length_ms).await;
    let failed = lies.spoilt_syncs().map(|after| after - before);
    let mended = lies.fail_syncs(0, 0);
    let mut killed = Ok(());
    if let (None, Ok(1..), false) = (&ended, &failed, stage.stop.is_cancelled()) {
        stage.surprise(node.number, &format!("it went on after syncs had failed with {name}"));
        killed = node.kill();
    }
    let started = if node.pid().is_some() { Ok(()) } else { node.start(&stage.spawner) };
    stage.book.up(node.number);
    stage.wait_back(&node).await;
    node.release();
    failing?;
    mended?;
    killed?;
    started?;
    let failed = failed?;
    let how = ended.unwrap_or_else(|| "it went on".into());
    Ok(Effect::when(failed > 0, format!("{failed} syncs failed with {name} after {left}; {how}: {said}")))
}
