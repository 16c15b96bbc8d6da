//! Nodes that end inside themselves, between two steps that must look like one from outside
//! (`raft_store::failpoint`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Effect;
use super::processes::{bring_back, take};
use crate::node::{Node, url};
use crate::plan::Planned;
use crate::shell::blocking;
use crate::stage::Stage;

/// Where any node comes by at work, and at which pass at most. A node that leads nothing calls nobody back; it may have to
/// be elected first.
const AT_WORK: [(&str, u64); 4] =
    [("log-synced", 40), ("log-marked", 40), ("state-written", 40), ("callback-answered", 3)];
/// Where only a node comes by that gets a snapshot.
const IN_SNAPSHOT: [&str; 2] = ["snapshot-loaded", "snapshot-flipped"];
/// How long it is waited for.
const TIME_MAX: Duration = Duration::from_secs(20);
const POLL_MS: u64 = 20;
/// How long a node stays away at most until the others have purged what it lacks.
const AWAY_MAX: Duration = Duration::from_secs(45);
const PURGE_POLL_MS: u64 = 250;
const METRICS_TIME_MAX: Duration = Duration::from_secs(1);

/// Ends by itself some passes after its start.
pub(super) async fn at_work(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let (point, passes_max) = AT_WORK[(planned.draw % AT_WORK.len() as u64) as usize];
    let order = format!("{point}:{}", 1 + planned.draw / 7 % passes_max);
    crash(stage, planned, order, false).await
}

/// Stays away until the others have purged what it lacks, and ends by itself while it installs a snapshot.
pub(super) async fn in_snapshot(stage: &Stage, planned: &Planned) -> anyhow::Result<Effect> {
    let point = IN_SNAPSHOT[(planned.draw % IN_SNAPSHOT.len() as u64) as usize];
    // Several shards may need one.
    let order = format!("{point}:{}", 1 + planned.draw / 7 % 2);
    crash(stage, planned, order, true).await
}

async fn crash(stage: &Stage, planned: &Planned, order: String, lags: bool) -> anyhow::Result<Effect> {
    let Some(timerd) = stage.scene.failpoints.clone() else {
        return Ok(Effect::none("there is no build with failpoints"));
    };
    let nodes = take(stage, planned)?;
    let Some(node) = nodes.first().cloned() else { return Ok(Effect::none("the node was not running")) };
    let applied = indexes(stage, node.number, "applied").await;
    stage.book.down(node.number);
    let ended = kill_and_start(stage, &node, (timerd, order.clone()), lags.then_some(&applied)).await;
    let stopping = node.clone();
    let killed = blocking(move || stopping.kill()).await;
    if !lags {
        stage.hold(planned.length_ms).await;
    }
    bring_back(stage, &nodes).await?;
    killed?;
    let ended = ended?;
    Ok(Effect::when(ended.is_ok(), format!("{order}: {}", ended.unwrap_or_else(|why| why))))
}

/// How it ended by itself, or why it did not.
async fn kill_and_start(
    stage: &Stage,
    node: &Arc<Node>,
    (timerd, order): (PathBuf, String),
    behind: Option<&BTreeMap<String, u64>>,
) -> anyhow::Result<Result<String, String>> {
    let leaving = node.clone();
    blocking(move || leaving.kill()).await?;
    if let Some(applied) = behind
        && !purged_beyond(stage, node.number, applied).await
    {
        return Ok(Err("the others have purged nothing that it lacks".into()));
    }
    node.start_to_end(&stage.spawner, timerd, order)?;
    let since = Instant::now();
    while since.elapsed() < TIME_MAX && !stage.stop.is_cancelled() {
        stage.hold(POLL_MS).await;
        if let Some(how) = node.end() {
            return Ok(Ok(how));
        }
    }
    Ok(Err("it did not come by".into()))
}

/// Waits until the others have purged the log of some shard beyond what `away` had applied: all that answer, since any of
/// them may lead it.
async fn purged_beyond(stage: &Stage, away: u32, applied: &BTreeMap<String, u64>) -> bool {
    let since = Instant::now();
    while since.elapsed() < AWAY_MAX && !stage.stop.is_cancelled() {
        let mut others = Vec::new();
        for other in (1..=stage.scene.nodes).filter(|other| *other != away) {
            others.push(indexes(stage, other, "purged").await);
        }
        others.retain(|purged| !purged.is_empty());
        let lacks = |(shard, index): (&String, &u64)| {
            others.iter().all(|purged| purged.get(shard).is_some_and(|purged| purged > index))
        };
        if !others.is_empty() && applied.iter().any(lacks) {
            return true;
        }
        stage.hold(PURGE_POLL_MS).await;
    }
    false
}

/// By shard, a log index that a node's metrics show; empty if it does not answer.
async fn indexes(stage: &Stage, node: u32, which: &str) -> BTreeMap<String, u64> {
    let text = stage.http.text(&format!("{}/metrics", url(node)), METRICS_TIME_MAX).await;
    indexes_in(&text.unwrap_or_default(), which)
}

fn indexes_in(metrics: &str, which: &str) -> BTreeMap<String, u64> {
    let head = format!("timerd_raft_{which}_index{{shard=\"");
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(&head)?.split_once("\"} "));
    lines.filter_map(|(shard, index)| Some((shard.to_owned(), index.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_read_by_shard() {
        let metrics = "# TYPE timerd_raft_purged_index gauge\n\
            timerd_raft_purged_index{shard=\"0\"} 17\n\
            timerd_raft_applied_index{shard=\"0\"} 40\n\
            timerd_raft_purged_index{shard=\"1\"} 0\n";
        let expected = BTreeMap::from([("0".to_owned(), 17), ("1".to_owned(), 0)]);
        assert_eq!(indexes_in(metrics, "purged"), expected);
    }
}
