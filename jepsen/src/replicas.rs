//! The state of all replicas at the end: the nodes are killed at rest, and `timerd check` reads what lies on their disks.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use checkers::history::{Event, Probe};
use serde_json::Value;

use crate::node::Node;
use crate::shell::{blocking, run};
use crate::stage::{FLUSH_INTERVAL, Stage};

/// By then every node at rest has flushed all that it has applied, and all have applied the same.
const REST: Duration = Duration::from_secs(FLUSH_INTERVAL.as_secs() * 2 + 1);

/// Writes the state of each replica to the history. Gives what was wrong with the data of nodes whose files nobody has
/// damaged on purpose.
pub async fn compare(stage: &Stage) -> Vec<String> {
    tokio::time::sleep(REST).await;
    let nodes: Vec<Arc<Node>> = stage.nodes.iter().filter(|node| !node.is_suspect()).cloned().collect();
    let killed = nodes.clone();
    let mut unsound = Vec::new();
    if let Err(e) = blocking(move || killed.iter().try_for_each(|node| node.kill())).await {
        unsound.push(format!("a node does not end: {e:#}"));
    }
    for node in nodes {
        if let Err(e) = probe(stage, &node).await {
            unsound.push(format!("n{}: {e:#}", node.number));
        }
    }
    unsound
}

async fn probe(stage: &Stage, node: &Node) -> anyhow::Result<()> {
    let timerd = stage.scene.timerd.to_string_lossy().into_owned();
    let dir = node.data().to_string_lossy().into_owned();
    let check = move || Ok(run(&[&timerd, "check", "--output", "json", "--data-dir", &dir])?);
    let found: Value = serde_json::from_str(&blocking(check).await?).context("not JSON")?;
    for shard in found["shards"].as_array().context("no shards")? {
        let (Some(number), Some(index)) = (shard["shard"].as_u64(), shard["appliedIndex"].as_u64()) else {
            continue;
        };
        stage.recorder.write(&Event::Probe(Probe {
            at_ns: stage.recorder.now_ns(),
            node: node.number,
            shard: u16::try_from(number)?,
            applied_index: index,
            hash: shard["stateHash"].as_str().context("no hash")?.to_owned(),
        }));
    }
    Ok(())
}
